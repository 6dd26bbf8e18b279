//! The stream layer as its users run it, also beside programs that are no `ringproof`.

mod common;

use std::path::{Path, PathBuf};

use common::{PROGRAM, Ran, run, run_program};
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

const SMALL: [&str; 6] = ["stream", "--json", "--bytes", "1M", "--kills", "0"];

#[test]
fn a_file_arrives_whoever_is_killed() {
    // Cargo builds it for its own package's tests, not for this one's.
    if !Path::new(PROGRAM).with_file_name("ringproof").is_file() {
        eprintln!("not run: there is no ringproof beside {PROGRAM}");
        return;
    }
    let ran = run(&[
        "stream", "--json", "--seed", "5", "--bytes", "24M", "--kills", "3",
    ]);
    let failed: Vec<_> = (ran.rows.iter())
        .filter(|row| row.verdict != Verdict::Passed)
        .collect();
    assert!(failed.is_empty(), "{failed:#?}\n{}", ran.errors);
    assert_eq!(ran.code, Some(0));
    let row = transfer_row(&ran);
    assert_eq!(row.reason.as_deref(), Some("6 kills"));
    assert_eq!(row.check, "25165824 bytes, 3 kills of each side");
    let injected = (ran.rows.iter()).filter(|row| row.check.starts_with("injected fault: "));
    assert_eq!(injected.count(), 6);
}

#[test]
fn without_the_program_it_says_so() {
    let copy = copy_beside(None);
    let ran = run_program(&copy.program, &SMALL);
    assert_eq!(ran.code, Some(3), "{}", ran.errors);
    let row = transfer_row(&ran);
    assert_eq!(row.verdict, Verdict::NotRun);
    let why = row.reason.as_deref().expect("a reason");
    assert!(why.contains("cargo build -p ringproof-cli"), "{why}");
}

#[test]
fn an_output_that_lacks_something_is_reported() {
    let copy = copy_beside(Some("cat > /dev/null"));
    let ran = run_program(&copy.program, &SMALL);
    assert_eq!(ran.code, Some(1), "{}", ran.errors);
    let why = transfer_row(&ran).reason.as_deref().expect("a reason");
    assert!(why.contains("received 0 bytes"), "{why}");
    assert!(why.ends_with("differ from byte 0"), "{why}");
}

#[test]
fn a_wrong_exit_code_is_reported_with_what_was_said() {
    let copy = copy_beside(Some("echo no luck >&2; exit 7"));
    let ran = run_program(&copy.program, &SMALL);
    assert_eq!(ran.code, Some(1), "{}", ran.errors);
    let why = transfer_row(&ran).reason.as_deref().expect("a reason");
    assert!(why.contains(", 7)") && why.contains("no luck"), "{why}");
}

#[test]
fn a_segment_left_behind_is_reported_and_removed() {
    let copy = copy_beside(Some("cat > /dev/null; echo > /dev/shm/$4"));
    let ran = run_program(&copy.program, &SMALL);
    assert_eq!(ran.code, Some(1), "{}", ran.errors);
    let row = (ran.rows.iter())
        .find(|row| row.check == "nothing left behind")
        .expect("a row");
    assert_eq!(row.verdict, Verdict::Failed);
}

#[test]
fn too_few_bytes_to_kill_anybody_is_not_run() {
    // Cargo builds it for its own package's tests, not for this one's.
    if !Path::new(PROGRAM).with_file_name("ringproof").is_file() {
        eprintln!("not run: there is no ringproof beside {PROGRAM}");
        return;
    }
    let ran = run(&["stream", "--json", "--bytes", "0", "--kills", "1"]);
    assert_eq!(ran.code, Some(3), "{}", ran.errors);
    let why = transfer_row(&ran).reason.as_deref().expect("a reason");
    assert!(why.contains("give more --bytes"), "{why}");
}
