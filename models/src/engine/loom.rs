//! loom: every execution that the C11 memory model allows, short of load buffering.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering as Std};
use std::sync::{Arc, OnceLock};

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering, fence};
use loom::sync::{Condvar, Mutex};
use loom::thread::ThreadId;

use super::shuttle::Shuttle;
use super::stores::Stores;
use super::{
    AnyLock, AnySlot, AnyThread, AnyWord, Body, Engine, Explore, Extent, Job, Limits, Read, Slot,
    Update, Word, begin_execution, is_still, time_is_over,
};
use crate::order::Order;
use crate::run::Run;

/// The engine.
#[derive(Debug)]
pub struct Loom;

/// A word of loom's.
#[derive(Debug)]
struct LoomWord {
    /// The number of the store that it holds.
    number: AtomicUsize,
    stores: Stores,
    /// Made when it is needed: few words are slept on.
    sleepers: OnceLock<(Mutex<()>, Condvar)>,
}

/// A slot of loom's, which detects races: an access that is not ordered with a conflicting one
/// by happens-before panics, whatever value it would read.
#[derive(Debug)]
struct LoomSlot(UnsafeCell<u64>);

// SAFETY: loom runs one thread at a time, and panics before an access that races.
unsafe impl Sync for LoomSlot {}

thread_local! {
    /// Whether some word of the exploration that runs on this thread had more values than loom
    /// remembers. (All of a model's threads are coroutines of one.)
    static LONG_HISTORY: Cell<bool> = const { Cell::new(false) };
}

/// Threads of a model at most, the first one included.
const THREADS: usize = 5;

thread_local! {
    /// What each thread of the execution accesses at a light fence, and a heavy one in all of them.
    static LIGHTS: RefCell<Vec<Light>> = const { RefCell::new(Vec::new()) };
}

/// A word by which a light fence and a heavy one meet, whichever comes first: so the two are ordered, and two light
/// ones are not. With SeqCst fences in their place, loom would order these as well, and miss what can happen.
struct Light {
    /// Whose it is, once somebody needs one.
    thread: Option<ThreadId>,
    word: Arc<AtomicUsize>,
}

impl Light {
    fn new() -> Light {
        Light {
            thread: None,
            word: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// That of the thread that runs now.
    fn own() -> Arc<AtomicUsize> {
        let thread = Some(loom::thread::current().id());
        LIGHTS.with_borrow_mut(|lights| {
            let own = (lights.iter_mut())
                .find(|light| light.thread == thread || light.thread.is_none())
                .expect("there are no more threads");
            own.thread = thread;
            Arc::clone(&own.word)
        })
    }

    fn all() -> Vec<Arc<AtomicUsize>> {
        LIGHTS.with_borrow(|lights| lights.iter().map(|light| Arc::clone(&light.word)).collect())
    }
}

fn ordering(order: Order) -> Ordering {
    match order {
        Order::Relaxed => Ordering::Relaxed,
        Order::Acquire => Ordering::Acquire,
        Order::Release => Ordering::Release,
        Order::AcqRel => Ordering::AcqRel,
        Order::SeqCst => Ordering::SeqCst,
        Order::Light | Order::Heavy => unreachable!("for fences, which make it themselves"),
    }
}

impl Engine for Loom {
    const NAME: &'static str = "loom";
    const UNIT: &'static str = "executions";
    const WEAK: bool = true;
    const MINIMA: bool = true;
    const ORACLE: Option<Explore> = Some(Shuttle::explore);

    /// One: loom maps a stack for each thread of each execution and unmaps it again, and two
    /// explorations in one process wait for each other there, longer than two one after the other
    /// take. Two processes do not: see [`apart`](crate::apart).
    fn at_once() -> usize {
        1
    }

    fn explore(limits: Limits, run: &Arc<Run>, body: Body) -> Extent {
        // Every limit is set here: none is taken from the environment, where it could cut an
        // exploration short without a word. loom's own limit of executions ends a run as if it
        // were complete, so this one is a panic, which cannot be mistaken.
        let mut builder = loom::model::Builder::new();
        builder.max_threads = THREADS;
        builder.max_branches = 10_000;
        builder.max_permutations = None;
        builder.max_duration = None;
        builder.preemption_bound = limits.preemptions;
        builder.checkpoint_file = None;
        builder.checkpoint_interval = usize::MAX;
        builder.location = false;
        builder.log = false;
        LONG_HISTORY.set(false);
        let cut_short = Arc::new(AtomicBool::new(false));
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            let (run, cut_short) = (Arc::clone(run), Arc::clone(&cut_short));
            builder.check(move || {
                if run.executions() == limits.executions || time_is_over() {
                    cut_short.store(true, Std::Relaxed);
                    panic!("the limit of executions is reached");
                }
                begin_execution::<Loom>(&run);
                LIGHTS.set((0..THREADS).map(|_| Light::new()).collect());
                body();
                run.commit();
                LIGHTS.take();
            });
        }));
        match (outcome, limits.preemptions) {
            (Err(_), _) if cut_short.load(Std::Relaxed) => {
                Extent::Truncated("the first ones in loom's order".to_owned())
            }
            (Err(panic), _) => panic::resume_unwind(panic),
            (Ok(()), Some(preemptions)) => Extent::Bounded(preemptions),
            (Ok(()), None) if LONG_HISTORY.get() => Extent::ExhaustedHistory,
            (Ok(()), None) => Extent::Exhausted,
        }
    }

    fn spawn(body: Job) -> Box<dyn AnyThread> {
        Box::new(loom::thread::spawn(body))
    }

    fn word(value: u64) -> Word {
        Arc::new(LoomWord {
            number: AtomicUsize::new(0),
            stores: Stores::new(value),
            sleepers: OnceLock::new(),
        })
    }

    fn slot(value: u64) -> Slot {
        Arc::new(LoomSlot(UnsafeCell::new(value)))
    }

    fn lock() -> Arc<dyn AnyLock> {
        Arc::new(loom::sync::Mutex::new(()))
    }

    fn fence(order: Order) {
        match order {
            Order::Light => {
                Light::own().fetch_add(1, Ordering::AcqRel);
            }
            Order::Heavy => {
                for light in Light::all() {
                    light.fetch_add(1, Ordering::AcqRel);
                }
                fence(Ordering::SeqCst);
            }
            order => fence(ordering(order)),
        }
    }

    /// Nothing: every wait of a model is bounded, and after loom's `yield_now` a load no longer
    /// finds everything that it could.
    fn spin() {}

    fn pass_time() {
        loom::thread::yield_now();
    }
}

impl AnyThread for loom::thread::JoinHandle<()> {
    fn join(self: Box<Self>) {
        (*self)
            .join()
            .expect("loom ends the model when a thread panics");
    }
}

impl LoomWord {
    /// Before a store: its number.
    fn begin(&self, value: u64) -> usize {
        let number = self.stores.begin(value);
        if self.stores.too_many() {
            LONG_HISTORY.set(true);
        }
        number
    }
}

impl AnyWord for LoomWord {
    fn load(&self, order: Order) -> Read {
        self.stores.read(self.number.load(ordering(order)))
    }

    /// loom would otherwise explore next to nothing: when a thread stores, it asks who accessed the
    /// word last, and if that was the same thread it does not see that an earlier load of another
    /// thread could come later (tokio-rs/loom#166). This kind of load is no such access.
    fn load_settled(&self) -> Read {
        // SAFETY: loom panics if a store, or any access that excludes it, is not ordered with it.
        self.stores.read(unsafe { self.number.unsync_load() })
    }

    fn store(&self, value: u64, order: Order) -> usize {
        let number = self.begin(value);
        self.number.store(number, ordering(order));
        self.stores.end(number);
        number
    }

    fn update(&self, update: Update, order: Order) -> Read {
        // Known only after the swap, which no other thread comes between.
        let number = self.begin(0);
        let from = self.number.swap(number, ordering(order));
        self.stores.end_update(number, from, update)
    }

    fn wait(&self, value: u64) -> bool {
        let (lock, woken) = self.sleepers.get_or_init(Default::default);
        let awake = lock.lock().expect("a panic ends the whole run");
        let sleeps = is_still(value, self.load(Order::Relaxed).value);
        if sleeps {
            let _awake = woken.wait(awake);
        }
        sleeps
    }

    fn wake(&self) {
        let (lock, woken) = self.sleepers.get_or_init(Default::default);
        let _awake = lock.lock().expect("a panic ends the whole run");
        woken.notify_all();
    }
}

impl AnySlot for LoomSlot {
    fn read(&self) -> u64 {
        // SAFETY: the pointer is the cell's own, and loom panics on a conflicting access.
        self.0.with(|item| unsafe { *item })
    }

    fn write(&self, value: u64) {
        // SAFETY: the pointer is the cell's own, and loom panics on a conflicting access.
        self.0.with_mut(|item| unsafe { *item = value });
    }
}

impl AnyLock for loom::sync::Mutex<()> {
    fn locked(&self, body: &mut dyn FnMut()) {
        let _guard = self.lock().expect("a panic ends the whole run");
        body();
    }
}
