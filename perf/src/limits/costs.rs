//! What operations cost that nobody else wants to do at the same time.

use std::time::Duration;

use ringproof_record::Record;

use super::operations::{FENCE, LOAD, LOOP, OPERATIONS, Operation, PER_TURN, SYSTEM_CALL};
use super::{ELSEWHERE, Outcome, REPEAT, alone_sampled, note, row};
use crate::cpus::Pair;
use crate::plot::Plot;
use crate::report::{LAYER, Report, Trouble};
use crate::run::{Settings, interleaved};
use crate::stats::{Effect, effect, ratios, summarize};
use crate::table::{Cell, Table, spread};
use crate::together::alone;

/// The subject of its rows.
pub(super) const SUBJECT: &str = "machine/uncontended cost";

/// What came of one operation: nanoseconds, round by round, or why there are none.
struct Cost {
    name: &'static str,
    elsewhere: &'static str,
    series: Result<Vec<f64>, String>,
}

/// Measures every operation in one thread.
pub(super) fn run(settings: &Settings, pair: Pair, report: &mut Report) -> Outcome {
    // For each operation how many turns are a sample, or why it cannot be measured.
    let mut sizes: Vec<Result<u64, String>> = Vec::new();
    for operation in OPERATIONS {
        sizes.push(
            match alone(pair, || calibrate(operation, settings.sample)) {
                Err(Trouble::NotRun(why)) => Err(why),
                turns => Ok(turns?),
            },
        );
    }
    let possible: Vec<(Operation, u64)> = OPERATIONS
        .iter()
        .zip(&sizes)
        .filter_map(|(operation, turns)| Some((*operation, *turns.as_ref().ok()?)))
        .collect();
    let sample = |case: usize| {
        let (operation, turns) = possible[case];
        alone_sampled(pair, || {
            let took = (operation.time)(turns)?;
            Ok(took.as_nanos() as f64 / (turns * PER_TURN) as f64)
        })
    };
    let name = "uncontended costs";
    let rounds = interleaved(name, possible.len(), Some(pair), settings, sample)?;
    let latency = note(report, name, &rounds);
    let mut series = rounds.series.into_iter();
    let costs: Vec<Cost> = OPERATIONS
        .iter()
        .zip(sizes)
        .map(|(operation, turns)| Cost {
            name: operation.name,
            elsewhere: operation.elsewhere,
            series: turns.map(|_| series.next().unwrap_or_default()),
        })
        .collect();
    tell(report, &costs);
    Ok(latency)
}

/// How many turns take about as long as a sample shall.
fn calibrate(operation: Operation, sample: Duration) -> Result<u64, Trouble> {
    let mut turns = 1;
    loop {
        let took = (operation.time)(turns)?;
        if took * 8 >= sample {
            let share = sample.as_secs_f64() / took.as_secs_f64();
            return Ok(((turns as f64 * share) as u64).max(1));
        }
        turns *= 4;
    }
}

/// Tables, plot, conclusions and rows from the costs.
fn tell(report: &mut Report, costs: &[Cost]) {
    let mut table = Table::new(
        format!(
            "Uncontended costs in ns, {PER_TURN} in a row in each turn of a loop, whose cost is in \
             them"
        ),
        ["one thread", "ns", ELSEWHERE],
    );
    let mut bars = Vec::new();
    for Cost {
        name,
        elsewhere,
        series,
    } in costs
    {
        let summary = series.as_ref().map(|series| summarize(series));
        let cell = match summary {
            Ok(Some(summary)) => {
                if *name != LOOP {
                    bars.push(((*name).to_owned(), summary));
                }
                report.rows.push(row(SUBJECT, name, summary, "ps", "ns"));
                Cell::figure(spread(summary))
            }
            Ok(None) => continue,
            Err(why) => {
                let row = Record::not_run(LAYER, SUBJECT, *name, why);
                report.rows.push(row.repeat(REPEAT));
                Cell::missing(why)
            }
        };
        table.add([Cell::words(*name), cell, Cell::figure(*elsewhere)]);
    }
    report.tables.push(table);
    report.plots.push(Plot::Bars {
        title: "Uncontended costs".to_owned(),
        x: "ns".to_owned(),
        bars,
    });
    let series = |name: &str| {
        let cost = costs.iter().find(|cost| cost.name == name)?;
        cost.series.as_deref().ok()
    };
    for (what, unit) in [(FENCE, LOAD), (SYSTEM_CALL, FENCE)] {
        if let (Some(of), Some(to)) = (series(what), series(unit)) {
            report.conclusions.extend(in_units(what, of, unit, to));
        }
    }
}

/// One cost expressed in another.
fn in_units(what: &str, of: &[f64], unit: &str, to: &[f64]) -> Option<String> {
    let by_round = ratios(of, to);
    let (cost, ratio) = (summarize(of)?, summarize(&by_round)?);
    let said = match effect(&by_round) {
        Effect::Above => format!("{} times as long as a {unit}", spread(ratio)),
        Effect::None => format!("no longer than a {unit} within the noise"),
        Effect::Below => format!("less than a {unit}"),
        Effect::TooFewRounds => {
            format!("too few rounds to say how much longer than a {unit} that is")
        }
    };
    Some(format!("A {what} takes {} ns: {said}.", spread(cost)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(load: [f64; 5], fence: Result<[f64; 5], String>) -> Report {
        let cost = |name, series: Result<[f64; 5], String>| Cost {
            name,
            elsewhere: "6",
            series: series.map(Vec::from),
        };
        let mut report = Report::new("recorded");
        tell(&mut report, &[cost(LOAD, Ok(load)), cost(FENCE, fence)]);
        report
    }

    #[test]
    fn a_fence_is_expressed_in_loads() {
        let report = recorded(
            [0.3, 0.6, 0.3, 0.31, 0.3],
            // The machine was twice as slow in the second round: the ratio does not see it.
            Ok([6.0, 12.0, 6.3, 6.2, 5.7]),
        );
        let said = &report.conclusions[0];
        assert!(
            said.contains("20.0 [19.0–21.0] times as long as a load"),
            "{said}"
        );
        assert_eq!(report.rows[1].count, Some(6200), "{:?}", report.rows);
        assert_eq!(report.rows[1].unit.as_deref(), Some("ps"));
    }

    #[test]
    fn a_fence_that_costs_nothing_more_is_not_said_to() {
        let report = recorded([0.3; 5], Ok([0.31, 0.29, 0.3, 0.3, 0.3]));
        let said = &report.conclusions[0];
        assert!(said.contains("no longer than a load"), "{said}");
        assert!(!said.contains("times"), "{said}");
    }

    #[test]
    fn what_could_not_be_measured_says_why_and_nothing_follows_from_it() {
        let report = recorded([0.3; 5], Err("it is refused".to_owned()));
        assert_eq!(report.tables[0].reasons(), ["it is refused"]);
        assert_eq!(report.rows[1].count, None);
        assert!(report.conclusions.is_empty(), "{:?}", report.conclusions);
    }
}
