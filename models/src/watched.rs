//! The memory that a model gives to the production source: an actor whose accesses have the
//! orderings of the run's table, and who may die before one of them.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;

use ringproof::memory::{Cells, Memory};
use ringproof::payload::Payload;
use ringproof::site::{FenceSite, LoadSite, Site, SlotReadSite, SlotWriteSite, StoreSite};

use crate::actor::Actor;
use crate::change::Table;
use crate::engine::Engine;
use crate::trace::Label;

/// The cells of an engine, as the production source sees them. Counted, so that an access that
/// a change holds back can outlive the call that asked for it.
#[derive(Debug)]
pub struct Shared<E>(PhantomData<fn() -> E>);

impl<E: Engine> Cells for Shared<E> {
    type Word = Arc<E::Word>;
    type Slot<T: Payload> = Arc<E::Slot<T>>;

    fn word(value: u64) -> Arc<E::Word> {
        Arc::new(E::word(value))
    }

    fn slot<T: Payload>(value: T) -> Arc<E::Slot<T>> {
        Arc::new(E::slot(value))
    }
}

fn label(site: impl Into<Site>) -> Label {
    site.into().into()
}

/// A memory of an engine's that an actor accesses.
#[derive(Debug)]
pub struct Watched<E> {
    actor: Actor<E>,
    table: Table,
    /// How many accesses are left before the actor dies; `None`: it does not.
    left: Cell<Option<u64>>,
    dead: Cell<bool>,
}

impl<E: Engine> Watched<E> {
    pub(crate) fn new(actor: Actor<E>, table: Table, crash_point: Option<u64>) -> Self {
        Watched {
            actor,
            table,
            left: Cell::new(crash_point),
            dead: Cell::new(false),
        }
    }

    /// Whether the actor is dead: destructors still run, and must change nothing. Dies here if
    /// its time has come.
    fn is_dead(&self, label: Label) -> bool {
        if let Some(left) = self.left.get().filter(|_| !self.dead.get()) {
            if left == 1 {
                self.dead.set(true);
                self.actor.die(label);
            }
            self.left.set(Some(left - 1));
        }
        self.dead.get()
    }

    fn load_at(&self, word: &E::Word, site: LoadSite, label: Label) -> u64 {
        if self.is_dead(label) {
            return 0;
        }
        let value = self.actor.load(label, word, self.table.load(site));
        self.table.answer(site, value)
    }

    fn store_at(&self, word: &E::Word, value: u64, site: StoreSite, label: Label) {
        if self.is_dead(label) {
            return;
        }
        match self.table.store(site) {
            Some(order) => self.actor.store(label, word, value, order),
            None => self.actor.leave_out(label),
        }
    }
}

impl<E: Engine> Memory for Watched<E> {
    type Cells = Shared<E>;

    fn load(&self, word: &Arc<E::Word>, site: LoadSite) -> u64 {
        self.load_at(word, site, label(site))
    }

    fn store(&self, word: &Arc<E::Word>, value: u64, site: StoreSite) {
        self.store_at(word, value, site, label(site));
    }

    fn fence(&self, site: FenceSite) {
        if self.is_dead(label(site)) {
            return;
        }
        match self.table.fence(site) {
            Some(order) => self.actor.fence(label(site), order),
            None => self.actor.leave_out(label(site)),
        }
    }

    fn load_words(&self, from: &[Arc<E::Word>], to: &mut [[u8; 8]], site: LoadSite) {
        for (part, (word, bytes)) in from.iter().zip(to).enumerate() {
            let label = label(site).part(part);
            *bytes = self.load_at(word, site, label).to_ne_bytes();
        }
    }

    fn store_words(&self, to: &[Arc<E::Word>], from: &[[u8; 8]], site: StoreSite) {
        for (part, (word, bytes)) in to.iter().zip(from).enumerate() {
            let label = label(site).part(part);
            self.store_at(word, u64::from_ne_bytes(*bytes), site, label);
        }
    }

    unsafe fn read_slots<T: Payload>(
        &self,
        from: &[Arc<E::Slot<T>>],
        to: &mut [T],
        site: SlotReadSite,
    ) {
        for (slot, value) in from.iter().zip(to) {
            if !self.is_dead(label(site)) {
                *value = self.actor.read(label(site), slot);
            }
        }
    }

    unsafe fn write_slots<T: Payload>(
        &self,
        to: &[Arc<E::Slot<T>>],
        from: &[T],
        site: SlotWriteSite,
    ) {
        for (slot, value) in to.iter().zip(from) {
            if !self.is_dead(label(site)) {
                self.actor.write(label(site), slot, *value);
            }
        }
    }

    fn spin(&self) {
        self.actor.spin();
    }
}
