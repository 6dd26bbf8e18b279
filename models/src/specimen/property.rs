//! Random operations against an oracle, from a fixed seed.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt::Debug;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};
use proptest::{prop_assert, prop_oneof};

/// Where the random choices start from.
const SEED: u64 = 1;

/// How a property test ended.
#[derive(Debug)]
pub struct Checked {
    /// How many cases were tried, up to the first that failed.
    pub cases: u64,
    /// The smallest case that fails, and how.
    pub outcome: Result<(), String>,
}

/// Tries `test` on so many values of `strategy`.
pub(super) fn check<S: Strategy<Value: Debug>>(
    cases: u32,
    strategy: S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) -> Checked {
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(SEED),
        // The seed repeats a failure.
        failure_persistence: None,
        // To the end: by default it gives up after a few steps per case.
        max_shrink_iters: 100_000,
        ..Config::default()
    };
    let tried = Cell::new(0);
    let failed = Cell::new(false);
    let outcome = TestRunner::new(config).run(&strategy, |value| {
        // After the first failure it only looks for a smaller one.
        if !failed.get() {
            tried.set(tried.get() + 1);
        }
        let result = test(value);
        failed.set(failed.get() || result.is_err());
        result
    });
    Checked {
        cases: tried.get(),
        outcome: outcome.map_err(|error| match error {
            TestError::Fail(why, smallest) => {
                format!("{why}; smallest case: {smallest:?}; seed {SEED}")
            }
            TestError::Abort(why) => format!("{why}; seed {SEED}"),
        }),
    }
}

/// A bounded queue of numbers.
pub(super) trait Queue {
    /// Puts one in, unless the queue is full.
    fn push(&mut self, item: u64) -> bool;
    /// Takes one out.
    fn pop(&mut self) -> Option<u64>;
}

/// What can be done to a queue.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Push,
    Pop,
}

/// Some operations in a row.
pub(super) fn ops() -> impl Strategy<Value = Vec<Op>> {
    vec(prop_oneof![Just(Op::Push), Just(Op::Pop)], 0..64)
}

/// Does to `queue` and to an oracle of this capacity the same, with items that are never
/// repeated.
pub(super) fn like_a_queue(
    mut queue: impl Queue,
    capacity: usize,
    ops: &[Op],
) -> Result<(), TestCaseError> {
    let mut oracle = VecDeque::new();
    for (item, op) in (1..).zip(ops) {
        match op {
            Op::Push => {
                let room = oracle.len() < capacity;
                let pushed = queue.push(item);
                prop_assert!(
                    pushed == room,
                    "pushed: {pushed}, with {} of {capacity} live",
                    oracle.len()
                );
                if room {
                    oracle.push_back(item);
                }
            }
            Op::Pop => {
                let (popped, expected) = (queue.pop(), oracle.pop_front());
                prop_assert!(
                    popped == expected,
                    "popped {popped:?} instead of {expected:?}"
                );
            }
        }
    }
    Ok(())
}
