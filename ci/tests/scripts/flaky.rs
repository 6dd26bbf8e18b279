//! ci/flaky.sh on programs that stand in for test programs: each way in which one can be flaky is found.

use std::fs;
use std::process::{Output, Stdio};
use std::thread;
use std::time::Duration;

use crate::tree::{Tree, assert_contains, code, text};

/// The message with which cargo names a test program.
fn artifact(tree: &Tree, name: &str) -> String {
    let root = tree.path().display();
    format!(
        r#"{{"reason":"compiler-artifact","package_id":"path+file://{root}#made-up@0.1.0","manifest_path":"{root}/Cargo.toml","target":{{"kind":["test"],"name":"{name}","test":true}},"profile":{{"opt_level":"0","test":true}},"executable":"{root}/programs/{name}"}}"#
    )
}

/// A tree whose test programs are these lines of shell.
fn tree(programs: &[(&str, &str)]) -> Tree {
    let tree = Tree::new("flaky.sh");
    let mut messages = vec![
        // A program that a test starts is none.
        artifact(&tree, "started").replace(r#""0","test":true"#, r#""0","test":false"#),
    ];
    for (name, script) in programs {
        tree.program(&format!("programs/{name}"), script);
        messages.push(artifact(&tree, name));
    }
    tree.write("messages", &(messages.join("\n") + "\n"));
    let root = tree.path().display();
    tree.program("bin/cargo", &format!("cat '{root}/messages'"));
    tree.program(
        "bin/rustc",
        r#"[ "$*" = "--print target-libdir" ] && echo /the/libdir"#,
    );
    // Four at once are load enough here.
    tree.program("bin/nproc", "echo 1");
    tree
}

/// Nothing failed: all was looked at, but for /dev/shm where the programs have none of their own.
#[track_caller]
fn assert_passed(output: &Output) {
    let said = text(output);
    let all = !said.contains("not run: what is left in /dev/shm");
    assert_eq!(code(output), if all { 0 } else { 3 }, "{said}");
}

/// Fails in its third run of each three.
const THIRD: &str = r#"
echo x >>count
[ $(($(wc -l <count) % 3)) -ne 0 ] || { echo 'test it::is::flaky ... FAILED'; exit 101; }"#;

/// A test of a procedural macro is linked with the compiler's libraries, which nothing else finds.
#[test]
fn programs_find_the_libraries_of_the_compiler() {
    let tree = tree(&[(
        "macros",
        "case $LD_LIBRARY_PATH: in *:/the/libdir:*) ;; *) exit 127 ;; esac",
    )]);
    assert_passed(&tree.run(&["--seed", "7"]));
}

#[test]
fn what_fails_now_and_then_is_found_and_its_repeat_is_named() {
    let tree = tree(&[("steady", "exit 0"), ("flaky", THIRD)]);
    let once = tree.run(&["--seed", "7", "2"]);
    assert_passed(&once);
    assert_contains(&text(&once), &["2 test programs, 4 runs, 0 failed"]);
    fs::remove_file(tree.path().join("count")).unwrap();
    let parts = [
        "6 runs, 1 failed",
        "1 times: flaky: cargo test --package made-up --test flaky -- --exact it::is::flaky",
        "ci/flaky.sh --seed 7 3",
    ];
    assert_contains(&tree.says(&["--seed", "7", "3"], 1), &parts);
}

#[test]
fn no_program_runs_twice_at_once() {
    let alone = "mkdir running && sleep 0.3 && rmdir running";
    let tree = tree(&[("alone", alone), ("other", "exit 0")]);
    assert_passed(&tree.run(&["4"]));
}

#[test]
fn what_hangs_is_ended_with_all_that_it_started() {
    let tree = tree(&[("hangs", "setsid sleep 600 & echo $! >pid; wait")]);
    assert_contains(&tree.says(&["--deadline", "8"], 1), &["it hung"]);
    tree.assert_dead("pid");
}

#[test]
fn a_signal_ends_it_with_everything_below_and_nothing_is_left() {
    let endless = "setsid sleep 600 & echo $! >\"$0.pid\"; wait";
    let tree = tree(&[("one", endless), ("other", endless)]);
    tree.write("tmp/none", "");
    // What comes after a program that has ended: none has.
    tree.program("bin/find", "touch \"${0%/*}\"/../went-on");
    let mut command = tree.command(&[]);
    command.env("TMPDIR", tree.path().join("tmp"));
    command.stderr(Stdio::null());
    let pids = ["programs/one.pid", "programs/other.pid"];
    assert_eq!(code(&tree.interrupted(&mut command, &pids)), 143);
    pids.iter().for_each(|pid| tree.assert_dead(pid));
    assert_eq!(fs::read_dir(tree.path().join("tmp")).unwrap().count(), 1);
    // Time for what should not happen.
    thread::sleep(Duration::from_millis(300));
    assert!(!tree.path().join("went-on").exists());
}

#[test]
fn what_is_left_behind_is_a_failure() {
    let tree = tree(&[
        ("file", "touch \"$TMPDIR\"/forgotten"),
        ("process", "setsid sleep 600 & echo $! >pid"),
    ]);
    let parts = [
        "2 runs, 2 failed",
        "forgotten",
        "left processes behind: sleep",
    ];
    assert_contains(&tree.says(&[], 1), &parts);
    tree.assert_dead("pid");
}

#[test]
fn a_segment_that_is_left_is_a_failure_and_goes() {
    let name = format!("ringproof-flaky-test-{}", std::process::id());
    let tree = tree(&[("segment", &format!("touch /dev/shm/{name}"))]);
    let output = tree.run(&[]);
    // Where it has no /dev/shm of its own, the segment is really there.
    if fs::remove_file(format!("/dev/shm/{name}")).is_ok() {
        return assert_passed(&output);
    }
    assert_eq!(code(&output), 1, "{}", text(&output));
    assert!(text(&output).contains(&name), "{}", text(&output));
}

#[test]
fn the_load_never_falls_below_four_for_each_cpu() {
    // The program itself is one of them.
    let count = r#"
sleep 1
cpus=$(nproc) busy=0
for stat in /proc/[0-9]*/stat; do
    read -r _ _ _ parent _ <"$stat" 2>/dev/null || continue
    [ "$parent" != "$(cat script)" ] || busy=$((busy + 1))
done
[ "$busy" -ge $((4 * cpus)) ] || { echo "panicked at: only $busy"; exit 1; }"#;
    let tree = tree(&[("counts", count)]);
    let root = tree.path().display();
    tree.program(
        "bin/cargo",
        &format!("echo $PPID >'{root}/script'; cat '{root}/messages'"),
    );
    assert_passed(&tree.run(&[]));
}

#[test]
fn the_order_follows_from_the_seed() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let programs = names.map(|name| (name, "basename \"$0\" >>order; sleep 0.1"));
    let tree = tree(&programs);
    // One at a time, so that the order of starts is the order in the file.
    tree.replace("jobs=$((4 * cpus))", "jobs=1");
    let order = |seed: &str| {
        assert_passed(&tree.run(&["--seed", seed, "2"]));
        let order = fs::read_to_string(tree.path().join("order")).unwrap();
        fs::remove_file(tree.path().join("order")).unwrap();
        order
    };
    let (first, again, other) = (order("1"), order("1"), order("2"));
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert_eq!(first.lines().count(), 12);
}

#[test]
fn wrong_usage_and_nothing_to_run_have_codes_of_their_own() {
    let tree = tree(&[("steady", "exit 0")]);
    for wrong in [
        &["0"][..],
        &["many"],
        &["--seed"],
        &["--seed", "x"],
        &["--nonsense"],
    ] {
        tree.says(wrong, 2);
    }
    tree.says(&["--only", "nonsense"], 3);
    tree.says(&["--help"], 0);
}
