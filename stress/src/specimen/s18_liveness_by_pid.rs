//! S18: a process id in shared memory, and `kill(pid, 0)` to find out whether its process lives.
//!
//! An id means something in one pid namespace only: from another one, as in another container
//! that shares the memory, a living holder looks dead, and what it has is stolen. And an id is
//! given to another process sooner or later: then a dead holder looks alive, and what it had
//! is never free again. That the word is taken by compare-and-swap helps against neither.
//!
//! Caught by two pid namespaces, and by a process that is given the dead holder's number.

use std::rc::Rc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use anyhow::Result;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::specimen::{Held, Taken};
use crate::words::Words;

/// Takes a role like this.
pub(crate) fn take() -> Result<impl Fn() -> Result<Option<Held>>> {
    let words = Rc::new(Words::new(1)?);
    Ok(move || {
        let owner = &words[0];
        let holder = owner.load(Acquire);
        if holder != 0 && kill(Pid::from_raw(holder as i32), None).is_ok() {
            return Ok(None);
        }
        let own = u64::from(std::process::id());
        let taken = owner.compare_exchange(holder, own, AcqRel, Relaxed);
        Ok(Taken::if_ok(taken, &words))
    })
}
