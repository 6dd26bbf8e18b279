//! What a run of a whole layer owes, and the planted faults among its rows.

use ringproof_record::{Record, Verdict};

use crate::common::{Ran, run};

/// All rows are of `layer`, and passed.
pub(crate) fn ensure_passed(Ran { code, rows, errors }: &Ran, layer: &str) {
    let failed: Vec<_> = (rows.iter())
        .filter(|row| row.verdict != Verdict::Passed)
        .collect();
    assert!(failed.is_empty(), "{failed:#?}\n{errors}");
    assert_eq!(*code, Some(0));
    assert!(rows.iter().all(|row| row.layer == layer));
}

pub(crate) fn planted(rows: &[Record]) -> impl Iterator<Item = &Record> {
    (rows.iter()).filter(|row| row.check.starts_with("planted fault: "))
}

/// Runs the command that a row says repeats it, which must fail.
pub(crate) fn repeat(row: &Record) -> Ran {
    let command = row.repeat.as_deref().expect("a command that repeats it");
    let (_, args) = command.split_once(" -- ").expect("arguments");
    let again = run(&[args.split(' ').collect(), vec!["--json"]].concat());
    assert_eq!(again.code, Some(1), "{}\n{}", row.check, again.errors);
    again
}
