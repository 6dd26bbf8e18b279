//! What an engine offers to a model: threads, and a memory that it watches.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use ringproof::latch::{LatchParts, LatchReader, LatchWriter};
use ringproof::memory::{Cells, Memory, SlotOf, WordOf};
use ringproof::payload::Payload;
use ringproof::ring::{Consumer, OPEN, Producer, RingParts};
use ringproof::seqlock::{SeqParts, SeqReader, SeqWriter};
use ringproof::slots::Slots;

use crate::run::{HISTORY, Run};

/// How far an exploration may go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Preemptions per execution; `None` for all there are. Only loom bounds them.
    pub preemptions: Option<usize>,
    /// Executions.
    pub executions: u64,
    /// Where random choices start from. loom makes none.
    pub seed: u64,
}

/// How far an exploration went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every execution that the engine can produce.
    Exhausted,
    /// The same, but some word had more values than loom remembers.
    ExhaustedHistory,
    /// Every one with at most so many preemptions.
    Bounded(usize),
    /// Some; how they were chosen.
    Truncated(String),
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Extent::Exhausted => write!(f, "EXHAUSTED"),
            Extent::ExhaustedHistory => write!(f, "EXHAUSTED (history {HISTORY})"),
            Extent::Bounded(preemptions) => write!(f, "BOUNDED({preemptions})"),
            Extent::Truncated(how) => write!(f, "TRUNCATED ({how})"),
        }
    }
}

/// A model checker.
pub trait Engine: Sized + 'static {
    /// Its name, also that of its layer in the report.
    const NAME: &'static str;
    /// What it counts.
    const UNIT: &'static str;
    /// Whether it knows that memory is weak: otherwise no mutant of an ordering can die.
    const WEAK: bool;
    /// The memory that it watches.
    type Memory: Memory + Send + 'static;
    /// A started thread.
    type Thread<R>;
    /// A lock: how a model sees one of the kernel's.
    type Lock: Send + Sync + 'static;

    /// Runs `body` again and again, each time another way, until all ways are tried, the limits
    /// are reached or it panics.
    fn explore(limits: Limits, run: &Arc<Run>, body: impl Fn() + Send + Sync + 'static) -> Extent;
    /// A memory that accesses as `run` says and reports to it.
    fn memory(run: &Arc<Run>) -> Self::Memory;
    /// Starts a thread.
    fn spawn<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> Self::Thread<R>;
    /// Waits for it to end: everything that it did happened before this returns. Also how a
    /// model sees a death through the kernel (a lock that is freed, a child that is reaped).
    fn join<R>(thread: Self::Thread<R>) -> R;
    /// A free lock.
    fn lock() -> Self::Lock;
    /// Runs `body` while holding the lock.
    fn locked<R>(lock: &Self::Lock, body: impl FnOnce() -> R) -> R;
}

/// What models see to themselves: a payload has as many words as they give it.
const ENOUGH: &str = "the model gives enough words";

/// The cells of an engine.
pub type CellsOf<E> = <<E as Engine>::Memory as Memory>::Cells;
/// A word of an engine.
pub type Word<E> = WordOf<<E as Engine>::Memory>;

/// A ring's words and slots, owned, to be shared by the threads of a model.
pub struct OwnedRing<E: Engine, T: Payload> {
    write_index: Word<E>,
    end_index: Word<E>,
    read_index: Word<E>,
    slots: Vec<SlotOf<E::Memory, T>>,
    capacity: u64,
}

impl<E: Engine, T: Payload> OwnedRing<E, T> {
    /// An empty open ring of so many slots, a power of two, and this capacity.
    pub fn new(slots: usize, capacity: u64) -> Arc<Self> {
        Arc::new(OwnedRing {
            write_index: CellsOf::<E>::word(0),
            end_index: CellsOf::<E>::word(OPEN),
            read_index: CellsOf::<E>::word(0),
            slots: (0..slots)
                .map(|_| CellsOf::<E>::slot(T::zeroed()))
                .collect(),
            capacity,
        })
    }

    fn parts(&self) -> RingParts<'_, CellsOf<E>, T> {
        RingParts {
            write_index: &self.write_index,
            end_index: &self.end_index,
            read_index: &self.read_index,
            slots: Slots::new(&self.slots).expect("models ask for a power of two of slots"),
            capacity: self.capacity,
        }
    }

    /// The producer. A model makes a second one only after it has joined the first.
    pub fn producer(
        self: &Arc<Self>,
        run: &Arc<Run>,
    ) -> Held<Self, Producer<'static, T, E::Memory>> {
        // SAFETY: one producer at a time, as said; a model that breaks this is reported by the
        // race-detecting cells of the engine.
        Held::new(self, |ring| unsafe {
            Producer::new(ring.parts(), E::memory(run), None)
        })
    }

    /// The consumer. A model makes a second one only after it has joined the first.
    pub fn consumer(
        self: &Arc<Self>,
        run: &Arc<Run>,
    ) -> Held<Self, Consumer<'static, T, E::Memory>> {
        // SAFETY: one consumer at a time, as said; a model that breaks this is reported by the
        // race-detecting cells of the engine.
        Held::new(self, |ring| unsafe {
            Consumer::new(ring.parts(), E::memory(run), None)
        })
    }
}

/// An endpoint together with what it refers to, so that it can be made in one thread and used
/// in another.
///
/// Models make an endpoint *before* they start its thread, because making it loads its own
/// index: where a thread itself loads (relaxed) an index that it then stores, loom explores
/// next to nothing (tokio-rs/loom#166), and every mutant passes.
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

/// The words of a seqlock or latch, owned, to be shared by the threads of a model.
pub struct OwnedWords<E: Engine> {
    counter: Word<E>,
    data: Vec<Word<E>>,
}

impl<E: Engine> OwnedWords<E> {
    /// A `seq` or `version` of `counter`, and data words.
    pub fn new(counter: u64, data: &[u64]) -> Arc<Self> {
        Arc::new(OwnedWords {
            counter: CellsOf::<E>::word(counter),
            data: data
                .iter()
                .map(|&value| CellsOf::<E>::word(value))
                .collect(),
        })
    }

    /// A seqlock's writer.
    pub fn seq_writer<T: Payload>(
        self: &Arc<Self>,
        run: &Arc<Run>,
    ) -> Held<Self, SeqWriter<'static, T, E::Memory>> {
        Held::new(self, |words| {
            SeqWriter::new(words.seqlock(), E::memory(run), None).expect(ENOUGH)
        })
    }

    /// A seqlock's reader.
    pub fn seq_reader<T: Payload>(
        self: &Arc<Self>,
        run: &Arc<Run>,
    ) -> Held<Self, SeqReader<'static, T, E::Memory>> {
        Held::new(self, |words| {
            SeqReader::new(words.seqlock(), E::memory(run), None).expect(ENOUGH)
        })
    }

    /// A latch's writer.
    pub fn latch_writer<T: Payload>(
        self: &Arc<Self>,
        run: &Arc<Run>,
    ) -> Held<Self, LatchWriter<'static, T, E::Memory>> {
        Held::new(self, |words| {
            LatchWriter::new(words.latch(), E::memory(run), None).expect(ENOUGH)
        })
    }

    /// A latch's reader.
    pub fn latch_reader<T: Payload>(
        self: &Arc<Self>,
        run: &Arc<Run>,
    ) -> Held<Self, LatchReader<'static, T, E::Memory>> {
        Held::new(self, |words| {
            LatchReader::new(words.latch(), E::memory(run), None).expect(ENOUGH)
        })
    }

    fn seqlock(&self) -> SeqParts<'_, CellsOf<E>> {
        SeqParts {
            seq: &self.counter,
            payload: &self.data,
        }
    }

    fn latch(&self) -> LatchParts<'_, CellsOf<E>> {
        LatchParts {
            version: &self.counter,
            slots: &self.data,
        }
    }

    /// The counter alone, for the words of roles and segments.
    pub fn word(&self) -> &Word<E> {
        &self.counter
    }
}
