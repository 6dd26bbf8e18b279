//! Scenarios of the ring. Items are numbered from 1, so a slot that nobody filled shows as 0.

use std::sync::Arc;

use ringproof::memory::Memory;
use ringproof::ring::{Consumer, Producer};
use ringproof::site::{LoadSite, StoreSite};
use ringproof::{PopError, PushError};

use super::Scenario;
use crate::engine::{Engine, OwnedRing, OwnedWords};
use crate::run::Run;

pub(super) fn inventory<E: Engine>() -> Vec<Scenario<E>> {
    const BOTH_ENDS: &[&str] = &["producer saw full", "consumer saw empty", "all went over"];
    vec![
        Scenario::new("ring/capacity 1", one_by_one::<E, 1, 1, 3>, 350, BOTH_ENDS),
        Scenario::new(
            "ring/capacity 2",
            one_by_one::<E, 2, 2, 4>,
            15_000,
            BOTH_ENDS,
        ),
        Scenario::new(
            "ring/capacity 1 in 2 slots",
            one_by_one::<E, 2, 1, 4>,
            3_000,
            BOTH_ENDS,
        ),
        Scenario::new(
            "ring/chunks",
            chunks::<E>,
            700,
            &["chunk wrapped", "chunk was cut short", "consumer saw empty"],
        ),
        Scenario::new(
            "ring/close",
            close::<E>,
            4_000,
            &["consumer saw empty", "consumer saw the end"],
        ),
        Scenario::new(
            "ring/note before a commit",
            note_before_commit::<E>,
            5,
            &["consumer saw empty", "the note came with the item"],
        ),
        Scenario::new(
            "ring/producer succeeded",
            producer_succeeded::<E>,
            650,
            &["producer saw full", "all went over"],
        ),
        Scenario::new(
            "ring/consumer succeeded",
            consumer_succeeded::<E>,
            650,
            &["successor went on later", "all went over"],
        ),
    ]
}

/// `TRIES` pushes against `TRIES` pops, at least as many as fill the ring and wrap it.
fn one_by_one<E: Engine, const SLOTS: usize, const CAPACITY: u64, const TRIES: usize>(
    run: &Arc<Run>,
) {
    let ring = OwnedRing::<E, u64>::new(SLOTS, CAPACITY);
    let producing = E::spawn({
        let (mut producer, run) = (ring.producer(run), Arc::clone(run));
        move || {
            for _ in 0..TRIES {
                push_next::<E>(&mut producer, &run);
            }
            producer.position()
        }
    });
    let mut consumer = ring.consumer(run);
    for _ in 0..TRIES {
        pop_next::<E>(&mut consumer, run);
    }
    let early = consumer.position();
    let pushed = E::join(producing);
    while consumer.position() < pushed {
        assert_eq!(consumer.pop(), Ok(consumer.position()));
    }
    assert_eq!(consumer.pop(), Err(PopError::Empty));
    if early == TRIES as u64 {
        run.saw("all went over");
    }
}

/// Pushes the item whose number is its position, from 1.
fn push_next<E: Engine>(producer: &mut Producer<'_, u64, E::Memory>, run: &Run) {
    match producer.push(producer.position() + 1) {
        Ok(()) => {}
        Err(PushError::Full) => run.saw("producer saw full"),
        Err(error) => panic!("{error}"),
    }
}

/// Pops, and checks the item against its position.
fn pop_next<E: Engine>(consumer: &mut Consumer<'_, u64, E::Memory>, run: &Run) {
    match consumer.pop() {
        Ok(item) => assert_eq!(item, consumer.position(), "not the next item"),
        Err(PopError::Empty) => run.saw("consumer saw empty"),
        Err(error) => panic!("{error}"),
    }
}

/// One item, then chunks of two against chunks of two in a ring of two: they wrap, and are cut
/// short when less is free or there.
fn chunks<E: Engine>(run: &Arc<Run>) {
    let ring = OwnedRing::<E, u64>::new(2, 2);
    let producing = E::spawn({
        let (mut producer, run) = (ring.producer(run), Arc::clone(run));
        move || {
            assert_eq!(producer.push(1), Ok(()));
            for _ in 0..2 {
                let mut chunk = match producer.reserve(2) {
                    Ok(chunk) => chunk,
                    Err(PushError::Full) => continue,
                    Err(error) => panic!("{error}"),
                };
                match (chunk.len(), chunk.position() % 2) {
                    (1, _) => run.saw("chunk was cut short"),
                    (_, 1) => run.saw("chunk wrapped"),
                    _ => {}
                }
                let first = chunk.position() + 1;
                let items = [first, first + 1];
                let count = chunk.len();
                chunk
                    .copy_from_slice(0, &items[..count])
                    .expect("as many as the chunk has");
                assert_eq!(chunk.get(count - 1), Some(items[count - 1]));
                chunk.commit_all();
            }
            // Reserved and dropped: the ring stays as it was.
            drop(producer.reserve(1));
            producer.position()
        }
    });
    let mut consumer = ring.consumer(run);
    let take = |consumer: &mut Consumer<'_, u64, E::Memory>| {
        let chunk = match consumer.peek(2) {
            Ok(chunk) => chunk,
            Err(PopError::Empty) => return run.saw("consumer saw empty"),
            Err(error) => panic!("{error}"),
        };
        let mut items = [0; 2];
        let count = chunk.len();
        chunk
            .copy_to_slice(0, &mut items[..count])
            .expect("as many as the chunk has");
        let first = chunk.position() + 1;
        assert_eq!(
            items[..count],
            [first, first + 1][..count],
            "not the next items"
        );
        chunk.release_all();
    };
    take(&mut consumer);
    take(&mut consumer);
    let pushed = E::join(producing);
    while consumer.position() < pushed {
        take(&mut consumer);
    }
    assert_eq!(consumer.pop(), Err(PopError::Empty));
}

/// Two items, then the end: whoever sees the end has seen both.
fn close<E: Engine>(run: &Arc<Run>) {
    let ring = OwnedRing::<E, u64>::new(2, 2);
    let producing = E::spawn({
        let mut producer = ring.producer(run);
        move || {
            assert_eq!(producer.push(1), Ok(()));
            assert_eq!(producer.push(2), Ok(()));
            producer.close();
            assert_eq!(producer.push(3), Err(PushError::Closed));
        }
    });
    let mut consumer = ring.consumer(run);
    for _ in 0..4 {
        match consumer.pop() {
            Err(PopError::Ended) => {
                assert_eq!(consumer.position(), 2, "the end was seen before every item");
                run.saw("consumer saw the end");
            }
            Err(PopError::Empty) => run.saw("consumer saw empty"),
            Ok(item) => assert_eq!(item, consumer.position(), "not the next item"),
            Err(error) => panic!("{error}"),
        }
    }
    E::join(producing);
    while consumer.position() < 2 {
        assert_eq!(consumer.pop(), Ok(consumer.position()));
    }
    assert_eq!(consumer.pop(), Err(PopError::Ended));
}

/// A note written before a commit is seen by whoever has seen the commit, though both of the
/// note's own accesses are relaxed.
fn note_before_commit<E: Engine>(run: &Arc<Run>) {
    let ring = OwnedRing::<E, u64>::new(1, 1);
    let note = OwnedWords::<E>::new(0, &[]);
    let producing = E::spawn({
        let (note, memory) = (Arc::clone(&note), E::memory(run));
        let mut producer = ring.producer(run);
        move || {
            memory.store(note.word(), 7, StoreSite::NoteWrite);
            assert_eq!(producer.push(1), Ok(()));
        }
    });
    let mut consumer = ring.consumer(run);
    match consumer.pop() {
        Ok(item) => {
            assert_eq!(item, 1, "not the next item");
            let seen = E::memory(run).load(note.word(), LoadSite::NoteRead);
            assert_eq!(seen, 7, "the item came without its note");
            run.saw("the note came with the item");
        }
        Err(PopError::Empty) => run.saw("consumer saw empty"),
        Err(error) => panic!("{error}"),
    }
    E::join(producing);
}

/// A producer ends, a successor goes on where it stopped, and the consumer runs all along.
fn producer_succeeded<E: Engine>(run: &Arc<Run>) {
    let ring = OwnedRing::<E, u64>::new(1, 1);
    let consuming = E::spawn({
        let (mut consumer, run) = (ring.consumer(run), Arc::clone(run));
        move || {
            for _ in 0..3 {
                pop_next::<E>(&mut consumer, &run);
            }
            consumer.position()
        }
    });
    let first = E::spawn({
        let (mut producer, run) = (ring.producer(run), Arc::clone(run));
        move || push_next::<E>(&mut producer, &run)
    });
    E::join(first);
    let mut producer = ring.producer(run);
    assert_eq!(producer.position(), 1, "the first push met an empty ring");
    for _ in 0..2 {
        push_next::<E>(&mut producer, run);
    }
    let popped = E::join(consuming);
    assert!(popped <= producer.position() && producer.position() - popped <= 1);
    if popped == 3 {
        run.saw("all went over");
    }
}

/// A consumer ends, a successor goes on where it stopped, and the producer runs all along.
fn consumer_succeeded<E: Engine>(run: &Arc<Run>) {
    let ring = OwnedRing::<E, u64>::new(1, 1);
    let producing = E::spawn({
        let (mut producer, run) = (ring.producer(run), Arc::clone(run));
        move || {
            for _ in 0..3 {
                push_next::<E>(&mut producer, &run);
            }
            producer.position()
        }
    });
    let first = E::spawn({
        let (mut consumer, run) = (ring.consumer(run), Arc::clone(run));
        move || pop_next::<E>(&mut consumer, &run)
    });
    E::join(first);
    let mut consumer = ring.consumer(run);
    if consumer.position() == 1 {
        run.saw("successor went on later");
    }
    for _ in 0..2 {
        pop_next::<E>(&mut consumer, run);
    }
    if consumer.position() == 3 {
        run.saw("all went over");
    }
    let pushed = E::join(producing);
    while consumer.position() < pushed {
        assert_eq!(consumer.pop(), Ok(consumer.position()));
    }
}
