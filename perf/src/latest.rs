//! The latest value: seqlock and latch, alone and against each other's worst case.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ringproof::{Payload, SegmentError, SeqLatch, SeqLatchOptions, SeqLock, SeqLockOptions};
use ringproof_record::Record;

use crate::cpus::Pair;
use crate::progress::Progress;
use crate::report::{LAYER, Report, Trouble, build_note, conditions, conditions_row};
use crate::rounds::{Sample, Samples, interleave};
use crate::run::{Extent, Settings, enough, probe};
use crate::stats::{Summary, summarize};
use crate::stream::{Fault, Meeting, preemptions};
use crate::table::{Cell, Table, figure, spread};

/// How to repeat it.
pub const REPEAT: &str = "cargo run --release -p ringproof-perf -- latest";

/// A value of `N` words that are all the same, so that a torn one shows.
pub type Value<const N: usize> = [u64; N];

/// How many different values the writer cycles through; made before the clock starts.
const VALUES: usize = 8;

/// What is done to the structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Situation {
    /// One thread writes, nobody reads.
    Write,
    /// One thread reads, nobody writes.
    ReadIdle,
    /// One thread reads while another writes as fast as it can.
    ReadBusy,
}

impl Situation {
    /// All of them.
    pub const ALL: [Situation; 3] = [Situation::Write, Situation::ReadIdle, Situation::ReadBusy];

    fn name(self) -> &'static str {
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
    /// Nanoseconds for each; infinite if there was none.
    pub fn each(&self) -> f64 {
        self.took.as_nanos() as f64 / self.count as f64
    }
}

/// Times `count` writes.
pub fn time_writes<const N: usize>(mut write: impl FnMut(&Value<N>), count: u64) -> Timed {
    let values = values::<N>();
    let before = preemptions();
    let start = Instant::now();
    for value in values.iter().cycle().zip(0..count).map(|(value, _)| value) {
        write(black_box(value));
    }
    let took = start.elapsed();
    Timed {
        count,
        took,
        preemptions: preemptions().saturating_sub(before),
    }
}

/// Times `count` reads of a value that nobody writes. Each is looked at where it is cheap to: its
/// first and last word.
///
/// # Errors
/// [`Fault`] if no value is to be had, or a torn one.
pub fn time_reads<const N: usize>(
    mut read: impl FnMut() -> Option<Value<N>>,
    count: u64,
) -> Result<Timed, Fault> {
    let mut wrong = 0;
    let before = preemptions();
    let start = Instant::now();
    for index in 0..count {
        let value = black_box(read().ok_or(Fault::Stalled(index))?);
        wrong |= value[0] ^ value[N - 1];
    }
    let took = start.elapsed();
    whole(wrong, count).map(|()| Timed {
        count,
        took,
        preemptions: preemptions().saturating_sub(before),
    })
}

/// Reads for about `time` while another thread writes as fast as it can; every word of every value
/// is looked at, and that is part of the time.
///
/// # Errors
/// [`Fault`] if a value was torn.
pub fn time_busy_reads<const N: usize>(
    pair: Pair,
    mut write: impl FnMut(&Value<N>) + Send,
    mut read: impl FnMut() -> Option<Value<N>> + Send,
    time: Duration,
) -> Result<Timed, Fault> {
    let done = AtomicBool::new(false);
    let meeting = Meeting::default();
    thread::scope(|scope| {
        let writing = scope.spawn(|| {
            pair.pin(true);
            let values = values::<N>();
            let before = preemptions();
            meeting.meet();
            pair.prefer();
            // Relaxed: it carries no data and need not be prompt.
            while !done.load(Ordering::Relaxed) {
                for value in &values {
                    write(value);
                }
            }
            preemptions().saturating_sub(before)
        });
        let reading = scope.spawn(|| {
            pair.pin(false);
            meeting.meet();
            pair.prefer();
            let (mut wrong, mut count) = (0, 0);
            let before = preemptions();
            let start = Instant::now();
            let mut took = Duration::ZERO;
            while took < time {
                // The clock costs as much as some reads: ask it seldom.
                for _ in 0..64 {
                    if let Some(value) = read() {
                        count += 1;
                        for word in value {
                            wrong |= word ^ value[0];
                        }
                    }
                }
                took = start.elapsed();
            }
            let preemptions = preemptions().saturating_sub(before);
            whole(wrong, count).map(|()| Timed {
                count,
                took,
                preemptions,
            })
        });
        let read = reading.join().unwrap_or(Err(Fault::Panicked));
        done.store(true, Ordering::Relaxed);
        let disturbed = writing.join().map_err(|_| Fault::Panicked)?;
        read.map(|timed| Timed {
            preemptions: timed.preemptions + disturbed,
            ..timed
        })
    })
}

fn values<const N: usize>() -> [Value<N>; VALUES] {
    core::array::from_fn(|index| [index as u64; N])
}

fn whole(wrong: u64, count: u64) -> Result<(), Fault> {
    if wrong == 0 {
        Ok(())
    } else {
        Err(Fault::Torn(count))
    }
}

/// One thing to measure: a structure with a payload in a situation.
struct Case<'a> {
    structure: &'static str,
    bytes: usize,
    situation: Situation,
    sample: Box<dyn FnMut() -> Result<Timed, Fault> + 'a>,
}

/// A structure with one writer and any number of readers.
pub trait Latest<const N: usize>: Sized {
    /// What tables call it.
    const NAME: &'static str;
    /// Makes one.
    ///
    /// # Errors
    /// [`SegmentError`].
    fn make() -> Result<Self, SegmentError>;
    /// Its writer.
    ///
    /// # Errors
    /// [`SegmentError`].
    fn writer(&self) -> Result<impl FnMut(&Value<N>) + Send, SegmentError>;
    /// A reader that tries once.
    ///
    /// # Errors
    /// [`SegmentError`].
    fn reader(&self) -> Result<impl FnMut() -> Option<Value<N>> + Send, SegmentError>;
}

impl<const N: usize> Latest<N> for SeqLock<Value<N>>
where
    Value<N>: Payload,
{
    const NAME: &'static str = "seqlock";

    fn make() -> Result<Self, SegmentError> {
        SeqLock::anonymous(&[0; N], &SeqLockOptions::default())
    }

    fn writer(&self) -> Result<impl FnMut(&Value<N>) + Send, SegmentError> {
        let mut writer = self.writer()?;
        Ok(move |value: &Value<N>| writer.write(value))
    }

    fn reader(&self) -> Result<impl FnMut() -> Option<Value<N>> + Send, SegmentError> {
        let reader = self.reader()?;
        Ok(move || reader.try_read().ok())
    }
}

impl<const N: usize> Latest<N> for SeqLatch<Value<N>>
where
    Value<N>: Payload,
{
    const NAME: &'static str = "latch";

    fn make() -> Result<Self, SegmentError> {
        SeqLatch::anonymous(&[0; N], &SeqLatchOptions::default())
    }

    fn writer(&self) -> Result<impl FnMut(&Value<N>) + Send, SegmentError> {
        let mut writer = self.writer()?;
        Ok(move |value: &Value<N>| writer.write(value))
    }

    fn reader(&self) -> Result<impl FnMut() -> Option<Value<N>> + Send, SegmentError> {
        let reader = self.reader()?;
        Ok(move || reader.try_read().ok())
    }
}

/// The sizes that are measured, in bytes.
pub const SIZES: [usize; 4] = [32, 64, 256, 1024];

/// Measures seqlock and latch with payloads of [`SIZES`].
///
/// # Errors
/// [`Trouble`].
pub fn run(settings: &Settings) -> Result<Report, Trouble> {
    let sizes: &[usize] = match settings.extent {
        Extent::Smoke => &[32, 1024],
        Extent::Full | Extent::Quick => &SIZES,
    };
    let pair = settings.pair()?;
    let plan = settings.plan();
    let progress = Progress::start("latest value", settings.rounds);
    let cases = make_cases(sizes, pair, settings)?;
    let measure = |order: &[usize]| {
        let mut cases = make_cases(sizes, pair, settings)?;
        let mut samples = Samples::new(cases.len());
        for &index in order {
            let case = &mut cases[index];
            samples.take(index, plan.retries, || {
                let timed = (case.sample)().map_err(|fault| {
                    let (name, bytes) = (case.structure, case.bytes);
                    Trouble::Failed(format!("{name} of {bytes} bytes: {fault}"))
                })?;
                Ok(Sample {
                    value: timed.each(),
                    preemptions: timed.preemptions,
                })
            })?;
        }
        Ok(samples)
    };
    let rounds = interleave(
        plan,
        cases.len(),
        || probe(pair),
        measure,
        |counting| progress.at(counting),
    )?;
    drop(progress);
    let rounds = enough(rounds, settings)?;

    let mut report = Report::new("latest value: seqlock and latch of 4 slots, ns for each");
    report.notes.push(pair.to_string());
    report.notes.push(conditions(&rounds));
    report
        .rows
        .push(conditions_row("latest value", &rounds, REPEAT));
    report.notes.extend(build_note());
    report.notes.push(
        "median [min–max]; every value read is checked for tearing, with a busy writer word by \
         word and within the time"
            .to_owned(),
    );
    let summaries = rounds.series.iter().map(|series| summarize(series));
    tell(&mut report, cases.iter().zip(summaries), settings.sample);
    Ok(report)
}

/// All cases, each over a structure of its own.
fn make_cases(
    sizes: &[usize],
    pair: Pair,
    settings: &Settings,
) -> Result<Vec<Case<'static>>, Trouble> {
    let mut cases = Vec::new();
    for size in sizes {
        match size {
            32 => add::<4>(&mut cases, pair, settings),
            64 => add::<8>(&mut cases, pair, settings),
            256 => add::<32>(&mut cases, pair, settings),
            _ => add::<128>(&mut cases, pair, settings),
        }
        .map_err(|error| Trouble::NotRun(format!("no structure could be made: {error}")))?;
    }
    Ok(cases)
}

fn add<const N: usize>(
    cases: &mut Vec<Case<'static>>,
    pair: Pair,
    settings: &Settings,
) -> Result<(), SegmentError>
where
    Value<N>: Payload,
{
    add_one::<N, SeqLock<Value<N>>>(cases, pair, settings)?;
    add_one::<N, SeqLatch<Value<N>>>(cases, pair, settings)
}

fn add_one<const N: usize, S: Latest<N> + Send + Sync + 'static>(
    cases: &mut Vec<Case<'static>>,
    pair: Pair,
    settings: &Settings,
) -> Result<(), SegmentError> {
    for situation in Situation::ALL {
        let sample = sampler::<N, S>(situation, pair, settings.sample)?;
        cases.push(Case {
            structure: S::NAME,
            bytes: size_of::<Value<N>>(),
            situation,
            sample,
        });
    }
    Ok(())
}

/// How many operations are about so long at a nanosecond for each eight bytes.
fn operations<const N: usize>(time: Duration) -> u64 {
    (time.as_nanos() / (N as u128 / 4).max(1)) as u64
}

fn sampler<const N: usize, S: Latest<N> + Send + Sync + 'static>(
    situation: Situation,
    pair: Pair,
    time: Duration,
) -> Result<Box<dyn FnMut() -> Result<Timed, Fault>>, SegmentError> {
    let structure = S::make()?;
    // Roles are taken anew for each sample, by the thread that measures; here only to see that
    // they can be.
    drop(structure.writer()?);
    let count = operations::<N>(time);
    Ok(Box::new(move || {
        let (Ok(mut write), Ok(mut read)) = (structure.writer(), structure.reader()) else {
            return Err(Fault::Stalled(0));
        };
        if situation == Situation::ReadBusy {
            return time_busy_reads(pair, write, read, time);
        }
        thread::scope(|scope| {
            let alone = scope.spawn(|| {
                pair.pin(false);
                pair.prefer();
                match situation {
                    Situation::Write => {
                        time_writes(&mut write, count / 8);
                        Ok(time_writes(&mut write, count))
                    }
                    _ => {
                        time_reads(&mut read, count / 8)?;
                        time_reads(&mut read, count)
                    }
                }
            });
            alone.join().unwrap_or(Err(Fault::Panicked))
        })
    }))
}

fn tell<'c>(
    report: &mut Report,
    cases: impl Iterator<Item = (&'c Case<'c>, Option<Summary>)>,
    time: Duration,
) {
    let mut table = Table::new(
        "",
        [
            "structure",
            "bytes",
            "write",
            "read, writer idle",
            "read, writer flat out",
        ],
    );
    let mut cells = Vec::new();
    for (case, summary) in cases {
        let Some(summary) = summary else { continue };
        if cells.is_empty() {
            cells.push(Cell::words(case.structure));
            cells.push(Cell::figure(case.bytes.to_string()));
        }
        cells.push(Cell::figure(shown(summary, time)));
        if case.situation == Situation::ReadBusy {
            table.add(std::mem::take(&mut cells));
        }
        report.rows.push(row(case, summary, time));
    }
    report.tables.push(table);
}

/// A summary in which a round may have had no value at all.
fn shown(summary: Summary, time: Duration) -> String {
    let starved = format!("no value in {} ms", time.as_millis());
    if summary.median.is_infinite() {
        let best = figure(summary.min);
        return match summary.min.is_infinite() {
            true => starved,
            false => format!("{starved} [at best {best}]"),
        };
    }
    if summary.max.is_infinite() {
        let (median, min) = (figure(summary.median), figure(summary.min));
        return format!("{median} [{min}–{starved}]");
    }
    spread(summary)
}

fn row(case: &Case<'_>, summary: Summary, time: Duration) -> Record {
    let subject = format!("{}/{}", case.structure, case.situation.name());
    let row = Record::passed(LAYER, subject, format!("{} bytes", case.bytes));
    let row = if summary.median.is_finite() {
        row.count((summary.median * 1000.0).round() as u64, "ps each")
    } else {
        row.count(0, "values")
    };
    row.reason(format!("ns: {}", shown(summary, time)))
        .repeat(REPEAT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_value_is_noticed() {
        let torn = || Some([1, 1, 1, 2]);
        assert_eq!(time_reads(torn, 10), Err(Fault::Torn(10)));
        let pair = Pair {
            first: 0,
            second: 0,
            kinship: crate::cpus::Kinship::Unknown,
            pinned: false,
            preferred: false,
        };
        let busy = time_busy_reads(pair, |_: &Value<4>| (), torn, Duration::from_millis(1));
        assert!(matches!(busy, Err(Fault::Torn(_))), "{busy:?}");
    }

    #[test]
    fn a_reader_that_starves_is_said_to() {
        let summary = |values: &[f64]| summarize(values).unwrap();
        let time = Duration::from_millis(5);
        let inf = f64::INFINITY;
        assert_eq!(shown(summary(&[inf, inf, inf]), time), "no value in 5 ms");
        let said = shown(summary(&[inf, inf, 12.0]), time);
        assert_eq!(said, "no value in 5 ms [at best 12.0]");
        let said = shown(summary(&[inf, 5.0, 2.0]), time);
        assert_eq!(said, "5.00 [2.00–no value in 5 ms]");
    }
}
