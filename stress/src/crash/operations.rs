//! What processes die in: how it is set up, done and judged, written once for all points.

mod latch;
mod ring;
mod segment;
mod seqlock;

use super::case::{By, Case, Injected, Points};
use crate::desk::Check;

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

/// The faults that a check must notice.
pub(crate) fn injected(subject: &str, by: By) -> impl Iterator<Item = Injected> {
    all_injected().filter(move |(of, at, ..)| (*of, *at) == (subject, by))
}

/// Every one.
pub(crate) fn all_injected() -> impl Iterator<Item = Injected> {
    let parts: [&[Injected]; 4] = [
        &ring::INJECTED,
        &seqlock::INJECTED,
        &latch::INJECTED,
        &segment::INJECTED,
    ];
    parts.into_iter().flatten().copied()
}

/// A check with the faults that it must notice.
pub(crate) fn with_injected(check: Check, by: By) -> Check {
    let subject = check.subject.clone();
    injected(&subject, by).fold(check, |check, (.., fault, sign)| {
        check.injected(fault, sign)
    })
}
