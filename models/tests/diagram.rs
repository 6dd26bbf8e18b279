//! The diagrams of real failures: every one fits a screen and shows what went wrong.
#![cfg(feature = "loom")]

use ringproof_models::change::Change;
use ringproof_models::diagram::render;
use ringproof_models::engine::Engine;
use ringproof_models::engine::loom::Loom;
use ringproof_models::engine::shuttle::Shuttle;
use ringproof_models::exploration::{Effort, Failure, explain, explore};
use ringproof_models::scenario::{Scenario, inventory};

const EFFORT: Effort = Effort::of(200_000);

/// The scenarios of the changed site's structure, those with the fewest executions first.
fn scenarios(change: Change) -> Vec<Scenario> {
    let site = change.site().to_string().to_lowercase();
    // Who wakes is of use where somebody sleeps.
    let site = site.replace("wake", "sleep");
    let mut scenarios: Vec<_> = inventory()
        .into_iter()
        .filter(|scenario| site.starts_with(&scenario.name[..3]))
        .collect();
    scenarios.sort_by_key(|scenario| scenario.minimum);
    scenarios
}

/// The first of them that fails, and how.
fn killed<E: Engine>(scenarios: &[Scenario], change: Change) -> (&Scenario, Failure) {
    (scenarios.iter())
        .find_map(|scenario| {
            let outcome = explore::<E>(scenario, Some(change), EFFORT).outcome;
            Some((scenario, outcome.err()?))
        })
        .unwrap_or_else(|| panic!("{change} survived"))
}

fn draw<E: Engine>((scenario, failure): (&Scenario, Failure), change: Change) -> String {
    let (engine, name) = (E::NAME, scenario.name);
    let repeat = format!(
        "cargo run -p ringproof-models --features {engine} -- {engine} --only '{name}' --change '{change}'"
    );
    render(&failure, &repeat)
}

/// Finds a failure, looks for a shorter one, and draws it.
fn diagram<E: Engine>(change: Change) -> String {
    let scenarios = scenarios(change);
    let first = killed::<E>(&scenarios, change);
    draw::<E>(
        explain::<E>(first, &scenarios, Some(change), EFFORT),
        change,
    )
}

/// What of a diagram is wrong for a reader at a terminal, if anything is.
fn flaw(diagram: &str) -> Option<String> {
    let heading = diagram.lines().next().unwrap_or_default();
    let actors = heading.split("  ").filter(|name| !name.is_empty()).count() - 1;
    let most = if actors > 2 { 120 } else { 100 };
    let width = diagram.lines().map(|line| line.chars().count()).max()?;
    let height = diagram.lines().count();
    (width > most || height > 45)
        .then(|| format!("{width} columns, {height} lines with {actors} actors:\n{diagram}"))
}

#[test]
fn every_killed_mutant_of_an_ordering_fits_a_screen_and_shows_what_it_missed() {
    for change in Change::weaker() {
        let diagram = diagram::<Loom>(change);
        assert_eq!(flaw(&diagram), None, "{change}");
        let site = change.site().info().name;
        let (table, text) = diagram
            .split_once("\n\n")
            .expect("a blank line follows the table");
        let shows_it = |line: &str| line.contains(site) && line.contains('*');
        assert!(
            table.lines().any(shows_it),
            "{change} not marked:\n{diagram}"
        );
        assert!(
            text.contains(&format!("changed*: {site} is a ")),
            "{diagram}"
        );
        let stale = table.contains(", missed ");
        let races = table.contains("✗ races with ");
        assert!(stale || races, "{change} misses nothing:\n{diagram}");
        assert!(!diagram.contains("unknown"), "{change}:\n{diagram}");
    }
}

#[test]
fn a_failure_has_the_same_diagram_each_time() {
    for change in Change::weaker() {
        assert_eq!(diagram::<Loom>(change), diagram::<Loom>(change), "{change}");
    }
}

#[test]
fn planted_faults_have_diagrams_under_both_engines() {
    for change in Change::planted() {
        for diagram in [diagram::<Loom>(change), diagram::<Shuttle>(change)] {
            assert_eq!(flaw(&diagram), None, "{change}");
            assert!(diagram.contains(change.site().info().name), "{diagram}");
        }
    }
}

#[test]
fn a_shorter_failure_than_the_first_is_found_and_a_longer_one_is_not_taken() {
    let change = Change::parse("RingObserve=Relaxed").expect("it prints like this");
    let mut scenarios = scenarios(change);
    let length = |failure: &Failure| failure.trace.events.len();
    scenarios.sort_by_key(|scenario| std::cmp::Reverse(scenario.minimum));
    let first = killed::<Loom>(&scenarios, change);
    let before = length(&first.1);
    let (short, failure) = explain::<Loom>(first, &scenarios, Some(change), EFFORT);
    assert!(length(&failure) < before, "{before} accesses at first");
    let (same, again) = explain::<Loom>((short, failure.clone()), &scenarios, Some(change), EFFORT);
    assert_eq!((same.name, length(&again)), (short.name, length(&failure)));
}

#[test]
fn too_wide_and_too_high_are_noticed() {
    let heading = "row  producer  consumer\n";
    assert_eq!(flaw(heading), None);
    assert!(flaw(&format!("{heading}{}", "x".repeat(101))).is_some());
    assert_eq!(
        flaw(&format!("row  one  two  three\n{}", "x".repeat(120))),
        None
    );
    assert!(flaw(&heading.repeat(46)).is_some());
}
