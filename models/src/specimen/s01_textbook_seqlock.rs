//! S1: the seqlock as it is commonly printed. The writer stores the odd sequence with Release
//! and the payload after it; the reader looks at the sequence twice with Acquire.
//!
//! Both orderings point the wrong way. A release store holds back what comes *before* it, so the
//! payload may become visible ahead of the odd sequence; an acquire load holds back what comes
//! *after* it, so the payload may be read after the second look. Either way a reader keeps a
//! value of which one half is new. On x86 neither happens, which is why it is still printed.
//!
//! loom finds it in a single write met by a single attempt; each half is wrong by itself. Boehm's
//! two fences repair it, and so does an ordering on every word of the payload.

use super::Specimen;
use super::seqlock::{BOEHM, Odd, READS, Seqlock};
use crate::order::Order::{Acquire, Release};

pub(super) fn specimen() -> Specimen {
    let writer = Seqlock {
        odd: Odd::Store(Release),
        write_fence: None,
        ..BOEHM
    };
    let reader = Seqlock {
        read_fence: None,
        second: Some(Acquire),
        ..BOEHM
    };
    let both = Seqlock {
        read_fence: reader.read_fence,
        second: reader.second,
        ..writer
    };
    let releasing = Seqlock {
        write_fence: None,
        words_stored: Release,
        ..BOEHM
    };
    let acquiring = Seqlock {
        read_fence: None,
        words_loaded: Acquire,
        ..BOEHM
    };
    Specimen::new(
        "S1",
        "the textbook seqlock",
        "textbook code, as many articles on shared memory print it",
    )
    .fault("as printed", both, 28)
    .fault("its writer alone", writer, 28)
    .fault("its reader alone", reader, 28)
    .control("Boehm's fences", BOEHM, 600, READS)
    .control(
        "payload stored Release, no write fence",
        releasing,
        600,
        READS,
    )
    .control(
        "payload loaded Acquire, no read fence",
        acquiring,
        600,
        READS,
    )
}
