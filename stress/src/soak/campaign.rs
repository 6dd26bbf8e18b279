//! Rounds, one after the other, by one supervisor for each processor.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::sys::prctl::set_timerslack;
use nix::sys::signal::Signal;
use ringproof::layout::Kind;
use ringproof::{SeqLatch, SeqLock};

use super::choice::Round;
use super::dump;
use super::ring::RingSoak;
use super::tally::{Failure, Progress, RoundReport, Tally};
use super::value::ValueSoak;
use super::workers::{Hang, Structure, Workers};
use crate::ends::KINDS;
use crate::fault::Fault;
use crate::process::{Child, Interrupts, Ledger, Note, SingleThreaded, patience, wait_readable};
use crate::words::Words;

/// How often the progress is shown.
const TICK: Duration = Duration::from_millis(100);

/// The most actors that a structure has.
const ACTORS: usize = 3;

/// Which rounds there are.
#[derive(Clone, Copy)]
pub(crate) enum Rounds {
    /// From this number on, by steps of so many.
    Every { first: u64, step: u64 },
    /// This one, so many times.
    Only { number: u64, times: u64 },
}

/// Where processes of the soak live.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) alone: SingleThreaded,
    pub(crate) interrupts: &'a Interrupts,
    /// What names in /dev/shm start with.
    pub(crate) prefix: &'a str,
}

/// Many rounds.
pub(crate) struct Campaign<'a> {
    pub(crate) place: Place<'a>,
    pub(crate) seed: u64,
    pub(crate) rounds: Rounds,
    /// Of structures of these kinds alone.
    pub(crate) kinds: Vec<Kind>,
    pub(crate) fault: Option<Fault>,
    /// When to begin no round any more.
    pub(crate) end: Instant,
    /// How many supervisors there are.
    pub(crate) supervisors: u64,
    pub(crate) patience: Duration,
    /// Where segments are written that something is wrong with.
    pub(crate) dump: Option<PathBuf>,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Outcome {
    /// By kind of structure.
    pub(crate) tallies: [Tally; KINDS.len()],
    /// The first failure, and the round.
    pub(crate) failure: Option<(u64, Failure)>,
    /// Whether it was ended by a signal.
    pub(crate) interrupted: bool,
}

impl Outcome {
    pub(crate) fn tally(&self, kind: Kind) -> Tally {
        self.tallies[place(kind)]
    }

    pub(crate) fn total(&self) -> Tally {
        let mut total = Tally::default();
        for tally in self.tallies {
            total += tally;
        }
        total
    }
}

fn place(kind: Kind) -> usize {
    KINDS.iter().position(|known| *known == kind).unwrap_or(0)
}

impl Campaign<'_> {
    /// Runs the rounds up to the end, the first failure, or a signal.
    pub(crate) fn run(&self, mut progress: Option<&mut Progress>) -> Result<Outcome> {
        let mut supervisors = Vec::new();
        for number in 0..self.supervisors {
            let child = Child::fork(format!("supervisor {number}"), self.place.alone, |ledger| {
                self.supervise(number, ledger)
            })?;
            supervisors.push((child, Instant::now()));
        }
        let mut outcome = Outcome::default();
        // A round is thousands of short waits, each with a deadline of its own.
        let silence = self.patience + 10 * patience();
        while !supervisors.is_empty() {
            let mut files: Vec<_> = (supervisors.iter())
                .map(|(child, _)| child.as_fd())
                .collect();
            // A signal that came is there to be read until the end.
            if !outcome.interrupted {
                files.push(self.place.interrupts.as_fd());
            }
            wait_readable(&files, Instant::now() + TICK)?;
            let ending = outcome.interrupted || outcome.failure.is_some();
            outcome.interrupted |= self.place.interrupts.check().is_err();
            let mut still = Vec::new();
            for (mut child, mut heard) in supervisors {
                let Some(notes) = child.hear()? else {
                    bail!("{} died", child.name());
                };
                let mut done = false;
                for note in notes {
                    heard = Instant::now();
                    match note {
                        Note::Report(report) => {
                            let report = serde_json::from_str(&report)?;
                            self.add(&mut outcome, report);
                        }
                        Note::Failed(why) => bail!("{}: {why}", child.name()),
                        Note::Done => done = true,
                        other => bail!("{} reports {other:?}", child.name()),
                    }
                }
                if done {
                    child.wait()?;
                } else if heard.elapsed() > silence {
                    bail!("{} has said nothing for {silence:?}", child.name());
                } else {
                    still.push((child, heard));
                }
            }
            supervisors = still;
            if !ending && (outcome.interrupted || outcome.failure.is_some()) {
                // They tidy up and report what they did until now.
                for (child, _) in &supervisors {
                    child.signal(Signal::SIGTERM)?;
                }
            }
            if let Some(progress) = progress.as_deref_mut() {
                progress.show(&outcome.total(), self.end);
            }
        }
        Ok(outcome)
    }

    fn add(&self, outcome: &mut Outcome, report: RoundReport) {
        let round = Round::of(self.seed, report.round);
        outcome.tallies[place(round.kind)] += report.tally;
        if let Some(failure) = report.failure {
            outcome.failure.get_or_insert((report.round, failure));
        }
    }

    /// The life of a supervisor.
    fn supervise(&self, supervisor: u64, ledger: &Ledger) -> Result<()> {
        // Moments are chosen to the microsecond; the kernel would round them by fifty.
        set_timerslack(1)?;
        let mut done = 0;
        while Instant::now() < self.end && self.place.interrupts.check().is_ok() {
            let number = match self.rounds {
                Rounds::Every { first, step } => {
                    first + step * (supervisor + self.supervisors * done)
                }
                Rounds::Only { number, times } if done < times => number,
                Rounds::Only { .. } => break,
            };
            done += 1;
            let round = Round::of(self.seed, number);
            if !self.kinds.contains(&round.kind) {
                continue;
            }
            let report = self.round(&round, supervisor)?;
            let failed = report.failure.is_some();
            ledger.note(&Note::Report(serde_json::to_string(&report)?));
            if failed {
                break;
            }
        }
        Ok(())
    }

    /// Runs a round. An error only if it could not be set up.
    fn round(&self, round: &Round, supervisor: u64) -> Result<RoundReport> {
        let start = Instant::now();
        let mut structure: Box<dyn Structure> = match round.kind {
            Kind::Ring => {
                let name = format!("{}{supervisor}-{}", self.place.prefix, round.number);
                Box::new(RingSoak::new(round, name, self.fault)?)
            }
            Kind::SeqLock => Box::new(ValueSoak::<SeqLock<_>>::new(round)?),
            Kind::Latch => Box::new(ValueSoak::<SeqLatch<_>>::new(round)?),
        };
        let places = Words::new(ACTORS)?;
        let mut tally = Tally::default();
        let workers = Workers {
            alone: self.place.alone,
            interrupts: self.place.interrupts,
            round,
            fault: self.fault,
            patience: self.patience,
            places: &places,
            structure: &mut *structure,
            tally: &mut tally,
            running: Vec::new(),
        };
        // Whatever comes of it, all processes of the round are dead when this returns.
        let outcome = workers.run();
        let failure = outcome.err().map(|error| {
            let mut what = format!(
                "round {}, {}: {error:#}",
                round.number,
                structure.describe()
            );
            if let Some(directory) = &self.dump {
                let name = format!("seed-{}-round-{}.txt", self.seed, round.number);
                match dump::write(directory, &name, structure.segment(), &what) {
                    Ok(path) => what += &format!("; the segment is in {}", path.display()),
                    Err(error) => what += &format!("; the segment cannot be kept: {error:#}"),
                }
            }
            Failure {
                what,
                hang: error.is::<Hang>(),
            }
        });
        tally += structure.tally();
        tally.time = start.elapsed();
        Ok(RoundReport {
            round: round.number,
            tally,
            failure,
        })
    }
}
