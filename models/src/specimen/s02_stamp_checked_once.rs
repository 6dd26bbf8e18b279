//! S2: a slot with a stamp that the reader checks before the copy and never again, filled by a
//! writer that marks it as being written and has no fence after the mark
//! (softmata/horus#156 mended the writer).
//!
//! With one look, a writer that arrives during the copy goes unnoticed in any memory model, so
//! shuttle sees it, too. With two looks, the missing fence remains: the payload may become visible
//! before the mark, and both looks find the old stamp. That half only loom can see.
//!
//! A second look behind an acquire fence, and a release fence behind the mark, repair it.

use super::Specimen;
use super::seqlock::{BOEHM, Odd, READS, Seqlock};
use crate::order::Order::Release;

pub(super) fn specimen() -> Specimen {
    let unfenced = Seqlock {
        odd: Odd::Store(Release),
        write_fence: None,
        ..BOEHM
    };
    let once = Seqlock {
        read_fence: None,
        second: None,
        ..BOEHM
    };
    Specimen::new("S2", "a stamp checked once", "softmata/horus#156")
        .fault("checked once", once, 6)
        .also_by_shuttle(10)
        .fault("no write fence", unfenced, 28)
        .control("checked twice, fenced", BOEHM, 600, READS)
}
