//! Scenarios of the ring. Items are numbered from 1, so a slot that was not filled shows as 0, and
//! the item at position `p` is `p + 1`: one lost, repeated or out of order shows, too.

use std::sync::Arc;

use ringproof::memory::Memory;
use ringproof::site::{LoadSite, StoreSite};
use ringproof::{PopError, PushError};

use super::{NIGHT, Scenario};
use crate::engine::spawn;
use crate::owned::{OwnedRing, OwnedWords, RingConsumer, RingProducer};
use crate::run::Run;

/// What a ring that fills and empties is to show.
const WRAPPED: &[&str] = &[
    "producer saw full",
    "consumer saw empty",
    "all went over",
    "wrapped",
];
const WRAPPED_TWICE: &[&str] = &[
    "producer saw full",
    "consumer saw empty",
    "all went over",
    "wrapped",
    "wrapped twice",
];
/// Two preemptions do not let all nine go over.
const WRAPPED_IN_PART: &[&str] = &["producer saw full", "consumer saw empty", "wrapped"];

pub(super) fn inventory() -> Vec<Scenario> {
    const CLOSED: &[&str] = &["consumer saw empty", "consumer saw the end"];
    scenarios! {
        "ring/capacity 1", one_by_one::<1, 1, 3>, 340, Exhausted, WRAPPED_TWICE;
        "ring/capacity 2", one_by_one::<2, 2, 4>, 14_000, Exhausted, WRAPPED;
        "ring/capacity 2, wraps twice", one_by_one::<2, 2, 5>, 290_000, Exhausted, WRAPPED_TWICE;
        "ring/capacity 1 in 2 slots", one_by_one::<2, 1, 4>, 3_000, Exhausted, WRAPPED;
        "ring/capacity 4", one_by_one::<4, 4, 9>, 260_000, Bounded(2), WRAPPED_IN_PART;
        "ring/chunks", chunks, 290, Exhausted,
            &["chunk wrapped", "chunk was cut short", "producer saw full", "consumer saw empty"];
        "ring/part of a chunk", part_of_a_chunk, 10, Exhausted, &["saw one", "saw both"];
        "ring/reservation dropped", reservation_dropped, 6, Exhausted,
            &["consumer saw empty", "the next item took the slot"];
        "ring/look again", look_again, 11, Exhausted, &["saw it twice", "producer saw full"];
        "ring/occupancy", occupancy, 1, Exhausted, &["consumer saw empty", "it was taken", "it is there"];
        "ring/close", close::<2>, 1_150, Exhausted, CLOSED;
        "ring/close when empty", close::<0>, 17, Exhausted, CLOSED;
        "ring/stop", stop, 230, Exhausted,
            &["producer saw full", "producer saw the stop", "items were left", "nothing was left",
            "consumer saw empty"];
        "ring/stop asked for", stop_asked_for, 230, Exhausted,
            &["producer saw it open", "producer saw the stop", "consumer saw empty"];
        "ring/note before a stop", note_before_stop, 6, Exhausted,
            &["producer saw it open", "the note came with the stop"];
        "ring/both close", both_close, 100, Exhausted,
            &["producer saw full", "producer saw the stop", "closed"];
        "ring/producer gone", producer_gone, 44, Exhausted,
            &["consumer saw empty", "items were left", "nothing was left"];
        "ring/note before a commit", note_before_commit, 6, Exhausted,
            &["consumer saw empty", "the note came with the item"];
        "ring/producer succeeded", producer_succeeded, 770, Exhausted,
            &["producer saw full", "consumer saw empty", "all went over"];
        "ring/consumer succeeded", consumer_succeeded, 760, Exhausted,
            &["successor went on later", "producer saw full", "consumer saw empty", "all went over"];
        "ring/producer of a closed ring succeeded", closed_ring_inherited, 120, Exhausted, CLOSED;
        "ring/consumer of a stopped ring succeeded", stopped_ring_inherited, 27, Exhausted,
            &["producer saw full", "producer saw the stop"];
    }
}

pub(super) fn night() -> Vec<Scenario> {
    scenarios! {
        "ring/capacity 1, 7 tries", one_by_one::<1, 1, 7>, NIGHT, Exhausted, WRAPPED_TWICE;
        "ring/capacity 2, 6 tries", one_by_one::<2, 2, 6>, NIGHT, Exhausted, WRAPPED_TWICE;
        "ring/capacity 2, 7 tries", one_by_one::<2, 2, 7>, NIGHT, Exhausted, WRAPPED_TWICE;
        "ring/capacity 3 in 4 slots", one_by_one::<4, 3, 6>, NIGHT, Exhausted, WRAPPED;
        "ring/capacity 4, 6 tries", one_by_one::<4, 4, 6>, NIGHT, Exhausted, WRAPPED;
        "ring/capacity 4, bound 3", one_by_one::<4, 4, 9>, NIGHT, Bounded(3), WRAPPED_IN_PART;
    }
}

/// `TRIES` pushes against `TRIES` pops.
fn one_by_one<const SLOTS: usize, const CAPACITY: u64, const TRIES: usize>(run: &Arc<Run>) {
    let ring = OwnedRing::new(SLOTS, CAPACITY);
    let producing = ring.produce(run, |producer, run| {
        for _ in 0..TRIES {
            push_next(producer, run);
        }
        producer.position()
    });
    let mut consumer = ring.consumer(run.memory("consumer"));
    for _ in 0..TRIES {
        pop_next(&mut consumer, run);
    }
    let early = consumer.position();
    let pushed = producing.join();
    drain(&mut consumer, pushed);
    if early == TRIES as u64 {
        run.saw("all went over");
    }
    if pushed > SLOTS as u64 {
        run.saw("wrapped");
    }
    if pushed > 2 * SLOTS as u64 {
        run.saw("wrapped twice");
    }
}

/// Pushes the next item, if there is room.
pub(super) fn push_next(producer: &mut RingProducer, run: &Run) {
    let next = producer.position() + 1;
    match producer.push(next) {
        Ok(()) => {}
        Err(PushError::Full) => run.saw("producer saw full"),
        Err(error) => panic!("{error}"),
    }
}

/// Pops the next item, if there is one.
pub(super) fn pop_next(consumer: &mut RingConsumer, run: &Run) {
    match consumer.pop() {
        Ok(item) => assert_eq!(item, consumer.position(), "not the next item"),
        Err(PopError::Empty) => run.saw("consumer saw empty"),
        Err(error) => panic!("{error}"),
    }
}

/// Pushes the next item, if there is room, into a ring that its consumer may close.
pub(super) fn push_or_stop(producer: &mut RingProducer, run: &Run) {
    match producer.push(producer.position() + 1) {
        Ok(()) => {}
        Err(PushError::Full) => run.saw("producer saw full"),
        Err(PushError::PeerClosed) => run.saw("producer saw the stop"),
        Err(error) => panic!("{error}"),
    }
}

/// Pops the next item, if there is one, from a ring that its producer may close after `items`.
pub(super) fn pop_or_end(consumer: &mut RingConsumer, items: u64, run: &Run) {
    match consumer.pop() {
        Ok(item) => assert_eq!(item, consumer.position(), "not the next item"),
        Err(PopError::Empty) => run.saw("consumer saw empty"),
        Err(PopError::PeerClosed) => {
            assert_eq!(consumer.position(), items, "the end before the last item");
            run.saw("consumer saw the end");
        }
        Err(error) => panic!("{error}"),
    }
}

/// Pops what is left up to position `end`: the producer's last one, which was seen.
pub(super) fn drain(consumer: &mut RingConsumer, end: u64) {
    while consumer.position() < end {
        let next = consumer.position() + 1;
        assert_eq!(consumer.pop(), Ok(next), "a committed item");
    }
    assert_eq!(consumer.pop(), Err(PopError::Empty));
}

/// Reserves and commits up to `count` of the next items, if there is room for one.
pub(super) fn push_chunk(producer: &mut RingProducer, count: usize, run: &Run) {
    let mut chunk = match producer.reserve(count) {
        Ok(chunk) => chunk,
        Err(PushError::Full) => return run.saw("producer saw full"),
        Err(error) => panic!("{error}"),
    };
    match (chunk.len(), chunk.position() % 2) {
        (1, _) => run.saw("chunk was cut short"),
        (_, 1) => run.saw("chunk wrapped"),
        _ => {}
    }
    let first = chunk.position() + 1;
    let items: Vec<_> = (first..).take(chunk.len()).collect();
    chunk.copy_from_slice(0, &items).expect("as many as it has");
    chunk.commit_all();
}

/// Looks at up to `count` of the next items and releases them.
pub(super) fn pop_chunk(consumer: &mut RingConsumer, count: usize, run: &Run) {
    let chunk = match consumer.peek(count) {
        Ok(chunk) => chunk,
        Err(PopError::Empty) => return run.saw("consumer saw empty"),
        Err(error) => panic!("{error}"),
    };
    let mut items = vec![0; chunk.len()];
    chunk
        .copy_to_slice(0, &mut items)
        .expect("as many as it has");
    let expected: Vec<_> = (chunk.position() + 1..).take(items.len()).collect();
    assert_eq!(items, expected, "not the next items");
    chunk.release_all();
}

/// One item, then chunks of two against chunks of two in a ring of two: they wrap, and are cut
/// short when less is free or there.
fn chunks(run: &Arc<Run>) {
    let ring = OwnedRing::new(2, 2);
    let producing = ring.produce(run, |producer, run| {
        push_chunk(producer, 1, run);
        push_chunk(producer, 2, run);
        push_chunk(producer, 2, run);
        producer.position()
    });
    let mut consumer = ring.consumer(run.memory("consumer"));
    pop_chunk(&mut consumer, 2, run);
    pop_chunk(&mut consumer, 2, run);
    let pushed = producing.join();
    drain(&mut consumer, pushed);
}

/// Two slots reserved and one committed, then the other: what is not committed is not seen. The
/// producer reads back what it wrote.
fn part_of_a_chunk(run: &Arc<Run>) {
    let ring = OwnedRing::new(2, 2);
    let producing = ring.produce(run, |producer, _| {
        let mut chunk = producer.reserve(2).expect("an empty ring has room");
        chunk.copy_from_slice(0, &[1, 7]).expect("two");
        assert_eq!((chunk.get(0), chunk.get(1)), (Some(1), Some(7)));
        chunk.commit(1).expect("one of two");
        assert_eq!(producer.push(2), Ok(()));
    });
    let mut consumer = ring.consumer(run.memory("consumer"));
    match consumer.peek(2) {
        Ok(chunk) => {
            run.saw(if chunk.len() == 1 {
                "saw one"
            } else {
                "saw both"
            });
            let items: Vec<_> = (0..chunk.len())
                .filter_map(|index| chunk.get(index))
                .collect();
            assert!(
                [&[1][..], &[1, 2]].contains(&&items[..]),
                "not the first items: {items:?}"
            );
            chunk.release(1).expect("one of those");
        }
        Err(error) => assert_eq!(error, PopError::Empty),
    }
    producing.join();
    drain(&mut consumer, 2);
}

/// A reservation is written to and dropped: it is not seen, and the next item takes the slot.
fn reservation_dropped(run: &Arc<Run>) {
    let ring = OwnedRing::new(1, 1);
    let producing = ring.produce(run, |producer, _| {
        let mut chunk = producer.reserve(1).expect("an empty ring has room");
        chunk.set(0, 7).expect("one");
        assert_eq!(producer.push(1), Ok(()));
    });
    let mut consumer = ring.consumer(run.memory("consumer"));
    pop_next(&mut consumer, run);
    if consumer.position() == 1 {
        run.saw("the next item took the slot");
    }
    producing.join();
    drain(&mut consumer, 1);
}

/// An item looked at and not released is still there, and its slot is not given to the producer.
fn look_again(run: &Arc<Run>) {
    let ring = OwnedRing::new(1, 1);
    let producing = ring.produce(run, |producer, run| {
        push_next(producer, run);
        push_next(producer, run);
        producer.position()
    });
    let mut consumer = ring.consumer(run.memory("consumer"));
    if let Ok(chunk) = consumer.peek(1) {
        assert_eq!(chunk.get(0), Some(1), "not the first item");
        let chunk = consumer.peek(1).expect("nobody took it");
        assert_eq!(chunk.get(0), Some(1), "not the same item again");
        chunk.release_all();
        run.saw("saw it twice");
    }
    let pushed = producing.join();
    drain(&mut consumer, pushed);
}

/// The producer never believes that more items are live than fit.
fn occupancy(run: &Arc<Run>) {
    let ring = OwnedRing::new(1, 1);
    let consuming = ring.consume(run, pop_next);
    let mut producer = ring.producer(run.memory("producer"));
    push_next(&mut producer, run);
    match producer.occupancy().expect("a correct consumer") {
        0 => run.saw("it was taken"),
        1 => run.saw("it is there"),
        more => panic!("{more} items in a ring of one"),
    }
    consuming.join();
}

/// Some items, then the end: whoever sees the end has seen them all.
fn close<const ITEMS: u64>(run: &Arc<Run>) {
    let ring = OwnedRing::new(2, 2);
    let producing = ring.produce(run, |producer, _| {
        for item in 1..=ITEMS {
            assert_eq!(producer.push(item), Ok(()));
        }
        producer.close();
        assert_eq!(producer.push(7), Err(PushError::Closed));
    });
    let mut consumer = ring.consumer(run.memory("consumer"));
    for _ in 0..ITEMS + 2 {
        pop_or_end(&mut consumer, ITEMS, run);
    }
    producing.join();
    while consumer.position() < ITEMS {
        let next = consumer.position() + 1;
        assert_eq!(consumer.pop(), Ok(next));
    }
    assert_eq!(consumer.pop(), Err(PopError::PeerClosed));
}

/// The consumer takes what it finds and closes its side: a producer that sees this knows how many
/// items were not taken.
fn stop(run: &Arc<Run>) {
    let ring = OwnedRing::new(1, 1);
    let consuming = ring.consume(run, |consumer, run| {
        pop_next(consumer, run);
        consumer.close();
        assert_eq!(consumer.pop(), Err(PopError::Closed));
        consumer.position()
    });
    let mut producer = ring.producer(run.memory("producer"));
    let mut left = None;
    for _ in 0..3 {
        let next = producer.position() + 1;
        match producer.push(next) {
            Ok(()) => assert_eq!(left, None, "an item after the stop"),
            Err(PushError::Full) => run.saw("producer saw full"),
            Err(PushError::PeerClosed) => {
                run.saw("producer saw the stop");
                left = Some(producer.occupancy().expect("a correct consumer"));
            }
            Err(error) => panic!("{error}"),
        }
    }
    let popped = consuming.join();
    if let Some(left) = left {
        assert_eq!(left, producer.position() - popped, "items that nobody took");
        run.saw(if left > 0 {
            "items were left"
        } else {
            "nothing was left"
        });
    }
}

/// A producer with room to spare asks whether items are still taken.
fn stop_asked_for(run: &Arc<Run>) {
    let ring = OwnedRing::new(2, 2);
    let consuming = ring.consume(run, |consumer, run| {
        pop_next(consumer, run);
        consumer.close();
        consumer.position()
    });
    let mut producer = ring.producer(run.memory("producer"));
    push_or_stop(&mut producer, run);
    let closed = producer.is_peer_closed().expect("a correct consumer");
    let seen = producer.occupancy().expect("a correct consumer");
    let popped = consuming.join();
    if closed {
        assert_eq!(seen, producer.position() - popped, "items that nobody took");
        assert_eq!(producer.push(2), Err(PushError::PeerClosed));
        run.saw("producer saw the stop");
    } else {
        run.saw("producer saw it open");
    }
    assert_eq!(
        producer.is_peer_closed(),
        Ok(true),
        "after the consumer is gone"
    );
}

/// A note written before the consumer closes its side is seen by a producer that has seen the
/// close, though both of the note's own accesses are relaxed.
fn note_before_stop(run: &Arc<Run>) {
    let ring = OwnedRing::new(1, 1);
    let note = OwnedWords::new(0, &[]);
    let consuming = spawn({
        let (note, memory) = (Arc::clone(&note), run.memory("annotator"));
        let mut consumer = ring.consumer(run.memory("consumer"));
        move || {
            memory.store(note.word(), 7, StoreSite::NoteWrite);
            consumer.close();
        }
    });
    let mut producer = ring.producer(run.memory("producer"));
    if producer.is_peer_closed().expect("a correct consumer") {
        let seen = run.memory("reader").load(note.word(), LoadSite::NoteRead);
        assert_eq!(seen, 7, "the stop came without the note");
        run.saw("the note came with the stop");
    } else {
        run.saw("producer saw it open");
    }
    consuming.join();
}

/// Both close, each without knowing of the other: both stay closed, no item is counted twice.
fn both_close(run: &Arc<Run>) {
    let ring = OwnedRing::new(1, 1);
    let consuming = ring.consume(run, |consumer, _| {
        let popped = consumer.pop().is_ok();
        consumer.close();
        assert_eq!(consumer.pop(), Err(PopError::Closed));
        u64::from(popped)
    });
    let mut producer = ring.producer(run.memory("producer"));
    push_or_stop(&mut producer, run);
    push_or_stop(&mut producer, run);
    producer.close();
    assert_eq!(producer.push(3), Err(PushError::Closed));
    run.saw("closed");
    let popped = consuming.join();
    assert_eq!(producer.occupancy(), Ok(producer.position() - popped));
}

/// A producer that is gone, as the kernel says, has committed what it ever will: a consumer that
/// saw empty before must look again after.
fn producer_gone(run: &Arc<Run>) {
    let ring = OwnedRing::new(2, 2);
    let producing = ring.produce(run, |producer, _| {
        assert_eq!(producer.push(1), Ok(()));
        assert_eq!(producer.push(2), Ok(()));
    });
    let mut consumer = ring.consumer(run.memory("consumer"));
    pop_next(&mut consumer, run);
    pop_next(&mut consumer, run);
    producing.join();
    run.saw(match consumer.position() {
        2 => "nothing was left",
        _ => "items were left",
    });
    drain(&mut consumer, 2);
}

/// A note written before a commit is seen by whoever has seen the commit, though both of the
/// note's own accesses are relaxed.
fn note_before_commit(run: &Arc<Run>) {
    let ring = OwnedRing::new(1, 1);
    let note = OwnedWords::new(0, &[]);
    let producing = spawn({
        let (note, memory) = (Arc::clone(&note), run.memory("annotator"));
        let mut producer = ring.producer(run.memory("producer"));
        move || {
            memory.store(note.word(), 7, StoreSite::NoteWrite);
            assert_eq!(producer.push(1), Ok(()));
        }
    });
    let mut consumer = ring.consumer(run.memory("consumer"));
    pop_next(&mut consumer, run);
    if consumer.position() == 1 {
        let seen = run.memory("reader").load(note.word(), LoadSite::NoteRead);
        assert_eq!(seen, 7, "the item came without its note");
        run.saw("the note came with the item");
    }
    producing.join();
}

/// A producer ends, a successor goes on where it stopped, and the consumer runs all along.
fn producer_succeeded(run: &Arc<Run>) {
    let ring = OwnedRing::new(1, 1);
    let consuming = ring.consume(run, |consumer, run| {
        for _ in 0..3 {
            pop_next(consumer, run);
        }
        consumer.position()
    });
    let first = ring.produce(run, push_next);
    first.join();
    let mut producer = ring.producer(run.memory("successor"));
    assert_eq!(producer.position(), 1, "the first push met an empty ring");
    for _ in 0..2 {
        push_next(&mut producer, run);
    }
    let popped = consuming.join();
    assert!(popped <= producer.position() && producer.position() - popped <= 1);
    if popped == 3 {
        run.saw("all went over");
    }
}

/// A consumer ends, a successor goes on where it stopped, and the producer runs all along.
fn consumer_succeeded(run: &Arc<Run>) {
    let ring = OwnedRing::new(1, 1);
    let producing = ring.produce(run, |producer, run| {
        for _ in 0..3 {
            push_next(producer, run);
        }
        producer.position()
    });
    let first = ring.consume(run, pop_next);
    first.join();
    let mut consumer = ring.consumer(run.memory("successor"));
    if consumer.position() == 1 {
        run.saw("successor went on later");
    }
    for _ in 0..2 {
        pop_next(&mut consumer, run);
    }
    if consumer.position() == 3 {
        run.saw("all went over");
    }
    let pushed = producing.join();
    drain(&mut consumer, pushed);
}

/// Who succeeds the producer of a closed ring finds it closed.
fn closed_ring_inherited(run: &Arc<Run>) {
    let ring = OwnedRing::new(1, 1);
    let closing = ring.produce(run, |producer, _| {
        assert_eq!(producer.push(1), Ok(()));
        producer.close();
    });
    let consuming = ring.consume(run, |consumer, run| {
        for _ in 0..2 {
            pop_or_end(consumer, 1, run);
        }
    });
    closing.join();
    let mut successor = ring.producer(run.memory("successor"));
    assert!(successor.is_closed());
    assert_eq!(successor.push(2), Err(PushError::Closed));
    consuming.join();
}

/// Who succeeds the consumer of a ring that was closed from that side finds it closed.
fn stopped_ring_inherited(run: &Arc<Run>) {
    let ring = OwnedRing::new(1, 1);
    let stopping = ring.consume(run, |consumer, _| consumer.close());
    let producing = ring.produce(run, |producer, run| {
        for _ in 0..2 {
            push_or_stop(producer, run);
        }
    });
    stopping.join();
    let mut successor = ring.consumer(run.memory("successor"));
    assert!(successor.is_closed());
    assert_eq!(successor.pop(), Err(PopError::Closed));
    producing.join();
}
