//! Our ring beside rtrb, in the same rounds.

use ringproof::{Ring, RingOptions, SegmentError};
use ringproof_record::Record;
use rtrb::RingBuffer;

use crate::cpus::Pair;
use crate::links::{BATCH, ours, theirs};
use crate::report::{LAYER, Report, Trouble, build_note, conditions, conditions_row, per_mille};
use crate::rounds::Rounds;
use crate::run::{Extent, Settings, stream_all};
use crate::stats::{Effect, effect, ratios, summarize};
use crate::stream::{Link, Receiver, Sender};
use crate::table::{Cell, Table, spread};

/// How to repeat it.
pub const REPEAT: &str = "cargo run --release -p ringproof-perf -- peers";

/// How items go in and out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `push` and `pop`.
    OneByOne,
    /// `push_slice` and `pop_slice`; rtrb's `push_entire_slice` and `pop_entire_slice`.
    Slices,
    /// Whole chunks, copied in and out.
    Chunks,
    /// Whole chunks, written and checked where they lie; unsafe in ours.
    InPlace,
}

impl Way {
    /// All of them.
    pub const ALL: [Way; 4] = [Way::OneByOne, Way::Slices, Way::Chunks, Way::InPlace];

    /// The subject of its rows.
    fn subject(self) -> &'static str {
        match self {
            Way::OneByOne => "ring/push, pop",
            Way::Slices => "ring/push_slice, pop_slice",
            Way::Chunks => "ring/reserve, commit, peek, release",
            Way::InPlace => "ring/as_mut_slices, as_slices",
        }
    }

    /// What is done, in the table.
    pub fn name(self) -> &'static str {
        match self {
            Way::OneByOne => "one by one",
            Way::Slices => "slices of 64",
            Way::Chunks => "chunks of 64, copied",
            Way::InPlace => "chunks of 64, in place",
        }
    }
}

/// One size to compare at.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Items that may be live at once, the same for both.
    pub capacity: u64,
    /// Slots that ours cycles through; as many as it takes unless told, for at least 256 KiB.
    pub slots: Option<u64>,
}

/// The sizes of the whole experiment.
pub const SIZES: [Size; 3] = [
    Size {
        capacity: 1024,
        slots: None,
    },
    Size {
        capacity: 1024,
        slots: Some(1024),
    },
    Size {
        capacity: 65_536,
        slots: None,
    },
];

/// Compares in each of the ways at each of the sizes.
///
/// # Errors
/// [`Trouble`].
pub fn run(settings: &Settings) -> Result<Report, Trouble> {
    let ways = &Way::ALL;
    let sizes: &[Size] = match settings.extent {
        Extent::Smoke => &[SIZES[0], SIZES[2]],
        Extent::Full | Extent::Quick => &SIZES,
    };
    let pair = settings.pair()?;
    let mut report = Report::new("peers: ringproof beside rtrb, u64 items, every item checked");
    report.notes.push(format!("{pair}"));
    report.notes.extend(build_note());
    let mut table = Table::new(
        "",
        [
            "how",
            "capacity",
            "our memory",
            "ringproof, million/s",
            "rtrb, million/s",
            "ratio",
        ],
    );
    for size in sizes {
        let compared = compare(settings, pair, ways, *size)?;
        let experiment = format!("capacity {}, our memory {}", size.capacity, compared.memory);
        let said = conditions(&compared.rounds);
        report.notes.push(format!("{experiment}: {said}"));
        let row = conditions_row(&format!("peers, {experiment}"), &compared.rounds, REPEAT);
        report.rows.push(row);
        for (way, series) in ways.iter().zip(compared.rounds.series.chunks(2)) {
            let Some(line) = Line::of(*way, *size, &compared.memory, series) else {
                continue;
            };
            table.add(line.cells);
            report.rows.push(line.row);
            report.conclusions.extend(line.conclusion);
        }
    }
    report.tables.push(table);
    report.notes.push(format!(
        "median [min–max]; ratios are taken round by round; a batch is {BATCH} items; rtrb's \
         memory is what its capacity needs"
    ));
    Ok(report)
}

/// What was measured at one size.
struct Compared {
    memory: String,
    /// For each way two series: ours and theirs.
    rounds: Rounds,
}

fn compare(settings: &Settings, pair: Pair, ways: &[Way], size: Size) -> Result<Compared, Trouble> {
    let mut options = RingOptions::new(size.capacity);
    if let Some(slots) = size.slots {
        options = options.slots(slots);
    }
    let make = || Ring::<u64>::anonymous(&options).map_err(no_ring);
    let slots = make()?.fixed().slots;
    let first_item = settings.first_item();
    let name = format!("peers, capacity {}", size.capacity);
    // The cases alternate: ours and theirs, for each way.
    let cases = ways.len() * 2;
    let rounds = stream_all(&name, cases, pair, settings, |order, with_links| {
        let mut rings: Vec<Option<Ring<u64>>> = ways.iter().map(|_| None).collect();
        for case in order.iter().filter(|case| case.is_multiple_of(2)) {
            rings[case / 2] = Some(make()?);
        }
        let mut links: Vec<Option<Link<'_>>> = (0..cases).map(|_| None).collect();
        for &case in order {
            let (way, ring) = (ways[case / 2], &rings[case / 2]);
            links[case] = match ring {
                Some(ring) if case.is_multiple_of(2) => {
                    Some(our_link(way, ring, first_item).map_err(no_ring)?)
                }
                _ => Some(their_link(way, size.capacity, slots, first_item)),
            };
        }
        let mut links: Vec<Link<'_>> = links.into_iter().flatten().collect();
        with_links(&mut links)
    })?;
    Ok(Compared {
        memory: format!("{} KiB", slots * 8 / 1024),
        rounds,
    })
}

fn no_ring(error: SegmentError) -> Trouble {
    Trouble::NotRun(format!("no ring could be made: {error}"))
}

/// Our ring, used in that way.
///
/// # Errors
/// [`SegmentError`] if its roles are taken.
pub fn our_link(way: Way, ring: &Ring<u64>, first_item: u64) -> Result<Link<'_>, SegmentError> {
    let (producer, consumer) = (ring.producer()?, ring.consumer()?);
    let (sender, receiver): (Box<dyn Sender + '_>, Box<_>) = match way {
        Way::OneByOne => (Box::new(ours::push(producer)), boxed(ours::pop(consumer))),
        Way::Slices => (
            Box::new(ours::push_slice(producer)),
            boxed(ours::pop_slice(consumer)),
        ),
        Way::Chunks => (
            Box::new(ours::chunk_in(producer)),
            boxed(ours::chunk_out(consumer)),
        ),
        Way::InPlace => (
            Box::new(ours::write_in_place(producer)),
            boxed(ours::read_in_place(consumer)),
        ),
    };
    Ok(Link {
        name: format!("ringproof, {}", way.name()),
        sender,
        receiver,
        warm_up: ring.fixed().slots,
        next: first_item,
    })
}

/// rtrb, used in that way.
pub fn their_link(way: Way, capacity: u64, warm_up: u64, first_item: u64) -> Link<'static> {
    // A capacity is one of a few constants; none comes near usize's limit.
    let (producer, consumer) = RingBuffer::new(capacity as usize);
    let (sender, receiver): (Box<dyn Sender>, Box<_>) = match way {
        Way::OneByOne => (
            Box::new(theirs::push(producer)),
            boxed(theirs::pop(consumer)),
        ),
        Way::Slices => (
            Box::new(theirs::push_slice(producer)),
            boxed(theirs::pop_slice(consumer)),
        ),
        Way::Chunks => (
            Box::new(theirs::chunk_in(producer)),
            boxed(theirs::chunk_out(consumer)),
        ),
        Way::InPlace => (
            Box::new(theirs::write_in_place(producer)),
            boxed(theirs::read_in_place(consumer)),
        ),
    };
    Link {
        name: format!("rtrb, {}", way.name()),
        sender,
        receiver,
        warm_up,
        next: first_item,
    }
}

fn boxed<'a>(receiver: impl Receiver + 'a) -> Box<dyn Receiver + 'a> {
    Box::new(receiver)
}

/// One comparison, told three times.
struct Line {
    cells: Vec<Cell>,
    row: Record,
    conclusion: Option<String>,
}

impl Line {
    fn of(way: Way, size: Size, memory: &str, series: &[Vec<f64>]) -> Option<Self> {
        let [ours, theirs] = series else { return None };
        let by_round = ratios(ours, theirs);
        let ratio = summarize(&by_round)?;
        let (our_rate, their_rate) = (summarize(ours)?, summarize(theirs)?);
        let cells = vec![
            Cell::words(way.name()),
            Cell::figure(size.capacity.to_string()),
            Cell::figure(memory),
            Cell::figure(spread(our_rate)),
            Cell::figure(spread(their_rate)),
            Cell::figure(spread(ratio)),
        ];
        let check = format!(
            "{} vs rtrb, capacity {}, memory {memory}",
            way.name(),
            size.capacity
        );
        let row = Record::passed(LAYER, way.subject(), check)
            .count(per_mille(ratio.median), "‰ of rtrb's rate")
            .reason(format!(
                "median of {} rounds, {}–{} ‰; {:.0} against {:.0} million items/s",
                by_round.len(),
                per_mille(ratio.min),
                per_mille(ratio.max),
                our_rate.median,
                their_rate.median,
            ))
            .repeat(REPEAT);
        let share = format!("{:.2} of its rate", ratio.median);
        let conclusion = match effect(&by_round) {
            Effect::Above => Some(format!("faster than rtrb, {share}")),
            Effect::Below => Some(format!("SLOWER than rtrb, {share}")),
            Effect::None => Some(format!("as fast as rtrb within the noise, {share}")),
            Effect::TooFewRounds => None,
        };
        Some(Line {
            cells,
            row,
            conclusion: conclusion.map(|text| {
                let (way, capacity) = (way.name(), size.capacity);
                format!("{way}, capacity {capacity}, memory {memory}: {text}.")
            }),
        })
    }
}
