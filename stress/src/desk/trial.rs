//! A trial: what it is made with, and the process that makes it, as whoever started it sees that.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::process::{Child, Ledger, Note, SingleThreaded, patience, short_patience};
use crate::shm::{Name, Prefix};

/// How long a trial may say nothing: all of its waits have deadlines of their own, so it never takes
/// as long.
pub(crate) fn longest() -> Duration {
    20 * patience()
}

/// How many addresses to list that are not what was asked for.
const OTHERS: usize = 20;

/// Whether the one address is the other, or of a part of it.
pub(super) fn within(part: &str, whole: &str) -> bool {
    part.strip_prefix(whole)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

pub(super) fn related(one: &str, other: &str) -> bool {
    within(one, other) || within(other, one)
}

/// Makes something happen and says how often, or what was wrong with what followed.
pub(crate) type Trial = Rc<dyn Fn(&Setting<'_>) -> Result<u64>>;

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
    pub(super) only: Option<&'a str>,
    ledger: &'a Ledger,
    tried: Cell<u64>,
    cases: Cell<u64>,
    learnt: RefCell<Learnt>,
}

/// What there is to report of a trial but how it ended.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Learnt {
    /// How often it came to what its layer must cover.
    pub(super) covered: BTreeMap<String, u64>,
    /// What cannot be tried here, and why.
    pub(super) skipped: Vec<(String, String)>,
    /// How far it went.
    pub(super) remark: Option<String>,
    /// Some of the attempts that were not asked for.
    pub(super) others: Vec<String>,
}

impl<'a> Setting<'a> {
    /// For any trial of anything.
    pub(super) fn new(
        alone: SingleThreaded,
        seed: u64,
        prefix: &'a str,
        ledger: &'a Ledger,
    ) -> Setting<'a> {
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
            cases: Cell::new(0),
            learnt: RefCell::default(),
        }
    }

    /// A name for a file in /dev/shm, of this trial alone, gone with it.
    pub(crate) fn name(&self) -> Name {
        self.name_of("trial")
    }

    /// The same for one of several files.
    pub(crate) fn name_of(&self, what: &str) -> Name {
        Name::new(format!("{}{what}", self.prefix))
    }

    /// Does this in a process of its own, which must come to its end: what it reported.
    pub(crate) fn apart(
        &self,
        who: impl Into<String>,
        body: impl FnOnce(&Ledger) -> Result<()>,
    ) -> Result<Vec<Note>> {
        Child::fork(who, self.alone, body)?.finish()
    }

    /// Whether this mistake is to be made.
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// How many attempts were made.
    pub(crate) fn tried(&self) -> u64 {
        self.tried.get()
    }

    /// Makes an attempt, unless only others are asked for; an error is known by its address. If it
    /// holds it has come to `covered`.
    pub(crate) fn attempt<T>(
        &self,
        address: &str,
        covered: Option<String>,
        body: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        if self.only.is_some_and(|only| !related(address, only)) {
            let others = &mut self.learnt.borrow_mut().others;
            if others.len() < OTHERS {
                others.push(address.to_owned());
            }
            return Ok(None);
        }
        self.tried.set(self.tried.get() + 1);
        self.ledger.note(&Note::Attempt {
            address: address.to_owned(),
            covered: covered.clone(),
        });
        let found = body()?;
        if let Some(covered) = covered {
            self.count(covered, 1);
        }
        Ok(Some(found))
    }

    /// The same for the next of a subject's cases, which have numbers.
    pub(crate) fn case(&self, body: impl FnOnce() -> Result<()>) -> Result<()> {
        let number = self.cases.replace(self.cases.get() + 1);
        let address = format!("{}:{number}", self.subject);
        self.attempt(&address, None, body).map(drop)
    }

    /// Whether only a part of what has this address is asked for.
    pub(crate) fn asks_within(&self, address: &str) -> bool {
        (self.only).is_some_and(|only| only != address && within(only, address))
    }

    /// Counts what its layer must cover.
    pub(crate) fn count(&self, covered: String, times: u64) {
        *(self.learnt.borrow_mut().covered.entry(covered)).or_default() += times;
    }

    /// Says of a trial that holds how far it went.
    pub(crate) fn remark(&self, how_far: String) {
        self.learnt.borrow_mut().remark = Some(how_far);
    }

    /// Something cannot be tried here.
    pub(crate) fn skip(&self, what: &str, why: &str) {
        let skipped = (what.to_owned(), why.to_owned());
        self.learnt.borrow_mut().skipped.push(skipped);
    }

    /// From here on the trial is made to hang: whoever waits for it need not wait for long.
    pub(crate) fn hangs(&self) {
        self.ledger.note(&Note::Hanging);
    }

    /// The life of the process that makes the trial. A panic is an error.
    pub(super) fn run(&self, trial: &Trial) -> Result<()> {
        std::panic::set_hook(Box::new(|info| {
            let said = info.to_string().replace('\n', " ");
            PANIC.with(|last| last.replace(said));
        }));
        let held = catch_unwind(AssertUnwindSafe(|| trial(self)))
            .unwrap_or_else(|_| Err(anyhow!("{}", PANIC.with(RefCell::take))));
        let learnt = serde_json::to_string(&self.learnt.take())?;
        self.ledger.note(&Note::Report(learnt));
        self.ledger.note(&Note::Tried(held?));
        Ok(())
    }
}

/// Does what a trial does, for what is to be learnt by it, without a report.
pub(crate) fn rehearse<T>(name: &str, body: impl FnOnce(&Setting<'_>) -> Result<T>) -> Result<T> {
    let prefix = Prefix::new(name);
    let (alone, ledger) = (SingleThreaded::check()?, Ledger::nowhere()?);
    body(&Setting::new(alone, 1, &prefix.to_string(), &ledger))
}

/// What came of a trial.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    Held(u64),
    Violated(String),
    NotRun(String),
}

/// What is known of a trial that is over, or under way.
#[derive(Default)]
pub(super) struct Report {
    /// Nothing while it is under way.
    pub(super) end: Option<Outcome>,
    /// What was tried last, or what it is about; and what that would have covered.
    pub(super) address: String,
    pub(super) at: Option<String>,
    pub(super) tried: u64,
    /// Whether anything of what was asked for was tried.
    pub(super) met: bool,
    pub(super) learnt: Learnt,
    pub(super) hangs: bool,
}

impl Report {
    /// Of a trial of this that has not begun.
    pub(super) fn new(address: &str, met: bool) -> Report {
        Report {
            address: address.to_owned(),
            met,
            ..Report::default()
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        let no_end = || Outcome::NotRun("interrupted".to_owned());
        self.end.clone().unwrap_or_else(no_end)
    }

    /// It ended with this.
    pub(super) fn violated(&mut self, why: &str) {
        self.end = Some(Outcome::Violated(format!("{}: {why}", self.address)));
    }
}

/// A trial that is under way.
pub(super) struct Worker {
    /// Which.
    pub(super) number: usize,
    pub(super) child: Child,
    heard: Instant,
}

impl Worker {
    pub(super) fn new(number: usize, child: Child) -> Worker {
        Worker {
            number,
            child,
            heard: Instant::now(),
        }
    }

    /// When to say that it hangs.
    pub(super) fn deadline(&self, report: &Report) -> Instant {
        let hangs = report.hangs;
        self.heard + if hangs { short_patience() } else { longest() }
    }

    /// Takes in what it reported; false when it is over.
    pub(super) fn listen(&mut self, report: &mut Report, only: Option<&str>) -> Result<bool> {
        let deadline = self.deadline(report);
        let Some(notes) = self.child.hear()? else {
            // It ended without saying so.
            report.violated(&match self.child.status()? {
                WaitStatus::Signaled(_, Signal::SIGKILL, _) => "its process died".to_owned(),
                WaitStatus::Signaled(_, signal, _) => format!("its process died of {signal}"),
                other => format!("its process ended: {other:?}"),
            });
            return Ok(false);
        };
        if !notes.is_empty() {
            self.heard = Instant::now();
        } else if Instant::now() >= deadline {
            let seconds = (deadline - self.heard).as_secs_f64();
            report.violated(&format!("no sign of life for {seconds} s: it hangs"));
            return Ok(false);
        }
        for note in notes {
            match note {
                Note::Attempt { address, covered } => {
                    report.met |= only.is_none_or(|only| within(&address, only));
                    (report.address, report.at) = (address, covered);
                    report.tried += 1;
                }
                Note::Hanging => report.hangs = true,
                Note::Report(learnt) => report.learnt = serde_json::from_str(&learnt)?,
                Note::Tried(times) => report.end = Some(Outcome::Held(times)),
                Note::NotRun(reason) => report.end = Some(Outcome::NotRun(reason)),
                Note::Failed(why) => report.violated(&why),
                Note::Done => {}
                other => bail!("{} reports {other:?}", self.child.name()),
            }
        }
        if report.end.is_some() {
            // It has no more to report.
            self.child.reap()?;
        }
        Ok(report.end.is_none())
    }
}
