//! The layers `crash` and `stream` of the harness: real processes over real segments, killed.

mod crash;
mod dying;
mod fault;
mod item;
mod process;
mod shm;
mod stream;

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use ringproof_record::{Record, Verdict};

/// Kills processes over real segments, and checks what the others are left with.
#[derive(Parser)]
#[command(after_long_help = "\
Exit codes: 0 all that was checked holds; 1 something does not; 2 wrong usage; 3 something could \
not be run.

Rows go to standard output, progress and prose to standard error.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Crash(CrashArgs),
    Stream(StreamArgs),
}

/// Kill a process before and after every access that it makes to shared memory
///
/// Each operation of the ring, the seqlock, the latch and the roles is tried in several states
/// of its structure. A first run tells which accesses it makes. Then, for each access and each
/// side of it, the structure is made anew and a forked process dies there by SIGKILL; the peer,
/// which lived through it, and a successor in the dead process's role go on. Nothing that was
/// committed may be lost, repeated, torn or reordered, nobody may hang, and the role must be
/// free again. Planted faults show that each of these would be noticed.
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  ringproof-stress crash
      everything, in seconds
  ringproof-stress crash --only ring/push
      one operation in all its states
  ringproof-stress crash --only ring/push:full:5:before
      one kill: before access 5 of a push to a full ring, from the taking of the role on
      (accesses count from 0)
  ringproof-stress crash --plant publish-first
      with a fault planted: this one must fail")]
struct CrashArgs {
    /// Print each row as a line of JSON
    #[arg(long)]
    json: bool,
    /// What the contents and the positions follow from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this operation, state or kill
    #[arg(long, value_name = "SUBJECT[:STATE[:ACCESS:SIDE]]")]
    only: Option<crash::Address>,
    /// Plant this fault in the operations that it concerns
    #[arg(long, value_name = "FAULT")]
    plant: Option<fault::Fault>,
}

/// Send a file through `ringproof send` and `ringproof recv` and kill both on the way
///
/// A random file goes from one process to another through shared memory, while either is killed
/// by SIGKILL at random moments and started again as a user would: `send NAME < FILE`,
/// `recv NAME >> OUT`. Both must end with exit code 0, OUT must have the same SHA-256 as FILE,
/// and nothing may be left behind in /dev/shm. The program `ringproof` is looked for beside this
/// one. Planted faults show that a wrong output would be noticed.
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  ringproof-stress stream
      64 MiB and 5 kills of each side, in seconds
  ringproof-stress stream --bytes 2G --kills 10
      more of both")]
struct StreamArgs {
    /// Print each row as a line of JSON
    #[arg(long)]
    json: bool,
    /// What the file and the moments of the kills follow from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long the file is (K, M, G: powers of 1024)
    #[arg(long, default_value = "64M", value_parser = bytes)]
    bytes: u64,
    /// How often each side is killed
    #[arg(long, value_name = "K", default_value_t = 5)]
    kills: u64,
}

fn bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 1 << 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1_u64),
    };
    (digits.parse().ok())
        .and_then(|count: u64| count.checked_mul(unit))
        .ok_or_else(|| "expected a number of bytes, for example 65536, 64K or 1G".to_owned())
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("ringproof-stress: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<u8> {
    let (json, rows) = match cli.command {
        Command::Crash(args) => {
            let options = crash::Options {
                seed: args.seed,
                only: args.only,
                plant: args.plant,
            };
            (args.json, crash::run(&options)?)
        }
        Command::Stream(args) => {
            let options = stream::Options {
                seed: args.seed,
                bytes: args.bytes,
                kills: args.kills,
            };
            (args.json, stream::run(&options)?)
        }
    };
    print(&rows, json).context("cannot print the rows")?;
    Ok(exit_code(&rows))
}

fn print(rows: &[Record], json: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for row in rows {
        if json {
            writeln!(out, "{}", row.to_line())?;
            continue;
        }
        let verdict = match row.verdict {
            Verdict::Passed => "passed",
            Verdict::NotRun => "not run",
            Verdict::Failed => "FAILED",
        };
        write!(out, "{verdict:<8} {:<18} {}", row.subject, row.check)?;
        if let (Some(count), Some(unit)) = (row.count, &row.unit) {
            write!(out, ": {count} {unit}")?;
        }
        writeln!(out)?;
        if row.verdict != Verdict::Passed {
            for (label, text) in [("why", &row.reason), ("repeat", &row.repeat)] {
                if let Some(text) = text {
                    writeln!(out, "         {label}: {text}")?;
                }
            }
        }
    }
    out.flush()
}

/// 0: everything ran and holds, 1: something does not hold, 3: something did not run.
fn exit_code(rows: &[Record]) -> u8 {
    match rows.iter().map(|row| row.verdict).max() {
        Some(Verdict::Failed) => 1,
        Some(Verdict::NotRun) => 3,
        _ => 0,
    }
}
