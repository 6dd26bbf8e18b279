//! Closing a ring from either side: who learns what, and when; and what a close brings with it that
//! comes just before a look.

mod common;

use std::thread;

use common::interrupted::Interrupted;
use common::{Deadline, Effort, ends};
use ringproof::harness::PartsOfRing;
use ringproof::layout::Kind;
use ringproof::memory::{Memory, Native};
use ringproof::ring::{CLOSED, LAST};
use ringproof::shape::Description;
use ringproof::site::{LoadSite, StoreSite};
use ringproof::untyped::{Payload, Structure};
use ringproof::{Corruption, PopError, PushError, Ring, RingOptions, ring};

fn new_ring() -> Ring<u64> {
    Ring::anonymous(&RingOptions::new(3).slots(4)).expect("an anonymous ring")
}

#[test]
fn a_producer_learns_it_at_the_latest_when_the_ring_is_full() {
    let ring = new_ring();
    let (mut producer, mut consumer) = ends(&ring);
    assert_eq!(producer.push_slice(&[1, 2]), Ok(2));
    assert_eq!(consumer.pop(), Ok(1));
    consumer.close();
    // As much as it knows room for may still go in.
    assert_eq!(producer.push(3), Ok(()));
    assert_eq!(producer.push(4), Err(PushError::PeerClosed));
    assert_eq!(producer.push_slice(&[4, 5]), Err(PushError::PeerClosed));
    assert_eq!(producer.reserve(1).err(), Some(PushError::PeerClosed));
    // Exactly what was not taken.
    assert_eq!(producer.occupancy(), Ok(2));
    assert_eq!((producer.position(), consumer.position()), (3, 1));
    assert_eq!(consumer.occupancy(), Ok(2));
}

#[test]
fn a_producer_that_asks_learns_it_at_once_and_pushes_no_more() {
    let ring = new_ring();
    let (mut producer, mut consumer) = ends(&ring);
    assert_eq!(producer.push(1), Ok(()));
    assert_eq!(producer.is_peer_closed(), Ok(false));
    assert_eq!(producer.push(2), Ok(()));
    consumer.close();
    assert_eq!(producer.is_peer_closed(), Ok(true));
    // There is room, and it knows of it.
    assert_eq!(producer.push(3), Err(PushError::PeerClosed));
    assert_eq!(producer.is_peer_closed(), Ok(true));
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
    assert_eq!(producer.push_slice(&[2, 3, 4]), Err(PushError::PeerClosed));
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
    assert_eq!(producer.is_peer_closed(), Ok(false));
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
    // It learns it by its first look.
    assert_eq!(producer.push(4), Err(PushError::PeerClosed));
    assert_eq!(producer.occupancy(), Ok(2));
}

#[test]
fn a_side_that_closed_gets_that_error_whatever_the_other_did() {
    for producer_first in [true, false] {
        let ring = new_ring();
        let (mut producer, mut consumer) = ends(&ring);
        assert_eq!(producer.push(1), Ok(()));
        if producer_first {
            producer.close();
            consumer.close();
        } else {
            consumer.close();
            assert_eq!(producer.is_peer_closed(), Ok(true));
            assert_eq!(producer.push(2), Err(PushError::PeerClosed));
            producer.close();
        }
        assert_eq!(producer.push(2), Err(PushError::Closed));
        assert_eq!(consumer.pop(), Err(PopError::Closed));
        // And still learns of the other's.
        assert_eq!(producer.is_peer_closed(), Ok(true));
        assert_eq!(producer.push(2), Err(PushError::Closed));
        assert_eq!((producer.occupancy(), consumer.occupancy()), (Ok(1), Ok(1)));
    }
    // After the end as well as before it.
    let ring = new_ring();
    let (mut producer, mut consumer) = ends(&ring);
    producer.close();
    assert_eq!(consumer.pop(), Err(PopError::PeerClosed));
    consumer.close();
    assert_eq!(consumer.pop(), Err(PopError::Closed));
}

#[test]
fn a_close_makes_no_index_good() {
    let ring = new_ring();
    let (mut producer, mut consumer) = ends(&ring);
    assert_eq!(producer.push_slice(&[1, 2, 3]), Ok(3));
    assert_eq!(consumer.pop(), Ok(1));
    assert_eq!(producer.push(4), Ok(()));
    // SAFETY: one thread, and the consumer takes nothing more.
    let parts = unsafe { ring.parts() }.expect("the parts");
    for index in [0, 5, 1 << 62, LAST] {
        let found = index | CLOSED;
        Native.store(parts.read_index, found, StoreSite::RingStop);
        let said = Corruption {
            word: "read_index",
            found,
            lowest: 1,
            highest: 4,
        };
        assert_eq!(producer.push(5), Err(PushError::Corrupt(said)));
        assert_eq!(producer.is_peer_closed(), Err(said));
    }
    Native.store(parts.read_index, 2 | CLOSED, StoreSite::RingStop);
    assert_eq!(producer.push(5), Err(PushError::PeerClosed));
    assert_eq!(producer.occupancy(), Ok(2));
    // Once it knows, it does not ask again.
    Native.store(parts.read_index, 3, StoreSite::RingFree);
    assert_eq!(producer.push(5), Err(PushError::PeerClosed));
}

#[test]
fn a_producer_that_closed_asks_for_the_stop_and_stays_closed() {
    let ring = new_ring();
    let (mut producer, mut consumer) = ends(&ring);
    assert_eq!(producer.push_slice(&[1, 2, 3]), Ok(3));
    producer.close();
    assert_eq!(consumer.pop(), Ok(1));
    // There is room by now, and the look sees it.
    assert_eq!(producer.is_peer_closed(), Ok(false));
    assert_eq!(producer.push(4), Err(PushError::Closed));
    assert_eq!(producer.reserve(1).err(), Some(PushError::Closed));
    consumer.close();
    assert_eq!(producer.is_peer_closed(), Ok(true));
    assert_eq!(producer.push(4), Err(PushError::Closed));
}

#[test]
fn releases_just_before_a_close_are_seen_with_it_and_make_no_room() {
    let ring = new_ring();
    let (mut producer, mut consumer) = ends(&ring);
    assert_eq!(producer.push_slice(&[1, 2, 3]), Ok(3));
    drop(producer);
    let last_words = || {
        assert_eq!(consumer.pop(), Ok(1));
        assert_eq!(consumer.pop(), Ok(2));
        consumer.close();
    };
    let memory = Interrupted::once(LoadSite::RingReclaim, 0, last_words);
    // SAFETY: the parts go to this producer alone.
    let parts = unsafe { ring.parts() }.expect("the parts");
    // SAFETY: one thread, and the producer before it was dropped.
    let mut producer = unsafe { ring::Producer::new(parts, memory, ()) };
    assert_eq!(producer.push(4), Err(PushError::PeerClosed));
    assert_eq!(producer.occupancy(), Ok(1));
    // The room that was made is not used.
    assert_eq!(producer.push(4), Err(PushError::PeerClosed));
}

#[test]
fn commits_just_before_a_close_are_seen_with_it_and_taken() {
    let ring = new_ring();
    let (mut producer, consumer) = ends(&ring);
    drop(consumer);
    let last_words = || {
        assert_eq!(producer.push_slice(&[1, 2]), Ok(2));
        producer.close();
    };
    let memory = Interrupted::once(LoadSite::RingObserve, 0, last_words);
    // SAFETY: the parts go to this consumer alone.
    let parts = unsafe { ring.parts() }.expect("the parts");
    // SAFETY: one thread, and the consumer before it was dropped.
    let mut consumer = unsafe { ring::Consumer::new(parts, memory, ()) };
    assert_eq!(consumer.pop(), Ok(1));
    assert_eq!(consumer.pop(), Ok(2));
    assert_eq!(consumer.pop(), Err(PopError::PeerClosed));
}

/// A consumer in another thread than its producer closes after `wanted` items; the producer pushes until it
/// learns of that.
fn closed_after(wanted: u64, options: RingOptions, ask: bool) {
    let ring = Ring::<u64>::anonymous(&options).expect("an anonymous ring");
    let (mut producer, mut consumer) = ends(&ring);
    thread::scope(|scope| {
        let pushing = scope.spawn(move || {
            let deadline = Deadline::to("see a slot released or the close");
            loop {
                if ask && producer.is_peer_closed().expect("a sound ring") {
                    break;
                }
                match producer.push(producer.position()) {
                    Ok(()) => {}
                    Err(PushError::Full) => deadline.wait(),
                    Err(PushError::PeerClosed) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            // What it learns is the last word.
            let left = producer.occupancy().expect("a sound ring");
            assert_eq!(producer.position() - left, wanted);
            assert!(left <= producer.capacity());
            producer.position()
        });
        let deadline = Deadline::to("see an item committed");
        while consumer.position() < wanted {
            match consumer.pop() {
                Ok(item) => assert_eq!(item + 1, consumer.position()),
                Err(PopError::Empty) => deadline.wait(),
                Err(error) => panic!("{error}"),
            }
        }
        consumer.close();
        let pushed = pushing.join().expect("the producer's thread");
        assert_eq!(consumer.pop(), Err(PopError::Closed));
        assert_eq!(consumer.occupancy(), Ok(pushed - wanted));
    });
}

#[test]
fn a_producer_learns_exactly_what_a_consumer_that_closed_has_taken() {
    for wanted in Effort::rounds(20, 500) {
        for ask in [false, true] {
            closed_after(wanted, RingOptions::new(1 + wanted % 7).slots(8), ask);
        }
    }
}

/// While both roles are taken, and of both kinds of container.
#[test]
fn a_ring_is_printed_with_how_full_it_is_and_who_closed_it() {
    let ring = new_ring();
    let (mut producer, mut consumer) = ends(&ring);
    let said = |expected: &str| {
        let untyped = Structure::attach_fd(
            ring.segment().descriptor().expect("a descriptor"),
            Kind::Ring,
            &Payload::new(Description::of::<u64>().expect("one"), 8).expect("a payload"),
        );
        let untyped = untyped.expect("the same ring");
        for printed in [format!("{ring:?}"), format!("{untyped:?}")] {
            assert!(printed.contains(expected), "{printed}");
        }
    };
    said("capacity: 3, occupancy: 0, closed_by_producer: false, closed_by_consumer: false,");
    assert_eq!(producer.push_slice(&[1, 2, 3]), Ok(3));
    assert_eq!(consumer.pop(), Ok(1));
    producer.close();
    said("capacity: 3, occupancy: 2, closed_by_producer: true, closed_by_consumer: false,");
    consumer.close();
    said("capacity: 3, occupancy: 2, closed_by_producer: true, closed_by_consumer: true,");
}
