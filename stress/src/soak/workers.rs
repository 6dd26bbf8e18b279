//! The processes of one round: started, killed, stopped and started again at chosen moments, and
//! in the end left alone, when they must come to their goal.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use ringproof::inspect::RoleState;
use ringproof::{Claim, Segment, SegmentError};

use super::choice::{Choices, Round};
use super::countdown::{self, Countdown};
use super::tally::Tally;
use crate::fault::Fault;
use crate::item::Author;
use crate::process::{Child, Interrupts, Note, SingleThreaded, wait_readable};
use crate::words::Words;

/// The number of the actor that stores the first index, sequence or version.
pub(crate) const PRODUCER: usize = 0;
/// The number of the one at the other end.
pub(crate) const CONSUMER: usize = 1;

/// One life in so many ends at a moment; the others end at an access.
const MOMENTS: u64 = 8;

/// At most how many accesses such a life has: some end in the first operation that it makes, and some
/// after many.
const ACCESSES: [u64; 3] = [8, 64, 512];

/// How many times as long as others it has until something happens to it all the same, should it have
/// nothing to do. Long enough for the processor to come to it where many want it.
const SPARED: u32 = 256;

/// Operations to a turn. With shorter ones more are killed in a second.
const TURNS: [u32; 3] = [16, 256, 512];

/// How often an endpoint is looked at that is left alone.
const TICK: Duration = Duration::from_millis(20);

/// A structure in shared memory, what processes do with it, and what must be true of it when one
/// of them is dead.
pub(crate) trait Structure {
    /// What it is, for messages.
    fn describe(&self) -> String;

    /// The segment that it lies in.
    fn segment(&self) -> &Segment;

    /// The names of the actors, for messages; their numbers count from zero.
    fn actors(&self) -> &'static [&'static str];

    /// What an actor does in a process of its own: until it is killed, or comes to its goal.
    fn work(&self, actor: usize, life: Life<'_>) -> Result<()>;

    /// Judges what an actor has left behind that is dead. Whether it shows that this one died between
    /// two stores that belong together.
    fn died(&mut self, actor: usize) -> Result<bool>;

    /// Judges what is to be found while an actor is stopped.
    fn stopped(&mut self, actor: usize) -> Result<()>;

    /// A moment in which all are dead, and were judged.
    fn all_dead(&mut self, _: SingleThreaded, _: Choices) -> Result<()> {
        Ok(())
    }

    /// How far to go from here, when all are dead and there are no more kills.
    fn goal(&self) -> Result<u64>;

    /// A number that changes when an actor gets on.
    fn progress(&self) -> Result<u64>;

    /// Judges the structure when all have come to the goal.
    fn ended(&mut self, goal: u64) -> Result<()>;

    /// What was done to it.
    fn tally(&self) -> Tally;
}

/// One process in the life of an actor.
pub(crate) struct Life<'a> {
    /// How many there were before.
    pub(crate) number: u64,
    /// What it leaves to chance.
    pub(crate) choices: Choices,
    /// Where it ends; nowhere while it will be killed.
    pub(crate) goal: Option<u64>,
    pub(crate) fault: Option<Fault>,
    pub(crate) turn: Turn,
    /// How many accesses it has, if that is what ends it. Each operation that returns reports to it.
    pub(crate) countdown: &'a Countdown<'a>,
}

impl Life<'_> {
    /// The mistake that this actor makes in its memory. (Others are made where they are asked for.)
    pub(crate) fn mistake(&self, actor: usize) -> Option<Fault> {
        let maker = match self.fault? {
            // The first life has no predecessor.
            Fault::ResumeLate | Fault::ResumeEarly if self.number == 0 => return None,
            Fault::Forget | Fault::Hang | Fault::RoleKept | Fault::RoleLost => return None,
            Fault::FreeFirst => CONSUMER,
            Fault::AskLost if actor != PRODUCER => actor,
            _ => PRODUCER,
        };
        self.fault.filter(|_| actor == maker)
    }
}

/// How long a process goes on before it lets others have the processor. Whoever is killed while it
/// waits for one cannot die before it gets one, which may take milliseconds where nobody gives it
/// away.
pub(crate) struct Turn {
    operations: u32,
    left: u32,
}

impl Turn {
    fn new(operations: u32) -> Self {
        Turn {
            operations,
            left: operations,
        }
    }

    /// After an operation.
    pub(crate) fn over(&mut self) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.end();
        }
    }

    /// There is nothing to do.
    pub(crate) fn end(&mut self) {
        self.left = self.operations;
        std::thread::yield_now();
    }
}

/// Who a process is as an author: another one than its predecessor, so that a mixture of what both
/// wrote shows.
pub(crate) fn author(claim: &Claim) -> Author {
    if claim.epoch() % 2 == 1 {
        Author::Victim
    } else {
        Author::Successor
    }
}

/// No progress for too long.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Hang(String);

/// A process, and when something happens to it.
pub(crate) struct Worker {
    actor: usize,
    number: u64,
    child: Child,
    /// Whether it dies at an access, unless something else comes first.
    at_access: bool,
    /// What happens when.
    moments: Choices,
    due: Instant,
    stopped: bool,
}

/// Whoever starts and kills the processes of a round.
pub(crate) struct Workers<'a> {
    pub(crate) alone: SingleThreaded,
    pub(crate) interrupts: &'a Interrupts,
    pub(crate) round: &'a Round,
    pub(crate) fault: Option<Fault>,
    /// How long an endpoint may not get on, though nothing hinders it.
    pub(crate) patience: Duration,
    /// A word for each actor, in which it says where it is.
    pub(crate) places: &'a Words,
    pub(crate) structure: &'a mut dyn Structure,
    pub(crate) tally: &'a mut Tally,
    /// One of each actor, in their order.
    pub(crate) running: Vec<Worker>,
}

impl Workers<'_> {
    /// Runs the round, unless a signal ends it; the tally says how far it came.
    pub(crate) fn run(mut self) -> Result<()> {
        for actor in 0..self.structure.actors().len() {
            self.running.push(self.start(actor, 0, None)?);
        }
        while self.tally.kills < self.round.kills {
            let dues = self.running.iter().map(|worker| worker.due).enumerate();
            let (next, due) = dues.min_by_key(|(_, due)| *due).context("no actors")?;
            let fallen = self.watch(due)?;
            if self.interrupts.check().is_err() {
                return Ok(());
            }
            match fallen {
                Some(which) => {
                    self.tally.at_accesses += 1;
                    self.replace(which)?;
                }
                None => self.strike(next)?,
            }
        }
        let numbers = self.kill_all()?;
        self.calm(&numbers)
    }

    fn start(&self, actor: usize, number: u64, goal: Option<u64>) -> Result<Worker> {
        let (round, fault, places) = (self.round, self.fault, self.places);
        let from = |purpose| Choices::of(&[round.seed, actor as u64, number, purpose]);
        let what = format!("{} {number}", self.structure.actors()[actor]);
        let mut ends = from(2);
        let at_access = goal.is_none() && !ends.one_in(MOMENTS);
        let most = ends.pick(&ACCESSES);
        let accesses = at_access.then(|| 1 + ends.below(most));
        countdown::reset(&places[actor]);
        let child = Child::fork(what, self.alone, |_| {
            let mut choices = from(0);
            let turn = Turn::new(choices.pick(&TURNS));
            let life = Life {
                number,
                choices,
                goal,
                fault,
                turn,
                countdown: &Countdown::new(&places[actor], accesses),
            };
            self.structure.work(actor, life)
        })?;
        let mut moments = from(1);
        let now = Instant::now();
        let due = next(self.round, &mut moments);
        // Where somebody is made to hang the others have nothing to do.
        let spared = match (at_access, fault) {
            (false, _) | (_, Some(Fault::Hang)) => 1,
            (true, _) => SPARED,
        };
        Ok(Worker {
            actor,
            number,
            child,
            at_access,
            due: now + spared * (due - now),
            moments,
            stopped: false,
        })
    }

    /// Waits for a moment, or until a process has died at an access: which one. An error if one ends
    /// otherwise, for none does without a reason.
    fn watch(&mut self, until: Instant) -> Result<Option<usize>> {
        if !self.wait(until)? {
            return Ok(None);
        }
        for (which, worker) in self.running.iter_mut().enumerate() {
            let reported = worker.child.hear()?;
            if reported.as_ref().is_none_or(|notes| !notes.is_empty()) {
                failure(&reported.unwrap_or_default())?;
                ensure_fallen(self.places, worker)?;
                return Ok(Some(which));
            }
        }
        Ok(None)
    }

    /// Waits until a process says something or ends; false if none does until then.
    fn wait(&self, until: Instant) -> Result<bool> {
        let workers = self.running.iter();
        let files: Vec<_> = workers.map(|worker| worker.child.as_fd()).collect();
        wait_readable(&files, until)
    }

    /// What was to happen to a process happens.
    fn strike(&mut self, which: usize) -> Result<()> {
        let worker = &mut self.running[which];
        let chance = worker.moments.below(16);
        match (worker.stopped, chance) {
            // Goes on after a stop.
            (true, 0..8) => {
                worker.child.resume()?;
                worker.stopped = false;
                worker.due = next(self.round, &mut worker.moments);
            }
            (false, 0..3) => {
                worker.child.signal(Signal::SIGSTOP)?;
                let stopped = worker.child.await_stopped()?;
                failure(&worker.child.hear()?.unwrap_or_default())?;
                if !stopped {
                    ensure_fallen(self.places, worker)?;
                    self.tally.at_accesses += 1;
                    return self.replace(which);
                }
                self.tally.stops += 1;
                worker.stopped = true;
                (self.structure.stopped(worker.actor))
                    .with_context(|| format!("while {} is stopped", worker.child.name()))?;
                worker.due = next(self.round, &mut worker.moments);
            }
            // All at once.
            (_, 15) => {
                let choices = Choices::of(&[worker.moments.below(u64::MAX)]);
                let numbers = self.kill_all()?;
                self.structure.all_dead(self.alone, choices)?;
                self.start_all(&numbers, None)?;
            }
            _ => self.replace(which)?,
        }
        Ok(())
    }

    /// Another one takes the place of one that is killed, or dead already.
    fn replace(&mut self, which: usize) -> Result<()> {
        let dead = self.running.remove(which);
        let (actor, number) = (dead.actor, dead.number);
        self.kill(vec![dead])?;
        self.running
            .insert(which, self.start(actor, number + 1, None)?);
        Ok(())
    }

    /// Kills all, and says their numbers.
    fn kill_all(&mut self) -> Result<Vec<u64>> {
        let dead = std::mem::take(&mut self.running);
        let numbers = dead.iter().map(|worker| worker.number).collect();
        self.kill(dead)?;
        Ok(numbers)
    }

    /// Starts those that follow on these.
    fn start_all(&mut self, numbers: &[u64], goal: Option<u64>) -> Result<()> {
        for (actor, number) in numbers.iter().enumerate() {
            self.running.push(self.start(actor, number + 1, goal)?);
        }
        Ok(())
    }

    /// Kills these, and looks at what they left when all are dead.
    fn kill(&mut self, workers: Vec<Worker>) -> Result<()> {
        for worker in &workers {
            worker.child.signal(Signal::SIGKILL)?;
        }
        let mut dead = Vec::new();
        for Worker { actor, child, .. } in workers {
            let name = child.name().to_owned();
            // It may have found something just before.
            failure(&child.wait()?)?;
            dead.push((actor, name));
            self.tally.kills += 1;
        }
        for (actor, name) in dead {
            let shows = self.structure.died(actor);
            let shows = shows.with_context(|| format!("after {name} was killed"))?;
            let inside = shows || countdown::was_inside(&self.places[actor]);
            self.tally.inside += u64::from(inside);
        }
        Ok(())
    }

    /// Lets everybody come to the goal, as long as somebody gets on.
    fn calm(&mut self, numbers: &[u64]) -> Result<()> {
        let goal = self.structure.goal()?;
        self.start_all(numbers, Some(goal))?;
        let mut last = (self.structure.progress()?, Instant::now());
        while !self.running.is_empty() {
            self.wait(Instant::now() + TICK)?;
            if self.interrupts.check().is_err() {
                return Ok(());
            }
            let mut still = Vec::new();
            for mut worker in std::mem::take(&mut self.running) {
                match worker.child.hear()? {
                    Some(notes) if notes.is_empty() => still.push(worker),
                    reported => {
                        let reported = reported.unwrap_or_default();
                        failure(&reported)?;
                        if reported.last() != Some(&Note::Done) {
                            bail!("{} ended by itself", worker.child.name());
                        }
                        worker.child.wait()?;
                    }
                }
            }
            self.running = still;
            let progress = self.structure.progress()?;
            if progress != last.0 {
                last = (progress, Instant::now());
            } else if last.1.elapsed() > self.patience && !self.running.is_empty() {
                let workers = self.running.iter();
                let names: Vec<_> = workers.map(|worker| worker.child.name()).collect();
                return Err(Hang(format!(
                    "no progress for {} s, though there were no more kills and stops; not at the \
                     goal: {}",
                    self.patience.as_secs_f64(),
                    names.join(", ")
                ))
                .into());
            }
        }
        (self.structure.ended(goal)).context("when all had ended")?;
        self.tally.rounds += 1;
        Ok(())
    }
}

/// When something happens to a process the next time.
fn next(round: &Round, moments: &mut Choices) -> Instant {
    Instant::now() + Duration::from_micros(moments.below(round.longest))
}

/// A process that is dead, and was not killed, died at the access at which it was to.
fn ensure_fallen(places: &Words, worker: &Worker) -> Result<()> {
    ensure!(
        worker.at_access && countdown::has_fallen(&places[worker.actor]),
        "{} ended by itself",
        worker.child.name()
    );
    Ok(())
}

/// A process that was stopped after it took its role, and had another `epoch` before, must hold it.
pub(crate) fn judge_stopped(segment: &Segment, state: &RoleState, epoch: u64) -> Result<()> {
    if state.epoch == epoch {
        return Ok(());
    }
    let claim = segment.claim(state.role);
    ensure!(
        state.held && matches!(claim, Err(SegmentError::Held { .. })),
        "a stopped process has the {}'s role, and another one can take it: {claim:?}",
        state.role
    );
    Ok(())
}

/// The error that a process reports, if it does.
pub(crate) fn failure(reported: &[Note]) -> Result<()> {
    for note in reported {
        if let Note::Failed(what) = note {
            bail!("{what}");
        }
    }
    Ok(())
}
