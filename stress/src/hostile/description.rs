//! Segments whose payload is described by any text: who attaches is refused unless it is their
//! own, and who looks from outside sees what a description says, or an error.

use anyhow::{Context, Result, bail, ensure};
use nix::sys::resource::{Resource, setrlimit};
use ringproof::inspect::Peeked;
use ringproof::layout::{HEADER_LEN, Kind};
use ringproof::{Inspection, Ring, SegmentError, SeqLatch, SeqLock};

use super::fixture::{DATA, Parsed, description_of, fnv_1a, image_of, parsed};
use super::specimen;
use super::text::{changed, described, of_many, texts};
use super::well_behaved::{Place, Value, exercise_as};
use crate::desk::{Setting, same};
use crate::ends::KINDS;
use crate::fault::Fault;
use crate::item::mix;
use crate::shm::Name;
use crate::words::{set_word, word_of};

/// The longest file that is made, nearly all of it sparse.
const LONGEST: u64 = 1 << 45;

/// The bytes of memory that a look may need, with all that a process has anyway.
const MEMORY: u64 = 1 << 29;

/// The bytes that a peek shows at most.
const MOST: u128 = 1 << 20;

/// What a file begins with, and how long it is.
pub(crate) struct Image {
    pub(crate) bytes: Vec<u8>,
    pub(crate) len: u64,
}

impl Image {
    /// A segment in use, with this text for its payload's description, and an item's size in its
    /// header to go with it: so that nothing but the text is a reason to refuse it.
    fn describing(segment: &[u8], text: &[u8], fingerprint: u64) -> Image {
        let room = text.len().next_multiple_of(HEADER_LEN as usize);
        let data_offset = HEADER_LEN + room.max(HEADER_LEN as usize) as u64;
        // Wherever there is room for it.
        let from = match text.len() % 2 {
            0 => HEADER_LEN,
            _ => data_offset - text.len() as u64,
        };
        let mut bytes = segment[..HEADER_LEN as usize].to_vec();
        bytes.resize(data_offset as usize, 0);
        bytes[from as usize..][..text.len()].copy_from_slice(text);
        bytes.extend_from_slice(&segment[DATA as usize..]);
        let mut image = Image {
            len: bytes.len() as u64,
            bytes,
        };
        image.set(56, data_offset);
        image.set(72, from);
        image.set(80, text.len() as u64);
        image.set(88, fingerprint);
        image.resize(said_size(text).unwrap_or(image.word(24)), image.word(40));
        image
    }

    /// Sets the number of slots and the bytes of each, as far as a file can have as many.
    fn resize(&mut self, payload_size: u64, slots: u64) {
        self.set(24, payload_size);
        self.set(40, slots);
        let end = u128::from(payload_size) * u128::from(slots) + u128::from(self.word(56));
        let len = u64::try_from(end).unwrap_or(u64::MAX);
        self.set(64, len);
        if len <= LONGEST {
            self.len = len.max(self.bytes.len() as u64);
        }
    }

    fn word(&self, at: usize) -> u64 {
        word_of(&self.bytes, at)
    }

    fn set(&mut self, at: usize, value: u64) {
        set_word(&mut self.bytes, at, value);
    }

    /// Makes it the file of this name.
    fn put(&self, named: &Name) -> Result<()> {
        named.fill(&self.bytes)?;
        named.set_len(self.len)
    }

    pub(crate) fn parsed(&self) -> Option<Parsed<'_>> {
        parsed(&self.bytes, self.len)
    }

    /// What whoever expects this kind must make of it.
    pub(crate) fn verdict(&self, kind: Kind) -> Verdict {
        let Some(parsed) = self.parsed() else {
            return Verdict::NoHeader;
        };
        match described(parsed.text) {
            None => Verdict::NoDescription,
            Some(_) if parsed.fingerprint != fnv_1a(parsed.text) => Verdict::OtherFingerprint,
            Some(size) if parsed.payload_size != size => Verdict::OtherSize,
            Some(_) if parsed.text != description_of(kind).as_bytes() => Verdict::OtherPayload,
            Some(_) => Verdict::Right,
        }
    }
}

/// The number at the end of a text's first line.
fn said_size(text: &[u8]) -> Option<u64> {
    let first = text.split(|byte| *byte == b'\n').next()?;
    let last = first.rsplit(|byte| *byte == b' ').next()?;
    str::from_utf8(last).ok()?.parse().ok()
}

/// What is wrong with an image, as far as the description is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    NoHeader,
    NoDescription,
    OtherFingerprint,
    OtherSize,
    OtherPayload,
    Right,
}

impl Verdict {
    /// Whether who looks at it from outside sees something.
    pub(crate) fn is_seen(self) -> bool {
        matches!(self, Verdict::OtherPayload | Verdict::Right)
    }

    /// An error unless this one says what is wrong.
    fn is_named_by(self, error: &SegmentError) -> Result<()> {
        let fits = match (self, error) {
            (Verdict::OtherPayload, SegmentError::Payload { differences, .. }) => {
                let starts = ["field \"", "byte order: ", "size: "];
                let named = |line: &String| starts.iter().any(|start| line.starts_with(start));
                !differences.is_empty() && differences.iter().all(named)
            }
            (verdict, SegmentError::Mismatch { field, .. }) => match verdict {
                Verdict::NoHeader => !["description", "fingerprint", "kind"].contains(field),
                Verdict::NoDescription => *field == "description",
                Verdict::OtherFingerprint => *field == "fingerprint",
                Verdict::OtherSize => *field == "payload_size",
                Verdict::OtherPayload | Verdict::Right => false,
            },
            _ => false,
        };
        ensure!(fits, "{self:?}, and the error is: {error}");
        printable(error.to_string().as_bytes(), b"")
    }
}

/// An error if a terminal would take some of this for more than text. What else it may contain is
/// in `more`.
pub(crate) fn printable(said: &[u8], more: &[u8]) -> Result<()> {
    let odd = (said.iter()).find(|byte| !matches!(byte, b' '..=b'~') && !more.contains(byte));
    if let Some(byte) = odd {
        bail!("byte {byte:#04x} is printed in {:?}", excerpt(said));
    }
    Ok(())
}

/// The beginning of a text.
fn excerpt(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(120)]).into_owned()
}

/// What is done with an image: the file of this name is made of it.
type Judge<'a> = &'a dyn Fn(Kind, &Image, &Name) -> Result<()>;

/// Every kind with every text, and with changed ones, under their own fingerprints and under that
/// of the right one; `only` chooses among the texts.
pub(crate) fn each_text(
    setting: &Setting<'_>,
    mut only: impl FnMut(&[u8]) -> bool,
    judge: Judge<'_>,
) -> Result<()> {
    let named = setting.name_of("described");
    for kind in KINDS {
        let segment = image_of(kind)?;
        let right = description_of(kind);
        let random = (0..setting.rounds).map(|random| mix(setting.seed ^ mix(random)));
        let random = random.map(|seed| changed(&right, seed));
        let mut chosen = texts(&right).into_iter().chain(random).collect::<Vec<_>>();
        chosen.retain(|text| only(text));
        for text in chosen {
            for fingerprint in [fnv_1a(&text), fnv_1a(right.as_bytes())] {
                setting.case(|| {
                    let image = Image::describing(&segment, &text, fingerprint);
                    image.put(&named)?;
                    judge(kind, &image, &named)
                        .with_context(|| format!("a {kind:?} described by {:?}", excerpt(&text)))
                })?;
            }
        }
    }
    Ok(())
}

/// Attached to as what it may be.
pub(crate) fn attached(setting: &Setting<'_>) -> Result<()> {
    let attach = |kind, image: &Image, named: &Name| {
        let verdict = image.verdict(kind);
        if setting.has(Fault::FingerprintAlone) {
            let accepted = specimen::fingerprint_attach(&image.bytes, &description_of(kind));
            ensure!(
                !accepted || verdict == Verdict::Right,
                "{verdict:?}, and attached to"
            );
            return Ok(());
        }
        let outcome = match kind {
            Kind::Ring => Ring::<u64>::attach(named).map(drop),
            Kind::SeqLock => SeqLock::<Value>::attach(named).map(drop),
            Kind::Latch => SeqLatch::<Value>::attach(named).map(drop),
        };
        match outcome {
            Err(error) => verdict.is_named_by(&error),
            Ok(()) => {
                ensure!(verdict == Verdict::Right, "{verdict:?}, and attached to");
                exercise_as(Place::Named(named), true)
            }
        }
    };
    each_text(setting, |_| true, &attach)
}

/// Looked at from outside, also with sizes and positions at their limits.
pub(crate) fn inspected(setting: &Setting<'_>) -> Result<()> {
    limit_memory()?;
    let look = |kind, image: &Image, named: &Name| look(setting, kind, image, named);
    each_text(setting, |_| true, &look)?;
    let named = setting.name_of("extreme");
    for kind in KINDS {
        let segment = image_of(kind)?;
        for (payload_size, slots) in extremes() {
            let text = of_many(payload_size);
            let mut image = Image::describing(&segment, &text, fnv_1a(&text));
            image.resize(payload_size, slots);
            for (write_index, read_index) in POSITIONS {
                for capacity in [1, slots] {
                    setting.case(|| {
                        image.set(48, capacity);
                        image.set(256, write_index);
                        image.set(640, read_index);
                        image.put(&named)?;
                        look(kind, &image, &named).with_context(|| {
                            format!(
                                "a {kind:?} of {slots} slots of {payload_size} bytes, {capacity} of \
                                 them live, from {read_index} to {write_index}"
                            )
                        })
                    })?;
                }
            }
        }
    }
    Ok(())
}

/// Bytes of an item, and slots.
fn extremes() -> impl Iterator<Item = (u64, u64)> {
    let sizes = [1, 8, 1 << 20, (1 << 20) + 1, 1 << 32, 1 << 40, 1 << 62];
    let slots = [1, 2, 8, 4096, 1 << 40];
    sizes
        .into_iter()
        .flat_map(move |size| slots.map(|slots| (size, slots)))
}

/// Where the writing end and the reading end stand.
const POSITIONS: [(u64, u64); 9] = [
    (0, 0),
    (3, 0),
    (0, 3),
    (7, 2),
    (1 << 63, 0),
    (0, 1 << 63),
    (u64::MAX, 0),
    (2, u64::MAX - 1),
    (u64::MAX, u64::MAX),
];

/// An allocation of more than a look may need ends the process from now on.
pub(crate) fn limit_memory() -> Result<()> {
    setrlimit(Resource::RLIMIT_AS, MEMORY, MEMORY).context("cannot limit the memory")
}

fn look(setting: &Setting<'_>, kind: Kind, image: &Image, named: &Name) -> Result<()> {
    let verdict = image.verdict(kind);
    if let (true, Some(parsed)) = (setting.has(Fault::LenientParse), image.parsed()) {
        let accepted = specimen::lenient_parse(parsed.text);
        ensure!(
            !accepted || described(parsed.text).is_some(),
            "{verdict:?}, and parsed"
        );
        return Ok(());
    }
    let seen = match Inspection::of(named) {
        Err(error) => return verdict.is_named_by(&error),
        Ok(seen) => seen,
    };
    ensure!(verdict.is_seen(), "{verdict:?}, and it can be looked at");
    let parsed = image.parsed().context("no header")?;
    let said = seen.description.to_string();
    same("seen as described by", said.as_bytes(), parsed.text)?;
    for count in [0, 1, 5, u64::MAX] {
        if setting.has(Fault::BelievedSize) {
            specimen::believing_peek(&image.bytes, count);
            continue;
        }
        let expected = peeked(image, &parsed, count);
        match (seen.peek(count), &expected) {
            (Err(SegmentError::Size { .. }), None) => {}
            (Ok(items), Some(expected)) => {
                let positions: Vec<_> = items.iter().map(|item| item.position).collect();
                ensure!(positions == *expected, "a peek at {count}: {positions:?}");
                items.iter().try_for_each(|item| judge(&seen, item))?;
            }
            (found, _) => bail!("a peek at {count}, expected {expected:?}: {found:?}"),
        }
    }
    Ok(())
}

/// The positions of what a peek at as many items must show; `None` if that is too much.
fn peeked(image: &Image, parsed: &Parsed<'_>, count: u64) -> Option<Vec<u64>> {
    // The highest bit of an index says that its side closed the ring.
    let index = |at| image.word(at) & !(1 << 63);
    let (write_index, read_index) = (index(256), index(640));
    let (first, most) = match parsed.kind {
        1 => (
            read_index,
            write_index.wrapping_sub(read_index).min(parsed.capacity),
        ),
        _ => (image.word(256), 1),
    };
    let count = count.min(most);
    let fits = u128::from(count) * u128::from(parsed.payload_size) <= MOST;
    fits.then(|| {
        (0..count)
            .map(|number| first.wrapping_add(number))
            .collect()
    })
}

/// Holds an item to what is said of it. There is no write meanwhile, so it is there, unless a word says
/// that somebody does.
fn judge(seen: &Inspection, item: &Peeked) -> Result<()> {
    let in_a_write = match seen.fixed.kind {
        2 => item.position % 2 == 1,
        3 => item.position == 1 << 63,
        _ => false,
    };
    let Some(bytes) = &item.bytes else {
        ensure!(in_a_write, "item {} is gone", item.position);
        return Ok(());
    };
    ensure!(!in_a_write, "item {} is there", item.position);
    for field in seen.description.fields() {
        let found = seen.description.values(field, bytes).count() as u64;
        ensure!(found == field.leaf.count, "{field:?} has {found} values");
    }
    Ok(())
}
