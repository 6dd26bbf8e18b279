//! The operations of a ring's ends in the form that waits.

use super::{Consumer, PopError, Producer, PushError, ReadChunk, WriteChunk};
use crate::memory::{CellsOf, Memory};
use crate::payload::Payload;
use crate::seqlock::Watch;
use crate::sleep::SleepWords;
use crate::wait::{Look, Wait, WaitError, Waiting, Waits, wait, waits};

impl<T: Payload, M: Memory, K> Producer<'_, T, M, K> {
    /// This end with another way to [wait](crate::wait).
    pub fn with_wait(mut self, how: Wait) -> Self {
        self.wait = how;
        self
    }

    waits!(&mut Self, Waiting<'_, Self>, |end, limit| Waiting {
        end,
        limit
    });
}

impl<T: Payload, M: Memory, K> Consumer<'_, T, M, K> {
    /// This end with another way to [wait](crate::wait).
    pub fn with_wait(mut self, how: Wait) -> Self {
        self.wait = how;
        self
    }

    waits!(&mut Self, Waiting<'_, Self>, |end, limit| Waiting {
        end,
        limit
    });
}

/// An end that waits for what this look finds.
struct For<'e, E, F>(&'e mut E, F);

impl<'a, T, M, K, F> Waits<'a> for For<'_, Producer<'a, T, M, K>, F>
where
    T: Payload,
    M: Memory,
    K: Watch,
    F: FnMut(&mut Producer<'a, T, M, K>) -> Result<(), PushError>,
{
    type Memory = M;
    type Refusal = PushError;

    fn memory(&self) -> &M {
        &self.0.memory
    }

    fn strategy(&self) -> Wait {
        self.0.wait
    }

    fn words(&self) -> SleepWords<'a, CellsOf<M>> {
        self.0.sleep
    }

    fn look(&mut self) -> Result<Look, PushError> {
        let For(end, find) = self;
        let before = end.free();
        let looked = find(end);
        end.pace.found(end.free().saturating_sub(before));
        match looked {
            Ok(()) => Ok(Look::Enough),
            Err(PushError::Full) => Ok(Look::NotYet(end.pace)),
            Err(error) => Err(error),
        }
    }

    fn is_peer_gone(&self) -> bool {
        self.0.keep.is_gone()
    }
}

impl<'a, T, M, K, F> Waits<'a> for For<'_, Consumer<'a, T, M, K>, F>
where
    T: Payload,
    M: Memory,
    K: Watch,
    F: FnMut(&mut Consumer<'a, T, M, K>) -> Result<(), PopError>,
{
    type Memory = M;
    type Refusal = PopError;

    fn memory(&self) -> &M {
        &self.0.memory
    }

    fn strategy(&self) -> Wait {
        self.0.wait
    }

    fn words(&self) -> SleepWords<'a, CellsOf<M>> {
        self.0.sleep
    }

    fn look(&mut self) -> Result<Look, PopError> {
        let For(end, find) = self;
        let before = end.available();
        let looked = find(end);
        end.pace.found(end.available().saturating_sub(before));
        match looked {
            Ok(()) => Ok(Look::Enough),
            Err(PopError::Empty) => Ok(Look::NotYet(end.pace)),
            Err(error) => Err(error),
        }
    }

    fn is_peer_gone(&self) -> bool {
        self.0.keep.is_gone()
    }
}

impl<'e, 'a, T: Payload, M: Memory, K: Watch> Waiting<'e, Producer<'a, T, M, K>> {
    /// [`Producer::push`], when there is room.
    ///
    /// # Errors
    /// [`WaitError`]; the ring is as it was.
    #[inline]
    pub fn push(self, value: T) -> Result<(), WaitError<PushError>> {
        let end = self.free_slots(1)?;
        Ok(end.push(value)?)
    }

    /// [`Producer::push_slice`], when there is room for one: as many as fit then.
    ///
    /// # Errors
    /// [`WaitError`]; the ring is as it was.
    pub fn push_slice(self, values: &[T]) -> Result<usize, WaitError<PushError>> {
        let end = self.free_slots(values.len().min(1))?;
        Ok(end.push_slice(values)?)
    }

    /// [`Producer::reserve`], when there is room for one: as many as are free then.
    ///
    /// # Errors
    /// [`WaitError`].
    pub fn reserve(
        self,
        count: usize,
    ) -> Result<WriteChunk<'e, 'a, T, M, K>, WaitError<PushError>> {
        let end = self.free_slots(count.min(1))?;
        Ok(end.reserve(count)?)
    }

    /// [`Producer::reserve_exact`], when there is room for all of it.
    ///
    /// # Errors
    /// [`WaitError`]: [`PushError::TooMany`] at once, if there never will be.
    pub fn reserve_exact(
        self,
        count: usize,
    ) -> Result<WriteChunk<'e, 'a, T, M, K>, WaitError<PushError>> {
        let end = self.free_slots(count)?;
        Ok(end.reserve_exact(count)?)
    }

    /// Waits until so many slots are free, and gives the producer back.
    ///
    /// # Errors
    /// [`WaitError`]: [`PushError::TooMany`] at once, if there never will be.
    #[inline]
    pub fn free_slots(
        self,
        count: usize,
    ) -> Result<&'e mut Producer<'a, T, M, K>, WaitError<PushError>> {
        if self.end.free() < count as u64 {
            let find = |end: &mut Producer<'a, T, M, K>| end.gain_exactly(count);
            wait(&mut For(self.end, find), self.limit)?;
        }
        Ok(self.end)
    }

    /// Waits until the consumer has released every item, also those before a [close](Producer::close).
    ///
    /// # Errors
    /// [`WaitError`]: [`PushError::PeerClosed`] if the consumer closed the ring and left some.
    ///
    /// ```
    /// # use ringproof::{Ring, RingOptions};
    /// # let ring = Ring::<u64>::anonymous(&RingOptions::new(4))?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// producer.push_slice(&[1, 2])?;
    /// producer.close();
    /// std::thread::spawn(move || while consumer.wait().pop().is_ok() {});
    /// producer.wait().drained()?;
    /// assert_eq!(producer.occupancy(), Ok(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drained(self) -> Result<(), WaitError<PushError>> {
        let find = |end: &mut Producer<'a, T, M, K>| match end.observe_read_index()? {
            (read_index, _) if read_index == end.write_index => Ok(()),
            (_, true) => Err(PushError::PeerClosed),
            (_, false) => Err(PushError::Full),
        };
        wait(&mut For(self.end, find), self.limit)
    }
}

impl<'e, 'a, T: Payload, M: Memory, K: Watch> Waiting<'e, Consumer<'a, T, M, K>> {
    /// [`Consumer::pop`], when there is an item.
    ///
    /// # Errors
    /// [`WaitError`]; the ring is as it was.
    #[inline]
    pub fn pop(self) -> Result<T, WaitError<PopError>> {
        let end = self.items(1)?;
        Ok(end.pop()?)
    }

    /// [`Consumer::pop_slice`], when there is an item: as many as there are then.
    ///
    /// # Errors
    /// [`WaitError`]; `values` and the ring are as they were.
    pub fn pop_slice(self, values: &mut [T]) -> Result<usize, WaitError<PopError>> {
        let end = self.items(values.len().min(1))?;
        Ok(end.pop_slice(values)?)
    }

    /// [`Consumer::peek`], when there is an item: as many as there are then.
    ///
    /// # Errors
    /// [`WaitError`].
    pub fn peek(self, count: usize) -> Result<ReadChunk<'e, 'a, T, M, K>, WaitError<PopError>> {
        let end = self.items(count.min(1))?;
        Ok(end.peek(count)?)
    }

    /// [`Consumer::peek_exact`], when there are all of them.
    ///
    /// # Errors
    /// [`WaitError`]: [`PopError::TooMany`] at once, if there never will be.
    pub fn peek_exact(
        self,
        count: usize,
    ) -> Result<ReadChunk<'e, 'a, T, M, K>, WaitError<PopError>> {
        let end = self.items(count)?;
        Ok(end.peek_exact(count)?)
    }

    /// Waits until so many items are there, and gives the consumer back.
    ///
    /// # Errors
    /// [`WaitError`]: [`PopError::TooMany`] at once, if there never will be.
    #[inline]
    pub fn items(self, count: usize) -> Result<&'e mut Consumer<'a, T, M, K>, WaitError<PopError>> {
        if self.end.available() < count as u64 {
            let find = |end: &mut Consumer<'a, T, M, K>| end.gain_exactly(count);
            wait(&mut For(self.end, find), self.limit)?;
        }
        Ok(self.end)
    }
}
