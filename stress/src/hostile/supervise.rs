//! Gives each subject a worker process, and turns what they tell into rows.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use ringproof::site::{LoadSite, Site, SlotReadSite};
use ringproof_record::Record;

use super::bench::Bench;
use super::plant::Plant;
use super::{Address, Subject, fuzz, subjects};
use crate::cli::CommandLine;
use crate::process::{Child, Interrupts, Note, SingleThreaded, Violation, short_patience, silence};
use crate::shm::Prefix;
use crate::workers::{self, Jobs};

const LAYER: &str = "hostile";

/// Answer every access as a hostile peer might, and do to a segment's file what one can
///
/// Each operation of the ring, the seqlock, the latch and the roles is run over a memory whose
/// every load, and every read of a slot, gives what an adversary chose: first each value at a
/// boundary at each access, then random ones. The structures lie between pages that nobody may
/// touch. Then segments: headers changed bit by bit and while they are read, descriptions of the
/// payload that say anything, also to the C header and to `ringproof inspect`, files truncated,
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
    #[command(flatten)]
    pub(crate) command_line: CommandLine,
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

impl Outcome {
    /// Whether nothing could be tried here, and it is told why.
    fn is_skipped(&self) -> bool {
        self.cases == 0 && self.violation.is_none() && !self.skipped.is_empty()
    }
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
    let work = Work {
        options,
        subjects: &subjects,
        jobs: &jobs,
        alone,
        prefix: &prefix,
    };
    let outcomes = workers::run(&work, &interrupts)?;

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
        if !outcome.is_skipped() {
            rows.push(subject_row(options, subject, outcome));
        }
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

/// The jobs, with what their workers need.
struct Work<'a> {
    options: &'a Options,
    subjects: &'a [Subject],
    jobs: &'a [Job],
    alone: SingleThreaded,
    prefix: &'a Prefix,
}

impl Work<'_> {
    fn subject(&self, job: usize) -> &Subject {
        &self.subjects[self.jobs[job].subject]
    }
}

impl Jobs for Work<'_> {
    type Outcome = Outcome;

    fn count(&self) -> usize {
        self.jobs.len()
    }

    fn address(&self, job: usize) -> String {
        self.subject(job).name.to_owned()
    }

    fn start(&self, job: usize) -> Result<Child> {
        let (options, subject) = (self.options, self.subject(job));
        let what = format!("the worker for {}", subject.name);
        Child::fork(what, self.alone, |ledger| {
            let names = format!("{}{job}-", self.prefix);
            let mut bench = Bench::new(self.alone, ledger, subject.name, &names);
            bench.seed = options.seed;
            bench.cases = options.cases;
            bench.only = options.only.as_ref().and_then(|only| only.case);
            bench.plant = self.jobs[job].plant;
            bench.command_line = options.command_line.clone();
            let outcome = (subject.run)(&bench);
            bench.tell();
            outcome
        })
    }

    fn patience(&self, job: usize, so_far: &Outcome) -> Duration {
        match self.jobs[job].plant {
            // It hangs in its first case.
            Some(Plant::BlockingOpen) if so_far.cases > 0 => short_patience(),
            _ => silence(),
        }
    }

    fn take_in(&self, outcome: &mut Outcome, note: Note) -> Result<()> {
        match note {
            Note::Trying(_) => outcome.cases += 1,
            Note::Answered { site, answers } => {
                *outcome.answers.entry(site).or_default() += answers;
            }
            Note::Skipped { what, why } => outcome.skipped.push((what, why)),
            other => bail!("a worker told what is not for its like to tell: {other:?}"),
        }
        Ok(())
    }

    fn give_up(&self, outcome: &mut Outcome, violation: Violation) {
        outcome.violation = Some(violation);
    }

    fn over(&self, job: usize, outcome: &Outcome) -> Result<()> {
        let plant = self.jobs[job].plant;
        progress(self.subject(job), plant, outcome);
        if plant.is_some() {
            // Who was ended in the middle of something could not tidy up.
            self.prefix.forgive(&format!("{job}-"))?;
        }
        Ok(())
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
        command_line: CommandLine::default(),
        ..*options
    };
    if let (true, Some((_, why))) = (outcome.is_skipped(), outcome.skipped.first()) {
        return Record::not_run(LAYER, subject.name, check, why).repeat(command(&planted, None));
    }
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
        command_line: CommandLine { cli: None },
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
    fn what_cannot_be_tried_here_is_not_run_and_says_why() {
        let outcome = Outcome {
            skipped: vec![("the C header".to_owned(), "no compiler".to_owned())],
            ..Outcome::default()
        };
        assert!(outcome.is_skipped());
        let row = plant_row(&OPTIONS, &subjects()[1], Plant::TrustIndex, &outcome);
        assert_eq!(row.verdict, Verdict::NotRun);
        assert_eq!(row.reason.as_deref(), Some("no compiler"));
    }

    #[test]
    fn a_planted_fault_that_nobody_notices_has_failed() {
        let nothing = Outcome::default();
        let row = plant_row(&OPTIONS, &subjects()[1], Plant::TrustIndex, &nothing);
        assert_eq!(row.verdict, Verdict::Failed);
        assert!(row.repeat.unwrap().ends_with("--plant trust-index"));
    }
}
