//! The crash layer: a process is killed before and after every access that it makes, and stopped
//! before it.
//!
//! A *case* is an operation in one state of its structure. It is run once without a death,
//! which also tells the accesses that the victim makes, and then once for each access and each
//! fate: the structure is made anew, the victim is forked, attaches, takes its role and dies
//! there; the survivor, who lived through it, and a successor in the victim's role go on; and
//! what they find is held to what the victim's accesses say must be there. A victim that is
//! stopped keeps its role: nobody takes it, the survivor looks at what is there or writes
//! meanwhile, and then the victim goes on to its end.

mod latch;
mod page;
pub(crate) mod ring;
pub(crate) mod segment;
mod seqlock;
pub(crate) mod trial;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use clap::Args;
use ringproof::site::Site;
use ringproof_record::{Record, machine};

use crate::desk::{Asked, Check, Covered, Layer, Setting, rehearse};
use crate::dying::{Fate, Point};
use crate::fault::Fault;
use trial::{Case, Trial};

/// Kill a process before and after every access to shared memory, and stop it before each
///
/// Each operation of the ring, the seqlock, the latch and the roles is tried in several states
/// of its structure. A first run tells which accesses it makes. Then, for each access and each
/// side of it, the structure is made anew and a forked process dies there by SIGKILL; the peer,
/// which lived through it, and a successor in the dead process's role go on. Nothing that was
/// committed may be lost, repeated, torn or reordered, nobody may hang, and the role must be
/// free again. A process that is stopped there keeps its role, and goes on when the others have
/// looked or written. Planted faults show that each of these would be noticed.
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  ringproof-stress crash
      everything, in seconds
  ringproof-stress crash --only ring/push
      one operation in all its states
  ringproof-stress crash --only ring/push:full:5:before
      one kill: before access 5 of a push to a full ring, from the taking of the role on
      (accesses count from 0)
  ringproof-stress crash --plant publish-first
      with a fault planted: this one must fail")]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) asked: Asked,
    /// Kill nobody: print the page on what a crash leaves behind, as it stands in CRASHES.md
    #[arg(long, conflicts_with_all = ["only", "plant"])]
    pub(crate) page: bool,
    /// At every system call and every machine instruction, too, as the commands `calls` and
    /// `instructions` do
    #[arg(long, conflicts_with_all = ["only", "plant", "page"])]
    pub(crate) whole: bool,
    /// Kill at each machine instruction, not once for each distinct state of the memory: minutes
    #[arg(long, requires = "whole")]
    pub(crate) every_instruction: bool,
}

/// Every case, in the order of the report.
fn cases() -> Vec<Case> {
    let parts = [
        ring::cases(),
        seqlock::cases(),
        latch::cases(),
        segment::cases(),
    ];
    parts.into_iter().flatten().collect()
}

/// What each operation must bear, and what must be noticed in it.
fn checks() -> Vec<Check> {
    let mut subjects: Vec<_> = cases().iter().map(|case| case.subject).collect();
    subjects.dedup();
    let checks = subjects.into_iter().flat_map(|subject| {
        [
            Check::new(subject, LIVE, "runs", |setting| every(setting, &[])),
            Check::new(subject, CRASH, "kills", |setting| {
                every(setting, &[Fate::KilledBefore, Fate::KilledAfter])
            }),
            Check::new(subject, STOP, "stops", |setting| {
                every(setting, &[Fate::Stopped])
            }),
        ]
    });
    let plant = |mut check: Check| {
        for (subject, what, fault, sign) in PLANTED {
            if check.subject == subject && check.what == what {
                check = check.planted(fault, sign);
            }
        }
        check
    };
    checks.map(plant).collect()
}

const LIVE: &str = "no crash";
const CRASH: &str = "crash at every access";
const STOP: &str = "stop before every access";

/// The faults, each with the check that must notice it, and in which words.
const PLANTED: [(&str, &str, Fault, &str); 18] = [
    (
        "ring/push",
        CRASH,
        Fault::PublishFirst,
        "expected item 24 by Victim",
    ),
    (
        "ring/close",
        CRASH,
        Fault::PublishLate,
        "only 24 took effect",
    ),
    ("ring/peek", CRASH, Fault::FreeFirst, "is lost"),
    ("ring/stop", LIVE, Fault::StopLost, "then Stopped"),
    (
        "ring/pop",
        LIVE,
        Fault::ResumeEarly,
        "the successor starts at position",
    ),
    (
        "ring/push",
        LIVE,
        Fault::ResumeLate,
        "the successor starts at position",
    ),
    (
        "seqlock/write",
        CRASH,
        Fault::NoOdd,
        "a reader gets Ok(a torn item",
    ),
    (
        "seqlock/write",
        CRASH,
        Fault::RoundUp,
        "expected Err(WriterStalled",
    ),
    (
        "latch/write",
        CRASH,
        Fault::LatchFirst,
        "a reader gets Ok(an item of zeros)",
    ),
    ("role/take-over", LIVE, Fault::EpochLost, "times, it was 2"),
    (
        "role/take-over",
        LIVE,
        Fault::RoleKept,
        "is still held after",
    ),
    (
        "latch/write",
        STOP,
        Fault::RoleLost,
        "was taken from a stopped process",
    ),
    (
        "seqlock/read",
        STOP,
        Fault::NoRecheck,
        "the victim read a torn item",
    ),
    (
        "segment/unlink",
        CRASH,
        Fault::RetireLost,
        "the old segment is retired",
    ),
    (
        "segment/notes",
        LIVE,
        Fault::NoteLost,
        "note 5 is Some(3), expected 4",
    ),
    (
        "ring/push",
        CRASH,
        Fault::VictimHangs,
        "s for the end of the victim",
    ),
    (
        "ring/push",
        CRASH,
        Fault::VictimSurvives,
        "but went on to its end",
    ),
    (
        "ring/push",
        CRASH,
        Fault::SurvivorHangs,
        "no sign of life for",
    ),
];

/// Each state of the operation without a death, and then with each fate at each access: how often
/// that befell somebody, or, where none is asked for, how many states there are.
fn every(setting: &Setting<'_>, fates: &[Fate]) -> Result<u64> {
    let mut made = 0;
    for case in cases() {
        if case.subject != setting.subject {
            continue;
        }
        let run = |address: &str, death: Option<(Point, &[Site])>| {
            let point = death.map(|(point, _)| point);
            let covered =
                point.map(|point| Covered::key(point.site.info().name, point.fate.check()));
            setting.attempt(address, covered, || {
                let trial = Trial::new(setting, death);
                let place = || point.map_or("nobody killed".to_owned(), |point| point.to_string());
                (case.scenario)(&trial).with_context(place)?;
                Ok(trial.into_trace())
            })
        };
        let address = format!("{}:{}", case.subject, case.state);
        let Some(trace) = run(&address, None)? else {
            continue;
        };
        made += u64::from(fates.is_empty());
        for (number, site) in trace.iter().copied().enumerate() {
            for fate in fates.iter().copied() {
                let point = Point { number, fate, site };
                let address = format!("{address}:{number}:{}", fate.name());
                let befell = run(&address, Some((point, &trace)))?;
                made += u64::from(befell.is_some());
            }
        }
    }
    Ok(made)
}

/// Runs the layer. Each fate must befall somebody at every site.
pub(crate) fn run(options: &Options) -> Result<Vec<Record>> {
    let covered = Site::all().flat_map(|site| {
        Fate::ALL.map(|fate| Covered {
            subject: site.info().name,
            what: fate.check(),
            unit: if fate == Fate::Stopped {
                "stops"
            } else {
                "kills"
            },
        })
    });
    let layer = Layer {
        covered: covered.collect(),
        width: machine::parallelism(),
        ..Layer::new("crash", "crash", &options.asked, checks())
    };
    layer.run()
}

/// The page on what a crash leaves behind. Each case is run once, without a death, for the
/// accesses that it makes.
pub(crate) fn page() -> Result<String> {
    rehearse("crash", page_with)
}

fn page_with(setting: &Setting<'_>) -> Result<String> {
    let mut tried: BTreeMap<Site, BTreeMap<_, Vec<_>>> = BTreeMap::new();
    for case in cases() {
        let trial = Trial::new(setting, None);
        (case.scenario)(&trial)
            .with_context(|| format!("{} in state `{}`", case.subject, case.state))?;
        let sites: BTreeSet<_> = trial.into_trace().into_iter().collect();
        for site in sites {
            let states = tried.entry(site).or_default().entry(case.subject);
            states.or_default().push(case.state);
        }
    }
    for (subject, states) in tried.values_mut().flatten() {
        let all = cases()
            .iter()
            .filter(|case| case.subject == *subject)
            .count();
        if states.len() == all && all > 1 {
            *states = vec!["every state"];
        }
    }
    Ok(page::markdown(&tried))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_planted_fault_has_its_check() {
        let planted: usize = checks().iter().map(|check| check.wrong.len()).sum();
        assert_eq!(planted, PLANTED.len());
    }
}
