//! Shuttle as loom's oracle. Every execution that is possible under sequential consistency is
//! possible under weaker rules: what the actors of a scenario can have read in one of shuttle's
//! schedules, they must have read in one of loom's executions, if loom says that it tried them
//! all. It catches a model in which loom explores next to nothing and passes everything.

use ringproof_record::Record;

use crate::engine::loom::Loom;
use crate::engine::shuttle::Shuttle;
use crate::engine::{Engine, Extent};
use crate::exploration::{Effort, Explored, explore};
use crate::parallel::in_parallel;
use crate::plan::Plan;
use crate::scenario::{self, Scenario};

/// How many schedules are enough for a comparison: depth-first, and once more at random where
/// they do not suffice for all.
const SCHEDULES: u64 = 2_000;

/// What the comparison is called in the report.
pub const CHECK: &str = "contains shuttle's outcomes";

/// A row for each scenario that loom says it has exhausted.
pub fn rows(
    controls: &[(Scenario<Loom>, Explored)],
    plan: &Plan,
    progress: &(dyn Fn(&Record) + Sync),
) -> Vec<Record> {
    let twins = [scenario::inventory::<Shuttle>(), scenario::night()].into_iter();
    let twins: Vec<_> = twins.flatten().collect();
    let rows = in_parallel(Shuttle::at_once(), controls, |(scenario, loom)| {
        let twin = twins.iter().find(|twin| twin.name == scenario.name);
        let row = judge(twin?, loom, plan.effort.seed)?;
        progress(&row);
        Some(row)
    });
    rows.into_iter().flatten().collect()
}

/// Holds what shuttle reaches in `scenario` against what loom found there. `None` where loom did
/// not claim to have found everything.
pub fn judge(scenario: &Scenario<Shuttle>, loom: &Explored, seed: u64) -> Option<Record> {
    if !loom.outcome.as_ref().is_ok_and(Extent::is_exhausted) {
        return None;
    }
    let effort = Effort {
        executions: SCHEDULES,
        seed,
    };
    let shuttle = explore(scenario, None, effort);
    let extent = match shuttle.outcome {
        Ok(extent) => extent,
        Err(failure) => {
            let reason = format!("shuttle fails here: {}", failure.finding);
            return Some(Record::failed(Loom::NAME, scenario.name, CHECK, reason));
        }
    };
    let (theirs, ours) = (shuttle.totals.readings, &loom.totals.readings);
    let missing = theirs.difference(ours).count();
    let reason = format!(
        "shuttle: {} schedules, {extent}, {} outcomes; loom: {}",
        shuttle.executions,
        theirs.len(),
        ours.len()
    );
    let row = match missing {
        0 => Record::passed(Loom::NAME, scenario.name, CHECK).reason(reason),
        _ => Record::failed(
            Loom::NAME,
            scenario.name,
            CHECK,
            format!("loom missed {missing} outcomes that shuttle reached; {reason}"),
        ),
    };
    Some(row.count(theirs.len() as u64, "outcomes"))
}
