//! S8: one side says that it is going to sleep and looks once more whether there is work; the
//! other announces work and looks whether anybody sleeps; neither has a full fence between its
//! store and its load (axboe/liburing#541, and many others).
//!
//! Each load may be made before the store of the same side is visible, on x86, too. Then both
//! see the old state: one sleeps, the other does not wake it, and the work waits for ever.
//!
//! Here a side that would sleep ends, and the test asks afterwards whether anybody would have
//! woken it. loom finds the missing fence; shuttle cannot, since it is sequentially consistent.
//! Both find the other classic, the look *before* the store. A SeqCst fence on both sides, in the
//! right order, repairs it.

use std::sync::Arc;

use super::{Program, Specimen};
use crate::engine::{spawn_with, word};
use crate::order::Order::{Acquire, Relaxed, Release, SeqCst};
use crate::run::Run;

/// How the two sides announce themselves.
#[derive(Clone, Copy)]
struct Handshake {
    fence: bool,
    /// The sleeper announces itself before it looks for the last time.
    announces_first: bool,
}

impl Program for Handshake {
    fn run(self, run: &Arc<Run>) {
        // Whether somebody wants to be woken, and how much work was announced.
        let words = Arc::new((word(0), word(0)));
        let (waker, sleeper) = (run.actor("waker"), run.actor("sleeper"));
        let waking = spawn_with(&words, move |(waiting, work)| {
            waker.store("announce work", work, 1, Release);
            if self.fence {
                waker.fence("waker's fence", SeqCst);
            }
            waker.load("anybody asleep?", waiting, Relaxed) == 1
        });
        let (waiting, work) = &*words;
        let announce = || sleeper.store("announce sleep", waiting, 1, Relaxed);
        let look = || sleeper.load("any work?", work, Acquire) == 0;
        let sleeps = if self.announces_first {
            announce();
            if self.fence {
                sleeper.fence("sleeper's fence", SeqCst);
            }
            look()
        } else {
            let nothing = look();
            announce();
            nothing
        };
        let woken = waking.join();
        assert!(!sleeps || woken, "asleep for ever while work waits");
        run.saw(match sleeps {
            true => "slept and was woken",
            false => "saw the work and stayed awake",
        });
    }
}

pub(super) fn specimen() -> Specimen {
    let right = Handshake {
        fence: true,
        announces_first: true,
    };
    let unfenced = Handshake {
        fence: false,
        ..right
    };
    let late = Handshake {
        announces_first: false,
        ..right
    };
    let witnesses = &["slept and was woken", "saw the work and stayed awake"];
    Specimen::new("S8", "a lost wake-up", "axboe/liburing#541")
        .fault("no full fence", unfenced, 2)
        .fault("announced after the look", late, 2)
        .also_by_shuttle(8)
        .control("announced, fenced, looked", right, 15, witnesses)
}
