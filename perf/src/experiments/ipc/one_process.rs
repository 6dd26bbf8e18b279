//! The ring between two processes beside the same ring between two threads of one process.

use super::control::Exercise;
use super::mechanism::Mechanism;
use super::runner::{Setup, calibrate, in_turn};
use super::segments::{RING, RING_THAT_SLEEPS, RING_THAT_SPINS};
use super::two::{Place, Program};
use crate::comparison::{Comparison, Unit, slower_or_faster};
use crate::report::{Report, Trouble};
use crate::run::Settings;
use crate::sets::{Measured, measure_all, together};
use crate::table::size;

/// The subject of its rows.
pub(super) const SUBJECT: &str = "ipc/one process";

/// Bytes in a message: a number, and a cache line.
const SIZES: [usize; 2] = [8, 64];

/// Rings that are polled and that wait.
const RINGS: [Mechanism; 3] = [RING, RING_THAT_SPINS, RING_THAT_SLEEPS];

/// What is compared, and with which of them.
const PLACES: [(Place, &str); 2] = [
    (Place::TwoProcesses, "two processes"),
    (Place::OneProcess, "one process"),
];
const REFERENCE: usize = 1;

/// What is done, and what its figures are: so many times those of the runner.
const EXERCISES: [(Exercise, &str, Unit, f64); 2] = [
    (Exercise::PingPong, "to and fro, one way", Unit::TIME, 1.0),
    (Exercise::Stream, "one after the other", Unit::RATE, 1e-6),
];

/// What is measured in turn: all rings in both places.
#[derive(Clone, Copy, Debug)]
struct Set {
    /// Which of the exercises.
    exercise: usize,
    size: usize,
}

impl Set {
    fn all(sizes: &[usize]) -> impl Iterator<Item = Set> {
        let exercises = 0..EXERCISES.len();
        exercises.flat_map(move |exercise| {
            sizes.iter().map(move |size| Set {
                exercise,
                size: *size,
            })
        })
    }
}

/// Measures all of it, and adds it to the report.
pub(super) fn run(settings: &Settings, report: &mut Report) -> Result<(), Trouble> {
    let (pair, program) = (settings.pair()?, Program::this()?);
    let sizes = settings.extent.pick(&SIZES[..1], &SIZES);
    let measured = measure_all(Set::all(sizes), |Set { exercise, size }| {
        let (exercise, what, _, times) = EXERCISES[*exercise];
        let setups = RINGS.iter().flat_map(|ring| {
            PLACES.map(|(place, _)| Setup {
                mechanism: *ring,
                size: *size,
                place,
            })
        });
        let cases = setups.map(|setup| calibrate(settings, pair, &program, setup, exercise));
        let cases = cases.map(|calibrated| Ok(calibrated?.case));
        let cases: Vec<_> = cases.collect::<Result<_, Trouble>>()?;
        let name = format!("ipc, one process, {size} bytes, {what}");
        let mut rounds = in_turn(&name, &cases, pair, settings, &program)?;
        let values = rounds.series.iter_mut().flatten();
        values.for_each(|value| *value *= times);
        Ok(rounds)
    })?;
    let rounds = together(&measured);
    report.add_conditions("in one process", "ipc, one process", &rounds);
    add(report, &measured);
    Ok(())
}

/// Tables, pictures, rows and a sentence.
fn add(report: &mut Report, measured: &[Measured<Set>]) {
    let name = |of: &(&str, usize), what: &str| format!("{}, {}, {what}", of.0, size(of.1));
    let mut found = Vec::new();
    for (exercise, (_, what, unit, _)) in EXERCISES.into_iter().enumerate() {
        let sets = measured.iter().filter(|one| one.set.exercise == exercise);
        let sets: Vec<_> = sets.cloned().collect();
        let all = Comparison::of_sets(unit, REFERENCE, PLACES.len(), &sets, |set| {
            RINGS.map(|ring| (ring.name, set.size)).into()
        });
        let [two, one] = PLACES.map(|(_, place)| place);
        let table = (all.columns())
            .figure("message", |of| size(of.1))
            .words("ring", |of| of.0)
            .value(two, 0)
            .value(one, 1)
            .speed("ratio", 0)
            .effect("effect", 0);
        report.tables.push(table.table(format!(
            "The ring between {two} and within {one}: messages {what}, {}",
            unit.name
        )));
        let check = |of: &(&str, usize), at: usize| format!("{}, {}", name(of, what), PLACES[at].1);
        report.rows.extend(all.all_rows(SUBJECT, check, one));
        let bar = |of: &(&str, usize), at: usize| Some(check(of, at));
        report
            .plots
            .push(all.bars(format!("Rings: {what}"), unit.name, bar));
        found.extend(
            all.compared(0)
                .map(|(of, compared)| (name(of, what), compared)),
        );
    }
    let what = "Between two processes, beside one, the ring";
    let said = slower_or_faster(what, [":", ";"], "is as fast everywhere", found);
    report.conclusions.extend(said.map(|said| said + "."));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::recorded;

    /// What would be measured if between two processes every ring has so many times its speed within one.
    fn with(times: impl Fn(&Set) -> f64) -> Report {
        let measured = Set::all(&SIZES).map(|set| {
            let (_, _, unit, _) = EXERCISES[set.exercise];
            let speeds =
                [50.0 * times(&set), 50.0].map(|speed| recorded(unit, unit.of_rate(speed)));
            Measured::recorded(set, RINGS.map(|_| speeds.clone()).concat())
        });
        let measured: Vec<_> = measured.collect();
        Report::recorded(|report| add(report, &measured))
    }

    #[test]
    fn what_another_process_costs_is_named_with_where() {
        let slower = with(|set| match (set.exercise, set.size) {
            (0, 8) => 0.8,
            _ => 1.0,
        });
        let rings = RINGS.map(|ring| format!("{}, 8 B, to and fro, one way (20 %)", ring.name));
        let start = "Between two processes, beside one, the ring is slower: ";
        let said = format!("{start}{}.", rings.join("; "));
        slower.concludes([&[&said]]);
        let cases = EXERCISES.len() * SIZES.len() * RINGS.len() * PLACES.len();
        assert_eq!((slower.rows.len(), slower.tables.len()), (cases, 2));
    }

    #[test]
    fn where_both_are_as_fast_that_is_said() {
        let start = "Between two processes, beside one, the ring";
        with(|_| 1.0).concludes([&[start, "is as fast everywhere."]]);
    }
}
