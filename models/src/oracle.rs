//! One engine as another's oracle: shuttle as loom's.
//!
//! Every execution that is possible under sequential consistency is possible under weaker rules:
//! what the actors of a scenario can have read in one of shuttle's schedules, they must have read
//! in one of loom's executions, if loom says that it tried them all. It catches a model in which
//! loom explores next to nothing and passes everything.
//!
//! Where loom says that it tried all with at most k preemptions, shuttle's have one fewer. With as
//! many there would be false alarms: loom leaves out executions that are like one that it has
//! tried, and under a bound that one may need a preemption more. (Of the 483 outcomes that two
//! preemptions give in "crash/producer, ring of 4", where three threads meet, loom 0.7.2 loses 60,
//! but none that one preemption gives.) Shuttle's have one in any case, without which no two
//! threads meet.

use ringproof_record::Record;

use crate::change::Change;
use crate::engine::{Engine, Extent, Limits};
use crate::exploration::{Explored, explore_within};
use crate::scenario::Scenario;

/// How many schedules are enough for a comparison: depth-first, and once more at random where
/// they do not suffice for all.
const SCHEDULES: u64 = 2_000;

/// What the comparison is called in the report.
pub const CHECK: &str = "contains shuttle's outcomes";

/// What came of a comparison.
#[derive(Clone, Debug)]
pub struct Compared {
    /// How many outcomes the oracle reached.
    pub outcomes: usize,
    /// How many that and the engine reached, and in how many schedules.
    pub numbers: String,
    /// What the engine missed; `None` if nothing.
    pub missed: Option<String>,
}

/// Holds what an engine's oracle reaches in a scenario with this change against what the engine
/// `explored` there. `None` where it has no oracle, or does not claim to have found everything.
pub fn compare<E: Engine>(
    scenario: &Scenario,
    change: Option<Change>,
    explored: &Explored,
    seed: u64,
) -> Option<Compared> {
    let oracle = E::ORACLE?;
    let preemptions = match explored.outcome.as_ref().ok()? {
        Extent::Exhausted | Extent::ExhaustedHistory => None,
        Extent::Bounded(preemptions) => Some(preemptions.saturating_sub(1).max(1)),
        Extent::Truncated(_) => return None,
    };
    let limits = Limits {
        preemptions,
        executions: SCHEDULES,
        seed,
    };
    let reached = explore_within(oracle, scenario, change, limits);
    let (theirs, ours) = (&reached.totals.readings, &explored.totals.readings);
    let (missed, extent) = match reached.outcome {
        Err(failure) => (
            Some(format!("shuttle fails here: {}", failure.finding)),
            "up to there".to_owned(),
        ),
        Ok(extent) => {
            let missing = theirs.difference(ours).count();
            let missed = || format!("{} missed {missing} outcomes that shuttle reached", E::NAME);
            ((missing > 0).then(missed), extent.to_string())
        }
    };
    Some(Compared {
        outcomes: theirs.len(),
        numbers: format!(
            "shuttle: {} schedules, {extent}, {} outcomes; {}: {}",
            reached.executions,
            theirs.len(),
            E::NAME,
            ours.len()
        ),
        missed,
    })
}

/// The row of a control that was compared.
pub fn row<E: Engine>(scenario: &Scenario, compared: &Compared) -> Record {
    let numbers = &compared.numbers;
    let row = match &compared.missed {
        None => Record::passed(E::NAME, scenario.name, CHECK).reason(numbers),
        Some(missed) => {
            let reason = format!("{missed}; {numbers}");
            Record::failed(E::NAME, scenario.name, CHECK, reason)
        }
    };
    row.count(compared.outcomes as u64, "outcomes")
}
