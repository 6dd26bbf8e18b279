//! JSON (serde_json); the payload is a string in base64.

use serde::{Deserialize, Serialize};

use super::format::{Format, Message, Own};

/// See the module.
#[derive(Default)]
pub(super) struct Json(Vec<u8>);

/// What a program that speaks JSON has messages in.
#[derive(Serialize, Deserialize)]
pub(super) struct Wire<const N: usize> {
    ts: u64,
    x: f64,
    y: f64,
    z: f64,
    /// `None` if it has no bytes.
    #[serde(with = "base64", default, skip_serializing_if = "Option::is_none")]
    payload: Option<[u8; N]>,
}

/// The same for whoever wants one field of it: names that are not known are skipped.
#[derive(Deserialize)]
struct OneField {
    z: f64,
}

impl<const N: usize> Own<N> for Wire<N> {
    fn of(message: &Message<N>) -> Self {
        Wire {
            ts: message.ts,
            x: message.x,
            y: message.y,
            z: message.z,
            payload: (N > 0).then_some(message.payload),
        }
    }

    fn message(&self) -> Option<Message<N>> {
        Some(Message {
            ts: self.ts,
            x: self.x,
            y: self.y,
            z: self.z,
            payload: self.payload.or((N == 0).then_some([0; N]))?,
        })
    }

    fn ts(&self) -> u64 {
        self.ts
    }
}

impl<const N: usize> Format<N> for Json {
    const NAME: &'static str = "JSON (serde_json)";
    type Own = Wire<N>;

    fn encode(&mut self, own: &Wire<N>) -> Option<&[u8]> {
        self.0.clear();
        serde_json::to_writer(&mut self.0, own).ok()?;
        Some(&self.0)
    }

    fn decode(bytes: &[u8]) -> Option<Wire<N>> {
        serde_json::from_slice(bytes).ok()
    }

    fn field(bytes: &[u8]) -> Option<f64> {
        let message: OneField = serde_json::from_slice(bytes).ok()?;
        Some(message.z)
    }
}

/// Bytes as text, without a copy on the heap.
mod base64 {
    use std::sync::LazyLock;

    use base64::Engine;
    use base64::display::Base64Display;
    use base64::engine::general_purpose::PAD;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    // Vector instructions where the crate has code for any.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    type Best = base64::engine::GeneralPurpose;
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    type Best = base64::engine::Simd;

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    static BEST: LazyLock<Best> = LazyLock::new(|| Best::new(&base64::alphabet::STANDARD, PAD));
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    static BEST: LazyLock<Best> = LazyLock::new(|| Best::standard(PAD));

    pub(super) fn serialize<S: Serializer, const N: usize>(
        payload: &Option<[u8; N]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match payload {
            Some(payload) => serializer.collect_str(&Base64Display::new(payload, &*BEST)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<Option<[u8; N]>, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        let mut payload = [0; N];
        let written = (BEST.decode_slice(text, &mut payload)).map_err(Error::custom)?;
        if written != N {
            return Err(Error::custom(format_args!("{written} bytes, {N} expected")));
        }
        Ok(Some(payload))
    }
}
