//! How the programs of the harness print what they found.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write as _};

use crate::{Record, Verdict};

/// At most so many rows are shown with their traces although they passed: who asked for one check
/// wants to see what it found.
const FEW: usize = 3;

/// Prints to standard output.
///
/// A reader that went away has read enough: that is no error, and the exit code still says how the
/// checks ended.
///
/// # Errors
/// Standard output cannot be written for any other reason.
pub fn text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Prints rows, for people or as lines of JSON.
///
/// # Errors
/// Standard output cannot be written.
pub fn rows(rows: &[Record], json: bool) -> io::Result<()> {
    let few = rows.len() <= FEW;
    let printed = rows.iter().map(|row| {
        if json {
            row.to_line() + "\n"
        } else {
            for_people(row, few)
        }
    });
    text(&printed.collect::<String>())
}

/// A row as people read it; its trace if it failed or `traced` asks for it.
fn for_people(row: &Record, traced: bool) -> String {
    let verdict = match row.verdict {
        Verdict::Passed => "passed",
        Verdict::NotRun => "not run",
        Verdict::Failed => "FAILED",
    };
    let mut shown = format!("{verdict:<8} {:<26} {}", row.subject, row.check);
    // Writing to a String cannot fail.
    if let (Some(count), Some(unit)) = (row.count, &row.unit) {
        let _ = write!(shown, ": {count} {unit}");
    }
    if let (Verdict::Passed, Some(reason)) = (row.verdict, &row.reason) {
        let _ = write!(shown, " ({reason})");
    }
    shown.push('\n');
    if row.verdict != Verdict::Passed {
        for (label, text) in [("why", &row.reason), ("repeat", &row.repeat)] {
            if let Some(text) = text {
                let _ = writeln!(shown, "         {label}: {text}");
            }
        }
    }
    if let Some(trace) = &row.trace
        && (traced || row.verdict == Verdict::Failed)
    {
        shown.push_str(trace);
        shown.push('\n');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_passed_is_one_line() {
        let row = Record::passed("crash", "latch/read", "crash at every access")
            .count(56, "kills")
            .reason("EXHAUSTED")
            .repeat("again")
            .trace("a │ b");
        assert_eq!(
            for_people(&row, false),
            "passed   latch/read                 crash at every access: 56 kills (EXHAUSTED)\n"
        );
        assert!(for_people(&row, true).ends_with("\na │ b\n"));
    }

    #[test]
    fn a_row_that_failed_says_why_and_shows_it() {
        let row = Record::failed("loom", "RingPublish", "control", "torn")
            .repeat("again")
            .trace("a │ b");
        let shown = for_people(&row, false);
        for part in ["FAILED   RingPublish", "why: torn\n", "repeat: again\n"] {
            assert!(shown.contains(part), "{shown}");
        }
        assert!(shown.ends_with("\na │ b\n"), "{shown}");
    }

    #[test]
    fn a_row_that_did_not_run_says_why() {
        let row = Record::not_run("abi", "c-to-rust", "ring", "no compiler");
        let shown = for_people(&row, false);
        assert!(
            shown.starts_with("not run  c-to-rust") && shown.ends_with("why: no compiler\n"),
            "{shown}"
        );
    }
}
