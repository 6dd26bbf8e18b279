//! Where things lie in memory: the same for both sides, and apart where it matters.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail, ensure};
use bytemuck::Zeroable;
use ringproof::{Payload, Ring, RingOptions, SegmentError};

use crate::desk::{Check, Setting};
use crate::shm::Name;
use crate::specimen::s23_two_widths::Bytes;
use crate::specimen::s24_one_line::{Adjacent, MissedPadding};
use crate::specimen::{Handing, Indices};

/// What processors move at once, in bytes: a line, and the adjacent one with it.
const APART: usize = 128;

checks! { setting:
    "two-widths",
        "one struct laid out for 32 and for 64 bits: the same value, or refused by field",
        "directions" => widths(setting, &Typed),
    wrong "specimen: S23, layouts that differ in silence", "arrived as" => widths(setting, &Bytes),
    wrong "injected fault: a refusal that says how large an item is, and no more", "does not say" =>
        widths(setting, &SizeAlone);

    "lines",
        "the words that the two sides store never lie in one pair of cache lines", "operations" =>
        lines(setting, &mut Stored::new()?),
    wrong "specimen: S24, both indices in one cache line, by choice", "bytes apart" =>
        lines(setting, &mut Adjacent::default()),
    wrong "specimen: S24, both indices in one cache line, by wrong arithmetic", "bytes apart" =>
        lines(setting, &mut MissedPadding::default());
}

/// `struct { u32 kind; u64 stamp; u16 level; }` as a compiler for 64 bits lays it out, what it
/// pads written out.
#[derive(Clone, Copy, Debug, PartialEq, Payload)]
#[repr(C)]
struct Wide {
    kind: u32,
    _pad: u32,
    stamp: u64,
    level: u16,
    _end: [u16; 3],
}

/// The same as a compiler for 32-bit x86 does, where a `u64` is aligned to 4 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Payload)]
#[repr(C, packed(4))]
struct Narrow {
    kind: u32,
    stamp: u64,
    level: u16,
    _tail: u16,
}

/// What a record of either layout says.
type Said = (u32, u64, u16);

const SENT: Said = (1, 0x1122_3344_5566_7788, 9);

/// A record of either layout.
trait Record: Payload {
    fn of(said: Said) -> Self;
    fn said(self) -> Said;
}

macro_rules! record {
    ($($layout:ident),*) => {
        $(impl Record for $layout {
            fn of((kind, stamp, level): Said) -> $layout {
                $layout { kind, stamp, level, ..$layout::zeroed() }
            }

            fn said(self) -> Said {
                (self.kind, self.stamp, self.level)
            }
        })*
    };
}

record!(Wide, Narrow);

/// Ours: what the items of a ring are made of is written before them.
struct Typed;

impl Handing for Typed {
    fn leave<T: Payload>(&self, name: &Name, record: T) -> Result<()> {
        let ring = Ring::<T>::create(name, &RingOptions::new(4).slots(4))?;
        if ring.producer()?.push(record).is_err() {
            bail!("no room in a new ring");
        }
        Ok(())
    }

    fn take<T: Payload>(&self, name: &Name) -> Result<Result<T, Vec<String>>> {
        match Ring::<T>::attach(name) {
            Ok(ring) => Ok(Ok(ring.consumer()?.pop()?)),
            Err(SegmentError::Payload { differences, .. }) => Ok(Err(differences)),
            Err(error) => Err(error.into()),
        }
    }
}

/// One that knows no more of a payload than its size.
struct SizeAlone;

impl Handing for SizeAlone {
    fn leave<T: Payload>(&self, name: &Name, record: T) -> Result<()> {
        Typed.leave(name, record)
    }

    fn take<T: Payload>(&self, name: &Name) -> Result<Result<T, Vec<String>>> {
        let found = Typed.take(name)?;
        Ok(found.map_err(|_| vec![format!("size: not {}", size_of::<T>())]))
    }
}

/// What 32-bit x86 and 64 bits differ in, as the side with one layout reports the other.
const MOVED: [&str; 2] = [
    "field \"stamp\": offset 8, u64 here; offset 4, u64 in the segment (a 32-bit x86 layout puts \
     8-byte fields on 4-byte boundaries)",
    "field \"stamp\": offset 4, u64 here; offset 8, u64 in the segment (a 32-bit x86 layout puts \
     8-byte fields on 4-byte boundaries)",
];

fn widths(setting: &Setting<'_>, way: &impl Handing) -> Result<u64> {
    let name = setting.name();
    hand::<Wide, Wide>(way, &name, None).context("from 64 bits to 64")?;
    hand::<Wide, Narrow>(way, &name, Some(MOVED[1])).context("from 64 bits to 32")?;
    hand::<Narrow, Wide>(way, &name, Some(MOVED[0])).context("from 32 bits to 64")?;
    Ok(3)
}

/// Hands a record from one layout to another: it arrives whole, or else is refused for the field that lies
/// elsewhere, if one does.
fn hand<F: Record, T: Record>(way: &impl Handing, name: &Name, moved: Option<&str>) -> Result<()> {
    name.clear();
    way.leave(name, F::of(SENT))?;
    match (way.take::<T>(name)?.map(T::said), moved) {
        (Ok(found), _) => ensure!(found == SENT, "{SENT:x?} arrived as {found:x?}"),
        (Err(differences), Some(moved)) => ensure!(
            differences.iter().any(|line| line == moved),
            "the refusal does not say {moved:?}: {differences:?}"
        ),
        (Err(differences), None) => bail!("refused: {differences:?}"),
    }
    Ok(())
}

/// Ours, looked at through its file.
struct Stored {
    ring: Ring<u64>,
    file: File,
}

impl Stored {
    fn new() -> Result<Stored> {
        let ring = Ring::anonymous(&RingOptions::new(4).slots(4))?;
        let file = File::from(ring.segment().descriptor()?);
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
fn lines(_: &Setting<'_>, ring: &mut dyn Indices) -> Result<u64> {
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
