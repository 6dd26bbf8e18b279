//! Specimens: wrong ways to share memory that were published or shipped, written anew.
//!
//! Each file has the story of one. The specimens S1 to S14 are wrong in what a model checker or
//! a property test sees, and are kept with the models; these are wrong in what they ask of the
//! system, and it takes processes to show it.
//!
//! What one is a wrong way of is a trait here: our own way is another implementation of it, and
//! both are put through the same trial by the layer `faults`.

pub(crate) mod s15_odd_for_ever;
pub(crate) mod s16_plain_mutex;
pub(crate) mod s17_unlocked_recovery;
pub(crate) mod s18_liveness_by_pid;
pub(crate) mod s19_wiping_constructor;
pub(crate) mod s20_index_from_zero;
pub(crate) mod s21_mapped_too_early;
pub(crate) mod s22_no_memory;
pub(crate) mod s23_two_widths;
pub(crate) mod s24_one_line;
pub(crate) mod s27_truncated;

use std::any::Any;
use std::cell::Cell;
use std::fs::File;
use std::rc::Rc;
use std::sync::atomic::Ordering::Release;
use std::time::Duration;

use anyhow::Result;
use ringproof::Payload;

use crate::dying::kill_self;
use crate::shm::Name;
use crate::words::Words;

/// What somebody keeps as long as he has something. Dropping it gives it back.
pub(crate) type Held = Box<dyn Any>;

/// Takes a role that one process has at a time, until what is returned is dropped or this process dies.
/// `None` if somebody has it.
pub(crate) type Take<'a> = dyn Fn() -> Result<Option<Held>> + 'a;

/// A word that says that somebody has it, until this is dropped.
pub(crate) struct Taken(pub(crate) Rc<Words>);

impl Taken {
    /// If an exchange has made it so.
    pub(crate) fn if_ok(exchange: Result<u64, u64>, words: &Rc<Words>) -> Option<Held> {
        exchange
            .ok()
            .map(|_| Box::new(Taken(words.clone())) as Held)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0[0].store(0, Release);
    }
}

/// How long a party keeps a window open, where it is to be met in it.
const WINDOW: Duration = Duration::from_micros(100);

/// Lets the other party come in between here, also where both share one processor. A wrong
/// implementation that does this between its look and its act is met there in nearly every round,
/// whoever is faster.
pub(crate) fn window() {
    std::thread::sleep(WINDOW);
}

/// A structure among whose users one dies.
pub(crate) trait Mortal {
    /// Uses it, and dies when it has made so many accesses, if it makes more.
    fn act(&self, accesses: usize) -> Result<()>;

    /// What the others do then: they look, and one takes the dead one's place.
    fn go_on(&self) -> Result<()>;
}

/// How many accesses a process has left to live.
pub(crate) struct Steps(Cell<usize>);

impl Steps {
    pub(crate) fn of(count: usize) -> Steps {
        Steps(Cell::new(count))
    }

    /// Before an access: dies if it had its number.
    pub(crate) fn step(&self) {
        match self.0.get() {
            0 => kill_self(),
            left => self.0.set(left - 1),
        }
    }
}

/// A queue, attached to this process.
pub(crate) trait Queue {
    fn push(&mut self, item: u64) -> Result<()>;

    /// `None` if it is empty.
    fn pop(&mut self) -> Result<Option<u64>>;
}

/// What the segments hold, in every word.
pub(crate) const WHOLE: [u64; 64] = [0x5eed; 64];

/// Something that one process makes while another looks for it.
pub(crate) trait Appearing {
    /// Makes it, holding [`WHOLE`].
    fn make(&self, name: &Name) -> Result<Held>;

    /// What it holds; `None` if it is not there yet.
    fn find(&self, name: &Name) -> Result<Option<[u64; 64]>>;
}

/// Makes shared memory of so many pages after those that come before the slots, uses every page of it, and
/// removes it. An error contains `no room` if there is none.
pub(crate) type Make = fn(&Name, u64) -> Result<()>;

/// A way to hand a record to another program.
pub(crate) trait Handing {
    /// Leaves it for the other one.
    fn leave<T: Payload>(&self, name: &Name, record: T) -> Result<()>;

    /// Takes it, as the layout that this side has; or says what is not as it should be, field by
    /// field.
    fn take<T: Payload>(&self, name: &Name) -> Result<Result<T, Vec<String>>>;
}

/// A ring whose memory can be looked at from outside.
pub(crate) trait Indices {
    /// The producer stores what it stores to send an item.
    fn push(&mut self) -> Result<()>;

    /// The consumer stores what it stores to take it.
    fn pop(&mut self) -> Result<()>;

    /// What its header holds now.
    fn words(&self) -> Result<Vec<u64>>;
}

/// Shared memory, and the descriptor of it that a peer has.
pub(crate) trait Shared {
    fn descriptor(&self) -> Result<File>;

    /// Attaches, and uses all of it before and after `meanwhile`.
    fn use_it(&self, meanwhile: &mut dyn FnMut() -> Result<()>) -> Result<()>;
}
