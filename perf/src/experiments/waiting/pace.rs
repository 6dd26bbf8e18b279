//! Messages at a pace: how late each is, and how busy the thread that waits for it.

use ringproof::{Ring, Wait};

use super::BUSY;
use crate::comparison::{Comparison, Unit};
use crate::cpus::Pair;
use crate::links::SIZES;
use crate::paced::{self, Pace};
use crate::report::{Report, Trouble};
use crate::rounds::Rounds;
use crate::run::{Settings, measure_several};
use crate::table::figure;
use crate::waits::Manner;

/// The subject of its rows.
pub(super) const SUBJECT: &str = "waiting/messages at a pace";

/// The ways to wait.
const MANNERS: [Manner; 5] = [
    Manner::Polls,
    Manner::Waits(Wait::Spin),
    Manner::Waits(Wait::Yield),
    Manner::Waits(Wait::Sleep),
    Manner::Waits(Wait::SleepAtOnce),
];

/// Messages a second. None is one at the end.
const PACES: [u32; 4] = [0, 1_000, 100_000, 1_000_000];

/// What is measured of them.
const FIGURES: [(Unit, &str); 2] = [
    (
        Unit::TIME,
        "ns from when a message is due until it was taken",
    ),
    (BUSY, "% of the time for which the thread that waits runs"),
];

/// Every manner at every pace, in turn.
pub(super) fn run(settings: &Settings, pair: Pair, report: &mut Report) -> Result<(), Trouble> {
    let (what, cases) = ("waiting, messages at a pace", PACES.len() * MANNERS.len());
    let rounds = measure_several(what, cases, Some(pair), settings, |case| {
        let (pace, manner) = (PACES[case / MANNERS.len()], MANNERS[case % MANNERS.len()]);
        let name = format!("{what}: {pace} a second, {manner}");
        let ring = Ring::<u64>::anonymous(&SIZES[0].options());
        let ring = ring.map_err(Trouble::of("no ring could be made"))?;
        let mut link = (manner.ends(&ring)?).link(name.clone(), 0, settings.first_item());
        let pace = Pace::of(pace, 10 * settings.sample);
        let found = paced::run(&mut link, pair, pace).map_err(|fault| fault.of(&name))?;
        Ok(([found.late, found.busy], found.preemptions))
    })?;
    report.add_conditions("messages at a pace", what, &rounds);
    add(report, &rounds);
    Ok(())
}

/// Tables, pictures, rows and sentences.
fn add(report: &mut Report, rounds: &Rounds) {
    let mut at = 0;
    let both = FIGURES.map(|(unit, what)| {
        let mut all = Comparison::new(unit, 0);
        let of_paces = rounds.series.chunks(FIGURES.len() * MANNERS.len());
        for (pace, series) in PACES.into_iter().zip(of_paces) {
            let series = series.iter().skip(at).step_by(FIGURES.len());
            all.add(pace, series.cloned().map(Ok).collect());
        }
        at += 1;
        (all, what)
    });
    for (all, what) in &both {
        let mut columns = all.columns().figure("messages/s", u32::to_string);
        for (at, manner) in MANNERS.iter().enumerate() {
            columns = columns.value(manner.to_string(), at);
            let check = |pace: &u32| format!("{what}: {pace} a second, {manner}");
            report.rows.extend(all.rows(at, SUBJECT, check));
        }
        report.tables.push(columns.table(format!(
            "{what}, also if it was sent late; none a second is one at the end"
        )));
        let title = format!("Messages at a pace: {what}");
        report
            .plots
            .push(all.bars(title, all.unit.name, |pace, at| {
                Some(format!("{pace}/s, {}", MANNERS[at]))
            }));
    }
    let [late, busy] = both.map(|(all, _)| all);
    let sentence = |(at, manner): (usize, &Manner)| {
        let at_rest = |all: &Comparison<u32>| Some(figure(all.medians(at).next()?.1.median));
        Some(format!(
            "A message after a rest is {} ns late by {manner}, and the thread that waited ran for {} % of the time.",
            at_rest(&late)?,
            at_rest(&busy)?
        ))
    };
    let said = MANNERS.iter().enumerate().filter_map(sentence);
    report.conclusions.extend(said);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::recorded;

    #[test]
    fn what_a_rest_costs_is_said_by_every_manner() {
        let (late, busy) = (
            [200.0, 210.0, 300.0, 40_000.0, 50_000.0],
            [100.0, 100.0, 99.0, 0.4, 0.1],
        );
        let figures = late.into_iter().zip(busy);
        let of_pace =
            figures.flat_map(|(late, busy)| [recorded(Unit::TIME, late), recorded(BUSY, busy)]);
        let of_pace: Vec<_> = of_pace.collect();
        let rounds = Rounds::recorded(PACES.map(|_| of_pace.clone()).concat());
        let report = Report::recorded(|report| add(report, &rounds));
        report.concludes([
            &["200 ns late by polling", "ran for 100 % of the time"],
            &["210 ns", "Wait::Spin"],
            &["300 ns", "Wait::Yield", "99.0 %"],
            &["40000 ns", "Wait::Sleep,"],
            &["50000 ns", "Wait::SleepAtOnce", "0.10 % of the time"],
        ]);
        let cases = PACES.len() * MANNERS.len();
        assert_eq!((report.rows.len(), report.tables.len()), (2 * cases, 2));
    }

    #[test]
    fn where_no_round_counts_nothing_is_said() {
        let rounds = Rounds::recorded(vec![Vec::new(); 2 * PACES.len() * MANNERS.len()]);
        Report::recorded(|report| add(report, &rounds)).concludes([]);
    }
}
