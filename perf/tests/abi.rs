//! The ABI trap, from layouts that were recorded and from compilers that are not there.

use std::process::{Command, Output};

use ringproof::shape::Description;
use ringproof_perf::abi::answer::{
    Answer, Blind, TRUTH, Tick, first_difference, judge, with_padding_named,
};
use ringproof_perf::abi::compile::Compiled;
use ringproof_perf::abi::source::{Form, Variant};
use ringproof_perf::abi::{Case, tell};
use ringproof_perf::report::Trouble;
use ringproof_record::{Exit, Record, Verdict};

/// The five fields, as recorded from a compiler: size, alignment and offsets.
fn recorded(name: &str, [size, align, offsets @ ..]: [u64; 7], kinds: [&str; 5]) -> Case {
    let names = ["side", "seq", "venue", "qty", "price"];
    let mut fields: Vec<_> = offsets.into_iter().zip(names).zip(kinds).collect();
    fields.sort();
    let mut text = format!("ringproof-shape 1 little {size}\n");
    let mut items = vec![0; 2 * size as usize];
    for ((offset, name), kind) in fields {
        text += &format!("{name} {offset} {kind}\n");
        let values: [&[u8]; 2] = match name {
            "side" => [&(-1_i8).to_le_bytes(), &1_i8.to_le_bytes()],
            "seq" => [&20_260_001_u64.to_le_bytes(), &20_260_002_u64.to_le_bytes()],
            "venue" => [&12_i16.to_le_bytes(), &13_i16.to_le_bytes()],
            "qty" => [&300_i32.to_le_bytes(), &400_i32.to_le_bytes()],
            _ => [&101.25_f64.to_le_bytes(), &99.75_f64.to_le_bytes()],
        };
        for (at, value) in [offset, size + offset].into_iter().zip(values) {
            items[at as usize..][..value.len()].copy_from_slice(value);
        }
    }
    let compiled = Ok(Compiled {
        align,
        description: described(&text),
        items,
    });
    Case {
        variant: Variant {
            name: name.to_owned(),
            compiler: "recorded".to_owned(),
            flags: &[],
            form: Form::C,
        },
        plain: compiled.clone(),
        named: compiled,
    }
}

fn described(text: &str) -> Description {
    Description::parse(text.as_bytes()).expect(text)
}

const KINDS: [&str; 5] = ["i8", "u64", "i16", "i32", "f64"];
const OURS: [u64; 7] = [32, 8, 0, 8, 16, 20, 24];
const NARROW: [u64; 7] = [28, 4, 0, 4, 12, 16, 20];
const REORDERED: [u64; 7] = [32, 8, 0, 8, 20, 16, 24];

fn row<'a>(rows: &'a [Record], subject: &str, check: &str) -> &'a Record {
    let mut found = rows.iter().filter(|row| row.subject == subject);
    let row = found.find(|row| row.check == check);
    row.unwrap_or_else(|| panic!("no row {subject}, {check} in {rows:#?}"))
}

#[test]
#[cfg(target_endian = "little")]
fn recorded_layouts_are_told_with_the_first_field_that_differs() {
    let unsigned = ["u8", "u64", "i16", "i32", "f64"];
    let report = tell(&[
        recorded("equal", OURS, KINDS),
        recorded("narrow", NARROW, KINDS),
        recorded("reordered", REORDERED, KINDS),
        recorded("unsigned", OURS, unsigned),
    ])
    .expect("a report");
    let variants = (report.rows.iter()).filter(|row| row.subject != "a comparison");
    let failed = variants.filter(|row| row.verdict == Verdict::Failed);
    assert_eq!(failed.count(), 0, "{:#?}", report.rows);

    let said = |subject| {
        row(&report.rows, subject, "as it stands")
            .reason
            .as_deref()
            .unwrap_or("")
    };
    assert_eq!(
        said("equal"),
        "32 bytes, aligned to 8: side 0, seq 8, venue 16, qty 20, price 24; taken for our layout: \
         every number right; accepted, the bytes mean the same"
    );
    let narrow = said("narrow");
    for part in [
        "28 bytes, aligned to 4: side 0, seq 4, venue 12, qty 16, price 20; ",
        "seq 51539607552 for 20260001, venue 300 for 12, qty 0 for 300, price 2.655e-314 for 101.25; ",
        r#"refused: field "_pad1": offset 1, u8x7 here; offset 1, u8x3 in the segment; "#,
        r#"field "seq": offset 8, u64 here; offset 4, u64 in the segment (a 32-bit x86 layout"#,
    ] {
        assert!(narrow.contains(part), "{part} is missing in {narrow}");
    }
    for (subject, part) in [
        (
            "reordered",
            r#"refused: field "venue": offset 16, i16 here; offset 20, i16"#,
        ),
        (
            "unsigned",
            r#"refused: field "side": offset 0, i8 here; offset 0, u8"#,
        ),
    ] {
        assert!(said(subject).contains(part), "{}", said(subject));
    }

    let text = report.render();
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for line in [
        "narrow 28 4 0 4 12 16 20",
        "narrow -1 51539607552 ✗ 300 ✗ 0 ✗ 2.655e-314 ✗",
        r#"narrow field "_pad1": offset 1, u8x7 here; offset 1, u8x3 in the segment"#,
        "equal accepted",
        "→ 3 of 4 are refused",
        "→ who compares sizes lets 2 of these through: reordered; unsigned",
    ] {
        assert!(
            lines.iter().any(|found| found == line),
            "{line:?} is missing in\n{text}"
        );
    }
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(100), "{widest:?} columns:\n{text}");
}

#[test]
fn a_comparison_that_does_not_look_is_noticed_only_by_what_it_lets_through() {
    let check = |blind: Blind| format!("planted: {} not compared", blind.name());
    let report = tell(&[
        recorded("equal", OURS, KINDS),
        recorded("narrow", NARROW, KINDS),
        recorded("reordered", REORDERED, KINDS),
    ])
    .expect("a report");
    let offsets = row(&report.rows, "a comparison", &check(Blind::Offsets));
    assert_eq!((offsets.verdict, offsets.count), (Verdict::Passed, Some(1)));
    // Nothing here differs in a kind alone, so nothing shows that kinds are compared.
    let kinds = row(&report.rows, "a comparison", &check(Blind::Kinds));
    assert_eq!(kinds.verdict, Verdict::Failed);
}

#[test]
fn a_wrong_answer_is_noticed() {
    let ours = Description::of::<Tick>().expect("ours");
    let narrow = "ringproof-shape 1 little 28\nside 0 i8\n_pad1 1 u8x3\nseq 4 u64\nvenue 12 i16\n\
                  _pad2 14 u8x2\nqty 16 i32\nprice 20 f64\n";
    let narrow = described(narrow);
    assert_eq!(first_difference(&ours, &narrow), Some("_pad1"));
    assert_eq!(first_difference(&ours, &ours), None);

    let accepted = Answer::Accepted(TRUTH.map(|item| item.to_vec()).to_vec());
    let refused = Answer::Refused(ours.diff(&narrow));
    let late = Answer::Refused(ours.diff(&narrow).split_off(1));
    let garbage = Answer::Accepted(vec![TRUTH[0].to_vec(); 2]);
    assert_eq!(judge(&ours, &narrow, &refused), Ok(()));
    assert_eq!(judge(&ours, &ours, &accepted), Ok(()));
    for (theirs, answer, part) in [
        (&narrow, &accepted, "\"_pad1\" differs"),
        (&narrow, &late, "\"_pad1\" is what differs first"),
        (
            &narrow,
            &Answer::Refused(Vec::new()),
            "is what differs first",
        ),
        (&ours, &refused, "nothing differs"),
        (&ours, &garbage, "was written"),
    ] {
        let wrong = judge(&ours, theirs, answer).expect_err(part);
        assert!(wrong.contains(part), "{wrong}");
    }
}

#[test]
fn gaps_get_names_that_no_field_has() {
    let named = |text: &str| {
        with_padding_named(&described(text))
            .expect(text)
            .to_string()
    };
    for (gaps, expected) in [
        (
            "16\na 0 u8\nb 8 u32\n",
            "16\na 0 u8\n_pad1 1 u8x7\nb 8 u32\n_pad2 12 u8x4\n",
        ),
        (
            "8\n_pad1 1 u8x3\nb 4 u32\n",
            "8\n_pad2 0 u8\n_pad1 1 u8x3\nb 4 u32\n",
        ),
        ("4\na 0 u32\n", "4\na 0 u32\n"),
    ] {
        let text = |fields| format!("ringproof-shape 1 little {fields}");
        assert_eq!(named(&text(gaps)), text(expected));
    }
}

#[test]
fn what_is_not_measured_is_a_row_with_its_reason() {
    let why = "there is no such compiler here";
    let mut missing = recorded("missing", OURS, KINDS);
    missing.plain = Err(Trouble::NotRun(why.to_owned()));
    missing.named = missing.plain.clone();
    let mut broken = recorded("broken", OURS, KINDS);
    broken.plain = Err(Trouble::Failed("expected `;`".to_owned()));
    let report = tell(&[recorded("equal", OURS, KINDS), missing, broken]).expect("a report");
    let missing = row(&report.rows, "missing", "as it stands");
    assert_eq!(missing.verdict, Verdict::NotRun);
    assert_eq!(missing.reason.as_deref(), Some(why));
    assert_eq!(
        row(&report.rows, "broken", "as it stands").verdict,
        Verdict::Failed
    );
    let text = report.render();
    assert!(
        text.contains(&format!("missing: not measured here, because {why}")),
        "{text}"
    );
}

/// The program with these compilers.
fn abi(cc: &str, cxx: &str, rustc: &str, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringproof-perf"))
        .arg("abi")
        .args(args)
        .envs([("CC", cc), ("CXX", cxx), ("RUSTC", rustc)])
        .output()
        .expect("the program starts")
}

fn rows(output: &Output) -> Vec<Record> {
    let text = String::from_utf8_lossy(&output.stdout);
    let row = |line| Record::from_line(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    text.lines().map(row).collect()
}

#[test]
fn without_a_c_compiler_it_says_so_and_goes_on_with_rust() {
    let output = abi("/nowhere/cc", "/nowhere/c++", "rustc", &["--json"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let rows = rows(&output);
    for check in ["as it stands", "padding named"] {
        let row = row(&rows, "cc, packed", check);
        assert_eq!(row.verdict, Verdict::NotRun);
        assert_eq!(row.reason.as_deref(), Some("there is no /nowhere/cc here"));
    }
    for variant in ["rustc, repr(C)", "rustc, repr(Rust)", "rustc, packed"] {
        assert_eq!(row(&rows, variant, "as it stands").verdict, Verdict::Passed);
    }
}

#[test]
fn without_any_compiler_nothing_was_measured() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Clang is looked for by its name.
    let output = Command::new(env!("CARGO_BIN_EXE_ringproof-perf"))
        .arg("abi")
        .envs([
            ("CC", "/nowhere/cc"),
            ("CXX", "/nowhere/c++"),
            ("RUSTC", "/nowhere/rustc"),
        ])
        .env("PATH", "/nowhere")
        .arg("--out")
        .arg(folder.path())
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("not measured here, because there is no /nowhere/cc here"),
        "{text}"
    );
}

/// With the compilers that there are, each of which may be missing. (Two words each: see `compiler`.)
#[test]
fn every_variant_is_judged_right() {
    let output = abi("gcc -pipe", "g++ -pipe", "rustc", &["--json"]);
    let rows = rows(&output);
    let expected = Exit::of(&rows).code();
    assert_eq!(output.status.code(), Some(expected.into()), "{output:?}");
    let failed = rows.iter().filter(|row| row.verdict == Verdict::Failed);
    assert_eq!(failed.collect::<Vec<_>>(), Vec::<&Record>::new());
    assert!(
        rows.iter()
            .all(|row| row.layer == "trap" && row.repeat.is_some())
    );

    if cfg!(target_arch = "x86_64") {
        for (variant, answer) in [
            ("gcc -pipe", "accepted"),
            ("gcc -pipe -m32", "refused: field \"_pad1\""),
            ("gcc -pipe -m32 -malign-double", "accepted"),
            ("gcc -pipe, packed", "refused: field \"_pad1\""),
            ("gcc -pipe, reordered", "refused: field \"venue\""),
            ("gcc -pipe -funsigned-char", "refused: field \"side\""),
            ("g++ -pipe, base()", "accepted"),
            ("g++ -pipe, base", "refused: field \"_pad2\""),
        ] {
            let row = row(&rows, variant, "as it stands");
            let said = row.reason.as_deref().unwrap_or_default();
            assert!(
                row.verdict == Verdict::NotRun || said.contains(answer),
                "{variant}: {said}"
            );
        }
    }
}
