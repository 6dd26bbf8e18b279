//! What seqlock and latch share: an attempt that met a write, a bounded number of them, and the wait for a newer value.

#[cfg(feature = "std")]
mod wait;

#[cfg(feature = "std")]
pub use wait::WaitingReader;

use crate::memory::Memory;

/// An attempt to read met a write; another one may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a write was in progress")]
pub struct Busy;

/// No attempt to read succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Every attempt met a write, and nothing says that the writer is dead: it writes faster than
    /// this payload can be copied, or was stopped inside a write. Try again later.
    #[error("no stable value in {attempts} attempts: the writer is inside a write, or too fast")]
    WriterStalled {
        /// How many attempts were made.
        attempts: u32,
    },
    /// Every attempt met a write, and the writer of the one that is under way died inside it: a
    /// seqlock has no value then until a successor writes one. A latch never says so: what its
    /// writer leaves can be read.
    #[error("no stable value in {attempts} attempts: the writer died inside a write")]
    WriterDead {
        /// How many attempts were made.
        attempts: u32,
    },
}

/// Attempts until one succeeds or `attempts`, at least one, have failed.
pub(crate) fn read_bounded<T, M: Memory>(
    memory: &M,
    attempts: u32,
    mut attempt: impl FnMut() -> Result<T, Busy>,
) -> Result<T, ReadError> {
    let attempts = attempts.max(1);
    for tried in 1..=attempts {
        if let Ok(value) = attempt() {
            return Ok(value);
        }
        if tried < attempts {
            memory.spin();
        }
    }
    Err(ReadError::WriterStalled { attempts })
}
