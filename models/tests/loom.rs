//! The suite under loom, and proof that it can fail.
#![cfg(feature = "loom")]

use std::process::{Command, Stdio};
use std::sync::Arc;

use ringproof::site::Site;
use ringproof_models::change::Change;
use ringproof_models::engine::loom::Loom;
use ringproof_models::engine::{Extent, slot, spawn, spawn_with, word};
use ringproof_models::exploration::Effort;
use ringproof_models::mutants::{Judge, Verdict as Judged, judge_in};
use ringproof_models::oracle;
use ringproof_models::order::Order;
use ringproof_models::owned::{OwnedRing, OwnedWords};
use ringproof_models::run::Run;
use ringproof_models::scenario::{Scenario, inventory};
use ringproof_models::suite::{self, Plan, Shard};
use ringproof_record::{Record, Verdict};

const EFFORT: Effort = Effort::of(2_000_000);

fn failures(rows: &[Record]) -> Vec<String> {
    rows.iter()
        .filter(|row| row.verdict == Verdict::Failed)
        .map(|row| {
            let reason = row.reason.as_deref().unwrap_or_default();
            let repeat = row.repeat.as_deref().unwrap_or("no command");
            let trace = row.trace.as_deref().unwrap_or_default();
            format!(
                "{}, {}: {reason}\n  repeat: {repeat}\n{trace}",
                row.subject, row.check
            )
        })
        .collect()
}

const PLAN: Plan = Plan {
    effort: EFFORT,
    nightly: false,
    shard: Shard::WHOLE,
};

/// The suite, as the program prints it.
fn the_whole_suite() -> Vec<Record> {
    let output = Command::new(env!("CARGO_BIN_EXE_ringproof-models"))
        .args(["loom", "--json"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("the program that was just built starts");
    let text = String::from_utf8(output.stdout).expect("lines of JSON");
    let lines = text.lines();
    lines
        .map(|line| Record::from_line(line).expect("a record"))
        .collect()
}

#[test]
fn every_control_holds_and_every_weaker_ordering_is_killed() {
    let rows = the_whole_suite();
    let failures = failures(&rows);
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
    for change in Change::weaker() {
        let site = change.site().to_string();
        let killed = |row: &&Record| row.subject == site && row.check.starts_with("mutant: ");
        assert!(
            rows.iter().any(|row| killed(&row)),
            "{change} was not tried"
        );
    }
    for site in Site::all() {
        for check in ["control", "crash"] {
            let held = |row: &&Record| {
                row.subject == site.info().name && row.check == check && row.count > Some(0)
            };
            assert!(rows.iter().any(|row| held(&row)), "no {check} of {site}");
        }
    }
    // Every counterexample fits a screen.
    let traces = rows
        .iter()
        .filter_map(|row| Some((row, row.trace.as_ref()?)));
    for (row, trace) in traces {
        let width = trace.lines().map(|line| line.chars().count()).max();
        assert!(
            trace.lines().count() <= 45 && width <= Some(120),
            "{}, {}:\n{trace}",
            row.subject,
            row.check
        );
    }
    // What the inventory promises.
    for scenario in inventory() {
        let held = |row: &&Record| row.subject == scenario.name && row.check == "control";
        assert_eq!(rows.iter().filter(held).count(), 1, "{}", scenario.name);
    }
    let exhausted = |row: &&Record| {
        let extent = row.reason.as_deref().unwrap_or_default();
        row.check == "control" && extent.starts_with("EXHAUSTED")
    };
    let exhausted = rows.iter().filter(exhausted).count();
    let compared = rows.iter().filter(|row| row.check == oracle::CHECK).count();
    assert!(inventory().len() >= 30);
    assert!(exhausted >= 20, "{exhausted} models were exhausted");
    assert_eq!(compared, inventory().len(), "held against shuttle");
}

fn smallest() -> Scenario {
    suite::find("ring/capacity 1").expect("the inventory has it")
}

/// A minimum above what is explored, an outcome that is never witnessed, and one that is no longer declared and
/// would not be missed when it no longer appears.
#[test]
fn a_scenario_that_shows_less_or_more_than_it_declares_fails() {
    let failures_of = |scenario| failures(&suite::control::<Loom>(&scenario, EFFORT).1.rows);
    assert_eq!(failures_of(smallest()), [""; 0]);
    let mut too_small = smallest();
    too_small.minimum = u64::MAX;
    let mut ghost = smallest();
    ghost.witnesses = [ghost.witnesses, &["producer saw a ghost"]].concat().leak();
    let mut undeclared = smallest();
    undeclared.witnesses = &undeclared.witnesses[1..];
    for (scenario, words) in [
        (too_small, "minimum"),
        (ghost, "ghost"),
        (undeclared, "not declared"),
    ] {
        let failures = failures_of(scenario);
        let named = failures.len() == 1 && failures[0].contains(words);
        assert!(named, "{failures:?}");
    }
}

#[test]
fn a_site_without_a_model_fails() {
    let without_latches: Vec<_> = (inventory().into_iter())
        .filter(|scenario| scenario.minimum < 1_000 && !scenario.name.contains("latch"))
        .collect();
    let rows = suite::run_over::<Loom>(&without_latches, Vec::new(), &PLAN, &|_| {});
    let failures = failures(&rows);
    for site in ["LatchObserve", "LatchPublish", "LatchReadFence"] {
        for check in ["control", "crash", "mutant"] {
            let named = format!("{site}, {check}");
            assert!(
                failures.iter().any(|failure| failure.starts_with(&named)),
                "no row reports {named}: {failures:?}"
            );
        }
    }
}

#[test]
fn a_run_that_was_cut_short_says_so() {
    let effort = Effort {
        executions: 10,
        ..EFFORT
    };
    let (explored, control) = suite::control::<Loom>(&smallest(), effort);
    assert_eq!(explored.executions, 10);
    assert!(matches!(explored.outcome, Ok(Extent::Truncated(_))));
    assert!(
        !failures(&control.rows).is_empty(),
        "it cannot have reached its minimum"
    );
}

/// tokio-rs/loom#166: where a thread loads an index that it then stores, loom does not see that
/// another thread's earlier load could come later. Its count, its witnesses and shuttle each show
/// it; specimen T1 is the smallest form. Should this fail one day, loom was mended.
#[test]
fn an_index_loaded_by_the_thread_that_stores_it_is_noticed() {
    let own = Scenario::new("own", blind, 10, &["an item went over"]);
    let (explored, control) = suite::control::<Loom>(&own, EFFORT);
    assert!(
        matches!(explored.outcome, Ok(Extent::Exhausted)),
        "what loom believes"
    );
    assert_eq!(explored.executions, 1);
    let failures = failures(&control.rows);
    assert_eq!(failures.len(), 3, "minimum, witness and shuttle");
    assert!(failures[2].contains("loom missed"), "{failures:?}");
}

/// A producer that looks up its index in shared memory before each push, as a thread would that
/// kept none of its own.
fn blind(run: &Arc<Run>) {
    let words = Arc::new((word(0), slot(0)));
    let producer = run.actor("producer");
    let producing = spawn_with(&words, move |(write_index, slot)| {
        let own = producer.load("own index", write_index, Order::Relaxed);
        producer.write("fill", slot, own + 1);
        producer.store("publish", write_index, own + 1, Order::Release);
    });
    let consumer = run.actor("consumer");
    for _ in 0..2 {
        if consumer.load("observe", &words.0, Order::Acquire) == 1 {
            assert_eq!(consumer.read::<u64>("take", &words.1), 1);
            run.saw("an item went over");
        }
    }
    producing.join();
}

/// What a writer that first reads its own seqlock is to show: that it was read is true of the
/// one execution that loom makes of it, so neither a minimum nor a witness misses the others.
fn reads_back(run: &Arc<Run>) {
    let words = OwnedWords::new(0, &[0, 0]);
    let writing = spawn({
        let own = words.seq_reader::<[u64; 2]>(run.memory("writer's own reader"));
        let mut writer = words.seq_writer::<[u64; 2]>(run.memory("writer"));
        move || {
            assert_eq!(own.try_read(), Ok([0; 2]));
            writer.write(&[1; 2]);
        }
    });
    let reader = words.seq_reader::<[u64; 2]>(run.memory("reader"));
    if let Ok([left, right]) = reader.try_read() {
        assert_eq!(left, right, "a torn value");
    }
    run.saw("it was read");
    writing.join();
}

fn reads_back_scenario() -> Scenario {
    Scenario::new("reads back", reads_back, 1, &["it was read"])
}

/// Exhausted or bounded, whatever the bound: loom makes one execution, and nothing but the
/// comparison misses the others.
#[test]
fn a_scenario_of_which_loom_explores_one_execution_fails_whatever_its_size() {
    let bounded = (0..4).map(|bound| reads_back_scenario().bounded(bound));
    for scenario in [reads_back_scenario()].into_iter().chain(bounded) {
        let (explored, control) = suite::control::<Loom>(&scenario, EFFORT);
        assert_eq!(explored.executions, 1, "should this fail, loom was mended");
        let (compared, others): (Vec<_>, Vec<_>) =
            (control.rows.into_iter()).partition(|row| row.check == oracle::CHECK);
        assert_eq!(failures(&others), [""; 0], "who else notices it?");
        let failures = failures(&compared);
        assert!(
            failures.len() == 1 && failures[0].contains("loom missed"),
            "{:?}: {failures:?}",
            scenario.size
        );
    }
}

/// And what a change does there, loom cannot say: it neither survives an exhaustive search, nor is
/// it noticed by what never comes.
#[test]
fn a_change_is_not_judged_by_executions_that_loom_did_not_make() {
    let change = Change::parse("SeqWriteFence=no fence").expect("such a change");
    let witnessed = |witnesses| Scenario {
        witnesses,
        ..reads_back_scenario().bounded(2)
    };
    for scenario in [witnessed(&["it was read"]), witnessed(&["a ghost"])] {
        let judgement = judge_in::<Loom>(&scenario, change, EFFORT);
        let row = judgement.row::<Loom>().expect("a row");
        assert_eq!(row.verdict, Verdict::Failed);
        let reason = row.reason.unwrap_or_default();
        assert!(
            reason.starts_with("survived in reads back TRUNCATED (loom missed"),
            "{reason}"
        );
        let (scenarios, argued) = ([scenario], [(change, "the writer is alone")]);
        let judgement = Judge::<Loom>::new(&scenarios, &argued, EFFORT).judge(change);
        assert!(
            matches!(judgement.verdict, Judged::Survived(_)),
            "{judgement:?}"
        );
    }
}

/// The same command with which one tries a new scenario.
#[test]
fn one_scenario_alone_is_compared_too() {
    for name in ["ring/capacity 1", "seqlock/1 write, 2 readers"] {
        let rows = suite::run_one::<Loom>(name, None, EFFORT).expect("such a scenario");
        assert_eq!(failures(&rows), [""; 0]);
        let compared = rows.iter().filter(|row| row.check == oracle::CHECK);
        assert_eq!(compared.count(), 1, "{name}");
    }
}

/// Each of two threads stores, makes a fence and looks.
fn look(run: &Arc<Run>, first: Order, second: Order) {
    let words = Arc::new((word(0), word(0)));
    let (here, there) = (run.actor("here"), run.actor("there"));
    let other = spawn_with(&words, move |(mine, yours)| {
        there.store("store", mine, 1, Order::Relaxed);
        there.fence("fence", first);
        there.load("look", yours, Order::Relaxed)
    });
    here.store("store", &words.1, 1, Order::Relaxed);
    here.fence("fence", second);
    let seen = here.load("look", &words.0, Order::Relaxed);
    if seen + other.join() == 0 {
        run.saw("neither saw the other");
    }
}

/// As the axioms have it; SeqCst fences would order two light ones, too.
#[test]
fn a_light_fence_is_one_against_a_heavy_one_only() {
    use Order::{Heavy, Light, SeqCst};
    type Program = fn(&Arc<Run>);
    let programs: [(Program, bool); 6] = [
        (|run| look(run, Light, Heavy), false),
        (|run| look(run, Heavy, Light), false),
        (|run| look(run, Heavy, SeqCst), false),
        (|run| look(run, SeqCst, SeqCst), false),
        (|run| look(run, Light, Light), true),
        (|run| look(run, Light, SeqCst), true),
    ];
    for (number, (program, may)) in programs.into_iter().enumerate() {
        let scenario = Scenario::new("look", program, 1, &[]);
        let (explored, _) = suite::control::<Loom>(&scenario, EFFORT);
        let missed = explored
            .totals
            .witnessed
            .contains_key("neither saw the other");
        assert_eq!(missed, may, "program {number}");
    }
}

/// A word that is stored more often than loom remembers is not called exhausted without saying
/// so.
#[test]
fn a_long_history_is_said() {
    fn long(run: &Arc<Run>) {
        let ring = OwnedRing::new(8, 8);
        let mut producer = ring.producer(run.memory("producer"));
        for item in 0..7 {
            assert_eq!(producer.push(item), Ok(()));
        }
    }
    let scenario = Scenario::new("long", long, 1, &[]);
    let (explored, _) = suite::control::<Loom>(&scenario, EFFORT);
    assert!(matches!(explored.outcome, Ok(Extent::ExhaustedHistory)));
}
