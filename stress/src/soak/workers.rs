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
    fn all_dead(&mut self, _: &Workers<'_>, _: Choices) -> Result<()> {
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
struct Worker {
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
}

impl Workers<'_> {
    /// Runs the round, unless a signal ends it; the tally says how far it came.
    pub(crate) fn run(&self, structure: &mut dyn Structure, tally: &mut Tally) -> Result<()> {
        let mut workers = (0..structure.actors().len())
            .map(|actor| self.start(structure, actor, 0, None))
            .collect::<Result<Vec<_>>>()?;
        while tally.kills < self.round.kills {
            let dues = workers.iter().map(|worker| worker.due).enumerate();
            let (next, due) = dues.min_by_key(|(_, due)| *due).context("no actors")?;
            let fallen = self.watch(&mut workers, due)?;
            if self.interrupts.check().is_err() {
                return Ok(());
            }
            match fallen {
                Some(which) => {
                    tally.at_accesses += 1;
                    self.replace(structure, &mut workers, which, tally)?;
                }
                None => self.strike(structure, &mut workers, next, tally)?,
            }
        }
        let numbers: Vec<_> = workers.iter().map(|worker| worker.number).collect();
        self.kill(structure, workers, tally)?;
        self.calm(structure, &numbers, tally)
    }

    fn start(
        &self,
        structure: &dyn Structure,
        actor: usize,
        number: u64,
        goal: Option<u64>,
    ) -> Result<Worker> {
        let from = |purpose| Choices::of(&[self.round.seed, actor as u64, number, purpose]);
        let what = format!("{} {number}", structure.actors()[actor]);
        let mut ends = from(2);
        let at_access = goal.is_none() && !ends.one_in(MOMENTS);
        let most = ends.pick(&ACCESSES);
        let accesses = at_access.then(|| 1 + ends.below(most));
        countdown::reset(&self.places[actor]);
        let child = Child::fork(what, self.alone, |_| {
            let mut choices = from(0);
            let turn = Turn::new(choices.pick(&TURNS));
            let life = Life {
                number,
                choices,
                goal,
                fault: self.fault,
                turn,
                countdown: &Countdown::new(&self.places[actor], accesses),
            };
            structure.work(actor, life)
        })?;
        let mut moments = from(1);
        let now = Instant::now();
        let due = self.next(&mut moments);
        // Where somebody is made to hang the others have nothing to do.
        let spared = match (at_access, self.fault) {
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

    fn next(&self, moments: &mut Choices) -> Instant {
        Instant::now() + Duration::from_micros(moments.below(self.round.longest))
    }

    /// Waits for a moment, or until a process has died at an access: which one. An error if one ends
    /// otherwise, for none does without a reason.
    fn watch(&self, workers: &mut [Worker], until: Instant) -> Result<Option<usize>> {
        let files: Vec<_> = workers.iter().map(|worker| worker.child.as_fd()).collect();
        if !wait_readable(&files, until)? {
            return Ok(None);
        }
        for (which, worker) in workers.iter_mut().enumerate() {
            let reported = worker.child.hear()?;
            if reported.as_ref().is_none_or(|notes| !notes.is_empty()) {
                failure(&reported.unwrap_or_default())?;
                self.ensure_fallen(worker)?;
                return Ok(Some(which));
            }
        }
        Ok(None)
    }

    /// A process that is dead, and was not killed, died at the access at which it was to.
    fn ensure_fallen(&self, worker: &Worker) -> Result<()> {
        ensure!(
            worker.at_access && countdown::has_fallen(&self.places[worker.actor]),
            "{} ended by itself",
            worker.child.name()
        );
        Ok(())
    }

    /// What was to happen to a process happens.
    fn strike(
        &self,
        structure: &mut dyn Structure,
        workers: &mut Vec<Worker>,
        which: usize,
        tally: &mut Tally,
    ) -> Result<()> {
        let worker = &mut workers[which];
        let chance = worker.moments.below(16);
        match (worker.stopped, chance) {
            // Goes on after a stop.
            (true, 0..8) => {
                worker.child.resume()?;
                worker.stopped = false;
                worker.due = self.next(&mut worker.moments);
            }
            (false, 0..3) => {
                worker.child.signal(Signal::SIGSTOP)?;
                let stopped = worker.child.await_stopped()?;
                failure(&worker.child.hear()?.unwrap_or_default())?;
                if !stopped {
                    self.ensure_fallen(worker)?;
                    tally.at_accesses += 1;
                    return self.replace(structure, workers, which, tally);
                }
                tally.stops += 1;
                worker.stopped = true;
                (structure.stopped(worker.actor))
                    .with_context(|| format!("while {} is stopped", worker.child.name()))?;
                worker.due = self.next(&mut worker.moments);
            }
            // All at once.
            (_, 15) => {
                let choices = Choices::of(&[worker.moments.below(u64::MAX)]);
                let dead = std::mem::take(workers);
                let numbers: Vec<_> = dead.iter().map(|worker| worker.number).collect();
                self.kill(structure, dead, tally)?;
                structure.all_dead(self, choices)?;
                for (actor, number) in numbers.into_iter().enumerate() {
                    workers.push(self.start(structure, actor, number + 1, None)?);
                }
            }
            _ => self.replace(structure, workers, which, tally)?,
        }
        Ok(())
    }

    /// Another one takes the place of one that is killed, or dead already.
    fn replace(
        &self,
        structure: &mut dyn Structure,
        workers: &mut Vec<Worker>,
        which: usize,
        tally: &mut Tally,
    ) -> Result<()> {
        let dead = workers.remove(which);
        let (actor, number) = (dead.actor, dead.number);
        self.kill(structure, vec![dead], tally)?;
        workers.insert(which, self.start(structure, actor, number + 1, None)?);
        Ok(())
    }

    /// Kills these, and looks at what they left when all are dead.
    fn kill(
        &self,
        structure: &mut dyn Structure,
        workers: Vec<Worker>,
        tally: &mut Tally,
    ) -> Result<()> {
        for worker in &workers {
            worker.child.signal(Signal::SIGKILL)?;
        }
        let mut dead = Vec::new();
        for Worker { actor, child, .. } in workers {
            let name = child.name().to_owned();
            // It may have found something just before.
            failure(&child.wait()?)?;
            dead.push((actor, name));
            tally.kills += 1;
        }
        for (actor, name) in dead {
            let shows =
                (structure.died(actor)).with_context(|| format!("after {name} was killed"))?;
            let inside = shows || countdown::was_inside(&self.places[actor]);
            tally.inside += u64::from(inside);
        }
        Ok(())
    }

    /// Lets everybody come to the goal, as long as somebody gets on.
    fn calm(
        &self,
        structure: &mut dyn Structure,
        numbers: &[u64],
        tally: &mut Tally,
    ) -> Result<()> {
        let goal = structure.goal()?;
        let mut workers = Vec::new();
        for (actor, number) in numbers.iter().enumerate() {
            workers.push(self.start(structure, actor, number + 1, Some(goal))?);
        }
        let mut last = (structure.progress()?, Instant::now());
        while !workers.is_empty() {
            let files: Vec<_> = workers.iter().map(|worker| worker.child.as_fd()).collect();
            wait_readable(&files, Instant::now() + TICK)?;
            if self.interrupts.check().is_err() {
                return Ok(());
            }
            let mut still = Vec::new();
            for mut worker in workers {
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
            workers = still;
            let progress = structure.progress()?;
            if progress != last.0 {
                last = (progress, Instant::now());
            } else if last.1.elapsed() > self.patience && !workers.is_empty() {
                let names: Vec<_> = workers.iter().map(|worker| worker.child.name()).collect();
                return Err(Hang(format!(
                    "no progress for {} s, though there were no more kills and stops; not at the \
                     goal: {}",
                    self.patience.as_secs_f64(),
                    names.join(", ")
                ))
                .into());
            }
        }
        structure.ended(goal).context("when all had ended")?;
        tally.rounds += 1;
        Ok(())
    }
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
