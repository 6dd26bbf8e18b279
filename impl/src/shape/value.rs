//! The fields of an item, read by its description.

use std::fmt;

use super::{ByteOrder, Description, Field, Primitive};

/// What a primitive holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A number without a sign.
    Unsigned(u128),
    /// A number with one.
    Signed(i128),
    /// An `f32`.
    Single(f32),
    /// An `f64`.
    Double(f64),
}

/// As a number is written; a fraction with as many digits as tell it from its neighbours.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Unsigned(value) => value.fmt(f),
            Value::Signed(value) => value.fmt(f),
            Value::Single(value) => value.fmt(f),
            Value::Double(value) => value.fmt(f),
        }
    }
}

impl Description {
    /// The values of `field` in `item`, as many as the field has; fewer if the item has not its
    /// bytes.
    pub fn values<'a>(&self, field: &Field, item: &'a [u8]) -> impl Iterator<Item = Value> + 'a {
        let (order, kind) = (self.order(), field.leaf.kind);
        let start = usize::try_from(field.offset).unwrap_or(usize::MAX);
        let count = usize::try_from(field.leaf.count).unwrap_or(usize::MAX);
        let elements = item.get(start..).unwrap_or_default();
        let elements = elements.chunks_exact(kind.size() as usize).take(count);
        elements.map(move |bytes| value(bytes, kind, order))
    }
}

fn value(bytes: &[u8], kind: Primitive, order: ByteOrder) -> Value {
    let low_byte_last = |number: u128, byte: &u8| number << 8 | u128::from(*byte);
    let bits = match order {
        ByteOrder::Little => bytes.iter().rev().fold(0, low_byte_last),
        ByteOrder::Big => bytes.iter().fold(0, low_byte_last),
    };
    match kind {
        Primitive::U8 | Primitive::U16 | Primitive::U32 | Primitive::U64 | Primitive::U128 => {
            Value::Unsigned(bits)
        }
        Primitive::I8 | Primitive::I16 | Primitive::I32 | Primitive::I64 | Primitive::I128 => {
            // The sign's bit to the top, and back with copies of it.
            let unused = 128 - 8 * bytes.len();
            Value::Signed((bits << unused) as i128 >> unused)
        }
        Primitive::F32 => Value::Single(f32::from_bits(bits as u32)),
        Primitive::F64 => Value::Double(f64::from_bits(bits as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind at its extremes, as little-endian bytes at offset 1, and what it must read as.
    #[test]
    fn every_kind_is_read_in_both_byte_orders() {
        let cases: [(&str, Vec<u8>, &str); 14] = [
            ("u8", vec![255], "255"),
            ("u16", u16::MAX.to_le_bytes().to_vec(), "65535"),
            ("u32", 7_u32.to_le_bytes().to_vec(), "7"),
            (
                "u64",
                u64::MAX.to_le_bytes().to_vec(),
                "18446744073709551615",
            ),
            (
                "u128",
                u128::MAX.to_le_bytes().to_vec(),
                "340282366920938463463374607431768211455",
            ),
            ("i8", vec![0x80], "-128"),
            ("i16", (-2_i16).to_le_bytes().to_vec(), "-2"),
            ("i32", i32::MIN.to_le_bytes().to_vec(), "-2147483648"),
            (
                "i64",
                i64::MAX.to_le_bytes().to_vec(),
                "9223372036854775807",
            ),
            (
                "i128",
                i128::MIN.to_le_bytes().to_vec(),
                "-170141183460469231731687303715884105728",
            ),
            ("f32", 0.1_f32.to_le_bytes().to_vec(), "0.1"),
            ("f64", (-0.1_f64).to_le_bytes().to_vec(), "-0.1"),
            ("f64", f64::NAN.to_le_bytes().to_vec(), "NaN"),
            ("f64", f64::INFINITY.to_le_bytes().to_vec(), "inf"),
        ];
        for (kind, mut bytes, expected) in cases {
            for order in ["little", "big"] {
                let text = format!(
                    "ringproof-shape 1 {order} {}\nx 1 {kind}\n",
                    bytes.len() + 1
                );
                let description = Description::parse(text.as_bytes()).expect(&text);
                let item = [&[0xaa], &*bytes].concat();
                let found = description.values(&description.fields()[0], &item);
                let found: Vec<_> = found.map(|value| value.to_string()).collect();
                assert_eq!(found, [expected], "{text}");
                bytes.reverse();
            }
        }
    }

    #[test]
    fn an_item_that_is_too_short_has_fewer_values() {
        let text = b"ringproof-shape 1 little 16\nx 4 u32x3\n";
        let description = Description::parse(text).expect("a description");
        let field = &description.fields()[0];
        for (len, count) in [(0, 0), (4, 0), (7, 0), (8, 1), (16, 3), (32, 3)] {
            let item = vec![1; len];
            assert_eq!(description.values(field, &item).count(), count, "{len}");
        }
    }
}
