//! What the documents say, held against the tree: commands, files, links, and the sentences that a
//! program can check. Each check is a function of the text, so that it can be seen to fail.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ringproof_record::EXIT_CODES;
use ringproof_verify::layers::{self, Duty, LAYERS};

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

/// What the commands of a document are held against.
struct Tree {
    /// The members of the workspace, and where they are.
    packages: BTreeMap<String, String>,
    verify_help: String,
}

impl Tree {
    fn new() -> Tree {
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
    fn problems(&self, text: &str) -> Vec<String> {
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
        "cargo run -p ringproof-stress -- crash --page > stress/CRASHES.md",
        "cargo test --release --package ringproof-cli --test stream kill -- --test-threads 1",
        "`cargo test --features loom,shuttle`, and ci/lint.sh.",
    ] {
        assert_eq!(tree.problems(right), Vec::<String>::new(), "{right}");
    }
    for wrong in [
        "`cargo verify --fast`",
        "cargo verify --layer crashes",
        "cargo run --package ringproof-nothing -- all",
        "cargo run -p ringproof-stress -- crush --page",
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

/// The targets of links, and the files that are named in the text, which do not exist.
fn missing_files(path: &str, text: &str) -> Vec<String> {
    let directory = Path::new(path).parent().unwrap_or(Path::new(""));
    let exists = |target: &str| {
        let from_here = root().join(directory).join(target);
        from_here.exists() || root().join(target).exists()
    };
    let links = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let links = links.filter(|link| !link.contains("://") && !link.starts_with('#'));
    let links = links.map(|link| link.split('#').next().unwrap_or_default());
    let mut missing: Vec<_> = (links.filter(|link| !root().join(directory).join(link).exists()))
        .map(|link| format!("link to {link}"))
        .collect();
    // Within backticks, outside blocks of code.
    let prose: String = text.split("```").step_by(2).collect();
    let named = prose.split('`').skip(1).step_by(2).filter(|word| {
        let ends = [".rs", ".md", ".sh", ".h", ".hpp", ".c", ".toml"];
        word.contains('/')
            && !word.contains([' ', '*', '<'])
            && ends.iter().any(|end| word.ends_with(end))
    });
    missing.extend(named.filter(|name| !exists(name)).map(str::to_owned));
    missing
}

#[test]
fn every_file_that_is_named_exists() {
    let mut texts = documents();
    // A recorded run names the files of the program that printed it.
    texts.remove("perf/RUN.md");
    let missing = texts
        .iter()
        .map(|(path, text)| (path, missing_files(path, text)));
    let missing: BTreeMap<_, _> = missing.filter(|(_, found)| !found.is_empty()).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    assert_eq!(
        missing_files("docs/PROOF.md", "[x](../README.md)"),
        Vec::<String>::new()
    );
    for wrong in [
        "[x](README.md)",
        "[x](../docs/PROFF.md#a)",
        "`impl/src/rings.rs`",
    ] {
        assert_eq!(missing_files("docs/PROOF.md", wrong).len(), 1, "{wrong}");
    }
}

/// What README.md may have in bytes: it is read on a page of a repository.
const MOST: usize = 6000;

#[test]
fn the_readme_is_one_page() {
    let length = read("README.md").len();
    assert!(
        length < MOST,
        "README.md has {length} bytes; it must stay below {MOST}"
    );
}

/// The layers in the table of docs/PROOF.md that are none, and those that are not in it.
fn layer_differences(document: &str) -> Vec<String> {
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    let named: Vec<_> = rows.filter_map(|row| row.split('`').next()).collect();
    let known: Vec<_> = LAYERS
        .iter()
        .map(|layer| layer.name)
        .chain(["cargo test"])
        .collect();
    let unknown = named.iter().filter(|name| !known.contains(name));
    let missing = known
        .iter()
        .filter(|name| named.iter().filter(|n| n == name).count() != 1);
    unknown
        .chain(missing)
        .map(|name| (*name).to_owned())
        .collect()
}

#[test]
fn the_table_of_layers_has_every_layer_and_no_other() {
    let document = read("docs/PROOF.md");
    assert_eq!(layer_differences(&document), Vec::<String>::new());
    let without: String = (document.lines())
        .filter(|line| !line.starts_with("| `asm`"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(layer_differences(&without), ["asm"]);
    let another = document.replace("| `asm` |", "| `assembly` |");
    assert_eq!(layer_differences(&another), ["assembly", "asm"]);
}

/// A sentence of a document, and the line of the tree that makes it true.
struct Fact {
    document: &'static str,
    says: &'static str,
    source: &'static str,
    because: &'static str,
}

const fn fact(
    document: &'static str,
    says: &'static str,
    source: &'static str,
    because: &'static str,
) -> Fact {
    Fact {
        document,
        says,
        source,
        because,
    }
}

const FACTS: [Fact; 13] = [
    fact(
        "README.md",
        "Rust 1.95 or later",
        "Cargo.toml",
        "rust-version = \"1.95\"",
    ),
    fact(
        "README.md",
        "ringproof/impl",
        "impl/Cargo.toml",
        "name = \"ringproof\"",
    ),
    fact(
        "README.md",
        "header-only",
        "impl/ffi/include/ringproof.h",
        "static inline",
    ),
    fact(
        "SECURITY.md",
        "mode 0600 unless",
        "impl/src/segment.rs",
        "DEFAULT_MODE: u32 = 0o600;",
    ),
    fact(
        "SECURITY.md",
        "Every segment carries a description of its payload",
        "impl/src/segment.rs",
        "layout.description.as_bytes(), fixed.description_offset",
    ),
    fact(
        "SECURITY.md",
        "at most 65536 bytes",
        "impl/src/shape/description.rs",
        "MAX_LEN: usize = 1 << 16;",
    ),
    fact(
        "SECURITY.md",
        "at most 1024 fields",
        "impl/src/shape/description.rs",
        "MAX_FIELDS: usize = 1024;",
    ),
    fact(
        "CONTRIBUTING.md",
        "bare, lint, test, models, asm, verify",
        ".ci/run",
        "for name in lint test models asm verify; do",
    ),
    fact(
        "CONTRIBUTING.md",
        "bare, lint, test, models, asm, verify",
        ".ci/run",
        "step bare --share target ",
    ),
    fact(
        "CONTRIBUTING.md",
        "`RINGPROOF_TIME_FACTOR=4`",
        "ci/record/src/deadline.rs",
        "\"RINGPROOF_TIME_FACTOR\"",
    ),
    fact(
        "docs/PROOF.md",
        "on 42 litmus tests",
        "models/src/axioms/tests.rs",
        "assert_eq!(litmus::ALL.len(), 42);",
    ),
    fact(
        "docs/PROOF.md",
        "words stored more than six times",
        "models/src/engine.rs",
        "HISTORY: usize = 7;",
    ),
    fact(
        "docs/PROOF.md",
        "with ten kills of either side",
        "impl/cli/tests/stream.rs",
        "(\"kill-both\", 10, 10,",
    ),
];

/// What is wrong with the facts, where `read` gives the files.
fn wrong_facts(read: impl Fn(&str) -> String) -> Vec<String> {
    let mut wrong = Vec::new();
    for Fact {
        document,
        says,
        source,
        because,
    } in &FACTS
    {
        if !flat(&read(document)).contains(says) {
            wrong.push(format!(
                "{document} does not say \"{says}\" any more: is the check still right?"
            ));
        }
        if !flat(&read(source)).contains(because) {
            wrong.push(format!(
                "{document} says \"{says}\", but {source} has no \"{because}\""
            ));
        }
    }
    wrong
}

#[test]
fn sentences_that_name_a_constant_agree_with_it() {
    assert_eq!(wrong_facts(read), Vec::<String>::new());
    for Fact {
        document,
        says,
        source,
        because,
    } in &FACTS
    {
        for (file, text) in [(document, says), (source, because)] {
            let altered = wrong_facts(|path| {
                let whole = flat(&read(path));
                if path == *file {
                    whole.replace(text, "something else")
                } else {
                    whole
                }
            });
            assert!(!altered.is_empty(), "{file}: {text}");
        }
    }
}

/// What a document says of numbers that are counted in the tree.
fn wrong_counts(document: &str) -> Vec<String> {
    // The file of a specimen begins with its number, as s07.
    let is_specimen = |path: &String| {
        let name = path.rsplit('/').next().unwrap_or_default();
        let number = name.strip_prefix('s').unwrap_or_default();
        number.starts_with(|c: char| c.is_ascii_digit())
    };
    let words = [
        "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen",
    ];
    let count = |directory| {
        let count = files(directory, ".rs")
            .into_iter()
            .filter(is_specimen)
            .count();
        let word = words.get(count.wrapping_sub(10));
        word.map_or(count.to_string(), |word| (*word).to_owned())
    };
    let expected = [
        format!(
            "{} published bugs are caught by the same detectors",
            count("models/src/specimen")
        ),
        format!(
            "{} published bugs are caught by the same trials",
            count("stress/src/specimen")
        ),
    ];
    let document = flat(document);
    expected
        .into_iter()
        .filter(|sentence| !document.contains(sentence))
        .collect()
}

#[test]
fn the_published_bugs_are_as_many_as_the_table_says() {
    let document = read("docs/PROOF.md");
    assert_eq!(wrong_counts(&document), Vec::<String>::new());
    for count in ["fourteen", "eleven"] {
        assert_eq!(
            wrong_counts(&document.replace(count, "nine")).len(),
            1,
            "{count}"
        );
    }
}

/// The exit codes of a table, each with what it says up to the first colon or semicolon.
fn codes(table: &str) -> Vec<(u8, String)> {
    let after = table
        .split("Exit codes:")
        .nth(1)
        .expect("a table of exit codes");
    let lines = after
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with("  "));
    let code = |line: &str| {
        let (code, says) = line.trim().split_once("  ")?;
        let says = says.split([':', ';']).next()?;
        Some((code.parse().ok()?, says.trim().to_owned()))
    };
    lines.filter_map(code).collect()
}

/// The codes of `table` that the document does not give in the same words, as `0: everything ran`.
fn wrong_codes(document: &str, table: &str) -> Vec<String> {
    let codes = codes(table);
    assert_eq!(codes.len(), 4, "{codes:?}");
    let sentences = codes
        .into_iter()
        .map(|(code, says)| format!("{code}: {says}"));
    let document = flat(document);
    sentences
        .filter(|sentence| !document.contains(sentence))
        .collect()
}

#[test]
fn exit_codes_are_those_of_the_programs() {
    let document = read("CONTRIBUTING.md");
    assert_eq!(wrong_codes(&document, EXIT_CODES), Vec::<String>::new());
    for altered in [
        document.replace("0: every", "4: every"),
        document.replace("wrong usage", "usage"),
    ] {
        assert_eq!(wrong_codes(&altered, EXIT_CODES).len(), 1);
    }
}

/// What the driver's codes mean, in the words of its help, that the document does not say.
fn missing_meanings<'a>(document: &str, help: &str) -> Vec<&'a str> {
    let meanings = ["1: something failed", "a required check did not run"];
    let (document, help) = (flat(document), flat(help));
    let in_help = |says: &str| help.contains(&says.replace(": ", " "));
    let said = |says: &&str| document.contains(says) && in_help(says);
    meanings.into_iter().filter(|says| !said(says)).collect()
}

#[test]
fn the_readme_has_the_exit_codes_of_the_driver() {
    let (readme, help) = (read("README.md"), help());
    assert_eq!(missing_meanings(&readme, &help), Vec::<&str>::new());
    for word in ["failed", "required"] {
        for (readme, help) in [
            (&readme.replace(word, "passed"), &help),
            (&readme, &help.replace(word, "passed")),
        ] {
            assert_eq!(missing_meanings(readme, help).len(), 1, "{word}");
        }
    }
}

/// How many minutes a text says that something takes: `about five minutes`.
fn minutes<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let rest = &text[text.find(before)? + before.len()..];
    let (_, rest) = rest.split_once("about ")?;
    Some(rest.split_once(" minutes")?.0)
}

#[test]
fn the_help_takes_as_long_as_the_readme() {
    let (readme, help) = (read("README.md"), help());
    let said = minutes(&readme, "cargo verify ");
    assert!(said.is_some_and(|said| said.len() < 20), "{said:?}");
    assert_eq!(said, minutes(&help, "After the build it takes"));
    let altered = help.replacen("minutes", "hours", 1);
    assert_ne!(said, minutes(&altered, "After the build it takes"));
}

/// What the help says of what a layer owes.
fn required(duty: Duty) -> &'static [&'static str] {
    match duty {
        Duty::NoSites => &[],
        Duty::EveryOrdering => &[
            "for each ordering stronger than Relaxed and each fence",
            "for each slot access",
        ],
        Duty::EverySite => &["for each site, a process killed there"],
        Duty::EveryLoad => &["for each load and each read of a slot, answers as an adversary"],
    }
}

/// The duties of layers that the help does not name.
fn missing_duties(help: &str) -> Vec<&'static str> {
    let help = flat(help);
    let all = LAYERS.iter().flat_map(|layer| required(layer.duty));
    all.copied().filter(|says| !help.contains(says)).collect()
}

#[test]
fn the_help_says_what_is_required() {
    let help = help();
    assert_eq!(missing_duties(&help), Vec::<&str>::new());
    assert_eq!(
        missing_duties(&help.replace("read of a slot", "store")).len(),
        1
    );
    // And its examples name commands that exist.
    assert!(help.contains("cargo verify --layer"));
    assert_eq!(Tree::new().problems(&help), Vec::<String>::new());
}

/// The packages of CONTRIBUTING.md's map that are not where it says, and the members it leaves out.
fn wrong_places(document: &str, packages: &BTreeMap<String, String>) -> Vec<String> {
    let map = document.split("```text\n").nth(1).expect("the map");
    let map = map.split("```").next().expect("its end");
    let rows = map.lines().filter(|line| !line.starts_with(' '));
    let named: Vec<_> = (rows.filter_map(|row| {
        let (at, rest) = row.split_once(' ')?;
        let name = rest.split_whitespace().next()?;
        Some((name, at.trim_end_matches('/')))
    }))
    .filter(|(name, _)| name.starts_with("ringproof"))
    .collect();
    let wrong = named
        .iter()
        .filter(|(name, at)| packages.get(*name).map(String::as_str) != Some(at));
    let wrong = wrong.map(|(name, at)| format!("{name} is not in {at}"));
    let left_out = packages.values().filter(|at| !map.contains(at.as_str()));
    wrong
        .chain(left_out.map(|at| format!("{at} is left out")))
        .collect()
}

#[test]
fn the_map_of_the_workspace_is_the_workspace() {
    let (document, tree) = (read("CONTRIBUTING.md"), Tree::new());
    assert_eq!(
        wrong_places(&document, &tree.packages),
        Vec::<String>::new()
    );
    for (right, wrong) in [
        ("\nci/record ", "\nci/records "),
        ("ringproof-perf ", "ringproof-bench "),
        ("impl/derive", "its"),
    ] {
        assert!(document.contains(right), "{right}");
        let altered = document.replacen(right, wrong, 1);
        assert!(
            !wrong_places(&altered, &tree.packages).is_empty(),
            "{right}"
        );
    }
}

fn figures(arguments: &[&Path]) -> Output {
    let script = root().join("ci/figures.sh");
    Command::new("bash")
        .arg(script)
        .args(arguments)
        .output()
        .expect("bash")
}

#[test]
fn the_figures_are_those_of_the_recorded_run() {
    let output = figures(&[Path::new("--check")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");

    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("write it");
        path
    };
    let (readme, run) = (read("README.md"), read("perf/RUN.md"));
    let begin = readme
        .find("<!-- figures: ")
        .expect("where the figures begin");
    let digit = readme[begin..].find("| ringproof").expect("the table") + begin;
    let digit = readme[digit..]
        .find(|c: char| c.is_ascii_digit())
        .expect("a figure")
        + digit;
    let mut altered = readme.clone();
    let other = if &readme[digit..=digit] == "9" {
        "8"
    } else {
        "9"
    };
    altered.replace_range(digit..=digit, other);

    let cases = [
        (
            "another digit",
            altered.as_str(),
            run.as_str(),
            "are not those of",
        ),
        (
            "another figure in the run",
            &readme,
            &run.replace("\n  ringproof  ", "\n  ringproof 9"),
            "has no",
        ),
        ("no markers", "# ringproof\n", &run, "has no markers"),
        (
            "no date",
            &readme,
            &run.replace("\nWhat `", "\nThat `"),
            "does not begin with",
        ),
    ];
    for (what, readme, run, why) in cases {
        let (readme, run) = (write("README.md", readme), write("RUN.md", run));
        let output = figures(&[Path::new("--check"), &readme, &run]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{what}: {said}");
        assert!(said.contains(why), "{what}: {said}");
    }
    // And the command writes what its check asks for.
    let (altered, run) = (write("README.md", &altered), write("RUN.md", &run));
    assert!(figures(&[&altered, &run]).status.success());
    assert_eq!(fs::read_to_string(&altered).expect("it is there"), readme);
    assert_eq!(figures(&[Path::new("--nonsense")]).status.code(), Some(2));
}
