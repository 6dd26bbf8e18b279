//! The tests themselves.

use super::Op::Fence;
use super::Verdict::{Never, Sometimes};
use super::{Is, Litmus, Op, Place};
use crate::order::Order::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

const X: usize = 0;
const Y: usize = 1;
const Z: usize = 2;
const ONE_WORD: &[&str] = &["x"];
const TWO_WORDS: &[&str] = &["x", "y"];
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

const fn load(word: usize, order: Order) -> Op {
    Op::Load { word, order }
}

const fn store(word: usize, value: u64, order: Order) -> Op {
    Op::Store { word, value, order }
}

const fn add(word: usize, amount: u64, order: Order) -> Op {
    Op::Add {
        word,
        amount,
        order,
    }
}

const fn register(thread: usize, number: usize, value: u64) -> Is {
    (Place::Register { thread, number }, value)
}

const fn word(word: usize, value: u64) -> Is {
    (Place::Word(word), value)
}

/// All tests.
pub static ALL: &[Litmus] = &[
    Litmus {
        name: "MP+rlx+rlx",
        asks: "message passing, all relaxed",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 1, Relaxed), store(Y, 1, Relaxed)],
            &[load(Y, Relaxed), load(X, Relaxed)],
        ],
        asked: &[&[register(1, 0, 1), register(1, 1, 0)]],
        rc11: Sometimes(4),
        c11: Sometimes(4),
    },
    Litmus {
        name: "MP+rel+acq",
        asks: "message passing, release/acquire",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 1, Relaxed), store(Y, 1, Release)],
            &[load(Y, Acquire), load(X, Relaxed)],
        ],
        asked: &[&[register(1, 0, 1), register(1, 1, 0)]],
        rc11: Never(3),
        c11: Never(3),
    },
    Litmus {
        name: "MP+rel+rlx",
        asks: "only the writer orders",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 1, Relaxed), store(Y, 1, Release)],
            &[load(Y, Relaxed), load(X, Relaxed)],
        ],
        asked: &[&[register(1, 0, 1), register(1, 1, 0)]],
        rc11: Sometimes(4),
        c11: Sometimes(4),
    },
    Litmus {
        name: "MP+rlx+acq",
        asks: "only the reader orders",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 1, Relaxed), store(Y, 1, Relaxed)],
            &[load(Y, Acquire), load(X, Relaxed)],
        ],
        asked: &[&[register(1, 0, 1), register(1, 1, 0)]],
        rc11: Sometimes(4),
        c11: Sometimes(4),
    },
    Litmus {
        name: "MP+frel+facq",
        asks: "fences on both sides",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 1, Relaxed), Fence(Release), store(Y, 1, Relaxed)],
            &[load(Y, Relaxed), Fence(Acquire), load(X, Relaxed)],
        ],
        asked: &[&[register(1, 0, 1), register(1, 1, 0)]],
        rc11: Never(3),
        c11: Never(3),
    },
    Litmus {
        name: "MP+frel+acq",
        asks: "fence, acquire load",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 1, Relaxed), Fence(Release), store(Y, 1, Relaxed)],
            &[load(Y, Acquire), load(X, Relaxed)],
        ],
        asked: &[&[register(1, 0, 1), register(1, 1, 0)]],
        rc11: Never(3),
        c11: Never(3),
    },
    Litmus {
        name: "MP+rel+facq",
        asks: "release store, fence",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 1, Relaxed), store(Y, 1, Release)],
            &[load(Y, Relaxed), Fence(Acquire), load(X, Relaxed)],
        ],
        asked: &[&[register(1, 0, 1), register(1, 1, 0)]],
        rc11: Never(3),
        c11: Never(3),
    },
    Litmus {
        name: "MP+facq+facq",
        asks: "the wrong fence at the writer",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 1, Relaxed), Fence(Acquire), store(Y, 1, Relaxed)],
            &[load(Y, Relaxed), Fence(Acquire), load(X, Relaxed)],
        ],
        asked: &[&[register(1, 0, 1), register(1, 1, 0)]],
        rc11: Sometimes(4),
        c11: Sometimes(4),
    },
    Litmus {
        name: "MP+frel+frel",
        asks: "the wrong fence at the reader",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 1, Relaxed), Fence(Release), store(Y, 1, Relaxed)],
            &[load(Y, Relaxed), Fence(Release), load(X, Relaxed)],
        ],
        asked: &[&[register(1, 0, 1), register(1, 1, 0)]],
        rc11: Sometimes(4),
        c11: Sometimes(4),
    },
    Litmus {
        name: "SB+rlx",
        asks: "store buffering, relaxed",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 1, Relaxed), load(Y, Relaxed)],
            &[store(Y, 1, Relaxed), load(X, Relaxed)],
        ],
        asked: &[&[register(0, 0, 0), register(1, 0, 0)]],
        rc11: Sometimes(4),
        c11: Sometimes(4),
    },
    Litmus {
        name: "SB+rel+acq",
        asks: "store buffering, release/acquire",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 1, Release), load(Y, Acquire)],
            &[store(Y, 1, Release), load(X, Acquire)],
        ],
        asked: &[&[register(0, 0, 0), register(1, 0, 0)]],
        rc11: Sometimes(4),
        c11: Sometimes(4),
    },
    Litmus {
        name: "SB+sc",
        asks: "store buffering, SeqCst accesses",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 1, SeqCst), load(Y, SeqCst)],
            &[store(Y, 1, SeqCst), load(X, SeqCst)],
        ],
        asked: &[&[register(0, 0, 0), register(1, 0, 0)]],
        rc11: Never(3),
        c11: Never(3),
    },
    Litmus {
        name: "SB+fsc+fsc",
        asks: "store buffering, SeqCst fences (the sleep protocol)",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 1, Relaxed), Fence(SeqCst), load(Y, Relaxed)],
            &[store(Y, 1, Relaxed), Fence(SeqCst), load(X, Relaxed)],
        ],
        asked: &[&[register(0, 0, 0), register(1, 0, 0)]],
        rc11: Never(3),
        c11: Never(3),
    },
    Litmus {
        name: "SB+fsc+far",
        asks: "one fence only AcqRel",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 1, Relaxed), Fence(SeqCst), load(Y, Relaxed)],
            &[store(Y, 1, Relaxed), Fence(AcqRel), load(X, Relaxed)],
        ],
        asked: &[&[register(0, 0, 0), register(1, 0, 0)]],
        rc11: Sometimes(4),
        c11: Sometimes(4),
    },
    Litmus {
        name: "LB+rlx",
        asks: "load buffering, relaxed",
        words: TWO_WORDS,
        threads: &[
            &[load(X, Relaxed), store(Y, 1, Relaxed)],
            &[load(Y, Relaxed), store(X, 1, Relaxed)],
        ],
        asked: &[&[register(0, 0, 1), register(1, 0, 1)]],
        rc11: Never(3),
        c11: Sometimes(4),
    },
    Litmus {
        name: "LB+rel+acq",
        asks: "load buffering, acquire then release",
        words: TWO_WORDS,
        threads: &[
            &[load(X, Acquire), store(Y, 1, Release)],
            &[load(Y, Acquire), store(X, 1, Release)],
        ],
        asked: &[&[register(0, 0, 1), register(1, 0, 1)]],
        rc11: Never(3),
        c11: Never(3),
    },
    Litmus {
        name: "LB+rel+rlx",
        asks: "load buffering, one side ordered (a ring side that frees a slot)",
        words: TWO_WORDS,
        threads: &[
            &[load(X, Relaxed), store(Y, 1, Release)],
            &[load(Y, Relaxed), store(X, 1, Relaxed)],
        ],
        asked: &[&[register(0, 0, 1), register(1, 0, 1)]],
        rc11: Never(3),
        c11: Sometimes(4),
    },
    Litmus {
        name: "S+rel+acq",
        asks: "write ordered before write",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 2, Relaxed), store(Y, 1, Release)],
            &[load(Y, Acquire), store(X, 1, Relaxed)],
        ],
        asked: &[&[register(1, 0, 1), word(X, 2)]],
        rc11: Never(3),
        c11: Never(3),
    },
    Litmus {
        name: "S+rlx",
        asks: "the same, relaxed",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 2, Relaxed), store(Y, 1, Relaxed)],
            &[load(Y, Relaxed), store(X, 1, Relaxed)],
        ],
        asked: &[&[register(1, 0, 1), word(X, 2)]],
        rc11: Sometimes(4),
        c11: Sometimes(4),
    },
    Litmus {
        name: "R+rlx",
        asks: "write to write, write to read, relaxed",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 1, Relaxed), store(Y, 1, Relaxed)],
            &[store(Y, 2, Relaxed), load(X, Relaxed)],
        ],
        asked: &[&[word(Y, 2), register(1, 0, 0)]],
        rc11: Sometimes(4),
        c11: Sometimes(4),
    },
    Litmus {
        name: "R+fsc",
        asks: "the same, SeqCst fences",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 1, Relaxed), Fence(SeqCst), store(Y, 1, Relaxed)],
            &[store(Y, 2, Relaxed), Fence(SeqCst), load(X, Relaxed)],
        ],
        asked: &[&[word(Y, 2), register(1, 0, 0)]],
        rc11: Never(3),
        c11: Never(3),
    },
    Litmus {
        name: "2+2W+rlx",
        asks: "two writers, crossed",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 2, Relaxed), store(Y, 1, Relaxed)],
            &[store(Y, 2, Relaxed), store(X, 1, Relaxed)],
        ],
        asked: &[&[word(X, 2), word(Y, 2)]],
        rc11: Sometimes(4),
        c11: Sometimes(4),
    },
    Litmus {
        name: "2+2W+rel",
        asks: "two writers, crossed, release",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 2, Relaxed), store(Y, 1, Release)],
            &[store(Y, 2, Relaxed), store(X, 1, Release)],
        ],
        asked: &[&[word(X, 2), word(Y, 2)]],
        rc11: Sometimes(4),
        c11: Sometimes(4),
    },
    Litmus {
        name: "CoRR",
        asks: "two reads of one word, same thread",
        words: ONE_WORD,
        threads: &[
            &[store(X, 1, Relaxed)],
            &[load(X, Relaxed), load(X, Relaxed)],
        ],
        asked: &[&[register(1, 0, 1), register(1, 1, 0)]],
        rc11: Never(3),
        c11: Never(3),
    },
    Litmus {
        name: "CoWR",
        asks: "read after own write",
        words: ONE_WORD,
        threads: &[
            &[store(X, 1, Relaxed), load(X, Relaxed)],
            &[store(X, 2, Relaxed)],
        ],
        asked: &[&[register(0, 0, 0)]],
        rc11: Never(2),
        c11: Never(2),
    },
    Litmus {
        name: "CoRW",
        asks: "read from a later own write",
        words: ONE_WORD,
        threads: &[&[load(X, Relaxed), store(X, 1, Relaxed)]],
        asked: &[&[register(0, 0, 1)]],
        rc11: Never(1),
        c11: Never(1),
    },
    Litmus {
        name: "WRC+rel+acq",
        asks: "causality through a third thread",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 1, Relaxed)],
            &[load(X, Relaxed), store(Y, 1, Release)],
            &[load(Y, Acquire), load(X, Relaxed)],
        ],
        asked: &[&[register(1, 0, 1), register(2, 0, 1), register(2, 1, 0)]],
        rc11: Never(7),
        c11: Never(7),
    },
    Litmus {
        name: "WRC+rlx",
        asks: "the same, relaxed",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 1, Relaxed)],
            &[load(X, Relaxed), store(Y, 1, Relaxed)],
            &[load(Y, Relaxed), load(X, Relaxed)],
        ],
        asked: &[&[register(1, 0, 1), register(2, 0, 1), register(2, 1, 0)]],
        rc11: Sometimes(8),
        c11: Sometimes(8),
    },
    Litmus {
        name: "ISA2+rel+acq",
        asks: "two hops, release/acquire",
        words: THREE_WORDS,
        threads: &[
            &[store(X, 1, Relaxed), store(Y, 1, Release)],
            &[load(Y, Acquire), store(Z, 1, Release)],
            &[load(Z, Acquire), load(X, Relaxed)],
        ],
        asked: &[&[register(1, 0, 1), register(2, 0, 1), register(2, 1, 0)]],
        rc11: Never(7),
        c11: Never(7),
    },
    Litmus {
        name: "ISA2+rel+rlx+acq",
        asks: "the middle hop relaxed",
        words: THREE_WORDS,
        threads: &[
            &[store(X, 1, Relaxed), store(Y, 1, Release)],
            &[load(Y, Relaxed), store(Z, 1, Relaxed)],
            &[load(Z, Acquire), load(X, Relaxed)],
        ],
        asked: &[&[register(1, 0, 1), register(2, 0, 1), register(2, 1, 0)]],
        rc11: Sometimes(8),
        c11: Sometimes(8),
    },
    Litmus {
        name: "IRIW+acq",
        asks: "two readers disagree, acquire loads",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 1, Release)],
            &[store(Y, 1, Release)],
            &[load(X, Acquire), load(Y, Acquire)],
            &[load(Y, Acquire), load(X, Acquire)],
        ],
        asked: &[&[
            register(2, 0, 1),
            register(2, 1, 0),
            register(3, 0, 1),
            register(3, 1, 0),
        ]],
        rc11: Sometimes(16),
        c11: Sometimes(16),
    },
    Litmus {
        name: "IRIW+sc",
        asks: "the same, SeqCst",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 1, SeqCst)],
            &[store(Y, 1, SeqCst)],
            &[load(X, SeqCst), load(Y, SeqCst)],
            &[load(Y, SeqCst), load(X, SeqCst)],
        ],
        asked: &[&[
            register(2, 0, 1),
            register(2, 1, 0),
            register(3, 0, 1),
            register(3, 1, 0),
        ]],
        rc11: Never(15),
        c11: Never(15),
    },
    Litmus {
        name: "RS+rmw",
        asks: "release sequence through a relaxed read-modify-write",
        words: TWO_WORDS,
        threads: &[
            &[store(X, 1, Relaxed), store(Y, 1, Release)],
            &[add(Y, 1, Relaxed)],
            &[load(Y, Acquire), load(X, Relaxed)],
        ],
        asked: &[&[register(1, 0, 1), register(2, 0, 2), register(2, 1, 0)]],
        rc11: Never(8),
        c11: Never(8),
    },
    Litmus {
        name: "RS+own-store",
        asks: "a later relaxed store of the same thread (no release sequence since C++20)",
        words: TWO_WORDS,
        threads: &[
            &[
                store(X, 1, Relaxed),
                store(Y, 1, Release),
                store(Y, 2, Relaxed),
            ],
            &[load(Y, Acquire), load(X, Relaxed)],
        ],
        asked: &[&[register(1, 0, 2), register(1, 1, 0)]],
        rc11: Never(4),
        c11: Never(4),
    },
    Litmus {
        name: "fence3",
        asks: "an acquire fence must not borrow what another thread read relaxed",
        words: THREE_WORDS,
        threads: &[
            &[store(X, 1, Relaxed), store(Y, 1, Release)],
            &[load(Y, Relaxed), store(Z, 1, Release)],
            &[load(Z, Acquire), Fence(Acquire), load(X, Relaxed)],
        ],
        asked: &[&[register(1, 0, 1), register(2, 0, 1), register(2, 1, 0)]],
        rc11: Sometimes(8),
        c11: Sometimes(8),
    },
    Litmus {
        name: "seqlock+boehm",
        asks: "this library's seqlock (Boehm, 2012)",
        words: SEQLOCK,
        threads: &[
            &[
                store(S, 1, Relaxed),
                Fence(Release),
                store(A, 1, Relaxed),
                store(B, 1, Relaxed),
                store(S, 2, Release),
            ],
            &[
                load(S, Acquire),
                load(A, Relaxed),
                load(B, Relaxed),
                Fence(Acquire),
                load(S, Relaxed),
            ],
        ],
        asked: TORN,
        rc11: Never(18),
        c11: Never(18),
    },
    Litmus {
        name: "seqlock+textbook",
        asks: "a textbook's seqlock: release, no fence; acquire, no fence",
        words: SEQLOCK,
        threads: &[
            &[
                store(S, 1, Release),
                store(A, 1, Relaxed),
                store(B, 1, Relaxed),
                store(S, 2, Release),
            ],
            &[
                load(S, Acquire),
                load(A, Relaxed),
                load(B, Relaxed),
                load(S, Acquire),
            ],
        ],
        asked: TORN,
        rc11: Sometimes(21),
        c11: Sometimes(21),
    },
    Litmus {
        name: "seqlock+textbook-writer",
        asks: "only the writer as the textbook has it",
        words: SEQLOCK,
        threads: &[
            &[
                store(S, 1, Release),
                store(A, 1, Relaxed),
                store(B, 1, Relaxed),
                store(S, 2, Release),
            ],
            &[
                load(S, Acquire),
                load(A, Relaxed),
                load(B, Relaxed),
                Fence(Acquire),
                load(S, Relaxed),
            ],
        ],
        asked: TORN,
        rc11: Sometimes(21),
        c11: Sometimes(21),
    },
    Litmus {
        name: "seqlock+textbook-reader",
        asks: "only the reader as the textbook has it",
        words: SEQLOCK,
        threads: &[
            &[
                store(S, 1, Relaxed),
                Fence(Release),
                store(A, 1, Relaxed),
                store(B, 1, Relaxed),
                store(S, 2, Release),
            ],
            &[
                load(S, Acquire),
                load(A, Relaxed),
                load(B, Relaxed),
                load(S, Acquire),
            ],
        ],
        asked: TORN,
        rc11: Sometimes(21),
        c11: Sometimes(21),
    },
    Litmus {
        name: "seqlock+even-rlx",
        asks: "even stored relaxed",
        words: SEQLOCK,
        threads: &[
            &[
                store(S, 1, Relaxed),
                Fence(Release),
                store(A, 1, Relaxed),
                store(B, 1, Relaxed),
                store(S, 2, Relaxed),
            ],
            &[
                load(S, Acquire),
                load(A, Relaxed),
                load(B, Relaxed),
                Fence(Acquire),
                load(S, Relaxed),
            ],
        ],
        asked: TORN,
        rc11: Sometimes(21),
        c11: Sometimes(21),
    },
    Litmus {
        name: "seqlock+first-rlx",
        asks: "first load relaxed",
        words: SEQLOCK,
        threads: &[
            &[
                store(S, 1, Relaxed),
                Fence(Release),
                store(A, 1, Relaxed),
                store(B, 1, Relaxed),
                store(S, 2, Release),
            ],
            &[
                load(S, Relaxed),
                load(A, Relaxed),
                load(B, Relaxed),
                Fence(Acquire),
                load(S, Relaxed),
            ],
        ],
        asked: TORN,
        rc11: Sometimes(21),
        c11: Sometimes(21),
    },
    Litmus {
        name: "seqlock+all-sc",
        asks: "sequence SeqCst everywhere, no fences",
        words: SEQLOCK,
        threads: &[
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
        asked: TORN,
        rc11: Sometimes(21),
        c11: Sometimes(21),
    },
];

/// Two more, for what is known of loom. Their verdicts were found by hand.
pub static TRAPS: &[Litmus] = &[
    // Thread 0 is alone in storing y, so its load finds 0; the rest is MP+rlx+rlx.
    Litmus {
        name: "own-index",
        asks: "MP+rlx+rlx whose writer first loads the index that it then stores",
        words: TWO_WORDS,
        threads: &[
            &[load(Y, Relaxed), store(X, 1, Relaxed), store(Y, 1, Relaxed)],
            &[load(Y, Relaxed), load(X, Relaxed)],
        ],
        asked: &[&[register(1, 0, 1), register(1, 1, 0)]],
        rc11: Sometimes(4),
        c11: Sometimes(4),
    },
    // Nothing orders the loads, so each finds any value: two times eight states.
    Litmus {
        name: "history",
        asks: "MP+rlx+rlx whose writer stores seven values of the data",
        words: TWO_WORDS,
        threads: &[
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
        asked: &[&[register(1, 0, 1), register(1, 1, 0)]],
        rc11: Sometimes(16),
        c11: Sometimes(16),
    },
];
