//! The enumeration as an engine for models.

use std::sync::Arc;

use super::Rules;
use super::session::{self, Ended};
use super::trace::Kind;
use crate::engine::{Body, Engine, Extent, Limits, Read, begin_execution};
use crate::order::Order;
use crate::run::Run;

/// The engine. Its slots are plain memory, on which races are reported, or relaxed atomic words,
/// where a race shows in what was read.
#[derive(Debug)]
pub struct Axioms<const ATOMIC_SLOTS: bool>;

/// A word or a slot.
#[derive(Debug)]
pub struct Cell(usize);

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

    type Word = Cell;
    type Slot = Cell;
    type Thread = Ended<()>;
    /// A lock is a word that counts how often it was taken and how often given back, and is free
    /// when that is even. Which thread has it first is therefore a matter of what is read.
    type Lock = Cell;

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

    fn spawn(body: Box<dyn FnOnce() + Send>) -> Ended<()> {
        session::spawn(body)
    }

    fn join(thread: Ended<()>) {
        session::join(thread);
    }

    fn word(value: u64) -> Cell {
        Cell(session::location(value))
    }

    fn slot(value: u64) -> Cell {
        Cell(session::location(value))
    }

    fn load(word: &Cell, order: Order) -> Read {
        found(session::read(word.0, order, Kind::Load))
    }

    fn store(word: &Cell, value: u64, order: Order) -> usize {
        session::write(word.0, order, Kind::Store(value));
        0
    }

    fn add(word: &Cell, amount: u64, order: Order) -> Read {
        found(session::update(word.0, order, |value| {
            Some(value.wrapping_add(amount))
        }))
    }

    fn fence(order: Order) {
        session::write(0, order, Kind::Fence);
    }

    fn read(slot: &Cell) -> u64 {
        let kind = match ATOMIC_SLOTS {
            true => Kind::Load,
            false => Kind::PlainRead,
        };
        session::read(slot.0, Order::Relaxed, kind)
    }

    fn write(slot: &Cell, value: u64) {
        let kind = match ATOMIC_SLOTS {
            true => Kind::Store,
            false => Kind::PlainWrite,
        };
        session::write(slot.0, Order::Relaxed, kind(value));
    }

    fn spin() {}

    fn lock() -> Cell {
        Cell(session::location(0))
    }

    fn locked<R>(lock: &Cell, body: impl FnOnce() -> R) -> R {
        let take = |value: u64| value.is_multiple_of(2).then_some(value + 1);
        let free = session::update(lock.0, Order::Acquire, take);
        let result = body();
        session::write(lock.0, Order::Release, Kind::Store(free + 2));
        result
    }
}
