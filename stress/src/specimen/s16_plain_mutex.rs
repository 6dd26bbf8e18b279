//! S16: a mutex shared between processes that is not robust.
//!
//! `PTHREAD_PROCESS_SHARED` lets a mutex lie in shared memory. Without `PTHREAD_MUTEX_ROBUST`
//! it stays locked by a holder that was killed, and the survivor waits for ever.
//! (eclipse-ecal/ecal#1206, eclipse-iceoryx/iceoryx#325)
//!
//! Caught by a death at every access. A ring of one producer and one consumer needs no mutex.

use std::mem::MaybeUninit;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::{Result, ensure};
use nix::libc;

use crate::specimen::{Mortal, Steps};
use crate::words::Words;

/// Where the counter is, behind the mutex.
const COUNTER: usize = 8;

/// A counter, and the mutex before it.
pub(crate) struct PlainMutex(Words);

impl PlainMutex {
    pub(crate) fn new() -> Result<Self> {
        let words = Words::new(COUNTER + 1)?;
        assert!(size_of::<libc::pthread_mutex_t>() <= COUNTER * 8);
        let this = PlainMutex(words);
        let mut shared = MaybeUninit::uninit();
        // SAFETY: the attribute is initialised before it is used and destroyed after; the mutex
        // has room, by the assertion, is aligned as words are, and is not used yet.
        let outcomes = unsafe {
            let shared = shared.as_mut_ptr();
            [
                libc::pthread_mutexattr_init(shared),
                libc::pthread_mutexattr_setpshared(shared, libc::PTHREAD_PROCESS_SHARED),
                libc::pthread_mutex_init(this.mutex(), shared),
                libc::pthread_mutexattr_destroy(shared),
            ]
        };
        ensure!(outcomes == [0; 4], "cannot make a mutex: {outcomes:?}");
        Ok(this)
    }

    fn mutex(&self) -> *mut libc::pthread_mutex_t {
        // The words are atomic, so what lies in them may be written through a shared reference.
        self.0[0].as_ptr().cast()
    }

    fn count(&self, steps: &Steps) {
        steps.step();
        // SAFETY: it was initialised, and lives as long as `self`.
        unsafe { libc::pthread_mutex_lock(self.mutex()) };
        steps.step();
        let count = self.0[COUNTER].load(Relaxed);
        steps.step();
        self.0[COUNTER].store(count + 1, Relaxed);
        steps.step();
        // SAFETY: as above, and this process has locked it.
        unsafe { libc::pthread_mutex_unlock(self.mutex()) };
    }
}

impl Mortal for PlainMutex {
    fn act(&self, accesses: usize) -> Result<()> {
        self.count(&Steps::of(accesses));
        Ok(())
    }

    fn go_on(&self) -> Result<()> {
        self.count(&Steps::of(usize::MAX));
        Ok(())
    }
}
