//! What is sent, and the ways to send and receive it: one by one, in batches, in place.
//!
//! What is compared does the same work: items that are copied in are made in a buffer of
//! [`BATCH`] first, items that are copied out are checked in one. A full or an empty ring is asked
//! again after one pause instruction, whosever it is; only operations that wait see to that themselves.

use ringproof::memory::Native;
use ringproof::ring::{Consumer, Producer};
use ringproof::seqlock::Watch;
use ringproof::{Payload, RingOptions};

use crate::alone::Alone;
use crate::stream::{End, Link};
use crate::together::{Fault, Patience, Turn};

/// Items in a batch.
pub const BATCH: usize = 64;

/// An item that is made of its number.
pub trait Item: Payload {
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
pub fn difference<T: Item>(items: &[T], first: u64) -> u64 {
    let mut wrong = 0;
    for (item, index) in items.iter().zip(0..) {
        wrong |= item.difference(first.wrapping_add(index));
    }
    wrong
}

/// Makes `items` those of `first`, `first + 1`, and so on.
#[inline(always)]
pub fn number<T: Item>(items: &mut [T], first: u64) {
    for (item, index) in items.iter_mut().zip(0..) {
        *item = T::numbered(first.wrapping_add(index));
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
    /// Slots that the ring cycles through; by default as many as it takes for at least 256 KiB.
    pub slots: Option<u64>,
}

impl Size {
    /// How to make a ring of this size.
    pub fn options(self) -> RingOptions {
        let options = RingOptions::new(self.capacity);
        self.slots.map_or(options, |slots| options.slots(slots))
    }

    /// How much memory the ring's slots take.
    pub fn memory(self) -> &'static str {
        match self.slots {
            None => "as it comes",
            Some(_) => "the least",
        }
    }
}

/// The sizes that are measured.
pub const SIZES: [Size; 3] = {
    const fn size(capacity: u64, slots: Option<u64>) -> Size {
        Size { capacity, slots }
    }
    [size(1024, None), size(1024, Some(1024)), size(65_536, None)]
};

/// What sends into a ring and what receives from it.
pub struct Ends<'a> {
    /// The sending end.
    pub sender: End<'a>,
    /// The receiving end.
    pub receiver: End<'a>,
}

impl<'a> Ends<'a> {
    /// `STEP` items at a time: `push` makes those from the number on that it is given, and says whether
    /// they were taken; `pop` gives the difference of the next ones from those, or says that there are
    /// none. Before it is asked again there is a `pause`.
    fn steps<const STEP: usize>(
        mut push: impl FnMut(u64) -> bool + Send + 'a,
        mut pop: impl FnMut(u64) -> Option<u64> + Send + 'a,
        pause: impl Fn(&mut Patience, u64) -> Result<(), Fault> + Copy + Send + 'a,
    ) -> Self {
        let sender = end(move |first, count| {
            for step in 0..count / STEP as u64 {
                let item = first.wrapping_add(step * STEP as u64);
                let mut patience = Patience::default();
                while !push(item) {
                    pause(&mut patience, item)?;
                }
            }
            Ok(())
        });
        let receiver = end(move |first, count| {
            let mut wrong = 0;
            for step in 0..count / STEP as u64 {
                let expected = first.wrapping_add(step * STEP as u64);
                let mut patience = Patience::default();
                wrong |= loop {
                    match pop(expected) {
                        Some(difference) => break difference,
                        None => pause(&mut patience, expected)?,
                    }
                };
            }
            in_order(wrong, first)
        });
        Ends { sender, receiver }
    }

    /// One by one, by the number of the item: `push` makes it and says whether it was taken, `pop`
    /// gives the difference of the next item from that one.
    pub fn numbered(
        push: impl FnMut(u64) -> bool + Send + 'a,
        pop: impl FnMut(u64) -> Option<u64> + Send + 'a,
    ) -> Self {
        Ends::steps::<1>(push, pop, Patience::wait)
    }

    /// One by one: `push` says whether the item was taken.
    pub fn one_by_one<T: Item>(
        mut push: impl FnMut(T) -> bool + Send + 'a,
        mut pop: impl FnMut() -> Option<T> + Send + 'a,
    ) -> Self {
        Ends::numbered(
            move |number| push(T::numbered(number)),
            move |number| pop().map(|item| item.difference(number)),
        )
    }

    /// Slices: either function says how many items from the front it moved.
    pub fn slices<T: Item>(
        mut push: impl FnMut(&[T]) -> usize + Send + 'a,
        mut pop: impl FnMut(&mut [T]) -> usize + Send + 'a,
    ) -> Self {
        let part = |left| BATCH.min(usize::try_from(left).unwrap_or(BATCH));
        let mut buffer = [T::numbered(0); BATCH];
        let sender = end(move |first, count| {
            let mut sent = 0;
            while sent < count {
                let left = part(count - sent);
                let mut next = first.wrapping_add(sent);
                number(&mut buffer[..left], next);
                let mut rest = &buffer[..left];
                let mut patience = Patience::default();
                while !rest.is_empty() {
                    match push(rest) {
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
        });
        let receiver = end(move |first, count| {
            let (mut wrong, mut received) = (0, 0);
            while received < count {
                let number = first.wrapping_add(received);
                let left = part(count - received);
                let mut patience = Patience::default();
                let taken = loop {
                    match pop(&mut buffer[..left]) {
                        0 => patience.wait(number)?,
                        taken => break taken,
                    }
                };
                wrong |= difference(&buffer[..taken], number);
                received += taken as u64;
            }
            in_order(wrong, first)
        });
        Ends { sender, receiver }
    }

    /// Whole batches that begin with the item of the number given, written and checked where they
    /// lie.
    pub fn in_place(
        write: impl FnMut(u64) -> bool + Send + 'a,
        check: impl FnMut(u64) -> Option<u64> + Send + 'a,
    ) -> Self {
        Ends::steps::<BATCH>(write, check, Patience::wait)
    }

    /// Those of our ring, used in that way.
    pub fn ours<T: Item, K: Send + 'a>(
        way: Way,
        mut producer: Producer<'a, T, Native, K>,
        mut consumer: Consumer<'a, T, Native, K>,
    ) -> Self {
        match way {
            Way::OneByOne => Ends::one_by_one(
                move |item| producer.push(item).is_ok(),
                move || consumer.pop().ok(),
            ),
            Way::Slices => Ends::slices(
                move |items: &[T]| producer.push_slice(items).unwrap_or(0),
                move |items: &mut [T]| consumer.pop_slice(items).unwrap_or(0),
            ),
            Way::Chunks => Ends::slices(
                move |items: &[T]| match producer.reserve(items.len()) {
                    Ok(mut chunk) if chunk.len() == items.len() => {
                        let copied = chunk.copy_from_slice(0, items);
                        let committed = copied.and_then(|()| chunk.commit(items.len()));
                        committed.map_or(0, |()| items.len())
                    }
                    _ => 0,
                },
                move |items: &mut [T]| match consumer.peek(items.len()) {
                    Ok(chunk) if chunk.len() == items.len() => {
                        let copied = chunk.copy_to_slice(0, items);
                        let released = copied.and_then(|()| chunk.release(items.len()));
                        released.map_or(0, |()| items.len())
                    }
                    _ => 0,
                },
            ),
            Way::InPlace => Ends::chunks(producer, consumer, number, difference),
        }
    }

    /// Those of our ring, one by one, by the operations that wait, each in the way that its end was made for.
    pub fn waiting<T: Item, K: Watch + Send + 'a>(
        mut producer: Producer<'a, T, Native, K>,
        mut consumer: Consumer<'a, T, Native, K>,
    ) -> Self {
        let (mut sends, mut takes) = (Turn::default(), Turn::default());
        Ends::steps::<1>(
            move |number| {
                let item = T::numbered(number);
                let sent = sends.attempt(|until| producer.wait_until(until).push(item));
                sent.is_ok()
            },
            move |number| {
                let item = takes.attempt(|until| consumer.wait_until(until).pop());
                item.ok().map(|item| item.difference(number))
            },
            Patience::look,
        )
    }

    /// Those of our ring, whole batches in place: `fill` makes the items of a part of one from a number
    /// on, and `check` gives their difference from those.
    pub fn chunks<T: Payload, K: Send + 'a>(
        mut producer: Producer<'a, T, Native, K>,
        mut consumer: Consumer<'a, T, Native, K>,
        fill: impl Fn(&mut [T], u64) + Send + 'a,
        check: impl Fn(&[T], u64) -> u64 + Send + 'a,
    ) -> Self {
        Ends::in_place(
            move |first| match producer.reserve(BATCH) {
                Ok(mut chunk) if chunk.len() == BATCH => {
                    // SAFETY: both ends of this ring are in this process and keep to its protocol.
                    let (one, two) = unsafe { chunk.as_mut_slices() };
                    let second = first.wrapping_add(one.len() as u64);
                    fill(one, first);
                    fill(two, second);
                    chunk.commit(BATCH).is_ok()
                }
                _ => false,
            },
            move |first| match consumer.peek(BATCH) {
                Ok(chunk) if chunk.len() == BATCH => {
                    // SAFETY: both ends of this ring are in this process and keep to its protocol.
                    let (one, two) = unsafe { chunk.as_slices() };
                    let second = first.wrapping_add(one.len() as u64);
                    let wrong = check(one, first) | check(two, second);
                    chunk.release(BATCH).ok().map(|()| wrong)
                }
                _ => None,
            },
        )
    }

    /// To and fro, one by one, through two of them: each item comes back before the next one leaves.
    pub fn there_and_back(there: Ends<'a>, back: Ends<'a>) -> Self {
        /// Each item to one end, and then to another.
        fn one_after_the_other<'a>(mut one: End<'a>, mut other: End<'a>) -> End<'a> {
            end(move |first, count| {
                (0..count).try_for_each(|item| {
                    let number = first.wrapping_add(item);
                    one(number, 1)?;
                    other(number, 1)
                })
            })
        }
        Ends {
            sender: one_after_the_other(there.sender, back.receiver),
            receiver: one_after_the_other(there.receiver, back.sender),
        }
    }

    /// The same for one thread, which sends a batch and then takes it: all of it is the receiver's work.
    pub fn in_one_thread(self) -> Self {
        let (mut sender, mut receiver) = (self.sender, self.receiver);
        Ends {
            sender: Box::new(|_, _| Ok(())),
            receiver: Box::new(move |first, count| {
                (0..count).step_by(BATCH).try_for_each(|done| {
                    let batch = (count - done).min(BATCH as u64);
                    sender(first.wrapping_add(done), batch)?;
                    receiver(first.wrapping_add(done), batch)
                })
            }),
        }
    }

    /// A link whose next item is number `next`, after `warm_up` items without a clock.
    pub fn link(self, name: String, warm_up: u64, next: u64) -> Link<'a> {
        Link {
            name,
            sender: self.sender,
            receiver: self.receiver,
            warm_up,
            next,
        }
    }
}

/// An end whose state lies away from that of the other one.
fn end<'a>(act: impl FnMut(u64, u64) -> Result<(), Fault> + Send + 'a) -> End<'a> {
    let mut act = Alone(act);
    Box::new(move |first, count| {
        // As a whole: what is in it alone would be captured without its alignment.
        let act = &mut act;
        (act.0)(first, count)
    })
}

fn in_order(wrong: u64, first: u64) -> Result<(), Fault> {
    match wrong {
        0 => Ok(()),
        _ => Err(Fault::OutOfOrder(first)),
    }
}

#[cfg(test)]
mod tests {
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

    /// What the receiver says of 100 items if the one of that index is lost.
    fn received(way: &str, lost: usize) -> Result<(), Fault> {
        let (queue, pushed) = (Mutex::new(VecDeque::new()), Mutex::new(0));
        let push = |item: u64| {
            let mut pushed = pushed.lock().unwrap();
            if *pushed != lost {
                queue.lock().unwrap().push_back(item);
            }
            *pushed += 1;
        };
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
                    let places = items.iter_mut().take(24);
                    places
                        .map_while(|item| pop().map(|next| *item = next))
                        .count()
                },
            ),
        };
        (ends.sender)(7, 101)?;
        (ends.receiver)(7, 100)
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

    #[test]
    fn a_batch_that_is_wrong_where_it_lies_is_noticed() {
        let wrong = [0_u64, 1, 3];
        let mut ends = Ends::in_place(|_| true, |first| Some(difference(&wrong, first)));
        assert_eq!((ends.receiver)(0, 64), Err(Fault::OutOfOrder(0)));
        let mut right = Ends::in_place(|_| true, |first| Some(difference(&[first], first)));
        assert_eq!((right.receiver)(5, 128), Ok(()));
    }
}
