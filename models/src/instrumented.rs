//! The memory that a model gives to the production source: an actor whose accesses have the
//! orderings of the run's table and come where it says, and who may die before one of them.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::thread;

use ringproof::memory::{Cells, Memory, Slept};
use ringproof::payload::Payload;
use ringproof::site::{
    BarrierSite, FenceSite, LoadSite, Site, SlotReadSite, SlotWriteSite, StoreSite, WaitSite,
    WakeSite,
};
use ringproof::sleep::{FENCE, NAP};

use crate::actor::{Actor, to_word};
use crate::change::Table;
use crate::engine::{self, Slot, Word, address};
use crate::order::Order;
use crate::run::Run;
use crate::trace::{Label, Update, Waking};

/// The cells of the engine, as the production source sees them. They are counted, so that an
/// access that a change holds back can outlive the call that asked for it.
#[derive(Debug)]
pub enum Shared {}

impl Cells for Shared {
    type Word = Word;
    type Slot<T: Payload> = Slot;

    fn word(value: u64) -> Word {
        engine::word(value)
    }

    fn slot<T: Payload>(value: T) -> Slot {
        engine::slot(to_word(value))
    }
}

fn label(site: impl Into<Site>) -> Label {
    site.into().into()
}

/// A memory that an actor accesses.
pub struct Instrumented {
    actor: Actor,
    table: Table,
    /// How many accesses are left before the actor dies; `None`: it does not.
    left: Cell<Option<u64>>,
    dead: Cell<bool>,
    /// Whether the barriers of others reach it.
    reached: bool,
    /// Whether the system lets it make one.
    permitted: bool,
    /// How often it slept, or would have.
    slept: Cell<u32>,
    late: RefCell<Vec<Late>>,
    early: RefCell<Early>,
}

/// In a model nobody sleeps so often: who does, does not sleep.
const SLEEPS: u32 = 6;

/// An access yet to be made.
type Access = dyn FnOnce(&Actor) + Send;

/// An access that is held back.
struct Late {
    /// The word or slot, `None` for a fence.
    of: Option<usize>,
    make: Box<Access>,
}

/// What is known of an access that is made before its place.
struct Early {
    /// The word that a load will ask for: what the actor last loaded of this name.
    word: Option<Word>,
    /// Once the access was made: what it found, 0 for a fence.
    made: Option<u64>,
}

impl Run {
    /// A memory for an actor of this name, with the orderings of the run's table.
    pub fn memory(self: &Arc<Self>, name: &str) -> Instrumented {
        Instrumented::new(self.actor(name), self.table, None)
    }

    /// The same for one that dies at the run's crash point; inside [`mortal`](crate::run::mortal) only.
    pub fn dying_memory(self: &Arc<Self>, name: &str) -> Instrumented {
        Instrumented::new(self.actor(name), self.table, self.crash_point)
    }
}

impl Instrumented {
    pub(crate) fn new(actor: Actor, table: Table, crash_point: Option<u64>) -> Self {
        Instrumented {
            actor,
            table,
            left: Cell::new(crash_point),
            dead: Cell::new(false),
            reached: true,
            permitted: true,
            slept: Cell::new(0),
            late: RefCell::default(),
            early: RefCell::new(Early {
                word: None,
                made: None,
            }),
        }
    }

    /// The same for an actor that the barriers of others do not reach.
    pub fn unreached(mut self) -> Self {
        self.reached = false;
        self
    }

    /// The same for one that the system lets make no barrier.
    pub fn refused(mut self) -> Self {
        self.permitted = false;
        self
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

    /// Whether an access is not made: by the dead, or because the table leaves it out.
    fn skips(&self, site: impl Into<Site>, label: Label) -> bool {
        if self.is_dead(label) {
            return true;
        }
        let left_out = self.table.leaves_out(site);
        if left_out {
            self.actor.leave_out(label);
        }
        left_out
    }

    /// Makes an access, and around it those that the table has moved here.
    fn at<R>(&self, site: impl Into<Site>, access: impl FnOnce() -> R) -> R {
        let site = site.into();
        if let Some(early) = self.table.early_before(site) {
            self.make_early(early);
        }
        let result = access();
        if self.table.ends_delay(site) {
            self.make_late();
        }
        result
    }

    fn make_early(&self, site: Site) {
        let mut early = self.early.borrow_mut();
        if early.made.is_some() {
            return;
        }
        early.made = match (site, &early.word) {
            (Site::Fence(site), _) => {
                self.actor.fence(label(site), site.ordering().into());
                Some(0)
            }
            (Site::Load(site), Some(word)) => {
                Some(self.actor.load(label(site), word, site.ordering().into()))
            }
            _ => None,
        };
    }

    /// What the access found, if it is the early one and was made already.
    fn made_early(&self, site: impl Into<Site>) -> Option<u64> {
        let is_early = self.table.early() == Some(site.into());
        is_early
            .then(|| self.early.borrow_mut().made.take())
            .flatten()
    }

    /// Holds an access to `of` back. One to the same before it is made now: the two do not
    /// change places.
    fn hold_back(&self, of: Option<usize>, make: impl FnOnce(&Actor) + Send + 'static) {
        let mut late = self.late.borrow_mut();
        if let Some(place) = late.iter().position(|held| held.of == of) {
            let before = late.remove(place);
            (before.make)(&self.actor);
        }
        let make = Box::new(make);
        late.push(Late { of, make });
    }

    /// Makes an access to `of`, or holds it back if the table says so.
    fn now_or_late(
        &self,
        of: Option<usize>,
        site: impl Into<Site>,
        make: impl FnOnce(&Actor) + Send + 'static,
    ) {
        let site = site.into();
        match self.table.is_late(site) {
            true => self.hold_back(of, make),
            false => self.at(site, || make(&self.actor)),
        }
    }

    fn sleeps(&self, how: Slept) -> Slept {
        self.slept.set(self.slept.get() + 1);
        assert!(
            self.slept.get() < SLEEPS,
            "goes to sleep, and does not sleep"
        );
        how
    }

    fn make_late(&self) {
        for held in self.late.take() {
            (held.make)(&self.actor);
        }
    }

    fn load_at(&self, word: &Word, site: LoadSite, label: Label) -> u64 {
        if self.is_dead(label) {
            return 0;
        }
        if let Some(Site::Load(early)) = self.table.early()
            && early.info().word == site.info().word
        {
            self.early.borrow_mut().word = Some(word.clone());
        }
        let value = self.made_early(site).unwrap_or_else(|| {
            self.at(site, || match self.table.load(site) {
                // The table says so: what orders it with every store is no partner of its own.
                Order::Relaxed if site.info().partners.is_empty() => {
                    self.actor.load_settled(label, word)
                }
                order => self.actor.load(label, word, order),
            })
        });
        self.table.answer(site, value)
    }

    fn store_at(&self, word: &Word, value: u64, site: StoreSite, label: Label) {
        if self.skips(site, label) {
            return;
        }
        let order = self.table.store(site);
        let held = Arc::clone(word);
        self.now_or_late(Some(address(word)), site, move |actor| {
            actor.store(label, &held, value, order);
        });
    }
}

impl Drop for Instrumented {
    /// What was held back for something that never came. Not after a panic, when the execution
    /// is over, nor after a death.
    fn drop(&mut self) {
        if !self.dead.get() && !thread::panicking() {
            self.make_late();
        }
    }
}

impl Memory for Instrumented {
    type Cells = Shared;

    fn load(&self, word: &Word, site: LoadSite) -> u64 {
        self.load_at(word, site, label(site))
    }

    fn store(&self, word: &Word, value: u64, site: StoreSite) {
        self.store_at(word, value, site, label(site));
    }

    fn raise(&self, word: &Word, value: u64, site: StoreSite) {
        if self.table.lowers(site) {
            return self.store(word, value, site);
        }
        if self.skips(site, label(site)) {
            return;
        }
        let (order, held) = (self.table.store(site), Arc::clone(word));
        self.now_or_late(Some(address(word)), site, move |actor| {
            actor.update(label(site), &held, Update::Raise(value), order);
        });
    }

    fn fence(&self, site: FenceSite) {
        if self.is_dead(label(site)) || self.made_early(site).is_some() {
            return;
        }
        let order = match self.table.fence(site) {
            None => return self.actor.leave_out(label(site)),
            Some(Order::Light) if !self.reached => return self.actor.does_nothing(label(site)),
            Some(order) => order,
        };
        self.now_or_late(None, site, move |actor| actor.fence(label(site), order));
    }

    fn load_words(&self, from: &[Word], to: &mut [[u8; 8]], site: LoadSite) {
        for (part, (word, bytes)) in from.iter().zip(to).enumerate() {
            let label = label(site).part(part);
            *bytes = self.load_at(word, site, label).to_ne_bytes();
        }
    }

    fn store_words(&self, to: &[Word], from: &[[u8; 8]], site: StoreSite) {
        for (part, (word, bytes)) in to.iter().zip(from).enumerate() {
            let label = label(site).part(part);
            self.store_at(word, u64::from_ne_bytes(*bytes), site, label);
        }
    }

    unsafe fn read_slots<T: Payload>(&self, from: &[Slot], to: &mut [T], site: SlotReadSite) {
        for (slot, value) in from.iter().zip(to) {
            if self.skips(site, label(site)) {
                continue;
            }
            *value = self.at(site, || self.actor.read(label(site), slot));
            if self.table.is_late(site) {
                let held = slot.clone();
                self.hold_back(Some(address(slot)), move |actor| {
                    actor.read::<T>(label(site), &held);
                });
            }
        }
    }

    unsafe fn write_slots<T: Payload>(&self, to: &[Slot], from: &[T], site: SlotWriteSite) {
        for (slot, &value) in to.iter().zip(from) {
            if self.skips(site, label(site)) {
                continue;
            }
            let held = Arc::clone(slot);
            self.now_or_late(Some(address(slot)), site, move |actor| {
                actor.write(label(site), &held, value);
            });
        }
    }

    fn barrier(&self, site: BarrierSite) -> bool {
        if self.is_dead(label(site)) {
            return true;
        }
        if !self.permitted {
            self.actor.does_nothing(label(site));
            return false;
        }
        match self.table.barrier(site) {
            Some(order) => {
                self.now_or_late(None, site, move |actor| actor.fence(label(site), order));
            }
            None => self.actor.leave_out(label(site)),
        }
        true
    }

    fn is_reached(&self) -> bool {
        self.reached
    }

    /// A sleep of limited time lasts until it is woken, as one without limit does: so nobody is saved by a clock. But
    /// where nothing orders it with who wakes, it ends by itself, and has to be as short as it may be there.
    fn wait(&self, word: &Word, value: u64, nanos: u64, site: WaitSite) -> Slept {
        if self.skips(site, label(site)) {
            return self.sleeps(Slept::Woken);
        }
        let naps = !self.permitted && value & FENCE == 0;
        assert!(
            !naps || nanos <= NAP,
            "slept long where nobody may know of it"
        );
        match self.at(site, || self.actor.wait(label(site), word, value, naps)) {
            Waking::TimedOut => self.sleeps(Slept::TimedOut),
            Waking::Woken | Waking::Awake => self.sleeps(Slept::Woken),
        }
    }

    fn wake(&self, word: &Word, site: WakeSite) {
        if self.skips(site, label(site)) {
            return;
        }
        self.at(site, || self.actor.wake(label(site), word));
    }

    fn spin(&self) {
        self.actor.spin();
    }
}
