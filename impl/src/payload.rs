//! What may travel through shared memory.

use crate::shape::Shape;

/// A value whose bytes mean the same in every process: plain data without padding, pointers,
/// references or invalid bit patterns, which can say what it is made of.
///
/// It is another name for [`bytemuck::Pod`] and [`Shape`] (derive both on a `#[repr(C)]` struct).
/// `Pod` was chosen over zerocopy's family of traits because the ring needs all of its guarantees
/// at once and nothing else: *no padding*, so no uninitialised byte of this process reaches
/// another one; *any bit pattern is a value*, so whatever a broken or hostile peer writes is still
/// a value and never undefined behaviour; *no pointers*, which mean nothing elsewhere. By its
/// [`Shape`] a segment is refused whose items have the same size and other fields.
///
/// ```
/// use ringproof::Shape;
/// use ringproof::bytemuck::{Pod, Zeroable};
///
/// #[derive(Clone, Copy, Pod, Shape, Zeroable)]
/// #[bytemuck(crate = "ringproof::bytemuck")]
/// #[repr(C)]
/// struct Quote {
///     price: f64,
///     size: u32,
///     venue: u32,
/// }
///
/// fn travels<T: ringproof::Payload>() {}
/// travels::<Quote>();
/// ```
///
/// Padding is refused by the compiler:
///
/// ```compile_fail
/// use ringproof::Shape;
/// use ringproof::bytemuck::{Pod, Zeroable};
///
/// #[derive(Clone, Copy, Pod, Shape, Zeroable)]
/// #[bytemuck(crate = "ringproof::bytemuck")]
/// #[repr(C)]
/// struct Padded {
///     tag: u8,
///     price: f64,
/// }
/// ```
pub trait Payload: bytemuck::Pod + Shape + Send + Sync {}

impl<T: bytemuck::Pod + Shape + Send + Sync> Payload for T {}

/// The number of 64-bit words that `T` fills.
///
/// Compiling a use of it fails when `T` does not fill whole words: a seqlock's payload is
/// copied word by word, and half a word cannot be.
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
