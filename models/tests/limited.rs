//! Explorations in a limited time say how far they came.

#![cfg(feature = "loom")]

use std::time::Duration;

use ringproof_models::engine::Engine;
use ringproof_models::engine::loom::Loom;
use ringproof_models::engine::shuttle::Shuttle;
use ringproof_models::exploration::Effort;
use ringproof_models::scenario::{self, Scenario};
use ringproof_models::suite;
use ringproof_record::{Record, Verdict};

const EFFORT: Effort = Effort::of(30_000_000);

/// The row that says how far the exploration of each scenario went.
fn controls<E: Engine>(scenarios: &[Scenario], time: Duration) -> Vec<Record> {
    let rows = suite::run_for::<E>(scenarios, EFFORT, time, &|_| {});
    assert!(rows.iter().all(|row| row.verdict != Verdict::Failed));
    let controls: Vec<_> = (rows.into_iter())
        .filter(|row| row.check == "control")
        .collect();
    assert_eq!(controls.len(), scenarios.len());
    controls
}

fn has_ended<E: Engine>() {
    let large = scenario::night();
    for row in controls::<E>(&large, Duration::ZERO) {
        assert_eq!(row.verdict, Verdict::NotRun, "{row:?}");
        assert_eq!(row.reason.as_deref(), Some("the time was over"));
    }
    for row in controls::<E>(&large, Duration::from_millis(300)) {
        let reason = row.reason.as_deref().unwrap_or_default();
        // Whatever was ahead of it may have had all of the time.
        let ended = row.verdict == Verdict::NotRun || reason.starts_with("TRUNCATED");
        assert!(ended, "{row:?}");
    }
}

#[test]
fn a_large_scenario_is_truncated_or_not_run() {
    has_ended::<Loom>();
    has_ended::<Shuttle>();
}

#[test]
fn a_small_one_is_exhausted_before_the_end() {
    let mut small = scenario::inventory();
    small.sort_by_key(|scenario| scenario.minimum);
    small.truncate(2);
    for row in controls::<Loom>(&small, Duration::from_secs(3600)) {
        let reason = row.reason.as_deref().unwrap_or_default();
        assert!(reason.starts_with("EXHAUSTED"), "{row:?}");
    }
}
