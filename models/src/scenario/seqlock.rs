//! Scenarios of the seqlock. Both words of a value hold its number, so a torn one shows.

use std::sync::Arc;

use ringproof::ReadError;

use super::{READS, REFUSED, Scenario, Value, read_some};
use crate::engine::spawn;
use crate::owned::OwnedWords;
use crate::run::Run;

pub(super) fn inventory() -> Vec<Scenario> {
    vec![
        Scenario::new("seqlock/1 write, 1 read", one_reader::<1, 1>, 650, READS),
        Scenario::new(
            "seqlock/1 write, 2 reads",
            one_reader::<1, 2>,
            10_000,
            READS,
        ),
        Scenario::new("seqlock/2 writes, 1 read", one_reader::<2, 1>, 9_400, READS),
        Scenario::new(
            "seqlock/3 writes, 1 read",
            one_reader::<3, 1>,
            62_000,
            READS,
        ),
        Scenario::new(
            "seqlock/4 writes, 1 read",
            one_reader::<4, 1>,
            250_000,
            READS,
        ),
        Scenario::new(
            "seqlock/3 writes, 2 reads",
            one_reader::<3, 2>,
            290_000,
            READS,
        )
        .bounded(4),
        Scenario::new("seqlock/1 write, 2 readers", two_readers::<1>, 2_100, READS).bounded(2),
        Scenario::new(
            "seqlock/2 writes, 2 readers",
            two_readers::<2>,
            250_000,
            READS,
        )
        .bounded(3),
        Scenario::new(
            "seqlock/writer succeeded",
            repaired,
            44,
            &[REFUSED, "read the successor's value"],
        ),
        Scenario::new(
            "seqlock/bounded read",
            bounded_read,
            44,
            &["reader gave up", "read the successor's value"],
        ),
    ]
}

pub(super) fn night() -> Vec<Scenario> {
    vec![
        Scenario::large("seqlock/2 writes, 2 reads", one_reader::<2, 2>, READS),
        Scenario::large("seqlock/3 writes, 2 reads, all", one_reader::<3, 2>, READS),
        Scenario::large("seqlock/1 write, 2 readers, all", two_readers::<1>, READS),
        Scenario::large(
            "seqlock/2 writes, 2 readers, bound 4",
            two_readers::<2>,
            READS,
        )
        .bounded(4),
    ]
}

fn one_reader<const WRITES: u64, const READS: usize>(run: &Arc<Run>) {
    let words = OwnedWords::new(0, &[0, 0]);
    let writing = spawn({
        let mut writer = words.seq_writer::<Value>(run.memory("writer"));
        move || {
            for number in 1..=WRITES {
                writer.write(&[number; 2]);
            }
        }
    });
    let reader = words.seq_reader::<Value>(run.memory("reader"));
    read_some(run, READS, || reader.try_read());
    writing.join();
    assert_eq!(reader.try_read(), Ok([WRITES; 2]), "after the last write");
}

fn two_readers<const WRITES: u64>(run: &Arc<Run>) {
    let words = OwnedWords::new(0, &[0, 0]);
    let reading = spawn({
        let (reader, run) = (
            words.seq_reader::<Value>(run.memory("reader")),
            Arc::clone(run),
        );
        move || read_some(&run, 1, || reader.try_read())
    });
    let writing = spawn({
        let mut writer = words.seq_writer::<Value>(run.memory("writer"));
        move || {
            for number in 1..=WRITES {
                writer.write(&[number; 2]);
            }
        }
    });
    let reader = words.seq_reader::<Value>(run.memory("reader"));
    read_some(run, 1, || reader.try_read());
    reading.join();
    writing.join();
}

/// A writer died inside its first write, half-way through the payload: nobody ever reads that
/// half, and the successor's value is read once it is there.
fn repaired(run: &Arc<Run>) {
    let words = OwnedWords::new(1, &[1, 0]);
    let writing = spawn({
        let mut writer = words.seq_writer::<Value>(run.memory("successor"));
        move || {
            assert!(writer.needs_repair());
            writer.write(&[2; 2]);
        }
    });
    let reader = words.seq_reader::<Value>(run.memory("reader"));
    for _ in 0..2 {
        match reader.try_read() {
            Ok(value) => {
                assert_eq!(value, [2; 2], "a value that nobody wrote");
                run.saw("read the successor's value");
            }
            Err(_) => run.saw(REFUSED),
        }
    }
    writing.join();
    assert_eq!(reader.try_read(), Ok([2; 2]));
}

/// The same with a bounded read: it ends, with a value or an error.
fn bounded_read(run: &Arc<Run>) {
    let words = OwnedWords::new(1, &[1, 0]);
    let writing = spawn({
        let mut writer = words.seq_writer::<Value>(run.memory("successor"));
        move || writer.write(&[2; 2])
    });
    match words.seq_reader::<Value>(run.memory("reader")).read(2) {
        Ok(value) => {
            assert_eq!(value, [2; 2], "a value that nobody wrote");
            run.saw("read the successor's value");
        }
        Err(ReadError::WriterStalled { attempts }) => {
            assert_eq!(attempts, 2);
            run.saw("reader gave up");
        }
        Err(ReadError::WriterDead { .. }) => panic!("nobody could tell that"),
    }
    writing.join();
}
