//! Runs the models and prints what they found, for people or as lines of JSON.

#[cfg(any(feature = "loom", feature = "shuttle"))]
mod explore;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use ringproof_models::suite;

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
    Loom(explore::Selection),
    /// Long schedules under sequential consistency: no ordering can be wrong here
    #[cfg(feature = "shuttle")]
    Shuttle(explore::Selection),
    /// The access-site table
    Sites {
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
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
        What::Loom(selection) => {
            explore::explore::<ringproof_models::engine::loom::Loom>(&selection)
        }
        #[cfg(feature = "shuttle")]
        What::Shuttle(selection) => {
            explore::explore::<ringproof_models::engine::shuttle::Shuttle>(&selection)
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
