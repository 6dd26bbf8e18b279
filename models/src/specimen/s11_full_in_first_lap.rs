//! S11: the ring's test for "full" as it is commonly printed: `(write_idx + 1) % N == read_idx`,
//! with indices that count up and are never wrapped.
//!
//! The left side is below N and the right side soon is not: the test is true in the first lap
//! only. Afterwards a push is never refused and overwrites live slots.
//!
//! A property test against a queue finds it within 20 cases. Comparing the distance of the two
//! indices repairs it.

use super::Specimen;
use super::property::{self, Checked, Queue};

const SLOTS: u64 = 4;
/// One slot stays empty, as the printed test intends.
const CAPACITY: u64 = SLOTS - 1;

/// A ring and its test for "full", of the write and the read index.
struct Ring {
    slots: [u64; SLOTS as usize],
    write: u64,
    read: u64,
    full: fn(u64, u64) -> bool,
}

impl Queue for Ring {
    fn push(&mut self, item: u64) -> bool {
        if (self.full)(self.write, self.read) {
            return false;
        }
        self.slots[(self.write % SLOTS) as usize] = item;
        self.write += 1;
        true
    }

    fn pop(&mut self) -> Option<u64> {
        (self.write != self.read).then(|| {
            let item = self.slots[(self.read % SLOTS) as usize];
            self.read += 1;
            item
        })
    }
}

fn check(cases: u32, full: fn(u64, u64) -> bool) -> Checked {
    property::check(cases, property::ops(), |ops| {
        let ring = Ring {
            slots: [0; SLOTS as usize],
            write: 0,
            read: 0,
            full,
        };
        property::like_a_queue(ring, CAPACITY as usize, &ops)
    })
}

pub(super) fn specimen() -> Specimen {
    let printed = |cases| check(cases, |write, read| (write + 1) % SLOTS == read);
    let distance = |cases| check(cases, |write, read| write - read == CAPACITY);
    Specimen::new(
        "S11",
        "full in the first lap only",
        "textbook code, as many articles on shared memory print it",
    )
    .wrong("as printed", 20, printed)
    .right("distance of the indices", distance)
}
