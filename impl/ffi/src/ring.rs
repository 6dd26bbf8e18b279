//! The two ends of a ring.

use std::ffi::c_void;

use ringproof::PushError;
use ringproof::untyped::{Consumer, Producer};

use crate::arguments::{exclusive, items, needed, room, shared};
use crate::failure::{Failure, promised, ringproof_lib_error, ringproof_lib_status};
use crate::segment::{give_back, handed_over, ringproof_lib_segment, usable, usable_mut};

/// Items that lie one after the other in the segment.
#[repr(C)]
pub struct ringproof_lib_run {
    /// The first byte of the first.
    pub items: *mut c_void,
    /// How many.
    pub len: usize,
}

/// Items in place. A chunk that goes on at the beginning of memory has two runs.
#[repr(C)]
pub struct ringproof_lib_chunk {
    /// The sequence number of the first item.
    pub position: u64,
    /// How many items both runs have.
    pub len: usize,
    /// The older items.
    pub first: ringproof_lib_run,
    /// The younger ones, if any.
    pub second: ringproof_lib_run,
}

impl ringproof_lib_chunk {
    fn of(position: u64, runs: [*mut [u8]; 2], size: usize) -> ringproof_lib_chunk {
        let [first, second] = runs.map(|run| ringproof_lib_run {
            items: run.cast(),
            len: run.len() / size,
        });
        ringproof_lib_chunk {
            position,
            len: first.len + second.len,
            first,
            second,
        }
    }
}

/// What is known of an end of a ring and its other side.
#[repr(C)]
pub struct ringproof_lib_end_state {
    /// The sequence number of its next item.
    pub position: u64,
    /// How many items may be live at once.
    pub capacity: u64,
    /// How many are live now.
    pub occupancy: u64,
    /// How many times its role was taken, this time included.
    pub epoch: u64,
    /// Whether the ring was closed from this side.
    pub closed: bool,
    /// Whether anybody holds the role of the other side. Asked before the occupancy: what a peer did
    /// that is not present any more is counted there.
    pub peer_present: bool,
}

/// The state of either end: they have the same methods, and no trait.
macro_rules! state_of {
    ($end:ident) => {{
        // First: what an absent peer did is then counted below.
        let peer_present = $end.peer_present()?;
        ringproof_lib_end_state {
            position: $end.position(),
            capacity: $end.capacity(),
            occupancy: $end.occupancy()?,
            epoch: $end.epoch(),
            closed: $end.is_closed(),
            peer_present,
        }
    }};
}

/// The sending end of a ring.
pub struct ringproof_lib_producer {
    pub(crate) end: Producer,
    /// How many slots were reserved in place, until the next call that changes the ring.
    reserved: usize,
}

/// The receiving end of a ring.
pub struct ringproof_lib_consumer {
    pub(crate) end: Consumer,
    /// How many items were shown in place, until the next call that changes the ring.
    peeked: usize,
}

macro_rules! anew {
    ($($handle:ident: $end:ident, $shown:ident;)*) => {
        $(impl $handle {
            /// The end, for a call that changes the ring: what was shown in place is taken back.
            fn anew(&mut self) -> Result<&mut $end, Failure> {
                self.$shown = 0;
                usable_mut(&mut self.end)
            }
        })*
    };
}

anew! {
    ringproof_lib_producer: Producer, reserved;
    ringproof_lib_consumer: Consumer, peeked;
}

/// Whether `count` items of what was shown, of `len`, may be handed over: not in a ring that is closed by
/// now, nor more than there are.
fn within(count: usize, len: usize, is_closed: bool) -> Result<(), Failure> {
    if is_closed {
        return Err(PushError::Closed.into());
    }
    if count > len {
        return Err(ringproof::OutOfChunk { asked: count, len }.into());
    }
    Ok(())
}

/// Takes the producer's role, where its last holder left the ring. Not for a child that is
/// forked later: see `ringproof_lib_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_producer_open(
    segment: *const ringproof_lib_segment,
    producer: *mut *mut ringproof_lib_producer,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    handed_over!(error, producer, {
        Ok(ringproof_lib_producer {
            end: shared(segment, "segment")?.structure.producer()?,
            reserved: 0,
        })
    })
}

/// Gives the role back; null is none. The ring stays open: a successor may go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_producer_drop(producer: *mut ringproof_lib_producer) {
    // SAFETY: the caller's promises.
    unsafe { give_back(producer) };
}

/// Appends an item, visible to the consumer when the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_push(
    producer: *mut ringproof_lib_producer,
    item: *const c_void,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let producer = exclusive(producer, "producer")?;
        let item = items(item, 1, producer.end.size(), "item")?;
        Ok(producer.anew()?.push(item)?)
    })
}

/// Appends as many of the `count` items as fit, in one commit, and says how many: at least one
/// unless `count` is 0. None, where it fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_push_slice(
    producer: *mut ringproof_lib_producer,
    from: *const c_void,
    count: usize,
    pushed: *mut usize,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let pushed = needed(pushed, "pushed")?;
        pushed.write(0);
        let producer = exclusive(producer, "producer")?;
        let from = items(from, count, producer.end.size(), "from")?;
        pushed.write(producer.anew()?.push_slice(from)?);
        Ok(())
    })
}

/// Shows up to `count` free slots, at least one unless `count` is 0, to be written in place and
/// committed by `ringproof_lib_commit`. Another call to push or reserve takes them back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_reserve(
    producer: *mut ringproof_lib_producer,
    count: usize,
    chunk: *mut ringproof_lib_chunk,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let chunk = needed(chunk, "chunk")?;
        let producer = exclusive(producer, "producer")?;
        let size = producer.end.size();
        let mut reserved = producer.anew()?.reserve(count)?;
        let len = reserved.len();
        let runs = reserved.as_mut_ptrs();
        chunk.write(ringproof_lib_chunk::of(reserved.position(), runs, size));
        producer.reserved = len;
        Ok(())
    })
}

/// Makes the first `count` items of what was reserved visible to the consumer, all at once; the
/// other slots are taken back. `RINGPROOF_LIB_CLOSED` if this side closed the ring meanwhile, and else
/// `RINGPROOF_LIB_OUT_OF_CHUNK` if not so many are reserved. It is never `RINGPROOF_LIB_PEER_CLOSED`: what was
/// reserved can be committed also when the consumer has closed the ring, until this side learns of it
/// (`ringproof_lib_producer_is_peer_closed`), from when on nothing is reserved.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_commit(
    producer: *mut ringproof_lib_producer,
    count: usize,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let producer = exclusive(producer, "producer")?;
        within(count, producer.reserved, producer.end.is_closed())?;
        // The same slots: they are known to be free.
        Ok(producer.anew()?.reserve(count)?.commit(count)?)
    })
}

/// Closes the ring, for good: the consumer takes what was committed and then sees the end. What is
/// reserved and not committed is taken back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_producer_close(
    producer: *mut ringproof_lib_producer,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        exclusive(producer, "producer")?.anew()?.close();
        Ok(())
    })
}

/// Whether the consumer closed the ring; a push reports it at the latest when the ring is full. What
/// was reserved is taken back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_producer_is_peer_closed(
    producer: *mut ringproof_lib_producer,
    closed: *mut bool,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let closed = needed(closed, "closed")?;
        let producer = exclusive(producer, "producer")?;
        closed.write(producer.anew()?.is_peer_closed()?);
        Ok(())
    })
}

/// The sequence number of the next item: how many were committed, by this producer and those
/// before it. 0 for null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_producer_position(
    producer: *const ringproof_lib_producer,
) -> u64 {
    // SAFETY: the caller's promises.
    let producer = unsafe { producer.as_ref() };
    producer.map_or(0, |producer| producer.end.position())
}

/// What is known of the producer and its consumer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_producer_state(
    producer: *const ringproof_lib_producer,
    state: *mut ringproof_lib_end_state,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let state = needed(state, "state")?;
        let end = usable(&shared(producer, "producer")?.end)?;
        state.write(state_of!(end));
        Ok(())
    })
}

/// Takes the consumer's role, where its last holder left the ring. Not for a child that is
/// forked later: see `ringproof_lib_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_consumer_open(
    segment: *const ringproof_lib_segment,
    consumer: *mut *mut ringproof_lib_consumer,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    handed_over!(error, consumer, {
        Ok(ringproof_lib_consumer {
            end: shared(segment, "segment")?.structure.consumer()?,
            peeked: 0,
        })
    })
}

/// Gives the role back; null is none. The ring stays open: a successor may go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_consumer_drop(consumer: *mut ringproof_lib_consumer) {
    // SAFETY: the caller's promises.
    unsafe { give_back(consumer) };
}

/// Takes the oldest item. It is released when the call returns: a consumer that must not lose it
/// to its own crash uses `ringproof_lib_peek`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_pop(
    consumer: *mut ringproof_lib_consumer,
    item: *mut c_void,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let consumer = exclusive(consumer, "consumer")?;
        let item = room(item, 1, consumer.end.size(), "item")?;
        Ok(consumer.anew()?.pop(item)?)
    })
}

/// Takes as many of the oldest items as there are, `count` at most, in one release, and says how
/// many: at least one unless `count` is 0. None, where it fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_pop_slice(
    consumer: *mut ringproof_lib_consumer,
    to: *mut c_void,
    count: usize,
    popped: *mut usize,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let popped = needed(popped, "popped")?;
        popped.write(0);
        let consumer = exclusive(consumer, "consumer")?;
        let to = room(to, count, consumer.end.size(), "to")?;
        popped.write(consumer.anew()?.pop_slice(to)?);
        Ok(())
    })
}

/// Shows up to `count` of the oldest items in place, at least one unless `count` is 0, until
/// `ringproof_lib_release`. A process that breaks the protocol may change them meanwhile: copy an item before
/// you check it, or pop it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_peek(
    consumer: *mut ringproof_lib_consumer,
    count: usize,
    chunk: *mut ringproof_lib_chunk,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let chunk = needed(chunk, "chunk")?;
        let consumer = exclusive(consumer, "consumer")?;
        let size = consumer.end.size();
        let peeked = consumer.anew()?.peek(count)?;
        let len = peeked.len();
        let runs = peeked.as_ptrs().map(<*const [u8]>::cast_mut);
        chunk.write(ringproof_lib_chunk::of(peeked.position(), runs, size));
        consumer.peeked = len;
        Ok(())
    })
}

/// Gives the slots of the first `count` items that were peeked at back to the producer. The others
/// stay in the ring, to be peeked at anew. `RINGPROOF_LIB_CLOSED` if this side closed the ring meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_release(
    consumer: *mut ringproof_lib_consumer,
    count: usize,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let consumer = exclusive(consumer, "consumer")?;
        within(count, consumer.peeked, consumer.end.is_closed())?;
        // The same items: they are known to be there.
        Ok(consumer.anew()?.peek(count)?.release(count)?)
    })
}

/// Closes the ring, for good: the producer learns that no more items are taken, at the latest
/// when the ring is full. What was peeked at and not released stays in the ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_consumer_close(
    consumer: *mut ringproof_lib_consumer,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        exclusive(consumer, "consumer")?.anew()?.close();
        Ok(())
    })
}

/// The sequence number of the next item: how many were released, by this consumer and those
/// before it. 0 for null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_consumer_position(
    consumer: *const ringproof_lib_consumer,
) -> u64 {
    // SAFETY: the caller's promises.
    let consumer = unsafe { consumer.as_ref() };
    consumer.map_or(0, |consumer| consumer.end.position())
}

/// What is known of the consumer and its producer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_consumer_state(
    consumer: *const ringproof_lib_consumer,
    state: *mut ringproof_lib_end_state,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let state = needed(state, "state")?;
        let end = usable(&shared(consumer, "consumer")?.end)?;
        state.write(state_of!(end));
        Ok(())
    })
}
