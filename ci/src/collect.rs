//! Holds what a layer prints against its contract.
//!
//! The contract: each line on standard output is one [`Record`] of this layer, prose goes to
//! standard error, and the exit status is the one that follows from the rows ([`Exit::of`]): 1 if
//! one failed, else 3 if one did not run, else 0. A layer that breaks it in any way, ends early, hangs or says nothing gets a failed row of its own, so that silence
//! never looks like success.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use ringproof_record::{Exit, Record, SiteRow, Verdict, cargo};

use crate::layers::Build;
use crate::process::{Ending, Line, supervise};
use crate::text::{plain, plain_row, shorten};

/// The check that the driver adds to a layer that broke its contract.
pub const RAN_TO_ITS_END: &str = "ran to its end";

/// How many of the last lines on standard error are kept.
const TAIL: usize = 40;

/// How much is shown of a line that was refused.
const LONGEST_QUOTE: usize = 160;

/// One program to run.
#[derive(Clone, Debug)]
pub struct Job {
    /// The layer whose rows it prints.
    pub layer: String,
    /// The program, or why there is none to run.
    pub program: Result<PathBuf, String>,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Where it runs.
    pub directory: PathBuf,
    /// How long it may take.
    pub deadline: Duration,
    /// The command that a person types to run it again.
    pub repeat: String,
}

impl Job {
    /// The row that says that this layer did not keep its contract.
    fn broken(&self, why: impl Into<String>) -> Record {
        Record::failed(&self.layer, &self.layer, RAN_TO_ITS_END, why).repeat(&self.repeat)
    }
}

/// What came of one job.
#[derive(Debug)]
pub struct Collected<Row> {
    /// The rows, in the order in which they came.
    pub rows: Vec<Row>,
    /// What was wrong with the layer itself; nothing where it kept its contract.
    pub broken: Option<Record>,
    /// The last lines on standard error.
    pub tail: Vec<String>,
    /// How long it ran.
    pub took: Duration,
}

impl<Row> Collected<Row> {
    /// What comes of a job that cannot be run.
    fn nothing(why: Record) -> Self {
        Collected {
            rows: Vec::new(),
            broken: Some(why),
            tail: Vec::new(),
            took: Duration::ZERO,
        }
    }
}

/// What happened while a layer ran, for whoever shows it.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// One more row.
    Row,
    /// A line on standard error.
    Prose(&'a str),
}

/// Runs a layer and collects its rows; `watch` is called with each row and each line of prose.
pub fn collect(job: &Job, watch: impl FnMut(Seen<'_>)) -> Collected<Record> {
    let parse = |line: &str| -> Result<Record, String> {
        let row = Record::from_line(line).map_err(|error| error.to_string())?;
        let row = plain_row(row);
        if row.layer != job.layer {
            return Err(format!("it is a row of layer `{}`", row.layer));
        }
        let silent = row
            .reason
            .as_deref()
            .is_none_or(|why| why.trim().is_empty());
        match row.verdict {
            Verdict::Failed | Verdict::NotRun if silent => {
                Err("a row that failed or did not run must give its reason".to_owned())
            }
            _ => Ok(row),
        }
    };
    gather(job, parse, |rows| Exit::of(rows), watch)
}

/// Runs the program that prints the table of sites.
pub fn collect_sites(job: &Job, watch: impl FnMut(Seen<'_>)) -> Collected<SiteRow> {
    let mut seen = BTreeSet::new();
    let parse = |line: &str| -> Result<SiteRow, String> {
        let row: SiteRow = serde_json::from_str(line).map_err(|error| error.to_string())?;
        if seen.insert(row.name.clone()) {
            Ok(row)
        } else {
            Err(format!("the site `{}` came before", row.name))
        }
    };
    gather(job, parse, |_| Exit::Passed, watch)
}

/// Builds programs of the workspace, all in one run of cargo: crates that several of them need are
/// compiled once, and both ends of a long compilation have company. What came of each: the file, as
/// cargo has named it, or why there is none, with the last lines of the build.
///
/// A program that cargo has named is there, even if another one could not be built.
pub fn build(
    mut command: Command,
    builds: &[Build],
    deadline: Duration,
    mut watch: impl FnMut(&str),
) -> Vec<Result<PathBuf, String>> {
    command.args(["build", "--release", "--keep-going"]);
    let shown = words(&command);
    command.arg(cargo::MESSAGES);
    for build in builds {
        command.args(["--package", build.package]);
        command.args([&format!("--{}", build.kind.name()), build.program]);
        for feature in build.features {
            command.args(["--features", &format!("{}/{feature}", build.package)]);
        }
    }
    let mut built = vec![None; builds.len()];
    let mut tail = Tail::default();
    let ending = supervise(command, deadline, |line| match line {
        Line::Out(message) => {
            for (build, file) in builds.iter().zip(&mut built) {
                let named = cargo::executable(&message, build.kind, build.program);
                *file = named.or(file.take());
            }
        }
        Line::Err(text) => {
            let text = plain(&text);
            watch(&text);
            tail.push(text);
        }
    });
    let how = match &ending {
        Ending::Exited(status) if status.success() => None,
        _ => how_it_ended(&ending, deadline).or_else(|| Some("ended strangely".to_owned())),
    };
    let tail = tail.lines();
    let complaint = |build: &Build| {
        let unnamed = format!(
            "did not say where it has put the program `{}`",
            build.program
        );
        let why = match &how {
            Some(how) => format!("{how}, and {unnamed}"),
            None => unnamed,
        };
        with_tail(format!("`{shown}` {why}"), &tail)
    };
    let outcomes = built.into_iter().zip(builds);
    outcomes
        .map(|(file, build)| file.ok_or_else(|| complaint(build)))
        .collect()
}

fn gather<Row>(
    job: &Job,
    mut parse: impl FnMut(&str) -> Result<Row, String>,
    follows: impl FnOnce(&[Row]) -> Exit,
    mut watch: impl FnMut(Seen<'_>),
) -> Collected<Row> {
    let program = match &job.program {
        Ok(program) => program,
        Err(why) => return Collected::nothing(job.broken(why)),
    };
    let mut command = Command::new(program);
    command.args(&job.args).current_dir(&job.directory);
    let start = Instant::now();
    let mut rows = Vec::new();
    let mut tail = Tail::default();
    let mut refused = 0_usize;
    let mut first_refused = String::new();
    let ending = supervise(command, job.deadline, |line| match line {
        Line::Out(text) => match parse(&text) {
            Ok(row) => {
                rows.push(row);
                watch(Seen::Row);
            }
            Err(error) => {
                refused += 1;
                if refused == 1 {
                    let quoted = shorten(&text.escape_debug().to_string(), LONGEST_QUOTE);
                    first_refused = format!("`{quoted}`: {error}");
                }
            }
        },
        Line::Err(text) => {
            let text = plain(&text);
            watch(Seen::Prose(&text));
            tail.push(text);
        }
    });
    let took = start.elapsed();
    let tail = tail.lines();

    let mut complaints = Vec::new();
    // The status only repeats what the rows say; anything else is news.
    match &ending {
        Ending::Exited(status) if let Some(code) = status.code() => {
            let expected = follows(&rows).code();
            if code != i32::from(expected) {
                complaints.push(format!(
                    "ended with status {code}, but from its rows follows status {expected}"
                ));
            }
        }
        other => complaints.extend(how_it_ended(other, job.deadline)),
    }
    if refused > 0 {
        complaints.push(format!(
            "{refused} of its lines on standard output were refused, the first: {first_refused}"
        ));
    }
    if rows.is_empty() {
        complaints.push("it printed no row, and who says nothing has not passed".to_owned());
    }
    let broken =
        (!complaints.is_empty()).then(|| job.broken(with_tail(complaints.join("; "), &tail)));
    Collected {
        rows,
        broken,
        tail,
        took,
    }
}

/// What is to be said against an ending; nothing against a success.
fn how_it_ended(ending: &Ending, deadline: Duration) -> Option<String> {
    match ending {
        Ending::Exited(status) => match (status.code(), status.signal()) {
            (Some(0), _) => None,
            (Some(code), _) => Some(format!("ended with status {code}")),
            (None, Some(signal)) => Some(format!("was killed by signal {signal}")),
            (None, None) => Some("ended without a status".to_owned()),
        },
        Ending::LeftBehind(_) => {
            Some("ended, but left a process behind that keeps its output open".to_owned())
        }
        Ending::TimedOut => Some(format!(
            "did not end within {} s and was killed with its whole process group",
            deadline.as_secs_f32()
        )),
        Ending::Lost(error) => Some(format!("could not be run: {error}")),
    }
}

/// Program and arguments as one line, without the directories of this machine.
fn words(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let mut line = name.to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}

fn with_tail(mut text: String, tail: &[String]) -> String {
    if !tail.is_empty() {
        text.push_str("\nlast lines on standard error:");
    }
    for line in tail {
        text.push_str("\n  ");
        text.push_str(line);
    }
    text
}

#[derive(Default)]
struct Tail(VecDeque<String>);

impl Tail {
    fn push(&mut self, line: String) {
        if self.0.len() == TAIL {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }

    fn lines(self) -> Vec<String> {
        self.0.into()
    }
}
