//! shuttle: sequentially consistent schedules, chosen at random or all of them.
//!
//! It knows no weak memory, so no ordering can be wrong under it: it is here for schedules that
//! are too long for loom, and as a second opinion on the protocol.

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering as Std};

use ringproof::payload::Payload;
use shuttle::scheduler::{DfsScheduler, RandomScheduler, Scheduler};
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use super::stores::Stores;
use super::{Engine, Extent, Limits, Locks, Read};
use crate::order::Order;
use crate::run::Run;

/// The engine.
#[derive(Debug)]
pub struct Shuttle;

/// A word of shuttle's.
#[derive(Debug)]
pub struct ShuttleWord {
    /// The number of the store that it holds.
    number: AtomicUsize,
    stores: Stores,
}

/// A slot that checks for itself that no access overlaps a conflicting one: shuttle has no such
/// cell. Every access lets other threads run between its start and its end.
#[derive(Debug)]
pub struct ShuttleSlot<T> {
    value: UnsafeCell<T>,
    /// The number of reads in progress, or −1 for a write.
    users: AtomicI64,
}

// SAFETY: shuttle runs one thread at a time and switches only inside its own calls; the value
// is touched between two such calls, so never by two threads at once.
unsafe impl<T: Payload> Sync for ShuttleSlot<T> {}

impl Engine for Shuttle {
    const NAME: &'static str = "shuttle";
    const UNIT: &'static str = "schedules";
    const WEAK: bool = false;

    type Word = ShuttleWord;
    type Slot<T: Payload> = ShuttleSlot<T>;
    type Thread<R> = shuttle::thread::JoinHandle<R>;

    fn explore(limits: Limits, run: &Arc<Run>, body: impl Fn() + Send + Sync + 'static) -> Extent {
        let most = usize::try_from(limits.executions).unwrap_or(usize::MAX);
        let body = Arc::new(body);
        schedule(DfsScheduler::new(Some(most), false), run, &body);
        if run.executions() < limits.executions {
            return Extent::Exhausted;
        }
        // Too many for all of them: as many again, at random.
        schedule(
            RandomScheduler::new_from_seed(limits.seed, most),
            run,
            &body,
        );
        Extent::Truncated(format!(
            "half depth-first, half at random from seed {}",
            limits.seed
        ))
    }

    fn spawn<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> Self::Thread<R> {
        shuttle::thread::spawn(body)
    }

    fn join<R>(thread: Self::Thread<R>) -> R {
        thread
            .join()
            .expect("shuttle ends the run when a thread panics")
    }

    fn word(value: u64) -> ShuttleWord {
        ShuttleWord {
            number: AtomicUsize::new(0),
            stores: Stores::new(value),
        }
    }

    fn slot<T: Payload>(value: T) -> ShuttleSlot<T> {
        ShuttleSlot {
            value: UnsafeCell::new(value),
            users: AtomicI64::new(0),
        }
    }

    // shuttle treats every ordering as SeqCst and warns about any other: so that is what it is
    // told.
    fn load(word: &ShuttleWord, _: Order) -> Read {
        word.stores.read(word.number.load(Ordering::SeqCst))
    }

    fn store(word: &ShuttleWord, value: u64, _: Order) -> usize {
        let number = word.stores.begin(value);
        word.number.store(number, Ordering::SeqCst);
        word.stores.end(number);
        number
    }

    fn add(word: &ShuttleWord, amount: u64, _: Order) -> Read {
        // Known only after the swap, which no other thread comes between.
        let number = word.stores.begin(0);
        let from = word.number.swap(number, Ordering::SeqCst);
        word.stores.end_addition(number, from, amount)
    }

    /// Under sequential consistency a fence orders nothing that is not ordered anyway.
    fn fence(_: Order) {}

    fn read<T: Payload>(slot: &ShuttleSlot<T>) -> T {
        let before = slot.users.fetch_add(1, Std::Relaxed);
        assert!(before >= 0, "a slot is read while it is written");
        shuttle::thread::yield_now();
        // SAFETY: see the `Sync` implementation; no switch happens in here.
        let value = unsafe { *slot.value.get() };
        slot.users.fetch_sub(1, Std::Relaxed);
        value
    }

    fn write<T: Payload>(slot: &ShuttleSlot<T>, value: T) {
        let before = slot.users.swap(-1, Std::Relaxed);
        assert_eq!(before, 0, "a slot is written while it is in use");
        shuttle::thread::yield_now();
        // SAFETY: see the `Sync` implementation; no switch happens in here.
        unsafe { *slot.value.get() = value };
        slot.users.store(0, Std::Relaxed);
    }

    fn spin() {
        shuttle::thread::yield_now();
    }
}

impl Locks for Shuttle {
    type Lock = shuttle::sync::Mutex<()>;

    fn lock() -> Self::Lock {
        shuttle::sync::Mutex::new(())
    }

    fn locked<R>(lock: &Self::Lock, body: impl FnOnce() -> R) -> R {
        let _guard = lock.lock().expect("a panic ends the whole run");
        body()
    }
}

fn schedule(
    scheduler: impl Scheduler + 'static,
    run: &Arc<Run>,
    body: &Arc<impl Fn() + Send + Sync + 'static>,
) {
    let mut config = Config::new();
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::FailAfter(100_000);
    config.max_time = None;
    let (run, body) = (Arc::clone(run), Arc::clone(body));
    Runner::new(scheduler, config).run(move || {
        run.begin();
        body();
        run.commit();
    });
}
