//! The hostile layer: whatever a peer, or whoever may write a segment, can store there or do to
//! its file.
//!
//! A *subject* is an operation or a kind of file; it has numbered *cases*, the same for the same
//! seed. Each runs in a worker process of its own: an access outside a structure, which lies
//! between guard pages, ends it by a signal, and the case that it tried is known. What is
//! accepted must be an answer that a correct peer could have caused, or an error that says what
//! is wrong; never a panic, and never an operation that does not end.

mod bench;
mod c_header;
mod command;
mod description;
mod file;
pub mod fuzz;
mod header;
mod hole;
mod honest;
mod memory;
mod peek;
mod plant;
mod play;
mod region;
mod ring;
mod rogue;
mod role;
mod sample;
mod specimen;
mod supervise;
mod text;
mod value;

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result};

use bench::Bench;
use play::{ACTORS, Play, plays};
pub(crate) use supervise::{Options, run};

/// What is tried.
struct Subject {
    name: &'static str,
    /// What is done to it.
    check: &'static str,
    /// Whether two processes race in it: then one case alone need not show again what it showed.
    races: bool,
    run: Run,
}

/// Goes through a subject's cases, up to the first that breaks a promise.
type Run = fn(&Bench<'_>) -> Result<()>;

/// Every subject, in the order of the report.
fn subjects() -> Vec<Subject> {
    let operations = ACTORS.iter().flat_map(|actor| actor.operations);
    let operations = operations.map(|name| Subject {
        name,
        check: "answers that a peer may choose",
        races: false,
        run: answered_by_an_adversary,
    });
    let segments: [(_, _, Run); 24] = [
        ("header/ring", "every byte changed", header::of_ring),
        ("header/seqlock", "every byte changed", header::of_seqlock),
        ("header/latch", "every byte changed", header::of_latch),
        ("header/racing", "changed while it is read", header::racing),
        (
            "truncated/before",
            "attached to at every length",
            hole::before,
        ),
        ("truncated/memory-file", "cannot be", hole::memory_files),
        (
            "truncated/named",
            "SIGBUS, as documented",
            hole::named_files,
        ),
        ("punched", "pages gone under a mapping", hole::punched),
        ("replaced", "another file of the name", file::replaced),
        ("file/type", "what is no segment", file::of_any_type),
        (
            "file/descriptor",
            "what is no sealed memory file",
            file::descriptors,
        ),
        (
            "file/permission",
            "modes and another user",
            file::permissions,
        ),
        (
            "rogue/producer",
            "a peer that scribbles",
            rogue::against_producer,
        ),
        (
            "rogue/consumer",
            "a peer that scribbles",
            rogue::against_consumer,
        ),
        (
            "rogue/segment",
            "a peer that scribbles",
            rogue::over_segment,
        ),
        ("rogue/values", "a peer that scribbles", rogue::over_values),
        (
            "description/attached",
            "texts that say anything",
            description::attached,
        ),
        (
            "description/inspected",
            "texts that say anything, sizes at their limits",
            description::inspected,
        ),
        (
            "description/command",
            "texts that say anything",
            command::inspected,
        ),
        (
            "description/c",
            "texts that say anything, under sanitizers",
            c_header::attached,
        ),
        (
            "description/peek",
            "items written over meanwhile",
            peek::overtaken,
        ),
        (
            "fuzz/attach",
            "the corpus, and changes to it",
            fuzz::replay_attach,
        ),
        (
            "fuzz/peer",
            "the corpus, and changes to it",
            fuzz::replay_peer,
        ),
        (
            "fuzz/description",
            "the corpus, and changes to it",
            fuzz::replay_description,
        ),
    ];
    let segments = segments.map(|(name, check, run)| Subject {
        name,
        check,
        races: ["header/racing", "description/peek"].contains(&name) || name.starts_with("rogue/"),
        run,
    });
    operations.chain(segments).collect()
}

/// Every play about the subject.
fn answered_by_an_adversary(bench: &Bench<'_>) -> Result<()> {
    let plays = plays(bench.subject, bench.seed, bench.cases)?;
    for (number, bytes) in (0..).zip(&plays) {
        bench.case(number, || {
            let mut play = Play::decode(bytes).context("a play that cannot be read")?;
            play.plant = bench.plant;
            bench.count(&play.run()?.tally);
            Ok(())
        })?;
    }
    Ok(())
}

/// Which cases to run: `SUBJECT` or `SUBJECT:CASE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    subject: &'static str,
    case: Option<u64>,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, case) = match text.split_once(':') {
            Some((name, case)) => {
                let number = case.parse();
                (
                    name,
                    Some(number.map_err(|_| format!("`{case}` is not the number of a case"))?),
                )
            }
            None => (text, None),
        };
        let subjects = subjects();
        let Some(subject) = subjects.iter().find(|subject| subject.name == name) else {
            let names: Vec<_> = subjects.iter().map(|subject| subject.name).collect();
            return Err(format!(
                "there is no subject `{name}`; the subjects: {}",
                names.join(", ")
            ));
        };
        Ok(Address {
            subject: subject.name,
            case,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.subject)?;
        if let Some(case) = self.case {
            write!(f, ":{case}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::ValueEnum;

    use super::plant::Plant;
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in ["ring/push", "ring/push:12"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for (text, hint) in [("ring/shove", "ring/push_slice"), ("ring/push:x", "`x`")] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }

    #[test]
    fn a_name_means_one_subject_and_every_planted_fault_has_one() {
        let names: BTreeSet<_> = subjects().iter().map(|subject| subject.name).collect();
        assert_eq!(names.len(), subjects().len());
        for plant in Plant::value_variants() {
            assert!(names.contains(plant.subject()), "{plant:?}");
        }
    }
}
