//! Runs the models and prints what they found, for people or as lines of JSON.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use ringproof_models::change::Change;
#[cfg(any(feature = "loom", feature = "shuttle"))]
use ringproof_models::engine::Engine;
use ringproof_models::suite::{self, Effort};
use ringproof_record::{Record, Verdict};

/// Models of ringproof's memory ordering and schedules.
///
/// Each scenario is a small program over the source that ships. As a control it runs unchanged:
/// it must hold, make its minimum of executions and witness every declared outcome. Then every
/// ordering is weakened and every fence left out, one at a time: some scenario must fail.
///
/// EXHAUSTED means every execution that the engine can produce, BOUNDED(k) every one with at
/// most k preemptions, TRUNCATED that the limit of executions came first.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit status: 0 all held, 1 something failed, 2 usage."
)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Every execution that the C11 memory model allows, short of load buffering
    #[cfg(feature = "loom")]
    Loom(Selection),
    /// Long schedules under sequential consistency: no ordering can be wrong here
    #[cfg(feature = "shuttle")]
    Shuttle(Selection),
    /// The access-site table
    Sites {
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
struct Selection {
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

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("ringproof-models: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> anyhow::Result<bool> {
    match Cli::parse().what {
        #[cfg(feature = "loom")]
        What::Loom(selection) => explore::<ringproof_models::engine_loom::Loom>(&selection),
        #[cfg(feature = "shuttle")]
        What::Shuttle(selection) => {
            explore::<ringproof_models::engine_shuttle::Shuttle>(&selection)
        }
        What::Sites { json } => {
            let mut out = io::stdout().lock();
            for row in suite::site_rows() {
                if json {
                    writeln!(out, "{}", serde_json::to_string(&row)?)
                } else {
                    writeln!(
                        out,
                        "{:<16} {:<10} {:<8} {:<26} {}",
                        row.name, row.kind, row.ordering, row.partner, row.why
                    )
                }
                .context("cannot write to standard output")?;
            }
            Ok(true)
        }
    }
}

#[cfg(any(feature = "loom", feature = "shuttle"))]
fn explore<E: Engine>(selection: &Selection) -> anyhow::Result<bool> {
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
    let print = |row: &Record| {
        if selection.json {
            bar.suspend(|| println!("{}", row.to_line()));
        }
        bar.set_message(format!("{}, {}", row.subject, row.check));
        bar.inc(1);
    };
    let rows = match &selection.only {
        Some(name) => {
            let rows =
                suite::run_one::<E>(name, selection.change, effort).map_err(anyhow::Error::msg)?;
            rows.iter().for_each(print);
            rows
        }
        None => suite::run::<E>(effort, &print),
    };
    bar.finish_and_clear();
    if !selection.json {
        for row in &rows {
            print_row(row);
        }
    }
    Ok(rows.iter().all(|row| row.verdict != Verdict::Failed))
}

#[cfg(any(feature = "loom", feature = "shuttle"))]
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
    println!(
        "{verdict} {:<26} {:<34} {count:>18}  {reason}",
        row.subject, row.check
    );
    if row.verdict == Verdict::Failed
        && let Some(repeat) = &row.repeat
    {
        println!("        repeat: {repeat}");
    }
}
