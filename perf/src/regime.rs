//! How a ring may be used, and its ends used so.

use std::fmt;
use std::hint;
use std::time::{Duration, Instant};

use ringproof::ring::{Consumer, Producer};

use crate::links::{BATCH, Ends};

/// How a consumer asks an empty ring again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Poll {
    /// At once.
    Hard,
    /// After one pause instruction.
    Pause,
    /// After so long.
    After(Duration),
}

impl Poll {
    /// From the hardest to the most relaxed.
    pub(crate) const ALL: [Poll; 4] = [
        Poll::Hard,
        Poll::Pause,
        Poll::After(Duration::from_nanos(100)),
        Poll::After(Duration::from_micros(3)),
    ];
}

impl fmt::Display for Poll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Poll::Hard => write!(f, "polls hard"),
            Poll::Pause => write!(f, "pauses once"),
            Poll::After(time) => write!(f, "waits {time:?}"),
        }
    }
}

/// One way to use a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Regime {
    /// In batches of [`BATCH`], or one by one.
    pub(crate) batches: bool,
    /// Whether each side goes by what it last saw of the other's index, as the ring does by
    /// itself. If not, it looks before each operation.
    pub(crate) cached: bool,
    /// How many items may be live at once.
    pub(crate) capacity: u64,
    /// How the consumer waits.
    pub(crate) poll: Poll,
}

impl Regime {
    /// How items go.
    pub(crate) fn items(&self) -> String {
        if self.batches {
            format!("batches of {BATCH}")
        } else {
            "one by one".to_owned()
        }
    }

    /// How the other side's index is known.
    pub(crate) fn indices(&self) -> &'static str {
        if self.cached { "cached" } else { "looked up" }
    }

    /// What sets it apart from others: four words or two each.
    pub(crate) fn traits(&self) -> [String; 4] {
        [
            self.items(),
            format!("indices {}", self.indices()),
            format!("capacity {}", self.capacity),
            format!("consumer {}", self.poll),
        ]
    }

    /// The two ends of a ring, used so.
    pub(crate) fn ends<'a>(
        &self,
        mut producer: Producer<'a, u64>,
        mut consumer: Consumer<'a, u64>,
    ) -> Ends<'a> {
        let cached = self.cached;
        let mut polling = Polling::new(self.poll);
        if self.batches {
            Ends::slices(
                move |items: &[u64]| match cached || has_room(&producer) {
                    true => producer.push_slice(items).unwrap_or(0),
                    false => 0,
                },
                move |items: &mut [u64]| {
                    let ask = || match cached || has_items(&consumer) {
                        true => consumer.pop_slice(items).ok(),
                        false => None,
                    };
                    polling.ask(ask).unwrap_or(0)
                },
            )
        } else {
            Ends::one_by_one(
                move |item| (cached || has_room(&producer)) && producer.push(item).is_ok(),
                move || {
                    polling.ask(|| match cached || has_items(&consumer) {
                        true => consumer.pop().ok(),
                        false => None,
                    })
                },
            )
        }
    }
}

impl fmt::Display for Regime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.traits().join(", "))
    }
}

/// Looks at the consumer's index, whatever is known of it.
#[inline(always)]
fn has_room(producer: &Producer<'_, u64>) -> bool {
    (producer.occupancy()).is_ok_and(|live| live < producer.capacity())
}

/// Looks at the producer's index, whatever is known of it.
#[inline(always)]
fn has_items(consumer: &Consumer<'_, u64>) -> bool {
    consumer.occupancy().is_ok_and(|live| live > 0)
}

/// Waits between two attempts, but for the one pause that whoever calls it makes.
struct Polling {
    poll: Poll,
    until: Option<Instant>,
}

impl Polling {
    /// Attempts without a pause, for one who polls hard: few, so that a lost item is noticed.
    const HARD: u32 = 64;

    fn new(poll: Poll) -> Self {
        Polling { poll, until: None }
    }

    /// Makes an attempt, if it is time for one. Who waits gets an answer all the same, so that a lost
    /// item is noticed.
    #[inline(always)]
    fn ask<T>(&mut self, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
        match self.poll {
            Poll::Hard => (0..Self::HARD).find_map(|_| attempt()),
            Poll::Pause => attempt(),
            Poll::After(time) => {
                if self.until.is_some_and(|until| Instant::now() < until) {
                    hint::spin_loop();
                    return None;
                }
                let found = attempt();
                self.until = found.is_none().then(|| Instant::now() + time);
                found
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relaxed_consumer_does_not_ask_before_its_time() {
        let mut attempts = 0;
        let mut ask = |poll, times: u32| {
            let mut polling = Polling::new(poll);
            attempts = 0;
            for _ in 0..times {
                let found: Option<()> = polling.ask(|| {
                    attempts += 1;
                    None
                });
                assert_eq!(found, None);
            }
            attempts
        };
        assert_eq!(ask(Poll::Hard, 3), 3 * Polling::HARD);
        assert_eq!(ask(Poll::Pause, 3), 3);
        assert_eq!(ask(Poll::After(Duration::from_secs(3600)), 3), 1);
        assert_eq!(ask(Poll::After(Duration::ZERO), 3), 3);
    }

    #[test]
    fn a_consumer_that_found_something_asks_again_at_once() {
        let mut polling = Polling::new(Poll::After(Duration::from_secs(3600)));
        for _ in 0..3 {
            assert_eq!(polling.ask(|| Some(1)), Some(1));
        }
        assert_eq!(polling.ask(|| None::<()>), None);
        assert_eq!(polling.ask(|| Some(1)), None);
    }
}
