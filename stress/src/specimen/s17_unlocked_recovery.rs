//! S17: whoever finds that the holder of a lock is dead goes on without the lock.
//!
//! The lock is a word with the holder's process id, taken by compare-and-swap as it should be.
//! But who meets a dead holder's id takes that for permission, and stores its own: two that come
//! at once both look, both find a dead holder, and both go on. (OpenHFT/Chronicle-Queue#1296)
//!
//! Caught by two recoverers let go at once.

use std::rc::Rc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use anyhow::Result;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::specimen::{Held, Taken, window};
use crate::words::Words;

/// Takes a role like this.
pub(crate) fn take() -> Result<impl Fn() -> Result<Option<Held>>> {
    let words = Rc::new(Words::new(1)?);
    Ok(move || {
        let owner = &words[0];
        let own = u64::from(std::process::id());
        if let Err(holder) = owner.compare_exchange(0, own, AcqRel, Acquire) {
            if kill(Pid::from_raw(holder as i32), None).is_ok() {
                return Ok(None);
            }
            window();
            // The holder is dead, so it is ours.
            owner.store(own, Release);
        }
        Ok(Some(Box::new(Taken(words.clone())) as Held))
    })
}
