//! What one exploration of one model observes: executions, outcomes, sites, deaths.

use std::any::Any;
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard};

use ringproof::site::Site;

use crate::change::Table;
use crate::trace::{Event, Label, Trace, Waking, What};

/// The state of one exploration, shared by all its threads.
#[derive(Debug, Default)]
pub struct Run {
    /// The orderings in force.
    pub table: Table,
    /// Before which access, from 1, a memory that may die does so; `None`: never.
    pub crash_point: Option<u64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    executions: u64,
    /// The execution that runs now, or ran last.
    trace: Trace,
    saw: Vec<&'static str>,
    /// Of those that count.
    totals: Totals,
}

/// What the executions of an exploration have shown together.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// How often each outcome was witnessed.
    pub witnessed: BTreeMap<&'static str, u64>,
    /// What the actors can have read, all their readings of an execution taken together, as
    /// hashes.
    pub readings: HashSet<u64>,
    /// Which sites were accessed.
    pub sites: Vec<Site>,
    /// Before which sites an actor died.
    pub died_at: Vec<Site>,
}

impl Totals {
    /// Adds what another exploration has shown.
    pub fn add(&mut self, other: Totals) {
        for (outcome, count) in other.witnessed {
            *self.witnessed.entry(outcome).or_default() += count;
        }
        self.readings.extend(other.readings);
        add_all(&mut self.sites, &other.sites);
        add_all(&mut self.died_at, &other.died_at);
    }
}

fn add_all(to: &mut Vec<Site>, from: &[Site]) {
    for site in from {
        if !to.contains(site) {
            to.push(*site);
        }
    }
}

impl Run {
    /// A run over this table.
    pub fn new(table: Table, crash_point: Option<u64>) -> Arc<Run> {
        Arc::new(Run {
            table,
            crash_point,
            state: Mutex::default(),
        })
    }

    /// A panicking model may poison it; what it holds is whole all the same. The engines switch
    /// threads only inside their own calls, none of which is made while this is locked.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// An execution begins.
    pub(crate) fn begin(&self) {
        let mut state = self.state();
        state.executions += 1;
        state.trace.actors.clear();
        state.trace.events.clear();
        state.saw.clear();
    }

    /// The execution has ended, and counts. Engines call it.
    pub fn commit(&self) {
        let mut state = self.state();
        let State {
            trace, saw, totals, ..
        } = &mut *state;
        for outcome in saw.drain(..) {
            *totals.witnessed.entry(outcome).or_default() += 1;
        }
        let mut hasher = DefaultHasher::new();
        trace.readings().hash(&mut hasher);
        totals.readings.insert(hasher.finish());
        for event in &trace.events {
            let Some(site) = event.label.site else {
                continue;
            };
            let list = match event.what {
                What::Died => &mut totals.died_at,
                _ => &mut totals.sites,
            };
            add_all(list, &[site]);
        }
    }

    /// How many executions were begun.
    pub fn executions(&self) -> u64 {
        self.state().executions
    }

    /// Notes that `outcome` was witnessed in this execution.
    pub fn saw(&self, outcome: &'static str) {
        self.state().saw.push(outcome);
    }

    /// What was seen so far.
    pub fn totals(&self) -> Totals {
        self.state().totals.clone()
    }

    /// The execution that runs now, or ran last: after a failure, the one that failed.
    pub fn trace(&self) -> Trace {
        self.state().trace.clone()
    }

    /// Notes an event.
    pub(crate) fn note(&self, event: Event) {
        self.state().trace.events.push(event);
    }

    /// Fills in what the last event of this actor found.
    pub(crate) fn found(&self, actor: usize, value: u64) {
        let mut state = self.state();
        let last = state
            .trace
            .events
            .iter_mut()
            .rev()
            .find(|e| e.actor == actor);
        if let Some(Event {
            what: What::Read { value: found, .. },
            ..
        }) = last
        {
            *found = Some(value);
        }
    }

    /// Fills in how the last sleep of this actor ended.
    pub(crate) fn woke(&self, actor: usize, how: Waking) {
        let mut state = self.state();
        let mut own = state.trace.events.iter_mut().rev();
        if let Some(Event {
            what: What::Wait { ended, .. },
            ..
        }) = own.find(|event| event.actor == actor)
        {
            *ended = Some(how);
        }
    }

    /// How often in this execution an access was made at a site.
    pub fn count(&self, site: impl Into<Site>) -> usize {
        let site = Some(site.into());
        let made = |event: &&Event| {
            event.label.site == site && !matches!(event.what, What::LeftOut | What::Died)
        };
        self.state().trace.events.iter().filter(made).count()
    }

    /// The number of a new actor in this execution. Several of one name are numbered from the second on.
    pub(crate) fn join(&self, name: &str) -> usize {
        let mut state = self.state();
        let actors = &mut state.trace.actors;
        let namesakes = (actors.iter())
            .filter(|other| other.split(' ').next() == Some(name))
            .count();
        actors.push(match namesakes {
            0 => name.to_owned(),
            _ => format!("{name} {}", namesakes + 1),
        });
        actors.len() - 1
    }
}

/// How an actor's death unwinds.
struct Death;

/// Dies: unwinds to the next [`mortal`], past everything that the actor would still have done.
pub(crate) fn die(run: &Run, actor: usize, label: Label) -> ! {
    run.note(Event {
        actor,
        label,
        what: What::Died,
    });
    let death: Box<dyn Any + Send> = Box::new(Death);
    panic::resume_unwind(death)
}

/// Runs `body`, in which an actor may die: `None` if one did.
pub fn mortal<R>(body: impl FnOnce() -> R) -> Option<R> {
    match panic::catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => Some(result),
        Err(payload) if payload.is::<Death>() => None,
        Err(payload) => panic::resume_unwind(payload),
    }
}
