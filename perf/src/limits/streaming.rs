//! What a cache line costs that streams from one CPU to the other through a ring: the bare memory
//! and two indices, no library. No ring that moves whole lines can be faster.

use std::sync::atomic::{AtomicU64, Ordering};

use ringproof_record::Record;

use super::area::{Area, Line, Pages};
use super::{ELSEWHERE, REPEAT, alone, row, size};
use crate::cpus::Pair;
use crate::links::{BATCH, ReceiveInPlace, SendInPlace};
use crate::plot::{Plot, Series};
use crate::report::{LAYER, Report, Trouble, conditions, conditions_row};
use crate::rounds::Rounds;
use crate::run::{Extent, Settings, stream_all};
use crate::stats::{Effect, Summary, effect, ratios, summarize};
use crate::stream::{Link, Receiver, Sender};
use crate::table::{Cell, Table, figure, spread};

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

/// A smaller difference between two neighbouring sizes is no step, however steady it is.
const SMALLEST_STEP: f64 = 0.2;

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
pub(super) fn run(settings: &Settings, pair: Pair, report: &mut Report) -> Result<(), Trouble> {
    let sizes: &[usize] = match settings.extent {
        Extent::Smoke => &[128 << 10, 256 << 10],
        Extent::Full | Extent::Quick => &SIZES,
    };
    let (rounds, no_huge) = match stream(settings, pair, sizes, &KINDS) {
        // Perhaps only because there are no huge pages.
        Err(Trouble::NotRun(why)) => (stream(settings, pair, sizes, &KINDS[..1])?, Some(why)),
        rounds => (rounds?, None),
    };
    report
        .notes
        .push(format!("streaming: {}", conditions(&rounds)));
    report
        .rows
        .push(conditions_row("streaming", &rounds, REPEAT));
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
    Ok(())
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
                .iter()
                .flatten()
                .zip(&cases)
                .map(|(ring, (bytes, pages))| {
                    link(
                        ring,
                        format!("{} on {}", size(*bytes), pages.name()),
                        first_item,
                    )
                })
                .collect();
            with_links(&mut links)
        },
    )
}

/// A word that has its cache line, and the next one, to itself.
#[derive(Default)]
#[repr(align(256))]
struct Alone(AtomicU64);

/// Memory and two indices, which count lines.
struct RawRing {
    area: Area,
    written: Alone,
    read: Alone,
}

impl RawRing {
    fn new(bytes: usize, pages: Pages) -> Result<Self, String> {
        Ok(RawRing {
            area: Area::new(bytes, pages)?,
            written: Alone::default(),
            read: Alone::default(),
        })
    }

    /// The lines of the batch that begins at a position.
    #[inline(always)]
    fn batch(lines: &[Line], position: u64) -> &[Line] {
        // A ring has a power of two of lines, at least a batch, and positions are whole batches.
        let first = position as usize & (lines.len() - 1);
        &lines[first..first + BATCH]
    }

    /// The sending end. There must be only one.
    fn sender(&self) -> impl Sender + '_ {
        let lines = self.area.lines();
        let (mut position, mut seen_read) = (0_u64, 0);
        SendInPlace(move |first: u64| {
            if position + BATCH as u64 > seen_read + lines.len() as u64 {
                // Acquire: the receiver has read what these lines held before they are written.
                seen_read = self.read.0.load(Ordering::Acquire);
                if position + BATCH as u64 > seen_read + lines.len() as u64 {
                    return false;
                }
            }
            for (line, index) in Self::batch(lines, position).iter().zip(0..) {
                // SAFETY: by the two indices nobody looks at this line until `written` is stored
                // below: the receiver has read as far as `seen_read` says and goes no further than
                // `written`, and there is no other sender.
                unsafe { line.write(first.wrapping_add(index)) };
            }
            position += BATCH as u64;
            // Release: the lines hold the items before the index that announces them.
            self.written.0.store(position, Ordering::Release);
            true
        })
    }

    /// The receiving end. There must be only one.
    fn receiver(&self) -> impl Receiver + '_ {
        let lines = self.area.lines();
        let (mut position, mut seen_written) = (0_u64, 0);
        ReceiveInPlace(move |first: u64| {
            if position == seen_written {
                // Acquire: the lines hold the items once the index is seen.
                seen_written = self.written.0.load(Ordering::Acquire);
                if position == seen_written {
                    return None;
                }
            }
            let mut wrong = 0;
            for (line, index) in Self::batch(lines, position).iter().zip(0..) {
                // SAFETY: by the two indices nobody writes this line until `read` is stored below:
                // the sender has written as far as `seen_written` says, whole batches, and waits
                // for `read` before it writes this line again.
                wrong |= unsafe { line.difference(first.wrapping_add(index)) };
            }
            position += BATCH as u64;
            // Release: the lines are read before the index that frees them.
            self.read.0.store(position, Ordering::Release);
            Some(wrong)
        })
    }
}

/// The words of item `item`.
#[inline(always)]
fn words(item: u64) -> [u64; 8] {
    core::array::from_fn(|index| item ^ index as u64)
}

impl Line {
    /// Writes an item, by plain stores as wide as the processor has them.
    ///
    /// # Safety
    /// Nobody else accesses the line meanwhile.
    #[inline(always)]
    unsafe fn write(&self, item: u64) {
        let line = self.0.as_ptr().cast_mut().cast::<[u64; 8]>();
        // SAFETY: the pointer is to the eight words, which may be written through a shared
        // reference; that nobody else accesses them is the caller's promise.
        unsafe { line.write(words(item)) };
    }

    /// Zero if the line holds the item.
    ///
    /// # Safety
    /// Nobody writes the line meanwhile.
    #[inline(always)]
    unsafe fn difference(&self, item: u64) -> u64 {
        // SAFETY: the pointer is to the eight words; that nobody writes them is the caller's
        // promise.
        let held = unsafe { self.0.as_ptr().cast::<[u64; 8]>().read() };
        let both = held.into_iter().zip(words(item));
        both.fold(0, |wrong, (held, expected)| wrong | (held ^ expected))
    }
}

fn link(ring: &RawRing, name: String, first_item: u64) -> Link<'_> {
    Link {
        name,
        sender: Box::new(ring.sender()),
        receiver: Box::new(ring.receiver()),
        warm_up: ring.area.lines().len() as u64,
        next: first_item,
    }
}

/// What the other machine needed, by the size of the ring.
fn elsewhere(bytes: usize) -> &'static str {
    match bytes {
        0..=0x2_0000 => "10–11",
        0x4_0000..=0x10_0000 => "4.5–5",
        _ => "",
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
        report.conclusions.extend(steps(pages, &points));
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
}

/// A size in bytes, its series and that in short.
type Point<'a> = (usize, &'a [f64], Summary);

/// Where the cost changes from one size to the next.
fn steps(pages: Pages, points: &[Point<'_>]) -> Option<String> {
    let ((smallest, ..), (largest, ..)) = (points.first()?, points.last()?);
    let medians = || points.iter().map(|(_, _, summary)| summary.median);
    let cheapest = medians().fold(f64::INFINITY, f64::min);
    let dearest = medians().fold(0.0, f64::max);
    let begin = format!(
        "Streaming a line costs {} to {} ns on {} in rings of {} to {}",
        figure(cheapest),
        figure(dearest),
        pages.name(),
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
        let moved = match effect(&by_round) {
            Effect::TooFewRounds => {
                return Some(format!("{begin}: too few rounds to say where it steps."));
            }
            Effect::Below if ratio.median <= 1.0 / (1.0 + SMALLEST_STEP) => "falls",
            Effect::Above if ratio.median >= 1.0 + SMALLEST_STEP => "rises",
            _ => continue,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpus::{Kinship, Pair};

    #[test]
    fn what_is_sent_is_received_and_a_wrong_line_is_noticed() {
        let anywhere = Pair {
            first: 0,
            second: 0,
            kinship: Kinship::Unknown,
            pinned: false,
            preferred: false,
        };
        let ring = RawRing::new(16 << 10, Pages::Ordinary).unwrap();
        let items = 10 * BATCH as u64;
        let mut link = link(&ring, "ring".to_owned(), 7);
        link.run(anywhere, items, false).unwrap();
        link.run(anywhere, items, false).unwrap();

        let batch = BATCH as u64;
        let ring = RawRing::new(16 << 10, Pages::Ordinary).unwrap();
        let (mut sender, mut receiver) = (ring.sender(), ring.receiver());
        sender.send(100, batch).unwrap();
        ring.area.lines()[BATCH - 1].0[7].fetch_xor(1, Ordering::Relaxed);
        assert!(receiver.receive(100, batch).is_err());
        // The next batch is right, and asked for as another one.
        sender.send(200, batch).unwrap();
        assert!(receiver.receive(201, batch).is_err());
    }

    /// Recorded samples of three sizes.
    fn recorded(ordinary: [[f64; 5]; 3], no_huge: Option<&str>) -> Report {
        let sizes = [64 << 10, 128 << 10, 256 << 10];
        let streamed = Streamed {
            sizes: sizes
                .into_iter()
                .zip(ordinary)
                .map(|(bytes, series)| Size {
                    bytes,
                    ordinary: series.to_vec(),
                    huge: match no_huge {
                        Some(_) => Vec::new(),
                        None => vec![5.0, 5.1, 5.0, 4.9, 5.0],
                    },
                })
                .collect(),
            no_huge: no_huge.map(str::to_owned),
        };
        let mut report = Report::new("recorded");
        tell(&mut report, &streamed);
        report
    }

    /// Three alike, but for what the machine did in the second round.
    const FLAT: [[f64; 5]; 3] = [
        [10.0, 20.0, 10.1, 9.9, 10.0],
        [10.1, 19.0, 10.0, 10.2, 9.9],
        [9.9, 21.0, 10.2, 10.0, 10.1],
    ];

    #[test]
    fn a_planted_step_is_named_with_its_sizes() {
        let mut series = FLAT;
        series[2] = series[2].map(|cost| cost * 0.47);
        let report = recorded(series, None);
        let [ordinary, huge] = report.conclusions.as_slice() else {
            panic!("{:?}", report.conclusions);
        };
        let step = ": between 128 KiB and 256 KiB it falls from 10.1 to 4.75 ns.";
        assert!(ordinary.contains(step), "{ordinary}");
        assert!(huge.contains("changes nowhere"), "{huge}");
        // The other way round.
        let mut series = FLAT;
        series[0] = series[0].map(|cost| cost * 0.5);
        let report = recorded(series, None);
        let step = ": between 64 KiB and 128 KiB it rises from 5.00 to 10.1 ns.";
        let said = &report.conclusions[0];
        assert!(said.contains(step), "{said}");
    }

    #[test]
    fn flat_costs_have_no_step() {
        let report = recorded(FLAT, None);
        for said in &report.conclusions {
            assert!(said.contains("changes nowhere"), "{said}");
        }
    }

    #[test]
    fn huge_pages_that_are_refused_are_missing_with_the_reason() {
        let report = recorded(FLAT, Some("the kernel made none"));
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
