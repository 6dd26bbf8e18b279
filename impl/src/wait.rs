//! Waiting: how an end passes the time until it can go on, for how long at most, and why it gave up.
//!
//! Every operation that can be refused has a form that waits. [`Producer::wait`], [`Consumer::wait`] and `wait` of
//! the readers, `wait_for` and `wait_until` say for how long; what is called on the result is the operation.
//!
//! ```
//! use std::time::Duration;
//!
//! use ringproof::{PopError, Ring, RingOptions, Wait, WaitError};
//!
//! let ring = Ring::<u64>::anonymous(&RingOptions::new(4))?;
//! let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?.with_wait(Wait::Spin));
//! let late = consumer.wait_for(Duration::from_millis(1)).pop();
//! assert_eq!(late, Err(WaitError::TimedOut));
//! std::thread::spawn(move || {
//!     for number in 0..100 {
//!         producer.wait().push(number).expect("a consumer");
//!     }
//!     producer.close();
//! });
//! for number in 0..100 {
//!     assert_eq!(consumer.wait().pop(), Ok(number));
//! }
//! assert_eq!(consumer.wait().pop(), Err(WaitError::Refused(PopError::PeerClosed)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The rule between two looks
//!
//! A look at the other side's index takes its cache line away from it, so an end that looks all the time slows down
//! whom it waits for. It stays away for a while instead, between two bounds. A look that finds a backlog makes the next
//! stay half as long again; one that finds one or two items, or one or two free slots, halves it. So ends that stream
//! meet rarely and find much, and ends that take turns look again at once. `docs/WAITING.md` in the repository has the
//! bounds and what they were measured with. They may change.
//!
//! [`Producer::wait`]: crate::ring::Producer::wait
//! [`Consumer::wait`]: crate::ring::Consumer::wait

use core::ops::RangeInclusive;
#[cfg(feature = "std")]
use std::{
    hint,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

#[cfg(feature = "std")]
use crate::{
    memory::{CellsOf, Memory, Slept},
    sleep::{NAP, SleepWords, Sleeper},
};

/// How an end waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wait {
    /// It looks again and again, and keeps its processor busy. The fastest where each of the two ends has a processor
    /// of its own, and the slowest where they share one.
    Spin,
    /// It looks for some microseconds as [`Spin`](Wait::Spin) does, then lets other threads run between two looks.
    Yield,
    /// It looks for some microseconds as [`Spin`](Wait::Spin) does, then sleeps in the kernel until it is woken.
    #[default]
    Sleep,
    /// It sleeps in the kernel as soon as it finds nothing: for many ends on few processors.
    SleepAtOnce,
}

/// Why a wait ended without what was waited for. `E` is the error of the operation that does not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError<E> {
    /// The time is over. Nothing was done.
    #[error("timed out")]
    TimedOut,
    /// Nobody holds the role of the other end, which somebody held before, and nothing is left that this end could go
    /// on with. A successor of the other end may come: wait again to wait for it.
    #[error("the process at the other end is gone, and left nothing")]
    PeerGone,
    /// A signal was handled while it slept. Nothing was done; wait again to go on.
    #[error("interrupted by a signal")]
    Interrupted,
    /// What no waiting changes: the ring is closed, or corrupt, or it was asked for too many at once. Never full or empty.
    #[error(transparent)]
    Refused(#[from] E),
}

/// How long an end stays away between two looks, and what it has learnt that from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// In nanoseconds.
    stay: u32,
    /// How many looks found nothing since one that did.
    vain: u32,
}

impl Pace {
    /// The shortest stay: one pause of most processors.
    pub(crate) const LEAST: u32 = 30;
    /// The longest of ends that take turns.
    pub(crate) const TURN: u32 = 120;
    /// The longest.
    pub(crate) const MOST: u32 = 3000;
    /// As many items or slots, found in one look, are no backlog.
    pub(crate) const FEW: u64 = 2;
    /// So many looks in vain before one that finds a few: fewer, and it came late; more, and it may come later.
    pub(crate) const VAIN: RangeInclusive<u32> = 3..=5;

    pub(crate) const fn new() -> Self {
        Pace {
            stay: Self::LEAST,
            vain: 0,
        }
    }

    /// A look found so many.
    pub(crate) fn found(&mut self, count: u64) {
        let Pace { stay, vain } = *self;
        let longer = stay + stay / 2;
        let next = match count {
            0 => stay,
            1..=Self::FEW if stay > Self::TURN || vain < *Self::VAIN.start() => stay / 2,
            1..=Self::FEW if vain > *Self::VAIN.end() => longer.min(Self::TURN),
            1..=Self::FEW => stay,
            _ => longer.min(Self::MOST),
        };
        self.stay = next.max(Self::LEAST);
        self.vain = if count == 0 { vain.saturating_add(1) } else { 0 };
    }
}

#[cfg(feature = "std")]
impl Pace {
    /// Stays away, and says for how long.
    fn stay<M: Memory>(self, memory: &M) -> u32 {
        let pauses = self.stay * PAUSES / nanos_of_pauses();
        (0..pauses.clamp(1, M::SPINS)).for_each(|_| memory.spin());
        self.stay
    }
}

/// So many pauses are timed.
#[cfg(feature = "std")]
const PAUSES: u32 = 64;

/// How many nanoseconds [`PAUSES`] of this processor take: between 4 and 150 cycles each.
#[cfg(feature = "std")]
fn nanos_of_pauses() -> u32 {
    static KNOWN: OnceLock<u32> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        let measure = || {
            let start = Instant::now();
            (0..PAUSES).for_each(|_| hint::spin_loop());
            start.elapsed()
        };
        // The shortest of some: an interruption only makes one longer. And never so short that a clock that stands
        // still would matter.
        let shortest = (0..5).map(|_| measure()).min().unwrap_or_default();
        let nanos = u32::try_from(shortest.as_nanos()).unwrap_or(u32::MAX);
        nanos.max(PAUSES)
    })
}

/// Between two looks at the clock, in nanoseconds of stays.
#[cfg(feature = "std")]
const CLOCK: u32 = 12_000;

/// For so long an end spins before it lets others run.
#[cfg(feature = "std")]
pub(crate) const SPIN: Duration = Duration::from_micros(20);

/// Between two questions whether there is a peer, each of which is a system call.
#[cfg(feature = "std")]
pub(crate) const INTERVAL: Duration = Duration::from_millis(60);

/// Until when a wait lasts; without limit if there is no such moment.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit(Option<Instant>);

#[cfg(feature = "std")]
impl Limit {
    pub(crate) const FOREVER: Limit = Limit(None);

    /// From now; what is too long for a clock is without limit.
    pub(crate) fn after(timeout: Duration) -> Limit {
        Limit(Instant::now().checked_add(timeout))
    }

    pub(crate) fn at(deadline: Instant) -> Limit {
        Limit(Some(deadline))
    }

    /// Whether it is over, by a clock that is read only if there is such a moment.
    fn is_over_now(self) -> bool {
        self.0.is_some_and(|end| Instant::now() >= end)
    }

    fn is_over(self, now: Instant) -> bool {
        self.0.is_some_and(|end| now >= end)
    }

    /// What is left of `most`, or of the time until then if that is less.
    fn rest(self, most: Duration, now: Instant) -> Duration {
        let rest = self.0.map(|end| end.saturating_duration_since(now));
        rest.map_or(most, |rest| rest.min(most))
    }
}

/// An end that is asked to wait, and for what.
#[cfg(feature = "std")]
pub(crate) trait Waits<'a> {
    type Memory: Memory;
    /// What no waiting changes.
    type Refusal;

    fn memory(&self) -> &Self::Memory;

    fn strategy(&self) -> Wait;

    /// The words by which it sleeps.
    fn words(&self) -> SleepWords<'a, CellsOf<Self::Memory>>;

    /// Looks once.
    fn look(&mut self) -> Result<Look, Self::Refusal>;

    /// Whether there was a peer, and is none now.
    fn is_peer_gone(&self) -> bool;
}

/// What a look found.
#[cfg(feature = "std")]
pub(crate) enum Look {
    /// What was waited for.
    Enough,
    /// Not yet: the next look comes after this stay.
    NotYet(Pace),
}

/// Waits until `end` can go on. (Never a part of what calls it, which most often need not wait: an item that
/// lives across so much lies in memory, in pieces that no copy into a slot can read before they have left the processor.)
#[cfg(feature = "std")]
#[cold]
#[inline(never)]
pub(crate) fn wait<'a, E: Waits<'a>>(
    end: &mut E,
    limit: Limit,
) -> Result<(), WaitError<E::Refusal>> {
    let Look::NotYet(mut pace) = end.look()? else {
        return Ok(());
    };
    if limit.is_over_now() {
        return Err(WaitError::TimedOut);
    }
    let how = end.strategy();
    let mut away = 0;
    // Without a clock at first: to read it takes as long as a stay.
    while how != Wait::SleepAtOnce && away < CLOCK {
        away += pace.stay(end.memory());
        match end.look()? {
            Look::Enough => return Ok(()),
            Look::NotYet(next) => pace = next,
        }
    }
    let mut sleeper = Sleeper::new(end.words());
    let start = Instant::now();
    let (mut now, mut asked) = (start, start);
    loop {
        let is_patient = now.duration_since(start) >= SPIN;
        let mut slept = Slept::Woken;
        match how {
            Wait::Yield if is_patient => {
                thread::yield_now();
                away = CLOCK;
            }
            Wait::Sleep | Wait::SleepAtOnce if is_patient || how == Wait::SleepAtOnce => {
                let ask = sleeper.ask(end.memory());
                if let Look::Enough = end.look()? {
                    return Ok(());
                }
                let most = INTERVAL.saturating_sub(now.duration_since(asked));
                let rest = limit.rest(most, now).as_nanos();
                slept = sleeper.sleep(end.memory(), ask, u64::try_from(rest).unwrap_or(u64::MAX));
                if slept == Slept::Refused {
                    thread::sleep(Duration::from_nanos(NAP));
                }
                away = CLOCK;
            }
            _ => away += pace.stay(end.memory()),
        }
        match end.look()? {
            Look::Enough => return Ok(()),
            Look::NotYet(next) => pace = next,
        }
        if slept == Slept::Interrupted {
            return Err(WaitError::Interrupted);
        }
        if away < CLOCK {
            continue;
        }
        away = 0;
        now = Instant::now();
        if limit.is_over(now) {
            return Err(WaitError::TimedOut);
        }
        if now.duration_since(asked) >= INTERVAL {
            asked = now;
            // What it did before it went is seen by a look after the kernel said that it is gone.
            if end.is_peer_gone() && matches!(end.look()?, Look::NotYet(_)) {
                return Err(WaitError::PeerGone);
            }
        }
    }
}

/// An end that waits in its next operation, until a moment at the latest. Made by
/// [`wait`](crate::ring::Consumer::wait), `wait_for` or `wait_until` of an end. [`Send`] and [`Sync`] where that is.
#[cfg(feature = "std")]
#[derive(Debug)]
#[must_use = "it waits when an operation is called on it"]
pub struct Waiting<'e, E> {
    pub(crate) end: &'e mut E,
    pub(crate) limit: Limit,
}

#[cfg(feature = "std")]
impl<E> Waiting<'_, E> {
    /// The same for one of several operations.
    pub(crate) fn again(&mut self) -> Waiting<'_, E> {
        Waiting {
            end: self.end,
            limit: self.limit,
        }
    }
}

/// The three ways to say how long, for ends of which an operation takes `&mut`, and those of which it takes `&`.
#[cfg(feature = "std")]
macro_rules! waits {
    ($self:ty, $waiting:ty, $made:expr) => {
        /// Waits without limit in the operation that is called on the result.
        pub fn wait(self: $self) -> $waiting {
            $made(self, $crate::wait::Limit::FOREVER)
        }

        /// Waits for at most `timeout` in the operation that is called on the result: zero is one look, and what
        /// no clock reaches is no limit.
        pub fn wait_for(self: $self, timeout: std::time::Duration) -> $waiting {
            $made(self, $crate::wait::Limit::after(timeout))
        }

        /// Waits until `deadline` at most in the operation that is called on the result: one that is over is one
        /// look.
        pub fn wait_until(self: $self, deadline: std::time::Instant) -> $waiting {
            $made(self, $crate::wait::Limit::at(deadline))
        }
    };
}

#[cfg(feature = "std")]
pub(crate) use waits;

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    /// The stays after looks that find so many.
    fn stays(pace: &mut Pace, found: &[u64]) -> Vec<u32> {
        let stay = |&count| {
            pace.found(count);
            pace.0
        };
        found.iter().map(stay).collect()
    }

    #[test]
    fn a_backlog_makes_the_next_stay_half_as_long_again() {
        let mut pace = Pace::new();
        assert_eq!(pace.0, Pace::LEAST);
        let found = [Pace::FEW + 1, 1000, u64::MAX, 3, 3, 3, 3, 3, 3, 3, 3];
        let grown = [3, 4, 6, 9, 13, 19, 28, 42, 63, Pace::MOST, Pace::MOST];
        assert_eq!(stays(&mut pace, &found), grown);
    }

    #[test]
    fn a_few_make_it_half_as_long_and_nothing_leaves_it() {
        let mut pace = Pace(Pace::MOST);
        let found = [1, 0, 2, 1, 0, 0, Pace::FEW, 1, 1];
        let halved = [32, 32, 16, 8, 8, 8, 4, Pace::LEAST, Pace::LEAST];
        assert_eq!(stays(&mut pace, &found), halved);
    }

    #[test]
    fn a_unit_has_some_pauses_and_never_many() {
        // However long a pause takes, and however the clock goes: a stay is bounded.
        assert!((1..=UNIT).contains(&pauses_of_a_unit()));
    }

    #[test]
    fn a_limit_is_over_from_its_moment_on_and_one_that_no_clock_reaches_never() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        assert!(!Limit::at(later).is_over(now));
        assert!(Limit::at(later).is_over(later));
        assert!(Limit::at(now).is_over(later));
        assert!(Limit::after(Duration::ZERO).is_over(Instant::now()));
        assert!(!Limit::after(Duration::MAX).is_over(later));
        assert!(!Limit::FOREVER.is_over(later));
    }
}
