//! Slots that are packed, begin within a line, or have lines of their own.

mod tell;

use ringproof::Payload;

use super::items::{Way, link};
use super::{LINE, no_room};
use crate::cpus::Pair;
use crate::placement::{Board, Places};
use crate::report::Trouble;
use crate::rounds::Rounds;
use crate::run::{Extent, Settings, WithLinks, stream_all};
use crate::sets::{Measured, measure_all};
use crate::stream::Link;

pub(super) use tell::tell;

/// Slots of a ring, all of which may be live.
const SLOTS: usize = 1024;

/// How far a block from an ordinary allocator lies within a line.
const SHIFT: usize = 16;

/// How the slots of a ring lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// One directly after the other, the first at the beginning of a line.
    Packed,
    /// The same, but the first begins [`SHIFT`] bytes into a line.
    Shifted,
    /// Each at the beginning of a line that it shares with no other.
    OwnLines,
}

impl Placement {
    fn name(self) -> String {
        match self {
            Placement::Packed => "packed".to_owned(),
            Placement::Shifted => format!("packed, {SHIFT} bytes into a line"),
            Placement::OwnLines => "on lines of their own".to_owned(),
        }
    }
}

/// One ring of a round.
trait Ring {
    /// Its link, for one sample after the other.
    fn link(&mut self, way: Way, name: String, first_item: u64) -> Option<Link<'_>>;
}

/// A board for items of `ITEM` bytes.
struct Of<T, const ITEM: usize>(Board<T>);

impl<T: Payload, const ITEM: usize> Ring for Of<T, ITEM> {
    fn link(&mut self, way: Way, name: String, first_item: u64) -> Option<Link<'_>> {
        link::<T, ITEM>(&mut self.0, SLOTS as u64, way, name, first_item)
    }
}

/// A size of items: how to make a ring of them.
#[derive(Clone, Copy)]
pub(super) struct Size {
    /// Bytes of an item.
    pub(super) bytes: usize,
    make: fn(Placement, u64) -> Option<Box<dyn Ring>>,
}

/// Items that fill `T` in slots without padding, and alone in a `Padded`, which is whole lines.
const fn size<T: Payload, Padded: Payload, const ITEM: usize>() -> Size {
    const { assert!(size_of::<T>() == ITEM && size_of::<Padded>() == ITEM.next_multiple_of(LINE)) };
    Size {
        bytes: ITEM,
        make: |placement, first_item| {
            let places = places(placement);
            Some(match placement {
                Placement::Packed | Placement::Shifted => {
                    Box::new(Of::<T, ITEM>(Board::new(places, SLOTS, first_item)?))
                }
                Placement::OwnLines => {
                    Box::new(Of::<Padded, ITEM>(Board::new(places, SLOTS, first_item)?))
                }
            })
        },
    }
}

/// The words as in our own header; only the slots differ.
fn places(placement: Placement) -> Places {
    let shift = if placement == Placement::Shifted {
        SHIFT
    } else {
        0
    };
    Places {
        data: super::headers::OURS.data + shift,
        ..super::headers::OURS
    }
}

/// So many bytes, by fours: in an item of twelve, words lie across lines.
type Bytes<const QUARTERS: usize> = [[u8; 4]; QUARTERS];

/// The sizes of items.
static SIZES: [Size; 13] = [
    size::<Bytes<2>, Bytes<16>, 8>(),
    size::<Bytes<3>, Bytes<16>, 12>(),
    size::<Bytes<4>, Bytes<16>, 16>(),
    size::<Bytes<6>, Bytes<16>, 24>(),
    size::<Bytes<8>, Bytes<16>, 32>(),
    size::<Bytes<10>, Bytes<16>, 40>(),
    size::<Bytes<12>, Bytes<16>, 48>(),
    size::<Bytes<16>, Bytes<16>, 64>(),
    size::<Bytes<18>, Bytes<32>, 72>(),
    size::<Bytes<24>, Bytes<32>, 96>(),
    size::<Bytes<32>, Bytes<32>, 128>(),
    size::<Bytes<48>, Bytes<48>, 192>(),
    size::<Bytes<64>, Bytes<64>, 256>(),
];

impl Size {
    /// The placements that differ for this size, the reference first.
    pub(super) fn placements(&self) -> &'static [Placement] {
        if self.bytes.is_multiple_of(LINE) {
            &[Placement::Packed, Placement::Shifted]
        } else {
            &[Placement::Packed, Placement::Shifted, Placement::OwnLines]
        }
    }

    fn rings(&self, settings: &Settings) -> Result<Vec<Box<dyn Ring>>, Trouble> {
        let make = |placement: &Placement| (self.make)(*placement, settings.first_item());
        let rings = self.placements().iter().map(make);
        rings.collect::<Option<_>>().ok_or_else(no_room)
    }
}

/// One size in one way.
#[derive(Clone, Copy)]
pub(super) struct Case {
    size: &'static Size,
    way: Way,
}

impl Case {
    /// All that are measured.
    fn all(extent: Extent) -> Vec<Case> {
        let step = match extent {
            // 8, 32, 72 and 256 bytes.
            Extent::Smoke => 4,
            Extent::Full | Extent::Quick => 1,
        };
        let sizes = SIZES.iter().step_by(step);
        sizes
            .flat_map(|size| Way::ALL.map(|way| Case { size, way }))
            .collect()
    }
}

/// What came of it: million items a second in each placement.
type Outcome = Measured<Case>;

/// Measures each size in each way: the placements in turn.
pub(super) fn measure(pair: Pair, settings: &Settings) -> Result<Vec<Outcome>, Trouble> {
    measure_all(Case::all(settings.extent), |case| {
        stream(*case, pair, settings)
    })
}

fn stream(case: Case, pair: Pair, settings: &Settings) -> Result<Rounds, Trouble> {
    let Case { size, way } = case;
    let cases = size.placements().len();
    let name = format!("padding: {} bytes, {}", size.bytes, way.name());
    // Memory of earlier rounds is kept, or the next ones would get the same.
    let mut used = Vec::new();
    let fresh = |_: &[usize], with_links: WithLinks<'_>| {
        let mut rings = size.rings(settings)?;
        let links = rings
            .iter_mut()
            .zip(size.placements())
            .map(|(ring, placement)| {
                let name = format!("items of {} bytes, {}", size.bytes, placement.name());
                ring.link(way, name, settings.first_item())
            });
        let mut links = links.collect::<Option<Vec<_>>>().ok_or_else(no_room)?;
        with_links(&mut links)?;
        drop(links);
        used.push(rings);
        Ok(())
    };
    stream_all(&name, cases, pair, settings, fresh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placement_of_every_size_has_a_ring() {
        for size in &SIZES {
            for placement in size.placements() {
                let mut ring = (size.make)(*placement, 5).unwrap();
                for way in Way::ALL {
                    let name = placement.name();
                    assert!(ring.link(way, name, 5).is_some(), "{} bytes", size.bytes);
                }
            }
        }
    }
}
