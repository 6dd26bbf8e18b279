//! What a payload is made of, so that the two sides of a segment can compare it.
//!
//! A header that says how large an item is tells two programs of the same source apart, and no
//! others: fields that changed places, or another compiler's padding, have the same size and other
//! meanings. Therefore every segment carries a [`Description`] of its payload, made by its creator
//! from what the type [visits](Shape::visit), and who attaches compares it with its own.

#[cfg(feature = "std")]
mod description;
#[cfg(feature = "std")]
mod fields;
#[cfg(feature = "std")]
mod value;

#[cfg(feature = "derive")]
pub use ringproof_derive::Shape;
#[cfg(feature = "std")]
pub use {
    description::{ByteOrder, Description, DescriptionError, Field, MAX_FIELDS, MAX_LEN, MAX_NAME},
    fields::Fields,
    value::Value,
};

/// A type that can say where its fields lie and what they are.
///
/// Derive it for a struct that is `#[repr(C)]`, `#[repr(C, packed)]` or `#[repr(transparent)]`;
/// primitives and arrays have it, and what derives [`Payload`](crate::Payload). An implementation that does not tell the truth makes programs
/// misunderstand each other, but breaks no memory safety.
///
/// ```
/// use ringproof::Shape;
/// use ringproof::shape::Description;
///
/// #[derive(Shape)]
/// #[repr(C)]
/// struct Quote {
///     price: f64,
///     venue: [u8; 4],
///     size: u32,
/// }
///
/// let text = Description::of::<Quote>()?.to_string();
/// # #[cfg(target_endian = "little")]
/// assert_eq!(text, "ringproof-shape 1 little 16\nprice 0 f64\nvenue 8 u8x4\nsize 12 u32\n");
/// # Ok::<(), ringproof::shape::DescriptionError>(())
/// ```
///
/// Nothing else has a layout that its source fixes:
///
/// ```compile_fail
/// #[derive(ringproof::Shape)]
/// struct Anywhere {
///     price: f64,
/// }
/// ```
pub trait Shape {
    /// How many bytes it has, for the type checker: [`Bytes`], or [`ArrayBytes`] where those are
    /// not known. What is not true of it is found out when it is built.
    type Size;

    /// What a primitive is; how many of what an array of primitives is; `None` for a struct.
    const LEAF: Option<Leaf> = None;

    /// Tells `fields` about every field, in order of their offsets.
    fn visit(fields: &mut Fields);
}

/// The size of a type as a type, so that the type checker can compare it: how many bytes, and how many
/// of them are beyond the last whole 64-bit word.
#[derive(Debug)]
pub enum Bytes<const COUNT: usize, const BEYOND_WORDS: usize> {}

/// The size of an array. It would have to be computed of a type and a number that are both parameters,
/// which the type checker does not do.
#[derive(Debug)]
pub enum ArrayBytes {}

/// So many primitives of one kind, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// What each of them is.
    pub kind: Primitive,
    /// How many.
    pub count: u64,
}

/// Receives the fields of a type, for the description of a segment. Without the feature `std` there are no segments,
/// and it keeps nothing.
#[cfg(not(feature = "std"))]
#[derive(Debug, Default)]
pub struct Fields {}

#[cfg(not(feature = "std"))]
impl Fields {
    /// The field `name` of a struct, `offset` bytes from its start.
    pub fn field<T: Shape>(&mut self, _name: &str, _offset: usize) {}

    fn leaf(&mut self, _leaf: Leaf) {}

    fn elements<T: Shape>(&mut self, _count: usize) {}
}

impl<T: Shape, const N: usize> Shape for [T; N] {
    type Size = ArrayBytes;

    const LEAF: Option<Leaf> = match T::LEAF {
        Some(Leaf { kind, count }) => Some(Leaf {
            kind,
            count: count * N as u64,
        }),
        None => None,
    };

    fn visit(fields: &mut Fields) {
        if let Some(leaf) = Self::LEAF {
            fields.leaf(leaf);
            return;
        }
        // Elements of no bytes have no fields, and there may be any number of them.
        if size_of::<T>() != 0 {
            fields.elements::<T>(N);
        }
    }
}

/// The primitives of which payloads are made.
macro_rules! primitives {
    ($($variant:ident $name:ident),*) => {
        /// What a field's bytes mean.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Primitive {
            $(#[doc = concat!("`", stringify!($name), "`")] $variant,)*
        }

        impl Primitive {
            /// All of them.
            pub const ALL: &[Primitive] = &[$(Primitive::$variant),*];

            /// Its name, as Rust has it.
            pub const fn name(self) -> &'static str {
                match self { $(Primitive::$variant => stringify!($name),)* }
            }

            /// Its bytes.
            pub const fn size(self) -> u64 {
                match self { $(Primitive::$variant => size_of::<$name>() as u64,)* }
            }
        }

        $(impl Shape for $name {
            type Size = Bytes<{ size_of::<$name>() }, { size_of::<$name>() % 8 }>;

            const LEAF: Option<Leaf> = Some(Leaf { kind: Primitive::$variant, count: 1 });

            fn visit(fields: &mut Fields) {
                fields.leaf(Leaf { kind: Primitive::$variant, count: 1 });
            }
        })*
    };
}

primitives!(
    U8 u8, U16 u16, U32 u32, U64 u64, U128 u128,
    I8 i8, I16 i16, I32 i32, I64 i64, I128 i128,
    F32 f32, F64 f64
);

/// Described as the integer of its size: that is what the bytes are, in any language.
macro_rules! same_as {
    ($($width:literal: $name:ident $same:ident),*) => {
        $(#[cfg(target_pointer_width = $width)]
        impl Shape for $name {
            type Size = <$same as Shape>::Size;

            const LEAF: Option<Leaf> = <$same as Shape>::LEAF;

            fn visit(fields: &mut Fields) {
                <$same as Shape>::visit(fields);
            }
        })*
    };
}

same_as!("64": usize u64, "64": isize i64, "32": usize u32, "32": isize i32);
