//! The ways to send and receive: one by one, in batches, in place.
//!
//! What is compared does the same work: items that are copied in are made in a buffer of
//! [`BATCH`] first, items that are copied out are checked in one. A full or an empty ring is asked
//! again after one pause instruction, whosever it is.

use ringproof::{Consumer, Producer, Ring, SegmentError};

use crate::stream::{Link, Receiver, Sender};
use crate::together::{Fault, Patience};

/// Items in a batch.
pub const BATCH: usize = 64;

/// Sends one by one: the function says whether the item was taken.
#[repr(align(256))]
pub struct SendOne<F>(pub F);

impl<F: FnMut(u64) -> bool + Send> Sender for SendOne<F> {
    fn send(&mut self, first: u64, count: u64) -> Result<(), Fault> {
        for index in 0..count {
            let item = first.wrapping_add(index);
            let mut patience = Patience::default();
            while !(self.0)(item) {
                patience.wait(item)?;
            }
        }
        Ok(())
    }
}

/// Receives one by one: the function gives the next item.
#[repr(align(256))]
pub struct ReceiveOne<F>(pub F);

impl<F: FnMut() -> Option<u64> + Send> Receiver for ReceiveOne<F> {
    fn receive(&mut self, first: u64, count: u64) -> Result<(), Fault> {
        let mut wrong = 0;
        for index in 0..count {
            let expected = first.wrapping_add(index);
            let mut patience = Patience::default();
            let item = loop {
                match (self.0)() {
                    Some(item) => break item,
                    None => patience.wait(expected)?,
                }
            };
            wrong |= item ^ expected;
        }
        in_order(wrong, first)
    }
}

/// Sends batches made in a buffer: the function says how many items from the front were taken.
#[repr(align(256))]
pub struct SendBatch<F>(pub F);

impl<F: FnMut(&[u64]) -> usize + Send> Sender for SendBatch<F> {
    fn send(&mut self, first: u64, count: u64) -> Result<(), Fault> {
        let mut buffer = [0; BATCH];
        let mut sent = 0;
        while sent < count {
            number(&mut buffer, first.wrapping_add(sent));
            let left = usize::try_from(count - sent).unwrap_or(BATCH).min(BATCH);
            let mut rest = &buffer[..left];
            let mut patience = Patience::default();
            while !rest.is_empty() {
                match (self.0)(rest) {
                    0 => patience.wait(rest[0])?,
                    taken => rest = &rest[taken..],
                }
            }
            sent += left as u64;
        }
        Ok(())
    }
}

/// Receives batches into a buffer: the function says how many items it put there.
#[repr(align(256))]
pub struct ReceiveBatch<F>(pub F);

impl<F: FnMut(&mut [u64]) -> usize + Send> Receiver for ReceiveBatch<F> {
    fn receive(&mut self, first: u64, count: u64) -> Result<(), Fault> {
        let mut buffer = [0; BATCH];
        let mut wrong = 0;
        let mut received = 0;
        while received < count {
            let expected = first.wrapping_add(received);
            let left = usize::try_from(count - received)
                .unwrap_or(BATCH)
                .min(BATCH);
            let mut patience = Patience::default();
            let taken = loop {
                match (self.0)(&mut buffer[..left]) {
                    0 => patience.wait(expected)?,
                    taken => break taken,
                }
            };
            wrong |= difference(&buffer[..taken], expected);
            received += taken as u64;
        }
        in_order(wrong, first)
    }
}

/// Sends batches made where they lie: the function writes a whole batch that begins with the item
/// it is given, or says that there is no room.
#[repr(align(256))]
pub struct SendInPlace<F>(pub F);

impl<F: FnMut(u64) -> bool + Send> Sender for SendInPlace<F> {
    fn send(&mut self, first: u64, count: u64) -> Result<(), Fault> {
        for batch in 0..count / BATCH as u64 {
            let item = first.wrapping_add(batch * BATCH as u64);
            let mut patience = Patience::default();
            while !(self.0)(item) {
                patience.wait(item)?;
            }
        }
        Ok(())
    }
}

/// Receives batches and checks them where they lie: the function gives the difference of the
/// batch from the one that begins with the item it is given, or says that there is none.
#[repr(align(256))]
pub struct ReceiveInPlace<F>(pub F);

impl<F: FnMut(u64) -> Option<u64> + Send> Receiver for ReceiveInPlace<F> {
    fn receive(&mut self, first: u64, count: u64) -> Result<(), Fault> {
        let mut wrong = 0;
        for batch in 0..count / BATCH as u64 {
            let expected = first.wrapping_add(batch * BATCH as u64);
            let mut patience = Patience::default();
            wrong |= loop {
                match (self.0)(expected) {
                    Some(difference) => break difference,
                    None => patience.wait(expected)?,
                }
            };
        }
        in_order(wrong, first)
    }
}

/// Zero if `items` are `expected`, `expected + 1`, and so on.
#[inline(always)]
pub fn difference(items: &[u64], expected: u64) -> u64 {
    let mut wrong = 0;
    for (item, index) in items.iter().zip(0..) {
        wrong |= item ^ expected.wrapping_add(index);
    }
    wrong
}

/// Makes `items` out of `first`, `first + 1`, and so on.
#[inline(always)]
pub fn number(items: &mut [u64], first: u64) {
    for (item, index) in items.iter_mut().zip(0..) {
        *item = first.wrapping_add(index);
    }
}

fn in_order(wrong: u64, first: u64) -> Result<(), Fault> {
    if wrong == 0 {
        Ok(())
    } else {
        Err(Fault::OutOfOrder(first))
    }
}

/// How items go in and out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `push` and `pop`.
    OneByOne,
    /// `push_slice` and `pop_slice`.
    Slices,
    /// Whole chunks, copied in and out.
    Chunks,
    /// Whole chunks, written and checked where they lie; unsafe.
    InPlace,
}

impl Way {
    /// All of them.
    pub const ALL: [Way; 4] = [Way::OneByOne, Way::Slices, Way::Chunks, Way::InPlace];

    /// What is done, in the table.
    pub fn name(self) -> &'static str {
        match self {
            Way::OneByOne => "one by one",
            Way::Slices => "slices of 64",
            Way::Chunks => "chunks of 64, copied",
            Way::InPlace => "chunks of 64, in place",
        }
    }
}

/// One size to measure at.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Items that may be live at once.
    pub capacity: u64,
    /// Slots that the ring cycles through; as many as it takes unless told, for at least 256 KiB.
    pub slots: Option<u64>,
}

/// The sizes that are measured.
pub const SIZES: [Size; 3] = [
    Size {
        capacity: 1024,
        slots: None,
    },
    Size {
        capacity: 1024,
        slots: Some(1024),
    },
    Size {
        capacity: 65_536,
        slots: None,
    },
];

/// Our ring, used in that way.
///
/// # Errors
/// [`SegmentError`] if its roles are taken.
pub fn our_link(way: Way, ring: &Ring<u64>, first_item: u64) -> Result<Link<'_>, SegmentError> {
    let (producer, consumer) = (ring.producer()?, ring.consumer()?);
    let (sender, receiver): (Box<dyn Sender + '_>, Box<_>) = match way {
        Way::OneByOne => (Box::new(ours::push(producer)), boxed(ours::pop(consumer))),
        Way::Slices => (
            Box::new(ours::push_slice(producer)),
            boxed(ours::pop_slice(consumer)),
        ),
        Way::Chunks => (
            Box::new(ours::chunk_in(producer)),
            boxed(ours::chunk_out(consumer)),
        ),
        Way::InPlace => (
            Box::new(ours::write_in_place(producer)),
            boxed(ours::read_in_place(consumer)),
        ),
    };
    Ok(Link {
        name: format!("ringproof, {}", way.name()),
        sender,
        receiver,
        warm_up: ring.fixed().slots,
        next: first_item,
    })
}

fn boxed<'a>(receiver: impl Receiver + 'a) -> Box<dyn Receiver + 'a> {
    Box::new(receiver)
}

/// The ways to use our ring.
pub mod ours {
    use super::*;

    /// `push`.
    pub fn push<'a>(mut producer: Producer<'a, u64>) -> impl Sender + 'a {
        SendOne(move |item| producer.push(item).is_ok())
    }

    /// `pop`.
    pub fn pop<'a>(mut consumer: Consumer<'a, u64>) -> impl Receiver + 'a {
        ReceiveOne(move || consumer.pop().ok())
    }

    /// `push_slice`, which may take a part.
    pub fn push_slice<'a>(mut producer: Producer<'a, u64>) -> impl Sender + 'a {
        SendBatch(move |items: &[u64]| producer.push_slice(items).unwrap_or(0))
    }

    /// `pop_slice`, which may give a part.
    pub fn pop_slice<'a>(mut consumer: Consumer<'a, u64>) -> impl Receiver + 'a {
        ReceiveBatch(move |items: &mut [u64]| consumer.pop_slice(items).unwrap_or(0))
    }

    /// `reserve`, `copy_from_slice`, `commit`, once there is room for all.
    pub fn chunk_in<'a>(mut producer: Producer<'a, u64>) -> impl Sender + 'a {
        SendBatch(move |items: &[u64]| match producer.reserve(items.len()) {
            Ok(mut chunk) if chunk.len() == items.len() => {
                let copied = chunk.copy_from_slice(0, items);
                let committed = copied.and_then(|()| chunk.commit(items.len()));
                committed.map_or(0, |()| items.len())
            }
            _ => 0,
        })
    }

    /// `peek`, `copy_to_slice`, `release`, once all are there.
    pub fn chunk_out<'a>(mut consumer: Consumer<'a, u64>) -> impl Receiver + 'a {
        ReceiveBatch(move |items: &mut [u64]| match consumer.peek(items.len()) {
            Ok(chunk) if chunk.len() == items.len() => {
                let copied = chunk.copy_to_slice(0, items);
                let released = copied.and_then(|()| chunk.release(items.len()));
                released.map_or(0, |()| items.len())
            }
            _ => 0,
        })
    }

    /// `reserve`, `as_mut_slices`, `commit`.
    pub fn write_in_place<'a>(mut producer: Producer<'a, u64>) -> impl Sender + 'a {
        SendInPlace(move |first: u64| match producer.reserve(BATCH) {
            Ok(mut chunk) if chunk.len() == BATCH => {
                // SAFETY: both ends of this ring are in this process and keep to its protocol.
                let (one, two) = unsafe { chunk.as_mut_slices() };
                let second = first.wrapping_add(one.len() as u64);
                number(one, first);
                number(two, second);
                chunk.commit(BATCH).is_ok()
            }
            _ => false,
        })
    }

    /// `peek`, `as_slices`, `release`.
    pub fn read_in_place<'a>(mut consumer: Consumer<'a, u64>) -> impl Receiver + 'a {
        ReceiveInPlace(move |first: u64| match consumer.peek(BATCH) {
            Ok(chunk) if chunk.len() == BATCH => {
                // SAFETY: both ends of this ring are in this process and keep to its protocol.
                let (one, two) = unsafe { chunk.as_slices() };
                let second = first.wrapping_add(one.len() as u64);
                let wrong = difference(one, first) | difference(two, second);
                chunk.release(BATCH).ok().map(|()| wrong)
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[test]
    fn every_receiver_notices_a_wrong_item() {
        let wrong = [0, 1, 3];
        let mut items = wrong.into_iter();
        let received = ReceiveOne(move || items.next()).receive(0, 3);
        assert_eq!(received, Err(Fault::OutOfOrder(0)));

        let received = ReceiveBatch(|to: &mut [u64]| {
            to.copy_from_slice(&wrong);
            3
        })
        .receive(0, 3);
        assert_eq!(received, Err(Fault::OutOfOrder(0)));

        let received = ReceiveInPlace(|first| Some(difference(&wrong, first))).receive(0, 64);
        assert_eq!(received, Err(Fault::OutOfOrder(0)));
    }

    #[test]
    fn senders_send_what_receivers_expect() {
        let mut queue = VecDeque::new();
        let mut send = |count| {
            SendOne(|item| {
                queue.push_back(item);
                true
            })
            .send(10, count)
        };
        assert_eq!(send(3), Ok(()));
        // A batch that is taken in parts, and a last one that is not whole.
        let batches = SendBatch(|items: &[u64]| {
            let part = items.len().min(40);
            queue.extend(&items[..part]);
            part
        })
        .send(13, 100);
        assert_eq!(batches, Ok(()));
        assert!(queue.iter().copied().eq(10..113));
        let received = ReceiveOne(|| queue.pop_front()).receive(10, 103);
        assert_eq!(received, Ok(()));
    }
}
