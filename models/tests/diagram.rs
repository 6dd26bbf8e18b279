//! The diagrams of real failures: every one fits a screen and shows what went wrong.
#![cfg(feature = "loom")]

use ringproof_models::change::Change;
use ringproof_models::diagram::render;
use ringproof_models::engine::Locks;
use ringproof_models::engine::loom::Loom;
use ringproof_models::engine::shuttle::Shuttle;
use ringproof_models::explain::explain;
use ringproof_models::exploration::{Effort, Failure, explore};
use ringproof_models::scenario::{Scenario, inventory};

const EFFORT: Effort = Effort {
    executions: 200_000,
    seed: 1,
};

/// The smallest scenario of the changed site's structure that fails, and how.
fn killed<E: Locks>(change: Change) -> (Scenario<E>, Failure) {
    let site = change.site().to_string().to_lowercase();
    let mut candidates: Vec<_> = inventory::<E>()
        .into_iter()
        .filter(|scenario| site.starts_with(&scenario.name[..3]))
        .collect();
    candidates.sort_by_key(|scenario| scenario.minimum);
    for scenario in candidates {
        if let Err(failure) = explore(&scenario, Some(change), EFFORT).outcome {
            return (scenario, failure);
        }
    }
    panic!("{change} survived");
}

fn repeat(engine: &str, scenario: &str, change: Change) -> String {
    format!(
        "cargo run -p ringproof-models --features {engine} -- {engine} --only '{scenario}' --change '{change}'"
    )
}

#[test]
fn dump() {
    for change in Change::weaker().into_iter().chain(Change::planted()) {
        let (scenario, failure) = killed::<Loom>(change);
        let before = failure.trace.events.len();
        let short = explain(&scenario, Some(change), EFFORT, failure);
        println!(
            "=== {change} {} {before} -> {}",
            scenario.name,
            short.trace.events.len()
        );
        println!("{}", render(&short, &repeat("loom", scenario.name, change)));
    }
    for change in Change::planted() {
        let (scenario, failure) = killed::<Shuttle>(change);
        println!("=== {change} {}", scenario.name);
        println!(
            "{}",
            render(&failure, &repeat("shuttle", scenario.name, change))
        );
    }
}
