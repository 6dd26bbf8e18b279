//! Wrong implementations, after published ones: what the detectors of this layer must catch.

use std::fs::File;
use std::hint::black_box;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};
use ringproof::Payload;
use ringproof::inspect::Peeked;
use ringproof::memory::{Memory, Native, Slot, Word};
use ringproof::ring::RingParts;
use ringproof::shape::Description;
use ringproof::site::{FenceSite, LoadSite, SlotReadSite, StoreSite, WakeSite};
use ringproof::sleep::SleepWords;

use super::fixture::fnv_1a;
use super::region::Guarded;
use super::script::item;
use crate::words::word_of;

/// A producer that takes the consumer's index for what it says (CVE-2024-41009): one that is
/// ahead of its own makes more slots free than there are. Pushes as many items as then seem to
/// fit, up to three laps, and says how many.
pub(crate) fn trusting_push<T: Payload>(
    memory: &impl Memory<Cells = Native>,
    parts: &RingParts<'_, Native, T>,
    cells: &[Slot<T>],
    own: u64,
) -> u64 {
    let read_index = memory.load(parts.read_index, LoadSite::RingReclaim);
    let live = own.wrapping_sub(read_index);
    let free = parts.capacity.wrapping_sub(live);
    let slots = cells.len() as u64;
    let count = free.min(3 * slots);
    let number = own & (slots - 1);
    let first = count.min(slots - number);
    // The rest, from the beginning of memory, without a thought that it may not fit.
    for slot in (number..number + first).chain(0..count - first) {
        let cell = cells.as_ptr().cast::<T>().cast_mut();
        // SAFETY: none: this is the mistake. The slots lie before guard pages, and what else is
        // on their own page is not used.
        unsafe { cell.wrapping_add(slot as usize).write_volatile(item(slot)) };
    }
    memory.store(
        parts.write_index,
        own.wrapping_add(count),
        StoreSite::RingPublish,
    );
    count
}

/// A producer that asserts what only a correct peer assures.
pub(crate) fn asserting_look<T: Payload>(
    memory: &impl Memory<Cells = Native>,
    parts: &RingParts<'_, Native, T>,
    own: u64,
) {
    let read_index = memory.load(parts.read_index, LoadSite::RingReclaim);
    let live = own.wrapping_sub(read_index);
    assert!(
        live <= parts.capacity,
        "the consumer is ahead of its producer"
    );
}

/// A consumer of records that reads a record's length, in its first byte, once to check it and
/// once to use it (cilium/ebpf#1375). The sum of its bytes.
pub(crate) fn twice_reading_pop<T: Payload>(
    memory: &impl Memory<Cells = Native>,
    cells: &[Slot<T>],
    own: u64,
) -> u64 {
    let number = own as usize & (cells.len() - 1);
    let length = || {
        let mut record = [T::zeroed()];
        // SAFETY: a copy of a slot that the peer may write meanwhile, which is what is tried here.
        unsafe { memory.read_slots(&cells[number..], &mut record, SlotReadSite::RingTake) };
        usize::from(bytemuck::bytes_of(&record[0])[0])
    };
    if length() > size_of::<T>() {
        return 0;
    }
    // The peer may have the processor now, where there is only one.
    std::thread::yield_now();
    let record = cells[number..].as_ptr().cast::<u8>();
    // SAFETY: none: this is the mistake, before guard pages as above.
    let byte = |at| unsafe { record.wrapping_add(at).read_volatile() };
    (0..length()).map(|at| u64::from(byte(at))).sum()
}

/// Who wakes the other side until it no longer asks for it.
pub(crate) fn endless_wake(memory: &impl Memory<Cells = Native>, words: SleepWords<'_, Native>) {
    let mut answered = memory.load(words.answers, LoadSite::WakeResume);
    while memory.load(words.asks, LoadSite::WakeLook) != answered {
        answered = answered.wrapping_add(1);
        memory.store(words.answers, answered, StoreSite::WakeAnswer);
        memory.wake(words.answers, WakeSite::WakeCall);
    }
}

/// A reader of a seqlock that tries until it succeeds.
pub(crate) fn endless_read(memory: &impl Memory<Cells = Native>, seq: &Word) {
    loop {
        let before = memory.load(seq, LoadSite::SeqObserve);
        memory.fence(FenceSite::SeqReadFence);
        if before.is_multiple_of(2) && before == memory.load(seq, LoadSite::SeqRecheck) {
            return;
        }
        memory.spin();
    }
}

/// A writer of a seqlock that counts on its predecessor to have finished: after one that died
/// inside a write, its own is announced by an even number.
pub(crate) fn even_write(
    memory: &impl Memory<Cells = Native>,
    seq_word: &Word,
    payload: &[Word],
    seq: u64,
    value: &[[u8; 8]],
) {
    memory.store(seq_word, seq.wrapping_add(1), StoreSite::SeqOdd);
    memory.store_words(payload, value, StoreSite::SeqCopyIn);
    memory.store(seq_word, seq.wrapping_add(2), StoreSite::SeqEven);
}

/// A reader of a latch that keeps the slot's number within bounds by a comparison that lets one
/// too many pass. The first word that it reads.
pub(crate) fn unmasked_read(
    memory: &impl Memory<Cells = Native>,
    version: &Word,
    slots: &[Word],
    words: usize,
) -> u64 {
    let version = memory.load(version, LoadSite::LatchObserve);
    let number = version.min((slots.len() / words) as u64) as usize;
    let word = slots.as_ptr().cast::<u64>().wrapping_add(number * words);
    // SAFETY: none: this is the mistake, before guard pages as above.
    unsafe { word.read_volatile() }
}

/// A taking of a role that cannot be counted beyond the last number.
pub(crate) fn counted_enter(memory: &impl Memory<Cells = Native>, epoch: &Word) -> u64 {
    let next = memory.load(epoch, LoadSite::RoleEpoch).checked_add(1);
    let next = next.expect("no role is taken so often");
    memory.store(epoch, next, StoreSite::RoleEpochNext);
    next
}

/// Where a header has its number of slots and the bytes of each, in words.
const SLOTS_WORD: usize = 5;
const SIZE_WORD: usize = 3;

/// A page, and a header.
const PAGE: usize = 4096;

/// Attaches to the segment in `file`, of `len` bytes as its creator said, and touches its last
/// slot, wherever the header says that is.
pub(crate) fn trusting_attach(file: &File, len: usize) -> Result<()> {
    let map = Guarded::of_file(file.as_fd(), len.next_multiple_of(PAGE))?;
    let header = map.words(PAGE / 8)?;
    let field = |word: usize| Native.load(&header[word], LoadSite::NoteRead);
    touch_last(&map, field(SLOTS_WORD), field(SIZE_WORD));
    Ok(())
}

/// The same, with a look whether that slot lies in the segment, through the mapping, before the
/// header is read again to find it. (Many times, because the two have to be met.)
pub(crate) fn twice_reading_attach(file: &File, len: usize) -> Result<()> {
    let map = Guarded::of_file(file.as_fd(), len.next_multiple_of(PAGE))?;
    let header = map.words(PAGE / 8)?;
    let field = |word: usize| Native.load(&header[word], LoadSite::NoteRead);
    for _ in 0..100_000 {
        let data = field(SLOTS_WORD).checked_mul(field(SIZE_WORD));
        if data.is_some_and(|data| data <= (len - PAGE) as u64) {
            touch_last(&map, field(SLOTS_WORD), field(SIZE_WORD));
        }
    }
    Ok(())
}

fn touch_last(map: &Guarded, slots: u64, size: u64) {
    let last = slots.wrapping_sub(1).wrapping_mul(size) as usize;
    // SAFETY: none: this is the mistake, before guard pages as above.
    unsafe {
        map.start()
            .wrapping_add(PAGE)
            .wrapping_add(last)
            .read_volatile()
    };
}

/// Attaches, or so it says, if the fingerprint in the header is its own: it does not look whether
/// that is the fingerprint of what lies there.
pub(crate) fn fingerprint_attach(header: &[u8], own: &str) -> bool {
    word_of(header, 88) == fnv_1a(own.as_bytes())
}

/// A parser that reads a description as a configuration file is read, with as much space between
/// words as one likes.
pub(crate) fn lenient_parse(text: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(text) else {
        return false;
    };
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n";
    let text: String = text.lines().map(words).collect();
    Description::parse(text.as_bytes()).is_ok()
}

/// A peek that has memory for as many items of as many bytes as the header says.
pub(crate) fn believing_peek(header: &[u8], count: u64) {
    let count = count.min(word_of(header, 48));
    let bytes = word_of(header, 24).saturating_mul(count);
    black_box(vec![0_u8; usize::try_from(bytes).unwrap_or(usize::MAX)]);
}

/// A peek at the next item, or the value, of `len` bytes, that does not look whether it was still
/// there when it was copied.
pub(crate) fn unchecked_peek(path: &Path, len: usize) -> Result<Vec<Peeked>> {
    let file = File::open(path).context("cannot open a segment")?;
    let mut header = [0; PAGE];
    (file.read_exact_at(&mut header, 0)).context("cannot read a header")?;
    let position = match header[16] {
        1 => word_of(&header, 640),
        _ => word_of(&header, 256),
    };
    let slot = position & (word_of(&header, 40) - 1);
    let mut bytes = vec![0; len];
    // As above.
    std::thread::yield_now();
    let at = word_of(&header, 56) + slot * len as u64;
    (file.read_exact_at(&mut bytes, at)).context("cannot read an item")?;
    Ok(vec![Peeked {
        position,
        bytes: Some(bytes),
    }])
}
