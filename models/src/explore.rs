//! Exploring at the user's word: selection, progress, rows.

use std::io::{self, IsTerminal, Write};
use std::process;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use ringproof_models::change::Change;
use ringproof_models::engine::Locks;
use ringproof_models::exploration::Effort;
use ringproof_models::suite::{self, Plan, Shard};
use ringproof_record::{Record, Verdict};

/// Executions per exploration in the suite of every day: above what any of its scenarios has.
const BY_DAY: u64 = 2_000_000;
/// And at night, where some scenarios would not end before the morning.
const BY_NIGHT: u64 = 20_000_000;

#[derive(Args)]
pub(crate) struct Selection {
    #[command(flatten)]
    pub(crate) format: Format,
    /// Where random schedules start from (loom makes no random choice)
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Executions per exploration at most, 2,000,000 by day and 20,000,000 by night; shuttle makes
    /// a hundredth of that, and as many again at random where they are not all
    #[arg(long)]
    executions: Option<u64>,
    /// The large scenarios, too: hours
    #[arg(long)]
    nightly: bool,
    /// The part I of N of the work
    #[arg(long, value_name = "I/N", value_parser = Shard::parse, default_value = "1/1")]
    shard: Shard,
    /// Only the scenario of this name
    #[arg(long, value_name = "SCENARIO")]
    only: Option<String>,
    /// With one change of the site table, for example `RingPublish=Relaxed`: it must be noticed
    #[arg(long, value_name = "SITE=CHANGE", requires = "only", value_parser = Change::parse)]
    change: Option<Change>,
}

/// What is printed.
#[derive(Args)]
pub(crate) struct Format {
    /// One JSON record per line
    #[arg(long)]
    json: bool,
}

/// Runs what is selected; true if nothing failed.
pub(crate) fn explore<E: Locks>(selection: &Selection) -> anyhow::Result<bool> {
    let executions = selection.executions.unwrap_or_else(|| {
        let most = if selection.nightly { BY_NIGHT } else { BY_DAY };
        // Without weak memory there is less to find, and nothing to exhaust in the larger ones.
        if E::WEAK { most } else { most / 100 }
    });
    let effort = Effort {
        executions,
        seed: selection.seed,
    };
    show(&selection.format, |seen| match &selection.only {
        Some(name) => suite::run_one::<E>(name, selection.change, effort, seen),
        None => Ok(suite::run::<E>(
            &Plan {
                effort,
                nightly: selection.nightly,
                shard: selection.shard,
            },
            seen,
        )),
    })
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
    if (failed || few) && let Some(trace) = &row.trace {
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
