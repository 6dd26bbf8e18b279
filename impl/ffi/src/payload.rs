//! Payloads as C describes them.

use std::ffi::c_char;

use ringproof::shape::{Description, Field, Leaf, Primitive};
use ringproof::untyped::Payload;

use crate::arguments::{array, text};
use crate::failure::Failure;

/// What the bytes of a field are; arrays are of one of these.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ringproof_lib_primitive {
    /// `uint8_t`, `unsigned char`
    RINGPROOF_LIB_U8 = 1,
    /// `uint16_t`
    RINGPROOF_LIB_U16 = 2,
    /// `uint32_t`
    RINGPROOF_LIB_U32 = 3,
    /// `uint64_t`
    RINGPROOF_LIB_U64 = 4,
    /// `unsigned __int128`
    RINGPROOF_LIB_U128 = 5,
    /// `int8_t`, and `char` where it is signed
    RINGPROOF_LIB_I8 = 6,
    /// `int16_t`
    RINGPROOF_LIB_I16 = 7,
    /// `int32_t`
    RINGPROOF_LIB_I32 = 8,
    /// `int64_t`
    RINGPROOF_LIB_I64 = 9,
    /// `__int128`
    RINGPROOF_LIB_I128 = 10,
    /// `float`
    RINGPROOF_LIB_F32 = 11,
    /// `double`
    RINGPROOF_LIB_F64 = 12,
}

/// The primitives by number.
const PRIMITIVES: [(ringproof_lib_primitive, Primitive); 12] = [
    (ringproof_lib_primitive::RINGPROOF_LIB_U8, Primitive::U8),
    (ringproof_lib_primitive::RINGPROOF_LIB_U16, Primitive::U16),
    (ringproof_lib_primitive::RINGPROOF_LIB_U32, Primitive::U32),
    (ringproof_lib_primitive::RINGPROOF_LIB_U64, Primitive::U64),
    (ringproof_lib_primitive::RINGPROOF_LIB_U128, Primitive::U128),
    (ringproof_lib_primitive::RINGPROOF_LIB_I8, Primitive::I8),
    (ringproof_lib_primitive::RINGPROOF_LIB_I16, Primitive::I16),
    (ringproof_lib_primitive::RINGPROOF_LIB_I32, Primitive::I32),
    (ringproof_lib_primitive::RINGPROOF_LIB_I64, Primitive::I64),
    (ringproof_lib_primitive::RINGPROOF_LIB_I128, Primitive::I128),
    (ringproof_lib_primitive::RINGPROOF_LIB_F32, Primitive::F32),
    (ringproof_lib_primitive::RINGPROOF_LIB_F64, Primitive::F64),
];

/// A field that is a primitive or an array of them. `RINGPROOF_LIB_FIELD` makes one.
#[repr(C)]
pub struct ringproof_lib_field {
    /// Its name, after those of what it lies in: `legs[0].qty`.
    pub name: *const c_char,
    /// Where it begins in the payload.
    pub offset: usize,
    /// Its bytes: of the whole array if it is one.
    pub size: usize,
    /// An `enum ringproof_lib_primitive`.
    pub kind: u32,
}

/// What the payload of a segment is: its fields in order of their offsets, without padding, or
/// the text that describes them. `RINGPROOF_LIB_PAYLOAD` makes one of fields.
#[repr(C)]
pub struct ringproof_lib_payload {
    /// Its bytes.
    pub size: usize,
    /// Its alignment.
    pub align: usize,
    /// Its fields.
    pub fields: *const ringproof_lib_field,
    /// How many.
    pub count: usize,
    /// In place of fields, where it is not null: the text of a description, as `ringproof_lib_describe` and
    /// `ringproof_describe` make it.
    pub description: *const c_char,
}

impl ringproof_lib_payload {
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

impl ringproof_lib_field {
    unsafe fn described(&self) -> Result<Field, Failure> {
        // SAFETY: the caller's promises.
        let name = unsafe { text(self.name, "field->name")? };
        let known = PRIMITIVES
            .iter()
            .find(|(number, _)| *number as u32 == self.kind);
        let Some((_, kind)) = known else {
            return Err(Failure::argument(format!(
                "field {name:?}: {} is no enum ringproof_lib_primitive",
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
