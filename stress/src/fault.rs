//! Injected faults: every mistake that the harness makes on purpose, to show that it is noticed.

use std::cell::Cell;

use ringproof::harness::{Hooks, Interposed};
use ringproof::memory::{Cells, Memory, Native, Word};
use ringproof::site::{LoadSite, Site, SlotReadSite, SlotWriteSite, StoreSite};

use crate::dying::Dying;

/// A fault is a name, which `--inject` takes, and the words in which its row says what it is.
macro_rules! faults {
    ($($name:ident: $words:literal,)*) => {
        /// A mistake, made on purpose.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
        pub(crate) enum Fault {
            $(#[doc = $words] $name,)*
        }

        impl Fault {
            /// What is wrong.
            pub(crate) const fn words(self) -> &'static str {
                match self {
                    $(Fault::$name => $words,)*
                }
            }
        }
    };
}

faults! {
    // Of who dies, who follows, and the world around them.
    PublishFirst: "the index is published before the slot is written",
    PublishLate: "a push returns before its index is published",
    FreeFirst: "a slot is freed before it is read",
    StopLost: "the consumer's close is not seen",
    ResumeEarly: "a successor starts one item early",
    ResumeLate: "a successor starts one item late",
    NoOdd: "the odd number is left out",
    RoundUp: "a successor rounds the odd number up to even",
    LatchFirst: "the version is published before the slot is filled",
    EpochLost: "a taking of the role is not counted",
    RoleKept: "the role is still held after the death",
    RoleLost: "an endpoint does not keep its role",
    NoRecheck: "a reader does not look at the sequence again",
    RetireLost: "an unlinked segment is not retired",
    NoteLost: "a note is not kept",
    WakesAgain: "an end takes each look at what was asked for one at something new",
    AskLost: "who goes to sleep does not ask to be woken",
    WakeLost: "who was asked to wake does not",
    VictimHangs: "the victim hangs",
    VictimSurvives: "the victim does not die",
    SurvivorHangs: "the survivor hangs",
    MadeInPlace: "the file is made under its name",
    // Of processes that are killed at random.
    Forget: "a consumer forgets what its predecessor processed",
    Hang: "a consumer that took over does nothing",
    // Of whoever meets a hostile peer or file; or of an adversary that does nothing.
    TrustIndex: "an index that is ahead makes reservations overlap",
    AssertIndex: "an index is asserted to be sane",
    LengthTwice: "a length is read twice",
    IgnoreRegress: "an index that goes back is taken for an empty ring",
    EndlessWake: "an end wakes the other one until it no longer asks for it",
    EndlessRead: "a reader tries until it succeeds",
    EvenWrite: "a write is announced by an even number",
    UnmaskedRead: "a slot one beyond the last is read",
    CountedEnter: "takings of a role are counted up to an overflow",
    RetiredIgnored: "a role of a retired segment is taken",
    TrustHeader: "a header's number of slots is believed",
    HeaderTwice: "a header's number of slots is read twice",
    ShortBelieved: "a file shorter than its segment is attached to",
    Unsealed: "a memory file is not sealed",
    NotTruncated: "a truncation goes unnoticed",
    TrustLostMemory: "a ring that lost its memory is believed",
    NotReplaced: "a role of a segment without a name is taken",
    BlockingOpen: "an open waits for the other end of a FIFO",
    FollowLink: "an open follows a symbolic link",
    AnyDescriptor: "an unsealed descriptor is accepted",
    KeepRights: "a process without permission attaches",
    TrustScribbler: "an index that a peer scribbles over is believed",
    ScribblerTwice: "a length that a peer scribbles over is read twice",
    IdleScribbler: "the peer that should scribble does not",
    FingerprintAlone: "a fingerprint is believed without its text",
    LenientParse: "a description written in another way is read",
    BelievedSize: "a peek believes a size",
    RawText: "what is no description is printed as it lies there",
    BeginningAlone: "the C header compares the beginnings of descriptions",
    UnboundedLen: "the C header believes the length of a description",
    UncheckedPeek: "a peek does not look again after it has copied",
    FuzzedHeader: "a fuzzer's segment is believed",
    FuzzedIndex: "a fuzzer's index is believed",
    FuzzedText: "a fuzzer's description written in another way is read",
    // Of a transfer.
    FlippedByte: "one byte flipped",
    LostBlock: "a block left out",
    RepeatedBlock: "a block repeated",
    ExchangedBlocks: "two blocks exchanged",
    MissingEnd: "the end missing",
    Tampered: "the output is changed while recv is dead",
    // Of a sender in another language.
    Loss: "loss",
    Repetition: "repetition",
    Corruption: "corruption",
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
            Fault::ResumeEarly
            | Fault::ResumeLate
            | Fault::RoundUp
            | Fault::AskLost
            | Fault::WakeLost => Party::Successor,
            Fault::RoleKept | Fault::VictimHangs | Fault::VictimSurvives | Fault::SurvivorHangs => {
                Party::Other
            }
            _ => Party::Victim,
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
            (Some(Fault::NoOdd), Site::Store(StoreSite::SeqOdd))
            | (Some(Fault::AskLost), Site::Store(StoreSite::SleepAsk))
            | (Some(Fault::WakeLost), Site::Wake(_)) => return false,
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
            LoadSite::WakeLook if self.is(Fault::WakesAgain) => {
                let looks = self.held.get().unwrap_or_default() + 1;
                self.held.set(Some(looks));
                looks
            }
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
