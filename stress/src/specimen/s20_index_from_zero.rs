//! S20: an end keeps its own index to itself, as it should, and starts it at zero whenever it
//! attaches.
//!
//! The shared indices are left alone, so nothing is wiped. But a consumer that starts again reads
//! from the beginning what was read before, and a producer writes over what was not read yet
//! and then takes back what it had announced. (found in shmem-ipc 0.3)
//!
//! Caught by a producer or a consumer that starts a second time.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use anyhow::{Result, ensure};

use crate::shm::Name;
use crate::specimen::Queue;
use crate::words::Words;

const SLOTS: u64 = 8;

/// Two indices and the slots; and the ends' own indices.
pub(crate) struct FromZero {
    words: Words,
    written: u64,
    read: u64,
}

impl FromZero {
    pub(crate) fn open(name: &Name) -> Result<Self> {
        Ok(FromZero {
            words: Words::open(name, 2 + SLOTS as usize)?,
            written: 0,
            read: 0,
        })
    }
}

impl Queue for FromZero {
    fn push(&mut self, item: u64) -> Result<()> {
        ensure!(self.written < self.words[1].load(Acquire) + SLOTS, "full");
        self.words[2 + (self.written % SLOTS) as usize].store(item, Relaxed);
        self.written += 1;
        self.words[0].store(self.written, Release);
        Ok(())
    }

    fn pop(&mut self) -> Result<Option<u64>> {
        if self.words[0].load(Acquire) == self.read {
            return Ok(None);
        }
        let item = self.words[2 + (self.read % SLOTS) as usize].load(Relaxed);
        self.read += 1;
        self.words[1].store(self.read, Release);
        Ok(Some(item))
    }
}
