//! One exploration of one scenario: all its executions, all its crash points. Several at once. And looking for a
//! failure that is easier to read than the first one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::change::{Change, Table};
use crate::engine::{ASLEEP, Engine, Explore, Extent, Limits};
use crate::quiet;
use crate::run::{Run, Totals};
use crate::scenario::{Scenario, Size};
use crate::trace::Trace;

/// How far an exploration goes.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Executions per exploration.
    pub executions: u64,
    /// Where random schedules start from.
    pub seed: u64,
}

impl Effort {
    /// So many executions, with the seed that is taken where none is asked for.
    pub const fn of(executions: u64) -> Effort {
        Effort {
            executions,
            seed: 1,
        }
    }
}

/// What an exploration found.
#[derive(Debug)]
pub struct Explored {
    /// How many executions there were, over all crash points.
    pub executions: u64,
    /// Before how many accesses the actor that may die died; the last exploration, in which it
    /// lived, not included. `None` where no actor dies.
    pub crash_points: Option<u64>,
    /// How far it went, or the first failure.
    pub outcome: Result<Extent, Failure>,
    /// What the executions have shown.
    pub totals: Totals,
}

/// An execution that broke an assertion, or raced.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What broke.
    pub finding: String,
    /// The execution, up to there.
    pub trace: Trace,
    /// Which crash point it had.
    pub crash_point: Option<u64>,
}

/// Explores one scenario, unchanged or with one change: where an actor may die, before its first
/// access, then before its second, and so on until it lives to the end.
pub fn explore<E: Engine>(scenario: &Scenario, change: Option<Change>, effort: Effort) -> Explored {
    let preemptions = match scenario.size {
        Size::Bounded(preemptions) if E::MINIMA => Some(preemptions),
        _ => None,
    };
    let limits = Limits {
        preemptions,
        executions: effort.executions,
        seed: effort.seed,
    };
    explore_within(E::explore, scenario, change, limits)
}

/// The same by any engine, with limits that need not be the scenario's.
pub fn explore_within(
    engine: Explore,
    scenario: &Scenario,
    change: Option<Change>,
    limits: Limits,
) -> Explored {
    let mut all = Explored {
        executions: 0,
        crash_points: scenario.crashes.then_some(0),
        outcome: Ok(Extent::Exhausted),
        totals: Totals::default(),
    };
    let mut crash_point = scenario.crashes.then_some(1);
    loop {
        let run = Run::new(Table::with(change), crash_point);
        let outcome = explore_once(engine, limits, &run, scenario.body);
        let totals = run.totals();
        let died = !totals.died_at.is_empty();
        all.executions += run.executions();
        all.totals.add(totals);
        all.outcome = match (all.outcome, outcome) {
            (_, Err(failure)) => Err(failure),
            (Ok(before), Ok(now)) => Ok(before.and(now)),
            (before, Ok(_)) => before,
        };
        if !died || all.outcome.is_err() {
            return all;
        }
        all.crash_points = all.crash_points.map(|points| points + 1);
        crash_point = crash_point.map(|point| point + 1);
    }
}

/// Explores one program with what `run` says; a panic in it is a failure.
pub(crate) fn explore_once(
    engine: Explore,
    limits: Limits,
    run: &Arc<Run>,
    body: impl Fn(&Arc<Run>) + Send + Sync + 'static,
) -> Result<Extent, Failure> {
    let seen = Arc::clone(run);
    let body = Arc::new(move || body(&seen));
    quiet::catch(|| engine(limits, run, body)).map_err(|finding| Failure {
        // loom and shuttle say it of threads, in words of their own. Nothing but a sleep can end so: no model takes
        // two locks.
        finding: match finding.starts_with("deadlock") {
            true => ASLEEP.to_owned(),
            false => finding,
        },
        trace: run.trace(),
        crash_point: run.crash_point,
    })
}

/// Executions in each further exploration at most: what fails, fails early, and what does not is
/// not worth more.
const TO_EXPLAIN: u64 = 1_000;

/// A failure of `scenario`, or the first one of any of the others if its execution is shorter: in
/// accesses, and where these are equal, in actors. The same arguments always give the same
/// failure.
///
/// Explores each of the others, with 1,000 executions for each crash point at most, and no more
/// than `effort` says: a change that breaks one scenario breaks others, too, and in some of them after fewer
/// accesses. (Bounding the preemptions of the same scenario instead was tried: loom's first failure is then
/// the very same one, with each change and in each scenario.)
pub fn explain<'a, E: Engine>(
    (scenario, failure): (&'a Scenario, Failure),
    others: impl IntoIterator<Item = &'a Scenario>,
    change: Option<Change>,
    effort: Effort,
) -> (&'a Scenario, Failure) {
    let effort = Effort {
        executions: effort.executions.min(TO_EXPLAIN),
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

/// The command that explores a scenario like this.
pub(crate) fn repeat<E: Engine>(scenario: &str, change: Option<Change>, effort: Effort) -> String {
    let name = E::NAME;
    let change = change.map_or(String::new(), |change| format!(" --change '{change}'"));
    // What the order of executions depends on, where it does.
    let limits = match E::WEAK {
        true => String::new(),
        false => format!(" --seed {} --executions {}", effort.seed, effort.executions),
    };
    format!(
        "cargo run -p ringproof-models --features {name} -- {name} --only '{scenario}'{change}{limits}"
    )
}

/// Maps `work` over `items`, `at_once` at a time, in order.
pub(crate) fn in_parallel<T: Sync, R: Send>(
    at_once: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    thread::scope(|scope| {
        for _ in 0..at_once.min(items.len()) {
            scope.spawn(|| {
                while let Some((number, item)) = {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    items.get(number).map(|item| (number, item))
                } {
                    let result = work(item);
                    done.lock()
                        .expect("no worker panics")
                        .push((number, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no worker panics");
    done.sort_by_key(|&(number, _)| number);
    done.into_iter().map(|(_, result)| result).collect()
}
