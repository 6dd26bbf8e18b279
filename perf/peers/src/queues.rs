//! The rings and queues that are compared, each used in the way that its documentation calls the
//! fastest for the job.

use std::mem::MaybeUninit;
use std::num::NonZeroUsize;
use std::thread;

use crossbeam_queue::ArrayQueue;
use ringbuf::traits::{Consumer, Producer, Raw, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};
use ringproof::{Ring, Wait};
use ringproof_perf::links::{BATCH, Ends, Item, Size, Way, difference};
use ringproof_perf::report::Trouble;

/// One of those compared.
pub(crate) struct Peer {
    /// What tables call it.
    pub(crate) name: &'static str,
    /// Makes one with that capacity.
    pub(crate) make: fn(usize) -> Result<Box<dyn Queue>, Trouble>,
}

/// One that was made.
pub(crate) trait Queue {
    /// Its ends, used in that way. `None` if it cannot be used so, or its ends are given already.
    fn ends(&mut self, way: Way) -> Option<Ends<'_>>;
}

/// Ours, as it comes.
pub(crate) const OURS: &str = "ringproof";

/// Ours with no more memory than the capacity needs.
pub(crate) const OURS_TIGHT: &str = "ringproof, least memory";

/// Ours by the operations that wait: spinning, the same with no more memory, and as they do by default.
const OURS_WAITING: [&str; 3] = [
    "ringproof, Wait::Spin",
    "ringproof, Wait::Spin, least memory",
    "ringproof, Wait::Sleep",
];

/// All of them, for items of that kind; ours is the first.
pub(crate) fn all<T: Item>() -> Vec<Peer> {
    type Make = fn(usize) -> Result<Box<dyn Queue>, Trouble>;
    let all: [(&str, Make); 11] = [
        (OURS, |capacity| Ok(Box::new(Ours(ring::<T>(capacity, None)?)))),
        (OURS_TIGHT, |capacity| {
            Ok(Box::new(Ours(ring::<T>(capacity, Some(capacity))?)))
        }),
        (OURS_WAITING[0], |capacity| {
            waiting::<T>(capacity, None, Wait::Spin)
        }),
        (OURS_WAITING[1], |capacity| {
            waiting::<T>(capacity, Some(capacity), Wait::Spin)
        }),
        (OURS_WAITING[2], |capacity| {
            waiting::<T>(capacity, None, Wait::Sleep)
        }),
        ("rtrb", |capacity| {
            Ok(Box::new(Rtrb(Some(rtrb::RingBuffer::<T>::new(capacity)))))
        }),
        ("ringbuf", |capacity| {
            Ok(Box::new(Ringbuf(Some(HeapRb::<T>::new(capacity).split()))))
        }),
        ("gil", gil::<T>),
        ("heapless", |capacity| match capacity {
            1024 => heapless::<T, 1024>(),
            65_536 => heapless::<T, 65_536>(),
            _ => Err(Trouble::NotRun(format!(
                "a queue of heapless has its capacity in its type, and {capacity} is not one of those \
                 compiled"
            ))),
        }),
        ("crossbeam ArrayQueue", |capacity| {
            Ok(Box::new(Array(ArrayQueue::<T>::new(capacity))))
        }),
        ("crossbeam channel", |capacity| {
            Ok(Box::new(Channel(Some(crossbeam_channel::bounded::<T>(
                capacity,
            )))))
        }),
    ];
    all.map(|(name, make)| Peer { name, make }).into()
}

/// Makes the items of `first`, `first + 1`, and so on, where there was nothing yet.
#[inline(always)]
fn fill<T: Item>(slots: &mut [MaybeUninit<T>], first: u64) {
    for (slot, index) in slots.iter_mut().zip(0..) {
        slot.write(T::numbered(first.wrapping_add(index)));
    }
}

/// One of ours, with so many slots or as many as it has by default.
fn ring<T: Item>(capacity: usize, slots: Option<usize>) -> Result<Ring<T>, Trouble> {
    let (capacity, slots) = (capacity as u64, slots.map(|slots| slots as u64));
    Ring::anonymous(&Size { capacity, slots }.options()).map_err(Trouble::of("no ring could be made"))
}

struct Ours<T: Item>(Ring<T>);

impl<T: Item> Queue for Ours<T> {
    fn ends(&mut self, way: Way) -> Option<Ends<'_>> {
        let (producer, consumer) = (self.0.producer().ok()?, self.0.consumer().ok()?);
        Some(Ends::ours(way, producer, consumer))
    }
}

struct OursWaiting<T: Item>(Ring<T>, Wait);

fn waiting<T: Item>(
    capacity: usize,
    slots: Option<usize>,
    how: Wait,
) -> Result<Box<dyn Queue>, Trouble> {
    Ok(Box::new(OursWaiting(ring::<T>(capacity, slots)?, how)))
}

impl<T: Item> Queue for OursWaiting<T> {
    fn ends(&mut self, way: Way) -> Option<Ends<'_>> {
        let OursWaiting(ring, how) = self;
        let (producer, consumer) = (ring.producer().ok()?, ring.consumer().ok()?);
        let ends = || Ends::waiting(producer.with_wait(*how), consumer.with_wait(*how));
        (way == Way::OneByOne).then(ends)
    }
}

struct Rtrb<T>(Option<(rtrb::Producer<T>, rtrb::Consumer<T>)>);

impl<T: Item> Queue for Rtrb<T> {
    fn ends(&mut self, way: Way) -> Option<Ends<'_>> {
        let (mut producer, mut consumer) = self.0.take()?;
        Some(match way {
            Way::OneByOne => Ends::one_by_one(
                move |item| producer.push(item).is_ok(),
                move || consumer.pop().ok(),
            ),
            Way::Slices => Ends::slices(
                move |items: &[T]| (producer.push_entire_slice(items)).map_or(0, |()| items.len()),
                move |items: &mut [T]| {
                    (consumer.pop_entire_slice(items)).map_or(0, |()| items.len())
                },
            ),
            Way::InPlace => Ends::in_place(
                move |first| {
                    let Ok(mut chunk) = producer.write_chunk_uninit(BATCH) else {
                        return false;
                    };
                    let (one, two) = chunk.as_mut_slices();
                    let second = first.wrapping_add(one.len() as u64);
                    fill(one, first);
                    fill(two, second);
                    // SAFETY: both parts of the chunk were written just above.
                    unsafe { chunk.commit_all() };
                    true
                },
                move |first| {
                    let chunk = consumer.read_chunk(BATCH).ok()?;
                    let (one, two) = chunk.as_slices();
                    let second = first.wrapping_add(one.len() as u64);
                    let wrong = difference(one, first) | difference(two, second);
                    chunk.commit_all();
                    Some(wrong)
                },
            ),
            Way::Chunks => return None,
        })
    }
}

struct Ringbuf<T>(Option<(HeapProd<T>, HeapCons<T>)>);

impl<T: Item> Queue for Ringbuf<T> {
    fn ends(&mut self, way: Way) -> Option<Ends<'_>> {
        let (mut producer, mut consumer) = self.0.take()?;
        Some(match way {
            Way::OneByOne => Ends::one_by_one(
                move |item| producer.try_push(item).is_ok(),
                move || consumer.try_pop(),
            ),
            Way::Slices => Ends::slices(
                move |items: &[T]| producer.push_slice(items),
                move |items: &mut [T]| consumer.pop_slice(items),
            ),
            Way::InPlace => Ends::in_place(
                move |first| {
                    let (one, two) = producer.vacant_slices_mut();
                    let head = one.len().min(BATCH);
                    let Some(rest) = two.get_mut(..BATCH - head) else {
                        return false;
                    };
                    fill(&mut one[..head], first);
                    fill(rest, first.wrapping_add(head as u64));
                    // SAFETY: this is the producer, and the first so many vacant slots were
                    // written just above.
                    unsafe { producer.advance_write_index(BATCH) };
                    true
                },
                move |first| {
                    let (one, two) = consumer.as_slices();
                    let head = one.len().min(BATCH);
                    let rest = two.get(..BATCH - head)?;
                    let second = first.wrapping_add(head as u64);
                    let wrong = difference(&one[..head], first) | difference(rest, second);
                    consumer.skip(BATCH);
                    Some(wrong)
                },
            ),
            Way::Chunks => return None,
        })
    }
}

struct Gil<T>(Option<(gil::spsc::Sender<T>, gil::spsc::Receiver<T>)>);

fn gil<T: Item>(capacity: usize) -> Result<Box<dyn Queue>, Trouble> {
    let capacity = NonZeroUsize::new(capacity)
        .ok_or_else(|| Trouble::NotRun("a queue of gil holds at least one item".to_owned()))?;
    Ok(Box::new(Gil(Some(gil::spsc::channel::<T>(capacity)))))
}

impl<T: Item> Queue for Gil<T> {
    fn ends(&mut self, way: Way) -> Option<Ends<'_>> {
        let (mut sender, mut receiver) = self.0.take()?;
        Some(match way {
            Way::OneByOne => Ends::one_by_one(
                move |item| sender.try_send(item).is_ok(),
                move || receiver.try_recv(),
            ),
            Way::Slices => Ends::slices(
                move |items: &[T]| {
                    let room = sender.write_buffer();
                    let count = items.len().min(room.len());
                    room[..count].write_copy_of_slice(&items[..count]);
                    // SAFETY: the buffer just given is at least that long, and the items were
                    // written just above.
                    unsafe { sender.commit(count) };
                    count
                },
                move |items: &mut [T]| {
                    let mut there = receiver.read_guard();
                    let count = items.len().min(there.len());
                    items[..count].copy_from_slice(&there.as_slice()[..count]);
                    there.advance(count);
                    count
                },
            ),
            // Its buffers are as long as there is room up to the end of the memory: at least a
            // batch wherever there is one, as batches divide the memory.
            Way::InPlace => Ends::in_place(
                move |first| {
                    let Some(room) = sender.write_buffer().get_mut(..BATCH) else {
                        return false;
                    };
                    fill(room, first);
                    // SAFETY: the buffer just given is at least that long, and the items were
                    // written just above.
                    unsafe { sender.commit(BATCH) };
                    true
                },
                move |first| {
                    let mut there = receiver.read_guard();
                    let wrong = difference(there.as_slice().get(..BATCH)?, first);
                    there.advance(BATCH);
                    Some(wrong)
                },
            ),
            Way::Chunks => return None,
        })
    }
}

struct Heapless<T, const N: usize>(Box<heapless::spsc::Queue<T, N>>);

/// A queue of heapless holds one item less than its type says; another size than a power of two
/// would make it slower.
fn heapless<T: Item, const N: usize>() -> Result<Box<dyn Queue>, Trouble> {
    // It is made on the stack before it is on the heap, and may be larger than that of most threads.
    let making = thread::Builder::new()
        .stack_size(4 * size_of::<heapless::spsc::Queue<T, N>>() + (1 << 20))
        .spawn(|| Box::new(heapless::spsc::Queue::<T, N>::new()))
        .map_err(Trouble::of("no thread could be started"))?;
    let queue = (making.join())
        .map_err(|_| Trouble::NotRun("a queue of heapless could not be made".to_owned()))?;
    Ok(Box::new(Heapless(queue)))
}

impl<T: Item, const N: usize> Queue for Heapless<T, N> {
    fn ends(&mut self, way: Way) -> Option<Ends<'_>> {
        let (mut producer, mut consumer) = self.0.split();
        let push = move |item| producer.enqueue(item).is_ok();
        (way == Way::OneByOne).then(|| Ends::one_by_one(push, move || consumer.dequeue()))
    }
}

struct Array<T>(ArrayQueue<T>);

impl<T: Item> Queue for Array<T> {
    fn ends(&mut self, way: Way) -> Option<Ends<'_>> {
        let queue = &self.0;
        (way == Way::OneByOne)
            .then(|| Ends::one_by_one(move |item| queue.push(item).is_ok(), move || queue.pop()))
    }
}

struct Channel<T>(Option<(crossbeam_channel::Sender<T>, crossbeam_channel::Receiver<T>)>);

impl<T: Item> Queue for Channel<T> {
    fn ends(&mut self, way: Way) -> Option<Ends<'_>> {
        let (sender, receiver) = self.0.take()?;
        let push = move |item| sender.try_send(item).is_ok();
        (way == Way::OneByOne).then(|| Ends::one_by_one(push, move || receiver.try_recv().ok()))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::rings::{CAPACITIES, WAYS};

    /// Streams through every queue in every way that it has, between two threads.
    fn stream<T: Item>() {
        for peer in all::<T>() {
            let mut used = 0;
            let sizes = CAPACITIES.iter();
            for (capacity, way) in sizes.flat_map(|size| WAYS.map(|way| (*size, way))) {
                let mut queue = (peer.make)(capacity).unwrap();
                let Some(Ends {
                    mut sender,
                    mut receiver,
                }) = queue.ends(way)
                else {
                    continue;
                };
                used += 1;
                let count = 2 * capacity as u64 + 64;
                thread::scope(|scope| {
                    let sending = scope.spawn(move || sender(9, count));
                    let received = receiver(9, count);
                    assert_eq!(received, Ok(()), "{}, {way:?}, {capacity}", peer.name);
                    assert_eq!(sending.join().unwrap(), Ok(()));
                });
            }
            assert!(used >= CAPACITIES.len(), "{} was not used", peer.name);
        }
    }

    #[test]
    fn every_queue_transfers_every_item_in_order() {
        stream::<u64>();
        stream::<[u64; 8]>();
    }

    #[test]
    fn no_queue_takes_more_items_than_it_may() {
        for peer in all::<u64>() {
            let mut queue = (peer.make)(1024).unwrap();
            let mut ends = queue.ends(Way::OneByOne).unwrap();
            // heapless has one slot that it never uses.
            let room = if peer.name == "heapless" { 1023 } else { 1024 };
            assert_eq!((ends.sender)(0, room), Ok(()), "{}", peer.name);
            assert_eq!((ends.receiver)(0, room), Ok(()), "{}", peer.name);
        }
    }
}
