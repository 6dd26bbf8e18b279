//! The operations of ends as futures, for any executor: the thread of a [`Waiter`] wakes the task.
//!
//! They are safe to cancel: an item is taken, or pushed, in the very poll that says so.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::{ConsumerOf, LatchReaderOf, ProducerOf, RingEnd, SeqReaderOf, Waiter};
use crate::payload::Payload;
use crate::read::ReadError;
use crate::ring::{PopError, PushError};
use crate::shared::Consumer;
use crate::wait::WaitError;

/// What a poll says to an attempt, which says `None` where it waits.
fn polled<R, E>(attempt: Result<Option<R>, E>) -> Poll<Result<R, E>> {
    attempt.transpose().map_or(Poll::Pending, Poll::Ready)
}

impl<E: RingEnd> Waiter<E> {
    /// Makes an operation of the end when it is not refused for now any more.
    ///
    /// # Errors
    /// As [`attempt`](Waiter::attempt).
    pub async fn attempt_async<R>(
        &mut self,
        mut operation: impl FnMut(&mut E) -> Result<R, E::Refusal>,
    ) -> Result<R, WaitError<E::Refusal>> {
        poll_fn(|context| polled(self.attempt_for(Some(context.waker()), &mut operation))).await
    }
}

impl<T: Payload> Waiter<ProducerOf<'_, T>> {
    /// Appends `value` when there is room. Cancelled, it has not appended it.
    ///
    /// # Errors
    /// As [`attempt`](Waiter::attempt).
    pub async fn push_async(&mut self, value: T) -> Result<(), WaitError<PushError>> {
        self.attempt_async(|producer| producer.push(value)).await
    }
}

impl<T: Payload> Waiter<ConsumerOf<'_, T>> {
    /// Takes the oldest item when there is one. Cancelled, it has taken none.
    ///
    /// # Errors
    /// As [`attempt`](Waiter::attempt).
    pub async fn pop_async(&mut self) -> Result<T, WaitError<PopError>> {
        self.attempt_async(|consumer| consumer.pop()).await
    }
}

impl<T: Payload> Waiter<Consumer<T>> {
    /// The items as a stream. It ends when the producer has closed the ring and all were taken, or with the first error.
    pub fn into_stream(self) -> Items<T> {
        Items {
            waiter: self,
            ended: false,
        }
    }
}

/// What is the same for both kinds of readers.
macro_rules! readers {
    ($($reader:ident),*) => {$(
        impl<T: Payload> Waiter<$reader<'_, T>> {
            /// The version, when it is no longer `since`.
            ///
            /// # Errors
            /// As [`newer`](Waiter::newer).
            pub async fn newer_async(&mut self, since: u64) -> Result<u64, WaitError<ReadError>> {
                poll_fn(|context| polled(self.newer_for(Some(context.waker()), since))).await
            }
        }
    )*};
}

readers!(SeqReaderOf, LatchReaderOf);

/// The items of a ring as a [`Stream`].
#[derive(Debug)]
pub struct Items<T: Payload> {
    waiter: Waiter<Consumer<T>>,
    ended: bool,
}

impl<T: Payload> Items<T> {
    /// Gives the consumer back.
    pub fn into_inner(self) -> Consumer<T> {
        self.waiter.into_inner()
    }
}

impl<T: Payload> Stream for Items<T> {
    type Item = Result<T, WaitError<PopError>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let task = Some(context.waker());
        let next = ready!(polled(self.waiter.attempt_for(task, Consumer::pop)));
        self.ended = next.is_err();
        match next {
            Err(WaitError::Refused(PopError::PeerClosed)) => Poll::Ready(None),
            next => Poll::Ready(Some(next)),
        }
    }
}
