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
use ringproof::layout::Kind;
use ringproof::site::{BarrierSite, LoadSite, Site, SlotReadSite, WaitSite};
use ringproof_record::{Record, machine};

use crate::cli::CommandLine;
use crate::desk::{Asked, Check, Covered, Layer, Setting};
use crate::fault::Fault::{self, *};

/// Answer every access as a hostile peer might, and do to a segment's file what one can
///
/// Each operation of the ring, the seqlock, the latch and the roles is run over a memory whose
/// every load, and every read of a slot, gives what an adversary chose: first each value at a
/// boundary at each access, then random ones. The structures lie between pages that must not be
/// touched. Then segments: headers changed bit by bit and while they are read, descriptions of the
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
fn of(
    subject: &'static str,
    what: &'static str,
    run: impl Fn(&Setting<'_>) -> Result<()> + 'static,
) -> Check {
    let check = Check::new(subject, what, "cases", move |setting| {
        run(setting)?;
        Ok(setting.tried())
    });
    let faults = INJECTED.iter().filter(|(of, ..)| *of == subject);
    faults.fold(check, |check, (_, fault, sign)| {
        check.injected(*fault, sign)
    })
}

/// What is injected in which subject, and the words in which it must be noticed.
const INJECTED: [(&str, Fault, &str); 35] = [
    ("ring/push", AssertIndex, "panicked at"),
    ("ring/push_slice", TrustIndex, "SIGSEGV"),
    ("ring/pop", LengthTwice, "SIGSEGV"),
    (
        "ring/pop_slice",
        IgnoreRegress,
        "the answer is that all is well",
    ),
    ("ring/close", WakesAgain, "calls to wake others"),
    ("ring/stop", EndlessWake, "does not end"),
    ("seqlock/read", EndlessRead, "does not end"),
    ("seqlock/write", EvenWrite, "stored [(SeqOdd, 2)"),
    ("latch/read", UnmaskedRead, "SIGSEGV"),
    ("role/enter", CountedEnter, "no role is taken so often"),
    ("segment/claim", RetiredIgnored, "the claim is Ok"),
    ("header/ring", TrustHeader, "SIGSEGV"),
    ("header/racing", HeaderTwice, "SIGSEGV"),
    ("truncated/before", ShortBelieved, "SIGBUS"),
    ("truncated/memory-file", Unsealed, "length was changed"),
    ("truncated/named", NotTruncated, "raised no SIGBUS"),
    ("punched", TrustLostMemory, "that lost its memory"),
    ("replaced", NotReplaced, "of a segment that lost its name"),
    ("file/type", BlockingOpen, "it hangs"),
    ("file/type", FollowLink, "a Link is attached to"),
    ("file/descriptor", AnyDescriptor, "is attached to"),
    ("file/permission", KeepRights, "it is attached to"),
    ("scribbler/producer", TrustScribbler, "SIGSEGV"),
    ("scribbler/consumer", ScribblerTwice, "SIGSEGV"),
    ("scribbler/segment", IdleScribbler, "corrupt: 0"),
    ("description/attached", FingerprintAlone, "and attached to"),
    (
        "description/inspected",
        LenientParse,
        "NoDescription, and parsed",
    ),
    ("description/inspected", BelievedSize, "SIGABRT"),
    ("description/command", RawText, "is printed in"),
    ("description/c", BeginningAlone, "attached: true"),
    // Of either sanitizer: what is overrun first depends on the length.
    ("description/c", UnboundedLen, "the program in C ended: "),
    ("description/peek", UncheckedPeek, "was expected"),
    ("fuzz/attach", FuzzedHeader, "SIGSEGV"),
    ("fuzz/peer", FuzzedIndex, "stored by a correct peer"),
    ("fuzz/description", FuzzedText, "it is none, and read"),
];

const CHANGED: &str = "every byte changed";
const SCRIBBLES: &str = "a peer that scribbles";
const TEXTS: &str = "texts that say anything";
const LIMITS: &str = "texts that say anything, sizes at their limits";
const SANITIZED: &str = "texts that say anything, under sanitizers";
const CORPUS: &str = "the corpus, and changes to it";
const SIGBUS: &str = "SIGBUS, as documented";
const PAGES: &str = "pages gone under a mapping";
const NO_FILE: &str = "what is no sealed memory file";
const MODES: &str = "modes and another user";

/// Every check, in the order of the report.
fn checks(cli: &CommandLine, directory: &Path) -> Vec<Check> {
    let operations = actors::ACTORS
        .iter()
        .flat_map(|(operations, _)| *operations);
    let answered =
        operations.map(|name| of(name, "answers that a peer may choose", actors::answered));
    let (cli, directory) = (cli.clone(), directory.to_owned());
    let header = |kind| move |setting: &Setting<'_>| header::changed(setting, kind);
    let command = move |setting: &Setting<'_>| command::inspected(setting, &cli);
    let in_c = move |setting: &Setting<'_>| c_header::attached(setting, &directory);
    let lengths = "attached to at every length";
    let racing = "changed while it is read";
    let segments = [
        of("header/ring", CHANGED, header(Kind::Ring)),
        of("header/seqlock", CHANGED, header(Kind::SeqLock)),
        of("header/latch", CHANGED, header(Kind::Latch)),
        of("header/racing", racing, header::racing).races(),
        of("truncated/before", lengths, lost_memory::before),
        of("truncated/memory-file", "cannot be", lost_memory::sealed),
        of("truncated/named", SIGBUS, lost_memory::named_files),
        of("punched", PAGES, lost_memory::punched),
        of("replaced", "another file of the name", file::replaced),
        of("file/type", "what is no segment", file::of_any_type),
        of("file/descriptor", NO_FILE, file::descriptors),
        of("file/permission", MODES, file::permissions),
        of("scribbler/producer", SCRIBBLES, scribbler::over_producer).races(),
        of("scribbler/consumer", SCRIBBLES, scribbler::over_consumer).races(),
        of("scribbler/segment", SCRIBBLES, scribbler::over_segment).races(),
        of("scribbler/values", SCRIBBLES, scribbler::over_values).races(),
        of("description/attached", TEXTS, description::attached),
        of("description/inspected", LIMITS, description::inspected),
        of("description/command", TEXTS, command),
        of("description/c", SANITIZED, in_c),
        of(
            "description/peek",
            "items written over meanwhile",
            peek::overtaken,
        )
        .races(),
        of("fuzz/attach", CORPUS, fuzz::replay_attach),
        of("fuzz/peer", CORPUS, fuzz::replay_peer),
        of("fuzz/description", CORPUS, fuzz::replay_description),
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
    let reads = SlotReadSite::ALL.iter().copied().map(Site::from);
    // What the kernel may say.
    let barriers = BarrierSite::ALL.iter().copied().map(Site::from);
    let waits = WaitSite::ALL.iter().copied().map(Site::from);
    let sites = loads.chain(reads).chain(barriers).chain(waits);
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
