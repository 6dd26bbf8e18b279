//! Scenarios of the latch. Both words of a value hold its version, so a torn one shows.

use std::sync::Arc;

use ringproof::ReadError;

use super::{READS, Scenario, Value, read_some};
use crate::engine::spawn;
use crate::owned::OwnedWords;
use crate::run::Run;

pub(super) fn inventory() -> Vec<Scenario> {
    const SUCCEEDED: &[&str] = &[
        "read the last committed value",
        "read the successor's value",
    ];
    const NOT_REFUSED: &[&str] = &["read the initial value", "read a new value"];
    vec![
        Scenario::new("latch/2 slots, 1 write", one_reader::<4, 1, 1>, 17, READS),
        Scenario::new("latch/2 slots, 2 writes", one_reader::<4, 2, 1>, 660, READS),
        Scenario::new(
            "latch/2 slots, 3 writes",
            one_reader::<4, 3, 1>,
            2_300,
            READS,
        ),
        Scenario::new(
            "latch/2 slots, 2 writes, 2 reads",
            one_reader::<4, 2, 2>,
            12_000,
            READS,
        ),
        Scenario::new(
            "latch/2 slots, 3 writes, 2 reads",
            one_reader::<4, 3, 2>,
            1_200,
            READS,
        )
        .bounded(2),
        Scenario::new(
            "latch/4 slots, 2 writes",
            one_reader::<8, 2, 1>,
            44,
            NOT_REFUSED,
        ),
        Scenario::new(
            "latch/4 slots, 4 writes",
            one_reader::<8, 4, 1>,
            2_000,
            READS,
        ),
        Scenario::new(
            "latch/4 slots, 5 writes",
            one_reader::<8, 5, 1>,
            2_100,
            READS,
        )
        .bounded(4),
        Scenario::new("latch/2 readers", two_readers, 15_000, READS).bounded(3),
        Scenario::new("latch/writer succeeded", succeeded, 65, SUCCEEDED),
        Scenario::new(
            "latch/bounded read",
            bounded_read,
            1_900,
            &[
                "reader gave up",
                "read the initial value",
                "read a new value",
            ],
        ),
    ]
}

pub(super) fn night() -> Vec<Scenario> {
    vec![
        Scenario::large(
            "latch/2 slots, 3 writes, 2 reads, all",
            one_reader::<4, 3, 2>,
            READS,
        ),
        Scenario::large(
            "latch/4 slots, 6 writes, 2 reads",
            one_reader::<8, 6, 2>,
            READS,
        )
        .bounded(4),
        Scenario::large("latch/2 readers, all", two_readers, READS),
    ]
}

/// No value is torn, none is older than the one before it, and each is one that was written.
fn one_reader<const WORDS: usize, const WRITES: u64, const READS: usize>(run: &Arc<Run>) {
    let words = OwnedWords::new(0, &[0; WORDS]);
    let writing = spawn({
        let mut writer = words.latch_writer::<Value>(run.memory("writer"));
        move || {
            for version in 1..=WRITES {
                writer.write(&[version; 2]);
            }
        }
    });
    let reader = words.latch_reader::<Value>(run.memory("reader"));
    read_some(run, READS, || reader.try_read());
    writing.join();
    assert_eq!(reader.try_read(), Ok([WRITES; 2]), "after the last write");
}

fn two_readers(run: &Arc<Run>) {
    let words = OwnedWords::new(0, &[0; 4]);
    let reading = spawn({
        let (reader, run) = (
            words.latch_reader::<Value>(run.memory("reader")),
            Arc::clone(run),
        );
        move || read_some(&run, 1, || reader.try_read())
    });
    let writing = spawn({
        let mut writer = words.latch_writer::<Value>(run.memory("writer"));
        move || {
            writer.write(&[1; 2]);
            writer.write(&[2; 2]);
        }
    });
    let reader = words.latch_reader::<Value>(run.memory("reader"));
    read_some(run, 1, || reader.try_read());
    reading.join();
    writing.join();
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
    let writing = spawn({
        let mut writer = words.latch_writer::<Value>(run.memory("writer"));
        move || {
            writer.write(&[1; 2]);
            writer.write(&[2; 2]);
        }
    });
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
