//! Exit codes, times and duties: the documents say what the help of the programs says.

use ringproof_record::EXIT_CODES;
use ringproof_verify::layers::{Duty, LAYERS};

use crate::commands::Tree;
use crate::{flat, help, read};

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
            "for each ordering stronger than Relaxed, each fence, each barrier and each call that sleeps or wakes",
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
