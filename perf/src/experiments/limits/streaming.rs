//! What a cache line costs that streams from one CPU to the other, by the size of the ring and its
//! pages.

use super::{ELSEWHERE, Outcome, doubled, note};
use crate::comparison::{Comparison, Line, Unit};
use crate::cpus::Pair;
use crate::links::BATCH;
use crate::raw_ring::{Pages, RawRing};
use crate::report::{Report, Trouble};
use crate::rounds::Rounds;
use crate::run::{Settings, stream_all, through};
use crate::stats::{Effect, Ratio};
use crate::table::{Cell, figure, size};
use crate::together::alone;

/// The subject of its rows.
pub(super) const SUBJECT: &str = "machine/streaming";

/// The alternatives, in the order in which they are measured.
const KINDS: [Pages; 2] = [Pages::Ordinary, Pages::Huge];
const ORDINARY: usize = 0;
const HUGE: usize = 1;

/// The sizes of the rings in bytes.
const SIZES: [usize; 9] = doubled(16 << 10, 1);

/// A smaller difference is not named, however steady it is: among so many comparisons there are some
/// that look steady by chance.
const SMALLEST_NAMED: f64 = 0.2;

/// Time for a line.
const LINE: Unit = Unit {
    thousandth: "ps a line",
    ..Unit::TIME
};

/// Measures every size on both kinds of pages.
pub(super) fn run(settings: &Settings, pair: Pair, report: &mut Report) -> Outcome {
    let sizes: &[usize] = settings.extent.pick(&[128 << 10, 256 << 10], &SIZES);
    let (rounds, no_huge) = match stream(settings, pair, sizes, &KINDS) {
        // Perhaps only because there are no huge pages.
        Err(Trouble::NotRun(why)) => (stream(settings, pair, sizes, &KINDS[..1])?, Some(why)),
        rounds => (rounds?, None),
    };
    let latency = note(report, "streaming", &rounds);
    // Nanoseconds for each of so many million a second.
    let each = |rates: &Vec<f64>| rates.iter().map(|rate| 1000.0 / rate).collect();
    let kinds = if no_huge.is_some() { 1 } else { 2 };
    let mut all = Comparison::new(LINE, ORDINARY);
    for (bytes, series) in sizes.iter().zip(rounds.series.chunks(kinds)) {
        let mut series: Vec<_> = series.iter().map(each).map(Ok).collect();
        series.extend(no_huge.clone().map(Err));
        all.add(*bytes, series);
    }
    add(report, &all);
    Ok(latency)
}

/// Streams through rings of all sizes and kinds: the kinds of the first size, those of the second,
/// and so on.
fn stream(
    settings: &Settings,
    pair: Pair,
    sizes: &[usize],
    kinds: &[Pages],
) -> Result<Rounds, Trouble> {
    let cases = sizes.len() * kinds.len();
    stream_all("streaming", cases, pair, settings, |case| {
        let (bytes, pages) = (sizes[case / kinds.len()], kinds[case % kinds.len()]);
        // By the thread that writes to it, so that it is memory near that.
        let ring = alone(pair, || RawRing::new(bytes, pages).map_err(Trouble::NotRun))?;
        let name = format!("{} on {}", size(bytes), pages.name());
        let first_item = settings.first_item();
        Ok(through(ring, false, move |ring| {
            Ok(ring.link(name.clone(), first_item))
        }))
    })
}

/// What the other machine needed, by the size of the ring.
fn elsewhere(bytes: usize) -> &'static str {
    if bytes <= 128 << 10 {
        "10–11"
    } else if bytes <= 1 << 20 {
        "4.5–5"
    } else {
        ""
    }
}

/// Table, plot, conclusions and rows.
fn add(report: &mut Report, all: &Comparison<usize>) {
    let ratio = |line: &Line<usize>| Cell::measured(line.ratio(HUGE, ORDINARY).map(|one| one.of));
    let table = (all.columns())
        .figure("ring", |bytes| size(*bytes))
        .value(Pages::Ordinary.name(), ORDINARY)
        .value(Pages::Huge.name(), HUGE)
        .cells("ratio, huge to ordinary", ratio)
        .figure(ELSEWHERE, |bytes| elsewhere(*bytes));
    report.tables.push(table.table(format!(
        "Streaming through a bare ring in batches of {BATCH} lines, ns for a line of 64 bytes"
    )));
    for line in &all.lines {
        for (at, pages) in KINDS.into_iter().enumerate() {
            let check = format!("ring of {}, {}", size(line.of), pages.name());
            report.rows.push(line.row(at, SUBJECT, check));
        }
    }
    let title = "Streaming: the cost of a cache line by the size of the ring";
    let (axes, names) = (["ring, bytes", "ns a line"], KINDS.map(Pages::name));
    let picture = all.curves(title, axes, &names, |bytes| *bytes as f64);
    report.plots.push(picture);
    let ordinary = all.lines.iter().filter(|line| line.value(ORDINARY).is_ok());
    let steps = steps(&ordinary.collect::<Vec<_>>());
    report.conclusions.extend(steps);
    report.conclusions.extend(huge_pages(&all.lines));
}

/// The words for what costs less or more, if the effect is not smaller than [`SMALLEST_NAMED`]; an error if
/// there are too few rounds to say.
fn large(ratio: Ratio, [less, more]: [&'static str; 2]) -> Result<Option<&'static str>, ()> {
    let factor = 1.0 + SMALLEST_NAMED;
    Ok(match ratio.effect {
        Effect::TooFewRounds => return Err(()),
        Effect::Below if ratio.of.median <= 1.0 / factor => Some(less),
        Effect::Above if ratio.of.median >= factor => Some(more),
        _ => None,
    })
}

/// Where the cost changes from one size to the next.
fn steps(sizes: &[&Line<usize>]) -> Option<String> {
    let (smallest, largest) = (sizes.first()?, sizes.last()?);
    let median = |line: &Line<usize>| line.value(ORDINARY).map_or(f64::NAN, |cost| cost.median);
    let medians = || sizes.iter().map(|line| median(line));
    let begin = format!(
        "Streaming a line costs {} to {} ns in rings of {} to {}",
        figure(medians().fold(f64::INFINITY, f64::min)),
        figure(medians().fold(0.0, f64::max)),
        size(smallest.of),
        size(largest.of)
    );
    let mut named = Vec::new();
    for (from, to) in sizes.iter().zip(&sizes[1..]) {
        let ratio = to.against(from, ORDINARY)?;
        let Ok(moved) = large(ratio, ["falls", "rises"]) else {
            return Some(format!("{begin}: too few rounds to say where it steps."));
        };
        named.extend(moved.map(|moved| {
            let [low, high] = [median(from), median(to)].map(figure);
            let (from, to) = (size(from.of), size(to.of));
            format!("between {from} and {to} it {moved} from {low} to {high} ns")
        }));
    }
    Some(match named.is_empty() {
        true => format!("{begin}, and changes nowhere at once."),
        false => format!("{begin}: {}.", named.join(", ")),
    })
}

/// What huge pages change, and in rings of which size.
fn huge_pages(sizes: &[Line<usize>]) -> Option<String> {
    let mut named = Vec::new();
    for line in sizes {
        let ratio = line.ratio(HUGE, ORDINARY).ok()?;
        let Ok(moved) = large(ratio, ["less", "more"]) else {
            return Some("Huge pages: too few rounds to say what they change.".to_owned());
        };
        let by = (ratio.of.median - 1.0).abs() * 100.0;
        named.extend(moved.map(|moved| format!("{by:.0} % {moved} at {}", size(line.of))));
    }
    Some(match named.is_empty() {
        true => {
            "On huge pages no ring streams faster or slower, as far as stands out of the noise."
                .to_owned()
        }
        false => format!("On huge pages a line costs {}.", named.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::Plot;

    /// Three sizes alike, but for what the machine did in the second round.
    const FLAT: [[f64; 5]; 3] = [
        [10.0, 20.0, 10.1, 9.9, 10.0],
        [10.1, 19.0, 10.0, 10.2, 9.9],
        [9.9, 21.0, 10.2, 10.0, 10.1],
    ];

    fn recorded(ordinary: [[f64; 5]; 3], huge: Result<[[f64; 5]; 3], &str>) -> Report {
        let mut all = Comparison::new(LINE, ORDINARY);
        for (index, ordinary) in ordinary.into_iter().enumerate() {
            let huge = huge.map_err(str::to_owned).map(|huge| huge[index].to_vec());
            all.add((64 << 10) << index, vec![Ok(ordinary.to_vec()), huge]);
        }
        Report::recorded(|report| add(report, &all))
    }

    #[test]
    fn an_injected_step_is_named_with_its_sizes() {
        for (at, factor, step) in [
            (2, 0.47, "128 KiB and 256 KiB it falls from 10.1 to 4.75"),
            (0, 0.5, "64 KiB and 128 KiB it rises from 5.00 to 10.1"),
        ] {
            let mut series = FLAT;
            series[at] = series[at].map(|cost| cost * factor);
            let end = format!("64 KiB to 256 KiB: between {step} ns.");
            recorded(series, Ok(FLAT)).concludes([&[&end], &[]]);
        }
    }

    #[test]
    fn huge_pages_that_make_a_difference_are_named_with_the_size() {
        let mut series = FLAT;
        series[1] = series[1].map(|cost| cost * 0.8);
        recorded(FLAT, Ok(series)).concludes([&[], &["a line costs 20 % less at 128 KiB."]]);
    }

    #[test]
    fn flat_costs_have_no_step_and_huge_pages_that_change_nothing_no_effect() {
        recorded(FLAT, Ok(FLAT)).concludes([&["changes nowhere"], &["no ring streams faster"]]);
    }

    #[test]
    fn huge_pages_that_are_refused_are_missing_with_the_reason() {
        let report = recorded(FLAT, Err("the kernel made none"));
        assert_eq!(report.conclusions.len(), 1);
        assert_eq!(report.tables[0].reasons(), ["the kernel made none"]);
        let missing = report.rows.iter().filter(|row| row.count.is_none());
        assert_eq!(missing.count(), 3, "{:?}", report.rows);
        let Plot::Lines { series, .. } = &report.plots[0] else {
            panic!("{:?}", report.plots);
        };
        assert_eq!(series.len(), 1);
    }
}
