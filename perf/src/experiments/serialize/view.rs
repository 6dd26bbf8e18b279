//! A struct of little-endian fields laid over the bytes, without a copy (zerocopy).

use zerocopy::little_endian::{F64, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::format::{Block, Format};
use super::message::{FIELDS, Message};

/// See the module.
pub(super) struct View(Block);

/// The bytes of a message; a reference to them may lie anywhere.
#[derive(FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct Wire<const N: usize> {
    ts: U64,
    x: F64,
    y: F64,
    z: F64,
    payload: [u8; N],
}

impl<const N: usize> Format<N> for View {
    const NAME: &'static str = "zero-copy view (zerocopy)";
    type Own = Message<N>;

    fn new() -> Self {
        View(Block::new())
    }

    fn encode(&mut self, own: &Message<N>) -> Option<&[u8]> {
        let to = self.0.get_mut(..FIELDS + N)?;
        let wire = Wire::<N>::mut_from_bytes(to).ok()?;
        wire.ts.set(own.ts);
        wire.x.set(own.x);
        wire.y.set(own.y);
        wire.z.set(own.z);
        wire.payload = own.payload;
        Some(wire.as_bytes())
    }

    fn decode(bytes: &[u8]) -> Option<Message<N>> {
        let wire = Wire::<N>::ref_from_bytes(bytes).ok()?;
        Some(Message {
            ts: wire.ts.get(),
            x: wire.x.get(),
            y: wire.y.get(),
            z: wire.z.get(),
            payload: wire.payload,
        })
    }

    fn field(bytes: &[u8]) -> Option<f64> {
        let wire = Wire::<N>::ref_from_bytes(bytes).ok()?;
        Some(wire.z.get())
    }
}
