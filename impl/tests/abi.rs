//! `ABI.md` against the library: what the document says is what happens. (Its table of the header is
//! checked where the layout is, in `layout.rs`.)
#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use common::lock_of;
use common::named::Named;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use ringproof::shape::{Description, Primitive};
use ringproof::site::Site;
use ringproof::{Inspection, Ring, RingOptions, Role, SegmentError, SeqLock, SeqLockOptions};

const DOCUMENT: &str = include_str!("../ABI.md");

/// The cells of the rows below the header `first | …` of a table.
fn table<'a>(document: &'a str, first: &str) -> Vec<Vec<&'a str>> {
    let cells = |line: &'a str| -> Vec<&'a str> {
        let inner = line.trim_matches('|').split('|');
        inner.map(|cell| cell.trim().trim_matches('`')).collect()
    };
    let mut lines = document.lines();
    lines
        .find(|line| line.starts_with(&format!("| {first} |")))
        .expect("the table");
    lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(cells)
        .collect()
}

/// What is wrong with the document's table of the accesses.
fn site_differences(document: &str) -> Vec<String> {
    let rows: BTreeSet<String> = table(document, "site")
        .iter()
        .map(|cells| cells.join(" | ").replace('`', ""))
        .collect();
    let sites = Site::all().map(|site| {
        let info = site.info();
        let word = info.word.replace(" | ", ", ");
        let partners = match info.partners {
            [] => "–".to_owned(),
            partners => partners.join(", "),
        };
        [info.name, info.kind, &word, info.ordering, &partners].join(" | ")
    });
    let sites: BTreeSet<String> = sites.collect();
    rows.symmetric_difference(&sites).cloned().collect()
}

#[test]
fn the_documents_accesses_are_the_site_table() {
    assert_eq!(site_differences(DOCUMENT), Vec::<String>::new());
    for (right, wrong) in [
        ("`RingPublish` | store", "`RingAnnounce` | store"),
        (
            "| store | write_index | Release |",
            "| store | write_index | Relaxed |",
        ),
        ("| `RingFree`, `RingStop` |\n", "| `RingFree` |\n"),
        ("| `Retire` | store | retired | Relaxed | – |\n", ""),
    ] {
        assert!(DOCUMENT.contains(right), "{right}");
        let changed = DOCUMENT.replacen(right, wrong, 1);
        assert!(!site_differences(&changed).is_empty(), "{right} -> {wrong}");
    }
    // Whatever looks like a site anywhere in the text is one.
    for word in DOCUMENT.split('`').skip(1).step_by(2) {
        let prefixes = [
            "Ring", "Seq", "Latch", "Role", "Retire", "Note", "Sleep", "Wake",
        ];
        let like_a_site = prefixes.iter().any(|prefix| word.starts_with(prefix))
            && word.chars().all(|c| c.is_ascii_alphabetic());
        assert!(
            !like_a_site || Site::named(word).is_some(),
            "no site {word}"
        );
    }
}

#[test]
fn the_documents_fingerprints_are_the_librarys() {
    let rows = table(DOCUMENT, "text");
    let mut descriptions = 0;
    for cells in &rows {
        let [text, fingerprint] = cells[..] else {
            panic!("{cells:?}");
        };
        let text = text.replace('⏎', "\n");
        let expected = u64::from_str_radix(&fingerprint[2..], 16).expect("a hexadecimal number");
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        assert_eq!(hash, expected, "{text:?}");
        if let Ok(description) = Description::parse(text.as_bytes()) {
            assert_eq!(description.fingerprint(), expected, "{text:?}");
            descriptions += 1;
        }
    }
    assert_eq!((rows.len(), descriptions), (4, 2));
}

#[test]
fn the_documents_kinds_of_fields_are_the_librarys() {
    let grammar = DOCUMENT.split("```").nth(1).expect("the grammar");
    let kinds = grammar.split("kind        =").nth(1).expect("the kinds");
    let kinds = kinds.split("number").next().expect("their end");
    let found: Vec<_> = kinds.split('"').skip(1).step_by(2).collect();
    let known: Vec<_> = Primitive::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(found, known);
}

/// Whether the byte of the segment's file is locked, asked as anybody can.
fn is_locked(name: &Named, byte: u8) -> bool {
    let file = OpenOptions::new().read(true).write(true).open(name.path());
    let mut lock = lock_of(byte);
    let file = file.expect("open it");
    fcntl(file.as_fd(), FcntlArg::F_OFD_GETLK(&mut lock)).expect("ask");
    lock.l_type != libc::F_UNLCK as libc::c_short
}

#[test]
fn the_documents_bytes_of_the_locks_are_those_locked() {
    let rows = table(DOCUMENT, "byte");
    let byte = |what: &str| -> u8 {
        let row = rows.iter().find(|cells| cells[1].contains(what));
        row.expect("a row")[0].parse().expect("a byte")
    };
    let (producer, consumer) = (byte("producer"), byte("consumer"));
    let name = Named::new("locks");
    let ring = Ring::<u64>::create(&name, &RingOptions::new(1)).expect("a ring");
    let locked = || [producer, consumer, byte("name")].map(|byte| is_locked(&name, byte));
    assert_eq!(locked(), [false; 3]);
    let claim = ring.segment().claim(Role::Producer).expect("the role");
    assert_eq!(locked(), [true, false, false]);
    drop(claim);
    let claim = ring.segment().claim(Role::Consumer).expect("the role");
    assert_eq!(locked(), [false, true, false]);
    drop(claim);
    ring.segment().unlink().expect("unlink it");
    let lock = SeqLock::create(&name, &1u64, &SeqLockOptions::default()).expect("a seqlock");
    let _claim = lock.segment().claim(Role::Writer).expect("the role");
    assert_eq!(locked(), [true, false, false]);
}

/// Attaches to a new ring in which `bytes` stand at `offset`; the field that is refused.
fn attach_changed(offset: u64, bytes: &[u8]) -> Option<&'static str> {
    let name = Named::new("newer");
    drop(Ring::<u64>::create(&name, &RingOptions::new(5).slots(8)).expect("a ring"));
    let file = OpenOptions::new().write(true).open(name.path());
    file.expect("open it")
        .write_all_at(bytes, offset)
        .expect("change it");
    let outcomes = [
        Ring::<u64>::attach(&name).map(drop),
        Inspection::of(&name).map(drop),
    ];
    let [attached, inspected] = outcomes.map(|outcome| match outcome {
        Ok(()) => None,
        Err(SegmentError::Mismatch { field, .. }) => Some(field),
        Err(other) => panic!("{other}"),
    });
    assert_eq!(attached, inspected);
    attached
}

#[test]
fn what_an_older_peer_does_with_a_newer_segment_is_what_the_document_says() {
    // What the rows of the table would look like to this build, in their order.
    let found = [
        attach_changed(400, &[1]),
        attach_changed(20, &[1]),
        attach_changed(16, &[4]),
        // Between the description and the slots.
        attach_changed(4096 + 200, b"something new"),
        attach_changed(4096, b"ringproof-shape 2"),
        attach_changed(8, &[2]),
    ];
    let documented = table(DOCUMENT, "change");
    let documented = documented.iter().map(|cells| cells[2]);
    let expected: Vec<_> = documented
        .map(|says| says.strip_prefix("refuses: `"))
        .collect();
    assert_eq!(found.to_vec(), expected);
}
