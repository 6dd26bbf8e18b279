//! The ring of the header-only C library beside the one in Rust, in the same rounds.
//!
//! The C ends are compiled into this program by the system's compiler, so that both are
//! used by the same threads, in turn, through the same table of functions. Between two CPUs, what
//! their cache lines cost is most of it; with both ends in one thread, what the code costs.

mod calls;
mod library;

use ringproof::{Ring, RingOptions, SegmentError};
use ringproof_record::Record;

use self::calls::Ends;
use crate::cpus::Pair;
use crate::links::{BATCH, SIZES, Size, Way};
use crate::report::{LAYER, Report, Trouble, build_note, conditions, conditions_row, per_mille};
use crate::rounds::Rounds;
use crate::run::{Extent, Settings, stream_all};
use crate::stats::{Effect, effect, ratios, summarize};
use crate::stream::{Fault, Link, Receiver, Sender};
use crate::table::{Cell, Table, spread};

/// How to repeat it.
pub const REPEAT: &str = "cargo run --release -p ringproof-perf -- c-header";

/// The ways that C has, too. (Its chunks are always in place.)
pub const WAYS: [Way; 3] = [Way::OneByOne, Way::Slices, Way::InPlace];

/// Compares in each of the [`WAYS`] at each of the sizes.
///
/// # Errors
/// [`Trouble`].
pub fn run(settings: &Settings) -> Result<Report, Trouble> {
    let sizes: &[Size] = match settings.extent {
        Extent::Smoke => &SIZES[..1],
        Extent::Full | Extent::Quick => &SIZES,
    };
    let pair = settings.pair()?;
    let compiler = library::compiler().map_err(Trouble::NotRun)?;
    let mut report =
        Report::new("c-header: the ring of ringproof.h beside the one in Rust, u64 items");
    report.notes.push(format!("{pair}"));
    report.notes.extend(build_note());
    report.notes.push(compiler.to_owned());
    let columns = [
        "ends",
        "how",
        "capacity",
        "C, million/s",
        "Rust, million/s",
        "ratio",
    ];
    let mut table = Table::new("", columns);
    for size in sizes {
        for course in Course::ALL {
            let rounds = compare(settings, pair, *size, course)?;
            let experiment = format!("{}, capacity {}", course.name(), size.capacity);
            let said = conditions(&rounds);
            report.notes.push(format!("{experiment}: {said}"));
            let row = conditions_row(&format!("c-header, {experiment}"), &rounds, REPEAT);
            report.rows.push(row);
            for (way, series) in WAYS.iter().zip(rounds.series.chunks(2)) {
                let what = format!("{}, {experiment}", way.name());
                let cells = [course.name(), way.name(), &size.capacity.to_string()];
                add(&mut report, &mut table, &what, cells, series);
            }
        }
    }
    report.tables.push(table);
    report.notes.push(
        "median [min–max]; ratios are taken round by round; every item is checked".to_owned(),
    );
    Ok(report)
}

/// Who has the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// A thread each, on two CPUs: items stream.
    TwoThreads,
    /// One thread, which sends a batch and then takes it.
    OneThread,
}

impl Course {
    const ALL: [Course; 2] = [Course::TwoThreads, Course::OneThread];

    fn name(self) -> &'static str {
        match self {
            Course::TwoThreads => "two threads",
            Course::OneThread => "one thread",
        }
    }
}

/// A receiver that sends what it takes, a batch at a time.
struct BackToBack<'r> {
    sender: Box<dyn Sender + 'r>,
    receiver: Box<dyn Receiver + 'r>,
}

impl Receiver for BackToBack<'_> {
    fn receive(&mut self, first: u64, count: u64) -> Result<(), Fault> {
        let mut done = 0;
        while done < count {
            let batch = (count - done).min(BATCH as u64);
            self.sender.send(first.wrapping_add(done), batch)?;
            self.receiver.receive(first.wrapping_add(done), batch)?;
            done += batch;
        }
        Ok(())
    }
}

/// A sender whose receiver does its work.
struct Idle;

impl Sender for Idle {
    fn send(&mut self, _: u64, _: u64) -> Result<(), Fault> {
        Ok(())
    }
}

/// Tells one comparison three times.
fn add(
    report: &mut Report,
    table: &mut Table,
    what: &str,
    [ends, how, capacity]: [&str; 3],
    series: &[Vec<f64>],
) {
    let [in_c, in_rust] = series else { return };
    let by_round = ratios(in_c, in_rust);
    let (Some(ratio), Some(c_rate), Some(rust_rate)) =
        (summarize(&by_round), summarize(in_c), summarize(in_rust))
    else {
        return;
    };
    table.add([
        Cell::words(ends),
        Cell::words(how),
        Cell::figure(capacity),
        Cell::figure(spread(c_rate)),
        Cell::figure(spread(rust_rate)),
        Cell::figure(spread(ratio)),
    ]);
    let row = Record::passed(LAYER, "ring/C header", format!("vs Rust: {what}"));
    report.rows.push(
        row.count(per_mille(ratio.median), "‰ of Rust's rate")
            .reason(format!(
                "median of {} rounds, {}–{} ‰; {:.0} against {:.0} million items/s",
                by_round.len(),
                per_mille(ratio.min),
                per_mille(ratio.max),
                c_rate.median,
                rust_rate.median,
            ))
            .repeat(REPEAT),
    );
    let said = match effect(&by_round) {
        Effect::Above => "faster than Rust",
        Effect::Below => "SLOWER than Rust",
        Effect::None => "as fast as Rust within the noise",
        Effect::TooFewRounds => return,
    };
    report
        .conclusions
        .push(format!("{what}: {said}, {:.2} of its rate.", ratio.median));
}

fn compare(settings: &Settings, pair: Pair, size: Size, course: Course) -> Result<Rounds, Trouble> {
    let mut options = RingOptions::new(size.capacity);
    if let Some(slots) = size.slots {
        options = options.slots(slots);
    }
    let first_item = settings.first_item();
    let name = format!("c-header, {}, capacity {}", course.name(), size.capacity);
    // The cases alternate: C and Rust, for each way.
    let cases = WAYS.len() * 2;
    stream_all(&name, cases, pair, settings, |order, with_links| {
        let mut rings: Vec<Option<Named>> = (0..cases).map(|_| None).collect();
        for &case in order {
            rings[case] = Some(Named::make(case, &options)?);
        }
        let mut links = Vec::new();
        for (case, ring) in rings.iter().enumerate() {
            let Some(ring) = ring else { continue };
            let way = WAYS[case / 2];
            let (whose, ends) = if case.is_multiple_of(2) {
                ("C", library::ends(&ring.name).map_err(Trouble::Failed)?)
            } else {
                ("Rust", Ends::in_rust(&ring.ring).map_err(no_ring)?)
            };
            let (sender, receiver) = ends.split(way);
            let (sender, receiver): (Box<dyn Sender + '_>, Box<dyn Receiver + '_>) = match course {
                Course::TwoThreads => (sender, receiver),
                Course::OneThread => (Box::new(Idle), Box::new(BackToBack { sender, receiver })),
            };
            links.push(Link {
                name: format!("{whose}, {}", way.name()),
                sender,
                receiver,
                warm_up: ring.ring.fixed().slots,
                next: first_item,
            });
        }
        with_links(&mut links)
    })
}

fn no_ring(error: SegmentError) -> Trouble {
    Trouble::NotRun(format!("no ring could be made: {error}"))
}

/// A ring that C can attach to, gone with this.
struct Named {
    name: String,
    ring: Ring<u64>,
}

impl Named {
    fn make(case: usize, options: &RingOptions) -> Result<Self, Trouble> {
        let name = format!("ringproof-perf-{}-{case}", std::process::id());
        let ring = Ring::create(&name, options).map_err(no_ring)?;
        Ok(Named { name, ring })
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        // Nobody waits for what comes of it, and there is nothing else to do.
        let _ = self.ring.unlink();
    }
}
