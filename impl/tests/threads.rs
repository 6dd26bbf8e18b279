//! A million items from one thread to another through small rings (fewer where the machine is busy),
//! with every way to push and to pop: all of them, once, in order, whole. Then consumers that close
//! before the end.

mod common;

use std::ops::Range;

use bytemuck::Zeroable;
use common::{Deadline, Effort};
use ringproof::{Consumer, PopError, Producer, PushError, Ring, RingOptions};

const ITEMS: u64 = 1_000_000;

/// An item that is known as whole and by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ringproof::Payload)]
#[repr(C)]
struct Item {
    number: u64,
    mixed: u64,
    inverse: u64,
}

impl Item {
    fn nth(number: u64) -> Item {
        Item {
            number,
            mixed: number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            inverse: !number,
        }
    }
}

/// Items of a wanted sequence, and their sum.
struct Received {
    count: u64,
    sum: u64,
}

impl Received {
    fn item(&mut self, item: Item) {
        assert_eq!(item, Item::nth(self.count));
        self.count += 1;
        self.sum = self.sum.wrapping_add(item.mixed);
    }
}

/// Lets the other thread run, until the deadline that began when this one last got anywhere.
fn wait(waiting: &mut Option<Deadline>, what: &'static str) {
    waiting.get_or_insert_with(|| Deadline::to(what)).wait();
}

/// Sends up to `most` items through a ring of `options`. `push` is told the numbers of those to come
/// and says how many of them it pushed.
fn stream(
    most: u64,
    options: RingOptions,
    push: impl Fn(&mut Producer<Item>, Range<u64>) -> Result<usize, PushError> + Send,
    pop: impl Fn(&mut Consumer<Item>, &mut Received) -> Result<(), PopError> + Send,
) {
    let ring = Ring::<Item>::anonymous(&options).expect("an anonymous ring");
    let mut producer = ring.producer().expect("the producer's role");
    let mut consumer = ring.consumer().expect("the consumer's role");
    let mut received = Received { count: 0, sum: 0 };
    let items = std::thread::scope(|scope| {
        let pushing = scope.spawn(move || {
            let effort = Effort::of(1000, most);
            let (mut pushed, mut waiting) = (0, None);
            while effort.goes_on(pushed) {
                match push(&mut producer, pushed..most) {
                    Ok(count) => {
                        pushed += count as u64;
                        waiting = None;
                    }
                    Err(PushError::Full) => wait(&mut waiting, "see a slot released"),
                    Err(error) => panic!("{error}"),
                }
            }
            assert_eq!(producer.position(), pushed);
            producer.close();
            pushed
        });
        let received = &mut received;
        scope.spawn(move || {
            let mut waiting = None;
            loop {
                match pop(&mut consumer, received) {
                    Ok(_) => waiting = None,
                    Err(PopError::Empty) => wait(&mut waiting, "see an item committed"),
                    Err(PopError::PeerClosed) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            assert_eq!(consumer.position(), received.count);
        });
        pushing.join().expect("the producer's thread")
    });
    assert_eq!(received.count, items);
    let sum = (0..items).fold(0u64, |sum, n| sum.wrapping_add(Item::nth(n).mixed));
    assert_eq!(received.sum, sum);
}

fn push_one(producer: &mut Producer<Item>, to_come: Range<u64>) -> Result<usize, PushError> {
    producer.push(Item::nth(to_come.start)).map(|()| 1)
}

/// The next few items: from 1 to 7, so that they meet the end of memory everywhere.
fn some(to_come: Range<u64>) -> Vec<Item> {
    let few = 1 + to_come.start as usize % 7;
    to_come.take(few).map(Item::nth).collect()
}

fn push_slice(producer: &mut Producer<Item>, to_come: Range<u64>) -> Result<usize, PushError> {
    producer.push_slice(&some(to_come))
}

fn push_chunk(producer: &mut Producer<Item>, to_come: Range<u64>) -> Result<usize, PushError> {
    let items = some(to_come);
    let mut chunk = producer.reserve(items.len())?;
    // All but the last in one go, the last by itself; all but the last are committed, if there
    // are several.
    let last = chunk.len() - 1;
    chunk.copy_from_slice(0, &items[..last]).expect("a part");
    chunk.set(last, items[last]).expect("the last slot");
    assert_eq!(chunk.get(last), Some(items[last]));
    let count = last.max(1);
    chunk.commit(count).expect("a part");
    Ok(count)
}

fn pop_one(consumer: &mut Consumer<Item>, received: &mut Received) -> Result<(), PopError> {
    received.item(consumer.pop()?);
    Ok(())
}

fn pop_slice(consumer: &mut Consumer<Item>, received: &mut Received) -> Result<(), PopError> {
    let mut items = [Item::zeroed(); 5];
    let count = consumer.pop_slice(&mut items)?;
    for item in &items[..count] {
        received.item(*item);
    }
    Ok(())
}

fn pop_chunk(consumer: &mut Consumer<Item>, received: &mut Received) -> Result<(), PopError> {
    let chunk = consumer.peek(6)?;
    assert_eq!(chunk.position(), received.count);
    // One is left in the ring, if there are several: it comes again.
    let count = (chunk.len() - 1).max(1);
    let mut items = [Item::zeroed(); 6];
    chunk
        .copy_to_slice(1, &mut items[1..count])
        .expect("a part");
    items[0] = chunk.get(0).expect("an item");
    chunk.release(count).expect("a part");
    for item in &items[..count] {
        received.item(*item);
    }
    Ok(())
}

#[test]
fn one_by_one() {
    stream(ITEMS, RingOptions::new(7).slots(8), push_one, pop_one);
}

#[test]
fn one_by_one_through_a_single_slot() {
    // Every item is a change of turns: a tenth of the items.
    stream(ITEMS / 10, RingOptions::new(1).slots(1), push_one, pop_one);
}

#[test]
fn in_slices() {
    stream(ITEMS, RingOptions::new(13).slots(32), push_slice, pop_slice);
}

#[test]
fn in_chunks() {
    stream(ITEMS, RingOptions::new(16).slots(16), push_chunk, pop_chunk);
}

#[test]
fn slices_in_and_chunks_out() {
    stream(ITEMS, RingOptions::new(5).slots(8), push_slice, pop_chunk);
}

#[test]
fn chunks_in_and_one_by_one_out() {
    stream(ITEMS, RingOptions::new(64).slots(64), push_chunk, pop_one);
}

/// A consumer that closes after `wanted` items, and a producer that pushes until it is told.
fn stopped_after(wanted: u64, options: RingOptions, ask: bool) {
    let ring = Ring::<Item>::anonymous(&options).expect("an anonymous ring");
    let mut producer = ring.producer().expect("the producer's role");
    let mut consumer = ring.consumer().expect("the consumer's role");
    std::thread::scope(|scope| {
        let pushing = scope.spawn(move || {
            let mut waiting = None;
            loop {
                if ask && producer.is_peer_closed().expect("a sound ring") {
                    break;
                }
                match producer.push(Item::nth(producer.position())) {
                    Ok(()) => waiting = None,
                    Err(PushError::Full) => wait(&mut waiting, "see a slot released or the stop"),
                    Err(PushError::PeerClosed) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            // The number that it is told is the last one.
            let left = producer.occupancy().expect("a sound ring");
            assert_eq!(producer.position() - left, wanted);
            assert!(left <= producer.capacity());
            producer.position()
        });
        let mut waiting = None;
        let mut received = Received { count: 0, sum: 0 };
        while received.count < wanted {
            match pop_one(&mut consumer, &mut received) {
                Ok(()) => waiting = None,
                Err(PopError::Empty) => wait(&mut waiting, "see an item committed"),
                Err(error) => panic!("{error}"),
            }
        }
        consumer.close();
        let pushed = pushing.join().expect("the producer's thread");
        assert_eq!(consumer.pop(), Err(PopError::Closed));
        assert_eq!(consumer.occupancy(), Ok(pushed - wanted));
    });
}

#[test]
fn a_producer_is_told_exactly_what_a_consumer_that_closed_has_taken() {
    for wanted in Effort::rounds(20, 500) {
        for ask in [false, true] {
            stopped_after(wanted, RingOptions::new(1 + wanted % 7).slots(8), ask);
        }
    }
}
