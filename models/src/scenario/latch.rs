//! Scenarios of the latch. Both words of a value hold its version, so a torn one shows.

use std::sync::Arc;

use super::{Scenario, Value, read_some};
use crate::engine::{Engine, OwnedWords};
use crate::run::Run;

pub(super) fn inventory<E: Engine>() -> Vec<Scenario<E>> {
    const READS: &[&str] = &[
        "read the initial value",
        "read a new value",
        "reader was lapped",
    ];
    vec![
        Scenario::new(
            "latch/2 slots, 2 writes",
            one_reader::<E, 4, 2, 1>,
            600,
            READS,
        ),
        Scenario::new(
            "latch/2 slots, 3 writes",
            one_reader::<E, 4, 3, 2>,
            1_200,
            READS,
        )
        .bounded(2),
        Scenario::new(
            "latch/4 slots, 5 writes",
            one_reader::<E, 8, 5, 1>,
            300,
            READS,
        )
        .bounded(2),
        Scenario::new(
            "latch/writer succeeded",
            succeeded::<E>,
            60,
            &[
                "read the last committed value",
                "read the successor's value",
            ],
        ),
    ]
}

/// No value is torn, none is older than the one before it, and each is one that was written.
fn one_reader<E: Engine, const WORDS: usize, const WRITES: u64, const READS: usize>(
    run: &Arc<Run>,
) {
    let words = OwnedWords::<E>::new(0, &[0; WORDS]);
    let writing = E::spawn({
        let mut writer = words.latch_writer::<Value>(run);
        move || {
            for version in 1..=WRITES {
                writer.write(&[version; 2]);
            }
        }
    });
    let reader = words.latch_reader::<Value>(run);
    read_some(run, READS, "reader was lapped", || reader.try_read());
    E::join(writing);
    assert_eq!(reader.try_read(), Ok([WRITES; 2]));
}

/// A writer died while it filled the next slot: the last committed value is read at the first
/// attempt, before, during and after the successor's write.
fn succeeded<E: Engine>(run: &Arc<Run>) {
    // Version 1 in slot 1; slot 2 half-filled with version 2.
    let words = OwnedWords::<E>::new(1, &[0, 0, 1, 1, 2, 0, 0, 0]);
    let writing = E::spawn({
        let mut writer = words.latch_writer::<Value>(run);
        move || writer.write(&[9; 2])
    });
    let reader = words.latch_reader::<Value>(run);
    for _ in 0..2 {
        match reader.try_read() {
            Ok([1, 1]) => run.saw("read the last committed value"),
            Ok([9, 9]) => run.saw("read the successor's value"),
            other => panic!("{other:?} is neither"),
        }
    }
    E::join(writing);
    assert_eq!(reader.try_read(), Ok([9; 2]));
}
