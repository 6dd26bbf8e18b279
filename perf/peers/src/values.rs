//! Our seqlock and latch beside what else hands over the latest value, in the same rounds.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::RwLock;
use ringproof::SegmentError;
use ringproof_perf::cpus::Pair;
use ringproof_perf::plot::Plot;
use ringproof_perf::report::{Report, Trouble};
use ringproof_perf::run::Settings;
use ringproof_perf::values::{
    self, Entry, HOW_TO_READ, Latest, OURS, Read, Situation, Value, Values, Write,
};
use triple_buffer::{Input, Output, triple_buffer};

use crate::standing::{Standing, conclude};

/// The crate seqlock.
struct OtherSeqLock<const N: usize>(seqlock::SeqLock<Value<N>>);

impl<const N: usize> Latest<N> for OtherSeqLock<N> {
    const NAME: &'static str = "the crate seqlock";

    fn make() -> Result<Self, SegmentError> {
        Ok(OtherSeqLock(seqlock::SeqLock::new([0; N])))
    }

    fn ends(&mut self) -> Result<(impl Write<N>, impl Read<N>), SegmentError> {
        let lock = &self.0;
        let write = move |value: &Value<N>| *lock.lock_write() = *value;
        Ok((write, move || Some(lock.read())))
    }
}

/// A value that is replaced by a new one on the heap.
struct Swapped<const N: usize>(ArcSwap<Value<N>>);

impl<const N: usize> Latest<N> for Swapped<N> {
    const NAME: &'static str = "arc-swap";

    fn make() -> Result<Self, SegmentError> {
        Ok(Swapped(ArcSwap::from_pointee([0; N])))
    }

    fn ends(&mut self) -> Result<(impl Write<N>, impl Read<N>), SegmentError> {
        let value = &self.0;
        let write = move |new: &Value<N>| value.store(Arc::new(*new));
        Ok((write, move || Some(**value.load())))
    }
}

/// Three buffers, of which the writer and the one reader own one each.
struct Triple<const N: usize>(Input<Value<N>>, Output<Value<N>>);

impl<const N: usize> Latest<N> for Triple<N> {
    const NAME: &'static str = "triple_buffer";

    fn make() -> Result<Self, SegmentError> {
        let (input, output) = triple_buffer(&[0; N]);
        Ok(Triple(input, output))
    }

    fn ends(&mut self) -> Result<(impl Write<N>, impl Read<N>), SegmentError> {
        let Triple(input, output) = self;
        let write = move |value: &Value<N>| input.write(*value);
        Ok((write, move || Some(*output.read())))
    }
}

/// A value under a lock.
struct Locked<const N: usize>(RwLock<Value<N>>);

impl<const N: usize> Latest<N> for Locked<N> {
    const NAME: &'static str = "parking_lot RwLock";

    fn make() -> Result<Self, SegmentError> {
        Ok(Locked(RwLock::new([0; N])))
    }

    fn ends(&mut self) -> Result<(impl Write<N>, impl Read<N>), SegmentError> {
        let lock = &self.0;
        let write = move |value: &Value<N>| *lock.write() = *value;
        Ok((write, move || Some(*lock.read())))
    }
}

/// Compares values of the sizes of the extent.
pub(crate) fn report(settings: &Settings, pair: Pair) -> Result<Report, Trouble> {
    let (all, rounds) = values::measure("peers, latest value", pair, settings, SIZES)?;
    let mut report = Report::new("latest value");
    report.add_conditions("latest value", "peers, latest value", &rounds);
    report.note(format!(
        "latest value: ns for each, {HOW_TO_READ}; the crate seqlock and the RwLock wait until \
         they have a value, triple_buffer has one reader only, and arc-swap puts every value on \
         the heap"
    ));
    let heading = "Latest value: ns for each";
    values::add_figures(&mut report, heading, &all, settings.sample);
    report
        .plots
        .extend(Situation::ALL.map(|situation| plot(&all, situation)));
    report.conclusions.extend(said_of(&all));
    Ok(report)
}

/// All with payloads of 32, 64, 256 and 1024 bytes.
const SIZES: [&[Entry]; 4] = [&all::<4>(), &all::<8>(), &all::<32>(), &all::<128>()];

const fn all<const N: usize>() -> [Entry; 6]
where
    Value<N>: ringproof::Payload,
{
    let [lock, latch] = values::ours::<N>();
    [
        lock,
        latch,
        Entry::of::<N, OtherSeqLock<N>>(),
        Entry::of::<N, Swapped<N>>(),
        Entry::of::<N, Triple<N>>(),
        Entry::of::<N, Locked<N>>(),
    ]
}

fn plot(all: &Values, situation: Situation) -> Plot {
    let points = all.lines.iter().filter_map(|line| {
        let each = line.value(situation as usize).ok()?;
        Some((line.of.name.to_owned(), line.of.bytes as f64, each))
    });
    let title = format!("Latest value: {}", situation.name());
    Plot::lines(title, "bytes", "ns each", points)
}

fn said_of(all: &Values) -> Vec<String> {
    let mut said = Vec::new();
    for ours in OURS {
        let mut standing = Vec::new();
        for reference in all.lines.iter().filter(|line| line.of.name == ours) {
            let others = all.lines.iter().filter(|line| {
                !OURS.contains(&line.of.name) && line.of.bytes == reference.of.bytes
            });
            for situation in Situation::ALL {
                let at = situation as usize;
                for line in others.clone() {
                    // Times, of which the shorter is the higher rate.
                    let Some(ratio) = reference.against(line, at) else {
                        continue;
                    };
                    standing.push(Standing {
                        peer: line.of.name.to_owned(),
                        what: format!("{}, {} bytes", situation.name(), line.of.bytes),
                        ratio,
                    });
                }
            }
        }
        said.extend(conclude(&format!("ringproof's {ours}"), &standing));
    }
    said
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use ringproof_perf::comparison::Unit;
    use ringproof_perf::values::{Structure, time_busy_reads, time_reads, time_writes};

    use super::*;

    /// What was measured of structures in one situation.
    fn with(situation: Situation, lines: &[(&'static str, &[f64])]) -> Values {
        let mut all = Values::new(Unit::TIME, 0);
        for (name, each) in lines {
            let series = Situation::ALL.map(|of| match of == situation {
                true => Ok(each.to_vec()),
                false => Err("it is of another situation".to_owned()),
            });
            all.add(Structure { name, bytes: 64 }, series.into());
        }
        all
    }

    #[test]
    fn a_faster_and_a_slower_peer_are_named_and_an_equal_one_is_not() {
        let ours = [10.0, 11.0, 9.0, 10.0, 10.5];
        let [half, twice] = [0.5, 2.0].map(|factor| ours.map(|each| each * factor));
        let lines: [(_, &[f64]); 4] = [
            ("seqlock", &ours),
            ("quick", &half),
            ("slow", &twice),
            ("equal", &ours),
        ];
        assert_eq!(
            said_of(&with(Situation::Write, &lines)),
            [
                "quick beside ringproof's seqlock, of 1 comparisons: faster in 1, most at write, \
                 64 bytes: 2.00 times its rate.",
                "slow beside ringproof's seqlock, of 1 comparisons: slower in 1, most at write, \
                 64 bytes: 0.50 times its rate.",
            ]
        );
    }

    #[test]
    fn who_reads_where_ours_starves_is_named() {
        let never = [f64::INFINITY; 5];
        let lines: [(_, &[f64]); 3] = [("seqlock", &never), ("on", &[20.0; 5]), ("off", &never)];
        let said = said_of(&with(Situation::ReadBusy, &lines));
        let [said] = &said[..] else {
            panic!("{said:?}");
        };
        assert!(said.contains("where ringproof's seqlock starves"), "{said}");
    }

    /// Two CPUs, if this process has two; says so where not.
    fn two_cpus() -> Option<Pair> {
        let pair = Pair::choose(None);
        pair.inspect_err(|unfit| eprintln!("not run: {unfit}")).ok()
    }

    /// The structure gives what was written, alone and against a writer that does not pause.
    fn check<S: Latest<4> + Send>() {
        let mut structure = S::make().unwrap();
        let (mut write, mut read) = structure.ends().unwrap();
        write(&[3; 4]);
        assert_eq!(read(), Some([3; 4]), "{}", S::NAME);
        assert_eq!(time_writes(&mut write, 10).count, 10);
        let read_idle = time_reads(&mut read, 10).map(|timed| timed.count);
        assert_eq!(read_idle, Ok(10), "{}", S::NAME);
        let Some(pair) = two_cpus() else { return };
        thread::scope(|scope| {
            let time = Duration::from_millis(2);
            let busy = scope.spawn(move || time_busy_reads(pair, write, read, time));
            assert!(busy.join().unwrap().is_ok(), "{}", S::NAME);
        });
    }

    #[test]
    fn every_structure_gives_whole_values() {
        check::<OtherSeqLock<4>>();
        check::<Swapped<4>>();
        check::<Triple<4>>();
        check::<Locked<4>>();
    }

    #[test]
    fn every_structure_is_a_case_of_every_size_and_situation() {
        let Some(pair) = two_cpus() else { return };
        for entry in SIZES.into_iter().flatten() {
            assert!(entry.samplers(pair, Duration::from_millis(1)).is_ok());
        }
    }
}
