//! The abi layer as its users run it, also where there is no compiler.

mod common;

use std::process::Command;

use common::{PROGRAM, Ran, ensure_none_failed, injected, rows_of, run};
use ringproof_record::{Exit, Verdict, compiler};

const SMALL: [&str; 4] = ["abi", "--json", "--items", "20000"];

#[test]
fn every_language_gets_every_item_and_notices_every_fault() {
    let ran = run(&SMALL);
    ensure_none_failed(&ran);
    let Ran { code, rows, .. } = ran;
    let missing: Vec<_> = (rows.iter())
        .filter(|row| row.verdict == Verdict::NotRun)
        .collect();
    let no_cxx = compiler::why_not("CXX", "c++");
    for row in &missing {
        // Whoever builds this has a C compiler, and perhaps not one for C++ or for 32 bits.
        let reason = row.reason.as_deref().unwrap_or_default();
        let for_32_bits = row.subject.contains("32-bit") && reason.contains("gcc-multilib");
        let cxx = row.subject.contains("c++") && no_cxx.is_some();
        assert!(for_32_bits || cxx, "{row:#?}");
        eprintln!("not run: {}, {}: {reason}", row.subject, row.check);
    }
    assert_eq!(code, Some(Exit::of(&rows).code().into()));
    for pair in [
        "c-to-rust",
        "rust-to-c",
        "c++-to-rust",
        "rust-to-c++",
        "c-to-c++",
    ] {
        if pair.contains("c++") && no_cxx.is_some() {
            continue;
        }
        let row = (rows.iter())
            .find(|row| row.subject == pair && row.check.contains("by sequence and checksum"))
            .unwrap_or_else(|| panic!("no row for {pair}"));
        assert_eq!(row.count, Some(20_000), "{row:#?}");
        let repeat = row.repeat.as_deref().unwrap_or_default();
        assert!(repeat.ends_with(&format!("--only {pair}")), "{repeat}");
    }
    let injected: Vec<_> = injected(&rows).collect();
    // Three of orders and two of pictures, to each of four languages.
    assert_eq!(injected.len(), 20);
    for row in injected.iter().filter(|row| !missing.contains(row)) {
        let reason = row.reason.as_deref().unwrap_or_default();
        assert!(reason.starts_with("caught: "), "{row:#?}");
    }
}

#[test]
fn a_missing_compiler_is_said() {
    let output = Command::new(PROGRAM)
        .args(SMALL)
        .args(["--only", "c-to-rust"])
        .env("CC", "no-such-compiler")
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(3));
    let mut rows = rows_of(&output.stdout);
    rows.retain(|row| row.subject == "c-to-rust");
    assert_eq!(rows.len(), 3);
    for row in rows {
        assert_eq!(row.verdict, Verdict::NotRun, "{row:#?}");
        let reason = row.reason.as_deref().unwrap_or_default();
        assert!(reason.contains("`no-such-compiler"), "{reason}");
        assert!(reason.contains("CC and CXX choose"), "{reason}");
    }
}
