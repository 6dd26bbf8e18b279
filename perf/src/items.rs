//! Items of any size in slots of any size, through the ring that ships.

use ringproof::Payload;
use ringproof::bytemuck::{bytes_of, bytes_of_mut};
use ringproof::ring::{Consumer, Producer};

use crate::links::{BATCH, Ends};
use crate::placement::{Board, LINE, OURS, Places};
use crate::report::Trouble;
use crate::run::{Medium, stream_through};

/// How items go in and out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `push` and `pop`: a slot is copied with all its padding.
    OneByOne,
    /// Chunks of [`BATCH`], written and checked where they lie: only the item is touched.
    Batches,
}

impl Way {
    /// Both of them.
    pub(crate) const ALL: [Way; 2] = [Way::OneByOne, Way::Batches];

    /// What tables call it.
    pub(crate) fn name(self) -> String {
        match self {
            Way::OneByOne => "one by one".to_owned(),
            Way::Batches => format!("batches of {BATCH}"),
        }
    }
}

/// Writes item `number` into the first `ITEM` bytes of a slot: whole words, and half of one.
#[inline(always)]
fn fill<T: Payload, const ITEM: usize>(slot: &mut T, number: u64) {
    const { assert!(ITEM.is_multiple_of(4)) };
    let number = number.to_ne_bytes();
    let (words, rest) = bytes_of_mut(slot)[..ITEM].as_chunks_mut();
    words.fill(number);
    if let Some(half) = rest.first_chunk_mut::<4>() {
        half.copy_from_slice(&number[..4]);
    }
}

/// Zero if the first `ITEM` bytes of a slot are item `number`.
#[inline(always)]
fn difference<T: Payload, const ITEM: usize>(slot: &T, number: u64) -> u64 {
    const { assert!(ITEM.is_multiple_of(4)) };
    let expected = number.to_ne_bytes();
    let (words, rest) = bytes_of(slot)[..ITEM].as_chunks();
    let mut wrong = 0;
    for word in words {
        wrong |= u64::from_ne_bytes(*word) ^ number;
    }
    if let (Some(half), Some(expected)) = (rest.first_chunk(), expected.first_chunk()) {
        wrong |= u64::from(u32::from_ne_bytes(*half) ^ u32::from_ne_bytes(*expected));
    }
    wrong
}

/// The ends of a ring of such slots.
fn ends<'a, T: Payload, const ITEM: usize>(
    mut producer: Producer<'a, T>,
    mut consumer: Consumer<'a, T>,
    way: Way,
) -> Ends<'a> {
    match way {
        Way::OneByOne => {
            let mut slot = T::zeroed();
            Ends::numbered(
                move |item| {
                    fill::<T, ITEM>(&mut slot, item);
                    producer.push(slot).is_ok()
                },
                move |item| Some(difference::<T, ITEM>(&consumer.pop().ok()?, item)),
            )
        }
        Way::Batches => Ends::chunks(
            producer,
            consumer,
            |slots: &mut [T], first| {
                for (slot, index) in slots.iter_mut().zip(0..) {
                    fill::<T, ITEM>(slot, first.wrapping_add(index));
                }
            },
            |slots: &[T], first| {
                let each = slots
                    .iter()
                    .zip(0..)
                    .map(|(slot, index)| difference::<T, ITEM>(slot, first.wrapping_add(index)));
                each.fold(0, |wrong, difference| wrong | difference)
            },
        ),
    }
}

/// A ring of so many slots of `T`, all of which may be live, through which items of `ITEM` bytes go.
pub(crate) fn medium<T: Payload, const ITEM: usize>(
    places: Places,
    slots: usize,
    way: Way,
    name: String,
    first_item: u64,
) -> Made {
    let board = Board::<T>::new(places, slots, first_item);
    stream_through(board, move |board| {
        let (producer, consumer) = board.ring(slots as u64)?;
        // Once around the memory, in whole batches.
        let warm_up = (slots as u64).next_multiple_of(BATCH as u64);
        let ends = ends::<T, ITEM>(producer, consumer, way);
        Some(ends.link(name.clone(), warm_up, first_item))
    })
}

/// How far a block from an ordinary allocator lies within a line.
pub(crate) const SHIFT: usize = 16;

/// How the slots of a ring lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// One directly after the other, the first at the beginning of a line.
    Packed,
    /// The same, but the first begins [`SHIFT`] bytes into a line.
    Shifted,
    /// Each at the beginning of a line that it shares with no other.
    OwnLines,
}

impl Placement {
    /// What tables call it.
    pub(crate) fn name(self) -> String {
        match self {
            Placement::Packed => "packed".to_owned(),
            Placement::Shifted => format!("packed, {SHIFT} bytes into a line"),
            Placement::OwnLines => "on lines of their own".to_owned(),
        }
    }

    /// The words as in our own header; only the slots differ.
    fn places(self) -> Places {
        let shift = usize::from(self == Placement::Shifted) * SHIFT;
        Places {
            data: OURS.data + shift,
            ..OURS
        }
    }
}

/// A size of items: how to make a ring of them, for one sample after the other.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Bytes of an item.
    pub(crate) bytes: usize,
    /// With so many slots, used in that way, for items from that number on.
    pub(crate) make: fn(Placement, usize, Way, u64) -> Made,
}

type Made = Result<Box<dyn Medium>, Trouble>;

/// Items that fill `T` in slots without padding, and alone in a `Padded`, which is whole lines.
const fn size<T: Payload, Padded: Payload, const ITEM: usize>() -> Size {
    const { assert!(size_of::<T>() == ITEM && size_of::<Padded>() == ITEM.next_multiple_of(LINE)) };
    Size {
        bytes: ITEM,
        make: |placement, slots, way, first_item| {
            let medium = match placement {
                Placement::Packed | Placement::Shifted => medium::<T, ITEM>,
                Placement::OwnLines => medium::<Padded, ITEM>,
            };
            let name = format!("items of {ITEM} bytes, {}", placement.name());
            medium(placement.places(), slots, way, name, first_item)
        },
    }
}

/// So many bytes, by fours: in an item of twelve, words lie across lines.
type Bytes<const QUARTERS: usize> = [[u8; 4]; QUARTERS];

/// The sizes of items.
pub(crate) static SIZES: [Size; 13] = [
    size::<Bytes<2>, Bytes<16>, 8>(),
    size::<Bytes<3>, Bytes<16>, 12>(),
    size::<Bytes<4>, Bytes<16>, 16>(),
    size::<Bytes<6>, Bytes<16>, 24>(),
    size::<Bytes<8>, Bytes<16>, 32>(),
    size::<Bytes<10>, Bytes<16>, 40>(),
    size::<Bytes<12>, Bytes<16>, 48>(),
    size::<Bytes<16>, Bytes<16>, 64>(),
    size::<Bytes<18>, Bytes<32>, 72>(),
    size::<Bytes<24>, Bytes<32>, 96>(),
    size::<Bytes<32>, Bytes<32>, 128>(),
    size::<Bytes<48>, Bytes<48>, 192>(),
    size::<Bytes<64>, Bytes<64>, 256>(),
];

impl Size {
    /// The placements that differ for this size, the reference first: slots of whole lines, when they are
    /// packed, have lines of their own.
    pub(crate) fn placements(&self) -> &'static [Placement] {
        &PLACEMENTS[..if self.bytes.is_multiple_of(LINE) {
            2
        } else {
            3
        }]
    }
}

/// All of them; slots of whole lines have no more than the first two.
pub(crate) const PLACEMENTS: [Placement; 3] =
    [Placement::Packed, Placement::Shifted, Placement::OwnLines];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_checked_to_its_last_byte_and_no_further() {
        let good = 0x0123_4567_89ab_cdef;
        let mut slot = [0xff_u8; 16];
        fill::<_, 12>(&mut slot, good);
        assert_eq!(slot[12..], [0xff; 4], "padding is not touched");
        assert_eq!(difference::<_, 12>(&slot, good), 0);
        for at in 0..slot.len() {
            let mut wrong = slot;
            wrong[at] ^= 1;
            let noticed = difference::<_, 12>(&wrong, good) != 0;
            assert_eq!(noticed, at < 12, "byte {at}");
        }
    }

    #[test]
    fn every_placement_of_every_size_has_a_ring() {
        for size in &SIZES {
            for placement in size.placements() {
                for way in Way::ALL {
                    let mut ring = (size.make)(*placement, 1024, way, 5).unwrap();
                    assert!(ring.link().is_ok(), "{} bytes", size.bytes);
                }
            }
        }
    }
}
