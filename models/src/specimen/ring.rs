//! A ring of one slot whose orderings are parameters. Each end keeps its own index to itself.

use std::sync::Arc;

use super::Program;
use crate::actor::Actor;
use crate::engine::{Slot, Word, slot, spawn_with, word};
use crate::order::Order::{self, Acquire, Release};
use crate::run::Run;

/// The orderings.
#[derive(Clone, Copy)]
pub(super) struct Ring {
    /// The producer stores its index.
    pub(super) publish: Order,
    /// The consumer loads it.
    pub(super) observe: Order,
    /// Between the consumer's read of the slot and its store.
    pub(super) free_fence: Option<Order>,
    /// The consumer stores its index.
    pub(super) free: Order,
    /// The producer loads it.
    pub(super) reclaim: Order,
}

/// Each index stored Release and loaded Acquire.
pub(super) const RIGHT: Ring = Ring {
    publish: Release,
    observe: Acquire,
    free_fence: None,
    free: Release,
    reclaim: Acquire,
};

/// What a ring that passes must have shown: it was full and empty, and its slot was used again.
pub(super) const USED: &[&str] = &[
    "producer saw full",
    "consumer saw empty",
    "the slot was used again",
];

/// What the two ends share: the slot is plain memory, so that the engine reports races.
struct Parts {
    write_index: Word,
    read_index: Word,
    slot: Slot,
}

impl Ring {
    /// Two tries to push the next item, numbered from 1.
    fn produce(self, producer: &Actor, parts: &Parts) {
        let mut written = 0;
        for _ in 0..2 {
            let read = producer.load("reclaim", &parts.read_index, self.reclaim);
            if written > read {
                producer.run().saw("producer saw full");
                continue;
            }
            written += 1;
            producer.write("fill", &parts.slot, written);
            producer.store("publish", &parts.write_index, written, self.publish);
        }
        if written == 2 {
            producer.run().saw("the slot was used again");
        }
    }

    /// Two tries to pop.
    fn consume(self, consumer: &Actor, parts: &Parts) {
        let mut read = 0;
        for _ in 0..2 {
            let written = consumer.load("observe", &parts.write_index, self.observe);
            if written == read {
                consumer.run().saw("consumer saw empty");
                continue;
            }
            let item: u64 = consumer.read("take", &parts.slot);
            read += 1;
            assert_eq!(item, read, "not the next item");
            if let Some(order) = self.free_fence {
                consumer.fence("free fence", order);
            }
            consumer.store("free", &parts.read_index, read, self.free);
        }
    }
}

impl Program for Ring {
    fn run(self, run: &Arc<Run>) {
        let parts = Arc::new(Parts {
            write_index: word(0),
            read_index: word(0),
            slot: slot(0),
        });
        let (producer, consumer) = (run.actor("producer"), run.actor("consumer"));
        let producing = spawn_with(&parts, move |parts| self.produce(&producer, parts));
        self.consume(&consumer, &parts);
        producing.join();
    }
}
