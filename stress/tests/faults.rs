//! The faults layer as its users run it.

mod common;

use std::collections::BTreeSet;

use common::{Ran, ensure_none_failed, repeat, run};
use nix::unistd::Uid;
use ringproof_record::{Record, Verdict};

/// Enough for every race to meet what it looks for.
const ROUNDS: &str = "2000";

fn faults(args: &[&str]) -> Ran {
    run(&[&["faults", "--json"], args].concat())
}

/// What is mounted here.
fn mounts() -> String {
    std::fs::read_to_string("/proc/self/mounts").expect("the mounts")
}

#[test]
fn it_passes_and_catches_every_specimen() {
    let before = mounts();
    let ran = faults(&["--seed", "3", "--rounds", ROUNDS]);
    ensure_none_failed(&ran);
    let Ran { code, rows, .. } = ran;
    assert!(rows.iter().all(|row| row.layer == "faults"));
    assert_eq!(mounts(), before);

    // What only root may do, and namespaces, where they are not to be had, are said not to be run.
    let not_run = |row: &&Record| row.verdict == Verdict::NotRun;
    let reasons: Vec<_> = rows.iter().filter(not_run).map(|row| &row.reason).collect();
    if Uid::effective().is_root() && reasons.is_empty() {
        assert_eq!(code, Some(0));
    } else {
        assert_eq!(code, Some(3), "{reasons:?}");
        assert!(reasons.iter().all(|reason| reason.is_some()));
    }

    let specimens: BTreeSet<_> = (rows.iter())
        .filter_map(|row| row.check.strip_prefix("specimen: ")?.split(',').next())
        .collect();
    let expected = [
        "S15", "S16", "S17", "S18", "S19", "S20", "S21", "S22", "S23", "S24", "S27",
    ];
    assert_eq!(specimens, BTreeSet::from(expected));
    for row in &rows {
        let wrong = ["specimen: ", "injected fault: "];
        let is_wrong = wrong.iter().any(|start| row.check.starts_with(start));
        match (&row.reason, row.verdict) {
            (Some(reason), Verdict::Passed) if is_wrong => {
                assert!(reason.starts_with("caught: "), "{row:#?}");
            }
            (None, Verdict::Passed) => assert!(!is_wrong, "{row:#?}"),
            (_, verdict) => assert_eq!(verdict, Verdict::NotRun, "{row:#?}"),
        }
    }
}

#[test]
fn each_row_is_seen_again_by_the_command_that_it_says() {
    let rows = faults(&["--only", "restarts"]).rows;
    assert_eq!(rows.len(), 4);
    for row in &rows {
        let again = repeat(row, &[]);
        assert_eq!(again.code, Some(0), "{}", again.errors);
        assert_eq!(again.rows, rows);
    }
}
