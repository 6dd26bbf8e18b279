//! `ringproof-perf`: experiments on the machine they run on.

mod output;

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use ringproof_perf::cpus::Wanted;
use ringproof_perf::doctor;
use ringproof_perf::earlier;
use ringproof_perf::environment::{Environment, Steal};
use ringproof_perf::experiments::{self, Experiment};
use ringproof_perf::ipc::advise::{self, Question};
use ringproof_perf::ipc::{all as mechanisms, worker};
use ringproof_perf::outside;
use ringproof_perf::page::About;
use ringproof_perf::report::Report;
use ringproof_perf::run::{Extent, Settings};
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
    /// All of them in a few seconds: that they run, not how fast
    ///
    /// No row ever depends on a time. A row has passed if the experiment ran, every item was
    /// right and the CPUs stayed where they were.
    Smoke {
        #[command(flatten)]
        common: Common,
    },
}

// What `false-sharing` is asked beside.
#[derive(Args)]
struct Rings {
    /// Only with so many items in the ring at once [default: 64 and 65,536]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
    capacity: Option<u64>,
}

// What `peers` is asked beside.
#[derive(Args)]
struct Build {
    /// Build that program first, with everything it needs
    #[arg(long)]
    build: bool,
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

// What `ipc` is asked beside.
#[derive(Args)]
struct Ask {
    /// Say which to take, from the figures in the folder --out; without any, measure first
    #[arg(long)]
    advise: bool,

    #[command(flatten)]
    question: Question,
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
        self.settings(match self.quick {
            true => Extent::Quick,
            false => Extent::Full,
        })
    }
}

fn main() -> Exit {
    ringproof_record::run(|| match worker::divert(mechanisms()) {
        Some(exit) => Ok(exit),
        None => run(&commands().get_matches()),
    })
}

/// The command line: a command for each experiment beside those that are written down above.
fn commands() -> clap::Command {
    let mut line = Cli::command();
    for one in experiments::all().filter(|one| one.part_of.is_none()) {
        let command = Common::augment_args(clap::Command::new(one.name));
        let command = match one.name {
            "false-sharing" => Rings::augment_args(command),
            "peers" => Build::augment_args(command),
            "ipc" => Ask::augment_args(command),
            _ => command,
        };
        // Last: arguments come with words about themselves.
        let mut command = command.about(one.about);
        if !one.details.is_empty() {
            command = command.long_about(format!("{}\n\n{}", one.about, one.details));
        }
        line = line.subcommand(command);
    }
    line
}

fn run(matches: &ArgMatches) -> Result<Exit> {
    if let Some((name, args)) = matches.subcommand()
        && let Some(one) = Experiment::of_command(name).next()
    {
        return ask(one.command(), args);
    }
    match Cli::from_arg_matches(matches)?.command {
        Command::Doctor { cpus, json } => {
            let environment = Environment::look();
            let mut report = doctor::examine(&Settings {
                cpus,
                ..Settings::of(Extent::Quick)
            });
            report.tables.insert(0, doctor::machine(&environment));
            report.notes.extend(environment.warnings);
            let reports = [report];
            output::print(&reports, json)?;
            Ok(exit(&reports))
        }
        Command::Smoke { common } => {
            let reports = experiments::run(&common.settings(Extent::Smoke));
            output::print(&reports, common.json)?;
            Ok(exit(&reports))
        }
        Command::All { common } => {
            let settings = common.asked();
            conduct(&common, "all", || experiments::run(&settings))
        }
    }
}

/// Runs the command of an experiment.
fn ask(name: &'static str, args: &ArgMatches) -> Result<Exit> {
    let common = Common::from_arg_matches(args)?;
    let mut settings = common.asked();
    match name {
        "false-sharing" => settings.capacity = Rings::from_arg_matches(args)?.capacity,
        "peers" if Build::from_arg_matches(args)?.build => outside::build()?,
        "ipc" => {
            let ask = Ask::from_arg_matches(args)?;
            if ask.advise {
                return advise(&common, &ask);
            }
        }
        _ => {}
    }
    measure(&common, name, &settings)
}

/// Runs all that belongs to a command.
fn measure(common: &Common, name: &'static str, settings: &Settings) -> Result<Exit> {
    conduct(common, name, || {
        let experiments = Experiment::of_command(name);
        experiments.map(|one| one.report(settings)).collect()
    })
}

/// Says which mechanism to take; measures them if that was not done yet.
fn advise(common: &Common, ask: &Ask) -> Result<Exit> {
    let file = common.out.join("ipc.json");
    if !file.exists() {
        let exit = measure(common, "ipc", &common.asked())?;
        if !file.exists() {
            return Ok(exit);
        }
    }
    let known = advise::known(&earlier::read(&file)?, mechanisms());
    let file = file.display();
    if known.is_empty() {
        bail!("`{file}` has no figures of `ipc`; run that first");
    }
    let advice = advise::advise(ask.question, &known);
    let printed = print::text(&format!("From the figures in {file}.\n{advice}"));
    printed.context("cannot print the advice")?;
    Ok(Exit::Passed)
}

/// Runs experiments, shows what they found and keeps it in files.
fn conduct(
    common: &Common,
    name: &'static str,
    experiments: impl FnOnce() -> Vec<Report>,
) -> Result<Exit> {
    // Before hours of work, not after: a file that cannot be read.
    let before = common.compare.as_deref().map(earlier::read).transpose()?;
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
    if let Some(before) = before {
        let rows = reports.iter().flat_map(|report| &report.rows);
        let now: Vec<_> = rows.cloned().collect();
        reports.push(earlier::beside(&before, &now));
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
    let quick = if common.quick { " --quick" } else { "" };
    let rounds = common
        .rounds
        .map_or(String::new(), |rounds| format!(" --rounds {rounds}"));
    let cpus = common
        .cpus
        .map_or(String::new(), |Wanted(a, b)| format!(" --cpus {a},{b}"));
    let options = format!("{quick}{rounds}{cpus} --seed {}", common.seed);
    format!("cargo run --release -p ringproof-perf -- {name}{options}")
}

/// How the process ends.
fn exit(reports: &[Report]) -> Exit {
    Exit::of(reports.iter().flat_map(|report| &report.rows))
}
