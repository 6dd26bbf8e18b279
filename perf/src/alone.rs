//! What shares no cache line.

/// Something that has its cache line, and the next one, to itself: some processors fetch lines two by two.
#[derive(Default)]
#[repr(align(256))]
pub(crate) struct Alone<T>(pub(crate) T);
