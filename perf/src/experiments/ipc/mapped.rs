//! The ring that ships, over a mapped file that is not in memory alone.
//!
//! A segment lies in a tmpfs. The ring takes parts, wherever they lie, so here it gets words and
//! slots in the mapping of a file on a disk.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use memmap2::{MmapOptions, MmapRaw};
use ringproof::Payload;
use ringproof::memory::{Native, Slot, Word};
use ringproof::ring::{Consumer, Producer, RingParts};
use ringproof::slots::Slots;

use super::mechanism::{Endpoint, Ends, Lasting, Mechanism, Nature, Refused, Terms};
use super::ring::{Queue, capacity};
use super::typed::{Line, no_such_size, typed};
use super::unnamed::file_on_disk;

/// A file for each direction.
pub(super) const MAPPED_FILE: Mechanism = typed!(
    "ring in a mapped file",
    Nature {
        lasting: Lasting::File,
        ..Nature::SEGMENT
    },
    prepare,
    join
);

/// Words lie this far apart, and the slots behind the last one on pages of their own.
const APART: usize = 256;
const SLOTS: usize = 4096;

fn prepare<T: Payload>() -> Result<Ends, Refused> {
    let mut ends = Ends::default();
    for _ in 0..2 {
        let file = file_on_disk()?;
        let written = lay_out(&file, size_of::<T>());
        written.map_err(|error| Refused::of("the file has no room", error))?;
        ends.share(&file)?;
    }
    Ok(ends)
}

fn join<T: Payload>(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    let side = terms.side;
    let [there, back] = terms.take()?;
    let [out, into] = side.out_and_into([parts::<T>(&there)?, parts::<T>(&back)?]);
    // SAFETY: the file was made for these two processes, each of which is the only producer of
    // one ring and the only consumer of the other; nothing but endpoints accesses the words.
    let (producer, consumer) = unsafe {
        (
            Producer::new(out, Native, ()),
            Consumer::new(into, Native, ()),
        )
    };
    Ok(Box::new(Queue { producer, consumer }))
}

/// Both indices zero, neither side closed, and room for the slots: written, because a hole that a
/// full disk cannot fill kills who stores to it.
fn lay_out(file: &File, size: usize) -> io::Result<()> {
    file.write_all_at(&vec![0; length(size)], 0)
}

fn length(size: usize) -> usize {
    // A number of slots is a small one.
    SLOTS + capacity(size) as usize * size
}

/// The parts of the ring in a file, which stays mapped until the process ends.
fn parts<T: Payload>(file: &OwnedFd) -> Result<RingParts<'static, Native, T>, Refused> {
    let count = capacity(size_of::<T>());
    let map = MmapOptions::new()
        .len(length(size_of::<T>()))
        .populate()
        .map_raw(file);
    let map: &'static MmapRaw =
        Box::leak(Box::new(map.map_err(|error| {
            Refused::of("the file cannot be mapped", error)
        })?));
    let at = |offset: usize| map.as_mut_ptr().wrapping_add(offset);
    // SAFETY: within the mapping, which begins on a page; what the other process may change is
    // atomic.
    let word = |index: usize| unsafe { &*at(index * APART).cast::<Word>() };
    // SAFETY: within the mapping, behind the words; slots are accessed under the ring's protocol.
    let slots = unsafe { std::slice::from_raw_parts(at(SLOTS).cast::<Slot<T>>(), count as usize) };
    let odd = || Refused(format!("{count} slots are not a power of two"));
    Ok(RingParts {
        write_index: word(0),
        read_index: word(1),
        slots: Slots::new(slots).ok_or_else(odd)?,
        capacity: count,
    })
}
