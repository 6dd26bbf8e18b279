//! Ends of a ring made of its parts, over a memory of the harness. Each keeps its claim, but where a trial loses
//! it on purpose. And who gets a claim, and who does not.

use anyhow::{Result, bail};
use ringproof::layout::Kind;
use ringproof::memory::Native;
use ringproof::ring::{self, Corruption, PopError, PushError};
use ringproof::{Claim, SegmentError, WaitError};

pub(crate) type Producer<'a, T, M = Native> = ring::Producer<'a, T, M, Option<Claim>>;
pub(crate) type Consumer<'a, T, M = Native> = ring::Consumer<'a, T, M, Option<Claim>>;

/// What a segment may hold.
pub(crate) const KINDS: [Kind; 3] = [Kind::Ring, Kind::SeqLock, Kind::Latch];

/// A claim of a role that somebody has is refused for that.
pub(crate) fn ensure_held(second: Result<Claim, SegmentError>) -> Result<()> {
    match second {
        Err(SegmentError::Held { .. }) => Ok(()),
        other => bail!("a second holder: {other:?}"),
    }
}

/// A claim of a segment that has no name any more, or soon will not have one, is refused for that.
pub(crate) fn ensure_gone(claim: Result<Claim, SegmentError>) -> Result<()> {
    match claim {
        Err(SegmentError::Gone { .. }) => Ok(()),
        other => bail!("of a segment that is gone a claim is {other:?}"),
    }
}

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
    /// There will never be as many.
    Never,
    /// What nothing that is done here may be answered.
    Unexpected,
}

macro_rules! why {
    ($($error:ident: $nothing:ident),*) => {
        $(impl From<$error> for Why {
            fn from(error: $error) -> Why {
                match error {
                    $error::$nothing => Why::Nothing,
                    $error::Closed => Why::Closed,
                    $error::PeerClosed => Why::Ended,
                    $error::Corrupt(corruption) => Why::Corrupt(corruption),
                    $error::TooMany { .. } => Why::Never,
                    _ => Why::Unexpected,
                }
            }
        })*
    };
}

why!(PushError: Full, PopError: Empty);

/// Why a wait moved nothing.
impl<E: Into<Why>> From<WaitError<E>> for Why {
    fn from(error: WaitError<E>) -> Why {
        match error {
            WaitError::Refused(refusal) => refusal.into(),
            WaitError::Interrupted => Why::Nothing,
            _ => Why::Unexpected,
        }
    }
}
