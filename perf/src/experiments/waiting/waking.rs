//! How long a thread that sleeps takes to run when another one wakes it, and what that costs the other one.

use crate::comparison::{Comparison, Line, Unit, times_as_long};
use crate::cpus::Pair;
use crate::report::{Report, Trouble};
use crate::rounds::Rounds;
use crate::run::{Settings, measure_several};
use crate::table::{Cell, figure};
use crate::woken::{self, MECHANISMS, Woken};

/// The subject of its rows.
pub(super) const SUBJECT: &str = "waiting/waking";

/// What is measured of each: what the table and the rows call it, and what begins the sentence about it.
const FIGURES: [(&str, &str); 2] = [
    (
        "ns until it runs",
        "Woken by a futex a thread that sleeps runs after",
    ),
    ("ns of the call", "The call that wakes by a futex takes"),
];

/// Every mechanism in turn.
pub(super) fn run(settings: &Settings, pair: Pair, report: &mut Report) -> Result<(), Trouble> {
    let times = settings.extent.pick(20, 100);
    let what = "waiting, waking";
    let rounds = measure_several(what, MECHANISMS.len(), Some(pair), settings, |case| {
        let mechanism = MECHANISMS[case];
        let woken = woken::run((mechanism.make)()?, pair, times);
        let woken = woken.map_err(|fault| fault.of(mechanism.name))?;
        let Woken {
            after,
            cost,
            preemptions,
        } = woken.ok_or_else(|| Trouble::NotRun(never_slept(mechanism.name)))?;
        Ok(([after, cost], preemptions))
    })?;
    report.add_conditions("waking", what, &rounds);
    add(report, &rounds);
    Ok(())
}

fn never_slept(name: &str) -> String {
    format!("{name}: the kernel counts no sleep of the thread that was woken")
}

/// Tables, pictures, rows and sentences.
fn add(report: &mut Report, rounds: &Rounds) {
    let names = MECHANISMS.map(|mechanism| mechanism.name);
    let all = &Comparison::of_rounds(Unit::TIME, 0, FIGURES.len(), names, rounds);
    let mut columns = all.columns().words("mechanism", |name| *name);
    for (at, (what, begin)) in FIGURES.into_iter().enumerate() {
        let times = move |line: &Line<&'static str>| {
            let ratio = line.against(&all.lines[0], at).map(|ratio| ratio.of);
            Cell::measured(ratio.ok_or_else(|| line.value(at).err().unwrap_or_default()))
        };
        columns = columns.value(what, at).cells("× futex", times);
        report
            .rows
            .extend(all.rows(at, SUBJECT, |name| format!("{what}, {name}")));
        report
            .plots
            .push(all.bars(format!("Waking: {what}"), "ns", |name, bar| {
                (bar == at).then(|| (*name).to_owned())
            }));
        report.conclusions.extend(sentence(all, at, begin));
    }
    report.tables.push(columns.table(
        "A thread sleeps and another one wakes it: from the call that wakes to the first instruction of \
         the woken thread, and the call",
    ));
}

/// One of the figures: of the futex, and of the others in units of it.
fn sentence(all: &Comparison<&'static str>, at: usize, begin: &str) -> Option<String> {
    let (futex, others) = all.lines.split_first()?;
    let others = others
        .iter()
        .filter_map(|line| Some((line.of, line.values(at).ok()?)));
    let others = times_as_long(futex.values(at).ok()?, others)?;
    let time = figure(futex.value(at).ok()?.median);
    Some(format!("{begin} {time} ns; {others}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::recorded;

    #[test]
    fn what_differs_from_a_futex_is_named_and_what_does_not_is_said_to_be_alike() {
        let series = MECHANISMS.iter().flat_map(|mechanism| {
            let after = match mechanism.name {
                "Waiter and poll" => 15_000.0,
                "pipe" => 2_500.0,
                _ => 5_000.0,
            };
            [after, 800.0].map(|time| recorded(Unit::TIME, time))
        });
        let rounds = Rounds::recorded(series.collect::<Vec<_>>());
        let report = Report::recorded(|report| add(report, &rounds));
        report.concludes([
            &[
                "Woken by a futex a thread that sleeps runs after 5000 ns; Waiter and poll 3.00 times as long; ",
                "only pipe 0.50 times as long",
                "Wait::SleepAtOnce, Condvar and eventfd as long within the noise.",
            ],
            &["The call that wakes by a futex takes 800 ns; Wait::SleepAtOnce,"],
        ]);
        let [table] = &report.tables[..] else {
            panic!("{:?}", report.tables);
        };
        assert_eq!(table.rows().len(), MECHANISMS.len());
        assert_eq!(report.rows.len(), 2 * MECHANISMS.len());
    }

    #[test]
    fn where_no_round_counts_the_table_says_so() {
        let rounds = Rounds::recorded(vec![Vec::new(); 2 * MECHANISMS.len()]);
        let report = Report::recorded(|report| add(report, &rounds));
        report.concludes([]);
        assert_eq!(report.tables[0].reasons(), ["no round counts"]);
    }
}
