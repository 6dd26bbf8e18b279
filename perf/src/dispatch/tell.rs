//! What follows from the figures. Nothing here measures anything.

use super::REPEAT;
use crate::cost::tell::{beside, beside_tutorial, cell, list, printed, row};
use crate::plot::Plot;
use crate::report::Report;
use crate::stats::{Effect, effect, ratios, summarize};
use crate::table::{Cell, Table, figure};

/// What a mechanism can do.
pub(super) struct Facts {
    pub(super) name: &'static str,
    /// Whether it may lead to different functions.
    pub(super) chooses: bool,
    /// Whether something has to be made first.
    pub(super) makes: bool,
}

/// What it costs: nanoseconds, round by round.
pub(super) struct Costs {
    pub(super) facts: Facts,
    /// A call of the function that was called before.
    pub(super) same: Vec<f64>,
    /// A call of functions in no order.
    pub(super) random: Option<Vec<f64>>,
    /// What is called is made for it, and dropped.
    pub(super) making: Option<Vec<f64>>,
}

impl Costs {
    /// Takes what belongs to a mechanism from the series, in the order of its works.
    pub(super) fn take(facts: Facts, series: &mut impl Iterator<Item = Vec<f64>>) -> Self {
        let mut next = || series.next().unwrap_or_default();
        Costs {
            same: next(),
            random: facts.chooses.then(&mut next),
            making: facts.makes.then(&mut next),
            facts,
        }
    }
}

/// A line of a published table of dispatch mechanisms beside what does the same here: the
/// mechanism, the line, lowest and highest nanoseconds for a call.
pub(super) const TUTORIAL: [(&str, &str, [f64; 2]); 5] = [
    ("direct call", "direct call", [1.0, 1.0]),
    ("trait object (dyn)", "virtual dispatch", [2.0, 4.0]),
    ("boxed closure", "std::function (heap)", [8.0, 15.0]),
    (
        "inline type-erased, 8 bytes captured",
        "type-erased SBO",
        [3.0, 5.0],
    ),
    (
        "inline type-erased, 64 bytes captured",
        "std::function",
        [3.0, 8.0],
    ),
];

fn tutorial(name: &str) -> Option<(&'static str, [f64; 2])> {
    let mut lines = TUTORIAL.iter();
    let (_, line, range) = lines.find(|(mechanism, ..)| *mechanism == name)?;
    Some((line, *range))
}

/// Table, plot, conclusions and rows of all mechanisms: the empty loop, the one that the others
/// are compared with, and the others.
pub(super) fn tell(report: &mut Report, all: &[Costs]) {
    let [_, direct, others @ ..] = all else {
        return;
    };
    report.tables.push(table(all));
    report.plots.push(plot(all));
    for costs in all {
        let subject = format!("dispatch/{}", costs.facts.name);
        let mut add = |check: &str, series: &[f64]| {
            let row = row(&subject, check, series);
            report.rows.push(row.repeat(REPEAT));
        };
        add("call", &costs.same);
        if let Some(series) = &costs.random {
            add("call, functions in no order", series);
        }
        if let Some(series) = &costs.making {
            add("make, call, drop", series);
        }
    }
    report.conclusions.extend(beside_direct(direct, others));
    report.conclusions.extend(no_order(others));
    report.conclusions.extend(making(others));
    let lines = all.iter().filter_map(|costs| {
        let (line, range) = tutorial(costs.facts.name)?;
        let what = format!("{} (there {line})", costs.facts.name);
        Some((what, costs.same.as_slice(), range))
    });
    report.conclusions.extend(beside_tutorial(lines));
}

fn table(all: &[Costs]) -> Table {
    let mut table = Table::new(
        "",
        [
            "mechanism",
            "call, ns",
            "published, ns",
            "its line",
            "in no order, ns",
            "make, call, drop, ns",
        ],
    );
    for costs in all {
        let line = tutorial(costs.facts.name);
        let optional = |series: &Option<Vec<f64>>, why: &str| match series {
            Some(series) => cell(series),
            None => Cell::missing(why),
        };
        table.add([
            Cell::words(costs.facts.name),
            cell(&costs.same),
            line.map_or(Cell::words("no figure"), |(_, range)| {
                Cell::figure(printed(range))
            }),
            Cell::words(line.map_or("", |(line, _)| line)),
            optional(
                &costs.random,
                "the function is known when the call is compiled",
            ),
            optional(&costs.making, "nothing is made at run time"),
        ]);
    }
    table
}

fn plot(all: &[Costs]) -> Plot {
    let bars = all.iter().flat_map(|costs| {
        let name = costs.facts.name;
        let named = |how: &str, series: Option<&Vec<f64>>| {
            let summary = series.and_then(|series| summarize(series))?;
            Some((format!("{name}{how}"), summary))
        };
        [
            named("", Some(&costs.same)),
            named(", no order", costs.random.as_ref()),
            named(", made", costs.making.as_ref()),
        ]
    });
    Plot::Bars {
        title: "Calls by the way to the function".to_owned(),
        x: "ns for each call".to_owned(),
        bars: bars.flatten().collect(),
    }
}

/// What the mechanisms cost in units of a direct call.
fn beside_direct(direct: &Costs, others: &[Costs]) -> Option<String> {
    let named = others.iter();
    let named = named.map(|costs| (costs.facts.name, costs.same.as_slice()));
    let compared = beside(&direct.same, named)?;
    let cost = figure(summarize(&direct.same)?.median);
    Some(format!("A direct call takes {cost} ns; {compared}."))
}

/// What it costs that the processor cannot foretell the function.
fn no_order(others: &[Costs]) -> Option<String> {
    let mut slower = Vec::new();
    for costs in others {
        let Some(random) = &costs.random else {
            continue;
        };
        let by_round = ratios(random, &costs.same);
        match effect(&by_round) {
            Effect::Above => {
                let times = figure(summarize(&by_round)?.median);
                slower.push(format!("{} {times}", costs.facts.name));
            }
            Effect::Below | Effect::None => (),
            Effect::TooFewRounds => return None,
        }
    }
    Some(match list(&slower) {
        Some(names) => format!(
            "Four functions in no order take, in units of the same one again and again: {names}."
        ),
        None => "Four functions in no order take no longer than the same one again and again."
            .to_owned(),
    })
}

/// What it costs to make the callable for each call.
fn making(others: &[Costs]) -> Option<String> {
    let mut dearer = Vec::new();
    for costs in others {
        let Some(making) = &costs.making else {
            continue;
        };
        let by_round = ratios(making, &costs.same);
        match effect(&by_round) {
            Effect::Above => {
                let (name, with) = (costs.facts.name, figure(summarize(making)?.median));
                dearer.push(format!("{name} {with} ns"));
            }
            Effect::Below | Effect::None => (),
            Effect::TooFewRounds => return None,
        }
    }
    Some(match list(&dearer) {
        Some(names) => {
            format!("Made for one call and dropped, these take longer than the call: {names}.")
        }
        None => "To make a callable for each call takes no longer than to call it.".to_owned(),
    })
}
