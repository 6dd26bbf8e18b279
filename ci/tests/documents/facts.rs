//! Sentences that name a number or a constant of the tree agree with it.

use crate::{files, flat, read};

/// A document, what it says, and the file and the line of the tree that make it true.
type Fact = [&'static str; 4];

macro_rules! facts {
    ($($document:literal says $says:literal because $source:literal has $because:literal;)*) => {
        &[$([$document, $says, $source, $because]),*]
    };
}

const FACTS: &[Fact] = facts! {
    "README.md" says "Rust 1.88 or later" because "impl/Cargo.toml" has "rust-version = \"1.88\"";
    "README.md" says "(what checks it needs 1.95)" because "Cargo.toml" has "rust-version = \"1.95\"";
    "impl/README.md" says "Rust 1.88 or later" because "impl/Cargo.toml" has "rust-version = \"1.88\"";
    "impl/cli/README.md" says "Rust 1.88 or later" because "impl/cli/Cargo.toml" has "rust-version = \"1.88\"";
    "README.md" says "ringproof/impl" because "impl/Cargo.toml" has "name = \"ringproof\"";
    "README.md" says "header-only" because "impl/ffi/include/ringproof.h" has "static inline";
    "SECURITY.md" says "mode 0600 unless" because "impl/src/segment.rs" has "DEFAULT_MODE: u32 = 0o600;";
    "SECURITY.md" says "Every segment carries a description of its payload"
        because "impl/src/segment.rs" has "layout.description.as_bytes(), fixed.description_offset";
    "SECURITY.md" says "at most 65536 bytes" because "impl/src/shape/description.rs" has "MAX_LEN: usize = 1 << 16;";
    "SECURITY.md" says "at most 1024 fields" because "impl/src/shape/description.rs" has "MAX_FIELDS: usize = 1024;";
    "CONTRIBUTING.md" says "bare, lint, test, models, asm, verify"
        because ".ci/run" has "for name in lint test models asm verify; do";
    "CONTRIBUTING.md" says "bare, lint, test, models, asm, verify" because ".ci/run" has "step bare --share target ";
    "CONTRIBUTING.md" says "`RINGPROOF_TIME_FACTOR=4`"
        because "ci/record/src/deadline.rs" has "\"RINGPROOF_TIME_FACTOR\"";
    "docs/PROOF.md" says "on 42 litmus tests"
        because "models/src/axioms/tests.rs" has "assert_eq!(litmus::ALL.len(), 42);";
    "docs/PROOF.md" says "words stored more than six times" because "models/src/engine.rs" has "HISTORY: usize = 7;";
    "docs/PROOF.md" says "with ten kills of either side" because "ci/nightly.sh" has "stream --bytes 2G --kills 10";
    "docs/WAITING.md" says "is from 2 to 64 units, and begins with 2" because "impl/src/wait.rs" has "LEAST: u32 = 2;";
    "docs/WAITING.md" says "is from 2 to 64 units, and begins with 2" because "impl/src/wait.rs" has "MOST: u32 = 64;";
    "docs/WAITING.md" says "is from 2 to 64 units, and begins with 2" because "impl/src/wait.rs" has "Pace(Self::LEAST)";
    "docs/WAITING.md" says "finds more than 2 items, or slots," because "impl/src/wait.rs" has "FEW: u64 = 2;";
    "docs/WAITING.md" says "half as long again" because "impl/src/wait.rs" has "(self.0 + self.0 / 2).min(Self::MOST)";
    "docs/WAITING.md" says "finds 1 or 2 halves it" because "impl/src/wait.rs" has "(self.0 / 2).max(Self::LEAST)";
    "docs/WAITING.md" says "A unit is about 45 ns" because "impl/src/wait.rs" has "UNIT: u32 = 45;";
    "docs/WAITING.md" says "the same for 20 µs, then" because "impl/src/wait.rs" has "SPIN: Duration = Duration::from_micros(20);";
    "docs/WAITING.md" says "`Sleep`, the default" because "impl/src/wait.rs" has "#[default] Sleep,";
    "docs/WAITING.md" says "sleeps for 1 ms at most" because "impl/src/sleep.rs" has "NAP: u64 = 1_000_000;";
    "docs/WAITING.md" says "asks the kernel every 80 ms"
        because "impl/src/wait.rs" has "INTERVAL: Duration = Duration::from_millis(80);";
    "docs/WAITING.md" says "read every 256 units, 12 µs" because "impl/src/wait.rs" has "UNITS_OF_A_CLOCK: u32 = 256;";
};

/// What is wrong with the facts, where `read` gives the files.
fn wrong_facts(read: impl Fn(&str) -> String) -> Vec<String> {
    let mut wrong = Vec::new();
    for [document, says, source, because] in FACTS {
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
    for [document, says, source, because] in FACTS {
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
    for count in ["fifteen", "eleven"] {
        assert_eq!(
            wrong_counts(&document.replace(count, "nine")).len(),
            1,
            "{count}"
        );
    }
}
