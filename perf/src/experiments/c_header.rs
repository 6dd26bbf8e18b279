//! The ring of the header-only C library beside the one in Rust, in the same rounds.
//!
//! The C ends are compiled into this program by the system's compiler, so that both are
//! used by the same threads, in turn, through the same table of functions. Between two CPUs, what
//! their cache lines cost is most of it; with both ends in one thread, what the code costs.

use crate::c_ends::{Named, compiler};
use crate::comparison::{Comparison, Unit};
use crate::experiments::Experiment;
use crate::links::{SIZES, Size, Way};
use crate::report::{Report, Trouble};
use crate::run::{Settings, stream_all, through};
use crate::sets::{Measured, measure_all, together};

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
    let compiler = compiler().map_err(Trouble::NotRun)?;
    let sets = (Threads::ALL.iter()).flat_map(|threads| sizes.iter().map(|size| (*threads, *size)));
    let measured = measure_all(sets, |(threads, size)| {
        let (threads, size) = (*threads, *size);
        let [ends, _] = threads.names();
        let name = format!("c-header, {ends}, capacity {}", size.capacity);
        // The cases alternate: C and Rust, for each way.
        stream_all(&name, WAYS.len() * 2, pair, settings, |case| {
            let (way, in_c) = (WAYS[case / 2], case % 2 == IN_C);
            let ring = Named::create(case, size)?;
            let whose = if in_c { "C" } else { "Rust" };
            Ok(through(ring, false, move |ring| {
                let mut ends = ring.ends(in_c)?.used(way);
                if threads == Threads::One {
                    ends = ends.in_one_thread();
                }
                let name = format!("{whose}, {}", way.name());
                Ok(ends.link(name, ring.slots(), settings.first_item()))
            }))
        })
    })?;
    let title = "c-header: the ring of ringproof.h beside the one in Rust, u64 items";
    let mut report = Report::on(title, pair);
    report.note(compiler);
    report.add_conditions("", "c-header", &together(&measured));
    report.note("median [min–max]; ratios are taken round by round; every item is checked");
    add(&mut report, &measured);
    Ok(report)
}

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
        format!("{way}, capacity {capacity}, memory {}", self.size.memory())
    }
}

/// Tables, conclusions and rows.
fn add(report: &mut Report, measured: &[Measured<(Threads, Size)>]) {
    let uses = |(threads, size): &(Threads, Size)| {
        let (threads, size) = (*threads, *size);
        WAYS.map(|way| Use { threads, way, size }).to_vec()
    };
    let all = Comparison::of_sets(Unit::RATE, IN_RUST, 2, measured, uses);
    let table = (all.columns())
        .words("ends", |used| used.threads.names()[0])
        .words("how", |used| used.way.name())
        .figure("capacity", |used| used.size.capacity)
        .words("memory", |used| used.size.memory())
        .value("C, million/s", IN_C)
        .value("Rust, million/s", IN_RUST)
        .speed("ratio", IN_C)
        .effect("C is", IN_C);
    report.tables.push(table.table(""));
    report.rows.extend(all.lines.iter().map(|line| {
        let check = format!("{}, {}", line.of.threads.names()[0], line.of.what());
        line.speed_row(IN_C, "ring/C header", check, "Rust")
    }));
    let said = Threads::ALL.iter();
    let said = said.filter_map(|threads| conclude(*threads, &all));
    report.conclusions.extend(said);
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
        threads.names()[1]
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

    /// What tables call it, and sentences.
    fn names(self) -> [&'static str; 2] {
        match self {
            Threads::Two => ["two threads", "a thread for each end"],
            Threads::One => ["one thread", "both ends in one thread"],
        }
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
