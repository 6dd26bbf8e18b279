//! Words of memory that processes share and that are no segment: where processes meet, and what
//! the specimens are made of.

use std::fs::File;
use std::ops::Deref;
use std::sync::atomic::AtomicU64;

use anyhow::{Context, Result};
use memmap2::{MmapOptions, MmapRaw};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// Words of a mapped file. Forked children share them.
///
/// The file need not be as long as that: as in any program that maps first and asks later, an
/// access beyond its end raises SIGBUS.
pub(crate) struct Words {
    map: MmapRaw,
    count: usize,
}

impl Words {
    /// New words, all zero.
    pub(crate) fn new(count: usize) -> Result<Words> {
        let file: File = memfd_create("words", MFdFlags::MFD_CLOEXEC)
            .context("cannot create a memory file")?
            .into();
        file.set_len(count as u64 * 8)
            .context("cannot make a memory file longer")?;
        Words::of(&file, count)
    }

    /// The first words of a file.
    pub(crate) fn of(file: &File, count: usize) -> Result<Words> {
        let map = (MmapOptions::new().len(count * 8).map_raw(file)).context("cannot map a file")?;
        Ok(Words { map, count })
    }
}

impl Deref for Words {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, as long as that, and lives as long as `self`; an
        // atomic word has no invalid value, and whoever else has the file stores words to it.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast::<AtomicU64>(), self.count) }
    }
}
