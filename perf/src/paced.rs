//! Messages at a pace: when each is there, and what waiting for them costs.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use crate::counters::Usage;
use crate::cpus::Pair;
use crate::stats::summarize;
use crate::stream::Link;
use crate::together::{Fault, Patience, both};

/// One message after the other, each when it is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// How many there are.
    pub(crate) messages: u64,
    /// From one to the next, and before the first one.
    pub(crate) apart: Duration,
}

impl Pace {
    /// So many a second, for so long: at least one, at the end.
    pub(crate) fn of(a_second: u32, time: Duration) -> Self {
        let all = (f64::from(a_second) * time.as_secs_f64()) as u32;
        let messages = all.max(1);
        Pace {
            messages: messages.into(),
            apart: time / messages,
        }
    }
}

/// How the thread that waited for them fared.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// Nanoseconds from when a message was due until it was there: the median.
    pub(crate) late: f64,
    /// For how much of the time it ran, in percent.
    pub(crate) busy: f64,
    /// How often the two threads were preempted.
    pub(crate) preemptions: u64,
}

/// For how long the calling thread has run.
fn ran() -> Duration {
    // It fails for no clock that there is always.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Sends through the link at this pace. The thread that sends looks at the clock all the time.
///
/// # Errors
/// As [`both`].
pub(crate) fn run(link: &mut Link<'_>, pair: Pair, pace: Pace) -> Result<Received, Fault> {
    let Link {
        sender, receiver, ..
    } = link;
    let first = link.next;
    link.next = first.wrapping_add(pace.messages);
    // When both threads were there. Messages are due so long after it.
    let started = OnceLock::new();
    let due = (1..=pace.messages as u32).map(|number| pace.apart * number);
    let numbered = (first..).zip(due);
    let (preempted, received) = both(
        pair,
        |meeting| {
            meeting.meet()?;
            let usage = Usage::so_far();
            let start = *started.get_or_init(Instant::now);
            for (number, due) in numbered.clone() {
                let mut patience = Patience::default();
                while start.elapsed() < due {
                    patience.wait(number)?;
                }
                sender(number, 1)?;
            }
            Ok(usage.since().preemptions)
        },
        |meeting| {
            let mut late = Vec::with_capacity(pace.messages as usize);
            meeting.meet()?;
            let start = *started.get_or_init(Instant::now);
            let (before, usage) = (ran(), Usage::so_far());
            for (number, due) in numbered.clone() {
                receiver(number, 1)?;
                late.push(start.elapsed().saturating_sub(due).as_nanos() as f64);
            }
            let (ran, all) = (ran().saturating_sub(before), start.elapsed());
            Ok(Received {
                late: summarize(&late).map_or(f64::NAN, |late| late.median),
                busy: 100.0 * ran.as_secs_f64() / all.as_secs_f64(),
                preemptions: usage.since().preemptions,
            })
        },
    )?;
    Ok(Received {
        preemptions: preempted + received.preemptions,
        ..received
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::Ends;
    use std::sync::Mutex;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn a_pace_has_a_message_also_where_none_is_due() {
        let time = Duration::from_millis(10);
        for (a_second, messages) in [(0, 1), (1, 1), (1000, 10), (1_000_000, 10_000)] {
            let pace = Pace::of(a_second, time);
            assert_eq!(pace.messages, messages);
            assert_eq!(pace.apart, time / messages as u32);
        }
    }

    /// One message in so long, for a thread that sleeps until it comes or asks again and again.
    fn received(sleeps: bool, time: Duration) -> Received {
        let (sender, receiver) = mpsc::channel();
        let receiver = Mutex::new(receiver);
        let ends = Ends::one_by_one::<u64>(
            move |item| sender.send(item).is_ok(),
            move || {
                let receiver = receiver.lock().unwrap();
                match sleeps {
                    true => receiver.recv().ok(),
                    false => receiver.try_recv().ok(),
                }
            },
        );
        let mut link = ends.link("a channel".to_owned(), 0, 7);
        run(&mut link, Pair::anywhere(), Pace::of(0, time)).unwrap()
    }

    #[test]
    fn a_thread_that_sleeps_is_less_busy_than_one_that_asks_again_and_again() {
        let time = Duration::from_millis(50);
        let [asks, sleeps] = [false, true].map(|sleeps| received(sleeps, time).busy);
        assert!(sleeps < asks, "{sleeps} % asleep, {asks} % awake");
    }

    #[test]
    fn a_message_that_is_late_is_late() {
        let late = Duration::from_millis(20);
        let (sender, receiver) = mpsc::channel();
        let receiver = Mutex::new(receiver);
        let ends = Ends::one_by_one::<u64>(
            move |item| {
                thread::sleep(late);
                sender.send(item).is_ok()
            },
            move || receiver.lock().unwrap().try_recv().ok(),
        );
        let mut link = ends.link("a slow channel".to_owned(), 0, 7);
        let pace = Pace::of(0, Duration::from_millis(1));
        let received = run(&mut link, Pair::anywhere(), pace).unwrap();
        assert!(received.late >= late.as_nanos() as f64, "{received:?}");
    }
}
