//! Memory that processes share and that is no segment of the library's: files in memory, and words of them, where
//! processes meet and of which the specimens are made.

use std::fs::File;
use std::ops::Deref;
use std::os::unix::fs::FileExt;
use std::sync::atomic::AtomicU64;

use anyhow::{Context, Result};
use memmap2::{MmapOptions, MmapRaw};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::shm::Name;

/// A file in memory with these bytes, without a name.
pub(crate) fn memory_file(bytes: &[u8]) -> Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = memfd_create("ringproof-stress", flags).context("cannot make a memory file")?;
    let file = File::from(file);
    (file.write_all_at(bytes, 0)).context("cannot fill a memory file")?;
    Ok(file)
}

/// The same, sealed as a segment is.
pub(crate) fn sealed_file(bytes: &[u8]) -> Result<File> {
    let file = memory_file(bytes)?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).context("cannot seal a memory file")?;
    Ok(file)
}

/// The bytes of a file.
pub(crate) fn bytes_of(file: &File) -> Result<Vec<u8>> {
    let len = file.metadata().context("no properties of a file")?.len();
    let mut bytes = vec![0; len as usize];
    (file.read_exact_at(&mut bytes, 0)).context("cannot read a file")?;
    Ok(bytes)
}

/// The word that lies `at` bytes from the start of these.
pub(crate) fn word_of(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(std::array::from_fn(|byte| bytes[at + byte]))
}

pub(crate) fn set_word(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
}

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
        Words::of(&memory_file(&vec![0; count * 8])?, count)
    }

    /// Those of a file of this name, which is made if there is none.
    pub(crate) fn open(name: &Name, count: usize) -> Result<Words> {
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options.open(name.path())?;
        file.set_len(count as u64 * 8)?;
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
