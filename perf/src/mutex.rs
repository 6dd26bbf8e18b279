//! The C library's mutex as processes share it.

use std::cell::UnsafeCell;
use std::io;
use std::mem::MaybeUninit;

use nix::libc;

/// A process-shared mutex. It lies in this process's memory and only one thread uses it, which is
/// all that the uncontended cost needs.
pub(crate) struct SharedMutex(Box<UnsafeCell<libc::pthread_mutex_t>>);

impl SharedMutex {
    /// An unlocked mutex; a `robust` one reports to the next owner that its owner died.
    pub(crate) fn new(robust: bool) -> io::Result<Self> {
        let mutex = Box::new(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));
        // SAFETY: memory of its own, that no call has been made with yet.
        unsafe { init(mutex.get(), robust) }.map(|()| SharedMutex(mutex))
    }

    /// Locks, does it and unlocks. Gives what the two calls returned, zero for success, put
    /// together by `|`.
    #[inline(always)]
    pub(crate) fn with(&self, work: impl FnOnce()) -> i32 {
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
        // SAFETY: it is initialised, and not held: `with` has returned.
        unsafe { libc::pthread_mutex_destroy(self.0.get()) };
    }
}

/// Makes an unlocked mutex where it is to lie; a `robust` one reports to the next owner that its owner died.
///
/// # Safety
/// There is memory for one, and it is not in use yet.
pub(crate) unsafe fn init(mutex: *mut libc::pthread_mutex_t, robust: bool) -> io::Result<()> {
    let mut attributes = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
    let attributes = attributes.as_mut_ptr();
    // SAFETY: `attributes` points to room for attributes, which the first call initialises and no
    // other thread knows; a mutex does not refer to the attributes it was made of. The mutex is the
    // caller's promise.
    unsafe {
        done(libc::pthread_mutexattr_init(attributes))?;
        let shared = libc::PTHREAD_PROCESS_SHARED;
        let mut made = done(libc::pthread_mutexattr_setpshared(attributes, shared));
        if robust {
            let robust = libc::PTHREAD_MUTEX_ROBUST;
            made = made.and_then(|()| done(libc::pthread_mutexattr_setrobust(attributes, robust)));
        }
        let made = made.and_then(|()| done(libc::pthread_mutex_init(mutex, attributes)));
        done(libc::pthread_mutexattr_destroy(attributes))?;
        made
    }
}

/// These calls return their error.
pub(crate) fn done(result: i32) -> io::Result<()> {
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
