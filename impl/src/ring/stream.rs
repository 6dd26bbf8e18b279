//! A ring of bytes as a stream: the ends of a pipe that never blocks, and of one that does.

use std::io;

use super::{Consumer, PopError, Producer, PushError};
use crate::memory::Memory;
use crate::seqlock::Watch;
use crate::wait::{WaitError, Waiting};

/// [`WouldBlock`](io::ErrorKind::WouldBlock) of a full ring, which costs no memory;
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe) of one that either side closed,
/// [`InvalidInput`](io::ErrorKind::InvalidInput) of too many items at once and
/// [`InvalidData`](io::ErrorKind::InvalidData) of a corrupt one, with the error itself inside.
impl From<PushError> for io::Error {
    fn from(error: PushError) -> io::Error {
        let kind = match error {
            PushError::Full => return io::ErrorKind::WouldBlock.into(),
            PushError::Closed | PushError::PeerClosed => io::ErrorKind::BrokenPipe,
            PushError::TooMany { .. } => io::ErrorKind::InvalidInput,
            PushError::Corrupt(_) => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}

/// [`WouldBlock`](io::ErrorKind::WouldBlock) of an empty ring, which costs no memory;
/// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) of one that has ended,
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe) of one that was closed from this side,
/// [`InvalidInput`](io::ErrorKind::InvalidInput) of too many items at once and
/// [`InvalidData`](io::ErrorKind::InvalidData) of a corrupt one, with the error itself inside.
impl From<PopError> for io::Error {
    fn from(error: PopError) -> io::Error {
        let kind = match error {
            PopError::Empty => return io::ErrorKind::WouldBlock.into(),
            PopError::PeerClosed => io::ErrorKind::UnexpectedEof,
            PopError::Closed => io::ErrorKind::BrokenPipe,
            PopError::TooMany { .. } => io::ErrorKind::InvalidInput,
            PopError::Corrupt(_) => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}

/// As into a pipe that never blocks. What `write` has taken is committed, and visible to the consumer, when it
/// returns; so `flush` has nothing to do. Dropping the producer ends nothing: that is
/// [`close`](Producer::close).
///
/// # Errors
/// [`WouldBlock`](io::ErrorKind::WouldBlock) if the ring is full: also in the middle of a
/// [`write_all`](io::Write::write_all), which then does not say how much it has written. Who wants to
/// wait calls [`write`](io::Write::write) again. [`BrokenPipe`](io::ErrorKind::BrokenPipe) if either side closed the
/// ring, and [`InvalidData`](io::ErrorKind::InvalidData) if it is corrupt, with the [`PushError`] inside.
///
/// ```
/// use std::io::{BufRead, BufReader, ErrorKind, Write};
///
/// use ringproof::{Ring, RingOptions};
///
/// let ring = Ring::<u8>::anonymous(&RingOptions::new(16))?;
/// let mut producer = ring.producer()?;
/// writeln!(producer, "one line")?;
/// assert_eq!(producer.write(b"and another")?, 7);
/// assert_eq!(producer.write(b"ther").unwrap_err().kind(), ErrorKind::WouldBlock);
/// producer.close();
/// let lines = BufReader::new(ring.consumer()?).lines().collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(lines, ["one line", "and ano"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl<M: Memory, K> io::Write for Producer<'_, u8, M, K> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.push_slice(bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As out of a pipe that never blocks. `Ok(0)`, the end, comes when the producer has
/// [closed](Producer::close) the ring and all was read; from a producer that is gone without having closed it
/// more may come, from its successor. What `read` has given is released when it returns: a reader that must not
/// lose it to its own crash uses [`peek`](Consumer::peek).
///
/// # Errors
/// [`WouldBlock`](io::ErrorKind::WouldBlock) if the ring is empty: also in the middle of what reads on until
/// there is enough, of which [`read_exact`](io::Read::read_exact) then loses what it has, and
/// [`read_to_end`](io::Read::read_to_end) does not. [`BrokenPipe`](io::ErrorKind::BrokenPipe) if it was
/// closed from this side, and [`InvalidData`](io::ErrorKind::InvalidData) if it is corrupt, with the
/// [`PopError`] inside.
impl<M: Memory, K> io::Read for Consumer<'_, u8, M, K> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self.pop_slice(bytes) {
            Err(PopError::PeerClosed) => Ok(0),
            taken => Ok(taken?),
        }
    }
}

/// [`TimedOut`](io::ErrorKind::TimedOut), [`BrokenPipe`](io::ErrorKind::BrokenPipe) where the peer is gone,
/// [`Interrupted`](io::ErrorKind::Interrupted), or that of
/// the refusal; with the error itself inside.
impl<E> From<WaitError<E>> for io::Error
where
    io::Error: From<E>,
    WaitError<E>: std::error::Error + Send + Sync + 'static,
{
    fn from(error: WaitError<E>) -> io::Error {
        let kind = match error {
            WaitError::TimedOut => io::ErrorKind::TimedOut,
            WaitError::PeerGone => io::ErrorKind::BrokenPipe,
            WaitError::Interrupted => io::ErrorKind::Interrupted,
            WaitError::Refused(refusal) => return refusal.into(),
        };
        io::Error::new(kind, error)
    }
}

/// As into a pipe: it waits while the ring is full, until the moment that was said when this was made.
///
/// # Errors
/// Those of [`WaitError`] as an [`io::Error`]; [`TimedOut`](io::ErrorKind::TimedOut) in the middle of a
/// [`write_all`](io::Write::write_all) does not say how much was written.
///
/// ```
/// use std::io::{Read, Write};
///
/// use ringproof::{Ring, RingOptions};
///
/// let ring = Ring::<u8>::anonymous(&RingOptions::new(16))?;
/// let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
/// let sender = std::thread::spawn(move || {
///     let written = producer.wait().write_all(&[7; 1000]);
///     producer.close();
///     written
/// });
/// let mut bytes = Vec::new();
/// consumer.wait().read_to_end(&mut bytes)?;
/// assert_eq!(bytes, [7; 1000]);
/// sender.join().expect("no panic")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl<M: Memory, K: Watch> io::Write for Waiting<'_, Producer<'_, u8, M, K>> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.again().push_slice(bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As out of a pipe: it waits while the ring is empty, until the moment that was said when this was made. `Ok(0)`, the
/// end, comes when the producer has [closed](Producer::close) the ring and all was read.
///
/// # Errors
/// Those of [`WaitError`] as an [`io::Error`]; a producer that is gone without having closed the ring is
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe), when all was read.
impl<M: Memory, K: Watch> io::Read for Waiting<'_, Consumer<'_, u8, M, K>> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self.again().pop_slice(bytes) {
            Err(WaitError::Refused(PopError::PeerClosed)) => Ok(0),
            taken => Ok(taken?),
        }
    }
}
