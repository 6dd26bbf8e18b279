//! The long scenarios as rows of the report: each sampled with every [`Strategy`], and every
//! injected fault with three of them.

mod saved;

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringproof_record::Record;

pub use self::saved::Saved;
use crate::change::{Change, Table};
use crate::engine::shuttle::{self, Sample, Shuttle, Strategy};
use crate::engine::{Body, Engine};
use crate::exploration::in_parallel;
use crate::quiet;
use crate::run::{Run, Totals};
use crate::scenario::{self, Scenario, long};

/// How much of each scenario is sampled with each strategy.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Steps: a schedule of a long scenario has some thousands.
    pub steps: u64,
    /// Where random choices start from.
    pub seed: u64,
}

/// Where schedules are written if nothing else is said: in the target directory that holds this
/// program, which cargo marks as a cache; the current one if there is none.
pub fn default_directory() -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    let target = (program.ancestors()).find(|folder| folder.join("CACHEDIR.TAG").is_file());
    target.unwrap_or(Path::new("")).join("ringproof-models")
}

/// With which strategies injected faults must be found. (PCT without a change point, and with
/// more than it needs, is for the controls.)
const FOR_FAULTS: [Strategy; 3] = [Strategy::Random, Strategy::Pct(3), Strategy::Urw];

/// What a sample found.
struct Sampled {
    outcome: Result<Sample, Saved>,
    totals: Totals,
    /// How many schedules were begun.
    schedules: u64,
    took: Duration,
}

/// Long scenarios, sampled: first the controls, then the injected faults in those of them that
/// access the site. `progress` is called with each row as it is there; the schedule of a control
/// that fails is written to `directory`.
pub fn run(
    scenarios: &[Scenario],
    budget: Budget,
    directory: &Path,
    progress: &(dyn Fn(&Record) + Sync),
) -> Vec<Record> {
    let pairs: Vec<_> = (scenarios.iter())
        .flat_map(|scenario| Strategy::ALL.map(|strategy| (scenario, strategy)))
        .collect();
    let controls = in_parallel(Shuttle::at_once(), &pairs, |&(scenario, strategy)| {
        let sampled = sample(scenario, strategy, None, budget);
        let rows = judge_control(scenario, strategy, &sampled, budget, directory);
        rows.iter().for_each(progress);
        (sampled, rows)
    });
    let accessing = |change: Change| -> Vec<_> {
        let held = |(sampled, _): &(Sampled, _)| {
            sampled.outcome.is_ok() && sampled.totals.sites.contains(&change.site())
        };
        (scenarios.iter())
            .zip(controls.chunks(Strategy::ALL.len()))
            .filter(|(_, controls)| controls.iter().all(held))
            .map(|(scenario, _)| scenario)
            .collect()
    };
    let faults: Vec<_> = (Change::planted().into_iter())
        .map(|change| (change, accessing(change)))
        .filter(|(_, scenarios)| !scenarios.is_empty())
        .flat_map(|(change, scenarios)| {
            FOR_FAULTS.map(|strategy| (change, strategy, scenarios.clone()))
        })
        .collect();
    let faults = in_parallel(
        Shuttle::at_once(),
        &faults,
        |(change, strategy, scenarios)| {
            let row = judge_fault(*change, *strategy, scenarios, budget);
            progress(&row);
            row
        },
    );
    let controls = controls.into_iter().flat_map(|(_, rows)| rows);
    controls.chain(faults).collect()
}

/// One long scenario with one strategy or all of them, unchanged or with one change, as its
/// `repeat` command runs it. The schedule of a failure is written to `directory`.
///
/// # Errors
/// There is no scenario of this name.
pub fn run_one(
    name: &str,
    strategy: Option<Strategy>,
    change: Option<Change>,
    budget: Budget,
    directory: &Path,
) -> Result<Vec<Record>, String> {
    let scenario = scenario::find(name, &long::inventory())?;
    let strategies = strategy.map_or(Strategy::ALL.to_vec(), |only| vec![only]);
    let rows = in_parallel(Shuttle::at_once(), &strategies, |&strategy| match change {
        None => {
            let sampled = sample(&scenario, strategy, None, budget);
            judge_control(&scenario, strategy, &sampled, budget, directory)
        }
        Some(change) => {
            let sampled = sample(&scenario, strategy, Some(change), budget);
            let check = check_of(change, strategy);
            let row = match &sampled.outcome {
                Err(saved) => Record::passed(Shuttle::NAME, name, check)
                    .reason(format!("killed: {}", write(saved, directory))),
                Ok(_) => Record::failed(Shuttle::NAME, name, check, "survived"),
            };
            vec![row.count(sampled.schedules, Shuttle::UNIT)]
        }
    });
    Ok(rows.into_iter().flatten().collect())
}

/// Repeats the schedule in `path`, step by step. The row says whether the finding is the saved
/// one; for an unchanged scenario any finding is a failure.
///
/// # Errors
/// A sentence, where the file cannot be read, is no such file, or is one of another version or of
/// a scenario that does not exist.
pub fn replay(path: &Path) -> Result<Record, String> {
    let saved = Saved::read(path)?;
    let scenarios = long::inventory().into_iter().chain(scenario::inventory());
    let scenarios: Vec<_> = scenarios.chain(scenario::night()).collect();
    let scenario = scenario::find(&saved.scenario, &scenarios)
        .map_err(|problem| format!("`{}`: {problem}", path.display()))?;
    let run = Run::new(Table::with(saved.change), saved.crash_point);
    let (body, seen) = (scenario.body, Arc::clone(&run));
    let replayed: Body = Arc::new(move || body(&seen));
    let outcome = quiet::catch(|| shuttle::replay(&saved.tasks, &run, &replayed));
    let (again, reason) = match outcome {
        Err(finding) if finding == saved.finding => (true, finding),
        Err(finding) => (true, format!("{finding}; when saved: {}", saved.finding)),
        Ok(true) => (false, format!("holds; when saved: {}", saved.finding)),
        Ok(false) => {
            let problem = "the program has changed: it no longer makes these steps";
            (false, format!("{problem}; when saved: {}", saved.finding))
        }
    };
    // An injected fault is there to be found.
    let row = match again == saved.change.is_some() {
        true => Record::passed(Shuttle::NAME, scenario.name, "replay").reason(reason),
        false => Record::failed(Shuttle::NAME, scenario.name, "replay", reason),
    };
    Ok(row.count(1, Shuttle::UNIT))
}

fn sample(
    scenario: &Scenario,
    strategy: Strategy,
    change: Option<Change>,
    budget: Budget,
) -> Sampled {
    let run = Run::new(Table::with(change), None);
    let (body, seen) = (scenario.body, Arc::clone(&run));
    let start = Instant::now();
    let outcome = quiet::catch(|| {
        let body: Body = Arc::new(move || body(&seen));
        shuttle::sample(strategy, budget.seed, budget.steps, &run, &body)
    });
    Sampled {
        took: start.elapsed(),
        totals: run.totals(),
        schedules: run.executions(),
        outcome: outcome.map_err(|finding| Saved {
            scenario: scenario.name.to_owned(),
            change,
            // What the long scenarios leave to chance goes by the number of the execution.
            crash_point: Some(run.executions()),
            finding,
            tasks: shuttle::last_schedule(),
        }),
    }
}

/// What was found, and where its schedule is now.
fn write(saved: &Saved, directory: &Path) -> String {
    let finding = &saved.finding;
    match saved.write(directory) {
        Ok(path) => format!("{finding}; --replay '{}' repeats it", path.display()),
        Err(problem) => format!("{finding}; its schedule is lost: {problem}"),
    }
}

/// The rows of a control: that it held, and what the random strategy witnessed.
fn judge_control(
    scenario: &Scenario,
    strategy: Strategy,
    sampled: &Sampled,
    budget: Budget,
    directory: &Path,
) -> Vec<Record> {
    let repeat = repeat(scenario.name, strategy, None, budget);
    let name = strategy.to_string();
    let control = match &sampled.outcome {
        Ok(sample) => Record::passed(Shuttle::NAME, scenario.name, name).reason(describe(
            strategy,
            sample,
            budget,
            sampled.took,
        )),
        Err(saved) => Record::failed(Shuttle::NAME, scenario.name, name, write(saved, directory)),
    };
    let mut rows = vec![
        control
            .count(sampled.schedules, Shuttle::UNIT)
            .repeat(&repeat),
    ];
    if sampled.outcome.is_err() || strategy != Strategy::Random {
        return rows;
    }
    for &witness in scenario.witnesses {
        let check = format!("witness: {witness}");
        let count = sampled.totals.witnessed.get(witness).copied().unwrap_or(0);
        let row = match count {
            0 => Record::failed(Shuttle::NAME, scenario.name, check, "never witnessed"),
            _ => Record::passed(Shuttle::NAME, scenario.name, check),
        };
        rows.push(row.count(count, "times").repeat(&repeat));
    }
    rows
}

/// Tries the scenarios that access the changed site, until one fails.
fn judge_fault(
    change: Change,
    strategy: Strategy,
    scenarios: &[&Scenario],
    budget: Budget,
) -> Record {
    let site = change.site().to_string();
    let check = check_of(change, strategy);
    let mut schedules = 0;
    for scenario in scenarios {
        let sampled = sample(scenario, strategy, Some(change), budget);
        if let Err(saved) = &sampled.outcome {
            let finding = &saved.finding;
            return Record::passed(Shuttle::NAME, site, check)
                .count(sampled.schedules, Shuttle::UNIT)
                .reason(format!("killed in {}: {finding}", scenario.name))
                .repeat(repeat(scenario.name, strategy, Some(change), budget));
        }
        schedules += sampled.schedules;
    }
    let names: Vec<_> = scenarios.iter().map(|scenario| scenario.name).collect();
    let reason = format!("survived in {}", names.join(", "));
    Record::failed(Shuttle::NAME, site, check, reason).count(schedules, Shuttle::UNIT)
}

fn check_of(change: Change, strategy: Strategy) -> String {
    format!("planted fault: {}, long, {strategy}", change.to())
}

/// What the schedules of a sample were, how fast they were made, what they are worth.
fn describe(strategy: Strategy, sample: &Sample, budget: Budget, took: Duration) -> String {
    let per_second = sample.schedules as f64 / took.as_secs_f64();
    let mut text = format!(
        "seed {}, {} threads, {} steps per schedule, {per_second:.0} schedules per second",
        budget.seed,
        sample.threads,
        sample.steps / sample.schedules.max(1),
    );
    if let Strategy::Pct(depth) = strategy {
        let (one, all) = sample.pct_bound(depth);
        text += &format!(
            "; a bug of depth {depth} is found with probability at least \
             1/({} * {}^{}) = {one:.1e} in each, {all:.1e} in the {} of known length together",
            sample.threads,
            sample.choices,
            depth - 1,
            sample.informed,
        );
        if sample.yields > 0 {
            let yields = sample.yields / sample.schedules.max(1);
            text += &format!(", were it not for {yields} yields in each");
        }
    }
    text
}

fn repeat(scenario: &str, strategy: Strategy, change: Option<Change>, budget: Budget) -> String {
    let change = change.map_or(String::new(), |change| format!(" --change '{change}'"));
    format!(
        "cargo run -p ringproof-models --features shuttle -- shuttle --only '{scenario}'{change} \
         --strategy '{strategy}' --steps {} --seed {}",
        budget.steps, budget.seed
    )
}
