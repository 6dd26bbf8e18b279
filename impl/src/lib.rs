//! A single-producer single-consumer **ring** and a **seqlock** in memory shared between
//! processes, written so that their correctness can be checked by whoever depends on it.
//!
//! - [`Ring`]: a queue of items, none lost, duplicated, torn or reordered, also when either
//!   side is killed at any instruction and started again. One of bytes is a stream: its ends are
//!   [`std::io::Write`] and [`std::io::Read`].
//! - [`SeqLock`]: the latest value, for readers that may miss some.
//! - [`SeqLatch`]: the same, and the last committed value stays readable whatever happens to
//!   its writer.
//! - [`untyped`]: all three for payloads that are known only while the program runs.
//!
//! ```
//! use ringproof::{PopError, Ring, RingOptions, WaitError};
//!
//! let ring = Ring::<u64>::anonymous(&RingOptions::new(1024))?;
//! let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
//! std::thread::spawn(move || {
//!     for value in 0..10_000 {
//!         producer.wait().push(value).expect("a consumer");
//!     }
//!     producer.close();
//! });
//! for value in 0..10_000 {
//!     assert_eq!(consumer.wait().pop(), Ok(value));
//! }
//! // The producer closed it.
//! assert_eq!(consumer.wait().pop(), Err(WaitError::Refused(PopError::PeerClosed)));
//! # Ok::<(), ringproof::SegmentError>(())
//! ```
//!
//! `push` and `pop` alone never wait: a full or an empty ring is an error at once. See [`wait`].
//!
//! # How it is made
//!
//! Every access to shared memory goes through a named *site*: [`site`] is the one table of
//! them, with ordering, partner and reason. The algorithms ([`ring`], [`seqlock`], [`latch`],
//! [`role`]) are written once, generic over the trait [`Memory`](memory::Memory) that makes
//! the accesses. What ships is that source over [`Native`](memory::Native); what the model
//! checkers, the crash tests and the others run is the same source over theirs. What only they need is in
//! [`harness`], and may change with any release.
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
//! The algorithms, their sites and [`memory`] need nothing but `core`: without the feature `std`, which is on by
//! default, there are only they ([`ring`], [`seqlock`], [`latch`]), for memory that a program provides
//! itself. Everything else needs Linux: open-file-description locks, memory files with seals, unnamed files that can be
//! linked, and `/proc`.
//!
//! `derive`, on by default as well, is `#[derive(Payload)]` for structs that travel. Off by default are `serde`, which makes
//! an [`Inspection`] `Serialize`, and `async`, with which a [`Waiter`] is used by futures, under any executor, and a consumer is
//! a stream; they are written against `futures-core` alone.

#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![cfg_attr(
    not(feature = "std"),
    allow(
        dead_code,
        unused_imports,
        reason = "some of it is for the ends of segments"
    )
)]
// Everything that argues with the compiler stands in the modules that say so, and in no other.
#![deny(unsafe_code)]

#[cfg(feature = "std")]
pub mod error;
#[cfg(feature = "std")]
#[allow(
    unsafe_code,
    reason = "puts memory without access in the place of inherited mappings"
)]
pub mod fork;
#[cfg(feature = "std")]
#[allow(
    unsafe_code,
    reason = "handles a signal, and puts memory in the place of a mapping"
)]
pub mod guard;
#[allow(unsafe_code, reason = "hands out what it does not access itself")]
pub mod harness;
#[cfg(feature = "std")]
pub mod inspect;
#[cfg(feature = "std")]
#[allow(unsafe_code, reason = "makes system calls that no crate wraps")]
mod kernel;
pub mod latch;
#[cfg(feature = "std")]
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
#[cfg(feature = "std")]
pub mod role;
#[cfg(feature = "std")]
pub mod room;
#[cfg(feature = "std")]
#[allow(unsafe_code, reason = "turns a mapping into references")]
pub mod segment;
pub mod seqlock;
pub mod shape;
#[cfg(feature = "std")]
#[allow(
    unsafe_code,
    reason = "gives a mapping's data its type, and claims to endpoints"
)]
pub mod shared;
pub mod site;
pub mod sleep;
#[allow(unsafe_code, reason = "the mask replaces the bounds check")]
pub mod slots;
#[cfg(feature = "std")]
#[allow(
    unsafe_code,
    reason = "accesses slots under the ring's protocol, as bytes"
)]
pub mod untyped;
pub mod wait;
#[cfg(feature = "std")]
pub mod waiter;

pub use bytemuck;

// What the derives write names this crate, also in the tests within.
#[cfg(test)]
extern crate self as ringproof;

pub use payload::Payload;
pub use read::{Busy, ReadError};
pub use ring::{Corruption, OutOfChunk, PopError, PushError};
pub use shape::Shape;
pub use wait::{Wait, WaitError};
#[cfg(feature = "std")]
pub use {
    error::SegmentError,
    inspect::{Inspection, Survey},
    role::{Claim, Role},
    segment::{NameStatus, Segment, unlink, unlink_free},
    shared::{
        Consumer, LatchReader, LatchWriter, Producer, ReadChunk, Ring, RingOptions, SeqLatch,
        SeqLatchOptions, SeqLock, SeqLockOptions, SeqReader, SeqWriter, WriteChunk,
    },
    waiter::Waiter,
};
