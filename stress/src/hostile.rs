//! The hostile layer: whatever a peer, or whoever may write a segment, can store there or do to
//! its file.
//!
//! A *subject* is an operation or a kind of file; it has numbered *cases*, the same for the same
//! seed. An access outside a structure, which lies between guard pages, ends the process of the
//! trial by a signal. What is accepted must be an answer that a correct peer could have caused, or
//! an error that says what is wrong; never a panic, and never an operation that does not end.

mod actors;
mod c_header;
mod command;
mod description;
mod file;
mod fixture;
pub mod fuzz;
mod header;
mod lost_memory;
mod memory;
mod peek;
mod region;
mod ring;
mod role;
mod scribbler;
mod script;
mod specimen;
mod text;
mod value;
mod well_behaved;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use ringproof::site::{LoadSite, Site, SlotReadSite};
use ringproof_record::{Record, machine};

use crate::cli::CommandLine;
use crate::desk::{Asked, Check, Covered, Layer, Setting};
use crate::fault::Fault;

/// Answer every access as a hostile peer might, and do to a segment's file what one can
///
/// Each operation of the ring, the seqlock, the latch and the roles is run over a memory whose
/// every load, and every read of a slot, gives what an adversary chose: first each value at a
/// boundary at each access, then random ones. The structures lie between pages that nobody may
/// touch. Then segments: headers changed bit by bit and while they are read, descriptions of the
/// payload that say anything, also to the C header and to `ringproof inspect`, files truncated,
/// punched, replaced or of the wrong type, and a peer that scribbles over everything shared.
/// Nothing may panic, hang or reach outside the segment. Injected faults show that each of these
/// would be noticed.
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  ringproof-stress hostile
      everything, in seconds
  ringproof-stress hostile --only ring/push --cases 100000
      one operation, with more random answers
  ringproof-stress hostile --only ring/push:17
      one case of it
  ringproof-stress hostile --inject trust-index
      with a fault injected: this one must fail
  ringproof-stress hostile --write-corpus stress/corpus
      writes the boundary cases for a fuzzer to begin with")]
pub(crate) struct Options {
    #[command(flatten)]
    asked: Asked,
    /// How many random cases to try of each subject, after those at the boundaries
    #[arg(long, default_value_t = 2000, value_name = "N")]
    cases: u64,
    /// Write the fuzzing corpus to this directory, and do nothing else
    #[arg(long, value_name = "DIR")]
    write_corpus: Option<PathBuf>,
    #[command(flatten)]
    command_line: CommandLine,
}

/// A check that goes through a subject's cases, up to the first that breaks a promise.
fn of(subject: &'static str, what: &'static str, run: fn(&Setting<'_>) -> Result<()>) -> Check {
    Check::new(subject, what, "cases", move |setting| {
        run(setting)?;
        Ok(setting.tried())
    })
}

/// Every check, in the order of the report.
fn checks(cli: &CommandLine, directory: &Path) -> Vec<Check> {
    let operations = actors::ACTORS.iter().flat_map(|actor| actor.operations);
    let answered = operations.map(|name| {
        let check = of(name, "answers that a peer may choose", actors::answered);
        match *name {
            "ring/push" => check.injected(Fault::AssertIndex, "panicked at"),
            "ring/push_slice" => check.injected(Fault::TrustIndex, "SIGSEGV"),
            "ring/pop" => check.injected(Fault::LengthTwice, "SIGSEGV"),
            "ring/pop_slice" => {
                check.injected(Fault::IgnoreRegress, "and the answer is that all is well")
            }
            "seqlock/read" => check.injected(Fault::EndlessRead, "does not end"),
            "seqlock/write" => check.injected(Fault::EvenWrite, "stored [(SeqOdd, 2)"),
            "latch/read" => check.injected(Fault::UnmaskedRead, "SIGSEGV"),
            "role/enter" => check.injected(Fault::CountedEnter, "nobody takes a role so often"),
            "segment/claim" => check.injected(Fault::RetiredIgnored, "the claim is Ok"),
            _ => check,
        }
    });
    let (cli, directory) = (cli.clone(), directory.to_owned());
    let segments = [
        of("header/ring", "every byte changed", header::of_ring)
            .injected(Fault::TrustHeader, "SIGSEGV"),
        of("header/seqlock", "every byte changed", header::of_seqlock),
        of("header/latch", "every byte changed", header::of_latch),
        of("header/racing", "changed while it is read", header::racing)
            .injected(Fault::HeaderTwice, "SIGSEGV")
            .races(),
        of(
            "truncated/before",
            "attached to at every length",
            lost_memory::before,
        )
        .injected(Fault::ShortBelieved, "SIGBUS"),
        of(
            "truncated/memory-file",
            "cannot be",
            lost_memory::memory_files,
        )
        .injected(Fault::Unsealed, "its length was changed"),
        of(
            "truncated/named",
            "SIGBUS, as documented",
            lost_memory::named_files,
        )
        .injected(Fault::NotTruncated, "raised no SIGBUS"),
        of(
            "punched",
            "pages gone under a mapping",
            lost_memory::punched,
        )
        .injected(Fault::TrustLostMemory, "that lost its memory"),
        of("replaced", "another file of the name", file::replaced).injected(
            Fault::NotReplaced,
            "was taken of a segment that lost its name",
        ),
        of("file/type", "what is no segment", file::of_any_type)
            .injected(Fault::BlockingOpen, "it hangs")
            .injected(Fault::FollowLink, "a Link is attached to"),
        of(
            "file/descriptor",
            "what is no sealed memory file",
            file::descriptors,
        )
        .injected(Fault::AnyDescriptor, "is attached to"),
        of(
            "file/permission",
            "modes and another user",
            file::permissions,
        )
        .injected(Fault::KeepRights, "it is attached to"),
        of(
            "scribbler/producer",
            "a peer that scribbles",
            scribbler::against_producer,
        )
        .injected(Fault::TrustScribbler, "SIGSEGV")
        .races(),
        of(
            "scribbler/consumer",
            "a peer that scribbles",
            scribbler::against_consumer,
        )
        .injected(Fault::ScribblerTwice, "SIGSEGV")
        .races(),
        of(
            "scribbler/segment",
            "a peer that scribbles",
            scribbler::over_segment,
        )
        .injected(Fault::IdleScribbler, "corrupt: 0")
        .races(),
        of(
            "scribbler/values",
            "a peer that scribbles",
            scribbler::over_values,
        )
        .races(),
        of(
            "description/attached",
            "texts that say anything",
            description::attached,
        )
        .injected(Fault::FingerprintAlone, "and attached to"),
        of(
            "description/inspected",
            "texts that say anything, sizes at their limits",
            description::inspected,
        )
        .injected(Fault::LenientParse, "NoDescription, and parsed")
        .injected(Fault::BelievedSize, "SIGABRT"),
        Check::new(
            "description/command",
            "texts that say anything",
            "cases",
            move |setting| {
                command::inspected(setting, &cli)?;
                Ok(setting.tried())
            },
        )
        .injected(Fault::RawText, "is printed in"),
        Check::new(
            "description/c",
            "texts that say anything, under sanitizers",
            "cases",
            move |setting| {
                c_header::attached(setting, &directory)?;
                Ok(setting.tried())
            },
        )
        .injected(Fault::BeginningAlone, "attached: true")
        // Of either sanitizer: what is overrun first depends on the length.
        .injected(Fault::UnboundedLen, "the program in C ended: "),
        of(
            "description/peek",
            "items written over meanwhile",
            peek::overtaken,
        )
        .injected(Fault::UncheckedPeek, "was expected")
        .races(),
        of(
            "fuzz/attach",
            "the corpus, and changes to it",
            fuzz::replay_attach,
        )
        .injected(Fault::FuzzedHeader, "SIGSEGV"),
        of(
            "fuzz/peer",
            "the corpus, and changes to it",
            fuzz::replay_peer,
        )
        .injected(Fault::FuzzedIndex, "some are overwritten"),
        of(
            "fuzz/description",
            "the corpus, and changes to it",
            fuzz::replay_description,
        )
        .injected(Fault::FuzzedText, "it is none, and read"),
    ];
    answered.chain(segments).collect()
}

/// Runs the layer. Every site at which something can be answered must be.
pub(crate) fn run(options: &Options) -> Result<Vec<Record>> {
    if let Some(directory) = &options.write_corpus {
        fuzz::write_corpus(directory)?;
        return Ok(Vec::new());
    }
    let loads = LoadSite::ALL.iter().copied().map(Site::from);
    let sites = loads.chain(SlotReadSite::ALL.iter().copied().map(Site::from));
    let covered = sites.map(|site| Covered {
        subject: site.info().name,
        what: actors::ANSWERED,
        unit: "answers",
    });
    let command = format!("hostile --cases {}", options.cases);
    // It outlives the processes that fill it, whoever ends them.
    let directory = tempfile::tempdir().context("cannot make a directory")?;
    let checks = checks(&options.command_line, directory.path());
    let layer = Layer {
        covered: covered.collect(),
        rounds: options.cases,
        width: machine::parallelism(),
        ..Layer::new("hostile", command, &options.asked, checks)
    };
    layer.run()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_name_means_one_subject() {
        let checks = checks(&CommandLine::default(), Path::new(""));
        let names: BTreeSet<_> = checks.iter().map(|check| &check.subject).collect();
        assert_eq!(names.len(), checks.len());
    }
}
