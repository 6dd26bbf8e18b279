//! The scenarios: small programs over the production source, written once for every engine.
//!
//! A scenario checks what must hold in every execution with `assert!`, and says with
//! [`Run::saw`] what it witnessed. The inventory declares which outcomes must be witnessed in
//! some execution, so that a scenario which never gets where it wanted to is a failure.

mod latch;
mod ring;
mod role;
mod seqlock;

use std::sync::Arc;

use ringproof::Busy;

use crate::engine::Engine;
use crate::run::Run;

/// One scenario in the inventory.
#[derive(Debug)]
pub struct Scenario<E> {
    /// Its name: structure and case.
    pub name: &'static str,
    /// What must be witnessed.
    pub witnesses: &'static [&'static str],
    /// How many executions loom must make at least.
    pub minimum: u64,
    /// How many preemptions loom may try in one execution; `None` for all there are.
    pub preemptions: Option<usize>,
    /// The program.
    pub body: fn(&Arc<Run>),
    engine: core::marker::PhantomData<fn() -> E>,
}

/// Every scenario, for the engine `E`.
pub fn inventory<E: Engine>() -> Vec<Scenario<E>> {
    [
        ring::inventory::<E>(),
        seqlock::inventory::<E>(),
        latch::inventory::<E>(),
        role::inventory::<E>(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl<E: Engine> Scenario<E> {
    /// A scenario that loom is to exhaust.
    pub fn new(
        name: &'static str,
        body: fn(&Arc<Run>),
        minimum: u64,
        witnesses: &'static [&'static str],
    ) -> Self {
        Scenario {
            name,
            witnesses,
            minimum,
            preemptions: None,
            body,
            engine: core::marker::PhantomData,
        }
    }

    /// Too large to exhaust: explored up to so many preemptions.
    pub fn bounded(mut self, preemptions: usize) -> Self {
        self.preemptions = Some(preemptions);
        self
    }
}

/// What seqlocks and latches hold here: both words the number of the write, 0 before the first.
type Value = [u64; 2];

/// Reads so many times: no value is torn, none is older than the one before it. An attempt that
/// met a write is witnessed as `refused`.
fn read_some(
    run: &Run,
    tries: usize,
    refused: &'static str,
    try_read: impl Fn() -> Result<Value, Busy>,
) {
    let mut last = 0;
    for _ in 0..tries {
        match try_read() {
            Ok([left, right]) => {
                assert_eq!(left, right, "a torn value");
                assert!(left >= last, "went back from value {last} to {left}");
                last = left;
                run.saw(match left {
                    0 => "read the initial value",
                    _ => "read a new value",
                });
            }
            Err(Busy) => run.saw(refused),
        }
    }
}
