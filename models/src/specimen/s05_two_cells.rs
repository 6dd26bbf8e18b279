//! S5: a value in two cells that are written in turn; the reader copies the current one, looks
//! whether the version has changed, and has nothing between the copy and the look
//! (eclipse-iceoryx/iceoryx2#125; seen to fail on arm64).
//!
//! Two writes later the cell is being filled again. The copy may sink below the look, which then
//! still finds the old version, and a half-new value is kept.
//!
//! loom finds it within two writes and one attempt. An acquire fence between copy and look, with
//! a release fence between the version and the next write, repairs it.

use std::sync::Arc;

use super::{Program, Specimen};
use crate::actor::Actor;
use crate::engine::{Word, spawn_with, word};
use crate::order::Order::{Acquire, Relaxed, Release};
use crate::run::Run;

/// Which fences there are.
#[derive(Clone, Copy)]
struct TwoCells {
    write_fence: bool,
    read_fence: bool,
}

/// The version, the number of the last write, says which cell is current: its parity.
struct Parts {
    version: Word,
    cells: [[Word; 2]; 2],
}

impl TwoCells {
    fn write(self, writer: &Actor, parts: &Parts, number: u64) {
        let [left, right] = &parts.cells[usize::from(number % 2 == 1)];
        if self.write_fence {
            writer.fence("write fence", Release);
        }
        writer.store("left", left, number, Relaxed);
        writer.store("right", right, number, Relaxed);
        writer.store("publish", &parts.version, number, Release);
    }

    fn try_read(self, reader: &Actor, parts: &Parts) -> Option<(u64, [u64; 2])> {
        let version = reader.load("first look", &parts.version, Acquire);
        let [left, right] = &parts.cells[usize::from(version % 2 == 1)];
        let words = [
            reader.load("left", left, Relaxed),
            reader.load("right", right, Relaxed),
        ];
        if self.read_fence {
            reader.fence("read fence", Acquire);
        }
        let second = reader.load("second look", &parts.version, Relaxed);
        (second == version).then_some((version, words))
    }
}

impl Program for TwoCells {
    fn run(self, run: &Arc<Run>) {
        let parts = Arc::new(Parts {
            version: word(0),
            cells: [[word(0), word(0)], [word(0), word(0)]],
        });
        let (writer, reader) = (run.actor("writer"), run.actor("reader"));
        let writing = spawn_with(&parts, move |parts| {
            self.write(&writer, parts, 1);
            self.write(&writer, parts, 2);
        });
        match self.try_read(&reader, &parts) {
            None => run.saw("refused"),
            Some((version, words)) => {
                assert!(
                    words == [version; 2],
                    "kept {words:?} as the value of version {version}"
                );
                run.saw("read a value");
            }
        }
        writing.join();
    }
}

pub(super) fn specimen() -> Specimen {
    let right = TwoCells {
        write_fence: true,
        read_fence: true,
    };
    let shipped = TwoCells {
        read_fence: false,
        ..right
    };
    Specimen::new(
        "S5",
        "two cells, read without a fence",
        "eclipse-iceoryx/iceoryx2#125",
    )
    .fault("no read fence", shipped, 28)
    .control("both fences", right, 600, &["refused", "read a value"])
}
