//! S28: who sleeps counts itself in a shared word, and out again when it wakes up; who publishes wakes if the count is
//! not zero (anza-xyz/shaq#81).
//!
//! A sleeper that is killed never counts itself out. From then on each publication makes a system call, with nobody
//! there to be woken, for as long as the memory lasts.
//!
//! Here the sleeper dies where it would sleep. No memory ordering is wrong, and nobody waits for ever: it is the number
//! of calls that shows it. Who asks for a number instead, and who wakes remembers which number it handled, owes one
//! call at most to the dead.

use std::sync::Arc;

use super::{Program, Specimen};
use crate::engine::{Update, spawn_with, word};
use crate::order::Order::{Acquire, Relaxed, Release, SeqCst};
use crate::run::Run;

/// How a sleeper says that it is there.
#[derive(Clone, Copy)]
enum Sleeper {
    /// It counts itself.
    Counted,
    /// It asks for the next answer.
    Numbered,
}

impl Program for Sleeper {
    fn run(self, run: &Arc<Run>) {
        // Who sleeps, or what was asked for; and what was published.
        let words = Arc::new((word(0), word(0)));
        let (waker, sleeper) = (run.actor("waker"), run.actor("sleeper"));
        let waking = spawn_with(&words, move |(sleepers, work)| {
            let (mut calls, mut handled) = (0, 0);
            for item in 1..=2 {
                waker.store("publish", work, item, Release);
                waker.fence("waker's fence", SeqCst);
                let asked = waker.load("anybody asleep?", sleepers, Relaxed);
                calls += match self {
                    Sleeper::Counted => u64::from(asked > 0),
                    Sleeper::Numbered => u64::from(asked != handled),
                };
                handled = asked;
            }
            calls
        });
        let (sleepers, work) = &*words;
        match self {
            Sleeper::Counted => _ = sleeper.update("count in", sleepers, Update::Add(1), Relaxed),
            Sleeper::Numbered => sleeper.store("ask", sleepers, 1, Relaxed),
        }
        sleeper.fence("sleeper's fence", SeqCst);
        // Where there is something it counts itself out and goes on. Where there is nothing it dies.
        let dies = sleeper.load("last look", work, Acquire) == 0;
        if !dies && matches!(self, Sleeper::Counted) {
            sleeper.update(
                "count out",
                sleepers,
                Update::Add(1_u64.wrapping_neg()),
                Relaxed,
            );
        }
        let calls = waking.join();
        assert!(!dies || calls <= 1, "{calls} calls for one who is dead");
        run.saw(match (dies, calls) {
            (true, _) => "it died, and one call was made",
            (false, 0) => "it lived, and none was made",
            (false, _) => "it lived, and was called",
        });
    }
}

pub(super) fn specimen() -> Specimen {
    let witnesses = &[
        "it died, and one call was made",
        "it lived, and none was made",
        "it lived, and was called",
    ];
    Specimen::new("S28", "sleepers that are counted", "anza-xyz/shaq#81")
        .fault("each counts itself in and out", Sleeper::Counted, 3)
        .also_by_shuttle(3)
        .control(
            "each asks for the next answer",
            Sleeper::Numbered,
            20,
            witnesses,
        )
}
