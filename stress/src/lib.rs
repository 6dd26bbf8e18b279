//! The layers `crash`, `faults` and `stream` of the harness: real processes over real segments,
//! killed, starved, interrupted and raced.
//!
//! This is the program `ringproof-stress`, as a library so that other programs can call parts of
//! it; see [`main`].

mod crash;
mod dying;
mod fault;
mod faults;
mod item;
mod output;
mod process;
mod shm;
mod specimen;
mod stream;
mod words;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// Kills processes over real segments, and checks what the others are left with.
#[derive(Parser)]
#[command(
    version,
    after_long_help = "\
Exit codes: 0 all that was checked holds; 1 something does not; 2 wrong usage; 3 something could \
not be run.

Rows go to standard output, progress and prose to standard error."
)]
struct Cli {
    #[command(subcommand)]
    layer: Layer,
    /// Print each row as a line of JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Layer {
    Crash(crash::Options),
    Faults(faults::Options),
    Stream(stream::Options),
}

/// The program: reads the arguments, runs a layer, prints its rows.
pub fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("ringproof-stress: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<u8> {
    let rows = match &cli.layer {
        Layer::Crash(options) => crash::run(options)?,
        Layer::Faults(options) => faults::run(options)?,
        Layer::Stream(options) => stream::run(options)?,
    };
    output::print(&rows, cli.json).context("cannot print the rows")?;
    Ok(output::exit_code(&rows))
}
