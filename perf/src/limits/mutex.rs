//! The C library's mutex as processes share it.

use std::cell::UnsafeCell;
use std::io;
use std::mem::MaybeUninit;

use nix::libc;

/// A process-shared mutex. It lies in this process's memory and only one thread uses it, which is
/// all that the uncontended cost needs.
pub(super) struct SharedMutex(Box<UnsafeCell<libc::pthread_mutex_t>>);

impl SharedMutex {
    /// An unlocked mutex; a `robust` one tells the next owner if its owner died.
    ///
    /// # Errors
    /// What the C library says against it.
    pub(super) fn new(robust: bool) -> io::Result<Self> {
        let mut attributes = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
        let attributes = attributes.as_mut_ptr();
        let mutex = Box::new(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));
        // SAFETY: `attributes` points to room for attributes, which the first call initialises.
        unsafe { done(libc::pthread_mutexattr_init(attributes))? };
        // SAFETY: the attributes are initialised and no other thread knows them; `mutex` is memory
        // of its own that no call has been made with yet.
        let made = unsafe { init(mutex.get(), attributes, robust) };
        // SAFETY: they are initialised, and a mutex does not refer to the attributes it was made of.
        unsafe { done(libc::pthread_mutexattr_destroy(attributes))? };
        made.map(|()| SharedMutex(mutex))
    }

    /// Locks, does it and unlocks. Gives what the two calls returned, zero for success, put
    /// together by `|`.
    #[inline(always)]
    pub(super) fn with(&self, work: impl FnOnce()) -> i32 {
        // SAFETY: the mutex is initialised, and its box keeps it in one place.
        let locked = unsafe { libc::pthread_mutex_lock(self.0.get()) };
        work();
        // SAFETY: likewise; unlocking what is not locked is answered by an error at most, because
        // only one thread can hold a reference to a mutex that is not `Sync`.
        locked | unsafe { libc::pthread_mutex_unlock(self.0.get()) }
    }
}

impl Drop for SharedMutex {
    fn drop(&mut self) {
        // SAFETY: it is initialised, and nobody holds it: `with` has returned.
        unsafe { libc::pthread_mutex_destroy(self.0.get()) };
    }
}

/// # Safety
/// The attributes are initialised, the mutex is not in use, and no other thread knows either.
unsafe fn init(
    mutex: *mut libc::pthread_mutex_t,
    attributes: *mut libc::pthread_mutexattr_t,
    robust: bool,
) -> io::Result<()> {
    // SAFETY: the caller's promises.
    unsafe {
        done(libc::pthread_mutexattr_setpshared(
            attributes,
            libc::PTHREAD_PROCESS_SHARED,
        ))?;
        if robust {
            done(libc::pthread_mutexattr_setrobust(
                attributes,
                libc::PTHREAD_MUTEX_ROBUST,
            ))?;
        }
        done(libc::pthread_mutex_init(mutex, attributes))
    }
}

fn done(result: i32) -> io::Result<()> {
    match result {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutex_is_locked_while_the_work_is_done() {
        for robust in [false, true] {
            let mutex = SharedMutex::new(robust).unwrap();
            let mut within = None;
            // SAFETY: the mutex is initialised; trying does not block.
            let attempt = || unsafe { libc::pthread_mutex_trylock(mutex.0.get()) };
            assert_eq!(mutex.with(|| within = Some(attempt())), 0);
            assert_eq!(within, Some(libc::EBUSY));
            // Free again, so that this attempt locks it.
            assert_eq!(attempt(), 0);
            // SAFETY: just locked by this thread.
            assert_eq!(unsafe { libc::pthread_mutex_unlock(mutex.0.get()) }, 0);
        }
    }
}
