//! The suite: every scenario as a control, every change as a mutant, as rows of the report; and how much of it
//! a run does.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ringproof::site::Site;
pub use ringproof_record::Shard;
use ringproof_record::{Record, SiteRow, machine};

use crate::change::Change;
use crate::diagram;
use crate::engine::{Engine, Extent, for_at_most};
use crate::exploration::{Effort, Explored, explore, in_parallel, repeat};
use crate::mutants::{self, EQUIVALENT, Judge, Judgement, Tally};
use crate::oracle;
use crate::scenario::{self, Scenario, inventory, night};

/// What a run of the suite does.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How far each exploration goes.
    pub effort: Effort,
    /// Whether the large scenarios belong to it.
    pub nightly: bool,
    /// Which part of the work is this run's.
    pub shard: Shard,
}

/// The suite of an engine, or the part of it that the plan says; `progress` is called with each
/// row as it is there.
///
/// Where there is an `elsewhere`, the scenarios are explored unchanged by that: as many at once as
/// there are processors, and while the changes are judged here.
pub fn run<E: Engine>(
    plan: &Plan,
    elsewhere: Option<Explore<'_>>,
    progress: &(dyn Fn(&Record) + Sync),
) -> Vec<Record> {
    let by_day = inventory();
    let by_night = if plan.nightly { night() } else { Vec::new() };
    judge::<E>(&by_day, by_night, plan, elsewhere, progress)
}

/// The suite over these scenarios instead; what is said of the suite is then said of them.
pub fn run_over<E: Engine>(
    by_day: &[Scenario],
    by_night: Vec<Scenario>,
    plan: &Plan,
    progress: &(dyn Fn(&Record) + Sync),
) -> Vec<Record> {
    judge::<E>(by_day, by_night, plan, None, progress)
}

/// How a scenario is explored unchanged.
pub type Explore<'a> = &'a (dyn Fn(&Scenario) -> Control + Sync);

fn judge<E: Engine>(
    by_day: &[Scenario],
    by_night: Vec<Scenario>,
    plan: &Plan,
    elsewhere: Option<Explore<'_>>,
    progress: &(dyn Fn(&Record) + Sync),
) -> Vec<Record> {
    let Plan { effort, shard, .. } = *plan;
    let mut scenarios = [by_day.to_vec(), by_night].concat();
    // The largest first, so that none is left to one processor at the end; of those of the night
    // that is not known.
    scenarios.sort_by_key(|scenario| (scenario.minimum > 0, Reverse(scenario.minimum)));
    let scenarios = shard.part_of(scenarios);
    let controls = |at_once, explore: Explore<'_>| {
        in_parallel(at_once, &scenarios, |scenario| {
            let control = explore(scenario);
            control.rows.iter().for_each(progress);
            control
        })
    };
    // Changes are judged by the scenarios of every day, all of them, whoever explores those.
    let judgements = || {
        let judge = Judge::<E>::new(by_day, EQUIVALENT, effort);
        judge.judge_all(&shard.part_of(Change::mistakes()), &|judgement| {
            judgement.row::<E>().iter().for_each(progress);
        })
    };
    let (controls, judgements) = match elsewhere {
        None => {
            let here = |scenario: &Scenario| control::<E>(scenario, effort).1;
            (controls(E::at_once(), &here), judgements())
        }
        Some(explore) => thread::scope(|scope| {
            let controls = scope.spawn(|| controls(machine::parallelism(), explore));
            let judgements = judgements();
            (controls.join().expect("no worker panics"), judgements)
        }),
    };

    let mut sums = vec![Tally::of(&judgements).row::<E>()];
    // A site that this part does not access, another one does.
    sums.extend(Site::all().flat_map(|site| judge_site::<E>(&controls, site, shard)));
    sums.iter().for_each(progress);

    let changes = judgements.iter().filter_map(Judgement::row::<E>);
    let rows = controls.iter().flat_map(|control| control.rows.clone());
    rows.chain(changes).chain(sums).collect()
}

/// What came of a scenario that was explored unchanged.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// The rows that judge it.
    pub rows: Vec<Record>,
    /// Whether it held.
    pub held: bool,
    /// How many executions there were.
    pub executions: u64,
    /// Which sites were accessed.
    pub sites: Vec<Site>,
    /// Before which sites an actor died.
    pub died_at: Vec<Site>,
}

/// Explores one scenario unchanged.
pub fn control<E: Engine>(scenario: &Scenario, effort: Effort) -> (Explored, Control) {
    let explored = explore::<E>(scenario, None, effort);
    let mut rows = judge_control::<E>(scenario, &explored, effort);
    let compared = oracle::compare::<E>(scenario, None, &explored, effort.seed);
    rows.extend(compared.map(|compared| oracle::row::<E>(scenario, &compared)));
    let control = Control {
        rows,
        held: explored.outcome.is_ok(),
        executions: explored.executions,
        sites: explored.totals.sites.clone(),
        died_at: explored.totals.died_at.clone(),
    };
    (explored, control)
}

/// These scenarios unchanged, in so much time altogether. What one does not need the next ones have; one
/// for which nothing is left is not run.
pub fn run_for<E: Engine>(
    scenarios: &[Scenario],
    effort: Effort,
    long: Duration,
    progress: &(dyn Fn(&Record) + Sync),
) -> Vec<Record> {
    let end = Instant::now() + long;
    let waiting = AtomicU32::new(u32::try_from(scenarios.len()).unwrap_or(u32::MAX));
    let at_once = u32::try_from(E::at_once()).unwrap_or(1);
    let rows = in_parallel(E::at_once(), scenarios, |scenario| {
        let left = end.saturating_duration_since(Instant::now());
        let waiting = waiting.fetch_sub(1, Ordering::Relaxed);
        let mine = left * at_once.min(waiting) / waiting;
        let rows = if mine.is_zero() {
            vec![Record::not_run(
                E::NAME,
                scenario.name,
                "control",
                "the time was over",
            )]
        } else {
            for_at_most(mine, || control::<E>(scenario, effort)).1.rows
        };
        rows.iter().for_each(progress);
        rows
    });
    rows.into_iter().flatten().collect()
}

/// One scenario, of the day or the night, unchanged or with one change, as its `repeat` command
/// runs it.
///
/// # Errors
/// There is no scenario of this name.
pub fn run_one<E: Engine>(
    name: &str,
    change: Option<Change>,
    effort: Effort,
) -> Result<Vec<Record>, String> {
    let scenario = find(name)?;
    Ok(match change {
        None => control::<E>(&scenario, effort).1.rows,
        Some(change) => {
            let judgement = mutants::judge_in::<E>(&scenario, change, effort);
            judgement.row::<E>().into_iter().collect()
        }
    })
}

/// The scenario of this name, of the day or the night.
///
/// # Errors
/// There is none.
pub fn find(name: &str) -> Result<Scenario, String> {
    scenario::find(name, &[inventory(), night()].concat())
}

/// The site table, for the report.
pub fn site_rows() -> Vec<SiteRow> {
    Site::all()
        .map(|site| {
            let info = site.info();
            SiteRow {
                name: info.name.to_owned(),
                kind: info.kind.to_owned(),
                ordering: info.ordering.to_owned(),
                partner: info.partners.join(", "),
                why: info.why.to_owned(),
            }
        })
        .collect()
}

/// The rows of a control: that it held, that it was not too small, what it witnessed.
fn judge_control<E: Engine>(
    scenario: &Scenario,
    explored: &Explored,
    effort: Effort,
) -> Vec<Record> {
    let row = |check: &str| Record::passed(E::NAME, scenario.name, check);
    let repeat = repeat::<E>(scenario.name, None, effort);
    let control = match &explored.outcome {
        Ok(extent) => row("control").reason(extent.to_string()),
        Err(failure) => {
            let culprits = culprits::<E>(scenario, &explored.totals.sites, effort);
            let reason = format!("{}; {culprits}", failure.finding);
            Record::failed(E::NAME, scenario.name, "control", reason)
                .trace(diagram::render(failure, &repeat))
        }
    };
    let mut rows = vec![
        control
            .count(explored.executions, E::UNIT)
            .repeat(repeat.clone()),
    ];
    // A failure stops the exploration: what it would have witnessed, that is not known.
    if explored.outcome.is_err() {
        return rows;
    }
    if let Some(points) = explored.crash_points {
        rows.push(row("crash points").count(points, "points"));
    }
    let judged = |check: &str, wrong: Option<String>| {
        let verdict = match wrong {
            None => row(check),
            Some(reason) => Record::failed(E::NAME, scenario.name, check, reason),
        };
        verdict.repeat(repeat.clone())
    };
    if E::MINIMA && explored.executions < scenario.minimum {
        let reason = format!(
            "explored {} executions, at least {} were expected: the engine no longer sees what it saw",
            explored.executions, scenario.minimum
        );
        rows.push(judged("minimum", Some(reason)));
    }
    // What a part of the executions does not show, the others may; but then the part has to be
    // one that was expected.
    let partial = matches!(explored.outcome, Ok(Extent::Truncated(_)))
        && (scenario.minimum == 0 || !E::MINIMA);
    let times = |outcome| explored.totals.witnessed.get(outcome).copied().unwrap_or(0);
    for &witness in scenario.witnesses {
        let check = format!("witness: {witness}");
        let row = match times(witness) {
            0 if partial => {
                let reason = "not in the executions that were tried";
                Record::not_run(E::NAME, scenario.name, check, reason)
            }
            0 => judged(&check, Some("never witnessed".to_owned())),
            _ => judged(&check, None),
        };
        rows.push(row.count(times(witness), "times"));
    }
    for &outcome in explored.totals.witnessed.keys() {
        if !scenario.witnesses.contains(&outcome) {
            // An engine for which the scenario was not bounded may see more.
            let reason = "not declared: declare it, so that it is missed when it no longer appears";
            let wrong = E::MINIMA.then(|| reason.to_owned());
            let row = judged(&format!("witness: {outcome}"), wrong);
            rows.push(row.count(times(outcome), "times"));
        }
    }
    rows
}

/// Which single strengthening of a site would make a failed control pass.
fn culprits<E: Engine>(scenario: &Scenario, sites: &[Site], effort: Effort) -> String {
    if !E::WEAK {
        return "not a matter of ordering: this engine is sequentially consistent".to_owned();
    }
    let mends = |&change: &Change| explore::<E>(scenario, Some(change), effort).outcome.is_ok();
    let culprits: Vec<_> = Change::repairs()
        .into_iter()
        .filter(|change| sites.contains(&change.site()))
        .filter(mends)
        .map(|change| {
            let info = change.site().info();
            format!(
                "site {} is {} in the table, and with {} instead the model passes",
                info.name,
                info.ordering,
                change.to()
            )
        })
        .collect();
    match culprits.is_empty() {
        true => format!(
            "no single stronger site mends it; sites accessed: {}",
            sites
                .iter()
                .map(Site::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ),
        false => culprits.join("; "),
    }
}

/// In how many scenarios a site was accessed and held, and in how many somebody died there.
fn judge_site<E: Engine>(controls: &[Control], site: Site, shard: Shard) -> Vec<Record> {
    let name = site.info().name;
    let held = || controls.iter().filter(|control| control.held);
    let accessed = |control: &&Control| control.sites.contains(&site);
    let died = |control: &&Control| control.died_at.contains(&site);
    let row = |check: &str, scenarios: usize, missing: &str| {
        let row = match scenarios {
            // Another part may have one.
            0 if shard != Shard::WHOLE => return None,
            0 => Record::failed(E::NAME, name, check, missing),
            _ => {
                let reason = format!("{} in {scenarios} scenarios", site.info().ordering);
                Record::passed(E::NAME, name, check).reason(reason)
            }
        };
        Some(row)
    };
    let executions = held().filter(accessed).map(|control| control.executions);
    let control = row(
        "control",
        held().filter(accessed).count(),
        "no scenario that passes accesses it",
    );
    let deaths = held().filter(died).count();
    let crash = row(
        "crash",
        deaths,
        "in no scenario that passes an actor dies before it",
    );
    // The executions of a site are counted once: whoever adds up looks for that in its control.
    let control = control.map(|row| row.count(executions.sum(), E::UNIT));
    let crash = crash.map(|row| row.count(deaths as u64, "scenarios"));
    control.into_iter().chain(crash).collect()
}
