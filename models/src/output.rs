//! What is printed while rows come, and at the end.

use std::io::{self, IsTerminal, Write};
use std::process;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use ringproof_record::{Record, Verdict};

/// What is printed.
#[derive(Args)]
pub(crate) struct Format {
    /// One JSON record per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs `work`, which tells of each row as it is there, and prints the rows; true if none failed.
///
/// # Errors
/// What `work` says.
pub(crate) fn show(
    format: &Format,
    work: impl FnOnce(&(dyn Fn(&Record) + Sync)) -> Result<Vec<Record>, String>,
) -> anyhow::Result<bool> {
    let bar = match io::stderr().is_terminal() {
        true => ProgressBar::new_spinner(),
        false => ProgressBar::hidden(),
    };
    bar.set_style(ProgressStyle::with_template(
        "{spinner} {elapsed} {pos} rows, last: {msg}",
    )?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let seen = |row: &Record| {
        if format.json {
            bar.suspend(|| print(&row.to_line()));
        }
        bar.set_message(format!("{}, {}", row.subject, row.check));
        bar.inc(1);
    };
    let rows = work(&seen).map_err(anyhow::Error::msg)?;
    bar.finish_and_clear();
    if !format.json {
        // The traces of what was to be found are worth a look when one was asked for.
        let few = rows.len() <= 3;
        for row in &rows {
            print_row(row, few);
        }
    }
    Ok(rows.iter().all(|row| row.verdict != Verdict::Failed))
}

fn print_row(row: &Record, few: bool) {
    let verdict = match row.verdict {
        Verdict::Passed => "passed ",
        Verdict::Failed => "FAILED ",
        Verdict::NotRun => "not run",
    };
    let count = match (row.count, &row.unit) {
        (Some(count), Some(unit)) => format!("{count} {unit}"),
        _ => String::new(),
    };
    let reason = row.reason.as_deref().unwrap_or_default();
    print(&format!(
        "{verdict} {:<26} {:<34} {count:>18}  {reason}",
        row.subject, row.check
    ));
    let failed = row.verdict == Verdict::Failed;
    if failed && let Some(repeat) = &row.repeat {
        print(&format!("        repeat: {repeat}"));
    }
    if (failed || few)
        && let Some(trace) = &row.trace
    {
        print(trace);
    }
}

/// Prints a line. When nobody reads any more there is nothing left to do here.
fn print(line: &str) {
    if let Err(error) = writeln!(io::stdout(), "{line}") {
        eprintln!("ringproof-models: cannot write to standard output: {error}");
        process::exit(2);
    }
}
