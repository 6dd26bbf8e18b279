//! Two threads at once, each on its own CPU: how they meet, wait for each other, and end together.
//!
//! Whatever spins here ends. A thread that waits asks from time to time whether its CPU is still its own
//! and whether the other thread is still there, and it has a deadline; one that gives up calls the other
//! one off.
//!
//! A circle with `report`: what goes wrong while two threads measure is a trouble that the report prints, and
//! is declared beside what prints it.

use std::cell::{Cell, RefCell};
use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ringproof_record::deadline;

use crate::cpus::{Gone, Pair, Seat, stands};
use crate::report::Trouble;

/// What can go wrong where two threads measure together. Of two faults the first one in this order
/// explains the other, or must not be hidden by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Fault {
    /// Items came that were not the next ones, at or after this one.
    #[error("an item at or after number {0} is not the one that was sent")]
    OutOfOrder(u64),
    /// One of so many values that were read mixes two that were written.
    #[error("among {0} values there is one that mixes two that were written")]
    Torn(u64),
    /// A thread of the experiment panicked.
    #[error("a thread of the experiment panicked")]
    Panicked,
    /// A CPU was taken away. What was measured is broken, not what is measured.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// Nothing went on until the deadline.
    #[error("nothing went on at item {0}")]
    Stalled(u64),
    /// The other thread gave up.
    #[error("the other thread of the experiment gave up")]
    CalledOff,
}

impl Fault {
    /// What it means for an experiment, in which `what` was measured.
    pub fn of(self, what: &str) -> Trouble {
        match self {
            Fault::Gone(gone) => gone.into(),
            fault => Trouble::Failed(format!("{what}: {fault}")),
        }
    }
}

impl From<Gone> for Trouble {
    fn from(gone: Gone) -> Self {
        Trouble::NotRun(gone.to_string())
    }
}

/// After so long a thread that waits for another one is taken to wait for ever.
fn patience() -> Duration {
    deadline::seconds(60)
}

/// Does two parts of one sample at once, each in a thread of its own on its CPU, and gives what both
/// gave. They begin when both are there; each is preferred to ordinary programs then, where that is
/// allowed.
///
/// # Errors
/// The fault of either that explains the other's, [`Fault::Gone`] also if a CPU is found to have been
/// taken away at the end. The other part is called off: it sees that where it waits.
pub fn both<A: Send, B: Send>(
    pair: Pair,
    first: impl FnOnce(&Meeting) -> Result<A, Fault> + Send,
    second: impl FnOnce(&Meeting) -> Result<B, Fault> + Send,
) -> Result<(A, B), Fault> {
    let meeting = Meeting::default();
    thread::scope(|scope| {
        let second = scope.spawn(|| meeting.part(pair.seat(true), second));
        let first = scope.spawn(|| meeting.part(pair.seat(false), first));
        let first = first.join().unwrap_or(Err(Fault::Panicked));
        let second = second.join().unwrap_or(Err(Fault::Panicked));
        match (first, second) {
            (Ok(first), Ok(second)) => Ok((first, second)),
            (Err(one), Err(other)) => Err(one.min(other)),
            (Err(fault), Ok(_)) | (Ok(_), Err(fault)) => Err(fault),
        }
    })
}

/// Does something in a thread of its own on the first of the two CPUs, before ordinary programs where
/// that is allowed.
///
/// # Errors
/// Those of `work`; [`Fault::Panicked`] and [`Fault::Gone`].
pub fn alone<T: Send, E: From<Fault> + Send>(
    pair: Pair,
    work: impl FnOnce() -> Result<T, E> + Send,
) -> Result<T, E> {
    let seat = pair.single();
    let work = || {
        seat.take().map_err(Fault::Gone)?;
        seat.prefer().map_err(Fault::Gone)?;
        let done = work()?;
        stands().map_err(Fault::Gone)?;
        Ok(done)
    };
    thread::scope(|scope| {
        let working = scope.spawn(work);
        working
            .join()
            .unwrap_or_else(|_| Err(Fault::Panicked.into()))
    })
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Gone(gone) => gone.into(),
            fault => Trouble::Failed(fault.to_string()),
        }
    }
}

thread_local! {
    /// Raised when the other thread of the experiment has given up.
    static CALLED_OFF: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
    /// When the calling thread began to wait.
    static SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Where two threads wait for each other without sleeping: waking up takes longer than much of what
/// is measured.
#[derive(Debug, Default)]
pub struct Meeting {
    arrived: AtomicU32,
    called_off: Arc<AtomicBool>,
}

impl Meeting {
    /// Does what one of the two threads has to do.
    fn part<T>(
        &self,
        seat: Seat,
        work: impl FnOnce(&Meeting) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        // Also when this thread panics.
        let call_off = CallOff(&self.called_off);
        CALLED_OFF.set(Some(Arc::clone(&self.called_off)));
        seat.take()?;
        self.meet()?;
        seat.prefer()?;
        let done = work(self)?;
        stands()?;
        std::mem::forget(call_off);
        Ok(done)
    }

    /// Waits until the other thread is here, too. It may be used again.
    ///
    /// # Errors
    /// As [`Patience::wait`].
    pub fn meet(&self) -> Result<(), Fault> {
        // Acquire and Release: what either did before the meeting is seen after it.
        let arrived = self.arrived.fetch_add(1, Ordering::AcqRel) + 1;
        let both = arrived.next_multiple_of(2);
        let mut patience = Patience::default();
        while self.arrived.load(Ordering::Acquire) < both {
            patience.wait(0)?;
        }
        Ok(())
    }
}

/// Calls the other thread off when it is dropped.
struct CallOff<'a>(&'a AtomicBool);

impl Drop for CallOff<'_> {
    fn drop(&mut self) {
        // Relaxed: it carries no data.
        self.0.store(true, Ordering::Relaxed);
    }
}

/// There are so many attempts between two looks at whether there is any point in them: a fraction of a
/// millisecond up to a few.
const BETWEEN_LOOKS: u64 = 1 << 16;

/// Counts attempts that came to nothing, so that a lost item is an error and not a hang.
#[derive(Debug, Default)]
pub struct Patience(u64);

impl Patience {
    /// Waits a moment before the next attempt to move item `at`.
    ///
    /// # Errors
    /// [`Fault::Gone`] and [`Fault::CalledOff`], found out after a few milliseconds, and
    /// [`Fault::Stalled`] after so long that the other side cannot just be preempted.
    #[inline(always)]
    pub fn wait(&mut self, at: u64) -> Result<(), Fault> {
        hint::spin_loop();
        self.0 += 1;
        if self.0.is_multiple_of(BETWEEN_LOOKS) {
            // Only the number of attempts: whatever a call is given the address of lies in memory,
            // also where neither waits.
            look(self.0 / BETWEEN_LOOKS, at)
        } else {
            Ok(())
        }
    }

    /// Looks at once whether there is any point in a next attempt, after one that waited by itself.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    #[inline(always)]
    pub fn look(&mut self, at: u64) -> Result<(), Fault> {
        self.0 += 1;
        look(self.0, at)
    }
}

/// Until when an attempt may wait by itself. When that is over, [`Patience::look`] is due.
#[derive(Clone, Copy, Debug)]
pub struct Turn(Instant);

impl Turn {
    /// Longer than most samples, so that it does not wake a thread that sleeps in one.
    const LENGTH: Duration = Duration::from_millis(250);

    /// Makes an attempt that waits until the moment that it is given. One that comes to nothing begins the
    /// next turn. The clock is not read before each attempt, so this one may be over already.
    #[inline(always)]
    pub fn attempt<T, E>(&mut self, attempt: impl FnOnce(Instant) -> Result<T, E>) -> Result<T, E> {
        let outcome = attempt(self.0);
        if outcome.is_err() {
            self.0 = Instant::now() + Self::LENGTH;
        }
        outcome
    }
}

impl Default for Turn {
    fn default() -> Self {
        Turn(Instant::now())
    }
}

/// Looks whether there is any point in waiting, for the n-th time.
#[cold]
#[inline(never)]
fn look(time: u64, at: u64) -> Result<(), Fault> {
    let now = Instant::now();
    if time == 1 {
        SINCE.set(Some(now));
    }
    look_on()?;
    let since = SINCE.get().unwrap_or(now);
    if now.saturating_duration_since(since) > patience() {
        return Err(Fault::Stalled(at));
    }
    // Where threads cannot be pinned the other one may be waiting for this CPU.
    thread::yield_now();
    Ok(())
}

/// Looks whether the experiment goes on: for a thread that does not wait, but goes on until the other one
/// is done. To be called seldom.
///
/// # Errors
/// [`Fault::Gone`] and [`Fault::CalledOff`].
#[cold]
#[inline(never)]
pub fn look_on() -> Result<(), Fault> {
    stands()?;
    let called_off = CALLED_OFF.with_borrow(|flag| {
        let flag = flag.as_deref();
        flag.is_some_and(|flag| flag.load(Ordering::Relaxed))
    });
    match called_off {
        true => Err(Fault::CalledOff),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ringproof_record::affinity::{self, Cpus};

    use super::*;
    use crate::cpus::allowed;

    /// Waits for an item that never comes.
    fn wait_for_ever(_: &Meeting) -> Result<(), Fault> {
        let mut patience = Patience::default();
        loop {
            patience.wait(5)?;
        }
    }

    #[test]
    fn impatience_comes_late_but_comes() {
        let mut patience = Patience(BETWEEN_LOOKS - 2);
        assert_eq!(patience.wait(5), Ok(()));
        assert_eq!(patience.wait(5), Ok(()), "the first look");
        patience.0 = 2 * BETWEEN_LOOKS - 1;
        let long_ago = Instant::now().checked_sub(super::patience() * 2);
        if let Some(long_ago) = long_ago {
            SINCE.set(Some(long_ago));
            assert_eq!(patience.wait(5), Err(Fault::Stalled(5)));
        }
        // Another wait has a time of its own.
        let mut patience = Patience(BETWEEN_LOOKS - 1);
        assert_eq!(patience.wait(5), Ok(()));
    }

    #[test]
    fn two_threads_meet_again_and_again() {
        let met = AtomicU32::new(0);
        let part = |meeting: &Meeting| {
            for round in 0..100 {
                met.fetch_add(1, Ordering::Relaxed);
                meeting.meet()?;
                assert!(met.load(Ordering::Relaxed) >= (round + 1) * 2);
                meeting.meet()?;
            }
            Ok(())
        };
        assert_eq!(both(Pair::anywhere(), part, part), Ok(((), ())));
    }

    #[test]
    fn who_waits_for_one_that_gave_up_is_called_off() {
        let pair = Pair::anywhere();
        for fault in [Fault::OutOfOrder(3), Fault::Torn(1)] {
            let gives_up = |_: &Meeting| Err::<(), _>(fault);
            assert_eq!(both(pair, gives_up, wait_for_ever), Err(fault));
            assert_eq!(both(pair, wait_for_ever, gives_up), Err(fault));
            let at_the_meeting = |meeting: &Meeting| meeting.meet();
            assert_eq!(both(pair, gives_up, at_the_meeting), Err(fault));
        }
        let panics = |_: &Meeting| -> Result<(), Fault> { panic!("on purpose") };
        assert_eq!(both(pair, wait_for_ever, panics), Err(Fault::Panicked));
        let trouble: Result<(), Trouble> = alone(pair, || panic!("on purpose"));
        assert!(matches!(trouble, Err(Trouble::Failed(_))), "{trouble:?}");
    }

    /// A pair of pinned CPUs, if there are two.
    fn pinned() -> Option<Pair> {
        let cpus: Vec<usize> = allowed().unwrap().iter().collect();
        let [first, second, ..] = cpus[..] else {
            eprintln!("not run: a CPU can be taken away only where there are two");
            return None;
        };
        Some(Pair {
            first,
            second,
            pinned: true,
            ..Pair::anywhere()
        })
    }

    #[test]
    fn a_cpu_that_is_taken_away_ends_both_threads_wherever_they_are() {
        let Some(pair) = pinned() else { return };
        let gone = Fault::Gone(Gone::Cpu(pair.second));
        let leave = || affinity::restrict(0, &Cpus::one(pair.first)).unwrap();
        // It waits, for an item or at the meeting, or works until the other is done, or has done all.
        type Part = fn(&Meeting) -> Result<(), Fault>;
        let parts: [Part; 4] = [
            wait_for_ever,
            |meeting| meeting.meet(),
            |_| loop {
                look_on()?;
            },
            |_| Ok(()),
        ];
        for moved_part in parts {
            let moved = |meeting: &Meeting| {
                leave();
                moved_part(meeting)
            };
            assert_eq!(both(pair, wait_for_ever, moved), Err(gone));
        }
        // Neither waits: what was measured is not believed all the same.
        let idle = |_: &Meeting| Ok(());
        let moved = |_: &Meeting| {
            leave();
            Ok(())
        };
        assert_eq!(both(pair, idle, moved), Err(gone));
        let alone = alone(pair, || {
            affinity::restrict(0, &Cpus::one(pair.second)).unwrap();
            Ok::<_, Fault>(())
        });
        assert_eq!(alone, Err(Fault::Gone(Gone::Cpu(pair.first))));
    }

    #[test]
    fn a_broken_item_is_not_hidden_by_a_cpu_that_is_gone() {
        let gone = Fault::Gone(Gone::Cpu(1));
        for worse in [Fault::OutOfOrder(0), Fault::Torn(0), Fault::Panicked] {
            assert_eq!(worse.min(gone), worse);
        }
        for lesser in [Fault::Stalled(0), Fault::CalledOff] {
            assert_eq!(lesser.min(gone), gone);
        }
        assert!(matches!(gone.of("a ring"), Trouble::NotRun(why) if why.starts_with("CPU 1 was")));
        let stalled = Trouble::Failed("a ring: nothing went on at item 7".to_owned());
        assert_eq!(Fault::Stalled(7).of("a ring"), stalled);
    }
}
