//! The layers `crash`, `stream`, `soak`, `hostile`, `faults`, `abi` and
//! `layouts` of the harness: real processes
//! over real segments, killed, lied to, starved, interrupted, raced and written in other languages.
//!
//! This is the program `ringproof-stress`, as a library so that other programs can call parts of
//! it; see [`main`].

mod abi;
mod cli;
mod compile;
mod crash;
mod desk;
mod dying;
mod ends;
mod fault;
mod faults;
mod hostile;
mod item;
mod latest;
mod layouts;
mod process;
mod program;
mod shm;
mod sleeping;
mod soak;
mod specimen;
mod stream;
mod words;

pub use hostile::fuzz;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use desk::Unknown;
use process::Interrupts;
use ringproof_record::{EXIT_CODES, Exit, print};

/// Kills processes over real segments, or lies to them, and checks what the others are left with.
///
/// Rows go to standard output, progress and prose to standard error.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES)]
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
    Soak(soak::Options),
    Hostile(hostile::Options),
    Abi(abi::Options),
    Layouts(layouts::Options),
    #[command(hide = true)]
    AbiPeer(abi::Peer),
}

/// The program: reads the arguments, runs a layer, prints its rows.
pub fn main() -> Exit {
    ringproof_record::run(|| match run(&Cli::parse()) {
        Err(error) if error.is::<Unknown>() => {
            eprintln!("error: {error}");
            Ok(Exit::Usage)
        }
        ran => ran,
    })
}

fn run(cli: &Cli) -> Result<Exit> {
    let _held_back = match &cli.layer {
        // Whoever started it ends it.
        Layer::AbiPeer(_) => None,
        // Before anything is made that would be left behind.
        _ => Some(Interrupts::catch()?),
    };
    let rows = match &cli.layer {
        Layer::Crash(options) if options.document => {
            print::text(&crash::document()?).context("cannot print the document")?;
            return Ok(Exit::Passed);
        }
        Layer::Crash(options) => crash::run(options)?,
        Layer::Faults(options) => faults::run(options)?,
        Layer::Stream(options) => stream::run(options)?,
        Layer::Soak(options) => soak::run(options.clone())?,
        Layer::Hostile(options) => hostile::run(options)?,
        Layer::Abi(options) => abi::run(options)?,
        Layer::Layouts(options) => layouts::run(options)?,
        Layer::AbiPeer(peer) => {
            abi::run_peer(peer)?;
            return Ok(Exit::Passed);
        }
    };
    print::rows(&rows, cli.json).context("cannot print the rows")?;
    Ok(Exit::of(&rows))
}
