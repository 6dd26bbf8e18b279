//! S2: a slot with a stamp that the reader checks before the copy and never again, filled by a
//! writer that marks it as being written and has no fence after the mark
//! (softmata/horus#156 mended the writer).
//!
//! With one look, a writer that arrives during the copy goes unnoticed in any memory model, so
//! shuttle sees it, too. With two looks, the missing fence remains: the payload may become visible
//! before the mark, and both looks find the old stamp. That half only loom can see.
//!
//! A second look behind an acquire fence, and a release fence behind the mark, repair it.

use super::seqlock::{BOEHM, Odd, Seqlock, control};
use super::{Fault, Specimen};
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
    Specimen {
        number: "S2",
        name: "a stamp checked once",
        source: "softmata/horus#156",
        faults: vec![
            Fault::model("checked once", once, 6).also_by_shuttle(10),
            Fault::model("no write fence", unfenced, 28),
        ],
        controls: vec![control("checked twice, fenced", BOEHM, 600)],
        blind: vec![],
    }
}
