//! Encodings whose fields lie at fixed offsets: no code knows anything of a message but these.

use rkyv::api::low;
use rkyv::rancor::Failure;
use rkyv::ser::allocator::SubAllocator;
use rkyv::ser::writer::Buffer;
use zerocopy::little_endian::{F64, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::format::{ArchivedMessage, Block, FIELDS, Format, Message};

/// The struct's own bytes, as `memcpy` takes them: for readers with the same layout only.
#[derive(Default)]
pub(super) struct Raw(Block);

/// Proves that the struct is its fields and no padding.
const fn size<const N: usize>() -> usize {
    assert!(size_of::<Message<N>>() == FIELDS + N);
    size_of::<Message<N>>()
}

impl<const N: usize> Format<N> for Raw {
    const NAME: &'static str = "raw copy";
    type Own = Message<N>;

    fn encode(&mut self, own: &Message<N>) -> Option<&[u8]> {
        let to = self.0.0.get_mut(..const { size::<N>() })?;
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

/// Each field at its offset, in little-endian order, by hand.
#[derive(Default)]
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

    fn encode(&mut self, own: &Message<N>) -> Option<&[u8]> {
        let to = self.0.0.get_mut(..FIELDS + N)?;
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

/// A struct of little-endian fields laid over the bytes, without a copy (zerocopy).
#[derive(Default)]
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

    fn encode(&mut self, own: &Message<N>) -> Option<&[u8]> {
        let to = self.0.0.get_mut(..FIELDS + N)?;
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

/// rkyv: the archived struct is read where it lies, once its bytes have been validated.
#[derive(Default)]
pub(super) struct Rkyv(Block);

impl<const N: usize> Format<N> for Rkyv {
    const NAME: &'static str = "rkyv";
    type Own = Message<N>;

    fn encode(&mut self, own: &Message<N>) -> Option<&[u8]> {
        // Nothing in a message needs room to be worked out in.
        let room = SubAllocator::new(&mut []);
        let to = Buffer::from(&mut self.0.0[..]);
        let written = low::to_bytes_in_with_alloc::<_, _, Failure>(own, to, room).ok()?;
        let count = written.len();
        self.0.0.get(..count)
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
