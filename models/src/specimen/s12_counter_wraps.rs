//! S12: a queue whose counters run to the end of their type and start again from zero, while a
//! counter's slot is its remainder by a capacity that is no power of two
//! (rust-embedded/heapless#207, and years later eclipse-iceoryx/iceoryx2#986).
//!
//! The capacity does not divide the type's range, so the last counter before the wrap and the
//! first after it share a slot, or skip one: live items are overwritten. With counters of 32 bits
//! that takes 4 thousand million pushes; here they have 8, and start near the end.
//!
//! A property test against a queue finds it within 20 cases. A power of two repairs it, and so do
//! counters that wrap at a multiple of the capacity.

use super::Specimen;
use super::property::{self, Checked, Queue};

/// Where counters of 8 bits wrap.
const WRAP: usize = 1 << u8::BITS;

/// A queue of `slots.len()` items whose counters are below `wrap`.
struct Ring {
    slots: Vec<u64>,
    wrap: usize,
    write: usize,
    read: usize,
}

impl Queue for Ring {
    fn push(&mut self, item: u64) -> bool {
        let capacity = self.slots.len();
        if (self.write + self.wrap - self.read) % self.wrap == capacity {
            return false;
        }
        self.slots[self.write % capacity] = item;
        self.write = (self.write + 1) % self.wrap;
        true
    }

    fn pop(&mut self) -> Option<u64> {
        (self.write != self.read).then(|| {
            let item = self.slots[self.read % self.slots.len()];
            self.read = (self.read + 1) % self.wrap;
            item
        })
    }
}

fn check(cases: u32, capacity: usize, wrap: usize) -> Checked {
    let near_the_end = wrap - 8..wrap;
    property::check(cases, (near_the_end, property::ops()), |(start, ops)| {
        let ring = Ring {
            slots: vec![0; capacity],
            wrap,
            write: start,
            read: start,
        };
        property::like_a_queue(ring, capacity, &ops)
    })
}

pub(super) fn specimen() -> Specimen {
    Specimen::new(
        "S12",
        "counters that wrap, any capacity",
        "eclipse-iceoryx/iceoryx2#986, rust-embedded/heapless#207",
    )
    .wrong("capacity 5, counters of 8 bits", 20, |cases| {
        check(cases, 5, WRAP)
    })
    .right("capacity 4", |cases| check(cases, 4, WRAP))
    .right("counters wrap at 10", |cases| check(cases, 5, 10))
}
