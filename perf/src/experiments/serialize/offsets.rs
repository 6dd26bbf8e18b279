//! Each field at its offset, in little-endian order, by hand.

use super::format::{Block, Format};
use super::message::{FIELDS, Message};

/// See the module.
pub(super) struct Offsets(Block);

const TS: usize = 0;
const X: usize = 8;
const Y: usize = 16;
const Z: usize = 24;

/// The eight bytes at an offset.
fn word(bytes: &[u8], at: usize) -> Option<[u8; 8]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn float(bytes: &[u8], at: usize) -> Option<f64> {
    word(bytes, at).map(f64::from_le_bytes)
}

impl<const N: usize> Format<N> for Offsets {
    const NAME: &'static str = "hand-written offsets";
    type Own = Message<N>;

    fn new() -> Self {
        Offsets(Block::new())
    }

    fn encode(&mut self, own: &Message<N>) -> Option<&[u8]> {
        let to = self.0.get_mut(..FIELDS + N)?;
        to[TS..][..8].copy_from_slice(&own.ts.to_le_bytes());
        to[X..][..8].copy_from_slice(&own.x.to_le_bytes());
        to[Y..][..8].copy_from_slice(&own.y.to_le_bytes());
        to[Z..][..8].copy_from_slice(&own.z.to_le_bytes());
        to[FIELDS..].copy_from_slice(&own.payload);
        Some(to)
    }

    fn decode(bytes: &[u8]) -> Option<Message<N>> {
        let bytes = bytes.get(..FIELDS + N)?;
        Some(Message {
            ts: u64::from_le_bytes(word(bytes, TS)?),
            x: float(bytes, X)?,
            y: float(bytes, Y)?,
            z: float(bytes, Z)?,
            payload: *bytes.get(FIELDS..)?.first_chunk()?,
        })
    }

    fn field(bytes: &[u8]) -> Option<f64> {
        float(bytes.get(..FIELDS + N)?, Z)
    }
}
