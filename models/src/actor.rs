//! An actor: who makes accesses, each of them noted in the trace.

use std::marker::PhantomData;
use std::sync::Arc;

use ringproof::payload::Payload;

use crate::engine::{Engine, Read};
use crate::order::Order;
use crate::run::{self, Run};
use crate::trace::{Event, Label, What};

/// One who takes part in an execution: a thread of a litmus test or a specimen, an endpoint of a
/// scenario. It accesses with whatever ordering it is told, under whatever name.
#[derive(Debug)]
pub struct Actor<E> {
    run: Arc<Run>,
    index: usize,
    engine: PhantomData<fn() -> E>,
}

impl<E: Engine> Actor<E> {
    pub(crate) fn new(run: Arc<Run>, index: usize) -> Self {
        Actor {
            run,
            index,
            engine: PhantomData,
        }
    }

    /// The run that it takes part in.
    pub fn run(&self) -> &Arc<Run> {
        &self.run
    }

    /// Loads a word.
    pub fn load(&self, label: impl Into<Label>, word: &E::Word, order: Order) -> u64 {
        self.loaded(label, word, E::load(word, order), order)
    }

    /// Loads a word when all stores to it are known to have happened before.
    pub fn load_settled(&self, label: impl Into<Label>, word: &E::Word) -> u64 {
        self.loaded(label, word, E::load_settled(word), Order::Relaxed)
    }

    fn loaded(&self, label: impl Into<Label>, word: &E::Word, read: Read, order: Order) -> u64 {
        let what = What::Load {
            word: address(word),
            read,
            order,
        };
        self.note(label, what);
        read.value
    }

    /// Stores a word.
    pub fn store(&self, label: impl Into<Label>, word: &E::Word, value: u64, order: Order) {
        let number = E::store(word, value, order);
        let what = What::Store {
            word: address(word),
            value,
            number,
            order,
        };
        self.note(label, what);
    }

    /// Adds to a word in one step, and gives what it held before.
    pub fn add(&self, label: impl Into<Label>, word: &E::Word, amount: u64, order: Order) -> u64 {
        let read = E::add(word, amount, order);
        let what = What::Add {
            word: address(word),
            read,
            amount,
            order,
        };
        self.note(label, what);
        read.value
    }

    /// A fence.
    pub fn fence(&self, label: impl Into<Label>, order: Order) {
        E::fence(order);
        self.note(label, What::Fence { order });
    }

    /// Reads a slot. Noted before it is made: a race ends the execution here.
    pub fn read<T: Payload>(&self, label: impl Into<Label>, slot: &E::Slot<T>) -> T {
        let what = What::Read {
            slot: address(slot),
            value: None,
        };
        self.note(label, what);
        let value = E::read(slot);
        self.run.found(self.index, first_bytes(&value));
        value
    }

    /// Writes a slot. Noted before it is made: a race ends the execution here.
    pub fn write<T: Payload>(&self, label: impl Into<Label>, slot: &E::Slot<T>, value: T) {
        let what = What::Write {
            slot: address(slot),
            value: first_bytes(&value),
        };
        self.note(label, what);
        E::write(slot, value);
    }

    /// Waits for another thread.
    pub fn spin(&self) {
        E::spin();
    }

    /// Notes that an access was not made.
    pub(crate) fn leave_out(&self, label: impl Into<Label>) {
        self.note(label, What::LeftOut);
    }

    /// Dies before an access.
    pub(crate) fn die(&self, label: impl Into<Label>) -> ! {
        run::die(&self.run, self.index, label.into())
    }

    fn note(&self, label: impl Into<Label>, what: What) {
        self.run.note(Event {
            actor: self.index,
            label: label.into(),
            what,
        });
    }
}

fn address<T>(of: &T) -> usize {
    std::ptr::from_ref(of).addr()
}

/// As much of a payload as fits one number.
fn first_bytes<T: Payload>(value: &T) -> u64 {
    let mut first = [0; 8];
    for (to, from) in first.iter_mut().zip(ringproof::bytemuck::bytes_of(value)) {
        *to = *from;
    }
    u64::from_ne_bytes(first)
}
