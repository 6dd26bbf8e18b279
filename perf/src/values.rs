//! Structures that hand over the latest value, ours and others', written and read in every situation.

mod timed;

use std::time::Duration;

use ringproof::{SegmentError, SeqLatch, SeqLatchOptions, SeqLock, SeqLockOptions};

pub use self::timed::{Timed, Value, time_busy_reads, time_reads, time_writes};
use crate::comparison::{Comparison, Unit};
use crate::cpus::Pair;
use crate::report::{Report, Trouble};
use crate::rounds::{Rounds, Sample};
use crate::run::{self, Settings};
use crate::stats::Summary;
use crate::table::{Cell, figure, spread};
use crate::together::{Fault, alone};

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

/// Our seqlock and our latch.
pub const fn ours<const N: usize>() -> [Entry; 2] {
    [Entry::of::<N, SeqLock<_>>(), Entry::of::<N, SeqLatch<_>>()]
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

fn sampler<const N: usize, S: Latest<N> + Send + 'static>(
    situation: Situation,
    pair: Pair,
    time: Duration,
) -> Result<Sampler, SegmentError> {
    let mut structure = S::make()?;
    // Roles are taken anew for each sample; here only to see that they can be.
    drop(structure.ends()?);
    // About so long at a nanosecond for each eight bytes.
    let count = (time.as_nanos() / (N as u128 / 4).max(1)) as u64;
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
}
