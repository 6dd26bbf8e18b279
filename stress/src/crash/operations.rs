//! What processes die in: how it is set up, done and judged, written once for all points.

mod latch;
mod ring;
mod segment;
mod seqlock;

use super::case::{Case, Points};

pub(crate) use ring::pair::{End, Pair, pairs};

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

/// Those in which a death at such points makes sense.
pub(crate) fn cases_at(points: Points) -> impl Iterator<Item = Case> {
    cases()
        .into_iter()
        .filter(move |case| case.points.contains(&points))
}
