//! The ring that ships, between processes: in a segment without a name.

use std::hint;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use ringproof::bytemuck::{cast_slice, cast_slice_mut};
use ringproof::{Consumer, Payload, PopError, Producer, PushError, Ring, RingOptions};

use super::mechanism::{
    Delivers, Endpoint, Ends, Lasting, Mechanism, Nature, Refused, Side, Terms, Trust, Waiting,
};

/// A cache line.
type Line = [u64; 8];

/// Messages live at once: 256 KiB of them, and some of the largest.
pub(super) fn capacity(size: usize) -> u64 {
    (256 * 1024 / size).max(16) as u64
}

/// The ring, a message or several at a time.
pub(super) struct InSegment {
    /// What it is called.
    pub(super) name: &'static str,
    /// Messages at a time.
    pub(super) batch: usize,
}

impl Mechanism for InSegment {
    fn name(&self) -> &'static str {
        self.name
    }

    fn nature(&self) -> Nature {
        Nature {
            crossings: 0,
            delivers: Delivers::Every,
            lasting: Lasting::UntilReboot,
            waiting: Waiting::Polls,
            trust: Trust::Checked,
        }
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn prepare(&self, size: usize) -> Result<Ends, Refused> {
        match size {
            64 => prepare::<[Line; 1]>(),
            1024 => prepare::<[Line; 16]>(),
            65_536 => prepare::<[Line; 1024]>(),
            other => Err(no_such_size(other)),
        }
    }

    fn join(&self, terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
        match terms.size {
            64 => join::<[Line; 1]>(terms),
            1024 => join::<[Line; 16]>(terms),
            65_536 => join::<[Line; 1024]>(terms),
            other => Err(no_such_size(other)),
        }
    }
}

/// Types are made when this program is compiled.
pub(super) fn no_such_size(size: usize) -> Refused {
    Refused(format!(
        "there is no type for a message of {size} bytes in this program"
    ))
}

/// A ring for each direction.
fn prepare<T: Payload>() -> Result<Ends, Refused> {
    let mut ends = Ends::default();
    for _ in 0..2 {
        let options = RingOptions::new(capacity(size_of::<T>()));
        let ring = Ring::<T>::anonymous(&options).map_err(|error| Refused(error.to_string()))?;
        for side in [&mut ends.first, &mut ends.second] {
            let fd = ring.as_fd().try_clone_to_owned();
            side.push(fd.map_err(|error| Refused::of("no descriptor is to be had", error))?);
        }
    }
    Ok(ends)
}

fn join<T: Payload>(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    let side = terms.side;
    let [there, back] = terms.take()?;
    // The process has one endpoint and ends with it.
    let attach = |fd: OwnedFd| Ring::<T>::attach_fd(fd).map(|ring| &*Box::leak(Box::new(ring)));
    let join = || {
        let (there, back) = (attach(there)?, attach(back)?);
        let (out, into) = match side {
            Side::First => (there, back),
            Side::Second => (back, there),
        };
        Ok(Queue {
            producer: out.producer()?,
            consumer: into.consumer()?,
        })
    };
    join()
        .map(|queue| Box::new(queue) as Box<dyn Endpoint>)
        .map_err(|error: ringproof::SegmentError| Refused(error.to_string()))
}

/// The ends of two rings.
pub(super) struct Queue<T: Payload> {
    /// Of the one that this process sends through.
    pub(super) producer: Producer<'static, T>,
    /// Of the other one.
    pub(super) consumer: Consumer<'static, T>,
}

impl<T: Payload> Endpoint for Queue<T> {
    fn send(&mut self, messages: &[u64]) -> io::Result<()> {
        let mut rest: &[T] = cast_slice(messages);
        let mut polls = Polls::default();
        while !rest.is_empty() {
            match self.producer.push_slice(rest) {
                Ok(taken) => rest = &rest[taken..],
                Err(PushError::Full) => polls.wait(),
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
                Err(PopError::Empty) => polls.wait(),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(())
    }
}

/// Waits by asking again.
#[derive(Default)]
pub(super) struct Polls(u32);

impl Polls {
    /// One pause, and once in a long while a chance for the other process, should it wait for this
    /// CPU.
    #[inline(always)]
    pub(super) fn wait(&mut self) {
        hint::spin_loop();
        self.0 = self.0.wrapping_add(1);
        if self.0.is_multiple_of(1 << 14) {
            thread::yield_now();
        }
    }
}
