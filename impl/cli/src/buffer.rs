//! The buffer between a file and the ring.

use ringproof::bytemuck::{self, Pod, Zeroable};

/// Bytes that are read, moved and written together.
pub(crate) const BATCH: usize = 128 * 1024;

const PAGE: usize = 4096;

#[derive(Clone, Copy, Pod, Zeroable)]
#[bytemuck(crate = "ringproof::bytemuck")]
#[repr(C, align(4096))]
struct Page([u8; PAGE]);

/// [`BATCH`] bytes that lie in their pages as they do in the ring.
///
/// Both `memcpy` and the kernel copy with `rep movsb`, which on some processors takes four
/// times as long if source and destination differ by a few bytes modulo the page (measured on
/// Zen 3: 1.8 instead of 0.4 seconds of processor time for 2 GB). A large vector lies 16 bytes
/// into its page and the ring's slots at the start of theirs, so it happens every time unless
/// one takes care.
pub(crate) struct Buffer(Vec<Page>);

impl Buffer {
    pub(crate) fn new() -> Buffer {
        Buffer(vec![Page::zeroed(); BATCH / PAGE + 1])
    }

    /// The place for what the ring has from `position` on.
    pub(crate) fn at(&mut self, position: u64) -> &mut [u8] {
        let start = (position % PAGE as u64) as usize;
        &mut bytemuck::cast_slice_mut(&mut self.0)[start..start + BATCH]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_lies_in_its_page_as_in_the_ring() {
        let mut buffer = Buffer::new();
        for position in [0, 1, 4095, 4096, 5000, u64::MAX] {
            let bytes = buffer.at(position);
            assert_eq!(bytes.len(), BATCH);
            assert_eq!(bytes.as_ptr().addr() as u64 % 4096, position % 4096);
        }
    }
}
