//! Spreads the cases over worker processes, and turns what they tell into rows.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use ringproof::site::Site;
use ringproof_record::Record;

use super::trial::Setting;
use super::{Address, Case, cases, work};
use crate::dying::Fate;
use crate::fault::Fault;
use crate::process::{Child, Interrupts, Note, SingleThreaded, Violation, short_patience, silence};
use crate::shm::Prefix;
use crate::workers::{self, Jobs};

const LAYER: &str = "crash";

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
    /// What the contents and the positions follow from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Only this operation, state or kill
    #[arg(long, value_name = "SUBJECT[:STATE[:ACCESS:FATE]]")]
    pub(crate) only: Option<Address>,
    /// Plant this fault in the operations that it concerns
    #[arg(long, value_name = "FAULT")]
    pub(crate) plant: Option<Fault>,
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

impl Options {
    /// Whether nothing in particular was asked for.
    pub(crate) fn is_everything(&self) -> bool {
        self.only.is_none() && self.plant.is_none()
    }
}

/// What one worker runs.
struct Job {
    fault: Option<Fault>,
    /// Indices of cases.
    cases: Vec<usize>,
}

/// What came of it.
#[derive(Default)]
struct Outcome {
    /// Runs that were begun, and those in which nobody was killed.
    tried: u64,
    lived: u64,
    /// Kills and stops judged and found right, by site and fate.
    befell: BTreeMap<(String, String), u64>,
    violations: Vec<Violation>,
}

impl Outcome {
    /// How often something of this kind befell somebody.
    fn count(&self, counts: impl Fn(&str) -> bool) -> u64 {
        let of_kind = self.befell.iter().filter(|((_, fate), _)| counts(fate));
        of_kind.map(|(_, times)| times).sum()
    }

    fn kills(&self) -> u64 {
        self.count(|fate| fate != Fate::Stopped.name())
    }

    fn stops(&self) -> u64 {
        self.count(|fate| fate == Fate::Stopped.name())
    }
}

/// Runs the layer; the rows, in an order that depends on nothing.
pub(crate) fn run(options: &Options) -> Result<Vec<Record>> {
    let start = Instant::now();
    let alone = SingleThreaded::check()?;
    let interrupts = Interrupts::catch()?;
    let prefix = Prefix::new("crash");
    let cases = cases();
    let jobs = jobs(options, &cases);
    let work = Work {
        options,
        cases: &cases,
        jobs: &jobs,
        alone,
        prefix: &prefix,
    };
    let mut outcomes = workers::run(&work, &interrupts)?;

    let kills: u64 = outcomes.iter().map(Outcome::kills).sum();
    let stops: u64 = outcomes.iter().map(Outcome::stops).sum();
    let seconds = start.elapsed().as_secs_f64();
    eprintln!(
        "crash: {kills} kills and {stops} stops in {seconds:.1} s, {:.0} a second",
        (kills + stops) as f64 / seconds
    );

    let mut rows = Vec::new();
    // The planted faults are the last jobs.
    let plain = jobs.iter().take_while(|job| job.fault == options.plant);
    let planted = outcomes.split_off(plain.count());
    rows.extend(site_rows(options, &outcomes, options.is_everything()));
    rows.extend(subject_rows(options, &cases, &jobs, &outcomes));
    let faults = jobs[outcomes.len()..].iter().filter_map(|job| job.fault);
    rows.extend(
        faults
            .zip(&planted)
            .map(|(fault, outcome)| fault_row(options, fault, outcome)),
    );
    rows.push(prefix.judge(LAYER)?.repeat(command(options, None)));
    Ok(rows)
}

/// One job for each case, and one for each planted fault.
fn jobs(options: &Options, cases: &[Case]) -> Vec<Job> {
    let concerns = |fault: Fault, case: &Case| fault.subjects().contains(&case.subject);
    let chosen = |case: &Case| {
        (options.only.as_ref()).is_none_or(|only| only.covers(case))
            && (options.plant).is_none_or(|fault| concerns(fault, case))
    };
    let mut jobs: Vec<_> = (0..cases.len())
        .filter(|index| chosen(&cases[*index]))
        .map(|index| Job {
            fault: options.plant,
            cases: vec![index],
        })
        .collect();
    if options.is_everything() {
        jobs.extend(Fault::value_variants().iter().map(|fault| {
            Job {
                fault: Some(*fault),
                cases: (0..cases.len())
                    .filter(|index| concerns(*fault, &cases[*index]))
                    .collect(),
            }
        }));
    }
    jobs
}

/// The jobs, with what their workers need.
struct Work<'a> {
    options: &'a Options,
    cases: &'a [Case],
    jobs: &'a [Job],
    alone: SingleThreaded,
    prefix: &'a Prefix,
}

impl Jobs for Work<'_> {
    type Outcome = Outcome;

    fn count(&self) -> usize {
        self.jobs.len()
    }

    fn address(&self, job: usize) -> String {
        let case = self.jobs[job].cases.first();
        case.map_or(String::new(), |case| self.cases[*case].subject.to_owned())
    }

    fn start(&self, number: usize) -> Result<Child> {
        let job = &self.jobs[number];
        Child::fork("a worker".to_owned(), self.alone, |ledger| {
            let names = format!("{}{number}-", self.prefix);
            let setting = Setting {
                alone: self.alone,
                seed: self.options.seed,
                fault: job.fault,
                prefix: &names,
            };
            let chosen: Vec<_> = job.cases.iter().map(|index| &self.cases[*index]).collect();
            // A fault that was planted to be caught needs to be caught once.
            let thorough = job.fault.is_none();
            let only = self.options.only.as_ref();
            work(&setting, &chosen, only, thorough, ledger);
            Ok(())
        })
    }

    fn patience(&self, job: usize, so_far: &Outcome) -> Duration {
        match self.jobs[job].fault {
            // It hangs as soon as somebody is killed: in the second run.
            Some(Fault::SurvivorHangs) if so_far.tried > 1 => short_patience(),
            _ => silence(),
        }
    }

    fn take_in(&self, outcome: &mut Outcome, note: Note) -> Result<()> {
        match note {
            Note::Trying(_) => outcome.tried += 1,
            Note::Lived => outcome.lived += 1,
            Note::Befell { site, fate } => *outcome.befell.entry((site, fate)).or_default() += 1,
            Note::Violation(violation) => outcome.violations.push(violation),
            other => bail!("a worker told what is not for its like to tell: {other:?}"),
        }
        Ok(())
    }

    fn give_up(&self, outcome: &mut Outcome, violation: Violation) {
        outcome.violations.push(violation);
    }

    fn over(&self, job: usize, outcome: &Outcome) -> Result<()> {
        progress(&self.jobs[job], self.cases, outcome);
        Ok(())
    }
}

/// One line about a job that is over.
fn progress(job: &Job, cases: &[Case], outcome: &Outcome) {
    let what = match (job.fault, &job.cases[..]) {
        (Some(fault), _) => format!("planted fault: {}", fault.describe()),
        (None, [case, ..]) => format!("{} in state `{}`", cases[*case].subject, cases[*case].state),
        (None, []) => String::new(),
    };
    eprintln!(
        "crash: {what}: {} kills, {} stops",
        outcome.kills(),
        outcome.stops()
    );
    for violation in &outcome.violations {
        eprintln!("crash:   {}", violation.what);
    }
}

fn command(options: &Options, only: Option<&str>) -> String {
    let mut command = format!(
        "cargo run -p ringproof-stress -- crash --seed {}",
        options.seed
    );
    if let Some(only) = only {
        command += &format!(" --only {only}");
    }
    if let Some(name) = options.plant.and_then(|fault| fault.to_possible_value()) {
        command += &format!(" --plant {}", name.get_name());
    }
    command
}

fn failed(options: &Options, subject: &str, check: &str, violation: &Violation) -> Record {
    Record::failed(LAYER, subject, check, &violation.what)
        .repeat(command(options, Some(&violation.address)))
}

/// A row for each site and each fate: how often it befell somebody there. Where it befell nobody
/// that has failed if all were to be tried.
fn site_rows(options: &Options, outcomes: &[Outcome], all: bool) -> Vec<Record> {
    let mut rows = Vec::new();
    for site in Site::all() {
        for fate in Fate::ALL {
            let (name, check) = (site.info().name, fate.check());
            let unit = match fate {
                Fate::KilledBefore | Fate::KilledAfter => "kills",
                Fate::Stopped => "stops",
            };
            let fate = fate.name();
            let key = (name.to_owned(), fate.to_owned());
            let times: u64 = outcomes.iter().filter_map(|o| o.befell.get(&key)).sum();
            let mut violations = outcomes.iter().flat_map(|outcome| &outcome.violations);
            let broken = violations
                .find(|v| v.site.as_deref() == Some(name) && v.fate.as_deref() == Some(fate));
            rows.push(match broken {
                Some(violation) => failed(options, name, check, violation),
                None if times > 0 => Record::passed(LAYER, name, check)
                    .count(times, unit)
                    .repeat(command(options, None)),
                None if all => Record::failed(
                    LAYER,
                    name,
                    check,
                    "no operation that this layer runs makes an access at this site",
                )
                .repeat(command(options, None)),
                None => continue,
            });
        }
    }
    rows
}

/// Three rows for each operation: all its runs without a death, all with one, all with a stop.
fn subject_rows(
    options: &Options,
    cases: &[Case],
    jobs: &[Job],
    outcomes: &[Outcome],
) -> Vec<Record> {
    let mut rows = Vec::new();
    for subject in super::subjects() {
        let of_subject: Vec<_> = (jobs.iter().zip(outcomes))
            .filter(|(job, _)| job.cases.iter().any(|case| cases[*case].subject == subject))
            .map(|(_, outcome)| outcome)
            .collect();
        if of_subject.is_empty() {
            continue;
        }
        let lived = of_subject.iter().map(|outcome| outcome.lived).sum();
        let kills = of_subject.iter().map(|outcome| outcome.kills()).sum();
        let stops = of_subject.iter().map(|outcome| outcome.stops()).sum();
        let checks = [
            ("no crash", lived, "runs", None),
            ("crash at every access", kills, "kills", Some(false)),
            ("stop before every access", stops, "stops", Some(true)),
        ];
        for (check, count, unit, stopped) in checks {
            let mut violations = of_subject.iter().flat_map(|outcome| &outcome.violations);
            // Its address says of which kind it is, also where it hangs.
            let broken = violations.find(|violation| {
                let point = violation.address.matches(':').count() > 1;
                let of_kind = point.then(|| violation.address.ends_with(Fate::Stopped.name()));
                of_kind == stopped
            });
            let only = options
                .only
                .as_ref()
                .map_or(subject.to_owned(), Address::to_string);
            let row = match broken {
                Some(violation) => failed(options, subject, check, violation),
                // One kill was asked for, of another kind.
                None if count == 0 && options.only.is_some() => continue,
                None if count == 0 => Record::failed(LAYER, subject, check, "nothing was tried"),
                None => Record::passed(LAYER, subject, check).repeat(command(options, Some(&only))),
            };
            rows.push(row.count(count, unit));
        }
    }
    rows
}

/// A planted fault passes when it was caught.
fn fault_row(options: &Options, fault: Fault, outcome: &Outcome) -> Record {
    let subject = fault.subjects().first().copied().unwrap_or_default();
    let check = format!("planted fault: {}", fault.describe());
    let runs = outcome.lived + outcome.count(|_| true) + outcome.violations.len() as u64;
    let planted = Options {
        seed: options.seed,
        only: None,
        plant: Some(fault),
        page: false,
        whole: false,
        every_instruction: false,
    };
    match outcome.violations.first() {
        Some(violation) => Record::passed(LAYER, subject, check)
            .repeat(command(&planted, Some(&violation.address))),
        None => Record::failed(LAYER, subject, check, "the planted fault was not noticed")
            .repeat(command(&planted, None)),
    }
    .count(runs, "runs until caught")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringproof_record::Verdict;

    const OPTIONS: Options = Options {
        seed: 4,
        only: None,
        plant: None,
        page: false,
        whole: false,
        every_instruction: false,
    };

    fn killed(site: &str, fate: &str) -> Outcome {
        let mut outcome = Outcome::default();
        (outcome.befell).insert((site.to_owned(), fate.to_owned()), 3);
        outcome
    }

    #[test]
    fn a_site_that_nobody_died_at_has_failed() {
        let rows = site_rows(&OPTIONS, &[killed("RingPublish", "after")], true);
        assert_eq!(rows.len(), 3 * Site::all().count());
        let (passed, failed): (Vec<_>, Vec<_>) =
            (rows.iter()).partition(|row| row.verdict == Verdict::Passed);
        assert_eq!(failed.len(), rows.len() - 1);
        assert_eq!(
            (passed[0].subject.as_str(), passed[0].count),
            ("RingPublish", Some(3))
        );
        assert_eq!(passed[0].check, "crash after");
    }

    #[test]
    fn a_violation_fails_its_site_and_its_operation() {
        let mut outcome = killed("RingPublish", "after");
        outcome.violations.push(Violation {
            address: "ring/push:full:2:after".to_owned(),
            site: Some("RingPublish".to_owned()),
            fate: Some("after".to_owned()),
            what: "all is lost".to_owned(),
        });
        let options = Options {
            only: "ring/push".parse().ok(),
            ..OPTIONS
        };
        let cases = cases();
        let jobs = jobs(&options, &cases);
        let mut outcomes: Vec<_> = jobs.iter().map(|_| Outcome::default()).collect();
        outcomes[2] = outcome;
        let mut rows = site_rows(&options, &outcomes, false);
        rows.extend(subject_rows(&options, &cases, &jobs, &outcomes));
        let failed: Vec<_> = (rows.iter())
            .filter(|row| row.verdict == Verdict::Failed)
            .collect();
        let what: Vec<_> = (failed.iter())
            .map(|row| (row.subject.as_str(), row.check.as_str()))
            .collect();
        assert_eq!(
            what,
            [
                ("RingPublish", "crash after"),
                ("ring/push", "crash at every access")
            ]
        );
        for row in failed {
            assert_eq!(row.reason.as_deref(), Some("all is lost"));
            let repeat = row.repeat.as_deref().unwrap();
            assert!(repeat.ends_with("crash --seed 4 --only ring/push:full:2:after"));
        }
    }

    #[test]
    fn a_planted_fault_that_nobody_notices_has_failed() {
        let row = fault_row(&OPTIONS, Fault::PublishFirst, &Outcome::default());
        assert_eq!(row.verdict, Verdict::Failed);
        assert!(row.repeat.unwrap().ends_with("--plant publish-first"));
    }
}
