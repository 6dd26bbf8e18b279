//! What a cache line costs that streams from one CPU to the other, by the size of the ring and its
//! pages.

use ringproof_record::Record;

use super::area::Pages;
use super::raw_ring::RawRing;
use super::{ELSEWHERE, Outcome, REPEAT, note, row, size};
use crate::cpus::Pair;
use crate::links::BATCH;
use crate::plot::{Plot, Series};
use crate::report::{LAYER, Report, Trouble};
use crate::rounds::Rounds;
use crate::run::{Extent, Settings, stream_all};
use crate::stats::{Effect, Summary, effect, ratios, summarize};
use crate::stream::Link;
use crate::table::{Cell, Table, figure, spread};
use crate::together::alone;

/// The subject of its rows.
pub(super) const SUBJECT: &str = "machine/streaming";

/// The kinds of pages, in the order in which they are measured.
const KINDS: [Pages; 2] = [Pages::Ordinary, Pages::Huge];

/// The sizes of the rings in bytes.
const SIZES: [usize; 9] = [
    16 << 10,
    32 << 10,
    64 << 10,
    128 << 10,
    256 << 10,
    512 << 10,
    1 << 20,
    2 << 20,
    4 << 20,
];

/// A smaller difference is not named, however steady it is: among so many comparisons there are some
/// that look steady by chance.
const SMALLEST_NAMED: f64 = 0.2;

/// What is measured at one size.
struct Size {
    bytes: usize,
    /// Nanoseconds for a line in each round, on ordinary pages.
    ordinary: Vec<f64>,
    /// The same on huge pages.
    huge: Vec<f64>,
}

impl Size {
    fn on(&self, pages: Pages) -> &[f64] {
        match pages {
            Pages::Ordinary => &self.ordinary,
            Pages::Huge => &self.huge,
        }
    }
}

/// What was measured.
struct Streamed {
    sizes: Vec<Size>,
    /// Why nothing was measured on huge pages, if so.
    no_huge: Option<String>,
}

/// Measures every size on both kinds of pages.
pub(super) fn run(settings: &Settings, pair: Pair, report: &mut Report) -> Outcome {
    let sizes: &[usize] = match settings.extent {
        Extent::Smoke => &[128 << 10, 256 << 10],
        Extent::Full | Extent::Quick => &SIZES,
    };
    let (rounds, no_huge) = match stream(settings, pair, sizes, &KINDS) {
        // Perhaps only because there are no huge pages.
        Err(Trouble::NotRun(why)) => (stream(settings, pair, sizes, &KINDS[..1])?, Some(why)),
        rounds => (rounds?, None),
    };
    let latency = note(report, "streaming", &rounds);
    let kinds = if no_huge.is_some() { 1 } else { 2 };
    let sizes = sizes.iter().zip(rounds.series.chunks(kinds));
    let streamed = Streamed {
        sizes: sizes
            .map(|(bytes, series)| Size {
                bytes: *bytes,
                ordinary: each(series.first()),
                huge: each(series.get(1)),
            })
            .collect(),
        no_huge,
    };
    tell(report, &streamed);
    Ok(latency)
}

/// Nanoseconds for each of so many million a second.
fn each(rates: Option<&Vec<f64>>) -> Vec<f64> {
    let rates = rates.into_iter().flatten();
    rates.map(|rate| 1000.0 / rate).collect()
}

/// Streams through rings of all sizes and kinds: the kinds of the first size, those of the second,
/// and so on.
fn stream(
    settings: &Settings,
    pair: Pair,
    sizes: &[usize],
    kinds: &[Pages],
) -> Result<Rounds, Trouble> {
    let cases: Vec<(usize, Pages)> = sizes
        .iter()
        .flat_map(|bytes| kinds.iter().map(|pages| (*bytes, *pages)))
        .collect();
    let first_item = settings.first_item();
    stream_all(
        "streaming",
        cases.len(),
        pair,
        settings,
        |order, with_links| {
            let mut rings: Vec<Option<RawRing>> = cases.iter().map(|_| None).collect();
            for &case in order {
                let (bytes, pages) = cases[case];
                // By the thread that writes to it, so that it is memory near that.
                rings[case] = Some(alone(pair, || {
                    RawRing::new(bytes, pages).map_err(Trouble::NotRun)
                })?);
            }
            let mut links: Vec<Link<'_>> = rings
                .iter_mut()
                .flatten()
                .zip(&cases)
                .map(|(ring, (bytes, pages))| {
                    let name = format!("{} on {}", size(*bytes), pages.name());
                    ring.link(name, first_item)
                })
                .collect();
            with_links(&mut links)
        },
    )
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
fn tell(report: &mut Report, streamed: &Streamed) {
    let mut table = Table::new(
        format!(
            "Streaming through a bare ring in batches of {BATCH} lines, ns for a line of 64 bytes"
        ),
        [
            "ring",
            Pages::Ordinary.name(),
            Pages::Huge.name(),
            "ratio, huge to ordinary",
            ELSEWHERE,
        ],
    );
    let missing = || streamed.no_huge.as_deref().unwrap_or("no round counts");
    let cell = |series: &[f64]| match summarize(series) {
        Some(summary) => Cell::figure(spread(summary)),
        None => Cell::missing(missing()),
    };
    for measured in &streamed.sizes {
        let bytes = measured.bytes;
        table.add([
            Cell::figure(size(bytes)),
            cell(&measured.ordinary),
            cell(&measured.huge),
            cell(&ratios(&measured.huge, &measured.ordinary)),
            Cell::figure(elsewhere(bytes)),
        ]);
        for pages in KINDS {
            let check = format!("ring of {}, {}", size(bytes), pages.name());
            report.rows.push(match summarize(measured.on(pages)) {
                Some(summary) => row(SUBJECT, &check, summary, "ps a line", "ns"),
                None => Record::not_run(LAYER, SUBJECT, check, missing()).repeat(REPEAT),
            });
        }
    }
    report.tables.push(table);
    let mut lines = Vec::new();
    for pages in KINDS {
        let points: Vec<Point<'_>> = (streamed.sizes.iter())
            .filter_map(|size| {
                let series = size.on(pages);
                Some((size.bytes, series, summarize(series)?))
            })
            .collect();
        if pages == Pages::Ordinary {
            report.conclusions.extend(steps(&points));
        }
        if !points.is_empty() {
            lines.push(Series {
                name: pages.name().to_owned(),
                points: (points.iter())
                    .map(|(bytes, _, summary)| (*bytes as f64, *summary))
                    .collect(),
            });
        }
    }
    report.plots.push(Plot::Lines {
        title: "Streaming: the cost of a cache line by the size of the ring".to_owned(),
        x: "ring, bytes".to_owned(),
        y: "ns a line".to_owned(),
        series: lines,
    });
    report.conclusions.extend(huge_pages(&streamed.sizes));
}

/// A size in bytes, its series and that in short.
type Point<'a> = (usize, &'a [f64], Summary);

/// The effect, if it is not smaller than [`SMALLEST_NAMED`].
fn large(by_round: &[f64], ratio: Summary) -> Effect {
    let factor = 1.0 + SMALLEST_NAMED;
    match effect(by_round) {
        Effect::Below if ratio.median > 1.0 / factor => Effect::None,
        Effect::Above if ratio.median < factor => Effect::None,
        effect => effect,
    }
}

/// Where the cost changes from one size to the next.
fn steps(points: &[Point<'_>]) -> Option<String> {
    let ((smallest, ..), (largest, ..)) = (points.first()?, points.last()?);
    let medians = || points.iter().map(|(_, _, summary)| summary.median);
    let cheapest = medians().fold(f64::INFINITY, f64::min);
    let dearest = medians().fold(0.0, f64::max);
    let begin = format!(
        "Streaming a line costs {} to {} ns in rings of {} to {}",
        figure(cheapest),
        figure(dearest),
        size(*smallest),
        size(*largest)
    );
    let mut named = Vec::new();
    for pair in points.windows(2) {
        let [(from, before, was), (to, after, is)] = pair else {
            continue;
        };
        let by_round = ratios(after, before);
        let ratio = summarize(&by_round)?;
        let moved = match large(&by_round, ratio) {
            Effect::TooFewRounds => {
                return Some(format!("{begin}: too few rounds to say where it steps."));
            }
            Effect::None => continue,
            Effect::Below => "falls",
            Effect::Above => "rises",
        };
        named.push(format!(
            "between {} and {} it {moved} from {} to {} ns",
            size(*from),
            size(*to),
            figure(was.median),
            figure(is.median)
        ));
    }
    Some(if named.is_empty() {
        format!("{begin}, and changes nowhere at once.")
    } else {
        format!("{begin}: {}.", named.join(", "))
    })
}

/// What huge pages change, and in rings of which size.
fn huge_pages(sizes: &[Size]) -> Option<String> {
    let mut named = Vec::new();
    for measured in sizes {
        let by_round = ratios(&measured.huge, &measured.ordinary);
        let ratio = summarize(&by_round)?;
        let moved = match large(&by_round, ratio) {
            Effect::TooFewRounds => {
                return Some("Huge pages: too few rounds to say what they change.".to_owned());
            }
            Effect::None => continue,
            Effect::Below => "less",
            Effect::Above => "more",
        };
        let by = (ratio.median - 1.0).abs() * 100.0;
        named.push(format!("{by:.0} % {moved} at {}", size(measured.bytes)));
    }
    Some(if named.is_empty() {
        "On huge pages no ring streams faster or slower, as far as stands out of the noise."
            .to_owned()
    } else {
        format!("On huge pages a line costs {}.", named.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three sizes alike, but for what the machine did in the second round.
    const FLAT: [[f64; 5]; 3] = [
        [10.0, 20.0, 10.1, 9.9, 10.0],
        [10.1, 19.0, 10.0, 10.2, 9.9],
        [9.9, 21.0, 10.2, 10.0, 10.1],
    ];

    fn recorded(ordinary: [[f64; 5]; 3], huge: Result<[[f64; 5]; 3], &str>) -> Report {
        let size = |index: usize| Size {
            bytes: (64 << 10) << index,
            ordinary: ordinary[index].to_vec(),
            huge: huge.map_or(Vec::new(), |huge| huge[index].to_vec()),
        };
        let streamed = Streamed {
            sizes: (0..3).map(size).collect(),
            no_huge: huge.err().map(str::to_owned),
        };
        let mut report = Report::new("recorded");
        tell(&mut report, &streamed);
        report
    }

    #[test]
    fn a_planted_step_is_named_with_its_sizes() {
        let mut series = FLAT;
        series[2] = series[2].map(|cost| cost * 0.47);
        let said = &recorded(series, Ok(FLAT)).conclusions[0];
        let step = "64 KiB to 256 KiB: between 128 KiB and 256 KiB it falls from 10.1 to 4.75 ns.";
        assert!(said.ends_with(step), "{said}");
        // The other way round.
        let mut series = FLAT;
        series[0] = series[0].map(|cost| cost * 0.5);
        let said = &recorded(series, Ok(FLAT)).conclusions[0];
        let step = "64 KiB to 256 KiB: between 64 KiB and 128 KiB it rises from 5.00 to 10.1 ns.";
        assert!(said.ends_with(step), "{said}");
    }

    #[test]
    fn huge_pages_that_make_a_difference_are_named_with_the_size() {
        let mut series = FLAT;
        series[1] = series[1].map(|cost| cost * 0.8);
        let report = recorded(FLAT, Ok(series));
        let said = &report.conclusions[1];
        assert!(
            said.ends_with("a line costs 20 % less at 128 KiB."),
            "{said}"
        );
    }

    #[test]
    fn flat_costs_have_no_step_and_huge_pages_that_change_nothing_no_effect() {
        let report = recorded(FLAT, Ok(FLAT));
        let [steps, huge] = report.conclusions.as_slice() else {
            panic!("{:?}", report.conclusions);
        };
        assert!(steps.contains("changes nowhere"), "{steps}");
        assert!(huge.contains("no ring streams faster"), "{huge}");
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
