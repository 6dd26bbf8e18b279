//! What may travel through shared memory.

use crate::shape::{ArrayBytes, Bytes, Shape};

#[cfg(feature = "derive")]
pub use ringproof_derive::Payload;

/// A value whose bytes mean the same in every process: plain data without padding, pointers,
/// references or invalid bit patterns, which can say what it is made of.
///
/// Numbers of a fixed size are payloads, and so are arrays of payloads and structs of payloads that
/// derive it:
///
/// ```
/// use ringproof::Payload;
///
/// #[derive(Clone, Copy, Payload)]
/// #[repr(C)]
/// struct Quote {
///     price: f64,
///     size: u32,
///     venue: u32,
/// }
///
/// fn travels<T: Payload>() {}
/// travels::<Quote>();
/// ```
///
/// Padding is refused by the compiler, which says before or after which field it is:
///
/// ```compile_fail
/// use ringproof::Payload;
///
/// #[derive(Clone, Copy, Payload)]
/// #[repr(C)]
/// struct Padded {
///     tag: u8,
///     price: f64,
/// }
/// ```
///
/// And so is a field that is no payload:
///
/// ```compile_fail
/// use ringproof::Payload;
///
/// #[derive(Clone, Copy, Payload)]
/// #[repr(C)]
/// struct Order {
///     id: u64,
///     name: &'static str,
/// }
/// ```
///
/// # What it is made of
///
/// It is another name for [`bytemuck::Pod`] and [`Shape`], which the derive implements; a type that has
/// both otherwise is a payload as well. `Pod` was chosen over zerocopy's family of traits because the
/// ring needs all of its guarantees at once and nothing else: *no padding*, so no uninitialised byte of
/// this process reaches another one; *any bit pattern is a value*, so whatever a broken or hostile peer
/// writes is still a value and never undefined behaviour; *no pointers*, which mean nothing elsewhere.
/// By its [`Shape`] a segment is refused whose items have the same size and other fields.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no payload: it cannot travel through shared memory",
    label = "no payload",
    note = "payloads are numbers of a fixed size, arrays of payloads, and structs of payloads with \
            `#[derive(Clone, Copy, Payload)]` and `#[repr(C)]`",
    note = "use `u8` in place of `bool`, `u32` in place of `char`, and an array of bytes in place of what \
            points to its content"
)]
pub trait Payload: bytemuck::Pod + Shape + Send + Sync {}

// So that the compiler says the above, and not which of these it misses.
#[diagnostic::do_not_recommend]
impl<T: bytemuck::Pod + Shape + Send + Sync> Payload for T {}

/// Compiles if `T` is a payload: what the derive asks of each field.
#[doc(hidden)]
pub const fn is_payload<T: Payload>() {}

/// A payload that fills a whole number of 64-bit words, as that of a seqlock or latch must: it is copied
/// word by word, and half a word cannot be.
///
/// Every payload is one whose size is a multiple of 8. Generic code that makes or opens a seqlock or
/// latch asks for it instead of [`Payload`].
///
/// ```
/// use ringproof::payload::WholeWords;
/// use ringproof::{SegmentError, SeqLatch, SeqLatchOptions};
///
/// fn latest<T: WholeWords>(first: &T) -> Result<SeqLatch<T>, SegmentError> {
///     SeqLatch::anonymous(first, &SeqLatchOptions::default())
/// }
/// assert_eq!(latest(&[1_u32, 2])?.reader()?.try_read(), Ok([1, 2]));
/// # Ok::<(), SegmentError>(())
/// ```
///
/// The others are refused by the compiler. It is the type checker that refuses a number or a struct, so
/// that `cargo check` does, and says its size:
///
/// ```compile_fail
/// use ringproof::{SeqLock, SeqLockOptions};
///
/// SeqLock::anonymous(&7_u32, &SeqLockOptions::default());
/// ```
///
/// The type checker cannot know how many bytes an array has. A struct in which there are arrays
/// it refuses like any other, but a payload that is itself an array only `cargo build` does.
///
/// ```compile_fail
/// use ringproof::{SeqLock, SeqLockOptions};
///
/// SeqLock::anonymous(&[7_u32; 3], &SeqLockOptions::default());
/// ```
pub trait WholeWords: Payload {}

impl<T: Payload> WholeWords for T where T::Size: Whole<T> {}

/// A [size](Shape::Size), of a type `T`, that is a whole number of 64-bit words, as far as the type
/// checker knows.
#[diagnostic::on_unimplemented(
    message = "the payload of a seqlock or latch must fill a whole number of 64-bit words, and `{T}` has `{Self}`",
    label = "`{T}` is of `{Self}`: the bytes, and how many of them are beyond the last whole word"
)]
pub trait Whole<T: ?Sized> {}

impl<T: ?Sized, const COUNT: usize> Whole<T> for Bytes<COUNT, 0> {}

/// See [`WholeWords`].
impl<T: ?Sized> Whole<T> for ArrayBytes {}

/// The number of 64-bit words that `T` fills.
///
/// Building a use of it fails when `T` does not fill whole words, also where [`WholeWords`] could not
/// tell.
pub(crate) const fn words_of<T: Payload>() -> usize {
    const {
        assert!(
            size_of::<T>() > 0 && size_of::<T>().is_multiple_of(8),
            "the payload of a seqlock or latch must fill a whole number of 64-bit words"
        );
    }
    size_of::<T>() / 8
}

/// The words of a payload, to copy from.
pub(crate) fn as_words<T: Payload>(value: &T) -> &[[u8; 8]] {
    bytemuck::bytes_of(value).as_chunks().0
}

/// The words of a payload, to copy to.
pub(crate) fn as_words_mut<T: Payload>(value: &mut T) -> &mut [[u8; 8]] {
    bytemuck::bytes_of_mut(value).as_chunks_mut().0
}
