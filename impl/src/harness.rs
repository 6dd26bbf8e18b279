//! What a proof of this crate needs, and a program does not: a memory with hooks around its accesses, the words and
//! slots that a structure in shared memory is made of, and what is asked of a segment with the accesses through
//! another memory.
//!
//! Nothing here keeps to [semantic versioning](https://semver.org): it may change with any release. The same is true of
//! the [sites](crate::site), and of the trait [`Memory`] where it is implemented and not only used.

mod interposed;

pub use interposed::{Hooks, Interposed};
#[cfg(feature = "std")]
pub use {
    crate::role::words::{enter, is_retired, reinstate, retire},
    segments::{PartsOfRing, PartsOfValue, Through},
};

#[cfg(doc)]
use crate::memory::Memory;

#[cfg(feature = "std")]
mod segments {
    use crate::error::SegmentError;
    use crate::latch::LatchParts;
    use crate::memory::{Memory, Native};
    use crate::payload::Payload;
    use crate::ring::RingParts;
    use crate::role::{Claim, Role};
    use crate::segment::Segment;
    use crate::seqlock::SeqParts;
    use crate::shared::{Ring, SeqLatch, SeqLock, latch_parts, ring_parts, seq_parts};

    /// What makes accesses to a [`Segment`]'s words, through another memory.
    pub trait Through {
        /// [`Segment::claim`].
        ///
        /// # Errors
        /// As that.
        fn claim_through<M: Memory<Cells = Native>>(
            &self,
            memory: &M,
            role: Role,
        ) -> Result<Claim, SegmentError>;

        /// [`Segment::unlink`].
        ///
        /// # Errors
        /// As that.
        fn unlink_through<M: Memory<Cells = Native>>(&self, memory: &M)
        -> Result<(), SegmentError>;

        /// [`Segment::note`].
        fn note_through<M: Memory<Cells = Native>>(
            &self,
            memory: &M,
            role: Role,
            index: usize,
        ) -> Option<u64>;

        /// [`Segment::set_note`].
        ///
        /// # Errors
        /// As that.
        fn set_note_through<M: Memory<Cells = Native>>(
            &self,
            memory: &M,
            role: Role,
            index: usize,
            value: u64,
        ) -> Result<(), SegmentError>;
    }

    impl Through for Segment {
        fn claim_through<M: Memory<Cells = Native>>(
            &self,
            memory: &M,
            role: Role,
        ) -> Result<Claim, SegmentError> {
            self.claim_through(memory, role)
        }

        fn unlink_through<M: Memory<Cells = Native>>(
            &self,
            memory: &M,
        ) -> Result<(), SegmentError> {
            self.remove(memory, false)
        }

        fn note_through<M: Memory<Cells = Native>>(
            &self,
            memory: &M,
            role: Role,
            index: usize,
        ) -> Option<u64> {
            self.note_through(memory, role, index)
        }

        fn set_note_through<M: Memory<Cells = Native>>(
            &self,
            memory: &M,
            role: Role,
            index: usize,
            value: u64,
        ) -> Result<(), SegmentError> {
            self.set_note_through(memory, role, index, value)
        }
    }

    /// What a [`Ring`] is made of.
    pub trait PartsOfRing<T: Payload> {
        /// The ring's words and slots, for ends over a memory other than [`Native`].
        ///
        /// # Safety
        /// Nothing is stored to the words but by ends made of these parts: an index announces slots, and one that
        /// is not true lets two threads of this process race for them. (A peer in another process that stores
        /// anything is not meant here; see [`ring`](crate::ring).)
        ///
        /// # Errors
        /// [`SegmentError::Size`] if the slots do not lie in the segment; a checked header rules it out.
        unsafe fn parts(&self) -> Result<RingParts<'_, Native, T>, SegmentError>;
    }

    impl<T: Payload> PartsOfRing<T> for Ring<T> {
        unsafe fn parts(&self) -> Result<RingParts<'_, Native, T>, SegmentError> {
            // SAFETY: the caller's promise, passed on.
            unsafe { ring_parts(self.segment()) }
        }
    }

    /// What a [`SeqLock`] or a [`SeqLatch`] is made of.
    pub trait PartsOfValue {
        /// [`SeqParts`] or [`LatchParts`].
        type Parts<'a>
        where
            Self: 'a;

        /// Its words, for ends over a memory other than [`Native`].
        ///
        /// # Errors
        /// [`SegmentError::Size`] if they do not lie in the segment; a checked header rules it out.
        fn parts(&self) -> Result<Self::Parts<'_>, SegmentError>;
    }

    impl<T: Payload> PartsOfValue for SeqLock<T> {
        type Parts<'a> = SeqParts<'a, Native>;

        fn parts(&self) -> Result<SeqParts<'_, Native>, SegmentError> {
            seq_parts(self.segment())
        }
    }

    impl<T: Payload> PartsOfValue for SeqLatch<T> {
        type Parts<'a> = LatchParts<'a, Native>;

        fn parts(&self) -> Result<LatchParts<'_, Native>, SegmentError> {
            latch_parts(self.segment())
        }
    }
}
