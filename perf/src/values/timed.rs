//! The loops that write and read a latest value, timed.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::counters::Usage;
use crate::cpus::Pair;
use crate::together::{Fault, both};

/// A value of `N` words that are all the same, so that a torn one shows.
pub type Value<const N: usize> = [u64; N];

/// How many different values the writer cycles through; made before the clock starts.
const VALUES: usize = 8;

/// How many operations there are between two looks at the clock, where they are quick.
const BETWEEN_CLOCKS: u32 = 64;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
