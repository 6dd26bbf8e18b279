//! What ships, between processes: the ring and the seqlock in segments without a name, and the ring over
//! a mapped file.
//!
//! Messages have a type here: for each size that is measured there is one, a word or an array of cache lines.

use std::fs::File;
use std::hint;
use std::io;
use std::os::unix::fs::FileExt;
use std::thread;

use memmap2::{MmapOptions, MmapRaw};
use ringproof::bytemuck::{cast_slice, cast_slice_mut, from_bytes, from_bytes_mut};
use ringproof::memory::{Native, Slot, Word};
use ringproof::payload::WholeWords;
use ringproof::ring::{Consumer, Producer, RingParts};
use ringproof::sleep::SleepWords;
use ringproof::slots::Slots;
use ringproof::{
    Payload, PopError, PushError, Ring, RingOptions, SegmentError, SeqLock, SeqLockOptions,
    SeqReader, SeqWriter, Wait, WaitError,
};

use super::mechanism::{
    Delivers, Endpoint, Ends, Lasting, Mechanism, Nature, Refused, Terms, Waiting,
};
use super::shared::file_on_disk;
use crate::cpus::stands;
use crate::together::Turn;

/// A cache line.
type Line = [u64; 8];

/// A mechanism of two functions that are written once for all types, which are whole words because
/// some are seqlocks.
macro_rules! typed {
    ($name:literal, $nature:expr, $prepare:ident, $join:ident) => {
        Mechanism::new(
            $name,
            $nature,
            |size| match size {
                8 => $prepare::<u64>(),
                64 => $prepare::<[Line; 1]>(),
                1024 => $prepare::<[Line; 16]>(),
                65_536 => $prepare::<[Line; 1024]>(),
                other => Err(no_such_size(other)),
            },
            |terms| match terms.size {
                8 => $join::<u64>(terms),
                64 => $join::<[Line; 1]>(terms),
                1024 => $join::<[Line; 16]>(terms),
                65_536 => $join::<[Line; 1024]>(terms),
                other => Err(no_such_size(other)),
            },
        )
    };
}

/// Types are made when this program is compiled.
fn no_such_size(size: usize) -> Refused {
    Refused(format!(
        "there is no type for a message of {size} bytes in this program"
    ))
}

/// The ring, one message at a time.
pub(super) const RING: Mechanism = typed!("ring, one by one", Nature::SEGMENT, rings, join_rings);

/// The same by the operations that wait, spinning.
pub(super) const RING_THAT_SPINS: Mechanism =
    typed!("ring, Wait::Spin", Nature::SEGMENT, rings, join_spinning);

/// By those that wait as they do by default: spinning, then asleep.
pub(super) const RING_THAT_SLEEPS: Mechanism = typed!(
    "ring, Wait::Sleep",
    Nature {
        waiting: Waiting::PollsFirst,
        ..Nature::SEGMENT
    },
    rings,
    join_sleeping
);

/// The ring, several messages at a time.
pub(super) const RING_IN_BATCHES: Mechanism = Mechanism {
    name: "ring, batches of 16",
    batch: 16,
    ..RING
};

/// The ring over a file for each direction. A segment lies in a tmpfs; the ring takes parts, wherever
/// they lie, so here it gets words and slots in the mapping of a file on a disk.
pub(super) const MAPPED_FILE: Mechanism = typed!(
    "ring in a mapped file",
    Nature {
        lasting: Lasting::File,
        ..Nature::SEGMENT
    },
    files,
    join_files
);

/// A seqlock for each direction.
pub(super) const LATEST: Mechanism = typed!(
    "seqlock",
    Nature {
        delivers: Delivers::Latest,
        ..Nature::SEGMENT
    },
    seqlocks,
    join_seqlocks
);

/// Messages live at once: 256 KiB of them, and some of the largest.
pub(super) fn capacity(size: usize) -> u64 {
    (256 * 1024 / size).max(16) as u64
}

impl From<SegmentError> for Refused {
    fn from(error: SegmentError) -> Self {
        Refused(error.to_string())
    }
}

fn rings<T: Payload>() -> Result<Ends, Refused> {
    let options = RingOptions::new(capacity(size_of::<T>()));
    Ends::sharing(|| Ok(Ring::<T>::anonymous(&options)?.segment().descriptor()?))
}

fn join_rings<T: Payload>(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    let [out, into] = terms.out_and_into()?;
    Ok(Box::new(Queue {
        producer: Ring::<T>::attach_fd(out)?.producer()?,
        consumer: Ring::<T>::attach_fd(into)?.consumer()?,
    }))
}

fn join_spinning<T: Payload>(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    join_waiting::<T>(terms, Wait::Spin)
}

fn join_sleeping<T: Payload>(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    join_waiting::<T>(terms, Wait::Sleep)
}

fn join_waiting<T: Payload>(terms: Terms, how: Wait) -> Result<Box<dyn Endpoint>, Refused> {
    let [out, into] = terms.out_and_into()?;
    Ok(Box::new(WaitingQueue {
        producer: Ring::<T>::attach_fd(out)?.producer()?.with_wait(how),
        consumer: Ring::<T>::attach_fd(into)?.consumer()?.with_wait(how),
        turn: Turn::default(),
    }))
}

/// The ends of two rings.
struct Queue<T: Payload, K> {
    /// Of the one that this process sends through.
    producer: Producer<'static, T, Native, K>,
    /// Of the other one.
    consumer: Consumer<'static, T, Native, K>,
}

impl<T: Payload, K> Endpoint for Queue<T, K> {
    fn send(&mut self, messages: &[u64]) -> io::Result<()> {
        let mut polls = Polls::default();
        send_all(messages, |rest| match self.producer.push_slice(rest) {
            Err(PushError::Full) => polls.wait().map(|()| 0),
            outcome => outcome.map_err(io::Error::other),
        })
    }

    fn receive(&mut self, messages: &mut [u64]) -> io::Result<()> {
        let mut polls = Polls::default();
        receive_all(messages, |rest| match self.consumer.pop_slice(rest) {
            Err(PopError::Empty) => polls.wait().map(|()| 0),
            outcome => outcome.map_err(io::Error::other),
        })
    }
}

/// The same, whose operations wait.
struct WaitingQueue<T: Payload> {
    producer: ringproof::Producer<T>,
    consumer: ringproof::Consumer<T>,
    turn: Turn,
}

impl<T: Payload> Endpoint for WaitingQueue<T> {
    fn send(&mut self, messages: &[u64]) -> io::Result<()> {
        let WaitingQueue { producer, turn, .. } = self;
        send_all(messages, |rest| {
            match turn.attempt(|until| producer.wait_until(until).push_slice(rest)) {
                Err(WaitError::TimedOut) => look().map(|()| 0),
                outcome => outcome.map_err(io::Error::other),
            }
        })
    }

    fn receive(&mut self, messages: &mut [u64]) -> io::Result<()> {
        let WaitingQueue { consumer, turn, .. } = self;
        receive_all(messages, |rest| {
            match turn.attempt(|until| consumer.wait_until(until).pop_slice(rest)) {
                Err(WaitError::TimedOut) => look().map(|()| 0),
                outcome => outcome.map_err(io::Error::other),
            }
        })
    }
}

/// Sends all, as many at a time as `some` says that it took.
#[inline(always)]
fn send_all<T: Payload>(
    messages: &[u64],
    mut some: impl FnMut(&[T]) -> io::Result<usize>,
) -> io::Result<()> {
    let mut rest: &[T] = cast_slice(messages);
    while !rest.is_empty() {
        rest = &rest[some(rest)?..];
    }
    Ok(())
}

/// Receives all, as many at a time as `some` says that it took.
#[inline(always)]
fn receive_all<T: Payload>(
    messages: &mut [u64],
    mut some: impl FnMut(&mut [T]) -> io::Result<usize>,
) -> io::Result<()> {
    let mut rest: &mut [T] = cast_slice_mut(messages);
    while !rest.is_empty() {
        let taken = some(rest)?;
        rest = &mut rest[taken..];
    }
    Ok(())
}

/// Waits by asking again. Whoever started this process has a deadline for it.
#[derive(Debug, Default)]
pub struct Polls(u32);

impl Polls {
    /// One pause, and once in a long while a chance for the other process, should it wait for this
    /// CPU.
    ///
    /// # Errors
    /// [`Gone`](crate::cpus::Gone), if the CPU of this process was taken away.
    #[inline(always)]
    pub fn wait(&mut self) -> io::Result<()> {
        hint::spin_loop();
        self.0 = self.0.wrapping_add(1);
        match self.0.is_multiple_of(1 << 14) {
            true => look(),
            false => Ok(()),
        }
    }
}

#[cold]
#[inline(never)]
fn look() -> io::Result<()> {
    stands().map_err(io::Error::other)?;
    thread::yield_now();
    Ok(())
}

/// In a file, words lie this far apart, and the slots behind the last one on pages of their own.
const APART: usize = 256;
const SLOTS: usize = 4096;

fn length(size: usize) -> usize {
    // A number of slots is a small one.
    SLOTS + capacity(size) as usize * size
}

fn files<T: Payload>() -> Result<Ends, Refused> {
    Ends::sharing(|| {
        let file = file_on_disk()?;
        // Both indices zero, neither side closed, and room for the slots: written, because a hole that
        // a full disk cannot fill kills who stores to it.
        let written = file.write_all_at(&vec![0; length(size_of::<T>())], 0);
        written.map_err(Refused::of("the file has no room"))?;
        Ok(file)
    })
}

fn join_files<T: Payload>(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    let [out, into] = terms.out_and_into()?.map(File::from);
    let ((out, out_map), (into, into_map)) = (parts::<T>(&out)?, parts::<T>(&into)?);
    // SAFETY: the file was made for these two processes, each of which is the only producer of
    // one ring and the only consumer of the other; nothing but endpoints accesses the words. Each end
    // keeps the mapping that its parts lie in.
    let (producer, consumer) = unsafe {
        (
            Producer::new(out, Native, out_map),
            Consumer::new(into, Native, into_map),
        )
    };
    Ok(Box::new(Queue { producer, consumer }))
}

/// The parts of the ring in a file, for as long as the mapping lives that comes with them.
fn parts<T: Payload>(file: &File) -> Result<(RingParts<'static, Native, T>, MmapRaw), Refused> {
    let count = capacity(size_of::<T>());
    let mut options = MmapOptions::new();
    let map = options
        .len(length(size_of::<T>()))
        .populate()
        .map_raw(file)
        .map_err(Refused::of("the file cannot be mapped"))?;
    let at = |offset: usize| map.as_mut_ptr().wrapping_add(offset);
    // SAFETY: within the mapping, which begins on a page; what the other process may change is
    // atomic. The only caller gives the mapping to the end that it makes of the parts.
    let word = |index: usize| unsafe { &*at(index * APART).cast::<Word>() };
    let sleep = |index: usize| SleepWords {
        asks: word(index),
        answers: word(index + 1),
    };
    // SAFETY: likewise, behind the words; slots are accessed under the ring's protocol.
    let slots = unsafe { std::slice::from_raw_parts(at(SLOTS).cast::<Slot<T>>(), count as usize) };
    let odd = || Refused(format!("{count} slots are not a power of two"));
    let parts = RingParts {
        write_index: word(0),
        read_index: word(1),
        for_items: sleep(2),
        for_room: sleep(4),
        slots: Slots::new(slots).ok_or_else(odd)?,
        capacity: count,
    };
    Ok((parts, map))
}

fn seqlocks<T: WholeWords>() -> Result<Ends, Refused> {
    let (first, options) = (T::zeroed(), SeqLockOptions::default());
    Ends::sharing(|| {
        Ok(SeqLock::anonymous(&first, &options)?
            .segment()
            .descriptor()?)
    })
}

fn join_seqlocks<T: WholeWords>(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    let [out, into] = terms.out_and_into()?;
    Ok(Box::new(Values {
        writer: SeqLock::<T>::attach_fd(out)?.writer()?,
        reader: SeqLock::<T>::attach_fd(into)?.reader()?,
        last: 0,
    }))
}

/// The ends of two seqlocks.
struct Values<T: Payload> {
    writer: SeqWriter<T>,
    reader: SeqReader<T>,
    /// The first word of the value that was read last: the message's number.
    last: u64,
}

impl<T: Payload> Endpoint for Values<T> {
    fn send(&mut self, messages: &[u64]) -> io::Result<()> {
        self.writer.write(from_bytes(cast_slice(messages)));
        Ok(())
    }

    fn receive(&mut self, messages: &mut [u64]) -> io::Result<()> {
        let mut polls = Polls::default();
        loop {
            let value: &mut T = from_bytes_mut(cast_slice_mut(messages));
            if self.reader.try_read_into(value).is_ok() && messages[0] != self.last {
                self.last = messages[0];
                return Ok(());
            }
            polls.wait()?;
        }
    }
}
