//! The words and slots of a model, owned, and the endpoints over them.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use ringproof::latch::{LatchParts, LatchReader, LatchWriter};
use ringproof::payload::Payload;
use ringproof::ring::{Consumer, Producer, RingParts};
use ringproof::seqlock::{SeqParts, SeqReader, SeqWriter};
use ringproof::slots::Slots;

use crate::engine::{Slot, Thread, Word, slot, spawn, word};
use crate::run::Run;
use crate::watched::{Shared, Watched};

/// What models see to themselves: a payload has as many words as they give it.
const ENOUGH: &str = "the model gives enough words";

/// The words and slots of a ring of numbers, to be shared by the threads of a model.
pub struct OwnedRing {
    write_index: Word,
    read_index: Word,
    slots: Vec<Slot>,
    capacity: u64,
}

impl OwnedRing {
    /// An empty open ring of so many slots, a power of two, and this capacity.
    pub fn new(slots: usize, capacity: u64) -> Arc<Self> {
        Arc::new(OwnedRing {
            write_index: word(0),
            read_index: word(0),
            slots: (0..slots).map(|_| slot(0)).collect(),
            capacity,
        })
    }

    fn parts(&self) -> RingParts<'_, Shared, u64> {
        RingParts {
            write_index: &self.write_index,
            read_index: &self.read_index,
            slots: Slots::new(&self.slots).expect("models ask for a power of two of slots"),
            capacity: self.capacity,
        }
    }

    /// The producer. A model makes a second one only after it has joined the first.
    pub fn producer(self: &Arc<Self>, memory: Watched) -> Held<Self, RingProducer> {
        // SAFETY: one producer at a time, as said; a model that breaks this is reported by the
        // race-detecting cells of the engine.
        Held::new(self, |ring| unsafe {
            Producer::new(ring.parts(), memory, None)
        })
    }

    /// The consumer. A model makes a second one only after it has joined the first.
    pub fn consumer(self: &Arc<Self>, memory: Watched) -> Held<Self, RingConsumer> {
        // SAFETY: one consumer at a time, as said; a model that breaks this is reported by the
        // race-detecting cells of the engine.
        Held::new(self, |ring| unsafe {
            Consumer::new(ring.parts(), memory, None)
        })
    }
}

/// The producer of a model's ring.
pub type RingProducer = Producer<'static, u64, Watched>;
/// The consumer of a model's ring.
pub type RingConsumer = Consumer<'static, u64, Watched>;

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

/// An endpoint together with what it refers to, so that it can be made in one thread and used
/// in another.
pub struct Held<P: 'static, R> {
    // Declared, and therefore dropped, before what it refers to.
    endpoint: R,
    _parts: Arc<P>,
}

impl<P, R> Held<P, R> {
    fn new(parts: &Arc<P>, make: impl FnOnce(&'static P) -> R) -> Self {
        // SAFETY: the result keeps its own reference count, does not move what is counted, and
        // drops the endpoint before it gives the count back.
        let forever = unsafe { &*Arc::as_ptr(parts) };
        Held {
            endpoint: make(forever),
            _parts: Arc::clone(parts),
        }
    }
}

impl<P, R> Deref for Held<P, R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.endpoint
    }
}

impl<P, R> DerefMut for Held<P, R> {
    fn deref_mut(&mut self) -> &mut R {
        &mut self.endpoint
    }
}

/// The words of a seqlock or latch, to be shared by the threads of a model.
pub struct OwnedWords {
    counter: Word,
    data: Vec<Word>,
}

impl OwnedWords {
    /// A `seq` or `version` of `counter`, and data words.
    pub fn new(counter: u64, data: &[u64]) -> Arc<Self> {
        Arc::new(OwnedWords {
            counter: word(counter),
            data: data.iter().map(|&value| word(value)).collect(),
        })
    }

    /// A seqlock's writer.
    pub fn seq_writer<T: Payload>(
        self: &Arc<Self>,
        memory: Watched,
    ) -> Held<Self, SeqWriter<'static, T, Watched>> {
        Held::new(self, |words| {
            SeqWriter::new(words.seqlock(), memory, None).expect(ENOUGH)
        })
    }

    /// A seqlock's reader.
    pub fn seq_reader<T: Payload>(
        self: &Arc<Self>,
        memory: Watched,
    ) -> Held<Self, SeqReader<'static, T, Watched>> {
        Held::new(self, |words| {
            SeqReader::new(words.seqlock(), memory, None).expect(ENOUGH)
        })
    }

    /// A latch's writer.
    pub fn latch_writer<T: Payload>(
        self: &Arc<Self>,
        memory: Watched,
    ) -> Held<Self, LatchWriter<'static, T, Watched>> {
        Held::new(self, |words| {
            LatchWriter::new(words.latch(), memory, None).expect(ENOUGH)
        })
    }

    /// A latch's reader.
    pub fn latch_reader<T: Payload>(
        self: &Arc<Self>,
        memory: Watched,
    ) -> Held<Self, LatchReader<'static, T, Watched>> {
        Held::new(self, |words| {
            LatchReader::new(words.latch(), memory).expect(ENOUGH)
        })
    }

    fn seqlock(&self) -> SeqParts<'_, Shared> {
        SeqParts {
            seq: &self.counter,
            payload: &self.data,
        }
    }

    fn latch(&self) -> LatchParts<'_, Shared> {
        LatchParts {
            version: &self.counter,
            slots: &self.data,
        }
    }

    /// The counter alone, for the words of roles and segments.
    pub fn word(&self) -> &Word {
        &self.counter
    }
}
