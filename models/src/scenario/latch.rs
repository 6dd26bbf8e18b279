//! Scenarios of the latch. Both words of a value hold its version, so a torn one shows.

use std::sync::Arc;

use ringproof::ReadError;

use super::latest::{Latch, Value, one_reader, two_readers, write_up_to};
use super::{NIGHT, READS, Scenario};
use crate::engine::spawn;
use crate::owned::OwnedWords;
use crate::run::Run;

pub(super) fn inventory() -> Vec<Scenario> {
    const SUCCEEDED: &[&str] = &[
        "read the last committed value",
        "read the successor's value",
    ];
    const NOT_REFUSED: &[&str] = &["read the initial value", "read a new value"];
    scenarios! {
        "latch/2 slots, 1 write", one_reader::<Latch, 4, 1, 1>, 17, Exhausted, READS;
        "latch/2 slots, 2 writes", one_reader::<Latch, 4, 2, 1>, 660, Exhausted, READS;
        "latch/2 slots, 3 writes", one_reader::<Latch, 4, 3, 1>, 2_300, Exhausted, READS;
        "latch/2 slots, 2 writes, 2 reads", one_reader::<Latch, 4, 2, 2>, 12_000, Exhausted, READS;
        "latch/2 slots, 3 writes, 2 reads", one_reader::<Latch, 4, 3, 2>, 1_200, Bounded(2), READS;
        "latch/4 slots, 2 writes", one_reader::<Latch, 8, 2, 1>, 44, Exhausted, NOT_REFUSED;
        "latch/4 slots, 4 writes", one_reader::<Latch, 8, 4, 1>, 2_000, Exhausted, READS;
        "latch/4 slots, 5 writes", one_reader::<Latch, 8, 5, 1>, 2_100, Bounded(4), READS;
        "latch/2 readers", two_readers::<Latch, 4, 2>, 15_000, Bounded(3), READS;
        "latch/writer succeeded", succeeded, 65, Exhausted, SUCCEEDED;
        "latch/bounded read", bounded_read, 1_900, Exhausted,
            &["reader gave up", "read the initial value", "read a new value"];
    }
}

pub(super) fn night() -> Vec<Scenario> {
    scenarios! {
        "latch/2 slots, 3 writes, 2 reads, all", one_reader::<Latch, 4, 3, 2>, NIGHT, Exhausted, READS;
        "latch/4 slots, 6 writes, 2 reads", one_reader::<Latch, 8, 6, 2>, NIGHT, Bounded(4), READS;
        "latch/2 readers, all", two_readers::<Latch, 4, 2>, NIGHT, Exhausted, READS;
    }
}

/// A writer died while it filled the next slot: the last committed value is read at the first
/// attempt, before, during and after the successor's write.
fn succeeded(run: &Arc<Run>) {
    // Version 1 in slot 1; slot 2 half-filled with version 2.
    let words = OwnedWords::new(1, &[0, 0, 1, 1, 2, 0, 0, 0]);
    let writing = spawn({
        let mut writer = words.latch_writer::<Value>(run.memory("successor"));
        move || writer.write(&[9; 2])
    });
    let reader = words.latch_reader::<Value>(run.memory("reader"));
    for _ in 0..2 {
        match reader.try_read() {
            Ok([1, 1]) => run.saw("read the last committed value"),
            Ok([9, 9]) => run.saw("read the successor's value"),
            other => panic!("read neither the old value nor the new one: {other:?}"),
        }
    }
    writing.join();
    assert_eq!(reader.try_read(), Ok([9; 2]));
}

/// A bounded read ends, with a value or an error, however fast the writer is.
fn bounded_read(run: &Arc<Run>) {
    let words = OwnedWords::new(0, &[0; 4]);
    let writing = write_up_to::<Latch>(run, &words, 2);
    match words.latch_reader::<Value>(run.memory("reader")).read(2) {
        Ok([left, right]) => {
            assert_eq!(left, right, "a torn value");
            run.saw(if left > 0 {
                "read a new value"
            } else {
                "read the initial value"
            });
        }
        Err(ReadError::WriterStalled { attempts }) => {
            assert_eq!(attempts, 2);
            run.saw("reader gave up");
        }
        Err(other) => panic!("nobody could tell that: {other}"),
    }
    writing.join();
}
