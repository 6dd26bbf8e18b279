//! A published decision matrix (*Decision Matrix*, of the chapter *Inter-Process Communication and
//! Shared Memory*), as far as it asks what [`Question`] asks, and *Selection Flowchart* of the guide
//! *Inter-Process Communication (IPC) in C++* where it says nothing.
//!
//! A circle with `experiments::ipc::advise`: an entry of the matrix says which of its questions it answers, and its
//! answers are read from the matrix.

use super::advise::Question;

/// One line of them.
#[derive(Debug)]
pub struct Entry {
    /// Which of the two it stands in.
    pub printed_in: &'static str,
    /// The need, as it is printed.
    pub need: &'static str,
    /// What to take, as it is printed.
    pub pick: &'static str,
    /// Mechanisms of ours that this is: their names begin like this.
    pub of: &'static [&'static str],
    applies: fn(&Question) -> bool,
}

/// Above this, traffic is no longer modest and throughput is at a maximum; the matrix names no
/// figure.
const MUCH: u32 = 100_000;

/// Below this a message is small, says the flowchart.
const SMALL: usize = 1024;

const MATRIX: &str = "The \"Decision Matrix\" of \"Inter-Process Communication and Shared Memory\"";
const FLOWCHART: &str =
    "The \"Selection Flowchart\" of \"Inter-Process Communication (IPC) in C++\"";

const SHARED_MEMORY: &[&str] = &["ring, ", "shm + "];
const UNIX_SOCKET: &[&str] = &["Unix "];

/// The first that applies is the answer.
const ENTRIES: [Entry; 8] = [
    Entry {
        printed_in: FLOWCHART,
        need: "need data persistence, large files",
        pick: "mmap",
        of: &["ring in a mapped"],
        applies: |question| question.persistent && question.size > SMALL,
    },
    Entry {
        printed_in: FLOWCHART,
        need: "need data persistence, simple exchange",
        pick: "files",
        of: &["file with"],
        applies: |question| question.persistent,
    },
    Entry {
        printed_in: MATRIX,
        need: "read-only data shared by many readers",
        pick: "mmap of a read-only file",
        of: &["ring in a mapped"],
        applies: |question| question.readers > 1 && !question.untrusted,
    },
    Entry {
        printed_in: MATRIX,
        need: "bulk data, low latency, both processes trusted",
        pick: "shared memory",
        of: SHARED_MEMORY,
        applies: |question| question.size > SMALL && !question.untrusted && !question.blocking,
    },
    Entry {
        printed_in: MATRIX,
        need: "producer-consumer with backpressure",
        pick: "a bounded queue in shared memory",
        of: SHARED_MEMORY,
        applies: |question| question.blocking && question.rate > MUCH && !question.untrusted,
    },
    Entry {
        printed_in: MATRIX,
        need: "one writer, one reader, max throughput",
        pick: "a ring buffer in shared memory (lock-free SPSC)",
        of: &["ring, "],
        applies: |question| question.rate > MUCH && !question.untrusted,
    },
    Entry {
        printed_in: MATRIX,
        need: "many small messages, low latency",
        pick: "a Unix domain socket",
        of: UNIX_SOCKET,
        applies: |question| question.rate > MUCH,
    },
    Entry {
        printed_in: MATRIX,
        need: "two unrelated processes, modest traffic",
        pick: "a Unix domain socket",
        of: UNIX_SOCKET,
        applies: |_| true,
    },
];

/// What they say.
pub(super) fn entry(question: &Question) -> Option<&'static Entry> {
    const { &ENTRIES }
        .iter()
        .find(|entry| (entry.applies)(question))
}
