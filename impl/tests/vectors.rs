//! Recorded segments of version 1, byte by byte: every later build must attach to them, from Rust, C and
//! C++, and find what was put there. They are never recorded anew; what a new version needs is a new
//! vector beside them. (How they were: `cargo test -p ringproof --test vectors -- --ignored record`,
//! which refuses to write over one.)
//!
//! | vector | holds |
//! | --- | --- |
//! | `ring-v1.bin` | 8 slots, capacity 5: 13 quotes committed and 10 released, past the end of memory; closed by its producer; roles taken 2 and 3 times; a note of each |
//! | `seqlock-v1.bin` | a writer that died inside its third write, after two words |
//! | `latch-v1.bin` | 4 slots: the sixth value written after the first one |
#![cfg(all(target_os = "linux", target_endian = "little"))]

#[path = "../ffi/tests/common/c.rs"]
mod c;
mod common;

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use c::{Folder, compiler_for, has_cpp, include, run, succeeds};
use common::dying::Dying;
use common::ends;
use common::named::{self, Named};
use ringproof::harness::PartsOfValue;
use ringproof::layout::Kind;
use ringproof::seqlock::SeqWriter;
use ringproof::{
    Inspection, PopError, PushError, ReadError, Ring, RingOptions, Role, SeqLatch, SeqLatchOptions,
    SeqLock, SeqLockOptions,
};

#[derive(Clone, Copy, Debug, PartialEq, ringproof::Payload)]
#[repr(C)]
struct Quote {
    seq: u64,
    price: f64,
    tag: [u8; 8],
    legs: [Leg; 1],
}

#[derive(Clone, Copy, Debug, PartialEq, ringproof::Payload)]
#[repr(C)]
struct Leg {
    qty: i32,
    ratio: f32,
}

/// As `check_quote` in attach.c.
fn quote(seq: u64) -> Quote {
    Quote {
        seq,
        price: seq as f64 + 0.25,
        tag: std::array::from_fn(|at| (seq * 16 + at as u64) as u8),
        legs: [Leg {
            qty: -(seq as i32),
            ratio: seq as f32 * 0.5,
        }],
    }
}

const DESCRIPTION: &str = "ringproof-shape 1 little 32\nseq 0 u64\nprice 8 f64\ntag 16 u8x8\n\
                           legs[0].qty 24 i32\nlegs[0].ratio 28 f32\n";

const KINDS: [Kind; 3] = [Kind::Ring, Kind::SeqLock, Kind::Latch];

fn vector(kind: Kind) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    folder.join(format!("{}-v1.bin", kind.name()))
}

fn recorded(kind: Kind) -> Vec<u8> {
    fs::read(vector(kind)).expect("the vector")
}

/// The bytes of such a segment as this build makes it.
fn record(kind: Kind) -> Vec<u8> {
    let name = Named::new("record");
    match kind {
        Kind::Ring => {
            let options = RingOptions::new(5).slots(8);
            let ring = Ring::<Quote>::create(&name, &options).expect("a ring");
            drop((
                ring.segment().claim(Role::Producer).expect("the role"),
                ring.segment().claim(Role::Consumer).expect("the role"),
            ));
            drop(ring.segment().claim(Role::Consumer).expect("the role"));
            let (mut producer, mut consumer) = ends(&ring);
            for position in 0..13 {
                producer.push(quote(position)).expect("room");
                if position < 10 {
                    assert_eq!(consumer.pop(), Ok(quote(position)));
                }
            }
            ring.segment()
                .set_note(Role::Producer, 2, 77)
                .expect("a note");
            ring.segment()
                .set_note(Role::Consumer, 15, 88)
                .expect("a note");
            producer.close();
        }
        Kind::SeqLock => {
            let options = SeqLockOptions::default();
            let lock = SeqLock::create(&name, &quote(0), &options).expect("a seqlock");
            let mut writer = lock.writer().expect("the role");
            writer.write(&quote(1));
            writer.write(&quote(2));
            drop(writer);
            let claim = lock.segment().claim(Role::Writer).expect("the role");
            lock.segment().set_note(Role::Writer, 0, 5).expect("a note");
            // The odd number, and two words.
            let dying = Dying::after(3);
            let parts = lock.parts().expect("its words");
            let mut writer = SeqWriter::new(parts, dying, claim).expect("a writer");
            writer.write(&quote(3));
        }
        Kind::Latch => {
            let options = SeqLatchOptions::default();
            let latch = SeqLatch::create(&name, &quote(0), &options).expect("a latch");
            drop(latch.segment().claim(Role::Writer).expect("the role"));
            let mut writer = latch.writer().expect("the role");
            latch
                .segment()
                .set_note(Role::Writer, 0, 5)
                .expect("a note");
            for version in 1..=6 {
                writer.write(&quote(version));
            }
        }
    }
    fs::read(name.path()).expect("its bytes")
}

#[test]
#[ignore = "writes the vectors that are not there, and they are all there"]
fn record_what_is_missing() {
    for kind in KINDS {
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).open(vector(kind));
        let written = file.and_then(|mut file| file.write_all(&record(kind)));
        println!("{}: {written:?}", vector(kind).display());
    }
}

/// What is not as it was recorded in the segment of this name.
fn check(name: &str, kind: Kind) -> Result<(), String> {
    differences(name, kind).map_err(|error| error.to_string())
}

fn differences(name: &str, kind: Kind) -> Result<(), Box<dyn Error>> {
    macro_rules! check {
        ($found:expr, $expected:expr) => {
            let (found, expected) = ($found, $expected);
            if found != expected {
                let what = stringify!($found);
                return Err(format!("{what}: {found:?}, expected {expected:?}").into());
            }
        };
    }
    let seen = Inspection::of(name)?;
    let (slots, capacity) = match kind {
        Kind::Ring => (8, 5),
        Kind::SeqLock => (1, 1),
        Kind::Latch => (4, 1),
    };
    check!(seen.kind, kind);
    check!(seen.fixed.payload_align, 8);
    check!((seen.fixed.slots, seen.fixed.capacity), (slots, capacity));
    check!(
        (seen.fixed.description_offset, seen.fixed.data_offset),
        (4096, 8192)
    );
    check!(seen.fixed.segment_len, 8192 + slots * 32);
    check!(seen.description.to_string(), DESCRIPTION);
    check!(seen.retired, false);
    let roles: Vec<_> = (seen.roles.iter())
        .map(|state| (state.role, state.held, state.epoch, state.notes))
        .collect();
    let notes = |at: usize, value| std::array::from_fn(|index| if index == at { value } else { 0 });
    if kind == Kind::Ring {
        check!(
            roles,
            [
                (Role::Producer, false, 2, notes(2, 77)),
                (Role::Consumer, false, 3, notes(15, 88))
            ]
        );
        check!((seen.write_index, seen.read_index), (13, 10));
        check!((seen.end_index, seen.stop_index), (Some(13), None));
        let ring = Ring::<Quote>::attach(name)?;
        let mut consumer = ring.consumer()?;
        for position in 10..13 {
            check!(consumer.position(), position);
            check!(consumer.pop(), Ok(quote(position)));
        }
        check!(consumer.pop(), Err(PopError::PeerClosed));
        let mut producer = ring.producer()?;
        check!(producer.push(quote(13)), Err(PushError::Closed));
        return Ok(());
    }
    check!(roles, [(Role::Writer, false, 2, notes(0, 5))]);
    check!((seen.end_index, seen.stop_index), (None, None));
    check!(seen.read_index, 0);
    if kind == Kind::SeqLock {
        check!(seen.write_index, 5);
        let lock = SeqLock::<Quote>::attach(name)?;
        let reader = lock.reader()?;
        check!(reader.read(3), Err(ReadError::WriterDead { attempts: 3 }));
        let mut writer = lock.writer()?;
        check!(writer.needs_repair(), true);
        writer.write(&quote(9));
        check!(reader.read(1), Ok(quote(9)));
    } else {
        check!(seen.write_index, 6);
        let latch = SeqLatch::<Quote>::attach(name)?;
        let reader = latch.reader()?;
        check!(reader.read(3), Ok(quote(6)));
        latch.writer()?.write(&quote(9));
        check!(reader.read(1), Ok(quote(9)));
    }
    Ok(())
}

fn copy(name: &Named, bytes: &[u8]) {
    fs::write(name.path(), bytes).expect("a copy");
}

#[test]
fn this_build_finds_what_was_recorded() {
    for kind in KINDS {
        let name = Named::new("vector");
        copy(&name, &recorded(kind));
        assert_eq!(check(&name, kind), Ok(()), "{}", kind.name());
    }
}

#[test]
fn this_build_makes_what_was_recorded() {
    for kind in KINDS {
        assert!(record(kind) == recorded(kind), "{}", kind.name());
    }
}

/// The bytes that a build of version 1 gives no meaning: they may be anything.
fn meaningless(kind: Kind) -> Vec<Range<usize>> {
    let text_end = 4096 + DESCRIPTION.len();
    let slot = |number: usize| 8192 + number * 32..8192 + (number + 1) * 32;
    let mut ranges = vec![
        96..128,
        136..256,
        264..384,
        392..512,
        648..768,
        776..896,
        1024..4096,
        text_end..8192,
    ];
    match kind {
        // Positions 10, 11 and 12 are live.
        Kind::Ring => ranges.extend([0, 1, 5, 6, 7].map(slot)),
        // What a dead writer left is seen by no reader.
        Kind::SeqLock => ranges.push(slot(0)),
        Kind::Latch => ranges.extend([0, 1, 3].map(slot)),
    }
    if kind != Kind::Ring {
        // There is no consumer.
        ranges.extend([768..776, 896..1024]);
    }
    ranges
}

#[test]
fn every_byte_that_means_something_is_looked_at_and_no_other() {
    for kind in KINDS {
        let name = Named::new("flipped");
        let bytes = recorded(kind);
        let meaningless = meaningless(kind);
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            copy(&name, &flipped);
            let fails = check(&name, kind).is_err();
            let means = !meaningless.iter().any(|range| range.contains(&at));
            assert_eq!(fails, means, "{}, byte {at}", kind.name());
        }
    }
}

/// Compiles attach.c as C11 or as C++17.
fn compile(cpp: bool) -> (Folder, PathBuf) {
    let folder = Folder::with(&[]);
    let program = folder.path().join("attach");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/attach.c");
    let mut command = compiler_for(cpp);
    command
        .args(["-x", if cpp { "c++" } else { "c" }])
        .arg(source);
    command.arg("-I").arg(include()).arg("-o").arg(&program);
    succeeds(&mut command);
    (folder, program)
}

/// One byte of each thing that a segment holds.
const FLIPS: [(&str, usize); 9] = [
    ("magic", 0),
    ("version", 8),
    ("capacity", 48),
    ("fingerprint", 88),
    ("retired", 128),
    ("write_index", 256),
    ("producer_epoch", 384),
    ("producer_notes", 512),
    ("description", 4096 + 30),
];

#[test]
fn c_and_cpp_find_what_was_recorded() {
    for cxx in [false, true] {
        if cxx && !has_cpp() {
            continue;
        }
        let (_folder, program) = compile(cxx);
        let name = Named::new("c-vector");
        let attach = |kind: Kind, bytes: &[u8]| {
            copy(&name, bytes);
            run(Command::new(&program).arg(kind.name()).arg(&*name))
        };
        for kind in KINDS {
            let bytes = recorded(kind);
            let output = attach(kind, &bytes);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {errors}", kind.name());
            let live = match kind {
                Kind::Ring => Some(8192 + 4 * 32),
                Kind::SeqLock => None,
                Kind::Latch => Some(8192 + 2 * 32 + 31),
            };
            for (what, at) in FLIPS.into_iter().chain(live.map(|at| ("item", at))) {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1;
                let output = attach(kind, &flipped);
                assert_eq!(output.status.code(), Some(1), "{}: {what}", kind.name());
            }
        }
    }
}
