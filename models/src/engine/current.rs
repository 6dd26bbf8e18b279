//! Words, slots, threads and locks of the engine that explores on this thread, behind pointers.
//!
//! To name the engine in a type instead would compile each model, with all that the production
//! source makes of it, once for each engine; a call through a pointer is nothing beside what an
//! engine does at each access.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Engine, Read};
use crate::order::Order;

thread_local! {
    /// All of a model's threads are coroutines of the one that explores it.
    static CURRENT: Cell<Option<&'static dyn Current>> = const { Cell::new(None) };
}

/// From now on `E` explores on this thread.
pub(crate) fn set<E: Engine>() {
    CURRENT.set(Some(&Of::<E>(PhantomData)));
}

fn current() -> &'static dyn Current {
    (CURRENT.get()).expect("words, threads and the like are made inside of an exploration")
}

/// What stands for an engine.
trait Current {
    fn word(&self, value: u64) -> Arc<dyn AnyWord>;
    fn slot(&self, value: u64) -> Arc<dyn AnySlot>;
    fn lock(&self) -> Arc<dyn AnyLock>;
    fn spawn(&self, body: Box<dyn FnOnce() + Send>) -> Box<dyn AnyThread>;
    fn fence(&self, order: Order);
    fn spin(&self);
}

trait AnyWord: Send + Sync {
    fn load(&self, order: Order) -> Read;
    fn load_settled(&self) -> Read;
    fn store(&self, value: u64, order: Order) -> usize;
    fn add(&self, amount: u64, order: Order) -> Read;
}

trait AnySlot: Send + Sync {
    fn read(&self) -> u64;
    fn write(&self, value: u64);
}

trait AnyLock: Send + Sync {
    fn locked(&self, body: &mut dyn FnMut());
}

trait AnyThread {
    fn join(self: Box<Self>);
}

struct Of<E>(PhantomData<fn() -> E>);

impl<E: Engine> Current for Of<E> {
    fn word(&self, value: u64) -> Arc<dyn AnyWord> {
        Arc::new(WordOf::<E>(E::word(value)))
    }

    fn slot(&self, value: u64) -> Arc<dyn AnySlot> {
        Arc::new(SlotOf::<E>(E::slot(value)))
    }

    fn lock(&self) -> Arc<dyn AnyLock> {
        Arc::new(LockOf::<E>(E::lock()))
    }

    fn spawn(&self, body: Box<dyn FnOnce() + Send>) -> Box<dyn AnyThread> {
        Box::new(ThreadOf::<E>(E::spawn(body)))
    }

    fn fence(&self, order: Order) {
        E::fence(order);
    }

    fn spin(&self) {
        E::spin();
    }
}

struct WordOf<E: Engine>(E::Word);

impl<E: Engine> AnyWord for WordOf<E> {
    fn load(&self, order: Order) -> Read {
        E::load(&self.0, order)
    }

    fn load_settled(&self) -> Read {
        E::load_settled(&self.0)
    }

    fn store(&self, value: u64, order: Order) -> usize {
        E::store(&self.0, value, order)
    }

    fn add(&self, amount: u64, order: Order) -> Read {
        E::add(&self.0, amount, order)
    }
}

struct SlotOf<E: Engine>(E::Slot);

impl<E: Engine> AnySlot for SlotOf<E> {
    fn read(&self) -> u64 {
        E::read(&self.0)
    }

    fn write(&self, value: u64) {
        E::write(&self.0, value);
    }
}

struct LockOf<E: Engine>(E::Lock);

impl<E: Engine> AnyLock for LockOf<E> {
    fn locked(&self, body: &mut dyn FnMut()) {
        E::locked(&self.0, body);
    }
}

struct ThreadOf<E: Engine>(E::Thread);

impl<E: Engine> AnyThread for ThreadOf<E> {
    fn join(self: Box<Self>) {
        E::join(self.0);
    }
}

/// An atomic word.
#[derive(Clone)]
pub struct Word(Arc<dyn AnyWord>);

/// A word that holds `value`.
pub fn word(value: u64) -> Word {
    Word(current().word(value))
}

impl Word {
    /// Loads it.
    pub fn load(&self, order: Order) -> Read {
        self.0.load(order)
    }

    /// Loads it when all stores to it are known to have happened before. An engine that can
    /// checks that claim.
    pub fn load_settled(&self) -> Read {
        self.0.load_settled()
    }

    /// Stores `value`, and says which number the store has among those to this word.
    pub fn store(&self, value: u64, order: Order) -> usize {
        self.0.store(value, order)
    }

    /// Adds to it in one step, and says what it held before.
    pub fn add(&self, amount: u64, order: Order) -> Read {
        self.0.add(amount, order)
    }

    /// What tells it apart from the other words and slots of its execution.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

/// Plain memory of eight bytes, on which races are reported.
#[derive(Clone)]
pub struct Slot(Arc<dyn AnySlot>);

/// A slot that holds `value`.
pub fn slot(value: u64) -> Slot {
    Slot(current().slot(value))
}

impl Slot {
    /// Reads it.
    pub fn read(&self) -> u64 {
        self.0.read()
    }

    /// Writes it.
    pub fn write(&self, value: u64) {
        self.0.write(value);
    }

    /// What tells it apart from the other words and slots of its execution.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

/// A lock: how a model sees one of the kernel's.
#[derive(Clone)]
pub struct Lock(Arc<dyn AnyLock>);

/// A free lock.
pub fn lock() -> Lock {
    Lock(current().lock())
}

impl Lock {
    /// Runs `body` while holding the lock.
    pub fn locked<R>(&self, body: impl FnOnce() -> R) -> R {
        let (mut body, mut result) = (Some(body), None);
        (self.0).locked(&mut || result = body.take().map(|body| body()));
        result.expect("an engine runs it once")
    }
}

/// A started thread.
pub struct Thread<R> {
    thread: Box<dyn AnyThread>,
    result: Arc<Mutex<Option<R>>>,
}

/// Starts a thread.
pub fn spawn<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> Thread<R> {
    let result = Arc::new(Mutex::new(None));
    let thread = current().spawn(Box::new({
        let result = Arc::clone(&result);
        move || {
            let value = body();
            *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        }
    }));
    Thread { thread, result }
}

impl<R> Thread<R> {
    /// Waits for it to end: everything that it did happened before this returns. Also how a
    /// model sees a death through the kernel (a lock that is freed, a child that is reaped).
    pub fn join(self) -> R {
        self.thread.join();
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        result.take().expect("an engine joins what has ended")
    }
}

/// A fence.
pub fn fence(order: Order) {
    current().fence(order);
}

/// This thread waits for another one.
pub fn spin() {
    current().spin();
}
