//! Looking for a shorter failure than the first one: what few accesses break is understood sooner.

use crate::change::Change;
use crate::engine::Engine;
use crate::exploration::{Effort, Failure, explore_from};
use crate::scenario::Scenario;
use crate::trace::Trace;

/// Preemptions per execution in the further explorations, one each.
const BOUNDS: [usize; 3] = [0, 1, 2];

/// Executions in each of them at most.
const EXECUTIONS: u64 = 20_000;

/// The shortest failure among `failure` and the first ones with at most 0, 1 and 2 preemptions:
/// the one with the fewest accesses, and among those with the fewest switches from one actor to
/// another. The same arguments always give the same failure.
///
/// Each further exploration makes 20,000 executions at most, and no more than `effort` says. The
/// crash point stays: at an earlier one nothing broke, or `failure` would have it.
pub fn explain<E: Engine>(
    scenario: &Scenario<E>,
    change: Option<Change>,
    effort: Effort,
    failure: Failure,
) -> Failure {
    let effort = Effort {
        executions: effort.executions.min(EXECUTIONS),
        ..effort
    };
    let mut shortest = failure;
    // An engine that cannot bound preemptions would find the same failure again.
    for bound in BOUNDS.into_iter().filter(|_| E::WEAK) {
        let bounded = Scenario::<E>::new(scenario.name, scenario.body, 0, &[]).bounded(bound);
        let explored = explore_from(&bounded, change, effort, shortest.crash_point);
        if let Err(found) = explored.outcome
            && length(&found.trace) < length(&shortest.trace)
        {
            shortest = found;
        }
    }
    shortest
}

fn length(trace: &Trace) -> (usize, usize) {
    let switches = (trace.events.windows(2))
        .filter(|pair| pair[0].actor != pair[1].actor)
        .count();
    (trace.events.len(), switches)
}
