//! The front desk: what every layer is asked, how its trials are made, and what it answers.
//!
//! A layer is a list of *checks*. A check is a trial that our own code must pass; beside it stand
//! wrong implementations, and the same trial must catch each of them in the words that belong to
//! its mistake. Each trial is made in a forked process of its own: whatever it does to its limits,
//! its memory and itself is gone with it, and a death or a hang is known by what it tried last.

mod trial;

use std::borrow::Cow;
use std::fmt;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Args;
use ringproof_record::{Record, Shard, Verdict};

use crate::cli::name_of;
use crate::fault::Fault;
use crate::process::{Child, Interrupts, SingleThreaded, wait_readable};
use crate::shm::{Prefix, Sweeper};
use trial::{Outcome, Report, Trial, Worker, related, within};

pub(crate) use trial::{Setting, longest, rehearse};

/// Of what the wrong implementations get so many times as much: a race that is lost once in a
/// thousand times is lost all the same, and what is caught early costs nothing more.
const MORE: u64 = 10;

/// Holds what was found to what is expected.
pub(crate) fn same<T: fmt::Debug + PartialEq>(what: &str, found: T, expected: T) -> Result<()> {
    ensure!(
        found == expected,
        "{what}: {found:?}, expected {expected:?}"
    );
    Ok(())
}

/// What every layer is asked.
#[derive(Args, Clone, Debug)]
pub(crate) struct Asked {
    /// What every choice, content and position follows from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Only this subject, or only this part of what is tried of it
    #[arg(long, value_name = "SUBJECT[:PART]")]
    pub(crate) only: Option<String>,
    /// Make this mistake on purpose, in the checks that must notice it: they must fail
    #[arg(long, value_name = "FAULT", hide_possible_values = true)]
    pub(crate) inject: Option<Fault>,
    /// Of the checks the I-th, and every N-th after it
    #[arg(long, value_name = "I/N", default_value_t = Shard::WHOLE)]
    pub(crate) shard: Shard,
}

impl Asked {
    /// For all of a layer.
    #[cfg(test)]
    pub(crate) fn everything(seed: u64) -> Asked {
        Asked {
            seed,
            only: None,
            inject: None,
            shard: Shard::WHOLE,
        }
    }
}

/// What was asked for is not there: wrong usage.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unknown(pub(crate) String);

impl Unknown {
    fn among<'k>(what: &str, known: impl IntoIterator<Item = &'k str>) -> anyhow::Error {
        let mut once: Vec<&str> = Vec::new();
        for known in known {
            if !once.contains(&known) {
                once.push(known);
            }
        }
        Unknown(format!("there is no {what}; there is: {}", once.join(", "))).into()
    }
}

/// What our code must pass.
pub(crate) struct Check {
    pub(crate) subject: Cow<'static, str>,
    /// What happens, and what must hold then.
    pub(crate) what: Cow<'static, str>,
    /// What its trial counts.
    unit: &'static str,
    trial: Trial,
    pub(crate) wrong: Vec<Wrong>,
    /// What `--only` calls it: the subject, and in what it differs from others of the same.
    address: String,
    /// What its commands say besides.
    with: String,
    /// Whether processes race in it: then one case alone need not show again what it showed.
    races: bool,
}

/// What the same trial must catch.
pub(crate) struct Wrong {
    what: Cow<'static, str>,
    /// Part of the words in which it is caught: for its own mistake and no other.
    sign: &'static str,
    trial: Trial,
    fault: Option<Fault>,
}

impl Check {
    pub(crate) fn new(
        subject: impl Into<Cow<'static, str>>,
        what: impl Into<Cow<'static, str>>,
        unit: &'static str,
        trial: impl Fn(&Setting<'_>) -> Result<u64> + 'static,
    ) -> Check {
        let subject = subject.into();
        Check {
            address: subject.clone().into_owned(),
            subject,
            what: what.into(),
            unit,
            trial: Rc::new(trial),
            wrong: Vec::new(),
            with: String::new(),
            races: false,
        }
    }

    /// With a wrong implementation that it must catch.
    pub(crate) fn wrong(
        mut self,
        what: &'static str,
        sign: &'static str,
        trial: impl Fn(&Setting<'_>) -> Result<u64> + 'static,
    ) -> Check {
        self.wrong.push(Wrong {
            what: what.into(),
            sign,
            trial: Rc::new(trial),
            fault: None,
        });
        self
    }

    /// With a fault that its own trial makes where it is asked to, and must catch.
    pub(crate) fn injected(self, fault: Fault, sign: &'static str) -> Check {
        self.injected_as(fault.words(), fault, sign)
    }

    /// The same, in other words.
    pub(crate) fn injected_as(mut self, words: &str, fault: Fault, sign: &'static str) -> Check {
        self.wrong.push(Wrong {
            what: format!("injected fault: {words}").into(),
            sign,
            trial: self.trial.clone(),
            fault: Some(fault),
        });
        self
    }

    /// One of several of the same subject.
    pub(crate) fn of_part(mut self, part: &str) -> Check {
        self.address = format!("{}:{part}", self.subject);
        self
    }

    /// Its commands say this besides.
    pub(crate) fn with(mut self, with: impl Into<String>) -> Check {
        self.with = with.into();
        self
    }

    /// Processes race in it.
    pub(crate) fn races(mut self) -> Check {
        self.races = true;
        self
    }
}

/// Something that the trials of a layer together must come to.
pub(crate) struct Covered {
    pub(crate) subject: &'static str,
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
}

impl Covered {
    /// What trials call it.
    pub(crate) fn key(subject: &str, what: &str) -> String {
        format!("{subject}, {what}")
    }
}

/// A layer, as it is asked for.
pub(crate) struct Layer<'a> {
    /// What its rows say.
    pub(crate) name: &'static str,
    /// The command that runs it: its name, and what it was asked besides.
    pub(crate) command: String,
    pub(crate) asked: &'a Asked,
    pub(crate) checks: Vec<Check>,
    pub(crate) covered: Vec<Covered>,
    pub(crate) rounds: u64,
    /// How many trials are made at once.
    pub(crate) width: usize,
}

/// A trial to be made.
struct Job<'a> {
    check: &'a Check,
    /// What the trial is of, if not of our own code.
    wrong: Option<&'a Wrong>,
}

impl<'a> Layer<'a> {
    /// One whose trials are made one after the other.
    pub(crate) fn new(
        name: &'static str,
        command: impl Into<String>,
        asked: &'a Asked,
        checks: Vec<Check>,
    ) -> Layer<'a> {
        Layer {
            name,
            command: command.into(),
            asked,
            checks,
            covered: Vec::new(),
            rounds: 0,
            width: 1,
        }
    }

    fn program(&self) -> &str {
        self.command.split(' ').next().unwrap_or_default()
    }

    fn only(&self) -> Option<&str> {
        self.asked.only.as_deref()
    }

    /// Makes the trials; the rows, in an order that depends on nothing.
    pub(crate) fn run(self) -> Result<Vec<Record>> {
        Desk::open(&self)?.run(|_| None)
    }

    /// The trials that are asked for.
    fn jobs(&self) -> Result<Vec<Job<'_>>> {
        let inject = self.asked.inject;
        let must = |check: &&Check| {
            let mut faults = check.wrong.iter().map(|wrong| wrong.fault);
            inject.is_none() || faults.any(|fault| fault == inject)
        };
        let concerned = || self.checks.iter().filter(must);
        let chosen = concerned()
            .filter(|check| self.only().is_none_or(|only| related(only, &check.address)));
        let chosen: Vec<_> = chosen.collect();
        if chosen.is_empty() {
            let only = self.only().unwrap_or("check");
            let what = match inject {
                Some(fault) => format!("{only} that must notice that {}", fault.words()),
                None => only.to_owned(),
            };
            return Err(Unknown::among(
                &what,
                concerned().map(|check| &*check.address),
            ));
        }
        let mut jobs = Vec::new();
        for check in self.asked.shard.part_of(chosen) {
            let wrong = (check.wrong.iter())
                .filter(|wrong| inject.is_none() || wrong.fault == inject)
                .filter(|_| inject.is_some() || self.is_whole(check));
            let ours = inject.is_none().then_some(None);
            let all = ours.into_iter().chain(wrong.map(Some));
            jobs.extend(all.map(|wrong| Job { check, wrong }));
        }
        Ok(jobs)
    }

    /// Whether all of this check is asked for.
    fn is_whole(&self, check: &Check) -> bool {
        self.only().is_none_or(|only| within(&check.address, only))
    }

    /// An error if nothing that was tried is what was asked for.
    fn ensure_met(&self, reports: &[Report]) -> Result<()> {
        let passed_by =
            |report: &Report| matches!(report.end, Some(Outcome::Held(_))) && !report.met;
        match self.only() {
            Some(only) if reports.iter().all(passed_by) => {
                let others = reports.iter().flat_map(|report| &report.learnt.others);
                Err(Unknown::among(only, others.map(String::as_str)))
            }
            _ => Ok(()),
        }
    }

    /// The rows about what the trials must come to together, and then each check with what it
    /// must catch.
    fn rows(
        &self,
        jobs: &[Job<'_>],
        reports: &[Report],
        known: &[Option<Vec<Record>>],
        interrupted: bool,
    ) -> Vec<Record> {
        let asked = self.asked;
        // With a fault injected on demand it is ours that is wrong.
        let injected = asked.inject.is_some();
        let ours: Vec<_> = (jobs.iter().zip(reports))
            .filter(|(job, _)| job.wrong.is_none() || injected)
            .collect();
        let all = !interrupted && !injected && asked.only.is_none() && asked.shard == Shard::WHOLE;
        let covered = self.covered.iter();
        let covered = covered.filter_map(|covered| self.covered_row(covered, &ours, all));
        let mut rows: Vec<_> = covered.collect();
        let mut control = Outcome::Held(1);
        for ((job, report), known) in jobs.iter().zip(reports).zip(known) {
            match (job.wrong, known) {
                (Some(wrong), _) if !injected => {
                    rows.push(self.wrong_row(job, wrong, &control, report));
                    continue;
                }
                (_, Some(known)) => rows.extend(known.iter().cloned()),
                (_, None) => rows.extend(self.check_rows(job.check, report)),
            }
            control = report.outcome();
        }
        rows
    }

    fn covered_row(
        &self,
        covered: &Covered,
        done: &[(&Job<'_>, &Report)],
        all: bool,
    ) -> Option<Record> {
        let (subject, what) = (covered.subject, covered.what);
        let key = Covered::key(subject, what);
        let broken = done
            .iter()
            .find_map(|(job, report)| match report.outcome() {
                Outcome::Violated(why) if report.at.as_ref() == Some(&key) => {
                    let again = self.again(Some(job.check), &report.address, self.asked.inject);
                    Some(Record::failed(self.name, subject, what, why).repeat(again))
                }
                _ => None,
            });
        let times = done
            .iter()
            .map(|(_, report)| report.learnt.covered.get(&key));
        let row = match times.flatten().sum() {
            _ if broken.is_some() => return broken,
            0 if !all => return None,
            0 => {
                let why = "no trial of this layer gets there";
                Record::failed(self.name, subject, what, why)
            }
            times => Record::passed(self.name, subject, what).count(times, covered.unit),
        };
        let only = self.only().unwrap_or_default();
        Some(row.repeat(self.again(None, only, self.asked.inject)))
    }

    /// What came of our own code, and what could not be tried.
    fn check_rows(&self, check: &Check, report: &Report) -> Vec<Record> {
        let (subject, what) = (check.subject.clone(), check.what.clone());
        let skipped = &report.learnt.skipped;
        let row = match report.outcome() {
            // It was another part of it that was asked for, or nothing can be tried.
            Outcome::Held(0) if self.only().is_some() || !skipped.is_empty() => None,
            Outcome::Held(0) => Some(Record::failed(
                self.name,
                subject,
                what,
                "nothing was tried",
            )),
            Outcome::Held(times) => Some(Record {
                reason: report.learnt.remark.clone(),
                ..Record::passed(self.name, subject, what).count(times, check.unit)
            }),
            Outcome::Violated(why) => Some(Record::failed(self.name, subject, what, why)),
            Outcome::NotRun(why) => Some(Record::not_run(self.name, subject, what, why)),
        };
        let address = match report.outcome() {
            Outcome::Violated(_) => &report.address,
            _ => self.only().unwrap_or(&check.address),
        };
        let skipped = (skipped.iter())
            .map(|(what, why)| Record::not_run(self.name, check.subject.clone(), what, why));
        let again = self.again(Some(check), address, self.asked.inject);
        let rows = row.into_iter().chain(skipped);
        rows.map(|row| row.repeat(&again)).collect()
    }

    /// A wrong implementation must be caught, and only where the right one was not.
    fn wrong_row(
        &self,
        job: &Job<'_>,
        wrong: &Wrong,
        control: &Outcome,
        report: &Report,
    ) -> Record {
        let check = job.check;
        let found = match report.learnt.skipped.first() {
            Some((_, why)) if report.tried == 0 => Outcome::NotRun(why.clone()),
            _ => report.outcome(),
        };
        let (verdict, why) = match (found, control) {
            (Outcome::NotRun(reason), _) => (Verdict::NotRun, reason),
            (Outcome::Held(times), _) => (
                Verdict::Failed,
                format!("not caught: all was well in {times} {}", check.unit),
            ),
            (Outcome::Violated(why), _) if !why.contains(wrong.sign) => (
                Verdict::Failed,
                format!("caught, but not for `{}`: {why}", wrong.sign),
            ),
            (Outcome::Violated(why), Outcome::Held(_)) => {
                (Verdict::Passed, format!("caught: {why}"))
            }
            (_, Outcome::NotRun(reason)) => (
                Verdict::NotRun,
                format!("caught, but the control, our own code, did not run: {reason}"),
            ),
            (_, Outcome::Violated(_)) => (
                Verdict::Failed,
                "caught, but the control, our own code, did not pass the same trial".to_owned(),
            ),
        };
        let (subject, what) = (check.subject.clone(), wrong.what.clone());
        let row = Record::new(verdict, self.name, subject, what);
        let row = match report.tried {
            0 => row.reason(why),
            tried => row.reason(why).count(tried, "attempts until caught"),
        };
        let address = match wrong.fault {
            Some(_) => &report.address,
            None => &check.address,
        };
        row.repeat(self.again(Some(check), address, wrong.fault))
    }

    /// The command that does it again: all of it, a check, or a part of one.
    pub(crate) fn again(&self, check: Option<&Check>, only: &str, fault: Option<Fault>) -> String {
        let mut command = format!("cargo run -p ringproof-stress -- {}", self.command);
        command += &format!(" --seed {}", self.asked.seed);
        command += check.map_or("", |check| &check.with);
        let only = match only.split_once(':') {
            Some((whole, _)) if check.is_some_and(|check| check.races) => whole,
            _ => only,
        };
        match only {
            "" => {}
            only if only.contains(' ') => command += &format!(" --only '{only}'"),
            only => command += &format!(" --only {only}"),
        }
        if let Some(fault) = fault {
            command += &format!(" --inject {}", name_of(&fault));
        }
        command
    }
}

/// A layer at work.
pub(crate) struct Desk<'a> {
    layer: &'a Layer<'a>,
    jobs: Vec<Job<'a>>,
    pub(crate) alone: SingleThreaded,
    pub(crate) interrupts: Interrupts,
    pub(crate) prefix: Prefix,
    /// Waits for all processes of the run, whoever started them.
    sweeper: Sweeper,
    start: Instant,
}

impl<'a> Desk<'a> {
    pub(crate) fn open(layer: &'a Layer<'a>) -> Result<Desk<'a>> {
        let jobs = layer.jobs()?;
        let alone = SingleThreaded::check()?;
        let prefix = Prefix::new(layer.program());
        Ok(Desk {
            layer,
            jobs,
            alone,
            interrupts: Interrupts::catch()?,
            sweeper: Sweeper::start(&prefix, alone)?,
            prefix,
            start: Instant::now(),
        })
    }

    /// Makes the trials, but for those of our own code of which the layer has rows already; the
    /// first of these says what came of it.
    pub(crate) fn run(self, known: impl Fn(&Check) -> Option<Vec<Record>>) -> Result<Vec<Record>> {
        let (layer, jobs) = (self.layer, &self.jobs);
        let known: Vec<_> = (jobs.iter())
            .map(|job| known(job.check).filter(|_| job.wrong.is_none()))
            .collect();
        let mut reports: Vec<_> = (jobs.iter().zip(&known))
            .map(|(job, known)| {
                let met = layer.is_whole(job.check) || known.is_some();
                let mut report = Report::new(&job.check.address, met);
                report.end = known.iter().flatten().next().map(outcome_of);
                report
            })
            .collect();
        let interrupted = self.make(&mut reports)?;
        layer.ensure_met(&reports)?;
        let mut rows = layer.rows(jobs, &reports, &known, interrupted);
        // Those who were ended could not tidy up: it does, when all are dead.
        let _sweeper = (!interrupted).then_some(self.sweeper);
        let left = self.prefix.judge(layer.name)?;
        let only = layer.only().unwrap_or_default();
        rows.push(left.repeat(layer.again(None, only, layer.asked.inject)));
        let seconds = self.start.elapsed().as_secs_f64();
        eprintln!("{}: {} rows in {seconds:.1} s", layer.program(), rows.len());
        Ok(rows)
    }

    /// Makes the trials, as many at a time as there may be; whether a signal ended that.
    fn make(&self, reports: &mut [Report]) -> Result<bool> {
        let mut waiting = 0..reports.len();
        let mut running: Vec<Worker> = Vec::new();
        loop {
            if self.interrupts.check().is_err() {
                return Ok(true);
            }
            while running.len() < self.layer.width
                && let Some(number) = waiting.next()
            {
                if reports[number].end.is_none() {
                    running.push(Worker::new(number, self.start(number)?));
                }
            }
            if running.is_empty() {
                return Ok(false);
            }
            let deadlines = running.iter();
            let deadlines = deadlines.map(|worker| worker.deadline(&reports[worker.number]));
            let deadline = deadlines.min().unwrap_or_else(Instant::now);
            let mut files = vec![self.interrupts.as_fd()];
            files.extend(running.iter().map(|worker| worker.child.as_fd()));
            wait_readable(&files, deadline)?;
            let mut still = Vec::new();
            for mut worker in running {
                let number = worker.number;
                if worker.listen(&mut reports[number], self.layer.only())? {
                    still.push(worker);
                    continue;
                }
                // Should it still live, it does not any more from here on.
                drop(worker);
                self.over(number, &reports[number])?;
            }
            running = still;
        }
    }

    fn start(&self, number: usize) -> Result<Child> {
        let Job { check, wrong } = &self.jobs[number];
        let Layer { asked, rounds, .. } = self.layer;
        let prefix = format!("{}{number}-", self.prefix);
        Child::fork(format!("trial {number}"), self.alone, |ledger| {
            let mut setting = Setting::new(self.alone, asked.seed, &prefix, ledger);
            setting.rounds = rounds.saturating_mul(wrong.map_or(1, |_| MORE));
            setting.fault = wrong.and_then(|wrong| wrong.fault);
            setting.subject = &check.subject;
            setting.only = self.layer.only();
            setting.run(wrong.map_or(&check.trial, |wrong| &wrong.trial))
        })
    }

    /// Says what came of a trial.
    fn over(&self, number: usize, report: &Report) -> Result<()> {
        let Job { check, wrong } = &self.jobs[number];
        let came = match report.outcome() {
            Outcome::Held(times) => format!("{times} {}", check.unit),
            Outcome::Violated(why) => why,
            Outcome::NotRun(reason) => format!("not run: {reason}"),
        };
        let what = wrong.map_or(&check.what, |wrong| &wrong.what);
        eprintln!(
            "{}: {}, {what}: {came}",
            self.layer.program(),
            check.subject
        );
        match wrong {
            // Who was ended in the middle of something could not tidy up.
            Some(_) => self.prefix.forgive(&format!("{number}-")),
            None => Ok(()),
        }
    }
}

/// What a row says of a trial.
fn outcome_of(row: &Record) -> Outcome {
    let why = row.reason.clone().unwrap_or_default();
    match row.verdict {
        Verdict::Passed => Outcome::Held(row.count.unwrap_or_default()),
        Verdict::NotRun => Outcome::NotRun(why),
        Verdict::Failed => Outcome::Violated(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Failed, NotRun, Passed};

    fn check() -> Check {
        Check::new("s", "w", "rounds", |_| Ok(1)).injected(Fault::PublishFirst, "two hold")
    }

    fn asked(only: &str) -> Asked {
        Asked {
            only: (!only.is_empty()).then(|| only.to_owned()),
            ..Asked::everything(4)
        }
    }

    /// The rows of a check and of its wrong implementation, of which this came.
    fn rows(layer: &Layer<'_>, outcomes: [&Outcome; 2]) -> Vec<Record> {
        let jobs = layer.jobs().unwrap();
        let reports = outcomes.map(|outcome| Report {
            end: Some(outcome.clone()),
            at: Some(Covered::key("RingPublish", "crash after")),
            ..Report::new("s:2", true)
        });
        layer.rows(&jobs, &reports, &[None, None], false)
    }

    #[test]
    fn a_wrong_implementation_passes_only_if_caught_for_its_own_mistake_and_ours_was_not() {
        let asked = asked("");
        let layer = Layer::new("faults", "faults", &asked, vec![check()]);
        let violated = |why: &str| Outcome::Violated(why.to_owned());
        let (held, caught) = (Outcome::Held(1), violated("in round 3 two hold it"));
        let not_run = Outcome::NotRun("no namespaces".to_owned());
        for (control, found, verdict) in [
            (&held, &caught, Passed),
            (&held, &held, Failed),
            (&held, &violated("it hangs"), Failed),
            (&violated("x"), &caught, Failed),
            (&held, &not_run, NotRun),
            (&not_run, &caught, NotRun),
        ] {
            let rows = rows(&layer, [control, found]);
            assert_eq!(rows[1].verdict, verdict, "{rows:#?}");
        }
        let rows = rows(&layer, [&Outcome::Held(0), &held]);
        assert_eq!(rows[0].verdict, Failed, "nothing was tried");
        let repeat = rows[1].repeat.as_deref().unwrap();
        let expected = "faults --seed 4 --only s:2 --inject publish-first";
        assert!(repeat.ends_with(expected), "{repeat}");
    }

    #[test]
    fn what_must_be_come_to_and_was_not_has_failed_and_a_violation_there_fails_it_too() {
        let asked = asked("");
        let layer = Layer {
            covered: vec![Covered {
                subject: "RingPublish",
                what: "crash after",
                unit: "kills",
            }],
            ..Layer::new("crash", "crash", &asked, vec![check()])
        };
        let held = Outcome::Held(1);
        let why = |outcome| {
            let row = rows(&layer, [&outcome, &held]).swap_remove(0);
            assert_eq!((row.subject.as_str(), row.verdict), ("RingPublish", Failed));
            row.reason.unwrap()
        };
        assert!(why(Outcome::Held(1)).starts_with("no trial"));
        assert_eq!(
            why(Outcome::Violated("all is lost".to_owned())),
            "all is lost"
        );
    }

    #[test]
    fn what_is_asked_for_is_found_and_what_is_not_there_is_said() {
        let jobs = |only: &str, inject| {
            let asked = Asked {
                inject,
                ..asked(only)
            };
            let checks = vec![check().of_part("full"), check().of_part("empty")];
            let layer = Layer::new("crash", "crash", &asked, checks);
            (layer.jobs().map(|jobs| jobs.len())).map_err(|error| error.to_string())
        };
        assert_eq!(jobs("", None), Ok(4));
        assert_eq!(jobs("s:full", None), Ok(2));
        // Of a part of a check no wrong implementation.
        assert_eq!(jobs("s:full:3", None), Ok(1));
        assert_eq!(jobs("s:full:3", Some(Fault::PublishFirst)), Ok(1));
        let missing = "there is no s:fulll; there is: s:full, s:empty";
        assert_eq!(jobs("s:fulll", None), Err(missing.to_owned()));
        let error = jobs("s", Some(Fault::NoOdd)).unwrap_err();
        assert!(error.contains(Fault::NoOdd.words()), "{error}");
    }
}
