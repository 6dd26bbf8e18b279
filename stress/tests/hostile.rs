//! The hostile layer as its users run it.

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::{Ran, ensure_injected, ensure_passed, run};
use ringproof::site::{LoadSite, SlotReadSite};
use ringproof_record::{Record, Verdict};
use ringproof_stress::fuzz;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");

fn hostile(args: &[&str]) -> Ran {
    run(&[&["hostile", "--json"], args].concat())
}

/// What may not be there: a C compiler with sanitizers, the program `ringproof`, which Cargo builds for
/// its own package's tests, not for these, and the permission to become another user or to make a device.
fn is_excused(row: &Record) -> bool {
    let reason = row.reason.as_deref().unwrap_or_default();
    let excused = match row.subject.as_str() {
        "description/c" => reason.contains("compiler") || reason.contains("sanitizers"),
        "description/command" => reason.contains("no program `ringproof`"),
        _ => reason.contains("only root can") || reason.contains("this process may not make"),
    };
    let excused = excused && row.verdict == Verdict::NotRun;
    if excused {
        eprintln!("not run: {}, {}: {reason}", row.subject, row.check);
    }
    excused
}

#[test]
fn it_passes_answers_at_every_site_and_catches_what_is_injected() {
    let mut ran = hostile(&["--cases", "200", "--seed", "3"]);
    let all = ran.rows.len();
    ran.rows.retain(|row| !is_excused(row));
    if ran.rows.len() < all {
        assert_eq!(ran.code.replace(0), Some(3));
    }
    ensure_passed(&ran, "hostile");
    let rows = ran.rows;

    let answered: BTreeSet<_> = (rows.iter())
        .filter(|row| row.check == "chosen answers" && row.count.is_some_and(|count| count > 0))
        .map(|row| row.subject.as_str())
        .collect();
    let loads = LoadSite::ALL.iter().map(|site| site.info().name);
    let reads = SlotReadSite::ALL.iter().map(|site| site.info().name);
    for site in loads.chain(reads) {
        assert!(answered.contains(site), "{site}");
    }
    let missing = [("description/command", 1), ("description/c", 2)];
    let missing = missing
        .iter()
        .filter(|(subject, _)| !rows.iter().any(|row| row.subject == *subject));
    let missing: usize = missing.map(|(_, faults)| faults).sum();
    ensure_injected(&rows, 35 - missing, &[]);
}

#[test]
fn the_same_seed_tries_the_same() {
    let args = ["--only", "ring/peek", "--cases", "50", "--seed"];
    let one = hostile(&[&args[..], &["8"]].concat()).rows;
    assert_eq!(hostile(&[&args[..], &["8"]].concat()).rows, one);
    let answers = |rows: &[Record]| rows.iter().map(|row| row.count).collect::<Vec<_>>();
    let other = hostile(&[&args[..], &["9"]].concat()).rows;
    assert_ne!(answers(&other), answers(&one));
}

/// The files of one target, by name.
fn inputs(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(directory).expect("a corpus");
    let mut inputs: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy();
            (name.into_owned(), std::fs::read(&path).expect("a file"))
        })
        .collect();
    inputs.sort();
    inputs
}

#[test]
fn the_corpus_is_replayed_and_is_what_the_command_writes() {
    let written = tempfile::tempdir().expect("a directory");
    let path = written.path().to_str().expect("a path");
    assert_eq!(hostile(&["--write-corpus", path]).code, Some(0));
    let (mut files, mut bytes) = (0, 0);
    for (target, function) in [
        ("attach", fuzz::attach as fn(&[u8])),
        ("peer", fuzz::peer),
        ("description", fuzz::description),
    ] {
        let kept = inputs(&Path::new(CORPUS).join(target));
        let written = inputs(&written.path().join(target));
        assert!(kept == written, "stress/corpus/{target} is out of date");
        for (_, input) in &kept {
            function(input);
            bytes += input.len();
        }
        files += kept.len();
    }
    assert!(
        files < 80 && bytes < 250 * 1024,
        "{files} files, {bytes} bytes"
    );
}
