//! What is printed while rows come, and at the end.

use std::io::{self, IsTerminal, Write};
use std::process;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use ringproof_record::{Exit, Record, print};

/// What is printed.
#[derive(Args)]
pub(crate) struct Format {
    /// One JSON record per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs `work`, which reports each row as it is there, and prints the rows.
///
/// # Errors
/// What `work` says.
pub(crate) fn show(
    format: &Format,
    work: impl FnOnce(&(dyn Fn(&Record) + Sync)) -> Result<Vec<Record>, String>,
) -> anyhow::Result<Exit> {
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
            bar.suspend(|| print_now(row));
        }
        bar.set_message(format!("{}, {}", row.subject, row.check));
        bar.inc(1);
    };
    let rows = work(&seen).map_err(anyhow::Error::msg)?;
    bar.finish_and_clear();
    if !format.json {
        print::rows(&rows, false).context("cannot print the rows")?;
    }
    Ok(Exit::of(&rows))
}

/// Prints a row as it comes: the work may take hours, and its rows are not lost if it is stopped.
/// If there is no room for them there is nothing left to do here.
fn print_now(row: &Record) {
    if let Err(error) = print::text(&(row.to_line() + "\n")) {
        let _ = writeln!(io::stderr(), "error: cannot print the rows: {error}");
        process::exit(Exit::Failed.code().into());
    }
}
