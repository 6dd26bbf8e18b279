//! The memory whose every answer an adversary chose.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use ringproof::Payload;
use ringproof::memory::{Memory, Native, Slept, Slot, Word};
use ringproof::ring::index_of;
use ringproof::site::{
    BarrierSite, FenceSite, LoadSite, Site, SlotReadSite, SlotWriteSite, StoreSite, WaitSite,
    WakeSite,
};

use crate::item::mix;

/// How many values at a boundary there are to choose from.
pub(crate) const PALETTE: usize = 43;

/// How often in one operation an end sleeps before a signal ends that, as one does at the end of all answers.
const SLEEPS: usize = 4;

/// Among answers: the next eight bytes are the answer.
pub(crate) const LITERAL: u8 = 255;

/// The answers to come, one byte for each: 0 is the truth, 1 to [`PALETTE`] a value at a boundary,
/// [`LITERAL`] any value. At its end there is only truth, so that every sequence of bytes is
/// some.
pub(crate) struct Answers<'t> {
    bytes: &'t [u8],
    at: Cell<usize>,
}

impl<'t> Answers<'t> {
    pub(crate) fn new(bytes: &'t [u8]) -> Self {
        Answers {
            bytes,
            at: Cell::new(0),
        }
    }

    fn next(&self) -> u8 {
        let at = self.at.get();
        self.at.set(at + 1);
        self.bytes.get(at).copied().unwrap_or(0)
    }

    fn next_word(&self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.next()))
    }
}

/// What an endpoint did, as far as it can be judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It was answered this.
    Load(LoadSite, u64),
    /// It stored this.
    Store(StoreSite, u64),
    /// It was given these bytes.
    Read(Vec<u8>),
    /// It wrote as many slots.
    Write(usize),
    /// It slept.
    Sleep,
    /// It woke others.
    Wake,
}

/// Who answers.
pub(crate) struct Adversary<'t> {
    answers: Answers<'t>,
    capacity: u64,
    slots: u64,
    /// What the endpoint believes its own index to be: the last one it stored or resumed with.
    own: Cell<u64>,
    previous: Cell<u64>,
    /// Accesses that the operation under way may still make.
    left: Cell<usize>,
    events: RefCell<Vec<Event>>,
    tally: RefCell<BTreeMap<Site, u64>>,
    asked: Cell<usize>,
}

impl<'t> Adversary<'t> {
    /// Against a structure of these sizes.
    pub(crate) fn new(answers: Answers<'t>, capacity: u64, slots: u64) -> Self {
        Adversary {
            answers,
            capacity,
            slots,
            own: Cell::new(0),
            previous: Cell::new(0),
            left: Cell::new(0),
            events: RefCell::new(Vec::new()),
            tally: RefCell::new(BTreeMap::new()),
            asked: Cell::new(0),
        }
    }

    /// A memory that it answers for.
    pub(crate) fn memory(&self) -> Hostile<'_> {
        Hostile { adversary: self }
    }

    /// An operation begins, which may make no more than `limit` accesses.
    pub(crate) fn begin(&self, limit: usize) {
        self.left.set(limit);
        self.events.borrow_mut().clear();
    }

    /// What the operation did.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.borrow().clone()
    }

    /// How many answers were given at each site.
    pub(crate) fn tally(&self) -> BTreeMap<Site, u64> {
        self.tally.borrow().clone()
    }

    /// How many answers were given.
    pub(crate) fn asked(&self) -> usize {
        self.asked.get()
    }

    /// How often the operation under way slept or woke others.
    pub(crate) fn count(&self, event: &Event) -> usize {
        let events = self.events.borrow();
        events.iter().filter(|made| *made == event).count()
    }

    fn access(&self) {
        match self.left.get().checked_sub(1) {
            Some(left) => self.left.set(left),
            None => panic!("the operation does not end: it made all the accesses it may make"),
        }
    }

    fn answered(&self, site: Site) {
        self.asked.set(self.asked.get() + 1);
        *self.tally.borrow_mut().entry(site).or_default() += 1;
    }

    fn note(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }

    /// The answer where `real` would be the truth.
    fn choose(&self, real: u64) -> u64 {
        let answer = match self.answers.next() {
            LITERAL => self.answers.next_word(),
            0 => real,
            number => (self.palette(real).get(usize::from(number) - 1))
                .copied()
                .unwrap_or(real),
        };
        self.previous.set(answer);
        answer
    }

    /// Values at which arithmetic on indices, sequences and counts may go wrong.
    fn palette(&self, real: u64) -> Vec<u64> {
        let (capacity, slots) = (self.capacity, self.slots);
        let (own, previous) = (self.own.get(), self.previous.get());
        let around = |middle: u64| [middle.wrapping_sub(1), middle, middle + 1];
        let beside = |distance: u64| [own.wrapping_add(distance), own.wrapping_sub(distance)];
        let [less, _, more] = around(capacity);
        let [before, same, after] = [u64::MAX, 0, 1].map(|step| previous.wrapping_add(step));
        [
            &[0, 1, 2][..],
            &around(capacity),
            &around(slots),
            &[own],
            &[1, 2, less, capacity, more, slots, slots + 1]
                .map(beside)
                .concat(),
            &[same, after, before, previous.wrapping_add(2)],
            &[real.wrapping_add(1), real.wrapping_sub(1), real ^ 1, !real],
            &[(1 << 32) - 1, 1 << 32],
            &beside(1 << 32),
            &around(1 << 63),
            &[own.wrapping_add(1 << 63)],
            &[real ^ (1 << 63), previous ^ (1 << 63), u64::MAX],
        ]
        .concat()
    }
}

/// The machine's memory for stores; loads and reads are made, and answered otherwise.
#[derive(Clone, Copy)]
pub(crate) struct Hostile<'a> {
    adversary: &'a Adversary<'a>,
}

impl Memory for Hostile<'_> {
    type Cells = Native;

    fn load(&self, word: &Word, site: LoadSite) -> u64 {
        self.adversary.access();
        // The access is made all the same, so that one outside the memory is met by its guard.
        let answer = self.adversary.choose(Native.load(word, site));
        match site {
            LoadSite::RingResumeRead | LoadSite::RingResumeWrite => {
                self.adversary.own.set(index_of(answer).0);
            }
            LoadSite::SeqResume | LoadSite::LatchResume => self.adversary.own.set(answer),
            _ => {}
        }
        self.adversary.answered(site.into());
        self.adversary.note(Event::Load(site, answer));
        answer
    }

    fn store(&self, word: &Word, value: u64, site: StoreSite) {
        self.adversary.access();
        if matches!(
            site,
            StoreSite::RingPublish
                | StoreSite::RingFree
                | StoreSite::SeqOdd
                | StoreSite::SeqEven
                | StoreSite::LatchPublish
        ) {
            self.adversary.own.set(value);
        }
        self.adversary.note(Event::Store(site, value));
        Native.store(word, value, site);
    }

    fn raise(&self, word: &Word, value: u64, site: StoreSite) {
        self.adversary.access();
        self.adversary.note(Event::Store(site, value));
        Native.raise(word, value, site);
    }

    fn fence(&self, site: FenceSite) {
        self.adversary.access();
        Native.fence(site);
    }

    fn load_words(&self, from: &[Word], to: &mut [[u8; 8]], site: LoadSite) {
        for (word, bytes) in from.iter().zip(to) {
            *bytes = self.load(word, site).to_ne_bytes();
        }
    }

    fn store_words(&self, to: &[Word], from: &[[u8; 8]], site: StoreSite) {
        for (word, bytes) in to.iter().zip(from) {
            self.store(word, u64::from_ne_bytes(*bytes), site);
        }
    }

    unsafe fn read_slots<T: Payload>(&self, from: &[Slot<T>], to: &mut [T], site: SlotReadSite) {
        let count = from.len().min(to.len());
        self.adversary.access();
        // SAFETY: the caller's promise, passed on.
        unsafe { Native.read_slots(from, to, site) };
        let bytes = bytemuck::cast_slice_mut::<T, u8>(&mut to[..count]);
        match self.adversary.answers.next() {
            0 => {}
            LITERAL => {
                let seed = self.adversary.answers.next_word();
                for (number, byte) in (0..).zip(&mut *bytes) {
                    *byte = mix(seed ^ number) as u8;
                }
            }
            chosen => bytes.fill(chosen),
        }
        let given = bytes.to_vec();
        self.adversary.answered(site.into());
        self.adversary.note(Event::Read(given));
    }

    unsafe fn write_slots<T: Payload>(&self, to: &[Slot<T>], from: &[T], site: SlotWriteSite) {
        self.adversary.access();
        self.adversary.note(Event::Write(to.len().min(from.len())));
        // SAFETY: the caller's promise, passed on.
        unsafe { Native.write_slots(to, from, site) };
    }

    /// The kernel may refuse it.
    fn barrier(&self, site: BarrierSite) -> bool {
        self.adversary.access();
        self.adversary.answered(site.into());
        self.adversary.answers.next() == 0
    }

    fn is_reached(&self) -> bool {
        self.adversary.answers.next() == 0
    }

    /// It does not sleep; what the kernel may say of a sleep it says.
    fn wait(&self, _: &Word, _: u64, _: u64, site: WaitSite) -> Slept {
        self.adversary.access();
        self.adversary.answered(site.into());
        self.adversary.note(Event::Sleep);
        let answer = self.adversary.answers.next();
        if self.adversary.count(&Event::Sleep) == SLEEPS {
            return Slept::Interrupted;
        }
        let may_be = [
            Slept::Interrupted,
            Slept::Woken,
            Slept::TimedOut,
            Slept::Refused,
        ];
        may_be[usize::from(answer) % may_be.len()]
    }

    /// Nobody sleeps.
    fn wake(&self, _: &Word, _: WakeSite) {
        self.adversary.access();
        self.adversary.note(Event::Wake);
    }

    fn spin(&self) {
        self.adversary.access();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringproof::memory::Cells;

    #[test]
    fn answers_say_truth_boundary_or_anything_and_truth_at_its_end() {
        let bytes = [0, 5, LITERAL, 1, 2, 0, 0, 0, 0, 0, 0, PALETTE as u8];
        let adversary = Adversary::new(Answers::new(&bytes), 3, 4);
        adversary.begin(5);
        let memory = adversary.memory();
        let word = Native::word(77);
        let answers: Vec<_> = (0..5)
            .map(|_| memory.load(&word, LoadSite::RingReclaim))
            .collect();
        assert_eq!(answers, [77, 3, 0x201, u64::MAX, 77]);
        assert_eq!(adversary.tally()[&LoadSite::RingReclaim.into()], 5);
    }

    #[test]
    #[should_panic(expected = "does not end")]
    fn one_access_too_many_is_an_operation_that_does_not_end() {
        let adversary = Adversary::new(Answers::new(&[]), 1, 1);
        adversary.begin(1);
        adversary.memory().spin();
        adversary.memory().spin();
    }
}
