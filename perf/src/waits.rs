//! Ways in which the two ends of a ring wait for each other, and the ends used so, one by one.

use std::fmt;
use std::hint;
use std::time::{Duration, Instant};

use ringproof::{Ring, Wait};

use crate::links::{Ends, Item, Way};
use crate::report::Trouble;

/// What an end does where it cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It calls `push` or `pop` again after one pause instruction.
    Polls,
    /// It calls the operation that waits.
    Waits(Wait),
    /// It polls, and stays away between two attempts, always for as long.
    Stays(Stay),
}

/// For how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stay {
    /// So many pause instructions.
    Pauses(u32),
    /// So much time.
    For(Duration),
}

impl fmt::Display for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Manner::Polls => write!(f, "polling"),
            Manner::Waits(how) => write!(f, "Wait::{how:?}"),
            Manner::Stays(Stay::Pauses(count)) => write!(f, "{count} pauses"),
            Manner::Stays(Stay::For(time)) => write!(f, "stays of {time:?}"),
        }
    }
}

impl Manner {
    /// The ends of a ring, both of which wait in this manner.
    pub(crate) fn ends<T: Item>(self, ring: &Ring<T>) -> Result<Ends<'static>, Trouble> {
        let ends = ring.producer().and_then(|one| Ok((one, ring.consumer()?)));
        let (mut producer, mut consumer) = ends.map_err(Trouble::of("a ring has no ends"))?;
        Ok(match self {
            Manner::Polls => Ends::ours(Way::OneByOne, producer, consumer),
            Manner::Waits(how) => Ends::waiting(producer.with_wait(how), consumer.with_wait(how)),
            Manner::Stays(stay) => Ends::one_by_one(
                move |item: T| stay.unless(producer.push(item).ok()).is_some(),
                move || stay.unless(consumer.pop().ok()),
            ),
        })
    }
}

impl Stay {
    /// Stays away, unless something was found.
    #[inline(always)]
    fn unless<T>(self, found: Option<T>) -> Option<T> {
        if found.is_none() {
            self.pass();
        }
        found
    }

    #[cold]
    #[inline(never)]
    fn pass(self) {
        match self {
            // One is made before each attempt anyway.
            Stay::Pauses(count) => (1..count).for_each(|_| hint::spin_loop()),
            Stay::For(time) => {
                let start = Instant::now();
                while start.elapsed() < time {
                    hint::spin_loop();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use ringproof::RingOptions;

    use super::*;
    use crate::together::Fault;

    const ALL: [Manner; 7] = [
        Manner::Polls,
        Manner::Waits(Wait::Spin),
        Manner::Waits(Wait::Yield),
        Manner::Waits(Wait::Sleep),
        Manner::Waits(Wait::SleepAtOnce),
        Manner::Stays(Stay::Pauses(2)),
        Manner::Stays(Stay::For(Duration::from_micros(3))),
    ];

    /// The ends of a ring with room for two.
    fn ends(manner: Manner) -> Ends<'static> {
        let ring = Ring::<u64>::anonymous(&RingOptions::new(2)).unwrap();
        manner.ends(&ring).unwrap()
    }

    #[test]
    fn items_arrive_in_every_manner_and_come_back() {
        for manner in ALL {
            let there_and_back = Ends::there_and_back(ends(manner), ends(manner));
            for mut ends in [ends(manner), there_and_back] {
                thread::scope(|scope| {
                    let sent = scope.spawn(move || (ends.sender)(5, 1000));
                    assert_eq!((ends.receiver)(5, 1000), Ok(()), "{manner}");
                    assert_eq!(sent.join().unwrap(), Ok(()), "{manner}");
                });
            }
        }
    }

    #[test]
    fn an_item_that_is_not_the_next_one_is_noticed_in_every_manner() {
        for manner in ALL {
            let mut ends = ends(manner);
            assert_eq!((ends.sender)(5, 1), Ok(()));
            assert_eq!((ends.receiver)(6, 1), Err(Fault::OutOfOrder(6)), "{manner}");
        }
    }
}
