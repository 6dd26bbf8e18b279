//! The seqlock that ships, between processes.

use std::io;
use std::os::fd::OwnedFd;

use ringproof::bytemuck::{cast_slice, cast_slice_mut, from_bytes, from_bytes_mut};
use ringproof::{Payload, SegmentError, SeqLock, SeqLockOptions, SeqReader, SeqWriter};

use super::mechanism::{
    Delivers, Endpoint, Ends, Lasting, Mechanism, Nature, Refused, Side, Terms, Trust, Waiting,
};
use super::ring::{Line, Polls, copies, no_such_size};

/// A seqlock for each direction.
pub(super) struct Latest;

impl Mechanism for Latest {
    fn name(&self) -> &'static str {
        "seqlock"
    }

    fn nature(&self) -> Nature {
        Nature {
            crossings: 0,
            delivers: Delivers::Latest,
            lasting: Lasting::UntilReboot,
            waiting: Waiting::Polls,
            trust: Trust::Checked,
        }
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

fn prepare<T: Payload>() -> Result<Ends, Refused> {
    let mut ends = Ends::default();
    for _ in 0..2 {
        let lock = SeqLock::<T>::anonymous(&T::zeroed(), &SeqLockOptions::default())
            .map_err(|error| Refused(error.to_string()))?;
        let [one, other] = copies(&*lock)?;
        ends.first.push(one);
        ends.second.push(other);
    }
    Ok(ends)
}

fn join<T: Payload>(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    let side = terms.side;
    let [there, back] = terms.take()?;
    // The process has one endpoint and ends with it.
    let attach = |fd: OwnedFd| SeqLock::<T>::attach_fd(fd).map(|lock| &*Box::leak(Box::new(lock)));
    let join = || {
        let (there, back) = (attach(there)?, attach(back)?);
        let (out, into) = match side {
            Side::First => (there, back),
            Side::Second => (back, there),
        };
        Ok(Values {
            writer: out.writer()?,
            reader: into.reader()?,
            last: 0,
        })
    };
    join()
        .map(|values| Box::new(values) as Box<dyn Endpoint>)
        .map_err(|error: SegmentError| Refused(error.to_string()))
}

/// The ends of two seqlocks.
struct Values<T: Payload> {
    writer: SeqWriter<'static, T>,
    reader: SeqReader<'static, T>,
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
            polls.wait();
        }
    }
}
