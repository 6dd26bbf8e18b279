//! What follows from the figures. Nothing here measures anything.

use crate::comparison::{Comparison, Line, list, times_as_long};
use crate::cost::published;
use crate::report::Report;
use crate::stats::{Effect, effect, ratios, summarize};
use crate::table::figure;

/// What a mechanism can do.
pub(super) struct Facts {
    pub(super) name: &'static str,
    /// Whether it may lead to different functions.
    pub(super) chooses: bool,
    /// Whether something has to be made first.
    pub(super) makes: bool,
}

/// What is timed of a mechanism: a call of the function that was called before; a call of functions
/// in no order; what is called is made for it, and dropped.
const TIMED: [(&str, &str); 3] = [
    ("call", ""),
    ("call, functions in no order", ", no order"),
    ("make, call, drop", ", made"),
];

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
pub(super) fn add(report: &mut Report, all: &Comparison<Facts>) {
    let [_, direct, others @ ..] = &all.lines[..] else {
        return;
    };
    let range = |name| tutorial(name).map(|(_, range)| range);
    let table = (all.columns())
        .words("mechanism", |facts| facts.name)
        .value("call, ns", 0)
        .cells("published, ns", |line| published::cell(range(line.of.name)))
        .words("its line", |facts| {
            tutorial(facts.name).map_or("", |(line, _)| line)
        })
        .value("in no order, ns", 1)
        .value("make, call, drop, ns", 2);
    report.tables.push(table.table(""));
    for line in &all.lines {
        for (at, (check, _)) in TIMED.into_iter().enumerate() {
            if line.series[at].is_ok() {
                let row = line.row(at, format!("dispatch/{}", line.of.name), check);
                report.rows.push(row);
            }
        }
    }
    let name = |facts: &Facts, at: usize| Some(format!("{}{}", facts.name, TIMED[at].1));
    let title = "Calls by the way to the function";
    report.plots.push(all.bars(title, "ns for each call", name));
    report.conclusions.extend(beside_direct(direct, others));
    let no_order = longer(others, 1, |_, times| times.to_owned());
    report.conclusions.extend(no_order.map(|names| match names {
        Some(names) => format!(
            "Four functions in no order take, in units of the same one again and again: {names}."
        ),
        None => "Four functions in no order take no longer than the same one again and again."
            .to_owned(),
    }));
    let making = longer(others, 2, |cost, _| format!("{cost} ns"));
    report.conclusions.extend(making.map(|names| match names {
        Some(names) => {
            format!("Made for one call and dropped, these take longer than the call: {names}.")
        }
        None => "To make a callable for each call takes no longer than to call it.".to_owned(),
    }));
    let lines = all.lines.iter().filter_map(|line| {
        let (there, range) = tutorial(line.of.name)?;
        let what = format!("{} (there {there})", line.of.name);
        Some((what, line.values(0).ok()?, range))
    });
    report.conclusions.extend(published::that_hold(lines));
}

/// What the mechanisms cost in units of a direct call.
fn beside_direct(direct: &Line<Facts>, others: &[Line<Facts>]) -> Option<String> {
    let named = others.iter();
    let named = named.filter_map(|line| Some((line.of.name, line.values(0).ok()?)));
    let compared = times_as_long(direct.values(0).ok()?, named)?;
    let cost = figure(direct.value(0).ok()?.median);
    Some(format!("A direct call takes {cost} ns; {compared}."))
}

/// The mechanisms of which something takes longer than a call of the same function again and again,
/// each with what `shown` makes of its cost and of how often as long that is. `None` where there are
/// too few rounds to say.
fn longer(
    others: &[Line<Facts>],
    at: usize,
    shown: impl Fn(&str, &str) -> String,
) -> Option<Option<String>> {
    let mut longer = Vec::new();
    for line in others {
        let (Ok(values), Ok(call)) = (line.values(at), line.values(0)) else {
            continue;
        };
        let by_round = ratios(values, call);
        match effect(&by_round) {
            Effect::Above => {
                let [cost, times] = [values, &by_round].map(summarize);
                let (cost, times) = (figure(cost?.median), figure(times?.median));
                longer.push(format!("{} {}", line.of.name, shown(&cost, &times)));
            }
            Effect::Below | Effect::None => (),
            Effect::TooFewRounds => return None,
        }
    }
    Some(list(&longer))
}
