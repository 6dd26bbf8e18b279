//! A sequence of operations of one endpoint, and the answers that it gets: a *script*, which is a
//! sequence of bytes.

use ringproof::Payload;

use super::region::Edge;
use crate::fault::Fault;

/// Operations of one script at most.
const OPERATIONS: usize = 16;

/// The sizes of a structure, and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry(pub(super) u8);

impl Geometry {
    /// One for each number of slots, with every other property in both forms.
    pub(super) const CHOSEN: [Geometry; 8] = [
        Geometry(0b000_0000),
        Geometry(0b111_1001),
        Geometry(0b010_1110),
        Geometry(0b101_0010),
        Geometry(0b110_1010),
        Geometry(0b011_1111),
        Geometry(0b100_0011),
        Geometry(0b101_1100),
    ];

    /// How many slots there are: 1 to 8.
    pub(crate) fn slots(self) -> u64 {
        1 << (self.0 & 0b11)
    }

    /// How many may be live: all, or one less where there are several.
    pub(crate) fn capacity(self) -> u64 {
        let fewer = u64::from(self.0 & 0b100 == 0);
        (self.slots() - fewer).max(1)
    }

    /// Where the structure's index stood: at first, or soon to wrap.
    pub(crate) fn start(self) -> u64 {
        [0, 6, (1 << 32) - 2, u64::MAX - 3][usize::from((self.0 >> 3) & 0b11)]
    }

    pub(crate) fn edge(self) -> Edge {
        if self.0 & 0b10_0000 == 0 {
            Edge::Right
        } else {
            Edge::Left
        }
    }

    /// Whether an item is three bytes and not a word.
    pub(crate) fn odd_items(self) -> bool {
        self.0 & 0b100_0000 != 0
    }
}

/// What an endpoint is to do, and what it is answered.
pub(crate) struct Script<'p> {
    pub(super) actor: u8,
    pub(crate) geometry: Geometry,
    operations: &'p [u8],
    pub(super) answers: &'p [u8],
    pub(crate) fault: Option<Fault>,
}

impl<'p> Script<'p> {
    /// Reads what [`encode`](Self::encode) wrote, or anything.
    pub(crate) fn decode(bytes: &'p [u8]) -> Option<Script<'p>> {
        let ([actor, geometry, count], rest) = bytes.split_first_chunk()?;
        let count = usize::from(*count) % (OPERATIONS + 1);
        let (operations, answers) = rest.split_at_checked(count)?;
        Some(Script {
            actor: *actor,
            geometry: Geometry(*geometry),
            operations,
            answers,
            fault: None,
        })
    }

    pub(super) fn encode(
        actor: usize,
        geometry: Geometry,
        operations: &[u8],
        answers: &[u8],
    ) -> Vec<u8> {
        let head = [actor as u8, geometry.0, operations.len() as u8];
        [&head, operations, answers].concat()
    }

    /// Whether a fault is injected in this script.
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// The numbers of the operations, of which there are `known`.
    pub(crate) fn operations(&self, known: &[&str]) -> impl Iterator<Item = usize> {
        let known = known.len();
        self.operations.iter().map(move |b| usize::from(*b) % known)
    }
}

/// An item unlike the adjacent ones.
pub(crate) fn item<T: Payload>(number: u64) -> T {
    let mut item = T::zeroed();
    bytemuck::bytes_of_mut(&mut item).fill(number as u8);
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_geometries_have_every_property() {
        let all = Geometry::CHOSEN;
        for slots in [1, 2, 4, 8] {
            assert!(all.iter().any(|geometry| geometry.slots() == slots));
        }
        assert!(all.iter().any(|g| g.capacity() < g.slots()));
        assert!(
            all.iter()
                .any(|g| g.capacity() == g.slots() && g.slots() > 1)
        );
        for start in [0, 6, (1 << 32) - 2, u64::MAX - 3] {
            assert!(all.iter().any(|geometry| geometry.start() == start));
        }
        for odd in [false, true] {
            for edge in [Edge::Left, Edge::Right] {
                assert!(all.iter().any(|g| g.odd_items() == odd && g.edge() == edge));
            }
        }
    }
}
