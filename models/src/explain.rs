//! Looking for a failure that is easier to read than the first one: a change that breaks one
//! scenario breaks others, too, and in some of them after fewer accesses.
//!
//! (Bounding the preemptions of the same scenario instead was tried: loom's first failure is then
//! the very same one, with each change and in each scenario.)

use crate::change::Change;
use crate::engine::Engine;
use crate::exploration::{Effort, Failure, explore};
use crate::scenario::Scenario;

/// Executions in each further exploration at most: what fails, fails early, and what does not is
/// not worth more.
const EXECUTIONS: u64 = 1_000;

/// A failure of `scenario`, or the first one of any of the others if its execution is shorter: in
/// accesses, and where these are equal, in actors. The same arguments always give the same
/// failure.
///
/// Explores each of the others, with 1,000 executions for each crash point at most, and no more
/// than `effort` says.
pub fn explain<'a, E: Engine>(
    (scenario, failure): (&'a Scenario, Failure),
    others: impl IntoIterator<Item = &'a Scenario>,
    change: Option<Change>,
    effort: Effort,
) -> (&'a Scenario, Failure) {
    let effort = Effort {
        executions: effort.executions.min(EXECUTIONS),
        ..effort
    };
    let failures = (others.into_iter())
        .filter(|other| other.name != scenario.name)
        .filter_map(|other| Some((other, explore::<E>(other, change, effort).outcome.err()?)));
    // The first one of equals stays.
    [(scenario, failure)]
        .into_iter()
        .chain(failures)
        .min_by_key(|(_, failure)| (failure.trace.events.len(), failure.trace.actors.len()))
        .expect("the given one is there")
}
