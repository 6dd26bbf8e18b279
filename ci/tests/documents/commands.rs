//! Every command that a document shows exists, with its arguments.

use std::collections::BTreeMap;

use ringproof_verify::layers;

use crate::{documents, files, help, read, root};

/// What the commands of a document are held against.
pub(crate) struct Tree {
    /// The members of the workspace, and where they are.
    pub(crate) packages: BTreeMap<String, String>,
    verify_help: String,
}

impl Tree {
    pub(crate) fn new() -> Tree {
        let manifest = read("Cargo.toml");
        let members = manifest.split("members = [").nth(1).expect("the members");
        let members = members.split(']').next().expect("their end");
        let mut packages = BTreeMap::new();
        for member in members.split('"').skip(1).step_by(2) {
            let manifest = read(&format!("{member}/Cargo.toml"));
            let name = manifest.split('"').nth(1).expect("a name");
            packages.insert(name.to_owned(), member.to_owned());
        }
        assert!(packages.len() > 5 && packages.contains_key("ringproof"));
        Tree {
            packages,
            verify_help: help(),
        }
    }

    /// All sources of a package, one after another.
    fn sources(&self, package: &str) -> String {
        let directory = format!("{}/src", self.packages[package]);
        files(&directory, ".rs")
            .iter()
            .map(|path| read(path))
            .collect()
    }

    fn has_feature(&self, feature: &str) -> bool {
        let line = format!("\n{feature} = [");
        (self.packages.values()).any(|at| read(&format!("{at}/Cargo.toml")).contains(&line))
    }

    /// What is wrong with the commands of `text`: of cargo, and scripts of `ci`.
    pub(crate) fn problems(&self, text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        for rest in text.split("cargo ").skip(1) {
            let line = rest.split(['\n', '`', '"']).next().unwrap_or_default();
            let words: Vec<_> = (line.split_whitespace())
                .take_while(|word| !word.starts_with(['#', '>', '<', '&', '|', '\\', '…', '{']))
                .map(|word| word.trim_end_matches([',', '.', ';', ':', ')']))
                .collect();
            if let Err(why) = self.command(&words) {
                problems.push(format!("cargo {}: {why}", words.join(" ")));
            }
        }
        let scripts = text.split(|c: char| !(c.is_ascii_alphanumeric() || "_-./".contains(c)));
        for word in scripts.map(|word| word.trim_end_matches('.')) {
            let script = word.strip_prefix("./").unwrap_or(word);
            let named = script.starts_with("ci/") && script.ends_with(".sh");
            if (named || script.starts_with(".ci/")) && !root().join(script).is_file() {
                problems.push(format!("{script}: there is no such script"));
            }
        }
        problems
    }

    fn command(&self, words: &[&str]) -> Result<(), String> {
        match words {
            ["verify", rest @ ..] => self.verify(rest),
            ["run" | "test" | "bench" | "build" | "doc", rest @ ..] => self.cargo(rest),
            // Prose about cargo, or a command of its own.
            _ => Ok(()),
        }
    }

    fn verify(&self, arguments: &[&str]) -> Result<(), String> {
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let flag = argument.strip_prefix("--").unwrap_or_default();
            let known = |flag: &str| {
                let mut words = self.verify_help.split([' ', ',', '\n', '=']);
                words.any(|word| word.strip_prefix("--") == Some(flag))
            };
            if !flag.is_empty() && !known(flag) {
                return Err(format!("--help knows no --{flag}"));
            }
            if flag == "layer" {
                let layer = arguments.next().unwrap_or(&"");
                layers::find(layer).ok_or(format!("there is no layer {layer}"))?;
            }
        }
        Ok(())
    }

    fn cargo(&self, arguments: &[&str]) -> Result<(), String> {
        let split = arguments.iter().position(|word| *word == "--");
        let (ours, theirs) = arguments.split_at(split.unwrap_or(arguments.len()));
        let value = |long: &str, short: &str| {
            let mut words = ours.iter();
            words.find(|word| **word == long || **word == short)?;
            words.next().copied()
        };
        if let Some(features) = value("--features", "-F") {
            for feature in features.split(',') {
                if !self.has_feature(feature) {
                    return Err(format!("no package has a feature {feature}"));
                }
            }
        }
        let Some(package) = value("--package", "-p") else {
            return Ok(());
        };
        let at = self.packages.get(package);
        let at = at.ok_or_else(|| format!("there is no package {package}"))?;
        for (kind, directory) in [
            ("--example", "examples"),
            ("--test", "tests"),
            ("--bench", "benches"),
        ] {
            let Some(name) = value(kind, kind).filter(|name| !name.contains('*')) else {
                continue;
            };
            if !root().join(format!("{at}/{directory}/{name}.rs")).is_file() {
                return Err(format!("{package} has no {kind} {name}"));
            }
        }
        match theirs {
            ["--", subcommand, flags @ ..] if !subcommand.starts_with('-') => {
                self.program(package, subcommand, flags)
            }
            _ => Ok(()),
        }
    }

    /// Whether the sources of a program have that subcommand, and an argument of each name.
    fn program(&self, package: &str, subcommand: &str, arguments: &[&str]) -> Result<(), String> {
        let sources = self.sources(package);
        let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
        let variant: String = subcommand.split('-').map(capital).collect();
        let has = |end: &str| sources.contains(&format!("\n    {variant}{end}"));
        // An experiment has its name in a list, from which the command line is made.
        let is_listed = sources.contains(&format!("\n    name: \"{subcommand}\","))
            || sources.contains(&format!("\n        name: \"{subcommand}\","));
        if !is_listed && ![",", "(", " {"].iter().any(|end| has(end)) {
            return Err(format!("{package} has no subcommand {subcommand}"));
        }
        for flag in arguments.iter().filter_map(|word| word.strip_prefix("--")) {
            let field = format!(" {}:", flag.replace('-', "_"));
            if !sources.contains(&field) && !sources.contains(&format!("long = \"{flag}\"")) {
                return Err(format!("{package} has no argument --{flag}"));
            }
        }
        Ok(())
    }
}

#[test]
fn every_command_exists() {
    let tree = Tree::new();
    let mut texts = documents();
    // What the programs show in their help.
    for path in [
        "ci/src/main.rs",
        "models/src/main.rs",
        "perf/src/main.rs",
        "stress/src/lib.rs",
    ] {
        texts.insert(path.to_owned(), read(path));
    }
    let problems = texts.iter().map(|(path, text)| (path, tree.problems(text)));
    let problems: BTreeMap<_, _> = problems.filter(|(_, found)| !found.is_empty()).collect();
    assert!(problems.is_empty(), "{problems:#?}");
    let readme = &texts["README.md"];
    for command in ["cargo verify ", "cargo test ", "cargo test --features loom"] {
        assert!(readme.contains(command), "{command}");
    }
}

#[test]
fn a_command_that_does_not_exist_is_found() {
    let tree = Tree::new();
    for right in [
        "`cargo verify --layer crash --strict`",
        "cargo run -p ringproof-stress -- crash --document > stress/CRASHES.md",
        "cargo test --release --package ringproof-cli --test stream first -- --test-threads 1",
        "`cargo test --features loom,shuttle`, and ci/lint.sh.",
    ] {
        assert_eq!(tree.problems(right), Vec::<String>::new(), "{right}");
    }
    for wrong in [
        "`cargo verify --fast`",
        "cargo verify --layer crashes",
        "cargo run --package ringproof-nothing -- all",
        "cargo run -p ringproof-stress -- crush --document",
        "cargo run -p ringproof-stress -- crash --paper",
        "cargo run --package ringproof --example prodcer orders",
        "cargo test --package ringproof-cli --test streams",
        "cargo test --features looom",
        "(see ci/lnt.sh)",
        "`.ci/rum`",
    ] {
        assert_eq!(tree.problems(wrong).len(), 1, "{wrong}");
    }
}
