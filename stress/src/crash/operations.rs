//! What processes die in: how it is set up, done and judged, written once for all points.

mod ring;
mod segment;
mod value;

use super::case::{By, Case, Injected, Points};
use crate::desk::Check;

pub(crate) use ring::pair::{End, Pair, pairs};

/// Every case, in the order of the report.
pub(crate) fn cases() -> Vec<Case> {
    let parts = [ring::cases(), value::cases(), segment::cases()];
    parts.into_iter().flatten().collect()
}

/// Those in which a death at such points makes sense.
pub(crate) fn cases_at(points: Points) -> impl Iterator<Item = Case> {
    cases()
        .into_iter()
        .filter(move |case| case.points.contains(&points))
}

/// What these are about, each once.
pub(crate) fn subjects_at(points: Points) -> impl Iterator<Item = &'static str> {
    let mut subjects: Vec<_> = cases_at(points).map(|case| case.subject).collect();
    subjects.dedup();
    subjects.into_iter()
}

/// The faults that a check must notice.
pub(crate) fn injected(subject: &str, by: By) -> impl Iterator<Item = Injected> {
    all_injected().filter(move |(of, at, ..)| (*of, *at) == (subject, by))
}

/// Every one.
pub(crate) fn all_injected() -> impl Iterator<Item = Injected> {
    let parts: [&[Injected]; 3] = [&ring::INJECTED, &value::INJECTED, &segment::INJECTED];
    parts.into_iter().flatten().copied()
}

/// A check with the faults that it must notice.
pub(crate) fn with_injected(check: Check, by: By) -> Check {
    let subject = check.subject.clone();
    injected(&subject, by).fold(check, |check, (.., fault, sign)| {
        check.injected(fault, sign)
    })
}
