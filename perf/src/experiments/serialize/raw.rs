//! The struct's own bytes, as `memcpy` takes them: for readers with the same layout only.

use super::format::{Block, Format};
use super::message::{FIELDS, Message};

/// See the module.
pub(super) struct Raw(Block);

/// Proves that the struct is its fields and no padding.
const fn size<const N: usize>() -> usize {
    assert!(size_of::<Message<N>>() == FIELDS + N);
    size_of::<Message<N>>()
}

impl<const N: usize> Format<N> for Raw {
    const NAME: &'static str = "raw copy";
    type Own = Message<N>;

    fn new() -> Self {
        Raw(Block::new())
    }

    fn encode(&mut self, own: &Message<N>) -> Option<&[u8]> {
        let to = self.0.get_mut(..const { size::<N>() })?;
        // SAFETY: the source is a whole message, every byte of which is initialised because it has
        // no padding (`size` does not compile otherwise), the target is as many bytes, and a
        // shared and an exclusive reference do not overlap.
        unsafe {
            std::ptr::from_ref(own)
                .cast::<u8>()
                .copy_to_nonoverlapping(to.as_mut_ptr(), to.len());
        }
        Some(to)
    }

    fn decode(bytes: &[u8]) -> Option<Message<N>> {
        let from = bytes.get(..const { size::<N>() })?;
        // SAFETY: the source is as many bytes as a message has, any of which make one: integers,
        // floats and bytes have no invalid values. The read asks for no alignment.
        Some(unsafe { from.as_ptr().cast::<Message<N>>().read_unaligned() })
    }

    /// A copy of which one field is used: the compiler copies that field alone.
    fn field(bytes: &[u8]) -> Option<f64> {
        <Self as Format<N>>::decode(bytes).map(|message| message.z)
    }
}
