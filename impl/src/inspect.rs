//! A look at a segment from outside: nothing is mapped, locked or changed.
//!
//! Its words and [its items](Inspection::peek) are read through the file, while its peers go on.

#[cfg(feature = "serde")]
mod serialize;

use std::fmt::DebugStruct;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use crate::error::SegmentError;
use crate::latch::NO_VERSION;
use crate::layout::{Fixed, Kind, MAGIC, NOTES, offset};
use crate::ring::index_of;
use crate::role::{self, Role};
use crate::segment::{
    Segment, names, open_existing, read_description, read_fixed, read_words, shown,
};
use crate::shape::Description;
use crate::sleep::FENCE;

/// What a segment looked like at one moment. The words were read one after the other while its
/// peers went on, so together they need not be consistent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// The segment's name, or what else tells which one it is.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// What its creator said of it.
    pub fixed: Fixed,
    /// What its payload is made of.
    pub description: Description,
    /// Whether it was retired: no role may be taken any more.
    pub retired: bool,
    /// Its roles.
    pub roles: Vec<RoleState>,
    /// The ring's `write_index`, the seqlock's `seq` or the latch's `version`.
    pub write_index: u64,
    /// The ring's `read_index`; zero otherwise.
    pub read_index: u64,
    /// Where the producer closed the ring: how many items were committed in all.
    pub end_index: Option<u64>,
    /// Where the consumer closed the ring: how many items were released in all.
    pub stop_index: Option<u64>,
}

/// The bytes that a [peek](Inspection::peek) reads at most: what it is told to read is written in
/// the segment, and anybody may have written it.
const MAX_PEEK: u64 = 1 << 20;

/// How often a value that is written meanwhile is read again.
const ATTEMPTS: usize = 16;

/// An item that a [peek](Inspection::peek) has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peeked {
    /// Its sequence number in a ring; a latch's `version`, or a seqlock's `seq`.
    pub position: u64,
    /// Its bytes, to be read by the [description](Inspection::description). `None` if the item was
    /// gone before it was copied, or the value written meanwhile.
    pub bytes: Option<Vec<u8>>,
}

/// The state of one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoleState {
    /// The role.
    pub role: Role,
    /// Whether somebody held it.
    pub held: bool,
    /// How often it was taken.
    pub epoch: u64,
    /// How often it woke the other end, or the readers, who had gone to sleep. It counts over all who held the role.
    pub wakes: u64,
    /// Whether it asked to be woken and was not yet: it sleeps, or did when it died or gave up. Never of a writer.
    pub asks: bool,
    /// What the application has left in its notes.
    pub notes: [u64; NOTES],
}

impl Inspection {
    /// Looks at the segment `name`. Permission to read it is enough.
    ///
    /// # Errors
    /// [`SegmentError::NotFound`] if there is none, [`SegmentError::Mismatch`] if it is no
    /// segment of this version, or another [`SegmentError`].
    ///
    /// ```
    /// use ringproof::{Inspection, Ring, RingOptions};
    ///
    /// let name = format!("looked-at-{}", std::process::id());
    /// let ring = Ring::<u64>::create(&name, &RingOptions::new(8))?;
    /// ring.producer()?.push(1)?;
    /// let seen = Inspection::of(&name)?;
    /// assert_eq!((seen.occupancy(), seen.roles[0].epoch), (1, 1));
    /// ring.segment().unlink()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(name: &str) -> Result<Inspection, SegmentError> {
        let (file, len) = open_existing(name, false)?;
        Self::of_file(&file, name, len)
    }

    fn of_file(file: &File, name: &str, len: u64) -> Result<Inspection, SegmentError> {
        let fixed = read_fixed(file, name, len)?;
        Self::look(file, name, fixed, |role| role::is_held(file, name, role))
    }

    /// Looks at a segment that is at hand, also at one without a name.
    ///
    /// # Errors
    /// [`SegmentError::System`] if it cannot be read; [`SegmentError::Mismatch`] if its
    /// description was written over.
    ///
    /// ```
    /// use ringproof::{Inspection, Ring, RingOptions};
    ///
    /// let ring = Ring::<u64>::anonymous(&RingOptions::new(8))?;
    /// let producer = ring.producer()?;
    /// let seen = Inspection::of_segment(ring.segment())?;
    /// assert_eq!((seen.occupancy(), seen.roles[0].held), (0, true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of_segment(segment: &Segment) -> Result<Inspection, SegmentError> {
        let (file, name) = (segment.file(), segment.label());
        Self::look(file, name, *segment.fixed(), |role| segment.is_held(role))
    }

    /// Where the producer closed the ring, if it did: how many items were committed in all. One
    /// system call, where all that [`of_segment`](Self::of_segment) sees takes twenty.
    ///
    /// # Errors
    /// [`SegmentError::System`] if it cannot be read.
    ///
    /// ```
    /// use ringproof::{Inspection, Ring, RingOptions};
    ///
    /// let ring = Ring::<u64>::anonymous(&RingOptions::new(8))?;
    /// let mut producer = ring.producer()?;
    /// producer.push(1)?;
    /// assert_eq!(Inspection::end_of(ring.segment())?, None);
    /// producer.close();
    /// assert_eq!(Inspection::end_of(ring.segment())?, Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn end_of(segment: &Segment) -> Result<Option<u64>, SegmentError> {
        let [word] = read_words(segment.file(), segment.label(), offset::WRITE_INDEX)?;
        let (end, closed) = index_of(word);
        Ok(closed.then_some(end))
    }

    /// Reads the words behind a header that was checked.
    fn look(
        file: &File,
        name: &str,
        fixed: Fixed,
        is_held: impl Fn(Role) -> Result<bool, SegmentError>,
    ) -> Result<Inspection, SegmentError> {
        let word = |at| read_words(file, name, at).map(|[word]| word);
        let state = |role: &Role| {
            let [producer, consumer] = [
                (
                    offset::PRODUCER_EPOCH,
                    offset::PRODUCER_NOTES,
                    offset::PRODUCER_ANSWERS,
                    offset::PRODUCER_ASKS,
                ),
                (
                    offset::CONSUMER_EPOCH,
                    offset::CONSUMER_NOTES,
                    offset::CONSUMER_ANSWERS,
                    offset::CONSUMER_ASKS,
                ),
            ];
            let ((epoch, notes, answers, asks), (.., others, _)) = match role {
                Role::Producer | Role::Writer => (producer, consumer),
                Role::Consumer => (consumer, producer),
            };
            let count = |at| word(at).map(|word| word & !FENCE);
            Ok::<_, SegmentError>(RoleState {
                role: *role,
                held: is_held(*role)?,
                epoch: word(epoch)?,
                wakes: count(answers)?,
                // Before the answers: an answer that comes between is none to come.
                asks: count(asks)? > count(others)?,
                notes: read_words(file, name, notes)?,
            })
        };
        let description = fixed.described(name, &read_description(file, name, &fixed)?)?;
        // The check has found a known kind; the fallback is never reached.
        let kind = Kind::from_number(fixed.kind).unwrap_or(Kind::Ring);
        let roles = Role::of(Some(kind))
            .iter()
            .map(state)
            .collect::<Result<_, _>>()?;
        let [read_word, write_word] = index_words(file, name)?;
        let [(read_index, stopped), (write_index, ended)] = match kind {
            Kind::Ring => [index_of(read_word), index_of(write_word)],
            Kind::SeqLock | Kind::Latch => [(read_word, false), (write_word, false)],
        };
        Ok(Inspection {
            name: name.to_owned(),
            kind,
            fixed,
            description,
            retired: word(offset::RETIRED)? != 0,
            roles,
            write_index,
            read_index,
            end_index: ended.then_some(write_index),
            stop_index: stopped.then_some(read_index),
        })
    }

    /// The next items of a ring that its consumer will get, at most `count` of them; or the value
    /// of a seqlock or latch. They stay where they are, and nobody has to hold a role. It is a look
    /// from outside: whether an item was still there is asked after it was copied, but no site
    /// orders the one after the other, as it does for a consumer.
    ///
    /// # Errors
    /// [`SegmentError::Size`] if they have more than 1 MiB together; [`SegmentError::Mismatch`]
    /// if the header is not the one that was inspected; [`SegmentError::NotFound`] if there is no
    /// segment of this name, as of one without a name; or another [`SegmentError`].
    ///
    /// ```
    /// use ringproof::{Inspection, Ring, RingOptions};
    ///
    /// let name = format!("peeked-at-{}", std::process::id());
    /// let ring = Ring::<u64>::create(&name, &RingOptions::new(8))?;
    /// ring.producer()?.push_slice(&[5, 6, 7])?;
    /// let seen = Inspection::of(&name)?;
    /// let items = seen.peek(2)?;
    /// assert_eq!(items[1].bytes.as_deref(), Some(&6_u64.to_ne_bytes()[..]));
    /// assert_eq!(ring.consumer()?.pop()?, 5);
    /// ring.segment().unlink()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peek(&self, count: u64) -> Result<Vec<Peeked>, SegmentError> {
        let (file, len) = open_existing(&self.name, false)?;
        if read_fixed(&file, &self.name, len)? != self.fixed {
            let (found, expected) = ("another one than before", "the segment that was inspected");
            return Err(SegmentError::mismatch(
                &self.name, "header", found, expected,
            ));
        }
        let peek = Peek {
            file: &file,
            name: &self.name,
            fixed: &self.fixed,
            meanwhile: &|| (),
        };
        match self.kind {
            Kind::Ring => peek.ring(count),
            Kind::SeqLock | Kind::Latch if count == 0 => Ok(Vec::new()),
            Kind::SeqLock => Ok(vec![peek.seqlock()?]),
            Kind::Latch => Ok(vec![peek.latch()?]),
        }
    }

    /// How many items of a ring were live. (More than the capacity if the consumer released
    /// some between the looks at the two indices.)
    pub fn occupancy(&self) -> u64 {
        self.write_index.wrapping_sub(self.read_index)
    }
}

/// The two index words, the reader's first: it only grows, so the difference is never negative.
fn index_words(file: &File, name: &str) -> Result<[u64; 2], SegmentError> {
    let word = |at| read_words(file, name, at).map(|[word]| word);
    Ok([word(offset::READ_INDEX)?, word(offset::WRITE_INDEX)?])
}

/// Says how full a ring is, and who closed it, to whoever prints it: through its file, as all here, so
/// that a forked child may print it, too.
pub(crate) fn debug_ring(segment: &Segment, output: &mut DebugStruct<'_, '_>) {
    output.field("capacity", &segment.fixed().capacity);
    match index_words(segment.file(), segment.label()).map(|words| words.map(index_of)) {
        Ok([(read_index, stopped), (write_index, ended)]) => output
            .field("occupancy", &write_index.wrapping_sub(read_index))
            .field("closed_by_producer", &ended)
            .field("closed_by_consumer", &stopped),
        Err(error) => output.field("occupancy", &error),
    };
}

/// All that is where named segments are.
#[derive(Debug)]
#[non_exhaustive]
pub struct Survey {
    /// The segments by name, sorted: each as it was found, or why it is not known, as where it
    /// is damaged or of another version.
    pub segments: Vec<(String, Result<Inspection, SegmentError>)>,
    /// How many other files there are, also of names that no segment has.
    pub foreign: usize,
    /// How many files there are that this process may not read.
    pub closed: usize,
}

impl Survey {
    /// Looks at every file in the directory of segments that `wanted` says the name of. A name that is
    /// not UTF-8 is no segment's; `wanted` is asked for it with `\xff` in the place of each byte that is
    /// no character's.
    ///
    /// # Errors
    /// [`SegmentError::System`] if the directory cannot be read.
    ///
    /// ```
    /// use ringproof::{Ring, RingOptions, Survey};
    ///
    /// let name = format!("surveyed-{}", std::process::id());
    /// let ring = Ring::<u64>::create(&name, &RingOptions::new(8))?;
    /// let found = Survey::of(|other| other == name)?;
    /// assert_eq!(found.segments[0].1.as_ref().map(|seen| seen.occupancy()).ok(), Some(0));
    /// ring.segment().unlink()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(wanted: impl Fn(&str) -> bool) -> Result<Survey, SegmentError> {
        let mut survey = Survey {
            segments: Vec::new(),
            foreign: 0,
            closed: 0,
        };
        for name in names()? {
            let name = match name.into_string() {
                Ok(name) if wanted(&name) => name,
                Err(other) if wanted(&shown(other.as_bytes())) => {
                    survey.foreign += 1;
                    continue;
                }
                _ => continue,
            };
            let (file, len) = match open_existing(&name, false) {
                Ok(found) => found,
                // Unlinked meanwhile.
                Err(SegmentError::NotFound { .. }) => continue,
                Err(SegmentError::Denied { .. }) => {
                    survey.closed += 1;
                    continue;
                }
                // No regular file, or one of a name that no segment has.
                Err(_) => {
                    survey.foreign += 1;
                    continue;
                }
            };
            match read_words(&file, &name, 0) {
                Ok([MAGIC]) => {
                    let seen = Inspection::of_file(&file, &name, len);
                    survey.segments.push((name, seen));
                }
                _ => survey.foreign += 1,
            }
        }
        Ok(survey)
    }
}

/// The items of a segment whose header was checked, read through its file.
struct Peek<'a> {
    file: &'a File,
    name: &'a str,
    fixed: &'a Fixed,
    /// Happens between the copying of an item and the look at whether it was still there: nothing,
    /// but in a test what peers may do there.
    meanwhile: &'a dyn Fn(),
}

impl Peek<'_> {
    fn word(&self, at: u64) -> Result<u64, SegmentError> {
        read_words(self.file, self.name, at).map(|[word]| word)
    }

    /// Refuses to read as many items as this.
    fn check_size(&self, count: u64) -> Result<(), SegmentError> {
        let size = self.fixed.payload_size;
        let problem = match size.checked_mul(count) {
            Some(bytes) if bytes <= MAX_PEEK => return Ok(()),
            _ if size > MAX_PEEK => {
                format!("an item of {size} bytes is more than the {MAX_PEEK} that are shown")
            }
            _ => format!(
                "{count} items of {size} bytes are more than the {MAX_PEEK} bytes that are shown; \
                 ask for fewer, {} at most",
                MAX_PEEK / size
            ),
        };
        Err(SegmentError::size(self.name, problem))
    }

    /// What lies in the slot of a position. The header's check has found all slots in the file.
    fn slot(&self, position: u64) -> Result<Vec<u8>, SegmentError> {
        let slot = position & (self.fixed.slots - 1);
        let mut bytes = vec![0; self.fixed.payload_size as usize];
        self.file
            .read_exact_at(
                &mut bytes,
                self.fixed.data_offset + slot * self.fixed.payload_size,
            )
            .map_err(SegmentError::system(self.name, "read an item"))?;
        Ok(bytes)
    }

    fn ring(&self, count: u64) -> Result<Vec<Peeked>, SegmentError> {
        let index = |at| self.word(at).map(|word| index_of(word).0);
        let first = index(offset::READ_INDEX)?;
        // More than the capacity if the consumer went on between the two looks, or by corruption.
        let live = index(offset::WRITE_INDEX)?.wrapping_sub(first);
        let count = count.min(live).min(self.fixed.capacity);
        self.check_size(count)?;
        let item = |number| {
            let position = first.wrapping_add(number);
            let bytes = self.slot(position)?;
            (self.meanwhile)();
            // Only what was released is written over.
            let released = index(offset::READ_INDEX)?.wrapping_sub(first);
            Ok(Peeked {
                position,
                bytes: (released <= number).then_some(bytes),
            })
        };
        (0..count).map(item).collect()
    }

    fn seqlock(&self) -> Result<Peeked, SegmentError> {
        self.value(
            |seq| seq.is_multiple_of(2),
            |_| 0,
            |before, after| before == after,
        )
    }

    fn latch(&self) -> Result<Peeked, SegmentError> {
        self.value(
            |version| version != NO_VERSION,
            |version| version,
            |before, after| after.wrapping_sub(before) <= self.fixed.slots - 2,
        )
    }

    /// The value of a word that says which one it is: `stable` if it is one at all, in the slot of
    /// `place`, and whole if the word was `kept` meanwhile.
    fn value(
        &self,
        stable: impl Fn(u64) -> bool,
        place: impl Fn(u64) -> u64,
        kept: impl Fn(u64, u64) -> bool,
    ) -> Result<Peeked, SegmentError> {
        self.check_size(1)?;
        let mut position = 0;
        for _ in 0..ATTEMPTS {
            position = self.word(offset::WRITE_INDEX)?;
            if !stable(position) {
                continue;
            }
            let bytes = self.slot(place(position))?;
            (self.meanwhile)();
            if kept(position, self.word(offset::WRITE_INDEX)?) {
                let bytes = Some(bytes);
                return Ok(Peeked { position, bytes });
            }
        }
        let bytes = None;
        Ok(Peeked { position, bytes })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;
    use crate::{Ring, RingOptions, SeqLatch, SeqLatchOptions, SeqLock, SeqLockOptions};

    /// The positions and numbers that a look at two items of `segment` finds.
    fn peeked(segment: &Segment, kind: Kind, meanwhile: &dyn Fn()) -> Vec<(u64, Option<u64>)> {
        let peek = Peek {
            file: segment.file(),
            name: "peeked",
            fixed: segment.fixed(),
            meanwhile,
        };
        let seen = match kind {
            Kind::Ring => peek.ring(2),
            Kind::SeqLock => peek.seqlock().map(|one| vec![one]),
            Kind::Latch => peek.latch().map(|one| vec![one]),
        };
        let number = |bytes: Vec<u8>| bytemuck::pod_read_unaligned(&bytes);
        let seen = seen.unwrap().into_iter();
        seen.map(|item| (item.position, item.bytes.map(number)))
            .collect()
    }

    #[test]
    fn an_item_that_is_released_or_overwritten_meanwhile_is_gone() {
        let ring = Ring::<u64>::anonymous(&RingOptions::new(2).slots(2)).unwrap();
        let ends = RefCell::new((ring.producer().unwrap(), ring.consumer().unwrap()));
        // Every item is its own position.
        let turn = || {
            let (producer, consumer) = &mut *ends.borrow_mut();
            let position = producer.position();
            if position - consumer.position() == 2 {
                consumer.pop().unwrap();
            }
            producer.push(position).unwrap();
        };
        turn();
        turn();
        let peek = |meanwhile: &dyn Fn()| peeked(ring.segment(), Kind::Ring, meanwhile);
        assert_eq!(peek(&|| ()), [(0, Some(0)), (1, Some(1))]);
        for (turns, second) in [(1, Some(1)), (2, None)] {
            let first = ends.borrow().1.position();
            // While the first item is copied, and not once more.
            let left = Cell::new(turns);
            let seen = peek(&|| (0..left.take()).for_each(|_| turn()));
            let second = second.map(|next| first + next);
            assert_eq!(seen, [(first, None), (first + 1, second)], "{turns} turns");
        }
    }

    #[test]
    fn a_value_that_is_written_meanwhile_is_read_again_some_times() {
        let lock = SeqLock::anonymous(&0_u64, &SeqLockOptions::default()).unwrap();
        let latch = SeqLatch::anonymous(&0_u64, &SeqLatchOptions::default()).unwrap();
        let (writers, written) = (
            RefCell::new((lock.writer().unwrap(), latch.writer().unwrap())),
            Cell::new(0),
        );
        let write = |kind: Kind, times: u64| {
            for _ in 0..times {
                written.set(written.get() + 1);
                match kind {
                    Kind::SeqLock => writers.borrow_mut().0.write(&written.get()),
                    _ => writers.borrow_mut().1.write(&written.get()),
                }
            }
        };
        let once = |kind: Kind, segment: &Segment, times: u64| {
            let left = Cell::new(times);
            peeked(segment, kind, &|| write(kind, left.take()))
        };
        let (seqlock, of_latch) = (Kind::SeqLock, Kind::Latch);
        assert_eq!(once(seqlock, lock.segment(), 0), [(0, Some(0))]);
        // A seqlock counts two for each value, and keeps none of the last ones.
        assert_eq!(once(seqlock, lock.segment(), 1), [(2, Some(1))]);
        let always = peeked(lock.segment(), seqlock, &|| write(seqlock, 1));
        assert_eq!(always.len(), 1);
        assert_eq!(always[0].1, None);

        // A latch of four slots keeps the last two besides the one that is written.
        written.set(0);
        assert_eq!(once(of_latch, latch.segment(), 2), [(0, Some(0))]);
        assert_eq!(once(of_latch, latch.segment(), 3), [(5, Some(5))]);
        let always = peeked(latch.segment(), of_latch, &|| write(of_latch, 3));
        assert_eq!(always[0].1, None);
    }
}
