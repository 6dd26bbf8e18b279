//! What operations cost without contention.

use super::{ELSEWHERE, NS, Outcome, alone_sampled, note};
use crate::comparison::{Comparison, Line};
use crate::cpus::Pair;
use crate::operations::{FENCE, LOAD, LOOP, OPERATIONS, Operation, PER_TURN, SYSTEM_CALL};
use crate::report::{Report, Trouble};
use crate::run::{Settings, fit, measure_each};
use crate::stats::Effect;
use crate::table::spread;
use crate::together::alone;

/// The subject of its rows.
pub(super) const SUBJECT: &str = "machine/uncontended cost";

/// Measures every operation in one thread.
pub(super) fn run(settings: &Settings, pair: Pair, report: &mut Report) -> Outcome {
    // For each operation how many turns are a sample, or why it cannot be measured.
    let mut sizes = Vec::new();
    for operation in OPERATIONS {
        let turns = alone(pair, || fit(1, settings.sample, operation.time));
        sizes.push(match turns {
            Err(Trouble::NotRun(why)) => Err(why),
            turns => Ok(turns?),
        });
    }
    let sized = OPERATIONS.iter().zip(&sizes);
    let possible = sized.filter_map(|(operation, turns)| Some((operation, *turns.as_ref().ok()?)));
    let possible: Vec<(&Operation, u64)> = possible.collect();
    let name = "uncontended costs";
    let rounds = measure_each(name, possible.len(), Some(pair), settings, |case| {
        let (operation, turns) = possible[case];
        alone_sampled(pair, || {
            let took = (operation.time)(turns)?;
            Ok(took.as_nanos() as f64 / (turns * PER_TURN) as f64)
        })
    })?;
    let latency = note(report, name, &rounds);
    let mut series = rounds.series.into_iter();
    let mut all = Comparison::new(NS, 0);
    for (operation, turns) in OPERATIONS.iter().zip(sizes) {
        all.add(
            *operation,
            vec![turns.map(|_| series.next().unwrap_or_default())],
        );
    }
    add(report, &all);
    Ok(latency)
}

/// Table, plot, conclusions and rows from the costs.
fn add(report: &mut Report, all: &Comparison<Operation>) {
    let table = (all.columns())
        .words("one thread", |of| of.name)
        .value("ns", 0)
        .figure(ELSEWHERE, |of| of.elsewhere);
    report.tables.push(table.table(format!(
        "Uncontended costs in ns, {PER_TURN} in a row in each turn of a loop, whose cost is in them"
    )));
    report.rows.extend(all.rows(0, SUBJECT, |of| of.name));
    let name = |of: &Operation, _| (of.name != LOOP).then(|| of.name.to_owned());
    report.plots.push(all.bars("Uncontended costs", "ns", name));
    let line = |name: &str| all.lines.iter().find(|line| line.of.name == name);
    for (what, unit) in [(FENCE, LOAD), (SYSTEM_CALL, FENCE)] {
        let both = line(what).zip(line(unit));
        let said = both.and_then(|(of, to)| in_units(of, to));
        report.conclusions.extend(said);
    }
}

/// One cost expressed in another.
fn in_units(of: &Line<Operation>, to: &Line<Operation>) -> Option<String> {
    let (cost, ratio) = (spread(of.value(0).ok()?), of.against(to, 0)?);
    let (what, unit) = (of.of.name, to.of.name);
    let said = match ratio.effect {
        Effect::Above => format!("{} times as long as a {unit}", spread(ratio.of)),
        Effect::None => format!("no longer than a {unit} within the noise"),
        Effect::Below => format!("less than a {unit}"),
        Effect::TooFewRounds => {
            format!("too few rounds to say how much longer than a {unit} that is")
        }
    };
    Some(format!("A {what} takes {cost} ns: {said}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::omits;

    fn recorded(load: [f64; 5], fence: Result<[f64; 5], String>) -> Report {
        let mut all = Comparison::new(NS, 0);
        for (name, series) in [(LOAD, Ok(load)), (FENCE, fence)] {
            let operation = OPERATIONS
                .into_iter()
                .find(|operation| operation.name == name);
            all.add(operation.unwrap(), vec![series.map(Vec::from)]);
        }
        Report::recorded(|report| add(report, &all))
    }

    #[test]
    fn a_fence_is_expressed_in_loads() {
        let report = recorded(
            [0.3, 0.6, 0.3, 0.31, 0.3],
            // The machine was twice as slow in the second round: the ratio does not see it.
            Ok([6.0, 12.0, 6.3, 6.2, 5.7]),
        );
        report.concludes([&["20.0 [19.0–21.0] times as long as a load"]]);
        assert_eq!(report.rows[1].count, Some(6200), "{:?}", report.rows);
        assert_eq!(report.rows[1].unit.as_deref(), Some("ps"));
    }

    #[test]
    fn a_fence_that_costs_nothing_more_is_not_said_to() {
        let report = recorded([0.3; 5], Ok([0.31, 0.29, 0.3, 0.3, 0.3]));
        report.concludes([&["no longer than a load"]]);
        omits(&report.conclusions[0], &["times"]);
    }

    #[test]
    fn what_could_not_be_measured_says_why_and_nothing_follows_from_it() {
        let report = recorded([0.3; 5], Err("it is refused".to_owned()));
        assert_eq!(report.tables[0].reasons(), ["it is refused"]);
        assert_eq!(report.rows[1].count, None);
        assert!(report.conclusions.is_empty(), "{:?}", report.conclusions);
    }
}
