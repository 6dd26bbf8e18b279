//! How the programs of the harness end: one table for all of them.

use std::fmt::Display;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{ExitCode, Termination};

use crate::{Record, Verdict, deadline};

/// The table, for the end of a `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  everything ran, and nothing failed
  1  something failed: a check, or the program itself
  2  wrong usage: an argument or a variable of the environment
  3  nothing failed, but something did not run; its row says why";

/// How a program of the harness ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything ran, and nothing failed.
    Passed = 0,
    /// Something failed: a check, or the program itself.
    Failed = 1,
    /// An argument or a variable of the environment is wrong.
    Usage = 2,
    /// Nothing failed, but something did not run.
    NotRun = 3,
}

impl Exit {
    /// What follows from these rows. No rows have not failed; whoever needs one says so.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Record>) -> Self {
        match rows.into_iter().map(|row| row.verdict).max() {
            Some(Verdict::Failed) => Exit::Failed,
            Some(Verdict::NotRun) => Exit::NotRun,
            Some(Verdict::Passed) | None => Exit::Passed,
        }
    }

    /// The number that the operating system is given.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.into()
    }
}

/// The `main` of every program of the harness: runs `body`, and makes of an error or a panic a
/// status that is in the table. A wrong [`deadline::VARIABLE`] is wrong usage.
pub fn run<E: Display>(body: impl FnOnce() -> Result<Exit, E>) -> Exit {
    if let Err(error) = deadline::factor() {
        say(&error);
        return Exit::Usage;
    }
    // Nothing that `body` has seen is looked at after a panic.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => {
            say(&format!("{error:#}"));
            Exit::Failed
        }
        // The panic has printed its message.
        Err(_) => Exit::Failed,
    }
}

fn say(error: &str) {
    // Where standard error is closed the status is all that can be said.
    let _ = io::stderr().write_all(format!("error: {error}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_row_decides() {
        let passed = Record::passed("a", "b", "c");
        let not_run = Record::not_run("a", "b", "c", "no compiler");
        let failed = Record::failed("a", "b", "c", "torn");
        assert_eq!(Exit::of([]).code(), 0);
        assert_eq!(Exit::of([&passed]).code(), 0);
        assert_eq!(Exit::of([&passed, &not_run]).code(), 3);
        assert_eq!(Exit::of([&failed, &not_run, &passed]).code(), 1);
    }

    #[test]
    fn an_error_and_a_panic_are_failures() {
        assert_eq!(run(|| Ok::<_, String>(Exit::NotRun)), Exit::NotRun);
        assert_eq!(run(|| Err("no room")), Exit::Failed);
        assert_eq!(run::<String>(|| panic!("on purpose")), Exit::Failed);
    }

    #[test]
    fn the_table_names_every_code() {
        for exit in [Exit::Passed, Exit::Failed, Exit::Usage, Exit::NotRun] {
            let start = format!("\n  {}  ", exit.code());
            assert!(EXIT_CODES.contains(&start), "{exit:?}");
        }
    }
}
