//! The suite under loom, and proof that it can fail.
#![cfg(feature = "loom")]

use std::sync::Arc;

use ringproof::PopError;
use ringproof::site::Site;
use ringproof_models::change::Change;
use ringproof_models::engine::loom::Loom;
use ringproof_models::engine::{Engine, Extent};
use ringproof_models::exploration::Effort;
use ringproof_models::owned::OwnedRing;
use ringproof_models::run::Run;
use ringproof_models::scenario::{Scenario, inventory};
use ringproof_models::suite;
use ringproof_record::{Record, Verdict};

const EFFORT: Effort = Effort {
    executions: 200_000,
    seed: 1,
};

fn failures(rows: &[Record]) -> Vec<String> {
    rows.iter()
        .filter(|row| row.verdict == Verdict::Failed)
        .map(|row| {
            let reason = row.reason.as_deref().unwrap_or_default();
            let repeat = row.repeat.as_deref().unwrap_or("no command");
            format!(
                "{}, {}: {reason}\n  repeat: {repeat}",
                row.subject, row.check
            )
        })
        .collect()
}

#[test]
fn every_control_holds_and_every_weaker_ordering_is_killed() {
    let rows = suite::run::<Loom>(EFFORT, &|_| {});
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
        let held = |row: &&Record| {
            row.subject == site.info().name && row.check == "control" && row.count > Some(0)
        };
        assert!(
            rows.iter().any(|row| held(&row)),
            "no model accesses {site}"
        );
    }
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
    scenario.witnesses = &["producer saw a ghost"];
    let failures = failures(&suite::control(&scenario, EFFORT).1);
    assert!(
        failures.len() == 1 && failures[0].contains("ghost"),
        "{failures:?}"
    );
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

/// tokio-rs/loom#166: where a thread itself loads an index (relaxed) that it then stores, loom
/// explores one execution and every mutant passes. Pinned here, so that the counts which catch
/// it are seen to do so; should it fail one day, loom was mended and `Held` can go.
#[test]
fn an_index_loaded_by_the_thread_that_stores_it_is_noticed() {
    fn blind(run: &Arc<Run>) {
        let ring = OwnedRing::<Loom, u64>::new(1, 1);
        let producing = Loom::spawn({
            let (ring, run) = (Arc::clone(&ring), Arc::clone(run));
            move || {
                let mut producer = ring.producer(run.memory("producer"));
                let _ = producer.push(1);
                let _ = producer.push(2);
            }
        });
        let mut consumer = ring.consumer(run.memory("consumer"));
        for _ in 0..2 {
            match consumer.pop() {
                Err(PopError::Empty) => {}
                _ => run.saw("an item went over"),
            }
        }
        Loom::join(producing);
    }
    let scenario = Scenario::<Loom>::new("blind", blind, 10, &["an item went over"]);
    let (explored, rows) = suite::control(&scenario, EFFORT);
    assert!(matches!(explored.outcome, Ok(Extent::Exhausted)), "what loom believes");
    assert_eq!(explored.executions, 1);
    assert_eq!(failures(&rows).len(), 2, "minimum and witness");
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
