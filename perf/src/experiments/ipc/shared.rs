//! What mechanisms share that are not made of segments: memory that two processes map; and what has no name,
//! or one only for a moment in which no signal comes but SIGKILL.

use std::env;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use memmap2::{MmapOptions, MmapRaw};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};

use super::mechanism::{Ends, Refused};

/// What lies at the beginning of each direction's part, before its slots.
pub(super) const HEAD: usize = 4096;

/// How many messages there is room for in each direction: 256 KiB, and some of the largest.
pub(super) fn slots(size: usize) -> usize {
    (256 * 1024 / size).clamp(16, 256)
}

/// The bytes of one direction: its head and its slots.
pub(super) fn part(size: usize) -> usize {
    HEAD + slots(size) * size
}

/// Memory for both directions, in a file without a name.
pub(super) fn prepare(size: usize) -> Result<Ends, Refused> {
    let memory = memory(2 * part(size)).map_err(Refused::of("no shared memory can be had"))?;
    let mut ends = Ends::default();
    ends.share(&memory)?;
    Ok(ends)
}

fn memory(length: usize) -> io::Result<File> {
    let file = File::from(memfd_create("ringproof-ipc", MFdFlags::MFD_CLOEXEC)?);
    file.set_len(length as u64)?;
    Ok(file)
}

/// Both parts of the memory, there and back, for messages of `size` bytes.
pub(super) fn parts(memory: &OwnedFd, size: usize) -> Result<[Part; 2], Refused> {
    let mut options = MmapOptions::new();
    let map = options
        .len(2 * part(size))
        .populate()
        .map_raw(memory)
        .map_err(Refused::of("shared memory cannot be mapped"))?;
    let map = Arc::new(map);
    Ok([0, part(size)].map(|offset| Part {
        start: map.as_mut_ptr().wrapping_add(offset),
        size,
        _map: Arc::clone(&map),
    }))
}

/// How many messages went in and out of one direction.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) received: u64,
}

impl Counts {
    pub(super) fn live(self) -> usize {
        (self.sent - self.received) as usize
    }
}

/// One direction's part of memory, which stays mapped as long as either part lives.
pub(super) struct Part {
    /// A page, within a mapping that is long enough from here.
    start: *mut u8,
    size: usize,
    _map: Arc<MmapRaw>,
}

impl Part {
    /// How many slots it has.
    pub(super) fn count(&self) -> usize {
        slots(self.size)
    }

    /// Where the head is: [`HEAD`] bytes, on a page of their own.
    pub(super) fn head<T>(&self) -> *mut T {
        const { assert!(size_of::<T>() <= HEAD && align_of::<T>() <= HEAD) };
        self.start.cast()
    }

    fn slot(&self, number: u64) -> *mut u64 {
        let offset = HEAD + number as usize % self.count() * self.size;
        self.start.wrapping_add(offset).cast()
    }

    /// Copies a message into a slot.
    ///
    /// # Safety
    /// Nothing else accesses the slot meanwhile.
    pub(super) unsafe fn write(&self, number: u64, message: &[u64]) {
        let slot = self.slot(number);
        let words = message.len().min(self.size / 8);
        // SAFETY: the mapping has the slot, with room for a message, and aligned for one, being
        // whole cache lines behind a page; that nothing else accesses it is the caller's promise.
        unsafe { slot.copy_from_nonoverlapping(message.as_ptr(), words) };
    }

    /// Copies a message out of a slot.
    ///
    /// # Safety
    /// Nothing writes to the slot meanwhile.
    pub(super) unsafe fn read(&self, number: u64, message: &mut [u64]) {
        let slot = self.slot(number);
        let words = message.len().min(self.size / 8);
        // SAFETY: as in `write`.
        unsafe { slot.copy_to_nonoverlapping(message.as_mut_ptr(), words) };
    }
}

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

/// A new file without a name, in the first folder for temporary files that is no tmpfs.
pub(super) fn file_on_disk() -> Result<File, Refused> {
    let mut folders = vec![env::temp_dir(), PathBuf::from("/var/tmp")];
    folders.extend(env::current_dir());
    let on_disk = |folder: &&PathBuf| {
        statfs(folder.as_path()).is_ok_and(|system| system.filesystem_type() != TMPFS_MAGIC)
    };
    let folder = folders.iter().find(on_disk).ok_or_else(|| {
        let tried = folders.iter().map(|folder| folder.display().to_string());
        Refused(format!(
            "each of {} is a tmpfs or cannot be used; TMPDIR may name a folder on a disk",
            tried.collect::<Vec<_>>().join(", ")
        ))
    })?;
    let no_file = format!("no file can be made in {}", folder.display());
    tempfile::tempfile_in(folder).map_err(Refused::of(&no_file))
}
