//! Long scenarios, for engines that sample: thousands of items, hundreds of wraps, dozens of
//! deaths in one execution. They cannot be exhausted.
//!
//! Where an actor dies and how much it takes at once is left to chance, and is another in each
//! execution.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringproof::{Busy, PopError, PushError};

use super::latest::{Latch, Latest, Seqlock, Value};
use super::ring::{pop_next, push_next};
use super::{READS, REFUSED, Scenario};
use crate::engine::{Thread, spawn, spin};
use crate::instrumented::Instrumented;
use crate::owned::{OwnedRing, OwnedWords, RingConsumer, RingProducer};
use crate::run::{Run, mortal};

/// The long scenarios.
pub fn inventory() -> Vec<Scenario> {
    scenarios! {
        "long/ring", items, 1, Exhausted, &["producer saw full", "consumer saw empty", WRAPPED];
        "long/ring, chunks", chunks, 1, Exhausted,
            &["chunk was cut short", "chunk wrapped", "chunk was dropped", WRAPPED];
        "long/ring, closed from both sides", closes, 1, Exhausted,
            &["closed while empty", "consumer saw the end", "producer was stopped", "items were left",
            "both sides closed"];
        "long/ring, taken over", ring_taken_over, 1, Exhausted,
            &["successor producer took over", "successor consumer took over", "an item was seen again",
            "consumer saw the end", WRAPPED];
        "long/seqlock", seqlock::<0>, 1, Exhausted, READS;
        "long/seqlock, taken over", seqlock::<60>, 1, Exhausted,
            &["read a new value", REFUSED, "successor took over", "successor repaired"];
        "long/latch", latch::<0>, 1, Exhausted, READS;
        "long/latch, taken over", latch::<60>, 1, Exhausted,
            &["read a new value", REFUSED, "successor took over"];
    }
}

/// The slots that the producer cycled through: so often at least in one execution.
const WRAPPED: &str = "wrapped 100 times";

/// What an execution leaves to chance (SplitMix64). The number of the execution decides; to
/// repeat one, the run's crash point has that number.
struct Chance(u64);

impl Chance {
    /// Another one for each `stream` of the same execution.
    fn of(run: &Run, stream: u64) -> Chance {
        let execution = run.crash_point.unwrap_or_else(|| run.executions());
        Chance((execution << 8) | stream)
    }

    /// From 1 to `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides + 1
    }

    /// A memory whose actor dies within its next `accesses`.
    fn dying_memory(&mut self, run: &Arc<Run>, name: &str, accesses: u64) -> Instrumented {
        Instrumented::new(run.actor(name), run.table, Some(self.roll(accesses)))
    }
}

/// Item after item through a ring that is full or empty most of the time.
fn items(run: &Arc<Run>) {
    const ITEMS: u64 = 2_000;
    let ring = OwnedRing::new(4, 3);
    let producing = ring.produce(run, |producer, run| {
        while producer.position() < ITEMS {
            let before = producer.position();
            push_next(producer, run);
            if producer.position() == before {
                spin();
            }
        }
    });
    let mut consumer = ring.consumer(run.memory("consumer"));
    while consumer.position() < ITEMS {
        let before = consumer.position();
        pop_next(&mut consumer, run);
        if consumer.position() == before {
            spin();
        }
    }
    producing.join();
    assert_eq!(consumer.pop(), Err(PopError::Empty));
    saw_wraps(run, consumer.position(), 4);
}

fn saw_wraps(run: &Run, position: u64, slots: u64) {
    if position / slots >= 100 {
        run.saw(WRAPPED);
    }
}

/// Chunks of any size, committed and released in part, or dropped.
fn chunks(run: &Arc<Run>) {
    const ITEMS: u64 = 2_000;
    const SLOTS: usize = 8;
    let ring = OwnedRing::new(SLOTS, 7);
    let producing = spawn({
        let (mut producer, run) = (ring.producer(run.memory("producer")), Arc::clone(run));
        let mut chance = Chance::of(&run, 0);
        move || {
            while producer.position() < ITEMS {
                let wanted = chance.roll(5) as usize;
                let mut chunk = match producer.reserve(wanted) {
                    Ok(chunk) => chunk,
                    Err(PushError::Full) => {
                        spin();
                        continue;
                    }
                    Err(error) => panic!("{error}"),
                };
                if chunk.len() < wanted {
                    run.saw("chunk was cut short");
                }
                if chunk.position() as usize % SLOTS + chunk.len() > SLOTS {
                    run.saw("chunk wrapped");
                }
                for (index, item) in (chunk.position() + 1..).take(chunk.len()).enumerate() {
                    chunk.set(index, item).expect("an index of the chunk's");
                }
                let count = chance.roll(chunk.len() as u64 + 1) as usize - 1;
                match count {
                    0 => run.saw("chunk was dropped"),
                    _ => chunk.commit(count).expect("no more than there are"),
                }
            }
            producer.position()
        }
    });
    let mut consumer = ring.consumer(run.memory("consumer"));
    let mut chance = Chance::of(run, 1);
    while consumer.position() < ITEMS {
        let chunk = match consumer.peek(chance.roll(5) as usize) {
            Ok(chunk) => chunk,
            Err(PopError::Empty) => {
                spin();
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        for (index, item) in (chunk.position() + 1..).take(chunk.len()).enumerate() {
            assert_eq!(chunk.get(index), Some(item), "not the next items");
        }
        let count = chance.roll(chunk.len() as u64) as usize;
        chunk.release(count).expect("no more than there are");
    }
    let end = producing.join();
    super::ring::drain(&mut consumer, end);
    saw_wraps(run, end, SLOTS as u64);
}

/// Ring after ring, each closed after some items by its producer, its consumer, or both. Neither
/// side waits for the other before it goes on to the next ring.
fn closes(run: &Arc<Run>) {
    const RINGS: usize = 100;
    const SLOTS: u64 = 2;
    let rings: Vec<_> = (0..RINGS)
        .map(|_| OwnedRing::new(SLOTS as usize, SLOTS))
        .collect();
    let producers: Vec<_> = (rings.iter())
        .map(|ring| ring.producer(run.memory("producer")))
        .collect();
    let producing = spawn({
        let (mut chance, run) = (Chance::of(run, 0), Arc::clone(run));
        move || {
            let mut ends = Vec::with_capacity(RINGS);
            for mut producer in producers {
                let items = chance.roll(8) - 1;
                let stopped = send(&mut producer, items);
                if stopped {
                    run.saw("producer was stopped");
                    // No more items are taken: what is there now stays.
                    let left = producer.occupancy().expect("a sound ring");
                    assert!(left <= SLOTS);
                    if left > 0 {
                        run.saw("items were left");
                    }
                    ends.push((producer.position(), Some(left)));
                } else {
                    producer.close();
                    assert_eq!(producer.push(0), Err(PushError::Closed));
                    ends.push((producer.position(), None));
                }
            }
            ends
        }
    });
    let mut chance = Chance::of(run, 1);
    let mut taken = Vec::with_capacity(RINGS);
    for ring in &rings {
        let mut consumer = ring.consumer(run.memory("consumer"));
        let items = chance.roll(12) - 1;
        let ended = receive(&mut consumer, items, run);
        if !ended {
            consumer.close();
            assert_eq!(consumer.pop(), Err(PopError::Closed));
        }
        taken.push((consumer.position(), ended));
    }
    let ends = producing.join();
    for ((sent, left), (received, ended)) in ends.into_iter().zip(taken) {
        match left {
            Some(left) => assert_eq!(left, sent - received, "what was left"),
            None if ended => assert_eq!(received, sent, "the end was seen before every item"),
            None => run.saw("both sides closed"),
        }
        assert!(received <= sent && !(ended && left.is_some()));
    }
}

/// Pushes so many items; true if the consumer closed the ring before.
fn send(producer: &mut RingProducer, items: u64) -> bool {
    while producer.position() < items {
        match producer.push(producer.position() + 1) {
            Ok(()) => {}
            Err(PushError::Full) => spin(),
            Err(PushError::PeerClosed) => return true,
            Err(error) => panic!("{error}"),
        }
    }
    false
}

/// Pops so many items; true if the producer closed the ring before.
fn receive(consumer: &mut RingConsumer, items: u64, run: &Run) -> bool {
    let mut was_empty = false;
    while consumer.position() < items {
        match consumer.pop() {
            Ok(item) => {
                assert_eq!(item, consumer.position(), "not the next item");
                was_empty = false;
            }
            Err(PopError::Empty) => {
                was_empty = true;
                spin();
            }
            Err(PopError::PeerClosed) => {
                run.saw("consumer saw the end");
                if was_empty {
                    run.saw("closed while empty");
                }
                return true;
            }
            Err(error) => panic!("{error}"),
        }
    }
    false
}

/// A producer after the other and a consumer after the other dies at some access, and leaves the
/// rest to its successor. (A side's lives follow each other in one thread, as the role's lock
/// would order them.)
fn ring_taken_over(run: &Arc<Run>) {
    const ITEMS: u64 = 500;
    const LIFE: u64 = 120;
    let ring = OwnedRing::new(4, 4);
    let producing = spawn({
        let (ring, run) = (Arc::clone(&ring), Arc::clone(run));
        let mut chance = Chance::of(&run, 0);
        move || {
            // As the caller knows: a call that a death cut off is not counted.
            let mut pushed = 0;
            let mut closed = false;
            while !closed {
                let life = chance.dying_memory(&run, "producer", LIFE);
                let lived = mortal(|| {
                    let mut producer = ring.producer(life);
                    // One that was cut off may have had its effect, and woken nobody.
                    let position = producer.position();
                    assert!(position == pushed || position == pushed + 1);
                    pushed = position;
                    while pushed < ITEMS {
                        match producer.push(pushed + 1) {
                            Ok(()) => pushed += 1,
                            Err(PushError::Full) => spin(),
                            Err(error) => panic!("{error}"),
                        }
                    }
                    producer.close();
                });
                match lived {
                    Some(()) => closed = true,
                    None => run.saw("successor producer took over"),
                }
            }
        }
    });
    let mut chance = Chance::of(run, 1);
    // How many items were looked at: those of a release that a death cut off come again.
    let (mut seen, mut released, mut ended) = (0, 0, false);
    while !ended {
        let life = chance.dying_memory(run, "consumer", LIFE);
        let lived = mortal(|| {
            let mut consumer = ring.consumer(life);
            // One that was cut off may have had its effect, and woken nobody.
            assert!([released, seen].contains(&consumer.position()));
            released = consumer.position();
            loop {
                let chunk = match consumer.peek(2) {
                    Ok(chunk) => chunk,
                    Err(PopError::Empty) => {
                        spin();
                        continue;
                    }
                    Err(PopError::PeerClosed) => return,
                    Err(error) => panic!("{error}"),
                };
                let end = chunk.position() + chunk.len() as u64;
                for (index, item) in (chunk.position() + 1..=end).enumerate() {
                    assert_eq!(chunk.get(index), Some(item), "not the next items");
                }
                if chunk.position() < seen {
                    run.saw("an item was seen again");
                }
                seen = seen.max(end);
                chunk.release_all();
                released = end;
            }
        });
        match lived {
            Some(()) => ended = true,
            None => run.saw("successor consumer took over"),
        }
    }
    run.saw("consumer saw the end");
    assert_eq!(released, ITEMS, "the end was seen before every item");
    producing.join();
    saw_wraps(run, ITEMS, 4);
}

/// How many values the long scenarios write.
const WRITES: u64 = 300;
/// How often each of their readers tries.
const TRIES: usize = 300;

/// Reads again and again: no value is torn, none is older than the one before it or than what
/// was `written` when the attempt began.
fn read_on(run: &Run, written: &AtomicU64, try_read: impl Fn() -> Result<Value, Busy>) {
    let mut last = 0;
    for _ in 0..TRIES {
        // Relaxed, here and where it is stored: shuttle runs one thread at a time.
        let least = written.load(Ordering::Relaxed).max(last);
        match try_read() {
            Ok([left, right]) => {
                assert_eq!(left, right, "a torn value");
                assert!(left >= least, "value {left} after value {least}");
                last = left;
                run.saw(match left {
                    0 => "read the initial value",
                    _ => "read a new value",
                });
            }
            Err(Busy) => run.saw(REFUSED),
        }
    }
}

/// A structure whose writers die within their first `LIFE` accesses, inside a write or between two
/// (0: never), each followed by the next; two threads read all along.
fn written_on<L: Latest, const LIFE: u64>(run: &Arc<Run>, words: &Arc<OwnedWords>) -> u64 {
    let written = Arc::new(AtomicU64::new(0));
    let readers = [(); 2].map(|()| {
        let reader = L::reader(words, run.memory("reader"));
        let (run, written) = (Arc::clone(run), Arc::clone(&written));
        (reader, run, written)
    });
    let readers = readers.map(|(reader, run, written)| {
        spawn(move || read_on(&run, &written, || L::try_read(&reader)))
    });
    write_all::<LIFE>(run, &written, |memory, write| {
        let mut writer = L::writer(words, memory);
        if L::needs_repair(&writer) {
            run.saw("successor repaired");
        }
        while let Some(number) = write() {
            L::write(&mut writer, number);
        }
    });
    readers.into_iter().for_each(Thread::join);
    written.load(Ordering::Relaxed)
}

/// A value that a death cut off is never read: the next writer writes another one.
fn seqlock<const LIFE: u64>(run: &Arc<Run>) {
    let words = OwnedWords::new(0, &[0, 0]);
    written_on::<Seqlock, LIFE>(run, &words);
    // The last one may have died in it: one more.
    let mut writer = words.seq_writer::<Value>(run.memory("writer"));
    writer.write(&[WRITES + 1; 2]);
    let reader = words.seq_reader::<Value>(run.memory("reader"));
    assert_eq!(reader.try_read(), Ok([WRITES + 1; 2]));
}

/// The last value whose write returned is readable throughout.
fn latch<const LIFE: u64>(run: &Arc<Run>) {
    let words = OwnedWords::new(0, &[0; 8]);
    let last = written_on::<Latch, LIFE>(run, &words);
    let reader = words.latch_reader::<Value>(run.memory("reader"));
    let read = reader.try_read();
    // The last write may have been cut off after it had its effect, when it had woken nobody yet.
    let committed = [last, WRITES].map(|number| Ok([number; 2]));
    assert!(
        committed.contains(&read),
        "not the last committed value: {read:?}"
    );
}

/// Lets one writer after the other write the numbers up to [`WRITES`], each until it dies. A
/// writer asks for the number of its next write; with that it says that the one before was
/// `written`.
fn write_all<const LIFE: u64>(
    run: &Arc<Run>,
    written: &AtomicU64,
    live: impl Fn(Instrumented, &mut dyn FnMut() -> Option<u64>),
) {
    let mut chance = Chance::of(run, 0);
    let mut number = 0;
    while number < WRITES {
        let memory = match LIFE {
            0 => run.memory("writer"),
            life => chance.dying_memory(run, "writer", life),
        };
        let mut in_writing = None;
        let lived = mortal(|| {
            live(memory, &mut || {
                if let Some(done) = in_writing {
                    written.store(done, Ordering::Relaxed);
                }
                in_writing = (number < WRITES).then(|| number + 1);
                number = in_writing.unwrap_or(number);
                in_writing
            });
        });
        if lived.is_none() {
            run.saw("successor took over");
        }
    }
}
