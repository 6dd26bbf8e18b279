//! ci/crates.sh: what is packed without a part of it, does not pass its tests or has none is a failure; a
//! toolchain that is missing is not run.

use crate::tree::{Tree, code, text};

const PACKAGES: [&str; 3] = ["impl", "impl/derive", "impl/cli"];

/// A tree in which cargo packs the three, and all goes well.
fn tree() -> Tree {
    let tree = Tree::new("crates.sh");
    for package in PACKAGES {
        tree.write(
            &format!("{package}/Cargo.toml"),
            "rust-version = \"1.88\"\n",
        );
    }
    tree.program(
        "bin/cargo",
        r#"case $1 in
    metadata) echo '{"target_directory":"target"}' ;;
    test) echo "$RUSTUP_TOOLCHAIN" >>"$LOG"; echo 'test result: ok. 3 passed; 0 failed' ;;
    package)
        while [ "$1" != --target-dir ]; do shift; done
        mkdir -p "$2/package" && cd "$2/package"
        for name in ringproof-derive ringproof ringproof-cli; do
            mkdir $name-0.1.0
            for file in README.md LICENSE-MIT LICENSE-APACHE; do echo words >$name-0.1.0/$file; done
            for field in description license readme keywords categories rust-version; do
                echo "$field = 1" >>$name-0.1.0/Cargo.toml
            done
            tar -czf $name-0.1.0.crate $name-0.1.0
        done ;;
esac"#,
    );
    tree.program("bin/rustc", "echo host: here");
    tree.program("bin/rustup", "echo 1.88.0-x86_64-unknown-linux-gnu");
    tree
}

/// The exit code, what it said, and the toolchains of the tests.
fn run(tree: &Tree, args: &[&str]) -> (i32, String, String) {
    let log = tree.path().join("log");
    let output = (tree.command(args).env("LOG", &log))
        .env_remove("RUSTUP_TOOLCHAIN")
        .output()
        .unwrap();
    let toolchains = std::fs::read_to_string(log).unwrap_or_default();
    (code(&output), text(&output), toolchains)
}

#[test]
fn what_is_packed_is_tested_with_the_toolchain_that_was_asked_for() {
    for (args, toolchains) in [
        (&[][..], "\n\n\n"),
        (&["1.88"], "1.88\n1.88\n1.88\n"),
        (&["--oldest"], "1.88\n1.88\n1.88\n"),
        (&["--pack"], ""),
    ] {
        let (code, said, tested) = run(&tree(), args);
        assert_eq!((code, &*tested), (0, toolchains), "{args:?}: {said}");
    }
    let (code, said, tested) = run(&tree(), &["1.87"]);
    assert_eq!((code, &*tested), (3, ""), "{said}");
    assert!(said.contains("not run: the toolchain 1.87"), "{said}");
    assert_eq!(run(&tree(), &["--newest"]).0, 2);
}

#[test]
fn a_package_that_lacks_something_is_a_failure() {
    for (from, to, words) in [
        (" README.md ", " ", "without README.md"),
        (" LICENSE-APACHE;", ";", "without LICENSE-APACHE"),
        (" keywords ", " ", "without `keywords`"),
        (
            "ringproof ringproof-cli; do",
            "ringproof; do",
            "has not packed ringproof-cli",
        ),
        ("3 passed", "0 passed", "no test any more"),
        (
            "echo 'test result: ok. 3 passed; 0 failed'",
            "exit 101",
            "does not pass its tests",
        ),
    ] {
        let tree = tree();
        let cargo = tree.path().join("bin/cargo");
        let lines = std::fs::read_to_string(&cargo).unwrap();
        assert!(lines.contains(from), "{from}");
        let lines = lines.trim_start_matches("#!/bin/sh\n").replace(from, to);
        tree.program("bin/cargo", &lines);
        let (code, said, _) = run(&tree, &[]);
        assert_eq!(code, 1, "{words}: {said}");
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn packages_that_promise_different_versions_are_a_failure() {
    let tree = tree();
    tree.write("impl/cli/Cargo.toml", "rust-version = \"1.90\"\n");
    let (code, said, _) = run(&tree, &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("more than one: 1.88"), "{said}");
}
