//! The ring of the header-only C library beside the one in Rust, in the same rounds.
//!
//! The C ends are compiled into this program by the system's compiler, so that both are
//! used by the same threads, in turn, through the same table of functions. Between two CPUs, what
//! their cache lines cost is most of it; with both ends in one thread, what the code costs.

mod calls;

use ringproof::{Ring, RingOptions};

use self::calls::Ends;
use crate::comparison::{Comparison, Unit};
use crate::cpus::Pair;
use crate::experiments::Experiment;
use crate::links::{self, BATCH, SIZES, Size, Way};
use crate::report::{Report, Trouble};
use crate::rounds::Rounds;
use crate::run::{Medium, Settings, stream_all};
use crate::sets::{Measured, measure_all, together};
use crate::stream::Link;

/// The experiment.
pub(crate) const EXPERIMENT: Experiment = Experiment {
    name: "c-header",
    title: "the C header",
    subject: "ring/C header",
    about: "The ring of the header-only C library beside the one in Rust, in the same rounds",
    details: "One by one, slices of 64, and chunks of 64 in place; between two threads, and with \
         both ends in one, where what the code costs is not hidden by what cache lines cost. \
         The C side is compiled at -O3 when this program is built, by the system's compiler \
         or the one that CC names.",
    run,
    ..Experiment::MEASURES
};

/// The ways that C has, too. (Its chunks are always in place.)
pub const WAYS: [Way; 3] = [Way::OneByOne, Way::Slices, Way::InPlace];

/// Compares in each of the [`WAYS`] at each of the sizes.
pub fn run(settings: &Settings) -> Result<Report, Trouble> {
    let sizes = settings.extent.pick(&SIZES[..1], &SIZES);
    let pair = settings.pair()?;
    let compiler = calls::compiler().map_err(Trouble::NotRun)?;
    let sets = (Threads::ALL.iter()).flat_map(|threads| sizes.iter().map(|size| (*threads, *size)));
    let measured = measure_all(sets, |(threads, size)| {
        compare(settings, pair, *size, *threads)
    })?;
    let title = "c-header: the ring of ringproof.h beside the one in Rust, u64 items";
    let mut report = Report::on(title, pair);
    report.note(compiler);
    report.add_conditions("", "c-header", &together(&measured));
    report.note("median [min–max]; ratios are taken round by round; every item is checked");
    add(&mut report, &measured);
    Ok(report)
}

/// What is said where there can be none.
const NO_RING: &str = "no ring could be made";

/// The alternatives.
const IN_C: usize = 0;
const IN_RUST: usize = 1;

/// What is done with rings of one size.
#[derive(Clone, Debug)]
struct Use {
    threads: Threads,
    way: Way,
    size: Size,
}

impl Use {
    fn what(&self) -> String {
        let (way, capacity) = (self.way.name(), self.size.capacity);
        format!("{way}, capacity {capacity}, memory {}", memory(self.size))
    }
}

/// Tables, conclusions and rows.
fn add(report: &mut Report, measured: &[Measured<(Threads, Size)>]) {
    let mut all = Comparison::new(Unit::RATE, IN_RUST);
    for Measured { set, rounds } in measured {
        let (threads, size) = *set;
        for (index, way) in WAYS.into_iter().enumerate() {
            let series = |at: usize| match rounds {
                Ok(rounds) => Ok(rounds.series[2 * index + at].clone()),
                Err(why) => Err(why.clone()),
            };
            let both = [IN_C, IN_RUST].map(series);
            all.add(Use { threads, way, size }, both.into());
        }
    }
    let table = (all.columns())
        .words("ends", |used| used.threads.name())
        .words("how", |used| used.way.name())
        .figure("capacity", |used| used.size.capacity)
        .words("memory", |used| memory(used.size))
        .value("C, million/s", IN_C)
        .value("Rust, million/s", IN_RUST)
        .speed("ratio", IN_C)
        .effect("C is", IN_C);
    report.tables.push(table.table(""));
    report.rows.extend(all.lines.iter().map(|line| {
        let check = format!("{}, {}", line.of.threads.name(), line.of.what());
        line.speed_row(IN_C, "ring/C header", check, "Rust")
    }));
    let said = Threads::ALL.iter();
    let said = said.filter_map(|threads| conclude(*threads, &all));
    report.conclusions.extend(said);
}

/// How much memory the ring's slots take.
fn memory(size: Size) -> &'static str {
    match size.slots {
        None => "as it comes",
        Some(_) => "the least",
    }
}

/// How far apart the two are at most, and where C is slower.
fn conclude(threads: Threads, all: &Comparison<Use>) -> Option<String> {
    let found = all
        .compared(IN_C)
        .filter(|(used, _)| used.threads == threads);
    let mut found: Vec<_> = found.map(|(used, one)| (used.what(), one)).collect();
    let slower = found.iter().filter(|(_, one)| one.slower());
    let slower: Vec<_> = slower
        .map(|(what, one)| format!("{what} ({})", one.percent()))
        .collect();
    let verdict = match &slower[..] {
        [] => "nowhere is it slower by more than the noise".to_owned(),
        slower => format!("it is slower at {}", slower.join(", ")),
    };
    found.sort_by(|(_, one), (_, other)| one.speed.median.total_cmp(&other.speed.median));
    let ((least, slowest), (most, fastest)) = (found.first()?, found.last()?);
    let [slowest, fastest] = [slowest, fastest].map(|one| one.speed.median);
    Some(format!(
        "With {}, C has {slowest:.2} ({least}) to {fastest:.2} ({most}) of Rust's rate: {verdict}.",
        threads.whose()
    ))
}

/// Who has the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Threads {
    /// A thread each, on two CPUs: items stream.
    Two,
    /// One thread, which sends a batch and then takes it.
    One,
}

impl Threads {
    const ALL: [Threads; 2] = [Threads::Two, Threads::One];

    fn name(self) -> &'static str {
        match self {
            Threads::Two => "two threads",
            Threads::One => "one thread",
        }
    }

    fn whose(self) -> &'static str {
        match self {
            Threads::Two => "a thread for each end",
            Threads::One => "both ends in one thread",
        }
    }
}

fn compare(
    settings: &Settings,
    pair: Pair,
    size: Size,
    threads: Threads,
) -> Result<Rounds, Trouble> {
    let mut options = RingOptions::new(size.capacity);
    if let Some(slots) = size.slots {
        options = options.slots(slots);
    }
    let name = format!("c-header, {}, capacity {}", threads.name(), size.capacity);
    // The cases alternate: C and Rust, for each way.
    stream_all(&name, WAYS.len() * 2, pair, settings, |case| {
        let name = format!("ringproof-perf-{}-{case}", std::process::id());
        let ring = Ring::create(&name, &options).map_err(Trouble::of(NO_RING))?;
        Ok(Box::new(Named {
            name,
            ring,
            threads,
            way: WAYS[case / 2],
            in_c: case.is_multiple_of(2),
            first_item: settings.first_item(),
        }))
    })
}

/// A ring that C can attach to, gone with this, and how it is used.
struct Named {
    name: String,
    ring: Ring<u64>,
    threads: Threads,
    way: Way,
    in_c: bool,
    first_item: u64,
}

impl Medium for Named {
    fn link(&mut self) -> Result<Link<'_>, Trouble> {
        let in_rust = || Ends::in_rust(&self.ring).map_err(Trouble::of(NO_RING));
        let (whose, ends) = match self.in_c {
            true => ("C", calls::ends(&self.name).map_err(Trouble::Failed)?),
            false => ("Rust", in_rust()?),
        };
        let mut ends = ends.used(self.way);
        if self.threads == Threads::One {
            let (mut sender, mut receiver) = (ends.sender, ends.receiver);
            ends = links::Ends {
                // Its work is the receiver's, a batch at a time.
                sender: Box::new(|_, _| Ok(())),
                receiver: Box::new(move |first, count| {
                    (0..count).step_by(BATCH).try_for_each(|done| {
                        let batch = (count - done).min(BATCH as u64);
                        sender(first.wrapping_add(done), batch)?;
                        receiver(first.wrapping_add(done), batch)
                    })
                }),
            };
        }
        let name = format!("{whose}, {}", self.way.name());
        Ok(ends.link(name, self.ring.segment().fixed().slots, self.first_item))
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        // If it fails there is nothing else to do.
        let _ = self.ring.segment().unlink();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::recorded;

    /// At one size, C with this rate in slices and Rust with 100 in everything.
    fn with(slices: f64) -> Report {
        let measured = Threads::ALL.map(|threads| {
            let mut rates = [100.0; 2 * WAYS.len()];
            if threads == Threads::One {
                rates[2] = slices;
            }
            let series = rates.map(|rate| recorded(Unit::RATE, rate));
            Measured::recorded((threads, SIZES[1]), series)
        });
        Report::recorded(|report| add(report, &measured))
    }

    #[test]
    fn where_c_is_slower_is_named() {
        with(80.0).concludes([
            &["nowhere is it slower by more than the noise."],
            &["it is slower at slices of 64, capacity 1024, memory the least (20 %)."],
        ]);
    }

    #[test]
    fn where_it_is_as_fast_nothing_is_named() {
        with(99.0).concludes([&["slower by more than the noise."]; 2]);
    }

    #[test]
    fn what_was_not_measured_says_why() {
        let measured = Measured {
            set: (Threads::One, SIZES[1]),
            rounds: Err("the CPUs moved".to_owned()),
        };
        let report = Report::recorded(|report| add(report, &[measured]));
        assert_eq!(report.tables[0].reasons(), ["the CPUs moved"]);
        assert!(report.conclusions.is_empty());
    }
}
