//! `ringproof`: moves a stream of bytes from one process to another through shared memory, so
//! that either side may be killed and started again without losing or repeating a byte.
//!
//! `ringproof --help` is the manual. How a restart finds out where to go on, and why nothing is
//! lost, is argued in the module `resume`; what the two sides leave for their successors is
//! described in the module `notes`.
//!
//! No signal is handled but SIGBUS, which a truncated segment raises (see [`ringproof::guard`]), and
//! SIGXFSZ is ignored, so that a limit is an error: another signal's default action ends the process,
//! and a restart after that is as good as after a crash.

mod args;
mod buffer;
mod damaged;
mod early;
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
mod shown;
mod stream;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ContextValue;
use ringproof::{SegmentError, guard};

use crate::args::{Cli, Command};
use crate::exit::{Exit, Failure};
use crate::files::Output;

fn main() -> ExitCode {
    early::ignore_file_size_signal();
    let exit = start().unwrap_or_else(|failure| {
        report(&failure.chain());
        failure.exit()
    });
    ExitCode::from(exit as u8)
}

fn start() -> Result<Exit, Failure> {
    files::keep_messages_out_of_segments()?;
    match Cli::try_parse() {
        Ok(line) => run(line.command).map(|()| Exit::Done),
        Err(said) if said.use_stderr() => Ok(misused(said)),
        Err(said) => help(&said).map(|()| Exit::Done),
    }
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

/// Prints what `--help` or `--version` asked for. (Left to the parser, it would be called done
/// wherever it went.)
fn help(said: &clap::Error) -> Result<(), Failure> {
    let output = Output::stdout()?;
    if files::stdout_is_terminal() {
        // Who knows the colours.
        let shown = said.print().and_then(|()| io::stdout().flush());
        return shown.map_err(Failure::io("write the help"));
    }
    output.report(&said.render().to_string())
}

/// Says what is wrong with the command line. A name that no segment has is refused like any other.
fn misused(said: clap::Error) -> Exit {
    let refused = said.source().and_then(|source| source.downcast_ref());
    if let Some(refused) = refused {
        report(&SegmentError::to_string(refused));
        return exit::of_segment(refused);
    }
    complain(said);
    Exit::Usage
}

/// Says what the parser has against the command line, in which there may be names that others chose: a shell
/// makes arguments of all files in a directory.
fn complain(mut said: clap::Error) {
    let context: Vec<_> = said
        .context()
        .filter_map(|(kind, value)| match value {
            ContextValue::String(text) => {
                Some((kind, ContextValue::String(shown::line(text).into_owned())))
            }
            ContextValue::Strings(texts) => {
                let texts = texts.iter().map(|text| shown::line(text).into_owned());
                Some((kind, ContextValue::Strings(texts.collect())))
            }
            _ => None,
        })
        .collect();
    for (kind, value) in context {
        said.insert(kind, value);
    }
    // Whoever closed it does not want to hear it.
    let _ = said.print();
}

/// A report as JSON.
fn to_json(report: &impl serde::Serialize) -> Result<String, Failure> {
    let json = serde_json::to_string_pretty(report);
    json.map(|json| shown::json(&json).into_owned() + "\n")
        .map_err(|error| Failure::Unexpected(format!("cannot make JSON of it: {error}")))
}

/// Says something on standard error. Whoever closed it does not want to hear it.
fn report(message: &str) {
    let _ = writeln!(io::stderr(), "ringproof: {}", shown::line(message));
}
