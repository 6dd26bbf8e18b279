//! The four ways to die at an instruction.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::os::fd::{FromRawFd, OwnedFd};

use anyhow::{Context, Result, anyhow, ensure};
use nix::fcntl::{FcntlArg, fcntl};

use super::image::{self, Watch};
use super::ring::{End, Pair};
use super::scenario::{Actor, Scenario};
use super::source;
use super::tracee::{Stage, Tracee};
use crate::fault::{Fault, Party};
use crate::process::{Interrupts, SingleThreaded};

/// What all explorations have in common.
pub(super) struct Bench<'a> {
    pub(super) alone: SingleThreaded,
    pub(super) interrupts: &'a Interrupts,
    pub(super) fault: Option<Fault>,
    /// Whether to kill at each instruction, rather than once for each distinct image.
    pub(super) every: bool,
    /// The only instruction for the first to die or to be stopped, and for the second.
    pub(super) only: [Option<u64>; 2],
}

/// What was tried and found right.
#[derive(Debug, PartialEq)]
pub(super) struct Tried {
    pub(super) count: u64,
    pub(super) unit: &'static str,
    pub(super) how_far: String,
}

/// A promise that was broken, or a run that could not be made.
#[derive(Debug)]
pub(super) struct Broken {
    /// The steps at which it happened, as in an address.
    pub(super) steps: Vec<u64>,
    pub(super) error: anyhow::Error,
}

impl From<anyhow::Error> for Broken {
    fn from(error: anyhow::Error) -> Broken {
        Broken {
            steps: Vec::new(),
            error,
        }
    }
}

type Outcome<T> = Result<T, Broken>;

/// Says where something was, if it went wrong.
trait At<T> {
    fn at(self, steps: &[u64], place: impl FnOnce() -> String) -> Outcome<T>;
}

impl<T> At<T> for Result<T> {
    fn at(self, steps: &[u64], place: impl FnOnce() -> String) -> Outcome<T> {
        self.map_err(|error| Broken {
            steps: steps.to_vec(),
            error: error.context(place()),
        })
    }
}

/// One stepped run of an entry, from before its first instruction to after its last.
struct Walk {
    /// What each step executed.
    executed: Vec<u64>,
    /// The same with a repeated instruction counted once.
    instructions: u64,
    /// The images that the segment went through, each with the number of steps after which it
    /// was first seen. The first one is after none.
    images: Vec<(u64, Vec<u8>)>,
    answer: u64,
}

impl Walk {
    fn steps(&self) -> u64 {
        self.executed.len() as u64
    }

    /// The number of the image after this many steps.
    fn number_at(&self, steps: u64) -> usize {
        self.images.partition_point(|(first, _)| *first <= steps) - 1
    }

    fn image_at(&self, steps: u64) -> &[u8] {
        &self.images[self.number_at(steps)].1
    }

    /// The moments to die at: each one, or the first of each image; or only one.
    fn moments(&self, every: bool, only: Option<u64>) -> Result<Vec<u64>> {
        if let Some(only) = only {
            ensure!(
                only <= self.steps(),
                "there is no instruction {only}: it takes {}",
                self.steps()
            );
            return Ok(vec![only]);
        }
        if every {
            return Ok((0..=self.steps()).collect());
        }
        Ok(self.images.iter().map(|(first, _)| *first).collect())
    }
}

impl Bench<'_> {
    /// Every instruction: at each one the segment is looked at, and each distinct image that it
    /// went through is judged as what a death there leaves.
    pub(super) fn snapshots(&self, scenario: &dyn Scenario) -> Outcome<Tried> {
        let before = scenario.furnish()?;
        let walk = self.walk_alone(scenario, Actor::Victim, &before)?;
        self.judge_images(scenario, Actor::Victim, &before, &walk, self.only[0])
            .map_err(|(step, error)| Broken {
                steps: vec![step],
                error: error.context(place(&walk, step)),
            })?;
        Ok(Tried {
            count: walk.instructions,
            unit: "instructions",
            how_far: format!(
                "each of {} instructions, {} distinct states",
                walk.instructions,
                walk.images.len()
            ),
        })
    }

    /// Real deaths: the process is killed, its role must be free, and who takes it is a real
    /// successor beside a peer that lives all along.
    pub(super) fn kills(&self, scenario: &dyn Scenario) -> Outcome<Tried> {
        let before = scenario.furnish()?;
        let walk = self.walk_alone(scenario, Actor::Victim, &before)?;
        let moments = walk.moments(self.every, self.only[0])?;
        let mut reached = 0;
        for step in &moments {
            let segment = image::revive(&before)?;
            let mut kept = None;
            let judged = self.interrupts.check().and_then(|()| {
                scenario.judge(Actor::Victim, &segment, &mut || {
                    let found = image::of(&segment)?;
                    self.replay(scenario, &segment, (&walk, *step))?.kill();
                    ensure!(
                        image::of(&segment)?
                            == image::changed(&found, &before, walk.image_at(*step)),
                        "the death leaves another segment than was seen between the instructions"
                    );
                    if self.fault == Some(Fault::RoleKept) {
                        // Somebody else has it already.
                        kept = Some(self.start(scenario, Actor::Victim, &segment)?);
                    }
                    Ok(())
                })
            });
            (judged.and_then(|now| go_on(&mut reached, now)))
                .at(&[*step], || place(&walk, *step))?;
        }
        let count = moments.len() as u64;
        Ok(Tried {
            count,
            unit: "kills",
            how_far: format!(
                "{} distinct states of {} instructions",
                walk.images.len(),
                walk.instructions
            ),
        })
    }

    /// The successor dies, too: for each image that a victim leaves, a successor is stepped
    /// through its recovery, and each image of that is judged.
    pub(super) fn second_deaths(&self, scenario: &dyn Scenario) -> Outcome<Tried> {
        let before = scenario.furnish()?;
        let first = self.walk_alone(scenario, Actor::Victim, &before)?;
        let (mut instructions, mut states) = (0, 0);
        let moments = first.moments(false, self.only[0])?;
        for step in &moments {
            let victim = || place(&first, *step);
            let left = first.image_at(*step);
            let segment = image::revive(left)?;
            let reached = scenario
                .judge(Actor::Victim, &segment, &mut || Ok(()))
                .at(&[*step], victim)?;
            let actor = Actor::Successor(reached);
            let second = (self.walk_alone(scenario, actor, left)).at(&[*step], victim)?;
            self.judge_images(scenario, actor, left, &second, self.only[1])
                .map_err(|(next, error)| Broken {
                    steps: vec![*step, next],
                    error: error.context(format!(
                        "{}, its successor {}",
                        victim(),
                        place(&second, next)
                    )),
                })?;
            instructions += second.instructions;
            states += second.images.len();
        }
        Ok(Tried {
            count: instructions,
            unit: "instructions",
            how_far: format!(
                "{instructions} instructions of {} successors, {states} distinct states",
                moments.len()
            ),
        })
    }

    /// One of a pair is stopped after each of its instructions; meanwhile the other one runs and
    /// dies, once for each image that it makes; then the first goes on. Whatever both leave at any
    /// moment is judged, too. What the dying one does to the memory is taken from a run beside the
    /// same image, unless it is to die at each instruction: then it runs and is killed each time.
    pub(super) fn pairs(&self, pair: &Pair) -> Outcome<Tried> {
        let before = pair.stopped.furnish()?;
        let alone = self.walk_alone(&pair.stopped, Actor::Victim, &before)?;
        let stops = alone.moments(true, self.only[0])?;
        // It runs the same code over the same memory whatever the stopped one's registers hold.
        let mut beside: HashMap<usize, Walk> = HashMap::new();
        let mut runs = 0;
        for stop in stops {
            let dying = match beside.entry(alone.number_at(stop)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(self.walk_beside(pair, &alone, stop, &before)?),
            };
            for death in dying.moments(self.every, self.only[1])? {
                self.interrupts.check()?;
                self.run_pair(pair, &before, (&alone, stop), (dying, death))
                    .at(&[stop, death], || {
                        place_pair(pair, (&alone, stop), (dying, death))
                    })?;
                runs += 1;
            }
        }
        Ok(Tried {
            count: runs,
            unit: "schedules",
            how_far: format!(
                "each of {} instructions, with up to {} distinct states of the other",
                alone.instructions,
                beside
                    .values()
                    .map(|walk| walk.images.len())
                    .max()
                    .unwrap_or(0)
            ),
        })
    }

    /// Steps the dying one of a pair through its entry beside one that stands after `stop` steps,
    /// and judges what both leave if they die together.
    fn walk_beside(&self, pair: &Pair, alone: &Walk, stop: u64, before: &[u8]) -> Outcome<Walk> {
        let segment = image::revive(before)?;
        let beside = || place(alone, stop);
        let stopped = self
            .replay(&pair.stopped, &segment, (alone, stop))
            .at(&[stop], beside)?;
        let dying = self.start(&pair.dying, Actor::Victim, &segment)?;
        let other = walk(&segment, dying).at(&[stop], beside)?;
        let end = End::Killed(stopped.answer());
        stopped.kill();
        for death in other.moments(false, self.only[1])? {
            let segment = image::revive(other.image_at(death))?;
            (pair.judge(&segment, &end, &End::Killed(None))).at(&[stop, death], || {
                place_pair(pair, (alone, stop), (&other, death))
            })?;
        }
        Ok(other)
    }

    /// One schedule of a pair.
    fn run_pair(
        &self,
        pair: &Pair,
        before: &[u8],
        (alone, stop): (&Walk, u64),
        (beside, death): (&Walk, u64),
    ) -> Result<()> {
        let segment = image::revive(before)?;
        let stopped = self.replay(&pair.stopped, &segment, (alone, stop))?;
        let answer = if self.every {
            let dying = self.replay(&pair.dying, &segment, (beside, death))?;
            let answer = dying.answer();
            dying.kill();
            answer
        } else {
            image::change(&segment, beside.image_at(0), beside.image_at(death))?;
            (death == beside.steps()).then_some(beside.answer)
        };
        let told = End::Told(stopped.finish()?);
        pair.judge(&segment, &told, &End::Killed(answer))
    }

    /// Starts a victim again and lets it take the first steps that a walk was seen to take.
    fn replay(
        &self,
        scenario: &dyn Scenario,
        segment: &File,
        (walk, steps): (&Walk, u64),
    ) -> Result<Tracee> {
        let mut tracee = self.start(scenario, Actor::Victim, segment)?;
        for (step, address) in walk.executed[..steps as usize].iter().enumerate() {
            let executed = tracee.step()?;
            ensure!(
                executed == Some(*address),
                "in a second run instruction {} is another one than in the first ({})",
                step + 1,
                source::line(*address)
            );
        }
        Ok(tracee)
    }

    /// Starts a process of `actor`, with the planted fault if it concerns that one.
    fn start(&self, scenario: &dyn Scenario, actor: Actor, segment: &File) -> Result<Tracee> {
        let party = match actor {
            Actor::Victim => Party::Victim,
            Actor::Successor(_) => Party::Successor,
        };
        let fault = self.fault.filter(|fault| fault.party() == party);
        Tracee::start(self.alone, |stage: &Stage<'_>| {
            scenario.act(actor, numbered(segment)?, fault, stage)
        })
    }

    /// Steps an actor through its entry over a segment of its own.
    fn walk_alone(&self, scenario: &dyn Scenario, actor: Actor, before: &[u8]) -> Result<Walk> {
        self.interrupts.check()?;
        let segment = image::revive(before)?;
        walk(&segment, self.start(scenario, actor, &segment)?)
    }

    /// Judges each distinct image of a walk and its end, or the image after `only`; an error with
    /// the number of steps after which it is.
    fn judge_images(
        &self,
        scenario: &dyn Scenario,
        actor: Actor,
        before: &[u8],
        walk: &Walk,
        only: Option<u64>,
    ) -> Result<(), (u64, anyhow::Error)> {
        let mut moments = walk.moments(false, only).map_err(|error| (0, error))?;
        if only.is_none() {
            moments.push(walk.steps());
        }
        let mut reached = 0;
        for step in moments {
            let judged = self.interrupts.check().and_then(|()| {
                let segment = image::revive(before)?;
                let now = scenario.judge(actor, &segment, &mut || {
                    image::change(&segment, before, walk.image_at(step))
                })?;
                go_on(&mut reached, now)?;
                if step == walk.steps() {
                    let wanted = (scenario.goal(actor), scenario.answer(actor));
                    ensure!(
                        (now, walk.answer) == wanted,
                        "it returned {}, its effect is {now}; expected {} and {}",
                        walk.answer,
                        wanted.1,
                        wanted.0
                    );
                }
                Ok(())
            });
            judged.map_err(|error| (step, error))?;
        }
        Ok(())
    }
}

/// A descriptor with a number of three digits, whatever else is open: the taking of a role writes
/// it into a path, digit by digit.
fn numbered(segment: &File) -> Result<OwnedFd> {
    let number = fcntl(segment, FcntlArg::F_DUPFD_CLOEXEC(100)).context("a descriptor")?;
    // SAFETY: it was made just now, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A moment of a walk, in words.
fn place(walk: &Walk, steps: u64) -> String {
    let last = (steps.checked_sub(1)).and_then(|last| walk.executed.get(last as usize));
    match last {
        Some(address) => format!("after instruction {steps} ({})", source::line(*address)),
        None => "before its first instruction".to_owned(),
    }
}

fn place_pair(pair: &Pair, stopped: (&Walk, u64), dying: (&Walk, u64)) -> String {
    format!(
        "stopped {}, {} killed {}",
        place(stopped.0, stopped.1),
        pair.dying.subject(),
        place(dying.0, dying.1)
    )
}

/// Steps a process to the end of its entry, and looks at the segment after each step.
fn walk(segment: &File, mut tracee: Tracee) -> Result<Walk> {
    let mut watch = Watch::new(segment)?;
    let mut images = vec![(0, watch.image().to_vec())];
    let mut executed = Vec::new();
    while let Some(address) = tracee.step()? {
        executed.push(address);
        if watch.look()? {
            images.push((executed.len() as u64, watch.image().to_vec()));
        }
    }
    Ok(Walk {
        executed,
        instructions: tracee.instructions(),
        images,
        answer: (tracee.answer()).ok_or_else(|| anyhow!("it did not return"))?,
    })
}

/// What took effect stays.
fn go_on(reached: &mut u64, now: u64) -> Result<()> {
    ensure!(
        now >= *reached,
        "it had come to {reached} already, and is at {now} now"
    );
    *reached = now;
    Ok(())
}
