#![doc = include_str!("../ABI.md")]
//!
//! # In this module
//!
//! [`Fixed`] is the header's constant part, as it is read and checked; the rest is mapped. Words of different owners are 128 bytes apart: two cache lines, because processors fetch
//! lines in adjacent pairs.

use core::mem::offset_of;

use crate::error::SegmentError;
use crate::latch::NO_VERSION;
use crate::memory::{Native, Word};
use crate::ring::index_of;
use crate::shape::{Description, MAX_LEN, Shape};
use crate::sleep::SleepWords;

/// `RINGPRF1` in ASCII, as a big-endian number: it reads backwards on a little-endian machine's
/// hex dump, and another byte order reads another number.
pub const MAGIC: u64 = u64::from_be_bytes(*b"RINGPRF1");

/// The version of the layout.
pub const VERSION: u32 = 1;

/// The bytes of the header, and the granularity of what follows it: a page.
pub const HEADER_LEN: u64 = 4096;

/// Words for the application in each role's notes.
pub const NOTES: usize = 16;

/// What a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Kind {
    /// A single-producer single-consumer ring.
    Ring = 1,
    /// A seqlock.
    SeqLock = 2,
    /// A latch: a seqlock of several slots.
    Latch = 3,
}

impl Kind {
    /// The kind of this number, if it is one.
    pub const fn from_number(number: u32) -> Option<Kind> {
        match number {
            1 => Some(Kind::Ring),
            2 => Some(Kind::SeqLock),
            3 => Some(Kind::Latch),
            _ => None,
        }
    }

    /// The kind's name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Ring => "ring",
            Kind::SeqLock => "seqlock",
            Kind::Latch => "latch",
        }
    }
}

/// What the creator says of a segment; it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct Fixed {
    /// [`MAGIC`].
    pub magic: u64,
    /// [`VERSION`].
    pub version: u32,
    /// [`HEADER_LEN`].
    pub header_len: u32,
    /// The number of a [`Kind`].
    pub kind: u32,
    /// No flag is defined yet.
    pub flags: u32,
    /// Bytes of one item.
    pub payload_size: u64,
    /// Alignment of one item.
    pub payload_align: u64,
    /// Items of memory that are cycled through.
    pub slots: u64,
    /// Items that may be live at once.
    pub capacity: u64,
    /// Where the slots begin.
    pub data_offset: u64,
    /// Bytes of the whole segment.
    pub segment_len: u64,
    /// Where the payload's description lies.
    pub description_offset: u64,
    /// Its bytes.
    pub description_len: u64,
    /// Its fingerprint.
    pub fingerprint: u64,
    /// 0.
    pub reserved: [u64; 4],
}

/// The words of one role.
#[repr(C, align(128))]
pub(crate) struct RoleWords {
    /// The index, sequence or version that this role stores.
    pub(crate) index: Word,
    /// How often this role woke the other one.
    pub(crate) answers: Word,
    pub(crate) _hot: [Word; 14],
    pub(crate) epoch: Word,
    /// Which answer of the other role this one asked for last. The readers of a value ask as the consumer.
    pub(crate) asks: Word,
    pub(crate) _cold: [Word; 14],
    pub(crate) notes: [Word; NOTES],
}

/// The first [`HEADER_LEN`] bytes of a segment, as mapped.
#[repr(C, align(128))]
pub(crate) struct Header {
    /// Read through the file, never through the mapping: a peer may write it at any time.
    _fixed: [Word; 16],
    pub(crate) retired: Word,
    _control: [Word; 15],
    pub(crate) producer: RoleWords,
    pub(crate) consumer: RoleWords,
    _reserved: [Word; 384],
}

const _: () = {
    assert!(size_of::<Fixed>() == 128);
    assert!(offset_of!(Fixed, payload_size) == 24);
    assert!(offset_of!(Fixed, segment_len) == 64);
    assert!(offset_of!(Fixed, fingerprint) == 88);
    assert!(size_of::<Header>() == HEADER_LEN as usize);
    assert!(offset_of!(Header, retired) == 128);
    assert!(offset_of!(Header, producer.index) == 256);
    assert!(offset_of!(Header, producer.answers) == 264);
    assert!(offset_of!(Header, producer.epoch) == 384);
    assert!(offset_of!(Header, producer.asks) == 392);
    assert!(offset_of!(Header, producer.notes) == 512);
    assert!(offset_of!(Header, consumer.index) == 640);
    assert!(offset_of!(Header, consumer.answers) == 648);
    assert!(offset_of!(Header, consumer.epoch) == 768);
    assert!(offset_of!(Header, consumer.asks) == 776);
    assert!(offset_of!(Header, consumer.notes) == 896);
};

/// Where the words lie that are written or read through the file.
pub(crate) mod offset {
    use super::{Header, offset_of};

    pub(crate) const RETIRED: u64 = offset_of!(Header, retired) as u64;
    pub(crate) const WRITE_INDEX: u64 = offset_of!(Header, producer.index) as u64;
    pub(crate) const PRODUCER_ANSWERS: u64 = offset_of!(Header, producer.answers) as u64;
    pub(crate) const PRODUCER_EPOCH: u64 = offset_of!(Header, producer.epoch) as u64;
    pub(crate) const PRODUCER_ASKS: u64 = offset_of!(Header, producer.asks) as u64;
    pub(crate) const PRODUCER_NOTES: u64 = offset_of!(Header, producer.notes) as u64;
    pub(crate) const READ_INDEX: u64 = offset_of!(Header, consumer.index) as u64;
    pub(crate) const CONSUMER_ANSWERS: u64 = offset_of!(Header, consumer.answers) as u64;
    pub(crate) const CONSUMER_EPOCH: u64 = offset_of!(Header, consumer.epoch) as u64;
    pub(crate) const CONSUMER_ASKS: u64 = offset_of!(Header, consumer.asks) as u64;
    pub(crate) const CONSUMER_NOTES: u64 = offset_of!(Header, consumer.notes) as u64;
}

impl Header {
    /// By which the consumer of a ring, or the readers of a value, sleep until the producer or writer wakes them.
    pub(crate) fn for_items(&self) -> SleepWords<'_, Native> {
        SleepWords {
            asks: &self.consumer.asks,
            answers: &self.producer.answers,
        }
    }

    /// By which the producer of a ring sleeps until the consumer wakes it.
    pub(crate) fn for_room(&self) -> SleepWords<'_, Native> {
        SleepWords {
            asks: &self.producer.asks,
            answers: &self.consumer.answers,
        }
    }
}

/// What a program needs a segment to be.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    kind: Kind,
    payload_align: u64,
    description: Description,
}

/// What a new segment begins with.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) fixed: Fixed,
    /// The text at `description_offset`.
    pub(crate) description: String,
}

impl Expected {
    /// What a segment of payloads `T` is.
    pub(crate) fn of<T: Shape>(segment: &str, kind: Kind) -> Result<Expected, SegmentError> {
        let refuse = |problem: String| SegmentError::size(segment, problem);
        if size_of::<T>() == 0 {
            return Err(refuse("a payload of no bytes carries nothing".to_owned()));
        }
        let description = Description::of::<T>()
            .map_err(|error| refuse(format!("its payload cannot be described: {error}")))?;
        Ok(Expected {
            kind,
            payload_align: align_of::<T>() as u64,
            description,
        })
    }

    /// What a segment is of payloads that are described as this.
    pub(crate) fn described(kind: Kind, payload_align: u64, description: Description) -> Expected {
        Expected {
            kind,
            payload_align,
            description,
        }
    }

    /// The bytes of a payload; not 0.
    pub(crate) fn size(&self) -> u64 {
        self.description.size()
    }

    /// The beginning of a new segment.
    pub(crate) fn lay_out(
        &self,
        segment: &str,
        slots: u64,
        capacity: u64,
    ) -> Result<Layout, SegmentError> {
        let refuse = |problem: String| SegmentError::size(segment, problem);
        if self.payload_align > HEADER_LEN {
            return Err(refuse(format!(
                "a payload aligned to {} bytes; at most {HEADER_LEN} can be had",
                self.payload_align
            )));
        }
        let size = self.description.size();
        let description = self.description.to_string();
        let description_len = description.len() as u64;
        let data_offset = HEADER_LEN + description_len.next_multiple_of(HEADER_LEN);
        let least = if self.kind == Kind::Latch { 2 } else { 1 };
        let most = match most_slots(data_offset, size) {
            Some(most) if most >= least => most,
            _ => {
                return Err(refuse(format!(
                    "a payload of {size} bytes is more than this machine can address"
                )));
            }
        };
        // Whoever asks for what is suggested below gets it, as far as there is memory.
        if capacity > most {
            return Err(refuse(format!(
                "a capacity of {capacity}; it must be from 1 to the most slots that this machine can \
                 address, {most}"
            )));
        }
        if !slots.is_power_of_two() || slots > most {
            let example = slots.max(capacity).checked_next_power_of_two();
            return Err(refuse(format!(
                "{slots} slots of {size} bytes; it must be a power of two up to {most}, for example {}",
                example.map_or(most, |example| example.min(most))
            )));
        }
        if capacity == 0 || capacity > slots {
            return Err(refuse(format!(
                "a capacity of {capacity}; it must be from 1 to the number of slots, {slots}"
            )));
        }
        let fixed = Fixed {
            magic: MAGIC,
            version: VERSION,
            header_len: HEADER_LEN as u32,
            kind: self.kind as u32,
            flags: 0,
            payload_size: size,
            payload_align: self.payload_align,
            slots,
            capacity,
            data_offset,
            // At most `most` of them.
            segment_len: data_offset + slots * size,
            description_offset: HEADER_LEN,
            description_len,
            fingerprint: self.description.fingerprint(),
            reserved: [0; 4],
        };
        Ok(Layout { fixed, description })
    }

    /// Checks that the header of an existing segment is consistent and what is needed.
    /// `description` is the text that lies where the header says.
    pub(crate) fn check(
        &self,
        segment: &str,
        fixed: &Fixed,
        description: &[u8],
    ) -> Result<(), SegmentError> {
        if fixed.kind != self.kind as u32 {
            let [found, expected] = [fixed.kind, self.kind as u32].map(describe_kind);
            return Err(SegmentError::mismatch(segment, "kind", found, expected));
        }
        // Not the alignment: it differs between languages and word sizes where the bytes do not,
        // and every slot is aligned for a type whose size this is.
        let found = fixed.described(segment, description)?;
        if found != self.description {
            return Err(SegmentError::Payload {
                segment: segment.to_owned(),
                differences: self.description.diff(&found),
            });
        }
        Ok(())
    }
}

impl Fixed {
    /// Checks that the header of an existing segment is consistent in itself, whatever it
    /// holds.
    ///
    /// # Errors
    /// [`SegmentError::Mismatch`], with the first field that is wrong.
    pub fn check(&self, segment: &str, file_len: u64) -> Result<(), SegmentError> {
        /// Refuses a field, or what is found in its place, unless this is right.
        macro_rules! ensure {
            ($right:expr, $field:ident, $($expected:tt)+) => {
                ensure!($right, stringify!($field), found: self.$field, $($expected)+)
            };
            ($right:expr, $field:expr, found: $found:expr, $($expected:tt)+) => {
                if !$right {
                    let expected = format!($($expected)+);
                    return Err(SegmentError::mismatch(segment, $field, $found, expected));
                }
            };
        }
        let (align, len) = (self.payload_align, self.description_len);
        let (is_magic, is_other) = (self.magic == MAGIC, self.magic == MAGIC.swap_bytes());
        let other = "in the other byte order";
        ensure!(!is_other, "magic", found: other, "this machine's byte order");
        let found = || format!("{:#018x}", self.magic);
        ensure!(is_magic, "magic", found: found(), "{MAGIC:#018x} (it is no ringproof segment)");
        ensure!(self.version == VERSION, version, "{VERSION}");
        ensure!(
            self.header_len == HEADER_LEN as u32,
            header_len,
            "{HEADER_LEN}"
        );
        ensure!(self.flags == 0, flags, "0");
        let known = Kind::from_number(self.kind);
        ensure!(known.is_some(), kind, "1 (ring), 2 (seqlock) or 3 (latch)");
        let is_ring = known == Some(Kind::Ring);
        ensure!(self.payload_size > 0, payload_size, "at least 1");
        let is_whole = is_ring || self.payload_size.is_multiple_of(8);
        ensure!(is_whole, payload_size, "a whole number of 64-bit words");
        let is_align = align.is_power_of_two() && align <= HEADER_LEN;
        ensure!(is_align, payload_align, "a power of two up to {HEADER_LEN}");
        ensure!(known != Some(Kind::SeqLock) || self.slots == 1, slots, "1");
        let least = if known == Some(Kind::Latch) { 2 } else { 1 };
        let are_slots = self.slots.is_power_of_two() && self.slots >= least;
        ensure!(are_slots, slots, "a power of two from {least}");
        let has_capacity = (1..=self.slots).contains(&self.capacity);
        ensure!(
            has_capacity,
            capacity,
            "from 1 to the number of slots, {}",
            self.slots
        );
        ensure!(is_ring || self.capacity == 1, capacity, "1");
        let is_page = self.data_offset >= HEADER_LEN && self.data_offset.is_multiple_of(HEADER_LEN);
        ensure!(is_page, data_offset, "a multiple of {HEADER_LEN}");
        let needed = segment_len(self.data_offset, self.slots, self.payload_size);
        ensure!(
            needed.is_some(),
            slots,
            "as many as this machine can address"
        );
        let needed = needed.unwrap_or_default();
        ensure!(self.segment_len == needed, segment_len, "{needed}");
        let is_len = (1..=MAX_LEN as u64).contains(&len);
        ensure!(is_len, description_len, "from 1 to {MAX_LEN}");
        let end = self.description_offset.checked_add(len);
        ensure!(
            self.description_offset >= HEADER_LEN && end.is_some_and(|end| end <= self.data_offset),
            description_offset,
            "{len} bytes between the header and data_offset, {}",
            self.data_offset
        );
        let is_there = file_len >= self.segment_len;
        ensure!(is_there, "file length", found: file_len, "at least segment_len, {}", self.segment_len);
        Ok(())
    }

    /// The payload's description, from the `text` that lies where the header says.
    ///
    /// # Errors
    /// [`SegmentError::Mismatch`] if it is none, or not the one of this header.
    pub fn described(&self, segment: &str, text: &[u8]) -> Result<Description, SegmentError> {
        let description = Description::parse(text).map_err(|error| {
            SegmentError::mismatch(
                segment,
                "description",
                format!("malformed: {error}"),
                "the description of a payload",
            )
        })?;
        let fingerprint = description.fingerprint();
        if self.fingerprint != fingerprint {
            return Err(SegmentError::mismatch(
                segment,
                "fingerprint",
                format!("{:#018x}", self.fingerprint),
                format!("{fingerprint:#018x}, which is its description's"),
            ));
        }
        if self.payload_size != description.size() {
            return Err(SegmentError::mismatch(
                segment,
                "payload_size",
                self.payload_size,
                format!("{}, as its description says", description.size()),
            ));
        }
        Ok(description)
    }
}

/// What the two index words of a lost mapping hold, so that no end takes them for its peer's. The
/// ring's `read_index` held `read_word` when the segment was mapped.
pub(crate) const fn lost_index(kind: Kind, read_word: u64) -> u64 {
    match kind {
        // Half of all positions away. A ring never has as many items live, and moves by as many
        // in 146 years at a thousand million a second.
        Kind::Ring => index_of(read_word).0 ^ (1 << 62),
        // Odd: inside a write.
        Kind::SeqLock => u64::MAX,
        Kind::Latch => NO_VERSION,
    }
}

/// The most slots that a process can map, a power of two.
fn most_slots(data_offset: u64, payload_size: u64) -> Option<u64> {
    let room = (isize::MAX as u64).checked_sub(data_offset)?;
    let most = room.checked_div(payload_size)?;
    Some(1 << most.checked_ilog2()?)
}

/// The bytes of a segment, if a process can map as many.
fn segment_len(data_offset: u64, slots: u64, payload_size: u64) -> Option<u64> {
    let len = slots.checked_mul(payload_size)?.checked_add(data_offset)?;
    (len <= isize::MAX as u64).then_some(len)
}

fn describe_kind(number: u32) -> String {
    match Kind::from_number(number) {
        Some(kind) => format!("{number} ({})", kind.name()),
        None => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::{RingOptions, SeqLatchOptions};

    type Change = fn(&mut Fixed);

    fn good() -> (Expected, Layout) {
        let expected = Expected::of::<u64>("s", Kind::Ring).unwrap();
        let layout = expected.lay_out("s", 8, 5).unwrap();
        (expected, layout)
    }

    fn check(expected: &Expected, layout: &Layout, file_len: u64) -> Result<(), SegmentError> {
        layout.fixed.check("s", file_len)?;
        expected.check("s", &layout.fixed, layout.description.as_bytes())
    }

    #[test]
    fn what_is_laid_out_passes_its_own_check() {
        let (expected, layout) = good();
        check(&expected, &layout, layout.fixed.segment_len).unwrap();
    }

    #[test]
    fn the_data_begin_on_the_page_after_the_description() {
        let (_, Layout { fixed, description }) = good();
        assert_eq!(
            (
                fixed.description_offset,
                fixed.description_len,
                fixed.data_offset
            ),
            (4096, description.len() as u64, 8192)
        );
        // 800 fields of at least 5 bytes: more than a page.
        let expected = Expected::of::<[Pair; 400]>("s", Kind::Ring).unwrap();
        let Layout { fixed, description } = expected.lay_out("s", 1, 1).unwrap();
        assert!(description.len() > 4096);
        assert!(fixed.data_offset >= fixed.description_offset + fixed.description_len);
        assert!(fixed.data_offset.is_multiple_of(HEADER_LEN));
        fixed.check("s", fixed.segment_len).unwrap();
    }

    #[derive(Shape)]
    #[repr(C)]
    #[allow(dead_code, reason = "only its layout matters")]
    struct Pair {
        a: u64,
        b: u64,
    }

    #[test]
    fn a_payload_that_cannot_be_described_makes_no_segment() {
        let refused = Expected::of::<[Pair; 513]>("s", Kind::Ring).unwrap_err();
        assert!(refused.to_string().contains("1024 fields"), "{refused}");
    }

    /// The rows of the document's table of the header: offset, size, name.
    fn documented(document: &str) -> Vec<(u64, u64, &str)> {
        let rows = document.lines().filter_map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let ["", offset, size, name, _, _, ""] = cells[..] else {
                return None;
            };
            Some((offset.parse().ok()?, size.parse().ok()?, name))
        });
        rows.collect()
    }

    /// What is wrong with the document's table of the header.
    fn differences(document: &str) -> Vec<String> {
        macro_rules! fixed {
            ($($field:ident),*) => {
                [$((
                    concat!("`", stringify!($field), "`"),
                    offset_of!(Fixed, $field) as u64,
                    size_of_val(&good().1.fixed.$field) as u64,
                )),*]
            };
        }
        let fixed = fixed!(
            magic,
            version,
            header_len,
            kind,
            flags,
            payload_size,
            payload_align,
            slots,
            capacity,
            data_offset,
            segment_len,
            description_offset,
            description_len,
            fingerprint
        );
        let words = [
            ("`retired`", offset::RETIRED, 8),
            ("`write_index`", offset::WRITE_INDEX, 8),
            ("`producer_answers`", offset::PRODUCER_ANSWERS, 8),
            ("`producer_epoch`", offset::PRODUCER_EPOCH, 8),
            ("`producer_asks`", offset::PRODUCER_ASKS, 8),
            ("`producer_notes`", offset::PRODUCER_NOTES, 8 * NOTES as u64),
            ("`read_index`", offset::READ_INDEX, 8),
            ("`consumer_answers`", offset::CONSUMER_ANSWERS, 8),
            ("`consumer_epoch`", offset::CONSUMER_EPOCH, 8),
            ("`consumer_asks`", offset::CONSUMER_ASKS, 8),
            ("`consumer_notes`", offset::CONSUMER_NOTES, 8 * NOTES as u64),
        ];
        let code: Vec<_> = fixed.into_iter().chain(words).collect();
        let rows = documented(document);
        let mut wrong = Vec::new();
        let mut end = 0;
        for &(offset, size, name) in &rows {
            if offset != end {
                wrong.push(format!(
                    "{name} at {offset}: the row before it ends at {end}"
                ));
            }
            end = offset + size;
            if name != "–" && !code.contains(&(name, offset, size)) {
                wrong.push(format!(
                    "{name} at {offset}, {size} bytes: not so in the code"
                ));
            }
        }
        if end != HEADER_LEN {
            wrong.push(format!("the table ends at {end}"));
        }
        for (name, offset, size) in code {
            if !rows.contains(&(offset, size, name)) {
                wrong.push(format!(
                    "{name} at {offset}, {size} bytes: not so in the document"
                ));
            }
        }
        wrong
    }

    #[test]
    fn the_documents_table_of_the_header_is_the_codes() {
        let document = include_str!("../ABI.md");
        assert_eq!(differences(document), Vec::<String>::new());
        // And this can fail: an offset, a size, a name, a row too few.
        for (right, wrong) in [
            ("| 256 | 8 | `write_index`", "| 264 | 8 | `write_index`"),
            (
                "| 896 | 128 | `consumer_notes`",
                "| 896 | 64 | `consumer_notes`",
            ),
            ("| 640 | 8 | `read_index`", "| 640 | 8 | `write_index`"),
            ("| 24 | 8 | `payload_size`", "| 24 | 8 | –"),
            ("| 384 | 8 | `producer_epoch`", "| producer_epoch"),
        ] {
            assert_eq!(document.matches(right).count(), 1, "{right}");
            let changed = document.replace(right, wrong);
            assert!(!differences(&changed).is_empty(), "{right} -> {wrong}");
        }
    }

    /// Each of these changes is refused, and by the name of this field.
    fn refuses_each(changes: &[(&str, Change)]) {
        for (field, change) in changes {
            let (expected, mut layout) = good();
            change(&mut layout.fixed);
            let refused = check(&expected, &layout, layout.fixed.segment_len);
            let message = refused.expect_err(field).to_string();
            assert!(message.contains(field), "{field}: {message}");
        }
    }

    #[test]
    fn every_wrong_field_is_refused_by_name() {
        refuses_each(&[
            ("magic", |f| f.magic += 1),
            ("magic", |f| f.magic = f.magic.swap_bytes()),
            ("version", |f| f.version = 2),
            ("header_len", |f| f.header_len = 64),
            ("flags", |f| f.flags = 1),
            ("kind", |f| f.kind = 4),
            ("kind", |f| {
                (f.kind, f.slots, f.capacity) = (Kind::SeqLock as u32, 1, 1);
                f.segment_len = f.data_offset + 8;
            }),
            ("payload_size", |f| f.payload_size = 0),
            ("payload_align", |f| f.payload_align = 3),
            ("slots", |f| f.slots = 7),
            ("slots", |f| f.slots = 1 << 63),
            ("capacity", |f| f.capacity = 9),
            ("data_offset", |f| f.data_offset = 128),
            ("data_offset", |f| f.data_offset = 4100),
            ("description_len", |f| f.description_len = 0),
            ("description_len", |f| f.description_len = 65_537),
            ("description_len", |f| f.description_len = u64::MAX),
            ("description_offset", |f| f.description_offset = 4095),
            ("description_offset", |f| {
                f.description_offset = f.data_offset - f.description_len + 1;
            }),
            ("description_offset", |f| f.description_offset = u64::MAX),
        ]);
    }

    #[test]
    fn a_description_may_lie_anywhere_before_the_data() {
        for shift in [1, 100, 4000] {
            let (expected, mut layout) = good();
            layout.fixed.description_offset += shift;
            check(&expected, &layout, layout.fixed.segment_len).unwrap();
        }
    }

    #[test]
    fn a_header_that_its_description_does_not_fit_is_refused() {
        refuses_each(&[
            ("fingerprint", |f| f.fingerprint = 0),
            ("fingerprint", |f| f.fingerprint ^= 1 << 40),
            ("payload_size", |f| {
                f.payload_size = 16;
                f.segment_len += 64;
            }),
        ]);
    }

    #[test]
    fn a_file_shorter_than_its_segment_is_refused() {
        let (expected, layout) = good();
        assert!(check(&expected, &layout, layout.fixed.segment_len - 1).is_err());
    }

    /// A payload of so many bytes, which no type of Rust may have.
    fn of_bytes(kind: Kind, size: u64) -> Expected {
        let text = format!("ringproof-shape 1 little {size}\nvalue 0 u8x{size}\n");
        Expected::described(kind, 1, Description::parse(text.as_bytes()).unwrap())
    }

    /// The number after these words.
    fn number_after(message: &str, words: &str) -> Option<u64> {
        let (_, rest) = message.split_once(words)?;
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    }

    /// Takes each suggestion that a refusal makes until there is none; how many there were.
    fn follow(expected: &Expected, mut slots: Option<u64>, mut capacity: u64) -> usize {
        for refusals in 0.. {
            let options = RingOptions::new(capacity);
            let options = match slots {
                Some(slots) => options.slots(slots),
                None => options,
            };
            let Err(refused) = options.lay_out("s", expected) else {
                return refusals;
            };
            let message = refused.to_string();
            // Each of the two numbers once.
            assert!(
                refusals < 2,
                "{slots:?} slots, capacity {capacity}: {message}"
            );
            if let Some(number) = number_after(&message, "for example ") {
                slots = Some(number);
            } else {
                // Nobody is told of slots who did not ask for any.
                let number = number_after(&message, "address, ");
                let number = number.or_else(|| number_after(&message, "the number of slots, "));
                capacity = number.unwrap_or_else(|| panic!("no number in {message}"));
            }
        }
        unreachable!()
    }

    #[test]
    fn what_a_message_suggests_is_accepted() {
        let numbers = [
            0,
            1,
            3,
            5,
            8,
            1000,
            4097,
            1 << 40,
            (1 << 62) + 1,
            1 << 63,
            u64::MAX,
        ];
        let mut refusals = 0;
        for expected in [
            Expected::of::<u64>("s", Kind::Ring).unwrap(),
            Expected::of::<[u8; 3]>("s", Kind::Ring).unwrap(),
            of_bytes(Kind::Ring, isize::MAX as u64 / 9),
        ] {
            for capacity in numbers {
                refusals += follow(&expected, None, capacity);
                for slots in numbers {
                    refusals += follow(&expected, Some(slots), capacity);
                }
            }
            // What was suggested before, the next power of two, is not always accepted.
            let next = 7_u64.next_power_of_two();
            assert!(expected.lay_out("s", next, 9).is_err());
        }
        assert!(refusals > 100, "{refusals}");
        let latch = Expected::of::<u64>("s", Kind::Latch).unwrap();
        for slots in numbers {
            let refused = |slots| SeqLatchOptions::default().slots(slots).lay_out("s", &latch);
            if let Err(error) = refused(slots) {
                let message = error.to_string();
                let number = number_after(&message, "at least ");
                let number = number.or_else(|| number_after(&message, "for example "));
                refused(number.expect(&message)).expect("what was suggested");
            }
        }
        // An alignment, too.
        let aligned = |align| {
            let description = Description::of::<u64>().unwrap();
            Expected::described(Kind::Ring, align, description).lay_out("s", 1, 1)
        };
        let message = aligned(8192).unwrap_err().to_string();
        aligned(number_after(&message, "at most ").expect(&message)).unwrap();
    }

    #[test]
    fn a_payload_of_which_no_slot_can_be_addressed_is_called_so() {
        let most = isize::MAX as u64;
        for (kind, size, slots) in [(Kind::Ring, most, 1), (Kind::Latch, most / 16 * 8, 2)] {
            let refused = of_bytes(kind, size).lay_out("s", slots, 1).unwrap_err();
            let said = refused.to_string();
            assert!(
                said.contains("more than this machine can address"),
                "{said}"
            );
        }
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let expected = Expected::of::<u64>("s", Kind::Ring).unwrap();
        for (slots, capacity) in [(0, 1), (3, 1), (4, 0), (4, 5), (1 << 62, 1)] {
            assert!(
                expected.lay_out("s", slots, capacity).is_err(),
                "{slots} slots, capacity {capacity}"
            );
        }
    }
}
