//! The faults layer: the system refuses, interrupts or ends, and processes meet at the worst
//! moment.
//!
//! A *check* is a trial that our own code must pass. Beside it stand wrong implementations, the
//! specimens and a few that are planted for the purpose; the same trial must catch each of them,
//! and in the words that belong to its mistake. Every trial is made in a forked process of its
//! own, so that whatever it does to its limits, its namespaces and itself is gone with it.

mod access;
mod create;
mod death;
mod layout;
mod limits;
mod meeting;
mod mounts;
mod namespace;
mod races;
mod restart;
mod right;
mod right_passed_on;
mod signals;
mod truncation;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use ringproof_record::Record;

use crate::process::{Child, Interrupts, Note, SingleThreaded, patience, wait_readable};
use crate::shm::{Name, Prefix};

pub(crate) use create::Maker;
pub(crate) use death::{Mortal, Steps};
pub(crate) use layout::{Handing, Indices};
pub(crate) use meeting::window;
pub(crate) use races::{Appearing, WHOLE};
pub(crate) use restart::Queue;
pub(crate) use right::{Held, Right, Taken};
pub(crate) use truncation::Shared;

const LAYER: &str = "faults";

/// How long one trial may take: all of its waits have deadlines of their own, so it never takes
/// as long.
fn longest() -> Duration {
    20 * patience()
}

/// Put segments and roles in the way of every fault of the system that can be had
///
/// File systems without room, limits of the process, directories that are read-only or missing,
/// a signal every 50 microseconds, other users, other pid namespaces, forks, programs started,
/// descriptors passed on, stopped processes, and thousands of races of processes that are let go
/// together. What cannot be done must be an error that says why, leave nothing behind, and
/// nobody may ever share a role. The same trials are made with wrong implementations, each of
/// which must be caught.
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  ringproof-stress faults
      everything, in seconds
  ringproof-stress faults --only full-file-system
      one check, with the wrong implementations that it must catch
  ringproof-stress faults --only recoverers --rounds 100000
      more of it")]
pub(crate) struct Options {
    /// What the moments of the races follow from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Only this check
    #[arg(long, value_name = "CHECK", value_parser = known)]
    pub(crate) only: Option<String>,
    /// How often each race is run, unless that takes longer than a minute
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(20..))]
    pub(crate) rounds: u64,
}

fn known(subject: &str) -> Result<String, String> {
    let checks = checks();
    if checks.iter().any(|check| check.subject == subject) {
        return Ok(subject.to_owned());
    }
    let subjects: Vec<_> = checks.iter().map(|check| check.subject).collect();
    Err(format!("the checks: {}", subjects.join(", ")))
}

/// What a trial is made with.
struct Setting<'a> {
    alone: SingleThreaded,
    seed: u64,
    rounds: u64,
    /// What every name in /dev/shm starts with.
    prefix: &'a str,
}

impl Setting<'_> {
    /// A name for a file in /dev/shm that nobody else uses, gone with the trial.
    fn name(&self) -> Name {
        Name::new(format!("{}trial", self.prefix))
    }
}

/// Makes something happen and says how often, or what was wrong with what followed.
type Trial = fn(&Setting<'_>) -> Result<u64>;

/// What our code must pass.
struct Check {
    subject: &'static str,
    /// What happens, and what must hold then.
    what: &'static str,
    /// What its trial counts.
    unit: &'static str,
    trial: Trial,
    wrong: Vec<Wrong>,
}

/// What the same trial must catch.
struct Wrong {
    what: &'static str,
    /// Part of the words in which it is caught: for its own mistake and no other.
    sign: &'static str,
    trial: Trial,
}

/// Every check, in the order of the report.
fn checks() -> Vec<Check> {
    [
        create::checks(),
        limits::checks(),
        mounts::checks(),
        access::checks(),
        signals::checks(),
        races::checks(),
        right::checks(),
        right_passed_on::checks(),
        death::checks(),
        restart::checks(),
        layout::checks(),
        truncation::checks(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What came of a trial.
enum Outcome {
    Held(u64),
    Violated(String),
    NotRun(String),
}

/// Runs the layer; the rows, in an order that depends on nothing.
pub(crate) fn run(options: &Options) -> Result<Vec<Record>> {
    let start = Instant::now();
    let alone = SingleThreaded::check()?;
    let interrupts = Interrupts::catch()?;
    let prefix = Prefix::new(LAYER);
    // What wrong implementations leave behind is theirs.
    let wrong_prefix = Prefix::new("faults-wrong");
    let (ours, theirs) = (prefix.to_string(), wrong_prefix.to_string());
    let setting = |prefix, rounds| Setting {
        alone,
        seed: options.seed,
        rounds,
        prefix,
    };
    let control = setting(&ours, options.rounds);
    // A race that is lost once in a thousand times is lost all the same; and what is caught early
    // costs nothing more.
    let suspect = setting(&theirs, options.rounds.saturating_mul(10));
    let mut rows = Vec::new();
    for check in checks() {
        let chosen = |only: &String| only == check.subject;
        if !options.only.as_ref().is_none_or(chosen) {
            continue;
        }
        let command = command(options, Some(check.subject));
        let outcome = attempt(&control, check.subject, check.trial, &interrupts)?;
        rows.push(row(&check, &outcome).repeat(&command));
        for wrong in &check.wrong {
            let found = attempt(&suspect, wrong.what, wrong.trial, &interrupts)?;
            rows.push(wrong_row(&check, wrong, &outcome, &found).repeat(&command));
        }
    }
    rows.push(prefix.judge(LAYER)?.repeat(command(options, None)));
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("faults: {} rows in {seconds:.1} s", rows.len());
    Ok(rows)
}

/// Makes a trial in a process of its own.
fn attempt(
    setting: &Setting<'_>,
    what: &str,
    trial: Trial,
    interrupts: &Interrupts,
) -> Result<Outcome> {
    let mut judge = Child::fork(what.to_owned(), setting.alone, |ledger| {
        ledger.note(&Note::Tried(trial(setting)?));
        Ok(())
    })?;
    let deadline = Instant::now() + longest();
    loop {
        let heard = wait_readable(&[interrupts.as_fd(), judge.as_fd()], deadline)?;
        interrupts.check()?;
        if !heard {
            let seconds = longest().as_secs();
            return Ok(Outcome::Violated(format!(
                "waited {seconds} s for the end of the trial"
            )));
        }
        let Some(notes) = judge.hear()? else {
            bail!("the trial `{what}` ended without a word");
        };
        match notes.into_iter().next() {
            None => {}
            Some(Note::Tried(times)) => return Ok(Outcome::Held(times)),
            Some(Note::Failed(why)) => return Ok(Outcome::Violated(why)),
            Some(Note::NotRun(reason)) => return Ok(Outcome::NotRun(reason)),
            Some(other) => bail!("the trial `{what}` told {other:?}"),
        }
    }
}

fn row(check: &Check, outcome: &Outcome) -> Record {
    match outcome {
        Outcome::Held(times) => {
            Record::passed(LAYER, check.subject, check.what).count(*times, check.unit)
        }
        Outcome::Violated(why) => Record::failed(LAYER, check.subject, check.what, why),
        Outcome::NotRun(reason) => Record::not_run(LAYER, check.subject, check.what, reason),
    }
}

/// A wrong implementation must be caught, and only where the right one was not.
fn wrong_row(check: &Check, wrong: &Wrong, control: &Outcome, found: &Outcome) -> Record {
    let failed = |why| Record::failed(LAYER, check.subject, wrong.what, why);
    match (found, control) {
        (Outcome::NotRun(reason), _) => {
            Record::not_run(LAYER, check.subject, wrong.what, reason.clone())
        }
        (Outcome::Held(times), _) => failed(format!(
            "not caught: all was well in {times} {}",
            check.unit
        )),
        (Outcome::Violated(why), _) if !why.contains(wrong.sign) => {
            failed(format!("caught, but not for `{}`: {why}", wrong.sign))
        }
        (Outcome::Violated(why), Outcome::Held(_)) => {
            Record::passed(LAYER, check.subject, wrong.what).reason(format!("caught: {why}"))
        }
        (Outcome::Violated(_), Outcome::NotRun(reason)) => {
            let why = format!("caught, but the control, our own code, did not run: {reason}");
            Record::not_run(LAYER, check.subject, wrong.what, why)
        }
        (Outcome::Violated(_), _) => {
            failed("caught, but the control, our own code, did not pass the same trial".to_owned())
        }
    }
}

fn command(options: &Options, subject: Option<&str>) -> String {
    let only = (subject.or(options.only.as_deref()))
        .map_or_else(String::new, |subject| format!(" --only {subject}"));
    format!(
        "cargo run -p ringproof-stress -- faults --seed {} --rounds {}{only}",
        options.seed, options.rounds
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringproof_record::Verdict;
    use std::collections::BTreeSet;

    #[test]
    fn every_check_has_a_name_of_its_own_and_something_to_catch() {
        let checks = checks();
        let subjects: BTreeSet<_> = checks.iter().map(|check| check.subject).collect();
        assert_eq!(subjects.len(), checks.len());
        for check in checks {
            assert!(!check.wrong.is_empty(), "{}", check.subject);
        }
    }

    #[test]
    fn a_wrong_implementation_passes_only_if_caught_for_its_own_mistake_and_ours_was_not() {
        let wrong = Wrong {
            what: "planted fault: x",
            sign: "two hold",
            trial: |_| Ok(0),
        };
        let check = Check {
            subject: "s",
            what: "w",
            unit: "rounds",
            trial: |_| Ok(0),
            wrong: Vec::new(),
        };
        let violated = |why: &str| Outcome::Violated(why.to_owned());
        let verdict = |control, found| wrong_row(&check, &wrong, &control, &found).verdict;
        let caught = || violated("in round 3 two hold it");
        assert_eq!(verdict(Outcome::Held(1), caught()), Verdict::Passed);
        assert_eq!(verdict(Outcome::Held(1), Outcome::Held(1)), Verdict::Failed);
        assert_eq!(
            verdict(Outcome::Held(1), violated("it hangs")),
            Verdict::Failed
        );
        assert_eq!(verdict(violated("x"), caught()), Verdict::Failed);
        let not_run = Outcome::NotRun("no namespaces".to_owned());
        assert_eq!(verdict(Outcome::Held(1), not_run), Verdict::NotRun);
        let not_run = Outcome::NotRun("nobody met anybody".to_owned());
        assert_eq!(verdict(not_run, caught()), Verdict::NotRun);
    }
}
