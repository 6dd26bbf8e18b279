//! The words and slots of a model, owned, and the endpoints over them.

use std::sync::Arc;

use ringproof::latch::{LatchParts, LatchReader, LatchWriter};
use ringproof::memory::Memory;
use ringproof::payload::Payload;
use ringproof::ring::{Consumer, Producer, RingParts};
use ringproof::seqlock::{SeqParts, SeqReader, SeqWriter, Watch};
use ringproof::site::StoreSite;
use ringproof::sleep::{FENCE, OwnedSleepWords};
use ringproof::slots::Slots;

use crate::engine::{Slot, Thread, Word, slot, spawn, word};
use crate::instrumented::{Instrumented, Shared};
use crate::run::Run;

/// What models see to themselves: a payload has as many words as they give it.
const ENOUGH: &str = "the model gives enough words";

/// The words and slots of a ring of numbers, to be shared by the threads of a model.
pub struct OwnedRing {
    write_index: Word,
    read_index: Word,
    for_items: OwnedSleepWords<Shared>,
    for_room: OwnedSleepWords<Shared>,
    slots: Vec<Slot>,
    capacity: u64,
}

impl OwnedRing {
    /// An empty open ring of so many slots, a power of two, and this capacity.
    pub fn new(slots: usize, capacity: u64) -> Arc<Self> {
        Arc::new(OwnedRing {
            write_index: word(0),
            read_index: word(0),
            for_items: OwnedSleepWords::default(),
            for_room: OwnedSleepWords::default(),
            slots: (0..slots).map(|_| slot(0)).collect(),
            capacity,
        })
    }

    /// A consumer asks to be woken, and says that it can make no barrier.
    pub fn ask_for_fences(&self, memory: &Instrumented) {
        memory.store(self.for_items.words().asks, FENCE | 1, StoreSite::SleepAsk);
    }

    fn parts(&self) -> RingParts<'_, Shared, u64> {
        RingParts {
            write_index: &self.write_index,
            read_index: &self.read_index,
            for_items: self.for_items.words(),
            for_room: self.for_room.words(),
            slots: Slots::new(&self.slots).expect("models ask for a power of two of slots"),
            capacity: self.capacity,
        }
    }

    /// The producer. A model makes a second one only after it has joined the first.
    pub fn producer(self: &Arc<Self>, memory: Instrumented) -> RingProducer {
        // SAFETY: one producer at a time, as said; a model that breaks this is reported by the
        // race-detecting cells of the engine. It keeps what it is made of.
        unsafe {
            let (ring, kept) = Kept::of(self);
            Producer::new(ring.parts(), memory, kept)
        }
    }

    /// The consumer. A model makes a second one only after it has joined the first.
    pub fn consumer(self: &Arc<Self>, memory: Instrumented) -> RingConsumer {
        // SAFETY: one consumer at a time, as said; a model that breaks this is reported by the
        // race-detecting cells of the engine. It keeps what it is made of.
        unsafe {
            let (ring, kept) = Kept::of(self);
            Consumer::new(ring.parts(), memory, kept)
        }
    }
}

/// The producer of a model's ring.
pub type RingProducer = Producer<'static, u64, Instrumented, Kept<OwnedRing>>;
/// The consumer of a model's ring.
pub type RingConsumer = Consumer<'static, u64, Instrumented, Kept<OwnedRing>>;

impl OwnedRing {
    /// A thread that is the ring's `producer`, until `body` ends.
    pub fn produce<T: Send + 'static>(
        self: &Arc<Self>,
        run: &Arc<Run>,
        body: impl FnOnce(&mut RingProducer, &Run) -> T + Send + 'static,
    ) -> Thread<T> {
        let mut producer = self.producer(run.memory("producer"));
        let run = Arc::clone(run);
        spawn(move || body(&mut producer, &run))
    }

    /// A thread that is the ring's `consumer`, until `body` ends.
    pub fn consume<T: Send + 'static>(
        self: &Arc<Self>,
        run: &Arc<Run>,
        body: impl FnOnce(&mut RingConsumer, &Run) -> T + Send + 'static,
    ) -> Thread<T> {
        let mut consumer = self.consumer(run.memory("consumer"));
        let run = Arc::clone(run);
        spawn(move || body(&mut consumer, &run))
    }
}

/// What an endpoint of a model keeps: its words, and slots.
pub struct Kept<P> {
    _parts: Arc<P>,
}

impl<P> Kept<P> {
    /// The words, for an endpoint that keeps them, so that it can be made in one thread and used in
    /// another.
    ///
    /// # Safety
    /// What is made of the first is used only by who keeps the second.
    unsafe fn of(parts: &Arc<P>) -> (&'static P, Self) {
        // SAFETY: the caller's promise; what is counted stays where it is.
        let lasting = unsafe { &*Arc::as_ptr(parts) };
        let _parts = Arc::clone(parts);
        (lasting, Kept { _parts })
    }
}

/// The writer is not watched.
impl<P> Watch for Kept<P> {
    fn watch(&self) -> Option<impl FnOnce() -> bool> {
        None::<fn() -> bool>
    }
}

/// The words of a seqlock or latch, to be shared by the threads of a model.
pub struct OwnedWords {
    counter: Word,
    for_news: OwnedSleepWords<Shared>,
    data: Vec<Word>,
}

macro_rules! endpoint {
    ($(#[$doc:meta])* $name:ident: $end:ident of $parts:ident) => {
        $(#[$doc])*
        pub fn $name<T: Payload>(
            self: &Arc<Self>,
            memory: Instrumented,
        ) -> $end<'static, T, Instrumented, Kept<Self>> {
            // SAFETY: the endpoint keeps what it is made of.
            let (words, kept) = unsafe { Kept::of(self) };
            $end::new(words.$parts(), memory, kept).expect(ENOUGH)
        }
    };
}

impl OwnedWords {
    /// A `seq` or `version` of `counter`, and data words.
    pub fn new(counter: u64, data: &[u64]) -> Arc<Self> {
        Arc::new(OwnedWords {
            counter: word(counter),
            for_news: OwnedSleepWords::default(),
            data: data.iter().map(|&value| word(value)).collect(),
        })
    }

    endpoint! {
        /// A seqlock's writer.
        seq_writer: SeqWriter of seqlock
    }
    endpoint! {
        /// A seqlock's reader.
        seq_reader: SeqReader of seqlock
    }
    endpoint! {
        /// A latch's writer.
        latch_writer: LatchWriter of latch
    }
    endpoint! {
        /// A latch's reader.
        latch_reader: LatchReader of latch
    }

    fn seqlock(&self) -> SeqParts<'_, Shared> {
        SeqParts {
            seq: &self.counter,
            for_news: self.for_news.words(),
            payload: &self.data,
        }
    }

    fn latch(&self) -> LatchParts<'_, Shared> {
        LatchParts {
            version: &self.counter,
            for_news: self.for_news.words(),
            slots: &self.data,
        }
    }

    /// The counter alone, for the words of roles and segments.
    pub fn word(&self) -> &Word {
        &self.counter
    }
}
