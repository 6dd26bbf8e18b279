//! What a `ringproof send` and a `ringproof recv` use while nothing comes, and how fast the next line is through.

use std::env;

use super::BUSY;
use crate::comparison::Unit;
use crate::cpus::Pair;
use crate::idle;
use crate::outside::built;
use crate::report::{Report, Trouble};
use crate::rounds::Rounds;
use crate::run::{Settings, measure_several};
use crate::stats::summarize;
use crate::table::{Cell, Table, figure, spread};

/// The subject of its rows.
pub(super) const SUBJECT: &str = "waiting/idle pair";

const WAKES: Unit = Unit {
    name: "wake-ups/s",
    thousandth: "thousandths of a wake-up a second",
    is_rate: false,
};

/// What is measured, and of whom.
const FIGURES: [(&str, Unit); 5] = [
    ("send", BUSY),
    ("send", WAKES),
    ("recv", BUSY),
    ("recv", WAKES),
    ("a line, from pipe to pipe", Unit::TIME),
];

/// The program that sends and receives, and how to build it.
const PROGRAM: &str = "ringproof";
const BUILD: &str = "cargo build --release -p ringproof-cli";

/// Observes a new pair in each round.
pub(super) fn run(settings: &Settings, _: Pair, report: &mut Report) -> Result<(), Trouble> {
    let unknown = "this program does not know where it lies";
    let here = env::current_exe().map_err(Trouble::of(unknown))?;
    let program = built(&here, PROGRAM).ok_or_else(|| {
        Trouble::NotRun(format!(
            "`{PROGRAM}` is not built beside this program; `{BUILD}` builds it"
        ))
    })?;
    let time = 200 * settings.sample;
    let rounds = measure_several("waiting, idle pair", 1, None, settings, |_| {
        let observed = idle::observe(&program, time);
        let wrong = |error| Trouble::Failed(format!("send and recv: {error}"));
        let found = observed.map_err(wrong)?;
        let [send, recv] = found.processes;
        let line = found.line.as_nanos() as f64;
        Ok(([send.busy, send.wakes, recv.busy, recv.wakes, line], 0))
    })?;
    report.note(format!(
        "idle pair: {} rounds of {time:?}, not pinned; a wake-up is a voluntary context switch",
        rounds.count()
    ));
    add(report, &rounds);
    Ok(())
}

/// A table, rows and a sentence.
fn add(report: &mut Report, rounds: &Rounds) {
    let heading =
        "A send and a recv, each with a pipe, while nothing comes; and the lines after it";
    let mut table = Table::new(heading, ["of", "figure", "unit"]);
    let mut medians = Vec::new();
    for ((of, unit), series) in FIGURES.into_iter().zip(&rounds.series) {
        let Some(value) = summarize(series) else {
            continue;
        };
        table.add([
            Cell::words(of),
            Cell::figure(spread(value)),
            Cell::words(unit.name),
        ]);
        let check = format!("{of}, {}", unit.name);
        report.rows.push(unit.row(value, SUBJECT, check));
        medians.push(figure(value.median));
    }
    report.tables.push(table);
    if let [send, send_wakes, recv, recv_wakes, line] = &medians[..] {
        report.conclusions.push(format!(
            "While nothing comes send uses {send} % of a CPU and wakes up {send_wakes} times a second, recv \
             {recv} % and {recv_wakes} times; a line is through both after {line} ns."
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_idle_pair_uses_is_said() {
        let series = [0.02, 17.0, 0.03, 18.0, 25_000.0].map(|value| vec![value; 5]);
        let report = Report::recorded(|report| add(report, &Rounds::recorded(series)));
        report.concludes([&[
            "send uses 0.02 % of a CPU and wakes up 17.0 times a second, recv 0.03 % and 18.0 times;",
            "a line is through both after 25000 ns.",
        ]]);
        assert_eq!(report.rows.len(), FIGURES.len());
    }
}
