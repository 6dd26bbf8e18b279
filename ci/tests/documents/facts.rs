//! Sentences that name a number or a constant of the tree agree with it.

use crate::{files, flat, read};

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

const FACTS: [Fact; 16] = [
    fact(
        "README.md",
        "Rust 1.88 or later",
        "impl/Cargo.toml",
        "rust-version = \"1.88\"",
    ),
    fact(
        "README.md",
        "(what checks it needs 1.95)",
        "Cargo.toml",
        "rust-version = \"1.95\"",
    ),
    fact(
        "impl/README.md",
        "Rust 1.88 or later",
        "impl/Cargo.toml",
        "rust-version = \"1.88\"",
    ),
    fact(
        "impl/cli/README.md",
        "Rust 1.88 or later",
        "impl/cli/Cargo.toml",
        "rust-version = \"1.88\"",
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
        "ci/nightly.sh",
        "stream --bytes 2G --kills 10",
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
