//! The latch: a seqlock of several slots, whose last committed value is always readable. With two slots it is
//! what Linux calls `seqcount_latch`; it has nothing in common with C++'s `std::latch`, which is a barrier.
//!
//! # The algorithm
//!
//! There are N slots, a power of two and at least 2; `version` counts the values written, and
//! version `v` lies in slot `v mod N`. The writer fills the *next* slot and then moves
//! `version` to it, so it never touches the value that `version` names: a writer that dies
//! anywhere leaves it whole. A reader copies that slot and keeps the copy if the writer has not
//! come round to it meanwhile.
//!
//! ```text
//! writer                                   reader
//!   fence                     Release        v = version       Acquire
//!   write slot (v+1) mod N    Relaxed        copy slot v mod N Relaxed, word by word
//!   version = v+1             Release        fence             Acquire
//!                                            w = version       Relaxed   w − v ≤ N − 2, else lapped
//! ```
//!
//! Slot `v mod N` is filled again for version `v + N`, after `v + N − 1` was published. A
//! reader that met a word of that write synchronises with the writer's fence through its own
//! and finds `version` at `v + N − 1` or later, one more than it accepts.
//!
//! With N = 2 any publication during the copy makes the reader try again; with the default of 4
//! two publications may pass.
//!
//! One number is no version, [`NO_VERSION`]. A seqlock can say "no value" by an odd number; a
//! latch at rest always has one, so it needs a number of its own for memory that was
//! [lost](crate::guard).

use core::fmt;

use crate::memory::{Cells, CellsOf, Memory, Native, WordOf};
use crate::payload::{Payload, as_words, as_words_mut, words_of};
use crate::read::{Busy, ReadError, read_bounded};
use crate::site::{FenceSite, LoadSite, StoreSite};
use crate::sleep::{SleepWords, Waker};
use crate::wait::Wait;

/// A `version` under which a reader finds no value. No latch gets there: at a thousand million
/// writes a second that takes 292 years.
pub const NO_VERSION: u64 = 1 << 63;

/// The shared words of a latch, wherever they lie.
pub struct LatchParts<'a, C: Cells> {
    /// How many values were written, stored by the writer only.
    pub version: &'a C::Word,
    /// By which readers sleep until there is a newer value; all of them store that they ask.
    pub for_news: SleepWords<'a, C>,
    /// The slots one after the other, stored by the writer only; each has as many words as the
    /// payload type fills.
    pub slots: &'a [C::Word],
}

impl<C: Cells> Clone for LatchParts<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: Cells> Copy for LatchParts<'_, C> {}

/// The slots of a latch, found by version without a division.
struct LatchSlots<'a, C: Cells> {
    words: &'a [C::Word],
    /// A power of two, at least 2; `words` holds as many slots.
    count: u64,
}

impl<'a, C: Cells> LatchSlots<'a, C> {
    /// Slots of `stride` words each.
    fn new(words: &'a [C::Word], stride: usize) -> Option<Self> {
        let count = words.len().checked_div(stride)?;
        let whole = words.len().is_multiple_of(stride);
        (whole && count >= 2 && count.is_power_of_two()).then_some(LatchSlots {
            words,
            count: count as u64,
        })
    }

    /// The slot of a version, `stride` words. Where their number is a constant, the copy depends
    /// on it.
    #[inline(always)]
    fn at(&self, version: u64, stride: usize) -> &'a [C::Word] {
        let start = (version & (self.count - 1)) as usize * stride;
        &self.words[start..][..stride]
    }
}

/// The writing end of a latch. [`Send`] and [`Sync`] where its memory and what it keeps are.
pub struct LatchWriter<'a, T: Payload, M: Memory = Native, K = ()> {
    memory: M,
    version_word: &'a WordOf<M>,
    slots: LatchSlots<'a, M::Cells>,
    /// The authority, of which the shared word is a copy.
    version: u64,
    /// Wakes readers that sleep until there is a newer value.
    waker: Waker<'a, M>,
    value: core::marker::PhantomData<fn(T)>,
    /// Last, so that it goes last.
    pub(crate) keep: K,
}

impl<'a, T: Payload, M: Memory, K> LatchWriter<'a, T, M, K> {
    /// Takes up the writer's side where the last writer left it. `None` if `parts` does not
    /// hold a power of two of slots for `T`, at least 2.
    ///
    /// `keep` is what it keeps for its life, and gives back last, as what makes it the only one;
    /// `()` where something else does. (A second writer would mix values, but break no memory
    /// safety: every word is atomic.)
    pub fn new(parts: LatchParts<'a, CellsOf<M>>, memory: M, keep: K) -> Option<Self> {
        Self::of_words(words_of::<T>(), parts, memory, keep)
    }

    /// A writer of values of so many words, whatever `T` says.
    pub(crate) fn of_words(
        count: usize,
        parts: LatchParts<'a, CellsOf<M>>,
        memory: M,
        keep: K,
    ) -> Option<Self> {
        Some(LatchWriter {
            slots: LatchSlots::new(parts.slots, count)?,
            // Relaxed: the role lock, not a partner site, orders this after the predecessor.
            version: memory.load(parts.version, LoadSite::LatchResume),
            waker: Waker::new(parts.for_news, &memory),
            memory,
            version_word: parts.version,
            value: core::marker::PhantomData,
            keep,
        })
    }

    /// Replaces the value. Never waits for readers.
    ///
    /// ```
    /// use ringproof::{SeqLatch, SeqLatchOptions};
    ///
    /// let latch = SeqLatch::<[u64; 4]>::anonymous(&[0; 4], &SeqLatchOptions::default())?;
    /// latch.writer()?.write(&[1, 2, 3, 4]);
    /// assert_eq!(latch.reader()?.read(10)?, [1, 2, 3, 4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn write(&mut self, value: &T) {
        self.write_words(as_words(value));
    }

    /// Replaces the value by one of as many words as this writer was made for.
    #[inline(always)]
    pub(crate) fn write_words(&mut self, value: &[[u8; 8]]) {
        let next = self.version.wrapping_add(1);
        // Release: pairs with LatchReadFence; who meets a word below also sees the versions
        // published before this point.
        self.memory.fence(FenceSite::LatchWriteFence);
        // Relaxed: pairs with LatchCopyOut.
        let slot = self.slots.at(next, value.len());
        (self.memory).store_words(slot, value, StoreSite::LatchCopyIn);
        self.version = next;
        // Release: pairs with LatchObserve; publishes the slot written above.
        (self.memory).store(self.version_word, next, StoreSite::LatchPublish);
        if let Some(asks) = self.waker.asked(&self.memory) {
            self.waker.handle(&self.memory, asks);
        }
    }

    /// How many values were written since the latch was made, by this writer and those before
    /// it. Zero is the one that it was made with.
    pub fn version(&self) -> u64 {
        self.version
    }
}

impl<T: Payload, M: Memory, K> fmt::Debug for LatchWriter<'_, T, M, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LatchWriter")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// A reading end of a latch. It stores nothing, so there may be any number. [`Send`] and [`Sync`] where
/// its memory and what it keeps are.
pub struct LatchReader<'a, T: Payload, M: Memory = Native, K = ()> {
    pub(crate) memory: M,
    version: &'a WordOf<M>,
    slots: LatchSlots<'a, M::Cells>,
    value: core::marker::PhantomData<fn() -> T>,
    pub(crate) sleep: SleepWords<'a, M::Cells>,
    pub(crate) wait: Wait,
    /// Last, so that it goes last.
    pub(crate) keep: K,
}

impl<'a, T: Payload, M: Memory, K> LatchReader<'a, T, M, K> {
    /// A reader of `parts`, which keeps `keep` for its life and gives it back last. `None` if they do
    /// not hold a power of two of slots for `T`, at least 2.
    pub fn new(parts: LatchParts<'a, CellsOf<M>>, memory: M, keep: K) -> Option<Self> {
        Self::of_words(words_of::<T>(), parts, memory, keep)
    }

    /// A reader of values of so many words, whatever `T` says.
    pub(crate) fn of_words(
        count: usize,
        parts: LatchParts<'a, CellsOf<M>>,
        memory: M,
        keep: K,
    ) -> Option<Self> {
        Some(LatchReader {
            slots: LatchSlots::new(parts.slots, count)?,
            memory,
            version: parts.version,
            value: core::marker::PhantomData,
            sleep: parts.for_news,
            wait: Wait::default(),
            keep,
        })
    }

    /// Reads the last committed value in one attempt.
    ///
    /// # Errors
    /// [`Busy`] if the writer came round to the slot during the copy.
    #[inline]
    pub fn try_read(&self) -> Result<T, Busy> {
        let mut value = T::zeroed();
        self.try_read_into(&mut value).map(|()| value)
    }

    /// Reads the last committed value in one attempt, to where the caller wants it: for values of
    /// some hundred bytes twice as fast as to have them handed over.
    ///
    /// # Errors
    /// [`Busy`] if the writer came round to the slot during the copy; `value` may then be a
    /// mixture.
    #[inline]
    pub fn try_read_into(&self, value: &mut T) -> Result<(), Busy> {
        self.try_read_words(as_words_mut(value))
    }

    /// Reads a value of as many words as this reader was made for, in one attempt.
    #[inline(always)]
    pub(crate) fn try_read_words(&self, value: &mut [[u8; 8]]) -> Result<(), Busy> {
        // Acquire: pairs with LatchPublish; the slot of this version is visible below.
        let before = self.memory.load(self.version, LoadSite::LatchObserve);
        let slot = self.slots.at(before, value.len());
        // Relaxed: pairs with LatchCopyIn, and may meet it one lap later.
        (self.memory).load_words(slot, value, LoadSite::LatchCopyOut);
        // Acquire: pairs with LatchWriteFence; keeps the recheck after the copy.
        self.memory.fence(FenceSite::LatchReadFence);
        // Relaxed: pairs with LatchPublish; shows how far the writer came.
        let after = self.memory.load(self.version, LoadSite::LatchRecheck);
        if after.wrapping_sub(before) <= self.slots.count - 2 && after != NO_VERSION {
            Ok(())
        } else {
            Err(Busy)
        }
    }

    /// The version of the last committed value: how many were written since the latch was made, as the
    /// writer's [`version`](LatchWriter::version) says, so that it never goes back. A write in which a
    /// writer died does not count. It is [`NO_VERSION`] where the memory was lost.
    ///
    /// A [read](Self::read) that begins afterwards gets the value of this version or of a later one. So
    /// who asks first and then reads misses no value, if [`has_changed`](Self::has_changed) makes it
    /// read again; at worst it reads the same one twice.
    ///
    /// ```
    /// use ringproof::{SeqLatch, SeqLatchOptions};
    ///
    /// let latch = SeqLatch::anonymous(&10_u64, &SeqLatchOptions::new())?;
    /// let (mut writer, reader) = (latch.writer()?, latch.reader()?);
    /// let seen = reader.version();
    /// assert_eq!((seen, reader.read(10)?), (0, 10));
    /// assert!(!reader.has_changed(seen));
    /// writer.write(&11);
    /// assert!(reader.has_changed(seen));
    /// assert_eq!((reader.version(), writer.version()), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn version(&self) -> u64 {
        // Acquire: the load with which an attempt begins. What makes the read that follows at least as
        // new is that no later load of one word finds an earlier store.
        self.memory.load(self.version, LoadSite::LatchObserve)
    }

    /// Whether the version is no longer `since`. It costs one load, and copies nothing.
    pub fn has_changed(&self, since: u64) -> bool {
        self.version() != since
    }

    /// Reads the last committed value in at most `attempts` attempts, at least one. With a
    /// writer that is dead or at rest, the first one succeeds.
    ///
    /// # Errors
    /// [`ReadError::WriterStalled`] if the writer lapped every attempt.
    pub fn read(&self, attempts: u32) -> Result<T, ReadError> {
        read_bounded(&self.memory, attempts, || self.try_read())
    }

    /// [`read`](Self::read) of a value of as many words as this reader was made for.
    pub(crate) fn read_words(&self, attempts: u32, value: &mut [[u8; 8]]) -> Result<(), ReadError> {
        read_bounded(&self.memory, attempts, || self.try_read_words(value))
    }
}

impl<T: Payload, M: Memory, K> fmt::Debug for LatchReader<'_, T, M, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LatchReader").finish_non_exhaustive()
    }
}
