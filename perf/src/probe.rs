//! How far apart the two CPUs are now.
//!
//! Virtual CPUs move between real ones: for tens of milliseconds two separate cores become two
//! hyperthreads of one, and everything shared gets several times faster. A ping-pong over one
//! cache line shows it in a millisecond.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

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

/// A line that two threads throw to and fro, away from everything else.
#[repr(align(256))]
struct Ball(AtomicU64);

/// The one-way latency between the two CPUs in nanoseconds.
///
/// # Errors
/// [`Fault`], if a CPU was taken away, or nothing went on.
pub fn one_way(pair: Pair) -> Result<f64, Fault> {
    let ball = Ball(AtomicU64::new(0));
    let last = ROUND_TRIPS * VALUES as u64 * 2;
    // Acquire and Release only because a ping-pong without order would be an odd example; the
    // ball carries no data.
    let wait_for = |value: u64| {
        let mut patience = Patience::default();
        while ball.0.load(Ordering::Acquire) != value {
            patience.wait(value)?;
        }
        Ok::<_, Fault>(())
    };
    let (values, ()) = both(
        pair,
        |_| {
            let mut values = [0.0; VALUES];
            let mut next = 0;
            for value in &mut values {
                let start = Instant::now();
                for _ in 0..ROUND_TRIPS {
                    ball.0.store(next + 1, Ordering::Release);
                    wait_for(next + 2)?;
                    next += 2;
                }
                *value = start.elapsed().as_nanos() as f64 / (ROUND_TRIPS * 2) as f64;
            }
            Ok(values)
        },
        |_| {
            for value in (0..last).step_by(2) {
                wait_for(value + 1)?;
                ball.0.store(value + 2, Ordering::Release);
            }
            Ok(())
        },
    )?;
    Ok(summarize(&values).map_or(f64::NAN, |summary| summary.median))
}

/// Whether two probes mean the same distance.
pub fn agree(one: f64, other: f64) -> bool {
    one > 0.0 && other > 0.0 && one.max(other) <= TOLERANCE * one.min(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_and_a_hyperthread_do_not_agree() {
        assert!(agree(130.0, 140.0));
        assert!(agree(55.0, 50.0));
        assert!(!agree(29.0, 140.0));
        assert!(!agree(140.0, 29.0));
        assert!(!agree(25.0, 55.0));
    }

    #[test]
    fn a_probe_that_failed_agrees_with_nothing() {
        assert!(!agree(f64::NAN, 50.0));
        assert!(!agree(50.0, f64::NAN));
        assert!(!agree(0.0, 0.0));
    }
}
