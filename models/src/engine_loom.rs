//! loom: every execution that the C11 memory model allows, short of load buffering.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering as Std};

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU64 as LoomU64, Ordering, fence};
use ringproof::memory::{Cells, Memory};
use ringproof::payload::Payload;
use ringproof::site::{
    FenceOrdering, FenceSite, LoadOrdering, LoadSite, SlotReadSite, SlotWriteSite, StoreOrdering,
    StoreSite,
};

use crate::engine::{Engine, Extent, Limits};
use crate::run::Run;

/// The cells and threads of loom.
#[derive(Debug)]
pub struct Loom;

/// A memory of loom's.
#[derive(Debug)]
pub struct LoomMemory(Arc<Run>);

/// A word of loom's, with the number of values that it has had.
#[derive(Debug)]
pub struct LoomWord {
    value: LoomU64,
    values: AtomicU64,
}

/// A slot of loom's, which detects races: an access that is not ordered with a conflicting one
/// by happens-before panics, whatever value it would read.
#[derive(Debug)]
pub struct LoomSlot<T>(UnsafeCell<T>);

// SAFETY: loom runs one thread at a time, and panics before an access that races.
unsafe impl<T: Payload> Sync for LoomSlot<T> {}
// SAFETY: as above; the payload itself may be sent.
unsafe impl<T: Payload> Send for LoomSlot<T> {}

impl Cells for Loom {
    type Word = LoomWord;
    type Slot<T: Payload> = LoomSlot<T>;

    fn word(value: u64) -> LoomWord {
        LoomWord {
            value: LoomU64::new(value),
            values: AtomicU64::new(1),
        }
    }

    fn slot<T: Payload>(value: T) -> LoomSlot<T> {
        LoomSlot(UnsafeCell::new(value))
    }
}

impl Memory for LoomMemory {
    type Cells = Loom;

    fn load(&self, word: &LoomWord, site: LoadSite) -> u64 {
        self.0.at(site);
        let ordering = match self.0.table.load(site) {
            LoadOrdering::Relaxed => Ordering::Relaxed,
            LoadOrdering::Acquire => Ordering::Acquire,
        };
        self.0.table.answer(site, word.value.load(ordering))
    }

    fn store(&self, word: &LoomWord, value: u64, site: StoreSite) {
        self.0.at(site);
        let ordering = match self.0.table.store(site) {
            Some(StoreOrdering::Relaxed) => Ordering::Relaxed,
            Some(StoreOrdering::Release) => Ordering::Release,
            None => return,
        };
        self.0.history(word.values.fetch_add(1, Std::Relaxed) + 1);
        word.value.store(value, ordering);
    }

    fn fence(&self, site: FenceSite) {
        self.0.at(site);
        match self.0.table.fence(site) {
            Some(FenceOrdering::Acquire) => fence(Ordering::Acquire),
            Some(FenceOrdering::Release) => fence(Ordering::Release),
            None => {}
        }
    }

    fn load_words(&self, from: &[LoomWord], to: &mut [[u8; 8]], site: LoadSite) {
        for (word, bytes) in from.iter().zip(to) {
            *bytes = self.load(word, site).to_ne_bytes();
        }
    }

    fn store_words(&self, to: &[LoomWord], from: &[[u8; 8]], site: StoreSite) {
        for (word, bytes) in to.iter().zip(from) {
            self.store(word, u64::from_ne_bytes(*bytes), site);
        }
    }

    unsafe fn read_slots<T: Payload>(
        &self,
        from: &[LoomSlot<T>],
        to: &mut [T],
        site: SlotReadSite,
    ) {
        for (slot, value) in from.iter().zip(to) {
            self.0.at(site);
            // SAFETY: the pointer is the cell's own, and loom panics on a conflicting access.
            *value = slot.0.with(|item| unsafe { *item });
        }
    }

    unsafe fn write_slots<T: Payload>(&self, to: &[LoomSlot<T>], from: &[T], site: SlotWriteSite) {
        for (slot, value) in to.iter().zip(from) {
            self.0.at(site);
            // SAFETY: the pointer is the cell's own, and loom panics on a conflicting access.
            slot.0.with_mut(|item| unsafe { *item = *value });
        }
    }

    fn spin(&self) {
        loom::thread::yield_now();
    }
}

impl Engine for Loom {
    const NAME: &'static str = "loom";
    const UNIT: &'static str = "executions";
    const WEAK: bool = true;

    type Memory = LoomMemory;
    type Thread<R> = loom::thread::JoinHandle<R>;
    type Lock = loom::sync::Mutex<()>;

    fn explore(limits: Limits, run: &Arc<Run>, body: impl Fn() + Send + Sync + 'static) -> Extent {
        // Every limit is set here: none is taken from the environment, where it could cut an
        // exploration short without a word. loom's own limit of executions ends a run as if it
        // were complete, so this one is a panic, which cannot be mistaken.
        let mut builder = loom::model::Builder::new();
        builder.max_threads = 4;
        builder.max_branches = 10_000;
        builder.max_permutations = None;
        builder.max_duration = None;
        builder.preemption_bound = limits.preemptions;
        builder.checkpoint_file = None;
        builder.checkpoint_interval = usize::MAX;
        builder.location = false;
        builder.log = false;
        let cut_short = Arc::new(AtomicBool::new(false));
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            let (run, cut_short) = (Arc::clone(run), Arc::clone(&cut_short));
            builder.check(move || {
                if run.executions() == limits.executions {
                    cut_short.store(true, Std::Relaxed);
                    panic!("the limit of executions is reached");
                }
                body();
            });
        }));
        match (outcome, limits.preemptions) {
            (Err(_), _) if cut_short.load(Std::Relaxed) => {
                Extent::Truncated("the first ones in loom's order".to_owned())
            }
            (Err(panic), _) => panic::resume_unwind(panic),
            (Ok(()), Some(preemptions)) => Extent::Bounded(preemptions),
            (Ok(()), None) if run.has_long_history() => Extent::ExhaustedHistory,
            (Ok(()), None) => Extent::Exhausted,
        }
    }

    fn memory(run: &Arc<Run>) -> LoomMemory {
        LoomMemory(Arc::clone(run))
    }

    fn spawn<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> Self::Thread<R> {
        loom::thread::spawn(body)
    }

    fn join<R>(thread: Self::Thread<R>) -> R {
        thread
            .join()
            .expect("loom ends the model when a thread panics")
    }

    fn lock() -> Self::Lock {
        loom::sync::Mutex::new(())
    }

    fn locked<R>(lock: &Self::Lock, body: impl FnOnce() -> R) -> R {
        let _guard = lock.lock().expect("a panic ends the whole run");
        body()
    }
}
