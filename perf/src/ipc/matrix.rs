//! The documents' decision matrix (*Decision Matrix*, of the chapter on inter-process communication
//! and shared memory), as far as it asks what [`Question`] asks, and *Selection Flowchart* of the
//! reference guide where it says nothing.

use super::advise::Question;

/// One line of it.
#[derive(Debug)]
pub struct Entry {
    /// The need, as it is printed.
    pub need: &'static str,
    /// What to take, as it is printed.
    pub pick: &'static str,
    /// Mechanisms of ours that this is: their names begin like this.
    pub of: &'static [&'static str],
    applies: fn(&Question) -> bool,
}

/// Above this, traffic is no longer modest and throughput is at a maximum; the documents name no
/// figure.
const MUCH: f64 = 100_000.0;

/// Below this a message is small, says the flowchart.
const SMALL: usize = 1024;

const SHARED_MEMORY: &[&str] = &["ring, ", "shm + "];
const UNIX_SOCKET: &[&str] = &["Unix "];

/// The first that applies is the answer.
const MATRIX: [Entry; 8] = [
    Entry {
        need: "need data persistence, large files",
        pick: "mmap",
        of: &["ring in a mapped"],
        applies: |question| question.persistent && question.size > SMALL,
    },
    Entry {
        need: "need data persistence, simple exchange",
        pick: "files",
        of: &["file with"],
        applies: |question| question.persistent,
    },
    Entry {
        need: "read-only data shared by many readers",
        pick: "mmap of a read-only file",
        of: &["ring in a mapped"],
        applies: |question| question.readers > 1 && !question.untrusted,
    },
    Entry {
        need: "bulk data, low latency, both processes trusted",
        pick: "shared memory",
        of: SHARED_MEMORY,
        applies: |question| question.size > SMALL && !question.untrusted && !question.blocking,
    },
    Entry {
        need: "producer-consumer with backpressure",
        pick: "a bounded queue in shared memory",
        of: SHARED_MEMORY,
        applies: |question| question.blocking && question.rate > MUCH && !question.untrusted,
    },
    Entry {
        need: "one writer, one reader, max throughput",
        pick: "a ring buffer in shared memory (lock-free SPSC)",
        of: &["ring, "],
        applies: |question| question.rate > MUCH && !question.untrusted,
    },
    Entry {
        need: "many small messages, low latency",
        pick: "a Unix domain socket",
        of: UNIX_SOCKET,
        applies: |question| question.rate > MUCH,
    },
    Entry {
        need: "two unrelated processes, modest traffic",
        pick: "a Unix domain socket",
        of: UNIX_SOCKET,
        applies: |_| true,
    },
];

/// What the matrix says.
pub(super) fn entry(question: &Question) -> Option<&'static Entry> {
    const { &MATRIX }
        .iter()
        .find(|entry| (entry.applies)(question))
}
