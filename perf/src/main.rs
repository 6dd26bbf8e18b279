//! `ringproof-perf`: experiments on the machine they run on.

mod output;

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use ringproof_perf::compare;
use ringproof_perf::cpus::Wanted;
use ringproof_perf::doctor;
use ringproof_perf::environment::{Environment, Steal};
use ringproof_perf::experiments::{self, Experiment};
use ringproof_perf::false_sharing;
use ringproof_perf::ipc::advise::{self, Question};
use ringproof_perf::ipc::{all as mechanisms, worker};
use ringproof_perf::page::About;
use ringproof_perf::peers;
use ringproof_perf::report::Report;
use ringproof_perf::run::{Extent, Settings};
use ringproof_perf::smoke;
use ringproof_record::{EXIT_CODES, Exit, print};

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
#[command(bin_name = "ringproof-perf", version, verbatim_doc_comment, after_long_help = format!("{EXIT_CODES}\n\n{EXAMPLES}"))]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
On most machines something cannot be measured, a counter of the processor for example: then it is 3.

Examples:
  cargo run --release -p ringproof-perf -- doctor
  cargo run --release -p ringproof-perf -- all --quick
  cargo run --release -p ringproof-perf -- all --compare target/perf/all.json
  cargo run --release -p ringproof-perf -- peers --build --rounds 21 --cpus 2,3
  cargo run --release -p ringproof-perf -- ipc --advise --size 200 --rate 50000 --blocking
  cargo run --release -p ringproof-perf -- smoke --json | jq .
  CC=clang-19 ringproof-perf abi              that compiler in the place of gcc
  taskset -c 0,2 ringproof-perf latest        only CPUs 0 and 2 may be used";

#[derive(Subcommand)]
enum Command {
    /// What this machine can measure, and what would allow more
    ///
    /// Opens each counter and hands items from one thread to another while it runs; tries what
    /// else the experiments profit from. What is refused says why. Nothing is judged.
    Doctor {
        /// The two CPUs to use [default: the first two allowed ones that are different cores, equally strong, and share the last-level cache]
        #[arg(long, value_name = "A,B")]
        cpus: Option<Wanted>,
        /// Print one JSON row for each answer instead of tables
        #[arg(long)]
        json: bool,
    },
    /// Every experiment, and one page with all of them
    All {
        #[command(flatten)]
        common: Common,
    },
    /// What the machine allows, whatever the code
    ///
    /// What operations cost uncontended, what a message between the two CPUs takes by the cache
    /// lines it touches, what a line costs that streams through a ring, by the ring's size and its
    /// pages, how fast memory is copied, and how far each CPU is from each other one.
    Limits {
        #[command(flatten)]
        common: Common,
    },
    /// Two threads on one cache line, and the ring's two indices further and further apart
    ///
    /// Two threads with a word each, by locked instruction, store and load; then the real ring, its
    /// indices 8 bytes to a page apart: one by one and in batches of 64, with the other side's index
    /// cached and looked up each time, a small and a large ring, a consumer that polls hard and one
    /// that waits. Then counts, where the distance matters most and least, what the processor and
    /// the kernel let it count.
    FalseSharing {
        #[command(flatten)]
        common: Common,
        /// Only with so many items in the ring at once [default: 64 and 65,536]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
        capacity: Option<u64>,
    },
    /// Slots packed, shifted and on lines of their own; the header layouts of textbooks beside ours
    ///
    /// Items of 8 to 256 bytes through the real ring, one by one and in batches of 64. Then the
    /// same ring over words and slots placed as two published layouts place them.
    Padding {
        #[command(flatten)]
        common: Common,
    },
    /// Ring, seqlock and latch beside the crates that their users would pick instead
    ///
    /// rtrb, ringbuf, crossbeam, heapless, gil and iceoryx2; seqlock, arc-swap, triple_buffer and
    /// parking_lot. They are measured by a program of its own, outside the workspace, that nobody
    /// compiles unasked.
    Peers {
        #[command(flatten)]
        common: Common,
        /// Build that program first, with everything it needs
        #[arg(long)]
        build: bool,
    },
    /// The ring of the header-only C library beside the one in Rust, in the same rounds
    ///
    /// One by one, slices of 64, and chunks of 64 in place; between two threads, and with both ends
    /// in one, where what the code costs is not hidden by what cache lines cost. The C side is
    /// compiled at -O3 when this program is built, by the system's compiler or the one that CC names.
    CHeader {
        #[command(flatten)]
        common: Common,
    },
    /// One struct as several compilers and flags lay it out, and what comes of it
    ///
    /// Prints where each compiler puts the fields, what is read by a program that takes the bytes
    /// for its own layout, and what ringproof answers. CC, CXX and RUSTC choose the compilers [else
    /// gcc, g++ and rustc]; clang is tried, too. Nothing is measured that has to do with time, so
    /// CPUs and rounds make no difference.
    Abi {
        #[command(flatten)]
        common: Common,
    },
    /// Seqlock and latch: write, read at rest, read against a writer that never pauses
    Latest {
        #[command(flatten)]
        common: Common,
    },
    /// Encodings of a message of 32 bytes and one of 1 KiB
    ///
    /// Raw copy, offsets by hand, a zero-copy view (zerocopy), rkyv, FlatBuffers, Protobuf (prost)
    /// and JSON (serde_json): nanoseconds to encode, to decode and to reach one field, and bytes,
    /// beside published ranges. One thread on the first CPU.
    Serialize {
        #[command(flatten)]
        common: Common,
    },
    /// Ways to a function: direct, generic, dyn, boxed closure, inline type-erased
    ///
    /// Calls of the same function, of four in no order, and of one that is made for the call,
    /// beside published ranges. One thread on the first CPU.
    Dispatch {
        #[command(flatten)]
        common: Common,
    },
    /// Every way for two processes to send each other messages, side by side
    ///
    /// Two processes, a CPU each: one-way latency and messages a second, for messages of 64 B, 1 KiB
    /// and 64 KiB, with the system calls of a message and beside what is printed about it elsewhere.
    /// With --advise it says which one to take, from the figures of this machine.
    Ipc {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        ask: Ask,
    },
    /// All of them in a few seconds: that they run, not how fast
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
    /// The two CPUs to use [default: the first two allowed ones that are different cores, equally strong, and share the last-level cache]
    #[arg(long, value_name = "A,B")]
    cpus: Option<Wanted>,

    /// Rounds that must count [default: 9; with --quick 5; smoke: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,

    /// Fewer sizes and rounds: all experiments together in four minutes
    #[arg(long)]
    quick: bool,

    /// Turns the order of the cases and numbers the items
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Print one JSON row for each result instead of tables, and write no files
    #[arg(long)]
    json: bool,

    /// Where the page and the rows go, of all experiments but smoke
    #[arg(long, value_name = "FOLDER", default_value = "target/perf")]
    out: PathBuf,

    /// Show what differs from an earlier run: the .json file that it wrote
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

#[derive(Args)]
struct Ask {
    /// Say which to take, from the figures in the folder --out; without any, measure first
    #[arg(long)]
    advise: bool,

    /// Bytes in a message
    #[arg(long, value_name = "N", default_value_t = 64, requires = "advise",
          value_parser = clap::value_parser!(u32).range(1..))]
    size: u32,

    /// Messages a second
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "advise")]
    rate: u32,

    /// Messages must outlive the processes and a reboot
    #[arg(long, requires = "advise")]
    persistent: bool,

    /// So many processes receive every message
    #[arg(long, value_name = "N", default_value_t = 1, requires = "advise",
          value_parser = clap::value_parser!(u32).range(1..))]
    readers: u32,

    /// A receiver must sleep while there is nothing to receive
    #[arg(long, requires = "advise")]
    blocking: bool,

    /// The peer may break every rule
    #[arg(long, requires = "advise")]
    untrusted: bool,
}

impl Ask {
    fn question(&self) -> Question {
        Question {
            size: self.size as usize,
            rate: f64::from(self.rate),
            persistent: self.persistent,
            readers: self.readers,
            blocking: self.blocking,
            untrusted: self.untrusted,
        }
    }
}

impl Common {
    fn settings(&self, extent: Extent) -> Settings {
        let usual = Settings::of(extent);
        Settings {
            cpus: self.cpus,
            rounds: self.rounds.map_or(usual.rounds, usize::from),
            seed: self.seed,
            ..usual
        }
    }

    /// As much as was asked for.
    fn asked(&self) -> Settings {
        self.settings(if self.quick {
            Extent::Quick
        } else {
            Extent::Full
        })
    }
}

fn main() -> Exit {
    ringproof_record::run(|| match worker::divert(mechanisms()) {
        Some(exit) => Ok(exit),
        None => run(&Cli::parse().command),
    })
}

fn run(command: &Command) -> Result<Exit> {
    match command {
        Command::Doctor { cpus, json } => {
            let environment = Environment::look();
            let mut report = doctor::examine(&Settings {
                cpus: *cpus,
                ..Settings::of(Extent::Quick)
            });
            report.tables.insert(0, doctor::machine(&environment));
            report.notes.extend(environment.warnings);
            let reports = [report];
            output::print(&reports, *json)?;
            Ok(exit(&reports))
        }
        Command::Smoke { common } => {
            let reports = smoke::run(&common.settings(Extent::Smoke));
            output::print(&reports, common.json)?;
            Ok(exit(&reports))
        }
        Command::All { common } => {
            let settings = common.asked();
            conduct(common, "all", || {
                let experiments = experiments::ALL.iter();
                let reports = experiments.map(|experiment| experiment.report(&settings));
                reports.chain([doctor::examine(&settings)]).collect()
            })
        }
        Command::Limits { common } => as_listed(common, "limits"),
        Command::FalseSharing { common, capacity } => one(common, "false-sharing", |experiment| {
            experiment.report_of(false_sharing::run(&common.asked(), *capacity))
        }),
        Command::Padding { common } => as_listed(common, "padding"),
        Command::Peers { common, build } => {
            if *build {
                peers::build()?;
            }
            as_listed(common, "peers")
        }
        Command::CHeader { common } => as_listed(common, "c-header"),
        Command::Abi { common } => as_listed(common, "abi"),
        Command::Latest { common } => as_listed(common, "latest"),
        Command::Serialize { common } => as_listed(common, "serialize"),
        Command::Dispatch { common } => as_listed(common, "dispatch"),
        Command::Ipc { common, ask } if ask.advise => advise(common, ask),
        Command::Ipc { common, .. } => ipc(common),
    }
}

fn as_listed(common: &Common, name: &'static str) -> Result<Exit> {
    one(common, name, |experiment| {
        experiment.report(&common.asked())
    })
}

/// One experiment of the list.
fn one(
    common: &Common,
    name: &'static str,
    ask: impl FnOnce(&Experiment) -> Report,
) -> Result<Exit> {
    let experiment = listed(name)?;
    conduct(common, name, || vec![ask(experiment)])
}

/// The mechanisms of this program, and those of the other one.
fn ipc(common: &Common) -> Result<Exit> {
    let both = [listed("ipc")?, listed("ipc-peers")?];
    conduct(common, "ipc", || {
        both.map(|experiment| experiment.report(&common.asked()))
            .into()
    })
}

fn listed(name: &str) -> Result<&'static Experiment> {
    let mut all = experiments::ALL.iter();
    let found = all.find(|experiment| experiment.name == name);
    found.with_context(|| format!("`{name}` is no experiment"))
}

/// Says which mechanism to take; measures them if that was not done yet.
fn advise(common: &Common, ask: &Ask) -> Result<Exit> {
    let file = common.out.join("ipc.json");
    if !file.exists() {
        let exit = ipc(common)?;
        if !file.exists() {
            return Ok(exit);
        }
    }
    let known = advise::known(&compare::read(&file)?, mechanisms());
    if known.is_empty() {
        bail!(
            "`{}` has no figures of `ipc`; run that first",
            file.display()
        );
    }
    let advice = advise::advise(ask.question(), &known);
    print::text(&format!(
        "From the figures in {}.\n{advice}",
        file.display()
    ))
    .context("cannot print the advice")?;
    Ok(Exit::Passed)
}

/// Runs experiments, shows what they found and keeps it in files.
fn conduct(
    common: &Common,
    name: &'static str,
    experiments: impl FnOnce() -> Vec<Report>,
) -> Result<Exit> {
    // Before hours of work, not after: a file that cannot be read.
    let earlier = common.compare.as_deref().map(compare::read).transpose()?;
    let environment = Environment::look();
    let steal = Steal::begin();
    let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let mut reports = experiments();
    let about = About {
        environment,
        steal: steal.said(),
        command: command_line(common, name),
        date,
    };
    let exit = exit(&reports);
    if let Some(earlier) = earlier {
        let now: Vec<_> = reports
            .iter()
            .flat_map(|report| &report.rows)
            .cloned()
            .collect();
        reports.push(compare::compare(&earlier, &now));
    }
    output::print(&reports, common.json)?;
    if !common.json {
        let [page, rows] = output::save(&common.out, name, &about, &reports)?;
        eprintln!("page: {}\nrows: {}", page.display(), rows.display());
    }
    Ok(exit)
}

/// The command that asks the same again.
fn command_line(common: &Common, name: &str) -> String {
    let mut line = format!("cargo run --release -p ringproof-perf -- {name}");
    if common.quick {
        line += " --quick";
    }
    if let Some(rounds) = common.rounds {
        line += &format!(" --rounds {rounds}");
    }
    if let Some(Wanted(first, second)) = common.cpus {
        line += &format!(" --cpus {first},{second}");
    }
    line + &format!(" --seed {}", common.seed)
}

/// How the process ends.
fn exit(reports: &[Report]) -> Exit {
    Exit::of(reports.iter().flat_map(|report| &report.rows))
}
