//! Two threads, each on its own CPU: one sends numbered items, the other checks every one.

use std::fmt;
use std::hint;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

use crate::counters::{Counters, Kernel, Provider, Tally};
use crate::cpus::Pair;

/// What can go wrong with a stream. None of it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Items came that were not the next ones, at or after this one.
    OutOfOrder(u64),
    /// Nothing went on for seconds.
    Stalled(u64),
    /// One of so many values that were read mixes two that were written.
    Torn(u64),
    /// A thread of the experiment panicked.
    Panicked,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::OutOfOrder(from) => {
                write!(
                    f,
                    "an item at or after number {from} is not the one that was sent"
                )
            }
            Fault::Stalled(at) => write!(f, "nothing went on at item {at}"),
            Fault::Torn(among) => {
                write!(
                    f,
                    "among {among} values there is one that mixes two that were written"
                )
            }
            Fault::Panicked => write!(f, "a thread of the experiment panicked"),
        }
    }
}

impl std::error::Error for Fault {}

/// The sending end of whatever is measured.
pub trait Sender: Send {
    /// Sends the items `first`, `first + 1`, … , `count` of them.
    ///
    /// # Errors
    /// [`Fault::Stalled`].
    fn send(&mut self, first: u64, count: u64) -> Result<(), Fault>;
}

/// The receiving end of whatever is measured.
pub trait Receiver: Send {
    /// Takes `count` items and checks that they are `first`, `first + 1`, …
    ///
    /// # Errors
    /// [`Fault`].
    fn receive(&mut self, first: u64, count: u64) -> Result<(), Fault>;
}

/// After so many fruitless attempts the other side cannot just be preempted.
const MOST_ATTEMPTS: u32 = 1 << 28;

/// Counts attempts that came to nothing, so that a lost item is an error and not a hang.
#[derive(Default)]
pub struct Patience(u32);

impl Patience {
    /// Waits a moment before the next attempt to move item `at`.
    ///
    /// # Errors
    /// [`Fault::Stalled`] after so many attempts that the other side cannot just be preempted.
    #[inline(always)]
    pub fn wait(&mut self, at: u64) -> Result<(), Fault> {
        hint::spin_loop();
        self.0 += 1;
        // Some 270 million times 1 to 40 ns: seconds.
        if self.0 < MOST_ATTEMPTS {
            Ok(())
        } else {
            Err(Fault::Stalled(at))
        }
    }
}

/// One thing to measure.
pub struct Link<'a> {
    /// How tables call it.
    pub name: String,
    /// Its sending end.
    pub sender: Box<dyn Sender + 'a>,
    /// Its receiving end.
    pub receiver: Box<dyn Receiver + 'a>,
    /// Items to stream before the clock starts: once around the memory.
    pub warm_up: u64,
    /// The number of the next item.
    pub next: u64,
}

/// How one run through a link went.
#[derive(Clone, Debug)]
pub struct Run {
    /// From the first item's push to the last one's arrival.
    pub took: Duration,
    /// Items that were streamed in this time.
    pub items: u64,
    /// How often the two threads were preempted meanwhile.
    pub preemptions: u64,
    /// The sums of both threads' counters; empty unless asked for.
    pub counted: Tally,
}

impl Run {
    /// Million items a second.
    pub fn rate(&self) -> f64 {
        self.items as f64 / self.took.as_secs_f64() / 1e6
    }
}

/// What one of the two threads has to tell.
struct Side {
    at: Instant,
    preemptions: u64,
    counted: Tally,
}

impl Link<'_> {
    /// Streams `items` items between the two CPUs, after a warm-up. The clock runs from when both
    /// threads stand ready at an empty ring until the last item has arrived.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn run(&mut self, pair: Pair, items: u64, count: bool) -> Result<Run, Fault> {
        self.run_counted_by(pair, items, count.then_some(&Kernel))
    }

    /// The same, and whoever counts, if anybody does.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn run_counted_by(
        &mut self,
        pair: Pair,
        items: u64,
        provider: Option<&dyn Provider>,
    ) -> Result<Run, Fault> {
        let Link {
            sender, receiver, ..
        } = self;
        let (warm, first) = (self.next, self.next.wrapping_add(self.warm_up));
        self.next = first.wrapping_add(items);
        let warm_up = self.warm_up;
        let meeting = Meeting::default();

        let (started, ended) = thread::scope(|scope| {
            let sending = scope.spawn(|| {
                pair.pin(false);
                meeting.meet();
                pair.prefer();
                let warmed = sender.send(warm, warm_up);
                let mut side = Observed::begin(provider);
                meeting.meet();
                let start = Instant::now();
                side.start();
                let sent = warmed.and_then(|()| sender.send(first, items));
                sent.map(|()| side.end(start))
            });
            let receiving = scope.spawn(|| {
                pair.pin(true);
                meeting.meet();
                pair.prefer();
                let warmed = receiver.receive(warm, warm_up);
                let mut side = Observed::begin(provider);
                meeting.meet();
                side.start();
                let received = warmed.and_then(|()| receiver.receive(first, items));
                received.map(|()| side.end(Instant::now()))
            });
            let ended = receiving.join().unwrap_or(Err(Fault::Panicked));
            let started = sending.join().unwrap_or(Err(Fault::Panicked));
            // The receiver's complaint first: it explains a sender that stalled.
            ended.and_then(|ended| Ok((started?, ended)))
        })?;

        Ok(Run {
            took: ended.at.saturating_duration_since(started.at),
            items,
            preemptions: started.preemptions + ended.preemptions,
            counted: started.counted.and(ended.counted).over(items),
        })
    }
}

/// Counts what happens to the thread between `start` and `end`.
struct Observed {
    counters: Option<Counters>,
    preemptions: u64,
}

impl Observed {
    fn begin(provider: Option<&dyn Provider>) -> Self {
        Observed {
            counters: provider.map(Counters::open_by),
            preemptions: preemptions(),
        }
    }

    fn start(&mut self) {
        if let Some(counters) = &mut self.counters {
            counters.start();
        }
    }

    fn end(mut self, at: Instant) -> Side {
        if let Some(counters) = &mut self.counters {
            counters.stop();
        }
        Side {
            at,
            preemptions: preemptions().saturating_sub(self.preemptions),
            counted: self
                .counters
                .as_mut()
                .map(Counters::read)
                .unwrap_or_default(),
        }
    }
}

/// How often the calling thread was preempted so far.
pub fn preemptions() -> u64 {
    // The call fails for no argument that it is given here. If it does all the same, no sample is
    // known to be preempted, as on a kernel that does not count.
    getrusage(UsageWho::RUSAGE_THREAD)
        .ok()
        .and_then(|usage| usage.involuntary_context_switches().try_into().ok())
        .unwrap_or(0)
}

/// Where two threads wait for each other without sleeping: waking up takes longer than much of what
/// is measured.
#[derive(Default)]
pub struct Meeting(AtomicU32);

impl Meeting {
    /// Waits until the other thread is here, too. It may be used again.
    pub fn meet(&self) {
        // Acquire and Release: what either did before the meeting is seen after it.
        let arrived = self.0.fetch_add(1, Ordering::AcqRel) + 1;
        let both = arrived.next_multiple_of(2);
        let mut polls = 0_u32;
        while self.0.load(Ordering::Acquire) < both {
            hint::spin_loop();
            polls += 1;
            // Where threads cannot be pinned the other one may be waiting for this CPU.
            if polls.is_multiple_of(1 << 16) {
                thread::yield_now();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impatience_comes_late_but_comes() {
        let mut patience = Patience(MOST_ATTEMPTS - 2);
        assert_eq!(patience.wait(5), Ok(()));
        assert_eq!(patience.wait(5), Err(Fault::Stalled(5)));
    }

    #[test]
    fn two_threads_meet_again_and_again() {
        let meeting = Meeting::default();
        let met = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for round in 0..100 {
                        met.fetch_add(1, Ordering::Relaxed);
                        meeting.meet();
                        assert!(met.load(Ordering::Relaxed) >= (round + 1) * 2);
                        meeting.meet();
                    }
                });
            }
        });
    }
}
