//! The command line: help that teaches, and the exit code of wrong usage.

use std::process::{Command, Output};

use ringproof_record::{EXIT_CODES, deadline};

fn verify(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringproof-verify"))
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn help_names_the_exit_codes_and_shows_examples() {
    let output = verify(&["--help"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        EXIT_CODES,
        "cargo verify --layer loom",
        "--strict",
        "report.html",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[test]
fn wrong_usage_ends_with_two() {
    for args in [
        &["--layer", "nonsense"][..],
        &["--seed", "many"],
        &["--nonsense"],
        &["--shard", "1/2"],
        &["--shard", "3/2", "--seed", "1"],
        &["--shard", "1/2", "--seed", "1", "--strict"],
        &["--nightly", "--minutes", "many"],
        &["--minutes", "30"],
        &["--merge"],
        &["--merge", "a.json", "--nightly"],
    ] {
        assert_eq!(verify(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_wrong_time_factor_is_wrong_usage() {
    let output = Command::new(env!("CARGO_BIN_EXE_ringproof-verify"))
        .arg("--list")
        .env(deadline::VARIABLE, "soon")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(deadline::VARIABLE), "{said}");
}

#[test]
fn the_script_that_is_a_layer_has_the_same_exit_codes() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/asm.sh");
    let said = |argument: &str| Command::new(script).arg(argument).output().unwrap();
    let help = said("--help");
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(text.contains(EXIT_CODES), "{text}");
    assert_eq!(said("--nonsense").status.code(), Some(2));
}

#[test]
fn a_shard_that_cannot_be_is_explained() {
    let said = |args: &[&str]| String::from_utf8(verify(args).stderr).unwrap();
    let third = said(&["--seed", "1", "--shard", "3/2"]);
    assert!(third.contains("numbered from 1 to 2"), "{third}");
    let seedless = said(&["--shard", "1/2"]);
    assert!(seedless.contains("--seed"), "{seedless}");
}

#[test]
fn the_list_names_every_layer() {
    let output = verify(&["--list"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for layer in ringproof_verify::layers::LAYERS {
        assert!(text.contains(layer.name));
    }
}

#[test]
fn another_workspace_is_not_mistaken_for_ours() {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_ringproof-verify"))
        .current_dir(directory.path())
        .env_remove("CARGO_MANIFEST_DIR")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "));
}
