//! Memory that two processes map, for mechanisms that are not made of segments.

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;

use memmap2::{MmapOptions, MmapRaw};
use nix::sys::memfd::{MFdFlags, memfd_create};

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
    let memory = memory(2 * part(size));
    let memory = memory.map_err(|error| Refused::of("no shared memory can be had", error))?;
    let mut ends = Ends::default();
    ends.share(&memory)?;
    Ok(ends)
}

fn memory(length: usize) -> io::Result<File> {
    let file = File::from(memfd_create("ringproof-ipc", MFdFlags::MFD_CLOEXEC)?);
    file.set_len(length as u64)?;
    Ok(file)
}

/// The memory, mapped as long as this lives.
pub(super) struct Mapping {
    map: MmapRaw,
    size: usize,
}

impl Mapping {
    /// Maps the memory for messages of `size` bytes.
    pub(super) fn of(memory: &OwnedFd, size: usize) -> Result<Self, Refused> {
        let map = MmapOptions::new()
            .len(2 * part(size))
            .populate()
            .map_raw(memory)
            .map_err(|error| Refused::of("shared memory cannot be mapped", error))?;
        Ok(Mapping { map, size })
    }

    /// Both parts, there and back.
    pub(super) fn parts(&self) -> [Part<'_>; 2] {
        [0, part(self.size)].map(|offset| Part {
            start: self.map.as_mut_ptr().wrapping_add(offset),
            size: self.size,
            mapping: PhantomData,
        })
    }
}

/// Both parts of memory that stays mapped until the process ends: it has one endpoint, and ends with
/// it.
pub(super) fn map(memory: &OwnedFd, size: usize) -> Result<[Part<'static>; 2], Refused> {
    let mapping: &'static Mapping = Box::leak(Box::new(Mapping::of(memory, size)?));
    Ok(mapping.parts())
}

/// One direction's part of mapped memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    /// A page, within a mapping that is long enough from here.
    start: *mut u8,
    size: usize,
    mapping: PhantomData<&'a Mapping>,
}

impl Part<'_> {
    /// How many slots it has.
    pub(super) fn count(&self) -> usize {
        slots(self.size)
    }

    /// Where the head is: [`HEAD`] bytes, on a page of their own.
    pub(super) fn head<T>(&self) -> *mut T {
        const { assert!(size_of::<T>() <= HEAD && align_of::<T>() <= HEAD) };
        self.start.cast()
    }

    fn slot(&self, index: usize) -> *mut u64 {
        let offset = HEAD + index % self.count() * self.size;
        self.start.wrapping_add(offset).cast()
    }

    /// Copies a message into a slot.
    ///
    /// # Safety
    /// Nobody else accesses the slot meanwhile.
    pub(super) unsafe fn write(&self, index: usize, message: &[u64]) {
        let slot = self.slot(index);
        let words = message.len().min(self.size / 8);
        // SAFETY: the mapping has the slot, with room for a message, and aligned for one, being
        // whole cache lines behind a page; that nobody else accesses it is the caller's promise.
        unsafe { slot.copy_from_nonoverlapping(message.as_ptr(), words) };
    }

    /// Copies a message out of a slot.
    ///
    /// # Safety
    /// Nobody writes to the slot meanwhile.
    pub(super) unsafe fn read(&self, index: usize, message: &mut [u64]) {
        let slot = self.slot(index);
        let words = message.len().min(self.size / 8);
        // SAFETY: as in `write`.
        unsafe { slot.copy_to_nonoverlapping(message.as_mut_ptr(), words) };
    }
}
