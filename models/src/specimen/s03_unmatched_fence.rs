//! S3: a queue whose pop makes a fence of both kinds and then stores the read position Relaxed,
//! while push loads the read position Relaxed (eclipse-iceoryx/iceoryx2#119, #1356).
//!
//! A fence synchronises with nothing by itself. The release half of this one has no acquire
//! on the other side, so nothing orders the pop's read of the slot before the push that fills it
//! again.
//!
//! loom's cells report the race once the slot is used a second time. Release on the store and
//! Acquire on the load repair it; so does Acquire on the load alone, with the fence kept.

use super::Specimen;
use super::ring::{RIGHT, Ring, USED};
use crate::order::Order::{AcqRel, Relaxed};

pub(super) fn specimen() -> Specimen {
    let shipped = Ring {
        free_fence: Some(AcqRel),
        free: Relaxed,
        reclaim: Relaxed,
        ..RIGHT
    };
    let matched = Ring {
        reclaim: RIGHT.reclaim,
        ..shipped
    };
    Specimen::new(
        "S3",
        "a fence without a partner",
        "eclipse-iceoryx/iceoryx2#119, #1356",
    )
    .fault("as shipped", shipped, 16)
    .control("Release and Acquire", RIGHT, 40, USED)
    .control("the fence with a partner", matched, 40, USED)
}
