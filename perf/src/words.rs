//! Two threads, each with a word of its own, which exchange nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::counters::Usage;
use crate::cpus::Pair;
use crate::placement::PAGE;
use crate::report::Trouble;
use crate::rounds::Sample;
use crate::together::{both, look_on};

/// What a thread does to its word, over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// A locked instruction.
    FetchAdd,
    /// A load, an addition and a store: a counter that no other thread writes.
    LoadAndStore,
    /// Stores alone.
    Store,
    /// Loads alone, of a word that no thread writes, beside one that is written.
    Load,
}

impl Access {
    /// All of them.
    pub(crate) const ALL: [Access; 4] = [
        Access::FetchAdd,
        Access::LoadAndStore,
        Access::Store,
        Access::Load,
    ];

    /// What tables call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Access::FetchAdd => "fetch_add",
            Access::LoadAndStore => "load, add, store",
            Access::Store => "store",
            Access::Load => "load, beside a store",
        }
    }

    /// What the other thread does meanwhile.
    fn beside(self) -> Access {
        match self {
            Access::Load => Access::Store,
            same => same,
        }
    }

    /// Does it so many times to a word that was left at `from`; says whether the word was always
    /// what it had to be, as far as it was looked at.
    fn repeat(self, word: &AtomicU64, from: u64, times: u64) -> bool {
        let all = from..from + times;
        // Relaxed throughout: nothing is handed over.
        match self {
            Access::FetchAdd => all.for_each(|_| {
                word.fetch_add(1, Ordering::Relaxed);
            }),
            Access::LoadAndStore => {
                all.for_each(|_| word.store(word.load(Ordering::Relaxed) + 1, Ordering::Relaxed));
            }
            Access::Store => all.for_each(|value| word.store(value + 1, Ordering::Relaxed)),
            Access::Load => {
                let wrong = |wrong, _| wrong | (word.load(Ordering::Relaxed) ^ from);
                return all.fold(0, wrong) == 0;
            }
        }
        true
    }

    /// What a word holds in the end.
    fn left(self, times: u64) -> u64 {
        if self == Access::Load { 0 } else { times }
    }
}

/// Two pages of words, so that two of them can be a page apart.
#[repr(align(4096))]
struct Words([AtomicU64; 2 * PAGE / 8]);

/// How long each of `times` accesses takes while the other thread goes on, `distance` bytes further.
pub(crate) fn sample(
    pair: Pair,
    access: Access,
    distance: usize,
    times: u64,
) -> Result<Sample, Trouble> {
    let what = format!("{}, words {distance} bytes apart", access.name());
    let words = Words([const { AtomicU64::new(0) }; 2 * PAGE / 8]);
    let (own, other) = (&words.0[0], &words.0[distance / 8]);
    let done = AtomicBool::new(false);
    let timed = || {
        let start = Instant::now();
        let right = access.repeat(own, 0, times);
        let took = start.elapsed();
        // Relaxed: it carries no data and need not be prompt.
        done.store(true, Ordering::Relaxed);
        Ok((right, took))
    };
    let disturbs = || {
        const SOME: u64 = 1024;
        // About a million accesses.
        const BETWEEN_LOOKS: u64 = 1024 * SOME;
        let mut repeated = 0;
        while !done.load(Ordering::Relaxed) {
            access.beside().repeat(other, repeated, SOME);
            repeated += SOME;
            if repeated.is_multiple_of(BETWEEN_LOOKS) {
                look_on()?;
            }
        }
        Ok(repeated)
    };
    let (((right, took), preemptions), (repeated, disturbed)) =
        both(pair, |_| Usage::during(timed), |_| Usage::during(disturbs))
            .map_err(|fault| fault.of(&what))?;
    let holds = |word: &AtomicU64, count| word.load(Ordering::Relaxed) == count;
    let counted = holds(own, access.left(times)) && holds(other, access.beside().left(repeated));
    if !right || !counted {
        let why = format!("{what}: a word does not hold what was stored to it");
        return Err(Trouble::Failed(why));
    }
    Ok(Sample {
        value: took.as_nanos() as f64 / times as f64,
        preemptions: preemptions + disturbed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_not_what_was_stored_is_noticed() {
        let word = AtomicU64::new(3);
        assert!(Access::Load.repeat(&word, 3, 10));
        assert!(!Access::Load.repeat(&word, 4, 10));
        assert!(Access::FetchAdd.repeat(&word, 3, 10));
        assert!(Access::LoadAndStore.repeat(&word, 13, 10));
        assert_eq!(word.load(Ordering::Relaxed), 23);
        assert!(Access::Store.repeat(&word, 0, 10));
        assert_eq!(word.load(Ordering::Relaxed), Access::Store.left(10));
    }
}
