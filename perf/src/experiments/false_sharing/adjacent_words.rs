//! Two threads, each with a word of its own, nearer and nearer to each other.

use std::time::Duration;

use super::{DISTANCES, REFERENCE, reference};
use crate::comparison::{Compared, Comparison, Line, Unit};
use crate::cpus::Pair;
use crate::plot::Plot;
use crate::report::{Report, Trouble};
use crate::rounds::Rounds;
use crate::run::{Settings, fit, measure_each};
use crate::stats::Effect;
use crate::table::{Cell, Table};
use crate::words::{Access, sample};

/// The accesses at the distances, in turn: nanoseconds each, the accesses one after the other,
/// each at all distances.
pub(super) fn measure(pair: Pair, settings: &Settings) -> Result<(Vec<usize>, Rounds), Trouble> {
    const FEWEST: u64 = 1 << 14;
    let all = DISTANCES.to_vec();
    let distances = (settings.extent).pick(vec![DISTANCES[0], REFERENCE], all);
    let cases: Vec<_> = (Access::ALL.iter())
        .flat_map(|access| distances.iter().map(|distance| (*access, *distance)))
        .collect();
    // How many accesses take about as long as a sample shall.
    let fits = |(access, distance): &(Access, usize)| {
        fit(FEWEST, settings.sample, |times| {
            let each = sample(pair, *access, *distance, times)?.value;
            Ok(Duration::from_secs_f64(each * times as f64 / 1e9))
        })
    };
    let times = cases
        .iter()
        .map(fits)
        .collect::<Result<Vec<_>, Trouble>>()?;
    let rounds = measure_each("two words", cases.len(), Some(pair), settings, |index| {
        let (access, distance) = cases[index];
        sample(pair, access, distance, times[index])
    })?;
    Ok((distances, rounds))
}

/// How many times as long an access takes with the words next to each other.
fn longer(near: Compared) -> String {
    format!("{:.1} times", 1.0 / near.speed.median)
}

/// What the rounds say: a table, a picture, rows and a sentence.
pub(super) fn report(report: &mut Report, distances: &[usize], rounds: &Rounds) {
    let (reference, alternatives) = (reference(distances), distances.len());
    let all = Comparison::of_rounds(Unit::TIME, reference, alternatives, Access::ALL, rounds);
    let apart = format!("{REFERENCE} bytes apart");
    // A line for each distance, and a column for each access.
    let names = all.lines.iter().map(|line| line.of.name());
    let mut table = Table::new(
        "Two threads, each with a word of its own: ns for each access",
        ["words apart"].into_iter().chain(names),
    );
    let mut add = |name: String, cell: &dyn Fn(&Line<Access>) -> Cell| {
        table.add(
            [Cell::words(name)]
                .into_iter()
                .chain(all.lines.iter().map(cell)),
        );
    };
    for (at, distance) in distances.iter().enumerate() {
        add(format!("{distance} B"), &|line| {
            Cell::measured(line.value(at))
        });
        for line in all.lines.iter().filter(|_| at != all.reference) {
            let check = format!("{}, words {distance} bytes apart", line.of.name());
            let row = line.speed_row(at, "words/two threads", check, &apart);
            report.rows.push(row);
        }
    }
    add(
        format!("{} B against {REFERENCE} B", DISTANCES[0]),
        &|line| match line.compared(0) {
            Ok(near) => Cell::figure(format!("{}: {}", longer(near), near.said())),
            Err(why) => Cell::missing(why),
        },
    );
    report.tables.push(table);
    let lines = all.lines.iter();
    let points = lines.flat_map(|line| line.speeds(line.of.name(), distances));
    report.plots.push(Plot::lines(
        "An access to one's own word while another thread is busy with its own",
        "bytes between the two words",
        format!("speed, in units of that at {REFERENCE} bytes"),
        points,
    ));
    report.conclusions.extend(conclusion(&all));
}

/// Which accesses suffer from the other thread, and which do not.
fn conclusion(all: &Comparison<Access>) -> Option<String> {
    let found: Vec<_> = all.compared(0).collect();
    let few = |(_, near): &(&Access, Compared)| near.effect == Effect::TooFewRounds;
    if found.is_empty() || found.iter().any(few) {
        return None;
    }
    let those = |slower: bool| {
        let of = found.iter().filter(|(_, near)| near.slower() == slower);
        let said = of.map(|(access, near)| format!("{} {}", access.name(), longer(*near)));
        said.collect::<Vec<_>>().join(", ")
    };
    let near = DISTANCES[0];
    Some(match (&*those(true), &*those(false)) {
        ("", others) => format!(
            "Two threads that share nothing but a line do not disturb each other here: {near} \
             bytes apart instead of {REFERENCE}, an access takes as long ({others})."
        ),
        (suffer, others) => {
            let begin = format!(
                "Two threads on one line that share no word: {near} bytes apart instead of \
                 {REFERENCE}, an access takes longer: {suffer}."
            );
            match others {
                "" => begin,
                others => format!("{begin} It does not for: {others}."),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::recorded;
    use crate::report::{omits, says};

    /// What would have been measured: each access at 8, 64 and 256 bytes.
    fn with(near: [f64; 4]) -> Report {
        let series = near.map(|near| [near, 5.0, 5.0].map(|each| recorded(Unit::TIME, each)));
        let rounds = Rounds::recorded(series.concat());
        Report::recorded(|to| report(to, &[8, 64, 256], &rounds))
    }

    #[test]
    fn two_threads_on_one_line_are_named_by_what_they_do() {
        let report = with([28.0, 5.0, 5.5, 4.95]);
        let suffer = "fetch_add 5.6 times, store 1.1 times. It does not for: ";
        report.concludes([&[suffer, "load, add, store 1.0 times"]]);
        says(&report.render(), &["5.6 times: slower"]);
        let row = &report.rows[0];
        assert_eq!((row.count, report.rows.len()), (Some(179), 8), "{row:?}");
    }

    #[test]
    fn flat_samples_name_no_access() {
        let report = with([5.0, 5.1, 4.9, 5.0]);
        report.concludes([&["do not disturb each other"]]);
        omits(&report.conclusions[0], &["longer"]);
        for row in &report.rows {
            let reason = row.reason.as_deref().unwrap();
            assert!(reason.ends_with("effect: no difference"), "{row:?}");
        }
    }
}
