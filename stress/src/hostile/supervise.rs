//! Gives each subject a worker process, watches that it makes progress, and turns what they tell
//! into rows.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::wait::WaitStatus;
use ringproof::site::{LoadSite, Site, SlotReadSite};
use ringproof_record::Record;

use super::bench::Bench;
use super::plant::Plant;
use super::{Address, Subject, fuzz, subjects};
use crate::process::{Child, Interrupts, Note, SingleThreaded, Violation, wait_readable};
use crate::shm::Prefix;

const LAYER: &str = "hostile";

/// How long a worker may say nothing.
const SILENCE: Duration = Duration::from_secs(20);

/// The same where the planted fault is to hang.
const SHORT_SILENCE: Duration = Duration::from_secs(2);

/// Answer every access as a hostile peer might, and do to a segment's file what one can
///
/// Each operation of the ring, the seqlock, the latch and the roles is run over a memory whose
/// every load, and every read of a slot, gives what an adversary chose: first each value at a
/// boundary at each access, then random ones. The structures lie between pages that nobody may
/// touch. Then segments: headers changed bit by bit and while they are read, files truncated,
/// punched, replaced or of the wrong type, and a peer that scribbles over everything shared.
/// Nothing may panic, hang or reach outside the segment. Planted faults show that each of these
/// would be noticed.
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  ringproof-stress hostile
      everything, in seconds
  ringproof-stress hostile --only ring/push --cases 100000
      one operation, with more random answers
  ringproof-stress hostile --only ring/push:17
      one case of it
  ringproof-stress hostile --plant trust-index
      with a fault planted: this one must fail
  ringproof-stress hostile --write-corpus stress/corpus
      writes the boundary cases for a fuzzer to begin with")]
pub(crate) struct Options {
    /// What the random answers and contents follow from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many random cases to try of each subject, after those at the boundaries
    #[arg(long, default_value_t = 2000, value_name = "N")]
    pub(crate) cases: u64,
    /// Only this subject or case
    #[arg(long, value_name = "SUBJECT[:CASE]")]
    pub(crate) only: Option<Address>,
    /// Plant this fault in the subject that must catch it
    #[arg(long, value_name = "FAULT")]
    pub(crate) plant: Option<Plant>,
    /// Write the fuzzing corpus to this directory, and do nothing else
    #[arg(long, value_name = "DIR")]
    pub(crate) write_corpus: Option<PathBuf>,
}

/// What one worker runs.
struct Job {
    /// Its place among the subjects.
    subject: usize,
    plant: Option<Plant>,
}

/// What came of it.
#[derive(Default)]
struct Outcome {
    cases: u64,
    /// Answers given, by site.
    answers: BTreeMap<String, u64>,
    /// What could not be tried, and why.
    skipped: Vec<(String, String)>,
    violation: Option<Violation>,
}

/// A job that is under way.
struct Running {
    job: usize,
    child: Child,
    outcome: Outcome,
    /// The case that it tries.
    trying: String,
    heard: Instant,
    silence: Duration,
}

/// Runs the layer; the rows, in an order that depends on nothing.
pub(crate) fn run(options: &Options) -> Result<Vec<Record>> {
    if let Some(directory) = &options.write_corpus {
        fuzz::write_corpus(directory)?;
        return Ok(Vec::new());
    }
    let start = Instant::now();
    let alone = SingleThreaded::check()?;
    let interrupts = Interrupts::catch()?;
    let prefix = Prefix::new(LAYER);
    let subjects = subjects();
    let jobs = jobs(options, &subjects);
    if let (Some(plant), []) = (options.plant, &jobs[..]) {
        bail!("this fault is planted in {} alone", plant.subject());
    }
    let outcomes = run_jobs(options, &subjects, &jobs, alone, &interrupts, &prefix)?;

    let cases: u64 = outcomes.iter().map(|outcome| outcome.cases).sum();
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("hostile: {cases} cases in {seconds:.1} s");

    // The planted faults are the last jobs.
    let plain = jobs.iter().take_while(|job| job.plant == options.plant);
    let (plain, planted) = outcomes.split_at(plain.count());
    let all = options.only.is_none() && options.plant.is_none();
    let mut rows = site_rows(options, plain, all);
    for (job, outcome) in jobs.iter().zip(plain) {
        let subject = &subjects[job.subject];
        rows.push(subject_row(options, subject, outcome));
        for (what, why) in &outcome.skipped {
            let row = Record::not_run(LAYER, subject.name, what, why);
            rows.push(row.repeat(command(options, Some(subject.name))));
        }
    }
    for (job, outcome) in jobs[plain.len()..].iter().zip(planted) {
        let subject = &subjects[job.subject];
        rows.extend((job.plant).map(|plant| plant_row(options, subject, plant, outcome)));
    }
    rows.push(prefix.judge(LAYER)?.repeat(command(options, None)));
    Ok(rows)
}

/// One job for each subject, and one for each planted fault.
fn jobs(options: &Options, subjects: &[Subject]) -> Vec<Job> {
    let chosen = |subject: &Subject| {
        (options.only.as_ref()).is_none_or(|only| only.subject == subject.name)
            && (options.plant).is_none_or(|plant| plant.subject() == subject.name)
    };
    let numbered = subjects.iter().enumerate();
    let mut jobs: Vec<_> = numbered
        .clone()
        .filter(|(_, subject)| chosen(subject))
        .map(|(number, _)| Job {
            subject: number,
            plant: options.plant,
        })
        .collect();
    if options.only.is_none() && options.plant.is_none() {
        for plant in Plant::value_variants() {
            let at = numbered.clone().find(|(_, s)| s.name == plant.subject());
            jobs.extend(at.map(|(number, _)| Job {
                subject: number,
                plant: Some(*plant),
            }));
        }
    }
    jobs
}

fn run_jobs(
    options: &Options,
    subjects: &[Subject],
    jobs: &[Job],
    alone: SingleThreaded,
    interrupts: &Interrupts,
    prefix: &Prefix,
) -> Result<Vec<Outcome>> {
    let width = std::thread::available_parallelism().map_or(1, usize::from);
    let mut outcomes: Vec<Outcome> = jobs.iter().map(|_| Outcome::default()).collect();
    let mut waiting = 0..jobs.len();
    let mut running: Vec<Running> = Vec::new();
    loop {
        while running.len() < width {
            let Some(number) = waiting.next() else {
                break;
            };
            let job = &jobs[number];
            let names = format!("{prefix}{number}-");
            let child = start(options, &subjects[job.subject], job.plant, alone, &names)?;
            running.push(Running {
                job: number,
                child,
                outcome: Outcome::default(),
                trying: subjects[job.subject].name.to_owned(),
                heard: Instant::now(),
                silence: match job.plant {
                    Some(Plant::BlockingOpen) => SHORT_SILENCE,
                    _ => SILENCE,
                },
            });
        }
        if running.is_empty() {
            return Ok(outcomes);
        }
        let deadlines = running.iter().map(|worker| worker.heard + worker.silence);
        let deadline = deadlines.min().unwrap_or_else(Instant::now);
        let mut files = vec![interrupts.as_fd()];
        files.extend(running.iter().map(|worker| worker.child.as_fd()));
        wait_readable(&files, deadline)?;
        interrupts.check()?;

        let mut still = Vec::new();
        for mut worker in running {
            if worker.listen()? {
                still.push(worker);
            } else {
                let job = &jobs[worker.job];
                progress(&subjects[job.subject], job.plant, &worker.outcome);
                if job.plant.is_some() {
                    // Who was ended in the middle of something could not tidy up.
                    prefix.forgive(&format!("{}-", worker.job))?;
                }
                outcomes[worker.job] = worker.outcome;
            }
        }
        running = still;
    }
}

fn start(
    options: &Options,
    subject: &Subject,
    plant: Option<Plant>,
    alone: SingleThreaded,
    names: &str,
) -> Result<Child> {
    let what = format!("the worker for {}", subject.name);
    Child::fork(what, alone, |ledger| {
        // Signals for wrong accesses are expected of planted faults, and an image of each is not.
        setrlimit(Resource::RLIMIT_CORE, 0, 0).context("cannot forgo core files")?;
        let mut bench = Bench::new(alone, ledger, subject.name, names);
        bench.seed = options.seed;
        bench.cases = options.cases;
        bench.only = options.only.as_ref().and_then(|only| only.case);
        bench.plant = plant;
        let outcome = (subject.run)(&bench);
        bench.tell();
        outcome
    })
}

impl Running {
    /// Takes in what the worker told; false when it is over.
    fn listen(&mut self) -> Result<bool> {
        let Some(notes) = self.child.hear()? else {
            let why = match self.child.status(Instant::now() + SILENCE)? {
                WaitStatus::Signaled(_, signal, _) => format!("it was ended by {signal}"),
                other => format!("it ended: {other:?}"),
            };
            self.give_up(&why);
            return Ok(false);
        };
        if !notes.is_empty() {
            self.heard = Instant::now();
        } else if self.heard.elapsed() >= self.silence {
            self.give_up(&format!(
                "no sign of life for {} s: it hangs",
                self.silence.as_secs_f64()
            ));
            return Ok(false);
        }
        for note in notes {
            match note {
                Note::Trying(address) => {
                    self.trying = address;
                    self.outcome.cases += 1;
                }
                Note::Answered { site, answers } => {
                    *self.outcome.answers.entry(site).or_default() += answers;
                }
                Note::Skipped { what, why } => self.outcome.skipped.push((what, why)),
                Note::Failed(error) => {
                    self.give_up(&error);
                    return Ok(false);
                }
                Note::Done => {
                    self.child.reap(Instant::now() + SILENCE)?;
                    return Ok(false);
                }
                other => bail!("a worker told what another kind of process tells: {other:?}"),
            }
        }
        Ok(true)
    }

    /// The end of a worker that did not come to its own.
    fn give_up(&mut self, why: &str) {
        let address = self.trying.clone();
        self.outcome.violation = Some(Violation {
            what: format!("{address}: {why}"),
            address,
            site: None,
            fate: None,
        });
    }
}

/// One line about a job that is over.
fn progress(subject: &Subject, plant: Option<Plant>, outcome: &Outcome) {
    let what = match plant {
        Some(plant) => format!("planted fault: {}", plant.describe()),
        None => subject.name.to_owned(),
    };
    eprintln!("hostile: {what}: {} cases", outcome.cases);
    if let Some(violation) = &outcome.violation {
        eprintln!("hostile:   {}", violation.what);
    }
}

fn command(options: &Options, only: Option<&str>) -> String {
    let mut command = format!(
        "cargo run -p ringproof-stress -- hostile --seed {} --cases {}",
        options.seed, options.cases
    );
    if let Some(only) = only {
        command += &format!(" --only {only}");
    }
    if let Some(name) = options.plant.and_then(|plant| plant.to_possible_value()) {
        command += &format!(" --plant {}", name.get_name());
    }
    command
}

/// A row for each site at which something is answered. One that nothing was answered at has
/// failed if all were to be tried.
fn site_rows(options: &Options, outcomes: &[Outcome], all: bool) -> Vec<Record> {
    let loads = LoadSite::ALL.iter().copied().map(Site::from);
    let sites = loads.chain(SlotReadSite::ALL.iter().copied().map(Site::from));
    let mut rows = Vec::new();
    for site in sites {
        let name = site.info().name;
        let check = "chosen answers";
        let answers: u64 = outcomes.iter().filter_map(|o| o.answers.get(name)).sum();
        let row = match answers {
            0 if !all => continue,
            0 => Record::failed(
                LAYER,
                name,
                check,
                "no operation that this layer runs, and that lived to tell, was answered at this site",
            ),
            _ => Record::passed(LAYER, name, check).count(answers, "answers"),
        };
        rows.push(row.repeat(command(options, None)));
    }
    rows
}

/// What to pass to `--only` to see a violation again.
fn again<'a>(subject: &Subject, violation: &'a Violation) -> &'a str {
    match violation.address.split_once(':') {
        Some((whole, _)) if subject.races => whole,
        _ => &violation.address,
    }
}

fn subject_row(options: &Options, subject: &Subject, outcome: &Outcome) -> Record {
    let Subject { name, check, .. } = subject;
    let only = (options.only.as_ref()).map_or_else(|| (*name).to_owned(), Address::to_string);
    let row = match &outcome.violation {
        Some(violation) => Record::failed(LAYER, *name, *check, &violation.what)
            .repeat(command(options, Some(again(subject, violation)))),
        None if outcome.cases == 0 => Record::failed(LAYER, *name, *check, "it has no such case")
            .repeat(command(options, Some(&only))),
        None => Record::passed(LAYER, *name, *check).repeat(command(options, Some(&only))),
    };
    row.count(outcome.cases, "cases")
}

/// A planted fault passes when it was caught.
fn plant_row(options: &Options, subject: &Subject, plant: Plant, outcome: &Outcome) -> Record {
    let check = format!("planted fault: {}", plant.describe());
    let planted = Options {
        plant: Some(plant),
        only: None,
        write_corpus: None,
        ..*options
    };
    match &outcome.violation {
        Some(violation) => Record::passed(LAYER, subject.name, check)
            .repeat(command(&planted, Some(again(subject, violation)))),
        None => Record::failed(
            LAYER,
            subject.name,
            check,
            "the planted fault was not noticed",
        )
        .repeat(command(&planted, None)),
    }
    .count(outcome.cases, "cases until caught")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringproof_record::Verdict;

    const OPTIONS: Options = Options {
        seed: 4,
        cases: 9,
        only: None,
        plant: None,
        write_corpus: None,
    };

    #[test]
    fn a_site_without_an_answer_has_failed() {
        let mut outcome = Outcome::default();
        outcome.answers.insert("RingReclaim".to_owned(), 3);
        let rows = site_rows(&OPTIONS, &[outcome], true);
        assert_eq!(rows.len(), LoadSite::ALL.len() + SlotReadSite::ALL.len());
        let passed: Vec<_> = (rows.iter())
            .filter(|row| row.verdict == Verdict::Passed)
            .map(|row| (row.subject.as_str(), row.count))
            .collect();
        assert_eq!(passed, [("RingReclaim", Some(3))]);
    }

    #[test]
    fn a_subject_without_a_case_has_failed() {
        let row = subject_row(&OPTIONS, &subjects()[0], &Outcome::default());
        assert_eq!(row.verdict, Verdict::Failed);
    }

    #[test]
    fn a_planted_fault_that_nobody_notices_has_failed() {
        let nothing = Outcome::default();
        let row = plant_row(&OPTIONS, &subjects()[1], Plant::TrustIndex, &nothing);
        assert_eq!(row.verdict, Verdict::Failed);
        assert!(row.repeat.unwrap().ends_with("--plant trust-index"));
    }
}
