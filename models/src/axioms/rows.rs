//! What the axioms say, as rows of the report: of the scenarios that are small enough, of the changes, and of the
//! ring with an atomic payload.

use ringproof::site::{LoadOrdering, LoadSite, StoreOrdering, StoreSite};
use ringproof_record::Record;

use crate::axioms::Axioms;
use crate::calibration;
use crate::change::Change;
use crate::exploration::Effort;
use crate::mutants::Judge;
use crate::scenario::{Scenario, inventory};
use crate::suite::{self, Plan, Shard};

/// What the layer is called.
pub const LAYER: &str = "axioms";

/// Scenarios in which loom has more executions are left to loom.
const SMALL: u64 = 30_000;

/// And so are
///
/// - those in which a queue has more steps than in others: their orders are too many;
/// - those in which who sleeps can make no barrier: what is worth seeing comes after a sleep of limited time;
/// - the one of two items. The axioms know no dependencies, and find an execution in which who wakes sees, at its first
///   look, the second number that is asked for. That is asked for only because it answered the first one, which it did
///   because of what it saw. No processor makes a store that depends on a load before the load, and no compiler can.
pub(super) const LEFT_OUT: [&str; 7] = [
    "sleep/for items and room",
    "sleep/waker succeeded",
    "sleep/2 readers",
    "sleep/sleeper dies, two items",
    "sleep/for an item, refused",
    "sleep/for an item, neither",
    "sleep/for two items",
];

const EFFORT: Effort = Effort::of(30_000);

/// The four orderings of the ring, each weakened. With a payload of atomic words there is no data
/// race to show that one is missing: only the values that an item can then have, and for the two
/// that give a slot back only load buffering.
const RING: [Change; 4] = [
    Change::Store(StoreSite::RingPublish, StoreOrdering::Relaxed),
    Change::Load(LoadSite::RingObserve, LoadOrdering::Relaxed),
    Change::Store(StoreSite::RingFree, StoreOrdering::Relaxed),
    Change::Load(LoadSite::RingReclaim, LoadOrdering::Relaxed),
];

/// Every row; `progress` is called with each as it is there.
pub fn rows(progress: &(dyn Fn(&Record) + Sync)) -> Vec<Record> {
    let small: Vec<Scenario> = (inventory().into_iter())
        .filter(|scenario| scenario.minimum <= SMALL)
        .filter(|scenario| !LEFT_OUT.iter().any(|name| scenario.name.starts_with(name)))
        .collect();
    let plan = Plan {
        effort: EFFORT,
        nightly: false,
        shard: Shard::WHOLE,
    };
    let seen = |row: &Record| progress(&repeated(row.clone()));
    let mut rows = suite::run_over::<Axioms<false>>(&small, Vec::new(), &plan, &seen);
    let more = [atomic_payload(), calibration::rows::<Axioms<false>>()].concat();
    more.iter().for_each(seen);
    rows.extend(more);
    rows.into_iter().map(repeated).collect()
}

fn atomic_payload() -> Vec<Record> {
    let rings: Vec<Scenario> = (inventory().into_iter())
        .filter(|scenario| scenario.minimum <= SMALL && scenario.name.starts_with("ring/capacity"))
        .collect();
    let judge = Judge::<Axioms<true>>::new(&rings, &[], EFFORT);
    (judge.judge_all(&RING, &|_| {}).iter())
        .filter_map(|judgement| judgement.row::<Axioms<true>>())
        .map(|row| Record {
            check: format!("{}, atomic payload", row.check),
            ..row
        })
        .collect()
}

/// It is quick, so that it has no command for a part of it.
fn repeated(row: Record) -> Record {
    row.repeat("cargo run -p ringproof-models -- axioms")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringproof_record::Verdict;

    #[test]
    fn everything_holds_and_the_rings_orderings_are_needed_for_an_atomic_payload_too() {
        let rows = rows(&|_| {});
        let failed = rows.iter().filter(|row| row.verdict == Verdict::Failed);
        let failed: Vec<_> = failed.map(Record::to_line).collect();
        assert!(failed.is_empty(), "\n{}\n", failed.join("\n"));
        let atomic = rows
            .iter()
            .filter(|row| row.check.ends_with("atomic payload"));
        assert_eq!(atomic.count(), RING.len());
        assert!(rows.iter().all(|row| row.layer == LAYER));
    }
}
