//! Payloads that are not what the other program takes them for, and items looked at from outside.

mod common;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use bytemuck::Zeroable;
use common::check;
use common::ends;
use common::named::Named;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use ringproof::inspect::Peeked;
use ringproof::shape::{Description, Primitive};
use ringproof::{
    Inspection, Payload, Ring, RingOptions, SegmentError, SeqLatch, SeqLatchOptions, SeqLock,
    SeqLockOptions,
};

macro_rules! payloads {
    ($($(#[$about:meta])* $repr:meta $name:ident { $($fields:tt)* })*) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Payload)]
        #[$repr]
        struct $name { $($fields)* }
    )*};
}

payloads! {
    /// What one program has; and what other ones have.
    repr(C) Event { kind: u32, _pad: u32, seq: u64, level: u16, _end: [u16; 3] }
    /// Two fields in each other's place.
    repr(C) Reordered { _pad: u32, kind: u32, seq: u64, level: u16, _end: [u16; 3] }
    repr(C, packed) Packed { kind: u32, _pad: u8, seq: u64, level: u16, _end: [u16; 3], _more: [u8; 3] }
    /// As a compiler for 32-bit x86 lays it out.
    repr(C, packed(4)) Narrow { kind: u32, seq: u64, level: u16, _tail: u16 }
    repr(C) Float { kind: u32, _pad: u32, seq: f64, level: u16, _end: [u16; 3] }
    repr(C) Renamed { kind: u32, _pad: u32, sequence: u64, level: u16, _end: [u16; 3] }
    repr(C) Longer { kind: u32, _pad: u32, seq: u64, level: u16, _end: [u16; 3], more: u64 }
    /// The same fields under another type's name, with a part of them in a struct of its own.
    repr(C) Same { kind: u32, _pad: u32, seq: u64, level: u16, _end: [[u16; 1]; 3] }
}

/// Checks what is said where an `Event` is expected and a ring of `T`, of `size` bytes, is found: that begins with
/// this field, and what it is here and in the segment. Whether there is a hint at another processor.
#[track_caller]
fn refuses<T: Payload>(first: &str, size: u64) -> bool {
    const HINT: &str = "(a 32-bit x86 layout puts 8-byte fields on 4-byte boundaries)";
    let name = Named::new("payload");
    Ring::<T>::create(&name, &RingOptions::new(1).slots(1)).expect("a ring");
    let attached = Ring::<Event>::attach(&name);
    let opened = Ring::<Event>::open_or_create(&name, &RingOptions::new(1));
    let differences = |outcome| match outcome {
        Err(SegmentError::Payload { differences, .. }) => differences,
        other => panic!("{other:?}"),
    };
    let found = differences(attached);
    assert_eq!(differences(opened), found);
    Inspection::of(&name).expect("whoever does not use it may look at it");
    let (field, what) = first.split_once(": ").expect("a field");
    let (ours, theirs) = what.split_once("; ").expect("both");
    let first = format!("field {field:?}: {ours} here; {theirs} in the segment");
    assert_eq!(found[0], first, "{found:?}");
    let sizes = (size != 24).then(|| format!("size: 24 here; {size} in the segment"));
    let last = found.last().filter(|last| last.starts_with("size"));
    assert_eq!(last, sizes.as_ref(), "{found:?}");
    found.iter().any(|line| line.contains(HINT))
}

#[test]
fn another_payload_is_refused_and_its_first_differing_field_named_first() {
    assert!(!refuses::<Reordered>(
        "kind: offset 0, u32; offset 4, u32",
        24
    ));
    assert!(!refuses::<Packed>("_pad: offset 4, u32; offset 4, u8", 24));
    assert!(refuses::<Narrow>("_pad: offset 4, u32; not", 16));
    assert!(!refuses::<Float>("seq: offset 8, u64; offset 8, f64", 24));
    assert!(!refuses::<Renamed>("seq: offset 8, u64; not", 24));
    assert!(!refuses::<Longer>("more: not; offset 24, u64", 32));
}

#[test]
fn the_same_fields_are_the_same_payload() {
    let name = Named::new("same");
    let theirs = Ring::<Same>::create(&name, &RingOptions::new(1)).expect("a ring");
    theirs
        .producer()
        .expect("the role")
        .push(Zeroable::zeroed())
        .expect("room");
    let ours = Ring::<Event>::attach(&name).expect("attach");
    assert_eq!(
        ours.consumer().expect("the role").pop(),
        Ok(Zeroable::zeroed())
    );
}

#[test]
fn a_segment_whose_description_was_written_over_can_be_removed() {
    let name = Named::new("written-over");
    Ring::<Event>::create(&name, &RingOptions::new(1).slots(1)).expect("a ring");
    let file = OpenOptions::new().write(true).open(name.path());
    let written = file.expect("open it").write_all_at(b"!", 4096);
    written.expect("write a byte");
    Ring::<Event>::attach(&name).expect_err("another description");
    // Its header is a segment's.
    ringproof::unlink(&name).expect("unlink it");
}

// ---- descriptions -------------------------------------------------------------------------

/// The text of some description, its fields one after the other with gaps.
fn texts() -> impl Strategy<Value = String> {
    let field = (
        "[a-z_][A-Z0-9]{0,3}(\\[[1-9]\\])?(\\.x)?",
        0..20_u64,
        select(Primitive::ALL),
        1..9_u64,
    );
    let order = select(&["little", "big"]);
    (order, vec(field, 1..20), 0..20_u64).prop_map(|(order, parts, more)| {
        let (mut fields, mut end) = (String::new(), 0);
        for (number, (name, gap, kind, count)) in parts.into_iter().enumerate() {
            let count_text = if count == 1 {
                String::new()
            } else {
                format!("x{count}")
            };
            let (offset, kind_name) = (end + gap, kind.name());
            // Its number makes the name the only one.
            fields += &format!("f{number}.{name} {offset} {kind_name}{count_text}\n");
            end = offset + count * kind.size();
        }
        format!("ringproof-shape 1 {order} {}\n{fields}", end + more)
    })
}

fn described(text: &str) -> Description {
    Description::parse(text.as_bytes()).expect(text)
}

#[test]
fn what_is_rendered_is_read_back() {
    check(500, texts(), |text| {
        let read = described(&text);
        prop_assert_eq!(read.to_string(), text);
        prop_assert_eq!(described(&read.to_string()), read);
        Ok(())
    });
}

#[test]
fn a_field_that_is_renamed_is_the_first_difference() {
    check(500, (texts(), any::<Index>()), |(text, which)| {
        let ours = described(&text);
        let name = &ours.fields()[which.index(ours.fields().len())].name;
        let theirs = described(&text.replace(&format!("\n{name} "), &format!("\nZ{name} ")));
        let lines = ours.diff(&theirs);
        prop_assert!(lines[0].contains(&format!("{name:?}")), "{:?}", lines);
        prop_assert!(lines[0].contains("not in the segment"), "{:?}", lines);
        prop_assert_eq!(lines.len(), 2);
        prop_assert_ne!(ours.fingerprint(), theirs.fingerprint());
        Ok(())
    });
}

// ---- items from outside -------------------------------------------------------------------

fn peek(name: &str, count: u64) -> Vec<Peeked> {
    Inspection::of(name)
        .and_then(|seen| seen.peek(count))
        .expect("a look")
}

/// The position and the number in each item.
fn numbers(items: &[Peeked]) -> Vec<(u64, Option<u64>)> {
    let number = |bytes: &Vec<u8>| bytemuck::pod_read_unaligned(&bytes[..8]);
    items
        .iter()
        .map(|item| (item.position, item.bytes.as_ref().map(number)))
        .collect()
}

#[test]
fn the_next_items_are_seen_and_stay() {
    let name = Named::new("peek");
    let ring = Ring::<u64>::create(&name, &RingOptions::new(3).slots(4)).expect("a ring");
    let (mut producer, mut consumer) = ends(&ring);
    assert_eq!(peek(&name, 9), []);
    for number in 0..5 {
        producer.push(number).expect("room");
        assert_eq!(consumer.pop(), Ok(number));
    }
    assert_eq!(producer.push_slice(&[50, 60, 70]), Ok(3));
    let all = [(5, Some(50)), (6, Some(60)), (7, Some(70))];
    for count in [0, 1, 2, 3, 4, u64::MAX] {
        let expected = &all[..all.len().min(count.try_into().unwrap_or(usize::MAX))];
        assert_eq!(numbers(&peek(&name, count)), expected);
    }
    assert_eq!(consumer.pop(), Ok(50));
}

#[test]
fn a_value_is_seen_unless_it_is_being_written() {
    let name = Named::new("peek-value");
    let lock = SeqLock::create(&name, &[7_u64, 8], &SeqLockOptions::default()).expect("one");
    lock.writer().expect("the role").write(&[9, 10]);
    assert_eq!(numbers(&peek(&name, 1)), [(2, Some(9))]);
    assert_eq!(peek(&name, 0), []);
    let file = OpenOptions::new()
        .write(true)
        .open(name.path())
        .expect("open it");
    file.write_all_at(&3_u64.to_ne_bytes(), 256)
        .expect("an odd number");
    assert_eq!(numbers(&peek(&name, 1)), [(3, None)]);

    let name = Named::new("peek-latch");
    let latch = SeqLatch::create(&name, &0_u64, &SeqLatchOptions::default()).expect("one");
    let mut writer = latch.writer().expect("the role");
    for version in 1..10 {
        writer.write(&(version * 10));
        assert_eq!(numbers(&peek(&name, 1)), [(version, Some(version * 10))]);
    }
}

#[test]
fn more_than_is_shown_is_refused() {
    let name = Named::new("peek-large");
    let ring = Ring::<[[u64; 1024]; 64]>::create(&name, &RingOptions::new(4)).expect("a ring");
    let mut producer = ring.producer().expect("the role");
    while producer.push([[1; 1024]; 64]).is_ok() {}
    let seen = Inspection::of(&name).expect("a look");
    assert_eq!(seen.peek(2).expect("a mebibyte").len(), 2);
    let refused = seen.peek(3).expect_err("more").to_string();
    assert!(refused.contains("ask for fewer"), "{refused}");
}
