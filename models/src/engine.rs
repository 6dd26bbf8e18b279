//! What an engine offers to a model: words, slots and threads that it watches.

pub(crate) mod current;
#[cfg(feature = "loom")]
pub mod loom;
#[cfg(feature = "shuttle")]
pub mod shuttle;
#[cfg(any(feature = "loom", feature = "shuttle"))]
mod stores;

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringproof_record::machine;

pub(crate) use current::address;
pub use current::{
    Lock, Slot, Thread, Word, fence, lock, pass_time, slot, spawn, spawn_with, spin, word,
};

use crate::order::Order;
use crate::run::Run;
pub use crate::trace::{Read, Update};

/// What is found where threads sleep and all others have ended, or wait for them.
pub const ASLEEP: &str = "a wake-up was lost: who sleeps now sleeps for ever";

/// Values that loom remembers of one word; it loses older ones.
pub const HISTORY: usize = 7;

/// How far an exploration may go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Preemptions per execution; `None` for all there are. The axioms know none.
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
    /// Every one with fewer preemptions than that, and most with as many: which of these loom
    /// leaves out, [`oracle`](crate::oracle) says.
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

/// A program, to be run once for each execution.
pub type Body = Arc<dyn Fn() + Send + Sync>;

/// What a thread does.
pub type Job = Box<dyn FnOnce() + Send>;

/// How an engine [explores](Engine::explore).
pub type Explore = fn(Limits, &Arc<Run>, Body) -> Extent;

/// An execution by this engine begins.
pub(crate) fn begin_execution<E: Engine>(run: &Run) {
    current::set::<E>();
    run.begin();
}

/// A model checker.
///
/// Models do not name one: they use [`word`], [`slot`], [`spawn`] and the like, which are those
/// of the engine that explores on this thread. So each is compiled once, whatever explores it.
pub trait Engine: Sized + Send + Sync + 'static {
    /// Its name, also that of its layer in the report.
    const NAME: &'static str;
    /// What it counts.
    const UNIT: &'static str;
    /// Whether it knows that memory is weak: otherwise no mutant of an ordering can die.
    const WEAK: bool;
    /// Whether it is the one that the scenarios' minima and bounds are about.
    const MINIMA: bool = false;
    /// Another engine, where this one may explore too little and not know it: whatever that one
    /// finds possible, this one must have found.
    const ORACLE: Option<Explore> = None;
    /// How many explorations to make at once.
    fn at_once() -> usize {
        machine::parallelism()
    }
    /// Runs `body` again and again, each time another way, until all ways are tried, the limits
    /// are reached or it panics. Calls `run` where an execution begins, and when it counts.
    fn explore(limits: Limits, run: &Arc<Run>, body: Body) -> Extent;
    /// Starts a thread.
    fn spawn(body: Job) -> Box<dyn AnyThread>;
    /// A word that holds `value`.
    fn word(value: u64) -> Word;
    /// A slot that holds `value`.
    fn slot(value: u64) -> Slot;
    /// A free lock.
    fn lock() -> Arc<dyn AnyLock>;
    /// A fence.
    fn fence(order: Order);
    /// This thread waits for another one.
    fn spin();
    /// So much time passes that all others come as far as they can, and that this thread sees what they stored.
    fn pass_time();
}

/// An atomic word of an engine's.
pub trait AnyWord: Send + Sync {
    /// Loads it.
    fn load(&self, order: Order) -> Read;
    /// Loads it when all stores to it are known to have happened before. An engine that can
    /// checks that claim.
    fn load_settled(&self) -> Read {
        self.load(Order::Relaxed)
    }
    /// Stores `value`, and says which number the store has among those to this word.
    fn store(&self, value: u64, order: Order) -> usize;
    /// Changes it in one step, and says what it found.
    fn update(&self, update: Update, order: Order) -> Read;
    /// Sleeps until it is [woken](Self::wake), if [`is_still`] says so of what it holds; false if it did not fall
    /// asleep. To look and to fall asleep is one step for who wakes, as with a futex of the kernel's.
    fn wait(&self, value: u64) -> bool;
    /// Wakes all who sleep on it.
    fn wake(&self);
}

/// Whether the kernel takes a word that holds this for one that holds `value`: it compares the low half.
pub(crate) fn is_still(value: u64, now: u64) -> bool {
    value as u32 == now as u32
}

/// Plain memory of eight bytes, on which an engine reports races.
pub trait AnySlot: Send + Sync {
    /// Reads it.
    fn read(&self) -> u64;
    /// Writes it.
    fn write(&self, value: u64);
}

/// A lock of an engine's: how a model sees one of the kernel's.
pub trait AnyLock: Send + Sync {
    /// Runs `body`, once, while holding the lock.
    fn locked(&self, body: &mut dyn FnMut());
}

/// A started thread of an engine's.
pub trait AnyThread {
    /// Waits for it to end: everything that it did happened before this returns. Also how a
    /// model sees a death through the kernel (a lock that is freed, a child that is reaped).
    fn join(self: Box<Self>);
}
