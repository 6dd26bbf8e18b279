//! The ring that ships, between processes: in a segment without a name.

use std::hint;
use std::io;
use std::os::fd::OwnedFd;
use std::thread;

use ringproof::bytemuck::{cast_slice, cast_slice_mut};
use ringproof::memory::Native;
use ringproof::ring::{Consumer, Producer};
use ringproof::{Payload, PopError, PushError, Ring, RingOptions, SegmentError};

use super::mechanism::{Endpoint, Ends, Mechanism, Nature, Refused, Terms};
use super::typed::{Line, no_such_size, typed};
use crate::cpus::stands;

/// Messages live at once: 256 KiB of them, and some of the largest.
pub(super) fn capacity(size: usize) -> u64 {
    (256 * 1024 / size).max(16) as u64
}

/// The ring, one message at a time.
pub(super) const RING: Mechanism = typed!("ring, one by one", Nature::SEGMENT, prepare, join);

/// The same, several at a time.
pub(super) const RING_IN_BATCHES: Mechanism = Mechanism {
    name: "ring, batches of 16",
    batch: 16,
    ..RING
};

fn prepare<T: Payload>() -> Result<Ends, Refused> {
    let mut ends = Ends::default();
    for _ in 0..2 {
        let options = RingOptions::new(capacity(size_of::<T>()));
        let file = Ring::<T>::anonymous(&options).and_then(|ring| ring.segment().descriptor());
        ends.share(&file.map_err(refused)?)?;
    }
    Ok(ends)
}

fn join<T: Payload>(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    let side = terms.side;
    let [there, back] = terms.take()?;
    // The process has one endpoint and ends with it.
    let attach = |fd: OwnedFd| {
        let ring = Ring::<T>::attach_fd(fd).map_err(refused)?;
        Ok(&*Box::leak(Box::new(ring)))
    };
    let [out, into] = side.out_and_into([attach(there)?, attach(back)?]);
    Ok(Box::new(Queue {
        producer: out.producer().map_err(refused)?,
        consumer: into.consumer().map_err(refused)?,
    }))
}

/// What a segment says when it cannot be made or attached to.
pub(super) fn refused(error: SegmentError) -> Refused {
    Refused(error.to_string())
}

/// The ends of two rings.
pub(super) struct Queue<T: Payload, K> {
    /// Of the one that this process sends through.
    pub(super) producer: Producer<'static, T, Native, K>,
    /// Of the other one.
    pub(super) consumer: Consumer<'static, T, Native, K>,
}

impl<T: Payload, K> Endpoint for Queue<T, K> {
    fn send(&mut self, messages: &[u64]) -> io::Result<()> {
        let mut rest: &[T] = cast_slice(messages);
        let mut polls = Polls::default();
        while !rest.is_empty() {
            match self.producer.push_slice(rest) {
                Ok(taken) => rest = &rest[taken..],
                Err(PushError::Full) => polls.wait()?,
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(())
    }

    fn receive(&mut self, messages: &mut [u64]) -> io::Result<()> {
        let mut rest: &mut [T] = cast_slice_mut(messages);
        let mut polls = Polls::default();
        while !rest.is_empty() {
            match self.consumer.pop_slice(rest) {
                Ok(taken) => rest = &mut rest[taken..],
                Err(PopError::Empty) => polls.wait()?,
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(())
    }
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
