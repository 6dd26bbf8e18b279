//! What a counter said, and what follows from how long it ran.

use std::fmt;

/// A counter and its two clocks, all of which only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How often it happened while the counter ran.
    pub value: u64,
    /// How long it was to run, in nanoseconds.
    pub enabled: u64,
    /// How long it ran: less, if it had to share the hardware.
    pub running: u64,
}

impl Count {
    /// What was added since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Count) -> Count {
        Count {
            value: self.value.saturating_sub(earlier.value),
            enabled: self.enabled.saturating_sub(earlier.enabled),
            running: self.running.saturating_sub(earlier.running),
        }
    }

    /// The count, extrapolated to the whole time if it ran for a part of it only.
    pub fn reading(self) -> Reading {
        match (self.enabled, self.running) {
            // Never started, or counted without a clock.
            (0, _) => Reading::Counted(self.value),
            (_, 0) => Reading::NotMeasured(
                "the kernel never gave it a place among the processor's counters: others hold \
                 them (one is the NMI watchdog's; kernel.nmi_watchdog=0 frees it), or there are \
                 too few for the group"
                    .to_owned(),
            ),
            (enabled, running) if running >= enabled => Reading::Counted(self.value),
            (enabled, running) => {
                let whole = u128::from(self.value) * u128::from(enabled) / u128::from(running);
                let percent = u128::from(running) * 100 / u128::from(enabled);
                Reading::Scaled(
                    u64::try_from(whole).unwrap_or(u64::MAX),
                    u64::try_from(percent).unwrap_or(100),
                )
            }
        }
    }
}

/// What a counter said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It counted so many, all the time.
    Counted(u64),
    /// It shared its hardware with other counters: extrapolated from the part of the time,
    /// in percent, in which it ran.
    Scaled(u64, u64),
    /// Nothing was counted, and why.
    NotMeasured(String),
}

impl Reading {
    /// The sum of what two threads counted. If one counted nothing, there is no sum.
    #[must_use]
    pub fn and(self, other: Reading) -> Reading {
        use Reading::{Counted, NotMeasured, Scaled};
        match (self, other) {
            (NotMeasured(why), _) | (_, NotMeasured(why)) => NotMeasured(why),
            (Counted(one), Counted(two)) => Counted(one.saturating_add(two)),
            (Scaled(one, part), Counted(two)) | (Counted(one), Scaled(two, part)) => {
                Scaled(one.saturating_add(two), part)
            }
            (Scaled(one, part), Scaled(two, other)) => {
                Scaled(one.saturating_add(two), part.min(other))
            }
        }
    }

    /// The number, if there is one.
    pub fn value(&self) -> Option<u64> {
        match self {
            Reading::Counted(value) | Reading::Scaled(value, _) => Some(*value),
            Reading::NotMeasured(_) => None,
        }
    }

    /// The number for each of so many items.
    pub fn per(&self, items: u64) -> Option<f64> {
        let value = self.value()?;
        (items > 0).then(|| value as f64 / items as f64)
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reading::Counted(value) => write!(f, "{value}"),
            Reading::Scaled(value, percent) => {
                write!(f, "{value} (scaled, counted {percent} % of the time)")
            }
            Reading::NotMeasured(why) => write!(f, "not measured here, because {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(value: u64, enabled: u64, running: u64) -> Count {
        Count {
            value,
            enabled,
            running,
        }
    }

    #[test]
    fn a_shared_counter_is_scaled_and_says_so() {
        assert_eq!(count(100, 50, 50).reading(), Reading::Counted(100));
        assert_eq!(count(100, 50, 25).reading(), Reading::Scaled(200, 50));
        // What does not fit is the largest number, not a small one.
        let overflowing = count(u64::MAX, 100, 1).reading();
        assert_eq!(overflowing, Reading::Scaled(u64::MAX, 1));
    }

    #[test]
    fn a_counter_that_never_ran_has_no_value_and_one_that_was_never_started_has_zero() {
        assert!(
            matches!(count(0, 50, 0).reading(), Reading::NotMeasured(why)
            if why.contains("nmi_watchdog"))
        );
        assert_eq!(count(0, 0, 0).reading(), Reading::Counted(0));
        assert_eq!(count(7, 0, 0).reading(), Reading::Counted(7));
    }

    #[test]
    fn the_scale_is_that_of_the_time_between_two_readings() {
        // It ran all the time before the first reading and half of it since.
        let (earlier, now) = (count(1000, 100, 100), count(1010, 120, 110));
        assert_eq!(now.since(earlier).reading(), Reading::Scaled(20, 50));
    }

    #[test]
    fn a_sum_is_no_better_than_its_parts() {
        use Reading::{Counted, Scaled};
        let none = || Reading::NotMeasured("of a reason".to_owned());
        for (one, other, sum) in [
            (Counted(1), Counted(2), Counted(3)),
            (Counted(1), none(), none()),
            (Counted(1), Scaled(2, 30), Scaled(3, 30)),
            (Scaled(1, 40), Scaled(2, 30), Scaled(3, 30)),
        ] {
            assert_eq!(one.and(other), sum);
        }
    }

    #[test]
    fn what_was_not_counted_is_not_zero_for_each_item() {
        assert_eq!(Reading::Counted(5).per(10), Some(0.5));
        assert_eq!(Reading::Counted(5).per(0), None);
        assert_eq!(Reading::NotMeasured(String::new()).per(10), None);
    }
}
