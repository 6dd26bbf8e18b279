//! S27: a peer makes the file shorter.
//!
//! A mapping outlives the length of its file, and an access beyond that raises SIGBUS, in a process
//! that did nothing wrong. A memory file can be sealed against it; a file with a name cannot, and
//! whoever may write it may do it. (shared-data#7)
//!
//! Caught by a peer that does it.

use std::fs::File;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::Result;

use crate::specimen::Shared;
use crate::words::{Words, memory_file};

const WORDS: usize = 1024;

/// A memory file without a seal.
pub(crate) struct Unsealed(File);

impl Unsealed {
    pub(crate) fn new() -> Result<Self> {
        Ok(Unsealed(memory_file(&[0; WORDS * 8])?))
    }
}

impl Shared for Unsealed {
    fn descriptor(&self) -> Result<File> {
        Ok(self.0.try_clone()?)
    }

    fn use_it(&self, meanwhile: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let words = Words::of(&self.0, WORDS)?;
        let use_all = || words.iter().for_each(|word| word.store(1, Relaxed));
        use_all();
        meanwhile()?;
        use_all();
        Ok(())
    }
}
