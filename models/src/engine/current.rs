//! Words, slots, threads and locks of the engine that explores on this thread, behind pointers.
//!
//! To name the engine in a type instead would compile each model, with all that the production
//! source makes of it, once for each engine; a call through a pointer is nothing beside what an
//! engine does at each access.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};

use super::{AnyLock, AnySlot, AnyThread, AnyWord, Engine, Job};
use crate::order::Order;

thread_local! {
    /// All of a model's threads are coroutines of the one that explores it.
    static CURRENT: Cell<Option<Current>> = const { Cell::new(None) };
}

/// What an engine makes and does.
#[derive(Clone, Copy)]
struct Current {
    word: fn(u64) -> Word,
    slot: fn(u64) -> Slot,
    lock: fn() -> Arc<dyn AnyLock>,
    spawn: fn(Job) -> Box<dyn AnyThread>,
    fence: fn(Order),
    spin: fn(),
    pass_time: fn(),
}

/// From now on `E` explores on this thread.
pub(crate) fn set<E: Engine>() {
    CURRENT.set(Some(Current {
        word: E::word,
        slot: E::slot,
        lock: E::lock,
        spawn: E::spawn,
        fence: E::fence,
        spin: E::spin,
        pass_time: E::pass_time,
    }));
}

fn current() -> Current {
    (CURRENT.get()).expect("words, threads and the like are made inside of an exploration")
}

/// An atomic word.
pub type Word = Arc<dyn AnyWord>;

/// A word that holds `value`.
pub fn word(value: u64) -> Word {
    (current().word)(value)
}

/// Plain memory of eight bytes, on which races are reported.
pub type Slot = Arc<dyn AnySlot>;

/// A slot that holds `value`.
pub fn slot(value: u64) -> Slot {
    (current().slot)(value)
}

/// What distinguishes a word or slot from the others of its execution.
pub(crate) fn address<T: ?Sized>(cell: &Arc<T>) -> usize {
    Arc::as_ptr(cell).addr()
}

/// A lock: how a model sees one of the kernel's.
#[derive(Clone)]
pub struct Lock(Arc<dyn AnyLock>);

/// A free lock.
pub fn lock() -> Lock {
    Lock((current().lock)())
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
    let thread = (current().spawn)(Box::new({
        let result = Arc::clone(&result);
        move || {
            let value = body();
            *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        }
    }));
    Thread { thread, result }
}

/// Starts a thread that shares these parts with the one that starts it.
pub fn spawn_with<P: Send + Sync + ?Sized + 'static, R: Send + 'static>(
    parts: &Arc<P>,
    body: impl FnOnce(&P) -> R + Send + 'static,
) -> Thread<R> {
    let parts = Arc::clone(parts);
    spawn(move || body(&parts))
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
    (current().fence)(order);
}

/// This thread waits for another one.
pub fn spin() {
    (current().spin)();
}

/// So much time passes that all others come as far as they can, and that this thread sees what they stored.
pub fn pass_time() {
    (current().pass_time)();
}
