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
