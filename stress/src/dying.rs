//! The memory that kills its process at the n-th access.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringproof::Payload;
use ringproof::memory::{Memory, Native, Slot, Word};
use ringproof::site::{FenceSite, LoadSite, Site, SlotReadSite, SlotWriteSite, StoreSite};

/// What befalls a process at an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is killed, and the access was not made.
    KilledBefore,
    /// It is killed, and the access was the last one made.
    KilledAfter,
    /// It is stopped before the access, and goes on later.
    Stopped,
}

impl Fate {
    pub(crate) const ALL: [Fate; 3] = [Fate::KilledBefore, Fate::KilledAfter, Fate::Stopped];

    /// As it stands in an address.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Fate::KilledBefore => "before",
            Fate::KilledAfter => "after",
            Fate::Stopped => "stop",
        }
    }

    /// As it stands in the report.
    pub(crate) const fn check(self) -> &'static str {
        match self {
            Fate::KilledBefore => "crash before",
            Fate::KilledAfter => "crash after",
            Fate::Stopped => "stop before",
        }
    }
}

/// At which access what happens. `site` is where that access stood when they were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) number: usize,
    pub(crate) fate: Fate,
    pub(crate) site: Site,
}

impl Point {
    /// Of the accesses of a run to whose victim nothing happens, those made until this does.
    pub(crate) fn made(self, trace: &[Site]) -> &[Site] {
        let count = match self.fate {
            Fate::KilledBefore | Fate::Stopped => self.number,
            Fate::KilledAfter => self.number + 1,
        };
        trace.get(..count).unwrap_or(trace)
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fate = match self.fate {
            Fate::KilledBefore => "killed before",
            Fate::KilledAfter => "killed after",
            Fate::Stopped => "stopped before",
        };
        write!(f, "{fate} access {} ({})", self.number, self.site)
    }
}

/// What a process does where it is to be killed. Anything but the first is a planted fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is killed.
    Kill,
    /// It stays, and does nothing any more.
    Hang,
    /// It goes on as if nothing were.
    Survive,
}

/// The accesses that one process has made, and the one at which something befalls it.
pub(crate) struct Plan {
    point: Option<Point>,
    ending: Ending,
    made: RefCell<Vec<Site>>,
    astray: Cell<Option<Site>>,
}

impl Plan {
    /// To die or stop at `point`, or never.
    pub(crate) fn new(point: Option<Point>, ending: Ending) -> Plan {
        Plan {
            point,
            ending,
            made: RefCell::new(Vec::new()),
            astray: Cell::new(None),
        }
    }

    /// To live.
    pub(crate) fn immortal() -> Plan {
        Plan::new(None, Ending::Kill)
    }

    /// The accesses made, in order.
    pub(crate) fn trace(&self) -> Vec<Site> {
        self.made.borrow().clone()
    }

    /// The site found at the point if it was another one than the plan says: then nothing
    /// befell the process.
    pub(crate) fn astray(&self) -> Option<Site> {
        self.astray.get()
    }

    fn end(&self) {
        match self.ending {
            Ending::Kill => kill_self(),
            Ending::Hang => loop {
                std::thread::sleep(Duration::from_secs(1));
            },
            Ending::Survive => {}
        }
    }
}

/// What stands at each access of a process.
pub(crate) trait Accesses {
    /// One access: counted, and perhaps the last one, made or not.
    fn access<R>(&self, site: impl Into<Site>, make: impl FnOnce() -> R) -> R;
}

impl Accesses for Plan {
    fn access<R>(&self, site: impl Into<Site>, make: impl FnOnce() -> R) -> R {
        let site = site.into();
        let number = self.made.borrow().len();
        self.made.borrow_mut().push(site);
        let fate = match self.point {
            Some(point) if point.number == number && point.site == site => Some(point.fate),
            Some(point) if point.number == number => {
                self.astray.set(Some(site));
                None
            }
            _ => None,
        };
        match fate {
            Some(Fate::KilledBefore) => self.end(),
            Some(Fate::Stopped) => stop_self(),
            _ => {}
        }
        let result = make();
        if fate == Some(Fate::KilledAfter) {
            self.end();
        }
        result
    }
}

/// Ends this process as the kernel would: nothing is flushed, dropped or unlocked.
pub(crate) fn kill_self() -> ! {
    loop {
        // A process may always signal itself; SIGKILL is delivered before the call returns.
        let _ = kill(Pid::this(), Signal::SIGKILL);
    }
}

/// Stops this process until somebody lets it go on.
fn stop_self() {
    // A process may always signal itself; SIGSTOP takes effect before the call returns.
    let _ = kill(Pid::this(), Signal::SIGSTOP);
}

/// The machine's memory, accessed as `plan` says.
#[derive(Clone, Copy)]
pub(crate) struct Dying<'a, P = Plan> {
    plan: &'a P,
}

impl<'a, P: Accesses> Dying<'a, P> {
    pub(crate) fn new(plan: &'a P) -> Self {
        Dying { plan }
    }
}

impl<P: Accesses> Memory for Dying<'_, P> {
    type Cells = Native;

    fn load(&self, word: &Word, site: LoadSite) -> u64 {
        self.plan.access(site, || Native.load(word, site))
    }

    fn store(&self, word: &Word, value: u64, site: StoreSite) {
        self.plan.access(site, || Native.store(word, value, site));
    }

    fn fence(&self, site: FenceSite) {
        self.plan.access(site, || Native.fence(site));
    }

    // One word, one access: a crash in the middle of a payload is a crash point.
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
        for (slot, value) in from.chunks(1).zip(to.chunks_mut(1)) {
            self.plan.access(site, || {
                // SAFETY: the slot is one of the caller's, who promises that nobody writes it.
                unsafe { Native.read_slots(slot, value, site) }
            });
        }
    }

    // One word of one slot, one access. Each writes the whole slot, with the words that have
    // had their turn new and the others as they were.
    unsafe fn write_slots<T: Payload>(&self, to: &[Slot<T>], from: &[T], site: SlotWriteSite) {
        for (slot, value) in to.chunks(1).zip(from) {
            let mut partial = [T::zeroed()];
            // SAFETY: the slot is one of the caller's, who promises that nobody else accesses
            // it. This read is the harness's own and no access of the algorithm.
            unsafe { Native.read_slots(slot, &mut partial, SlotReadSite::RingReview) };
            for (turn, word) in bytemuck::bytes_of(value).chunks(8).enumerate() {
                bytemuck::bytes_of_mut(&mut partial[0])[turn * 8..][..word.len()]
                    .copy_from_slice(word);
                self.plan.access(site, || {
                    // SAFETY: as above.
                    unsafe { Native.write_slots(slot, &partial, site) }
                });
            }
        }
    }

    fn spin(&self) {
        Native.spin();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringproof::memory::Cells;

    #[test]
    fn every_word_slot_and_fence_is_an_access() {
        let plan = Plan::immortal();
        let memory = Dying::new(&plan);
        let words = [Native::word(1), Native::word(2), Native::word(3)];
        let mut copy = [[0; 8]; 3];
        memory.load_words(&words, &mut copy, LoadSite::SeqCopyOut);
        memory.fence(FenceSite::SeqReadFence);
        memory.store_words(&words, &copy[..2], StoreSite::SeqCopyIn);

        // 20 bytes are two words and a half.
        let slots = [Native::slot([0u32; 5]), Native::slot([0; 5])];
        let mut taken = [[0; 5]; 2];
        // SAFETY: one thread, no concurrent access.
        unsafe {
            memory.write_slots(&slots, &[[1, 2, 3, 4, 5], [6; 5]], SlotWriteSite::RingFill);
            memory.read_slots(&slots, &mut taken, SlotReadSite::RingTake);
        }
        assert_eq!(taken, [[1, 2, 3, 4, 5], [6; 5]]);

        let mut expected = vec![Site::from(LoadSite::SeqCopyOut); 3];
        expected.push(FenceSite::SeqReadFence.into());
        expected.extend([Site::from(StoreSite::SeqCopyIn); 2]);
        expected.extend([Site::from(SlotWriteSite::RingFill); 6]);
        expected.extend([Site::from(SlotReadSite::RingTake); 2]);
        assert_eq!(plan.trace(), expected);
    }

    #[test]
    fn a_process_that_is_elsewhere_than_planned_goes_on_and_tells() {
        let point = Point {
            number: 0,
            fate: Fate::KilledBefore,
            site: StoreSite::RingPublish.into(),
        };
        // Were the plan followed, the process of this test would die here.
        let plan = Plan::new(Some(point), Ending::Kill);
        assert_eq!(
            Dying::new(&plan).load(&Native::word(4), LoadSite::RingReclaim),
            4
        );
        assert_eq!(plan.astray(), Some(LoadSite::RingReclaim.into()));
    }

    #[test]
    fn what_was_made_depends_on_the_fate() {
        let trace = [
            Site::from(LoadSite::RingReclaim),
            StoreSite::RingPublish.into(),
        ];
        let point = |fate| Point {
            number: 1,
            fate,
            site: trace[1],
        };
        assert_eq!(point(Fate::KilledBefore).made(&trace), &trace[..1]);
        assert_eq!(point(Fate::Stopped).made(&trace), &trace[..1]);
        assert_eq!(point(Fate::KilledAfter).made(&trace), &trace[..]);
    }
}
