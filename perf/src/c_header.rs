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
use crate::compared::Compared;
use crate::cpus::Pair;
use crate::links::{BATCH, SIZES, Size, Way};
use crate::report::{LAYER, Report, Trouble, build_note, conditions, conditions_row};
use crate::rounds::Rounds;
use crate::run::{Extent, Settings, stream_all};
use crate::sets::{Measured, measure_all, together};
use crate::stats::summarize;
use crate::stream::{Link, Receiver, Sender};
use crate::table::{Cell, Table, spread};
use crate::together::Fault;

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
    let sets = (Course::ALL.iter()).flat_map(|course| sizes.iter().map(|size| (*course, *size)));
    let measured = measure_all(sets, |(course, size)| {
        compare(settings, pair, *size, *course)
    })?;
    let mut report =
        Report::new("c-header: the ring of ringproof.h beside the one in Rust, u64 items");
    report.notes.push(format!("{pair}"));
    report.notes.extend(build_note());
    report.notes.push(compiler.to_owned());
    let all = together(&measured);
    report.notes.push(conditions(&all));
    report.rows.push(conditions_row("c-header", &all, REPEAT));
    report.notes.push(
        "median [min–max]; ratios are taken round by round; every item is checked".to_owned(),
    );
    tell(&mut report, &measured);
    Ok(report)
}

/// Tables, conclusions and rows.
fn tell(report: &mut Report, measured: &[Measured<(Course, Size)>]) {
    let columns = [
        "ends",
        "how",
        "capacity",
        "memory",
        "C, million/s",
        "Rust, million/s",
        "ratio",
        "C is",
    ];
    let mut table = Table::new("", columns);
    let mut compared = Vec::new();
    for Measured {
        set: (course, size),
        rounds,
    } in measured
    {
        for (index, way) in WAYS.iter().enumerate() {
            let [course_name, way_name] = [course.name(), way.name()];
            let memory = memory(*size);
            let what = format!("{way_name}, capacity {}, memory {memory}", size.capacity);
            let mut cells = vec![
                Cell::words(course_name),
                Cell::words(way_name),
                Cell::figure(size.capacity.to_string()),
                Cell::words(memory),
            ];
            let check = format!("{course_name}, {what}");
            let series = rounds.as_ref().map(|rounds| &rounds.series[2 * index..]);
            match series {
                Ok([in_c, in_rust, ..]) => {
                    let of = (Compared::rates(in_c, in_rust)).zip(summarize(in_rust));
                    let Some((found, rust)) = of else { continue };
                    cells.push(Cell::figure(spread(found.value)));
                    cells.push(Cell::figure(spread(rust)));
                    cells.push(found.ratio());
                    cells.push(Cell::words(found.said()));
                    let row = found.row("ring/C header", check, "Rust");
                    report.rows.push(row.repeat(REPEAT));
                    compared.push((*course, what, found));
                }
                Ok(_) => continue,
                Err(why) => {
                    cells.extend([Cell::missing(why), Cell::missing(why), Cell::missing(why)]);
                    let row = Record::not_run(LAYER, "ring/C header", check, why);
                    report.rows.push(row.repeat(REPEAT));
                }
            }
            table.add(cells);
        }
    }
    report.tables.push(table);
    for course in Course::ALL {
        let of_course = compared.iter().filter(|(of, ..)| *of == course);
        let of_course: Vec<_> = of_course.map(|(_, what, found)| (what, found)).collect();
        report.conclusions.extend(conclude(course, &of_course));
    }
}

/// How much memory the ring's slots take.
fn memory(size: Size) -> &'static str {
    match size.slots {
        None => "as it comes",
        Some(_) => "the least",
    }
}

/// How far apart the two are at most, and where C is slower.
fn conclude(course: Course, compared: &[(&String, &Compared)]) -> Option<String> {
    let by_ratio = |(_, one): &&(&String, &Compared), (_, other): &&(&String, &Compared)| {
        one.speed.median.total_cmp(&other.speed.median)
    };
    let (least, slowest) = compared.iter().min_by(by_ratio)?;
    let (most, fastest) = compared.iter().max_by(by_ratio)?;
    let slower: Vec<String> = compared
        .iter()
        .filter(|(_, found)| found.slower())
        .map(|(what, found)| format!("{what} ({})", found.percent()))
        .collect();
    let verdict = match &slower[..] {
        [] => "nowhere is it slower by more than the noise".to_owned(),
        slower => format!("it is slower at {}", slower.join(", ")),
    };
    Some(format!(
        "With {}, C has {:.2} ({least}) to {:.2} ({most}) of Rust's rate: {verdict}.",
        course.whose(),
        slowest.speed.median,
        fastest.speed.median,
    ))
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

    fn whose(self) -> &'static str {
        match self {
            Course::TwoThreads => "a thread for each end",
            Course::OneThread => "both ends in one thread",
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Both courses at one size, C with this rate in slices and Rust with 100 in everything.
    fn recorded(slices: [f64; 5]) -> Report {
        let rust = vec![100.0, 110.0, 90.0, 100.0, 105.0];
        let measured = Course::ALL.map(|course| {
            let mut series = vec![rust.clone(); 2 * WAYS.len()];
            if course == Course::OneThread {
                series[2] = slices.to_vec();
            }
            Measured {
                set: (course, SIZES[1]),
                rounds: Ok(Rounds {
                    series,
                    ..Rounds::default()
                }),
            }
        });
        let mut report = Report::new("recorded");
        tell(&mut report, &measured);
        report
    }

    #[test]
    fn where_c_is_slower_is_named() {
        let report = recorded([80.0, 90.0, 70.0, 82.0, 84.0]);
        let [two, one] = &report.conclusions[..] else {
            panic!("{:?}", report.conclusions)
        };
        assert!(
            two.ends_with("nowhere is it slower by more than the noise."),
            "{two}"
        );
        assert!(
            one.contains("it is slower at slices of 64, capacity 1024, memory the least (20 %)."),
            "{one}"
        );
    }

    #[test]
    fn where_it_is_as_fast_nothing_is_named() {
        let report = recorded([100.0, 108.0, 92.0, 99.0, 106.0]);
        assert!(
            (report.conclusions.iter())
                .all(|said| said.ends_with("slower by more than the noise.")),
            "{:?}",
            report.conclusions
        );
    }

    #[test]
    fn what_was_not_measured_says_why() {
        let mut report = Report::new("recorded");
        let measured = [Measured {
            set: (Course::OneThread, SIZES[1]),
            rounds: Err("the CPUs moved".to_owned()),
        }];
        tell(&mut report, &measured);
        assert_eq!(report.tables[0].reasons(), ["the CPUs moved"]);
        assert!(report.conclusions.is_empty());
    }
}
