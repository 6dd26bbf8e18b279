//! What `main` comes too late for, and what Rust's runtime leaves as it was.
//!
//! A program may be started with standard descriptors closed (`recv >&-`). Before `main`, Rust's
//! runtime opens /dev/null in the place of each, so that no other file gets its number. That is
//! open for reading and writing, and looks like one that the caller gave (Python's
//! `subprocess.DEVNULL` is open for both, too): a `recv` without an output would throw the stream
//! away and call it done. So somebody has to look earlier: the functions that stand in the section
//! `.init_array` are called by the C library before `main`, and that calls the runtime.
#![allow(
    clippy::disallowed_types,
    reason = "the word is this process's own, not a segment's"
)]

use std::ffi::c_int;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU8, Ordering};

use nix::libc;

/// A bit for each standard descriptor that was closed.
static CLOSED: AtomicU8 = AtomicU8::new(0);

const STANDARD: [c_int; 3] = [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO];

// SAFETY: the section holds addresses of functions that take what the C library passes, and nothing
// else; `look` takes nothing, which the C calling convention allows. It runs before the runtime is
// set up and needs nothing of it: it makes system calls and stores to a word of its own.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    for fd in STANDARD {
        // SAFETY: F_GETFL takes no pointer and changes nothing, whether or not the number is in use.
        if unsafe { libc::fcntl(fd, libc::F_GETFL) } == -1 {
            // Relaxed: there is one thread yet.
            CLOSED.fetch_or(1 << fd, Ordering::Relaxed);
        }
    }
}

/// Whether the caller had closed this standard descriptor.
pub(crate) fn was_closed(fd: RawFd) -> bool {
    // Relaxed: it was stored before `main`.
    STANDARD.contains(&fd) && CLOSED.load(Ordering::Relaxed) & (1 << fd) != 0
}

/// Makes a file that grows beyond RLIMIT_FSIZE an error, as a full disk is, and not the end of this
/// process. (The runtime does so with SIGPIPE, and leaves this one.)
pub(crate) fn ignore_file_size_signal() {
    // SAFETY: no code runs for a signal that is ignored, and no other thread runs yet.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}
