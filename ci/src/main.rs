//! `cargo verify`: runs the layers of the harness and says whether the proof stands.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Parser;
use clap::builder::PossibleValuesParser;
use ringproof_record::machine::Machine;
use ringproof_record::{EXIT_CODES, Exit, Shard, print};
use ringproof_verify::layers::{LAYERS, Layer};
use ringproof_verify::report::{About, Part, Report};
use ringproof_verify::workspace::Workspace;
use ringproof_verify::{drive, html, merge, terminal};

/// Proves the ring and the seqlock: runs the quick form of every layer of the harness.
///
/// Each layer is a program: it is built, run, and asked for one result per check. The results
/// become one matrix, the sites of the code (every access to shared memory has a name) down and
/// the layers across, and one verdict, which is the last line. The same goes to
/// target/verify/report.json and, to be read in a browser, target/verify/report.html.
///
/// After the build it takes about four minutes on two cores.
#[derive(Parser)]
#[command(verbatim_doc_comment, bin_name = "cargo verify", version, after_long_help = format!("{EXIT_CODES}\n\n{AFTER_HELP}"))]
struct Args {
    /// Run only this layer; may be given several times
    ///
    /// Only the cells of the selected layers are required then.
    #[arg(long = "layer", value_name = "NAME", value_parser = PossibleValuesParser::new(LAYERS.map(|layer| layer.name)))]
    layers: Vec<String>,

    /// Print the report as JSON on standard output instead of the tables
    #[arg(long)]
    json: bool,

    /// The seed that every layer is given [default: from the clock, printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Require every check: exit 3 if any did not run, whatever its reason
    #[arg(long)]
    strict: bool,

    /// Run the layers that have a larger size for the night in that size: hours, not minutes
    #[arg(long)]
    nightly: bool,

    /// With --nightly: the larger sizes take so many minutes in all, beside what the layers take by day
    ///
    /// Each large model has a share of them, and is TRUNCATED at its end; where none is left its row
    /// says `not run`. A layer whose larger size has an end of its own has it only where there is room.
    #[arg(long, value_name = "M", requires = "nightly", value_parser = minutes)]
    minutes: Option<f64>,

    /// Run the I-th of N shares of the models, for example 1/3; the first runs every other layer too
    ///
    /// The report goes to target/verify/shard-I-of-N.json and .html. What is required is judged
    /// when the reports of all shards are merged. They must have one seed.
    #[arg(long, value_name = "I/N", requires = "seed", conflicts_with = "strict")]
    shard: Option<Shard>,

    /// Run nothing: make one report of the JSON reports of all shards
    #[arg(long, value_name = "JSON", num_args = 1.., conflicts_with_all = ["layers", "seed", "nightly", "shard", "list"])]
    merge: Vec<PathBuf>,

    /// List the layers and what each judges, and run nothing
    #[arg(long)]
    list: bool,
}

const AFTER_HELP: &str = "\
Here 3 means that a required check did not run; with --strict every check is required. Of the
layers, and of the scripts in ci/, 3 says that any did not.

Required are: for each ordering stronger than Relaxed, each fence, each barrier and each call that
sleeps or wakes, a run of the models with that one weakened or left out (which must be caught); for each slot access, a model that looks for races on
it; for each site, a process killed there; for each load and each read of a slot, answers as an
adversary would give them. Any other check may say `not run`, with the reason, unless --strict is
given. A layer that dies, hangs, prints something else than results, or prints nothing has failed.

Examples:
  cargo verify                              everything
  cargo verify --layer loom --layer crash   two layers
  cargo verify --seed 7                     the same random choices again
  cargo verify --json | jq .verdict         for a program to read
  cargo verify --nightly                    the large models, for hours
  cargo verify --nightly --seed 7 --shard 2/3
                                            the second third of it, on the second of three machines
  cargo verify --merge shard-*.json         the verdict on the three together";

fn main() -> Exit {
    ringproof_record::run(|| run(&Args::parse()))
}

fn run(args: &Args) -> Result<Exit> {
    let show = |text: &str| print::text(text).context("standard output cannot be written");
    if args.list {
        show(&terminal::list())?;
        return Ok(Exit::Passed);
    }
    let workspace = Workspace::find()?;
    let (report, files) = if args.merge.is_empty() {
        prove(args, &workspace)?
    } else {
        put_together(args, &workspace)?
    };
    let json = files.write(&report)?;
    if args.json {
        show(&format!("{json}\n"))?;
        eprintln!("{}", report.summary());
    } else {
        let text = terminal::render(&report);
        let page = files.html.display();
        show(&format!("\n{text}\nreport: {page}\n{}\n", report.summary()))?;
    }
    Ok(report.verdict.exit())
}

/// Runs the layers.
fn prove(args: &Args, workspace: &Workspace) -> Result<(Report, Files)> {
    let about = About {
        commit: workspace.commit(),
        machine: Machine::look(),
        seed: args.seed.unwrap_or_else(seed_from_the_clock),
        nightly: args.nightly,
        part: args.shard.map_or(Part::Whole, Part::Shard),
    };
    let files = Files::prepare(&workspace.target, about.part)?;
    eprintln!("seed {}", about.seed);

    let selected =
        |layer: &Layer| args.layers.is_empty() || args.layers.iter().any(|name| name == layer.name);
    let (sites, ran) = drive::run(workspace, selected, &about, args.minutes);
    Ok((Report::new(about, sites, ran, args.strict), files))
}

/// Merges reports. They are read before the old ones are removed: they may be among these.
fn put_together(args: &Args, workspace: &Workspace) -> Result<(Report, Files)> {
    let mut shards = Vec::new();
    for file in &args.merge {
        shards.push((file.display().to_string(), merge::read(file)?));
    }
    let report = merge::merge(shards, args.strict)?;
    let files = Files::prepare(&workspace.target, report.about.part)?;
    Ok((report, files))
}

fn minutes(text: &str) -> Result<f64, String> {
    (text.parse().ok())
        .filter(|minutes| (0.0..=10_000.0).contains(minutes))
        .ok_or_else(|| "expected a number of minutes, for example 0.5 or 90".to_owned())
}

/// Where the report goes.
struct Files {
    json: PathBuf,
    html: PathBuf,
}

impl Files {
    /// Makes the directory and removes what an earlier run left: a run that is cut off must not
    /// leave another run's verdict behind. The shards of a run may share the directory.
    fn prepare(target: &Path, part: Part) -> Result<Self> {
        let directory = target.join("verify");
        fs::create_dir_all(&directory)
            .with_context(|| format!("{} cannot be created", directory.display()))?;
        let name = match part.shard() {
            Some(Shard { number, of }) => format!("shard-{number}-of-{of}"),
            None => "report".to_owned(),
        };
        let files = Files {
            json: directory.join(format!("{name}.json")),
            html: directory.join(format!("{name}.html")),
        };
        for file in [&files.json, &files.html] {
            match fs::remove_file(file) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error)
                        .with_context(|| format!("{} cannot be replaced", file.display()));
                }
                _ => {}
            }
        }
        Ok(files)
    }

    /// Writes both files and hands back the JSON.
    fn write(&self, report: &Report) -> Result<String> {
        let json = serde_json::to_string_pretty(report).context("the report has no JSON form")?;
        for (file, text) in [(&self.json, &json), (&self.html, &html::render(report))] {
            fs::write(file, text)
                .with_context(|| format!("{} cannot be written", file.display()))?;
        }
        Ok(json)
    }
}

/// A seed that is short to type; the clock's low digits differ from run to run.
fn seed_from_the_clock() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::from(now.subsec_micros())
}
