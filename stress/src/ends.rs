//! Ends of a ring made of its parts, over a memory of the harness. Each keeps its claim, but where a trial loses
//! it on purpose.

use ringproof::Claim;
use ringproof::layout::Kind;
use ringproof::memory::Native;
use ringproof::ring::{self, Corruption, PopError, PushError};

pub(crate) type Producer<'a, T, M = Native> = ring::Producer<'a, T, M, Option<Claim>>;
pub(crate) type Consumer<'a, T, M = Native> = ring::Consumer<'a, T, M, Option<Claim>>;

/// What a segment may hold.
pub(crate) const KINDS: [Kind; 3] = [Kind::Ring, Kind::SeqLock, Kind::Latch];

/// Why an end of a ring moves nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Why {
    /// It is full, or empty.
    Nothing,
    /// Closed by this end.
    Closed,
    /// Closed by the other one.
    Ended,
    Corrupt(Corruption),
    /// What nothing that is done here may be answered.
    Unexpected,
}

impl From<PushError> for Why {
    fn from(error: PushError) -> Why {
        match error {
            PushError::Full => Why::Nothing,
            PushError::Closed => Why::Closed,
            PushError::PeerClosed => Why::Ended,
            PushError::Corrupt(corruption) => Why::Corrupt(corruption),
            _ => Why::Unexpected,
        }
    }
}

impl From<PopError> for Why {
    fn from(error: PopError) -> Why {
        match error {
            PopError::Empty => Why::Nothing,
            PopError::Closed => Why::Closed,
            PopError::PeerClosed => Why::Ended,
            PopError::Corrupt(corruption) => Why::Corrupt(corruption),
            _ => Why::Unexpected,
        }
    }
}
