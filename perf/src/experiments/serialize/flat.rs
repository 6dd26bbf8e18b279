//! FlatBuffers, with the table built and read as the schema compiler's code would, by hand:
//!
//! ```text
//! table Message { ts: ulong; x: double; y: double; z: double; payload: [ubyte]; }
//! ```

use flatbuffers::{
    FlatBufferBuilder, Follow, ForwardsUOffset, InvalidFlatbuffer, Table, VOffsetT, Vector,
    Verifiable, Verifier, root, root_unchecked,
};

use super::format::{Format, Message};

/// See the module.
#[derive(Default)]
pub(super) struct Flat(FlatBufferBuilder<'static>);

const TS: VOffsetT = 4;
const X: VOffsetT = 6;
const Y: VOffsetT = 8;
const Z: VOffsetT = 10;
const PAYLOAD: VOffsetT = 12;

/// A message where it lies in a buffer that was verified, or is trusted to be one.
#[derive(Clone, Copy)]
struct Wire<'a>(Table<'a>);

impl<'a> Follow<'a> for Wire<'a> {
    type Inner = Wire<'a>;

    unsafe fn follow(bytes: &'a [u8], at: usize) -> Self {
        // SAFETY: the caller promises a message's table there.
        Wire(unsafe { Table::new(bytes, at) })
    }
}

impl Verifiable for Wire<'_> {
    fn run_verifier(verifier: &mut Verifier<'_, '_>, at: usize) -> Result<(), InvalidFlatbuffer> {
        verifier
            .visit_table(at)?
            .visit_field::<u64>("ts", TS, false)?
            .visit_field::<f64>("x", X, false)?
            .visit_field::<f64>("y", Y, false)?
            .visit_field::<f64>("z", Z, false)?
            .visit_field::<ForwardsUOffset<Vector<'_, u8>>>("payload", PAYLOAD, false)?
            .finish();
        Ok(())
    }
}

impl<'a> Wire<'a> {
    fn ts(self) -> u64 {
        // SAFETY: `Follow` and `Verifiable` of this type stand for a table whose slot TS is a u64
        // or absent.
        unsafe { self.0.get::<u64>(TS, Some(0)) }.unwrap_or(0)
    }

    /// What is in slot X, Y or Z.
    fn float<const SLOT: VOffsetT>(self) -> f64 {
        const { assert!(matches!(SLOT, X | Y | Z)) };
        // SAFETY: likewise, each of these slots is an f64 or absent.
        unsafe { self.0.get::<f64>(SLOT, Some(0.0)) }.unwrap_or(0.0)
    }

    fn payload(self) -> &'a [u8] {
        // SAFETY: likewise, slot PAYLOAD is an offset to a vector of bytes or absent.
        let payload = unsafe { self.0.get::<ForwardsUOffset<Vector<'a, u8>>>(PAYLOAD, None) };
        payload.map_or(&[], |vector| vector.bytes())
    }
}

impl<const N: usize> Format<N> for Flat {
    const NAME: &'static str = "FlatBuffers";
    type Own = Message<N>;

    fn encode(&mut self, own: &Message<N>) -> Option<&[u8]> {
        let builder = &mut self.0;
        builder.reset();
        let payload = (N > 0).then(|| builder.create_vector(&own.payload));
        let table = builder.start_table();
        builder.push_slot(TS, own.ts, 0);
        builder.push_slot(X, own.x, 0.0);
        builder.push_slot(Y, own.y, 0.0);
        builder.push_slot(Z, own.z, 0.0);
        if let Some(payload) = payload {
            builder.push_slot_always(PAYLOAD, payload);
        }
        let table = builder.end_table(table);
        builder.finish_minimal(table);
        Some(builder.finished_data())
    }

    fn decode(bytes: &[u8]) -> Option<Message<N>> {
        let wire = root::<Wire<'_>>(bytes).ok()?;
        Some(Message {
            ts: wire.ts(),
            x: wire.float::<X>(),
            y: wire.float::<Y>(),
            z: wire.float::<Z>(),
            payload: wire.payload().try_into().ok()?,
        })
    }

    fn field(bytes: &[u8]) -> Option<f64> {
        root::<Wire<'_>>(bytes).ok().map(|wire| wire.float::<Z>())
    }

    const TRUSTING: Option<unsafe fn(&[u8]) -> f64> = Some(trusting);
}

/// # Safety
/// The bytes are a message of this format.
unsafe fn trusting(bytes: &[u8]) -> f64 {
    // SAFETY: as the caller promises.
    unsafe { root_unchecked::<Wire<'_>>(bytes) }.float::<Z>()
}
