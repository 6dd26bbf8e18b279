//! The suite and the long scenarios under shuttle, and proof that they can fail.
#![cfg(feature = "shuttle")]

use std::collections::BTreeSet;
use std::fs;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use ringproof_models::actor::Actor;
use ringproof_models::change::{Change, Table};
use ringproof_models::engine::shuttle::{Sample, Shuttle, Strategy, last_schedule, replay, sample};
use ringproof_models::engine::{Body, Engine, Extent, Limits, Word, spawn, spin, word};
use ringproof_models::exploration::Effort;
use ringproof_models::long::{self, Budget, Saved};
use ringproof_models::order::Order;
use ringproof_models::run::Run;
use ringproof_models::scenario::long::inventory;
use ringproof_models::suite::{self, Plan, Shard};
use ringproof_record::{Record, Verdict};
use shuttle::scheduler::{ReplayScheduler, Schedule};

/// Less than is needed for every witness of the larger scenarios.
const EFFORT: Effort = Effort::of(2_000);

const BUDGET: Budget = Budget {
    steps: 300_000,
    seed: 1,
};

fn failures(rows: &[Record]) -> Vec<String> {
    (rows.iter())
        .filter(|row| row.verdict == Verdict::Failed)
        .map(Record::to_line)
        .collect()
}

#[test]
fn every_control_holds_and_every_planted_fault_is_caught() {
    let plan = Plan {
        effort: EFFORT,
        nightly: false,
        shard: Shard::WHOLE,
    };
    let rows = suite::run::<Shuttle>(&plan, None, &|_| {});
    let failures = failures(&rows);
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
    for fault in Change::planted() {
        let caught = |row: &&Record| {
            row.subject == fault.site().to_string() && row.check.starts_with("planted fault: ")
        };
        assert!(rows.iter().any(|row| caught(&row)), "{fault} was not tried");
    }
}

/// What this engine cannot do, pinned: it is no evidence for an ordering.
#[test]
fn a_weaker_ordering_survives() {
    let change = Change::parse("RingPublish=Relaxed").expect("such a change");
    let rows = suite::run_one::<Shuttle>("ring/capacity 1", Some(change), EFFORT)
        .expect("such a scenario");
    assert_eq!(rows[0].verdict, Verdict::Failed);
}

#[test]
fn the_same_seed_makes_the_same_rows() {
    let rows = || suite::run_one::<Shuttle>("ring/capacity 2", None, EFFORT);
    assert_eq!(rows(), rows());
}

/// The only file in a directory.
fn only_file(directory: &Path) -> PathBuf {
    let entries = fs::read_dir(directory).expect("the directory was made");
    let files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[test]
fn long_controls_hold_and_every_strategy_catches_every_planted_fault() {
    let scratch = tempfile::tempdir().unwrap();
    let saved = scratch.path().join("saved");
    let rows = long::run(&inventory(), BUDGET, &saved, &|_| {});
    let failures = failures(&rows);
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
    for strategy in Strategy::ALL {
        let sampled = |row: &&Record| row.check == strategy.to_string() && row.count > Some(1);
        assert!(rows.iter().filter(sampled).count() >= 8, "{strategy}");
    }
    for fault in Change::planted() {
        for strategy in ["random", "PCT(3)", "URW"] {
            let caught = |row: &&Record| {
                row.subject == fault.site().to_string()
                    && row.check.starts_with("planted fault: ")
                    && row.check.ends_with(strategy)
            };
            assert!(rows.iter().any(|row| caught(&row)), "{fault}, {strategy}");
        }
    }
    assert!(!saved.exists(), "only a control that fails leaves a file");
}

#[test]
fn a_failing_schedule_is_saved_and_repeated_to_the_same_finding() {
    for (scenario, fault) in [
        ("long/ring", "RingReclaim=one too many"),
        ("long/ring, taken over", "RingObserve=one too many"),
        ("long/seqlock, taken over", "SeqOdd=left out"),
        ("long/latch", "LatchObserve=one too many"),
    ] {
        let fault = Change::parse(fault).expect("such a change");
        for strategy in [Strategy::Random, Strategy::Pct(3), Strategy::Urw] {
            let scratch = tempfile::tempdir().unwrap();
            let directory = scratch.path();
            let rows =
                long::run_one(scenario, Some(strategy), Some(fault), BUDGET, directory).unwrap();
            assert_eq!(rows[0].verdict, Verdict::Passed, "{rows:?}");
            let file = only_file(directory);
            let saved = Saved::read(&file).unwrap();
            assert_eq!(
                (saved.scenario.as_str(), saved.change),
                (scenario, Some(fault))
            );
            let row = long::replay(&file).unwrap();
            assert_eq!(row.verdict, Verdict::Passed, "{row:?}");
            assert_eq!(row.reason, Some(saved.finding.clone()));

            // Without the fault there is nothing to be found in it; and it is not called found.
            let mended = Saved {
                change: None,
                ..saved
            };
            fs::write(&file, mended.to_string()).unwrap();
            let row = long::replay(&file).unwrap();
            assert_eq!(row.verdict, Verdict::Passed, "{row:?}");
            assert!(row.reason.unwrap().contains("when saved: "));
        }
    }
}

#[test]
fn shuttle_reads_a_saved_schedule_as_it_was_meant() {
    let saved = Saved {
        scenario: "any".to_owned(),
        change: None,
        crash_point: None,
        finding: "any".to_owned(),
        tasks: (0..500).map(|step| step * step % 11).collect(),
    };
    let text = saved.to_string();
    let (_, schedule) = text.split_once('\n').expect("a header and a schedule");
    let theirs = ReplayScheduler::new_from_encoded(schedule);
    let ours = Schedule::new_from_task_ids(0, saved.tasks);
    assert_eq!(
        format!("{theirs:?}"),
        format!("{:?}", ReplayScheduler::new_from_schedule(ours))
    );
}

#[test]
fn what_cannot_be_replayed_is_refused_with_a_reason() {
    let scratch = tempfile::tempdir().unwrap();
    let missing = long::replay(&scratch.path().join("none")).expect_err("no such file");
    assert!(missing.contains("cannot read"), "{missing}");
    let ghost = Saved {
        scenario: "long/ghost".to_owned(),
        change: None,
        crash_point: None,
        finding: "a ghost".to_owned(),
        tasks: vec![0],
    };
    let file = ghost.write(scratch.path()).unwrap();
    let unknown = long::replay(&file).expect_err("no such scenario");
    assert!(unknown.contains("no scenario `long/ghost`"), "{unknown}");
}

fn run() -> Arc<Run> {
    Run::new(Table::default(), None)
}

/// Two threads and a word: `writer` does its part, then it and `reader` go on at once.
fn pair(
    run: &Arc<Run>,
    writer: impl FnOnce(&Actor, &Word) + Send + 'static,
    reader: impl FnOnce(&Actor, &Word),
) {
    let word = word(0);
    let (actor, written) = (run.actor("writer"), Arc::clone(&word));
    let writing = spawn(move || writer(&actor, &written));
    reader(&run.actor("reader"), &word);
    writing.join();
}

/// A bug of depth 2: all the reads fall between two stores.
fn between_two_stores(run: &Arc<Run>) {
    pair(
        run,
        |actor, word| {
            for _ in 0..40 {
                actor.load("before", word, Order::SeqCst);
            }
            actor.store("open", word, 1, Order::SeqCst);
            actor.store("shut", word, 0, Order::SeqCst);
        },
        |actor, word| {
            let reads = (0..40).map(|_| actor.load("read", word, Order::SeqCst));
            assert!(
                reads.sum::<u64>() < 40,
                "every read fell between two stores"
            );
        },
    );
}

/// Samples schedules of `body`.
fn sampled(
    strategy: Strategy,
    seed: u64,
    steps: u64,
    body: impl Fn(&Arc<Run>) + Send + Sync + 'static,
) -> Sample {
    let run = run();
    let seen = Arc::clone(&run);
    let body: Body = Arc::new(move || body(&seen));
    sample(strategy, seed, steps, &run, &body)
}

/// Runs a sample of the bug above; whether it was found.
fn found(strategy: Strategy, steps: u64) -> bool {
    let sampling = || sampled(strategy, 1, steps, between_two_stores);
    panic::catch_unwind(sampling).is_err()
}

/// Why there is more than one strategy. At random it takes 2^40 schedules.
#[test]
fn a_bug_of_depth_two_is_found_by_pct_and_not_at_random() {
    assert!(!found(Strategy::Random, 1_000_000));
    assert!(!found(Strategy::Pct(1), 1_000_000));
    assert!(found(Strategy::Pct(2), 1_000_000));
}

#[test]
fn a_replay_repeats_the_schedule_and_notices_another_program() {
    let seen = run();
    let body: Body = {
        let seen = Arc::clone(&seen);
        Arc::new(move || between_two_stores(&seen))
    };
    let once = sample(Strategy::Random, 1, 1, &seen, &body);
    assert_eq!(once.schedules, 1);
    let schedule = last_schedule();
    let readings = seen.trace().readings();
    assert!(replay(&schedule, &seen, &body));
    assert_eq!(last_schedule(), schedule);
    assert_eq!(seen.trace().readings(), readings);
    assert!(!replay(&schedule[..schedule.len() / 2], &seen, &body));
    let longer = [&schedule[..], &[0]].concat();
    assert!(!replay(&longer, &seen, &body));
    assert!(!replay(&vec![7; schedule.len()], &seen, &body));
}

#[test]
fn the_seed_decides_the_sample() {
    let sample_from = |seed| {
        Strategy::ALL.map(|strategy| {
            let sample = sampled(strategy, seed, 50_000, between_two_stores_unjudged);
            (sample, last_schedule())
        })
    };
    assert_eq!(sample_from(1), sample_from(1));
    for (one, other) in sample_from(1).iter().zip(&sample_from(2)) {
        assert_ne!(one, other);
    }
}

/// Two threads of a few steps each.
fn between_two_stores_unjudged(run: &Arc<Run>) {
    pair(
        run,
        |actor, word| (1..20).for_each(|n| actor.store("store", word, n, Order::SeqCst)),
        |actor, word| (1..20).for_each(|_| _ = actor.load("load", word, Order::SeqCst)),
    );
}

/// An endless wait is a failure that says so, whatever the strategy.
#[test]
fn too_many_steps_are_a_failure() {
    for strategy in [Strategy::Random, Strategy::Pct(3), Strategy::Urw] {
        let reader = |actor: &Actor, word: &Word| {
            while actor.load("wait", word, Order::SeqCst) == 0 {
                spin();
            }
        };
        let waiting = move |run: &Arc<Run>| pair(run, |_, _| {}, reader);
        let panic = panic::catch_unwind(|| sampled(strategy, 1, 1, waiting));
        let message = panic.expect_err("it never ends");
        let message = message.downcast_ref::<String>().expect("a message");
        assert!(message.contains("exceeded max_steps"), "{message}");
    }
}

#[test]
fn the_bound_of_pct_is_the_theorems() {
    let sample = Sample {
        threads: 2,
        choices: 10,
        informed: 3,
        ..Sample::default()
    };
    let (one, all) = sample.pct_bound(3);
    assert!((one - 0.005).abs() < 1e-12, "1 / (2 * 10^2)");
    assert!((all - (1.0 - 0.995_f64.powi(3))).abs() < 1e-12);
    assert_eq!(sample.pct_bound(1).0, 0.5);
}

/// What a reader's two loads found while another thread stored three times.
fn explored(
    executions: u64,
    preemptions: Option<usize>,
) -> (Extent, u64, BTreeSet<&'static str>, usize) {
    const NAMES: [[&str; 4]; 4] = [
        ["00", "01", "02", "03"],
        ["10", "11", "12", "13"],
        ["20", "21", "22", "23"],
        ["30", "31", "32", "33"],
    ];
    let run = run();
    let seen = Arc::clone(&run);
    let limits = Limits {
        preemptions,
        executions,
        seed: 1,
    };
    let body = move || {
        let noted = Arc::clone(&seen);
        pair(
            &seen,
            |actor, word| (1..=3).for_each(|n| actor.store("store", word, n, Order::SeqCst)),
            move |actor, word| {
                let load = || actor.load("load", word, Order::SeqCst) as usize;
                let (first, second) = (load(), load());
                noted.saw(NAMES[first][second]);
            },
        );
    };
    let extent = Shuttle::explore(limits, &run, Arc::new(body));
    let totals = run.totals();
    let saw = totals.witnessed.into_keys().collect();
    (extent, run.executions(), saw, totals.readings.len())
}

/// An oracle for others: it must be all there is, and must not be called so when it is not.
#[test]
fn exhausted_means_exhausted() {
    let (extent, executions, saw, readings) = explored(1_000_000, None);
    assert_eq!(extent, Extent::Exhausted);
    let all = ["00", "01", "02", "03", "11", "12", "13", "22", "23", "33"];
    assert_eq!((saw, readings), (BTreeSet::from(all), all.len()));

    assert_eq!(explored(executions + 1, None).0, Extent::Exhausted);
    assert!(matches!(explored(executions, None).0, Extent::Truncated(_)));

    // What is added at random goes to the same run.
    let (extent, executions, saw, _) = explored(5, None);
    assert!(matches!(extent, Extent::Truncated(_)));
    assert_eq!(executions, 10);
    let others = saw.iter().filter(|found| !found.starts_with('0'));
    assert!(others.count() > 0, "depth-first alone begins with {saw:?}");
}

/// And all with so many preemptions means these: where two threads meet, another one for each time
/// that the reader is let in or interrupted.
#[test]
fn bounded_means_all_with_no_more_preemptions() {
    let (mut schedules, mut expected) = (0, BTreeSet::new());
    for (bound, more) in [
        &["00"][..],
        &["03", "33"],
        &["01", "02", "11", "22"],
        &["13", "23"],
        &["12"],
    ]
    .into_iter()
    .enumerate()
    {
        expected.extend(more);
        let (extent, executions, saw, _) = explored(1_000_000, Some(bound));
        assert_eq!((extent, saw), (Extent::Bounded(bound), expected.clone()));
        assert!(executions > schedules, "{executions} with {bound}");
        schedules = executions;
    }
    // As much at random as depth-first, and no more preemptions in it either.
    let (extent, _, saw, _) = explored(5, Some(2));
    assert!(matches!(extent, Extent::Truncated(_)));
    assert!(
        saw.is_disjoint(&BTreeSet::from(["12", "13", "23"])),
        "{saw:?}"
    );
}

/// shuttle takes a seed from its environment, which would make ours a lie.
#[test]
fn a_seed_from_the_environment_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_ringproof-models"))
        .args(["shuttle", "--only", "ring/capacity 2", "--executions", "10"])
        .env("SHUTTLE_RANDOM_SEED", "7")
        .output()
        .expect("the program runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("SHUTTLE_RANDOM_SEED is set"), "{text}");
}

#[test]
fn every_row_that_was_asked_for_is_printed_as_json() {
    for (scenario, rows) in [("ring/capacity 1", 6), ("long/ring", 4)] {
        let output = Command::new(env!("CARGO_BIN_EXE_ringproof-models"))
            .args(["shuttle", "--json", "--steps", "30000", "--only", scenario])
            .output()
            .expect("the program that was just built starts");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("lines of JSON");
        let found = text.lines().map(Record::from_line).filter(Result::is_ok);
        assert!(found.count() >= rows, "{scenario}:\n{text}");
    }
}
