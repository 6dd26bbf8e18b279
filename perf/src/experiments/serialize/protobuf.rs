//! Protocol Buffers (prost), with the message as the schema's compiler would derive it:
//!
//! ```text
//! message Message { uint64 ts = 1; double x = 2; double y = 3; double z = 4; bytes payload = 5; }
//! ```

use prost::Message as _;

use super::format::{Format, Message, Own};

/// See the module.
#[derive(Default)]
pub(super) struct Protobuf(Vec<u8>);

/// What a program that speaks Protocol Buffers has messages in.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Wire {
    #[prost(uint64, tag = "1")]
    ts: u64,
    #[prost(double, tag = "2")]
    x: f64,
    #[prost(double, tag = "3")]
    y: f64,
    #[prost(double, tag = "4")]
    z: f64,
    #[prost(bytes = "vec", tag = "5")]
    payload: Vec<u8>,
}

/// The same message for whoever wants one field of it: what is not in a schema is skipped.
#[derive(Clone, PartialEq, prost::Message)]
struct OneField {
    #[prost(double, tag = "4")]
    z: f64,
}

impl<const N: usize> Own<N> for Wire {
    fn of(message: &Message<N>) -> Self {
        Wire {
            ts: message.ts,
            x: message.x,
            y: message.y,
            z: message.z,
            payload: message.payload.to_vec(),
        }
    }

    fn message(&self) -> Option<Message<N>> {
        Some(Message {
            ts: self.ts,
            x: self.x,
            y: self.y,
            z: self.z,
            payload: self.payload.as_slice().try_into().ok()?,
        })
    }

    fn ts(&self) -> u64 {
        self.ts
    }
}

impl<const N: usize> Format<N> for Protobuf {
    const NAME: &'static str = "Protobuf (prost)";
    type Own = Wire;

    fn encode(&mut self, own: &Wire) -> Option<&[u8]> {
        self.0.clear();
        own.encode(&mut self.0).ok()?;
        Some(&self.0)
    }

    fn decode(bytes: &[u8]) -> Option<Wire> {
        Wire::decode(bytes).ok()
    }

    fn field(bytes: &[u8]) -> Option<f64> {
        OneField::decode(bytes).ok().map(|message| message.z)
    }
}
