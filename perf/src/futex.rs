//! The system call by which threads and processes sleep on a word and wake each other.

use std::ptr;
use std::sync::atomic::AtomicU32;

use nix::errno::Errno;
use nix::libc;

/// `FUTEX_WAIT` until the word is no longer `value`, or `FUTEX_WAKE` of as many as `value`. Without a timeout.
///
/// # Errors
/// Those of the call: [`Errno::EAGAIN`] if the word was another one already, [`Errno::EINTR`] if a signal was handled.
pub(crate) fn futex(word: &AtomicU32, operation: libc::c_int, value: u32) -> Result<(), Errno> {
    let no_timeout: *const libc::timespec = ptr::null();
    // SAFETY: the kernel reads the word, which lives until the call returns; there is no timeout.
    let outcome =
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, no_timeout) };
    Errno::result(outcome).map(drop)
}
