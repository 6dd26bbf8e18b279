//! S10: a queue of linked blocks. To grow it, the producer links a new block behind the last one,
//! makes a release fence, and stores which block is the last. The consumer goes by the latter and
//! is safe; whoever counts the items walks the links (cameron314/readerwriterqueue#172; seen to
//! crash on arm64).
//!
//! The fence orders only what is stored after it, and the first of the two links is not: the
//! walker may reach the new block before what the block contains, and follow a null.
//!
//! loom finds it in one link. The fence before the first link repairs it.

use std::sync::Arc;

use super::{Program, Specimen};
use crate::engine::{Word, spawn_with, word};
use crate::order::Order::{Acquire, Relaxed, Release};
use crate::run::Run;

/// Names of blocks, where there would be pointers.
const NULL: u64 = 0;
const OLD: u64 = 1;
const NEW: u64 = 2;

/// Where the producer's fence is.
#[derive(Clone, Copy, PartialEq)]
enum Fence {
    BeforeLink,
    AfterLink,
}

/// The blocks form a circle, so far of the old one alone.
struct Blocks {
    next_of_old: Word,
    next_of_new: Word,
    last: Word,
}

impl Program for Fence {
    fn run(self, run: &Arc<Run>) {
        let blocks = Arc::new(Blocks {
            next_of_old: word(OLD),
            next_of_new: word(NULL),
            last: word(OLD),
        });
        let (producer, walker) = (run.actor("producer"), run.actor("walker"));
        let growing = spawn_with(&blocks, move |blocks| {
            producer.store("fill the new block", &blocks.next_of_new, OLD, Relaxed);
            if self == Fence::BeforeLink {
                producer.fence("fence", Release);
            }
            producer.store("link", &blocks.next_of_old, NEW, Relaxed);
            if self == Fence::AfterLink {
                producer.fence("fence", Release);
            }
            producer.store("last block", &blocks.last, NEW, Relaxed);
        });
        let next = walker.load("follow the link", &blocks.next_of_old, Relaxed);
        walker.fence("walker's fence", Acquire);
        if next == NEW {
            let next = walker.load("follow the new block's", &blocks.next_of_new, Relaxed);
            assert!(next != NULL, "the new block came without what it contains");
            run.saw("walked two blocks");
        } else {
            run.saw("walked one block");
        }
        growing.join();
    }
}

pub(super) fn specimen() -> Specimen {
    let witnesses = &["walked one block", "walked two blocks"];
    Specimen::new(
        "S10",
        "a fence after the first link",
        "cameron314/readerwriterqueue#172",
    )
    .fault("fence after the link", Fence::AfterLink, 6)
    .control("fence before the link", Fence::BeforeLink, 6, witnesses)
}
