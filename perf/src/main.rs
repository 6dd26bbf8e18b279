//! `ringproof-perf`: experiments on the machine they run on.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use ringproof_perf::abi::{self, compile::Tools};
use ringproof_perf::cpus::Wanted;
use ringproof_perf::report::{Report, Trouble};
use ringproof_perf::run::{ROUNDS, SAMPLE, Settings};
use ringproof_perf::{c_header, false_sharing, latest, peers, smoke};
use ringproof_record::Verdict;

/// Measures ringproof on this machine, with two threads on two CPUs.
///
/// What is compared is measured in turn, round after round, in an order that rotates; figures are
/// medians between their extremes, and ratios are taken round by round. Every item is checked. A
/// round during which the hypervisor moved a CPU (a ping-pong before and after it shows that) is
/// repeated. What cannot be measured here is said, with the reason.
///
/// Use --release, and as quiet a machine as there is: where it is allowed (CAP_SYS_NICE), the two
/// threads run before all ordinary programs, in turns of a few milliseconds.
#[derive(Parser)]
#[command(bin_name = "ringproof-perf", version, verbatim_doc_comment, after_long_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    experiment: Experiment,
}

const AFTER_HELP: &str = "\
Exit codes:
  0  measured (smoke: nothing failed)
  1  an item was lost, repeated or out of order, a value was torn, or this program failed
  2  wrong usage
  3  could not be measured here; the reason is printed (smoke: a row says so, and it exits 0)

Examples:
  cargo run --release -p ringproof-perf -- false-sharing
  cargo run --release -p ringproof-perf -- peers --rounds 21 --cpus 2,3
  cargo run --release -p ringproof-perf -- smoke --json | jq .
  CC=clang-19 ringproof-perf abi              that compiler in the place of gcc
  taskset -c 0,2 ringproof-perf latest        only CPUs 0 and 2 may be used";

#[derive(Subcommand)]
enum Experiment {
    /// The ring's two indices on one cache line, and further and further apart
    ///
    /// Streams u64 items one by one through the real ring with its indices 8, 16, 32, 64, 128 and
    /// 256 bytes apart and compares each with the farthest. Then counts, once for the nearest and
    /// the farthest, what the processor and the kernel let it count.
    FalseSharing {
        #[command(flatten)]
        common: Common,
        /// How many items may be in the ring at once
        #[arg(long, value_name = "N", default_value_t = false_sharing::CAPACITY,
              value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
        capacity: u64,
    },
    /// The ring beside rtrb, in the same rounds
    ///
    /// One by one and in batches of 64: slices, chunks copied in and out, chunks in place. 1,024
    /// and 65,536 items may be live at once. Ours cycles through at least 256 KiB of memory
    /// unless told otherwise, which streams faster on some processors; so 1,024 is measured both
    /// ways.
    Peers {
        #[command(flatten)]
        common: Common,
    },
    /// The ring of the header-only C library beside the one in Rust, in the same rounds
    ///
    /// Compiled with the system's compiler (CC chooses another one) at -O3 and loaded into this
    /// process: one by one, slices of 64, and chunks of 64 in place.
    CHeader {
        #[command(flatten)]
        common: Common,
    },
    /// Seqlock and latch: write, read at rest, read against a writer that never pauses
    Latest {
        #[command(flatten)]
        common: Common,
    },
    /// One struct as several compilers and flags lay it out, and what comes of it
    ///
    /// Prints where each compiler puts the fields, what is read by a program that takes the bytes
    /// for its own layout, and what ringproof answers. CC, CXX and RUSTC choose the compilers [else
    /// gcc, g++ and rustc]; clang is tried, too. Nothing is measured that has to do with time.
    Abi {
        /// Print one JSON row for each result instead of tables
        #[arg(long)]
        json: bool,
    },
    /// The measurements in a few seconds: that they run, not how fast
    ///
    /// No row ever depends on a time. A row has passed if the experiment ran, every item was
    /// right and the CPUs stayed where they were.
    Smoke {
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Args)]
struct Common {
    /// The two CPUs to use [default: the first two allowed ones on different cores]
    #[arg(long, value_name = "A,B")]
    cpus: Option<Wanted>,

    /// Rounds that must count [default: 9; smoke: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,

    /// Turns the order of the cases and numbers the items
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Print one JSON row for each result instead of tables
    #[arg(long)]
    json: bool,
}

impl Common {
    fn settings(&self) -> Settings {
        Settings {
            cpus: self.cpus,
            rounds: self.rounds.map_or(ROUNDS, usize::from),
            seed: self.seed,
            sample: SAMPLE,
        }
    }
}

fn main() -> ExitCode {
    match run(&Cli::parse().experiment) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(experiment: &Experiment) -> Result<ExitCode> {
    let (json, reports, missing) = match experiment {
        Experiment::FalseSharing { common, capacity } => {
            let result =
                false_sharing::run(&common.settings(), &false_sharing::DISTANCES, *capacity);
            one(
                common,
                "false sharing",
                "ring/index placement",
                false_sharing::REPEAT,
                result,
            )
        }
        Experiment::Peers { common } => {
            let result = peers::run(&common.settings(), &peers::Way::ALL, &peers::SIZES);
            one(common, "peers", "ring/vs rtrb", peers::REPEAT, result)
        }
        Experiment::CHeader { common } => {
            let result = c_header::run(&common.settings(), &peers::SIZES);
            one(
                common,
                "c-header",
                "ring/C header",
                c_header::REPEAT,
                result,
            )
        }
        Experiment::Latest { common } => {
            let result = latest::run(&common.settings(), &latest::SIZES);
            one(
                common,
                "latest value",
                "seqlock, latch",
                latest::REPEAT,
                result,
            )
        }
        Experiment::Abi { json } => {
            let report = abi::run(&Tools::from_env())?;
            let missing = !report.has(Verdict::Passed);
            (*json, vec![report], missing)
        }
        Experiment::Smoke { common } => {
            let settings = Settings {
                rounds: common.rounds.map_or(smoke::ROUNDS, usize::from),
                sample: smoke::SAMPLE,
                ..common.settings()
            };
            (common.json, smoke::run(&settings), false)
        }
    };
    print(&reports, json)?;
    let failed = reports.iter().any(|report| report.has(Verdict::Failed));
    Ok(match (failed, missing) {
        (true, _) => ExitCode::FAILURE,
        (false, true) => ExitCode::from(3),
        (false, false) => ExitCode::SUCCESS,
    })
}

/// How one experiment's report is printed, the report, and whether it could not be measured.
fn one(
    common: &Common,
    title: &str,
    subject: &str,
    repeat: &str,
    result: Result<Report, Trouble>,
) -> (bool, Vec<Report>, bool) {
    let missing = matches!(result, Err(Trouble::NotRun(_)));
    let report =
        result.unwrap_or_else(|trouble| Report::of_trouble(title, subject, repeat, &trouble));
    (common.json, vec![report], missing)
}

fn print(reports: &[Report], json: bool) -> Result<()> {
    let mut text = String::new();
    for report in reports {
        if json {
            for row in &report.rows {
                text += &row.to_line();
                text.push('\n');
            }
        } else {
            text += &report.render();
            text.push('\n');
        }
    }
    match io::stdout().lock().write_all(text.as_bytes()) {
        // Whoever read this has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.context("cannot write the report to standard output"),
    }
}
