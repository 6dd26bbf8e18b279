//! What is stepped: one function for each operation, compiled on its own as a C program would
//! call it, over the production types.
//!
//! Generic code has no machine code of its own; what it becomes is decided where it is inlined.
//! These are the inlinings that are judged. Each answers with a number: how many items it moved,
//! or 1 for what is done and 0 for what is refused.

use ringproof::memory::{Memory, Native};
use ringproof::{Claim, Ring, Role, Segment, SeqLatch, SeqLock};

use crate::ends::{Consumer, LatchWriter, Producer, SeqWriter};
use crate::item::Item;

/// How many items a slice or a chunk has.
pub(super) const BATCH: usize = 5;

#[inline(never)]
pub(super) extern "C" fn push<M: Memory<Cells = Native>>(
    producer: &mut Producer<'_, Item, M>,
    item: &Item,
) -> u64 {
    u64::from(producer.push(*item).is_ok())
}

#[inline(never)]
pub(super) extern "C" fn push_slice<M: Memory<Cells = Native>>(
    producer: &mut Producer<'_, Item, M>,
    items: &[Item; BATCH],
) -> u64 {
    producer.push_slice(items).unwrap_or(0) as u64
}

/// Reserves, fills slot by slot and commits.
#[inline(never)]
pub(super) extern "C" fn chunk<M: Memory<Cells = Native>>(
    producer: &mut Producer<'_, Item, M>,
    items: &[Item; BATCH],
) -> u64 {
    let Ok(mut chunk) = producer.reserve(BATCH) else {
        return 0;
    };
    let count = chunk.len();
    for (index, item) in items[..count].iter().enumerate() {
        if chunk.set(index, *item).is_err() {
            return 0;
        }
    }
    chunk.commit_all();
    count as u64
}

#[inline(never)]
pub(super) extern "C" fn close<M: Memory<Cells = Native>>(
    producer: &mut Producer<'_, Item, M>,
) -> u64 {
    producer.close();
    1
}

#[inline(never)]
pub(super) extern "C" fn pop<M: Memory<Cells = Native>>(
    consumer: &mut Consumer<'_, Item, M>,
    item: &mut Item,
) -> u64 {
    match consumer.pop() {
        Ok(found) => {
            *item = found;
            1
        }
        Err(_) => 0,
    }
}

/// Looks at a batch, copies out what is there and releases the first half of it.
#[inline(never)]
pub(super) extern "C" fn peek<M: Memory<Cells = Native>>(
    consumer: &mut Consumer<'_, Item, M>,
    items: &mut [Item; BATCH],
) -> u64 {
    let Ok(chunk) = consumer.peek(BATCH) else {
        return 0;
    };
    let count = chunk.len().div_ceil(2);
    for (index, item) in items[..count].iter_mut().enumerate() {
        match chunk.get(index) {
            Some(found) => *item = found,
            None => return 0,
        }
    }
    match chunk.release(count) {
        Ok(()) => count as u64,
        Err(_) => 0,
    }
}

/// The consumer's close.
#[inline(never)]
pub(super) extern "C" fn stop<M: Memory<Cells = Native>>(
    consumer: &mut Consumer<'_, Item, M>,
) -> u64 {
    consumer.close();
    1
}

#[inline(never)]
pub(super) extern "C" fn write_seqlock<M: Memory<Cells = Native>>(
    writer: &mut SeqWriter<'_, Item, M>,
    item: &Item,
) -> u64 {
    writer.write(item);
    1
}

#[inline(never)]
pub(super) extern "C" fn write_latch<M: Memory<Cells = Native>>(
    writer: &mut LatchWriter<'_, Item, M>,
    item: &Item,
) -> u64 {
    writer.write(item);
    1
}

/// Takes a role and gives it back.
#[inline(never)]
pub(super) extern "C" fn take_over<M: Memory<Cells = Native>>(
    segment: &Segment,
    role: &Role,
    memory: &M,
) -> u64 {
    u64::from(segment.claim_through(memory, *role).is_ok())
}

// What a successor does once it has its role, whose taking is an operation of its own: it learns
// where its predecessor stopped and goes on. Memory and claim are handed over.

#[inline(never)]
pub(super) extern "C" fn succeed_producer<M: Memory<Cells = Native>>(
    ring: &Ring<Item>,
    heir: &mut Option<(M, Claim)>,
    item: &Item,
) -> u64 {
    // SAFETY: the parts go to this producer alone.
    let (Some((memory, claim)), Ok(parts)) = (heir.take(), unsafe { ring.parts() }) else {
        return 0;
    };
    // SAFETY: the producer's role is this process's, by the claim that the producer keeps.
    let mut producer = unsafe { Producer::new(parts, memory, Some(claim)) };
    u64::from(producer.push(*item).is_ok())
}

#[inline(never)]
pub(super) extern "C" fn succeed_consumer<M: Memory<Cells = Native>>(
    ring: &Ring<Item>,
    heir: &mut Option<(M, Claim)>,
    item: &mut Item,
) -> u64 {
    // SAFETY: the parts go to this consumer alone.
    let (Some((memory, claim)), Ok(parts)) = (heir.take(), unsafe { ring.parts() }) else {
        return 0;
    };
    // SAFETY: the consumer's role is this process's, by the claim that the consumer keeps.
    let mut consumer = unsafe { Consumer::new(parts, memory, Some(claim)) };
    match consumer.pop() {
        Ok(found) => {
            *item = found;
            1
        }
        Err(_) => 0,
    }
}

#[inline(never)]
pub(super) extern "C" fn succeed_seqlock<M: Memory<Cells = Native>>(
    lock: &SeqLock<Item>,
    heir: &mut Option<(M, Claim)>,
    item: &Item,
) -> u64 {
    let (Some((memory, claim)), Ok(parts)) = (heir.take(), lock.parts()) else {
        return 0;
    };
    let Some(mut writer) = SeqWriter::new(parts, memory, Some(claim)) else {
        return 0;
    };
    writer.write(item);
    1
}

#[inline(never)]
pub(super) extern "C" fn succeed_latch<M: Memory<Cells = Native>>(
    latch: &SeqLatch<Item>,
    heir: &mut Option<(M, Claim)>,
    item: &Item,
) -> u64 {
    let (Some((memory, claim)), Ok(parts)) = (heir.take(), latch.parts()) else {
        return 0;
    };
    let Some(mut writer) = LatchWriter::new(parts, memory, Some(claim)) else {
        return 0;
    };
    writer.write(item);
    1
}
