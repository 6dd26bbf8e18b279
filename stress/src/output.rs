//! How rows are printed, and what the exit code says.

use std::io::Write;

use ringproof_record::{Record, Verdict};

/// Prints rows for people, or as lines of JSON.
pub(crate) fn print(rows: &[Record], json: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for row in rows {
        if json {
            writeln!(out, "{}", row.to_line())?;
            continue;
        }
        let verdict = match row.verdict {
            Verdict::Passed => "passed",
            Verdict::NotRun => "not run",
            Verdict::Failed => "FAILED",
        };
        write!(out, "{verdict:<8} {:<18} {}", row.subject, row.check)?;
        if let (Some(count), Some(unit)) = (row.count, &row.unit) {
            write!(out, ": {count} {unit}")?;
        }
        if let (Verdict::Passed, Some(reason)) = (row.verdict, &row.reason) {
            write!(out, " ({reason})")?;
        }
        writeln!(out)?;
        if row.verdict != Verdict::Passed {
            for (label, text) in [("why", &row.reason), ("repeat", &row.repeat)] {
                if let Some(text) = text {
                    writeln!(out, "         {label}: {text}")?;
                }
            }
        }
    }
    out.flush()
}

/// Prints what is no rows.
pub(crate) fn text(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// 0: everything ran and holds, 1: something does not hold, 3: something did not run.
pub(crate) fn exit_code(rows: &[Record]) -> u8 {
    match rows.iter().map(|row| row.verdict).max() {
        Some(Verdict::Failed) => 1,
        Some(Verdict::NotRun) => 3,
        _ => 0,
    }
}
