//! S19: one constructor for who makes the ring and who attaches to it, and it sets the indices to
//! zero.
//!
//! Everything is right in the first process, and in every test of one process. Whoever attaches
//! next throws away what was under way, and his peer goes on with indices that are gone.
//! (real-logic/agrona#229)
//!
//! Caught by a producer that sends and ends, and a consumer that starts then.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use anyhow::{Result, ensure};

use crate::shm::Name;
use crate::specimen::Queue;
use crate::words::Words;

const SLOTS: u64 = 8;

/// Two indices, and the slots.
pub(crate) struct Wiping(Words);

impl Wiping {
    pub(crate) fn open(name: &Name) -> Result<Self> {
        let words = Words::open(name, 2 + SLOTS as usize)?;
        for index in &words[..2] {
            index.store(0, Relaxed);
        }
        Ok(Wiping(words))
    }
}

impl Queue for Wiping {
    fn push(&mut self, item: u64) -> Result<()> {
        let written = self.0[0].load(Relaxed);
        ensure!(written - self.0[1].load(Acquire) < SLOTS, "full");
        self.0[2 + (written % SLOTS) as usize].store(item, Relaxed);
        self.0[0].store(written + 1, Release);
        Ok(())
    }

    fn pop(&mut self) -> Result<Option<u64>> {
        let read = self.0[1].load(Relaxed);
        if self.0[0].load(Acquire) == read {
            return Ok(None);
        }
        let item = self.0[2 + (read % SLOTS) as usize].load(Relaxed);
        self.0[1].store(read + 1, Release);
        Ok(Some(item))
    }
}
