//! An actor: who makes accesses, each of them noted in the trace.

use std::sync::Arc;

use ringproof::payload::Payload;

use crate::engine::{self, Slot, Word, address};
use crate::order::Order;
use crate::run::{self, Run};
use crate::trace::{Event, Label, Update, Waking, What};

/// One who takes part in an execution: a thread of a litmus test or a specimen, an endpoint of a
/// scenario. It accesses with whatever ordering it is given, under whatever name.
#[derive(Debug)]
pub struct Actor {
    run: Arc<Run>,
    index: usize,
}

impl Run {
    /// A new actor in this execution. Several of one name are numbered from the second on.
    pub fn actor(self: &Arc<Self>, name: &str) -> Actor {
        Actor {
            index: self.join(name),
            run: Arc::clone(self),
        }
    }
}

impl Actor {
    /// The run that it takes part in.
    pub fn run(&self) -> &Arc<Run> {
        &self.run
    }

    /// Loads a word when all stores to it are known to have happened before. As with a slot, a
    /// store of which that is not true is a race.
    pub fn load_settled(&self, label: impl Into<Label>, word: &Word) -> u64 {
        self.read_plainly(label, address(word), || word.load_settled().value)
    }

    /// Loads a word.
    pub fn load(&self, label: impl Into<Label>, word: &Word, order: Order) -> u64 {
        let read = word.load(order);
        let what = What::Load {
            word: address(word),
            read,
            order,
        };
        self.note(label, what);
        read.value
    }

    /// Stores a word.
    pub fn store(&self, label: impl Into<Label>, word: &Word, value: u64, order: Order) {
        let number = word.store(value, order);
        let what = What::Store {
            word: address(word),
            value,
            number,
            order,
        };
        self.note(label, what);
    }

    /// Changes a word in one step, and gives what it held before.
    pub fn update(
        &self,
        label: impl Into<Label>,
        word: &Word,
        update: Update,
        order: Order,
    ) -> u64 {
        let read = word.update(update, order);
        let what = What::Update {
            word: address(word),
            read,
            update,
            order,
        };
        self.note(label, what);
        read.value
    }

    /// A fence.
    pub fn fence(&self, label: impl Into<Label>, order: Order) {
        engine::fence(order);
        self.note(label, What::Fence { order });
    }

    /// Notes a barrier that the system refuses, or a light fence that no barrier reaches.
    pub(crate) fn does_nothing(&self, label: impl Into<Label>) {
        self.note(label, What::Nothing);
    }

    /// Sleeps while a word holds `value`, until it is woken; not for ever, if nobody will, where it `naps`. Noted
    /// before it is made: who is never woken ends the execution here.
    pub fn wait(&self, label: impl Into<Label>, word: &Word, value: u64, naps: bool) -> Waking {
        let what = What::Wait {
            word: address(word),
            value,
            ended: None,
        };
        self.note(label, what);
        let how = match naps {
            true => {
                engine::pass_time();
                Waking::TimedOut
            }
            false => match word.wait(value) {
                true => Waking::Woken,
                false => Waking::Awake,
            },
        };
        self.run.woke(self.index, how);
        how
    }

    /// Wakes all who sleep on a word.
    pub fn wake(&self, label: impl Into<Label>, word: &Word) {
        word.wake();
        let word = address(word);
        self.note(label, What::Wake { word });
    }

    /// Reads a slot.
    pub fn read<T: Payload>(&self, label: impl Into<Label>, slot: &Slot) -> T {
        from_word(self.read_plainly(label, address(slot), || slot.read()))
    }

    /// Noted before it is made: a race ends the execution here.
    fn read_plainly(&self, label: impl Into<Label>, place: usize, read: impl Fn() -> u64) -> u64 {
        self.note(label, What::Read { place, value: None });
        let value = read();
        self.run.found(self.index, value);
        value
    }

    /// Writes a slot. Noted before it is made: a race ends the execution here.
    pub fn write<T: Payload>(&self, label: impl Into<Label>, slot: &Slot, value: T) {
        let value = to_word(value);
        let what = What::Write {
            slot: address(slot),
            value,
        };
        self.note(label, what);
        slot.write(value);
    }

    /// Waits for another thread.
    pub fn spin(&self) {
        engine::spin();
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

/// How a slot holds a payload. One of more than eight bytes is refused.
pub(crate) fn to_word<T: Payload>(value: T) -> u64 {
    let mut word = [0; 8];
    word[..size_of::<T>()].copy_from_slice(ringproof::bytemuck::bytes_of(&value));
    u64::from_ne_bytes(word)
}

fn from_word<T: Payload>(word: u64) -> T {
    ringproof::bytemuck::pod_read_unaligned(&word.to_ne_bytes()[..size_of::<T>()])
}
