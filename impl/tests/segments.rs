//! Segments and roles: refused with the field that is wrong, held by one at a time, looked at.
//!
//! What needs other processes is in `ringproof-stress`, with wrong implementations beside it: who meets
//! a creation or a removal, what a death frees, what a descriptor, a program or a fork inherits, and the
//! limits of a process.
//!
//! The offsets here are those of the documented table, not those of the code: the two must
//! agree.

mod common;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;

use common::helper::{self, Helper};
use common::named::Named;
use common::stranger::as_nobody;
use common::{Deadline, Effort, seqlock_and_latch};
use ringproof::layout::{Fixed, Kind, NOTES};
use ringproof::segment::name_of;
use ringproof::{
    Inspection, Ring, RingOptions, Role, Segment, SegmentError, SeqLatch, SeqLatchOptions, SeqLock,
    SeqLockOptions, unlink, unlink_free,
};

// The documented layout.
const MAGIC: u64 = 0;
const VERSION: u64 = 8;
const HEADER_LEN: u64 = 12;
const KIND: u64 = 16;
const FLAGS: u64 = 20;
const PAYLOAD_SIZE: u64 = 24;
const PAYLOAD_ALIGN: u64 = 32;
const SLOTS: u64 = 40;
const CAPACITY: u64 = 48;
const DATA_OFFSET: u64 = 56;
const SEGMENT_LEN: u64 = 64;
const RETIRED: u64 = 128;
const WRITE_INDEX: u64 = 256;
const PRODUCER_EPOCH: u64 = 384;
const PRODUCER_NOTES: u64 = 512;
const READ_INDEX: u64 = 640;
const CONSUMER_EPOCH: u64 = 768;
const CONSUMER_NOTES: u64 = 896;
const DESCRIPTION_OFFSET: u64 = 72;
const DESCRIPTION_LEN: u64 = 80;
const FINGERPRINT: u64 = 88;
const DESCRIPTION: u64 = 4096;
const DATA: u64 = 8192;

/// A ring of 8 slots, 5 of which may be live, and its length.
fn options() -> RingOptions {
    RingOptions::new(5).slots(8)
}
const LEN: u64 = DATA + 8 * 8;

fn create(name: &str) -> Ring<u64> {
    Ring::create(name, &options()).expect("create a ring")
}

fn file(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).open(path).expect("open it")
}

fn word(file: &File, offset: u64) -> u64 {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, offset).expect("read a word");
    u64::from_ne_bytes(bytes)
}

fn set_word(file: &File, offset: u64, value: u64) {
    let written = file.write_all_at(&value.to_ne_bytes(), offset);
    written.expect("write a word");
}

/// Marks a segment as retired, as a process leaves it that dies between the two steps of a removal.
fn retire(name: &Named) -> File {
    let half = file(&name.path());
    set_word(&half, RETIRED, 1);
    half
}

/// Every way to a named segment that exists.
fn ways_to(name: &str) -> [Result<(), SegmentError>; 4] {
    [
        Ring::<u64>::attach(name).map(drop),
        Ring::<u64>::open_or_create(name, &options()).map(drop),
        Inspection::of(name).map(drop),
        // What it does not know for a segment, it does not remove.
        unlink(name),
    ]
}

/// What describes the items of such a ring.
fn text() -> String {
    let order = if cfg!(target_endian = "little") {
        "little"
    } else {
        "big"
    };
    format!("ringproof-shape 1 {order} 8\nvalue 0 u64\n")
}

/// The hash that is a description's fingerprint.
fn fnv_1a(text: &[u8]) -> u64 {
    text.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// Checks that a refusal names the segment and every field that differs.
#[track_caller]
fn assert_payload<T>(outcome: Result<T, SegmentError>, label: &str, expected: &[&str]) {
    let Err(error) = outcome else {
        panic!("{label}: accepted, although {expected:?}");
    };
    let text = error.to_string();
    assert!(text.contains(expected[0]), "{text}");
    match error {
        SegmentError::Payload {
            segment,
            differences,
        } => {
            assert_eq!(segment, label, "{text}");
            assert_eq!(differences, expected, "{text}");
        }
        other => panic!("{label}: {other:?}"),
    }
}

/// Checks that a refusal names the segment, the field, what was found and what was expected,
/// in its parts and in its text.
#[track_caller]
fn assert_mismatch<T>(
    outcome: Result<T, SegmentError>,
    label: &str,
    [field, found, expected]: [&str; 3],
) {
    let Err(error) = outcome else {
        panic!("{label}: {field} {found} was accepted");
    };
    let text = error.to_string();
    match error {
        SegmentError::Mismatch {
            segment,
            field: said_field,
            found: said_found,
            expected: said_expected,
        } => {
            assert_eq!((&*segment, said_field), (label, field), "{text}");
            assert!(said_found.contains(found), "{found}: {text}");
            assert!(said_expected.contains(expected), "{expected}: {text}");
            for part in [segment, said_found, said_expected] {
                assert!(text.contains(&part), "{part}: {text}");
            }
            assert!(text.contains(said_field), "{said_field}: {text}");
        }
        other => panic!("{field}: {other:?}"),
    }
}

/// Checks that a refusal is of this variant, of the role where one is given, and that its text names the
/// segment.
macro_rules! assert_refused {
    ($outcome:expr, $label:expr, $variant:ident $(, $role:expr)?) => {
        match $outcome {
            Ok(_) => panic!("not refused: {}", stringify!($outcome)),
            Err(error) => {
                assert!(matches!(error, SegmentError::$variant { .. }), "{error:?}");
                $(assert!(
                    matches!(error, SegmentError::$variant { role, .. } if role == $role),
                    "{error:?}"
                );)?
                let text = error.to_string();
                assert!(text.contains(&format!("`{}`", &*$label)), "{text}");
            }
        }
    };
}

// ---- what is in the file ------------------------------------------------------------------

#[test]
fn what_lies_in_the_file_is_what_the_table_says() {
    let name = Named::new("table");
    let ring = create(&name);
    let mut producer = ring.producer().expect("the role");
    assert_eq!(producer.push_slice(&[10, 20, 30]), Ok(3));
    let mut consumer = ring.consumer().expect("the role");
    assert_eq!(consumer.pop(), Ok(10));
    drop(consumer);
    drop(ring.consumer().expect("the role again"));
    ring.segment()
        .set_note(Role::Producer, 2, 77)
        .expect("a note");
    ring.segment()
        .set_note(Role::Consumer, 15, 88)
        .expect("a note");

    let file = file(&name.path());
    assert_eq!(file.metadata().expect("its length").len(), LEN);
    // As a dump shows it: a big-endian number.
    assert_eq!(word(&file, MAGIC), u64::from_be_bytes(*b"RINGPRF1"));
    let mut halves = [0u32; 4];
    let bytes = bytemuck::bytes_of_mut(&mut halves);
    file.read_exact_at(bytes, VERSION).expect("read the header");
    assert_eq!(halves, [1, 4096, 1, 0]);
    let words = [
        (PAYLOAD_SIZE, 8),
        (PAYLOAD_ALIGN, 8),
        (SLOTS, 8),
        (CAPACITY, 5),
        (DATA_OFFSET, DATA),
        (SEGMENT_LEN, LEN),
        (DESCRIPTION_OFFSET, DESCRIPTION),
        (DESCRIPTION_LEN, text().len() as u64),
        (FINGERPRINT, fnv_1a(text().as_bytes())),
        (RETIRED, 0),
        (WRITE_INDEX, 3),
        (PRODUCER_EPOCH, 1),
        (PRODUCER_NOTES + 2 * 8, 77),
        (READ_INDEX, 1),
        (CONSUMER_EPOCH, 2),
        (CONSUMER_NOTES + 15 * 8, 88),
        (DATA, 10),
        (DATA + 8, 20),
        (DATA + 16, 30),
    ];
    let mut named: BTreeSet<u64> = [MAGIC, VERSION, KIND].into();
    for (offset, value) in words {
        assert_eq!(word(&file, offset), value, "at {offset}");
        named.insert(offset);
    }
    let mut described = vec![0; text().len()];
    (file.read_exact_at(&mut described, DESCRIPTION)).expect("read the description");
    assert_eq!(str::from_utf8(&described), Ok(&*text()));
    named.extend((DESCRIPTION..DESCRIPTION + text().len() as u64).step_by(8));
    // Nothing else was written anywhere.
    for offset in (0..LEN).step_by(8).filter(|at| !named.contains(at)) {
        assert_eq!(word(&file, offset), 0, "at {offset}");
    }
    producer.close();
    assert_eq!(word(&file, WRITE_INDEX), 3 | 1 << 63);
    ring.consumer().expect("the role once more").close();
    assert_eq!(word(&file, READ_INDEX), 1 | 1 << 63);
    ring.segment().unlink().expect("unlink it");
    assert_eq!(word(&file, RETIRED), 1);
}

#[test]
fn seqlocks_and_latches_begin_with_their_value() {
    let value = [1u64, 2, 3];
    seqlock_and_latch!({
        let name = Named::new("initial");
        let lock = Lock::create(&name, &value, &LockOptions::default()).expect("create it");
        let other = Lock::<[u64; 3]>::attach(&name).expect("attach");
        assert_eq!(other.reader().expect("a reader").read(1), Ok(value));
        lock.writer().expect("the role").write(&[4, 5, 6]);
        assert_eq!(other.reader().expect("a reader").read(1), Ok([4, 5, 6]));
        let raw = file(&name.path());
        let words = [WRITE_INDEX, PRODUCER_EPOCH, DATA].map(|at| word(&raw, at));
        // A seqlock counts the beginning and the end of a write, and has one slot.
        match lock.segment().fixed().slots {
            1 => assert_eq!(words, [2, 1, 4]),
            slots => {
                assert_eq!(
                    (slots, lock.segment().fixed().kind),
                    (4, Kind::Latch as u32)
                );
                // The first value is where it was.
                assert_eq!((words, word(&raw, DATA + 24)), ([1, 1, 1], 4));
            }
        }
    });
}

#[test]
fn the_default_number_of_slots_has_room_for_the_capacity_and_for_streaming() {
    for (capacity, slots) in [(1, 1 << 15), (1 << 15, 1 << 15), ((1 << 15) + 1, 1 << 16)] {
        let ring = Ring::<u64>::anonymous(&RingOptions::new(capacity)).expect("a ring");
        assert_eq!(
            (
                ring.segment().fixed().capacity,
                ring.segment().fixed().slots
            ),
            (capacity, slots)
        );
    }
    // An item larger than what is cycled through by default.
    let ring = Ring::<[[u64; 1024]; 64]>::anonymous(&RingOptions::new(3)).expect("a ring");
    assert_eq!(ring.segment().fixed().slots, 4);
}

#[test]
fn sizes_that_cannot_be_are_refused_by_name() {
    let name = Named::new("sizes");
    let refused = |options: RingOptions| Ring::<u64>::create(&name, &options);
    for (options, problem) in [
        (RingOptions::new(0), "capacity of 0"),
        (RingOptions::new(9).slots(8), "capacity of 9"),
        (RingOptions::new(1).slots(0), "0 slots"),
        (RingOptions::new(5).slots(7), "7 slots"),
        (RingOptions::new(5).slots(1 << 60), "1152921504606846976 s"),
        (RingOptions::new(1 << 63), "capacity of 9223372036854775808"),
        (RingOptions::new(u64::MAX), "of 18446744073709551615"),
    ] {
        let error = refused(options).expect_err(problem);
        assert!(error.to_string().contains(problem), "{problem}: {error}");
        assert_refused!(refused(options), name, Size);
    }
    let nothing = Ring::<[u64; 0]>::create(&name, &RingOptions::new(1));
    assert_refused!(nothing, name, Size);
    assert!(!name.path().exists());
}

// ---- what is refused ----------------------------------------------------------------------

/// A wrong value of a field.
struct Wrong {
    field: &'static str,
    offset: u64,
    bytes: Vec<u8>,
    found: &'static str,
    expected: &'static str,
}

/// Every wrong value of every field.
fn corruptions() -> Vec<Wrong> {
    let value = |offset, bytes: &[u8], found, [field, expected]: [&'static str; 2]| Wrong {
        field,
        offset,
        bytes: bytes.to_vec(),
        found,
        expected,
    };
    let word = |at, new: u64, found, said| value(at, &new.to_ne_bytes(), found, said);
    let half = |at, new: u32, found, said| value(at, &new.to_ne_bytes(), found, said);
    const LARGEST: &str = "18446744073709551615";
    const BETWEEN: &str = "between the header and data_offset, 8192";
    let magic = u64::from_be_bytes(*b"RINGPRF1");
    let of_magic = ["magic", "0x52494e4750524631"];
    let (version, header_len) = (["version", "1"], ["header_len", "4096"]);
    let kind = ["kind", "1 (ring), 2 (seqlock) or 3 (latch)"];
    let flags = ["flags", "0"];
    let align = ["payload_align", "a power of two up to 4096"];
    let slots = ["slots", "a power of two from 1"];
    let capacity = ["capacity", "from 1 to the number of slots, 8"];
    let data_offset = ["data_offset", "a multiple of 4096"];
    let len = ["segment_len", "8256"];
    let description_len = ["description_len", "from 1 to 65536"];
    let description_offset = ["description_offset", BETWEEN];
    vec![
        word(MAGIC, 0, "0x0000000000000000", of_magic),
        word(MAGIC, magic + 1, "0x52494e4750524632", of_magic),
        word(
            MAGIC,
            magic.swap_bytes(),
            "other byte order",
            ["magic", "this machine's"],
        ),
        half(VERSION, 0, "0", version),
        half(VERSION, 2, "2", version),
        half(HEADER_LEN, 64, "64", header_len),
        half(HEADER_LEN, 8192, "8192", header_len),
        half(KIND, 0, "0", kind),
        half(KIND, 4, "4", kind),
        half(FLAGS, 1, "1", flags),
        half(FLAGS, 1 << 31, "2147483648", flags),
        word(PAYLOAD_SIZE, 0, "0", ["payload_size", "at least 1"]),
        word(PAYLOAD_ALIGN, 0, "0", align),
        word(PAYLOAD_ALIGN, 3, "3", align),
        word(PAYLOAD_ALIGN, 8192, "8192", align),
        word(SLOTS, 0, "0", slots),
        word(SLOTS, 7, "7", slots),
        word(
            SLOTS,
            1 << 63,
            "9223372036854775808",
            ["slots", "can address"],
        ),
        word(CAPACITY, 0, "0", capacity),
        word(CAPACITY, 9, "9", capacity),
        word(CAPACITY, u64::MAX, LARGEST, capacity),
        word(DATA_OFFSET, 0, "0", data_offset),
        word(DATA_OFFSET, 4104, "4104", data_offset),
        word(SEGMENT_LEN, LEN - 1, "8255", len),
        word(SEGMENT_LEN, LEN + 1, "8257", len),
        word(SEGMENT_LEN, u64::MAX, LARGEST, len),
        word(DESCRIPTION_LEN, 0, "0", description_len),
        word(DESCRIPTION_LEN, 65_537, "65537", description_len),
        word(DESCRIPTION_OFFSET, 4095, "4095", description_offset),
        word(DESCRIPTION_OFFSET, DATA, "8192", description_offset),
        word(DESCRIPTION_OFFSET, u64::MAX, LARGEST, description_offset),
        // Fields that are right by themselves and do not go together with the others.
        word(DATA_OFFSET, 12288, "8256", ["segment_len", "12352"]),
        word(PAYLOAD_SIZE, 16, "8256", ["segment_len", "8320"]),
        word(SLOTS, 16, "8256", ["segment_len", "8320"]),
    ]
}

/// Writes every wrong value in turn, and the right one after it: `check` is given what is wrong.
fn with_each_corruption(raw: &File, check: impl Fn(Option<&Wrong>)) {
    for wrong in corruptions() {
        let mut right = vec![0; wrong.bytes.len()];
        (raw.read_exact_at(&mut right, wrong.offset)).expect("read a field");
        (raw.write_all_at(&wrong.bytes, wrong.offset)).expect("write a field");
        check(Some(&wrong));
        raw.write_all_at(&right, wrong.offset)
            .expect("write it back");
        check(None);
    }
}

impl Wrong {
    #[track_caller]
    fn refuses<T>(&self, outcome: Result<T, SegmentError>, label: &str) {
        assert_mismatch(outcome, label, [self.field, self.found, self.expected]);
    }
}

#[test]
fn every_wrong_field_of_a_named_segment_is_refused_by_name() {
    let name = Named::new("fields");
    drop(create(&name));
    with_each_corruption(&file(&name.path()), |wrong| {
        let Some(wrong) = wrong else {
            return drop(Ring::<u64>::attach(&name).expect("attach to the repaired one"));
        };
        for outcome in ways_to(&name) {
            wrong.refuses(outcome, &name);
        }
    });
}

#[test]
fn every_wrong_field_of_an_anonymous_segment_is_refused_by_name() {
    let ring = Ring::<u64>::anonymous(&options()).expect("a ring");
    let raw = File::from(ring.segment().descriptor().expect("its descriptor"));
    with_each_corruption(&raw, |wrong| {
        let fd: OwnedFd = raw.try_clone().expect("its descriptor").into();
        let label = format!("(descriptor {})", fd.as_raw_fd());
        match (Ring::<u64>::attach_fd(fd), wrong) {
            (attached, Some(wrong)) => wrong.refuses(attached, &label),
            (attached, None) => drop(attached.expect("attach to the repaired one")),
        }
    });
}

#[test]
fn another_kind_or_item_size_is_refused() {
    let name = Named::new("kinds");
    let kinds = ["1 (ring)", "2 (seqlock)", "3 (latch)"];
    for made in 0..3 {
        match made {
            0 => drop(create(&name)),
            1 => drop(SeqLock::create(&name, &0u64, &SeqLockOptions::default()).expect("one")),
            _ => drop(SeqLatch::create(&name, &0u64, &SeqLatchOptions::default()).expect("one")),
        }
        for asked in 0..3 {
            let [same, larger] = match asked {
                0 => [
                    Ring::<u64>::attach(&name).map(drop),
                    Ring::<[u64; 2]>::attach(&name).map(drop),
                ],
                1 => [
                    SeqLock::<u64>::attach(&name).map(drop),
                    SeqLock::<[u64; 2]>::attach(&name).map(drop),
                ],
                _ => [
                    SeqLatch::<u64>::attach(&name).map(drop),
                    SeqLatch::<[u64; 2]>::attach(&name).map(drop),
                ],
            };
            if made == asked {
                same.expect("attach to the right kind");
                let differs = [
                    r#"field "value": offset 0, u64x2 here; offset 0, u64 in the segment"#,
                    "size: 16 here; 8 in the segment",
                ];
                assert_payload(larger, &name, &differs);
            } else {
                for outcome in [same, larger] {
                    assert_mismatch(outcome, &name, ["kind", kinds[made], kinds[asked]]);
                }
            }
        }
        unlink(&name).expect("unlink it");
    }
    // Bytes of the same number are not the same.
    drop(create(&name));
    let differs = [r#"field "value": offset 0, u8x8 here; offset 0, u64 in the segment"#];
    assert_payload(Ring::<[u8; 8]>::attach(&name), &name, &differs);
}

#[test]
fn a_file_of_the_wrong_length_is_refused() {
    let name = Named::new("length");
    for len in [0, 1, 127, 128, 4095, 4096, DATA, LEN - 1] {
        drop(create(&name));
        file(&name.path()).set_len(len).expect("truncate it");
        let found = len.to_string();
        let expected = if len < 128 {
            "header, 4096"
        } else {
            "segment_len, 8256"
        };
        for outcome in ways_to(&name) {
            assert_mismatch(outcome, &name, ["file length", &found, expected]);
        }
        fs::remove_file(name.path()).expect("remove it");
    }
    // More than is needed does no harm.
    drop(create(&name));
    file(&name.path()).set_len(LEN + 5000).expect("enlarge it");
    Ring::<u64>::attach(&name).expect("attach to a longer file");
}

#[test]
fn a_file_that_is_no_segment_is_refused_and_stays() {
    let name = Named::new("text");
    let text = b"What stands here is somebody's, and it is not ours to remove. ".repeat(100);
    fs::write(name.path(), &text).expect("write a file");
    assert_mismatch(
        Ring::<u64>::attach(&name),
        &name,
        ["magic", "0x", "no ringproof segment"],
    );
    assert_mismatch(
        unlink(&name),
        &name,
        ["magic", "0x", "no ringproof segment"],
    );
    let made = Ring::<u64>::create(&name, &options());
    assert_refused!(made, name, Exists);
    assert_eq!(fs::read(name.path()).expect("read it back"), text);
}

#[test]
fn what_stands_in_place_of_a_segment_is_said_in_words() {
    let name = Named::new("words");
    let path = name.path();
    let look = |what| {
        let expected = ["file type", what, "a regular file"];
        assert_mismatch(Inspection::of(&name), &name, expected);
    };
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    look("a FIFO");
    fs::remove_file(&path).expect("remove it");
    fs::create_dir(&path).expect("a directory");
    look("a directory");
}

#[test]
fn a_descriptor_of_anything_else_is_refused() {
    let name = Named::new("descriptor");
    let ring = create(&name);
    let (pipe, _other) = std::io::pipe().expect("a pipe");
    // This program: a regular file on a file system that is no tmpfs, and so knows no seals.
    let program = std::env::current_exe().expect("path of the test program");
    let unsealed = nix::sys::memfd::memfd_create("test", nix::sys::memfd::MFdFlags::MFD_CLOEXEC);
    for (descriptor, field, found, expected) in [
        // A memory file that can shrink under a mapping.
        (
            unsealed.expect("a memory file"),
            "seals",
            "without a seal against shrinking",
            "F_SEAL_SHRINK",
        ),
        // A named segment, which anybody who may write it can truncate.
        (
            ring.segment().descriptor().expect("its descriptor"),
            "seals",
            "without",
            "F_SEAL_SHRINK",
        ),
        (pipe.into(), "file type", "", "a regular file"),
        (
            File::open(program).expect("open it").into(),
            "seals",
            "",
            "F_SEAL_SHRINK",
        ),
    ] {
        let label = format!("(descriptor {})", descriptor.as_raw_fd());
        let attached = Ring::<u64>::attach_fd(descriptor);
        assert_mismatch(attached, &label, [field, found, expected]);
    }
}

#[test]
fn names_that_are_none_are_refused() {
    let long = "x".repeat(256);
    for name in ["", ".", "..", ".hidden", "/a", "a/b", "a/", "a\0b", &long] {
        assert_refused!(Ring::<u64>::create(name, &options()), name, Name);
        for outcome in ways_to(name) {
            assert_refused!(outcome, name, Name);
        }
    }
    let name = Named::new("absent");
    assert_refused!(Ring::<u64>::attach(&name), name, NotFound);
    assert_refused!(Inspection::of(&name), name, NotFound);
    assert_refused!(unlink(&name), name, NotFound);
}

#[test]
fn a_name_that_came_as_bytes_is_utf8_or_refused_with_them() {
    for (bytes, shown) in [
        (&b"\xff"[..], r"\xff"),
        (b"caf\xe9", r"caf\xe9"),
        (b"\xc3\xa4\x80z", "ä\\x80z"),
        (b"\xc0\xaf", r"\xc0\xaf"),
        (b"\xed\xa0\x80", r"\xed\xa0\x80"),
        (b"\xf0\x8f\xbf\xbf", r"\xf0\x8f\xbf\xbf"),
        (b"\xf4\x90\x80\x80", r"\xf4\x90\x80\x80"),
    ] {
        let refused = name_of(bytes).expect_err(shown);
        assert!(matches!(refused, SegmentError::Name { .. }), "{refused:?}");
        let said = format!("segment name `{shown}`: it is not UTF-8");
        assert_eq!(refused.to_string(), said);
    }
    for name in ["", "news", "neues-€-\u{10ffff}", "a\x1b[31m\n"] {
        assert_eq!(name_of(name.as_bytes()).expect(name), name);
    }
}

#[test]
fn a_mode_that_no_segment_has_is_refused_and_makes_none() {
    let name = Named::new("bad-mode");
    let lock = SeqLockOptions::default();
    let latch = SeqLatchOptions::default();
    for mode in [
        0,
        0o066,
        0o200,
        0o400,
        0o577,
        0o1000,
        0o1600,
        0o2660,
        0o4755,
        u32::MAX,
    ] {
        let outcomes = [
            Ring::<u64>::create(&name, &options().mode(mode)).map(drop),
            Ring::<u64>::open_or_create(&name, &options().mode(mode)).map(drop),
            SeqLock::create(&name, &7_u64, &lock.mode(mode)).map(drop),
            SeqLatch::create(&name, &7_u64, &latch.mode(mode)).map(drop),
        ];
        for outcome in outcomes {
            let said = outcome.as_ref().map_err(ToString::to_string);
            let said = said.expect_err("refused");
            assert!(said.contains(&format!("a mode of {mode:o};")), "{said}");
            assert!(
                said.contains("it must be from 600 to 777, in octal"),
                "{said}"
            );
            assert_refused!(outcome, name, Mode);
        }
        assert!(!name.path().exists());
    }
    for mode in [0o600, 0o640, 0o666, 0o777] {
        let ring = Ring::<u64>::create(&name, &options().mode(mode)).expect("a ring");
        let found = fs::metadata(name.path())
            .expect("its properties")
            .permissions();
        assert_eq!(found.mode() & 0o7777, mode);
        // Whatever one would have made.
        Ring::<u64>::open_or_create(&name, &options().mode(0)).expect("what there is");
        ring.segment().unlink().expect("unlink it");
    }
}

#[test]
fn an_existing_segment_is_neither_replaced_nor_wiped() {
    let name = Named::new("exists");
    let ring = create(&name);
    ring.producer().expect("the role").push(7).expect("push");
    let again = Ring::<u64>::create(&name, &RingOptions::new(2));
    assert_refused!(again, name, Exists);
    // What the options ask for, or whether that could be had, makes no difference: there is one.
    for options in [RingOptions::new(2), RingOptions::new(2).slots(3).mode(0)] {
        let opened = Ring::<u64>::open_or_create(&name, &options).expect("open it");
        assert_eq!(opened.capacity(), 5);
        assert_eq!(
            opened
                .consumer()
                .expect("the role")
                .peek(1)
                .expect("an item")
                .get(0),
            Some(7)
        );
    }

    let name = Named::new("exists-seqlock");
    SeqLock::create(&name, &1u64, &SeqLockOptions::new()).expect("create");
    let lock =
        SeqLock::open_or_create(&name, &2u64, &SeqLockOptions::new().mode(0)).expect("open it");
    assert_eq!(lock.reader().expect("a reader").try_read(), Ok(1));

    let name = Named::new("exists-latch");
    SeqLatch::create(&name, &1u64, &SeqLatchOptions::new().slots(8)).expect("create");
    let options = SeqLatchOptions::new().slots(3).mode(0);
    let latch = SeqLatch::open_or_create(&name, &2u64, &options).expect("open it");
    assert_eq!(latch.segment().fixed().slots, 8);
    assert_eq!(latch.reader().expect("a reader").try_read(), Ok(1));
    // Of another one, which none of these is, they are asked.
    let name = Named::new("exists-not");
    let made = SeqLatch::open_or_create(&name, &2u64, &options);
    assert_refused!(made, name, Size);
}

#[test]
fn a_file_system_without_room_is_an_error_and_leaves_nothing() {
    let shm = nix::sys::statvfs::statvfs("/dev/shm").expect("its size");
    let total = shm.blocks() * shm.fragment_size();
    if total == 0 || total > 1 << 45 {
        println!("not run: /dev/shm has no limit that could be exceeded ({total} bytes)");
        return;
    }
    let name = Named::new("full");
    let slots = (total / 8).next_power_of_two() * 2;
    let bytes_wanted = DATA + slots * 8;
    let refused = Ring::<u64>::create(&name, &RingOptions::new(1).slots(slots));
    match &refused {
        Err(SegmentError::NoSpace { bytes, .. }) => assert_eq!(*bytes, bytes_wanted),
        other => panic!("{other:?}"),
    }
    assert_refused!(refused, name, NoSpace);
    assert!(!name.path().exists());
}

#[test]
fn all_that_open_at_once_get_the_same_segment() {
    let name = Named::new("one-segment");
    let start = Barrier::new(4);
    for _ in Effort::rounds(10, 200) {
        let rings: Vec<Ring<u64>> = thread::scope(|scope| {
            let open = || {
                start.wait();
                Ring::open_or_create(&name, &options()).expect("open it")
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads
                .into_iter()
                .map(|t| t.join().expect("no panic"))
                .collect()
        });
        let inodes: BTreeSet<u64> = rings.iter().map(|ring| inode(ring.segment())).collect();
        assert_eq!(inodes.len(), 1);
        unlink(&name).expect("unlink it");
    }
}

#[test]
fn opening_survives_any_number_of_unlinks() {
    const ROUNDS: usize = 1000;
    let name = Named::new("open-unlink");
    let value = [7u64; 8];
    thread::scope(|scope| {
        for number in 0..4 {
            let name = &name;
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    let latch = SeqLatch::open_or_create(name, &value, &SeqLatchOptions::default());
                    let latch = latch.expect("open it");
                    assert_eq!(latch.reader().expect("a reader").read(1), Ok(value));
                    // Two ways; half of the threads leave it to the others.
                    match number {
                        0 => latch.segment().unlink().expect("unlink it"),
                        1 => match unlink(name) {
                            Ok(()) | Err(SegmentError::NotFound { .. }) => {}
                            Err(error) => panic!("{error}"),
                        },
                        _ => {}
                    }
                }
            });
        }
    });
}

#[test]
fn unlinking_one_segment_never_takes_the_name_of_the_next() {
    let name = Named::new("next");
    // Alive as long as the creator is, also if it panics.
    let alive = Arc::new(());
    thread::scope(|scope| {
        for _ in 0..3 {
            let (name, creator) = (&name, Arc::downgrade(&alive));
            scope.spawn(move || {
                while creator.strong_count() > 0 {
                    match unlink(name) {
                        Ok(()) | Err(SegmentError::NotFound { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        // Makes segments, and sees to it that each loses its name only to somebody who meant
        // this one: he marks it.
        let _alive = alive;
        for round in Effort::rounds(20, 400) {
            let ring = create(&name);
            let raw = File::from(ring.segment().descriptor().expect("its descriptor"));
            let deadline = Deadline::to("see it unlinked");
            while raw.metadata().expect("its links").nlink() > 0 {
                deadline.wait();
            }
            let deadline = Deadline::to("see it marked by who unlinked it");
            while word(&raw, RETIRED) == 0 {
                deadline.wait();
            }
            assert_eq!(word(&raw, RETIRED), 1, "round {round}");
        }
    });
}

// ---- unlinked and retired -----------------------------------------------------------------

#[test]
fn no_role_of_an_unlinked_segment_can_be_taken() {
    type Way = fn(&Ring<u64>, &str);
    let ways: [(&str, Way); 3] = [
        ("through the handle", |ring, _| {
            ring.segment().unlink().expect("unlink it")
        }),
        ("by name", |_, name| unlink(name).expect("unlink it")),
        // No mark then; but it has no name any more.
        ("by hand", |_, name| {
            fs::remove_file(Path::new("/dev/shm").join(name)).expect("remove it");
        }),
    ];
    for (way, take_away) in ways {
        let name = Named::new("gone");
        let ring = create(&name);
        let mut producer = ring.producer().expect("the role");
        producer.push(1).expect("push");
        take_away(&ring, &name);
        assert!(!name.path().exists(), "{way}");
        for _ in 0..2 {
            assert_refused!(ring.consumer(), name, Gone);
            // The attempt left no lock behind.
            assert!(
                !ring.segment().is_held(Role::Consumer).expect("an answer"),
                "{way}"
            );
        }
        // Who holds a role may go on.
        producer.push(2).expect("push");
        assert_eq!(producer.occupancy(), Ok(2));
        assert_eq!(producer.epoch(), 1);

        // The name is free; the old handle does nothing to what comes after it.
        let next = create(&name);
        ring.segment().unlink().expect("nothing to do");
        assert!(name.path().exists(), "{way}");
        next.consumer().expect("the role of the next one");
        next.segment().unlink().expect("unlink it");
        next.segment().unlink().expect("nothing left to do");
    }
}

#[test]
fn a_second_name_does_not_bring_a_retired_segment_back() {
    for remove in [unlink, unlink_free] {
        let (name, link) = (Named::new("linked"), Named::new("link"));
        let ring = create(&name);
        fs::hard_link(name.path(), link.path()).expect("a second name");
        remove(&name).expect("unlink the first");
        assert_eq!(word(&file(&link.path()), RETIRED), 1);
        assert_refused!(ring.producer(), name, Gone);
        assert!(Inspection::of(&link).expect("look at it").retired);
        let other = Ring::<u64>::attach(&link).expect("attach by the second name");
        assert_refused!(other.consumer(), link, Gone);
        // Whoever finds that out finishes the removal.
        assert!(!link.path().exists());
    }
}

#[test]
fn a_removal_cut_off_by_death_is_finished_by_the_next() {
    let name = Named::new("half-removed");
    let ring = create(&name);
    retire(&name);
    assert_refused!(ring.producer(), name, Gone);
    assert!(!name.path().exists());

    drop(create(&name));
    let half = retire(&name);
    let (ring, claim) =
        Ring::<u64>::open_or_create_as(&name, Role::Producer, &options()).expect("a new one");
    assert_eq!(half.metadata().expect("its links").nlink(), 0);
    assert_eq!(claim.epoch(), 1);
    ring.producer_with(claim)
        .expect("the role")
        .push(1)
        .expect("push");

    drop(ring);
    retire(&name);
    unlink(&name).expect("finish it");
    assert!(!name.path().exists());
}

#[test]
fn a_writer_opens_anew_what_was_retired() {
    let other = SeqLock::anonymous(&0_u64, &SeqLockOptions::default()).expect("another one");
    seqlock_and_latch!({
        let (name, options) = (Named::new("open-value"), LockOptions::default());
        drop(Lock::create(&name, &1u64, &options).expect("create"));
        let half = retire(&name);
        let (lock, claim) =
            Lock::open_or_create_as_writer(&name, &2u64, &options).expect("a new one");
        assert_eq!(half.metadata().expect("its links").nlink(), 0);
        assert_eq!((claim.role(), claim.epoch()), (Role::Writer, 1));
        assert_refused!(lock.writer(), name, Held);
        assert_eq!(lock.reader().expect("a reader").try_read(), Ok(2));
        lock.writer_with(claim).expect("the role").write(&3);
        assert_eq!(lock.reader().expect("a reader").try_read(), Ok(3));
        let claim = lock.segment().claim(Role::Writer).expect("it was dropped");
        let refused = other
            .writer_with(claim)
            .expect_err("a claim of another one");
        assert!(
            matches!(refused, SegmentError::Unclaimed { .. }),
            "{refused}"
        );
    });
}

#[test]
fn an_anonymous_segment_has_no_name_to_lose() {
    let ring = Ring::<u64>::anonymous(&options()).expect("a ring");
    ring.segment().unlink().expect("nothing to do");
    ring.producer().expect("the role").push(1).expect("push");
    assert_eq!(ring.segment().label(), "(anonymous)");
}

#[test]
fn a_role_that_is_held_of_an_unlinked_segment_is_gone_rather_than_held() {
    let name = Named::new("gone-held");
    let ring = create(&name);
    let _producer = ring.producer().expect("the role");
    assert_refused!(ring.producer(), name, Held);
    ring.segment().unlink().expect("unlink it");
    // To end its holder would not help.
    assert_refused!(ring.producer(), name, Gone);
}

#[test]
fn an_unlink_that_is_not_permitted_leaves_the_segment_usable() {
    let name = Named::new("sticky");
    let ring = Ring::<u64>::create(&name, &options().mode(0o666)).expect("a ring");
    as_nobody(|| {
        let theirs = Ring::<u64>::attach(&name).expect("attach, which the mode permits");
        // The directory is sticky: a file in it is its owner's to remove.
        assert_refused!(theirs.segment().unlink(), name, System);
        assert_refused!(unlink(&name), name, System);
        assert_refused!(unlink_free(&name), name, System);
    });
    assert!(name.path().exists());
    ring.producer()
        .expect("the role of a segment that has its name");
}

// ---- roles --------------------------------------------------------------------------------

#[test]
fn a_role_has_one_holder_and_counts_its_takings() {
    let name = Named::new("roles");
    let (ring, other) = (create(&name), Ring::<u64>::attach(&name).expect("attach"));
    assert_eq!(
        (ring.segment().label(), other.segment().label()),
        (&*name, &*name)
    );
    assert_eq!(ring.segment().fixed(), other.segment().fixed());
    for epoch in 1..4 {
        let producer = ring.producer().expect("the role");
        assert_eq!(producer.epoch(), epoch);
        // Neither through the same attachment nor through another.
        for ring in [&ring, &other] {
            assert!(ring.segment().is_held(Role::Producer).expect("an answer"));
            assert!(!ring.segment().is_held(Role::Consumer).expect("an answer"));
            let refused = ring.producer();
            let text = refused.as_ref().expect_err("a second producer").to_string();
            assert!(text.contains("producer"), "{text}");
            assert_refused!(refused, name, Held, Role::Producer);
        }
        assert!(!producer.peer_present().expect("an answer"));
        let consumer = other.consumer().expect("the other role");
        assert_eq!(consumer.epoch(), epoch);
        assert!(producer.peer_present().expect("an answer"));
        assert!(consumer.peer_present().expect("an answer"));
        assert_refused!(ring.consumer(), name, Held, Role::Consumer);
        drop(producer);
        assert!(!consumer.peer_present().expect("an answer"));
        assert!(ring.segment().is_held(Role::Consumer).expect("an answer"));
        assert!(!other.segment().is_held(Role::Producer).expect("an answer"));
    }
}

#[test]
fn a_writers_role_has_one_holder_and_counts_its_takings() {
    seqlock_and_latch!({
        let lock = Lock::anonymous(&0u64, &LockOptions::default()).expect("one");
        for epoch in 1..4 {
            let writer = lock.writer().expect("the role");
            assert_eq!(writer.epoch(), epoch);
            assert_refused!(lock.writer(), "(anonymous)", Held, Role::Writer);
            assert!(lock.segment().is_held(Role::Writer).expect("an answer"));
            drop(writer);
            assert!(!lock.segment().is_held(Role::Writer).expect("an answer"));
        }
    });
}

#[test]
fn a_refused_claim_is_not_counted() {
    let ring = Ring::<u64>::anonymous(&options()).expect("a ring");
    let producer = ring.producer().expect("the role");
    for _ in 0..3 {
        ring.producer().expect_err("a second producer");
    }
    drop(producer);
    assert_eq!(ring.producer().expect("the role").epoch(), 2);
}

#[test]
fn a_claim_is_good_for_its_role_and_its_segment_alone() {
    let name = Named::new("claims");
    let ring = create(&name);
    let other = Ring::<u64>::anonymous(&options()).expect("a ring");
    let claim = ring.segment().claim(Role::Producer).expect("the role");
    assert_eq!((claim.role(), claim.epoch()), (Role::Producer, 1));
    let refused = other
        .producer_with(claim)
        .expect_err("a claim of another segment");
    assert!(
        matches!(refused, SegmentError::Unclaimed { .. }),
        "{refused}"
    );
    let claim = ring
        .segment()
        .claim(Role::Producer)
        .expect("the role, freed by the refusal");
    let refused = ring
        .consumer_with(claim)
        .expect_err("a claim of another role");
    assert!(refused.to_string().contains("consumer"), "{refused}");
    let claim = other.segment().claim(Role::Producer).expect("the role");
    let refused = ring.consumer_with(claim).expect_err("a wrong claim");
    for part in [
        &format!("consumer of segment `{}`", &*name),
        "producer of segment `(anonymous)`",
    ] {
        assert!(refused.to_string().contains(part), "{part}: {refused}");
    }

    // Through another attachment to the same segment it is as good.
    let claim = ring.segment().claim(Role::Producer).expect("the role");
    let again = Ring::<u64>::attach(&name).expect("attach");
    let mut producer = again.producer_with(claim).expect("the role");
    assert_eq!(producer.epoch(), 3);
    producer.push(1).expect("push");
}

#[test]
fn a_role_that_a_structure_does_not_have_cannot_be_taken() {
    let name = Named::new("roles-of-kinds");
    let ring = create(&name);
    assert_mismatch(
        ring.segment().claim(Role::Writer),
        &name,
        ["kind", "ring", "writer"],
    );
    ring.producer().expect("the role, which is free");
    ring.segment().unlink().expect("unlink it");
    let lock = SeqLock::create(&name, &0u64, &SeqLockOptions::default()).expect("a seqlock");
    for role in [Role::Producer, Role::Consumer] {
        assert_mismatch(
            lock.segment().claim(role),
            &name,
            ["kind", "seqlock", role.name()],
        );
    }
    lock.writer().expect("the role, which is free");
}

// ---- permissions --------------------------------------------------------------------------

#[test]
fn the_mode_is_the_one_asked_for_whatever_the_umask() {
    let name = Named::new("mode");
    for umask in ["000", "077", "777"] {
        let helper = Helper::start(&format!("modes {} {umask}", &*name));
        assert_eq!(helper.hear(), "ring 600 640 666", "umask {umask}");
        assert_eq!(helper.hear(), "seqlock 600 640 666", "umask {umask}");
        assert_eq!(helper.hear(), "latch 600 640 666", "umask {umask}");
    }
}

#[test]
fn permission_to_read_is_enough_to_look_and_not_to_attach() {
    let name = Named::new("readable");
    let ring = create(&name);
    // It cannot be asked for, but its owner can set it.
    fs::set_permissions(name.path(), fs::Permissions::from_mode(0o444)).expect("set its mode");
    let look = || {
        let seen = Inspection::of(&name).expect("look at it");
        assert_eq!((seen.name, seen.kind), ((*name).to_owned(), Kind::Ring));
        let refused = Ring::<u64>::attach(&name);
        assert_refused!(refused, name, Denied);
        assert_refused!(unlink(&name), name, Denied);
        assert!(name.path().exists());
    };
    let _producer = ring.producer();
    // Root attaches to anything.
    if !nix::unistd::Uid::effective().is_root() {
        return look();
    }
    as_nobody(|| {
        look();
        // A lock is seen by those who may only read.
        assert!(Inspection::of(&name).expect("look at it").roles[0].held);
    });
}

// ---- looking at it ------------------------------------------------------------------------

/// Each role, whether it is held, and how often it was taken.
fn roles(seen: &Inspection) -> Vec<(Role, bool, u64)> {
    let roles = seen.roles.iter();
    roles.map(|it| (it.role, it.held, it.epoch)).collect()
}

#[test]
fn an_inspection_says_what_a_ring_is_and_where_it_stands() {
    let name = Named::new("inspected");
    let ring = create(&name);
    let look = || Inspection::of(&name).expect("look at it");
    let new = look();
    assert_eq!(
        (&*new.name, new.kind, new.retired),
        (&*name, Kind::Ring, false)
    );
    assert_eq!(
        (new.write_index, new.read_index, new.end_index),
        (0, 0, None)
    );
    assert_eq!(&new.fixed, ring.segment().fixed());
    assert_eq!((new.fixed.capacity, new.fixed.slots), (5, 8));

    let mut producer = ring.producer().expect("the role");
    assert_eq!(producer.push_slice(&[1, 2, 3, 4]), Ok(4));
    drop(ring.consumer().expect("the role"));
    assert_eq!(ring.consumer().expect("the role again").pop(), Ok(1));
    let used = look();
    assert_eq!(
        roles(&used),
        [(Role::Producer, true, 1), (Role::Consumer, false, 2)]
    );
    assert_eq!(
        (used.write_index, used.read_index, used.occupancy()),
        (4, 1, 3)
    );

    producer.close();
    drop(producer);
    let closed = look();
    assert_eq!((closed.end_index, closed.roles[0].held), (Some(4), false));
    assert_eq!(closed.stop_index, None);
    ring.consumer().expect("the role once more").close();
    let closed = look();
    assert_eq!((closed.end_index, closed.stop_index), (Some(4), Some(1)));
    // It looked, and that was all.
    assert_eq!(look(), closed);

    let link = Named::new("inspected-link");
    fs::hard_link(name.path(), link.path()).expect("a second name");
    ring.segment().unlink().expect("unlink it");
    assert_refused!(Inspection::of(&name), name, NotFound);
    assert!(Inspection::of(&link).expect("look at it").retired);
}

#[test]
fn an_inspection_says_what_a_seqlock_and_a_latch_are() {
    let name = Named::new("inspected-values");
    let lock = SeqLock::create(&name, &[0u64; 3], &SeqLockOptions::default()).expect("one");
    let mut writer = lock.writer().expect("the role");
    writer.write(&[1; 3]);
    let seen = Inspection::of(&name).expect("look at it");
    assert_eq!((seen.kind, seen.write_index), (Kind::SeqLock, 2));
    assert_eq!(roles(&seen), [(Role::Writer, true, 1)]);
    assert_eq!((seen.fixed.slots, seen.fixed.payload_size), (1, 24));
    drop(writer);
    lock.segment().unlink().expect("unlink it");

    let options = SeqLatchOptions::default().slots(8);
    let latch = SeqLatch::create(&name, &[0u64; 3], &options).expect("one");
    latch.writer().expect("the role").write(&[1; 3]);
    let seen = Inspection::of(&name).expect("look at it");
    assert_eq!((seen.kind, seen.write_index), (Kind::Latch, 1));
    assert_eq!(roles(&seen), [(Role::Writer, false, 1)]);
    assert_eq!((seen.fixed.slots, seen.fixed.payload_size), (8, 24));
}

#[test]
fn notes_stay_where_they_were_written() {
    let name = Named::new("notes");
    let (ring, other) = (create(&name), Ring::<u64>::attach(&name).expect("attach"));
    for role in [Role::Producer, Role::Consumer] {
        for index in 0..NOTES {
            assert_eq!(other.segment().note(role, index), Some(0));
            let value = (role as u64 + 1) * 1000 + index as u64;
            ring.segment().set_note(role, index, value).expect("a note");
        }
    }
    for role in [Role::Producer, Role::Consumer] {
        for index in 0..NOTES {
            let value = (role as u64 + 1) * 1000 + index as u64;
            assert_eq!(other.segment().note(role, index), Some(value));
            // And whoever looks from outside sees it with its role.
            let seen = Inspection::of(&name).expect("look at it");
            let state = &seen.roles[role as usize];
            assert_eq!((state.role, state.notes[index]), (role, value));
        }
        for index in [NOTES, usize::MAX] {
            assert_eq!(ring.segment().note(role, index), None);
            let refused = ring
                .segment()
                .set_note(role, index, 1)
                .expect_err("no such note");
            let text = refused.to_string();
            assert!(text.contains(&format!("`{}`", &*name)), "{text}");
            assert!(text.contains(&format!("no note {index}")), "{text}");
        }
    }
    // They are beside the ring, not in it.
    let mut producer = ring.producer().expect("the role");
    assert_eq!((producer.position(), producer.epoch()), (0, 1));
    assert_eq!(producer.push_slice(&[1; 9]), Ok(5));
    assert_eq!(other.consumer().expect("the role").pop(), Ok(1));
}

#[test]
fn a_seqlock_of_several_slots_is_refused() {
    let name = Named::new("seqlock-slots");
    drop(SeqLock::create(&name, &0u64, &SeqLockOptions::default()).expect("a seqlock"));
    let raw = file(&name.path());
    set_word(&raw, SLOTS, 2);
    set_word(&raw, SEGMENT_LEN, DATA + 16);
    raw.set_len(DATA + 16).expect("enlarge it");
    assert_mismatch(SeqLock::<u64>::attach(&name), &name, ["slots", "2", "1"]);
    set_word(&raw, SLOTS, 1);
    set_word(&raw, SEGMENT_LEN, DATA + 8);
    SeqLock::<u64>::attach(&name).expect("attach to the repaired one");

    // The header of a type whose fields are public can be wrong in any way.
    let mut fixed: Fixed = *SeqLock::<u64>::attach(&name)
        .expect("attach")
        .segment()
        .fixed();
    fixed.kind = Kind::Latch as u32;
    assert_mismatch(
        fixed.check("s", LEN),
        "s",
        ["slots", "1", "a power of two from 2"],
    );
}

// ---- the other process --------------------------------------------------------------------

#[test]
#[ignore = "does nothing by itself: the other tests start it as a process of its own"]
fn helper() {
    let Some(job) = helper::job() else { return };
    let words: Vec<_> = job.split(' ').collect();
    match words[..] {
        ["modes", name, umask] => {
            let umask = nix::libc::mode_t::from_str_radix(umask, 8).expect("a mode");
            nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(umask));
            let say = |kind: &str, create: &dyn Fn(Option<u32>) -> Result<(), SegmentError>| {
                let modes = [None, Some(0o640), Some(0o666)].map(|asked| {
                    create(asked).expect(kind);
                    let meta = fs::metadata(Named::path_of(name)).expect("its mode");
                    unlink(name).expect("unlink it");
                    format!("{:o}", meta.mode() & 0o7777)
                });
                helper::say(format!("{kind} {}", modes.join(" ")));
            };
            let plain = options();
            say("ring", &|asked| {
                let options = asked.map_or(plain, |mode| plain.mode(mode));
                Ring::<u64>::create(name, &options).map(drop)
            });
            seqlock_and_latch!({
                let plain = LockOptions::default();
                say(KIND, &|asked| {
                    let options = asked.map_or(plain, |mode| plain.mode(mode));
                    Lock::create(name, &0u64, &options).map(drop)
                });
            });
        }
        _ => panic!("no such job: {job}"),
    }
    std::io::stdout().flush().expect("flush");
}

/// What is a segment's file's own. (Its name does not: a file that was created
/// without one keeps that in its descriptors and mappings.)
fn inode(segment: &Segment) -> u64 {
    let fd = segment.descriptor().expect("its descriptor");
    File::from(fd).metadata().expect("its inode").ino()
}
