//! What goes through a ring, and how it is sent and checked: items of any size, where the library
//! has `u64`s.

use std::mem::MaybeUninit;

use ringproof::Payload;
use ringproof_perf::links::{BATCH, ReceiveInPlace, SendInPlace, SendOne};
use ringproof_perf::stream::{Receiver, Sender};
use ringproof_perf::together::{Fault, Patience};

/// An item that is made of its number.
pub(crate) trait Item: Payload {
    /// What tables call it.
    const NAME: &'static str;
    /// The item of that number.
    fn numbered(number: u64) -> Self;
    /// Zero if it is the item of that number.
    fn difference(&self, number: u64) -> u64;
}

impl Item for u64 {
    const NAME: &'static str = "u64";

    #[inline(always)]
    fn numbered(number: u64) -> Self {
        number
    }

    #[inline(always)]
    fn difference(&self, number: u64) -> u64 {
        self ^ number
    }
}

/// A cache line, of which every word is another one.
impl Item for [u64; 8] {
    const NAME: &'static str = "64 B";

    #[inline(always)]
    fn numbered(number: u64) -> Self {
        std::array::from_fn(|word| number.wrapping_add(word as u64))
    }

    #[inline(always)]
    fn difference(&self, number: u64) -> u64 {
        let wanted = Self::numbered(number);
        (self.iter().zip(wanted)).fold(0, |wrong, (word, wanted)| wrong | (word ^ wanted))
    }
}

/// Zero if `items` are those of `first`, `first + 1`, and so on.
#[inline(always)]
pub(crate) fn difference<T: Item>(items: &[T], first: u64) -> u64 {
    let mut wrong = 0;
    for (item, index) in items.iter().zip(0..) {
        wrong |= item.difference(first.wrapping_add(index));
    }
    wrong
}

/// Makes `items` those of `first`, `first + 1`, and so on.
#[inline(always)]
pub(crate) fn number<T: Item>(items: &mut [T], first: u64) {
    for (item, index) in items.iter_mut().zip(0..) {
        *item = T::numbered(first.wrapping_add(index));
    }
}

/// The same where there was nothing yet.
#[inline(always)]
pub(crate) fn fill<T: Item>(slots: &mut [MaybeUninit<T>], first: u64) {
    for (slot, index) in slots.iter_mut().zip(0..) {
        slot.write(T::numbered(first.wrapping_add(index)));
    }
}

/// What sends into a ring and what receives from it.
pub(crate) struct Ends<'a> {
    pub(crate) sender: Box<dyn Sender + 'a>,
    pub(crate) receiver: Box<dyn Receiver + 'a>,
}

impl<'a> Ends<'a> {
    /// One by one: `push` says whether the item was taken.
    pub(crate) fn one_by_one<T: Item>(
        mut push: impl FnMut(T) -> bool + Send + 'a,
        mut pop: impl FnMut() -> Option<T> + Send + 'a,
    ) -> Self {
        Ends {
            sender: Box::new(SendOne(move |number| push(T::numbered(number)))),
            receiver: Box::new(ReceiveOne(move |number| {
                pop().map(|item| item.difference(number))
            })),
        }
    }

    /// Slices: either function says how many items from the front it moved.
    pub(crate) fn slices<T: Item>(
        push: impl FnMut(&[T]) -> usize + Send + 'a,
        pop: impl FnMut(&mut [T]) -> usize + Send + 'a,
    ) -> Self {
        let buffer = [T::numbered(0); BATCH];
        Ends {
            sender: Box::new(SendSlices { push, buffer }),
            receiver: Box::new(ReceiveSlices { pop, buffer }),
        }
    }

    /// Whole batches that begin with the item of the number given, written and checked where they
    /// lie.
    pub(crate) fn in_place(
        write: impl FnMut(u64) -> bool + Send + 'a,
        check: impl FnMut(u64) -> Option<u64> + Send + 'a,
    ) -> Self {
        Ends {
            sender: Box::new(SendInPlace(write)),
            receiver: Box::new(ReceiveInPlace(check)),
        }
    }
}

/// Receives one by one: the function gives the difference of the next item from the one of the
/// number given.
#[repr(align(256))]
struct ReceiveOne<F>(F);

impl<F: FnMut(u64) -> Option<u64> + Send> Receiver for ReceiveOne<F> {
    fn receive(&mut self, first: u64, count: u64) -> Result<(), Fault> {
        let mut wrong = 0;
        for index in 0..count {
            let number = first.wrapping_add(index);
            let mut patience = Patience::default();
            wrong |= loop {
                match (self.0)(number) {
                    Some(difference) => break difference,
                    None => patience.wait(number)?,
                }
            };
        }
        in_order(wrong, first)
    }
}

/// Sends slices made in a buffer.
#[repr(align(256))]
struct SendSlices<T, F> {
    push: F,
    buffer: [T; BATCH],
}

impl<T: Item, F: FnMut(&[T]) -> usize + Send> Sender for SendSlices<T, F> {
    fn send(&mut self, first: u64, count: u64) -> Result<(), Fault> {
        let mut sent = 0;
        while sent < count {
            let left = BATCH.min(usize::try_from(count - sent).unwrap_or(BATCH));
            let mut next = first.wrapping_add(sent);
            number(&mut self.buffer[..left], next);
            let mut rest = &self.buffer[..left];
            let mut patience = Patience::default();
            while !rest.is_empty() {
                match (self.push)(rest) {
                    0 => patience.wait(next)?,
                    taken => {
                        rest = &rest[taken..];
                        next = next.wrapping_add(taken as u64);
                    }
                }
            }
            sent += left as u64;
        }
        Ok(())
    }
}

/// Receives slices into a buffer.
#[repr(align(256))]
struct ReceiveSlices<T, F> {
    pop: F,
    buffer: [T; BATCH],
}

impl<T: Item, F: FnMut(&mut [T]) -> usize + Send> Receiver for ReceiveSlices<T, F> {
    fn receive(&mut self, first: u64, count: u64) -> Result<(), Fault> {
        let (mut wrong, mut received) = (0, 0);
        while received < count {
            let number = first.wrapping_add(received);
            let left = BATCH.min(usize::try_from(count - received).unwrap_or(BATCH));
            let mut patience = Patience::default();
            let taken = loop {
                match (self.pop)(&mut self.buffer[..left]) {
                    0 => patience.wait(number)?,
                    taken => break taken,
                }
            };
            wrong |= difference(&self.buffer[..taken], number);
            received += taken as u64;
        }
        in_order(wrong, first)
    }
}

fn in_order(wrong: u64, first: u64) -> Result<(), Fault> {
    match wrong {
        0 => Ok(()),
        _ => Err(Fault::OutOfOrder(first)),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn an_item_differs_from_every_other_number_in_any_word() {
        let item = <[u64; 8]>::numbered(40);
        assert_eq!(item.difference(40), 0);
        assert_ne!(item.difference(41), 0);
        for word in 0..8 {
            let mut torn = item;
            torn[word] ^= 1 << 63;
            assert_ne!(torn.difference(40), 0, "word {word}");
        }
    }

    type Queue = Mutex<VecDeque<u64>>;

    /// A queue that loses the item of that index; none if there is no such item.
    fn losing(lost: usize) -> (Queue, impl Fn(&Queue, u64)) {
        let pushed = Mutex::new(0);
        let push = move |queue: &Queue, item| {
            let mut pushed = pushed.lock().unwrap();
            if *pushed != lost {
                queue.lock().unwrap().push_back(item);
            }
            *pushed += 1;
        };
        (Mutex::default(), push)
    }

    /// What the receiver says of 100 items if one of them, or none, is lost.
    fn received(way: &str, lost: usize) -> Result<(), Fault> {
        let (queue, push) = losing(lost);
        let push = Mutex::new(push);
        let push = |item| push.lock().unwrap()(&queue, item);
        let pop = || queue.lock().unwrap().pop_front();
        let mut ends = match way {
            "one by one" => Ends::one_by_one(
                |item| {
                    push(item);
                    true
                },
                pop,
            ),
            // Neither end moves all at once.
            _ => Ends::slices(
                |items: &[u64]| {
                    let part = items.len().min(40);
                    items[..part].iter().copied().for_each(push);
                    part
                },
                |items: &mut [u64]| {
                    let popped = Cell::new(0);
                    for item in items.iter_mut().take(24) {
                        let Some(next) = pop() else { break };
                        *item = next;
                        popped.set(popped.get() + 1);
                    }
                    popped.get()
                },
            ),
        };
        ends.sender.send(7, 101)?;
        ends.receiver.receive(7, 100)
    }

    #[test]
    fn a_lost_item_is_noticed_wherever_it_is() {
        for way in ["one by one", "slices"] {
            assert_eq!(received(way, usize::MAX), Ok(()), "{way}");
            for lost in [0, 1, 63, 64, 99] {
                assert_eq!(
                    received(way, lost),
                    Err(Fault::OutOfOrder(7)),
                    "{way} {lost}"
                );
            }
        }
    }
}
