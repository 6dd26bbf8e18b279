//! Waiting for the other side without a storm of looks at it.

use std::time::Duration;

/// Looks at the shared words before the processor is offered to others.
const SPINS: u32 = 64;
/// Offers of the processor before this process sleeps.
const YIELDS: u32 = 32;
const SHORTEST: Duration = Duration::from_micros(20);
const LONGEST: Duration = Duration::from_millis(1);
/// Sleeps between two looks at whether there is still something to wait for.
const SLEEPS_PER_CHECK: u32 = 256;

/// One wait: first it spins, then it yields, then it sleeps, longer and longer up to a
/// millisecond.
pub(crate) struct Wait {
    rounds: u32,
}

impl Wait {
    pub(crate) fn new() -> Wait {
        Wait { rounds: 0 }
    }

    /// Waits a little. True from time to time in a long wait: then the caller should make sure
    /// that what it waits for can still come.
    pub(crate) fn pause(&mut self) -> bool {
        let round = self.rounds;
        self.rounds = self.rounds.saturating_add(1);
        if round < SPINS {
            for _ in 0..16 {
                std::hint::spin_loop();
            }
            return false;
        }
        if round < SPINS + YIELDS {
            std::thread::yield_now();
            return false;
        }
        let sleeps = round - SPINS - YIELDS;
        std::thread::sleep((SHORTEST * 2u32.saturating_pow(sleeps.min(8))).min(LONGEST));
        if sleeps.is_multiple_of(SLEEPS_PER_CHECK) {
            // Keeps a wait of a month from an end of its count.
            self.rounds = SPINS + YIELDS + SLEEPS_PER_CHECK + 1;
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_wait_asks_for_a_check_again_and_again() {
        let mut wait = Wait::new();
        let mut checks = 0;
        for _ in 0..SPINS + YIELDS + 3 * SLEEPS_PER_CHECK {
            checks += u32::from(wait.pause());
        }
        assert_eq!(checks, 3);
    }
}
