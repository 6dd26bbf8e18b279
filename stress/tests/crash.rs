//! The crash layer as its users run it.

mod common;

use std::collections::BTreeSet;
use std::process::Command;

use common::{OPERATIONS, PROGRAM, Ran, ensure_injected, ensure_passed, ensure_untraced};
use common::{is_traceable, reason, row, run};
use ringproof::site::Site;
use ringproof_record::Verdict;

fn crash(args: &[&str]) -> Ran {
    run(&[&["crash", "--json"], args].concat())
}

#[test]
fn it_passes_covers_every_site_and_catches_what_is_injected() {
    let ran = crash(&["--seed", "3"]);
    ensure_passed(&ran, "crash");
    let rows = ran.rows;

    let tried: BTreeSet<_> = (rows.iter())
        .filter(|row| row.count.is_some_and(|count| count > 0))
        .map(|row| (row.subject.as_str(), row.check.as_str()))
        .collect();
    for site in Site::all() {
        for check in ["crash before", "crash after", "stop before"] {
            assert!(
                tried.contains(&(site.info().name, check)),
                "{site}: {check}"
            );
        }
    }
    for subject in OPERATIONS
        .into_iter()
        .chain(["segment/unlink", "ring/sleep", "ring/wake"])
    {
        for check in ["crash at every access", "stop before every access"] {
            assert!(tried.contains(&(subject, check)), "{subject}: {check}");
        }
    }
    // The same seed, the same rows, whatever the processes' order was.
    assert_eq!(crash(&["--seed", "3"]).rows, rows);
    ensure_injected(&rows, 21, &[]);
}

#[test]
fn a_failure_names_operation_state_access_site_and_side() {
    let ran = crash(&["--inject", "publish-first"]);
    assert_eq!(ran.code, Some(1));
    let of_operation = row(&ran.rows, "ring/push", "crash at every access");
    assert_eq!(of_operation.verdict, Verdict::Failed);
    let why = reason(of_operation);
    for part in [
        "ring/push:empty:6:after",
        "killed after access 6 (RingPublish)",
        "expected item",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    let of_site = row(&ran.rows, "RingPublish", "crash after");
    assert_eq!(of_site.verdict, Verdict::Failed);
}

#[test]
fn one_kill_can_be_asked_for() {
    let ran = crash(&["--only", "ring/push:full:5:before"]);
    assert_eq!(ran.code, Some(0), "{}", ran.errors);
    let counts: Vec<_> = (ran.rows.iter())
        .map(|row| (row.subject.as_str(), row.check.as_str(), row.count))
        .collect();
    assert_eq!(
        counts,
        [
            ("RingReclaim", "crash before", Some(1)),
            ("ring/push", "no crash", Some(1)),
            ("ring/push", "crash at every access", Some(1)),
            ("/dev/shm", "nothing left behind", None),
        ]
    );
    let beyond = crash(&["--only", "ring/push:full:200:before"]);
    assert_eq!(beyond.code, Some(2));
    let missing = "there is no ring/push:full:200:before";
    assert!(beyond.errors.contains(missing), "{}", beyond.errors);
}

#[test]
fn the_document_says_what_the_cases_do() {
    let output = Command::new(PROGRAM)
        .args(["crash", "--document"])
        .output()
        .expect("it starts");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(
        text == include_str!("../CRASHES.md"),
        "CRASHES.md is stale: cargo run -p ringproof-stress -- crash --document > stress/CRASHES.md"
    );
}

#[test]
fn without_json_the_rows_are_for_people() {
    let output = Command::new(PROGRAM)
        .args(["crash", "--only", "latch/read"])
        .output()
        .expect("it starts");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(
        text.contains("passed   latch/read                 crash at every access: 70 kills"),
        "{text}"
    );
}

#[test]
fn every_call_is_tried_and_the_injected_fault_is_seen_again() {
    let ran = crash(&["--points", "syscalls"]);
    if !is_traceable() {
        return ensure_untraced(&ran);
    }
    ensure_passed(&ran, "crash");
    let kills = |subject: &str| {
        row(&ran.rows, subject, "crash at every system call")
            .count
            .unwrap_or_default()
    };
    // Fewer stops than calls that these cannot do without, twice.
    for (subject, calls) in [
        ("segment/create", 8),
        ("segment/open", 10),
        ("segment/attach", 4),
        ("role/take-over", 8),
        ("segment/unlink", 6),
    ] {
        assert!(kills(subject) >= 2 * calls, "{subject}: {}", kills(subject));
    }

    ensure_injected(&ran.rows, 1, &[]);
    let injected = ran.rows.iter().find_map(|row| row.reason.as_deref());
    let why = injected.expect("a reason");
    assert!(why.contains("killed at stop"), "{why}");
}

#[test]
fn what_is_not_there_is_refused() {
    // How many stops there are is not known where they cannot be counted.
    let (code, state, stop) = match is_traceable() {
        true => (2, "segment/create:new", "segment/create:new:0"),
        false => (3, "traced", "traced"),
    };
    for (only, code, hint) in [
        ("segment/make", 2, "segment/create"),
        ("segment/create:x", code, state),
        ("segment/create:new:999", code, stop),
    ] {
        let ran = crash(&["--points", "syscalls", "--only", only]);
        assert_eq!(ran.code, Some(code), "{only}");
        let rows: Vec<_> = ran.rows.iter().map(|row| row.to_line()).collect();
        let said = ran.errors + &rows.concat();
        assert!(said.contains(hint), "{only}: {said}");
    }
}
