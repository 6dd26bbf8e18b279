//! Ends that sleep: what they keep, and sleeps that show whether they were woken.

use ringproof::harness::Hooks;
use ringproof::memory::{Memory, Native, Slept, Word, WordOf};
use ringproof::seqlock::Watch;
use ringproof::site::{LoadSite, WaitSite};
use ringproof::sleep::{FENCE, NAP, SleepWords};
use ringproof::{Claim, Role, Segment};

/// What an end of a ring keeps that waits: its role, if it does, and the question whether somebody has the other one.
pub(crate) struct Kept<'s> {
    pub(crate) _claim: Option<Claim>,
    pub(crate) segment: &'s Segment,
    pub(crate) role: Role,
}

impl<'s> Kept<'s> {
    pub(crate) const fn new(segment: &'s Segment, role: Role, claim: Option<Claim>) -> Kept<'s> {
        Kept {
            _claim: claim,
            segment,
            role,
        }
    }
}

impl Watch for Kept<'_> {
    fn watch(&self) -> Option<impl FnOnce() -> bool> {
        // (Both roles were taken before.)
        Some(|| matches!(self.segment.is_held(other(self.role)), Ok(false)))
    }
}

/// The other end of a ring.
pub(crate) const fn other(role: Role) -> Role {
    match role {
        Role::Consumer => Role::Producer,
        _ => Role::Consumer,
    }
}

/// What a word of sleeping holds: a look of the harness's own.
pub(crate) fn look(word: &Word) -> u64 {
    Native.load(word, LoadSite::NoteRead)
}

/// Whether what somebody asked for last is still to come.
pub(crate) fn is_asked(words: SleepWords<'_, Native>) -> bool {
    look(words.asks) & !FENCE > look(words.answers) & !FENCE
}

/// Lets a sleep that may last for an interval last until somebody ends it: a wake-up that is lost is a hang. One that
/// nothing orders with who wakes stays short.
pub(crate) struct Deep;

impl<M: Memory> Hooks<M> for Deep {
    fn wait(&self, memory: &M, word: &WordOf<M>, value: u64, nanos: u64, site: WaitSite) -> Slept {
        let nanos = if nanos > NAP { u64::MAX } else { nanos };
        memory.wait(word, value, nanos, site)
    }
}
