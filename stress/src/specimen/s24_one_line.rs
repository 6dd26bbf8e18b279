//! S24: both indices of a ring in one cache line.
//!
//! Each side stores its own index and never the other's, and yet every store takes the line away
//! from the other side, which was about to use it. Once it is so by choice, as two fields in a
//! row; once although somebody wrote padding between them, and counted wrong: as many bytes as a
//! line has, less one index more than there is. Nothing fails; it is only slow.
//!
//! Caught by looking which words each side stores, and where those lie.

use anyhow::Result;
use bytemuck::{Pod, Zeroable};

use crate::specimen::Indices;

/// Two fields in a row.
#[derive(Clone, Copy, Default, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Adjacent {
    write_index: u64,
    read_index: u64,
    rest: [u64; 6],
}

/// Padding that was to make it a line, and stops short of it.
#[derive(Clone, Copy, Default, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct MissedPadding {
    write_index: u64,
    pad: [u64; 64 / 8 - 2],
    read_index: u64,
    rest: [u64; 8],
}

macro_rules! indices {
    ($($ring:ident),*) => {
        $(impl Indices for $ring {
            fn push(&mut self) -> Result<()> {
                self.write_index += 1;
                Ok(())
            }

            fn pop(&mut self) -> Result<()> {
                self.read_index += 1;
                Ok(())
            }

            fn words(&self) -> Result<Vec<u64>> {
                Ok(bytemuck::cast_slice(std::slice::from_ref(self)).to_vec())
            }
        })*
    };
}

indices!(Adjacent, MissedPadding);
