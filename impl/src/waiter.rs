//! Waiting in an event loop: a descriptor that is readable when an end may go on.
//!
//! # How it works
//!
//! A [`Waiter`] has a thread. An attempt that is refused for now leaves it the word at which the end looked last, and
//! what that held. The thread sleeps, as an end does that [waits](crate::wait), until the word holds something else or the
//! peer is gone, and then makes the descriptor readable. The word only grows, so however late the thread looks, it misses
//! nothing.
//!
//! # What to rely on
//!
//! - The descriptor is unreadable only while the thread waits. It becomes readable if the end may go on, and may do so in
//!   vain, as where half a batch has come. An attempt that nobody asked for does no harm, also while the thread waits.
//! - It is level-triggered. Who asks `epoll` for edges gets one for each wait that ends: it must attempt until it is
//!   refused.
//! - It is for polling. Who reads it makes it unreadable, although nothing waits.
//! - What is attempted has to be refused by the end. If it says [`Full`](PushError::Full) or [`Empty`](PopError::Empty) by
//!   itself, as to wait for more items than there are, the end has not looked, and the thread waits for another store
//!   than the one that is missing, or for none: [`peek_exact`](crate::ring::Consumer::peek_exact) looks.
//! - To drop it while the thread waits wakes the thread up, and takes as long as that does.
//!
//! # What it costs
//!
//! The thread and the descriptor, for each end. An attempt that is not refused costs nothing beside its operation. One
//! that is refused costs two system calls, and in the thread four and two switches to it; it wakes up every 80 ms while it
//! waits, to ask after the peer. Where that is too much, [wait](crate::wait) in a thread of your own.
//!
//! # Tasks
//!
//! With the feature `async` an attempt is a future, and a consumer a stream, for any executor. A future that is dropped
//! has done nothing: an item is pushed, or taken, in the very poll that says so. The task that polled last is woken, from
//! the waiter's thread. The descriptor goes on as without tasks.
//!
//! # Signals and forks
//!
//! The thread handles no signals but those that its own accesses raise, as the [guard](crate::guard) needs them. A forked
//! child has no such thread: it can only drop what it inherited, and keeps the end's [role](crate::role) alive until it
//! ends or executes another program.

mod proxy;
#[cfg(feature = "async")]
mod task;

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::task::Waker;

pub(crate) use proxy::Proxy;
use proxy::Watched;
#[cfg(feature = "async")]
pub use task::Items;

use crate::error::SegmentError;
use crate::memory::Native;
use crate::payload::Payload;
use crate::read::ReadError;
use crate::ring::{PopError, PushError};
use crate::segment::Segment;
use crate::shared::Held;
use crate::site::LoadSite;
use crate::wait::WaitError;
use crate::{latch, ring, seqlock};

#[cfg(doc)]
use crate::shared::{Consumer, LatchReader, Producer, SeqReader};

// The ends of segments, of any lifetime: what an `async` block holds has lost its own when the compiler asks whether the
// block may go to another thread, and what is implemented for `'static` alone is not found.
type ProducerOf<'a, T> = ring::Producer<'a, T, Native, Held>;
type ConsumerOf<'a, T> = ring::Consumer<'a, T, Native, Held>;
type SeqReaderOf<'a, T> = seqlock::SeqReader<'a, T, Native, Arc<Segment>>;
type LatchReaderOf<'a, T> = latch::LatchReader<'a, T, Native, Arc<Segment>>;

/// An end whose waits are left to an event loop: a [`Producer`], a [`Consumer`], a [`SeqReader`] or a [`LatchReader`].
///
/// [`attempt`](Waiter::attempt), or [`newer`](Waiter::newer) of a reader, is how the end is used. What is refused for now
/// makes the descriptor unreadable; it becomes readable when the other side has stored something since, has closed the
/// ring or is gone, and stays so until the next attempt that is refused. What can be relied on, and what it costs, is in
/// [the module](self).
///
/// ```
/// use std::os::fd::AsFd;
///
/// use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
/// use ringproof::{Ring, RingOptions, Waiter};
///
/// let ring = Ring::<u64>::anonymous(&RingOptions::new(4))?;
/// let mut producer = ring.producer()?;
/// let mut consumer = Waiter::new(ring.consumer()?)?;
/// assert_eq!(consumer.attempt(|consumer| consumer.pop())?, None);
/// std::thread::spawn(move || producer.push(7));
/// let item = loop {
///     let mut descriptors = [PollFd::new(consumer.as_fd(), PollFlags::POLLIN)];
///     poll(&mut descriptors, PollTimeout::NONE)?;
///     if let Some(item) = consumer.attempt(|consumer| consumer.pop())? {
///         break item;
///     }
/// };
/// assert_eq!(item, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Waiter<E> {
    end: E,
    proxy: Proxy,
}

/// What a [`Waiter`] can be made of.
pub trait Waitable: sealed::Sealed {}

impl<E: sealed::Sealed> Waitable for E {}

pub(crate) mod sealed {
    use super::Watched;

    /// What has to be known of an end to wait for it.
    pub trait Sealed {
        /// Which word the other side stores.
        fn watched(&self) -> Watched;
    }
}

/// Arms the thread that an end keeps in `proxy`, and gives its descriptor.
pub(crate) fn arm<'p>(
    proxy: &'p mut Option<Proxy>,
    end: &impl sealed::Sealed,
    seen: u64,
) -> Result<BorrowedFd<'p>, WaitError<SegmentError>> {
    let proxy = Proxy::kept(proxy, || end.watched())?;
    proxy.arm::<(), _>(seen, None)?;
    Ok(proxy.as_fd())
}

/// An end of a ring: its operations are refused for now, or for good.
pub trait RingEnd: Waitable {
    /// Why an operation was refused.
    type Refusal;

    /// Whether waiting may change it.
    #[doc(hidden)]
    fn is_for_now(refusal: &Self::Refusal) -> bool;

    /// What the other side's word held when it was looked at last.
    #[doc(hidden)]
    fn seen(&self) -> u64;
}

impl<T: Payload> sealed::Sealed for ProducerOf<'_, T> {
    fn watched(&self) -> Watched {
        Watched::room(self.segment_kept())
    }
}

impl<T: Payload> RingEnd for ProducerOf<'_, T> {
    type Refusal = PushError;

    fn is_for_now(refusal: &PushError) -> bool {
        *refusal == PushError::Full
    }

    fn seen(&self) -> u64 {
        self.seen_index()
    }
}

impl<T: Payload> sealed::Sealed for ConsumerOf<'_, T> {
    fn watched(&self) -> Watched {
        Watched::items(self.segment_kept())
    }
}

impl<T: Payload> RingEnd for ConsumerOf<'_, T> {
    type Refusal = PopError;

    fn is_for_now(refusal: &PopError) -> bool {
        *refusal == PopError::Empty
    }

    fn seen(&self) -> u64 {
        self.seen_index()
    }
}

impl<E: Waitable> Waiter<E> {
    /// Takes the end. The descriptor is readable at first.
    ///
    /// # Errors
    /// [`SegmentError::System`] if there is no descriptor or no thread to be had.
    pub fn new(end: E) -> Result<Waiter<E>, SegmentError> {
        let proxy = Proxy::start(end.watched())?;
        Ok(Waiter { end, proxy })
    }

    /// Gives the end back.
    pub fn into_inner(self) -> E {
        self.end
    }

    /// The end, for what does not wait.
    pub fn get(&self) -> &E {
        &self.end
    }
}

impl<E: RingEnd> Waiter<E> {
    /// An operation of the end; `None` if it is refused for now, as by a full or an empty ring.
    ///
    /// # Errors
    /// [`WaitError::Refused`] if no waiting changes it, [`WaitError::PeerGone`] if it is refused for now and nobody is at
    /// the other end any more, as was found since it was refused before. In that case the descriptor stays readable.
    pub fn attempt<R>(
        &mut self,
        operation: impl FnOnce(&mut E) -> Result<R, E::Refusal>,
    ) -> Result<Option<R>, WaitError<E::Refusal>> {
        self.attempt_for(None, operation)
    }

    /// The same; if it is refused for now, it has `task` polled when it may not be any more.
    fn attempt_for<R>(
        &mut self,
        task: Option<&Waker>,
        operation: impl FnOnce(&mut E) -> Result<R, E::Refusal>,
    ) -> Result<Option<R>, WaitError<E::Refusal>> {
        match operation(&mut self.end) {
            Ok(done) => Ok(Some(done)),
            Err(refusal) if E::is_for_now(&refusal) => self.proxy.arm(self.end.seen(), task),
            Err(refusal) => Err(WaitError::Refused(refusal)),
        }
    }
}

/// What is the same for both kinds of readers.
macro_rules! readers {
    ($($reader:ident: $watched:ident;)*) => {$(
        impl<T: Payload> sealed::Sealed for $reader<'_, T> {
            fn watched(&self) -> Watched {
                Watched::$watched(self.segment_kept())
            }
        }

        impl<T: Payload> Waiter<$reader<'_, T>> {
            /// The version, if it is no longer `since`.
            ///
            /// # Errors
            /// [`WaitError::PeerGone`] if it is, and the writer is gone, as was found since it was asked before. In that
            /// case the descriptor stays readable.
            pub fn newer(&mut self, since: u64) -> Result<Option<u64>, WaitError<ReadError>> {
                self.newer_for(None, since)
            }

            /// The same; if it is, it has `task` polled when it may not be any more.
            fn newer_for(
                &mut self,
                task: Option<&Waker>,
                since: u64,
            ) -> Result<Option<u64>, WaitError<ReadError>> {
                match self.end.version() {
                    version if version != since => Ok(Some(version)),
                    _ => self.proxy.arm(since, task),
                }
            }
        }
    )*};
}

readers! {
    SeqReaderOf: sequence;
    LatchReaderOf: version;
}

impl<E> AsFd for Waiter<E> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.proxy.as_fd()
    }
}

impl<E> AsRawFd for Waiter<E> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<E: fmt::Debug> fmt::Debug for Waiter<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter")
            .field("end", &self.end)
            .field("descriptor", &self.as_raw_fd())
            .finish_non_exhaustive()
    }
}
