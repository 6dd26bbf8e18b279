//! T1: not an algorithm but a model that is no evidence. The producer's thread itself loads
//! (Relaxed) the index that it then stores, and loom 0.7 explores a single execution, says it is
//! done, and would pass every mutant (tokio-rs/loom#166).
//!
//! Nothing fails, so it must be flagged: by the minimum of executions, by the witness that never
//! came, and because the actors read less under loom than shuttle, which knows no weak memory,
//! shows them reading. With the index loaded before the thread starts, none of the three is
//! raised. Should the flags be missing one day, loom was mended.

use std::sync::Arc;

use super::{ModelControl, Program, Specimen};
use crate::engine::{spawn_with, word};
use crate::order::Order::{Acquire, Relaxed, Release};
use crate::run::Run;

/// Who loads the producer's own index.
#[derive(Clone, Copy, PartialEq)]
enum LoadedBy {
    /// The thread that then stores it.
    ItsThread,
    /// Whoever starts that thread.
    ItsParent,
}

impl Program for LoadedBy {
    fn run(self, run: &Arc<Run>) {
        let index = Arc::new(word(0));
        let (producer, consumer) = (run.actor("producer"), run.actor("consumer"));
        let before =
            (self == LoadedBy::ItsParent).then(|| producer.load("own index", &index, Relaxed));
        let producing = spawn_with(&index, move |index| {
            let own = before.unwrap_or_else(|| producer.load("own index", index, Relaxed));
            producer.store("publish", index, own + 1, Release);
        });
        match consumer.load("observe", &index, Acquire) {
            0 => run.saw("nothing yet"),
            _ => run.saw("an item went over"),
        }
        producing.join();
    }
}

pub(super) fn specimen() -> Specimen {
    let witnesses = &["nothing yet", "an item went over"];
    let what = "loaded by the thread that stores it";
    Specimen::new(
        "T1",
        "a model that re-reads its own index",
        "tokio-rs/loom#166",
    )
    .control(
        "loaded before the thread starts",
        LoadedBy::ItsParent,
        6,
        witnesses,
    )
    .blind(ModelControl::new(what, LoadedBy::ItsThread, 6, witnesses))
}
