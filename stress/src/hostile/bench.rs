//! What a subject's run works with: it tells each case before it tries it, so that a death is
//! known by its case.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Result, anyhow};
use ringproof::site::Site;

use super::plant::Plant;
use crate::cli::CommandLine;
use crate::process::{Ledger, Note, SingleThreaded};

/// What the runs of one process have in common.
pub(crate) struct Bench<'a> {
    pub(crate) alone: SingleThreaded,
    pub(crate) ledger: &'a Ledger,
    pub(crate) subject: &'a str,
    pub(crate) seed: u64,
    /// How many random cases to make.
    pub(crate) cases: u64,
    /// The one case to run; all if none is given.
    pub(crate) only: Option<u64>,
    pub(crate) plant: Option<Plant>,
    /// Where the program `ringproof` is.
    pub(crate) command_line: CommandLine,
    /// What every name in /dev/shm starts with.
    pub(crate) names: &'a str,
    answered: RefCell<BTreeMap<Site, u64>>,
}

thread_local! {
    /// What the last panic said, and where.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

impl<'a> Bench<'a> {
    pub(crate) fn new(
        alone: SingleThreaded,
        ledger: &'a Ledger,
        subject: &'a str,
        names: &'a str,
    ) -> Self {
        std::panic::set_hook(Box::new(|info| {
            let said = info.to_string().replace('\n', " ");
            PANIC.with(|last| last.replace(said));
        }));
        Bench {
            alone,
            ledger,
            subject,
            seed: 1,
            cases: 0,
            only: None,
            plant: None,
            command_line: CommandLine::default(),
            names,
            answered: RefCell::default(),
        }
    }

    pub(crate) fn has(&self, plant: Plant) -> bool {
        self.plant == Some(plant)
    }

    /// Runs one case, if it is among those to be run. A panic is an error.
    pub(crate) fn case(&self, number: u64, body: impl FnOnce() -> Result<()>) -> Result<()> {
        if self.only.is_some_and(|only| only != number) {
            return Ok(());
        }
        self.ledger
            .note(&Note::Trying(format!("{}:{number}", self.subject)));
        catch_unwind(AssertUnwindSafe(body))
            .unwrap_or_else(|_| Err(anyhow!("{}", PANIC.with(RefCell::take))))
    }

    /// Tells that something cannot be tried here.
    pub(crate) fn skip(&self, what: &str, why: &str) {
        self.ledger.note(&Note::Skipped {
            what: what.to_owned(),
            why: why.to_owned(),
        });
    }

    /// Counts answers that an adversary gave.
    pub(crate) fn count(&self, tally: &BTreeMap<Site, u64>) {
        for (site, answers) in tally {
            *self.answered.borrow_mut().entry(*site).or_default() += answers;
        }
    }

    /// Tells what was counted.
    pub(crate) fn tell(&self) {
        for (site, answers) in self.answered.borrow().iter() {
            self.ledger.note(&Note::Answered {
                site: site.to_string(),
                answers: *answers,
            });
        }
    }
}
