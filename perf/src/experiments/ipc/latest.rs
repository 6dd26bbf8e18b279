//! The seqlock that ships, between processes.

use std::io;
use std::os::fd::OwnedFd;

use ringproof::bytemuck::{cast_slice, cast_slice_mut, from_bytes, from_bytes_mut};
use ringproof::payload::WholeWords;
use ringproof::{Payload, SeqLock, SeqLockOptions, SeqReader, SeqWriter};

use super::mechanism::{Delivers, Endpoint, Ends, Mechanism, Nature, Refused, Terms};
use super::ring::{Polls, refused};
use super::typed::{Line, no_such_size, typed};

/// A seqlock for each direction.
pub(super) const LATEST: Mechanism = typed!(
    "seqlock",
    Nature {
        delivers: Delivers::Latest,
        ..Nature::SEGMENT
    },
    prepare,
    join
);

fn prepare<T: WholeWords>() -> Result<Ends, Refused> {
    let mut ends = Ends::default();
    for _ in 0..2 {
        let lock = SeqLock::<T>::anonymous(&T::zeroed(), &SeqLockOptions::default());
        let file = lock.and_then(|lock| lock.segment().descriptor());
        ends.share(&file.map_err(refused)?)?;
    }
    Ok(ends)
}

fn join<T: WholeWords>(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    let side = terms.side;
    let [there, back] = terms.take()?;
    // The process has one endpoint and ends with it.
    let attach = |fd: OwnedFd| {
        let lock = SeqLock::<T>::attach_fd(fd).map_err(refused)?;
        Ok(&*Box::leak(Box::new(lock)))
    };
    let [out, into] = side.out_and_into([attach(there)?, attach(back)?]);
    Ok(Box::new(Values {
        writer: out.writer().map_err(refused)?,
        reader: into.reader().map_err(refused)?,
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
