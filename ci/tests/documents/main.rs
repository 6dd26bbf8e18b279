//! What the documents say, held against the tree: commands, files, links, and the sentences that a
//! program can check. Each check is a function of the text, so that it can be seen to fail.

mod adding;
mod circles;
mod commands;
mod facts;
mod figures;
mod help;
mod places;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text on one line: where a sentence is broken makes no difference.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The files below `directory`, as paths from the root, without what is built.
fn files(directory: &str, extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(root().join(&directory)).expect("a directory") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if directory.is_empty() {
                name.clone()
            } else {
                format!("{directory}/{name}")
            };
            if entry.file_type().expect("its type").is_dir() {
                if name != "target" && name != ".git" {
                    left.push(path);
                }
            } else if name.ends_with(extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Every document of the tree, by its path.
fn documents() -> BTreeMap<String, String> {
    let paths = files("", ".md");
    let documents: BTreeMap<_, _> = paths
        .into_iter()
        .map(|path| (path.clone(), read(&path)))
        .collect();
    for known in [
        "README.md",
        "SECURITY.md",
        "CONTRIBUTING.md",
        "docs/PROOF.md",
    ] {
        assert!(documents.contains_key(known), "{known}");
    }
    documents
}

/// What `cargo verify --help` prints.
fn help() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ringproof-verify"))
        .arg("--help")
        .output()
        .expect("run it");
    String::from_utf8(output.stdout).expect("text")
}
