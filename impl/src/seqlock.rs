//! The seqlock: the latest value, one writer, any number of readers that store nothing.
//!
//! # The algorithm
//!
//! `seq` is even while the payload is at rest and odd while the writer is inside a write; a
//! reader copies the payload between two looks at `seq` and keeps the copy only if both found
//! the same even number. The orderings are those of Boehm, *Can Seqlocks Get Along with
//! Programming Language Memory Models?* (MSPC 2012):
//!
//! ```text
//! writer                              reader
//!   seq = odd          Relaxed          seq            Acquire   even, else busy
//!   fence              Release          copy payload   Relaxed, word by word
//!   write payload      Relaxed          fence          Acquire
//!   seq = even         Release          seq            Relaxed   unchanged, else busy
//! ```
//!
//! A reader that met a word of a write in progress read it, before its Acquire fence, from a
//! store after the writer's Release fence: the fences synchronise, so its second look finds
//! that write's odd number, or something later. The payload is made of atomic words because
//! validation after the fact would not make a data race legal.
//!
//! 64 bits of sequence do not wrap while a reader sleeps: at a thousand million writes a
//! second that takes 292 years.
//!
//! # Crashes
//!
//! A writer that dies inside a write leaves `seq` odd. Readers report it after a bounded
//! number of attempts. Nobody ever rounds the odd number up to even, which would declare half
//! a payload whole: the next writer writes a whole new value under the next odd number.

use core::fmt;

use crate::memory::{Cells, CellsOf, Memory, Native, WordOf};
use crate::payload::{Payload, as_words, as_words_mut, words_of};
use crate::read::{Busy, ReadError, read_bounded};
use crate::site::{FenceSite, LoadSite, StoreSite};
use crate::sleep::{SleepWords, Waker};
use crate::wait::Wait;

/// The shared words of a seqlock, wherever they lie.
pub struct SeqParts<'a, C: Cells> {
    /// The sequence number, stored by the writer only.
    pub seq: &'a C::Word,
    /// By which readers sleep until there is a newer value; all of them store that they ask.
    pub for_news: SleepWords<'a, C>,
    /// The payload, stored by the writer only; as many words as the payload type fills.
    pub payload: &'a [C::Word],
}

impl<C: Cells> Clone for SeqParts<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: Cells> Copy for SeqParts<'_, C> {}

/// The writing end of a seqlock. [`Send`] and [`Sync`] where its memory and what it keeps are.
pub struct SeqWriter<'a, T: Payload, M: Memory = Native, K = ()> {
    memory: M,
    seq_word: &'a WordOf<M>,
    payload: &'a [WordOf<M>],
    /// The authority, of which the shared word is a copy; odd only until the first write after
    /// a predecessor died inside one.
    seq: u64,
    /// Wakes readers that sleep until there is a newer value.
    waker: Waker<'a, M>,
    value: core::marker::PhantomData<fn(T)>,
    /// Last, so that it goes last.
    pub(crate) keep: K,
}

impl<'a, T: Payload, M: Memory, K> SeqWriter<'a, T, M, K> {
    /// Takes up the writer's side where the last writer left it. `None` if `parts` has fewer
    /// payload words than `T` fills.
    ///
    /// `keep` is what it keeps for its life, and gives back last, as what makes it the only one;
    /// `()` where something else does. (A second writer would mix values, but break no memory
    /// safety: every word is atomic.)
    pub fn new(parts: SeqParts<'a, CellsOf<M>>, memory: M, keep: K) -> Option<Self> {
        Self::of_words(words_of::<T>(), parts, memory, keep)
    }

    /// A writer of values of so many words, whatever `T` says.
    pub(crate) fn of_words(
        count: usize,
        parts: SeqParts<'a, CellsOf<M>>,
        memory: M,
        keep: K,
    ) -> Option<Self> {
        Some(SeqWriter {
            payload: parts.payload.get(..count)?,
            // Relaxed: the role lock, not a partner site, orders this after the predecessor.
            seq: memory.load(parts.seq, LoadSite::SeqResume),
            waker: Waker::new(parts.for_news, &memory),
            memory,
            seq_word: parts.seq,
            value: core::marker::PhantomData,
            keep,
        })
    }

    /// Replaces the value. Never waits for readers.
    ///
    /// ```
    /// use ringproof::{SeqLock, SeqLockOptions};
    ///
    /// let lock = SeqLock::<[u64; 4]>::anonymous(&[0; 4], &SeqLockOptions::default())?;
    /// let mut writer = lock.writer()?;
    /// writer.write(&[1, 2, 3, 4]);
    /// assert_eq!(lock.reader()?.read(10)?, [1, 2, 3, 4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn write(&mut self, value: &T) {
        self.write_words(as_words(value));
    }

    /// Replaces the value by one of as many words as this writer was made for. Where `T` says how
    /// many, their number is a constant here: without it every word of the copy is followed by the
    /// question whether there is another.
    #[inline(always)]
    pub(crate) fn write_words(&mut self, value: &[[u8; 8]]) {
        // From even to the next odd; from an odd number that a dead writer left, over the even
        // one between to the next odd, so that no reader ever accepts the half-written payload.
        let odd = self.seq.wrapping_add(1) | 1;
        // Relaxed: pairs with SeqRecheck; the fence below keeps it before the payload.
        self.memory.store(self.seq_word, odd, StoreSite::SeqOdd);
        // Release: pairs with SeqReadFence.
        self.memory.fence(FenceSite::SeqWriteFence);
        // Relaxed: pairs with SeqCopyOut.
        let payload = &self.payload[..value.len()];
        (self.memory).store_words(payload, value, StoreSite::SeqCopyIn);
        self.seq = odd.wrapping_add(1);
        // Release: pairs with SeqObserve; publishes the payload written above.
        (self.memory).store(self.seq_word, self.seq, StoreSite::SeqEven);
        if let Some(asks) = self.waker.asked(&self.memory) {
            self.waker.handle(&self.memory, asks);
        }
    }

    /// How many values were written since the seqlock was made, by this writer and those before
    /// it (one that died inside a write counts it too). Zero is the one that it was made with.
    pub fn version(&self) -> u64 {
        self.seq.div_ceil(2)
    }

    /// Whether the last writer died inside a write, and nothing was written since: readers get
    /// no value until the next [`write`](Self::write).
    pub fn needs_repair(&self) -> bool {
        self.seq % 2 == 1
    }
}

impl<T: Payload, M: Memory, K> fmt::Debug for SeqWriter<'_, T, M, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeqWriter")
            .field("seq", &self.seq)
            .finish_non_exhaustive()
    }
}

/// What an end keeps may know what shared memory does not say: whether there is somebody at the other end. Of a reader
/// that is the writer.
pub trait Watch {
    /// How to know that there is nobody now, as [`SeqReader::read_unless`] wants to; `None` where that is not known.
    fn watch(&self) -> Option<impl FnOnce() -> bool>;

    /// Whether there was somebody and is nobody now, as who [waits](crate::wait) wants to know: one who is yet to come is
    /// waited for. Where only the second is known, that decides.
    fn is_gone(&self) -> bool {
        self.watch().is_some_and(|is_without| is_without())
    }
}

impl Watch for () {
    fn watch(&self) -> Option<impl FnOnce() -> bool> {
        None::<fn() -> bool>
    }
}

/// A reading end of a seqlock. It stores nothing, so there may be any number. [`Send`] and [`Sync`] where
/// its memory and what it keeps are.
pub struct SeqReader<'a, T: Payload, M: Memory = Native, K = ()> {
    pub(crate) memory: M,
    seq: &'a WordOf<M>,
    payload: &'a [WordOf<M>],
    value: core::marker::PhantomData<fn() -> T>,
    pub(crate) sleep: SleepWords<'a, M::Cells>,
    pub(crate) wait: Wait,
    /// Last, so that it goes last.
    pub(crate) keep: K,
}

impl<'a, T: Payload, M: Memory, K> SeqReader<'a, T, M, K> {
    /// A reader of `parts`. `None` if they have fewer payload words than `T` fills.
    ///
    /// `keep` is what it keeps for its life, and gives back last. If it can [`Watch`] the writer's
    /// role, a dead writer is distinguished from a slow one; where it does not, every such writer is called
    /// stalled, but by [`read_unless`](Self::read_unless).
    pub fn new(parts: SeqParts<'a, CellsOf<M>>, memory: M, keep: K) -> Option<Self> {
        Self::of_words(words_of::<T>(), parts, memory, keep)
    }

    /// A reader of values of so many words, whatever `T` says.
    pub(crate) fn of_words(
        count: usize,
        parts: SeqParts<'a, CellsOf<M>>,
        memory: M,
        keep: K,
    ) -> Option<Self> {
        Some(SeqReader {
            payload: parts.payload.get(..count)?,
            memory,
            seq: parts.seq,
            value: core::marker::PhantomData,
            sleep: parts.for_news,
            wait: Wait::default(),
            keep,
        })
    }

    /// Reads the value in one attempt.
    ///
    /// # Errors
    /// [`Busy`] if a write was in progress or came in between.
    #[inline]
    pub fn try_read(&self) -> Result<T, Busy> {
        let mut value = T::zeroed();
        self.try_read_into(&mut value).map(|()| value)
    }

    /// Reads the value in one attempt, to where the caller wants it: for values of some hundred
    /// bytes twice as fast as to have them handed over.
    ///
    /// # Errors
    /// [`Busy`] if a write was in progress or came in between; `value` may then be a mixture.
    #[inline]
    pub fn try_read_into(&self, value: &mut T) -> Result<(), Busy> {
        self.try_read_words(as_words_mut(value))
    }

    /// Reads a value of as many words as this reader was made for, in one attempt. Their number is
    /// a constant where `T` says it, as in [`SeqWriter::write_words`].
    #[inline(always)]
    pub(crate) fn try_read_words(&self, value: &mut [[u8; 8]]) -> Result<(), Busy> {
        // Acquire: pairs with SeqEven; the payload of this number is visible below.
        let before = self.memory.load(self.seq, LoadSite::SeqObserve);
        if before % 2 == 1 {
            return Err(Busy);
        }
        // Relaxed: pairs with SeqCopyIn, and may meet it.
        let payload = &self.payload[..value.len()];
        (self.memory).load_words(payload, value, LoadSite::SeqCopyOut);
        // Acquire: pairs with SeqWriteFence; keeps the recheck after the copy.
        self.memory.fence(FenceSite::SeqReadFence);
        // Relaxed: pairs with SeqOdd; a write that the copy met shows here.
        let after = self.memory.load(self.seq, LoadSite::SeqRecheck);
        if before == after { Ok(()) } else { Err(Busy) }
    }

    /// The version of the last value that was written: how many writes have ended since the seqlock was
    /// made, so that it never goes back. Where no write is under way it is the writer's
    /// [`version`](SeqWriter::version). One in which a writer died counts as soon as the next one has
    /// begun: its version is never read.
    ///
    /// A [read](Self::read) that begins afterwards gets the value of this version or of a later one. So
    /// who asks first and then reads misses no value, if [`has_changed`](Self::has_changed) makes it
    /// read again; at worst it reads the same one twice.
    ///
    /// ```
    /// use ringproof::{SeqLock, SeqLockOptions};
    ///
    /// let lock = SeqLock::anonymous(&10_u64, &SeqLockOptions::new())?;
    /// let (mut writer, reader) = (lock.writer()?, lock.reader()?);
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
        self.memory.load(self.seq, LoadSite::SeqObserve) / 2
    }

    /// Whether the version is no longer `since`. It costs one load, and copies nothing.
    pub fn has_changed(&self, since: u64) -> bool {
        self.version() != since
    }

    /// Reads the value in at most `attempts` attempts, at least one.
    ///
    /// # Errors
    /// [`ReadError::WriterStalled`] if every attempt met a write,
    /// [`ReadError::WriterDead`] if moreover a write is under way that nobody will end.
    pub fn read(&self, attempts: u32) -> Result<T, ReadError>
    where
        K: Watch,
    {
        let read = read_bounded(&self.memory, attempts, || self.try_read());
        self.or_dead(read, self.keep.watch())
    }

    /// [`read`](Self::read) with the caller's own way to know that there is no writer: `is_without_writer`
    /// is asked at most once, when all attempts failed.
    ///
    /// It has to be one of which writers know as well, as a lock is: who was a writer before the
    /// question has ended its last write before it, and who becomes one after it sees that it
    /// was asked.
    ///
    /// # Errors
    /// As those of [`read`](Self::read).
    pub fn read_unless(
        &self,
        attempts: u32,
        is_without_writer: impl FnOnce() -> bool,
    ) -> Result<T, ReadError> {
        let read = read_bounded(&self.memory, attempts, || self.try_read());
        self.or_dead(read, Some(is_without_writer))
    }

    /// [`read`](Self::read) of a value of as many words as this reader was made for.
    pub(crate) fn read_words(&self, attempts: u32, value: &mut [[u8; 8]]) -> Result<(), ReadError>
    where
        K: Watch,
    {
        let read = read_bounded(&self.memory, attempts, || self.try_read_words(value));
        self.or_dead(read, self.keep.watch())
    }

    /// Tells a writer that died from one that is slow. The attempts may have met the writes of
    /// several writers, and there is a moment without one between them; so a death is said of one
    /// write only, whose number stands before and after a moment at which nobody held the role.
    fn or_dead<V>(
        &self,
        read: Result<V, ReadError>,
        is_without_writer: Option<impl FnOnce() -> bool>,
    ) -> Result<V, ReadError> {
        let (Err(ReadError::WriterStalled { attempts }), Some(is_without_writer)) =
            (&read, is_without_writer)
        else {
            return read;
        };
        let attempts = *attempts;
        // Acquire: see above. The role's lock keeps each look on its side of the question.
        let write = self.memory.load(self.seq, LoadSite::SeqObserve);
        if write % 2 == 1
            && is_without_writer()
            && self.memory.load(self.seq, LoadSite::SeqObserve) == write
        {
            return Err(ReadError::WriterDead { attempts });
        }
        read
    }
}

impl<T: Payload, M: Memory, K> fmt::Debug for SeqReader<'_, T, M, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeqReader").finish_non_exhaustive()
    }
}
