//! Scenarios of death. An actor dies before each of its accesses in turn, making its endpoint
//! included; whoever joins its thread sees the death, as through the kernel; a successor takes
//! over; the other side runs all along and knows nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringproof::harness;
use ringproof::memory::Memory;
use ringproof::site::{LoadSite, StoreSite};

use super::ring::{drain, pop_chunk, pop_next, pop_or_end, push_chunk, push_next, push_or_stop};
use super::{REFUSED, Scenario, Value, read_some};
use crate::engine::{Thread, spawn};
use crate::owned::{OwnedRing, OwnedWords};
use crate::run::{Run, mortal};

pub(super) fn inventory() -> Vec<Scenario> {
    [
        Scenario::new(
            "crash/producer, ring of 1",
            producer_dies::<1, 3>,
            2_400,
            BOTH_ENDS,
        ),
        Scenario::new(
            "crash/producer, ring of 2",
            producer_dies::<2, 3>,
            3_300,
            BOTH_ENDS,
        ),
        Scenario::new(
            "crash/producer, ring of 4",
            producer_dies::<4, 6>,
            130_000,
            BOTH_ENDS,
        )
        .bounded(2),
        Scenario::new(
            "crash/consumer, ring of 1",
            consumer_dies::<1, 2>,
            300,
            BOTH_ENDS,
        ),
        Scenario::new(
            "crash/consumer, ring of 2",
            consumer_dies::<2, 3>,
            8_300,
            BOTH_ENDS,
        ),
        Scenario::new(
            "crash/consumer, ring of 4",
            consumer_dies::<4, 6>,
            370_000,
            BOTH_ENDS,
        )
        .bounded(2),
        Scenario::new(
            "crash/producer of a chunk",
            chunk_producer_dies,
            250,
            BOTH_ENDS,
        ),
        Scenario::new(
            "crash/consumer of a chunk",
            chunk_consumer_dies,
            450,
            &["died", "lived", "producer saw full", "saw an item again"],
        ),
        Scenario::new(
            "crash/closing producer",
            closing_producer_dies,
            120,
            &[
                "died",
                "lived",
                "consumer saw empty",
                "consumer saw the end",
                "successor found it closed",
                "successor found it open",
            ],
        ),
        Scenario::new(
            "crash/closing consumer",
            closing_consumer_dies,
            900,
            &[
                "died",
                "lived",
                "consumer saw empty",
                "producer saw full",
                "producer saw the stop",
                "successor found it closed",
                "successor found it open",
            ],
        ),
        Scenario::new(
            "crash/seqlock writer",
            seq_writer_dies::<1, 1>,
            26_000,
            REPAIRED,
        ),
        Scenario::new(
            "crash/seqlock writer, 2 writes",
            seq_writer_dies::<2, 2>,
            81_000,
            REPAIRED,
        )
        .bounded(2),
        Scenario::new(
            "crash/seqlock reader",
            seq_reader_dies,
            1_000,
            &["died", "lived"],
        ),
        Scenario::new("crash/latch writer", latch_writer_dies::<1, 1>, 920, LATCH),
        Scenario::new(
            "crash/latch writer, 2 writes",
            latch_writer_dies::<2, 2>,
            7_900,
            LATCH,
        )
        .bounded(2),
        Scenario::new(
            "crash/latch reader",
            latch_reader_dies,
            35,
            &["died", "lived"],
        ),
        Scenario::new("crash/taker of a role", taker_dies, 4, &["died", "lived"]),
        Scenario::new(
            "crash/annotator",
            annotator_dies,
            18,
            &["died", "lived", "consumer saw empty"],
        ),
        Scenario::new(
            "crash/remover of a segment",
            remover_dies,
            2,
            &["died", "lived", "found it retired", "found it in use"],
        ),
    ]
    .map(Scenario::crashes)
    .into()
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
    [
        Scenario::large(
            "crash/producer, ring of 2, 4 tries",
            producer_dies::<2, 4>,
            BOTH_ENDS,
        ),
        Scenario::large(
            "crash/consumer, ring of 2, 4 tries",
            consumer_dies::<2, 4>,
            BOTH_ENDS,
        ),
        Scenario::large(
            "crash/producer, ring of 4, bound 3",
            producer_dies::<4, 6>,
            BOTH_ENDS,
        )
        .bounded(3),
        Scenario::large(
            "crash/consumer, ring of 4, bound 3",
            consumer_dies::<4, 6>,
            BOTH_ENDS,
        )
        .bounded(3),
        Scenario::large(
            "crash/seqlock writer, 2 writes, 1 read",
            seq_writer_dies::<2, 1>,
            REPAIRED,
        ),
        Scenario::large(
            "crash/seqlock writer, bound 3",
            seq_writer_dies::<2, 2>,
            REPAIRED,
        )
        .bounded(3),
        Scenario::large(
            "crash/latch writer, 2 writes, 1 read",
            latch_writer_dies::<2, 1>,
            LATCH,
        ),
        Scenario::large(
            "crash/latch writer, bound 3",
            latch_writer_dies::<2, 2>,
            LATCH,
        )
        .bounded(3),
    ]
    .map(Scenario::crashes)
    .into()
}

/// Starts an actor who may die while it uses its endpoint; `None` if it died while making that.
fn start_mortal<P: Send + 'static>(
    run: &Arc<Run>,
    endpoint: Option<P>,
    body: impl FnOnce(P, &Run) + Send + 'static,
) -> Thread<()> {
    let run = Arc::clone(run);
    spawn(move || {
        let done = endpoint.and_then(|endpoint| mortal(|| body(endpoint, &run)));
        run.saw(if done.is_some() { "lived" } else { "died" });
    })
}

/// What took effect against what the predecessor had seen return. (Cut off after its last access, a
/// call is to everybody else the same as one that returned.)
fn judge_position(position: u64, returned: &AtomicU64) {
    // Relaxed: the predecessor's thread was joined.
    let returned = returned.load(Ordering::Relaxed);
    assert_eq!(
        position, returned,
        "calls that took effect, calls that returned"
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
    let endpoint = mortal(|| ring.producer(run.dying_memory("producer")));
    let dying = start_mortal(run, endpoint, {
        let returned = Arc::clone(&returned);
        move |mut producer, run| {
            for _ in 1..TRIES {
                push_next(&mut producer, run);
                returned.store(producer.position(), Ordering::Relaxed);
            }
        }
    });
    dying.join();
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
    let endpoint = mortal(|| ring.consumer(run.dying_memory("consumer")));
    let dying = start_mortal(run, endpoint, {
        let returned = Arc::clone(&returned);
        move |mut consumer, run| {
            for _ in 1..TRIES {
                pop_next(&mut consumer, run);
                returned.store(consumer.position(), Ordering::Relaxed);
            }
        }
    });
    dying.join();
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
    let endpoint = mortal(|| ring.producer(run.dying_memory("producer")));
    let dying = start_mortal(run, endpoint, |mut producer, run| {
        let mut chunk = producer.reserve(2).expect("an empty ring has room");
        chunk.set(0, 7).expect("two");
        // Not committed, and forgotten.
        assert_eq!(chunk.get(0), Some(7));
        push_chunk(&mut producer, 2, run);
    });
    dying.join();
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
    let endpoint = mortal(|| ring.consumer(run.dying_memory("consumer")));
    let dying = start_mortal(run, endpoint, {
        let processed = Arc::clone(&processed);
        move |mut consumer, _| {
            if let Ok(chunk) = consumer.peek(2) {
                for index in 0..chunk.len() {
                    assert_eq!(chunk.get(index), Some(index as u64 + 1));
                    processed.store(index as u64 + 1, Ordering::Relaxed);
                }
                chunk.release_all();
            }
        }
    });
    dying.join();
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
    let endpoint = mortal(|| ring.producer(run.dying_memory("producer")));
    let dying = start_mortal(run, endpoint, |mut producer, _| {
        assert_eq!(producer.push(1), Ok(()));
        producer.close();
    });
    dying.join();
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
    let endpoint = mortal(|| ring.consumer(run.dying_memory("consumer")));
    let dying = start_mortal(run, endpoint, |mut consumer, run| {
        pop_next(&mut consumer, run);
        consumer.close();
    });
    dying.join();
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

fn seq_writer_dies<const WRITES: u64, const READS: usize>(run: &Arc<Run>) {
    let words = OwnedWords::new(0, &[0, 0]);
    let reading = spawn({
        let (reader, run) = (
            words.seq_reader::<Value>(run.memory("reader")),
            Arc::clone(run),
        );
        move || read_some(&run, READS, || reader.try_read())
    });
    let endpoint = mortal(|| words.seq_writer::<Value>(run.dying_memory("writer")));
    let dying = start_mortal(run, endpoint, |mut writer, _| {
        for number in 1..=WRITES {
            writer.write(&[number; 2]);
        }
    });
    dying.join();
    let mut successor = words.seq_writer::<Value>(run.memory("successor"));
    if successor.needs_repair() {
        run.saw("successor repaired");
    }
    successor.write(&[9; 2]);
    reading.join();
    let reader = words.seq_reader::<Value>(run.memory("reader"));
    assert_eq!(reader.try_read(), Ok([9; 2]), "after the successor's write");
}

/// A reader stores nothing: its death is noticed by nobody.
fn seq_reader_dies(run: &Arc<Run>) {
    let words = OwnedWords::new(0, &[0, 0]);
    let endpoint = mortal(|| words.seq_reader::<Value>(run.dying_memory("reader")));
    let dying = start_mortal(run, endpoint, |reader, _| {
        let _ = reader.try_read();
    });
    let mut writer = words.seq_writer::<Value>(run.memory("writer"));
    writer.write(&[1; 2]);
    let reader = words.seq_reader::<Value>(run.memory("reader"));
    assert_eq!(reader.try_read(), Ok([1; 2]));
    dying.join();
}

/// There is a value to read at any time.
fn latch_writer_dies<const WRITES: u64, const READS: usize>(run: &Arc<Run>) {
    let words = OwnedWords::new(0, &[0; 4]);
    let reading = spawn({
        let (reader, run) = (
            words.latch_reader::<Value>(run.memory("reader")),
            Arc::clone(run),
        );
        move || read_some(&run, READS, || reader.try_read())
    });
    let endpoint = mortal(|| words.latch_writer::<Value>(run.dying_memory("writer")));
    let dying = start_mortal(run, endpoint, |mut writer, _| {
        for version in 1..=WRITES {
            writer.write(&[version; 2]);
        }
    });
    dying.join();
    let mut successor = words.latch_writer::<Value>(run.memory("successor"));
    successor.write(&[9; 2]);
    reading.join();
    let reader = words.latch_reader::<Value>(run.memory("reader"));
    assert_eq!(reader.try_read(), Ok([9; 2]), "after the successor's write");
}

fn latch_reader_dies(run: &Arc<Run>) {
    let words = OwnedWords::new(0, &[0; 4]);
    let endpoint = mortal(|| words.latch_reader::<Value>(run.dying_memory("reader")));
    let dying = start_mortal(run, endpoint, |reader, _| {
        let _ = reader.try_read();
    });
    let mut writer = words.latch_writer::<Value>(run.memory("writer"));
    writer.write(&[1; 2]);
    let reader = words.latch_reader::<Value>(run.memory("reader"));
    assert_eq!(reader.try_read(), Ok([1; 2]));
    dying.join();
}

/// Whoever takes the role next counts on from what is there.
fn taker_dies(run: &Arc<Run>) {
    let epoch = OwnedWords::new(0, &[]);
    let retired = OwnedWords::new(0, &[]);
    let dying = start_mortal(run, Some(run.dying_memory("taker")), {
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
    let dying = start_mortal(run, Some(run.dying_memory("annotator")), {
        let note = Arc::clone(&note);
        move |annotator, _| {
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
    let dying = start_mortal(run, Some(run.dying_memory("remover")), {
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
