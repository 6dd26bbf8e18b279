//! A thread that sleeps until another one wakes it, by several mechanisms; and how long that takes.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use ringproof::{Consumer, Producer, Ring, RingOptions, Wait, Waiter};

use crate::counters::Usage;
use crate::cpus::Pair;
use crate::futex::futex;
use crate::report::Trouble;
use crate::stats::summarize;
use crate::together::{Fault, Patience, both};

/// A way to sleep and to be woken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mechanism {
    /// What it is called.
    pub(crate) name: &'static str,
    /// Makes its two sides.
    pub(crate) make: fn() -> Result<Sides, Trouble>,
}

/// All of them. The first one is the least that the kernel has.
pub(crate) const MECHANISMS: [Mechanism; 6] = [
    mechanism("futex", futexes),
    mechanism("Wait::SleepAtOnce", sleeping),
    mechanism("Waiter and poll", polled),
    mechanism("Condvar", condvars),
    mechanism("eventfd", events),
    mechanism("pipe", pipes),
];

const fn mechanism(name: &'static str, make: fn() -> Result<Sides, Trouble>) -> Mechanism {
    Mechanism { name, make }
}

/// What each of the two threads calls. It says whether that succeeded.
pub(crate) struct Sides {
    /// Wakes the other thread; if that does not sleep yet, it will not.
    wake: Box<dyn FnMut() -> bool + Send>,
    /// Sleeps until it is woken.
    sleep: Box<dyn FnMut() -> bool + Send>,
}

impl Sides {
    fn new(
        wake: impl FnMut() -> bool + Send + 'static,
        sleep: impl FnMut() -> bool + Send + 'static,
    ) -> Self {
        Sides {
            wake: Box::new(wake),
            sleep: Box::new(sleep),
        }
    }

    fn sharing<T: Send + Sync + 'static>(
        shared: T,
        wake: fn(&T) -> bool,
        sleep: fn(&T) -> bool,
    ) -> Self {
        let one = Arc::new(shared);
        let other = Arc::clone(&one);
        Sides::new(move || wake(&one), move || sleep(&other))
    }
}

/// Within one process.
const WAIT: libc::c_int = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
const WAKE: libc::c_int = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;

fn futexes() -> Result<Sides, Trouble> {
    Ok(Sides::sharing(
        AtomicU32::new(0),
        |word| {
            // Release, with the swap below.
            word.store(1, Ordering::Release);
            futex(word, WAKE, 1).is_ok()
        },
        |word| {
            // Acquire, with the store above.
            while word.swap(0, Ordering::Acquire) == 0 {
                // It fails if the word is no longer zero, and then there is nothing to sleep for.
                let _ = futex(word, WAIT, 0);
            }
            true
        },
    ))
}

fn ring() -> Result<(Producer<u64>, Consumer<u64>), Trouble> {
    // Also for the last wake of a thread that gives up.
    let ring = Ring::anonymous(&RingOptions::new(2));
    let ends = ring.and_then(|ring| Ok((ring.producer()?, ring.consumer()?)));
    ends.map_err(Trouble::of("no ring can be made"))
}

fn sleeping() -> Result<Sides, Trouble> {
    let (mut producer, consumer) = ring()?;
    let mut consumer = consumer.with_wait(Wait::SleepAtOnce);
    Ok(Sides::new(
        move || producer.push(0).is_ok(),
        move || consumer.wait().pop().is_ok(),
    ))
}

fn polled() -> Result<Sides, Trouble> {
    let (mut producer, consumer) = ring()?;
    let waiter = Waiter::new(consumer);
    let mut waiter = waiter.map_err(Trouble::of("an end has no descriptor"))?;
    Ok(Sides::new(
        move || producer.push(0).is_ok(),
        move || {
            loop {
                // The first attempt is refused, and makes the descriptor unreadable.
                match waiter.attempt(Consumer::pop) {
                    Ok(None) => {}
                    taken => return taken.is_ok(),
                }
                let mut descriptors = [PollFd::new(waiter.as_fd(), PollFlags::POLLIN)];
                if poll(&mut descriptors, PollTimeout::NONE).is_err() {
                    return false;
                }
            }
        },
    ))
}

fn condvars() -> Result<Sides, Trouble> {
    Ok(Sides::sharing(
        (Mutex::new(false), Condvar::new()),
        |(woken, changed)| {
            *woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
            changed.notify_one();
            true
        },
        |(woken, changed)| {
            let woken = woken.lock().unwrap_or_else(PoisonError::into_inner);
            let woken = changed.wait_while(woken, |woken| !*woken);
            *woken.unwrap_or_else(PoisonError::into_inner) = false;
            true
        },
    ))
}

fn events() -> Result<Sides, Trouble> {
    let event = EventFd::new().map_err(Trouble::of("no eventfd can be made"))?;
    Ok(Sides::sharing(
        event,
        |event| event.write(1).is_ok(),
        |event| event.read().is_ok(),
    ))
}

fn pipes() -> Result<Sides, Trouble> {
    let (mut reader, mut writer) = io::pipe().map_err(Trouble::of("no pipe can be made"))?;
    Ok(Sides::new(
        move || writer.write_all(&[0]).is_ok(),
        move || reader.read_exact(&mut [0]).is_ok(),
    ))
}

/// How it went: medians, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Woken {
    /// From before the call that wakes until the woken thread has returned from the one that sleeps.
    pub(crate) after: f64,
    /// How long the call that wakes takes.
    pub(crate) cost: f64,
    /// How often the two threads were preempted.
    pub(crate) preemptions: u64,
}

/// A thread that is about to sleep is left alone for so long: enough for it to sleep, and for a thread that works
/// for it.
const REST: Duration = Duration::from_micros(200);

/// Lets the second thread of the pair sleep so many times, and the first one wake it. `None` if it never slept: only
/// the times when it did count.
///
/// # Errors
/// As [`both`]; [`Fault::Stalled`] also if a call failed.
pub(crate) fn run(sides: Sides, pair: Pair, times: u64) -> Result<Option<Woken>, Fault> {
    let Sides {
        mut wake,
        mut sleep,
    } = sides;
    // How often the second thread was about to sleep, and whether the first one has given up.
    let (sleeps, given_up) = (AtomicU64::new(0), AtomicBool::new(false));
    let could = |could: bool, time| could.then_some(()).ok_or(Fault::Stalled(time));
    let ((woke, preempted), (slept, preempted_too)) = both(
        pair,
        |meeting| {
            meeting.meet()?;
            let before = Usage::so_far();
            let mut once = |time| {
                let mut patience = Patience::default();
                // Relaxed: it carries no data.
                while sleeps.load(Ordering::Relaxed) < time {
                    patience.wait(time)?;
                }
                let rest = Instant::now();
                while rest.elapsed() < REST {
                    patience.wait(time)?;
                }
                let start = Instant::now();
                could(wake(), time)?;
                Ok((start, start.elapsed()))
            };
            let woke: Result<Vec<_>, Fault> = (1..=times).map(&mut once).collect();
            if woke.is_err() {
                // Or the other thread would sleep for ever.
                given_up.store(true, Ordering::Relaxed);
                wake();
            }
            Ok((woke?, before.since().preemptions))
        },
        |meeting| {
            meeting.meet()?;
            let before = Usage::so_far();
            let once = |time| {
                let before = Usage::so_far();
                sleeps.store(time, Ordering::Relaxed);
                could(sleep(), time)?;
                let end = Instant::now();
                match given_up.load(Ordering::Relaxed) {
                    true => Err(Fault::CalledOff),
                    false => Ok((before.since().sleeps > 0).then_some(end)),
                }
            };
            let slept: Result<Vec<_>, Fault> = (1..=times).map(once).collect();
            Ok((slept?, before.since().preemptions))
        },
    )?;
    let nanos = |time: Duration| time.as_nanos() as f64;
    let counted = woke.into_iter().zip(slept);
    let counted = counted.filter_map(|((start, cost), end)| {
        Some((nanos(end?.saturating_duration_since(start)), nanos(cost)))
    });
    let (after, cost): (Vec<_>, Vec<_>) = counted.unzip();
    let medians = summarize(&after).zip(summarize(&cost));
    Ok(medians.map(|(after, cost)| Woken {
        after: after.median,
        cost: cost.median,
        preemptions: preempted + preempted_too,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_woken_by_every_mechanism_each_time() {
        for Mechanism { name, make } in MECHANISMS {
            let woken = run(make().unwrap(), Pair::anywhere(), 20);
            let woken = woken.unwrap_or_else(|fault| panic!("{name}: {fault}"));
            let woken = woken.unwrap_or_else(|| panic!("{name}: it never slept"));
            assert!(woken.after > 0.0 && woken.cost > 0.0, "{name}: {woken:?}");
        }
    }

    #[test]
    fn a_thread_that_never_sleeps_has_no_figures() {
        let sides = Sides::new(|| true, || true);
        assert!(run(sides, Pair::anywhere(), 1).unwrap().is_none());
    }

    #[test]
    fn a_call_that_fails_ends_both_threads() {
        for fails in [1, 3] {
            for of_wake in [true, false] {
                let Sides {
                    mut wake,
                    mut sleep,
                } = condvars().unwrap();
                let [mut wakes, mut sleeps] = [0, 0];
                let sides = Sides::new(
                    move || {
                        wakes += 1;
                        wake() && !(of_wake && wakes == fails)
                    },
                    move || {
                        sleeps += 1;
                        sleep() && (of_wake || sleeps != fails)
                    },
                );
                let outcome = run(sides, Pair::anywhere(), 5);
                assert_eq!(outcome.unwrap_err(), Fault::Stalled(fails));
            }
        }
    }
}
