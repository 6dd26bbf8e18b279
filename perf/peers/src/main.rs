//! `ringproof-perf-peers`: ringproof beside the crates that its users would pick instead.
//!
//! `ringproof-perf peers` runs this program and shows its report among the others; by itself it
//! prints the report as text.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use ringproof_perf::cpus::Wanted;
use ringproof_perf::ipc::worker;
use ringproof_perf::run::{Extent, Settings};
use ringproof_perf_peers::{ipc, mechanisms, peers};
use ringproof_record::Verdict;

/// Measures ringproof beside other crates, on two CPUs.
///
/// `ringproof-perf peers` runs this with its own settings and shows the report among others.
///
/// Exit codes: 0 measured, or the report says why not; 1 an item was lost, repeated, out of order or
/// torn, or this program failed; 2 wrong usage. With --report 0 wherever a report is printed.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// What to compare
    #[arg(value_enum)]
    what: What,
    /// Print the report as JSON
    #[arg(long)]
    report: bool,
    /// How much is done
    #[arg(long, value_enum, default_value = "full")]
    extent: Extent,
    /// Rounds that must count [default: as many as are usual for the extent]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Turns the order of the cases and numbers the items
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The two CPUs to use [default: the first two allowed ones on different cores]
    #[arg(long, value_name = "A,B")]
    cpus: Option<Wanted>,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Rings and latest values within a process, messages between processes
    Peers,
    /// D-Bus and gRPC
    Ipc,
}

fn main() -> ExitCode {
    if let Some(code) = worker::divert(&mechanisms()) {
        return code;
    }
    match run(&Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let usual = Settings::of(cli.extent);
    let settings = Settings {
        cpus: cli.cpus,
        rounds: cli.rounds.map_or(usual.rounds, usize::from),
        seed: cli.seed,
        ..usual
    };
    let report = match cli.what {
        What::Peers => peers(&settings),
        What::Ipc => ipc(&settings),
    };
    if cli.report {
        let json = serde_json::to_string(&report).context("cannot write the report as JSON")?;
        println!("{json}");
        return Ok(ExitCode::SUCCESS);
    }
    print!("{}", report.render());
    Ok(match report.has(Verdict::Failed) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}
