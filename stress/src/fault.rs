//! Planted faults: every mistake that the harness makes on purpose, to show that it is noticed.

use std::cell::Cell;

use ringproof::Payload;
use ringproof::memory::{Cells, Memory, Native, Slot, Word};
use ringproof::site::{FenceSite, LoadSite, SlotReadSite, SlotWriteSite, StoreSite};

use crate::dying::Dying;

/// A fault is a name, which `--plant` takes, and the words in which its row says what it is.
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
    TrustHole: "a ring that lost its memory is believed",
    NotReplaced: "a role of a segment without a name is taken",
    BlockingOpen: "an open waits for the other end of a FIFO",
    FollowLink: "an open follows a symbolic link",
    AnyDescriptor: "an unsealed descriptor is accepted",
    KeepRights: "a process without permission attaches",
    TrustRogue: "an index that a peer scribbles over is believed",
    RogueTwice: "a length that a peer scribbles over is read twice",
    IdleRogue: "the peer that should scribble does not",
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
            Fault::ResumeEarly | Fault::ResumeLate | Fault::RoundUp => Party::Successor,
            Fault::RoleKept | Fault::VictimHangs | Fault::VictimSurvives | Fault::SurvivorHangs => {
                Party::Other
            }
            _ => Party::Victim,
        }
    }
}

/// A memory that may be wrong in one way.
pub(crate) struct Faulty<'a, M = Dying<'a>> {
    memory: M,
    fault: Option<Fault>,
    /// The endpoint's own index, sequence or version word, if it has one.
    index: Option<&'a Word>,
    /// A number kept back: an index that was not published yet, a sequence that a reader saw.
    held: Cell<Option<u64>>,
}

impl<'a, M: Memory<Cells = Native>> Faulty<'a, M> {
    pub(crate) fn new(memory: M, fault: Option<Fault>) -> Self {
        Faulty {
            memory,
            fault,
            index: None,
            held: Cell::new(None),
        }
    }

    /// The same for an endpoint that stores this index.
    pub(crate) fn with_index(self, index: &'a Word) -> Self {
        Faulty {
            index: Some(index),
            ..self
        }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Moves the endpoint's own index on, too early.
    fn advance(&self, count: usize, site: StoreSite) {
        if let Some(word) = self.index {
            // The harness's own look at a word that only this endpoint stores.
            let index = Native.load(word, LoadSite::NoteRead);
            self.memory
                .store(word, index.wrapping_add(count as u64), site);
        }
    }
}

impl<M: Memory<Cells = Native>> Memory for Faulty<'_, M> {
    type Cells = Native;

    fn load(&self, word: &Word, site: LoadSite) -> u64 {
        let found = self.memory.load(word, site);
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
                self.memory.store(word, found + 1, StoreSite::SeqEven);
                found + 1
            }
            _ => found,
        }
    }

    fn store(&self, word: &Word, value: u64, site: StoreSite) {
        match (self.fault, site) {
            // Already stored.
            (Some(Fault::PublishFirst), StoreSite::RingPublish)
            | (Some(Fault::FreeFirst), StoreSite::RingFree)
            | (Some(Fault::LatchFirst), StoreSite::LatchPublish) => {}
            // Left out.
            (Some(Fault::NoOdd), StoreSite::SeqOdd) => {}
            // Made, but to no effect.
            (Some(Fault::StopLost), StoreSite::RingStop)
            | (Some(Fault::EpochLost), StoreSite::RoleEpochNext)
            | (Some(Fault::RetireLost), StoreSite::Retire)
            | (Some(Fault::NoteLost), StoreSite::NoteWrite) => {
                self.memory.store(&Native::word(0), value, site);
            }
            (Some(Fault::PublishLate), StoreSite::RingPublish) => {
                self.held.set(Some(value));
            }
            (Some(Fault::PublishLate), StoreSite::RingEnd) => {
                if let (Some(word), Some(index)) = (self.index, self.held.take()) {
                    self.memory.store(word, index, StoreSite::RingPublish);
                }
                self.memory.store(word, value, site);
            }
            _ => self.memory.store(word, value, site),
        }
    }

    fn fence(&self, site: FenceSite) {
        self.memory.fence(site);
    }

    fn load_words(&self, from: &[Word], to: &mut [[u8; 8]], site: LoadSite) {
        self.memory.load_words(from, to, site);
    }

    fn store_words(&self, to: &[Word], from: &[[u8; 8]], site: StoreSite) {
        if self.is(Fault::LatchFirst) && site == StoreSite::LatchCopyIn {
            self.advance(1, StoreSite::LatchPublish);
        }
        self.memory.store_words(to, from, site);
    }

    unsafe fn read_slots<T: Payload>(&self, from: &[Slot<T>], to: &mut [T], site: SlotReadSite) {
        if self.is(Fault::FreeFirst) && site == SlotReadSite::RingTake && !from.is_empty() {
            self.advance(from.len(), StoreSite::RingFree);
        }
        // SAFETY: the caller's promise, passed on. (Under a planted fault the peer, another process,
        // may write the slot meanwhile: that is the fault, and what comes of it is bytes.)
        unsafe { self.memory.read_slots(from, to, site) };
    }

    unsafe fn write_slots<T: Payload>(&self, to: &[Slot<T>], from: &[T], site: SlotWriteSite) {
        if self.is(Fault::PublishFirst) {
            self.advance(to.len(), StoreSite::RingPublish);
        }
        // SAFETY: as above.
        unsafe { self.memory.write_slots(to, from, site) };
    }

    fn spin(&self) {
        self.memory.spin();
    }
}
