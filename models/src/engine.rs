//! What an engine offers to a model: words, slots and threads that it watches.

#[cfg(feature = "loom")]
pub mod loom;
#[cfg(feature = "shuttle")]
pub mod shuttle;
#[cfg(any(feature = "loom", feature = "shuttle"))]
mod stores;

use std::cell::Cell;
use std::fmt;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ringproof::payload::Payload;

use crate::order::Order;
use crate::run::Run;

/// Values that loom remembers of one word; it loses older ones.
pub const HISTORY: usize = 7;

/// How far an exploration may go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Preemptions per execution; `None` for all there are. Only loom bounds them.
    pub preemptions: Option<usize>,
    /// Executions.
    pub executions: u64,
    /// Where random choices start from. loom makes none.
    pub seed: u64,
}

thread_local! {
    /// When the explorations of this thread have to end. (All of a model's threads are coroutines of
    /// the one that explores.)
    static END: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Makes an exploration that ends after so long, as one that reached its limit of executions does.
pub(crate) fn for_at_most<R>(long: Duration, exploration: impl FnOnce() -> R) -> R {
    END.set(Some(Instant::now() + long));
    let result = exploration();
    END.set(None);
    result
}

/// Whether the exploration of this thread has to end: an engine asks before each execution.
#[cfg(any(feature = "loom", feature = "shuttle"))]
pub(crate) fn time_is_over() -> bool {
    END.get().is_some_and(|end| Instant::now() >= end)
}

/// How far an exploration went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every execution that the engine can produce.
    Exhausted,
    /// The same, but some word had more values than loom remembers.
    ExhaustedHistory,
    /// Every one with at most so many preemptions.
    Bounded(usize),
    /// Some; how they were chosen.
    Truncated(String),
}

impl Extent {
    /// How far two explorations went together: as far as the one that went less far.
    pub fn and(self, other: Extent) -> Extent {
        use Extent::{Bounded, Exhausted, ExhaustedHistory, Truncated};
        match (self, other) {
            (Truncated(how), _) | (_, Truncated(how)) => Truncated(how),
            (Bounded(one), Bounded(other)) => Bounded(one.min(other)),
            (Bounded(bound), _) | (_, Bounded(bound)) => Bounded(bound),
            (ExhaustedHistory, _) | (_, ExhaustedHistory) => ExhaustedHistory,
            (Exhausted, Exhausted) => Exhausted,
        }
    }

    /// Whether every execution was explored that the engine can produce.
    pub fn is_exhausted(&self) -> bool {
        matches!(self, Extent::Exhausted | Extent::ExhaustedHistory)
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Extent::Exhausted => write!(f, "EXHAUSTED"),
            Extent::ExhaustedHistory => write!(f, "EXHAUSTED (history {HISTORY})"),
            Extent::Bounded(preemptions) => write!(f, "BOUNDED({preemptions})"),
            Extent::Truncated(how) => write!(f, "TRUNCATED ({how})"),
        }
    }
}

/// What a load found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The value.
    pub value: u64,
    /// The store that it read from: its number among the stores to this word, 0 for the initial
    /// value.
    pub from: usize,
    /// The last store to this word that was executed by then.
    pub newest: usize,
}

/// A model checker.
pub trait Engine: Sized + Send + Sync + 'static {
    /// Its name, also that of its layer in the report.
    const NAME: &'static str;
    /// What it counts.
    const UNIT: &'static str;
    /// Whether it knows that memory is weak: otherwise no mutant of an ordering can die.
    const WEAK: bool;
    /// Whether its executions are those that the scenarios' minima count.
    const MINIMA: bool = false;
    /// How many explorations to make at once.
    fn at_once() -> usize {
        thread::available_parallelism().map_or(1, NonZero::get)
    }
    /// An atomic word.
    type Word: Send + Sync + 'static;
    /// Plain memory, on which races are reported.
    type Slot<T: Payload>: Send + Sync + 'static;
    /// A started thread.
    type Thread<R>;

    /// Runs `body` again and again, each time another way, until all ways are tried, the limits
    /// are reached or it panics. Tells `run` where an execution begins and that it counts.
    fn explore(limits: Limits, run: &Arc<Run>, body: impl Fn() + Send + Sync + 'static) -> Extent;
    /// Starts a thread.
    fn spawn<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> Self::Thread<R>;
    /// Waits for it to end: everything that it did happened before this returns. Also how a
    /// model sees a death through the kernel (a lock that is freed, a child that is reaped).
    fn join<R>(thread: Self::Thread<R>) -> R;

    /// A word that holds `value`.
    fn word(value: u64) -> Self::Word;
    /// A slot that holds `value`.
    fn slot<T: Payload>(value: T) -> Self::Slot<T>;
    /// Loads a word.
    fn load(word: &Self::Word, order: Order) -> Read;
    /// Loads a word when all stores to it are known to have happened before. An engine that can
    /// checks that claim.
    fn load_settled(word: &Self::Word) -> Read {
        Self::load(word, Order::Relaxed)
    }
    /// Stores a word, and says which number the store has among those to this word.
    fn store(word: &Self::Word, value: u64, order: Order) -> usize;
    /// Adds to a word in one step, and says what it found.
    fn add(word: &Self::Word, amount: u64, order: Order) -> Read;
    /// A fence.
    fn fence(order: Order);
    /// Reads a slot.
    fn read<T: Payload>(slot: &Self::Slot<T>) -> T;
    /// Writes a slot.
    fn write<T: Payload>(slot: &Self::Slot<T>, value: T);
    /// This thread waits for another one.
    fn spin();
}

/// An engine that has locks: how a model sees one of the kernel's.
pub trait Locks: Engine {
    /// A lock.
    type Lock: Send + Sync + 'static;
    /// A free lock.
    fn lock() -> Self::Lock;
    /// Runs `body` while holding the lock.
    fn locked<R>(lock: &Self::Lock, body: impl FnOnce() -> R) -> R;
}
