//! Scenarios of roles and retirement. The kernel's role lock is a lock of the engine's.

use std::sync::Arc;

use ringproof::role;

use super::Scenario;
use crate::engine::Locks;
use crate::owned::OwnedWords;
use crate::run::Run;

pub(super) fn inventory<E: Locks>() -> Vec<Scenario<E>> {
    vec![
        Scenario::new(
            "role/two takers",
            two_takers::<E>,
            5,
            &["here came first", "here came second"],
        ),
        Scenario::new(
            "role/taken or retired",
            taken_or_retired::<E>,
            4,
            &["taken before the retirement", "refused after it"],
        ),
    ]
}

/// Two processes take the same role, one after the other: the epoch counts both.
fn two_takers<E: Locks>(run: &Arc<Run>) {
    let epoch = OwnedWords::<E>::new(0, &[]);
    let lock = Arc::new(E::lock());
    let take = |name| {
        let (epoch, lock) = (Arc::clone(&epoch), Arc::clone(&lock));
        let memory = run.memory::<E>(name);
        move || E::locked(&lock, || role::enter(&memory, epoch.word()))
    };
    let other = E::spawn(take("there"));
    let here = take("here")();
    let there = E::join(other);
    assert_eq!(here + there, 1 + 2, "the epoch did not count both");
    run.saw(match here {
        1 => "here came first",
        _ => "here came second",
    });
}

/// One process retires a segment under the role lock, another takes the role: it comes first,
/// or sees the retirement.
fn taken_or_retired<E: Locks>(run: &Arc<Run>) {
    const TAKEN: u64 = 1;
    const RETIRED: u64 = 2;
    let retired = OwnedWords::<E>::new(0, &[]);
    // Who had the lock first. Plain memory: the lock orders it.
    let first = Arc::new(E::slot(0));
    let lock = Arc::new(E::lock());
    let retiring = E::spawn({
        let (retired, first, lock) = (Arc::clone(&retired), Arc::clone(&first), Arc::clone(&lock));
        let memory = run.memory::<E>("retirer");
        move || {
            E::locked(&lock, || {
                role::retire(&memory, retired.word());
                if E::read(&first) == 0 {
                    E::write(&first, RETIRED);
                }
            });
        }
    });
    let memory = run.memory::<E>("taker");
    let refused = E::locked(&lock, || {
        if E::read(&first) == 0 {
            E::write(&first, TAKEN);
        }
        role::is_retired(&memory, retired.word())
    });
    E::join(retiring);
    let first = E::read(&first);
    assert_eq!(refused, first == RETIRED, "the retirement was missed");
    run.saw(match refused {
        true => "refused after it",
        false => "taken before the retirement",
    });
}
