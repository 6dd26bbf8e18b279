//! Planted faults: what would be wrong implementations, to show that the oracle reports them.

use std::cell::Cell;

use ringproof::memory::{Cells, Hooks, Interposed, Memory, Native, Word};
use ringproof::site::{LoadSite, Site, SlotReadSite, SlotWriteSite, StoreSite};

use crate::dying::Dying;

/// A mistake, made on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Fault {
    /// The producer publishes the index before the slot is written.
    PublishFirst,
    /// The producer publishes only when it closes the ring.
    PublishLate,
    /// The consumer frees a slot before it reads it.
    FreeFirst,
    /// The consumer's close is not seen.
    StopLost,
    /// A successor takes up its role one item before its predecessor stopped.
    ResumeEarly,
    /// A successor takes up its role one item after where its predecessor stopped.
    ResumeLate,
    /// The seqlock's writer leaves out the odd number.
    NoOdd,
    /// The successor of a writer that died inside a write rounds the odd number up to even.
    RoundUp,
    /// The latch's writer publishes the version before it fills the slot.
    LatchFirst,
    /// Taking a role is not counted.
    EpochLost,
    /// A role is still held after its holder's death.
    RoleKept,
    /// An endpoint does not keep its role.
    RoleLost,
    /// A reader accepts its copy without looking at the sequence again.
    NoRecheck,
    /// Unlinking does not retire the segment.
    RetireLost,
    /// A note is not kept.
    NoteLost,
    /// The victim hangs at its crash point and does not die.
    VictimHangs,
    /// The victim passes its crash point and does not die.
    VictimSurvives,
    /// The survivor hangs after the victim's death.
    SurvivorHangs,
}

/// Who makes the mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    Victim,
    Successor,
    /// The world around them.
    Other,
}

impl Fault {
    pub(crate) fn party(self) -> Party {
        match self {
            Fault::PublishFirst
            | Fault::PublishLate
            | Fault::FreeFirst
            | Fault::StopLost
            | Fault::NoOdd
            | Fault::LatchFirst
            | Fault::EpochLost
            | Fault::RoleLost
            | Fault::NoRecheck
            | Fault::RetireLost
            | Fault::NoteLost => Party::Victim,
            Fault::ResumeEarly | Fault::ResumeLate | Fault::RoundUp => Party::Successor,
            Fault::RoleKept | Fault::VictimHangs | Fault::VictimSurvives | Fault::SurvivorHangs => {
                Party::Other
            }
        }
    }

    /// The operations that it concerns.
    pub(crate) fn subjects(self) -> &'static [&'static str] {
        match self {
            Fault::PublishFirst => &["ring/push"],
            Fault::PublishLate => &["ring/close"],
            Fault::FreeFirst => &["ring/peek"],
            Fault::StopLost => &["ring/stop"],
            Fault::ResumeEarly => &["ring/pop"],
            Fault::ResumeLate => &["ring/push"],
            Fault::NoOdd | Fault::RoundUp => &["seqlock/write"],
            Fault::LatchFirst => &["latch/write"],
            Fault::EpochLost | Fault::RoleKept => &["role/take-over"],
            Fault::RoleLost => &["latch/write"],
            Fault::NoRecheck => &["seqlock/read"],
            Fault::RetireLost => &["segment/unlink"],
            Fault::NoteLost => &["segment/notes"],
            Fault::VictimHangs | Fault::VictimSurvives | Fault::SurvivorHangs => &["ring/push"],
        }
    }

    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Fault::PublishFirst => "the index is published before the slot is written",
            Fault::PublishLate => "a push returns before its index is published",
            Fault::FreeFirst => "a slot is freed before it is read",
            Fault::StopLost => "the consumer's close is not seen",
            Fault::ResumeEarly => "a successor starts one item early",
            Fault::ResumeLate => "a successor starts one item late",
            Fault::NoOdd => "the odd number is left out",
            Fault::RoundUp => "a successor rounds the odd number up to even",
            Fault::LatchFirst => "the version is published before the slot is filled",
            Fault::EpochLost => "a taking of the role is not counted",
            Fault::RoleKept => "the role is still held after the death",
            Fault::RoleLost => "an endpoint does not keep its role",
            Fault::NoRecheck => "a reader does not look at the sequence again",
            Fault::RetireLost => "an unlinked segment is not retired",
            Fault::NoteLost => "a note is not kept",
            Fault::VictimHangs => "the victim hangs",
            Fault::VictimSurvives => "the victim does not die",
            Fault::SurvivorHangs => "the survivor hangs",
        }
    }
}

/// A memory that may be wrong in one way.
pub(crate) type Faulty<'a, M = Dying<'a>> = Interposed<M, Faults<'a>>;

/// What it does otherwise.
pub(crate) struct Faults<'a> {
    fault: Option<Fault>,
    /// The endpoint's own index, sequence or version word, if it has one.
    index: Option<&'a Word>,
    /// A number kept back: an index that was not published yet, a sequence that a reader saw.
    held: Cell<Option<u64>>,
}

/// A memory that may have a fault.
pub(crate) const fn faulty<'a, M>(memory: M, fault: Option<Fault>) -> Faulty<'a, M> {
    let faults = Faults {
        fault,
        index: None,
        held: Cell::new(None),
    };
    Interposed::new(memory, faults)
}

impl<'a> Faults<'a> {
    /// The same for an endpoint that stores this index.
    pub(crate) fn with_index(self, index: &'a Word) -> Self {
        Faults {
            index: Some(index),
            ..self
        }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Moves the endpoint's own index on, too early.
    fn advance(&self, memory: &impl Memory<Cells = Native>, count: usize, site: StoreSite) {
        if let Some(word) = self.index {
            // The harness's own look at a word that only this endpoint stores.
            let index = Native.load(word, LoadSite::NoteRead);
            memory.store(word, index.wrapping_add(count as u64), site);
        }
    }
}

impl<M: Memory<Cells = Native>> Hooks<M> for Faults<'_> {
    fn before(&self, memory: &M, site: Site, count: usize) -> bool {
        match (self.fault, site) {
            (Some(Fault::LatchFirst), Site::Store(StoreSite::LatchCopyIn)) => {
                self.advance(memory, 1, StoreSite::LatchPublish);
            }
            // (The peer, another process, may write the slot before it is read: that is the fault,
            // and what comes of it is bytes.)
            (Some(Fault::FreeFirst), Site::SlotRead(SlotReadSite::RingTake)) => {
                self.advance(memory, count, StoreSite::RingFree);
            }
            (Some(Fault::PublishFirst), Site::SlotWrite(SlotWriteSite::RingFill)) => {
                self.advance(memory, count, StoreSite::RingPublish);
            }
            // Already stored.
            (Some(Fault::PublishFirst), Site::Store(StoreSite::RingPublish))
            | (Some(Fault::FreeFirst), Site::Store(StoreSite::RingFree))
            | (Some(Fault::LatchFirst), Site::Store(StoreSite::LatchPublish)) => return false,
            // Left out.
            (Some(Fault::NoOdd), Site::Store(StoreSite::SeqOdd)) => return false,
            _ => {}
        }
        true
    }

    fn answer(&self, memory: &M, word: &Word, site: LoadSite, found: u64) -> u64 {
        match site {
            LoadSite::SeqObserve if self.is(Fault::NoRecheck) => {
                self.held.set(Some(found));
                found
            }
            LoadSite::SeqRecheck if self.is(Fault::NoRecheck) => self.held.get().unwrap_or(found),
            LoadSite::RingResumeWrite | LoadSite::RingResumeRead => match self.fault {
                Some(Fault::ResumeEarly) => found.wrapping_sub(1),
                Some(Fault::ResumeLate) => found.wrapping_add(1),
                _ => found,
            },
            LoadSite::SeqResume if self.is(Fault::RoundUp) && found % 2 == 1 => {
                memory.store(word, found + 1, StoreSite::SeqEven);
                found + 1
            }
            _ => found,
        }
    }

    fn store(&self, memory: &M, word: &Word, value: u64, site: StoreSite) {
        match (self.fault, site) {
            // Made, but to no effect.
            (Some(Fault::StopLost), StoreSite::RingStop)
            | (Some(Fault::EpochLost), StoreSite::RoleEpochNext)
            | (Some(Fault::RetireLost), StoreSite::Retire)
            | (Some(Fault::NoteLost), StoreSite::NoteWrite) => {
                memory.store(&Native::word(0), value, site);
            }
            (Some(Fault::PublishLate), StoreSite::RingPublish) => {
                self.held.set(Some(value));
            }
            (Some(Fault::PublishLate), StoreSite::RingEnd) => {
                if let (Some(word), Some(index)) = (self.index, self.held.take()) {
                    memory.store(word, index, StoreSite::RingPublish);
                }
                memory.store(word, value, site);
            }
            _ => memory.store(word, value, site),
        }
    }
}
