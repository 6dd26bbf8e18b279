//! Sleeping, and waking who sleeps: the two words between a side that sleeps and the side that wakes it.
//!
//! # The algorithm
//!
//! `asks` is stored by who sleeps, `answers` by who wakes. `answers` counts; who sleeps asks for the next count.
//!
//! ```text
//! who sleeps                              who wakes
//!   mark = answers        SleepMark         publish                 RingPublish and the like
//!   raise asks to         SleepAsk          light fence             WakeLight
//!     mark + 1
//!   barrier               SleepBarrier      asks, handled already?  WakeLook: nothing more
//!   look again            RingObserve …     answers = what is asked WakeAnswer
//!   sleep while answers   SleepWait         wake on answers         WakeCall
//!     is still mark
//! ```
//!
//! Each side stores one word and then looks at the other's (Dekker's pattern), so one of the two looks must find what
//! the other side stored: who sleeps sees what was published, or who wakes sees that it was asked. It needs a full fence
//! on both sides. The side that wakes passes there with every item, the side that sleeps has time: so it makes
//! the other side's fence as well (`membarrier`), and what is left on the hot path is a load of a line that is stored to
//! only by who goes to sleep, and a comparison.
//!
//! *What was asked is handled at most once.* Who wakes keeps what it handled last, and compares with that: one needless
//! call at most follows a sleeper that died, and one a successor of who wakes, which does not know whether the last answer
//! was followed by the call.
//!
//! *No answer is missed.* Let a sleeper ask for `mark + 1`. If who wakes handled that number already, for another sleeper
//! that had the same mark, it has moved `answers` on, or will before it wakes: the kernel does not let this one sleep, or
//! it is woken. So there may be any number of sleepers, as the readers of a value are, and no store of theirs adds up.
//! `asks` only grows: one who has the same mark as others and asks late, when those were answered, would otherwise put back
//! what was handled last, over what was asked since, and that would look like rest. For that it is no plain store. And
//! whatever is asked is what is answered next, also if nobody can have asked for so much: so no lie stands in the way of
//! those who ask after it, but the highest one, after which who sleeps wakes up at its intervals only.
//!
//! # Without the barrier
//!
//! - *The barrier does not reach who wakes*: its process could not register for it. Then it makes a whole fence after each
//!   publication, [`WakeFence`](crate::site::FenceSite::WakeFence), and looks again behind it.
//! - *Who sleeps cannot make it*: it asks with [`FENCE`] beside the number. Who wakes sees that at its next
//!   look, makes whole fences from then on and says so by the same bit in `answers`. Until it did, nothing orders the two
//!   looks: who sleeps does so for [`NAP`] at most.
//!
//! # Crashes
//!
//! Neither word promises anything. A sleeper that dies leaves a number that costs one call. Who wakes and dies
//! between publishing and waking leaves a sleeper that its successor wakes, with its first publication, or that wakes up
//! at the end of its interval, and asks the kernel whether its peer lives.

use crate::memory::{Cells, CellsOf, Memory, Slept, WordOf};
use crate::site::{BarrierSite, FenceSite, LoadSite, StoreSite, WaitSite, WakeSite};

/// The bit beside the count: in `asks`, that who sleeps can make no barrier; in `answers`, that who wakes makes a whole
/// fence after each publication.
pub const FENCE: u64 = 1 << 63;

/// How long, in nanoseconds, a sleep may be at most while nothing orders it with who is to wake it.
pub const NAP: u64 = 1_000_000;

/// The next answer.
const fn next(answer: u64) -> u64 {
    answer.wrapping_add(1) & !FENCE
}

/// The words between a side that sleeps and the side that wakes it, wherever they lie.
pub struct SleepWords<'a, C: Cells> {
    /// Which answer who sleeps asked for last; stored by who sleeps only.
    pub asks: &'a C::Word,
    /// How many answers there were; stored by who wakes only. It is what is slept on.
    pub answers: &'a C::Word,
}

impl<C: Cells> Clone for SleepWords<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: Cells> Copy for SleepWords<'_, C> {}

/// [`SleepWords`] of their own, outside any segment, at zero.
#[derive(Debug)]
pub struct OwnedSleepWords<C: Cells> {
    asks: C::Word,
    answers: C::Word,
}

impl<C: Cells> OwnedSleepWords<C> {
    /// The words.
    pub fn words(&self) -> SleepWords<'_, C> {
        SleepWords {
            asks: &self.asks,
            answers: &self.answers,
        }
    }
}

impl<C: Cells> Default for OwnedSleepWords<C> {
    fn default() -> Self {
        OwnedSleepWords {
            asks: C::word(0),
            answers: C::word(0),
        }
    }
}

/// The side that wakes.
pub(crate) struct Waker<'a, M: Memory> {
    asks: &'a WordOf<M>,
    /// What was asked when it was handled last, so that there is nothing to do; [`NEVER`] where each publication is
    /// followed by a fence.
    quiet: u64,
    cold: Cold<'a, M>,
}

/// What no correct sleeper asks for.
const NEVER: u64 = u64::MAX;

/// What was handled last, where that is not known; no correct sleeper asks for it either.
const UNKNOWN: u64 = u64::MAX - 1;

/// What is needed only when somebody may have asked.
struct Cold<'a, M: Memory> {
    answers: &'a WordOf<M>,
    /// The authority, of which the shared word is a copy.
    answered: u64,
    /// What was asked when it was handled last.
    handled: u64,
}

impl<'a, M: Memory> Waker<'a, M> {
    /// Goes on where the last one stopped.
    pub(crate) fn new(words: SleepWords<'a, CellsOf<M>>, memory: &M) -> Self {
        // Relaxed: the role lock, not a partner site, orders this after the predecessor.
        let answered = memory.load(words.answers, LoadSite::WakeResume);
        // The predecessor may have died between an answer and the call that goes with it: then who asked for it sleeps.
        let handled = if answered == 0 { 0 } else { UNKNOWN };
        let fences = answered & FENCE != 0 || !memory.is_reached();
        Waker {
            asks: words.asks,
            quiet: if fences { NEVER } else { handled },
            cold: Cold {
                answers: words.answers,
                answered,
                handled,
            },
        }
    }

    /// After a publication: what was asked, if it is to be [handled](Self::handle).
    #[inline(always)]
    pub(crate) fn asked(&self, memory: &M) -> Option<u64> {
        // Light: pairs with SleepBarrier.
        memory.fence(FenceSite::WakeLight);
        // Relaxed: pairs with SleepAsk; the fence keeps it behind the publication.
        let asks = memory.load(self.asks, LoadSite::WakeLook);
        (asks != self.quiet).then_some(asks)
    }

    /// Wakes who asked, unless that was handled before.
    #[cold]
    pub(crate) fn handle(&mut self, memory: &M, mut asks: u64) {
        if self.quiet == NEVER {
            // SeqCst: pairs with SleepBarrier and SleepFence.
            memory.fence(FenceSite::WakeFence);
            // Relaxed: pairs with SleepAsk; the fence keeps it behind the publication.
            asks = memory.load(self.asks, LoadSite::WakeLookAgain);
        }
        let cold = &mut self.cold;
        if asks == cold.handled {
            return;
        }
        cold.handled = asks;
        let fence = (cold.answered | asks) & FENCE;
        cold.answered = next(cold.answered).max(asks & !FENCE) | fence;
        if fence != 0 {
            self.quiet = NEVER;
        } else if self.quiet != NEVER {
            self.quiet = asks;
        }
        // Relaxed: pairs with SleepMark and SleepWait.
        memory.store(cold.answers, cold.answered, StoreSite::WakeAnswer);
        // Pairs with SleepWait.
        memory.wake(cold.answers, WakeSite::WakeCall);
    }
}

/// The side that sleeps.
pub(crate) struct Sleeper<'a, M: Memory> {
    words: SleepWords<'a, CellsOf<M>>,
    /// Whether the barrier was refused.
    refused: bool,
}

/// What was asked for.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    mark: u64,
    /// Whether a last look finds what was published, or who published finds that it was asked.
    is_ordered: bool,
}

impl<'a, M: Memory> Sleeper<'a, M> {
    pub(crate) fn new(words: SleepWords<'a, CellsOf<M>>) -> Self {
        Sleeper {
            words,
            refused: false,
        }
    }

    /// Asks to be woken. A last look must follow, and then [`sleep`](Self::sleep).
    pub(crate) fn ask(&mut self, memory: &M) -> Asked {
        // Relaxed: pairs with WakeAnswer; the kernel compares the word with it once more.
        let mark = memory.load(self.words.answers, LoadSite::SleepMark);
        // Where there are fences they stay asked for: a number without the bit would not be more.
        let number = next(mark) | (mark & FENCE);
        if !self.refused {
            self.request(memory, number);
            // Heavy: pairs with WakeLight and WakeFence.
            self.refused = !memory.barrier(BarrierSite::SleepBarrier);
        }
        if self.refused {
            self.request(memory, number | FENCE);
            // SeqCst: pairs with WakeFence.
            memory.fence(FenceSite::SleepFence);
        }
        Asked {
            mark,
            is_ordered: !self.refused || mark & FENCE != 0,
        }
    }

    fn request(&self, memory: &M, number: u64) {
        // Relaxed: pairs with WakeLook and WakeLookAgain; the barrier or the fence keeps it before the last look.
        memory.raise(self.words.asks, number, StoreSite::SleepAsk);
    }

    /// Sleeps until it is woken, for at most `nanos`.
    pub(crate) fn sleep(&self, memory: &M, asked: Asked, nanos: u64) -> Slept {
        let most = if asked.is_ordered {
            nanos
        } else {
            nanos.min(NAP)
        };
        // Pairs with WakeAnswer and WakeCall.
        memory.wait(self.words.answers, asked.mark, most, WaitSite::SleepWait)
    }
}
