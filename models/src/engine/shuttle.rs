//! shuttle: sequentially consistent schedules, all of them or a sample.
//!
//! It knows no weak memory, so no ordering can be wrong under it: it is here for schedules that
//! are too long for loom, and as an independent check of the protocol.

use std::any::Any;
use std::cell::{Cell, RefCell, UnsafeCell};
use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::{self, AssertUnwindSafe};
use std::slice;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering as Std};
use std::sync::{Arc, Once, OnceLock};
use std::time::Duration;

use shuttle::scheduler::{
    DfsScheduler, PctScheduler, RandomScheduler, ReplayScheduler, Schedule, Scheduler, Task,
    TaskId, UrwRandomScheduler,
};
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::sync::{Condvar, Mutex};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use super::stores::Stores;
use super::{
    AnyLock, AnySlot, AnyThread, AnyWord, Body, Engine, Extent, Job, Limits, Read, Slot, Update,
    Word, begin_execution, is_still, time_is_over,
};
use crate::order::Order;
use crate::run::Run;

/// Scheduling steps after which an execution is a failure: somebody waits for what never comes.
pub const MAX_STEPS: usize = 1_000_000;

/// The engine.
#[derive(Debug)]
pub struct Shuttle;

/// A word of shuttle's.
#[derive(Debug)]
struct ShuttleWord {
    /// The number of the store that it holds.
    number: AtomicUsize,
    stores: Stores,
    /// Made when it is needed: few words are slept on.
    sleepers: OnceLock<(Mutex<()>, Condvar)>,
}

/// A slot that checks for itself that no access overlaps a conflicting one: shuttle has no such
/// cell. Every access lets other threads run between its start and its end.
#[derive(Debug)]
struct ShuttleSlot {
    value: UnsafeCell<u64>,
    /// The number of reads in progress, or −1 for a write.
    users: AtomicI64,
}

// SAFETY: shuttle runs one thread at a time and switches only inside its own calls; the value
// is touched between two such calls, so never by two threads at once.
unsafe impl Sync for ShuttleSlot {}

impl Engine for Shuttle {
    const NAME: &'static str = "shuttle";
    const UNIT: &'static str = "schedules";
    const WEAK: bool = false;

    fn explore(limits: Limits, run: &Arc<Run>, body: Body) -> Extent {
        let most = usize::try_from(limits.executions).unwrap_or(usize::MAX);
        let all = Bounded::new(DfsScheduler::new(Some(most), false), limits.preemptions);
        let all = schedule(all, u64::MAX, run, &body);
        if time_is_over() {
            return Extent::Truncated("depth-first, until its time was over".to_owned());
        }
        // Stopped by itself: every choice was made in every way.
        if all.schedules < limits.executions {
            return limits
                .preemptions
                .map_or(Extent::Exhausted, Extent::Bounded);
        }
        // Too many for all of them: as many again, at random.
        let some = RandomScheduler::new_from_seed(checked(limits.seed), most);
        let some = Bounded::new(some, limits.preemptions);
        schedule(some, u64::MAX, run, &body);
        Extent::Truncated(format!(
            "half depth-first, half at random from seed {}",
            limits.seed
        ))
    }

    fn spawn(body: Job) -> Box<dyn AnyThread> {
        Box::new(shuttle::thread::spawn(|| or_stop(body)))
    }

    fn word(value: u64) -> Word {
        Arc::new(ShuttleWord {
            number: AtomicUsize::new(0),
            stores: Stores::new(value),
            sleepers: OnceLock::new(),
        })
    }

    fn slot(value: u64) -> Slot {
        Arc::new(ShuttleSlot {
            value: UnsafeCell::new(value),
            users: AtomicI64::new(0),
        })
    }

    fn lock() -> Arc<dyn AnyLock> {
        Arc::new(shuttle::sync::Mutex::new(()))
    }

    /// Under sequential consistency a fence orders nothing that is not ordered anyway.
    fn fence(_: Order) {}

    fn spin() {
        shuttle::thread::yield_now();
    }

    fn pass_time() {
        TIME_PASSES.set(true);
        shuttle::thread::yield_now();
        TIME_PASSES.set(false);
    }
}

impl AnyThread for shuttle::thread::JoinHandle<()> {
    fn join(self: Box<Self>) {
        (*self).join().expect("a panic ends the whole run");
    }
}

// shuttle treats every ordering as SeqCst and warns about any other: so that is what it is given.
impl AnyWord for ShuttleWord {
    fn load(&self, _: Order) -> Read {
        self.stores.read(self.number.load(Ordering::SeqCst))
    }

    fn store(&self, value: u64, _: Order) -> usize {
        let number = self.stores.begin(value);
        self.number.store(number, Ordering::SeqCst);
        self.stores.end(number);
        number
    }

    fn update(&self, update: Update, _: Order) -> Read {
        // Known only after the swap, which no other thread comes between.
        let number = self.stores.begin(0);
        let from = self.number.swap(number, Ordering::SeqCst);
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

impl AnySlot for ShuttleSlot {
    fn read(&self) -> u64 {
        let before = self.users.fetch_add(1, Std::Relaxed);
        assert!(before >= 0, "a slot is read while it is written");
        let_others_run();
        // SAFETY: see the `Sync` implementation; no switch happens in here.
        let value = unsafe { *self.value.get() };
        self.users.fetch_sub(1, Std::Relaxed);
        value
    }

    fn write(&self, value: u64) {
        let before = self.users.swap(-1, Std::Relaxed);
        assert_eq!(before, 0, "a slot is written while it is in use");
        let_others_run();
        // SAFETY: see the `Sync` implementation; no switch happens in here.
        unsafe { *self.value.get() = value };
        self.users.store(0, Std::Relaxed);
    }
}

impl AnyLock for shuttle::sync::Mutex<()> {
    fn locked(&self, body: &mut dyn FnMut()) {
        let _guard = self.lock().expect("a panic ends the whole run");
        body();
    }
}

thread_local! {
    /// Whether the thread that yields does so because time passes for it.
    static TIME_PASSES: Cell<bool> = const { Cell::new(false) };
}

/// A point at which another thread may go on. Not `yield_now`, by which this one would say that
/// it waits: PCT would put it behind all others. (No time passes under shuttle.)
fn let_others_run() {
    shuttle::thread::sleep(Duration::ZERO);
}

/// How a sample of the schedules is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// At each step any thread that can run, one as likely as the other.
    Random,
    /// Probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi, Nagarakatte, ASPLOS
    /// 2010): random priorities, lowered at `depth` − 1 random steps.
    Pct(usize),
    /// Uniform random walk (Zhao, Wolff, Mathur, Roychoudhury, ASPLOS 2025): each schedule as likely
    /// as the other, as far as the number of steps of each thread is known beforehand.
    Urw,
}

impl Strategy {
    /// Those that are tried: all of them, PCT up to depth 5.
    pub const ALL: [Strategy; 7] = [
        Strategy::Random,
        Strategy::Pct(1),
        Strategy::Pct(2),
        Strategy::Pct(3),
        Strategy::Pct(4),
        Strategy::Pct(5),
        Strategy::Urw,
    ];
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Strategy::Random => f.write_str("random"),
            Strategy::Pct(depth) => write!(f, "PCT({depth})"),
            Strategy::Urw => f.write_str("URW"),
        }
    }
}

impl FromStr for Strategy {
    type Err = String;

    /// Reads what [`Display`](fmt::Display) wrote.
    fn from_str(text: &str) -> Result<Strategy, String> {
        (Strategy::ALL.into_iter())
            .find(|strategy| strategy.to_string() == text)
            .ok_or_else(|| {
                let known = Strategy::ALL.map(|strategy| strategy.to_string());
                format!("no strategy `{text}`; there are: {}", known.join(", "))
            })
    }
}

/// What schedules were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// How many.
    pub schedules: u64,
    /// Their steps, together.
    pub steps: u64,
    /// How many threads there were at most, the first one included.
    pub threads: usize,
    /// How many steps of a schedule were a choice between several threads, at most.
    pub choices: u64,
    /// How many schedules were begun after the one that had that many for the first time: the
    /// only ones for which PCT knew how many there can be.
    pub informed: u64,
    /// How often a thread said that it waits for another, all schedules together.
    pub yields: u64,
}

impl Sample {
    /// With which probability at least one schedule, and all informed ones together, find a bug of
    /// this depth: 1 / (n k^(depth − 1)) with n threads and k steps, by PCT's theorem.
    ///
    /// It is the theorem's bound for the numbers measured. The theorem knows nothing of
    /// [`yields`](Self::yields), which lower a thread's priority as well.
    pub fn pct_bound(&self, depth: usize) -> (f64, f64) {
        let others = i32::try_from(depth.saturating_sub(1)).unwrap_or(i32::MAX);
        let one = 1.0 / (self.threads as f64 * (self.choices as f64).powi(others));
        // 1 − (1 − one)^informed, for small numbers, too.
        let all = -(self.informed as f64 * (-one).ln_1p()).exp_m1();
        (one, all)
    }
}

/// Samples schedules of `body` until they have made so many steps together.
///
/// # Panics
/// With what `body` panics, or where an execution exceeds [`MAX_STEPS`] or deadlocks;
/// [`last_schedule`] is then the one in which it did.
pub fn sample(strategy: Strategy, seed: u64, steps: u64, run: &Arc<Run>, body: &Body) -> Sample {
    let seed = checked(seed);
    let most = usize::MAX;
    let scheduler: Box<dyn Scheduler + Send> = match strategy {
        Strategy::Random => Box::new(RandomScheduler::new_from_seed(seed, most)),
        Strategy::Pct(depth) => Box::new(PctScheduler::new_from_seed(seed, depth, most)),
        Strategy::Urw => Box::new(UrwRandomScheduler::new_from_seed(seed, most)),
    };
    schedule(scheduler, steps, run, body)
}

/// Runs `body` once, in this schedule. True if it came to its end with the schedule: otherwise
/// the schedule is that of another program, and `body` was left where it differs.
///
/// # Panics
/// With what `body` panics.
pub fn replay(tasks: &[usize], run: &Arc<Run>, body: &Body) -> bool {
    let schedule_of = Schedule::new_from_task_ids(0, tasks.iter().copied());
    let mut scheduler = ReplayScheduler::new_from_schedule(schedule_of);
    // Without it a schedule that ends too early is a panic, as if `body` had made it.
    scheduler.set_allow_incomplete();
    schedule(scheduler, u64::MAX, run, body);
    NOTES.with_borrow(|notes| notes.ended && notes.tasks == tasks)
}

/// The schedule that this thread made last: which of its threads ran, step by step.
pub fn last_schedule() -> Vec<usize> {
    NOTES.with_borrow(|notes| notes.tasks.clone())
}

/// shuttle itself would prefer another seed than the one that is reported.
fn checked(seed: u64) -> u64 {
    const PREFERRED: &str = "SHUTTLE_RANDOM_SEED";
    assert!(
        std::env::var_os(PREFERRED).is_none(),
        "{PREFERRED} is set and would be used in place of the seed {seed}"
    );
    seed
}

thread_local! {
    /// What is known of the schedules made on this thread. (All of a model's threads are
    /// coroutines of one.)
    static NOTES: RefCell<Notes> = RefCell::default();
}

#[derive(Default)]
struct Notes {
    sample: Sample,
    /// The schedule that runs now, or ran last.
    tasks: Vec<usize>,
    /// Of these, the choices between several.
    choices: u64,
    /// Whether `body` came to its end in it.
    ended: bool,
    /// With what a thread panicked in it.
    panic: Option<Box<dyn Any + Send>>,
}

/// Lets threads that could go on be interrupted no more than so often in a schedule, and those for whom time passes go
/// on when nobody else can.
#[derive(Debug)]
struct Bounded<S> {
    inner: S,
    most: usize,
    /// How often it may still be, in the schedule that runs now.
    left: usize,
    /// Those for whom time passes: they go on when nobody else can.
    napping: Vec<TaskId>,
}

impl<S> Bounded<S> {
    fn new(inner: S, preemptions: Option<usize>) -> Self {
        let most = preemptions.unwrap_or(usize::MAX);
        Bounded {
            inner,
            most,
            left: most,
            napping: Vec::new(),
        }
    }
}

impl<S: Scheduler> Scheduler for Bounded<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.left = self.most;
        self.napping.clear();
        self.inner.new_execution()
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        let goes_on = (runnable.iter()).find(|task| Some(task.id()) == current && !is_yielding);
        if is_yielding && TIME_PASSES.get() {
            self.napping.extend(current);
        }
        let awake: Vec<&Task> = (runnable.iter().copied())
            .filter(|task| !self.napping.contains(&task.id()))
            .collect();
        let choices = match goes_on {
            Some(task) if self.left == 0 => slice::from_ref(task),
            _ if !awake.is_empty() => &awake,
            _ => runnable,
        };
        let next = self.inner.next_task(choices, current, is_yielding)?;
        self.napping.retain(|napping| *napping != next);
        if goes_on.is_some_and(|task| task.id() != next) {
            self.left -= 1;
        }
        Some(next)
    }

    fn next_u64(&mut self) -> u64 {
        self.inner.next_u64()
    }
}

/// Takes notes of what a scheduler decides; ends the schedule when a thread has panicked, and the
/// sample when it has enough steps.
struct Noted {
    /// Never dropped: the random scheduler's destructor prints the seed of an unfinished run.
    inner: ManuallyDrop<Box<dyn Scheduler + Send>>,
    steps: u64,
}

impl Scheduler for Noted {
    fn new_execution(&mut self) -> Option<Schedule> {
        if time_is_over() {
            return None;
        }
        if NOTES.with_borrow(|notes| notes.panic.is_some() || notes.sample.steps >= self.steps) {
            return None;
        }
        let schedule = self.inner.new_execution()?;
        NOTES.with_borrow_mut(|notes| {
            notes.sample.schedules += 1;
            notes.sample.informed += 1;
            notes.tasks.clear();
            notes.choices = 0;
            notes.ended = false;
        });
        Some(schedule)
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        if NOTES.with_borrow(|notes| notes.panic.is_some()) {
            return None;
        }
        let task = self.inner.next_task(runnable, current, is_yielding)?;
        NOTES.with_borrow_mut(|notes| {
            let Notes { sample, .. } = notes;
            sample.steps += 1;
            sample.threads = sample.threads.max(usize::from(task) + 1);
            notes.tasks.push(usize::from(task));
            sample.yields += u64::from(is_yielding);
            if runnable.len() > 1 {
                notes.choices += 1;
                if notes.choices > sample.choices {
                    (sample.choices, sample.informed) = (notes.choices, 0);
                }
            }
        });
        Some(task)
    }

    fn next_u64(&mut self) -> u64 {
        self.inner.next_u64()
    }
}

/// Runs the body of a thread. If it panics, the schedule ends here: shuttle would first print
/// what is reported elsewhere, and let the other threads run on.
fn or_stop(body: impl FnOnce()) {
    panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        NOTES.with_borrow_mut(|notes| _ = notes.panic.get_or_insert(panic));
        loop {
            // The scheduler lets no thread run any more.
            shuttle::thread::yield_now();
        }
    })
}

fn schedule(
    scheduler: impl Scheduler + Send + 'static,
    steps: u64,
    run: &Arc<Run>,
    body: &Body,
) -> Sample {
    keep_panic_hook();
    NOTES.set(Notes::default());
    let scheduler = Noted {
        inner: ManuallyDrop::new(Box::new(scheduler)),
        steps,
    };
    let mut config = Config::new();
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::FailAfter(MAX_STEPS);
    config.max_time = None;
    let (run, body) = (Arc::clone(run), Arc::clone(body));
    Runner::new(scheduler, config).run(move || {
        or_stop(|| {
            begin_execution::<Shuttle>(&run);
            body();
            run.commit();
            NOTES.with_borrow_mut(|notes| notes.ended = true);
        });
    });
    if let Some(panic) = NOTES.with_borrow_mut(|notes| notes.panic.take()) {
        panic::resume_unwind(panic);
    }
    NOTES.with_borrow(|notes| notes.sample)
}

/// shuttle puts a hook of its own before the one that is set when it runs for the first time, to
/// print each panic. Panics of a model are findings: so it runs once, and the hook is put back.
fn keep_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let ours = panic::take_hook();
        Runner::new(DfsScheduler::new(Some(1), false), Config::new()).run(|| {});
        panic::set_hook(ours);
    });
}
