//! Scenarios of the seqlock. Both words of a value hold its number, so a torn one shows.

use std::sync::Arc;

use ringproof::ReadError;

use super::{Scenario, Value, read_some};
use crate::engine::{Engine, OwnedWords};
use crate::run::Run;

const REFUSED: &str = "reader was refused";

pub(super) fn inventory<E: Engine>() -> Vec<Scenario<E>> {
    const READS: &[&str] = &["read the initial value", "read a new value", REFUSED];
    vec![
        Scenario::new(
            "seqlock/1 write, 2 reads",
            one_reader::<E, 1, 2>,
            10_000,
            READS,
        ),
        Scenario::new(
            "seqlock/2 writes, 1 read",
            one_reader::<E, 2, 1>,
            9_000,
            READS,
        ),
        Scenario::new(
            "seqlock/3 writes, 2 reads",
            one_reader::<E, 3, 2>,
            9_000,
            READS,
        )
        .bounded(2),
        Scenario::new("seqlock/1 write, 2 readers", two_readers::<E>, 2_000, READS).bounded(2),
        Scenario::new(
            "seqlock/writer succeeded",
            repaired::<E>,
            40,
            &[REFUSED, "read the successor's value"],
        ),
        Scenario::new(
            "seqlock/bounded read",
            bounded_read::<E>,
            30,
            &["reader gave up", "read the successor's value"],
        ),
    ]
}

fn one_reader<E: Engine, const WRITES: u64, const READS: usize>(run: &Arc<Run>) {
    let words = OwnedWords::<E>::new(0, &[0, 0]);
    let writing = E::spawn({
        let mut writer = words.seq_writer::<Value>(run);
        move || {
            for number in 1..=WRITES {
                writer.write(&[number; 2]);
            }
        }
    });
    let reader = words.seq_reader::<Value>(run);
    read_some(run, READS, REFUSED, || reader.try_read());
    E::join(writing);
    assert_eq!(words.seq_reader::<Value>(run).try_read(), Ok([WRITES; 2]));
}

fn two_readers<E: Engine>(run: &Arc<Run>) {
    let words = OwnedWords::<E>::new(0, &[0, 0]);
    let reading = E::spawn({
        let (reader, run) = (words.seq_reader::<Value>(run), Arc::clone(run));
        move || read_some(&run, 1, REFUSED, || reader.try_read())
    });
    let writing = E::spawn({
        let mut writer = words.seq_writer::<Value>(run);
        move || writer.write(&[1; 2])
    });
    let reader = words.seq_reader::<Value>(run);
    read_some(run, 1, REFUSED, || reader.try_read());
    E::join(reading);
    E::join(writing);
}

/// A writer died inside its first write, half-way through the payload: nobody ever reads that
/// half, and the successor's value is read once it is there.
fn repaired<E: Engine>(run: &Arc<Run>) {
    let words = OwnedWords::<E>::new(1, &[1, 0]);
    let writing = E::spawn({
        let mut writer = words.seq_writer::<Value>(run);
        move || {
            assert!(writer.needs_repair());
            writer.write(&[2; 2]);
        }
    });
    let reader = words.seq_reader::<Value>(run);
    for _ in 0..2 {
        match reader.try_read() {
            Ok(value) => {
                assert_eq!(value, [2; 2], "a value that nobody wrote");
                run.saw("read the successor's value");
            }
            Err(_) => run.saw(REFUSED),
        }
    }
    E::join(writing);
    assert_eq!(reader.try_read(), Ok([2; 2]));
}

/// The same with a bounded read: it ends, with a value or an error.
fn bounded_read<E: Engine>(run: &Arc<Run>) {
    let words = OwnedWords::<E>::new(1, &[1, 0]);
    let writing = E::spawn({
        let mut writer = words.seq_writer::<Value>(run);
        move || writer.write(&[2; 2])
    });
    match words.seq_reader::<Value>(run).read(2) {
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
    E::join(writing);
}
