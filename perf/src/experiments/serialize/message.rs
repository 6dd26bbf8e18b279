//! What is encoded: the message of the published table, alone and with a payload behind it.

use rkyv::{Archive, Deserialize, Serialize};

/// `Msg {ts, x, y, z}` and a payload of `N` bytes, laid out as a C compiler would. rkyv
/// derives its archived form, [`ArchivedMessage`], from the struct itself.
#[derive(Archive, Clone, Copy, Debug, Deserialize, Serialize)]
#[repr(C)]
pub(super) struct Message<const N: usize> {
    /// Nanoseconds since 1970.
    pub(super) ts: u64,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) z: f64,
    pub(super) payload: [u8; N],
}

/// Bytes of the fields without the payload.
pub(super) const FIELDS: usize = 32;

/// Bytes behind [`FIELDS`] that make a message of 1 KiB.
pub(super) const PAYLOAD: usize = 1024 - FIELDS;

/// In the year 2023, so that a variable-length integer takes as long as in life.
const EPOCH: u64 = 1_700_000_000_000_000_000;

impl<const N: usize> Message<N> {
    /// The message with this number: none of its values is a round one, and none repeats.
    pub(super) fn numbered(number: u64) -> Self {
        let mut state = number;
        // A splitmix64 generator: consecutive numbers give values that have nothing in common.
        let mut next = || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ (mixed >> 31)
        };
        // Between −1000 and 1000, with all the digits that a double has.
        let coordinate = |bits: u64| (bits >> 11) as f64 / (1_u64 << 53) as f64 * 2000.0 - 1000.0;
        Message {
            ts: EPOCH + next() % 1_000_000_000_000_000,
            x: coordinate(next()),
            y: coordinate(next()),
            z: coordinate(next()),
            payload: std::array::from_fn(|_| next() as u8),
        }
    }

    /// Whether both are the same to the last bit, as no comparison of floats says.
    pub(super) fn is(&self, other: &Self) -> bool {
        let bits = |message: &Self| [message.x, message.y, message.z].map(f64::to_bits);
        self.ts == other.ts && bits(self) == bits(other) && self.payload == other.payload
    }
}
