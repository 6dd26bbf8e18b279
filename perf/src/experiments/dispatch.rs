//! What a call costs by the way that leads to the function.

mod callable;
mod mechanism;
#[cfg(test)]
mod tests;

use mechanism::{
    Boxed, Calls, Direct, Generic, Inline, Making, Mechanism, Nothing, Object, Order, Pointer,
    Spilled,
};

use crate::comparison::{Comparison, Line, Unit, by_effect, list, times_as_long};
use crate::cost::{Works, measure, published};
use crate::experiments::Experiment;
use crate::report::{Report, Trouble};
use crate::run::Settings;
use crate::stats::Effect;
use crate::table::figure;

/// The experiment.
pub(crate) const EXPERIMENT: Experiment = Experiment {
    name: "dispatch",
    title: "dispatch",
    subject: "dispatch",
    about: "Ways to a function: direct, generic, dyn, boxed closure, inline type-erased",
    details: "Calls of the same function, of four in no order, and of one that is made for the \
         call, beside published ranges. One thread on the first CPU.",
    run,
    ..Experiment::MEASURES
};

/// One way to a function.
struct Entry {
    facts: Facts,
    works: fn(&[Order; 2], u64) -> Works,
}

const fn entry<M: Mechanism>() -> Entry {
    Entry {
        facts: Facts {
            name: M::NAME,
            chooses: M::CHOOSES,
            makes: M::MAKES,
        },
        works: works::<M>,
    }
}

/// What is timed of a mechanism: calls of the same function; in no order, where there may be
/// several; made for each call, where anything is made.
fn works<M: Mechanism>([same, random]: &[Order; 2], by: u64) -> Works {
    let mut works: Works = vec![Box::new(Calls::<M>::new(by, same.clone()))];
    if M::CHOOSES {
        works.push(Box::new(Calls::<M>::new(by, random.clone())));
    }
    if M::MAKES {
        works.push(Box::new(Making::<M>::new(by)));
    }
    works
}

/// What is measured, in the order of the table: the loop, and what the others are compared with.
const ENTRIES: [Entry; 8] = [
    entry::<Nothing>(),
    entry::<Direct>(),
    entry::<Generic>(),
    entry::<Pointer>(),
    entry::<Object>(),
    entry::<Boxed>(),
    entry::<Inline>(),
    entry::<Spilled>(),
];

/// Measures every mechanism.
///
/// # Errors
/// [`Trouble`]; a call that answers something else than its function does has failed.
pub fn run(settings: &Settings) -> Result<Report, Trouble> {
    let pair = settings.pair()?;
    let by = settings.first_item();
    let orders = [Order::same(), Order::random(by)];
    let rounds = measure("dispatch", pair, settings, || {
        Ok(ENTRIES
            .iter()
            .flat_map(|entry| (entry.works)(&orders, by))
            .collect())
    })?;

    let mut report = Report::of_one_thread(
        "dispatch: ways to a function that does next to nothing, ns",
        pair,
    );
    report.add_conditions("", "dispatch", &rounds);
    report.notes.extend(NOTES.map(str::to_owned));
    let mut series = rounds.series.into_iter();
    let mut next = |if_any: bool, why: &str| match if_any {
        true => Ok(series.next().unwrap_or_default()),
        false => Err(why.to_owned()),
    };
    let mut all = Comparison::new(Unit::TIME, 0);
    for Entry { facts, .. } in ENTRIES {
        let called = next(true, "");
        let known = "the function is known when the call is compiled";
        let random = next(facts.chooses, known);
        let making = next(facts.makes, "nothing is made at run time");
        all.add(facts, vec![called, random, making]);
    }
    add(&mut report, &all);
    Ok(report)
}

const NOTES: [&str; 3] = [
    "median [min–max]; ratios are taken round by round, and the sum of all answers is compared. The \
     empty loop, which reads what to call and hands a number on, is part of every figure.",
    "The function multiplies and adds; it is compiled into its caller only where a line says \
     inlined. No call waits for the answer of the one before: the figures are rates and not \
     latencies. In no order: one of four functions, in a sequence that repeats after 65,536 calls.",
    "Published: from the table of mechanisms in the course that has \"Practical measurements on a \
     typical Linux x86-64 system\" (A of `ipc`), for C++, without a machine, and without saying \
     whether making the callable is in them.",
];

/// What a mechanism can do.
struct Facts {
    name: &'static str,
    /// Whether it may lead to different functions.
    chooses: bool,
    /// Whether something has to be made first.
    makes: bool,
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
const TUTORIAL: [(&str, &str, [f64; 2]); 5] = [
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
fn add(report: &mut Report, all: &Comparison<Facts>) {
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
    let found = others.iter().filter_map(|line| {
        let (cost, ratio) = (line.value(at).ok()?, line.ratio(at, 0).ok()?);
        let (cost, times) = (figure(cost.median), figure(ratio.of.median));
        let said = format!("{} {}", line.of.name, shown(&cost, &times));
        Some((said, ratio.effect))
    });
    let found: Vec<(String, Effect)> = found.collect();
    match found.is_empty() {
        true => Some(None),
        false => by_effect(found).map(|[.., longer]| list(&longer)),
    }
}
