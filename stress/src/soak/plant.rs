//! Planted faults: what the soak must catch.

use ringproof::layout::Kind;

use super::crew::{CONSUMER, PRODUCER};
use crate::fault::Fault;

/// A mistake, made on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Plant {
    /// The producer publishes the index before the slot is written.
    PublishFirst,
    /// A producer's successor starts one item after where it stopped.
    ResumeLate,
    /// A producer's successor starts one item before where it stopped.
    ResumeEarly,
    /// The consumer frees a slot before it reads it.
    FreeFirst,
    /// The seqlock's writer leaves out the odd number.
    NoOdd,
    /// The successor of a writer that died inside a write rounds the odd number up to even.
    RoundUp,
    /// The latch's writer publishes the version before it fills the slot.
    LatchFirst,
    /// A consumer does not remember what its predecessor processed.
    Forget,
    /// A role is still held after its holder's death.
    RoleKept,
    /// A producer does not keep its role.
    RoleLost,
    /// A consumer that took its role over does nothing.
    Hang,
}

impl Plant {
    /// The structure in which it is made.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Plant::PublishFirst
            | Plant::ResumeLate
            | Plant::ResumeEarly
            | Plant::FreeFirst
            | Plant::Forget
            | Plant::RoleKept
            | Plant::RoleLost
            | Plant::Hang => Kind::Ring,
            Plant::NoOdd | Plant::RoundUp => Kind::SeqLock,
            Plant::LatchFirst => Kind::Latch,
        }
    }

    /// The fault in the memory of this life of this actor.
    pub(crate) fn fault(self, actor: usize, life: u64) -> Option<Fault> {
        let (maker, fault) = match self {
            Plant::PublishFirst => (PRODUCER, Fault::PublishFirst),
            // The first life has nobody to take over from.
            Plant::ResumeLate if life > 0 => (PRODUCER, Fault::ResumeLate),
            Plant::ResumeEarly if life > 0 => (PRODUCER, Fault::ResumeEarly),
            Plant::FreeFirst => (CONSUMER, Fault::FreeFirst),
            Plant::NoOdd => (PRODUCER, Fault::NoOdd),
            Plant::RoundUp => (PRODUCER, Fault::RoundUp),
            Plant::LatchFirst => (PRODUCER, Fault::LatchFirst),
            _ => return None,
        };
        (actor == maker).then_some(fault)
    }

    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Plant::PublishFirst => Fault::PublishFirst.words(),
            Plant::ResumeLate => Fault::ResumeLate.words(),
            Plant::ResumeEarly => Fault::ResumeEarly.words(),
            Plant::FreeFirst => Fault::FreeFirst.words(),
            Plant::NoOdd => Fault::NoOdd.words(),
            Plant::RoundUp => Fault::RoundUp.words(),
            Plant::LatchFirst => Fault::LatchFirst.words(),
            Plant::Forget => "a consumer forgets what its predecessor processed",
            Plant::RoleKept => Fault::RoleKept.words(),
            Plant::RoleLost => Fault::RoleLost.words(),
            Plant::Hang => "a consumer that took over does nothing",
        }
    }
}
