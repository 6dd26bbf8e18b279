//! Scenarios of roles and retirement. The kernel's role lock is a lock of the engine's.

use std::sync::Arc;

use ringproof::harness;

use super::Scenario;
use crate::engine::{lock, slot, spawn};
use crate::owned::OwnedWords;
use crate::run::Run;

pub(super) fn inventory() -> Vec<Scenario> {
    scenarios! {
        "role/two takers", two_takers, 5, Exhausted, &["here came first", "here came second"];
        "role/taken or retired", taken_or_retired, 4, Exhausted,
            &["taken before the retirement", "refused after it"];
    }
}

/// Two processes take the same role, one after the other: the epoch counts both.
fn two_takers(run: &Arc<Run>) {
    let epoch = OwnedWords::new(0, &[]);
    let lock = Arc::new(lock());
    let take = |name| {
        let (epoch, lock) = (Arc::clone(&epoch), Arc::clone(&lock));
        let memory = run.memory(name);
        move || lock.locked(|| harness::enter(&memory, epoch.word()))
    };
    let other = spawn(take("there"));
    let here = take("here")();
    let there = other.join();
    assert_eq!(here + there, 1 + 2, "the epoch did not count both");
    run.saw(match here {
        1 => "here came first",
        _ => "here came second",
    });
}

/// One process retires a segment under the role lock, another takes the role: it comes first,
/// or sees the retirement.
fn taken_or_retired(run: &Arc<Run>) {
    const TAKEN: u64 = 1;
    const RETIRED: u64 = 2;
    let retired = OwnedWords::new(0, &[]);
    // Who had the lock first. Plain memory: the lock orders it.
    let first = Arc::new(slot(0));
    let lock = Arc::new(lock());
    let retiring = spawn({
        let (retired, first, lock) = (Arc::clone(&retired), Arc::clone(&first), Arc::clone(&lock));
        let memory = run.memory("retirer");
        move || {
            lock.locked(|| {
                harness::retire(&memory, retired.word());
                if first.read() == 0 {
                    first.write(RETIRED);
                }
            });
        }
    });
    let memory = run.memory("taker");
    let refused = lock.locked(|| {
        if first.read() == 0 {
            first.write(TAKEN);
        }
        harness::is_retired(&memory, retired.word())
    });
    retiring.join();
    let first = first.read();
    assert_eq!(refused, first == RETIRED, "the retirement was missed");
    run.saw(match refused {
        true => "refused after it",
        false => "taken before the retirement",
    });
}
