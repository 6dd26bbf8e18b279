//! What all layers have in common on the command line.

mod common;

use std::process::{Command, Output};

use common::{await_end_of, await_that, await_word, is_traceable, left_behind, start};
use nix::sys::signal::{Signal, kill};
use ringproof_record::{EXIT_CODES, deadline};

fn run(command: &mut Command) -> Output {
    command.output().expect("the program starts")
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ringproof-stress"))
}

#[test]
fn help_ends_with_the_exit_codes() {
    for help in ["--help", "-h"] {
        let output = run(program().arg(help));
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(EXIT_CODES), "{said}");
    }
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    assert_eq!(run(program().arg("nonsense")).status.code(), Some(2));
    let output = run(program().arg("stream").env(deadline::VARIABLE, "0"));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(deadline::VARIABLE), "{said}");
}

#[test]
fn the_command_line_program_that_is_given_is_the_one_that_runs() {
    let small = ["stream", "--json", "--bytes", "1M", "--kills", "0"];
    let output = run(program().args(small).args(["--cli", "/bin/false"]));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("instead of exit code 0"), "{said}");
}

#[test]
fn a_command_line_program_that_is_not_there_is_wrong_usage() {
    for layer in ["stream", "hostile"] {
        let output = run(program().args([layer, "--cli", "/dev/null/ringproof"]));
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}

#[test]
fn wrong_usage_is_told_from_failure_and_what_is_not_there_from_what_is() {
    for (args, hint) in [
        ("", "crash"),
        ("crush", "crash"),
        ("crash --seed x", "--seed"),
        ("crash --only ring/shove", "ring/push_slice"),
        ("crash --only ring/push:fulll", "tiny-empty"),
        ("crash --inject nothing", "publish-first"),
        ("crash --shard 3/2", "I/N"),
        ("crash --points nowhere", "syscalls"),
        ("crash --mode naps", "snapshots"),
        ("crash --points syscalls --only ring/push", "segment/create"),
        (
            "crash --points instructions --only ring/push:fulll",
            "tight",
        ),
        (
            "crash --points instructions --inject note-lost",
            "a note is not kept",
        ),
        ("faults --only restart", "restarts"),
        ("faults --rounds 1", "--rounds"),
        ("hostile --only ring/push:x", "ring/push:0"),
        ("hostile --only file/type:99", "file/type:0"),
        (
            "hostile --only file/type --inject trust-index",
            "ring/push_slice",
        ),
        ("stream --bytes many", "64K"),
        ("stream --bytes 99999999999G", "64K"),
        ("stream --kills -1", "-1"),
        ("soak --minutes 0", "0.25"),
        ("soak --minutes x", "0.25"),
        ("soak --times 3", "--only"),
        ("soak --only latch:4 --seed 9", "seqlock:4"),
        ("abi --only c-to-cobol", "rust-to-c++"),
    ] {
        let output = run(program().args(args.split_whitespace()));
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(hint), "{args:?}: {said}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

/// Starts this, has it stopped when it has begun, and looks that nothing of it is left.
fn stop(args: &[&str], signal: Signal, named: bool) {
    let (mut child, pid) = start(args);
    let number = child.id();
    if named {
        await_that("a segment", || !left_behind(number).is_empty());
    } else {
        await_word(&mut child);
    }
    kill(pid, signal).expect("it is there");
    let status = child.wait_with_output().expect("it ends").status;
    assert!(!status.success(), "{args:?}, {signal}: {status}");
    await_end_of(pid);
    // After SIGKILL only the one who waits for the death of all tidies up.
    await_that("its names to be gone", || left_behind(number).is_empty());
}

#[test]
fn when_it_is_stopped_nothing_is_left() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        stop(&["crash", "--whole", "--every-instruction"], signal, false);
        let many = [
            "faults",
            "--only",
            "unlink-and-claim",
            "--rounds",
            "10000000",
        ];
        stop(&many, signal, true);
        if is_traceable() {
            let every = ["crash", "--points", "instructions", "--every-instruction"];
            stop(&every, signal, false);
        }
    }
}
