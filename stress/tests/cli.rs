//! What the command line has in common with those of the other programs of the harness.

use std::process::{Command, Output};

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
