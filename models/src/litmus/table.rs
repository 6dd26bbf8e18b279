//! The tests themselves.

use super::Op::Fence;
use super::Verdict::{Never, Sometimes};
use super::{Is, Litmus, Op, Place, Verdict};
use crate::order::Order::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

const X: usize = 0;
const Y: usize = 1;
const Z: usize = 2;
const ONE_WORD: &[&str] = &["x"];
const THREE_WORDS: &[&str] = &["x", "y", "z"];

// A seqlock: two words of payload and the sequence.
const A: usize = 0;
const B: usize = 1;
const S: usize = 2;
const SEQLOCK: &[&str] = &["a", "b", "s"];

/// A reader of a seqlock that was satisfied (it loaded the same even sequence twice) with a word
/// that does not belong to it.
const TORN: &[&[Is]] = &[
    &[register(1, 0, 0), register(1, 3, 0), register(1, 1, 1)],
    &[register(1, 0, 0), register(1, 3, 0), register(1, 2, 1)],
    &[register(1, 0, 2), register(1, 3, 2), register(1, 1, 0)],
    &[register(1, 0, 2), register(1, 3, 2), register(1, 2, 0)],
];

const WRITER: &[Op] = &[
    store(S, 1, Relaxed),
    Fence(Release),
    store(A, 1, Relaxed),
    store(B, 1, Relaxed),
    store(S, 2, Release),
];
const READER: &[Op] = &[
    load(S, Acquire),
    load(A, Relaxed),
    load(B, Relaxed),
    Fence(Acquire),
    load(S, Relaxed),
];
const TEXTBOOK_WRITER: &[Op] = &[
    store(S, 1, Release),
    store(A, 1, Relaxed),
    store(B, 1, Relaxed),
    store(S, 2, Release),
];
const TEXTBOOK_READER: &[Op] = &[
    load(S, Acquire),
    load(A, Relaxed),
    load(B, Relaxed),
    load(S, Acquire),
];

// The other questions that several tests ask.
const STALE: &[&[Is]] = &[&[register(1, 0, 1), register(1, 1, 0)]];
const STALE_THIRD: &[&[Is]] = &[&[register(1, 0, 1), register(2, 0, 1), register(2, 1, 0)]];
const BOTH_OLD: &[&[Is]] = &[&[register(0, 0, 0), register(1, 0, 0)]];
const BOTH_NEW: &[&[Is]] = &[&[register(0, 0, 1), register(1, 0, 1)]];
const OVERTAKEN: &[&[Is]] = &[&[register(1, 0, 1), word(X, 2)]];
const UNSEEN: &[&[Is]] = &[&[word(Y, 2), register(1, 0, 0)]];
const BOTH_FIRST: &[&[Is]] = &[&[word(X, 2), word(Y, 2)]];
pub(crate) const DISAGREE: &[&[Is]] = &[&[
    register(2, 0, 1),
    register(2, 1, 0),
    register(3, 0, 1),
    register(3, 1, 0),
]];

pub(crate) const fn load(word: usize, order: Order) -> Op {
    Op::Load { word, order }
}

pub(crate) const fn store(word: usize, value: u64, order: Order) -> Op {
    Op::Store { word, value, order }
}

pub(crate) const fn add(word: usize, amount: u64, order: Order) -> Op {
    Op::Add {
        word,
        amount,
        order,
    }
}

pub(crate) const fn register(thread: usize, number: usize, value: u64) -> Is {
    (Place::Register { thread, number }, value)
}

const fn word(word: usize, value: u64) -> Is {
    (Place::Word(word), value)
}

/// A test of two words, of which both models say the same.
pub(crate) const fn test(
    name: &'static str,
    asks: &'static str,
    threads: &'static [&'static [Op]],
    asked: &'static [&'static [Is]],
    verdict: Verdict,
) -> Litmus {
    Litmus {
        name,
        asks,
        words: &["x", "y"],
        threads,
        asked,
        rc11: verdict,
        c11: verdict,
    }
}

impl Litmus {
    pub(crate) const fn of(self, words: &'static [&'static str]) -> Litmus {
        Litmus { words, ..self }
    }

    const fn rc11(self, rc11: Verdict) -> Litmus {
        Litmus { rc11, ..self }
    }
}

/// All tests.
pub static ALL: &[Litmus] = &[
    test(
        "MP+rlx+rlx",
        "message passing, all relaxed",
        &[
            &[store(X, 1, Relaxed), store(Y, 1, Relaxed)],
            &[load(Y, Relaxed), load(X, Relaxed)],
        ],
        STALE,
        Sometimes(4),
    ),
    test(
        "MP+rel+acq",
        "message passing, release/acquire",
        &[
            &[store(X, 1, Relaxed), store(Y, 1, Release)],
            &[load(Y, Acquire), load(X, Relaxed)],
        ],
        STALE,
        Never(3),
    ),
    test(
        "MP+rel+rlx",
        "only the writer orders",
        &[
            &[store(X, 1, Relaxed), store(Y, 1, Release)],
            &[load(Y, Relaxed), load(X, Relaxed)],
        ],
        STALE,
        Sometimes(4),
    ),
    test(
        "MP+rlx+acq",
        "only the reader orders",
        &[
            &[store(X, 1, Relaxed), store(Y, 1, Relaxed)],
            &[load(Y, Acquire), load(X, Relaxed)],
        ],
        STALE,
        Sometimes(4),
    ),
    test(
        "MP+frel+facq",
        "fences on both sides",
        &[
            &[store(X, 1, Relaxed), Fence(Release), store(Y, 1, Relaxed)],
            &[load(Y, Relaxed), Fence(Acquire), load(X, Relaxed)],
        ],
        STALE,
        Never(3),
    ),
    test(
        "MP+frel+acq",
        "fence, acquire load",
        &[
            &[store(X, 1, Relaxed), Fence(Release), store(Y, 1, Relaxed)],
            &[load(Y, Acquire), load(X, Relaxed)],
        ],
        STALE,
        Never(3),
    ),
    test(
        "MP+rel+facq",
        "release store, fence",
        &[
            &[store(X, 1, Relaxed), store(Y, 1, Release)],
            &[load(Y, Relaxed), Fence(Acquire), load(X, Relaxed)],
        ],
        STALE,
        Never(3),
    ),
    test(
        "MP+facq+facq",
        "the wrong fence at the writer",
        &[
            &[store(X, 1, Relaxed), Fence(Acquire), store(Y, 1, Relaxed)],
            &[load(Y, Relaxed), Fence(Acquire), load(X, Relaxed)],
        ],
        STALE,
        Sometimes(4),
    ),
    test(
        "MP+frel+frel",
        "the wrong fence at the reader",
        &[
            &[store(X, 1, Relaxed), Fence(Release), store(Y, 1, Relaxed)],
            &[load(Y, Relaxed), Fence(Release), load(X, Relaxed)],
        ],
        STALE,
        Sometimes(4),
    ),
    test(
        "SB+rlx",
        "store buffering, relaxed",
        &[
            &[store(X, 1, Relaxed), load(Y, Relaxed)],
            &[store(Y, 1, Relaxed), load(X, Relaxed)],
        ],
        BOTH_OLD,
        Sometimes(4),
    ),
    test(
        "SB+rel+acq",
        "store buffering, release/acquire",
        &[
            &[store(X, 1, Release), load(Y, Acquire)],
            &[store(Y, 1, Release), load(X, Acquire)],
        ],
        BOTH_OLD,
        Sometimes(4),
    ),
    test(
        "SB+sc",
        "store buffering, SeqCst accesses",
        &[
            &[store(X, 1, SeqCst), load(Y, SeqCst)],
            &[store(Y, 1, SeqCst), load(X, SeqCst)],
        ],
        BOTH_OLD,
        Never(3),
    ),
    test(
        "SB+fsc+fsc",
        "store buffering, SeqCst fences (the sleep protocol)",
        &[
            &[store(X, 1, Relaxed), Fence(SeqCst), load(Y, Relaxed)],
            &[store(Y, 1, Relaxed), Fence(SeqCst), load(X, Relaxed)],
        ],
        BOTH_OLD,
        Never(3),
    ),
    test(
        "SB+fsc+far",
        "one fence only AcqRel",
        &[
            &[store(X, 1, Relaxed), Fence(SeqCst), load(Y, Relaxed)],
            &[store(Y, 1, Relaxed), Fence(AcqRel), load(X, Relaxed)],
        ],
        BOTH_OLD,
        Sometimes(4),
    ),
    test(
        "LB+rlx",
        "load buffering, relaxed",
        &[
            &[load(X, Relaxed), store(Y, 1, Relaxed)],
            &[load(Y, Relaxed), store(X, 1, Relaxed)],
        ],
        BOTH_NEW,
        Sometimes(4),
    )
    .rc11(Never(3)),
    test(
        "LB+rel+acq",
        "load buffering, acquire then release",
        &[
            &[load(X, Acquire), store(Y, 1, Release)],
            &[load(Y, Acquire), store(X, 1, Release)],
        ],
        BOTH_NEW,
        Never(3),
    ),
    test(
        "LB+rel+rlx",
        "load buffering, one side ordered (a ring side that frees a slot)",
        &[
            &[load(X, Relaxed), store(Y, 1, Release)],
            &[load(Y, Relaxed), store(X, 1, Relaxed)],
        ],
        BOTH_NEW,
        Sometimes(4),
    )
    .rc11(Never(3)),
    test(
        "S+rel+acq",
        "write ordered before write",
        &[
            &[store(X, 2, Relaxed), store(Y, 1, Release)],
            &[load(Y, Acquire), store(X, 1, Relaxed)],
        ],
        OVERTAKEN,
        Never(3),
    ),
    test(
        "S+rlx",
        "the same, relaxed",
        &[
            &[store(X, 2, Relaxed), store(Y, 1, Relaxed)],
            &[load(Y, Relaxed), store(X, 1, Relaxed)],
        ],
        OVERTAKEN,
        Sometimes(4),
    ),
    test(
        "R+rlx",
        "write to write, write to read, relaxed",
        &[
            &[store(X, 1, Relaxed), store(Y, 1, Relaxed)],
            &[store(Y, 2, Relaxed), load(X, Relaxed)],
        ],
        UNSEEN,
        Sometimes(4),
    ),
    test(
        "R+fsc",
        "the same, SeqCst fences",
        &[
            &[store(X, 1, Relaxed), Fence(SeqCst), store(Y, 1, Relaxed)],
            &[store(Y, 2, Relaxed), Fence(SeqCst), load(X, Relaxed)],
        ],
        UNSEEN,
        Never(3),
    ),
    test(
        "2+2W+rlx",
        "two writers, crossed",
        &[
            &[store(X, 2, Relaxed), store(Y, 1, Relaxed)],
            &[store(Y, 2, Relaxed), store(X, 1, Relaxed)],
        ],
        BOTH_FIRST,
        Sometimes(4),
    ),
    test(
        "2+2W+rel",
        "two writers, crossed, release",
        &[
            &[store(X, 2, Relaxed), store(Y, 1, Release)],
            &[store(Y, 2, Relaxed), store(X, 1, Release)],
        ],
        BOTH_FIRST,
        Sometimes(4),
    ),
    test(
        "CoRR",
        "two reads of one word, same thread",
        &[
            &[store(X, 1, Relaxed)],
            &[load(X, Relaxed), load(X, Relaxed)],
        ],
        STALE,
        Never(3),
    )
    .of(ONE_WORD),
    test(
        "CoWR",
        "read after own write",
        &[
            &[store(X, 1, Relaxed), load(X, Relaxed)],
            &[store(X, 2, Relaxed)],
        ],
        &[&[register(0, 0, 0)]],
        Never(2),
    )
    .of(ONE_WORD),
    test(
        "CoRW",
        "read from a later own write",
        &[&[load(X, Relaxed), store(X, 1, Relaxed)]],
        &[&[register(0, 0, 1)]],
        Never(1),
    )
    .of(ONE_WORD),
    test(
        "WRC+rel+acq",
        "causality through a third thread",
        &[
            &[store(X, 1, Relaxed)],
            &[load(X, Relaxed), store(Y, 1, Release)],
            &[load(Y, Acquire), load(X, Relaxed)],
        ],
        STALE_THIRD,
        Never(7),
    ),
    test(
        "WRC+rlx",
        "the same, relaxed",
        &[
            &[store(X, 1, Relaxed)],
            &[load(X, Relaxed), store(Y, 1, Relaxed)],
            &[load(Y, Relaxed), load(X, Relaxed)],
        ],
        STALE_THIRD,
        Sometimes(8),
    ),
    test(
        "ISA2+rel+acq",
        "two hops, release/acquire",
        &[
            &[store(X, 1, Relaxed), store(Y, 1, Release)],
            &[load(Y, Acquire), store(Z, 1, Release)],
            &[load(Z, Acquire), load(X, Relaxed)],
        ],
        STALE_THIRD,
        Never(7),
    )
    .of(THREE_WORDS),
    test(
        "ISA2+rel+rlx+acq",
        "the middle hop relaxed",
        &[
            &[store(X, 1, Relaxed), store(Y, 1, Release)],
            &[load(Y, Relaxed), store(Z, 1, Relaxed)],
            &[load(Z, Acquire), load(X, Relaxed)],
        ],
        STALE_THIRD,
        Sometimes(8),
    )
    .of(THREE_WORDS),
    test(
        "IRIW+acq",
        "two readers disagree, acquire loads",
        &[
            &[store(X, 1, Release)],
            &[store(Y, 1, Release)],
            &[load(X, Acquire), load(Y, Acquire)],
            &[load(Y, Acquire), load(X, Acquire)],
        ],
        DISAGREE,
        Sometimes(16),
    ),
    test(
        "IRIW+sc",
        "the same, SeqCst",
        &[
            &[store(X, 1, SeqCst)],
            &[store(Y, 1, SeqCst)],
            &[load(X, SeqCst), load(Y, SeqCst)],
            &[load(Y, SeqCst), load(X, SeqCst)],
        ],
        DISAGREE,
        Never(15),
    ),
    test(
        "RS+rmw",
        "release sequence through a relaxed read-modify-write",
        &[
            &[store(X, 1, Relaxed), store(Y, 1, Release)],
            &[add(Y, 1, Relaxed)],
            &[load(Y, Acquire), load(X, Relaxed)],
        ],
        &[&[register(1, 0, 1), register(2, 0, 2), register(2, 1, 0)]],
        Never(8),
    ),
    test(
        "RS+own-store",
        "a later relaxed store of the same thread (no release sequence since C++20)",
        &[
            &[
                store(X, 1, Relaxed),
                store(Y, 1, Release),
                store(Y, 2, Relaxed),
            ],
            &[load(Y, Acquire), load(X, Relaxed)],
        ],
        &[&[register(1, 0, 2), register(1, 1, 0)]],
        Never(4),
    ),
    test(
        "fence3",
        "an acquire fence must not borrow what another thread read relaxed",
        &[
            &[store(X, 1, Relaxed), store(Y, 1, Release)],
            &[load(Y, Relaxed), store(Z, 1, Release)],
            &[load(Z, Acquire), Fence(Acquire), load(X, Relaxed)],
        ],
        STALE_THIRD,
        Sometimes(8),
    )
    .of(THREE_WORDS),
    test(
        "seqlock+boehm",
        "this library's seqlock (Boehm, 2012)",
        &[WRITER, READER],
        TORN,
        Never(18),
    )
    .of(SEQLOCK),
    test(
        "seqlock+textbook",
        "a textbook's seqlock: release, no fence; acquire, no fence",
        &[TEXTBOOK_WRITER, TEXTBOOK_READER],
        TORN,
        Sometimes(21),
    )
    .of(SEQLOCK),
    test(
        "seqlock+textbook-writer",
        "only the writer as the textbook has it",
        &[TEXTBOOK_WRITER, READER],
        TORN,
        Sometimes(21),
    )
    .of(SEQLOCK),
    test(
        "seqlock+textbook-reader",
        "only the reader as the textbook has it",
        &[WRITER, TEXTBOOK_READER],
        TORN,
        Sometimes(21),
    )
    .of(SEQLOCK),
    test(
        "seqlock+even-rlx",
        "even stored relaxed",
        &[
            &[
                store(S, 1, Relaxed),
                Fence(Release),
                store(A, 1, Relaxed),
                store(B, 1, Relaxed),
                store(S, 2, Relaxed),
            ],
            READER,
        ],
        TORN,
        Sometimes(21),
    )
    .of(SEQLOCK),
    test(
        "seqlock+first-rlx",
        "first load relaxed",
        &[
            WRITER,
            &[
                load(S, Relaxed),
                load(A, Relaxed),
                load(B, Relaxed),
                Fence(Acquire),
                load(S, Relaxed),
            ],
        ],
        TORN,
        Sometimes(21),
    )
    .of(SEQLOCK),
    test(
        "seqlock+all-sc",
        "sequence SeqCst everywhere, no fences",
        &[
            &[
                store(S, 1, SeqCst),
                store(A, 1, Relaxed),
                store(B, 1, Relaxed),
                store(S, 2, SeqCst),
            ],
            &[
                load(S, SeqCst),
                load(A, Relaxed),
                load(B, Relaxed),
                load(S, SeqCst),
            ],
        ],
        TORN,
        Sometimes(21),
    )
    .of(SEQLOCK),
];

/// Two more, for what is known of loom. Their verdicts were found by hand.
pub static TRAPS: &[Litmus] = &[
    // Thread 0 is alone in storing y, so its load finds 0; the rest is MP+rlx+rlx.
    test(
        "own-index",
        "MP+rlx+rlx whose writer first loads the index that it then stores",
        &[
            &[load(Y, Relaxed), store(X, 1, Relaxed), store(Y, 1, Relaxed)],
            &[load(Y, Relaxed), load(X, Relaxed)],
        ],
        STALE,
        Sometimes(4),
    ),
    // Nothing orders the loads, so each finds any value: two times eight states.
    test(
        "history",
        "MP+rlx+rlx whose writer stores seven values of the data",
        &[
            &[
                store(X, 1, Relaxed),
                store(X, 2, Relaxed),
                store(X, 3, Relaxed),
                store(X, 4, Relaxed),
                store(X, 5, Relaxed),
                store(X, 6, Relaxed),
                store(X, 7, Relaxed),
                store(Y, 1, Relaxed),
            ],
            &[load(Y, Relaxed), load(X, Relaxed)],
        ],
        STALE,
        Sometimes(16),
    ),
];
