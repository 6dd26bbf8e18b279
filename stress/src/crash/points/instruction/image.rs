//! A segment as bytes, and bytes as a segment.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// The bytes of a segment.
pub(super) fn of(segment: &impl AsFd) -> Result<Vec<u8>> {
    let file = File::from((segment.as_fd().try_clone_to_owned()).context("a descriptor")?);
    let len = file.metadata().context("the length of a segment")?.len();
    let mut image = vec![0; len as usize];
    (file.read_exact_at(&mut image, 0)).context("cannot look at a segment")?;
    Ok(image)
}

/// A new anonymous segment with these bytes; nobody holds a role of it.
pub(super) fn revive(image: &[u8]) -> Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file: File = (memfd_create("ringproof-step", flags))
        .context("cannot create a memory file")?
        .into();
    write(&file, image)?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).context("cannot seal a memory file")?;
    Ok(file)
}

/// Changes in a segment what changed from one image to another, and nothing else: what the peer
/// has written since stays.
pub(super) fn change(segment: &File, from: &[u8], to: &[u8]) -> Result<()> {
    write(segment, &changed(&of(segment)?, from, to))
}

/// An image after the change that one image is to another.
pub(super) fn changed(image: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    (image.iter().zip(from).zip(to))
        .map(|((old, from), to)| if from == to { *old } else { *to })
        .collect()
}

fn write(segment: &File, image: &[u8]) -> Result<()> {
    (segment.write_all_at(image, 0)).context("cannot write a segment")
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
        let last = of(segment)?;
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
