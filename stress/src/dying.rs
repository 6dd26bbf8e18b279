//! The memory that kills its process at the n-th access.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringproof::harness::{Hooks, Interposed};
use ringproof::memory::Native;
use ringproof::site::Site;

/// What happens to a process at an access.
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

    /// As it stands in an address, in the report and in a sentence, and what is counted of it.
    const fn words(self) -> [&'static str; 4] {
        match self {
            Fate::KilledBefore => ["before", "crash before", "killed before", "kills"],
            Fate::KilledAfter => ["after", "crash after", "killed after", "kills"],
            Fate::Stopped => ["stop", "stop before", "stopped before", "stops"],
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        self.words()[0]
    }

    pub(crate) const fn check(self) -> &'static str {
        self.words()[1]
    }

    pub(crate) const fn unit(self) -> &'static str {
        self.words()[3]
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
        let [.., fate, _] = self.fate.words();
        write!(f, "{fate} access {} ({})", self.number, self.site)
    }
}

/// What a process does where it is to be killed. Anything but the first is an injected fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is killed.
    Kill,
    /// It stays, and does nothing any more.
    Hang,
    /// It goes on as if nothing were.
    Survive,
}

/// The accesses that one process has made, and the one at which something happens to it.
pub(crate) struct Plan {
    point: Option<Point>,
    ending: Ending,
    made: RefCell<Vec<Site>>,
    astray: Cell<Option<Site>>,
    /// Whether the access that is being made is the last one.
    is_last: Cell<bool>,
}

impl Plan {
    /// To die or stop at `point`, or never.
    pub(crate) fn new(point: Option<Point>, ending: Ending) -> Plan {
        Plan {
            point,
            ending,
            made: RefCell::new(Vec::new()),
            astray: Cell::new(None),
            is_last: Cell::new(false),
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
    /// happened to the process.
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

impl Hooks<Native> for Plan {
    // A crash in the middle of a payload is a crash point.
    const PIECEWISE: bool = true;

    fn before(&self, _: &Native, site: Site, _: usize) -> bool {
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
        self.is_last.set(fate == Some(Fate::KilledAfter));
        true
    }

    fn after(&self, _: Site) {
        if self.is_last.get() {
            self.end();
        }
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

/// The machine's memory, accessed as a plan says.
pub(crate) type Dying<'a, P = Plan> = Interposed<Native, &'a P>;

pub(crate) const fn dying<P>(plan: &P) -> Dying<'_, P> {
    Interposed::new(Native, plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringproof::memory::{Cells, Memory};
    use ringproof::site::{FenceSite, LoadSite, SlotReadSite, SlotWriteSite, StoreSite};

    #[test]
    fn every_word_slot_and_fence_is_an_access() {
        let plan = Plan::immortal();
        let memory = dying(&plan);
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
            dying(&plan).load(&Native::word(4), LoadSite::RingReclaim),
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
