//! The suite under loom, and proof that it can fail.
#![cfg(feature = "loom")]

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use ringproof::site::Site;
use ringproof_models::change::Change;
use ringproof_models::engine::loom::Loom;
use ringproof_models::engine::shuttle::Shuttle;
use ringproof_models::engine::{Engine, Extent};
use ringproof_models::exploration::Effort;
use ringproof_models::oracle;
use ringproof_models::order::Order;
use ringproof_models::owned::OwnedRing;
use ringproof_models::plan::{Plan, Shard};
use ringproof_models::run::Run;
use ringproof_models::scenario::{Scenario, inventory};
use ringproof_models::suite;
use ringproof_record::{Record, Verdict};

const EFFORT: Effort = Effort {
    executions: 2_000_000,
    seed: 1,
};

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

/// The suite, as the program prints it: in two halves at once, because loom uses one processor
/// for each process.
fn the_whole_suite() -> Vec<Record> {
    let halves = ["1/2", "2/2"].map(|shard| {
        Command::new(env!("CARGO_BIN_EXE_ringproof-models"))
            .args(["loom", "--json", "--shard", shard])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program that was just built starts")
    });
    // Read at once, too: a full pipe would let one half wait for the other.
    let outputs = thread::scope(|scope| {
        halves
            .map(|half| scope.spawn(|| half.wait_with_output().expect("it can be waited for")))
            .map(|reading| reading.join().expect("it does not panic"))
    });
    let lines = outputs.iter().flat_map(|output| {
        let text = std::str::from_utf8(&output.stdout).expect("lines of JSON");
        text.lines()
            .map(|line| Record::from_line(line).expect("a record"))
    });
    lines.collect()
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
    for scenario in inventory::<Loom>() {
        let held = |row: &&Record| row.subject == scenario.name && row.check == "control";
        assert_eq!(rows.iter().filter(held).count(), 1, "{}", scenario.name);
    }
    let exhausted = |row: &&Record| {
        let extent = row.reason.as_deref().unwrap_or_default();
        row.check == "control" && extent.starts_with("EXHAUSTED")
    };
    let exhausted = rows.iter().filter(exhausted).count();
    let compared = rows.iter().filter(|row| row.check == oracle::CHECK).count();
    assert!(inventory::<Loom>().len() >= 30);
    assert!(exhausted >= 20, "{exhausted} models were exhausted");
    assert_eq!(compared, exhausted, "held against shuttle");
}

fn smallest() -> Scenario<Loom> {
    let mut scenarios = inventory::<Loom>();
    let place = scenarios.iter().position(|s| s.name == "ring/capacity 1");
    scenarios.swap_remove(place.expect("the inventory has it"))
}

#[test]
fn a_minimum_above_what_is_explored_fails() {
    let mut scenario = smallest();
    assert_eq!(failures(&suite::control(&scenario, EFFORT).1), [""; 0]);
    scenario.minimum = u64::MAX;
    let failures = failures(&suite::control(&scenario, EFFORT).1);
    assert!(
        failures.len() == 1 && failures[0].contains("minimum"),
        "{failures:?}"
    );
}

#[test]
fn an_outcome_that_is_never_witnessed_fails() {
    let mut scenario = smallest();
    let declared = [scenario.witnesses, &["producer saw a ghost"]].concat();
    scenario.witnesses = declared.leak();
    let failures = failures(&suite::control(&scenario, EFFORT).1);
    assert!(
        failures.len() == 1 && failures[0].contains("ghost"),
        "{failures:?}"
    );
}

/// A witness that is no longer declared would not be missed when it no longer appears.
#[test]
fn an_outcome_that_is_not_declared_fails() {
    let mut scenario = smallest();
    scenario.witnesses = &scenario.witnesses[1..];
    let failures = failures(&suite::control(&scenario, EFFORT).1);
    assert!(
        failures.len() == 1 && failures[0].contains("not declared"),
        "{failures:?}"
    );
}

#[test]
fn a_site_without_a_model_fails() {
    let without_latches: Vec<_> = (inventory::<Loom>().into_iter())
        .filter(|scenario| scenario.minimum < 1_000 && !scenario.name.contains("latch"))
        .collect();
    let (rows, _) = suite::run_over(&without_latches, Vec::new(), &PLAN, &|_| {});
    let failures = failures(&rows);
    for site in ["LatchObserve", "LatchPublish", "LatchReadFence"] {
        for check in ["control", "crash", "mutant"] {
            let named = format!("{site}, {check}");
            assert!(
                failures.iter().any(|failure| failure.starts_with(&named)),
                "nobody misses {named}: {failures:?}"
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
    let (explored, rows) = suite::control(&smallest(), effort);
    assert_eq!(explored.executions, 10);
    assert!(matches!(explored.outcome, Ok(Extent::Truncated(_))));
    assert!(
        !failures(&rows).is_empty(),
        "it cannot have reached its minimum"
    );
}

/// tokio-rs/loom#166: where a thread loads an index that it then stores, loom does not see that
/// another thread's earlier load could come later. Its count, its witnesses and shuttle each show
/// it; specimen T1 is the smallest form. Should this fail one day, loom was mended.
#[test]
fn an_index_loaded_by_the_thread_that_stores_it_is_noticed() {
    let own = Scenario::<Loom>::new("own", blind::<Loom>, 10, &["an item went over"]);
    let (explored, rows) = suite::control(&own, EFFORT);
    assert!(
        matches!(explored.outcome, Ok(Extent::Exhausted)),
        "what loom believes"
    );
    assert_eq!(explored.executions, 1);
    assert_eq!(failures(&rows).len(), 2, "minimum and witness");

    let twin = Scenario::<Shuttle>::new("own", blind::<Shuttle>, 10, &[]);
    let row = oracle::judge(&twin, &explored, 1).expect("loom says that it found everything");
    assert!(failures(&[row])[0].contains("loom missed"));
}

/// A producer that looks up its index in shared memory before each push, as a thread would that
/// kept none of its own.
fn blind<E: Engine>(run: &Arc<Run>) {
    let words = Arc::new((E::word(0), E::slot(0u64)));
    let producing = E::spawn({
        let (words, producer) = (Arc::clone(&words), run.actor::<E>("producer"));
        move || {
            let (write_index, slot) = &*words;
            let own = producer.load("own index", write_index, Order::Relaxed);
            producer.write("fill", slot, own + 1);
            producer.store("publish", write_index, own + 1, Order::Release);
        }
    });
    let consumer = run.actor::<E>("consumer");
    for _ in 0..2 {
        if consumer.load("observe", &words.0, Order::Acquire) == 1 {
            assert_eq!(consumer.read("take", &words.1), 1);
            run.saw("an item went over");
        }
    }
    E::join(producing);
}

/// A word that is stored more often than loom remembers is not called exhausted without saying
/// so.
#[test]
fn a_long_history_is_said() {
    fn long(run: &Arc<Run>) {
        let ring = OwnedRing::<Loom, u64>::new(8, 8);
        let mut producer = ring.producer(run.memory("producer"));
        for item in 0..7 {
            assert_eq!(producer.push(item), Ok(()));
        }
    }
    let scenario = Scenario::<Loom>::new("long", long, 1, &[]);
    let (explored, _) = suite::control(&scenario, EFFORT);
    assert!(matches!(explored.outcome, Ok(Extent::ExhaustedHistory)));
}
