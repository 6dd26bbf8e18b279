//! S23: memory of which nothing is written down but its bytes.
//!
//! The same `struct`, compiled for 32-bit x86 and for 64 bits, has its fields at other offsets,
//! because a `u64` is aligned to 4 bytes there and to 8 here; packed and natural layouts differ
//! likewise. Who attaches reads a number that was never written, and no call fails.
//! (elast0ny/shared_memory#16)
//!
//! Caught by handing one record from one layout to the other. A header that says how large an item
//! is refuses these two and does not say why; layouts of one size that differ within it lets pass.
//! A description of the payload names the field that lies elsewhere.

use std::fs::{self, File};
use std::io::Read;

use anyhow::Result;
use ringproof::Payload;

use crate::shm::Name;
use crate::specimen::Handing;

/// Hands records over like this.
pub(crate) struct Bytes;

impl Handing for Bytes {
    fn leave<T: Payload>(&self, name: &Name, record: T) -> Result<()> {
        // A page, as shared memory has.
        let mut page = [0; 4096];
        page[..size_of::<T>()].copy_from_slice(bytemuck::bytes_of(&record));
        Ok(fs::write(name.path(), page)?)
    }

    fn take<T: Payload>(&self, name: &Name) -> Result<Result<T, Vec<String>>> {
        let mut record = T::zeroed();
        File::open(name.path())?.read_exact(bytemuck::bytes_of_mut(&mut record))?;
        Ok(Ok(record))
    }
}
