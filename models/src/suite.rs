//! The suite: every scenario as a control, every change as a mutant, as rows of the report.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ringproof::site::Site;
use ringproof_record::{Record, SiteRow};

use crate::change::Change;
use crate::engine::{Engine, Locks};
use crate::exploration::{Effort, Explored, Failure, explore};
use crate::scenario::{Scenario, inventory};

/// The whole suite of an engine; `progress` is called with each row as it is there.
pub fn run<E: Locks>(effort: Effort, progress: &(dyn Fn(&Record) + Sync)) -> Vec<Record> {
    let scenarios = inventory::<E>();
    let controls = in_parallel(&scenarios, |scenario| {
        let (explored, rows) = control(scenario, effort);
        rows.iter().for_each(progress);
        (explored, rows)
    });
    let by_site = (scenarios.iter().zip(&controls))
        .map(|(scenario, (explored, _))| (scenario, explored))
        .collect::<Vec<_>>();

    let mut changes = Change::planted().to_vec();
    if E::WEAK {
        changes.extend(Change::weaker());
    }
    let mutants = in_parallel(&changes, |&change| {
        let row = judge_mutant(&by_site, change, effort);
        progress(&row);
        row
    });
    let sites: Vec<_> = Site::all().map(|site| judge_site(&by_site, site)).collect();
    sites.iter().for_each(progress);

    let rows = controls.into_iter().flat_map(|(_, rows)| rows);
    rows.chain(mutants).chain(sites).collect()
}

/// One scenario unchanged, with the rows that judge it.
pub fn control<E: Engine>(scenario: &Scenario<E>, effort: Effort) -> (Explored, Vec<Record>) {
    let explored = explore(scenario, None, effort);
    let rows = judge_control(scenario, &explored, effort);
    (explored, rows)
}

/// One scenario, unchanged or with one change, as its `repeat` command runs it.
///
/// # Errors
/// There is no scenario of this name.
pub fn run_one<E: Locks>(
    name: &str,
    change: Option<Change>,
    effort: Effort,
) -> Result<Vec<Record>, String> {
    let scenarios = inventory::<E>();
    let Some(scenario) = scenarios.iter().find(|scenario| scenario.name == name) else {
        let names: Vec<_> = scenarios.iter().map(|scenario| scenario.name).collect();
        return Err(format!(
            "no scenario `{name}`; there are: {}",
            names.join(", ")
        ));
    };
    let Some(change) = change else {
        return Ok(control(scenario, effort).1);
    };
    let explored = explore(scenario, Some(change), effort);
    Ok(vec![match &explored.outcome {
        Err(failure) => killed::<E>(change, name, explored.executions, failure),
        Ok(extent) => survived::<E>(change, explored.executions, &format!("{name}, {extent}")),
    }])
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
    scenario: &Scenario<E>,
    explored: &Explored,
    effort: Effort,
) -> Vec<Record> {
    let row = |check: &str| Record::passed(E::NAME, scenario.name, check);
    let repeat = repeat::<E>(scenario.name, None);
    let control = match &explored.outcome {
        Ok(extent) => row("control").reason(extent.to_string()),
        Err(failure) => {
            let culprits = culprits(scenario, &explored.totals.sites, effort);
            Record::failed(
                E::NAME,
                scenario.name,
                "control",
                format!("{}; {culprits}", failure.finding),
            )
        }
    };
    let mut rows = vec![
        control
            .count(explored.executions, E::UNIT)
            .repeat(repeat.clone()),
    ];
    // A failure stops the exploration: what it would have witnessed, nobody knows.
    if explored.outcome.is_err() {
        return rows;
    }
    if E::WEAK && explored.executions < scenario.minimum {
        rows.push(
            Record::failed(
                E::NAME,
                scenario.name,
                "minimum",
                format!(
                    "explored {} executions, at least {} were expected: the engine no longer sees what it saw",
                    explored.executions, scenario.minimum
                ),
            )
            .repeat(repeat.clone()),
        );
    }
    for &witness in scenario.witnesses {
        let check = format!("witness: {witness}");
        let count = explored.totals.witnessed.get(witness).copied().unwrap_or(0);
        let verdict = match count {
            0 => Record::failed(E::NAME, scenario.name, check, "never witnessed"),
            _ => row(&check),
        };
        rows.push(verdict.count(count, "times").repeat(repeat.clone()));
    }
    for &outcome in explored.totals.witnessed.keys() {
        if !scenario.witnesses.contains(&outcome) {
            rows.push(
                row(&format!("also witnessed: {outcome}"))
                    .count(explored.totals.witnessed[outcome], "times"),
            );
        }
    }
    rows
}

/// Which single strengthening of a site would make a failed control pass.
fn culprits<E: Engine>(scenario: &Scenario<E>, sites: &[Site], effort: Effort) -> String {
    if !E::WEAK {
        return "not a matter of ordering: this engine is sequentially consistent".to_owned();
    }
    let mends = |&change: &Change| explore(scenario, Some(change), effort).outcome.is_ok();
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

/// Tries the scenarios that access the changed site, the smallest first, until one fails.
fn judge_mutant<E: Engine>(
    controls: &[(&Scenario<E>, &Explored)],
    change: Change,
    effort: Effort,
) -> Record {
    let mut candidates: Vec<_> = controls
        .iter()
        .filter(|(_, control)| control.outcome.is_ok() && control.totals.sites.contains(&change.site()))
        .collect();
    candidates.sort_by_key(|(_, control)| control.executions);
    let mut executions = 0;
    for (scenario, _) in &candidates {
        let explored = explore(scenario, Some(change), effort);
        if let Err(failure) = &explored.outcome {
            return killed::<E>(change, scenario.name, explored.executions, failure);
        }
        executions += explored.executions;
    }
    let names: Vec<_> = candidates
        .iter()
        .map(|(scenario, _)| scenario.name)
        .collect();
    survived::<E>(change, executions, &names.join(", "))
}

fn check_of(change: Change) -> String {
    match change {
        Change::OneTooMany(_) | Change::LeftOut(_) => format!("planted fault: {}", change.to()),
        _ => format!("mutant: {}", change.to()),
    }
}

fn killed<E: Engine>(change: Change, scenario: &str, executions: u64, failure: &Failure) -> Record {
    Record::passed(E::NAME, change.site().to_string(), check_of(change))
        .count(executions, E::UNIT)
        .reason(format!("killed in {scenario}: {}", failure.finding))
        .repeat(repeat::<E>(scenario, Some(change)))
}

fn survived<E: Engine>(change: Change, executions: u64, where_: &str) -> Record {
    let reason = match where_ {
        "" => format!("survived: no passing scenario accesses {}", change.site()),
        _ => format!("survived in {where_}"),
    };
    Record::failed(E::NAME, change.site().to_string(), check_of(change), reason)
        .count(executions, E::UNIT)
}

/// In how many scenarios a site was accessed and held.
fn judge_site<E: Engine>(controls: &[(&Scenario<E>, &Explored)], site: Site) -> Record {
    let of = |(_, control): &&(&Scenario<E>, &Explored)| {
        control.outcome.is_ok() && control.totals.sites.contains(&site)
    };
    let scenarios: Vec<_> = controls.iter().filter(of).collect();
    let info = site.info();
    if scenarios.is_empty() {
        let reason = format!("no scenario that passes accesses {}", info.name);
        return Record::not_run(E::NAME, info.name, "control", reason);
    }
    let executions = scenarios
        .iter()
        .map(|(_, control)| control.executions)
        .sum();
    Record::passed(E::NAME, info.name, "control")
        .count(executions, E::UNIT)
        .reason(format!(
            "{} in {} scenarios",
            info.ordering,
            scenarios.len()
        ))
}

fn repeat<E: Engine>(scenario: &str, change: Option<Change>) -> String {
    let name = E::NAME;
    let change = change.map_or(String::new(), |change| format!(" --change '{change}'"));
    format!("cargo run -p ringproof-models --features {name} -- {name} --only '{scenario}'{change}")
}

/// Maps `work` over `items` on as many threads as there are processors, in order.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..workers.min(items.len()) {
            scope.spawn(|| {
                while let Some((number, item)) = {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    items.get(number).map(|item| (number, item))
                } {
                    let result = work(item);
                    done.lock()
                        .expect("no worker panics")
                        .push((number, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no worker panics");
    done.sort_by_key(|&(number, _)| number);
    done.into_iter().map(|(_, result)| result).collect()
}
