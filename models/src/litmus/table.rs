//! The tests themselves.

use super::Op::{Add, Fence, Load, Store};
use super::Verdict::{Never, Sometimes};
use super::{Is, Litmus, Op, Place, Verdict};
use crate::order::Order::{AcqRel, Acquire, Relaxed, Release, SeqCst};

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
    Store(S, 1, Relaxed),
    Fence(Release),
    Store(A, 1, Relaxed),
    Store(B, 1, Relaxed),
    Store(S, 2, Release),
];
const READER: &[Op] = &[
    Load(S, Acquire),
    Load(A, Relaxed),
    Load(B, Relaxed),
    Fence(Acquire),
    Load(S, Relaxed),
];
const TEXTBOOK_WRITER: &[Op] = &[
    Store(S, 1, Release),
    Store(A, 1, Relaxed),
    Store(B, 1, Relaxed),
    Store(S, 2, Release),
];
const TEXTBOOK_READER: &[Op] = &[
    Load(S, Acquire),
    Load(A, Relaxed),
    Load(B, Relaxed),
    Load(S, Acquire),
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

/// Declares the tests: each its name, what it asks, the states that it asks about, the verdict; then its threads,
/// each a list of operations or the name of one.
macro_rules! litmus {
    (@ops [$($op:expr),*]) => { &[$($op),*] };
    (@ops $ops:ident) => { $ops };
    ($(#[$doc:meta])* $table:ident;
     $($name:literal: $asks:literal, $asked:expr, $verdict:expr $(, .$method:ident($argument:expr))* => {
        $($ops:tt)*
    })*) => {
        $(#[$doc])*
        pub static $table: &[Litmus] = &[$(
            test($name, $asks, &[$(litmus!(@ops $ops)),*], $asked, $verdict)$(.$method($argument))*
        ),*];
    };
}

litmus! {
    /// All tests.
    ALL;

    "MP+rlx+rlx": "message passing, all relaxed", STALE, Sometimes(4) => {
        [Store(X, 1, Relaxed), Store(Y, 1, Relaxed)]
        [Load(Y, Relaxed), Load(X, Relaxed)]
    }
    "MP+rel+acq": "message passing, release/acquire", STALE, Never(3) => {
        [Store(X, 1, Relaxed), Store(Y, 1, Release)]
        [Load(Y, Acquire), Load(X, Relaxed)]
    }
    "MP+rel+rlx": "only the writer orders", STALE, Sometimes(4) => {
        [Store(X, 1, Relaxed), Store(Y, 1, Release)]
        [Load(Y, Relaxed), Load(X, Relaxed)]
    }
    "MP+rlx+acq": "only the reader orders", STALE, Sometimes(4) => {
        [Store(X, 1, Relaxed), Store(Y, 1, Relaxed)]
        [Load(Y, Acquire), Load(X, Relaxed)]
    }
    "MP+frel+facq": "fences on both sides", STALE, Never(3) => {
        [Store(X, 1, Relaxed), Fence(Release), Store(Y, 1, Relaxed)]
        [Load(Y, Relaxed), Fence(Acquire), Load(X, Relaxed)]
    }
    "MP+frel+acq": "fence, acquire load", STALE, Never(3) => {
        [Store(X, 1, Relaxed), Fence(Release), Store(Y, 1, Relaxed)]
        [Load(Y, Acquire), Load(X, Relaxed)]
    }
    "MP+rel+facq": "release store, fence", STALE, Never(3) => {
        [Store(X, 1, Relaxed), Store(Y, 1, Release)]
        [Load(Y, Relaxed), Fence(Acquire), Load(X, Relaxed)]
    }
    "MP+facq+facq": "the wrong fence at the writer", STALE, Sometimes(4) => {
        [Store(X, 1, Relaxed), Fence(Acquire), Store(Y, 1, Relaxed)]
        [Load(Y, Relaxed), Fence(Acquire), Load(X, Relaxed)]
    }
    "MP+frel+frel": "the wrong fence at the reader", STALE, Sometimes(4) => {
        [Store(X, 1, Relaxed), Fence(Release), Store(Y, 1, Relaxed)]
        [Load(Y, Relaxed), Fence(Release), Load(X, Relaxed)]
    }
    "SB+rlx": "store buffering, relaxed", BOTH_OLD, Sometimes(4) => {
        [Store(X, 1, Relaxed), Load(Y, Relaxed)]
        [Store(Y, 1, Relaxed), Load(X, Relaxed)]
    }
    "SB+rel+acq": "store buffering, release/acquire", BOTH_OLD, Sometimes(4) => {
        [Store(X, 1, Release), Load(Y, Acquire)]
        [Store(Y, 1, Release), Load(X, Acquire)]
    }
    "SB+sc": "store buffering, SeqCst accesses", BOTH_OLD, Never(3) => {
        [Store(X, 1, SeqCst), Load(Y, SeqCst)]
        [Store(Y, 1, SeqCst), Load(X, SeqCst)]
    }
    "SB+fsc+fsc": "store buffering, SeqCst fences (the sleep protocol)", BOTH_OLD, Never(3) => {
        [Store(X, 1, Relaxed), Fence(SeqCst), Load(Y, Relaxed)]
        [Store(Y, 1, Relaxed), Fence(SeqCst), Load(X, Relaxed)]
    }
    "SB+fsc+far": "one fence only AcqRel", BOTH_OLD, Sometimes(4) => {
        [Store(X, 1, Relaxed), Fence(SeqCst), Load(Y, Relaxed)]
        [Store(Y, 1, Relaxed), Fence(AcqRel), Load(X, Relaxed)]
    }
    "LB+rlx": "load buffering, relaxed", BOTH_NEW, Sometimes(4), .rc11(Never(3)) => {
        [Load(X, Relaxed), Store(Y, 1, Relaxed)]
        [Load(Y, Relaxed), Store(X, 1, Relaxed)]
    }
    "LB+rel+acq": "load buffering, acquire then release", BOTH_NEW, Never(3) => {
        [Load(X, Acquire), Store(Y, 1, Release)]
        [Load(Y, Acquire), Store(X, 1, Release)]
    }
    "LB+rel+rlx": "load buffering, one side ordered (a ring side that frees a slot)",
        BOTH_NEW, Sometimes(4), .rc11(Never(3)) => {
        [Load(X, Relaxed), Store(Y, 1, Release)]
        [Load(Y, Relaxed), Store(X, 1, Relaxed)]
    }
    "S+rel+acq": "write ordered before write", OVERTAKEN, Never(3) => {
        [Store(X, 2, Relaxed), Store(Y, 1, Release)]
        [Load(Y, Acquire), Store(X, 1, Relaxed)]
    }
    "S+rlx": "the same, relaxed", OVERTAKEN, Sometimes(4) => {
        [Store(X, 2, Relaxed), Store(Y, 1, Relaxed)]
        [Load(Y, Relaxed), Store(X, 1, Relaxed)]
    }
    "R+rlx": "write to write, write to read, relaxed", UNSEEN, Sometimes(4) => {
        [Store(X, 1, Relaxed), Store(Y, 1, Relaxed)]
        [Store(Y, 2, Relaxed), Load(X, Relaxed)]
    }
    "R+fsc": "the same, SeqCst fences", UNSEEN, Never(3) => {
        [Store(X, 1, Relaxed), Fence(SeqCst), Store(Y, 1, Relaxed)]
        [Store(Y, 2, Relaxed), Fence(SeqCst), Load(X, Relaxed)]
    }
    "2+2W+rlx": "two writers, crossed", BOTH_FIRST, Sometimes(4) => {
        [Store(X, 2, Relaxed), Store(Y, 1, Relaxed)]
        [Store(Y, 2, Relaxed), Store(X, 1, Relaxed)]
    }
    "2+2W+rel": "two writers, crossed, release", BOTH_FIRST, Sometimes(4) => {
        [Store(X, 2, Relaxed), Store(Y, 1, Release)]
        [Store(Y, 2, Relaxed), Store(X, 1, Release)]
    }
    "CoRR": "two reads of one word, same thread", STALE, Never(3), .of(ONE_WORD) => {
        [Store(X, 1, Relaxed)]
        [Load(X, Relaxed), Load(X, Relaxed)]
    }
    "CoWR": "read after own write", &[&[register(0, 0, 0)]], Never(2), .of(ONE_WORD) => {
        [Store(X, 1, Relaxed), Load(X, Relaxed)]
        [Store(X, 2, Relaxed)]
    }
    "CoRW": "read from a later own write", &[&[register(0, 0, 1)]], Never(1), .of(ONE_WORD) => {
        [Load(X, Relaxed), Store(X, 1, Relaxed)]
    }
    "WRC+rel+acq": "causality through a third thread", STALE_THIRD, Never(7) => {
        [Store(X, 1, Relaxed)]
        [Load(X, Relaxed), Store(Y, 1, Release)]
        [Load(Y, Acquire), Load(X, Relaxed)]
    }
    "WRC+rlx": "the same, relaxed", STALE_THIRD, Sometimes(8) => {
        [Store(X, 1, Relaxed)]
        [Load(X, Relaxed), Store(Y, 1, Relaxed)]
        [Load(Y, Relaxed), Load(X, Relaxed)]
    }
    "ISA2+rel+acq": "two hops, release/acquire", STALE_THIRD, Never(7), .of(THREE_WORDS) => {
        [Store(X, 1, Relaxed), Store(Y, 1, Release)]
        [Load(Y, Acquire), Store(Z, 1, Release)]
        [Load(Z, Acquire), Load(X, Relaxed)]
    }
    "ISA2+rel+rlx+acq": "the middle hop relaxed", STALE_THIRD, Sometimes(8), .of(THREE_WORDS) => {
        [Store(X, 1, Relaxed), Store(Y, 1, Release)]
        [Load(Y, Relaxed), Store(Z, 1, Relaxed)]
        [Load(Z, Acquire), Load(X, Relaxed)]
    }
    "IRIW+acq": "two readers disagree, acquire loads", DISAGREE, Sometimes(16) => {
        [Store(X, 1, Release)]
        [Store(Y, 1, Release)]
        [Load(X, Acquire), Load(Y, Acquire)]
        [Load(Y, Acquire), Load(X, Acquire)]
    }
    "IRIW+sc": "the same, SeqCst", DISAGREE, Never(15) => {
        [Store(X, 1, SeqCst)]
        [Store(Y, 1, SeqCst)]
        [Load(X, SeqCst), Load(Y, SeqCst)]
        [Load(Y, SeqCst), Load(X, SeqCst)]
    }
    "RS+rmw": "release sequence through a relaxed read-modify-write",
        &[&[register(1, 0, 1), register(2, 0, 2), register(2, 1, 0)]], Never(8) => {
        [Store(X, 1, Relaxed), Store(Y, 1, Release)]
        [Add(Y, 1, Relaxed)]
        [Load(Y, Acquire), Load(X, Relaxed)]
    }
    "RS+own-store": "a later relaxed store of the same thread (no release sequence since C++20)",
        &[&[register(1, 0, 2), register(1, 1, 0)]], Never(4) => {
        [Store(X, 1, Relaxed), Store(Y, 1, Release), Store(Y, 2, Relaxed)]
        [Load(Y, Acquire), Load(X, Relaxed)]
    }
    "fence3": "an acquire fence must not borrow what another thread read relaxed", STALE_THIRD, Sometimes(8), .of(THREE_WORDS) => {
        [Store(X, 1, Relaxed), Store(Y, 1, Release)]
        [Load(Y, Relaxed), Store(Z, 1, Release)]
        [Load(Z, Acquire), Fence(Acquire), Load(X, Relaxed)]
    }
    "seqlock+boehm": "this library's seqlock (Boehm, 2012)", TORN, Never(18), .of(SEQLOCK) => {
        WRITER
        READER
    }
    "seqlock+textbook": "a textbook's seqlock: release, no fence; acquire, no fence", TORN, Sometimes(21), .of(SEQLOCK) => {
        TEXTBOOK_WRITER
        TEXTBOOK_READER
    }
    "seqlock+textbook-writer": "only the writer as the textbook has it", TORN, Sometimes(21), .of(SEQLOCK) => {
        TEXTBOOK_WRITER
        READER
    }
    "seqlock+textbook-reader": "only the reader as the textbook has it", TORN, Sometimes(21), .of(SEQLOCK) => {
        WRITER
        TEXTBOOK_READER
    }
    "seqlock+even-rlx": "even stored relaxed", TORN, Sometimes(21), .of(SEQLOCK) => {
        [Store(S, 1, Relaxed), Fence(Release), Store(A, 1, Relaxed), Store(B, 1, Relaxed),
         Store(S, 2, Relaxed)]
        READER
    }
    "seqlock+first-rlx": "first load relaxed", TORN, Sometimes(21), .of(SEQLOCK) => {
        WRITER
        [Load(S, Relaxed), Load(A, Relaxed), Load(B, Relaxed), Fence(Acquire), Load(S, Relaxed)]
    }
    "seqlock+all-sc": "sequence SeqCst everywhere, no fences", TORN, Sometimes(21), .of(SEQLOCK) => {
        [Store(S, 1, SeqCst), Store(A, 1, Relaxed), Store(B, 1, Relaxed), Store(S, 2, SeqCst)]
        [Load(S, SeqCst), Load(A, Relaxed), Load(B, Relaxed), Load(S, SeqCst)]
    }
}

litmus! {
    /// Two more, for what is known of loom. Their verdicts were found by hand.
    TRAPS;

    // Thread 0 is alone in storing y, so its load finds 0; the rest is MP+rlx+rlx.
    "own-index": "MP+rlx+rlx whose writer first loads the index that it then stores", STALE, Sometimes(4) => {
        [Load(Y, Relaxed), Store(X, 1, Relaxed), Store(Y, 1, Relaxed)]
        [Load(Y, Relaxed), Load(X, Relaxed)]
    }
    // Nothing orders the loads, so each finds any value: two times eight states.
    "history": "MP+rlx+rlx whose writer stores seven values of the data", STALE, Sometimes(16) => {
        [Store(X, 1, Relaxed), Store(X, 2, Relaxed), Store(X, 3, Relaxed), Store(X, 4, Relaxed),
         Store(X, 5, Relaxed), Store(X, 6, Relaxed), Store(X, 7, Relaxed), Store(Y, 1, Relaxed)]
        [Load(Y, Relaxed), Load(X, Relaxed)]
    }
}
