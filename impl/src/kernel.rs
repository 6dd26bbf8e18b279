//! What the kernel does for who sleeps: it puts a thread to sleep on a word, wakes it, and makes other processes go
//! through a fence.
//!
//! - `futex(2)`, `FUTEX_WAIT` and `FUTEX_WAKE` without `FUTEX_PRIVATE_FLAG`: the kernel finds the word by the file that
//!   it lies in, so that processes meet by it wherever they map it.
//! - `membarrier(2)`, `MEMBARRIER_CMD_GLOBAL_EXPEDITED` (Linux 4.16): it reaches the processes that registered for it.

use std::sync::OnceLock;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::time::TimeSpec;

const GLOBAL_EXPEDITED: libc::c_int = 1 << 1;
const REGISTER_GLOBAL_EXPEDITED: libc::c_int = 1 << 2;

/// Whether the kernel did what this command of `membarrier` says.
fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: it takes numbers only, and changes no memory.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) };
    result == 0
}

/// Whether the barriers of other processes reach this one, which is registered for them by the first call. A forked
/// child is registered as its parent was.
pub(crate) fn is_registered() -> bool {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    *REGISTERED.get_or_init(|| membarrier(REGISTER_GLOBAL_EXPEDITED))
}

/// Makes all threads of all processes that are registered go through a fence, this thread included; `false` where the
/// kernel is too old, or something forbids it.
pub(crate) fn barrier() -> bool {
    membarrier(GLOBAL_EXPEDITED)
}

/// Sleeps on the word at this address while it is `value`, for at most `nanos`: [`Errno::EAGAIN`] if it is not,
/// [`Errno::ETIMEDOUT`] if the time is over, [`Errno::EINTR`] after a signal.
///
/// The address is that of a word in memory of this process; a memory that is gone is an error of the kernel's, and no
/// fault.
pub(crate) fn wait(word: *mut u32, value: u32, nanos: u64) -> nix::Result<()> {
    let limit = TimeSpec::from_duration(Duration::from_nanos(nanos));
    // SAFETY: the kernel reads the word, and the time, which outlives the call; it checks both addresses.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word,
            libc::FUTEX_WAIT,
            value,
            core::ptr::from_ref(limit.as_ref()),
        )
    };
    Errno::result(result).map(drop)
}

/// Wakes all threads that sleep on the word at this address.
pub(crate) fn wake(word: *mut u32) {
    // SAFETY: the kernel uses the address as a name only. What it says is of no use: who is not woken wakes up at the
    // end of its interval.
    unsafe {
        libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, libc::c_int::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_another_value_does_not_sleep_and_who_finds_it_sleeps_for_its_time() {
        let mut word = 5;
        assert_eq!(wait(&mut word, 4, u64::MAX), Err(Errno::EAGAIN));
        assert_eq!(wait(&mut word, 5, 1000), Err(Errno::ETIMEDOUT));
        // No memory of this process: the kernel refuses it.
        assert_eq!(wait(core::ptr::null_mut(), 0, 1000), Err(Errno::EFAULT));
    }
}
