//! Memory that two processes map, for mechanisms that are not made of segments.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;

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

/// One direction's part of mapped memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    start: NonNull<u8>,
    size: usize,
    count: usize,
}

/// Both parts of the memory, there and back. They stay mapped until the process ends.
pub(super) fn map(fd: &OwnedFd, size: usize) -> Result<[Part; 2], Refused> {
    let length = 2 * part(size);
    let map = MmapOptions::new().len(length).populate().map_raw(fd);
    let map: &'static MmapRaw =
        Box::leak(Box::new(map.map_err(|error| {
            Refused::of("shared memory cannot be mapped", error)
        })?));
    let [Some(start), Some(second)] = [0, part(size)].map(|offset| {
        // Within the mapping, which is two parts long.
        NonNull::new(map.as_mut_ptr().wrapping_add(offset))
    }) else {
        return Err(Refused("shared memory was mapped at no address".to_owned()));
    };
    let count = slots(size);
    Ok([start, second].map(|start| Part { start, size, count }))
}

impl Part {
    /// How many slots it has.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Where the head is: [`HEAD`] bytes, on a page of their own.
    pub(super) fn head<T>(&self) -> NonNull<T> {
        const { assert!(size_of::<T>() <= HEAD && align_of::<T>() <= HEAD) };
        self.start.cast()
    }

    /// Where the slots are, one message after the other.
    pub(super) fn slots(&self) -> NonNull<u8> {
        // SAFETY: a part has its slots after its head.
        unsafe { self.start.add(HEAD) }
    }

    fn slot(&self, index: usize) -> *mut u64 {
        // SAFETY: the number is below that of the slots, which lie behind the head.
        unsafe { self.slots().add(index % self.count * self.size) }
            .cast()
            .as_ptr()
    }

    /// Copies a message into a slot.
    ///
    /// # Safety
    /// Nobody else accesses the slot meanwhile.
    pub(super) unsafe fn write(&self, index: usize, message: &[u64]) {
        debug_assert_eq!(size_of_val(message), self.size);
        // SAFETY: a slot has room for a message and is aligned for one, being whole cache lines
        // behind a page; that nobody else accesses it is the caller's promise.
        unsafe {
            self.slot(index)
                .copy_from_nonoverlapping(message.as_ptr(), self.size / 8)
        };
    }

    /// Copies a message out of a slot.
    ///
    /// # Safety
    /// Nobody writes to the slot meanwhile.
    pub(super) unsafe fn read(&self, index: usize, message: &mut [u64]) {
        debug_assert_eq!(size_of_val(message), self.size);
        // SAFETY: as in `write`.
        unsafe {
            self.slot(index)
                .copy_to_nonoverlapping(message.as_mut_ptr(), self.size / 8)
        };
    }
}
