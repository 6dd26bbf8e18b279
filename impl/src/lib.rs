//! A single-producer single-consumer **ring** and a **seqlock** in memory shared between
//! processes, written so that their correctness can be checked by whoever depends on it.
//!
//! - [`Ring`]: a queue of items, none lost, duplicated, torn or reordered, also when either
//!   side is killed at any instruction and started again.
//! - [`SeqLock`]: the latest value, for readers that may miss some.
//! - [`SeqLatch`]: the same, and the last committed value stays readable whatever happens to
//!   its writer.
//! - [`untyped`]: all three for payloads that are known only while the program runs.
//!
//! ```
//! use ringproof::{Ring, RingOptions};
//!
//! let ring = Ring::<u64>::anonymous(&RingOptions::new(1024))?;
//! let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
//! std::thread::spawn(move || {
//!     for value in 0..10_000 {
//!         while producer.push(value).is_err() {
//!             std::thread::yield_now();
//!         }
//!     }
//!     producer.close();
//! });
//! for expected in 0..10_000 {
//!     let value = loop {
//!         match consumer.pop() {
//!             Ok(value) => break value,
//!             Err(_) => std::thread::yield_now(),
//!         }
//!     };
//!     assert_eq!(value, expected);
//! }
//! # Ok::<(), ringproof::SegmentError>(())
//! ```
//!
//! # How it is made
//!
//! Every access to shared memory goes through a named *site*: [`site`] is the one table of
//! them, with ordering, partner and reason. The algorithms ([`ring`], [`seqlock`], [`latch`],
//! [`role`]) are written once, generic over the trait [`Memory`](memory::Memory) that makes
//! the accesses. What ships is that source over [`Native`](memory::Native); what the model
//! checkers, the crash tests and the others run is the same source over theirs.
//!
//! # What it does not do by itself
//!
//! A named segment can be truncated by whoever may write its file, and that kills by SIGBUS every
//! process that goes on using it, unless the program has called [`guard::install`].
//!
//! # Forks
//!
//! A forked child has no access to what its parent attached: it is told so
//! ([`SegmentError::Forked`]), or dies of SIGSEGV where it uses an end that it inherited. This is so
//! from `fork` on, and so also after `daemon`, and in a worker that a program forks: attach there,
//! after the fork. See [`fork`].
//!
//! # What it needs
//!
//! Linux: open-file-description locks, memory files with seals, unnamed files that can be
//! linked, and `/proc`.

// Everything that argues with the compiler stands in the modules that say so, and in no other.
#![deny(unsafe_code)]

pub mod error;
#[allow(
    unsafe_code,
    reason = "puts memory without access in the place of inherited mappings"
)]
pub mod fork;
#[allow(
    unsafe_code,
    reason = "handles a signal, and puts memory in the place of a mapping"
)]
pub mod guard;
pub mod inspect;
pub mod latch;
pub mod layout;
#[allow(unsafe_code, reason = "makes the accesses: slots are plain memory")]
pub mod memory;
pub mod payload;
pub mod read;
#[allow(
    unsafe_code,
    reason = "its protocol is what makes slot accesses race-free"
)]
pub mod ring;
pub mod role;
pub mod room;
#[allow(unsafe_code, reason = "turns a mapping into references")]
pub mod segment;
pub mod seqlock;
pub mod shape;
#[allow(
    unsafe_code,
    reason = "gives a mapping's data its type, and claims to endpoints"
)]
pub mod shared;
pub mod site;
#[allow(unsafe_code, reason = "the mask replaces the bounds check")]
pub mod slots;
#[allow(
    unsafe_code,
    reason = "accesses slots under the ring's protocol, as bytes"
)]
pub mod untyped;

pub use bytemuck;

// What `#[derive(Shape)]` writes names this crate, also in the tests within.
#[cfg(test)]
extern crate self as ringproof;

use std::sync::Arc;

pub use error::SegmentError;
pub use inspect::{Inspection, Survey};
pub use payload::Payload;
pub use read::{Busy, ReadError};
pub use ring::{Corruption, OutOfChunk, PopError, PushError};
pub use role::{Claim, Role};
pub use segment::{NameStatus, Segment, unlink, unlink_free};
pub use shape::Shape;
pub use shared::{Ring, RingOptions, SeqLatch, SeqLatchOptions, SeqLock, SeqLockOptions};

/// The sending end of a ring in shared memory.
///
/// Like every end that a [`Ring`], [`SeqLock`] or [`SeqLatch`] gives, it keeps the segment that it is an
/// end of (and its role, if it has one) until it is dropped. It borrows nothing, and is [`Send`]: it goes to a
/// thread, and into a struct with the other end, or the end of another ring.
///
/// ```
/// use ringproof::{Consumer, Producer, Ring, RingOptions, SegmentError};
///
/// /// Answers each number by its square.
/// struct Server {
///     requests: Consumer<u64>,
///     answers: Producer<u64>,
/// }
///
/// let there = Ring::anonymous(&RingOptions::new(8))?;
/// let back = Ring::anonymous(&RingOptions::new(8))?;
/// let mut server = Server { requests: there.consumer()?, answers: back.producer()? };
/// let (mut requests, mut answers) = (there.producer()?, back.consumer()?);
/// drop((there, back));
/// let server = std::thread::spawn(move || {
///     while server.answers.position() < 3 {
///         if let Ok(number) = server.requests.pop() {
///             server.answers.push(number * number)?;
///         }
///     }
///     Ok::<_, ringproof::PushError>(())
/// });
/// assert_eq!(requests.push_slice(&[1, 2, 3]), Ok(3));
/// server.join().expect("no panic")?;
/// let mut squares = [0; 3];
/// assert_eq!(answers.pop_slice(&mut squares), Ok(3));
/// assert_eq!(squares, [1, 4, 9]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It is [`Sync`] as well: what `&self` allows, such as [`occupancy`](ring::Producer::occupancy), any
/// number of threads may ask for. Two that push through one producer are refused by the compiler:
///
/// ```compile_fail
/// # let ring = ringproof::Ring::<u64>::anonymous(&ringproof::RingOptions::new(8)).unwrap();
/// let mut producer = ring.producer().unwrap();
/// std::thread::scope(|scope| {
///     scope.spawn(|| producer.push(1));
///     scope.spawn(|| producer.push(2));
/// });
/// ```
pub type Producer<T> = ring::Producer<'static, T, memory::Native, shared::Held>;
/// The receiving end of a ring in shared memory. What is said of [`Producer`] is true of it as well.
pub type Consumer<T> = ring::Consumer<'static, T, memory::Native, shared::Held>;
/// Slots reserved by a [`Producer`].
pub type WriteChunk<'p, T> = ring::WriteChunk<'p, 'static, T, memory::Native, shared::Held>;
/// Items that a [`Consumer`] looks at in place.
pub type ReadChunk<'c, T> = ring::ReadChunk<'c, 'static, T, memory::Native, shared::Held>;
/// The writing end of a seqlock in shared memory. What is said of [`Producer`] is true of it as well.
pub type SeqWriter<T> = seqlock::SeqWriter<'static, T, memory::Native, shared::Held>;
/// A reading end of a seqlock in shared memory. It keeps the segment, and is [`Send`] and [`Sync`]: one
/// may serve any number of threads.
pub type SeqReader<T> = seqlock::SeqReader<'static, T, memory::Native, Arc<Segment>>;
/// The writing end of a latch in shared memory. What is said of [`Producer`] is true of it as well.
pub type LatchWriter<T> = latch::LatchWriter<'static, T, memory::Native, shared::Held>;
/// A reading end of a latch in shared memory. It keeps the segment, and is [`Send`] and [`Sync`]: one may
/// serve any number of threads.
pub type LatchReader<T> = latch::LatchReader<'static, T, memory::Native, Arc<Segment>>;
