//! S4: a queue whose pop copies the slot and then stores the read position Relaxed
//! (eclipse-iceoryx/iceoryx#1396).
//!
//! The copy may sink below the store that gives the slot back, and then reads what the next push
//! has begun to write.
//!
//! loom's cells report the race, in a ring that wraps: one that is never used up hides it.
//! Release on the store repairs it.

use super::ring::{RIGHT, Ring, control};
use super::{Fault, Specimen};
use crate::order::Order::Relaxed;

pub(super) fn specimen() -> Specimen {
    let shipped = Ring {
        free: Relaxed,
        ..RIGHT
    };
    Specimen {
        number: "S4",
        name: "a slot freed Relaxed",
        source: "eclipse-iceoryx/iceoryx#1396",
        faults: vec![Fault::model("as shipped", shipped, 16)],
        controls: vec![control("freed Release", RIGHT, 40)],
        blind: vec![],
    }
}
