//! Reports of shards, made up: merged they are the whole run, and what does not belong together is
//! refused.

mod made_up;

use std::fs;
use std::process::{Command, Output};

use made_up::{about, complete, place, program, ran, report, sites};
use ringproof_record::{Record, Shard, Verdict};
use ringproof_verify::layers::LAYERS;
use ringproof_verify::merge::merge;
use ringproof_verify::report::{About, Outcome, Part, ProgramFile, Ran, Report};

/// What a site's `control` says of so many executions in all.
fn site_control(executions: u64) -> Record {
    Record::passed("loom", "RingPublish", "control")
        .count(executions, "executions")
        .reason("Release")
}

/// The rows of a run that is not divided.
fn whole() -> Vec<Vec<Record>> {
    let mut rows = complete();
    rows[0].push(
        Record::passed("loom", "ring/two", "control")
            .count(804, "executions")
            .reason("EXHAUSTED"),
    );
    rows[0].push(Record::passed("loom", "calibration", "litmus").count(42, "tests"));
    rows[0].push(site_control(16_000));
    rows
}

/// The same, as its two shards print it: models and mutants divided, the calibration in both, a
/// part of the site's sum in each.
fn halves() -> [Vec<Option<Vec<Record>>>; 2] {
    let mut first = whole();
    let loom = &mut first[0];
    loom.pop();
    let calibration = loom.pop().unwrap();
    let two = loom.pop().unwrap();
    let fence = loom.remove(1);
    loom.extend([calibration.clone(), site_control(15_196)]);
    let loom = vec![two, fence, calibration, site_control(804)];
    let shuttle = vec![Record::passed("shuttle", "ring/two", "control").count(9, "schedules")];
    let first = first.into_iter().map(Some).collect();
    let mut second: Vec<_> = LAYERS.iter().map(|_| None).collect();
    second[..2].clone_from_slice(&[Some(loom), Some(shuttle)]);
    // Each shard repeats this one.
    second[place("soak")] = Some(vec![
        Record::passed("soak", "ring", "kills").count(34, "kills"),
    ]);
    [first, second]
}

fn shard_of(number: u32, of: u32, rows: Vec<Option<Vec<Record>>>) -> (String, Report) {
    let about = About {
        part: Part::Shard(Shard { number, of }),
        ..about()
    };
    let report = Report::new(about, sites(), ran(rows), false);
    (format!("{number}.json"), report)
}

fn shards() -> Vec<(String, Report)> {
    let [first, second] = halves();
    vec![shard_of(1, 2, first), shard_of(2, 2, second)]
}

fn sorted(report: &Report) -> Vec<String> {
    let mut lines: Vec<String> = report.results.iter().map(Record::to_line).collect();
    lines.sort();
    lines
}

#[test]
fn two_shards_are_the_whole_run() {
    let merged = merge(shards(), false).unwrap();
    let mut rows = whole();
    rows[1].push(Record::passed("shuttle", "ring/two", "control").count(9, "schedules"));
    rows[place("soak")] = vec![Record::passed("soak", "ring", "kills").count(1034, "kills")];
    let whole = report(rows, false);
    assert_eq!(sorted(&merged), sorted(&whole));
    assert_eq!(merged.matrix(), whole.matrix());
    assert_eq!(merged.totals(), whole.totals());
    assert_eq!(merged.verdict, Outcome::Passed);
    let verdicts = |report: &Report| -> Vec<_> {
        let layer =
            |layer: &ringproof_verify::report::LayerResult| (layer.name.clone(), layer.verdict);
        report.layers.iter().map(layer).collect()
    };
    assert_eq!(verdicts(&merged), verdicts(&whole));
    assert_eq!(merged.about.part, Part::Merged(2));
    assert_eq!(merged.about.command(), "cargo verify --seed 7");
}

#[test]
fn executions_are_counted_once() {
    let merged = merge(shards(), false).unwrap();
    // 12 for each mutant and the two models; the sum over a site adds nothing.
    let executions = 2 * 12 + 15_196 + 804;
    let totals = [
        ("loom", executions, "executions"),
        ("shuttle", 5009, "schedules"),
    ];
    assert_eq!(merged.totals(), totals);
}

#[test]
fn what_is_required_is_judged_after_the_merge() {
    let [first, mut second] = halves();
    // The fence's mutant is the second shard's.
    let report = shard_of(1, 2, first.clone());
    assert_eq!(report.1.verdict, Outcome::Passed);
    assert!(report.1.summary().contains("judged after the merge"));
    second[0].as_mut().unwrap().remove(1);
    let merged = merge(vec![report, shard_of(2, 2, second)], false).unwrap();
    assert_eq!(merged.verdict, Outcome::Incomplete);
    let gap = merged.not_run()[0].0;
    assert_eq!(
        (gap.subject.as_str(), gap.layer.as_str()),
        ("SeqFence", "loom")
    );
}

#[test]
fn a_layer_that_is_not_divided_is_required_too() {
    let [mut first, second] = halves();
    first[2].as_mut().unwrap().pop();
    let merged = merge(vec![shard_of(1, 2, first), shard_of(2, 2, second)], false).unwrap();
    assert_eq!(merged.verdict, Outcome::Incomplete);
}

#[test]
fn a_failure_in_one_shard_fails_the_whole() {
    for guilty in 0..2 {
        let mut halves = halves();
        let failure = Record::failed("loom", "calibration", "litmus", "SB is forbidden here")
            .count(42, "tests");
        let rows = halves[guilty][0].as_mut().unwrap();
        *rows.iter_mut().find(|row| row.check == "litmus").unwrap() = failure.clone();
        let [first, second] = halves;
        let merged = merge(vec![shard_of(1, 2, first), shard_of(2, 2, second)], false).unwrap();
        assert_eq!(merged.verdict, Outcome::Failed);
        assert_eq!(merged.failed().collect::<Vec<_>>(), [&failure]);
    }
}

#[test]
fn reasons_that_differ_are_joined_and_a_part_that_did_not_run_takes_nothing_away() {
    let [mut first, mut second] = halves();
    let third = vec![
        Record::not_run("loom", "RingPublish", "control", "no model accesses it"),
        Record::passed("loom", "calibration", "litmus").reason("all as in the second"),
    ];
    let shuttle = vec![Record::passed("shuttle", "ring/three", "control").count(1, "schedules")];
    let mut third: Vec<_> = [Some(third), Some(shuttle)].into();
    third.resize(place("soak"), None);
    third.push(Some(Vec::new()));
    for (rows, why) in [
        (&mut first, "Release in 3 models"),
        (&mut second, "Release in 1 models"),
    ] {
        rows[0].as_mut().unwrap().last_mut().unwrap().reason = Some(why.to_owned());
    }
    // In whatever order they come.
    for turn in 0..3 {
        let mut shards = vec![
            shard_of(1, 3, first.clone()),
            shard_of(2, 3, second.clone()),
            shard_of(3, 3, third.clone()),
        ];
        shards.rotate_left(turn);
        let merged = merge(shards, false).unwrap();
        let is_sum = |row: &&Record| row.subject == "RingPublish" && row.check == "control";
        let sum = merged.results.iter().find(is_sum).unwrap();
        assert_eq!((sum.verdict, sum.count), (Verdict::Passed, Some(16_000)));
        let why = sum.reason.as_deref().unwrap();
        assert_eq!(
            why.len(),
            "Release in 3 models; Release in 1 models".len(),
            "{why}"
        );
    }
}

#[test]
fn a_shard_that_was_not_built_fails_the_whole() {
    let failures = |layer: &str| vec![Record::failed(layer, layer, "ran to its end", "no build")];
    let layer = |name: &str| Ran {
        rows: Some(failures(name)),
        ..Ran::left_out(name)
    };
    let about = About {
        part: Part::Shard(Shard { number: 2, of: 2 }),
        ..about()
    };
    let ran = ["sites", "loom", "shuttle", "soak"].map(layer);
    let unbuilt = Report::new(about, Vec::new(), ran.into(), false);
    for turn in 0..2 {
        let [first, _] = halves();
        let mut shards = vec![
            shard_of(1, 2, first),
            ("2.json".to_owned(), unbuilt.clone()),
        ];
        shards.rotate_left(turn);
        let merged = merge(shards, false).unwrap();
        assert_eq!(merged.verdict, Outcome::Failed);
        assert_eq!(merged.failed().count(), 4);
        assert_eq!(merged.sites, sites());
    }
}

#[test]
fn the_programs_of_all_machines_are_named() {
    let mut shards = shards();
    let loom = &mut shards[1].1.layers[0];
    let other = ProgramFile {
        sha256: "fedcba9876543210".repeat(4),
        ..program("loom")
    };
    loom.programs = vec![other.clone()];
    // Both machines have built these to the same bytes.
    let merged = merge(shards, false).unwrap();
    assert_eq!(merged.layers[0].programs, [program("loom"), other]);
    assert_eq!(merged.layers[1].programs, [program("shuttle")]);
}

/// Why the shards are refused after `change`.
#[track_caller]
fn refused(change: impl Fn(&mut Vec<(String, Report)>)) -> String {
    let mut shards = shards();
    change(&mut shards);
    match merge(shards, false) {
        Ok(report) => panic!("merged: {}", report.summary()),
        Err(error) => error.to_string(),
    }
}

/// Makes a report one of another run.
type Spoil = fn(&mut Report);

#[test]
fn shards_that_are_not_one_run_are_refused() {
    let cases: [(&str, Spoil); 9] = [
        ("another schema", |report| report.schema += 1),
        ("another commit", |report| {
            report.about.commit = Some("fedcba".to_owned())
        }),
        ("another commit", |report| report.about.commit = None),
        ("another value of --nightly", |report| {
            report.about.nightly = true
        }),
        ("another seed", |report| report.about.seed += 1),
        ("another compiler", |report| {
            "rustc 1.96.0".clone_into(&mut report.about.machine.rustc)
        }),
        ("another table of sites", |report| report.sites.truncate(1)),
        ("another number of shards", |report| {
            report.about.part = Part::Shard(Shard { number: 2, of: 3 });
        }),
        ("the layer shuttle ran in one", |report| {
            report.layers[1].verdict = Outcome::NotRun
        }),
    ];
    for (expected, change) in cases {
        let why = refused(|shards| change(&mut shards[1].1));
        assert!(
            why.contains(expected) && why.contains("2.json"),
            "{expected}: {why}"
        );
    }
}

#[test]
fn each_shard_is_needed_once() {
    assert_eq!(refused(|shards| drop(shards.pop())), "missing: shard 2/2");
    assert_eq!(
        refused(|shards| drop(shards.remove(0))),
        "missing: shard 1/2"
    );
    let twice = refused(|shards| shards.push(("again.json".to_owned(), shards[1].1.clone())));
    assert_eq!(twice, "shard 2/2 is there twice: 2.json and again.json");
    let third = refused(|shards| {
        shards[1].1.about.part = Part::Shard(Shard { number: 3, of: 2 });
    });
    assert!(third.contains("3/2"), "{third}");
    let whole = refused(|shards| shards[0].1.about.part = Part::Whole);
    assert!(
        whole.contains("1.json is not the report of one shard"),
        "{whole}"
    );
    assert_eq!(refused(Vec::clear), "no report to merge");
}

fn verify(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringproof-verify"))
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn the_program_says_what_is_wrong_with_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.json");
    let path = file.to_str().unwrap();
    let complaint = |text: &str| {
        fs::write(&file, text).unwrap();
        let output = verify(&["--merge", path]);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(complaint("no").contains("a.json is not JSON"));
    assert!(complaint(r#"{"schema": 99}"#).contains("its schema is 99"));
    assert!(complaint(r#"{"schema": 1}"#).contains("missing field"));
    let [first, _] = halves();
    let report = serde_json::to_string(&shard_of(1, 2, first).1).unwrap();
    assert!(complaint(&report).contains("missing: shard 2/2"));
    fs::remove_file(&file).unwrap();
    let output = verify(&["--merge", path]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be read"));
}
