//! A segment as bytes, and bytes as a segment.

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};

use crate::words::bytes_of;

/// Changes in a segment what changed from one image to another, and nothing else: what the peer
/// has written since stays.
pub(super) fn change(segment: &File, from: &[u8], to: &[u8]) -> Result<()> {
    (segment.write_all_at(&changed(&bytes_of(segment)?, from, to), 0))
        .context("cannot write a segment")
}

/// An image after the change that one image is to another.
pub(super) fn changed(image: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    (image.iter().zip(from).zip(to))
        .map(|((old, from), to)| if from == to { *old } else { *to })
        .collect()
}

/// Looks at a segment again and again, and notices changes.
pub(super) struct Watch<'a> {
    segment: &'a File,
    last: Vec<u8>,
    /// Where the next look goes to, so that no look allocates.
    next: Vec<u8>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(segment: &'a File) -> Result<Self> {
        let last = bytes_of(segment)?;
        Ok(Watch {
            segment,
            next: last.clone(),
            last,
        })
    }

    /// The bytes at the last look.
    pub(super) fn image(&self) -> &[u8] {
        &self.last
    }

    /// Whether anything has changed since the last look.
    pub(super) fn look(&mut self) -> Result<bool> {
        (self.segment.read_exact_at(&mut self.next, 0)).context("cannot look at a segment")?;
        let changed = self.next != self.last;
        std::mem::swap(&mut self.next, &mut self.last);
        Ok(changed)
    }
}
