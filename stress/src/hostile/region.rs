//! Memory between pages that must not be touched: an access outside it ends the process.

use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

use anyhow::{Context, Result, ensure};
use nix::libc::c_void;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, mprotect, munmap};
use ringproof::Payload;
use ringproof::memory::{Native, Slot, Word};
use ringproof::ring::RingParts;
use ringproof::sleep::SleepWords;
use ringproof::slots::Slots;

const PAGE: usize = 4096;

/// Untouchable bytes on either side. An index that is wrong by a little lands here; more than
/// this and it lands, with luck, where nothing is mapped.
const GUARD: usize = 256 * PAGE;

const USABLE: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

/// At which end of its pages the memory lies, directly beside a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    /// An access before the first byte is caught.
    Left,
    /// An access after the last byte is caught.
    Right,
}

/// Zeroed memory, or the pages of a file, between guards.
pub(crate) struct Guarded {
    mapping: NonNull<c_void>,
    mapped: usize,
    start: NonNull<u8>,
    // Invariant: the `len` bytes from `start` are mapped, readable and writable for the life of
    // this, and nothing else in this process knows of them.
    len: usize,
}

impl Guarded {
    /// `len` bytes of this process's own.
    pub(crate) fn new(len: usize, edge: Edge) -> Result<Guarded> {
        Guarded::zeroed(len, edge, MapFlags::MAP_PRIVATE)
    }

    fn zeroed(len: usize, edge: Edge, sharing: MapFlags) -> Result<Guarded> {
        let pages = len.next_multiple_of(PAGE).max(PAGE);
        let mut guarded = Guarded::reserve(pages, sharing)?;
        // SAFETY: these pages are ours alone, by the call above, and no reference to them exists.
        unsafe { mprotect(guarded.start.cast(), pages, USABLE) }
            .context("cannot make memory between guard pages usable")?;
        let skipped = match edge {
            Edge::Left => 0,
            Edge::Right => pages - len,
        };
        // SAFETY: `skipped` is at most the bytes of the pages that start there.
        guarded.start = unsafe { guarded.start.add(skipped) };
        guarded.len = len;
        Ok(guarded)
    }

    /// The first `len` bytes of a file, which may be shorter, from a page's beginning.
    pub(crate) fn of_file(file: BorrowedFd<'_>, len: usize) -> Result<Guarded> {
        ensure!(len.is_multiple_of(PAGE), "a mapping of {len} bytes");
        let guarded = Guarded::reserve(len, MapFlags::MAP_PRIVATE)?;
        let pages = NonZeroUsize::new(len).context("a mapping of no bytes")?;
        // SAFETY: the fixed address is that of pages reserved above, which are ours alone.
        unsafe {
            mmap(
                Some(guarded.start.addr()),
                pages,
                USABLE,
                MapFlags::MAP_SHARED | MapFlags::MAP_FIXED,
                file,
                0,
            )
        }
        .context("cannot map a file between guard pages")?;
        Ok(guarded)
    }

    /// Address space for `len` bytes, a multiple of a page, between guards.
    fn reserve(len: usize, sharing: MapFlags) -> Result<Guarded> {
        let mapped = len + 2 * GUARD;
        let size = NonZeroUsize::new(mapped).context("no memory asked for")?;
        // SAFETY: at an address that the kernel chooses, so that nothing is replaced.
        let mapping = unsafe {
            mmap_anonymous(
                None,
                size,
                ProtFlags::PROT_NONE,
                sharing | MapFlags::MAP_NORESERVE,
            )
        }
        .context("cannot reserve memory between guard pages")?;
        Ok(Guarded {
            mapping,
            mapped,
            // SAFETY: the mapping is longer than its first guard.
            start: unsafe { mapping.cast::<u8>().add(GUARD) },
            len,
        })
    }

    /// The first byte. Who goes through it keeps to the bounds, or is caught.
    pub(crate) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// The first `count` words.
    pub(crate) fn words(&self, count: usize) -> Result<&[Word]> {
        // SAFETY: a word is atomic, and any bit pattern is a value of it.
        unsafe { self.cells(count) }
    }

    /// The first `count` slots.
    pub(crate) fn slots<T: Payload>(&self, count: usize) -> Result<&[Slot<T>]> {
        // SAFETY: a slot is accessed through `Memory` alone, and any bit pattern is a payload.
        unsafe { self.cells(count) }
    }

    /// # Safety
    /// Any bit pattern is a `C`, and it is made for memory that others write.
    unsafe fn cells<C>(&self, count: usize) -> Result<&[C]> {
        let start = self.start.cast::<C>();
        ensure!(
            start.is_aligned() && count * size_of::<C>() <= self.len,
            "no room for {count} cells in {} bytes",
            self.len
        );
        // SAFETY: aligned and within the memory, which lives as long as `self`; the caller vouches
        // for the type.
        Ok(unsafe { std::slice::from_raw_parts(start.as_ptr(), count) })
    }
}

/// A ring of which the words and the slots lie between guards.
pub(crate) struct RingMemory {
    words: Guarded,
    slots: Guarded,
    count: usize,
}

impl RingMemory {
    /// One of so many slots, which forked children share or do not.
    pub(crate) fn new<T: Payload>(slots: u64, edge: Edge, shared: bool) -> Result<RingMemory> {
        let sharing = match shared {
            true => MapFlags::MAP_SHARED,
            false => MapFlags::MAP_PRIVATE,
        };
        Ok(RingMemory {
            words: Guarded::zeroed(6 * size_of::<u64>(), edge, sharing)?,
            slots: Guarded::zeroed(slots as usize * size_of::<T>(), edge, sharing)?,
            count: slots as usize,
        })
    }

    pub(crate) fn cells<T: Payload>(&self) -> Result<&[Slot<T>]> {
        self.slots.slots(self.count)
    }

    pub(crate) fn parts<T: Payload>(&self, capacity: u64) -> Result<RingParts<'_, Native, T>> {
        let words = self.words.words(6)?;
        Ok(RingParts {
            write_index: &words[0],
            read_index: &words[1],
            for_items: sleep_words(&words[2..]),
            for_room: sleep_words(&words[4..]),
            slots: Slots::new(self.cells()?).context("no power of two")?,
            capacity,
        })
    }
}

/// The first two of these.
pub(crate) fn sleep_words(words: &[Word]) -> SleepWords<'_, Native> {
    SleepWords {
        asks: &words[0],
        answers: &words[1],
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: the whole mapping, which is ours; what was lent of it is bound to `self`. There
        // is nothing to be done about a failure.
        let _ = unsafe { munmap(self.mapping, self.mapped) };
    }
}
