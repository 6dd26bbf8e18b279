//! The layouts layer as its users run it, also where there is no compiler.

mod common;

use std::process::Command;

use common::{PROGRAM, row, rows_of};
use ringproof_record::{Exit, Record, Verdict};

/// The program with these compilers.
fn layouts(cc: &str, cxx: &str, rustc: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["layouts", "--json"]);
    command.envs([("CC", cc), ("CXX", cxx), ("RUSTC", rustc)]);
    command
}

#[test]
fn without_a_c_compiler_it_says_so_and_goes_on_with_rust() {
    let output = layouts("/nowhere/cc", "/nowhere/c++", "rustc")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let rows = rows_of(&output.stdout);
    for (subject, check) in [
        ("cc, packed", "as it stands"),
        ("cc, packed", "padding named"),
        ("C", "header"),
        ("C, reordered", "header and Rust, both ways"),
        ("cc, reordered", "wrong: a size check alone"),
    ] {
        let row = row(&rows, subject, check);
        assert_eq!(row.verdict, Verdict::NotRun);
        assert_eq!(row.reason.as_deref(), Some("there is no /nowhere/cc here"));
    }
    for variant in ["rustc, repr(C)", "rustc, repr(Rust)", "rustc, packed"] {
        assert_eq!(row(&rows, variant, "as it stands").verdict, Verdict::Passed);
    }
}

#[test]
fn without_any_compiler_nothing_ran() {
    let mut command = layouts("/nowhere/cc", "/nowhere/c++", "/nowhere/rustc");
    // Clang is looked for by its name.
    let output = command.env("PATH", "/nowhere").output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let ran = |row: &&Record| row.verdict != Verdict::NotRun;
    let rows = rows_of(&output.stdout);
    let ran: Vec<_> = rows.iter().filter(ran).map(|row| &row.subject).collect();
    assert!(ran.iter().all(|subject| *subject == "/dev/shm"), "{ran:?}");
}

/// With the compilers that there are, each of which may be missing. (Two words each: see `compiler`.)
#[test]
fn every_variant_is_judged_right() {
    let output = layouts("gcc -pipe", "g++ -pipe", "rustc").output().unwrap();
    let rows = rows_of(&output.stdout);
    let expected = Exit::of(&rows).code();
    assert_eq!(output.status.code(), Some(expected.into()), "{output:?}");
    let failed = rows.iter().filter(|row| row.verdict == Verdict::Failed);
    assert_eq!(failed.collect::<Vec<_>>(), Vec::<&Record>::new());
    assert!(
        rows.iter()
            .all(|row| row.layer == "layouts" && row.repeat.is_some())
    );

    let said = |subject: &str, check: &str| {
        let row = row(&rows, subject, check);
        let reason = row.reason.as_deref().unwrap_or_default();
        (row.verdict != Verdict::NotRun).then_some(reason)
    };
    if cfg!(target_arch = "x86_64") {
        for (variant, answer) in [
            (
                "gcc -pipe",
                "32 bytes, aligned to 8: side 0, seq 8, venue 16, qty 20, price 24; taken for our \
                 layout: every number right; accepted, the bytes mean the same",
            ),
            (
                "gcc -pipe -m32",
                "28 bytes, aligned to 4: side 0, seq 4, venue 12, qty 16, price 20; taken for our \
                 layout: seq 51539607552 for 20260001, venue 300 for 12, qty 0 for 300, price \
                 2.655e-314 for 101.25; refused: field \"_pad1\": offset 1, u8x7 here; offset 1, \
                 u8x3 in the segment; field \"seq\": offset 8, u64 here; offset 4, u64 in the \
                 segment (a 32-bit x86 layout",
            ),
            ("gcc -pipe -m32 -malign-double", "accepted"),
            ("gcc -pipe, packed", "refused: field \"_pad1\""),
            ("gcc -pipe, reordered", "refused: field \"venue\""),
            ("gcc -pipe -funsigned-char", "refused: field \"side\""),
            ("g++ -pipe, base()", "accepted"),
            ("g++ -pipe, base", "refused: field \"_pad2\""),
        ] {
            let said = said(variant, "as it stands");
            let right = said.is_none_or(|said| said.contains(answer));
            assert!(right, "{variant}: {said:?}");
        }
    }
    if cfg!(target_arch = "x86_64") {
        let narrow = said("gcc -pipe -m32", "as it stands, to a 32-bit program");
        assert!(
            narrow.is_none_or(|said| said.starts_with("accepted")),
            "{narrow:?}"
        );
    }
    for (variant, wrong) in [
        ("gcc -pipe, reordered", "offsets are not compared"),
        ("gcc -pipe, qty is lots", "names are not compared"),
        ("gcc -pipe -funsigned-char", "kinds are not compared"),
        ("gcc -pipe, reordered", "a size check alone"),
        ("gcc -pipe -funsigned-char", "a size check alone"),
        ("gcc -pipe, qty is lots", "a size check alone"),
    ] {
        let check = format!("wrong: {wrong}");
        let said = said(variant, &check);
        let caught = said.is_none_or(|said| said.starts_with("caught: "));
        assert!(caught, "{variant}: {said:?}");
    }
}
