//! `ringproof`: moves a stream of bytes from one process to another through shared memory, so
//! that either side may be killed and started again without losing or repeating a byte.
//!
//! `ringproof --help` is the manual. How a restart finds out where to go on, and why nothing is
//! lost, is argued in the module `resume`; what the two sides leave for their successors is
//! described in the module `notes`.
//!
//! No signal is handled but SIGBUS, which a truncated segment raises (see [`ringproof::guard`]):
//! a signal's default action ends the process, and a restart after that is as good as after a
//! crash.

mod args;
mod buffer;
mod exit;
mod files;
mod gc;
mod holders;
mod inspect;
mod notes;
mod progress;
mod recv;
mod resume;
mod send;
mod stream;
mod wait;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;
use ringproof::guard;

use crate::args::{Cli, Command};
use crate::exit::{Exit, Failure};

fn main() -> ExitCode {
    let exit = match run(Cli::parse().command) {
        Ok(()) => Exit::Done,
        Err(failure) => {
            tell(&failure.chain());
            failure.exit()
        }
    };
    ExitCode::from(exit as u8)
}

fn run(command: Command) -> Result<(), Failure> {
    guard::install()?;
    match command {
        Command::Send(args) => send::run(&args),
        Command::Recv(args) => recv::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Gc(args) => gc::run(&args),
    }
}

/// Prints a report, to standard output.
fn print(report: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(report.as_bytes()).and_then(|()| out.flush());
    written.map_err(|source| match source.kind() {
        ErrorKind::BrokenPipe => Failure::ReportClosed,
        _ => Failure::io("write the report")(source),
    })
}

/// A report as JSON.
fn to_json(report: &impl serde::Serialize) -> Result<String, Failure> {
    let json = serde_json::to_string_pretty(report);
    json.map(|json| json + "\n")
        .map_err(|error| Failure::Unexpected(format!("cannot make JSON of it: {error}")))
}

/// Says something on standard error. Whoever closed it does not want to hear it.
fn tell(message: &str) {
    let _ = writeln!(std::io::stderr(), "ringproof: {message}");
}
