//! The access at which a process dies by its own hand, and the word that says whether it was inside
//! an operation.

use std::cell::Cell;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use ringproof::harness::Hooks;
use ringproof::memory::Native;
use ringproof::site::{FenceSite, LoadSite, Site, StoreSite};

use crate::dying::kill_self;

/// Where a process is, as it says itself in a word that outlives it.
const OUTSIDE: u64 = 0;
const INSIDE: u64 = 1;
/// It was inside, and has killed itself.
const FALLEN: u64 = 2;

/// Forgets the predecessor, which is dead.
pub(crate) fn reset(word: &AtomicU64) {
    word.store(OUTSIDE, Relaxed);
}

/// Whether whoever wrote to this word, and is dead, died inside an operation.
pub(crate) fn was_inside(word: &AtomicU64) -> bool {
    word.load(Relaxed) != OUTSIDE
}

/// Whether it killed itself.
pub(crate) fn has_fallen(word: &AtomicU64) -> bool {
    word.load(Relaxed) == FALLEN
}

/// Counts the accesses of a process that do something, and kills it after the last one that it has.
pub(crate) struct Countdown<'a> {
    word: &'a AtomicU64,
    left: Cell<Option<u64>>,
}

impl<'a> Countdown<'a> {
    /// With so many accesses to make, or no end to them.
    pub(crate) fn new(word: &'a AtomicU64, accesses: Option<u64>) -> Self {
        Countdown {
            word,
            left: Cell::new(accesses),
        }
    }

    /// Whether the process is to die at an access.
    pub(crate) fn is_finite(&self) -> bool {
        self.left.get().is_some()
    }

    /// An access was made, or something else inside of an operation after which one can die: the last
    /// one there is kills the process.
    pub(crate) fn step(&self) {
        if let Some(left) = self.left.get() {
            if left <= 1 {
                self.word.store(FALLEN, Relaxed);
                kill_self();
            }
            self.left.set(Some(left - 1));
        }
    }

    /// The operation has returned.
    pub(crate) fn returned(&self) {
        self.word.store(OUTSIDE, Relaxed);
    }
}

/// Whether an access is the look of an operation that may find nothing to do: one that polls makes
/// nothing else, one that sleeps asks to be woken besides. Whoever dies in it has not died inside an operation.
fn is_look(site: Site) -> bool {
    match site {
        Site::Load(LoadSite::SeqCopyOut | LoadSite::LatchCopyOut) => false,
        Site::Load(_) | Site::Barrier(_) | Site::Wait(_) => true,
        Site::Store(StoreSite::SleepAsk) | Site::Fence(FenceSite::SleepFence) => true,
        _ => false,
    }
}

impl Hooks<Native> for Countdown<'_> {
    const PIECEWISE: bool = true;

    fn before(&self, _: &Native, site: Site, _: usize) -> bool {
        if !is_look(site) {
            self.word.store(INSIDE, Relaxed);
        }
        true
    }

    fn after(&self, site: Site) {
        if !is_look(site) {
            self.step();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dying::dying;
    use ringproof::memory::{Cells, Memory};

    #[test]
    fn who_polls_is_outside_and_who_works_is_inside_until_it_returns() {
        let word = AtomicU64::new(FALLEN);
        reset(&word);
        let countdown = Countdown::new(&word, Some(2));
        assert!(countdown.is_finite());
        let memory = dying(&countdown);
        let index = Native::word(4);
        assert_eq!(memory.load(&index, LoadSite::RingReclaim), 4);
        assert!(!was_inside(&word));
        memory.store(&index, 5, StoreSite::RingPublish);
        assert!(was_inside(&word) && !has_fallen(&word));
        assert_eq!(countdown.left.get(), Some(1));
        countdown.returned();
        assert!(!was_inside(&word));
        let mut copy = [[0; 8]];
        let endless = Countdown::new(&word, None);
        dying(&endless).load_words(&[index], &mut copy, LoadSite::SeqCopyOut);
        assert!(was_inside(&word));
    }
}
