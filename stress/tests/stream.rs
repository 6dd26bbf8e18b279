//! The stream layer as its users run it, also beside programs that are no `ringproof`.

mod common;

use std::path::{Path, PathBuf};

use common::{PROGRAM, Ran, ensure_passed, injected, reason, row, run, run_program};
use ringproof_record::{Record, Verdict, program};
use tempfile::TempDir;

/// A copy of the program in a directory of its own, beside `ringproof` if that is given.
struct Copy {
    _directory: TempDir,
    program: PathBuf,
}

fn copy_beside(script: Option<&str>) -> Copy {
    let directory = tempfile::tempdir().expect("a directory");
    let copy = directory.path().join("ringproof-stress");
    program::copy(PROGRAM.as_ref(), &copy).expect("a copy");
    if let Some(script) = script {
        let path = directory.path().join("ringproof");
        program::write(&path, &format!("#!/bin/sh\n{script}\n")).expect("a script");
    }
    Copy {
        _directory: directory,
        program: copy,
    }
}

fn transfer_row(ran: &Ran) -> &Record {
    (ran.rows.iter())
        .find(|row| row.check.contains("kills of each side"))
        .expect("a row of the transfer")
}

/// Whether there is the program `ringproof`, which Cargo builds for its own package's tests, not for this one's.
fn has_program() -> bool {
    let there = Path::new(PROGRAM).with_file_name("ringproof").is_file();
    if !there {
        eprintln!("not run: there is no ringproof beside {PROGRAM}");
    }
    there
}

const SMALL: [&str; 6] = ["stream", "--json", "--bytes", "1M", "--kills", "0"];

#[test]
fn a_file_arrives_whoever_is_killed() {
    if !has_program() {
        return;
    }
    let ran = run(&[
        "stream", "--json", "--seed", "5", "--bytes", "24M", "--kills", "3",
    ]);
    ensure_passed(&ran, "stream");
    let row = transfer_row(&ran);
    assert_eq!(row.reason.as_deref(), Some("6 kills"));
    assert_eq!(row.check, "25165824 bytes, 3 kills of each side");
    assert_eq!(injected(&ran.rows).count(), 6);
}

#[test]
fn without_the_program_it_says_so() {
    let copy = copy_beside(None);
    let ran = run_program(&copy.program, &SMALL);
    assert_eq!(ran.code, Some(3), "{}", ran.errors);
    let row = transfer_row(&ran);
    assert_eq!(row.verdict, Verdict::NotRun);
    let why = reason(row);
    assert!(why.contains("cargo build -p ringproof-cli"), "{why}");
}

#[test]
fn an_output_that_lacks_something_is_reported() {
    let copy = copy_beside(Some("cat > /dev/null"));
    let ran = run_program(&copy.program, &SMALL);
    assert_eq!(ran.code, Some(1), "{}", ran.errors);
    let why = reason(transfer_row(&ran));
    assert!(why.contains("received 0 bytes"), "{why}");
    assert!(why.ends_with("differ from byte 0"), "{why}");
}

#[test]
fn a_wrong_exit_code_is_reported_with_what_was_said() {
    let copy = copy_beside(Some("echo no luck >&2; exit 7"));
    let ran = run_program(&copy.program, &SMALL);
    assert_eq!(ran.code, Some(1), "{}", ran.errors);
    let why = reason(transfer_row(&ran));
    assert!(
        why.contains("exit status: 7") && why.contains("no luck"),
        "{why}"
    );
}

#[test]
fn a_segment_left_behind_is_reported_and_removed() {
    let copy = copy_beside(Some("cat > /dev/null; echo > /dev/shm/$4"));
    let ran = run_program(&copy.program, &SMALL);
    assert_eq!(ran.code, Some(1), "{}", ran.errors);
    let row = row(&ran.rows, "/dev/shm", "nothing left behind");
    assert_eq!(row.verdict, Verdict::Failed);
}

#[test]
fn too_few_bytes_to_kill_anybody_is_not_run() {
    if !has_program() {
        return;
    }
    let ran = run(&["stream", "--json", "--bytes", "0", "--kills", "1"]);
    assert_eq!(ran.code, Some(3), "{}", ran.errors);
    let why = reason(transfer_row(&ran));
    assert!(why.contains("give more --bytes"), "{why}");
}
