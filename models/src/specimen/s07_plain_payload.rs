//! S7: a seqlock with both of Boehm's fences over a payload in plain memory, read first and
//! judged afterwards (crossbeam-rs/crossbeam#859).
//!
//! No torn value is ever kept, and the program is undefined all the same: the read races with the
//! write, whatever is done with the result.
//!
//! loom's cells report the race. A payload of relaxed atomic words repairs it.

use std::sync::Arc;

use super::{Program, Specimen};
use crate::actor::Actor;
use crate::engine::{Slot, Word, slot, spawn_with, word};
use crate::order::Order::{Acquire, Relaxed, Release};
use crate::run::Run;

/// What the payload is made of.
#[derive(Clone, Copy)]
enum Over {
    Plain,
    Atomic,
}

/// Sequence and payload.
struct Parts {
    seq: Word,
    plain: Slot,
    atomic: Word,
}

impl Over {
    fn put(self, writer: &Actor, parts: &Parts, value: u64) {
        match self {
            Over::Plain => writer.write("payload", &parts.plain, value),
            Over::Atomic => writer.store("payload", &parts.atomic, value, Relaxed),
        }
    }

    fn get(self, reader: &Actor, parts: &Parts) -> u64 {
        match self {
            Over::Plain => reader.read("payload", &parts.plain),
            Over::Atomic => reader.load("payload", &parts.atomic, Relaxed),
        }
    }
}

impl Program for Over {
    fn run(self, run: &Arc<Run>) {
        let parts = Arc::new(Parts {
            seq: word(0),
            plain: slot(0),
            atomic: word(0),
        });
        let (writer, reader) = (run.actor("writer"), run.actor("reader"));
        let writing = spawn_with(&parts, move |parts| {
            writer.store("odd", &parts.seq, 1, Relaxed);
            writer.fence("write fence", Release);
            self.put(&writer, parts, 1);
            writer.store("even", &parts.seq, 2, Release);
        });
        let first = reader.load("first look", &parts.seq, Acquire);
        if first.is_multiple_of(2) {
            let value = self.get(&reader, &parts);
            reader.fence("read fence", Acquire);
            if reader.load("second look", &parts.seq, Relaxed) == first {
                assert!(
                    value == first / 2,
                    "kept {value} as the value of sequence {first}"
                );
                run.saw("read a value");
            } else {
                run.saw("refused after the read");
            }
        }
        writing.join();
    }
}

pub(super) fn specimen() -> Specimen {
    let witnesses = &["read a value", "refused after the read"];
    Specimen::new(
        "S7",
        "a seqlock over plain memory",
        "crossbeam-rs/crossbeam#859",
    )
    .fault("plain payload", Over::Plain, 2)
    .control("atomic payload", Over::Atomic, 150, witnesses)
}
