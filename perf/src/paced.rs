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

/// How it was for who waited for them.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// Nanoseconds from when a message was due until it was there: the median.
    pub(crate) late: f64,
    /// The share of the time during which its thread had the CPU, in percent.
    pub(crate) busy: Result<f64, String>,
    /// How often the threads were preempted.
    pub(crate) preemptions: u64,
}

/// The time for which the calling thread has had a CPU.
fn time_on_a_cpu() -> Result<Duration, String> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.map(Duration::from)
        .map_err(|error| format!("the kernel does not say how long a thread ran: {error}"))
}

/// Sends through the link at this pace. Who sends has an eye on the clock all the time.
///
/// # Errors
/// As [`both`].
pub(crate) fn run(link: &mut Link<'_>, pair: Pair, pace: Pace) -> Result<Received, Fault> {
    let Link {
        sender, receiver, ..
    } = link;
    let first = link.next;
    link.next = first.wrapping_add(pace.messages);
    // Once both are there: every message is due at its time from here.
    let started = OnceLock::new();
    let due = (1..=pace.messages as u32).map(|number| pace.apart * number);
    let numbered = (first..).zip(due);
    let ((), received) = both(
        pair,
        |meeting| {
            meeting.meet()?;
            let start = *started.get_or_init(Instant::now);
            for (number, due) in numbered.clone() {
                let mut patience = Patience::default();
                while start.elapsed() < due {
                    patience.wait(number)?;
                }
                sender(number, 1)?;
            }
            Ok(())
        },
        |meeting| {
            let mut late = Vec::with_capacity(pace.messages as usize);
            meeting.meet()?;
            let start = *started.get_or_init(Instant::now);
            let (before, usage) = (time_on_a_cpu(), Usage::so_far());
            for (number, due) in numbered.clone() {
                receiver(number, 1)?;
                late.push(start.elapsed().saturating_sub(due).as_nanos() as f64);
            }
            let ran = time_on_a_cpu().and_then(|after| Ok(after.saturating_sub(before?)));
            let share = |ran: Duration| 100.0 * ran.as_secs_f64() / start.elapsed().as_secs_f64();
            Ok(Received {
                late: summarize(&late).map_or(f64::NAN, |late| late.median),
                busy: ran.map(share),
                preemptions: usage.since().preemptions,
            })
        },
    )?;
    Ok(received)
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

    /// How it is for who waits for one message in so long, and sleeps for it or does not.
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
    fn who_sleeps_is_less_busy_than_who_asks_again_and_again() {
        let time = Duration::from_millis(50);
        let [asks, sleeps] = [false, true].map(|sleeps| received(sleeps, time).busy.unwrap());
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
