//! What is encoded, the message of the published table alone and with a payload behind it; and what an
//! encoding is to this experiment.

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

/// An encoding of messages with a payload of `N` bytes, used as its documentation calls fastest.
///
/// A value is an encoder with its buffer, which is kept: no call but the first makes it grow.
pub(super) trait Format<const N: usize>: Default + Send + 'static {
    /// What tables call it.
    const NAME: &'static str;

    /// What its user's program has messages in.
    type Own: Own<N>;

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
pub(super) struct Block(pub(super) [u8; 2048]);

impl Default for Block {
    fn default() -> Self {
        Block([0; 2048])
    }
}
