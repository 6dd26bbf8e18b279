//! What processes die in: how it is set up, done and judged.

pub(crate) mod latch;
pub(crate) mod ring;
pub(crate) mod segment;
pub(crate) mod seqlock;

use super::trial::Case;

/// Every case, in the order of the report.
pub(crate) fn cases() -> Vec<Case> {
    let parts = [
        ring::cases(),
        seqlock::cases(),
        latch::cases(),
        segment::cases(),
    ];
    parts.into_iter().flatten().collect()
}
