//! The suite under shuttle, and proof that it can fail.
#![cfg(feature = "shuttle")]

use ringproof_models::change::Change;
use ringproof_models::engine::shuttle::Shuttle;
use ringproof_models::exploration::Effort;
use ringproof_models::suite;
use ringproof_record::{Record, Verdict};

const EFFORT: Effort = Effort {
    executions: 100_000,
    seed: 1,
};

#[test]
fn every_control_holds_and_every_planted_fault_is_caught() {
    let rows = suite::run::<Shuttle>(EFFORT, &|_| {});
    let failed: Vec<_> = rows
        .iter()
        .filter(|row| row.verdict == Verdict::Failed)
        .map(Record::to_line)
        .collect();
    assert!(failed.is_empty(), "\n{}\n", failed.join("\n"));
    for fault in Change::planted() {
        let caught = |row: &&Record| {
            row.subject == fault.site().to_string() && row.check.starts_with("planted fault: ")
        };
        assert!(rows.iter().any(|row| caught(&row)), "{fault} was not tried");
    }
}

/// What this engine cannot do, pinned: it is no evidence for an ordering.
#[test]
fn a_weaker_ordering_survives() {
    let change = Change::parse("RingPublish=Relaxed").expect("such a change");
    let rows = suite::run_one::<Shuttle>("ring/capacity 1", Some(change), EFFORT)
        .expect("such a scenario");
    assert_eq!(rows[0].verdict, Verdict::Failed);
}

#[test]
fn the_same_seed_makes_the_same_rows() {
    let rows = || suite::run_one::<Shuttle>("ring/capacity 2", None, EFFORT);
    assert_eq!(rows(), rows());
}
