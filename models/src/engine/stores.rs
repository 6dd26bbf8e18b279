//! Which store a load has read from, for engines that do not report it.
//!
//! Such an engine's word holds the *number* of a store; what was stored stands here. A number
//! belongs to one store only, so a trace can name the very store, also where two stored the
//! same value.

use std::sync::{Mutex, MutexGuard};

#[cfg(feature = "loom")]
use super::HISTORY;
use super::{Read, Update};

/// The stores to one word, in the order in which they were begun.
#[derive(Debug)]
pub(super) struct Stores(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    values: Vec<u64>,
    /// The last one that was executed.
    newest: usize,
}

impl Stores {
    pub(super) fn new(initial: u64) -> Stores {
        Stores(Mutex::new(Inner {
            values: vec![initial],
            newest: 0,
        }))
    }

    /// The engines switch threads only inside their own calls, none of which is made while this
    /// is locked.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The number for a store of `value` that is about to be executed.
    pub(super) fn begin(&self, value: u64) -> usize {
        let mut inner = self.inner();
        inner.values.push(value);
        inner.values.len() - 1
    }

    /// It was executed.
    pub(super) fn end(&self, number: usize) {
        self.inner().newest = number;
    }

    /// It was the writing half of an update of what store `from` had left.
    pub(super) fn end_update(&self, number: usize, from: usize, update: Update) -> Read {
        let read = self.read(from);
        let mut inner = self.inner();
        inner.values[number] = update.of(read.value);
        inner.newest = number;
        read
    }

    /// What a load of this number found.
    pub(super) fn read(&self, from: usize) -> Read {
        let inner = self.inner();
        Read {
            value: inner.values[from],
            from,
            newest: inner.newest,
        }
    }

    /// Whether the word had more values in this execution than loom remembers.
    #[cfg(feature = "loom")]
    pub(super) fn too_many(&self) -> bool {
        self.inner().values.len() > HISTORY
    }
}
