//! A crash at every machine instruction.
//!
//! What ships is machine code. The operations are called through functions that are compiled on
//! their own ([`entries`]), a forked process is stepped through one of them by ptrace, and after
//! each instruction the segment is looked at.
//!
//! An instruction is the unit in which a process dies: SIGKILL is delivered between two. What
//! its retired instructions have stored is not lost with it. Stores wait in the core's store
//! buffer, which is no part of the process: it drains into the cache, in order on x86-64, whatever
//! runs on that core next, and long before the kernel has given the lock of the dead one's role to
//! anybody. So the images between two instructions are all that a death can leave behind; that
//! the kernel agrees is checked, by comparing each with what a real kill leaves.
//!
//! Not covered: the same source inlined elsewhere or compiled otherwise, what *other* CPUs see of
//! a store that has not drained while its process is alive (which is what the memory models are
//! explored for), and other processors than x86-64.

mod entries;
mod explore;
mod image;
mod latest;
mod ring;
mod role;
mod scenario;
mod source;
mod tracee;

use std::rc::Rc;

use anyhow::Result;
use clap::{Args, ValueEnum};
use ringproof_record::Record;

use crate::desk::{Asked, Check, Layer};
use crate::fault::Fault;
use crate::process::{NotHere, SingleThreaded};
use explore::Explorer;
use ring::Pair;
use scenario::Scenario;
use tracee::{Pinned, Tracee};

/// Stop a process after every machine instruction of an operation, and let it die there
///
/// Each operation is stepped through by ptrace, in several states of its structure; after each
/// instruction the shared memory is looked at. Snapshots: every distinct image of it is
/// recovered, on a copy, by a peer and a successor. Kills: the process really dies there, by
/// SIGKILL. Second deaths: a successor, which has taken the role, is stepped through its own first
/// operation and dies, too. Pairs: one of push and pop stands still after each of its
/// instructions, the other one runs and dies, then the first goes on. In each case what was committed is there, once and whole, and what was
/// not is not; an operation took effect or did not, and what took effect stays.
///
/// It judges the machine code of this very program: build it with `--release` for what ships.
/// Not covered are other inlinings of the same source, and what other CPUs see of stores still
/// under way while the process lives. (At its death they are not lost: the store buffer drains
/// whoever runs next.)
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  ringproof-stress instructions
      everything, in seconds
  ringproof-stress instructions --every-instruction
      a kill after each instruction, and every pair of instructions: minutes
  ringproof-stress instructions --only ring/push:full
      one operation in one state
  ringproof-stress instructions --mode kills --only ring/push:empty:41
      one kill: after instruction 41 (a repeated instruction counts each repetition)
  ringproof-stress instructions --plant publish-first
      with a fault planted: this one must fail")]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) asked: Asked,
    /// Only these ways to die; all unless given
    #[arg(long, value_delimiter = ',')]
    pub(crate) mode: Vec<Mode>,
    /// Kill at each instruction, not once for each distinct state of the memory
    #[arg(long)]
    pub(crate) every_instruction: bool,
}

/// A way to die.
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

/// The faults, each with the way to die by which it must be noticed, in which operation and state,
/// and in which words.
const PLANTED: [(Fault, Mode, &str, &str, &str); 9] = [
    (
        Fault::PublishFirst,
        Mode::Snapshots,
        "ring/push",
        "empty",
        "found item 8 by Setup",
    ),
    (
        Fault::NoOdd,
        Mode::Snapshots,
        "seqlock/write",
        "new",
        "a torn item",
    ),
    (
        Fault::LatchFirst,
        Mode::Snapshots,
        "latch/write",
        "new",
        "an item of zeros",
    ),
    (
        Fault::EpochLost,
        Mode::Snapshots,
        "role/take-over",
        "producer",
        "its effect is 0",
    ),
    (
        Fault::PublishFirst,
        Mode::Kills,
        "ring/push",
        "empty",
        "found item 8 by Setup",
    ),
    (
        Fault::RoleKept,
        Mode::Kills,
        "ring/push",
        "empty",
        "is still held after",
    ),
    (
        Fault::RoundUp,
        Mode::SecondDeaths,
        "seqlock/write",
        "new",
        "expected item 1 by Successor",
    ),
    (
        Fault::PublishFirst,
        Mode::Pairs,
        "ring/push",
        "empty",
        "found item 8 by Setup",
    ),
    (
        Fault::FreeFirst,
        Mode::Pairs,
        "ring/pop",
        "tight",
        "a torn item",
    ),
];

/// What one row is about.
enum Case {
    One(Box<dyn Scenario>),
    Pair(Pair),
}

impl Case {
    /// The one that dies first, or is stopped.
    fn scenario(&self) -> &dyn Scenario {
        match self {
            Case::One(scenario) => scenario.as_ref(),
            Case::Pair(pair) => &pair.stopped,
        }
    }
}

impl Mode {
    fn cases(self, seed: u64) -> Vec<Case> {
        if self == Mode::Pairs {
            return ring::pairs(seed).into_iter().map(Case::Pair).collect();
        }
        let ring = ring::cases(seed).into_iter();
        let mut scenarios: Vec<Box<dyn Scenario>> = ring.map(|case| Box::new(case) as _).collect();
        scenarios.extend(latest::cases(seed));
        scenarios.extend(role::cases(seed));
        scenarios.into_iter().map(Case::One).collect()
    }

    fn name(self) -> &'static str {
        match self {
            Mode::Snapshots => "snapshots",
            Mode::Kills => "kills",
            Mode::SecondDeaths => "second deaths",
            Mode::Pairs => "pairs",
        }
    }

    /// What its trials count, and what chooses it on the command line.
    fn unit_and_arguments(self) -> (&'static str, &'static str) {
        match self {
            Mode::Snapshots => ("instructions", " --mode snapshots"),
            Mode::Kills => ("kills", " --mode kills"),
            Mode::SecondDeaths => ("instructions", " --mode second-deaths"),
            Mode::Pairs => ("schedules", " --mode pairs"),
        }
    }
}

/// Every way to die in every case.
fn checks(options: &Options) -> Vec<Check> {
    let modes = Mode::value_variants().iter().copied();
    let modes = modes.filter(|mode| options.mode.is_empty() || options.mode.contains(mode));
    let cases = modes.flat_map(|mode| {
        let cases = mode.cases(options.asked.seed).into_iter();
        cases.map(move |case| (mode, case))
    });
    let check = |(mode, case): (Mode, Case)| {
        let (subject, state) = (case.scenario().subject(), case.scenario().state());
        let what = format!("every instruction, {}: state `{state}`", mode.name());
        let (unit, arguments) = mode.unit_and_arguments();
        let (every, case) = (options.every_instruction, Rc::new(case));
        let check = Check::new(subject, what, unit, move |setting| {
            if let Err(why) = probe(setting.alone) {
                return Err(NotHere(format!("{why:#}")).into());
            }
            let pinned = Pinned::here();
            if let Err(error) = &pinned {
                eprintln!("instructions: not on one CPU, which is slower: {error:#}");
            }
            let explorer = Explorer { setting, every };
            match (mode, &*case) {
                (_, Case::Pair(pair)) => explorer.pairs(pair),
                (Mode::Kills, Case::One(scenario)) => explorer.kills(scenario.as_ref()),
                (Mode::SecondDeaths, Case::One(scenario)) => {
                    explorer.second_deaths(scenario.as_ref())
                }
                (_, Case::One(scenario)) => explorer.snapshots(scenario.as_ref()),
            }
        });
        let check = check.of_part(state).with(arguments);
        let planted = PLANTED
            .into_iter()
            .filter(|(_, by, of, at, _)| (*by, *of, *at) == (mode, subject, state));
        planted.fold(check, |check, (fault, mode, .., sign)| {
            let words = format!("{}, by {}", fault.words(), mode.name());
            check.planted_as(&words, fault, sign)
        })
    };
    cases.map(check).collect()
}

/// Runs the layer. It steps one process at a time, on one CPU.
pub(crate) fn run(options: &Options) -> Result<Vec<Record>> {
    let every = if options.every_instruction {
        " --every-instruction"
    } else {
        ""
    };
    let debug = if cfg!(debug_assertions) {
        "with"
    } else {
        "without"
    };
    eprintln!("instructions: of a program {debug} debug assertions");
    let command = format!("instructions{every}");
    Layer::new("crash", command, &options.asked, checks(options)).run()
}

/// Whether a process may be stepped here.
fn probe(alone: SingleThreaded) -> Result<()> {
    extern "C" fn nothing() -> u64 {
        0
    }
    let mut tracee = Tracee::start(alone, |stage| {
        let entry: extern "C" fn() -> u64 = std::hint::black_box(nothing);
        stage.enter(entry as *const (), || entry());
        Ok(())
    })?;
    while tracee.step()?.is_some() {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_die_has_a_planted_fault_and_each_fault_a_check() {
        for mode in Mode::value_variants() {
            assert!(PLANTED.iter().any(|(_, by, ..)| by == mode), "{mode:?}");
        }
        let checks = checks(&Options {
            asked: Asked::everything(0),
            mode: Vec::new(),
            every_instruction: false,
        });
        let planted: usize = checks.iter().map(|check| check.wrong.len()).sum();
        assert_eq!(planted, PLANTED.len());
    }
}
