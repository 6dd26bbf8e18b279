//! How far apart the two CPUs are now.
//!
//! Virtual CPUs move between real ones: for tens of milliseconds two separate cores become two
//! hyperthreads of one, and everything shared gets several times faster. A ping-pong over one
//! cache line shows it in a millisecond.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::alone::Alone;
use crate::counters::Usage;
use crate::cpus::Pair;
use crate::stats::summarize;
use crate::together::{Fault, Patience, both};

/// There and back, this often, for one value. Short, so that a preemption spoils one value only.
const ROUND_TRIPS: u64 = 300;

/// The median of so many values is the probe's result.
const VALUES: usize = 5;

/// By what factor two probes may differ and still mean the same distance. Hyperthreads of one core
/// are 2 to 5 times closer than separate cores; two probes of the same distance differ by less
/// than a quarter.
const TOLERANCE: f64 = 1.6;

/// The one-way latency between the two CPUs in nanoseconds.
///
/// # Errors
/// [`Fault`], if a CPU was taken away, or nothing went on.
pub fn one_way(pair: Pair) -> Result<f64, Fault> {
    // What two threads throw to and fro, away from everything else.
    let ball = Alone(AtomicU64::new(0));
    // Acquire and Release only because a ping-pong without order would be an odd example; the
    // ball carries no data.
    let send = |value| ball.0.store(value, Ordering::Release);
    let receive = |value: u64| {
        let mut patience = Patience::default();
        while ball.0.load(Ordering::Acquire) != value {
            patience.wait(value)?;
        }
        Ok(())
    };
    let (values, _) = to_and_fro(
        pair,
        &[ROUND_TRIPS; VALUES],
        (send, receive),
        (send, receive),
    )?;
    Ok(summarize(&values).map_or(f64::NAN, |summary| summary.median))
}

/// Waits for the message of that number.
pub(crate) trait Receives: Fn(u64) -> Result<(), Fault> + Sync {}

impl<F: Fn(u64) -> Result<(), Fault> + Sync> Receives for F {}

/// Messages 1, 3, 5, … go there and 2, 4, 6, … back, each sent and received by the functions of its
/// direction: nanoseconds one way, for each of several counts of round trips, and how often the threads
/// were preempted.
pub(crate) fn to_and_fro(
    pair: Pair,
    counts: &[u64],
    there: (impl Fn(u64) + Sync, impl Receives),
    back: (impl Fn(u64) + Sync, impl Receives),
) -> Result<(Vec<f64>, u64), Fault> {
    let last = counts.iter().sum::<u64>() * 2;
    let ask = || {
        let (mut values, mut next) = (Vec::with_capacity(counts.len()), 1);
        for count in counts {
            let start = Instant::now();
            for _ in 0..*count {
                there.0(next);
                back.1(next + 1)?;
                next += 2;
            }
            values.push(start.elapsed().as_nanos() as f64 / (count * 2) as f64);
        }
        Ok::<_, Fault>(values)
    };
    let answer = || {
        for number in (1..last).step_by(2) {
            there.1(number)?;
            back.0(number + 1);
        }
        Ok(())
    };
    let ((values, preemptions), ((), disturbed)) =
        both(pair, |_| Usage::during(ask), |_| Usage::during(answer))?;
    Ok((values, preemptions + disturbed))
}

/// Whether two probes mean the same distance.
pub fn agree(one: f64, other: f64) -> bool {
    one > 0.0 && other > 0.0 && one.max(other) <= TOLERANCE * one.min(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_and_a_hyperthread_do_not_agree_and_a_probe_that_failed_agrees_with_nothing() {
        for (one, other, expected) in [
            (130.0, 140.0, true),
            (55.0, 50.0, true),
            (29.0, 140.0, false),
            (140.0, 29.0, false),
            (25.0, 55.0, false),
            (f64::NAN, 50.0, false),
            (50.0, f64::NAN, false),
            (0.0, 0.0, false),
        ] {
            assert_eq!(agree(one, other), expected, "{one} and {other}");
        }
    }
}
