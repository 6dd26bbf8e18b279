//! An operation in one state, whichever it is, as the points see it.

use std::fs::File;
use std::os::fd::OwnedFd;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use ringproof::memory::Native;

use super::trial::{Actor, Counted, Judgement, Kill, Memories, Trial, Who};
use crate::desk::Setting;
use crate::fault::Fault;

/// Where processes die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Points {
    Accesses,
    Syscalls,
    Instructions,
}

/// A way to die at an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Every distinct image between two instructions is recovered, on a copy
    Snapshots,
    /// A real SIGKILL
    Kills,
    /// The successor dies in its recovery
    SecondDeaths,
    /// Producer and consumer interleaved
    Pairs,
}

/// The check that must notice an injected fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// Without a death.
    Life,
    /// A crash at every access.
    Crash,
    /// A stop before every access.
    Stop,
    Syscall,
    /// This way to die at an instruction, in this state.
    Instruction(Mode, &'static str),
}

pub(crate) const fn snapshots(state: &'static str) -> By {
    By::Instruction(Mode::Snapshots, state)
}

pub(crate) const fn kills(state: &'static str) -> By {
    By::Instruction(Mode::Kills, state)
}

pub(crate) const fn second_deaths(state: &'static str) -> By {
    By::Instruction(Mode::SecondDeaths, state)
}

pub(crate) const fn pairs(state: &'static str) -> By {
    By::Instruction(Mode::Pairs, state)
}

/// An injected fault: in which operation, by which check and in which words it must be noticed.
pub(crate) type Injected = (&'static str, By, Fault, &'static str);

/// An operation on a segment, in one state of its structure.
///
/// How far it came is a number that never goes back: 0 before it has any effect, and
/// [`goal`](Self::goal) when it is done. What lies between depends on the operation.
pub(crate) trait Operation {
    /// Its subject and its state.
    fn names(&self) -> (&'static str, &'static str);

    /// A segment in this state, of which no role is held any more.
    fn set_up(&self, seed: u64) -> Result<OwnedFd>;

    /// What the process of an actor does.
    fn act<S: Memories>(&self, actor: Actor<'_, S>) -> Result<()>
    where
        Self: Sized;

    /// The peer comes to the segment, the actor dies, the peer goes on, a successor takes the role,
    /// and what they find is held to what may be there; or to what must be there, where it is known
    /// which accesses were made.
    ///
    /// Answers how far the actor came.
    fn judge(&self, at: &mut Judgement<'_>) -> Result<u64>;

    /// How far the actor comes if it lives, said from the specification.
    fn goal(&self, _who: Who, _once: bool) -> u64 {
        1
    }

    /// What its call answers if it lives and makes only one.
    fn answer(&self, who: Who) -> u64 {
        self.goal(who, true)
    }
}

/// An [`Operation`], whichever it is: over each memory that an actor may have.
pub(crate) trait AnyOperation: Operation {
    fn act_counted(&self, actor: Actor<'_, Counted<'_>>) -> Result<()>;
    fn act_as_shipped(&self, actor: Actor<'_, Native>) -> Result<()>;
    fn act_wrong(&self, actor: Actor<'_, Fault>) -> Result<()>;
}

impl<O: Operation> AnyOperation for O {
    fn act_counted(&self, actor: Actor<'_, Counted<'_>>) -> Result<()> {
        self.act(actor)
    }

    fn act_as_shipped(&self, actor: Actor<'_, Native>) -> Result<()> {
        self.act(actor)
    }

    fn act_wrong(&self, actor: Actor<'_, Fault>) -> Result<()> {
        self.act(actor)
    }
}

/// What one run does with a name: it makes the segment, has a victim, and judges what that left.
type Scenario = Box<dyn Fn(&Trial<'_>) -> Result<()>>;

/// An operation in one state, and where processes die in it.
pub(crate) struct Case {
    pub(crate) subject: &'static str,
    pub(crate) state: &'static str,
    pub(crate) points: &'static [Points],
    how: How,
}

enum How {
    Segment(Box<dyn AnyOperation>),
    /// Segments come and go in it: it has no image that could be looked at after an instruction.
    Name(Scenario),
}

impl Case {
    pub(crate) fn of(operation: impl Operation + 'static, points: &'static [Points]) -> Case {
        let (subject, state) = operation.names();
        Case {
            subject,
            state,
            points,
            how: How::Segment(Box::new(operation)),
        }
    }

    pub(crate) fn named(
        subject: &'static str,
        state: &'static str,
        points: &'static [Points],
        scenario: impl Fn(&Trial<'_>) -> Result<()> + 'static,
    ) -> Case {
        Case {
            subject,
            state,
            points,
            how: How::Name(Box::new(scenario)),
        }
    }

    /// What its attempts are called, up to the point.
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.subject, self.state)
    }

    /// What is done to a segment, if it is done to one.
    pub(crate) fn into_operation(self) -> Option<Box<dyn AnyOperation>> {
        match self.how {
            How::Segment(operation) => Some(operation),
            How::Name(_) => None,
        }
    }

    /// One run.
    pub(crate) fn run(&self, setting: &Setting<'_>, kill: &dyn Kill) -> Result<()> {
        let trial = &Trial { setting, kill };
        let operation = match &self.how {
            How::Segment(operation) => operation,
            How::Name(scenario) => return scenario(trial),
        };
        let segment = File::from(operation.set_up(setting.seed)?);
        let mut lived = false;
        let reached = operation.judge(&mut Judgement {
            setting,
            who: Who::Victim,
            once: false,
            segment: &segment,
            die: &mut |meanwhile| {
                let body = |actor: Actor<'_, Counted<'_>>| {
                    operation.act_counted(Actor {
                        segment: Some(&segment),
                        ..actor
                    })
                };
                let death = trial.victim(&body, meanwhile)?;
                lived = !death.killed;
                Ok(death)
            },
        })?;
        let goal = operation.goal(Who::Victim, false);
        ensure!(
            !lived || reached == goal,
            "the victim came to its end, its effect is {reached}, expected {goal}"
        );
        Ok(())
    }
}
