//! The soak as its users run it.

mod common;

use std::process::Child;

use common::{Ran, await_end_of, await_that, ensure_injected, ensure_none_failed, failed};
use common::{left_behind, reason, row, rows_of, run, start};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use ringproof_record::Verdict;

fn soak(args: &[&str]) -> Ran {
    run(&[&["soak", "--json"], args].concat())
}

/// Three seconds, or so many that no machine is too slow.
const SHORT: [&str; 4] = ["--minutes", "0.05", "--seed", "5"];

#[test]
fn it_passes_and_each_injected_fault_is_caught_and_caught_again() {
    let ran = soak(&SHORT);
    ensure_none_failed(&ran);
    let Ran { code, rows, errors } = ran;
    // On a machine that is too slow for a witness, or for a kind, its row has not run.
    assert!(matches!(code, Some(0 | 3)), "{errors}");
    assert!(errors.contains("soak: seed 5"), "{errors}");
    for subject in ["ring", "seqlock", "latch"] {
        for check in ["random kills and stops", "who is left alone gets on"] {
            let row = row(&rows, subject, check);
            // On a machine that is too slow for it, it says so.
            let ran = row.verdict == Verdict::Passed;
            assert!(!ran || row.count.is_some_and(|count| count > 0), "{row:#?}");
        }
    }

    let directory = tempfile::tempdir().expect("a directory");
    let dump = directory.path().to_str().expect("text");
    ensure_injected(&rows, 17, &["--dump", dump]);
}

#[test]
fn a_failure_says_what_the_round_was_and_keeps_the_segment() {
    let directory = tempfile::tempdir().expect("a directory");
    let dump = directory.path().join("new");
    let ran = soak(&["--inject", "forget", "--dump", dump.to_str().expect("text")]);
    assert_eq!(ran.code, Some(1), "{}", ran.errors);
    let why = reason(failed(&ran));
    for part in ["round ", "a ring", "capacity", "from position", "processed"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    let (_, path) = why.split_once("the segment is in ").expect("a path");
    let text = std::fs::read_to_string(path).expect("the dump");
    for part in [
        "a ring",
        "write_index: ",
        "notes of the consumer: [",
        "\n00000000 ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn one_round_can_be_asked_for() {
    let ran = soak(&["--seed", "9", "--only", "seqlock:4", "--times", "2"]);
    assert_eq!(ran.code, Some(0), "{}", ran.errors);
    let alone = row(&ran.rows, "seqlock", "who is left alone gets on");
    assert_eq!(alone.count, Some(2));
    let repeated = ran.rows[0].repeat.as_deref().expect("a command");
    assert!(
        repeated.ends_with("--seed 9 --only seqlock:4"),
        "{repeated}"
    );
}

/// A long soak that had a named segment a moment ago.
fn start_soak() -> (Child, Pid) {
    let (child, group) = start(&["soak", "--json", "--minutes", "60"]);
    let number = child.id();
    await_that("a named segment", || !left_behind(number).is_empty());
    (child, group)
}

#[test]
fn when_it_is_interrupted_it_says_what_was_done_and_leaves_nothing() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let (child, pid) = start_soak();
        kill(pid, signal).expect("it is there");
        let number = child.id();
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(3), "{signal}");
        assert_eq!(left_behind(number), Vec::<String>::new(), "{signal}");
        assert!(killpg(pid, None::<Signal>).is_err(), "a process is left");
        let rows = rows_of(&output.stdout);
        let ring = row(&rows, "ring", "random kills and stops");
        assert_eq!(ring.verdict, Verdict::NotRun);
        let failed = rows.iter().find(|row| row.verdict == Verdict::Failed);
        assert_eq!(failed, None);
    }
}

#[test]
fn when_it_is_killed_nothing_is_left() {
    let (mut child, pid) = start_soak();
    kill(pid, Signal::SIGKILL).expect("it is there");
    child.wait().expect("it ends");
    await_end_of(pid);
    await_that("its names to be removed", || {
        left_behind(child.id()).is_empty()
    });
}
