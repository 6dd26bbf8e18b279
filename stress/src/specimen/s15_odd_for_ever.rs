//! S15: the writer of a sequence lock dies while the number is odd.
//!
//! A reader waits for an even number, and so does a writer before it makes it odd: both are
//! right as long as everybody lives. When a writer is killed in between, the number is odd for
//! ever, every reader and every later writer spins, and the only way out is to remove the memory.
//! (Project-HAMi/HAMi-core#282)
//!
//! Caught by a death at every access of the writer. A bounded number of attempts is enough for the reader;
//! a role that the kernel frees lets the next writer know that no other one is in there.

use std::hint::spin_loop;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::fence;

use anyhow::{Result, ensure};

use crate::specimen::{Mortal, Steps};
use crate::words::Words;

/// The number, and two words.
pub(crate) struct OddForEver(Words);

impl OddForEver {
    pub(crate) fn new() -> Result<Self> {
        Ok(OddForEver(Words::new(3)?))
    }

    fn write(&self, value: u64, steps: &Steps) {
        let [seq, first, second] = [0, 1, 2].map(|at| &self.0[at]);
        steps.step();
        let even = loop {
            let found = seq.load(Relaxed);
            if found.is_multiple_of(2)
                && seq
                    .compare_exchange(found, found + 1, Acquire, Relaxed)
                    .is_ok()
            {
                break found;
            }
            spin_loop();
        };
        fence(Release);
        steps.step();
        first.store(value, Relaxed);
        steps.step();
        second.store(value, Relaxed);
        steps.step();
        seq.store(even + 2, Release);
    }

    fn read(&self) -> [u64; 2] {
        let [seq, first, second] = [0, 1, 2].map(|at| &self.0[at]);
        loop {
            let before = seq.load(Acquire);
            let found = [first.load(Relaxed), second.load(Relaxed)];
            fence(Acquire);
            if before.is_multiple_of(2) && seq.load(Relaxed) == before {
                return found;
            }
            spin_loop();
        }
    }
}

impl Mortal for OddForEver {
    fn act(&self, accesses: usize) -> Result<()> {
        self.write(7, &Steps::of(accesses));
        Ok(())
    }

    fn go_on(&self) -> Result<()> {
        let [first, second] = self.read();
        ensure!(first == second, "torn: {first}, {second}");
        self.write(8, &Steps::of(usize::MAX));
        ensure!(self.read() == [8, 8], "what was written last is not read");
        Ok(())
    }
}
