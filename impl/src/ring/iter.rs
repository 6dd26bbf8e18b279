//! Items one after the other: those of a chunk, which stay, and those of a ring, which are taken.

use core::iter::FusedIterator;
use core::ops::Range;

use super::{Consumer, PopError, ReadChunk};
use crate::memory::{Memory, Native};
use crate::payload::Payload;

/// Copies of the items of a [`ReadChunk`], the oldest first. It releases none.
///
/// It is [`Send`] where its chunk is [`Sync`], and [`Sync`] where its chunk is.
pub struct Iter<'r, 'c, 'a, T: Payload, M: Memory = Native, K = ()> {
    chunk: &'r ReadChunk<'c, 'a, T, M, K>,
    left: Range<usize>,
}

impl<'c, 'a, T: Payload, M: Memory, K> ReadChunk<'c, 'a, T, M, K> {
    /// Copies of the items, the oldest first, each read once when it is asked for. They stay in the
    /// ring until the chunk is [released](Self::release).
    ///
    /// ```
    /// # use ringproof::{Ring, RingOptions};
    /// # let ring = Ring::<u64>::anonymous(&RingOptions::new(8))?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// producer.push_slice(&[5, 6, 7])?;
    /// let chunk = consumer.peek(8)?;
    /// for (position, item) in (chunk.position()..).zip(&chunk) {
    ///     println!("{position}: {item}");
    /// }
    /// assert!(chunk.iter().rev().eq([7, 6, 5]));
    /// chunk.release_all();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, 'c, 'a, T, M, K> {
        Iter {
            chunk: self,
            left: 0..self.len,
        }
    }
}

impl<'r, 'c, 'a, T: Payload, M: Memory, K> IntoIterator for &'r ReadChunk<'c, 'a, T, M, K> {
    type Item = T;
    type IntoIter = Iter<'r, 'c, 'a, T, M, K>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: Payload, M: Memory, K> Iterator for Iter<'_, '_, '_, T, M, K> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.chunk.get(self.left.next()?)
    }

    fn nth(&mut self, n: usize) -> Option<T> {
        self.chunk.get(self.left.nth(n)?)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl<T: Payload, M: Memory, K> DoubleEndedIterator for Iter<'_, '_, '_, T, M, K> {
    fn next_back(&mut self) -> Option<T> {
        self.chunk.get(self.left.next_back()?)
    }
}

impl<T: Payload, M: Memory, K> ExactSizeIterator for Iter<'_, '_, '_, T, M, K> {}
impl<T: Payload, M: Memory, K> FusedIterator for Iter<'_, '_, '_, T, M, K> {}

/// Takes the items that a ring held, one by one, each as [`Consumer::pop`] does: it is released when
/// it is handed out. What was not handed out when this is dropped stays in the ring.
///
/// It is [`Send`] and [`Sync`] where its consumer is.
pub struct Drain<'c, 'a, T: Payload, M: Memory = Native, K = ()> {
    consumer: &'c mut Consumer<'a, T, M, K>,
    // Invariant: at most as many as the consumer knows to be available.
    left: usize,
}

impl<'a, T: Payload, M: Memory, K> Consumer<'a, T, M, K> {
    /// Takes all items that are there now, one by one: at least one, and none that is committed later.
    /// It looks at the producer once, before the first item; so all that a look can find is the error
    /// of this call, and the items end where they end. Why there are no more, the next call says, or
    /// the next [`pop`](Self::pop).
    ///
    /// # Errors
    /// [`PopError`] if there is not even one.
    ///
    /// ```
    /// # use ringproof::{PopError, Ring, RingOptions};
    /// # let ring = Ring::<u64>::anonymous(&RingOptions::new(8))?;
    /// # let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// # producer.push_slice(&[1, 2, 3])?;
    /// # producer.close();
    /// let mut taken = Vec::new();
    /// loop {
    ///     match consumer.drain() {
    ///         Ok(items) => taken.extend(items),
    ///         Err(PopError::Empty) => std::thread::yield_now(),
    ///         Err(PopError::PeerClosed) => break,
    ///         // The ring is corrupt, or closed from this side.
    ///         Err(error) => return Err(error.into()),
    ///     }
    /// }
    /// assert_eq!(taken, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drain(&mut self) -> Result<Drain<'_, 'a, T, M, K>, PopError> {
        let left = self.peek(usize::MAX)?.len();
        Ok(Drain {
            consumer: self,
            left,
        })
    }
}

impl<T: Payload, M: Memory, K> Iterator for Drain<'_, '_, T, M, K> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        // It is available, so there is no error to be hidden.
        self.consumer.pop().ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T: Payload, M: Memory, K> ExactSizeIterator for Drain<'_, '_, T, M, K> {}
impl<T: Payload, M: Memory, K> FusedIterator for Drain<'_, '_, T, M, K> {}
