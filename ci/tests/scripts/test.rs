//! ci/test.sh on a cargo that stands in for the tests: what they leave is found, and what others leave is
//! not put down to them.

use std::fs;
use std::process::{self, Output};
use std::thread;
use std::time::{Duration, Instant};

use ringproof_record::deadline;

use crate::tree::{Tree, code, text};

/// What it says of tests that do this, a line of shell in which `$name` is a file in /dev/shm; and whether
/// there was such a file in the end where everybody sees it.
fn said_of(tests: &str, what: &str) -> (Output, bool) {
    let tree = Tree::new("test.sh");
    let file = format!("/dev/shm/ringproof-test-sh-{what}-{}", process::id());
    tree.program("bin/cargo", &format!("name={file}\n{tests}"));
    let output = tree.run(&[]);
    (output, fs::remove_file(file).is_ok())
}

/// Whether the tests had a /dev/shm of their own.
fn has_looked(output: &Output) -> bool {
    !text(output).contains("not run: what the tests leave in /dev/shm")
}

#[test]
fn tests_that_leave_nothing_pass() {
    let (output, _) = said_of("touch $name && rm $name", "nothing");
    let expected = if has_looked(&output) { 0 } else { 3 };
    assert_eq!(code(&output), expected, "{}", text(&output));
}

#[test]
fn a_segment_that_is_left_fails() {
    let (output, is_seen) = said_of("touch $name", "segment");
    assert_ne!(has_looked(&output), is_seen, "{}", text(&output));
    let expected = if has_looked(&output) { 1 } else { 3 };
    assert_eq!(code(&output), expected, "{}", text(&output));
    let is_named = text(&output).contains("ringproof-test-sh-segment");
    assert_eq!(is_named, has_looked(&output), "{}", text(&output));
}

#[test]
fn a_segment_of_somebody_else_is_not_put_down_to_the_tests() {
    let tree = Tree::new("test.sh");
    tree.program(
        "bin/cargo",
        "touch started; until [ -e made ]; do sleep 0.01; done",
    );
    let file = format!("/dev/shm/ringproof-test-sh-other-{}", process::id());
    let output = thread::scope(|scope| {
        scope.spawn(|| {
            let until = Instant::now() + deadline::seconds(60);
            while !tree.path().join("started").exists() && Instant::now() < until {
                thread::sleep(Duration::from_millis(10));
            }
            let made = fs::write(&file, "");
            // Also where it could not be made: the stand-in for cargo waits for this.
            tree.write("made", "");
            made.unwrap();
        });
        tree.run(&[])
    });
    fs::remove_file(file).unwrap();
    let expected = if has_looked(&output) { 0 } else { 3 };
    assert_eq!(code(&output), expected, "{}", text(&output));
}

#[test]
fn tests_that_fail_fail() {
    let (output, _) = said_of("exit 101", "failing");
    assert_eq!(code(&output), 101, "{}", text(&output));
}
