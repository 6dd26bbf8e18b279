//! Where things lie in memory: the same for both sides, and apart where it matters.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail, ensure};
use bytemuck::{Pod, Zeroable};
use ringproof::{Payload, Ring, RingOptions, SegmentError, Shape};

use super::right::open_anew;
use super::{Check, Setting, Wrong};
use crate::shm::Name;
use crate::specimen::s23_two_widths::Bytes;
use crate::specimen::s24_one_line::{Adjacent, MissedPadding};

/// What processors move at once, in bytes: a line, and its neighbour with it.
const APART: usize = 128;

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check {
            subject: "two-widths",
            what: "one struct laid out for 32 and for 64 bits: the same value, or refused by field",
            unit: "directions",
            trial: |setting| widths(setting, &Typed),
            wrong: vec![Wrong {
                what: "specimen: S23, layouts that differ in silence",
                sign: "arrived as",
                trial: |setting| widths(setting, &Bytes),
            }],
        },
        Check {
            subject: "lines",
            what: "the words that the two sides store never lie in one pair of cache lines",
            unit: "operations",
            trial: |_| lines(&mut Stored::new()?),
            wrong: vec![
                Wrong {
                    what: "specimen: S24, both indices in one cache line, by choice",
                    sign: "bytes apart",
                    trial: |_| lines(&mut Adjacent::default()),
                },
                Wrong {
                    what: "specimen: S24, both indices in one cache line, by wrong arithmetic",
                    sign: "bytes apart",
                    trial: |_| lines(&mut MissedPadding::default()),
                },
            ],
        },
    ]
}

/// `struct { u32 kind; u64 stamp; u16 level; }` as a compiler for 64 bits lays it out, what it
/// pads written out.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Shape, Zeroable)]
#[repr(C)]
struct Wide {
    kind: u32,
    _pad: u32,
    stamp: u64,
    level: u16,
    _end: [u16; 3],
}

/// The same as a compiler for 32-bit x86 does, where a `u64` is aligned to 4 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Shape, Zeroable)]
#[repr(C)]
struct Narrow {
    kind: u32,
    stamp: [u32; 2],
    level: u16,
    _end: u16,
}

/// What a record of either layout says.
type Said = (u32, u64, u16);

const SENT: Said = (1, 0x1122_3344_5566_7788, 9);

impl Wide {
    fn of((kind, stamp, level): Said) -> Wide {
        Wide {
            kind,
            stamp,
            level,
            ..Wide::zeroed()
        }
    }

    fn said(self) -> Said {
        (self.kind, self.stamp, self.level)
    }
}

impl Narrow {
    fn of((kind, stamp, level): Said) -> Narrow {
        Narrow {
            kind,
            stamp: [stamp as u32, (stamp >> 32) as u32],
            level,
            ..Narrow::zeroed()
        }
    }

    fn said(self) -> Said {
        let [low, high] = self.stamp.map(u64::from);
        (self.kind, low | high << 32, self.level)
    }
}

/// A way to hand a record to another program.
pub(crate) trait Handing {
    /// Leaves it for the other one.
    fn leave<T: Payload>(&self, name: &Name, record: T) -> Result<()>;

    /// Takes it, as the layout that this side has; or says which field of what is written about
    /// the memory does not fit.
    fn take<T: Payload>(&self, name: &Name) -> Result<Result<T, &'static str>>;
}

/// Ours: what a ring is of is written in its header.
struct Typed;

impl Handing for Typed {
    fn leave<T: Payload>(&self, name: &Name, record: T) -> Result<()> {
        let ring = Ring::<T>::create(name, &RingOptions::new(4).slots(4))?;
        if ring.producer()?.push(record).is_err() {
            bail!("no room in a new ring");
        }
        Ok(())
    }

    fn take<T: Payload>(&self, name: &Name) -> Result<Result<T, &'static str>> {
        match Ring::<T>::attach(name) {
            Ok(ring) => Ok(Ok(ring.consumer()?.pop()?)),
            Err(SegmentError::Mismatch { field, .. }) => Ok(Err(field)),
            Err(SegmentError::Payload { .. }) => Ok(Err("payload")),
            Err(error) => Err(error.into()),
        }
    }
}

fn widths(setting: &Setting<'_>, way: &impl Handing) -> Result<u64> {
    let judge = |found: Result<Said, &'static str>| match found {
        Ok(found) => {
            ensure!(found == SENT, "{SENT:x?} arrived as {found:x?}");
            Ok(())
        }
        // What does not depend on how the two structs happen to be named.
        Err(field) => {
            ensure!(
                field.starts_with("payload"),
                "refused for `{field}`, which is not what differs"
            );
            Ok(())
        }
    };
    let name = setting.name();
    way.leave(&name, Wide::of(SENT))?;
    judge(way.take::<Wide>(&name)?.map(Wide::said)).context("from 64 bits to 64")?;
    std::fs::remove_file(name.path())?;
    way.leave(&name, Wide::of(SENT))?;
    judge(way.take::<Narrow>(&name)?.map(Narrow::said)).context("from 64 bits to 32")?;
    std::fs::remove_file(name.path())?;
    way.leave(&name, Narrow::of(SENT))?;
    judge(way.take::<Wide>(&name)?.map(Wide::said)).context("from 32 bits to 64")?;
    Ok(3)
}

/// A ring whose memory can be looked at from outside.
pub(crate) trait Indices {
    /// The producer stores what it stores to send an item.
    fn push(&mut self) -> Result<()>;

    /// The consumer stores what it stores to take it.
    fn pop(&mut self) -> Result<()>;

    /// What its header holds now.
    fn words(&self) -> Result<Vec<u64>>;
}

/// Ours, looked at through its file.
struct Stored {
    ring: Ring<u64>,
    file: File,
}

impl Stored {
    fn new() -> Result<Stored> {
        let ring = Ring::anonymous(&RingOptions::new(4).slots(4))?;
        let file = open_anew(ring.as_fd())?;
        Ok(Stored { ring, file })
    }
}

impl Indices for Stored {
    fn push(&mut self) -> Result<()> {
        Ok(self.ring.producer()?.push(7)?)
    }

    fn pop(&mut self) -> Result<()> {
        self.ring.consumer()?.pop()?;
        Ok(())
    }

    fn words(&self) -> Result<Vec<u64>> {
        let mut words = vec![0; ringproof::layout::HEADER_LEN as usize / 8];
        (self.file).read_exact_at(bytemuck::cast_slice_mut(&mut words), 0)?;
        Ok(words)
    }
}

/// Which words each side stores is seen, and not believed: those that an operation changed.
fn lines(ring: &mut dyn Indices) -> Result<u64> {
    const OPERATIONS: u64 = 20;
    let mut stored = [BTreeSet::new(), BTreeSet::new()];
    for operation in 0..OPERATIONS {
        let before = ring.words()?;
        let side = (operation % 2) as usize;
        if side == 0 {
            ring.push()?;
        } else {
            ring.pop()?;
        }
        let after = ring.words()?;
        let changed = (0..before.len()).filter(|at| before[*at] != after[*at]);
        stored[side].extend(changed.map(|at| at * 8));
    }
    let [produced, consumed] = stored;
    ensure!(
        !produced.is_empty() && !consumed.is_empty(),
        "nothing was seen to be stored: {produced:?}, {consumed:?}"
    );
    for one in &produced {
        for other in &consumed {
            ensure!(
                one / APART != other / APART,
                "the producer stores at {one} and the consumer at {other}, {} bytes apart",
                one.abs_diff(*other)
            );
        }
    }
    Ok(OPERATIONS)
}
