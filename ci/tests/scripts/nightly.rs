//! ci/nightly.sh with steps that stand in for the real ones, and minutes of ten seconds.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use crate::tree::{Tree, code, text};

/// A night in which every step passes at once, but for the fuzz targets, which need what is not there.
fn tree() -> Tree {
    let tree = Tree::new("nightly.sh");
    tree.replace("minute=60", "minute=10");
    tree.replace("grace=120", "grace=5");
    for script in ["bare", "crates", "flaky", "models", "weaken", "verify"] {
        tree.program(&format!("ci/{script}.sh"), "exit 0");
    }
    tree.program(".ci/run", "exit 0");
    let root = tree.path().display().to_string();
    tree.program(
        "bin/cargo",
        &format!(
            r#"case $1 in
    metadata) echo '{{"target_directory":"{root}/target"}}' ;;
    fuzz) exit 1 ;;
    verify) echo "$*" >'{root}/models' ; mkdir -p '{root}/target/verify'; touch '{root}/target/verify/report.json' ;;
esac"#
        ),
    );
    // One seed takes half of their share: a second one would not fit, and much is left on a busy machine.
    tree.replace("seeds       8 10 12", "seeds       1  0 12");
    tree.program("ci/verify.sh", "sleep 5");
    tree
}

const STEPS: [&str; 13] = [
    "checks",
    "flaky",
    "bare",
    "whole",
    "weaken",
    "stream",
    "sanitizers",
    "benches",
    "peers",
    "crates",
    "fuzz",
    "seeds",
    "models",
];

/// The line of the summary about a step.
fn line(said: &str, step: &str) -> String {
    let summary = said
        .split_once("==== the night")
        .expect("there is a summary")
        .1;
    let lines = summary
        .lines()
        .filter(|line| line.split_whitespace().nth(1) == Some(step));
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines.len(), 1, "{step}: {summary}");
    lines[0].to_owned()
}

#[test]
fn each_step_has_its_line_and_what_did_not_run_is_no_success() {
    let tree = tree();
    let said = tree.says(&["3"], 3);
    for step in STEPS {
        let line = line(&said, step);
        match step {
            "fuzz" => assert!(
                line.contains("not run") && line.contains("--step fuzz"),
                "{line}"
            ),
            // Where the compiler has no sanitizers.
            "sanitizers" => {}
            _ => assert!(line.starts_with('✓'), "{line}"),
        }
    }
    // The models have what is left: all but what the others took.
    let models = fs::read_to_string(tree.path().join("models")).unwrap();
    assert!(
        models.starts_with("verify --nightly --minutes "),
        "{models}"
    );
}

#[test]
fn a_step_that_fails_is_repeated_by_its_line_and_the_others_run() {
    let tree = tree();
    tree.program("ci/weaken.sh", "echo survived; exit 1");
    let said = tree.says(&["3"], 1);
    let weaken = line(&said, "weaken");
    assert!(
        weaken.starts_with('✗') && weaken.contains("ci/nightly.sh --step weaken"),
        "{weaken}"
    );
    assert!(line(&said, "models").starts_with('✓'), "{said}");
}

#[test]
fn a_step_that_hangs_is_ended_at_its_share_and_has_not_passed() {
    let tree = tree();
    tree.replace("checks     40 10", "checks      1  0");
    // It does not listen, and has a child in a session of its own.
    tree.program(
        ".ci/run",
        "trap '' TERM; setsid sleep 600 & echo $! >pid; while :; do sleep 1; done",
    );
    // It never ends by itself: that there is an answer says that it was ended, and that others ran says when.
    let said = tree.says(&["2"], 3);
    assert!(line(&said, "checks").contains("TRUNCATED"), "{said}");
    assert!(line(&said, "flaky").starts_with('✓'), "{said}");
    tree.assert_dead("pid");
}

#[test]
fn a_short_night_runs_what_fits_and_names_the_rest() {
    let tree = tree();
    let said = tree.says(&["1"], 3);
    for step in ["checks", "flaky", "models"] {
        assert!(line(&said, step).starts_with('✓'), "{said}");
    }
    let shorter = text(&tree.run(&["0.15"]));
    assert!(
        line(&shorter, "checks").contains("not run (needs 40 min"),
        "{shorter}"
    );
    assert!(line(&shorter, "flaky").starts_with('✓'), "{shorter}");
}

#[test]
fn a_signal_ends_it_with_everything_below_and_it_still_says_what_became_of_it() {
    let tree = tree();
    tree.program("ci/flaky.sh", "setsid sleep 600 & echo $! >pid; wait");
    let mut command = tree.command(&["3"]);
    command.stderr(Stdio::null()).process_group(0);
    let output = tree.interrupted(&mut command, &["pid"]);
    let said = text(&output);
    assert_eq!(code(&output), 143, "{said}");
    assert!(line(&said, "checks").starts_with('✓'), "{said}");
    assert!(line(&said, "flaky").contains("interrupted"), "{said}");
    assert!(line(&said, "models").contains("interrupted"), "{said}");
    tree.assert_dead("pid");
}

#[test]
fn wrong_usage_has_a_code_of_its_own() {
    let tree = tree();
    for wrong in [
        &["many"][..],
        &["1", "1/2"],
        &["--step"],
        &["--step", "nonsense"],
        &["--step", "bare", "x"],
    ] {
        tree.says(wrong, 2);
    }
}
