//! Closing a ring from either side: who is told what, and when; and the moment between a look at
//! the other side's index and the look at its close.

use std::cell::Cell;

use ringproof::memory::{Memory, Native, Slot, Word};
use ringproof::site::{FenceSite, LoadSite, SlotReadSite, SlotWriteSite, StoreSite};
use ringproof::{
    Consumer, Corruption, Payload, PopError, Producer, PushError, Ring, RingOptions, ring,
};

fn new_ring() -> Ring<u64> {
    Ring::anonymous(&RingOptions::new(3).slots(4)).expect("an anonymous ring")
}

fn ends(ring: &Ring<u64>) -> (Producer<'_, u64>, Consumer<'_, u64>) {
    (
        ring.producer().expect("the producer's role"),
        ring.consumer().expect("the consumer's role"),
    )
}

#[test]
fn a_producer_is_told_at_the_latest_when_the_ring_is_full() {
    let ring = new_ring();
    let (mut producer, mut consumer) = ends(&ring);
    assert_eq!(producer.push_slice(&[1, 2]), Ok(2));
    assert_eq!(consumer.pop(), Ok(1));
    consumer.close();
    // As much as there is room for may still go in.
    assert_eq!(producer.push(3), Ok(()));
    assert_eq!(producer.push(4), Ok(()));
    assert_eq!(producer.push(5), Err(PushError::Stopped));
    assert_eq!(producer.push_slice(&[5, 6]), Err(PushError::Stopped));
    assert_eq!(producer.reserve(1).err(), Some(PushError::Stopped));
    // Exactly what was not taken.
    assert_eq!(producer.occupancy(), Ok(3));
    assert_eq!((producer.position(), consumer.position()), (4, 1));
    assert_eq!(consumer.occupancy(), Ok(3));
}

#[test]
fn a_producer_that_asks_is_told_at_once_and_pushes_no_more() {
    let ring = new_ring();
    let (mut producer, mut consumer) = ends(&ring);
    assert_eq!(producer.push(1), Ok(()));
    assert_eq!(producer.peer_closed(), Ok(false));
    assert_eq!(producer.push(2), Ok(()));
    consumer.close();
    assert_eq!(producer.peer_closed(), Ok(true));
    // There is room, and it knows of it.
    assert_eq!(producer.push(3), Err(PushError::Stopped));
    assert_eq!(producer.peer_closed(), Ok(true));
    assert_eq!(producer.occupancy(), Ok(2));
    assert_eq!(producer.reserve(0).map(|chunk| chunk.len()), Ok(0));
}

#[test]
fn part_of_a_batch_is_not_taken_for_a_ring_that_is_closed() {
    let ring = new_ring();
    let (mut producer, mut consumer) = ends(&ring);
    assert_eq!(producer.push(1), Ok(()));
    consumer.close();
    // Two slots are free; a look for a third finds the close.
    assert_eq!(producer.push_slice(&[2, 3, 4]), Err(PushError::Stopped));
    assert_eq!(producer.occupancy(), Ok(1));
}

#[test]
fn a_consumer_that_closed_takes_nothing_more() {
    let ring = new_ring();
    let (mut producer, mut consumer) = ends(&ring);
    assert_eq!(producer.push_slice(&[1, 2, 3]), Ok(3));
    // It knows of all three.
    assert_eq!(consumer.pop(), Ok(1));
    assert!(!consumer.is_closed());
    consumer.close();
    assert!(consumer.is_closed());
    assert_eq!(consumer.pop(), Err(PopError::Closed));
    assert_eq!(consumer.pop_slice(&mut [0; 2]), Err(PopError::Closed));
    assert_eq!(consumer.peek(1).err(), Some(PopError::Closed));
    assert_eq!(consumer.peek(0).map(|chunk| chunk.len()), Ok(0));
    // Once more makes no difference.
    consumer.close();
    assert_eq!(consumer.pop(), Err(PopError::Closed));
}

#[test]
fn successors_are_closed_too_and_a_drop_closes_nothing() {
    let ring = new_ring();
    let (mut producer, consumer) = ends(&ring);
    assert_eq!(producer.push_slice(&[1, 2, 3]), Ok(3));
    drop(consumer);
    assert_eq!(producer.peer_closed(), Ok(false));
    let mut consumer = ring.consumer().expect("the role");
    assert_eq!(consumer.pop(), Ok(1));
    consumer.close();
    drop(consumer);

    let mut consumer = ring.consumer().expect("the role again");
    assert!(consumer.is_closed());
    assert_eq!(consumer.pop(), Err(PopError::Closed));
    drop(producer);
    let mut producer = ring.producer().expect("the role");
    assert!(!producer.is_closed());
    assert_eq!(producer.push(4), Ok(()));
    assert_eq!(producer.push(5), Err(PushError::Stopped));
    assert_eq!(producer.occupancy(), Ok(3));
}

#[test]
fn a_side_that_closed_is_told_that_whatever_the_other_did() {
    for producer_first in [true, false] {
        let ring = new_ring();
        let (mut producer, mut consumer) = ends(&ring);
        assert_eq!(producer.push(1), Ok(()));
        if producer_first {
            producer.close();
            consumer.close();
        } else {
            consumer.close();
            assert_eq!(producer.peer_closed(), Ok(true));
            assert_eq!(producer.push(2), Err(PushError::Stopped));
            producer.close();
        }
        assert_eq!(producer.push(2), Err(PushError::Closed));
        assert_eq!(consumer.pop(), Err(PopError::Closed));
        // And still learns of the other's.
        assert_eq!(producer.peer_closed(), Ok(true));
        assert_eq!(producer.push(2), Err(PushError::Closed));
        assert_eq!((producer.occupancy(), consumer.occupancy()), (Ok(1), Ok(1)));
    }
    // After the end as well as before it.
    let ring = new_ring();
    let (mut producer, mut consumer) = ends(&ring);
    producer.close();
    assert_eq!(consumer.pop(), Err(PopError::Ended));
    consumer.close();
    assert_eq!(consumer.pop(), Err(PopError::Closed));
}

#[test]
fn a_stop_elsewhere_than_at_the_index_is_corruption() {
    let ring = new_ring();
    let (mut producer, mut consumer) = ends(&ring);
    assert_eq!(producer.push_slice(&[1, 2, 3]), Ok(3));
    assert_eq!(consumer.pop(), Ok(1));
    assert_eq!(producer.push(4), Ok(()));
    // SAFETY: an end, not an index, is stored: it announces no slot.
    let parts = unsafe { ring.parts() }.expect("the parts");
    for found in [0, 2, 4, u64::MAX - 1] {
        Native.store(parts.stop_index, found, StoreSite::RingStop);
        let said = Corruption {
            word: "stop_index",
            found,
            lowest: 1,
            highest: 1,
        };
        assert_eq!(producer.push(5), Err(PushError::Corrupt(said)));
        assert_eq!(producer.peer_closed(), Err(said));
    }
    Native.store(parts.stop_index, 1, StoreSite::RingStop);
    assert_eq!(producer.push(5), Err(PushError::Stopped));
}

/// A memory whose owner is interrupted once: just before it loads at `site`, `event` happens.
struct Interrupted<F> {
    site: LoadSite,
    event: Cell<Option<F>>,
}

impl<F: FnOnce()> Interrupted<F> {
    fn before(site: LoadSite, event: F) -> Self {
        Interrupted {
            site,
            event: Cell::new(Some(event)),
        }
    }
}

impl<F: FnOnce()> Memory for Interrupted<F> {
    type Cells = Native;

    fn load(&self, word: &Word, site: LoadSite) -> u64 {
        if site == self.site
            && let Some(event) = self.event.take()
        {
            event();
        }
        Native.load(word, site)
    }

    fn store(&self, word: &Word, value: u64, site: StoreSite) {
        Native.store(word, value, site);
    }

    fn fence(&self, site: FenceSite) {
        Native.fence(site);
    }

    fn load_words(&self, from: &[Word], to: &mut [[u8; 8]], site: LoadSite) {
        Native.load_words(from, to, site);
    }

    fn store_words(&self, to: &[Word], from: &[[u8; 8]], site: StoreSite) {
        Native.store_words(to, from, site);
    }

    unsafe fn read_slots<T: Payload>(&self, from: &[Slot<T>], to: &mut [T], site: SlotReadSite) {
        // SAFETY: the caller's promise, passed on.
        unsafe { Native.read_slots(from, to, site) };
    }

    unsafe fn write_slots<T: Payload>(&self, to: &[Slot<T>], from: &[T], site: SlotWriteSite) {
        // SAFETY: the caller's promise, passed on.
        unsafe { Native.write_slots(to, from, site) };
    }

    fn spin(&self) {
        Native.spin();
    }
}

#[test]
fn a_release_between_the_looks_at_a_full_ring_and_at_its_close_is_no_corruption() {
    let ring = new_ring();
    let (mut producer, mut consumer) = ends(&ring);
    assert_eq!(producer.push_slice(&[1, 2, 3]), Ok(3));
    drop(producer);
    let last_words = || {
        assert_eq!(consumer.pop(), Ok(1));
        assert_eq!(consumer.pop(), Ok(2));
        consumer.close();
    };
    let memory = Interrupted::before(LoadSite::RingObserveStop, last_words);
    // SAFETY: the parts go to this producer alone.
    let parts = unsafe { ring.parts() }.expect("the parts");
    // SAFETY: one thread, and the producer before it was dropped.
    let mut producer = unsafe { ring::Producer::new(parts, memory, None) };
    assert_eq!(producer.push(4), Err(PushError::Stopped));
    assert_eq!(producer.occupancy(), Ok(1));
    // The room that was made is not used.
    assert_eq!(producer.push(4), Err(PushError::Stopped));
}

#[test]
fn a_commit_between_the_looks_at_an_empty_ring_and_at_its_close_is_not_lost() {
    let ring = new_ring();
    let (mut producer, consumer) = ends(&ring);
    drop(consumer);
    let last_words = || {
        assert_eq!(producer.push_slice(&[1, 2]), Ok(2));
        producer.close();
    };
    let memory = Interrupted::before(LoadSite::RingObserveEnd, last_words);
    // SAFETY: the parts go to this consumer alone.
    let parts = unsafe { ring.parts() }.expect("the parts");
    // SAFETY: one thread, and the consumer before it was dropped.
    let mut consumer = unsafe { ring::Consumer::new(parts, memory, None) };
    assert_eq!(consumer.pop(), Ok(1));
    assert_eq!(consumer.pop(), Ok(2));
    assert_eq!(consumer.pop(), Err(PopError::Ended));
}
