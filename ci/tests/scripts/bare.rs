//! ci/bare.sh with a cargo that stands in for the real one, in environments that need no privilege.

use std::fs;
use std::process::Command;

use crate::tree::{Tree, assert_contains, code, text};

/// What did not run without compilers for C++ and 32 bits, and without git.
const REPORT: &str = r#"{
  "commit": null,
  "results": [
    {
      "layer": "abi",
      "subject": "c32-to-rust",
      "check": "ring",
      "verdict": "not_run",
      "reason": "`cc -m32` makes no program here"
    },
    {
      "layer": "layouts",
      "subject": "g++",
      "check": "as it stands",
      "verdict": "not_run",
      "reason": "g++ is not installed"
    },
    {
      "layer": "loom",
      "subject": "RingPublish",
      "check": "control",
      "verdict": "passed",
      "reason": "EXHAUSTED"
    }
  ]
}"#;

/// What cargo does where all is well.
const CARGO: &str = r#"
target=${CARGO_TARGET_DIR:-$PWD/target}
mkdir -p "$target/verify" "$target/$CARGO_BUILD_TARGET"
echo "$1: in $PWD, git $(ls -d .git 2>/dev/null), target $target, flags $RUSTFLAGS, cc $CC, term $TERM"
case $1 in
    verify) cp report.json "$target/verify/report.json" ;;
    test) [ -z "$CC" ] || $CC --version; echo 'not run: something that a test needs' ;;
esac"#;

/// A committed tree with the README's commands.
fn tree(cargo: &str, report: &str) -> Tree {
    let tree = Tree::new("bare.sh");
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/bare.c");
    tree.write("ci/bare.c", &fs::read_to_string(ours).unwrap());
    let readme = "Words.\n\n```console\nmake coffee\n```\n\n## How it is proved\n\n```console\ncargo verify    # all\ncargo test      # too\n```\n";
    tree.write("README.md", readme);
    tree.write("Cargo.lock", "");
    tree.write("report.json", report);
    tree.write(".gitignore", "target\n");
    let root = tree.path().display().to_string();
    let rustc = format!(
        "case $1 in --print) echo '{root}/sysroot' ;; *) echo 'host: x86_64-unknown-linux-gnu' ;; esac"
    );
    tree.program("bin/rustc", &rustc);
    tree.program("bin/cargo", "exit 0");
    tree.program("sysroot/bin/cargo", cargo);
    commit(&tree);
    tree
}

fn commit(tree: &Tree) {
    let git =
        "git init -q . && git add -A && git -c user.name=a -c user.email=a@b.c commit -q -m a";
    let made = Command::new("sh")
        .args(["-c", git])
        .current_dir(tree.path())
        .status()
        .unwrap();
    assert!(made.success());
}

fn command(tree: &Tree, args: &[&str]) -> Command {
    let mut command = tree.command(args);
    // Its own directory is the only one that it makes there.
    command
        .env("TMPDIR", tree.path().join("target"))
        .env("CARGO_HOME", tree.path().join("cargo"));
    fs::create_dir_all(tree.path().join("target")).unwrap();
    command
}

#[track_caller]
fn run(tree: &Tree, args: &[&str], expected: i32) -> String {
    let output = command(tree, args).output().unwrap();
    let said = text(&output);
    assert_eq!(code(&output), expected, "{said}");
    assert_clean(tree);
    said
}

/// Nothing is left but the logs.
#[track_caller]
fn assert_clean(tree: &Tree) {
    let left = fs::read_dir(tree.path().join("target")).unwrap();
    for entry in left {
        assert_eq!(entry.unwrap().file_name(), "bare");
    }
}

fn log(tree: &Tree, run: &str, command: &str) -> String {
    let file = format!("target/bare/{run}/{command}.log");
    fs::read_to_string(tree.path().join(file)).unwrap()
}

#[test]
fn both_commands_run_and_what_did_not_run_is_named() {
    let tree = tree(CARGO, REPORT);
    let said = run(&tree, &["no-32bit+no-cxx+no-tools"], 0);
    let parts = [
        "passed: cargo verify",
        "passed: cargo test",
        "not run, 1 check of abi: `cc -m32` makes no program here",
        "not run, 1 check of layouts: g++ is not installed",
        "test: not run: something that a test needs",
        "✓ no-32bit+no-cxx+no-tools: passed",
    ];
    assert_contains(&said, &parts);
    assert!(!said.contains("EXHAUSTED"), "{said}");
}

#[test]
fn a_home_of_its_own_choice_is_left() {
    let cargo = format!("echo \"$1\" >> \"$HOME/.cargo/seen\"\n{CARGO}");
    let tree = tree(&cargo, REPORT);
    run(&tree, &["--home", "left", "no-32bit+no-cxx+no-tools"], 0);
    let seen = fs::read_to_string(tree.path().join("left/.cargo/seen")).unwrap();
    assert_eq!(seen, "verify\ntest\n");
}

#[test]
fn a_report_with_everything_is_not_believed() {
    let tree = tree(CARGO, &REPORT.replace("not_run", "passed"));
    for environment in ["no-32bit", "no-cxx"] {
        assert_contains(&run(&tree, &[environment], 1), &["was it there after all?"]);
    }
}

#[test]
fn a_command_that_fails_is_a_failure_and_shows_its_last_words() {
    for (fails, status) in [("verify", 3), ("test", 101)] {
        let cargo =
            format!("{CARGO}\n[ $1 != {fails} ] || {{ echo 'error: torn'; exit {status}; }}");
        let tree = tree(&cargo, REPORT);
        let said = run(&tree, &["archive"], 1);
        let failed = format!("FAILED: cargo {fails}: exit code {status}");
        assert_contains(
            &said,
            &[&failed, "error: torn", "repeat: ci/bare.sh archive"],
        );
    }
}

#[test]
fn an_environment_that_is_not_as_it_should_be_is_a_failure() {
    let tree = tree(CARGO, REPORT);
    tree.program("bin/c++", "exit 0");
    tree.replace("hidden+=('c++' ", "hidden+=(");
    commit(&tree);
    let parts = ["no-cxx is not made: ", "c++ is found"];
    assert_contains(&run(&tree, &["no-cxx"], 1), &parts);
}

#[test]
fn each_environment_is_what_it_is_called() {
    let tree = tree(CARGO, REPORT);
    let together = "odd-path+archive+target-dir+triple+rustflags+cc-words+no-terminal+one-cpu";
    run(&tree, &[together], 0);
    let parts = [
        "own ö, git , target /",
        "/elsewhere, flags -C target-cpu=native, cc ccache cc, term dumb",
    ];
    assert_contains(&log(&tree, together, "verify"), &parts);
    // Where it is none of that, it is a checkout like any other.
    run(&tree, &["no-cxx"], 0);
    let parts = ["/tree, git .git, target ", "/tree/target, flags , cc ,"];
    assert_contains(&log(&tree, "no-cxx", "test"), &parts);
}

#[test]
fn what_a_setting_should_have_done_and_did_not_is_a_failure() {
    // What is not done, in which environment, and what is said of it.
    for (from, to, environment, said) in [
        (
            "${CARGO_TARGET_DIR:-$PWD/target}",
            "$PWD/target",
            "target-dir",
            "something was built in ./target all the same",
        ),
        (
            "/$CARGO_BUILD_TARGET",
            "",
            "triple",
            "nothing was built for the triple",
        ),
        (
            "$CC --version",
            "true",
            "cc-words",
            "the compiler cache was never called",
        ),
    ] {
        let tree = tree(&CARGO.replace(from, to), REPORT);
        assert_contains(&run(&tree, &["--only", "test", environment], 1), &[said]);
    }
    let committed = tree(CARGO, &REPORT.replace("null", "\"0a1\""));
    assert_contains(
        &run(&committed, &["archive"], 1),
        &["the report names a commit"],
    );
}

#[test]
fn a_process_that_is_left_behind_is_a_failure_and_is_ended() {
    let cargo = format!("{CARGO}\nsetsid sleep 600 >/dev/null 2>&1 & echo $! >pid; cat pid");
    let tree = tree(&cargo, REPORT);
    let said = run(&tree, &["--only", "test", "archive"], 1);
    assert_contains(&said, &["1 processes were left behind"]);
    let seen = log(&tree, "archive", "test");
    tree.write("pid", seen.lines().last().unwrap());
    tree.assert_dead("pid");
}

#[test]
fn a_signal_ends_it_with_everything_below() {
    let cargo = "echo $$ >'ROOT/pid'; sleep 600";
    let tree = tree("", REPORT);
    tree.program(
        "sysroot/bin/cargo",
        &cargo.replace("ROOT", &tree.path().display().to_string()),
    );
    let output = tree.interrupted(&mut command(&tree, &["archive", "no-cxx"]), &["pid"]);
    let said = text(&output);
    assert_eq!(code(&output), 143, "{said}");
    for environment in ["archive", "no-cxx"] {
        let line = format!("{environment}: not run (interrupted)");
        assert!(said.contains(&line), "{said}");
    }
    tree.assert_dead("pid");
    assert_clean(&tree);
}

#[test]
fn wrong_usage_and_a_changed_readme_have_codes_of_their_own() {
    let tree = tree(CARGO, REPORT);
    for wrong in [
        &["nonsense"][..],
        &["archive+nonsense"],
        &["--only", "both"],
        &["--nonsense"],
    ] {
        run(&tree, wrong, 2);
    }
    assert_contains(&run(&tree, &["--list"], 0), &["\nno-cxx ", "\nuser "]);
    tree.write(
        "README.md",
        "## How it is proved\n\n```console\ncargo verify\ncargo build\n```\n",
    );
    commit(&tree);
    assert_contains(&run(&tree, &["archive"], 1), &["what README.md has below"]);
}
