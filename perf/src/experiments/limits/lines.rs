//! What a message takes from one CPU to the other, by the cache lines that it touches.

use super::{ELSEWHERE, NS, Outcome, note};
use crate::comparison::Comparison;
use crate::cpus::Pair;
use crate::messages::{Place, ping_pong};
use crate::report::Report;
use crate::rounds::Rounds;
use crate::run::{Settings, measure_each};
use crate::stats::Effect;
use crate::table::{figure, spread};

/// The subject of its rows.
pub(super) const SUBJECT: &str = "machine/one-way latency";

/// How messages go there and back.
struct Way {
    name: &'static str,
    /// Nanoseconds on another machine, if it was measured there.
    elsewhere: &'static str,
    there: Place,
    back: Place,
}

const fn way(name: &'static str, elsewhere: &'static str, there: Place, back: Place) -> Way {
    Way {
        name,
        elsewhere,
        there,
        back,
    }
}

/// All of them; each is compared with the one before.
const WAYS: [Way; 4] = [
    way("one line there and back", "52–60", (0, None), (0, None)),
    way(
        "two lines, one there and one back",
        "122–138",
        (0, None),
        (1, None),
    ),
    way(
        "two lines, each with flag and 56 bytes of payload",
        "",
        (0, Some(0)),
        (1, Some(1)),
    ),
    way(
        "four lines, payload and flag apart",
        "",
        (0, Some(2)),
        (1, Some(3)),
    ),
];

/// Measures all ways.
pub(super) fn run(settings: &Settings, pair: Pair, report: &mut Report) -> Outcome {
    // A round trip is 100 to 400 ns between cores.
    let trips = (settings.sample.as_nanos() / 400) as u64;
    let name = "one-way latency";
    let rounds = measure_each(name, WAYS.len(), Some(pair), settings, |case| {
        let way = &WAYS[case];
        ping_pong(pair, (way.there, way.back), trips).map_err(|fault| fault.of(way.name))
    })?;
    let latency = note(report, name, &rounds);
    add(report, &rounds);
    Ok(latency)
}

/// Table, plot, conclusions and rows from the rounds, which hold the ways in their order.
fn add(report: &mut Report, rounds: &Rounds) {
    let all = Comparison::of_rounds(NS, 0, 1, &WAYS, rounds);
    let ratio = |of: usize, to: usize| all.lines.get(of)?.against(all.lines.get(to)?, 0);
    let above = |way: &Way| {
        let at = WAYS.iter().position(|known| known.name == way.name)?;
        Some(ratio(at, at.checked_sub(1)?)?.of)
    };
    let table = (all.columns())
        .words("lines", |way| way.name)
        .value("ns", 0)
        .figure("ratio to the row above", |way| {
            above(way).map_or(String::new(), spread)
        })
        .figure(ELSEWHERE, |way| way.elsewhere);
    let heading = "One-way latency in ns: half of there and back, both sides polling with a pause";
    report.tables.push(table.table(heading));
    report.rows.extend(all.rows(0, SUBJECT, |way| way.name));
    let name = |way: &&Way, _| Some(way.name.to_owned());
    report.plots.push(all.bars("One-way latency", "ns", name));
    for (of, to, subject) in [
        (
            1,
            0,
            "An answer on a line of its own instead of the line of the question",
        ),
        (
            3,
            2,
            "A payload on another line than its flag, instead of on the same,",
        ),
    ] {
        let Some(ratio) = ratio(of, to) else {
            continue;
        };
        let cost = |at: usize| all.lines[at].value(0).map_or(f64::NAN, |cost| cost.median);
        let [of, to] = [of, to].map(|at| figure(cost(at)));
        let times = spread(ratio.of);
        let figures = format!("{of} ns one-way instead of {to}, {times} times as long");
        report.conclusions.push(match ratio.effect {
            Effect::Above => format!("{subject} costs time: {figures}."),
            Effect::Below => format!("{subject} saves time: {figures}."),
            Effect::None => format!("{subject} makes no difference that stands out of the noise."),
            Effect::TooFewRounds => format!("{subject}: too few rounds to say what that changes."),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::messages::{Direction, Line};
    use crate::together::Fault;

    #[test]
    fn a_wrong_payload_is_noticed() {
        for way in &WAYS[2..] {
            let lines = <[Line; 4]>::default();
            let there = Direction::new(&lines, way.there);
            there.send(5);
            assert_eq!(there.receive(5), Ok(()));
            there.payload[6].store(4, Ordering::Relaxed);
            assert_eq!(there.receive(5), Err(Fault::OutOfOrder(5)), "{}", way.name);
        }
    }

    #[test]
    fn messages_lie_on_as_many_lines_as_the_name_says() {
        let counts = [1, 2, 2, 4];
        for (way, count) in WAYS.iter().zip(counts) {
            let lines = <[Line; 4]>::default();
            let mut used: Vec<usize> = [way.there, way.back]
                .map(|place| Direction::new(&lines, place))
                .iter()
                .flat_map(|direction| direction.payload.iter().chain([direction.flag]))
                .map(|word| core::ptr::from_ref(word).addr() / 64)
                .collect();
            used.sort_unstable();
            used.dedup();
            assert_eq!(used.len(), count, "{}", way.name);
        }
    }

    #[test]
    fn every_way_goes_there_and_back() {
        for way in &WAYS {
            let sample = ping_pong(Pair::anywhere(), (way.there, way.back), 10);
            assert!(sample.is_ok(), "{}: {sample:?}", way.name);
        }
    }

    fn recorded(series: [[f64; 5]; 4]) -> Report {
        let rounds = Rounds::recorded(series.map(Vec::from));
        Report::recorded(|report| add(report, &rounds))
    }

    #[test]
    fn two_lines_that_take_longer_than_one_are_named() {
        let one = [55.0, 56.0, 54.0, 110.0, 55.0];
        let two = one.map(|latency| latency * 2.4);
        recorded([one, two, two, two.map(|latency| latency * 1.5)]).concludes([
            &["132 ns one-way instead of 55.0", "2.40 [2.40–2.40] times"],
            &["1.50 [1.50–1.50] times"],
        ]);
    }

    #[test]
    fn lines_that_make_no_difference_are_not_said_to() {
        let one = [55.0, 56.0, 54.0, 57.0, 55.0];
        let other = [56.0, 55.0, 55.0, 56.0, 54.0];
        recorded([one, other, one, other]).concludes([&["no difference"]; 2]);
    }
}
