//! Sleeps of the soak: they are ended by who has published something, or that is found out.
//!
//! When there are no more kills a sleep lasts until somebody ends it: a call that wakes and is not made is a hang. Until
//! then sleeps are short, for who was to end one may be dead. One that was over by itself, with something to be found
//! behind it, may have been too short; but who published that had been asked to answer. When it has published once
//! more, and has not answered, it never will: a wake-up was lost. No time is measured for that, and a process that died
//! in between is none that could have answered.

use std::cell::Cell;

use anyhow::{Result, ensure};
use ringproof::harness::Hooks;
use ringproof::memory::{Memory, Native, Slept, Word};
use ringproof::site::WaitSite;
use ringproof::sleep::{NAP, SleepWords};

use super::workers::Life;
use crate::fault::Fault;
use crate::sleeping;

/// How long the short ones are, in nanoseconds: as long as processes live here.
const SHORT: [u64; 3] = [20_000, 50_000, 200_000];

/// The sleeps of one process.
pub(crate) struct Vigil {
    /// How long one lasts at most; no limit if it is to last until it is ended.
    most: Option<u64>,
    /// By how much what is published must have moved for there to be another publication.
    margin: u64,
    /// What the answers were when the last sleep was over by itself.
    over: Cell<Option<u64>>,
    suspicion: Cell<Option<Suspicion>>,
}

/// A sleep that was over by itself, with something to be found behind it.
#[derive(Clone, Copy)]
struct Suspicion {
    answers: u64,
    /// What was published then, and by whom.
    published: u64,
    by: u64,
}

impl Vigil {
    /// For this life. There is another publication when what is published has moved by `margin`.
    pub(crate) fn new(life: &mut Life<'_>, margin: u64) -> Vigil {
        let most = life.choices.pick(&SHORT);
        // Who does not ask may not sleep for ever.
        let deep = life.goal.is_some() && life.fault != Some(Fault::AskLost);
        Vigil::of((!deep).then_some(most), margin)
    }

    const fn of(most: Option<u64>, margin: u64) -> Vigil {
        Vigil {
            most,
            margin,
            over: Cell::new(None),
            suspicion: Cell::new(None),
        }
    }

    /// A wait is over, in which one that is known by `by` could have published; now this is `published`.
    pub(crate) fn awake(&self, by: u64, published: u64) {
        let suspicion = self.over.take().map(|answers| Suspicion {
            answers,
            published,
            by,
        });
        self.suspicion.set(suspicion);
    }

    /// Looks again at what is published, and by whom, if there was something wrong.
    pub(crate) fn check(
        &self,
        words: SleepWords<'_, Native>,
        look: impl FnOnce() -> Result<u64>,
        by: impl FnOnce() -> u64,
    ) -> Result<()> {
        let Some(suspicion) = self.suspicion.get() else {
            return Ok(());
        };
        let published = look()?;
        if published.wrapping_sub(suspicion.published) < self.margin {
            return Ok(());
        }
        self.suspicion.set(None);
        // The look that found what was published behind it orders this one.
        let answers = sleeping::look(words.answers);
        ensure!(
            answers != suspicion.answers || by() != suspicion.by,
            "a wake-up was lost: answer {} was asked for, and {published} is published after {}, but not answered",
            answers.wrapping_add(1),
            suspicion.published
        );
        Ok(())
    }
}

impl<M: Memory<Cells = Native>> Hooks<M> for Vigil {
    fn wait(&self, memory: &M, word: &Word, value: u64, nanos: u64, site: WaitSite) -> Slept {
        // One that nothing orders with who wakes is as short as it is.
        let is_ordered = nanos > NAP;
        let most = match self.most {
            Some(most) => most.min(nanos),
            None if is_ordered => u64::MAX,
            None => nanos,
        };
        let slept = memory.wait(word, value, most, site);
        if is_ordered {
            self.over.set((slept == Slept::TimedOut).then_some(value));
        }
        slept
    }
}

#[cfg(test)]
mod tests {
    use ringproof::memory::Cells;

    use super::*;

    #[test]
    fn who_publishes_again_and_has_not_answered_has_lost_a_wake_up() {
        let words = [Native::word(4), Native::word(3)];
        let words = SleepWords {
            asks: &words[0],
            answers: &words[1],
        };
        let slept_too_long = || {
            let vigil = Vigil::of(Some(SHORT[0]), 1);
            let memory = &Native;
            let slept = Hooks::wait(
                &vigil,
                memory,
                words.answers,
                3,
                2 * NAP,
                WaitSite::SleepWait,
            );
            assert_eq!(slept, Slept::TimedOut);
            vigil.awake(1, 10);
            vigil
        };
        // It has not come so far.
        let vigil = slept_too_long();
        assert!(vigil.check(words, || Ok(10), || 1).is_ok());
        let lost = vigil.check(words, || Ok(11), || 1).unwrap_err();
        assert!(lost.to_string().contains("a wake-up was lost"), "{lost}");
        // It is said once.
        assert!(vigil.check(words, || Ok(12), || 1).is_ok());
        // It died, and another one has published.
        assert!(slept_too_long().check(words, || Ok(11), || 2).is_ok());
        // It has answered.
        let answered = Native::word(4);
        let vigil = slept_too_long();
        let words = SleepWords {
            answers: &answered,
            ..words
        };
        assert!(vigil.check(words, || Ok(11), || 1).is_ok());
    }
}
