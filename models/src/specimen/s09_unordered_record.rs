//! S9: a record is written as data, then size, then a magic number that says the two are there,
//! with no ordering between them; the reader checks the magic and trusts the rest
//! (ClusterLabs/libqb#64).
//!
//! The magic may become visible first, and the reader may load size or data before it.
//!
//! loom finds it in one record. Release on the magic's store with Acquire on its load repairs it.

use std::sync::Arc;

use super::{Program, Specimen};
use crate::engine::{spawn_with, word};
use crate::order::Order::{self, Acquire, Relaxed, Release};
use crate::run::Run;

const MAGIC: u64 = 0xc0de;
const SIZE: u64 = 8;
const DATA: u64 = 42;

/// How the magic is stored and loaded.
#[derive(Clone, Copy)]
struct Record {
    stored: Order,
    loaded: Order,
}

impl Program for Record {
    fn run(self, run: &Arc<Run>) {
        let words = Arc::new([word(0), word(0), word(0)]);
        let (writer, reader) = (run.actor("writer"), run.actor("reader"));
        let writing = spawn_with(&words, move |[magic, size, data]| {
            writer.store("data", data, DATA, Relaxed);
            writer.store("size", size, SIZE, Relaxed);
            writer.store("magic", magic, MAGIC, self.stored);
        });
        let [magic, size, data] = &*words;
        if reader.load("magic", magic, self.loaded) == MAGIC {
            let size = reader.load("size", size, Relaxed);
            let data = reader.load("data", data, Relaxed);
            assert!(
                [size, data] == [SIZE, DATA],
                "the magic came with size {size} and data {data}"
            );
            run.saw("read the record");
        } else {
            run.saw("no record yet");
        }
        writing.join();
    }
}

pub(super) fn specimen() -> Specimen {
    let shipped = Record {
        stored: Relaxed,
        loaded: Relaxed,
    };
    let right = Record {
        stored: Release,
        loaded: Acquire,
    };
    let (repair, witnesses) = (
        "magic stored Release, loaded Acquire",
        &["read the record", "no record yet"],
    );
    Specimen::new("S9", "a record without ordering", "ClusterLabs/libqb#64")
        .fault("as shipped", shipped, 6)
        .control(repair, right, 6, witnesses)
}
