//! The ring against an oracle: a queue, two counters and an image of the slots' memory.
//!
//! Random sequences of every operation, in one thread, at any position: also at the last one, which
//! takes centuries to reach by pushing. (A peer that stores anything, and one that dies at any of its
//! accesses, are what `ringproof-stress hostile` and `crash` are about.)

mod common;

use std::collections::VecDeque;
use std::fmt::Debug;

use common::check;
use proptest::collection::vec;
use proptest::prelude::*;
use ringproof::harness::PartsOfRing;
use ringproof::memory::{Cells, Memory, Native, Slot, Word};
use ringproof::ring::{LAST, RingParts, index_of};
use ringproof::shared::Held;
use ringproof::site::{LoadSite, StoreSite};
use ringproof::sleep::OwnedSleepWords;
use ringproof::slots::Slots;
use ringproof::{Corruption, OutOfChunk, Payload, PopError, PushError, Ring, RingOptions, ring};

/// An item that says by its value which one it is.
trait Item: Payload + PartialEq + Debug {
    fn nth(n: u64) -> Self;
}

impl Item for u8 {
    fn nth(n: u64) -> u8 {
        // All 256 values before the first comes again.
        (n as u8).wrapping_mul(167).wrapping_add(13)
    }
}

impl Item for u64 {
    fn nth(n: u64) -> u64 {
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl Item for [u32; 3] {
    fn nth(n: u64) -> [u32; 3] {
        let n = n as u32;
        [n, !n, n.wrapping_mul(0x9e37_79b9)]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Payload)]
#[repr(C)]
struct Quote {
    price: f64,
    number: u64,
    size: u32,
    venue: u32,
}

impl Item for Quote {
    fn nth(n: u64) -> Quote {
        Quote {
            // Any finite number will do; not NaN, which equals nothing.
            price: n as f64 / 8.0,
            number: n,
            size: n as u32,
            venue: (n as u32) ^ 0xffff,
        }
    }
}

/// An end that keeps `K`.
type Producer<'a, T, K> = ring::Producer<'a, T, Native, K>;
type Consumer<'a, T, K> = ring::Consumer<'a, T, Native, K>;

/// Where a ring lies, and how its ends are taken.
trait Home<T: Payload> {
    /// What its ends keep.
    type Keep;

    fn parts(&self) -> RingParts<'_, Native, T>;
    fn producer(&self) -> Producer<'_, T, Self::Keep>;
    fn consumer(&self) -> Consumer<'_, T, Self::Keep>;
    /// How often the roles of two ends were taken, if somebody counts.
    fn takings(
        producer: &Producer<'_, T, Self::Keep>,
        consumer: &Consumer<'_, T, Self::Keep>,
    ) -> Option<[u64; 2]>;
}

/// A ring in this process's own memory, at any position.
struct Boxed<T: Payload> {
    write_index: Word,
    read_index: Word,
    sleep: [OwnedSleepWords<Native>; 2],
    cells: Vec<Slot<T>>,
    capacity: u64,
}

impl<T: Item> Boxed<T> {
    fn new(shape: Shape, start: u64) -> Boxed<T> {
        Boxed {
            write_index: Native::word(start),
            read_index: Native::word(start),
            sleep: Default::default(),
            cells: (0..shape.slots).map(old).map(Native::slot).collect(),
            capacity: shape.capacity,
        }
    }
}

/// What the slots of a boxed ring hold before the first commit: nothing that is ever pushed.
fn old<T: Item>(slot: u64) -> T {
    T::nth(u64::MAX - slot)
}

impl<T: Payload> Home<T> for Boxed<T> {
    type Keep = ();

    fn parts(&self) -> RingParts<'_, Native, T> {
        RingParts {
            write_index: &self.write_index,
            read_index: &self.read_index,
            for_items: self.sleep[0].words(),
            for_room: self.sleep[1].words(),
            slots: Slots::new(&self.cells).expect("a power of two of slots"),
            capacity: self.capacity,
        }
    }

    fn takings(_: &Producer<'_, T, ()>, _: &Consumer<'_, T, ()>) -> Option<[u64; 2]> {
        None
    }

    fn producer(&self) -> Producer<'_, T, ()> {
        // SAFETY: every test has one thread, and uses no producer any more when it takes the next.
        unsafe { Producer::new(self.parts(), Native, ()) }
    }

    fn consumer(&self) -> Consumer<'_, T, ()> {
        // SAFETY: as above, for the consumer.
        unsafe { Consumer::new(self.parts(), Native, ()) }
    }
}

impl<T: Payload> Home<T> for Ring<T> {
    type Keep = Held;

    fn takings(
        producer: &Producer<'_, T, Held>,
        consumer: &Consumer<'_, T, Held>,
    ) -> Option<[u64; 2]> {
        Some([producer.epoch(), consumer.epoch()])
    }

    fn parts(&self) -> RingParts<'_, Native, T> {
        // SAFETY: used for ends that take turns, and to look at.
        unsafe { PartsOfRing::parts(self) }.expect("the parts")
    }

    fn producer(&self) -> Producer<'_, T, Held> {
        Ring::producer(self).expect("the producer's role, which is free")
    }

    fn consumer(&self) -> Consumer<'_, T, Held> {
        Ring::consumer(self).expect("the consumer's role, which is free")
    }
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    capacity: u64,
    slots: u64,
}

fn shapes() -> impl Strategy<Value = Shape> {
    (1..=17u64, 0..=2u32).prop_map(|(capacity, more)| Shape {
        capacity,
        slots: capacity.next_power_of_two() << more,
    })
}

fn starts() -> impl Strategy<Value = u64> {
    prop_oneof![
        1 => Just(0),
        3 => (0..40u64).prop_map(|below| LAST - below),
        1 => 0..=LAST,
    ]
}

#[derive(Clone, Debug)]
enum Op {
    Push,
    Pop,
    PushSlice(usize),
    PopSlice(usize),
    Reserve(Count, Vec<Write>, End),
    Peek(Count, Vec<Read>, End),
    /// The iterator is dropped after so many items.
    Drain(usize),
    Close,
    CloseConsumer,
    AskProducer,
    RetakeProducer,
    RetakeConsumer,
}

/// How many slots or items are asked for.
#[derive(Clone, Copy, Debug)]
enum Count {
    UpTo(usize),
    Exactly(usize),
}

impl Count {
    fn asked(self) -> usize {
        match self {
            Count::UpTo(count) | Count::Exactly(count) => count,
        }
    }

    /// How many will do.
    fn needed(self) -> usize {
        match self {
            Count::UpTo(count) => count.min(1),
            Count::Exactly(count) => count,
        }
    }

    /// Whether it cannot be, where there are never more than `most`.
    fn is_beyond(self, most: u64) -> bool {
        matches!(self, Count::Exactly(count) if count as u64 > most)
    }
}

/// What is done to a chunk of reserved slots.
#[derive(Clone, Debug)]
enum Write {
    Get(usize),
    Set(usize),
    Copy(usize, usize),
    Slices,
}

/// What is done to a chunk of committed items.
#[derive(Clone, Debug)]
enum Read {
    Get(usize),
    Copy(usize, usize),
    Slices,
    /// So many are skipped before the first, and the last is taken before the rest.
    Iter(usize),
}

/// How a chunk ends: committed or released in part, wholly, or dropped.
#[derive(Clone, Debug)]
enum End {
    Some(usize),
    All,
    Dropped,
}

/// An index or a count: mostly near the sizes of the chunks, sometimes far beyond any.
fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![20 => 0..20usize, 1 => Just(usize::MAX), 1 => Just(usize::MAX - 2)]
}

fn counts() -> impl Strategy<Value = Count> {
    prop_oneof![
        sizes().prop_map(Count::UpTo),
        sizes().prop_map(Count::Exactly)
    ]
}

fn ends() -> impl Strategy<Value = End> {
    prop_oneof![4 => sizes().prop_map(End::Some), 2 => Just(End::All), 1 => Just(End::Dropped)]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let writes = prop_oneof![
        2 => sizes().prop_map(Write::Get),
        2 => sizes().prop_map(Write::Set),
        2 => (sizes(), 0..12usize).prop_map(|(start, len)| Write::Copy(start, len)),
        1 => Just(Write::Slices),
    ];
    let reads = prop_oneof![
        2 => sizes().prop_map(Read::Get),
        2 => (sizes(), 0..12usize).prop_map(|(start, len)| Read::Copy(start, len)),
        1 => Just(Read::Slices),
        1 => sizes().prop_map(Read::Iter),
    ];
    let op = prop_oneof![
        80 => Just(Op::Push),
        80 => Just(Op::Pop),
        40 => (0..24usize).prop_map(Op::PushSlice),
        40 => (0..24usize).prop_map(Op::PopSlice),
        80 => (counts(), vec(writes, 0..6), ends()).prop_map(|(n, w, e)| Op::Reserve(n, w, e)),
        80 => (counts(), vec(reads, 0..6), ends()).prop_map(|(n, r, e)| Op::Peek(n, r, e)),
        10 => sizes().prop_map(Op::Drain),
        1 => Just(Op::Close),
        1 => Just(Op::CloseConsumer),
        4 => Just(Op::AskProducer),
        8 => Just(Op::RetakeProducer),
        8 => Just(Op::RetakeConsumer),
    ];
    vec(op, 1..160)
}

/// The oracle.
struct Model<T> {
    shape: Shape,
    /// What was committed and not yet released.
    live: VecDeque<T>,
    /// What every slot holds.
    memory: Vec<T>,
    write_index: u64,
    read_index: u64,
    /// Whether the producer closed it.
    closed: bool,
    /// Whether the consumer closed it.
    stopped: bool,
    /// Whether the producer knows that.
    known: bool,
    /// How many items were made so far.
    made: u64,
}

impl<T: Item> Model<T> {
    fn new(shape: Shape, start: u64, memory: Vec<T>) -> Model<T> {
        Model {
            shape,
            live: VecDeque::new(),
            memory,
            write_index: start,
            read_index: start,
            closed: false,
            stopped: false,
            known: false,
            made: 0,
        }
    }

    fn make(&mut self) -> T {
        self.made += 1;
        T::nth(self.made)
    }

    /// How many more may be committed: up to the last position.
    fn free(&self) -> usize {
        let room = self.shape.capacity - self.live.len() as u64;
        room.min(LAST - self.write_index) as usize
    }

    /// The slot of the item `index` places after the next one to be committed.
    fn slot(&mut self, index: usize) -> &mut T {
        let position = self.write_index.wrapping_add(index as u64);
        &mut self.memory[(position % self.shape.slots) as usize]
    }

    fn commit(&mut self, count: usize) {
        for _ in 0..count {
            let item = *self.slot(0);
            self.live.push_back(item);
            self.write_index = self.write_index.wrapping_add(1);
        }
    }

    fn release(&mut self, count: usize) -> Vec<T> {
        self.read_index = self.read_index.wrapping_add(count as u64);
        self.live.drain(..count).collect()
    }

    /// What reserving `count` slots must give, where the ring said `found`. A producer learns
    /// that the consumer closed the ring at the latest when there is no room; if there is some,
    /// either is right, until it knows. At the last position the ring closes itself.
    fn reserved<R>(
        &mut self,
        count: Count,
        found: &Result<R, PushError>,
    ) -> Result<usize, PushError> {
        let (asked, needed) = (count.asked(), count.needed());
        if needed > 0 && self.write_index == LAST && !self.known {
            self.closed = true;
        }
        if needed > 0 && !self.closed && self.stopped {
            self.known |= self.free() < needed || matches!(found, Err(PushError::PeerClosed));
        }
        let most = self.shape.capacity.min(LAST - self.write_index);
        match self.free().min(asked) {
            _ if needed == 0 => Ok(0),
            _ if self.closed => Err(PushError::Closed),
            _ if self.known => Err(PushError::PeerClosed),
            _ if count.is_beyond(most) => Err(PushError::TooMany { asked, most }),
            len if len < needed => Err(PushError::Full),
            len => Ok(len),
        }
    }

    /// What looking at `count` items must give.
    fn peeked(&self, count: Count) -> Result<usize, PopError> {
        let (asked, needed) = (count.asked(), count.needed());
        let most = match self.closed {
            true => self.live.len() as u64,
            false => self.shape.capacity.min(LAST - self.read_index),
        };
        match self.live.len().min(asked) {
            _ if needed == 0 => Ok(0),
            _ if self.stopped => Err(PopError::Closed),
            0 if self.closed => Err(PopError::PeerClosed),
            _ if count.is_beyond(most) => Err(PopError::TooMany { asked, most }),
            len if len < needed => Err(PopError::Empty),
            len => Ok(len),
        }
    }
}

/// What an access of `count` items from `start` to a chunk of `len` must give.
fn within(start: usize, count: usize, len: usize) -> Result<(), OutOfChunk> {
    let asked = start.saturating_add(count);
    if asked <= len {
        Ok(())
    } else {
        Err(OutOfChunk { asked, len })
    }
}

/// Where `len` items from `position` wrap around the end of memory.
fn before_end(shape: Shape, position: u64, len: usize) -> usize {
    len.min((shape.slots - position % shape.slots) as usize)
}

fn reserve<T: Item, K>(
    producer: &mut Producer<'_, T, K>,
    model: &mut Model<T>,
    count: Count,
    writes: &[Write],
    end: &End,
) -> Result<(), TestCaseError> {
    let found = match count {
        Count::UpTo(count) => producer.reserve(count),
        Count::Exactly(count) => producer.reserve_exact(count),
    };
    let expected = model.reserved(count, &found);
    let mut chunk = match found {
        Ok(chunk) => chunk,
        Err(error) => {
            prop_assert_eq!(Err(error), expected);
            return Ok(());
        }
    };
    let len = chunk.len();
    prop_assert_eq!(Ok(len), expected);
    prop_assert_eq!(chunk.is_empty(), len == 0);
    prop_assert_eq!(chunk.position(), model.write_index);
    for write in writes {
        match *write {
            Write::Get(index) => {
                let expected = (index < len).then(|| *model.slot(index));
                prop_assert_eq!(chunk.get(index), expected);
            }
            Write::Set(index) => {
                let item = model.make();
                prop_assert_eq!(chunk.set(index, item), within(index, 1, len));
                if index < len {
                    *model.slot(index) = item;
                }
            }
            Write::Copy(start, count) => {
                let items: Vec<T> = (0..count).map(|_| model.make()).collect();
                let outcome = chunk.copy_from_slice(start, &items);
                prop_assert_eq!(outcome, within(start, count, len));
                if outcome.is_ok() {
                    for (index, item) in items.into_iter().enumerate() {
                        *model.slot(start + index) = item;
                    }
                }
            }
            Write::Slices => {
                let wrap = before_end(model.shape, model.write_index, len);
                // SAFETY: one thread, and no other access to the ring while they live.
                let (first, second) = unsafe { chunk.as_mut_slices() };
                prop_assert_eq!((first.len(), second.len()), (wrap, len - wrap));
                for (index, item) in first.iter_mut().chain(second).enumerate() {
                    prop_assert_eq!(*item, *model.slot(index));
                    *item = model.make();
                    *model.slot(index) = *item;
                }
            }
        }
    }
    match *end {
        End::Some(count) => {
            prop_assert_eq!(chunk.commit(count), within(0, count, len));
            model.commit(if count <= len { count } else { 0 });
        }
        End::All => {
            chunk.commit_all();
            model.commit(len);
        }
        End::Dropped => {}
    }
    Ok(())
}

fn peek<T: Item, K>(
    consumer: &mut Consumer<'_, T, K>,
    model: &mut Model<T>,
    count: Count,
    reads: &[Read],
    end: &End,
) -> Result<(), TestCaseError> {
    let expected = model.peeked(count);
    let found = match count {
        Count::UpTo(count) => consumer.peek(count),
        Count::Exactly(count) => consumer.peek_exact(count),
    };
    let chunk = match found {
        Ok(chunk) => chunk,
        Err(error) => {
            prop_assert_eq!(Err(error), expected);
            return Ok(());
        }
    };
    let len = chunk.len();
    prop_assert_eq!(Ok(len), expected);
    prop_assert_eq!(chunk.is_empty(), len == 0);
    prop_assert_eq!(chunk.position(), model.read_index);
    let items: Vec<T> = model.live.iter().take(len).copied().collect();
    for read in reads {
        match *read {
            Read::Get(index) => prop_assert_eq!(chunk.get(index), items.get(index).copied()),
            Read::Copy(start, count) => {
                let untouched = model.make();
                let mut copies = vec![untouched; count];
                let outcome = chunk.copy_to_slice(start, &mut copies);
                prop_assert_eq!(outcome, within(start, count, len));
                match outcome {
                    Ok(()) => prop_assert_eq!(&copies, &items[start..start + count]),
                    Err(_) => prop_assert_eq!(copies, vec![untouched; count]),
                }
            }
            Read::Slices => {
                let wrap = before_end(model.shape, model.read_index, len);
                // SAFETY: one thread, and no other access to the ring while they live.
                let found = unsafe { chunk.as_slices() };
                prop_assert_eq!(found, items.split_at(wrap));
            }
            Read::Iter(skipped) => {
                let (mut found, mut expected) = ((&chunk).into_iter(), items.iter().copied());
                prop_assert_eq!(found.len(), len);
                prop_assert_eq!(found.nth(skipped), expected.nth(skipped));
                prop_assert_eq!(found.next_back(), expected.next_back());
                prop_assert_eq!(found.size_hint(), expected.size_hint());
                prop_assert!(found.eq(expected));
            }
        }
    }
    match *end {
        End::Some(count) => {
            prop_assert_eq!(chunk.release(count), within(0, count, len));
            model.release(if count <= len { count } else { 0 });
        }
        End::All => {
            chunk.release_all();
            model.release(len);
        }
        End::Dropped => {}
    }
    Ok(())
}

/// Takes as many as are there, and at most `count`. Each is released when it is handed out.
fn drain<T: Item, H: Home<T>>(
    home: &H,
    consumer: &mut Consumer<'_, T, H::Keep>,
    model: &mut Model<T>,
    count: usize,
) -> Result<(), TestCaseError> {
    let expected = model.peeked(Count::UpTo(usize::MAX));
    let mut items = match consumer.drain() {
        Ok(items) => items,
        Err(error) => {
            prop_assert_eq!(Err(error), expected);
            return Ok(());
        }
    };
    prop_assert_eq!(Ok(items.len()), expected);
    for left in (0..items.len()).rev().take(count) {
        prop_assert_eq!(items.next(), model.release(1).pop());
        prop_assert_eq!(items.size_hint(), (left, Some(left)));
        let released = Native.load(home.parts().read_index, LoadSite::RingReclaim);
        prop_assert_eq!(released, model.read_index);
    }
    prop_assert!(items.len() > 0 || items.next().is_none());
    Ok(())
}

/// Everything that can be asked of a ring without changing it.
fn compare<T: Item, H: Home<T>>(
    home: &H,
    model: &Model<T>,
    producer: &Producer<'_, T, H::Keep>,
    consumer: &Consumer<'_, T, H::Keep>,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(producer.position(), model.write_index);
    prop_assert_eq!(consumer.position(), model.read_index);
    prop_assert_eq!(producer.capacity(), model.shape.capacity);
    prop_assert_eq!(consumer.capacity(), model.shape.capacity);
    prop_assert_eq!(producer.occupancy(), Ok(model.live.len() as u64));
    prop_assert_eq!(consumer.occupancy(), Ok(model.live.len() as u64));
    let live = model.live.len();
    let free = model.shape.capacity as usize - live;
    prop_assert_eq!((producer.len(), producer.free_slots()), (live, free));
    prop_assert_eq!((consumer.len(), consumer.free_slots()), (live, free));
    let is = (live == 0, free == 0);
    prop_assert_eq!((producer.is_empty(), producer.is_full()), is);
    prop_assert_eq!((consumer.is_empty(), consumer.is_full()), is);
    prop_assert_eq!(producer.is_closed(), model.closed);
    prop_assert_eq!(consumer.is_closed(), model.stopped);
    // What a peer sees.
    let parts = home.parts();
    let word = |word: &Word| Native.load(word, LoadSite::RingObserve);
    let found = [parts.write_index, parts.read_index].map(|at| index_of(word(at)));
    let expected = [
        (model.write_index, model.closed),
        (model.read_index, model.stopped),
    ];
    prop_assert_eq!(found, expected);
    Ok(())
}

fn run<T: Item, H: Home<T>>(
    home: &H,
    mut model: Model<T>,
    ops: &[Op],
) -> Result<(), TestCaseError> {
    let (mut producer, mut consumer) = (Some(home.producer()), Some(home.consumer()));
    let mut takings = [1, 1];
    for op in ops {
        let writer = producer.as_mut().expect("a producer");
        let reader = consumer.as_mut().expect("a consumer");
        match op {
            Op::Push => {
                let item = model.make();
                let found = writer.push(item);
                let expected = model.reserved(Count::UpTo(1), &found).map(|_| ());
                prop_assert_eq!(found, expected);
                if expected.is_ok() {
                    *model.slot(0) = item;
                    model.commit(1);
                }
            }
            Op::Pop => {
                let expected = model.peeked(Count::UpTo(1));
                let expected = expected.map(|_| model.release(1)[0]);
                prop_assert_eq!(reader.pop(), expected);
            }
            Op::PushSlice(count) => {
                let items: Vec<T> = (0..*count).map(|_| model.make()).collect();
                let found = writer.push_slice(&items);
                let expected = model.reserved(Count::UpTo(*count), &found);
                prop_assert_eq!(found, expected);
                for item in &items[..expected.unwrap_or(0)] {
                    *model.slot(0) = *item;
                    model.commit(1);
                }
            }
            Op::PopSlice(count) => {
                let untouched = model.make();
                let mut items = vec![untouched; *count];
                let expected = model.peeked(Count::UpTo(*count));
                prop_assert_eq!(reader.pop_slice(&mut items), expected);
                let (taken, rest) = items.split_at(expected.unwrap_or(0));
                prop_assert_eq!(taken, model.release(taken.len()));
                prop_assert!(rest.iter().all(|item| *item == untouched));
            }
            Op::Reserve(count, writes, end) => reserve(writer, &mut model, *count, writes, end)?,
            Op::Peek(count, reads, end) => peek(reader, &mut model, *count, reads, end)?,
            Op::Drain(count) => drain(home, reader, &mut model, *count)?,
            Op::Close => {
                writer.close();
                model.closed = true;
            }
            Op::CloseConsumer => {
                reader.close();
                model.stopped = true;
            }
            Op::AskProducer => {
                prop_assert_eq!(writer.is_peer_closed(), Ok(model.stopped));
                model.known = model.stopped;
            }
            Op::RetakeProducer => {
                // The old one first: a role has one holder at a time.
                drop(producer.take());
                producer = Some(home.producer());
                model.known = false;
                takings[0] += 1;
            }
            Op::RetakeConsumer => {
                drop(consumer.take());
                consumer = Some(home.consumer());
                takings[1] += 1;
            }
        }
        let writer = producer.as_ref().expect("a producer");
        let reader = consumer.as_ref().expect("a consumer");
        compare(home, &model, writer, reader)?;
        // A ring without roles counts none.
        prop_assert!(H::takings(writer, reader).is_none_or(|counted| counted == takings));
    }
    // Nothing is lost, and after the last item comes the right word.
    let mut reader = consumer.expect("a consumer");
    if model.stopped {
        prop_assert_eq!(reader.pop(), Err(PopError::Closed));
        return Ok(());
    }
    while let Some(item) = model.live.pop_front() {
        prop_assert_eq!(reader.pop(), Ok(item));
    }
    let over = if model.closed {
        PopError::PeerClosed
    } else {
        PopError::Empty
    };
    prop_assert_eq!(reader.pop(), Err(over));
    Ok(())
}

fn boxed<T: Item>() {
    check(600, (shapes(), starts(), ops()), |(shape, start, ops)| {
        let home = Boxed::<T>::new(shape, start);
        let memory = (0..shape.slots).map(old).collect();
        run(&home, Model::new(shape, start, memory), &ops)
    });
}

fn in_a_segment<T: Item>() {
    check(150, (shapes(), ops()), |(shape, ops)| {
        let options = RingOptions::new(shape.capacity).slots(shape.slots);
        let home = Ring::<T>::anonymous(&options).expect("an anonymous ring");
        // New memory is zero.
        let memory = vec![T::zeroed(); shape.slots as usize];
        run(&home, Model::new(shape, 0, memory), &ops)
    });
}

macro_rules! queues {
    ($($items:ident: $item:ty),+) => {
        mod a_boxed_ring_is_a_queue_at_any_position {
            $(#[test] fn $items() { super::boxed::<$item>(); })+
        }

        mod a_ring_in_a_segment_is_a_queue {
            $(#[test] fn $items() { super::in_a_segment::<$item>(); })+
        }
    };
}

queues!(of_bytes: u8, of_words: u64, of_odd_sized_items: [u32; 3], of_structs: super::Quote);

#[test]
fn a_capacity_out_of_range_is_brought_into_it() {
    for (given, used) in [(0, 1), (1, 1), (4, 4), (5, 4), (u64::MAX, 4)] {
        let shape = Shape {
            capacity: given,
            slots: 4,
        };
        let home = Boxed::<u64>::new(shape, 0);
        let mut producer = home.producer();
        let mut consumer = home.consumer();
        assert_eq!((producer.capacity(), consumer.capacity()), (used, used));
        assert_eq!(producer.push_slice(&[1; 9]), Ok(used as usize));
        assert_eq!(consumer.occupancy(), Ok(used));
        assert_eq!(consumer.pop_slice(&mut [0; 9]), Ok(used as usize));
    }
}

#[test]
fn a_peers_index_that_was_seen_may_not_go_back() {
    for start in [0, 7, LAST - 20] {
        let shape = Shape {
            capacity: 5,
            slots: 8,
        };
        let at = |distance: u64| start.wrapping_add(distance);
        for seen in 1..=shape.capacity {
            for back in 0..seen {
                let corruption = |word, highest| Corruption {
                    word,
                    found: at(back),
                    lowest: at(seen),
                    highest: at(highest),
                };
                // Full, so that the next push looks at once.
                let home = Boxed::<u64>::new(shape, start);
                let mut producer = home.producer();
                assert_eq!(producer.push_slice(&[0; 5]), Ok(5));
                Native.store(&home.read_index, at(seen), StoreSite::RingFree);
                assert_eq!(producer.push(0), Ok(()));
                Native.store(&home.read_index, at(back), StoreSite::RingFree);
                let said = corruption("read_index", 6);
                assert_eq!(producer.occupancy(), Err(said));
                // Who would wait for room pushes, and gets an error.
                assert!(producer.is_empty() && !producer.is_full());
                // What it knows to be free it may still fill.
                for _ in 1..seen {
                    assert_eq!(producer.push(0), Ok(()));
                }
                let said = corruption("read_index", 5 + seen);
                assert_eq!(producer.push(0), Err(PushError::Corrupt(said)));

                let home = Boxed::<u64>::new(shape, start);
                let mut consumer = home.consumer();
                Native.store(&home.write_index, at(seen), StoreSite::RingPublish);
                assert!(consumer.pop().is_ok());
                if back == 0 {
                    // Behind the consumer's own index it would be refused anyway.
                    continue;
                }
                Native.store(&home.write_index, at(back), StoreSite::RingPublish);
                assert_eq!(consumer.occupancy(), Err(corruption("write_index", 6)));
                // Who would wait for an item pops, and gets an error.
                assert!(consumer.is_full() && !consumer.is_empty());
                for _ in 1..seen {
                    assert!(consumer.pop().is_ok());
                }
                let said = corruption("write_index", 5 + seen);
                assert_eq!(consumer.pop(), Err(PopError::Corrupt(said)));
            }
        }
    }
}

#[test]
fn a_ring_closes_itself_at_its_last_position() {
    for (capacity, slots) in [(1, 1), (3, 4), (4, 4)] {
        for left in 0..2 * capacity + 2 {
            let start = LAST - left;
            let home = Boxed::<u64>::new(Shape { capacity, slots }, start);
            let (mut producer, mut consumer) = (home.producer(), home.consumer());
            let mut passed = 0;
            loop {
                // Every position behind the last one that there is room for is refused.
                let wanted = (left - passed).min(capacity) as usize;
                let pushed = producer.push_slice(&[passed; 9]);
                if wanted == 0 {
                    assert_eq!(pushed, Err(PushError::Closed));
                    break;
                }
                assert_eq!(pushed, Ok(wanted), "{left} left, {passed} passed");
                assert_eq!(consumer.pop_slice(&mut [0; 9]), Ok(wanted));
                passed += wanted as u64;
            }
            assert_eq!((producer.position(), consumer.position()), (LAST, LAST));
            assert_eq!(producer.occupancy(), Ok(0));
            assert_eq!(consumer.pop(), Err(PopError::PeerClosed));
            assert!(home.producer().is_closed());
            assert_eq!(home.consumer().pop(), Err(PopError::PeerClosed));
        }
    }
}
