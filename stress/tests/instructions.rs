//! A crash at every machine instruction, as its users run it.

mod common;
#[path = "../../perf/tests/common/seccomp.rs"]
mod seccomp;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use common::{OPERATIONS, PROGRAM, Ran, ensure_injected, ensure_passed, ensure_untraced};
use common::{is_traceable, reason, run};

fn instructions(args: &[&str]) -> Ran {
    run(&[&["crash", "--json", "--points", "instructions"], args].concat())
}

#[test]
fn everything_passes_and_each_injected_fault_is_seen_again_by_the_command_that_its_row_says() {
    let ran = instructions(&["--seed", "2"]);
    if !is_traceable() {
        return ensure_untraced(&ran);
    }
    ensure_passed(&ran, "crash");
    let rows = ran.rows;

    let tried: BTreeSet<_> = (rows.iter())
        .filter(|row| row.count.is_some_and(|count| count > 0))
        .filter_map(|row| {
            let (_, what) = row.check.split_once("every instruction, ")?;
            Some((row.subject.as_str(), what.split_once(':')?.0))
        })
        .collect();
    // Every operation dies in each of these ways, also one that is not named here.
    let alone = tried.iter().filter(|(_, mode)| *mode != "pairs");
    let operations = alone.map(|(operation, _)| *operation).chain(OPERATIONS);
    let mut expected = BTreeSet::from([("ring/push", "pairs"), ("ring/pop", "pairs")]);
    for operation in operations {
        expected.extend(["snapshots", "kills", "second deaths"].map(|mode| (operation, mode)));
    }
    assert_eq!(tried, expected);

    ensure_injected(&rows, 9, &[]);
}

#[test]
fn the_same_seed_gives_the_same_rows() {
    let rows = |seed| instructions(&["--mode", "snapshots,kills", "--seed", seed]).rows;
    assert_eq!(rows("7"), rows("7"));
}

#[test]
fn a_failure_names_the_instruction_and_its_line_of_source() {
    if !is_traceable() {
        return;
    }
    let ran = instructions(&["--mode", "snapshots", "--inject", "publish-first"]);
    assert_eq!(ran.code, Some(1));
    let broken = ran.rows.first().expect("a row");
    let why = reason(broken);
    let (_, place) = why.split_once("after instruction ").expect(why);
    let (number, place) = place.split_once(" (ring.rs:").expect(why);
    let (line, what) = place.split_once("): ").expect(why);
    assert!(what.contains("expected item"), "{why}");
    let address = format!("--only ring/push:empty:{number} --inject publish-first");
    let repeat = broken.repeat.as_deref().expect("a command");
    assert!(repeat.ends_with(&address), "{repeat}");

    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../impl/src/ring.rs");
    let source = std::fs::read_to_string(source).expect("the source of the ring");
    let line: usize = line.parse().expect(why);
    let line = source.lines().nth(line - 1).expect(why);
    assert!(line.contains("write_slots"), "{why}: {line}");
}

#[test]
fn one_instruction_can_be_asked_for_and_each_one() {
    if !is_traceable() {
        return;
    }
    let one = instructions(&["--mode", "kills", "--only", "ring/push:empty:9"]);
    assert_eq!(one.code, Some(0), "{}", one.errors);
    assert_eq!(one.rows.len(), 2);
    assert_eq!(one.rows[0].count, Some(1));

    let alone = ["--only", "seqlock/write:torn", "--mode"];
    let snapshots = instructions(&[&alone[..], &["snapshots"]].concat());
    let kills = instructions(&[&alone[..], &["kills", "--every-instruction"]].concat());
    let made = snapshots.rows[0].count.expect("instructions");
    // Before the first one, too.
    assert_eq!(kills.rows[0].count, Some(made + 1));

    let other = ["--mode", "pairs", "--only", "ring/pop:one:9"];
    let pairs = instructions(&[&other[..], &["--every-instruction"]].concat());
    assert_eq!(pairs.code, Some(0), "{}", pairs.errors);
    assert!(pairs.rows[0].count.is_some_and(|count| count > 20));

    let beyond = instructions(&["--mode", "kills", "--only", "ring/push:empty:9999"]);
    assert_eq!(beyond.code, Some(2));
    let missing = "there is no ring/push:empty:9999";
    assert!(beyond.errors.contains(missing), "{}", beyond.errors);
}

#[test]
fn a_step_is_taken_on_one_cpu_also_where_there_may_be_thousands() {
    let args = ["--json", "--mode", "snapshots", "--only", "seqlock/write"];
    for possible in [2048, 8192] {
        let mut command = Command::new(PROGRAM);
        command
            .args(["crash", "--points", "instructions"])
            .args(args);
        seccomp::with_possible_cpus(&mut command, possible);
        let output = match command.output() {
            Ok(output) => output,
            Err(error) => return eprintln!("not run: seccomp is refused: {error}"),
        };
        // 3 where nothing may be traced.
        assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!errors.contains("not on one CPU"), "{possible}: {errors}");
    }
}
