//! A crash at every machine instruction.
//!
//! What ships is machine code. The operations are called through functions that are compiled on
//! their own ([`Entry`](crate::crash::trial::Entry)), a forked process is stepped through one of them by ptrace, and after
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

mod explore;
mod image;
mod source;
mod tracee;

use anyhow::Result;
use clap::ValueEnum;

use crate::cli::name_of;
use crate::crash::case::{self, AnyOperation, By, Mode, Points};
use crate::crash::operations::{Pair, cases_at, injected, pairs};
use crate::desk::Check;
use crate::process::{NotHere, SingleThreaded};
use explore::Explorer;
use tracee::{Pinned, Tracee};

/// What one row is about.
enum Case {
    One(Box<dyn AnyOperation>),
    Pair(Pair),
}

impl Case {
    /// The one that dies first, or is stopped.
    fn operation(&self) -> &dyn AnyOperation {
        match self {
            Case::One(operation) => operation.as_ref(),
            Case::Pair(pair) => pair.stopped(),
        }
    }
}

impl Mode {
    fn cases(self) -> Vec<Case> {
        if self == Mode::Pairs {
            return pairs().map(Case::Pair).collect();
        }
        let cases = cases_at(Points::Instructions);
        let operations = cases.filter_map(case::Case::into_operation);
        operations.map(Case::One).collect()
    }

    /// What its trials count.
    fn unit(self) -> &'static str {
        match self {
            Mode::Snapshots | Mode::SecondDeaths => "instructions",
            Mode::Kills => "kills",
            Mode::Pairs => "schedules",
        }
    }
}

/// Every way to die in every case.
pub(crate) fn checks(chosen: &[Mode], every: bool) -> Vec<Check> {
    let modes = Mode::value_variants().iter().copied();
    let modes = modes.filter(|mode| chosen.is_empty() || chosen.contains(mode));
    let cases = modes.flat_map(|mode| {
        let cases = mode.cases().into_iter();
        cases.map(move |case| (mode, case))
    });
    let check = |(mode, case): (Mode, Case)| {
        let (subject, state) = case.operation().names();
        let name = name_of(&mode);
        let arguments = format!(" --points instructions --mode {name}");
        let name = name.replace('-', " ");
        let what = format!("every instruction, {name}: state `{state}`");
        let check = Check::new(subject, what, mode.unit(), move |setting| {
            if let Err(why) = probe(setting.alone) {
                return Err(NotHere(format!("{why:#}")).into());
            }
            let pinned = Pinned::here();
            if let Err(error) = &pinned {
                eprintln!("instructions: not on one CPU, which is slower: {error:#}");
            }
            let explorer = Explorer {
                setting,
                every,
                operation: case.operation(),
            };
            match (mode, &case) {
                (_, Case::Pair(pair)) => explorer.pairs(pair),
                (Mode::Kills, _) => explorer.kills(),
                (Mode::SecondDeaths, _) => explorer.second_deaths(),
                _ => explorer.snapshots(),
            }
        });
        let check = check.of_part(state).with(arguments);
        let injected = injected(subject, By::Instruction(mode, state));
        injected.fold(check, |check, (.., fault, sign)| {
            let words = format!("{}, by {name}", fault.words());
            check.injected_as(&words, fault, sign)
        })
    };
    cases.map(check).collect()
}

/// Whether a process may be stepped here.
fn probe(alone: SingleThreaded) -> Result<()> {
    extern "C" fn nothing() -> u64 {
        0
    }
    let mut tracee = Tracee::start(alone, |stage| {
        let entry: extern "C" fn() -> u64 = std::hint::black_box(nothing);
        stage.announce(entry as *const ());
        entry();
        Ok(())
    })?;
    while tracee.step()?.is_some() {}
    Ok(())
}
