//! The front desk: what every layer is asked, how its trials are made, and what it answers.
//!
//! A layer is a list of *checks*. A check is a trial that our own code must pass; beside it stand
//! wrong implementations, and the same trial must catch each of them in the words that belong to
//! its mistake. Each trial is made in a forked process of its own: whatever it does to its limits,
//! its memory and itself is gone with it, and a death or a hang is known by what it tried last.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use clap::{Args, ValueEnum};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use ringproof_record::{Record, Shard, machine};

use crate::fault::Fault;
use crate::process::{Child, Interrupts, Ledger, Note, SingleThreaded, patience, short_patience};
use crate::process::{Counted, wait_readable};
use crate::shm::{Name, Prefix, Sweeper};

/// How long a trial may say nothing: all of its waits have deadlines of their own, so it never takes
/// as long.
pub(crate) fn longest() -> Duration {
    20 * patience()
}

/// Of what the wrong implementations get so many times as much: a race that is lost once in a
/// thousand times is lost all the same, and what is caught early costs nothing more.
const MORE: u64 = 10;

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
    pub(crate) plant: Option<Fault>,
    /// Of the checks the I-th, and every N-th after it
    #[arg(long, value_name = "I/N", default_value_t = Shard::WHOLE)]
    pub(crate) shard: Shard,
}

impl Asked {
    /// For all of a layer.
    pub(crate) fn everything(seed: u64) -> Asked {
        Asked {
            seed,
            only: None,
            plant: None,
            shard: Shard::WHOLE,
        }
    }

    fn is_everything(&self) -> bool {
        self.only.is_none() && self.plant.is_none() && self.shard == Shard::WHOLE
    }
}

/// What was asked for is not there: wrong usage.
#[derive(Debug)]
pub(crate) struct Unknown(pub(crate) String);

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unknown {}

/// Makes something happen and says how often, or what was wrong with what followed.
pub(crate) type Trial = Rc<dyn Fn(&Setting<'_>) -> Result<u64>>;

/// What our code must pass.
pub(crate) struct Check {
    pub(crate) subject: Cow<'static, str>,
    /// What happens, and what must hold then.
    pub(crate) what: Cow<'static, str>,
    /// What its trial counts.
    unit: &'static str,
    trial: Trial,
    pub(crate) wrong: Vec<Wrong>,
    /// What `--only` calls it: the subject, and what tells it from others of the same.
    address: String,
    /// What its commands say besides.
    with: &'static str,
    /// Whether processes race in it: then one case alone need not show again what it showed.
    races: bool,
}

/// What the same trial must catch.
pub(crate) struct Wrong {
    pub(crate) what: Cow<'static, str>,
    /// Part of the words in which it is caught: for its own mistake and no other.
    sign: &'static str,
    trial: Trial,
    pub(crate) fault: Option<Fault>,
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
            with: "",
            races: false,
        }
    }

    /// With a wrong implementation that it must catch.
    pub(crate) fn wrong(
        mut self,
        what: impl Into<Cow<'static, str>>,
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

    /// With a fault that its own trial makes where it is told to, and must catch.
    pub(crate) fn planted(self, fault: Fault, sign: &'static str) -> Check {
        self.planted_as(fault.words(), fault, sign)
    }

    /// The same, in other words.
    pub(crate) fn planted_as(mut self, words: &str, fault: Fault, sign: &'static str) -> Check {
        self.wrong.push(Wrong {
            what: format!("planted fault: {words}").into(),
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
    pub(crate) fn with(mut self, arguments: &'static str) -> Check {
        self.with = arguments;
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

/// Whether the one is the other, or a part of it.
fn within(part: &str, whole: &str) -> bool {
    part.strip_prefix(whole)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

fn related(one: &str, other: &str) -> bool {
    within(one, other) || within(other, one)
}

thread_local! {
    /// What the last panic said, and where.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What a trial is made with.
pub(crate) struct Setting<'a> {
    pub(crate) alone: SingleThreaded,
    pub(crate) seed: u64,
    /// How much to try, where that is a matter of patience.
    pub(crate) rounds: u64,
    /// The mistake to make.
    pub(crate) fault: Option<Fault>,
    pub(crate) subject: &'a str,
    /// What every name in /dev/shm starts with.
    pub(crate) prefix: &'a str,
    only: Option<&'a str>,
    ledger: &'a Ledger,
    tried: Cell<u64>,
    /// What was not asked for.
    others: RefCell<Vec<String>>,
    counts: RefCell<BTreeMap<Counted, u64>>,
}

impl<'a> Setting<'a> {
    /// For any trial of anything.
    fn new(alone: SingleThreaded, seed: u64, prefix: &'a str, ledger: &'a Ledger) -> Setting<'a> {
        Setting {
            alone,
            seed,
            rounds: 0,
            fault: None,
            subject: "",
            prefix,
            only: None,
            ledger,
            tried: Cell::new(0),
            others: RefCell::default(),
            counts: RefCell::default(),
        }
    }

    /// A name for a file in /dev/shm that nobody else uses, gone with the trial.
    pub(crate) fn name(&self) -> Name {
        Name::new(format!("{}trial", self.prefix))
    }

    /// Whether this mistake is to be made.
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// How many attempts were made.
    pub(crate) fn tried(&self) -> u64 {
        self.tried.get()
    }

    /// Makes an attempt, unless only others are asked for; an error is known by its address. `at`
    /// is what of the layer's list it comes to, if it holds.
    pub(crate) fn attempt<T>(
        &self,
        address: &str,
        at: Option<Counted>,
        body: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        if self.only.is_some_and(|only| !related(address, only)) {
            let mut others = self.others.borrow_mut();
            if others.len() < 20 {
                others.push(address.to_owned());
            }
            return Ok(None);
        }
        self.tried.set(self.tried.get() + 1);
        self.ledger.note(&Note::Attempt {
            address: address.to_owned(),
            at: at.clone(),
        });
        let found = body()?;
        if let Some(at) = at {
            self.count(at, 1);
        }
        Ok(Some(found))
    }

    /// The same for a subject's cases, which have numbers.
    pub(crate) fn case(&self, number: u64, body: impl FnOnce() -> Result<()>) -> Result<()> {
        let address = format!("{}:{number}", self.subject);
        self.attempt(&address, None, body).map(drop)
    }

    /// Whether only a part of what has this address is asked for.
    pub(crate) fn asks_within(&self, address: &str) -> bool {
        (self.only).is_some_and(|only| only != address && within(only, address))
    }

    /// Says of a trial that holds how far it went.
    pub(crate) fn remark(&self, how_far: String) {
        self.ledger.note(&Note::Remark(how_far));
    }

    /// Counts what the trials together must come to.
    pub(crate) fn count(&self, what: Counted, times: u64) {
        *self.counts.borrow_mut().entry(what).or_default() += times;
    }

    /// Something cannot be tried here.
    pub(crate) fn skip(&self, what: &str, why: &str) {
        self.ledger.note(&Note::Skipped {
            what: what.to_owned(),
            why: why.to_owned(),
        });
    }

    /// From here on the trial is made to hang: whoever waits for it need not wait for long.
    pub(crate) fn hangs(&self) {
        self.ledger.note(&Note::Hanging);
    }

    /// The life of the process that makes the trial. A panic is an error.
    fn run(&self, trial: &Trial) -> Result<()> {
        std::panic::set_hook(Box::new(|info| {
            let said = info.to_string().replace('\n', " ");
            PANIC.with(|last| last.replace(said));
        }));
        let held = catch_unwind(AssertUnwindSafe(|| trial(self)))
            .unwrap_or_else(|_| Err(anyhow!("{}", PANIC.with(RefCell::take))));
        for (what, times) in self.counts.take() {
            self.ledger.note(&Note::Counted { what, times });
        }
        self.ledger.note(&Note::PassedOver(self.others.take()));
        self.ledger.note(&Note::Tried(held?));
        Ok(())
    }
}

/// Does what a trial does, for what is to be learnt by it; nobody is told.
pub(crate) fn rehearse<T>(name: &str, body: impl FnOnce(&Setting<'_>) -> Result<T>) -> Result<T> {
    let prefix = Prefix::new(name);
    let (alone, ledger) = (SingleThreaded::check()?, Ledger::nowhere()?);
    body(&Setting::new(alone, 1, &prefix.to_string(), &ledger))
}

/// What came of a trial.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Held(u64),
    Violated(String),
    NotRun(String),
}

/// What is known of a trial that is over, or under way.
struct Report {
    end: Option<Outcome>,
    /// What was tried last, or what it is about.
    address: String,
    at: Option<Counted>,
    tried: u64,
    /// Whether anything of what was asked for was tried.
    met: bool,
    others: Vec<String>,
    counts: BTreeMap<Counted, u64>,
    skipped: Vec<(String, String)>,
    remark: Option<String>,
    hangs: bool,
}

impl Report {
    fn outcome(&self) -> Outcome {
        let no_end = || Outcome::NotRun("interrupted".to_owned());
        self.end.clone().unwrap_or_else(no_end)
    }

    /// It ended with this.
    fn violated(&mut self, why: &str) {
        self.end = Some(Outcome::Violated(format!("{}: {why}", self.address)));
    }
}

/// A trial to be made: a check's own, or that of something that it must catch.
struct Job<'a> {
    check: &'a Check,
    wrong: Option<&'a Wrong>,
    /// What the layer knows of it without a trial.
    known: Option<(Outcome, Vec<Record>)>,
}

impl Job<'_> {
    fn trial(&self) -> &Trial {
        self.wrong.map_or(&self.check.trial, |wrong| &wrong.trial)
    }

    fn what(&self) -> &str {
        self.wrong.map_or(&self.check.what, |wrong| &wrong.what)
    }
}

/// A layer, as it is asked for.
pub(crate) struct Layer<'a> {
    /// What its rows say.
    pub(crate) name: &'static str,
    /// The command that runs it: its name, and what else it was asked than what everyone is.
    pub(crate) command: String,
    pub(crate) asked: &'a Asked,
    pub(crate) checks: Vec<Check>,
    pub(crate) covered: Vec<Covered>,
    pub(crate) rounds: u64,
    /// How many trials are made at once.
    pub(crate) width: usize,
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

    /// One whose trials do not mind others.
    pub(crate) fn at_once(self) -> Layer<'a> {
        Layer {
            width: machine::parallelism(),
            ..self
        }
    }

    pub(crate) fn rounds(self, rounds: u64) -> Layer<'a> {
        Layer { rounds, ..self }
    }

    fn program(&self) -> &str {
        self.command.split(' ').next().unwrap_or_default()
    }

    /// Makes the trials; the rows, in an order that depends on nothing.
    pub(crate) fn run(self) -> Result<Vec<Record>> {
        Desk::open(&self)?.run(|_| None)
    }

    /// The checks that are asked for.
    pub(crate) fn chosen(&self) -> Result<Vec<&Check>> {
        let asked = |check: &&Check| {
            let only = self.asked.only.as_deref();
            only.is_none_or(|only| related(only, &check.address))
        };
        let chosen: Vec<_> = self.checks.iter().filter(asked).collect();
        if let (Some(only), []) = (&self.asked.only, &chosen[..]) {
            let subject = only.split(':').next().unwrap_or_default();
            let of_subject: Vec<_> = (self.checks.iter())
                .filter(|check| check.subject == subject)
                .map(|check| check.address.as_str())
                .collect();
            if !of_subject.is_empty() {
                return Err(unknown(only, &of_subject));
            }
            let all: Vec<_> = self.checks.iter().map(|check| &*check.subject).collect();
            return Err(unknown(only, &all));
        }
        if let Some(fault) = self.asked.plant {
            let has = |check: &Check| check.wrong.iter().any(|wrong| wrong.fault == Some(fault));
            if !chosen.iter().any(|check| has(check)) {
                let all: Vec<_> = (self.checks.iter())
                    .filter(|check| has(check))
                    .map(|check| check.address.as_str())
                    .collect();
                let what = format!("check here that must notice that {}", fault.words());
                return Err(unknown(&what, &all));
            }
        }
        Ok(chosen)
    }

    /// Whether all of this check is asked for.
    fn is_whole(&self, check: &Check) -> bool {
        (self.asked.only.as_ref()).is_none_or(|only| within(&check.address, only))
    }

    fn ensure_met(&self, reports: &[Report]) -> Result<()> {
        let held = |report: &Report| matches!(report.end, Some(Outcome::Held(_)));
        match &self.asked.only {
            Some(only) if reports.iter().all(|report| held(report) && !report.met) => {
                let all: Vec<_> = reports.iter().flat_map(|report| &report.others).collect();
                Err(unknown(only, &all))
            }
            _ => Ok(()),
        }
    }

    fn report(&self, job: &Job<'_>) -> Report {
        Report {
            end: job.known.as_ref().map(|(outcome, _)| outcome.clone()),
            address: job.check.address.clone(),
            at: None,
            tried: 0,
            met: self.is_whole(job.check) || job.known.is_some(),
            others: Vec::new(),
            counts: BTreeMap::new(),
            skipped: Vec::new(),
            remark: None,
            hangs: false,
        }
    }

    /// The rows about what the trials must come to together, and then each check with what it
    /// must catch.
    fn rows(&self, jobs: &[Job<'_>], reports: &[Report], interrupted: bool) -> Vec<Record> {
        // With a fault planted on demand it is ours that is wrong.
        let is_ours = |job: &Job<'_>| job.wrong.is_none() || self.asked.plant.is_some();
        let done = || jobs.iter().zip(reports);
        let ours: Vec<_> = done().filter(|(job, _)| is_ours(job)).collect();
        let mut rows: Vec<_> = (self.covered.iter())
            .filter_map(|covered| self.covered_row(covered, &ours, interrupted))
            .collect();
        let mut control = Outcome::NotRun("it was not asked for".to_owned());
        for (job, report) in done() {
            let outcome = report.outcome();
            match job.wrong {
                Some(wrong) if !is_ours(job) => {
                    rows.push(self.wrong_row(job.check, wrong, &control, report));
                }
                _ if job.known.is_some() => {
                    rows.extend(job.known.iter().flat_map(|(_, rows)| rows.clone()));
                    control = outcome;
                }
                _ => {
                    rows.extend(self.check_row(job.check, report));
                    let row = |(what, why): &(String, String)| {
                        Record::not_run(self.name, job.check.subject.clone(), what, why)
                            .repeat(self.again(Some(job.check), &job.check.address, None))
                    };
                    rows.extend(report.skipped.iter().map(row));
                    control = outcome;
                }
            }
        }
        rows
    }

    fn covered_row(
        &self,
        covered: &Covered,
        ours: &[(&Job<'_>, &Report)],
        interrupted: bool,
    ) -> Option<Record> {
        let Covered {
            subject,
            what,
            unit,
        } = covered;
        let key = ((*subject).to_owned(), (*what).to_owned());
        let times: u64 = (ours
            .iter()
            .filter_map(|(_, report)| report.counts.get(&key)))
        .sum();
        for (job, report) in ours {
            if let (Outcome::Violated(why), Some(at)) = (report.outcome(), &report.at)
                && *at == key
            {
                let again = self.again(Some(job.check), &report.address, self.asked.plant);
                return Some(Record::failed(self.name, *subject, *what, why).repeat(again));
            }
        }
        let row = match times {
            0 if interrupted || !self.asked.is_everything() => return None,
            0 => Record::failed(
                self.name,
                *subject,
                *what,
                "no trial of this layer gets there",
            ),
            _ => Record::passed(self.name, *subject, *what).count(times, *unit),
        };
        let only = self.asked.only.as_deref().unwrap_or_default();
        Some(row.repeat(self.again(None, only, self.asked.plant)))
    }

    /// What came of our own code, unless it was another part of it that was asked for.
    fn check_row(&self, check: &Check, report: &Report) -> Option<Record> {
        let nothing = matches!(report.end, Some(Outcome::Held(0)));
        if nothing && (self.asked.only.is_some() || !report.skipped.is_empty()) {
            return None;
        }
        let mut row = self.row(check, &report.outcome());
        if let (Outcome::Held(_), Some(how_far)) = (report.outcome(), &report.remark) {
            row = row.reason(how_far);
        }
        let only = (self.asked.only.as_deref()).unwrap_or(&check.address);
        let address = match report.outcome() {
            Outcome::Violated(_) => &report.address,
            _ => only,
        };
        Some(row.repeat(self.again(Some(check), address, self.asked.plant)))
    }

    /// The row of a check of which this came.
    pub(crate) fn row(&self, check: &Check, outcome: &Outcome) -> Record {
        let (subject, what) = (check.subject.clone(), check.what.clone());
        match outcome {
            Outcome::Held(0) => Record::failed(self.name, subject, what, "nothing was tried"),
            Outcome::Held(times) => {
                Record::passed(self.name, subject, what).count(*times, check.unit)
            }
            Outcome::Violated(why) => Record::failed(self.name, subject, what, why),
            Outcome::NotRun(reason) => Record::not_run(self.name, subject, what, reason),
        }
    }

    fn wrong_row(
        &self,
        check: &Check,
        wrong: &Wrong,
        control: &Outcome,
        report: &Report,
    ) -> Record {
        let found = match report.skipped.first() {
            Some((_, why)) if report.tried == 0 => Outcome::NotRun(why.clone()),
            _ => report.outcome(),
        };
        let row = self.judged(check, wrong, control, &found);
        let row = match report.tried {
            0 => row,
            tried => row.count(tried, "attempts until caught"),
        };
        let address = match wrong.fault {
            Some(_) => &report.address,
            None => &check.address,
        };
        row.repeat(self.again(Some(check), address, wrong.fault))
    }

    /// A wrong implementation must be caught, and only where the right one was not.
    pub(crate) fn judged(
        &self,
        check: &Check,
        wrong: &Wrong,
        control: &Outcome,
        found: &Outcome,
    ) -> Record {
        let (subject, what) = (check.subject.clone(), wrong.what.clone());
        let failed = |why: String| Record::failed(self.name, subject.clone(), what.clone(), why);
        let not_run = |why: String| Record::not_run(self.name, subject.clone(), what.clone(), why);
        match (found, control) {
            (Outcome::NotRun(reason), _) => not_run(reason.clone()),
            (Outcome::Held(times), _) => failed(format!(
                "not caught: all was well in {times} {}",
                check.unit
            )),
            (Outcome::Violated(why), _) if !why.contains(wrong.sign) => {
                failed(format!("caught, but not for `{}`: {why}", wrong.sign))
            }
            (Outcome::Violated(why), Outcome::Held(_)) => {
                Record::passed(self.name, subject, what).reason(format!("caught: {why}"))
            }
            (Outcome::Violated(_), Outcome::NotRun(reason)) => not_run(format!(
                "caught, but the control, our own code, did not run: {reason}"
            )),
            (Outcome::Violated(_), Outcome::Violated(_)) => failed(
                "caught, but the control, our own code, did not pass the same trial".to_owned(),
            ),
        }
    }

    /// The command that does it again: all of it, a check, or a part of one.
    pub(crate) fn again(&self, check: Option<&Check>, only: &str, fault: Option<Fault>) -> String {
        let mut command = format!("cargo run -p ringproof-stress -- {}", self.command);
        command += &format!(" --seed {}", self.asked.seed);
        command += check.map_or("", |check| check.with);
        let only = match only.split_once(':') {
            Some((whole, _)) if check.is_some_and(|check| check.races) => whole,
            _ => only,
        };
        if !only.is_empty() {
            command += &format!(" --only {only}");
        }
        if let Some(name) = fault.and_then(|fault| fault.to_possible_value()) {
            command += &format!(" --plant {}", name.get_name());
        }
        command
    }
}

fn unknown<S: AsRef<str>>(what: &str, known: &[S]) -> anyhow::Error {
    let mut once: Vec<&str> = Vec::new();
    for known in known.iter().map(AsRef::as_ref) {
        if !once.contains(&known) {
            once.push(known);
        }
    }
    Unknown(format!("there is no {what}; there is: {}", once.join(", "))).into()
}

/// A layer at work.
pub(crate) struct Desk<'a> {
    layer: &'a Layer<'a>,
    pub(crate) alone: SingleThreaded,
    pub(crate) interrupts: Interrupts,
    pub(crate) prefix: Prefix,
    /// Waits for all processes of the run, whoever started them.
    sweeper: Sweeper,
    start: Instant,
}

impl<'a> Desk<'a> {
    pub(crate) fn open(layer: &'a Layer<'a>) -> Result<Desk<'a>> {
        let alone = SingleThreaded::check()?;
        let prefix = Prefix::new(layer.program());
        Ok(Desk {
            layer,
            alone,
            interrupts: Interrupts::catch()?,
            sweeper: Sweeper::start(&prefix, alone)?,
            prefix,
            start: Instant::now(),
        })
    }

    /// Makes the trials that are asked for, but for those of our own code of which the layer knows
    /// already what came of them, and what it has to say.
    pub(crate) fn run(
        self,
        known: impl Fn(&Check) -> Option<(Outcome, Vec<Record>)>,
    ) -> Result<Vec<Record>> {
        let layer = self.layer;
        let mut jobs = Vec::new();
        for check in layer.asked.shard.part_of(layer.chosen()?) {
            let mut job = |wrong: Option<&'a Wrong>| {
                let known = known(check).filter(|_| wrong.is_none());
                jobs.push(Job {
                    check,
                    wrong,
                    known,
                });
            };
            match layer.asked.plant {
                Some(fault) => {
                    let wrong = check.wrong.iter();
                    wrong
                        .filter(|wrong| wrong.fault == Some(fault))
                        .for_each(|wrong| job(Some(wrong)));
                }
                None => {
                    job(None);
                    if layer.is_whole(check) {
                        check.wrong.iter().for_each(|wrong| job(Some(wrong)));
                    }
                }
            }
        }
        let mut reports: Vec<_> = jobs.iter().map(|job| layer.report(job)).collect();
        let interrupted = self.make(&jobs, &mut reports)?;
        layer.ensure_met(&reports)?;
        let mut rows = layer.rows(&jobs, &reports, interrupted);
        // Those who were ended could not tidy up: it does, when all are dead.
        let _sweeper = (!interrupted).then_some(self.sweeper);
        let left = self.prefix.judge(layer.name)?;
        rows.push(left.repeat(layer.again(None, "", None)));
        let seconds = self.start.elapsed().as_secs_f64();
        eprintln!("{}: {} rows in {seconds:.1} s", layer.program(), rows.len());
        Ok(rows)
    }

    /// Makes the trials, as many at a time as there may be; whether a signal ended that.
    fn make(&self, jobs: &[Job<'_>], reports: &mut [Report]) -> Result<bool> {
        let mut waiting = (jobs.iter().enumerate()).filter(|(_, job)| job.known.is_none());
        let mut running: Vec<Worker> = Vec::new();
        loop {
            if self.interrupts.check().is_err() {
                return Ok(true);
            }
            while running.len() < self.layer.width
                && let Some((number, job)) = waiting.next()
            {
                running.push(Worker {
                    number,
                    child: self.start(job, &format!("{}{number}-", self.prefix))?,
                    heard: Instant::now(),
                });
            }
            if running.is_empty() {
                return Ok(false);
            }
            let deadlines = running.iter().map(|worker| worker.deadline(reports));
            let deadline = deadlines.min().unwrap_or_else(Instant::now);
            let mut files = vec![self.interrupts.as_fd()];
            files.extend(running.iter().map(|worker| worker.child.as_fd()));
            wait_readable(&files, deadline)?;
            let mut still = Vec::new();
            for mut worker in running {
                let number = worker.number;
                let only = self.layer.asked.only.as_deref();
                if worker.listen(&mut reports[number], only)? {
                    still.push(worker);
                    continue;
                }
                // Should it still live, it does not any more from here on.
                drop(worker);
                self.progress(&jobs[number], &reports[number]);
                if jobs[number].wrong.is_some() {
                    // Who was ended in the middle of something could not tidy up.
                    self.prefix.forgive(&format!("{number}-"))?;
                }
            }
            running = still;
        }
    }

    fn start(&self, job: &Job<'_>, prefix: &str) -> Result<Child> {
        let what = format!("the trial `{}`", job.what());
        let Layer { asked, rounds, .. } = self.layer;
        Child::fork(what, self.alone, |ledger| {
            let more = job.wrong.map_or(1, |_| MORE);
            let setting = Setting {
                rounds: rounds.saturating_mul(more),
                fault: job.wrong.and_then(|wrong| wrong.fault),
                subject: &job.check.subject,
                only: asked.only.as_deref(),
                ..Setting::new(self.alone, asked.seed, prefix, ledger)
            };
            setting.run(job.trial())
        })
    }

    /// One line about a trial that is over.
    fn progress(&self, job: &Job<'_>, report: &Report) {
        let came = match report.outcome() {
            Outcome::Held(times) => format!("{times} {}", job.check.unit),
            Outcome::Violated(why) => why,
            Outcome::NotRun(reason) => format!("not run: {reason}"),
        };
        let (subject, what) = (&job.check.subject, job.what());
        eprintln!("{}: {subject}, {what}: {came}", self.layer.program());
    }
}

/// A trial that is under way.
struct Worker {
    number: usize,
    child: Child,
    heard: Instant,
}

impl Worker {
    fn patience(report: &Report) -> Duration {
        if report.hangs {
            short_patience()
        } else {
            longest()
        }
    }

    fn deadline(&self, reports: &[Report]) -> Instant {
        self.heard + Worker::patience(&reports[self.number])
    }

    /// Takes in what it told; false when it is over.
    fn listen(&mut self, report: &mut Report, only: Option<&str>) -> Result<bool> {
        let Some(notes) = self.child.hear()? else {
            // It ended without saying so.
            report.violated(&match self.child.status()? {
                WaitStatus::Signaled(_, Signal::SIGKILL, _) => "its process died".to_owned(),
                WaitStatus::Signaled(_, signal, _) => format!("its process died of {signal}"),
                other => format!("its process ended: {other:?}"),
            });
            return Ok(false);
        };
        let patience = Worker::patience(report);
        if !notes.is_empty() {
            self.heard = Instant::now();
        } else if self.heard.elapsed() >= patience {
            let seconds = patience.as_secs_f64();
            report.violated(&format!("no sign of life for {seconds} s: it hangs"));
            return Ok(false);
        }
        for note in notes {
            match note {
                Note::Attempt { address, at } => {
                    report.met |= only.is_none_or(|only| within(&address, only));
                    (report.address, report.at) = (address, at);
                    report.tried += 1;
                }
                Note::Counted { what, times } => {
                    *report.counts.entry(what).or_default() += times;
                }
                Note::Skipped { what, why } => report.skipped.push((what, why)),
                Note::PassedOver(others) => report.others = others,
                Note::Remark(how_far) => report.remark = Some(how_far),
                Note::Hanging => report.hangs = true,
                Note::Tried(times) => report.end = Some(Outcome::Held(times)),
                Note::NotRun(reason) => report.end = Some(Outcome::NotRun(reason)),
                Note::Failed(why) => report.violated(&why),
                Note::Done => {}
                other => bail!("{} told {other:?}", self.child.name()),
            }
        }
        if report.end.is_some() {
            // It has no more to tell.
            self.child.reap()?;
        }
        Ok(report.end.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringproof_record::Verdict;

    fn check() -> Check {
        Check::new("s", "w", "rounds", |_| Ok(1)).planted(Fault::PublishFirst, "two hold")
    }

    fn violated(why: &str) -> Outcome {
        Outcome::Violated(why.to_owned())
    }

    #[test]
    fn a_wrong_implementation_passes_only_if_caught_for_its_own_mistake_and_ours_was_not() {
        let asked = Asked::everything(1);
        let layer = Layer::new("faults", "faults", &asked, vec![check()]);
        let [check] = &layer.checks[..] else { panic!() };
        let verdict =
            |control, found| (layer.judged(check, &check.wrong[0], &control, &found)).verdict;
        let held = || Outcome::Held(1);
        let caught = || violated("in round 3 two hold it");
        let not_run = || Outcome::NotRun("no namespaces".to_owned());
        assert_eq!(verdict(held(), caught()), Verdict::Passed);
        assert_eq!(verdict(held(), held()), Verdict::Failed);
        assert_eq!(verdict(held(), violated("it hangs")), Verdict::Failed);
        assert_eq!(verdict(violated("x"), caught()), Verdict::Failed);
        assert_eq!(verdict(held(), not_run()), Verdict::NotRun);
        assert_eq!(verdict(not_run(), caught()), Verdict::NotRun);
    }

    #[test]
    fn what_must_be_come_to_and_was_not_has_failed_and_a_violation_there_fails_it_too() {
        let asked = Asked::everything(4);
        let covered = |what| Covered {
            subject: "RingPublish",
            what,
            unit: "kills",
        };
        let layer = Layer {
            covered: ["crash before", "crash after"].map(covered).into(),
            ..Layer::new("crash", "crash", &asked, vec![check()])
        };
        let job = Job {
            check: &layer.checks[0],
            wrong: None,
            known: None,
        };
        let mut report = layer.report(&job);
        let at = |what: &str| ("RingPublish".to_owned(), what.to_owned());
        report.end = Some(Outcome::Held(1));
        report.counts.insert(at("crash after"), 3);
        let verdicts = |report: Report| -> Vec<_> {
            let rows = layer.rows(std::slice::from_ref(&job), &[report], false);
            rows.iter().map(|row| (row.verdict, row.count)).collect()
        };
        use Verdict::{Failed, Passed};
        let passed = (Passed, Some(1));
        assert_eq!(
            verdicts(report),
            [(Failed, None), (Passed, Some(3)), passed]
        );
        let mut report = layer.report(&job);
        (report.address, report.at) = ("s:2:after".to_owned(), Some(at("crash after")));
        report.violated("all is lost");
        let rows = layer.rows(&[job], &[report], false);
        assert!(rows.iter().all(|row| row.verdict == Failed), "{rows:#?}");
        for row in &rows[1..] {
            assert_eq!(row.reason.as_deref(), Some("s:2:after: all is lost"));
            let repeat = row.repeat.as_deref().unwrap();
            assert!(
                repeat.ends_with("crash --seed 4 --only s:2:after"),
                "{repeat}"
            );
        }
    }

    #[test]
    fn what_is_asked_for_is_found_and_what_is_not_there_is_said() {
        let chosen = |only: &str, plant| {
            let asked = Asked {
                only: Some(only.to_owned()),
                plant,
                ..Asked::everything(1)
            };
            let checks = vec![check().of_part("full"), check().of_part("empty")];
            let layer = Layer::new("crash", "crash", &asked, checks);
            layer
                .chosen()
                .map(|checks| checks.len())
                .map_err(|error| error.to_string())
        };
        assert_eq!(chosen("s", None), Ok(2));
        assert_eq!(chosen("s:full", None), Ok(1));
        assert_eq!(chosen("s:full:3", Some(Fault::PublishFirst)), Ok(1));
        let missing = "there is no s:fulll; there is: s:full, s:empty";
        assert_eq!(chosen("s:fulll", None), Err(missing.to_owned()));
        assert!(chosen("t", None).unwrap_err().ends_with("there is: s"));
        let error = chosen("s", Some(Fault::NoOdd)).unwrap_err();
        assert!(error.contains(Fault::NoOdd.words()), "{error}");
    }
}
