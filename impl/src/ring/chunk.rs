//! Chunks: a batch of slots, written or read in place and handed over with one store.
//!
//! A chunk borrows its endpoint, so that no other operation comes between. Safe code copies
//! items in and out of it; a slice over memory that a peer can write would let the compiler
//! read an item twice, so the functions that give one are unsafe.

use super::{Consumer, Producer};
use crate::memory::{Cells, Memory, Native, Slot};
use crate::payload::Payload;
use crate::site::{SlotReadSite, SlotWriteSite};

/// An index or a count reached outside its chunk; nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{asked} items asked for in a chunk of {len}")]
pub struct OutOfChunk {
    /// How far the call reached.
    pub asked: usize,
    /// How many items the chunk holds.
    pub len: usize,
}

/// Checks that `asked` items lie within a chunk of `len`.
pub(crate) fn within(asked: usize, len: usize) -> Result<(), OutOfChunk> {
    if asked <= len {
        Ok(())
    } else {
        Err(OutOfChunk { asked, len })
    }
}

/// Slots reserved by the producer, to be written in place. Index 0 is the oldest. [`Send`] and [`Sync`]
/// where its producer is.
pub struct WriteChunk<'p, 'a, T: Payload, M: Memory = Native, K = ()> {
    pub(super) producer: &'p mut Producer<'a, T, M, K>,
    // Invariant: the `len` slots from `write_index` are free.
    pub(super) len: usize,
}

impl<T: Payload, M: Memory, K> WriteChunk<'_, '_, T, M, K> {
    /// How many slots were reserved.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none were.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The sequence number that the first item will have.
    pub fn position(&self) -> u64 {
        self.producer.write_index
    }

    /// The item that slot `index` holds now: what was set, or an old one.
    pub fn get(&self, index: usize) -> Option<T> {
        (index < self.len).then(|| {
            let mut value = T::zeroed();
            let slot = self.slot(index);
            // SAFETY: the slot is reserved, so only this side accesses it.
            unsafe {
                self.producer.memory.read_slots(
                    slot,
                    core::slice::from_mut(&mut value),
                    SlotReadSite::RingReview,
                );
            }
            value
        })
    }

    /// Writes the item of slot `index`.
    ///
    /// # Errors
    /// [`OutOfChunk`] if there is no such slot.
    pub fn set(&mut self, index: usize, value: T) -> Result<(), OutOfChunk> {
        within(index.saturating_add(1), self.len)?;
        // SAFETY: the slot is reserved, so only this side accesses it.
        unsafe {
            (self.producer.memory).write_slots(self.slot(index), &[value], SlotWriteSite::RingFill);
        }
        Ok(())
    }

    /// Writes `values` to the slots from index `start`.
    ///
    /// # Errors
    /// [`OutOfChunk`] if they do not all fit; then none is written.
    pub fn copy_from_slice(&mut self, start: usize, values: &[T]) -> Result<(), OutOfChunk> {
        within(start.saturating_add(values.len()), self.len)?;
        self.fill(start, values);
        Ok(())
    }

    /// Makes the first `count` items visible to the consumer, all at once, and gives the rest
    /// of the chunk back.
    ///
    /// # Errors
    /// [`OutOfChunk`] if the chunk has fewer; then none is committed.
    pub fn commit(self, count: usize) -> Result<(), OutOfChunk> {
        within(count, self.len)?;
        self.hand_over(count);
        Ok(())
    }

    /// Commits the whole chunk.
    pub fn commit_all(self) {
        let count = self.len;
        self.hand_over(count);
    }

    /// Commits `count` items, which the caller has found to be within the chunk. For none,
    /// nothing is stored.
    #[inline(always)]
    fn hand_over(self, count: usize) {
        if count > 0 {
            self.producer.publish(count as u64);
            self.producer.prepare(count);
        }
    }

    fn slot(&self, index: usize) -> &[<M::Cells as Cells>::Slot<T>] {
        let position = self.producer.write_index.wrapping_add(index as u64);
        self.producer.slots.at(position)
    }

    /// Writes `values`, which the caller has found to fit.
    pub(super) fn fill(&mut self, start: usize, values: &[T]) {
        let position = self.producer.write_index.wrapping_add(start as u64);
        let (first, second) = self.producer.slots.runs(position, values.len());
        // SAFETY: `start + values.len()` is at most `len`, so all these slots are reserved and
        // only this side accesses them. A write stops at the shorter side.
        unsafe {
            (self.producer.memory).write_slots(first, values, SlotWriteSite::RingFill);
            // Once in a lap only; to copy nothing would still be a call.
            if let Some(tail @ [_, ..]) = values.get(first.len()..) {
                (self.producer.memory).write_slots(second, tail, SlotWriteSite::RingFill);
            }
        }
    }
}

impl<T: Payload, K> WriteChunk<'_, '_, T, Native, K> {
    /// The slots as ordinary slices, before and after the end of memory.
    ///
    /// # Safety
    /// The consumer, and every other process that maps the segment, must keep to the protocol
    /// for as long as the slices live: Rust lets the compiler assume that nobody else writes
    /// memory behind a `&mut`, and read it as often as it likes.
    pub unsafe fn as_mut_slices(&mut self) -> (&mut [T], &mut [T]) {
        let (first, second) = self.producer.slots.runs(self.position(), self.len);
        let items = |run: &[Slot<T>]| (run.as_ptr().cast::<T>().cast_mut(), run.len());
        let ((first, first_len), (second, second_len)) = (items(first), items(second));
        // SAFETY: these slots are reserved, so by protocol only this side accesses them, which
        // the caller vouches for; the two runs do not overlap; a slot is an `UnsafeCell<T>`,
        // which may be written through a shared reference to it, and the borrow of `self` keeps
        // any other access through this producer away.
        unsafe {
            (
                core::slice::from_raw_parts_mut(first, first_len),
                core::slice::from_raw_parts_mut(second, second_len),
            )
        }
    }
}

/// Committed items, looked at in place by the consumer. Index 0 is the oldest. [`Send`] and [`Sync`]
/// where its consumer is.
pub struct ReadChunk<'c, 'a, T: Payload, M: Memory = Native, K = ()> {
    pub(super) consumer: &'c mut Consumer<'a, T, M, K>,
    // Invariant: the `len` slots from `read_index` are committed.
    pub(super) len: usize,
}

impl<T: Payload, M: Memory, K> ReadChunk<'_, '_, T, M, K> {
    /// How many items there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The sequence number of the first item.
    pub fn position(&self) -> u64 {
        self.consumer.read_index
    }

    /// A copy of item `index`, read once.
    pub fn get(&self, index: usize) -> Option<T> {
        (index < self.len).then(|| {
            let mut value = T::zeroed();
            self.take(index, core::slice::from_mut(&mut value));
            value
        })
    }

    /// Copies the items from index `start` to `values`, as many as it holds.
    ///
    /// # Errors
    /// [`OutOfChunk`] if there are not as many; then none is copied.
    pub fn copy_to_slice(&self, start: usize, values: &mut [T]) -> Result<(), OutOfChunk> {
        within(start.saturating_add(values.len()), self.len)?;
        self.take(start, values);
        Ok(())
    }

    /// Gives the slots of the first `count` items back to the producer; the rest stays.
    ///
    /// # Errors
    /// [`OutOfChunk`] if the chunk has fewer; then none is released.
    pub fn release(self, count: usize) -> Result<(), OutOfChunk> {
        within(count, self.len)?;
        self.hand_back(count);
        Ok(())
    }

    /// Releases the whole chunk.
    pub fn release_all(self) {
        let count = self.len;
        self.hand_back(count);
    }

    /// Releases `count` items, which the caller has found to be within the chunk. For none,
    /// nothing is stored.
    #[inline(always)]
    fn hand_back(self, count: usize) {
        if count > 0 {
            let position = self.position().wrapping_add(count as u64);
            self.consumer.free(position);
        }
    }

    /// Copies out items that the caller has found to be within the chunk.
    pub(super) fn take(&self, start: usize, values: &mut [T]) {
        let position = self.consumer.read_index.wrapping_add(start as u64);
        let (first, second) = self.consumer.slots.runs(position, values.len());
        // SAFETY: `start + values.len()` is at most `len`, so all these slots are committed and
        // the producer does not touch them before they are released. A read stops at the shorter
        // side.
        unsafe {
            (self.consumer.memory).read_slots(first, values, SlotReadSite::RingTake);
            // Once in a lap only; to copy nothing would still be a call.
            if let Some(tail @ [_, ..]) = values.get_mut(first.len()..) {
                (self.consumer.memory).read_slots(second, tail, SlotReadSite::RingTake);
            }
        }
    }
}

impl<T: Payload, K> ReadChunk<'_, '_, T, Native, K> {
    /// The items as ordinary slices, before and after the end of memory.
    ///
    /// # Safety
    /// The producer, and every other process that maps the segment, must keep to the protocol
    /// for as long as the slices live: Rust lets the compiler assume that memory behind a `&`
    /// does not change, and read it twice. A peer that writes it between the two is undefined
    /// behaviour here, not just a wrong value.
    pub unsafe fn as_slices(&self) -> (&[T], &[T]) {
        let (first, second) = self.consumer.slots.runs(self.position(), self.len);
        // SAFETY: these slots are committed, so by protocol nobody writes them, which the
        // caller vouches for; a slot has the layout of `T`, and the borrow of `self` keeps the
        // release away.
        unsafe { (as_items(first), as_items(second)) }
    }
}

/// Slots as the items in them.
///
/// # Safety
/// Nobody writes the slots during the life of the result.
unsafe fn as_items<T: Payload>(slots: &[Slot<T>]) -> &[T] {
    // SAFETY: a slot has the layout of `T`, and the caller promises that none is written.
    unsafe { core::slice::from_raw_parts(slots.as_ptr().cast::<T>(), slots.len()) }
}
