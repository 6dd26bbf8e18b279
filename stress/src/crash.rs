//! The crash layer: a process is killed at every access, system call or machine instruction, and
//! stopped before each access.
//!
//! A *case* is an operation in one state of its structure. It is run once without a death,
//! which also shows the accesses that the victim makes, and then once for each access and each
//! fate: the structure is made anew, the victim is forked, attaches, takes its role and dies
//! there; the survivor, who lived through it, and a successor in the victim's role go on; and
//! what they find is held to what the victim's accesses say must be there. A victim that is
//! stopped keeps its role: no other takes it, the survivor looks at what is there or writes
//! meanwhile, and then the victim goes on to its end.

mod case;
mod document;
mod operations;
mod points;
mod trial;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use clap::Args;
use ringproof::site::Site;
use ringproof_record::{Record, machine};

use crate::desk::{Asked, Check, Layer, Setting, rehearse};
use case::{Mode, Points};
use operations::cases_at;
use points::{access, instruction, syscall};

/// Kill a process before and after every access to shared memory, and stop it before each; or at
/// every system call, or every machine instruction
///
/// Accesses: each operation of the ring, the seqlock, the latch and the roles is tried in several
/// states of its structure. A first run shows which accesses it makes. Then, for each access and
/// each side of it, the structure is made anew and a forked process dies there by SIGKILL; the peer,
/// which lived through it, and a successor in the dead process's role go on. Nothing that was
/// committed may be lost, repeated, torn or reordered, nothing may hang, and the role must be
/// free again. A process that is stopped there keeps its role, and goes on when the others have
/// looked or written.
///
/// System calls: create, attach, claim and unlink have few accesses to shared memory, or none: what
/// they do they do in the kernel. After each death the name is looked for: there is no segment, or
/// a whole one; its roles are free; it can be had, used and removed.
///
/// Instructions: each operation is stepped through by ptrace; after each instruction the shared
/// memory is looked at. Snapshots: every distinct image of it is recovered, on a copy, by a peer and
/// a successor. Kills: the process really dies there. Second deaths: a successor, which has taken
/// the role, is stepped through its own first operation and dies, too. Pairs: one of push and pop
/// stands still after each of its instructions, the other one runs and dies, then the first goes
/// on. What was committed is there, once and whole; an operation took effect or did not, and what
/// took effect stays. It judges the machine code of this very program: build it with `--release` for
/// what ships. Not covered are other inlinings of the same source, and what other CPUs see of stores
/// still under way while the process lives. (At its death they are not lost: the store buffer
/// drains whoever runs next.)
///
/// System calls and instructions need permission to trace one's own children. Injected faults show
/// that each of these would be noticed.
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  ringproof-stress crash
      every access, in seconds
  ringproof-stress crash --only ring/push
      one operation in all its states
  ringproof-stress crash --only ring/push:full:5:before
      one kill: before access 5 of a push to a full ring, from the taking of the role on
      (accesses count from 0)
  ringproof-stress crash --inject publish-first
      with a fault injected: this one must fail
  ringproof-stress crash --points syscalls --only segment/create:new:12
      one kill: at stop 12 of a creation (stops count from 0: into the first call, out of it, …)
  ringproof-stress crash --points instructions --mode kills --only ring/push:empty:41
      one kill: after instruction 41 (a repeated instruction counts each repetition; a second
      number is that of the successor or of the other one of a pair)
  ringproof-stress crash --whole --every-instruction
      all of it, with a kill after each instruction and every pair of instructions: minutes")]
pub(crate) struct Options {
    #[command(flatten)]
    asked: Asked,
    /// Where processes die
    #[arg(long, value_delimiter = ',', default_value = "accesses")]
    points: Vec<Points>,
    /// At instructions, only these ways to die; all unless given
    #[arg(long, value_delimiter = ',')]
    mode: Vec<Mode>,
    /// Kill at each machine instruction, not once for each distinct state of the memory
    #[arg(long)]
    every_instruction: bool,
    /// Everywhere: at accesses, system calls and instructions
    #[arg(long, conflicts_with_all = ["only", "inject", "points"])]
    whole: bool,
    /// Without a kill: print the document on what a crash leaves behind, as it stands in CRASHES.md
    #[arg(long, conflicts_with_all = ["only", "inject", "whole"])]
    pub(crate) document: bool,
}

/// Runs the layer.
pub(crate) fn run(options: &Options) -> Result<Vec<Record>> {
    let every = options.every_instruction;
    let at = |points| options.whole || options.points.contains(&points);
    let mut checks: Vec<Check> = Vec::new();
    let mut covered = Vec::new();
    if at(Points::Accesses) {
        checks.extend(access::checks());
        covered.extend(access::covered());
    }
    if at(Points::Syscalls) {
        checks.extend(syscall::checks());
    }
    if at(Points::Instructions) {
        checks.extend(instruction::checks(&options.mode, every));
    }
    let every = every.then_some(" --every-instruction");
    let command = format!("crash{}", every.unwrap_or_default());
    let layer = Layer {
        covered,
        width: machine::parallelism(),
        ..Layer::new("crash", command, &options.asked, checks)
    };
    layer.run()
}

/// The document on what a crash leaves behind. Each case is run once, without a death, for the
/// accesses that it makes.
pub(crate) fn document() -> Result<String> {
    rehearse("crash", document_with)
}

fn document_with(setting: &Setting<'_>) -> Result<String> {
    let mut tried: BTreeMap<Site, BTreeMap<_, Vec<_>>> = BTreeMap::new();
    let mut all: BTreeMap<_, usize> = BTreeMap::new();
    for case in cases_at(Points::Accesses) {
        *all.entry(case.subject).or_default() += 1;
        let trace = access::run(setting, &case, None)
            .with_context(|| format!("{} in state `{}`", case.subject, case.state))?;
        let sites: BTreeSet<_> = trace.into_iter().collect();
        for site in sites {
            let states = tried.entry(site).or_default().entry(case.subject);
            states.or_default().push(case.state);
        }
    }
    for (subject, states) in tried.values_mut().flatten() {
        if states.len() == all[subject] && states.len() > 1 {
            *states = vec!["every state"];
        }
    }
    Ok(document::markdown(&tried))
}

#[cfg(test)]
mod tests {
    use super::*;
    use case::By;
    use clap::ValueEnum;
    use operations::all_injected;

    #[test]
    fn every_injected_fault_has_its_check_and_every_way_to_die_a_fault() {
        let checks = [
            access::checks(),
            syscall::checks(),
            instruction::checks(&[], false),
        ];
        let injected = checks.iter().flatten().map(|check| check.wrong.len());
        assert_eq!(injected.sum::<usize>(), all_injected().count());
        for mode in Mode::value_variants() {
            let mut all = all_injected();
            assert!(
                all.any(|(_, by, ..)| matches!(by, By::Instruction(m, _) if m == *mode)),
                "{mode:?}"
            );
        }
    }
}
