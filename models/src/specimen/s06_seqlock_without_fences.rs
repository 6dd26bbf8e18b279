//! S6: a seqlock that several writers lock by compare-and-swap, without an acquire fence at the
//! end of a read and without a release fence at the start of a write
//! (python/cpython#121388; seen to fail on arm64).
//!
//! The compare-and-swap is sequentially consistent, and that is not enough: what is stored after
//! it may still become visible before it. Here an addition stands for it, since one writer never
//! fails to lock.
//!
//! loom finds each missing fence by itself; the two fences repair it.

use super::Specimen;
use super::seqlock::{BOEHM, Odd, READS, Seqlock};
use crate::order::Order::{Acquire, SeqCst};

pub(super) fn specimen() -> Specimen {
    let fenced = Seqlock {
        odd: Odd::Add(SeqCst),
        ..BOEHM
    };
    let reader = Seqlock {
        read_fence: None,
        second: Some(Acquire),
        ..fenced
    };
    let writer = Seqlock {
        write_fence: None,
        ..fenced
    };
    Specimen::new("S6", "a seqlock without fences", "python/cpython#121388")
        .fault("no fence at the end of a read", reader, 28)
        .fault("no fence at the start of a write", writer, 28)
        .control("both fences", fenced, 600, READS)
}
