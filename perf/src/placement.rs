//! The ring that ships, over words and slots that lie where an experiment wants them: an algorithm
//! takes parts, not a layout.

use core::marker::PhantomData;
use core::slice;

use ringproof::Payload;
use ringproof::memory::{Cells, Memory, Native, Slot, Word};
use ringproof::ring::{Consumer, Producer, RingParts};
use ringproof::site::StoreSite;
use ringproof::sleep::OwnedSleepWords;
use ringproof::slots::Slots;

/// Where everything lies is known from here on: the beginning of a page.
pub const PAGE: usize = 4096;

/// Bytes of a cache line.
pub const LINE: usize = 64;

/// Bytes of one word.
const WORD: usize = size_of::<Word>();

/// Where the parts of a ring lie, in bytes from the beginning of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// The index that the producer stores.
    pub write_index: usize,
    /// The index that the consumer stores.
    pub read_index: usize,
    /// The first slot.
    pub data: usize,
}

impl Places {
    fn words(&self) -> [usize; 2] {
        [self.write_index, self.read_index]
    }
}

/// Where a segment of ours has them.
pub const OURS: Places = Places {
    write_index: 256,
    read_index: 640,
    data: 2 * PAGE,
};

/// A page of memory that is accessed as words.
#[repr(C, align(4096))]
struct Page([Word; PAGE / WORD]);

/// Memory for one ring of `T`.
///
/// Invariant: the two words lie on word boundaries within the pages, and neither they nor a slot
/// overlap; the slots lie within the pages, aligned for `T`.
pub struct Board<T> {
    pages: Vec<Page>,
    places: Places,
    slots: usize,
    /// Elsewhere: only an end that sleeps stores to them.
    sleep: [OwnedSleepWords<Native>; 2],
    item: PhantomData<T>,
}

impl<T: Payload> Board<T> {
    /// A ring of so many slots whose next item is number `first_item`. `None` if they are not a
    /// power of two or the parts cannot lie at these places.
    pub fn new(places: Places, slots: usize, first_item: u64) -> Option<Self> {
        let end = slots
            .checked_mul(size_of::<T>())?
            .checked_add(places.data)?;
        let words = places.words();
        let fits = |at: usize| {
            let after = at.checked_add(WORD);
            at.is_multiple_of(WORD)
                && (after.is_some_and(|after| after <= places.data) || at >= end)
        };
        let apart = |index: usize| !words[index + 1..].contains(&words[index]);
        let lie = words.into_iter().all(fits)
            && (0..words.len()).all(apart)
            && places.data.is_multiple_of(align_of::<Slot<T>>())
            && slots.is_power_of_two();
        if !lie {
            return None;
        }
        let last = words.into_iter().max()?.checked_add(WORD)?.max(end);
        let page = |_| Page(core::array::from_fn(|_| Native::word(0)));
        let board = Board {
            pages: (0..last.div_ceil(PAGE)).map(page).collect(),
            places,
            slots,
            sleep: Default::default(),
            item: PhantomData,
        };
        for (at, value, site) in [
            (places.write_index, first_item, StoreSite::RingPublish),
            (places.read_index, first_item, StoreSite::RingFree),
        ] {
            Native.store(board.word(at)?, value, site);
        }
        Some(board)
    }

    /// The two ends of the ring, `capacity` items of which may be live at once. `None` only if
    /// there is no such ring.
    pub fn ring(&mut self, capacity: u64) -> Option<(Producer<'_, T>, Consumer<'_, T>)> {
        let this = &*self;
        let Places {
            write_index,
            read_index,
            ..
        } = self.places;
        let parts = RingParts {
            write_index: this.word(write_index)?,
            read_index: this.word(read_index)?,
            for_items: this.sleep[0].words(),
            for_room: this.sleep[1].words(),
            slots: Slots::new(this.cells())?,
            capacity,
        };
        // SAFETY: the words are distinct and overlap no slot (the board's invariant). The board is
        // borrowed exclusively for as long as the two ends live, so that there is no other producer
        // and nothing else reaches its memory; what an earlier one did ended with its borrow.
        let producer = unsafe { Producer::new(parts, Native, ()) };
        // SAFETY: likewise the only consumer, made of the same parts.
        let consumer = unsafe { Consumer::new(parts, Native, ()) };
        Some((producer, consumer))
    }

    fn word(&self, at: usize) -> Option<&Word> {
        self.pages.get(at / PAGE)?.0.get(at % PAGE / WORD)
    }

    fn cells(&self) -> &[Slot<T>] {
        let first = self.pages.as_ptr().cast::<u8>();
        // SAFETY: the slots lie within the pages and are aligned for `T` (the board's invariant; a
        // page is aligned to more). A page consists of words, which are atomics: every byte is
        // initialized, and may be changed through shared references. A slot is a `T` in an
        // `UnsafeCell`, and any bytes make a `T`, which is a payload.
        unsafe { slice::from_raw_parts(first.add(self.places.data).cast::<Slot<T>>(), self.slots) }
    }
}

#[cfg(test)]
mod tests {
    use ringproof::{Ring, RingOptions};

    use super::*;

    /// Indices so far apart in the first page, everything else in pages of its own.
    fn apart(distance: usize) -> Places {
        Places {
            write_index: 0,
            read_index: distance,
            data: 3 * PAGE,
        }
    }

    #[test]
    fn words_and_slots_lie_where_they_are_asked_to() {
        let places = Places {
            data: 3 * PAGE + 4,
            ..apart(8)
        };
        let board = Board::<[u8; 12]>::new(places, 16, 7).unwrap();
        let base = board.pages.as_ptr().addr();
        assert_eq!(base % PAGE, 0);
        for at in places.words() {
            let word = board.word(at).unwrap();
            assert_eq!(core::ptr::from_ref(word).addr() - base, at);
        }
        let cells = board.cells();
        assert_eq!(
            (cells.as_ptr().addr() - base, cells.len()),
            (places.data, 16)
        );
    }

    #[test]
    fn our_layout_is_the_one_that_the_document_and_a_segment_have() {
        let document = include_str!("../../impl/ABI.md");
        for (at, name) in [
            (OURS.write_index, "write_index"),
            (OURS.read_index, "read_index"),
        ] {
            let row = format!("| {at} | 8 | `{name}` |");
            assert!(document.contains(&row), "{row}");
        }
        let ring = Ring::<u64>::anonymous(&RingOptions::new(64)).unwrap();
        assert_eq!(ring.segment().fixed().data_offset, OURS.data as u64);
    }

    #[test]
    fn a_ring_goes_on_where_the_last_one_ended() {
        let mut board = Board::<u64>::new(apart(64), 4, u64::MAX >> 2).unwrap();
        for item in 0..10 {
            let (mut producer, mut consumer) = board.ring(3).unwrap();
            assert_eq!(producer.position(), (u64::MAX >> 2) + item);
            assert_eq!(producer.push(item), Ok(()));
            assert_eq!(consumer.pop(), Ok(item));
        }
    }

    #[test]
    fn parts_that_overlap_or_lie_askew_are_refused() {
        let board = |places, slots| Board::<u64>::new(places, slots, 0).is_some();
        assert!(board(apart(8), 4));
        assert!(!board(apart(0), 4), "two indices in one word");
        assert!(!board(apart(4), 4), "half a word off");
        assert!(!board(apart(8), 3), "no power of two");
        let data = |data| Places { data, ..apart(8) };
        assert!(!board(data(0), 4), "slots over the indices");
        let end = |data| Places {
            write_index: PAGE,
            data,
            ..apart(8)
        };
        assert!(!board(end(PAGE - 8), 4), "slots over a word");
        assert!(board(end(PAGE - 32), 4), "slots up to a word");
        assert!(!board(data(3 * PAGE + 4), 4), "slots not aligned");
        assert!(!board(data(usize::MAX - 7), 4), "no such memory");
    }
}
