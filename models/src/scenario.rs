//! The scenarios: small programs over the production source, which every engine can run.
//!
//! A scenario checks what must hold in every execution with `assert!`, and says with
//! [`Run::saw`] what it witnessed. The inventory declares which outcomes must be witnessed in
//! some execution, so that a scenario which never gets where it wanted to is a failure.

/// A table of scenarios, one row each: the name, the program, how many executions loom must make at least, how
/// much of it loom is to explore, and what must be witnessed.
macro_rules! scenarios {
    ($($name:literal, $body:expr, $minimum:expr, $size:ident $(($bound:literal))?, $witnesses:expr;)*) => {
        vec![$($crate::scenario::Scenario {
            size: $crate::scenario::Size::$size $(($bound))?,
            ..$crate::scenario::Scenario::new($name, $body, $minimum, $witnesses)
        }),*]
    };
}

mod crash;
mod latch;
mod latest;
#[cfg(feature = "shuttle")]
pub mod long;
mod ring;
mod role;
mod seqlock;
mod sleep;

use std::sync::Arc;

use ringproof::Busy;

use crate::run::Run;
use latest::Value;

/// How much of a scenario loom is to explore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Every execution.
    Exhausted,
    /// Too large for that: every one with at most so many preemptions.
    Bounded(usize),
}

/// One scenario in the inventory.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name: structure and case.
    pub name: &'static str,
    /// What must be witnessed.
    pub witnesses: &'static [&'static str],
    /// How many executions loom must make at least, over all crash points; 0 where that is not
    /// known.
    pub minimum: u64,
    /// How much of it loom is to explore.
    pub size: Size,
    /// Whether an actor in it dies, at each of its accesses in turn.
    pub crashes: bool,
    /// The program.
    pub body: fn(&Arc<Run>),
}

/// The scenarios of every day.
pub fn inventory() -> Vec<Scenario> {
    [
        ring::inventory(),
        seqlock::inventory(),
        latch::inventory(),
        crash::inventory(),
        role::inventory(),
        sleep::inventory(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Larger ones, for the night.
pub fn night() -> Vec<Scenario> {
    [
        ring::night(),
        seqlock::night(),
        latch::night(),
        crash::night(),
        sleep::night(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The scenario of this name among these.
///
/// # Errors
/// There is none.
pub fn find(name: &str, scenarios: &[Scenario]) -> Result<Scenario, String> {
    let found = scenarios.iter().find(|scenario| scenario.name == name);
    found.copied().ok_or_else(|| {
        let names: Vec<_> = scenarios.iter().map(|scenario| scenario.name).collect();
        format!("no scenario `{name}`; there are: {}", names.join(", "))
    })
}

impl Scenario {
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
            size: Size::Exhausted,
            crashes: false,
            body,
        }
    }

    /// Too large to exhaust: explored up to so many preemptions.
    pub fn bounded(mut self, preemptions: usize) -> Self {
        self.size = Size::Bounded(preemptions);
        self
    }

    /// An actor in it dies, at each of its accesses in turn.
    pub fn crashes(mut self) -> Self {
        self.crashes = true;
        self
    }
}

/// How many executions one of the night has: that is not known.
const NIGHT: u64 = 0;

/// How an attempt to read is refused.
const REFUSED: &str = "reader was refused";

/// What every reader is to meet.
const READS: &[&str] = &["read the initial value", "read a new value", REFUSED];

/// Reads so many times: no value is torn, none is older than the one before it.
fn read_some(run: &Run, tries: usize, try_read: impl Fn() -> Result<Value, Busy>) {
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
            Err(Busy) => run.saw(REFUSED),
        }
    }
}
