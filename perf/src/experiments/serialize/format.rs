//! What an encoding is to this experiment.

use std::ops::{Deref, DerefMut};

use super::message::Message;

/// An encoding of messages with a payload of `N` bytes, used as its documentation calls fastest.
///
/// A value is an encoder with its buffer, which is kept: no call but the first makes it grow.
pub(super) trait Format<const N: usize>: Send + 'static {
    /// What tables call it.
    const NAME: &'static str;

    /// What its user's program has messages in.
    type Own: Own<N>;

    /// An encoder.
    fn new() -> Self;

    /// The bytes. `None` if there are none for it.
    fn encode(&mut self, own: &Self::Own) -> Option<&[u8]>;

    /// All of a message. `None` if the bytes are none.
    fn decode(bytes: &[u8]) -> Option<Self::Own>;

    /// Its `z`, the last field before the payload. `None` if the bytes are no message.
    fn field(bytes: &[u8]) -> Option<f64>;

    /// The same without looking whether the bytes are well-formed, where there is more to look at
    /// than how many there are.
    ///
    /// # Safety
    /// The bytes are a message that `decode` answers for.
    const TRUSTING: Option<unsafe fn(&[u8]) -> f64> = None;
}

/// The form in which a program has messages.
pub(super) trait Own<const N: usize>: Send {
    /// This message; not timed.
    fn of(message: &Message<N>) -> Self;

    /// The message, if it is one; not timed.
    fn message(&self) -> Option<Message<N>>;

    /// The time stamp.
    fn ts(&self) -> u64;
}

/// The struct itself, for all that need no other form.
impl<const N: usize> Own<N> for Message<N> {
    fn of(message: &Message<N>) -> Self {
        *message
    }

    fn message(&self) -> Option<Message<N>> {
        Some(*self)
    }

    fn ts(&self) -> u64 {
        self.ts
    }
}

/// Room for any encoded message, at the beginning of a cache line: some views need aligned bytes.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Block([u8; Self::BYTES]);

impl Block {
    const BYTES: usize = 2048;

    pub(super) const fn new() -> Self {
        Block([0; Self::BYTES])
    }
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Block {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}
