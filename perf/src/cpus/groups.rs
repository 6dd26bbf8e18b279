//! Pairs of CPUs by how far they are apart.

use crate::stats::summarize;
use crate::table::figure;

/// Pairs whose latencies differ by less, from one to the next in order, are equally far apart.
const SAME_DISTANCE: f64 = 1.25;

/// Two CPUs and the latency between them.
pub(crate) type Apart = ((usize, usize), f64);

/// Pairs that are about equally far apart, the nearest first.
pub(crate) struct Group(pub(crate) Vec<Apart>);

impl Group {
    /// The smallest and the largest latency.
    pub(crate) fn range(&self) -> String {
        let ends = [self.0.first(), self.0.last()];
        let [low, high] =
            ends.map(|end| end.map_or(String::new(), |(_, latency)| figure(*latency)));
        match low == high {
            true => low,
            false => format!("{low}–{high}"),
        }
    }

    /// The latency of the pair in the middle.
    pub(crate) fn middle(&self) -> f64 {
        let medians: Vec<f64> = self.0.iter().map(|(_, latency)| *latency).collect();
        summarize(&medians).map_or(f64::NAN, |summary| summary.median)
    }

    /// The pairs by name, where they are few.
    pub(crate) fn names(&self) -> String {
        const SHOWN: usize = 6;
        let shown = self.0.iter().take(SHOWN);
        let names: Vec<String> = shown
            .map(|((one, other), _)| format!("{one}–{other}"))
            .collect();
        let more = match self.0.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        names.join(", ") + &more
    }
}

/// Sorts pairs into groups: a gap between one latency and the next begins a new one.
pub(crate) fn groups(mut pairs: Vec<Apart>) -> Vec<Group> {
    pairs.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    let groups = pairs.chunk_by(|(_, one), (_, next)| *next < one * SAME_DISTANCE);
    groups.map(|group| Group(group.to_vec())).collect()
}
