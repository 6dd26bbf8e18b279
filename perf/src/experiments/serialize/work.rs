//! What is timed: messages in turn, each encoded, decoded, or looked into.

use std::hint::black_box;

use super::format::{Block, Format, Message, Own};
use crate::cost::{Work, Works};

/// Different messages: more than one, so that nothing is worked out once and for all, and few
/// enough that they stay in the first-level cache.
const MESSAGES: usize = 8;

/// Messages and their encodings, of which each was decoded and compared when the pool was made.
pub(super) struct Pool<F: Format<N>, const N: usize> {
    format: F,
    messages: [Message<N>; MESSAGES],
    own: [F::Own; MESSAGES],
    encoded: [Encoded; MESSAGES],
}

/// One encoded message.
pub(super) struct Encoded {
    block: Block,
    len: usize,
}

impl<F: Format<N>, const N: usize> Pool<F, N> {
    /// Messages from this number on.
    pub(super) fn new(first: u64) -> Result<Self, String> {
        let messages: [_; MESSAGES] =
            std::array::from_fn(|index| Message::numbered(first.wrapping_add(index as u64)));
        let mut format = F::default();
        let own = messages.each_ref().map(F::Own::of);
        let encoded = own.each_ref().map(|own| Encoded::by(&mut format, own));
        for (number, (encoded, message)) in encoded.iter().zip(&messages).enumerate() {
            if !comes_back::<F, N>(encoded.bytes(), message) {
                let name = F::NAME;
                return Err(format!(
                    "{name}: message {number} does not come back as it was"
                ));
            }
        }
        Ok(Pool {
            format,
            messages,
            own,
            encoded,
        })
    }

    /// Bytes of an encoded message: the median, where they differ.
    pub(super) fn bytes(&self) -> usize {
        let mut lengths = self.encoded.each_ref().map(|encoded| encoded.len);
        lengths.sort_unstable();
        lengths[MESSAGES / 2]
    }
}

impl Encoded {
    /// What does not fit, or cannot be encoded, is no bytes, which are no message.
    pub(super) fn by<F: Format<N>, const N: usize>(format: &mut F, own: &F::Own) -> Self {
        let bytes = format.encode(own).unwrap_or_default();
        let mut block = Block::default();
        let len = block.0.get_mut(..bytes.len()).map_or(0, |room| {
            room.copy_from_slice(bytes);
            bytes.len()
        });
        Encoded { block, len }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.block.0.get(..self.len).unwrap_or_default()
    }

    /// Writes over one byte.
    #[cfg(test)]
    pub(super) fn set(&mut self, at: usize, byte: u8) {
        self.block.0[at] = byte;
    }
}

/// Whether the bytes are the message, taken whole and by its field.
pub(super) fn comes_back<F: Format<N>, const N: usize>(bytes: &[u8], message: &Message<N>) -> bool {
    let decoded = F::decode(bytes).and_then(|own| own.message());
    if !decoded.is_some_and(|decoded| decoded.is(message)) {
        return false;
    }
    // SAFETY: `decode` has just answered for these bytes.
    let trusted = F::TRUSTING.map(|trusting| unsafe { trusting(bytes) });
    let is_z = |field: f64| field.to_bits() == message.z.to_bits();
    F::field(bytes).is_some_and(is_z) && trusted.is_none_or(is_z)
}

/// Values that some formats do not carry, as people call them.
const SPECIAL: [(&str, f64); 3] = [("−0", -0.0), ("NaN", f64::NAN), ("∞", f64::INFINITY)];

/// Those that do not come back, found by trying.
pub(super) fn lost<F: Format<N>, const N: usize>() -> Vec<&'static str> {
    let comes = |value: f64| {
        let mut message = Message::numbered(0);
        message.x = value;
        let encoded = Encoded::by(&mut F::default(), &F::Own::of(&message));
        comes_back::<F, N>(encoded.bytes(), &message)
    };
    let lost = SPECIAL.iter().filter(|(_, value)| !comes(*value));
    lost.map(|(name, _)| *name).collect()
}

/// An action on a pool's messages in turn. Its type is what it does, so that no call through a
/// pointer is part of the time.
struct Doing<F: Format<N>, const N: usize, Once> {
    pool: Pool<F, N>,
    action: &'static str,
    once: Once,
    expected: fn(&Pool<F, N>, usize) -> u64,
}

impl<F: Format<N>, const N: usize, Once> Work for Doing<F, N, Once>
where
    Once: Fn(&mut Pool<F, N>, usize) -> u64 + Send,
{
    fn name(&self) -> String {
        format!("{}, {}", F::NAME, self.action)
    }

    #[inline]
    fn once(&mut self, index: u64) -> u64 {
        (self.once)(&mut self.pool, index as usize % MESSAGES)
    }

    fn expected(&self, index: u64) -> u64 {
        (self.expected)(&self.pool, index as usize % MESSAGES)
    }
}

/// Length and last bytes, which show in little time that an encoding was made.
fn seal(bytes: &[u8]) -> u64 {
    let last = bytes.last_chunk().copied().map_or(0, u64::from_le_bytes);
    last.wrapping_add(bytes.len() as u64)
}

/// What is timed of a format: encode, decode, one field, and the field of trusted bytes where
/// that is something else.
pub(super) fn works<F: Format<N>, const N: usize>(first: u64) -> Result<Works, String> {
    fn doing<F: Format<N>, const N: usize>(
        first: u64,
        action: &'static str,
        once: impl Fn(&mut Pool<F, N>, usize) -> u64 + Send + 'static,
        expected: fn(&Pool<F, N>, usize) -> u64,
    ) -> Result<Box<dyn Work>, String> {
        Ok(Box::new(Doing {
            pool: Pool::<F, N>::new(first)?,
            action,
            once,
            expected,
        }))
    }
    let encode = |pool: &mut Pool<F, N>, at: usize| {
        let bytes = pool.format.encode(black_box(&pool.own[at]));
        seal(black_box(bytes.unwrap_or_default()))
    };
    let decode = |pool: &mut Pool<F, N>, at: usize| {
        let own = F::decode(black_box(pool.encoded[at].bytes()));
        black_box(&own).as_ref().map_or(0, F::Own::ts)
    };
    let field = |pool: &mut Pool<F, N>, at: usize| {
        F::field(black_box(pool.encoded[at].bytes())).map_or(0, f64::to_bits)
    };
    let trusting = |pool: &mut Pool<F, N>, at: usize| {
        // Asked here, where it is a constant, or it would be called through a pointer.
        let Some(trusting) = F::TRUSTING else {
            return 0;
        };
        // SAFETY: the pool's messages were decoded when it was made, and nothing has written to them
        // since.
        unsafe { trusting(black_box(pool.encoded[at].bytes())) }.to_bits()
    };
    let z = |pool: &Pool<F, N>, at: usize| pool.messages[at].z.to_bits();
    let mut works = vec![
        doing(first, "encode", encode, |pool, at| {
            seal(pool.encoded[at].bytes())
        })?,
        doing(first, "decode", decode, |pool, at| pool.messages[at].ts)?,
        doing(first, "one field", field, z)?,
    ];
    if F::TRUSTING.is_some() {
        works.push(doing(first, "one field, bytes trusted", trusting, z)?);
    }
    Ok(works)
}
