//! The ring: one producer, one consumer, items in order, none lost.
//!
//! # The algorithm
//!
//! Two indices count items since the ring was created: `write_index` says how many were
//! committed, `read_index` how many were released. Each is stored by one side only and loaded
//! by the other. The item at position `p` lies in slot `p & (slots − 1)`.
//!
//! ```text
//!          read_index                write_index       read_index + capacity
//!               │                         │                   │
//!   … released  │  committed, the         │  free, the        │  …
//!               │  consumer's to read     │  producer's       │
//!               │                         │  to write         │
//! ```
//!
//! *Invariant:* `0 ≤ write_index − read_index ≤ capacity ≤ slots`. A slot therefore belongs to
//! exactly one side at any time, and changes hands at a `Release` store of an index that the
//! other side loads with `Acquire`: that is what makes plain accesses to it race-free.
//!
//! Each side keeps its *own* index in a private field (nobody else stores it, so it need never
//! be loaded again) and a private, stale copy of the *other* side's, refreshed only when the
//! stale one says full or empty: most operations touch no line that the other side writes.
//! This is Lamport's single-producer single-consumer queue (1983) with the cached indices of
//! Giacomoni's FastForward and Lee's MCRingBuffer line of work.
//!
//! # Positions
//!
//! Positions are sequence numbers: they start at zero, never go back and are the same for both
//! sides. They end at [`LAST`], 2^63 − 1: after 292 years at a thousand million items a second a
//! ring closes itself.
//!
//! # Closing
//!
//! Either side may close the ring, for good, by storing its index once more with the bit
//! [`CLOSED`] beside it: in `write_index` it says that none will come, in `read_index` that none
//! will be taken. Who sees the close sees with it where the index stands, so nothing can come in
//! between. The consumer takes what was committed before it is told of the end. The producer is
//! told of the stop when it next looks at the consumer's index, at the latest when the ring looks
//! full: at most `capacity` items are never taken. It can ask earlier.
//!
//! A side that closed the ring is told that, whatever the other one did. Dropping an end closes
//! nothing, just as a crash does not: a successor may go on.
//!
//! # Crashes
//!
//! A push or pop cut off by a crash took effect before it or never will. A successor loads the
//! index that its predecessor last stored and goes on from there. An item read with
//! [`Consumer::peek`] stays until [`ReadChunk::release`], so a consumer that processes before
//! it releases gets each item at least once, with the position to tell repetitions.
//!
//! # Threads
//!
//! An end is [`Send`] and [`Sync`] where its memory and what it keeps are, as those of a
//! [`Ring`](crate::Ring) are: it may go to another thread at any time, between two operations. It cannot
//! be cloned, and what moves an index takes `&mut`, so that there is still one producer and one
//! consumer.
//!
//! ```
//! use std::sync::Arc;
//!
//! use ringproof::memory::Native;
//! use ringproof::ring::Producer;
//!
//! fn goes_to_a_thread<T: Send + Sync>() {}
//! goes_to_a_thread::<Producer<u64, Native, Arc<str>>>();
//! ```
//!
//! With what must stay in its thread this does not compile:
//!
//! ```compile_fail
//! use std::rc::Rc;
//!
//! use ringproof::memory::Native;
//! use ringproof::ring::Producer;
//!
//! fn goes_to_a_thread<T: Send + Sync>() {}
//! goes_to_a_thread::<Producer<u64, Native, Rc<str>>>();
//! ```
//!
//! # A peer that cannot be trusted
//!
//! An index that the peer stores is checked at every load against the invariant and against
//! its last known value; what breaks either is a [`Corruption`], never an access outside the
//! slots.

mod chunk;
mod count;
mod exact;
mod iter;
#[cfg(feature = "std")]
mod stream;
#[cfg(feature = "std")]
mod wait;

use core::fmt;

pub(crate) use chunk::within;
pub use chunk::{OutOfChunk, ReadChunk, WriteChunk};
pub use iter::{Drain, Iter};

use crate::memory::{Cells, Memory, Native, WordOf};
use crate::payload::Payload;
use crate::site::{LoadSite, SlotReadSite, SlotWriteSite, StoreSite};
use crate::sleep::{SleepWords, Waker};
use crate::slots::Slots;
use crate::wait::{Pace, Wait};

/// The bit of an index word that says that its side closed the ring.
pub const CLOSED: u64 = 1 << 63;

/// The highest index: a ring that carried as many items is closed.
pub const LAST: u64 = CLOSED - 1;

/// The index that an index word holds, and whether its side closed the ring.
#[inline(always)]
pub const fn index_of(word: u64) -> (u64, bool) {
    (word & LAST, word & CLOSED != 0)
}

/// The shared words and slots of a ring, wherever they lie.
pub struct RingParts<'a, C: Cells, T: Payload> {
    /// How many items were committed, and whether the producer [closed](CLOSED) the ring; stored
    /// by the producer only.
    pub write_index: &'a C::Word,
    /// How many items were released, and whether the consumer [closed](CLOSED) the ring; stored
    /// by the consumer only.
    pub read_index: &'a C::Word,
    /// By which the consumer sleeps until there are items.
    pub for_items: SleepWords<'a, C>,
    /// By which the producer sleeps until there is room.
    pub for_room: SleepWords<'a, C>,
    /// The memory cycled through.
    pub slots: Slots<'a, C, T>,
    /// How many items may be live at once: from 1 to the number of slots. A value outside is
    /// brought to the nearest inside.
    pub capacity: u64,
}

impl<C: Cells, T: Payload> Clone for RingParts<'_, C, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: Cells, T: Payload> Copy for RingParts<'_, C, T> {}

/// A shared word held what no correct peer can have stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "corrupt ring: {word} is {found}, but must be from {lowest} to {highest}; \
     the peer or another process wrote over it, the ring cannot be used any further"
)]
pub struct Corruption {
    /// The word.
    pub word: &'static str,
    /// What it held.
    pub found: u64,
    /// The lowest index it could have held.
    pub lowest: u64,
    /// The highest index it could have held.
    pub highest: u64,
}

/// How many items are worth preparing, or expecting, at a time: at least one.
const fn ahead<T: Payload, M: Memory>() -> u64 {
    match (M::AHEAD as u64).checked_div(size_of::<T>() as u64) {
        Some(0) => 1,
        Some(count) => count,
        None => u64::MAX,
    }
}

/// Why nothing was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// `capacity` items are live, or so many that there is no room for all of
    /// [`reserve_exact`](Producer::reserve_exact): the consumer has to release some first.
    #[error("the ring is full")]
    Full,
    /// This producer, or one before it, closed the ring; or [`LAST`] items went through it.
    #[error("the ring was closed from this side")]
    Closed,
    /// The consumer closed the ring: it takes no more items. [`Producer::occupancy`] says how
    /// many it did not take.
    #[error("the ring was closed by its consumer, which takes no more items")]
    PeerClosed,
    /// More than there can ever be room for at once. Only [`Producer::reserve_exact`] says so.
    #[error("{asked} slots asked for at once, and there can be {most} at most; ask for fewer")]
    TooMany {
        /// How many were asked for.
        asked: usize,
        /// How many there can be: the ring's capacity, less where its [`LAST`] position is nearer.
        most: u64,
    },
    /// A word that the consumer stores broke the ring's invariant.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
}

/// Why nothing was popped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PopError {
    /// Every committed item was released, or there are not enough for all of
    /// [`peek_exact`](Consumer::peek_exact); more may come.
    #[error("the ring is empty")]
    Empty,
    /// This consumer, or one before it, closed the ring.
    #[error("the ring was closed from this side")]
    Closed,
    /// The producer closed the ring, and every item was released: none will come.
    #[error("the ring was closed by its producer, and every item was taken")]
    PeerClosed,
    /// More than there can ever be at once. Only [`Consumer::peek_exact`] says so.
    #[error("{asked} items asked for at once, and there can be {most} at most; ask for fewer")]
    TooMany {
        /// How many were asked for.
        asked: usize,
        /// How many there can be: the ring's capacity, less where its [`LAST`] position is nearer; of
        /// a ring that its producer closed, what is left in it.
        most: u64,
    },
    /// A word that the producer stores broke the ring's invariant.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
}

/// The sending end of a ring. [`Send`] and [`Sync`] where its memory and what it keeps are: see
/// [Threads](self#threads).
pub struct Producer<'a, T: Payload, M: Memory = Native, K = ()> {
    memory: M,
    slots: Slots<'a, M::Cells, T>,
    capacity: u64,
    write_word: &'a WordOf<M>,
    read_word: &'a WordOf<M>,
    /// This side's own index: the authority, of which the shared word is a copy. Invariant: it is
    /// at most [`LAST`], and so is `write_index + free()`.
    write_index: u64,
    /// The other side's index as last seen, or one below it. Invariant: `write_index − capacity ≤
    /// cached_read_index ≤ read_index ≤ write_index`, in wrapping arithmetic; once the ring is
    /// known to be closed, by whichever side, it is kept at the lower bound ("full"), so that the
    /// hot path need not ask.
    cached_read_index: u64,
    /// Below this position a push asks for nothing. Invariant: it is at most `write_index + free()`, or
    /// `write_index` has passed it.
    granted: u64,
    closed: bool,
    /// Whether the consumer was seen to have closed the ring.
    peer_closed: bool,
    /// Wakes a consumer that sleeps until there are items.
    waker: Waker<'a, M>,
    sleep: SleepWords<'a, M::Cells>,
    pub(crate) wait: Wait,
    pace: Pace,
    /// Last, so that it goes last.
    pub(crate) keep: K,
}

impl<'a, T: Payload, M: Memory, K> Producer<'a, T, M, K> {
    /// Takes up the producer's side where the last producer left it.
    ///
    /// `keep` is what it keeps for its life, and gives back last: what makes it the only one, or
    /// what the parts lie in. `()` where something else sees to both.
    ///
    /// # Safety
    /// - No other producer of this ring is alive, and what the last one did happened before this
    ///   call. (The claim of the producer's role assures both, if it is kept.)
    /// - Both ends are made of the same words, slots and capacity; the two words are distinct,
    ///   and nothing in this process but the ring's endpoints stores to them.
    /// - `memory` makes the accesses that it is told to make; one that lies about an index is
    ///   for one thread alone.
    pub unsafe fn new(parts: RingParts<'a, M::Cells, T>, memory: M, keep: K) -> Self {
        // Relaxed: the role lock, not a partner site, orders this after the predecessor.
        let (write_index, closed) =
            index_of(memory.load(parts.write_index, LoadSite::RingResumeWrite));
        let capacity = parts.capacity.clamp(1, parts.slots.count());
        Producer {
            waker: Waker::new(parts.for_items, &memory),
            sleep: parts.for_room,
            memory,
            slots: parts.slots,
            capacity,
            write_word: parts.write_index,
            read_word: parts.read_index,
            write_index,
            // "Full": the first push looks for itself.
            cached_read_index: write_index.wrapping_sub(capacity),
            granted: write_index,
            closed,
            peer_closed: false,
            wait: Wait::default(),
            pace: Pace::new(),
            keep,
        }
    }

    /// Appends `value`, visible to the consumer when the call returns.
    ///
    /// # Errors
    /// [`PushError`]; the ring is as it was.
    ///
    /// ```
    /// use ringproof::{PopError, PushError, Ring, RingOptions};
    ///
    /// let ring = Ring::<u64>::anonymous(&RingOptions::new(2))?;
    /// let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// producer.push(1)?;
    /// producer.push(2)?;
    /// assert_eq!(producer.push(3), Err(PushError::Full));
    /// assert_eq!(consumer.pop(), Ok(1));
    /// producer.close();
    /// assert_eq!(consumer.pop(), Ok(2));
    /// assert_eq!(consumer.pop(), Err(PopError::PeerClosed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn push(&mut self, value: T) -> Result<(), PushError> {
        if self.write_index >= self.granted {
            self.grant()?;
        }
        let slot = self.slots.at(self.write_index);
        // SAFETY: the ring's invariant: the slot at `write_index` is free, hence this side's.
        unsafe {
            (self.memory).write_slots(slot, &[value], SlotWriteSite::RingFill);
        }
        self.publish(1);
        Ok(())
    }

    /// Appends as many items from the front of `values` as fit, in one commit, and says how
    /// many. Zero only if `values` is empty.
    ///
    /// # Errors
    /// [`PushError`] if not even one fits; the ring is as it was.
    pub fn push_slice(&mut self, values: &[T]) -> Result<usize, PushError> {
        let mut chunk = self.reserve(values.len())?;
        let count = chunk.len();
        chunk.fill(0, &values[..count]);
        chunk.commit_all();
        Ok(count)
    }

    /// Reserves up to `count` free slots, to be written in place and committed together: as
    /// many as there are, at least one unless `count` is zero. Dropping the chunk uncommitted
    /// leaves the ring as it was.
    ///
    /// # Errors
    /// [`PushError`] if not even one slot is free.
    ///
    /// ```
    /// # use ringproof::{Ring, RingOptions};
    /// # let ring = Ring::<u64>::anonymous(&RingOptions::new(8))?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// let mut chunk = producer.reserve(3)?;
    /// chunk.copy_from_slice(0, &[1, 2])?;
    /// chunk.set(2, 3)?;
    /// chunk.commit(3)?;
    /// assert_eq!(consumer.peek(8)?.len(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reserve(&mut self, count: usize) -> Result<WriteChunk<'_, 'a, T, M, K>, PushError> {
        if self.free() < count as u64 {
            match self.reclaim() {
                // Some are free, if fewer than asked for.
                Err(PushError::Full) if self.free() > 0 => {}
                outcome => outcome?,
            }
        }
        let len = self.free().min(count as u64) as usize;
        Ok(WriteChunk {
            producer: self,
            len,
        })
    }

    /// Closes the ring: the consumer will take what was committed and then see the end. It
    /// cannot be opened again. (Dropping a producer closes nothing, just as a crash does not:
    /// a successor may go on.)
    pub fn close(&mut self) {
        if !self.closed {
            // Release: pairs with RingObserve; what was published above is seen with it.
            let end = self.write_index | CLOSED;
            (self.memory).store(self.write_word, end, StoreSite::RingEnd);
            self.wake_if_asked();
            self.closed = true;
            self.look_full();
        }
    }

    /// Whether the ring was closed from this side, by this producer or one before it.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether the consumer closed the ring. A producer that meets no full ring for long may ask
    /// here to learn it earlier; once this has said so, a push says [`PushError::PeerClosed`] and
    /// [`occupancy`](Self::occupancy) stays what it is.
    ///
    /// # Errors
    /// [`Corruption`] if what the consumer stored breaks the ring's invariant.
    ///
    /// ```
    /// # use ringproof::{PopError, PushError, Ring, RingOptions};
    /// # let ring = Ring::<u64>::anonymous(&RingOptions::new(8))?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// producer.push_slice(&[1, 2, 3])?;
    /// assert_eq!(consumer.pop(), Ok(1));
    /// consumer.close();
    /// assert_eq!(consumer.pop(), Err(PopError::Closed));
    /// assert!(producer.is_peer_closed()?);
    /// assert_eq!(producer.push(4), Err(PushError::PeerClosed));
    /// assert_eq!(producer.occupancy(), Ok(2)); // never taken
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_peer_closed(&mut self) -> Result<bool, Corruption> {
        if !self.peer_closed {
            self.look()?;
        }
        Ok(self.peer_closed)
    }

    /// The sequence number of the next item: how many were committed since the ring was made,
    /// by this producer and those before it.
    pub fn position(&self) -> u64 {
        self.write_index
    }

    /// How many items may be live at once.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// How many items are live now. The consumer may have released some by the time the
    /// caller looks at the number.
    ///
    /// # Errors
    /// [`Corruption`] if the consumer's index is out of bounds.
    pub fn occupancy(&self) -> Result<u64, Corruption> {
        let (read_index, _) = self.observe_read_index()?;
        Ok(self.write_index.wrapping_sub(read_index))
    }

    /// How many slots are free as far as this side knows.
    #[inline(always)]
    fn free(&self) -> u64 {
        let live = self.write_index.wrapping_sub(self.cached_read_index);
        self.capacity - live
    }

    /// Stores the new index.
    #[inline(always)]
    fn publish(&mut self, count: u64) {
        self.write_index = self.write_index.wrapping_add(count);
        // Release: pairs with RingObserve; publishes the slots written above.
        (self.memory).store(self.write_word, self.write_index, StoreSite::RingPublish);
        self.wake_if_asked();
    }

    /// Wakes the other side if it sleeps, or is about to.
    #[inline(always)]
    fn wake_if_asked(&mut self) {
        if let Some(asks) = self.waker.asked(&self.memory) {
            self.wake(asks);
        }
    }

    #[cold]
    #[inline(never)]
    fn wake(&mut self, asks: u64) {
        self.waker.handle(&self.memory, asks);
    }

    /// Prepares for a next batch of the same size, as far as slots are known to be free: one that
    /// the consumer has yet to read must not be drawn away from it.
    #[inline(always)]
    fn prepare(&self, count: usize) {
        let count = self.free().min(count as u64) as usize;
        // A batch that goes on at the beginning of memory is prepared up to its end only.
        let (slots, _) = self.slots.runs(self.write_index, count);
        self.memory.prepare_slots(slots);
    }

    /// Makes every push ask `reclaim`, from here on.
    fn look_full(&mut self) {
        self.cached_read_index = self.write_index.wrapping_sub(self.capacity);
        self.granted = self.write_index;
    }

    /// Grants the next pushes some of the slots that are known to be free, no more than are worth preparing
    /// together: their lines are asked for at once, and one by one each would cost its whole way. Looks for
    /// free slots if none is known.
    #[cold]
    #[inline(never)]
    fn grant(&mut self) -> Result<(), PushError> {
        if self.free() == 0 {
            self.reclaim()?;
        }
        let count = self.free().min(ahead::<T, M>());
        self.prepare(count as usize);
        self.granted = self.write_index + count;
        Ok(())
    }

    /// Looks how far the consumer came; an error if nothing was gained or can be.
    #[cold]
    #[inline(never)]
    fn reclaim(&mut self) -> Result<(), PushError> {
        if self.closed {
            return Err(PushError::Closed);
        }
        if self.peer_closed {
            return Err(PushError::PeerClosed);
        }
        if self.write_index == LAST {
            self.close();
            return Err(PushError::Closed);
        }
        let before = self.cached_read_index;
        self.look()?;
        if self.peer_closed {
            return Err(PushError::PeerClosed);
        }
        if self.cached_read_index == before {
            return Err(PushError::Full);
        }
        Ok(())
    }

    /// What the consumer's word held when it was looked at last, of a ring that is full.
    #[cfg(feature = "std")]
    pub(crate) fn seen_index(&self) -> u64 {
        self.cached_read_index
    }

    /// Learns how far the consumer came, and whether it closed the ring.
    fn look(&mut self) -> Result<(), Corruption> {
        let (read_index, peer_closed) = self.observe_read_index()?;
        self.peer_closed = peer_closed;
        if self.closed || peer_closed {
            self.look_full();
        } else {
            // No slot is free for a position behind the last one.
            self.cached_read_index = read_index.min(LAST.wrapping_sub(self.capacity));
        }
        Ok(())
    }

    fn observe_read_index(&self) -> Result<(u64, bool), Corruption> {
        // Acquire: pairs with RingFree and RingStop; the consumer has done with the slots below
        // the index.
        let lowest = self.cached_read_index;
        let found = self.memory.load(self.read_word, LoadSite::RingReclaim);
        let (read_index, peer_closed) = index_of(found);
        if read_index.wrapping_sub(lowest) <= self.write_index.wrapping_sub(lowest) {
            Ok((read_index, peer_closed))
        } else {
            Err(Corruption {
                word: "read_index",
                found,
                lowest,
                highest: self.write_index,
            })
        }
    }
}

impl<T: Payload, M: Memory, K> fmt::Debug for Producer<'_, T, M, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("position", &self.write_index)
            .field("capacity", &self.capacity)
            .field("closed", &self.closed)
            .field("peer_closed", &self.peer_closed)
            .finish_non_exhaustive()
    }
}

/// The receiving end of a ring. [`Send`] and [`Sync`] where its memory and what it keeps are: see
/// [Threads](self#threads).
pub struct Consumer<'a, T: Payload, M: Memory = Native, K = ()> {
    memory: M,
    slots: Slots<'a, M::Cells, T>,
    capacity: u64,
    write_word: &'a WordOf<M>,
    read_word: &'a WordOf<M>,
    /// This side's own index: the authority, of which the shared word is a copy.
    read_index: u64,
    /// The other side's index as last seen. Invariant: `read_index ≤ cached_write_index ≤
    /// write_index ≤ read_index + capacity`, in wrapping arithmetic; once this side has closed
    /// the ring it is kept at the lower bound ("empty"), so that the hot path need not ask.
    cached_write_index: u64,
    /// Below this position a pop asks for nothing. Invariant: it is at most `cached_write_index`, or
    /// `read_index` has passed it.
    granted: u64,
    closed: bool,
    /// Wakes a producer that sleeps until there is room.
    waker: Waker<'a, M>,
    sleep: SleepWords<'a, M::Cells>,
    pub(crate) wait: Wait,
    pace: Pace,
    /// Last, so that it goes last.
    pub(crate) keep: K,
}

impl<'a, T: Payload, M: Memory, K> Consumer<'a, T, M, K> {
    /// Takes up the consumer's side where the last consumer left it.
    ///
    /// `keep` is what it keeps for its life, and gives back last: what makes it the only one, or
    /// what the parts lie in. `()` where something else sees to both.
    ///
    /// # Safety
    /// - No other consumer of this ring is alive, and what the last one did happened before this
    ///   call. (The claim of the consumer's role assures both, if it is kept.)
    /// - Both ends are made of the same words, slots and capacity; the two words are distinct,
    ///   and nothing in this process but the ring's endpoints stores to them.
    /// - `memory` makes the accesses that it is told to make; one that lies about an index is
    ///   for one thread alone.
    pub unsafe fn new(parts: RingParts<'a, M::Cells, T>, memory: M, keep: K) -> Self {
        // Relaxed: the role lock, not a partner site, orders this after the predecessor.
        let (read_index, closed) =
            index_of(memory.load(parts.read_index, LoadSite::RingResumeRead));
        Consumer {
            waker: Waker::new(parts.for_room, &memory),
            sleep: parts.for_items,
            memory,
            slots: parts.slots,
            capacity: parts.capacity.clamp(1, parts.slots.count()),
            write_word: parts.write_index,
            read_word: parts.read_index,
            read_index,
            // "Empty": the first pop looks for itself.
            cached_write_index: read_index,
            granted: read_index,
            closed,
            wait: Wait::default(),
            pace: Pace::new(),
            keep,
        }
    }

    /// Takes the oldest item. It is released when the call returns: a consumer that must not
    /// lose it to its own crash uses [`peek`](Self::peek).
    ///
    /// # Errors
    /// [`PopError`]; the ring is as it was.
    #[inline]
    pub fn pop(&mut self) -> Result<T, PopError> {
        if self.read_index >= self.granted {
            self.grant().map_err(|found| self.refusal(found))?;
        }
        let position = self.read_index;
        let mut value = T::zeroed();
        let slot = self.slots.at(position);
        // SAFETY: the ring's invariant: the slot at `read_index` is committed, so the producer
        // does not touch it before it is released.
        unsafe {
            self.memory.read_slots(
                slot,
                core::slice::from_mut(&mut value),
                SlotReadSite::RingTake,
            );
        }
        self.free(position.wrapping_add(1));
        Ok(value)
    }

    /// Takes as many of the oldest items as there are and `values` holds, in one release, and
    /// says how many. Zero only if `values` is empty.
    ///
    /// # Errors
    /// [`PopError`] if there is not even one; `values` and the ring are as they were.
    pub fn pop_slice(&mut self, values: &mut [T]) -> Result<usize, PopError> {
        let chunk = self.peek(values.len())?;
        let count = chunk.len();
        chunk.take(0, &mut values[..count]);
        chunk.release_all();
        Ok(count)
    }

    /// Looks at up to `count` of the oldest items in place: as many as there are, at least one
    /// unless `count` is zero. Dropping the chunk unreleased leaves the ring as it was.
    ///
    /// # Errors
    /// [`PopError`] if there is not even one.
    ///
    /// ```
    /// # use ringproof::{Ring, RingOptions};
    /// # let ring = Ring::<u64>::anonymous(&RingOptions::new(8))?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// producer.push_slice(&[1, 2, 3])?;
    /// let chunk = consumer.peek(2)?;
    /// assert_eq!((chunk.position(), chunk.get(0), chunk.get(1)), (0, Some(1), Some(2)));
    /// // Process the items here; a crash before the release repeats them, with their positions.
    /// chunk.release(2)?;
    /// assert_eq!(consumer.pop(), Ok(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peek(&mut self, count: usize) -> Result<ReadChunk<'_, 'a, T, M, K>, PopError> {
        if self.available() < count as u64 {
            match self.observe() {
                // Some are there, if fewer than asked for.
                Err(PopError::Empty | PopError::PeerClosed) if self.available() > 0 => {}
                outcome => outcome?,
            }
        }
        let len = self.available().min(count as u64) as usize;
        Ok(ReadChunk {
            consumer: self,
            len,
        })
    }

    /// Closes the ring: this side takes no more items, and the producer is told so at the latest
    /// when the ring is full. What is left in the ring is taken by nobody. It cannot be opened
    /// again. (Dropping a consumer closes nothing, just as a crash does not: a successor may go
    /// on.)
    pub fn close(&mut self) {
        if !self.closed {
            // Release: pairs with RingReclaim; what was done before it is seen with it.
            let stop = self.read_index | CLOSED;
            (self.memory).store(self.read_word, stop, StoreSite::RingStop);
            self.wake_if_asked();
            self.closed = true;
            self.cached_write_index = self.read_index;
            self.granted = self.read_index;
        }
    }

    /// Whether the ring was closed from this side, by this consumer or one before it. (That the
    /// producer closed it a pop tells, after the last item: [`PopError::PeerClosed`].)
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The sequence number of the next item: how many were released since the ring was made,
    /// by this consumer and those before it.
    pub fn position(&self) -> u64 {
        self.read_index
    }

    /// How many items may be live at once.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// How many items are live now. The producer may have committed more by the time the
    /// caller looks at the number.
    ///
    /// # Errors
    /// [`Corruption`] if the producer's index is out of bounds.
    pub fn occupancy(&self) -> Result<u64, Corruption> {
        let (write_index, _) = self.checked(self.find())?;
        Ok(write_index.wrapping_sub(self.read_index))
    }

    /// How many committed items this side knows of.
    #[inline(always)]
    fn available(&self) -> u64 {
        self.cached_write_index.wrapping_sub(self.read_index)
    }

    /// Stores the new index. (It is told, not computed: after the slots are read the compiler
    /// would load the old one again.)
    #[inline(always)]
    fn free(&mut self, read_index: u64) {
        self.read_index = read_index;
        // Release: pairs with RingReclaim; the slots read above may be overwritten from here.
        (self.memory).store(self.read_word, self.read_index, StoreSite::RingFree);
        self.wake_if_asked();
    }

    /// Wakes the other side if it sleeps, or is about to.
    #[inline(always)]
    fn wake_if_asked(&mut self) {
        if let Some(asks) = self.waker.asked(&self.memory) {
            self.wake(asks);
        }
    }

    #[cold]
    #[inline(never)]
    fn wake(&mut self, asks: u64) {
        self.waker.handle(&self.memory, asks);
    }

    /// Grants the next pops some of the items that are known to be there, as [`Producer::grant`] does. The
    /// word that was found if there are none.
    #[cold]
    #[inline(never)]
    fn grant(&mut self) -> Result<(), u64> {
        if self.available() == 0 {
            self.gain()?;
        }
        let count = self.available().min(ahead::<T, M>());
        let (slots, _) = self.slots.runs(self.read_index, count as usize);
        self.memory.expect_slots(slots);
        self.granted = self.read_index + count;
        Ok(())
    }

    /// Looks how far the producer came; an error if nothing was gained or may be taken.
    #[inline(always)]
    fn observe(&mut self) -> Result<(), PopError> {
        self.gain().map_err(|found| self.refusal(found))
    }

    /// Looks how far the producer came; the word that it found if nothing was gained. (A consumer
    /// that waits for every item comes here for every item: what passes through registers is
    /// quicker than an error that passes through memory.)
    #[inline(always)]
    fn gain(&mut self) -> Result<(), u64> {
        let (known, room) = (self.cached_write_index, self.capacity - self.available());
        if self.closed {
            return Err(known);
        }
        // On its way beside the index.
        self.memory.await_slot(self.slots.at(self.read_index));
        let found = self.find();
        let (write_index, _) = index_of(found);
        // The bounds of `checked`, and at least one more than is known.
        if (1..=room).contains(&write_index.wrapping_sub(known)) {
            self.cached_write_index = write_index;
            return Ok(());
        }
        Err(found)
    }

    /// Why `found` in the producer's word is no gain.
    #[cold]
    #[inline(never)]
    fn refusal(&self, found: u64) -> PopError {
        match self.checked(found) {
            _ if self.closed => PopError::Closed,
            Ok((_, true)) => PopError::PeerClosed,
            Ok((_, false)) => PopError::Empty,
            Err(corruption) => PopError::Corrupt(corruption),
        }
    }

    /// What the producer's word held when it was looked at last, of a ring that is empty.
    #[cfg(feature = "std")]
    pub(crate) fn seen_index(&self) -> u64 {
        self.cached_write_index
    }

    /// The producer's word.
    #[inline(always)]
    fn find(&self) -> u64 {
        // Acquire: pairs with RingPublish and RingEnd; the slots below the index hold their items.
        self.memory.load(self.write_word, LoadSite::RingObserve)
    }

    /// The producer's index, and whether it closed the ring, if both are possible.
    fn checked(&self, found: u64) -> Result<(u64, bool), Corruption> {
        let (write_index, peer_closed) = index_of(found);
        let live = write_index.wrapping_sub(self.read_index);
        if self.available() <= live && live <= self.capacity {
            Ok((write_index, peer_closed))
        } else {
            Err(Corruption {
                word: "write_index",
                found,
                lowest: self.cached_write_index,
                highest: self.read_index.wrapping_add(self.capacity).min(LAST),
            })
        }
    }
}

impl<T: Payload, M: Memory, K> fmt::Debug for Consumer<'_, T, M, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("position", &self.read_index)
            .field("capacity", &self.capacity)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
