//! Runs the models and prints what they found, for people or as lines of JSON.

mod output;
#[cfg(feature = "shuttle")]
mod selection;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use ringproof_models::axioms::Axioms;
use ringproof_models::{calibration, suite};
use ringproof_record::{EXIT_CODES, Exit, print};

use output::Format;

/// Models of ringproof's memory ordering and schedules.
///
/// Each scenario is a small program over the source that ships. As a control it runs unchanged:
/// it must hold, make its minimum of executions and witness every declared outcome. Then every
/// ordering is weakened, every fence left out and accesses moved, one at a time: some scenario
/// must fail.
///
/// EXHAUSTED means every execution that the engine can produce, BOUNDED(k) every one with
/// fewer than k preemptions and most with k, TRUNCATED that the limit of executions came first.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Every execution that the C11 memory model allows, short of load buffering
    #[cfg(feature = "loom")]
    Loom(selection::Selection),
    /// Long schedules under sequential consistency: no ordering can be wrong here
    #[cfg(feature = "shuttle")]
    Shuttle {
        #[command(flatten)]
        selection: selection::Selection,
        #[command(flatten)]
        long: selection::Long,
    },
    /// What the axioms of C++20 allow in the smallest models, load buffering included
    Axioms(Format),
    /// Published bugs: each must be caught, and its repaired form must pass
    #[cfg(feature = "loom")]
    Specimens {
        #[command(flatten)]
        format: Format,
        /// Only the specimen of this number, for example S1
        #[arg(long, value_name = "NUMBER")]
        only: Option<String>,
    },
    /// The page on what breaks without each ordering, as it stands in ORDERINGS.md
    #[cfg(feature = "loom")]
    Orderings,
    /// The page on what each engine sees of 42 litmus tests, as it stands in CALIBRATION.md
    Calibration(Calibration),
    /// The access-site table
    Sites(Format),
}

#[derive(Args)]
#[group(multiple = false)]
struct Calibration {
    /// Explore all tests anew, and print the pinned observations that come of it instead
    #[arg(long)]
    pins: bool,
    /// Write the tests for herd7 to this directory instead
    #[arg(long, value_name = "DIRECTORY")]
    herd: Option<PathBuf>,
}

fn main() -> Exit {
    ringproof_record::run(|| run(Cli::parse().what))
}

fn run(what: What) -> anyhow::Result<Exit> {
    match what {
        #[cfg(feature = "loom")]
        What::Loom(selection) => selection::under_loom(&selection),
        #[cfg(feature = "shuttle")]
        What::Shuttle { selection, long } => selection::under_shuttle(&selection, &long),
        What::Axioms(format) => {
            output::show(&format, |seen| Ok(ringproof_models::axioms::rows(seen)))
        }
        #[cfg(feature = "loom")]
        What::Specimens { format, only } => output::show(&format, |seen| {
            ringproof_models::specimen::rows(only.as_deref(), &seen)
        }),
        #[cfg(feature = "loom")]
        What::Orderings => {
            let columns = ringproof_models::orderings::columns();
            write(&ringproof_models::orderings::markdown(&columns))
        }
        What::Calibration(of) => calibrate(of),
        What::Sites(format) => write(&sites(&format)?),
    }
}

fn calibrate(of: Calibration) -> anyhow::Result<Exit> {
    if let Some(directory) = of.herd {
        calibration::write_for_herd(&directory)
            .with_context(|| format!("cannot write the tests to {}", directory.display()))?;
        return Ok(Exit::Passed);
    }
    if !of.pins {
        return write(&calibration::markdown());
    }
    let engines = [
        calibration::pins::<Axioms<false>>(),
        #[cfg(feature = "loom")]
        calibration::pins::<ringproof_models::engine::loom::Loom>(),
        #[cfg(feature = "shuttle")]
        calibration::pins::<ringproof_models::engine::shuttle::Shuttle>(),
    ];
    let pins: Result<Vec<_>, _> = engines.into_iter().collect();
    let pins = pins.map_err(anyhow::Error::msg)?;
    let pins: Vec<_> = pins.into_iter().flatten().collect();
    write(&calibration::to_pins(&pins))
}

fn sites(format: &Format) -> anyhow::Result<String> {
    let mut text = String::new();
    for row in suite::site_rows() {
        if format.json {
            text += &serde_json::to_string(&row)?;
            text.push('\n');
        } else {
            text += &format!(
                "{:<16} {:<10} {:<8} {:<26} {}\n",
                row.name, row.kind, row.ordering, row.partner, row.why
            );
        }
    }
    Ok(text)
}

fn write(text: &str) -> anyhow::Result<Exit> {
    print::text(text).context("cannot write to standard output")?;
    Ok(Exit::Passed)
}
