//! rkyv: the archived struct is read where it lies, once its bytes have been validated.

use rkyv::api::low;
use rkyv::rancor::Failure;
use rkyv::ser::allocator::SubAllocator;
use rkyv::ser::writer::Buffer;

use super::format::{Block, Format};
use super::message::{ArchivedMessage, Message};

/// See the module.
pub(super) struct Rkyv(Block);

impl<const N: usize> Format<N> for Rkyv {
    const NAME: &'static str = "rkyv";
    type Own = Message<N>;

    fn new() -> Self {
        Rkyv(Block::new())
    }

    fn encode(&mut self, own: &Message<N>) -> Option<&[u8]> {
        // Nothing in a message needs room to be worked out in.
        let room = SubAllocator::new(&mut []);
        let to = Buffer::from(&mut *self.0);
        let written = low::to_bytes_in_with_alloc::<_, _, Failure>(own, to, room).ok()?;
        let count = written.len();
        self.0.get(..count)
    }

    fn decode(bytes: &[u8]) -> Option<Message<N>> {
        let archived = low::access::<ArchivedMessage<N>, Failure>(bytes).ok()?;
        low::deserialize::<_, Failure>(archived).ok()
    }

    fn field(bytes: &[u8]) -> Option<f64> {
        let archived = low::access::<ArchivedMessage<N>, Failure>(bytes).ok()?;
        Some(archived.z.to_native())
    }

    const TRUSTING: Option<unsafe fn(&[u8]) -> f64> = Some(trusting::<N>);
}

/// # Safety
/// The bytes are a message of this format.
unsafe fn trusting<const N: usize>(bytes: &[u8]) -> f64 {
    // SAFETY: as the caller promises.
    let archived = unsafe { rkyv::access_unchecked::<ArchivedMessage<N>>(bytes) };
    archived.z.to_native()
}
