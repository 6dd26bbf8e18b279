//! Payloads as C describes them.

use std::ffi::c_char;

use ringproof::shape::{Description, Field, Leaf, Primitive};
use ringproof::untyped::Payload;

use crate::arguments::{array, text};
use crate::failure::Failure;

/// What the bytes of a field are; arrays are of one of these.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum rp_primitive {
    /// `uint8_t`, `unsigned char`
    RP_U8 = 1,
    /// `uint16_t`
    RP_U16 = 2,
    /// `uint32_t`
    RP_U32 = 3,
    /// `uint64_t`
    RP_U64 = 4,
    /// `unsigned __int128`
    RP_U128 = 5,
    /// `int8_t`, and `char` where it is signed
    RP_I8 = 6,
    /// `int16_t`
    RP_I16 = 7,
    /// `int32_t`
    RP_I32 = 8,
    /// `int64_t`
    RP_I64 = 9,
    /// `__int128`
    RP_I128 = 10,
    /// `float`
    RP_F32 = 11,
    /// `double`
    RP_F64 = 12,
}

/// The primitives by number.
const PRIMITIVES: [(rp_primitive, Primitive); 12] = [
    (rp_primitive::RP_U8, Primitive::U8),
    (rp_primitive::RP_U16, Primitive::U16),
    (rp_primitive::RP_U32, Primitive::U32),
    (rp_primitive::RP_U64, Primitive::U64),
    (rp_primitive::RP_U128, Primitive::U128),
    (rp_primitive::RP_I8, Primitive::I8),
    (rp_primitive::RP_I16, Primitive::I16),
    (rp_primitive::RP_I32, Primitive::I32),
    (rp_primitive::RP_I64, Primitive::I64),
    (rp_primitive::RP_I128, Primitive::I128),
    (rp_primitive::RP_F32, Primitive::F32),
    (rp_primitive::RP_F64, Primitive::F64),
];

/// A field that is a primitive or an array of them. `RP_FIELD` makes one.
#[repr(C)]
pub struct rp_field {
    /// Its name, after those of what it lies in: `legs[0].qty`.
    pub name: *const c_char,
    /// Where it begins in the payload.
    pub offset: usize,
    /// Its bytes: of the whole array if it is one.
    pub size: usize,
    /// An `enum rp_primitive`.
    pub kind: u32,
}

/// What the payload of a segment is: its fields in order of their offsets, without padding, or
/// the text that describes them. `RP_PAYLOAD` makes one of fields.
#[repr(C)]
pub struct rp_payload {
    /// Its bytes.
    pub size: usize,
    /// Its alignment.
    pub align: usize,
    /// Its fields.
    pub fields: *const rp_field,
    /// How many.
    pub count: usize,
    /// In place of fields, where it is not null: the text of a description, as `rp_describe` and
    /// `ringproof_describe` make it.
    pub description: *const c_char,
}

impl rp_payload {
    /// The payload that it describes.
    pub(crate) unsafe fn described(&self) -> Result<Payload, Failure> {
        let description = if self.description.is_null() {
            // SAFETY: the caller's promises.
            let fields = unsafe { array(self.fields, self.count, "payload->fields")? };
            let fields = fields.iter().map(|field| {
                // SAFETY: as above.
                unsafe { field.described() }
            });
            Description::new(self.size as u64, fields.collect::<Result<_, _>>()?)?
        } else {
            // SAFETY: as above.
            let text = unsafe { text(self.description, "payload->description")? };
            Description::parse(text.as_bytes())?
        };
        if description.size() != self.size as u64 {
            return Err(Failure::shape(format!(
                "the description is of {} bytes, the payload has {}",
                description.size(),
                self.size
            )));
        }
        Ok(Payload::new(description, self.align as u64)?)
    }
}

impl rp_field {
    unsafe fn described(&self) -> Result<Field, Failure> {
        // SAFETY: the caller's promises.
        let name = unsafe { text(self.name, "field->name")? };
        let known = PRIMITIVES
            .iter()
            .find(|(number, _)| *number as u32 == self.kind);
        let Some((_, kind)) = known else {
            return Err(Failure::argument(format!(
                "field {name:?}: {} is no enum rp_primitive",
                self.kind
            )));
        };
        let size = self.size as u64;
        if !size.is_multiple_of(kind.size()) {
            return Err(Failure::shape(format!(
                "field {name:?}: {size} bytes are no whole number of {}",
                kind.name()
            )));
        }
        Ok(Field {
            name: name.to_owned(),
            offset: self.offset as u64,
            leaf: Leaf {
                kind: *kind,
                count: size / kind.size(),
            },
        })
    }
}
