//! A seqlock of two words whose orderings are parameters: one program for every specimen that
//! got one of them wrong.

use std::sync::Arc;

use super::Program;
use crate::actor::Actor;
use crate::engine::{Update, Word, spawn_with, word};
use crate::order::Order::{self, Acquire, Relaxed, Release};
use crate::run::Run;

/// How the writer makes the sequence odd.
#[derive(Clone, Copy)]
pub(super) enum Odd {
    /// By a store.
    Store(Order),
    /// By an addition in one step, as where several writers compete for the lock.
    Add(Order),
}

/// The orderings.
#[derive(Clone, Copy)]
pub(super) struct Seqlock {
    pub(super) odd: Odd,
    /// Between the odd sequence and the payload.
    pub(super) write_fence: Option<Order>,
    pub(super) words_stored: Order,
    pub(super) even: Order,
    pub(super) first: Order,
    pub(super) words_loaded: Order,
    /// Between the payload and the second look at the sequence.
    pub(super) read_fence: Option<Order>,
    /// The second look; `None`: there is none.
    pub(super) second: Option<Order>,
}

/// The orderings of Boehm, "Can seqlocks get along with programming language memory models?"
/// (MSPC 2012).
pub(super) const BOEHM: Seqlock = Seqlock {
    odd: Odd::Store(Relaxed),
    write_fence: Some(Release),
    words_stored: Relaxed,
    even: Release,
    first: Acquire,
    words_loaded: Relaxed,
    read_fence: Some(Acquire),
    second: Some(Relaxed),
};

/// What a seqlock that passes must have shown: it met the writer before, after and during a write.
pub(super) const READS: &[&str] = &["read the old value", "read the new value", "refused"];

impl Seqlock {
    /// Writes 1 into both words, which hold 0 under sequence 0.
    fn write(self, writer: &Actor, seq: &Word, words: &[Word; 2]) {
        match self.odd {
            Odd::Store(order) => writer.store("odd", seq, 1, order),
            Odd::Add(order) => {
                writer.update("odd", seq, Update::Add(1), order);
            }
        }
        if let Some(order) = self.write_fence {
            writer.fence("write fence", order);
        }
        writer.store("left", &words[0], 1, self.words_stored);
        writer.store("right", &words[1], 1, self.words_stored);
        writer.store("even", seq, 2, self.even);
    }

    /// Tries once: the sequence and the words, if they are taken to belong together.
    fn try_read(self, reader: &Actor, seq: &Word, words: &[Word; 2]) -> Option<(u64, [u64; 2])> {
        let first = reader.load("first look", seq, self.first);
        if first % 2 == 1 {
            return None;
        }
        let left = reader.load("left", &words[0], self.words_loaded);
        let right = reader.load("right", &words[1], self.words_loaded);
        if let Some(order) = self.read_fence {
            reader.fence("read fence", order);
        }
        let unchanged =
            (self.second).is_none_or(|order| reader.load("second look", seq, order) == first);
        unchanged.then_some((first, [left, right]))
    }
}

impl Program for Seqlock {
    fn run(self, run: &Arc<Run>) {
        let parts = Arc::new((word(0), [word(0), word(0)]));
        let (writer, reader) = (run.actor("writer"), run.actor("reader"));
        let writing = spawn_with(&parts, move |(seq, words)| self.write(&writer, seq, words));
        match self.try_read(&reader, &parts.0, &parts.1) {
            None => run.saw("refused"),
            Some((seq, words)) => {
                assert!(
                    words == [seq / 2; 2],
                    "kept {words:?} as the value of sequence {seq}"
                );
                run.saw(match seq {
                    0 => "read the old value",
                    _ => "read the new value",
                });
            }
        }
        writing.join();
    }
}
