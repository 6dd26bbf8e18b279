//! S22: the file is made as long as it shall be, and the memory is not asked for.
//!
//! `ftruncate` on a file system without room succeeds: it makes a sparse file. The memory is wanted at
//! the first touch of each page, when there is no call left that could fail, and
//! what comes instead is SIGBUS, perhaps hours later and in another process.
//! (mongodb/mongo-c-driver#1244, eclipse-iceoryx/iceoryx#2287)
//!
//! Caught on a file system of a few pages. `fallocate` at creation turns it into an error.

use std::fs::{self, File};
use std::sync::atomic::Ordering::Relaxed;

use anyhow::Result;

use crate::shm::Name;
use crate::words::Words;

/// Makes shared memory like this.
pub(crate) fn make(name: &Name, pages: u64) -> Result<()> {
    let mut options = File::options();
    let file = options
        .read(true)
        .write(true)
        .create_new(true)
        .open(name.path())?;
    file.set_len((pages + 1) * 4096)?;
    let words = Words::of(&file, (pages as usize + 1) * 512)?;
    for first in words.iter().step_by(512) {
        first.store(1, Relaxed);
    }
    fs::remove_file(name.path())?;
    Ok(())
}
