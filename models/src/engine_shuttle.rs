//! shuttle: sequentially consistent schedules, chosen at random or all of them.
//!
//! It knows no weak memory, so no ordering can be wrong under it: it is here for schedules that
//! are too long for loom, and as a second opinion on the protocol.

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering as Std};

use ringproof::memory::{Cells, Memory};
use ringproof::payload::Payload;
use ringproof::site::{FenceSite, LoadSite, SlotReadSite, SlotWriteSite, StoreSite};
use shuttle::scheduler::{DfsScheduler, RandomScheduler, Scheduler};
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use crate::engine::{Engine, Extent, Limits};
use crate::run::Run;

/// The cells and threads of shuttle.
#[derive(Debug)]
pub struct Shuttle;

/// A memory of shuttle's.
#[derive(Debug)]
pub struct ShuttleMemory(Arc<Run>);

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

impl<T: Payload> ShuttleSlot<T> {
    fn read(&self) -> T {
        let before = self.users.fetch_add(1, Std::Relaxed);
        assert!(before >= 0, "a slot is read while it is written");
        shuttle::thread::yield_now();
        // SAFETY: see the `Sync` implementation; no switch happens in here.
        let value = unsafe { *self.value.get() };
        self.users.fetch_sub(1, Std::Relaxed);
        value
    }

    fn write(&self, value: T) {
        let before = self.users.swap(-1, Std::Relaxed);
        assert_eq!(before, 0, "a slot is written while it is in use");
        shuttle::thread::yield_now();
        // SAFETY: see the `Sync` implementation; no switch happens in here.
        unsafe { *self.value.get() = value };
        self.users.store(0, Std::Relaxed);
    }
}

impl Cells for Shuttle {
    type Word = AtomicU64;
    type Slot<T: Payload> = ShuttleSlot<T>;

    fn word(value: u64) -> AtomicU64 {
        AtomicU64::new(value)
    }

    fn slot<T: Payload>(value: T) -> ShuttleSlot<T> {
        ShuttleSlot {
            value: UnsafeCell::new(value),
            users: AtomicI64::new(0),
        }
    }
}

// shuttle treats every ordering as SeqCst and warns about any other: so that is what it is told.
impl Memory for ShuttleMemory {
    type Cells = Shuttle;

    fn load(&self, word: &AtomicU64, site: LoadSite) -> u64 {
        self.0.at(site);
        self.0.table.answer(site, word.load(Ordering::SeqCst))
    }

    fn store(&self, word: &AtomicU64, value: u64, site: StoreSite) {
        self.0.at(site);
        if self.0.table.store(site).is_some() {
            word.store(value, Ordering::SeqCst);
        }
    }

    fn fence(&self, site: FenceSite) {
        // Under sequential consistency a fence orders nothing that is not ordered anyway.
        self.0.at(site);
    }

    fn load_words(&self, from: &[AtomicU64], to: &mut [[u8; 8]], site: LoadSite) {
        for (word, bytes) in from.iter().zip(to) {
            *bytes = self.load(word, site).to_ne_bytes();
        }
    }

    fn store_words(&self, to: &[AtomicU64], from: &[[u8; 8]], site: StoreSite) {
        for (word, bytes) in to.iter().zip(from) {
            self.store(word, u64::from_ne_bytes(*bytes), site);
        }
    }

    unsafe fn read_slots<T: Payload>(
        &self,
        from: &[ShuttleSlot<T>],
        to: &mut [T],
        site: SlotReadSite,
    ) {
        for (slot, value) in from.iter().zip(to) {
            self.0.at(site);
            *value = slot.read();
        }
    }

    unsafe fn write_slots<T: Payload>(
        &self,
        to: &[ShuttleSlot<T>],
        from: &[T],
        site: SlotWriteSite,
    ) {
        for (slot, value) in to.iter().zip(from) {
            self.0.at(site);
            slot.write(*value);
        }
    }

    fn spin(&self) {
        shuttle::thread::yield_now();
    }
}

impl Engine for Shuttle {
    const NAME: &'static str = "shuttle";
    const UNIT: &'static str = "schedules";
    const WEAK: bool = false;

    type Memory = ShuttleMemory;
    type Thread<R> = shuttle::thread::JoinHandle<R>;
    type Lock = shuttle::sync::Mutex<()>;

    fn explore(limits: Limits, seen: &Arc<Run>, body: impl Fn() + Send + Sync + 'static) -> Extent {
        let most = usize::try_from(limits.executions).unwrap_or(usize::MAX);
        let body = Arc::new(body);
        let again = Arc::clone(&body);
        run(DfsScheduler::new(Some(most), false), move || body());
        if seen.executions() < limits.executions {
            return Extent::Exhausted;
        }
        // Too many for all of them: as many again, at random.
        run(
            RandomScheduler::new_from_seed(limits.seed, most),
            move || again(),
        );
        Extent::Truncated(format!(
            "half depth-first, half at random from seed {}",
            limits.seed
        ))
    }

    fn memory(run: &Arc<Run>) -> ShuttleMemory {
        ShuttleMemory(Arc::clone(run))
    }

    fn spawn<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> Self::Thread<R> {
        shuttle::thread::spawn(body)
    }

    fn join<R>(thread: Self::Thread<R>) -> R {
        thread
            .join()
            .expect("shuttle ends the run when a thread panics")
    }

    fn lock() -> Self::Lock {
        shuttle::sync::Mutex::new(())
    }

    fn locked<R>(lock: &Self::Lock, body: impl FnOnce() -> R) -> R {
        let _guard = lock.lock().expect("a panic ends the whole run");
        body()
    }
}

fn run(scheduler: impl Scheduler + 'static, body: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::FailAfter(100_000);
    config.max_time = None;
    Runner::new(scheduler, config).run(body);
}
