//! Scenarios of death. An actor dies before each of its accesses in turn, making its endpoint
//! included; whoever joins its thread sees the death, as through the kernel; a successor takes
//! over; the other side runs all along and knows nothing.
//!
//! The operations of `ringproof-stress crash` are another description of deaths, and cannot be this one. There
//! one process is the victim, it is killed by SIGKILL or stopped at an access, a system call or an
//! instruction, and what the others do comes after it, in an order that the operation sets up. Here the
//! threads are the engine's, words and slots are its own and not mapped, a death is an unwinding, and the other
//! side runs *at the same time*, so that what it can see between any two accesses is explored; an operation
//! there takes too many steps for that (its segments, files and locks do not exist under loom), and
//! what is judged here, outcomes over all executions, has no counterpart in one process that was killed. What
//! can be shared is: the algorithms, the sites, and `Dying`'s rule that nothing is stored after the last access.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringproof::harness;
use ringproof::memory::Memory;
use ringproof::site::{LoadSite, StoreSite};

use super::latest::{Latch, Latest, Seqlock, read_elsewhere};
use super::ring::{drain, pop_chunk, pop_next, pop_or_end, push_chunk, push_next, push_or_stop};
use super::{NIGHT, REFUSED, Scenario};
use crate::engine::{Thread, spawn};
use crate::instrumented::Instrumented;
use crate::owned::{OwnedRing, OwnedWords, RingConsumer, RingProducer};
use crate::run::{Run, mortal};

pub(super) fn inventory() -> Vec<Scenario> {
    let rows = scenarios! {
        "crash/producer, ring of 1", producer_dies::<1, 3>, 2_400, Exhausted, BOTH_ENDS;
        "crash/producer, ring of 2", producer_dies::<2, 3>, 3_300, Exhausted, BOTH_ENDS;
        "crash/producer, ring of 4", producer_dies::<4, 6>, 130_000, Bounded(2), BOTH_ENDS;
        "crash/consumer, ring of 1", consumer_dies::<1, 2>, 300, Exhausted, BOTH_ENDS;
        "crash/consumer, ring of 2", consumer_dies::<2, 3>, 8_300, Exhausted, BOTH_ENDS;
        "crash/consumer, ring of 4", consumer_dies::<4, 6>, 370_000, Bounded(2), BOTH_ENDS;
        "crash/producer of a chunk", chunk_producer_dies, 250, Exhausted, BOTH_ENDS;
        "crash/consumer of a chunk", chunk_consumer_dies, 450, Exhausted,
            &["died", "lived", "producer saw full", "saw an item again"];
        "crash/closing producer", closing_producer_dies, 120, Exhausted,
            &["died", "lived", "consumer saw empty", "consumer saw the end", "successor found it closed",
            "successor found it open"];
        "crash/closing consumer", closing_consumer_dies, 900, Exhausted,
            &["died", "lived", "consumer saw empty", "producer saw full", "producer saw the stop",
            "successor found it closed", "successor found it open"];
        "crash/seqlock writer", writer_dies::<Seqlock, 2, 1, 1>, 26_000, Exhausted, REPAIRED;
        "crash/seqlock writer, 2 writes", writer_dies::<Seqlock, 2, 2, 2>, 81_000, Bounded(2), REPAIRED;
        "crash/seqlock reader", reader_dies::<Seqlock, 2>, 1_000, Exhausted, &["died", "lived"];
        "crash/latch writer", writer_dies::<Latch, 4, 1, 1>, 920, Exhausted, LATCH;
        "crash/latch writer, 2 writes", writer_dies::<Latch, 4, 2, 2>, 7_900, Bounded(2), LATCH;
        "crash/latch reader", reader_dies::<Latch, 4>, 35, Exhausted, &["died", "lived"];
        "crash/taker of a role", taker_dies, 4, Exhausted, &["died", "lived"];
        "crash/annotator", annotator_dies, 18, Exhausted, &["died", "lived", "consumer saw empty"];
        "crash/remover of a segment", remover_dies, 2, Exhausted,
            &["died", "lived", "found it retired", "found it in use"];
    };
    rows.into_iter().map(Scenario::crashes).collect()
}

const BOTH_ENDS: &[&str] = &["died", "lived", "producer saw full", "consumer saw empty"];
const REPAIRED: &[&str] = &[
    "died",
    "lived",
    "successor repaired",
    "read the initial value",
    "read a new value",
    REFUSED,
];
const LATCH: &[&str] = &[
    "died",
    "lived",
    "read the initial value",
    "read a new value",
    REFUSED,
];

pub(super) fn night() -> Vec<Scenario> {
    let rows = scenarios! {
        "crash/producer, ring of 2, 4 tries", producer_dies::<2, 4>, NIGHT, Exhausted, BOTH_ENDS;
        "crash/consumer, ring of 2, 4 tries", consumer_dies::<2, 4>, NIGHT, Exhausted, BOTH_ENDS;
        "crash/producer, ring of 4, bound 3", producer_dies::<4, 6>, NIGHT, Bounded(3), BOTH_ENDS;
        "crash/consumer, ring of 4, bound 3", consumer_dies::<4, 6>, NIGHT, Bounded(3), BOTH_ENDS;
        "crash/seqlock writer, 2 writes, 1 read", writer_dies::<Seqlock, 2, 2, 1>, NIGHT, Exhausted, REPAIRED;
        "crash/seqlock writer, bound 3", writer_dies::<Seqlock, 2, 2, 2>, NIGHT, Bounded(3), REPAIRED;
        "crash/latch writer, 2 writes, 1 read", writer_dies::<Latch, 4, 2, 1>, NIGHT, Exhausted, LATCH;
        "crash/latch writer, bound 3", writer_dies::<Latch, 4, 2, 2>, NIGHT, Bounded(3), LATCH;
    };
    rows.into_iter().map(Scenario::crashes).collect()
}

/// Starts an actor of this name who may die while it makes its endpoint, or uses it in a thread.
fn start_mortal<P: Send + 'static>(
    run: &Arc<Run>,
    name: &str,
    make: impl FnOnce(Instrumented) -> P,
    body: impl FnOnce(P, &Run) + Send + 'static,
) -> Thread<()> {
    let endpoint = mortal(|| make(run.dying_memory(name)));
    let run = Arc::clone(run);
    spawn(move || {
        let done = endpoint.and_then(|endpoint| mortal(|| body(endpoint, &run)));
        run.saw(if done.is_some() { "lived" } else { "died" });
    })
}

/// The ring's producer lives or dies: in a thread that has ended when this returns.
fn mortal_producer(
    run: &Arc<Run>,
    ring: &Arc<OwnedRing>,
    body: impl FnOnce(&mut RingProducer, &Run) + Send + 'static,
) {
    let make = |memory| ring.producer(memory);
    start_mortal(run, "producer", make, |mut end, run| body(&mut end, run)).join();
}

/// The ring's consumer, likewise.
fn mortal_consumer(
    run: &Arc<Run>,
    ring: &Arc<OwnedRing>,
    body: impl FnOnce(&mut RingConsumer, &Run) + Send + 'static,
) {
    let make = |memory| ring.consumer(memory);
    start_mortal(run, "consumer", make, |mut end, run| body(&mut end, run)).join();
}

/// What took effect against what the predecessor had seen return: all of that, and at most the call in which it died,
/// which may have woken nobody yet.
fn judge_position(position: u64, returned: &AtomicU64) {
    // Relaxed: the predecessor's thread was joined.
    let returned = returned.load(Ordering::Relaxed);
    assert!(
        position == returned || position == returned + 1,
        "{position} calls took effect, {returned} returned"
    );
}

fn producer_dies<const SLOTS: usize, const TRIES: u64>(run: &Arc<Run>) {
    let ring = OwnedRing::new(SLOTS, SLOTS as u64);
    let returned = Arc::new(AtomicU64::new(0));
    let consuming = spawn({
        let (mut consumer, run) = (ring.consumer(run.memory("consumer")), Arc::clone(run));
        move || {
            for _ in 0..TRIES {
                pop_next(&mut consumer, &run);
            }
            consumer
        }
    });
    let count = Arc::clone(&returned);
    mortal_producer(run, &ring, move |producer, run| {
        for _ in 1..TRIES {
            push_next(producer, run);
            count.store(producer.position(), Ordering::Relaxed);
        }
    });
    let mut successor = ring.producer(run.memory("successor"));
    judge_position(successor.position(), &returned);
    push_next(&mut successor, run);
    let mut consumer = consuming.join();
    drain(&mut consumer, successor.position());
}

fn consumer_dies<const SLOTS: usize, const TRIES: u64>(run: &Arc<Run>) {
    let ring = OwnedRing::new(SLOTS, SLOTS as u64);
    let returned = Arc::new(AtomicU64::new(0));
    let producing = ring.produce(run, |producer, run| {
        for _ in 0..TRIES {
            push_next(producer, run);
        }
        producer.position()
    });
    let count = Arc::clone(&returned);
    mortal_consumer(run, &ring, move |consumer, run| {
        for _ in 1..TRIES {
            pop_next(consumer, run);
            count.store(consumer.position(), Ordering::Relaxed);
        }
    });
    let mut successor = ring.consumer(run.memory("successor"));
    judge_position(successor.position(), &returned);
    pop_next(&mut successor, run);
    let pushed = producing.join();
    drain(&mut successor, pushed);
}

/// A chunk is committed whole or not at all.
fn chunk_producer_dies(run: &Arc<Run>) {
    let ring = OwnedRing::new(2, 2);
    let consuming = spawn({
        let (mut consumer, run) = (ring.consumer(run.memory("consumer")), Arc::clone(run));
        move || {
            pop_chunk(&mut consumer, 2, &run);
            pop_chunk(&mut consumer, 2, &run);
            consumer
        }
    });
    mortal_producer(run, &ring, |producer, run| {
        let mut chunk = producer.reserve(2).expect("an empty ring has room");
        chunk.set(0, 7).expect("two");
        // Not committed, and forgotten.
        assert_eq!(chunk.get(0), Some(7));
        push_chunk(producer, 2, run);
    });
    let mut successor = ring.producer(run.memory("successor"));
    assert!([0, 2].contains(&successor.position()), "half a chunk");
    push_chunk(&mut successor, 2, run);
    let mut consumer = consuming.join();
    drain(&mut consumer, successor.position());
}

/// What a consumer looked at and did not release, its successor sees again, with its position.
fn chunk_consumer_dies(run: &Arc<Run>) {
    let ring = OwnedRing::new(2, 2);
    let processed = Arc::new(AtomicU64::new(0));
    let producing = ring.produce(run, |producer, run| {
        for _ in 0..3 {
            push_next(producer, run);
        }
        producer.position()
    });
    let count = Arc::clone(&processed);
    mortal_consumer(run, &ring, move |consumer, _| {
        if let Ok(chunk) = consumer.peek(2) {
            for index in 0..chunk.len() {
                assert_eq!(chunk.get(index), Some(index as u64 + 1));
                count.store(index as u64 + 1, Ordering::Relaxed);
            }
            chunk.release_all();
        }
    });
    let mut successor = ring.consumer(run.memory("successor"));
    let processed = processed.load(Ordering::Relaxed);
    assert!(
        successor.position() <= processed,
        "released before it was processed"
    );
    if successor.position() < processed {
        assert_eq!(successor.pop(), Ok(1));
        run.saw("saw an item again");
    }
    let pushed = producing.join();
    drain(&mut successor, pushed);
}

/// A close that was cut off took effect or did not; what was committed before it is there.
fn closing_producer_dies(run: &Arc<Run>) {
    let ring = OwnedRing::new(1, 1);
    let consuming = ring.consume(run, |consumer, run| {
        for _ in 0..2 {
            pop_or_end(consumer, 1, run);
        }
        consumer.position()
    });
    mortal_producer(run, &ring, |producer, _| {
        assert_eq!(producer.push(1), Ok(()));
        producer.close();
    });
    let successor = ring.producer(run.memory("successor"));
    run.saw(match successor.is_closed() {
        true => "successor found it closed",
        false => "successor found it open",
    });
    assert!(!successor.is_closed() || successor.position() == 1);
    assert!(consuming.join() <= successor.position());
}

/// The same from the other side.
fn closing_consumer_dies(run: &Arc<Run>) {
    let ring = OwnedRing::new(1, 1);
    let producing = ring.produce(run, |producer, run| {
        for _ in 0..2 {
            push_or_stop(producer, run);
        }
        (
            producer.position(),
            producer.is_peer_closed().expect("correct"),
        )
    });
    mortal_consumer(run, &ring, |consumer, run| {
        pop_next(consumer, run);
        consumer.close();
    });
    let mut successor = ring.consumer(run.memory("successor"));
    let closed = successor.is_closed();
    let (pushed, stopped) = producing.join();
    assert!(closed || !stopped, "the producer saw a stop that was not");
    if closed {
        run.saw("successor found it closed");
    } else {
        run.saw("successor found it open");
        drain(&mut successor, pushed);
    }
}

/// Of a seqlock the successor repairs what was cut off; of a latch there is a value to read at any time.
fn writer_dies<L: Latest, const WORDS: usize, const WRITES: u64, const READS: usize>(
    run: &Arc<Run>,
) {
    let words = OwnedWords::new(0, &[0; WORDS]);
    let reading = read_elsewhere::<L>(run, &words, READS);
    let make = |memory| L::writer(&words, memory);
    let dying = start_mortal(run, "writer", make, |mut writer, _| {
        (1..=WRITES).for_each(|number| L::write(&mut writer, number));
    });
    dying.join();
    let mut successor = L::writer(&words, run.memory("successor"));
    if L::needs_repair(&successor) {
        run.saw("successor repaired");
    }
    L::write(&mut successor, 9);
    reading.join();
    let reader = L::reader(&words, run.memory("reader"));
    let last = L::try_read(&reader);
    assert_eq!(last, Ok([9; 2]), "after the successor's write");
}

/// A reader stores nothing: no other actor notices its death.
fn reader_dies<L: Latest, const WORDS: usize>(run: &Arc<Run>) {
    let words = OwnedWords::new(0, &[0; WORDS]);
    let make = |memory| L::reader(&words, memory);
    let dying = start_mortal(run, "reader", make, |reader, _| {
        let _ = L::try_read(&reader);
    });
    let mut writer = L::writer(&words, run.memory("writer"));
    L::write(&mut writer, 1);
    let reader = L::reader(&words, run.memory("reader"));
    assert_eq!(L::try_read(&reader), Ok([1; 2]));
    dying.join();
}

/// Whoever takes the role next counts on from what is there.
fn taker_dies(run: &Arc<Run>) {
    let epoch = OwnedWords::new(0, &[]);
    let retired = OwnedWords::new(0, &[]);
    let dying = start_mortal(run, "taker", |memory| memory, {
        let (epoch, retired) = (Arc::clone(&epoch), Arc::clone(&retired));
        move |memory, _| {
            assert!(!harness::is_retired(&memory, retired.word()));
            harness::enter(&memory, epoch.word());
        }
    });
    dying.join();
    let now = harness::enter(&run.memory("successor"), epoch.word());
    assert!((1..=2).contains(&now), "epoch {now}");
}

/// A note is written before the item that it belongs to is committed: a reader of the item never
/// misses it, whatever became of the writer, and a successor finds it.
fn annotator_dies(run: &Arc<Run>) {
    let ring = OwnedRing::new(1, 1);
    let note = OwnedWords::new(0, &[]);
    let consuming = spawn({
        let (mut consumer, run) = (ring.consumer(run.memory("consumer")), Arc::clone(run));
        let (note, memory) = (Arc::clone(&note), run.memory("reader"));
        move || {
            pop_next(&mut consumer, &run);
            if consumer.position() == 1 {
                assert_eq!(memory.load(note.word(), LoadSite::NoteRead), 7);
            }
        }
    });
    let mut producer = ring.producer(run.memory("producer"));
    let dying = start_mortal(run, "annotator", |memory| memory, {
        let note = Arc::clone(&note);
        move |annotator: Instrumented, _| {
            let before = annotator.load(note.word(), LoadSite::NoteRead);
            annotator.store(note.word(), before + 7, StoreSite::NoteWrite);
            assert_eq!(producer.push(1), Ok(()));
        }
    });
    dying.join();
    let successor = ring.producer(run.memory("successor"));
    let found = run
        .memory("successor")
        .load(note.word(), LoadSite::NoteRead);
    assert!(
        found == 7 || successor.position() == 0,
        "an item without its note"
    );
    consuming.join();
}

/// Who takes a role after the death of a remover finds the segment retired or in use; reinstated,
/// it can be taken.
fn remover_dies(run: &Arc<Run>) {
    let retired = OwnedWords::new(0, &[]);
    let dying = start_mortal(run, "remover", |memory| memory, {
        let retired = Arc::clone(&retired);
        move |memory, _| harness::retire(&memory, retired.word())
    });
    dying.join();
    let memory = run.memory("successor");
    if harness::is_retired(&memory, retired.word()) {
        run.saw("found it retired");
        harness::reinstate(&memory, retired.word());
    } else {
        run.saw("found it in use");
    }
    assert!(!harness::is_retired(&memory, retired.word()));
}
