//! Items of any size in slots of any size, through the ring that ships.

use ringproof::Payload;
use ringproof::bytemuck::{bytes_of, bytes_of_mut};
use ringproof::ring::{Consumer, Producer};

use crate::links::{BATCH, Ends};
use crate::placement::Board;
use crate::stream::Link;

/// How items go in and out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// `push` and `pop`: a slot is copied with all its padding.
    OneByOne,
    /// Chunks of [`BATCH`], written and checked where they lie: only the item is touched.
    Batches,
}

impl Way {
    pub(super) const ALL: [Way; 2] = [Way::OneByOne, Way::Batches];

    pub(super) fn name(self) -> String {
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

/// Streams items of `ITEM` bytes through slots of `T`. `None` if the board has no such ring.
pub(super) fn link<T: Payload, const ITEM: usize>(
    board: &mut Board<T>,
    capacity: u64,
    way: Way,
    name: String,
    first_item: u64,
) -> Option<Link<'_>> {
    let (producer, consumer) = board.ring(capacity)?;
    // Once around the memory, in whole batches.
    let warm_up = capacity.next_multiple_of(BATCH as u64);
    let ends = ends::<T, ITEM>(producer, consumer, way);
    Some(ends.link(name, warm_up, first_item))
}

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
}
