//! Exploring scenarios at the user's word: selection, progress, rows.

use std::io::{self, IsTerminal, Write};
use std::process;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use ringproof_models::change::Change;
use ringproof_models::engine::Locks;
use ringproof_models::exploration::Effort;
use ringproof_models::suite;
use ringproof_record::{Record, Verdict};

#[derive(Args)]
pub(crate) struct Selection {
    /// One JSON record per line
    #[arg(long)]
    json: bool,
    /// Where random schedules start from (loom makes no random choice)
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Executions per exploration at most; shuttle makes as many again at random where they do
    /// not suffice for all schedules
    #[arg(long, default_value_t = 200_000)]
    executions: u64,
    /// Only the scenario of this name
    #[arg(long, value_name = "SCENARIO")]
    only: Option<String>,
    /// With one change of the site table, for example `RingPublish=Relaxed`: it must be noticed
    #[arg(long, value_name = "SITE=ORDERING", requires = "only", value_parser = Change::parse)]
    change: Option<Change>,
}

/// Runs what is selected; true if nothing failed.
pub(crate) fn explore<E: Locks>(selection: &Selection) -> anyhow::Result<bool> {
    let effort = Effort {
        executions: selection.executions,
        seed: selection.seed,
    };
    let bar = match io::stderr().is_terminal() {
        true => ProgressBar::new_spinner(),
        false => ProgressBar::hidden(),
    };
    bar.set_style(ProgressStyle::with_template(
        "{spinner} {elapsed} {pos} rows, last: {msg}",
    )?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let seen = |row: &Record| {
        if selection.json {
            bar.suspend(|| print(&row.to_line()));
        }
        bar.set_message(format!("{}, {}", row.subject, row.check));
        bar.inc(1);
    };
    let rows = match &selection.only {
        Some(name) => {
            let rows =
                suite::run_one::<E>(name, selection.change, effort).map_err(anyhow::Error::msg)?;
            rows.iter().for_each(seen);
            rows
        }
        None => suite::run::<E>(effort, &seen),
    };
    bar.finish_and_clear();
    if !selection.json {
        for row in &rows {
            print_row(row);
        }
    }
    Ok(rows.iter().all(|row| row.verdict != Verdict::Failed))
}

fn print_row(row: &Record) {
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
    if row.verdict == Verdict::Failed
        && let Some(repeat) = &row.repeat
    {
        print(&format!("        repeat: {repeat}"));
    }
}

/// Prints a line. When nobody reads any more there is nothing left to do here.
fn print(line: &str) {
    if let Err(error) = writeln!(io::stdout(), "{line}") {
        eprintln!("ringproof-models: cannot write to standard output: {error}");
        process::exit(2);
    }
}
