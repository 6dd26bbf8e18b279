//! How many items are live, as numbers that cannot fail: for programs that look before they push or pop.

use super::{Consumer, Producer};
use crate::memory::Memory;
use crate::payload::Payload;

/// A number of items is at most that of the slots, which lie in memory.
fn as_len(items: u64) -> usize {
    usize::try_from(items).unwrap_or(usize::MAX)
}

impl<T: Payload, M: Memory, K> Producer<'_, T, M, K> {
    /// How many items are live now, as [`occupancy`](Self::occupancy) says. Where that is an error the ring
    /// looks empty, so that nobody waits for room in it: the push that follows tells.
    ///
    /// ```
    /// # use ringproof::{Ring, RingOptions};
    /// let ring = Ring::<u64>::anonymous(&RingOptions::new(3))?;
    /// let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// assert!(consumer.is_empty() && producer.is_empty() && !producer.is_full());
    /// producer.push(1)?;
    /// assert_eq!((producer.len(), consumer.len(), producer.free_slots()), (1, 1, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        as_len(self.occupancy().unwrap_or(0))
    }

    /// Whether the consumer has released everything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether as many items are live as may be.
    pub fn is_full(&self) -> bool {
        self.free_slots() == 0
    }

    /// How many more items may be live. (None can be pushed, though, once either side closed the ring.)
    pub fn free_slots(&self) -> usize {
        as_len(self.capacity) - self.len()
    }
}

impl<T: Payload, M: Memory, K> Consumer<'_, T, M, K> {
    /// How many items are live now, as [`occupancy`](Self::occupancy) says. Where that is an error the ring
    /// looks full, so that nobody waits for an item in it: the pop that follows tells.
    pub fn len(&self) -> usize {
        as_len(self.occupancy().unwrap_or(self.capacity))
    }

    /// Whether there is no item to take. More may come, unless the ring has ended, as a pop tells.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether as many items are live as may be.
    pub fn is_full(&self) -> bool {
        self.free_slots() == 0
    }

    /// How many more items the producer may push before this side releases one.
    pub fn free_slots(&self) -> usize {
        as_len(self.capacity) - self.len()
    }
}
