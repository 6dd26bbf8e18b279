//! S4: a queue whose pop copies the slot and then stores the read position Relaxed
//! (eclipse-iceoryx/iceoryx#1396).
//!
//! The copy may sink below the store that gives the slot back, and then reads what the next push
//! has begun to write.
//!
//! loom's cells report the race, in a ring that wraps: one that is never used up hides it.
//! Release on the store repairs it.

use super::Specimen;
use super::ring::{RIGHT, Ring, USED};
use crate::order::Order::Relaxed;

pub(super) fn specimen() -> Specimen {
    let shipped = Ring {
        free: Relaxed,
        ..RIGHT
    };
    Specimen::new("S4", "a slot freed Relaxed", "eclipse-iceoryx/iceoryx#1396")
        .fault("as shipped", shipped, 16)
        .control("freed Release", RIGHT, 40, USED)
}
