//! ci/packages.sh: what did not run there is a failure, and so is a tool that is missing.

use std::fs;

use crate::tree::{Tree, code, text};

const TOOLS: [&str; 5] = ["cmake", "pkg-config", "python3", "g++", "clang++"];

/// A tree in which every tool is there, and all goes well.
fn tree() -> Tree {
    let tree = Tree::new("packages.sh");
    for tool in TOOLS {
        tree.program(&format!("bin/{tool}"), "echo flags");
    }
    tree.program("bin/cargo", "echo 'test result: ok'");
    // Its fourth argument is the program.
    tree.program(
        "bin/cc",
        "printf '#!/bin/sh\\nexit 0\\n' >\"$4\" && chmod +x \"$4\"",
    );
    tree.program("impl/ffi/install.sh", "exit 0");
    tree
}

#[test]
fn what_did_not_run_is_a_failure() {
    tree().says(&[], 0);
    for (file, lines, words) in [
        ("bin/cargo", "echo 'not run: cmake'", "what did not run"),
        ("bin/cargo", "exit 101", ""),
        ("impl/ffi/install.sh", "exit 1", ""),
        (
            "bin/cc",
            "printf '#!/bin/sh\\nexit 1\\n' >\"$4\" && chmod +x \"$4\"",
            "a program with the installed library",
        ),
    ] {
        let tree = tree();
        tree.program(file, lines);
        let bad = tree.run(&[]);
        assert_ne!(code(&bad), 0, "{file}: {lines}");
        assert!(text(&bad).contains(words), "{}", text(&bad));
    }
}

#[test]
fn a_tool_that_is_missing_is_a_failure() {
    for tool in TOOLS {
        let tree = tree();
        fs::remove_file(tree.path().join("bin").join(tool)).unwrap();
        // Nothing else is found: only what the script itself is made of.
        for needed in ["dirname", "mktemp", "rm", "tee", "grep"] {
            tree.program(
                &format!("bin/{needed}"),
                &format!("exec $(PATH=/usr/bin:/bin command -v {needed}) \"$@\""),
            );
        }
        let bash = std::env::var("PATH").unwrap();
        let bash = std::env::split_paths(&bash)
            .map(|folder| folder.join("bash"))
            .find(|file| file.is_file())
            .expect("bash");
        let output = std::process::Command::new(bash)
            .arg(tree.path().join("ci/packages.sh"))
            .env("PATH", tree.path().join("bin"))
            .output()
            .unwrap();
        assert_eq!(code(&output), 1, "{}", text(&output));
        let said = format!("FAILED: {tool} is not installed");
        assert!(text(&output).contains(&said), "{}", text(&output));
    }
}
