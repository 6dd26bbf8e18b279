//! What is a payload, what is none, and what the compiler says of that: of the type checker's refusals,
//! which `cargo check` shows as well, and of those that only a build makes.
#![cfg(target_os = "linux")]

mod common;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use bytemuck::Zeroable;
use common::ends;
use common::named::Named;
use ringproof::shape::Description;
use ringproof::{Payload, Ring, RingOptions, SeqLatch, SeqLatchOptions, SeqLock, SeqLockOptions};

// ---- arrays of any length -------------------------------------------------------------------------

#[derive(Clone, Copy, Payload)]
#[repr(C)]
struct Symbol {
    id: u64,
    name: [u8; 40],
    history: [[f32; 33]; 2],
}

/// Moves a value through a ring.
fn travels<T: Payload>(value: T) {
    let ring = Ring::<T>::anonymous(&RingOptions::new(2)).expect("a ring");
    let (mut producer, mut consumer) = ends(&ring);
    producer.push(value).expect("room");
    let found = consumer.pop().expect("an item");
    assert_eq!(bytemuck::bytes_of(&found), bytemuck::bytes_of(&value));
}

#[test]
fn an_array_of_any_length_is_a_payload() {
    travels([7_u8; 33]);
    travels([7_u8; 40]);
    travels([7_u8; 63]);
    travels([0.5_f32; 100]);
    travels([[7_u16; 47]; 95]);
    travels([i128::MIN; 1001]);
    let symbol = Symbol {
        id: 7,
        name: [b'x'; 40],
        history: [[0.5; 33]; 2],
    };
    travels(symbol);
    travels([symbol; 65]);
    let described = Description::of::<Symbol>()
        .expect("a description")
        .to_string();
    assert!(
        described.contains("\nname 8 u8x40\nhistory 48 f32x66\n"),
        "{described}"
    );
    let lock = SeqLock::anonymous(&symbol, &SeqLockOptions::default()).expect("a seqlock");
    assert_eq!(lock.reader().expect("a reader").read(1).expect("it").id, 7);
    let latch = SeqLatch::anonymous(&[7_u8; 200], &SeqLatchOptions::default()).expect("a latch");
    assert_eq!(latch.reader().expect("a reader").read(1), Ok([7; 200]));
}

// ---- Debug ----------------------------------------------------------------------------------------

/// A [`Symbol`] cannot be printed, but what carries it can.
#[derive(Debug)]
#[allow(dead_code, reason = "to be printed")]
struct Service {
    ring: Ring<Symbol>,
    lock: SeqLock<Symbol>,
    latch: SeqLatch<Symbol>,
}

#[test]
fn what_carries_a_payload_is_printed_without_one_that_can_be() {
    let zero = Symbol::zeroed();
    let service = Service {
        ring: Ring::anonymous(&RingOptions::new(4)).expect("a ring"),
        lock: SeqLock::anonymous(&zero, &SeqLockOptions::default()).expect("a seqlock"),
        latch: SeqLatch::anonymous(&zero, &SeqLatchOptions::default()).expect("a latch"),
    };
    let ends = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?}",
        service.ring.producer().expect("the role"),
        service.ring.consumer().expect("the role"),
        service.lock.writer().expect("the role"),
        service.lock.reader().expect("a reader"),
        service.latch.writer().expect("the role"),
        service.latch.reader().expect("a reader"),
    );
    assert!(ends.starts_with("Producer {"), "{ends}");
    let text = format!("{service:?}");
    for part in ["Ring {", "SeqLock {", "SeqLatch {", "Segment {"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    // The same as is needed for this.
    let refused = Ring::<Symbol>::create("", &RingOptions::new(4)).unwrap_err();
    assert!(refused.to_string().contains("it is empty"), "{refused}");
}

// ---- what does not compile ------------------------------------------------------------------------

/// How far a program is compiled: `cargo check` does the first, `cargo build` the second.
#[derive(Clone, Copy, Debug)]
enum Until {
    Checked,
    Built,
}

/// The library as cargo has built it for this test, beside the test itself; says where it is not there.
fn library() -> Option<PathBuf> {
    let here = env::current_exe().expect("path of the test program");
    let entries = fs::read_dir(here.parent()?).ok()?;
    let found = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok()?;
        let is_ours = name.starts_with("libringproof-") && name.ends_with(".rlib");
        let built: SystemTime = entry.metadata().ok()?.modified().ok()?;
        is_ours.then(|| (built, entry.path()))
    });
    // What this test was linked with, or the same with other features of what it depends on.
    let latest = found.max().map(|(_, path)| path);
    if latest.is_none() {
        eprintln!("not run: the library is not beside this test");
    }
    latest
}

/// Where the crates are that the library was built with: beside it; and, where cargo builds for a triple by
/// name (`CARGO_BUILD_TARGET`), those that run in the compiler, such as derives, at the same place in the
/// target directory itself.
fn dependencies(library: &Path) -> Vec<PathBuf> {
    let beside = library.parent().expect("the directory of the library");
    let profile = beside.parent().and_then(|profile| {
        let targets = profile.parent()?.parent()?;
        Some(targets.join(profile.file_name()?).join("deps"))
    });
    profile.into_iter().chain([beside.to_owned()]).collect()
}

/// Compiles a program that uses the library. What the compiler says if it refuses.
fn refusal(library: &Path, program: &str, until: Until) -> Option<String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let name = Named::new("payload");
    let (source, output) = (folder.join(format!("{}.rs", &*name)), folder.join(&*name));
    let text = format!(
        "#![allow(unused)]\n#![forbid(unsafe_code)]\nuse ringproof::*;\n\
         use ringproof::bytemuck::{{Pod, Zeroable}};\n{program}\n"
    );
    fs::write(&source, text).expect("write the program");
    // The one beside the cargo that built this.
    let compiler = Path::new(env!("CARGO")).with_file_name("rustc");
    let mut command = Command::new(compiler);
    command.args(["--edition=2024", "--crate-name=program", "--crate-type=lib"]);
    command.arg(match until {
        Until::Checked => "--emit=metadata",
        Until::Built => "--emit=obj",
    });
    command.arg("-o").arg(&output);
    command.arg(format!("--extern=ringproof={}", library.display()));
    for place in dependencies(library) {
        command.arg(format!("-Ldependency={}", place.display()));
    }
    let compiled = command.arg(&source).output().expect("a compiler");
    fs::remove_file(&source).expect("remove the program");
    // Nothing there if it failed.
    let _ = fs::remove_file(&output);
    let said = String::from_utf8_lossy(&compiled.stderr).into_owned();
    (!compiled.status.success()).then_some(said)
}

fn are_refused(cases: &[(&str, &[&str])]) {
    for (program, words) in cases {
        is_refused(program, words);
    }
}

/// The program is refused by the type checker, which says these words. (It may write the path of a type.)
#[track_caller]
fn is_refused(program: &str, words: &[&str]) {
    let Some(library) = library() else { return };
    let said = refusal(&library, program, Until::Checked);
    let said = said.unwrap_or_else(|| panic!("it compiles: {program}"));
    // Lines are broken where they are long.
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in words {
        assert!(
            flat.contains(word),
            "{word:?} is not said of {program}\n{said}"
        );
    }
}

/// A struct, as a payload is written.
fn payload(definition: &str) -> String {
    format!("#[derive(Clone, Copy, Payload)]\n{definition}\n")
}

#[test]
fn what_is_right_compiles() {
    let Some(library) = library() else { return };
    let right = payload("#[repr(C)] struct Tick { price: f64, sizes: [u32; 3], venue: [u8; 12] }")
        + &payload("#[repr(C, packed)] struct Packed { tag: u8, price: f64, rest: [u8; 7] }")
        + &payload("#[repr(transparent)] struct Id(u64);")
        // What the derive is made of.
        + "#[derive(Clone, Copy, Pod, Shape, Zeroable)]
           #[bytemuck(crate = \"ringproof::bytemuck\")]
           #[repr(C)]
           struct Other { ticks: [Tick; 2], id: Id }
           "
        + "pub fn all() {
               let options = SeqLockOptions::default();
               SeqLock::<Tick>::attach(\"a\");
               SeqLock::anonymous(&Packed::zeroed(), &options);
               SeqLock::anonymous(&Id(7), &options);
               SeqLock::<Other>::attach(\"a\");
               SeqLock::anonymous(&7_u64, &options);
               SeqLock::anonymous(&[7_u8; 40], &options);
               SeqLatch::anonymous(&[[7_u32; 3]; 2], &SeqLatchOptions::default());
               Ring::<[u8; 3]>::anonymous(&RingOptions::new(4));
           }
           pub fn generic<T: payload::WholeWords>() { SeqLock::<T>::attach(\"a\"); }";
    for until in [Until::Checked, Until::Built] {
        assert_eq!(refusal(&library, &right, until), None, "{until:?}");
    }
}

#[test]
fn what_is_no_payload_is_refused_with_the_field_and_what_to_do() {
    const NOT_FIXED: &str = "without #[repr(C)] or #[repr(transparent)]";
    let field = |ty: &str| payload(&format!("#[repr(C)] struct Order {{ id: u64, it: {ty} }}"));
    // Of the first it is said where they are, and what to take instead.
    for (ty, called, instead) in [
        ("bool", "`bool`", "use `u8` in place of `bool`"),
        ("char", "`char`", "`u32` in place of `char`"),
        ("&'static str", "str`", "an array of bytes"),
        ("*const u8", "`*const u8`", "an array of bytes"),
        ("Option<u64>", "`Option<u64>`", ""),
        ("std::cell::Cell<u64>", "`Cell<u64>`", ""),
        ("std::sync::atomic::AtomicU64", "`AtomicU64`", ""),
        ("std::mem::MaybeUninit<u64>", "`MaybeUninit<u64>`", ""),
        ("[bool; 8]", "`[bool; 8]`", ""),
        ("()", "`()`", ""),
    ] {
        let place = if instead.is_empty() {
            String::new()
        } else {
            format!("it: {ty}")
        };
        let is_none = format!("{called} is no payload");
        is_refused(&field(ty), &[&is_none, &place, instead]);
    }
    are_refused(&[
        // What its parts are, nobody has said, or not that they are payloads.
        (
            &("#[derive(Clone, Copy)] #[repr(C)] struct Leg { qty: u64 }\n".to_owned()
                + &field("Leg")),
            &["`Leg` is no payload", "#[derive(Clone, Copy, Payload)]"],
        ),
        (
            &("#[derive(Clone, Copy, Shape)] #[repr(C)] struct Leg { qty: u64 }\n".to_owned()
                + &field("[Leg; 2]")),
            &[
                "`[Leg; 2]` is no payload",
                "#[derive(Clone, Copy, Payload)]",
            ],
        ),
        (
            "#[derive(Payload)] #[repr(C)] struct Order { id: u64 }",
            &["`Order: Copy` is not satisfied"],
        ),
        (&payload("struct Order { id: u64 }"), &[NOT_FIXED]),
        (
            &payload("#[repr(packed)] struct Order { id: u64 }"),
            &[NOT_FIXED],
        ),
        (
            &payload("#[repr(C)] struct Order<T> { id: T }"),
            &[
                "a generic struct has more than one shape",
                "a struct of concrete types",
            ],
        ),
        (
            &payload("#[repr(u8)] enum Order { Buy, Sell }"),
            &["only a struct has a shape"],
        ),
        (
            &payload("#[repr(C)] union Order { a: u8, b: i8 }"),
            &["only a struct has a shape"],
        ),
        (&payload("#[repr(C)] struct Order;"), &["without fields"]),
        // Where none is made of it, but sent.
        (
            "pub fn f() { Ring::<bool>::attach(\"a\"); }",
            &["`bool` is no payload", "use `u8` in place of `bool`"],
        ),
    ]);
}

#[test]
fn half_a_word_is_refused_by_the_type_checker_with_the_type_and_its_size() {
    const RULE: &str = "the payload of a seqlock or latch must fill a whole number of 64-bit words";
    let definitions = payload("#[repr(C)] struct Tick { price: f32, size: u32, venue: u32 }")
        + &payload("#[repr(C)] struct Name { id: u32, letters: [u8; 41], more: [u8; 7] }")
        + &payload("#[repr(transparent)] struct Tag([u8; 9]);");
    let fd = "std::os::fd::OwnedFd";
    for (name, bytes, argument, call) in [
        ("Tick", "12, 4", "()", "SeqLock::<Tick>::attach(\"a\")"),
        (
            "Tick",
            "12, 4",
            "&Tick",
            "SeqLatch::anonymous(t, &SeqLatchOptions::default())",
        ),
        ("Tick", "12, 4", fd, "SeqLatch::<Tick>::attach_fd(t)"),
        ("Name", "52, 4", "()", "SeqLatch::<Name>::attach(\"a\")"),
        ("Tag", "9, 1", "()", "SeqLock::<Tag>::attach(\"a\")"),
        (
            "u32",
            "4, 4",
            "()",
            "SeqLock::anonymous(&7_u32, &SeqLockOptions::default())",
        ),
        (
            "i16",
            "2, 2",
            "()",
            "SeqLatch::<i16>::open_or_create(\"a\", &7, &SeqLatchOptions::default())",
        ),
    ] {
        let program = format!("{definitions}pub fn f(t: {argument}) {{ {call}; }}");
        let has = format!("words, and `{name}` has `");
        is_refused(&program, &[RULE, &has, &format!("Bytes<{bytes}>`")]);
    }
}

/// An array that is itself the payload: the type checker does not know how many bytes it has.
#[test]
fn half_a_word_in_an_array_is_refused_by_the_build() {
    let Some(library) = library() else { return };
    for (array, value) in [("[u8; 12]", "[7; 12]"), ("[[f32; 3]; 5]", "[[0.5; 3]; 5]")] {
        for program in [
            format!("pub fn f() {{ SeqLock::<{array}>::attach(\"a\"); }}"),
            format!(
                "pub fn f() {{ SeqLatch::<{array}>::anonymous(&{value}, &SeqLatchOptions::default()); }}"
            ),
        ] {
            assert_eq!(
                refusal(&library, &program, Until::Checked),
                None,
                "{program}"
            );
            let said = refusal(&library, &program, Until::Built).expect(&program);
            assert!(said.contains("a whole number of 64-bit words"), "{said}");
            assert!(said.contains(array), "{said}");
        }
    }
}

#[test]
fn padding_is_refused_by_the_type_checker_with_the_field() {
    let before = |field: &str| format!("padding before the field {field}");
    let after = |field: &str| format!("padding after the last field of `Quote`, {field}");
    let leg = payload("#[repr(C)] struct Leg { qty: u32, ratio: u64 }");
    for (definition, said) in [
        (
            payload("#[repr(C)] struct Quote { tag: u8, price: f64 }"),
            vec![before("`price` of `Quote`"), "give them a name".to_owned()],
        ),
        (
            payload("#[repr(C)] struct Quote { price: f64, tag: u8 }"),
            vec![after("`tag`")],
        ),
        (
            payload("#[repr(C)] struct Quote { a: u8, b: u8, r#type: u32, c: [u16; 2], d: u64 }"),
            vec![before("`type` of `Quote`"), before("`d` of `Quote`")],
        ),
        (
            payload("#[repr(C, align(16))] struct Quote(u64, u32, u32, u8);"),
            vec![after("`_3`")],
        ),
        // The one within says it of itself.
        (
            leg + &payload("#[repr(C)] struct Quote { legs: [Leg; 2] }"),
            vec![before("`ratio` of `Leg`")],
        ),
        // Without `Pod` as well.
        (
            "#[derive(Shape)] #[repr(C)] struct Quote { tag: u16, price: u32 }".to_owned(),
            vec![before("`price` of `Quote`")],
        ),
    ] {
        let said: Vec<_> = said.iter().map(String::as_str).collect();
        is_refused(&definition, &said);
    }
}

/// What other languages have to find out while they run: a chunk does not outlive a close, nor a next one.
#[test]
fn a_chunk_that_outlives_what_it_is_of_does_not_compile() {
    let typed = "ring: &Ring<u64>";
    let untyped = "ring: &untyped::Structure";
    let program = |ring: &str, body: &str| {
        format!(
            "pub fn f({ring}) {{\nlet (mut producer, mut consumer) = \
             (ring.producer().unwrap(), ring.consumer().unwrap());\n{body}\n}}"
        )
    };
    let Some(library) = library() else { return };
    for ring in [typed, untyped] {
        let right =
            "let chunk = producer.reserve(2).unwrap(); chunk.commit_all(); producer.close();
                     let chunk = consumer.peek(2).unwrap(); chunk.release_all(); consumer.close();";
        assert_eq!(
            refusal(&library, &program(ring, right), Until::Checked),
            None
        );
        for (body, code) in [
            (
                "let chunk = producer.reserve(2).unwrap(); producer.close(); chunk.commit_all();",
                "E0499",
            ),
            (
                "let chunk = consumer.peek(2).unwrap(); consumer.close(); chunk.release_all();",
                "E0499",
            ),
            (
                "let chunk = producer.reserve(2).unwrap(); let other = producer.reserve(1).unwrap();
                 chunk.commit_all();",
                "E0499",
            ),
            (
                "let chunk = producer.reserve(2).unwrap(); drop(producer); chunk.commit_all();",
                "E0505",
            ),
            (
                "let chunk = consumer.peek(2).unwrap(); chunk.release(1); chunk.release(1);",
                "E0382",
            ),
            (
                "let chunk = producer.reserve(2).unwrap(); producer.is_peer_closed(); chunk.commit(2);",
                "E0499",
            ),
        ] {
            is_refused(&program(ring, body), &[code]);
        }
    }
}
