//! S21: the name exists before the memory does.
//!
//! The creator opens the name, gives the file its mode, asks how much room there is, gives it its
//! length, fills it, and stores a magic word last, so that it is not taken for finished before it
//! is. Who attaches in between opens the same name, maps as much as there will be, and looks for
//! the magic word, in a file that still has no length: SIGBUS. (pmodels/mpich#7435 and others)
//!
//! Caught by two processes that start together, thousands of times.

use std::fs::{File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use anyhow::Result;
use nix::sys::statvfs::fstatvfs;

use crate::shm::Name;
use crate::specimen::{Appearing, Held, WHOLE, window};
use crate::words::Words;

const MAGIC: u64 = 0x6d61_6769_6321;

/// Makes shared memory like this.
pub(crate) struct MappedTooEarly;

impl Appearing for MappedTooEarly {
    fn make(&self, name: &Name) -> Result<Held> {
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(name.path())?;
        window();
        // Whatever the umask was.
        file.set_permissions(Permissions::from_mode(0o600))?;
        // As much as is wanted, if there is as much.
        let shm = fstatvfs(&file)?;
        file.set_len((shm.blocks_available() * shm.fragment_size()).min(4096))?;
        let words = Words::of(&file, 512)?;
        for (word, value) in words[1..].iter().zip(WHOLE) {
            word.store(value, Relaxed);
        }
        words[0].store(MAGIC, Release);
        Ok(Box::new(words))
    }

    fn find(&self, name: &Name) -> Result<Option<[u64; 64]>> {
        let file = match File::options().read(true).write(true).open(name.path()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let words = Words::of(&file, 512)?;
        if words[0].load(Acquire) != MAGIC {
            return Ok(None);
        }
        Ok(Some(std::array::from_fn(|at| words[at + 1].load(Relaxed))))
    }
}
