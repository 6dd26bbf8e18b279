//! The enumeration as an engine for models.

use std::sync::Arc;

use ringproof::payload::Payload;

use super::Rules;
use super::session::{self, Ended};
use super::trace::Kind;
use crate::engine::{Engine, Extent, Limits, Locks, Read};
use crate::order::Order;
use crate::run::Run;

/// The engine. Its slots are plain memory, on which races are reported, or relaxed atomic words,
/// where a race shows in what was read.
#[derive(Debug)]
pub struct Axioms<const ATOMIC_SLOTS: bool>;

/// A word or a slot.
#[derive(Debug)]
pub struct Cell(usize);

/// How a slot holds a payload. One of more than eight bytes is refused.
fn to_word<T: Payload>(value: T) -> u64 {
    let mut word = [0; 8];
    word[..size_of::<T>()].copy_from_slice(ringproof::bytemuck::bytes_of(&value));
    u64::from_ne_bytes(word)
}

fn from_word<T: Payload>(word: u64) -> T {
    ringproof::bytemuck::pod_read_unaligned(&word.to_ne_bytes()[..size_of::<T>()])
}

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
    type Slot<T: Payload> = Cell;
    type Thread<R> = Ended<R>;

    fn explore(limits: Limits, run: &Arc<Run>, body: impl Fn() + Send + Sync + 'static) -> Extent {
        let (begin, commit) = (|| run.begin(), || run.commit());
        match session::enumerate(Rules::CPP20, limits.executions, &body, begin, commit) {
            Ok(all) => match all.truncated {
                Some(how) => Extent::Truncated(how.to_owned()),
                None => Extent::Exhausted,
            },
            Err(violation) => panic!("{}", violation.finding),
        }
    }

    fn spawn<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> Ended<R> {
        session::spawn(body)
    }

    fn join<R>(thread: Ended<R>) -> R {
        session::join(thread)
    }

    fn word(value: u64) -> Cell {
        Cell(session::location(value))
    }

    fn slot<T: Payload>(value: T) -> Cell {
        Cell(session::location(to_word(value)))
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

    fn read<T: Payload>(slot: &Cell) -> T {
        let kind = match ATOMIC_SLOTS {
            true => Kind::Load,
            false => Kind::PlainRead,
        };
        from_word(session::read(slot.0, Order::Relaxed, kind))
    }

    fn write<T: Payload>(slot: &Cell, value: T) {
        let kind = match ATOMIC_SLOTS {
            true => Kind::Store,
            false => Kind::PlainWrite,
        };
        session::write(slot.0, Order::Relaxed, kind(to_word(value)));
    }

    fn spin() {}
}

/// A lock is a word that counts how often it was taken and how often given back, and is free when
/// that is even. Which thread has it first is therefore a matter of what is read.
impl<const ATOMIC_SLOTS: bool> Locks for Axioms<ATOMIC_SLOTS> {
    type Lock = Cell;

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
