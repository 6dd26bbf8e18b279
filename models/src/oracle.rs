//! One engine as another's oracle. Every execution that is possible under sequential consistency is
//! possible under weaker rules: what the actors of a scenario can have read in one of shuttle's
//! schedules, they must have read in one of loom's executions, if loom says that it tried them
//! all, or all with so many preemptions; shuttle then makes no more of these either. It catches a
//! model in which loom explores next to nothing and passes everything.

use ringproof_record::Record;

use crate::change::Change;
use crate::engine::{Engine, Extent, Limits};
use crate::exploration::Explored;
use crate::scenario::Scenario;

/// How many schedules are enough for a comparison: depth-first, and once more at random where
/// they do not suffice for all.
const SCHEDULES: u64 = 2_000;

/// What the comparison is called in the report.
pub const CHECK: &str = "contains shuttle's outcomes";

/// What came of a comparison.
#[derive(Debug)]
pub struct Compared {
    /// How many outcomes the oracle reached.
    pub outcomes: usize,
    /// How many they were for each engine, and how the oracle came to them.
    pub extent: String,
    /// What the engine did not find; `None` if it found everything.
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
        Extent::Bounded(preemptions) => Some(*preemptions),
        Extent::Truncated(_) => return None,
    };
    let limits = Limits {
        preemptions,
        executions: SCHEDULES,
        seed,
    };
    let reached = oracle(scenario, change, limits);
    let (theirs, ours) = (&reached.totals.readings, &explored.totals.readings);
    let missing = theirs.difference(ours).count();
    let (how, missed) = match reached.outcome {
        Err(failure) => (
            "up to a failure".to_owned(),
            Some(format!("shuttle fails here: {}", failure.finding)),
        ),
        Ok(extent) => (
            extent.to_string(),
            (missing > 0).then(|| format!("missed {missing} outcomes that shuttle reached")),
        ),
    };
    Some(Compared {
        outcomes: theirs.len(),
        extent: format!(
            "shuttle: {} schedules, {how}, {} outcomes; {}: {}",
            reached.executions,
            theirs.len(),
            E::NAME,
            ours.len()
        ),
        missed,
    })
}

/// The row of a control that was compared.
pub fn row<E: Engine>(scenario: &Scenario, compared: Compared) -> Record {
    let Compared {
        outcomes,
        extent,
        missed,
    } = compared;
    let row = match missed {
        None => Record::passed(E::NAME, scenario.name, CHECK).reason(extent),
        Some(missed) => {
            Record::failed(E::NAME, scenario.name, CHECK, format!("{missed}; {extent}"))
        }
    };
    row.count(outcomes as u64, "outcomes")
}
