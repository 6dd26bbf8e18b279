//! The enumeration as an engine for models.

use std::sync::Arc;

use super::Rules;
use super::session::{self, Ended};
use super::trace::Kind;
use crate::engine::{
    AnyLock, AnySlot, AnyThread, AnyWord, Body, Engine, Extent, Job, Limits, Read, Slot, Update,
    Word, begin_execution, is_still,
};
use crate::order::Order;
use crate::run::Run;

/// The engine. Its slots are plain memory, on which races are reported, or relaxed atomic words,
/// where a race shows in what was read.
#[derive(Debug)]
pub struct Axioms<const ATOMIC_SLOTS: bool>;

/// A word, a slot of atomic words, or a lock, which is a word that counts how often it was taken and how
/// often given back, and is free when that is even: which thread has it first is therefore a matter of
/// what is read.
struct Cell(usize);

/// A slot of plain memory.
struct PlainCell(usize);

/// What a read found. Which store it read from is settled only when the run has ended.
fn found(value: u64) -> Read {
    Read {
        value,
        from: 0,
        newest: 0,
    }
}

impl<const ATOMIC_SLOTS: bool> Engine for Axioms<ATOMIC_SLOTS> {
    const NAME: &'static str = "axioms";
    const UNIT: &'static str = "candidates";
    const WEAK: bool = true;

    fn explore(limits: Limits, run: &Arc<Run>, body: Body) -> Extent {
        let (begin, commit) = (|| begin_execution::<Self>(run), || run.commit());
        match session::enumerate(Rules::CPP20, limits.executions, &*body, begin, commit) {
            Ok(all) => match all.truncated {
                Some(how) => Extent::Truncated(how.to_owned()),
                None => Extent::Exhausted,
            },
            Err(violation) => panic!("{}", violation.finding),
        }
    }

    fn spawn(body: Job) -> Box<dyn AnyThread> {
        Box::new(session::spawn(body))
    }

    fn word(value: u64) -> Word {
        Arc::new(Cell(session::location(value)))
    }

    fn slot(value: u64) -> Slot {
        match ATOMIC_SLOTS {
            true => Arc::new(Cell(session::location(value))),
            false => Arc::new(PlainCell(session::location(value))),
        }
    }

    fn lock() -> Arc<dyn AnyLock> {
        Arc::new(Cell(session::location(0)))
    }

    fn fence(order: Order) {
        session::write(0, order, Kind::Fence);
    }

    fn spin() {}

    fn pass_time() {
        session::leave();
    }
}

impl AnyThread for Ended<()> {
    fn join(self: Box<Self>) {
        session::join(*self);
    }
}

impl AnyWord for Cell {
    fn load(&self, order: Order) -> Read {
        found(session::read(self.0, order, Kind::Load))
    }

    fn store(&self, value: u64, order: Order) -> usize {
        session::write(self.0, order, Kind::Store(value));
        0
    }

    fn update(&self, update: Update, order: Order) -> Read {
        found(session::update(self.0, order, |value| {
            Some(update.of(value))
        }))
    }

    fn wait(&self, value: u64) -> bool {
        session::wait(self.0, |now| is_still(value, now))
    }

    fn wake(&self) {
        session::wake(self.0);
    }
}

impl AnySlot for Cell {
    fn read(&self) -> u64 {
        session::read(self.0, Order::Relaxed, Kind::Load)
    }

    fn write(&self, value: u64) {
        session::write(self.0, Order::Relaxed, Kind::Store(value));
    }
}

impl AnySlot for PlainCell {
    fn read(&self) -> u64 {
        session::read(self.0, Order::Relaxed, Kind::PlainRead)
    }

    fn write(&self, value: u64) {
        session::write(self.0, Order::Relaxed, Kind::PlainWrite(value));
    }
}

impl AnyLock for Cell {
    fn locked(&self, body: &mut dyn FnMut()) {
        let take = |value: u64| value.is_multiple_of(2).then_some(value + 1);
        let free = session::update(self.0, Order::Acquire, take);
        body();
        session::write(self.0, Order::Release, Kind::Store(free + 2));
    }
}
