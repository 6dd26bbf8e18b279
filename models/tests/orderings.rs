//! The matrix of changes: that the page says what the models say, and that its verdicts can go
//! either way.
#![cfg(feature = "loom")]

use std::fs;
use std::sync::Arc;

use ringproof::site::{FenceSite, LoadSite, StoreSite};
use ringproof_models::change::{Change, late};
use ringproof_models::engine::loom::Loom;
use ringproof_models::engine::shuttle::Shuttle;
use ringproof_models::exploration::{Effort, explore};
use ringproof_models::mutants::{EQUIVALENT, Judge, Tally, Verdict};
use ringproof_models::orderings::{EFFORT, columns, markdown};
use ringproof_models::owned::{OwnedRing, OwnedWords};
use ringproof_models::run::Run;
use ringproof_models::scenario::{Scenario, inventory};
use ringproof_models::trace::{Event, What};
use ringproof_record::Verdict as RowVerdict;

#[test]
fn the_page_says_what_the_models_say() {
    let columns = columns();
    for column in &columns {
        let tally = Tally::of(&column.judgements);
        assert_eq!(tally.wrong, 0, "{}: {tally:?}", column.engine);
        assert_eq!(column.judgements.len(), Change::mistakes().len());
    }
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/ORDERINGS.md");
    let there = fs::read_to_string(page).unwrap_or_default();
    for (number, (there, now)) in there.lines().zip(markdown(&columns).lines()).enumerate() {
        assert_eq!(there, now, "ORDERINGS.md is stale at line {}", number + 1);
    }
    assert!(
        there == markdown(&columns),
        "ORDERINGS.md is stale at its end"
    );
}

#[test]
fn what_is_argued_to_be_equivalent_is_a_change_that_is_made() {
    for (change, argument) in EQUIVALENT {
        assert!(Change::mistakes().contains(change), "{change}: {argument}");
    }
}

/// A few small scenarios, none of which suits every change.
fn some(names: &[&str]) -> Vec<Scenario> {
    let mut scenarios = inventory();
    scenarios.retain(|scenario| names.contains(&scenario.name));
    assert_eq!(scenarios.len(), names.len());
    scenarios
}

const SMALL: Effort = Effort {
    executions: 2_000,
    ..EFFORT
};

/// In the seqlock a release of the odd number instead of a relaxed store breaks nothing.
fn harmless() -> Change {
    Change::parse("SeqOdd=Release").expect("such a change")
}

/// Nothing is published before it is filled here.
fn harmful() -> Change {
    Change::parse("RingPublish=Relaxed").expect("such a change")
}

fn fails_anyway(run: &Arc<Run>) {
    let ring = OwnedRing::new(1, 1);
    let mut producer = ring.producer(run.memory("producer"));
    assert_eq!(producer.push(1), Ok(()));
    panic!("broken anyway");
}

#[test]
fn a_verdict_goes_either_way() {
    type Is = fn(&Verdict) -> bool;
    const SURVIVED: Is = |verdict| matches!(verdict, Verdict::Survived(_));
    const BOTH: Is = |verdict| match verdict {
        Verdict::Survived(tried) => tried.scenarios.len() == 2 && tried.executions > 0,
        _ => false,
    };
    const EQUIVALENT: Is = |verdict| matches!(verdict, Verdict::Equivalent(_));
    const REFUTED: Is = |verdict| matches!(verdict, Verdict::Refuted(..));
    let seqlocks = some(&["seqlock/writer succeeded", "seqlock/bounded read"]);
    let seqlock = some(&["seqlock/bounded read"]);
    let ring = some(&["ring/capacity 1"]);
    let broken = vec![Scenario::new("broken", fails_anyway, 1, &[])];
    for (scenarios, change, argument, expected, passes, reason) in [
        (seqlocks, harmless(), None, BOTH, false, "survived"),
        // With an argument it is equivalent; one that an execution contradicts is wrong.
        (
            seqlock.clone(),
            harmless(),
            Some("so be it"),
            EQUIVALENT,
            true,
            "so be it",
        ),
        (
            ring,
            harmful(),
            Some("nobody reads"),
            REFUTED,
            false,
            "argued that nobody reads",
        ),
        // No scenario meets it; the one that does fails unchanged.
        (seqlock, harmful(), None, SURVIVED, false, "no scenario"),
        (broken, harmful(), None, SURVIVED, false, "no scenario"),
    ] {
        let argued: Vec<_> = argument.map(|why| (change, why)).into_iter().collect();
        let judgement = Judge::<Loom>::new(&scenarios, &argued, SMALL).judge(change);
        assert!(expected(&judgement.verdict), "{judgement:?}");
        let row = judgement.row::<Loom>().expect("a row");
        assert_eq!(row.verdict == RowVerdict::Passed, passes, "{row:?}");
        assert!(
            row.reason.is_some_and(|why| why.contains(reason)),
            "{judgement:?}"
        );
        let tally = Tally::of(&[judgement]);
        assert_eq!(tally.wrong, usize::from(!passes), "{tally:?}");
        assert_eq!(
            tally.row::<Loom>().verdict,
            RowVerdict::Failed,
            "none was killed"
        );
    }
}

#[test]
fn a_sequentially_consistent_engine_says_that_it_is_blind() {
    let scenarios = some(&["ring/capacity 1"]);
    let judge = Judge::<Shuttle>::new(&scenarios, &[], SMALL);
    let fence = late(FenceSite::SeqReadFence, LoadSite::SeqRecheck);
    for change in [harmful(), fence] {
        let judgement = judge.judge(change);
        assert!(matches!(judgement.verdict, Verdict::Blind), "{judgement:?}");
        assert!(judgement.row::<Shuttle>().is_none());
    }
}

/// A push and a pop, then a seqlock's write and read, one after the other.
fn one_of_each(run: &Arc<Run>) {
    let ring = OwnedRing::new(2, 2);
    let mut producer = ring.producer(run.memory("producer"));
    let mut consumer = ring.consumer(run.memory("consumer"));
    let _ = producer.push(1);
    let _ = producer.push(2);
    producer.close();
    let _ = consumer.pop();
    drop((producer, consumer));
    let words = OwnedWords::new(0, &[0; 2]);
    words
        .seq_writer::<[u64; 2]>(run.memory("writer"))
        .write(&[1; 2]);
    let _ = words
        .seq_reader::<[u64; 2]>(run.memory("reader"))
        .try_read();
    panic!("so that the trace is kept");
}

/// The sites that an actor accesses, in its order.
fn accesses(change: Option<Change>, actor: &str) -> String {
    let scenario = Scenario::new("one of each", one_of_each, 1, &[]);
    let explored = explore::<Loom>(&scenario, change, SMALL);
    let failure = explored.outcome.expect_err("it panics");
    let trace = &failure.trace;
    let of_actor =
        |event: &&Event| trace.actors[event.actor] == actor && event.what != What::LeftOut;
    let events = trace.events.iter().filter(of_actor);
    let sites = events.filter_map(|event| event.label.site);
    // What each publication does for who may sleep is the same everywhere.
    let sites = sites.filter(|site| !site.info().name.starts_with("Wake"));
    sites
        .map(|site| site.info().name)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Who makes which accesses with which change, after those that every endpoint begins with.
const MADE: &str = "
producer |                                    | RingFill RingPublish RingFill RingPublish RingEnd
producer | RingFill=late past RingPublish     | RingPublish RingFill RingPublish RingFill RingEnd
# The first one is not held back past the second: they are to the same word.
producer | RingPublish=late past RingEnd      | RingFill RingFill RingPublish RingEnd RingPublish
# What never comes is waited for until the end.
producer | RingPublish=late past SeqOdd       | RingFill RingFill RingPublish RingEnd RingPublish
consumer |                                    | RingTake RingFree
# Its value is needed at its place, so it is read twice.
consumer | RingTake=late past RingFree        | RingTake RingFree RingTake
writer   |                                    | SeqOdd SeqWriteFence SeqCopyIn SeqCopyIn SeqEven
writer   | SeqWriteFence=late past SeqCopyIn  | SeqOdd SeqCopyIn SeqWriteFence SeqCopyIn SeqEven
writer   | SeqCopyIn=late past SeqEven        | SeqOdd SeqWriteFence SeqEven SeqCopyIn SeqCopyIn
writer   | SeqOdd=left out                    | SeqWriteFence SeqCopyIn SeqCopyIn SeqEven
reader   |                                    | SeqCopyOut SeqCopyOut SeqReadFence SeqRecheck
reader   | SeqReadFence=early past SeqCopyOut | SeqReadFence SeqCopyOut SeqCopyOut SeqRecheck
reader   | SeqRecheck=early past SeqCopyOut   | SeqRecheck SeqCopyOut SeqCopyOut SeqReadFence
";

#[test]
fn a_moved_access_is_made_where_it_is_moved() {
    let rows: Vec<_> = (MADE.lines().filter(|line| line.contains('|')))
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
        .collect();
    assert_eq!(rows.len(), 13);
    for row in rows {
        let [actor, change, expected] = row[..] else {
            panic!("{row:?}");
        };
        let made = match change {
            "" => None,
            // It is no known mistake.
            "RingPublish=late past SeqOdd" => Some(late(StoreSite::RingPublish, StoreSite::SeqOdd)),
            known => Some(Change::parse(known).expect("such a change")),
        };
        let begins = match actor {
            "producer" => "RingResumeWrite RingReclaim",
            "consumer" => "RingResumeRead RingObserve",
            "writer" => "SeqResume",
            _ => "SeqObserve",
        };
        assert_eq!(
            accesses(made, actor),
            format!("{begins} {expected}"),
            "{change}"
        );
    }
}
