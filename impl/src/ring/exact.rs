//! All or nothing: for batches of which a part is of no use.

use super::{Consumer, LAST, PopError, Producer, PushError, ReadChunk, WriteChunk};
use crate::memory::Memory;
use crate::payload::Payload;

impl<'a, T: Payload, M: Memory, K> Producer<'a, T, M, K> {
    /// Reserves exactly `count` free slots, or none. Otherwise it is [`reserve`](Self::reserve): the
    /// slots may go on at the beginning of memory, and dropping the chunk leaves the ring as it was.
    ///
    /// # Errors
    /// [`PushError::Full`] if fewer are free now ([`free_slots`](Self::free_slots) says how many);
    /// [`PushError::TooMany`] if so many never will be, as of more than the ring's
    /// [`capacity`](Self::capacity); or another [`PushError`].
    ///
    /// ```
    /// # use ringproof::{PushError, Ring, RingOptions};
    /// # let ring = Ring::<u64>::anonymous(&RingOptions::new(4))?;
    /// # let mut producer = ring.producer()?;
    /// let mut chunk = producer.reserve_exact(3)?;
    /// chunk.copy_from_slice(0, &[1, 2, 3])?;
    /// chunk.commit_all();
    /// // One is free. Two will be, when the consumer has released an item; five never.
    /// assert_eq!(producer.reserve_exact(2).err(), Some(PushError::Full));
    /// let never = PushError::TooMany { asked: 5, most: 4 };
    /// assert_eq!(producer.reserve_exact(5).err(), Some(never));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reserve_exact(
        &mut self,
        count: usize,
    ) -> Result<WriteChunk<'_, 'a, T, M, K>, PushError> {
        self.gain_exactly(count)?;
        Ok(WriteChunk {
            producer: self,
            len: count,
        })
    }

    /// Sees to it that `count` slots are known to be free, or says why not.
    pub(super) fn gain_exactly(&mut self, count: usize) -> Result<(), PushError> {
        let most = self.capacity.min(LAST - self.write_index);
        while self.free() < count as u64 {
            match self.reclaim() {
                // More than before, if not yet enough. It ends when a look gains nothing.
                Ok(()) => {}
                Err(PushError::Full) if count as u64 > most => {
                    return Err(PushError::TooMany { asked: count, most });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<'a, T: Payload, M: Memory, K> Consumer<'a, T, M, K> {
    /// Looks at exactly `count` of the oldest items, or at none. Otherwise it is
    /// [`peek`](Self::peek): the items may go on at the beginning of memory, and dropping the chunk
    /// leaves the ring as it was.
    ///
    /// # Errors
    /// [`PopError::Empty`] if fewer are there now ([`len`](Self::len) says how many), and more may
    /// come; [`PopError::TooMany`] if so many never will be: they are more than the ring's
    /// [`capacity`](Self::capacity), or the producer closed the ring and left fewer, which can be
    /// taken still; [`PopError::PeerClosed`] if it left none; or another [`PopError`].
    ///
    /// ```
    /// # use ringproof::{PopError, Ring, RingOptions};
    /// # let ring = Ring::<u64>::anonymous(&RingOptions::new(8))?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// producer.push_slice(&[1, 2, 3, 4, 5])?;
    /// let chunk = consumer.peek_exact(3)?;
    /// assert_eq!(chunk.iter().sum::<u64>(), 6);
    /// chunk.release_all();
    /// assert_eq!(consumer.peek_exact(3).err(), Some(PopError::Empty));
    /// producer.close();
    /// let rest = PopError::TooMany { asked: 3, most: 2 };
    /// assert_eq!(consumer.peek_exact(3).err(), Some(rest));
    /// assert_eq!(consumer.peek(3)?.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peek_exact(&mut self, count: usize) -> Result<ReadChunk<'_, 'a, T, M, K>, PopError> {
        self.gain_exactly(count)?;
        Ok(ReadChunk {
            consumer: self,
            len: count,
        })
    }

    /// Sees to it that `count` items are known to be there, or says why not.
    #[inline(always)]
    pub(super) fn gain_exactly(&mut self, count: usize) -> Result<(), PopError> {
        while self.available() < count as u64 {
            self.gain().map_err(|found| self.shortage(found, count))?;
        }
        Ok(())
    }

    /// Why there are fewer than `count`, by what was `found` in the producer's word.
    #[cold]
    #[inline(never)]
    fn shortage(&self, found: u64, count: usize) -> PopError {
        let most = match self.refusal(found) {
            PopError::PeerClosed if self.available() > 0 => self.available(),
            // As in `reserve_exact`.
            PopError::Empty => self.capacity.min(LAST - self.read_index),
            error => return error,
        };
        if count as u64 > most {
            PopError::TooMany { asked: count, most }
        } else {
            PopError::Empty
        }
    }
}
