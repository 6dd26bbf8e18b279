//! `ringproof-perf-peers`: ringproof beside the crates that its users would pick instead.
//!
//! `ringproof-perf peers` runs this program and shows its report among the others; by itself it
//! prints the report as text.

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use ringproof_perf::cpus::Wanted;
use ringproof_perf::ipc::worker;
use ringproof_perf::run::{Extent, Settings};
use ringproof_perf_peers::{ipc, mechanisms, peers};
use ringproof_record::{EXIT_CODES, Exit, print};

/// Measures ringproof beside other crates, on two CPUs.
///
/// `ringproof-perf peers` runs this with its own settings and shows the report among others.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES)]
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
    /// The two CPUs to use [default: the first two allowed ones that are different cores, equally strong, and share the last-level cache]
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

fn main() -> Exit {
    ringproof_record::run(|| match worker::divert(&mechanisms()) {
        Some(exit) => Ok(exit),
        None => run(&Cli::parse()),
    })
}

fn run(cli: &Cli) -> Result<Exit> {
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
    let shown = if cli.report {
        serde_json::to_string(&report).context("cannot write the report as JSON")? + "\n"
    } else {
        report.render()
    };
    print::text(&shown).context("cannot print the report")?;
    Ok(Exit::of(&report.rows))
}
