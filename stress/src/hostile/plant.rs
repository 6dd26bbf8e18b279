//! Planted faults: wrong implementations, and adversaries that do nothing, each to be caught by
//! one subject.

/// A mistake, made on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Plant {
    /// The producer takes the consumer's index for what it says (CVE-2024-41009).
    TrustIndex,
    /// The producer asserts that the consumer's index is sane.
    AssertIndex,
    /// The consumer reads a record's length twice (cilium/ebpf#1375).
    LengthTwice,
    /// The consumer takes a producer's index that goes back for an empty ring.
    IgnoreRegress,
    /// The seqlock's reader tries until it succeeds.
    EndlessRead,
    /// The seqlock's writer announces a write by an even number.
    EvenWrite,
    /// The latch's reader finds its slot one beyond the last.
    UnmaskedRead,
    /// A role cannot be taken more often than a word can count.
    CountedEnter,
    /// A role of a retired segment is taken.
    RetiredIgnored,
    /// Attaching believes a header's number of slots.
    TrustHeader,
    /// Attaching reads a header's number of slots twice.
    HeaderTwice,
    /// A file shorter than its header says is attached to.
    ShortBelieved,
    /// The memory file is not sealed.
    Unsealed,
    /// Truncation under a mapping goes unnoticed.
    NotTruncated,
    /// The producer of a ring that lost its memory takes the zeros for true.
    TrustHole,
    /// The role of a segment that lost its name is taken.
    NotReplaced,
    /// Attaching opens whatever bears the name, and waits for it.
    BlockingOpen,
    /// Attaching follows a symbolic link.
    FollowLink,
    /// An unsealed descriptor is accepted.
    AnyDescriptor,
    /// The process that has no permission has it all the same.
    KeepRights,
    /// The producer takes the index of a peer that scribbles for what it says.
    TrustRogue,
    /// The consumer reads a length twice that a peer scribbles over.
    RogueTwice,
    /// The peer that should scribble does not.
    IdleRogue,
    /// A fingerprint is believed, and what it is of not looked at.
    FingerprintAlone,
    /// A description is read, however much space is between its words.
    LenientParse,
    /// A peek has memory for as many bytes as the header says.
    BelievedSize,
    /// What is no description is printed as it lies there.
    RawText,
    /// The C header compares descriptions as far as the shorter one goes.
    BeginningAlone,
    /// The C header believes the length of a description.
    UnboundedLen,
    /// A peek does not look whether what it copied was still there.
    UncheckedPeek,
    /// A fuzzer's segment is believed.
    FuzzedHeader,
    /// A fuzzer's index is believed.
    FuzzedIndex,
    /// A fuzzer's description is read, however it is written.
    FuzzedText,
}

impl Plant {
    /// The subject that must catch it.
    pub(crate) const fn subject(self) -> &'static str {
        match self {
            Plant::TrustIndex => "ring/push_slice",
            Plant::AssertIndex => "ring/push",
            Plant::LengthTwice => "ring/pop",
            Plant::IgnoreRegress => "ring/pop_slice",
            Plant::EndlessRead => "seqlock/read",
            Plant::EvenWrite => "seqlock/write",
            Plant::UnmaskedRead => "latch/read",
            Plant::CountedEnter => "role/enter",
            Plant::RetiredIgnored => "segment/claim",
            Plant::TrustHeader => "header/ring",
            Plant::HeaderTwice => "header/racing",
            Plant::ShortBelieved => "truncated/before",
            Plant::Unsealed => "truncated/memory-file",
            Plant::NotTruncated => "truncated/named",
            Plant::TrustHole => "punched",
            Plant::NotReplaced => "replaced",
            Plant::BlockingOpen | Plant::FollowLink => "file/type",
            Plant::AnyDescriptor => "file/descriptor",
            Plant::KeepRights => "file/permission",
            Plant::TrustRogue => "rogue/producer",
            Plant::RogueTwice => "rogue/consumer",
            Plant::IdleRogue => "rogue/segment",
            Plant::FingerprintAlone => "description/attached",
            Plant::LenientParse | Plant::BelievedSize => "description/inspected",
            Plant::RawText => "description/command",
            Plant::BeginningAlone | Plant::UnboundedLen => "description/c",
            Plant::UncheckedPeek => "description/peek",
            Plant::FuzzedHeader => "fuzz/attach",
            Plant::FuzzedIndex => "fuzz/peer",
            Plant::FuzzedText => "fuzz/description",
        }
    }

    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Plant::TrustIndex => "an index that is ahead makes reservations overlap",
            Plant::AssertIndex => "an index is asserted to be sane",
            Plant::LengthTwice => "a length is read twice",
            Plant::IgnoreRegress => "an index that goes back is taken for an empty ring",
            Plant::EndlessRead => "a reader tries until it succeeds",
            Plant::EvenWrite => "a write is announced by an even number",
            Plant::UnmaskedRead => "a slot one beyond the last is read",
            Plant::CountedEnter => "takings of a role are counted up to an overflow",
            Plant::RetiredIgnored => "a role of a retired segment is taken",
            Plant::TrustHeader => "a header's number of slots is believed",
            Plant::HeaderTwice => "a header's number of slots is read twice",
            Plant::ShortBelieved => "a file shorter than its segment is attached to",
            Plant::Unsealed => "a memory file is not sealed",
            Plant::NotTruncated => "a truncation goes unnoticed",
            Plant::TrustHole => "a ring that lost its memory is believed",
            Plant::NotReplaced => "a role of a segment without a name is taken",
            Plant::BlockingOpen => "an open waits for the other end of a FIFO",
            Plant::FollowLink => "an open follows a symbolic link",
            Plant::AnyDescriptor => "an unsealed descriptor is accepted",
            Plant::KeepRights => "a process without permission attaches",
            Plant::TrustRogue => "an index that a peer scribbles over is believed",
            Plant::RogueTwice => "a length that a peer scribbles over is read twice",
            Plant::IdleRogue => "the peer that should scribble does not",
            Plant::FingerprintAlone => "a fingerprint is believed without its text",
            Plant::LenientParse => "a description written in another way is read",
            Plant::BelievedSize => "a peek believes a size",
            Plant::RawText => "what is no description is printed as it lies there",
            Plant::BeginningAlone => "the C header compares the beginnings of descriptions",
            Plant::UnboundedLen => "the C header believes the length of a description",
            Plant::UncheckedPeek => "a peek does not look again after it has copied",
            Plant::FuzzedHeader => "a fuzzer's segment is believed",
            Plant::FuzzedIndex => "a fuzzer's index is believed",
            Plant::FuzzedText => "a fuzzer's description written in another way is read",
        }
    }
}
