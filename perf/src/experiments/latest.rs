//! The latest value: seqlock and latch, alone and against each other's worst case.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ringproof::{SegmentError, SeqLatch, SeqLatchOptions, SeqLock, SeqLockOptions};

use crate::comparison::{Comparison, Unit};
use crate::counters::Usage;
use crate::cpus::Pair;
use crate::experiments::Experiment;
use crate::report::{Report, Trouble};
use crate::rounds::{Rounds, Sample};
use crate::run::{self, Settings};
use crate::stats::{Effect, Summary};
use crate::table::{Cell, figure, spread};
use crate::together::{Fault, alone, both};

/// The experiment.
pub(crate) const EXPERIMENT: Experiment = Experiment {
    name: "latest",
    title: "latest value",
    subject: "seqlock, latch",
    about: "Seqlock and latch: write, read at rest, read against a writer that never pauses",
    run,
    ..Experiment::MEASURES
};

/// A value of `N` words that are all the same, so that a torn one shows.
pub type Value<const N: usize> = [u64; N];

/// How many different values the writer cycles through; made before the clock starts.
const VALUES: usize = 8;

/// How many operations there are between two looks at the clock, where they are quick.
const BETWEEN_CLOCKS: u32 = 64;

/// What is done to the structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Situation {
    /// One thread writes, none reads.
    Write,
    /// One thread reads, none writes.
    ReadIdle,
    /// One thread reads while another writes as fast as it can.
    ReadBusy,
}

impl Situation {
    /// All of them.
    pub const ALL: [Situation; 3] = [Situation::Write, Situation::ReadIdle, Situation::ReadBusy];

    /// What tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Situation::Write => "write",
            Situation::ReadIdle => "read, writer idle",
            Situation::ReadBusy => "read, writer flat out",
        }
    }
}

/// What came of one sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timed {
    /// Writes, or values read.
    pub count: u64,
    /// The time they took all together.
    pub took: Duration,
    /// How often the threads were preempted meanwhile.
    pub preemptions: u64,
}

impl Timed {
    /// So many since a look, if no value was torn.
    fn since(before: Usage, start: Instant, count: u64, wrong: u64) -> Result<Self, Fault> {
        let timed = Timed {
            count,
            took: start.elapsed(),
            preemptions: before.since().preemptions,
        };
        match wrong {
            0 => Ok(timed),
            _ => Err(Fault::Torn(count)),
        }
    }

    /// Nanoseconds for each; infinite if there was none.
    pub fn each(&self) -> f64 {
        self.took.as_nanos() as f64 / self.count as f64
    }
}

/// Times `count` writes.
pub fn time_writes<const N: usize>(mut write: impl FnMut(&Value<N>), count: u64) -> Timed {
    let values = values::<N>();
    let before = Usage::so_far();
    let start = Instant::now();
    for value in values.iter().cycle().zip(0..count).map(|(value, _)| value) {
        write(black_box(value));
    }
    Timed {
        count,
        took: start.elapsed(),
        preemptions: before.since().preemptions,
    }
}

/// Times `count` reads of a value that no thread writes. Each is looked at where it is cheap to: its
/// first and last word.
///
/// # Errors
/// [`Fault`] if no value is to be had, or a torn one.
pub fn time_reads<const N: usize>(
    mut read: impl FnMut() -> Option<Value<N>>,
    count: u64,
) -> Result<Timed, Fault> {
    let mut wrong = 0;
    let before = Usage::so_far();
    let start = Instant::now();
    for index in 0..count {
        let value = black_box(read().ok_or(Fault::Stalled(index))?);
        wrong |= value[0] ^ value[N - 1];
    }
    Timed::since(before, start, count, wrong)
}

/// Reads for about `time` while another thread writes as fast as it can; every word of every value
/// is looked at, and that is part of the time.
///
/// A reader may be one that waits until it has a value, and it may wait as long as the writer goes
/// on. So the writer gives up after three times `time`, and what was read later than after twice
/// `time` does not count.
///
/// # Errors
/// [`Fault`] if a value was torn, or a CPU taken away.
pub fn time_busy_reads<const N: usize>(
    pair: Pair,
    mut write: impl FnMut(&Value<N>) + Send,
    mut read: impl FnMut() -> Option<Value<N>> + Send,
    time: Duration,
) -> Result<Timed, Fault> {
    let done = AtomicBool::new(false);
    let writing = || {
        let values = values::<N>();
        let start = Instant::now();
        // Relaxed: it carries no data and need not be prompt.
        while !done.load(Ordering::Relaxed) && start.elapsed() < time * 3 {
            // The clock costs as much as some writes: ask it seldom.
            for _ in 0..BETWEEN_CLOCKS {
                values.iter().for_each(&mut write);
            }
        }
        Ok(())
    };
    let mut reading = || {
        let (mut wrong, mut count) = (0, 0);
        let before = Usage::so_far();
        let start = Instant::now();
        let mut took = Duration::ZERO;
        // Slow reads are timed one by one, quick ones together.
        let mut reads = 1;
        while took < time {
            let mut more = 0;
            for _ in 0..reads {
                if let Some(value) = read() {
                    more += 1;
                    for word in value {
                        wrong |= word ^ value[0];
                    }
                }
            }
            let now = start.elapsed();
            if now < time * 2 {
                count += more;
            }
            reads = match now - took < time / 64 {
                true => (reads * 2).min(BETWEEN_CLOCKS),
                false => 1,
            };
            took = now;
        }
        done.store(true, Ordering::Relaxed);
        let timed = Timed::since(before, start, count, wrong)?;
        Ok(Timed { took, ..timed })
    };
    let (read, ((), disturbed)) = both(pair, |_| reading(), |_| Usage::during(writing))?;
    Ok(Timed {
        preemptions: read.preemptions + disturbed,
        ..read
    })
}

fn values<const N: usize>() -> [Value<N>; VALUES] {
    core::array::from_fn(|index| [index as u64; N])
}

/// A structure with one writer and a reader.
pub trait Latest<const N: usize>: Sized {
    /// What tables call it.
    const NAME: &'static str;
    /// Makes one.
    fn make() -> Result<Self, SegmentError>;
    /// What writes, and what tries once to read.
    fn ends(&mut self) -> Result<(impl Write<N>, impl Read<N>), SegmentError>;
}

/// Writes a value.
pub trait Write<const N: usize>: FnMut(&Value<N>) + Send {}

impl<const N: usize, F: FnMut(&Value<N>) + Send> Write<N> for F {}

/// Reads a value, if there is one to be had.
pub trait Read<const N: usize>: FnMut() -> Option<Value<N>> + Send {}

impl<const N: usize, F: FnMut() -> Option<Value<N>> + Send> Read<N> for F {}

macro_rules! ours {
    ($structure:ident, $options:ident, $name:expr) => {
        impl<const N: usize> Latest<N> for $structure<Value<N>> {
            const NAME: &'static str = $name;

            fn make() -> Result<Self, SegmentError> {
                $structure::anonymous(&[0; N], &$options::default())
            }

            fn ends(&mut self) -> Result<(impl Write<N>, impl Read<N>), SegmentError> {
                let (mut writer, reader) = (self.writer()?, self.reader()?);
                let write = move |value: &Value<N>| writer.write(value);
                Ok((write, move || reader.try_read().ok()))
            }
        }
    };
}

ours!(SeqLock, SeqLockOptions, OURS[0]);
ours!(SeqLatch, SeqLatchOptions, OURS[1]);

/// Something to measure: a structure with a payload.
pub struct Entry {
    of: Structure,
    /// Makes one of its own for a situation.
    sampler: fn(Situation, Pair, Duration) -> Result<Sampler, SegmentError>,
}

/// Takes a sample.
type Sampler = Box<dyn FnMut() -> Result<Timed, Fault>>;

impl Entry {
    /// A structure with a payload of `N` words.
    pub const fn of<const N: usize, S: Latest<N> + Send + 'static>() -> Self {
        Entry {
            of: Structure {
                name: S::NAME,
                bytes: size_of::<Value<N>>(),
            },
            sampler: sampler::<N, S>,
        }
    }

    /// Takes samples in each situation, over structures that are made now.
    pub fn samplers(&self, pair: Pair, time: Duration) -> Result<[Sampler; 3], Trouble> {
        let [write, idle, busy] = Situation::ALL.map(|one| (self.sampler)(one, pair, time));
        let all = write.and_then(|write| Ok([write, idle?, busy?]));
        all.map_err(Trouble::of("no structure could be made"))
    }
}

/// What tables call ours.
pub const OURS: [&str; 2] = ["seqlock", "latch"];

/// Ours with payloads of 32, 64, 256 and 1024 bytes.
const SIZES: [&[Entry]; 4] = [&ours::<4>(), &ours::<8>(), &ours::<32>(), &ours::<128>()];

/// Our seqlock and our latch.
pub const fn ours<const N: usize>() -> [Entry; 2] {
    [Entry::of::<N, SeqLock<_>>(), Entry::of::<N, SeqLatch<_>>()]
}

/// Measures seqlock and latch.
pub fn run(settings: &Settings) -> Result<Report, Trouble> {
    let pair = settings.pair()?;
    let (all, rounds) = measure("latest value", pair, settings, SIZES)?;
    let mut report = Report::on(
        "latest value: seqlock and latch of 4 slots, ns for each",
        pair,
    );
    report.add_conditions("", "latest value", &rounds);
    report.note(HOW_TO_READ);
    add_figures(&mut report, "", &all, settings.sample);
    report.conclusions.extend(conclusions(&all));
    Ok(report)
}

/// What is done to structures, each in every [`Situation`]: nanoseconds, infinite in a round
/// without a value.
pub type Values = Comparison<Structure>;

/// A structure with a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structure {
    /// What tables call it.
    pub name: &'static str,
    /// The payload's size.
    pub bytes: usize,
}

/// For each structure, what a writer that never pauses does to its readers.
fn conclusions(all: &Values) -> Vec<String> {
    let [idle, busy] = [Situation::ReadIdle, Situation::ReadBusy].map(|one| one as usize);
    let of_structure = |name| {
        let (mut slower, mut same, mut starved) = (Vec::new(), Vec::new(), Vec::new());
        for line in all.lines.iter().filter(|line| line.of.name == name) {
            let Ok(ratio) = line.ratio(busy, idle) else {
                continue;
            };
            let size = format!("{} bytes", line.of.bytes);
            match ratio.effect {
                _ if ratio.of.max.is_infinite() => starved.push(size),
                Effect::Above => {
                    slower.push(format!("{} times at {size}", figure(ratio.of.median)))
                }
                _ => same.push(size),
            }
        }
        let clauses = [
            ("takes longer, ", slower.join(", ")),
            (
                "got no value at all in some rounds at ",
                starved.join(" and "),
            ),
            ("takes no longer within the noise at ", same.join(" and ")),
        ];
        let clauses = clauses.iter().filter(|(_, sizes)| !sizes.is_empty());
        let said: Vec<String> = clauses
            .map(|(what, sizes)| format!("{what}{sizes}"))
            .collect();
        let begin = format!("While its writer never pauses, a read of the {name}");
        (!said.is_empty()).then(|| format!("{begin} {}.", said.join("; ")))
    };
    OURS.into_iter().filter_map(of_structure).collect()
}

/// What must be known to read a table of [`add_figures`].
pub const HOW_TO_READ: &str = "median [min–max]; every value read is checked for tearing, with a \
                               busy writer word by word and within the time";

/// Measures those of the extent in every situation, from the smallest payload to the largest, made anew for
/// each round.
///
/// # Errors
/// A structure that gives torn values has failed; CPUs that would not stay where they are make it not
/// run.
pub fn measure(
    name: &str,
    pair: Pair,
    settings: &Settings,
    sizes: [&[Entry]; 4],
) -> Result<(Values, Rounds), Trouble> {
    // The smallest and the largest are enough to see that it runs.
    let sizes = sizes.into_iter().step_by(settings.extent.pick(3, 1));
    let entries: Vec<&Entry> = sizes.flatten().collect();
    let situations = Situation::ALL.len();
    let cases = entries.len() * situations;
    let rounds = run::measure(name, cases, Some(pair), settings, |round| {
        let mut samplers = Vec::new();
        for entry in &entries {
            samplers.extend(entry.samplers(pair, settings.sample)?);
        }
        round.each(|case| {
            let of = entries[case / situations].of;
            let what = || format!("{} of {} bytes", of.name, of.bytes);
            let timed = samplers[case]().map_err(|fault| fault.of(&what()))?;
            Ok::<_, Trouble>(Sample {
                value: timed.each(),
                preemptions: timed.preemptions,
            })
        })
    })?;
    let (reference, structures) = (Situation::ReadIdle as usize, entries.iter());
    let structures = structures.map(|entry| entry.of);
    let all = Comparison::of_rounds(Unit::TIME, reference, situations, structures, &rounds);
    Ok((all, rounds))
}

/// How many operations are about so long at a nanosecond for each eight bytes.
fn operations<const N: usize>(time: Duration) -> u64 {
    (time.as_nanos() / (N as u128 / 4).max(1)) as u64
}

fn sampler<const N: usize, S: Latest<N> + Send + 'static>(
    situation: Situation,
    pair: Pair,
    time: Duration,
) -> Result<Sampler, SegmentError> {
    let mut structure = S::make()?;
    // Roles are taken anew for each sample; here only to see that they can be.
    drop(structure.ends()?);
    let count = operations::<N>(time);
    Ok(Box::new(move || {
        let Ok((mut write, mut read)) = structure.ends() else {
            return Err(Fault::Stalled(0));
        };
        if situation == Situation::ReadBusy {
            return time_busy_reads(pair, write, read, time);
        }
        alone(pair, || match situation {
            Situation::Write => {
                time_writes(&mut write, count / 8);
                Ok(time_writes(&mut write, count))
            }
            _ => {
                time_reads(&mut read, count / 8)?;
                time_reads(&mut read, count)
            }
        })
    }))
}

/// Adds a table and rows; samples ran for `time`.
pub fn add_figures(report: &mut Report, heading: &str, all: &Values, time: Duration) {
    let mut columns = (all.columns())
        .words("structure", |of| of.name)
        .figure("bytes", |of| of.bytes);
    for situation in Situation::ALL {
        columns = columns.cells(situation.name(), move |line| {
            let shown = |value| Cell::figure(shown(value, time));
            line.value(situation as usize)
                .map_or_else(Cell::missing, shown)
        });
    }
    report.tables.push(columns.table(heading));
    for line in &all.lines {
        for situation in Situation::ALL {
            let subject = format!("{}/{}", line.of.name, situation.name());
            let check = format!("{} bytes", line.of.bytes);
            let mut row = line.row(situation as usize, subject, check);
            if let Ok(value) = line.value(situation as usize)
                && value.max.is_infinite()
            {
                row = row.reason(format!("ns: {}", shown(value, time)));
                if value.median.is_infinite() {
                    row = row.count(0, "values");
                }
            }
            report.rows.push(row);
        }
    }
}

/// A summary in which a round may have had no value at all.
fn shown(summary: Summary, time: Duration) -> String {
    let starved = format!("no value in {} ms", time.as_millis());
    let [median, min, max] = [summary.median, summary.min, summary.max];
    match [min, median, max].map(f64::is_infinite) {
        [true, ..] => starved,
        [_, true, _] => format!("{starved} [at best {}]", figure(min)),
        [.., true] => format!("{} [{}–{starved}]", figure(median), figure(min)),
        _ => spread(summary),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::summarize;

    #[test]
    fn a_torn_value_is_noticed() {
        let torn = || Some([1, 1, 1, 2]);
        assert_eq!(time_reads(torn, 10), Err(Fault::Torn(10)));
        let busy = time_busy_reads(
            Pair::anywhere(),
            |_: &Value<4>| (),
            torn,
            Duration::from_millis(1),
        );
        assert!(matches!(busy, Err(Fault::Torn(_))), "{busy:?}");
    }

    #[test]
    fn a_reader_that_waits_for_the_writer_to_stop_has_read_nothing() {
        let time = Duration::from_millis(5);
        // As long as the writer goes on, or longer.
        let read = || {
            std::thread::sleep(time * 3);
            Some([7; 4])
        };
        let busy = time_busy_reads(Pair::anywhere(), |_: &Value<4>| (), read, time);
        assert_eq!(busy.map(|timed| timed.count), Ok(0));
    }

    #[test]
    fn a_reader_that_starves_is_said_to() {
        let time = Duration::from_millis(5);
        let inf = f64::INFINITY;
        for (values, said) in [
            ([inf, inf, inf], "no value in 5 ms"),
            ([inf, inf, 12.0], "no value in 5 ms [at best 12.0]"),
            ([inf, 5.0, 2.0], "5.00 [2.00–no value in 5 ms]"),
        ] {
            assert_eq!(shown(summarize(&values).unwrap(), time), said);
        }
    }

    /// What is concluded from reads of a latch, with an idle writer and with one that never pauses.
    fn concluded(busy: [f64; 5]) -> Vec<String> {
        let latch = Structure {
            name: "latch",
            bytes: 32,
        };
        let mut all = Comparison::new(Unit::TIME, Situation::ReadIdle as usize);
        let idle = [2.0, 2.2, 1.8, 2.0, 2.1];
        let series = [[1.0; 5], idle, busy].map(|times| Ok(times.to_vec()));
        all.add(latch, series.into());
        conclusions(&all)
    }

    #[test]
    fn what_a_busy_writer_does_to_a_reader_is_concluded() {
        let slower = [200.0, 230.0, 170.0, 200.0, 210.0];
        let starved = [200.0, f64::INFINITY, 170.0, 200.0, 210.0];
        for (busy, said) in [
            (slower, "takes longer, 100 times"),
            (
                [2.1, 2.2, 1.7, 2.1, 2.0],
                "takes no longer within the noise",
            ),
            (starved, "got no value at all in some rounds"),
        ] {
            let start = "While its writer never pauses, a read of the latch";
            assert_eq!(concluded(busy), [format!("{start} {said} at 32 bytes.")]);
        }
    }
}
