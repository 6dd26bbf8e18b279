//! What has a name only for a moment, in which no signal comes but SIGKILL.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{SigSet, SigmaskHow};

/// A name that nothing else has.
pub(super) fn a_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Relaxed: it is a counter.
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("ringproof-ipc-{}-{next}", process::id())
}

/// Does something in the middle of which this thread must not be interrupted: it would leave
/// something behind. A signal that comes meanwhile waits.
pub(super) fn uninterrupted<T>(act: impl FnOnce() -> T) -> T {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let outcome = act();
    if let Ok(before) = before {
        // It fails for no set that it gave itself.
        let _ = before.thread_set_mask();
    }
    outcome
}
