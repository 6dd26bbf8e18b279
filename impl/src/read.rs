//! What seqlock and latch share: an attempt that met a write, and a bounded number of them.

use crate::memory::Memory;
use crate::role::Watch;

/// An attempt to read met a write; another one may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a write was in progress")]
pub struct Busy;

/// No attempt to read succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Every attempt met a write. The writer is alive, or nobody can tell: it writes faster
    /// than this payload can be copied, or was stopped inside a write. Try again later.
    #[error("no stable value in {attempts} attempts: the writer is inside a write, or too fast")]
    WriterStalled {
        /// How many attempts were made.
        attempts: u32,
    },
    /// Every attempt met a write, and nobody holds the writer's role: it died inside. There is
    /// no value until a successor writes one.
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
    watch: Option<&Watch>,
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
    // A kernel that cannot tell leaves the question open: stalled is the weaker claim.
    let nobody = || matches!(watch.map(Watch::writer_present), Some(Ok(false)));
    if nobody() {
        // The role may have been freed after the last attempt, by a writer that finished; and
        // taken since, by a successor that is in its first write.
        return match attempt() {
            Ok(value) => Ok(value),
            Err(Busy) if nobody() => Err(ReadError::WriterDead { attempts }),
            Err(Busy) => Err(ReadError::WriterStalled { attempts }),
        };
    }
    Err(ReadError::WriterStalled { attempts })
}
