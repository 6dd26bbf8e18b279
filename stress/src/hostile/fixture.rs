//! Segments to be spoilt: their bytes, and files with such bytes.

use std::fs::File;

use anyhow::{Context, Result};
use ringproof::layout::{HEADER_LEN, Kind, MAGIC, VERSION};
use ringproof::{Ring, RingOptions, Segment, SeqLatch, SeqLock};

use super::text::ORDERS;
use super::well_behaved::Value;
use crate::item::mix;
use crate::latest::{self, Latest, Writes};
use crate::words::{bytes_of, set_word, word_of};

/// Bytes of the header's constant part.
pub(crate) const FIXED: usize = 128;

/// Bytes of the header up to the last word that means something.
pub(crate) const USED: usize = 1024;

/// Where the description of the payload lies, and its bytes at most.
pub(crate) const DESCRIPTION: std::ops::Range<usize> =
    HEADER_LEN as usize..HEADER_LEN as usize + 48;

/// Where the slots begin.
pub(crate) const DATA: u64 = 2 * HEADER_LEN;

/// Live items and slots of the ring.
pub(crate) const CAPACITY: u64 = 5;
pub(crate) const SLOTS: u64 = 8;

/// The bytes of what a segment of this kind carries here, and in what its description says so.
fn payload_of(kind: Kind) -> (u64, &'static str) {
    match kind {
        Kind::Ring => (8, "u64"),
        Kind::SeqLock | Kind::Latch => (size_of::<Value>() as u64, "u64x4"),
    }
}

/// The description of what it carries.
pub(crate) fn description_of(kind: Kind) -> String {
    let (size, field) = payload_of(kind);
    format!("ringproof-shape 1 {} {size}\nvalue 0 {field}\n", ORDERS[0])
}

/// The bytes of a segment in use.
pub(crate) fn image_of(kind: Kind) -> Result<Vec<u8>> {
    bytes_of(&segment_of(kind)?)
}

/// A segment in use, without a name: a ring's index is past its first lap.
pub(crate) fn segment_of(kind: Kind) -> Result<File> {
    fn written<L: Latest<Value>>() -> Result<File> {
        let shared = L::anonymous(&[1, 2, 3, 4], latest::SLOTS)?;
        shared.writer()?.write(&[1, 2, 3, 4]);
        file_of(shared.segment())
    }
    match kind {
        Kind::Ring => {
            let ring = Ring::<u64>::anonymous(&ring_options())?;
            let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
            for number in 0..SLOTS + 1 {
                producer.push(number)?;
                consumer.pop()?;
            }
            producer.push_slice(&[21, 22, 23])?;
            file_of(ring.segment())
        }
        Kind::SeqLock => written::<SeqLock<_>>(),
        Kind::Latch => written::<SeqLatch<_>>(),
    }
}

pub(crate) fn ring_options() -> RingOptions {
    RingOptions::new(CAPACITY).slots(SLOTS)
}

/// The file behind a segment, as whoever holds its descriptor has it.
pub(crate) fn file_of(segment: &Segment) -> Result<File> {
    let copy = segment.descriptor();
    Ok(File::from(copy.context("cannot have a descriptor")?))
}

/// What a header says of the payload.
#[derive(Clone, Copy)]
pub(crate) struct Parsed<'b> {
    pub(crate) kind: u32,
    pub(crate) payload_size: u64,
    pub(crate) capacity: u64,
    pub(crate) fingerprint: u64,
    /// What lies where it says that the description does.
    pub(crate) text: &'b [u8],
}

/// What the header of a file of `len` bytes says, of which these are the first; `None` if it
/// cannot be so: the table in `ringproof::layout`, said once more.
pub(crate) fn parsed(bytes: &[u8], len: u64) -> Option<Parsed<'_>> {
    let header = bytes.first_chunk::<{ HEADER_LEN as usize }>()?;
    let narrow = |at: usize| u32::from_ne_bytes(std::array::from_fn(|byte| header[at + byte]));
    let wide = |at| word_of(header, at);
    let (kind, payload_size, payload_align) = (narrow(16), wide(24), wide(32));
    let (slots, capacity, data_offset, segment_len) = (wide(40), wide(48), wide(56), wide(64));
    let words = payload_size.is_multiple_of(8) && capacity == 1;
    let fits = match kind {
        1 => true,
        2 => slots == 1 && words,
        3 => slots >= 2 && words,
        _ => false,
    };
    let end = u128::from(slots) * u128::from(payload_size) + u128::from(data_offset);
    let (from, text_len) = (wide(72), wide(80));
    let within = from >= HEADER_LEN
        && (1..=65_536).contains(&text_len)
        && u128::from(from) + u128::from(text_len) <= u128::from(data_offset);
    let consistent = fits
        && wide(0) == MAGIC
        && (narrow(8), narrow(12), narrow(20)) == (VERSION, HEADER_LEN as u32, 0)
        && payload_size > 0
        && payload_align.is_power_of_two()
        && payload_align <= HEADER_LEN
        && slots.is_power_of_two()
        && (1..=slots).contains(&capacity)
        && data_offset >= HEADER_LEN
        && data_offset.is_multiple_of(HEADER_LEN)
        && u128::from(segment_len) == end
        && segment_len <= len.min(isize::MAX as u64)
        && within;
    if !consistent {
        return None;
    }
    Some(Parsed {
        kind,
        payload_size,
        capacity,
        fingerprint: wide(88),
        text: bytes.get(from as usize..(from + text_len) as usize)?,
    })
}

/// Whether a file of these bytes must be attached to as one of the kinds, and otherwise must be
/// refused.
pub(crate) fn sound(bytes: &[u8]) -> bool {
    parsed(bytes, bytes.len() as u64).is_some_and(|parsed| {
        Kind::from_number(parsed.kind).is_some_and(|kind| {
            parsed.payload_size == payload_of(kind).0
                && parsed.text == description_of(kind).as_bytes()
                && parsed.fingerprint == fnv_1a(parsed.text)
        })
    })
}

/// The hash that is a description's fingerprint.
pub(crate) fn fnv_1a(text: &[u8]) -> u64 {
    text.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// A segment's bytes with some of its header's fields changed, or nearly all of it.
pub(crate) fn spoilt(image: &[u8], seed: u64) -> Vec<u8> {
    let mut bytes = image.to_vec();
    if mix(seed).is_multiple_of(16) {
        // All but the magic number.
        for (number, byte) in (0..).zip(&mut bytes[8..USED]) {
            *byte = mix(seed ^ mix(number)) as u8;
        }
        return bytes;
    }
    let changes = 1 + mix(seed) % 4;
    for change in 0..changes {
        let random = mix(seed ^ mix(change + 1));
        // Half of them in the constant part, a quarter in the description.
        let words = match random % 4 {
            0 | 1 => 0..FIXED / 8,
            2 => 0..USED / 8,
            _ => DESCRIPTION.start / 8..DESCRIPTION.end / 8,
        };
        let at = (words.start + (random >> 8) as usize % words.len()) * 8;
        let len = bytes.len() as u64;
        let own = word_of(&bytes, at);
        let values = [
            0,
            1,
            own.wrapping_add(1),
            own.wrapping_sub(1),
            own << 1,
            own >> 1,
            own << 32,
            own.swap_bytes(),
            len,
            len - 1,
            HEADER_LEN,
            2 * HEADER_LEN,
            1 << 31,
            1 << 32,
            1 << 61,
            1 << 63,
            u64::MAX,
            random,
        ];
        let value = values[(random >> 32) as usize % values.len()];
        set_word(&mut bytes, at, value);
    }
    bytes
}
