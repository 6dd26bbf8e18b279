//! An endpoint, a sequence of its operations, and the answers that it gets: a *play*, which is a
//! sequence of bytes.

use std::collections::BTreeMap;

use anyhow::Result;
use ringproof::Payload;
use ringproof::site::Site;

use super::memory::{Adversary, LITERAL, PALETTE, Tape};
use super::plant::Plant;
use super::region::Edge;
use super::{ring, role, value};
use crate::item::mix;

/// Operations of one play at most.
const OPERATIONS: usize = 16;

/// How often the operation that a play is about is made.
const REPEATS: usize = 6;

/// An endpoint, or whatever else makes accesses.
pub(crate) struct Actor {
    /// The operations, by name. An operation's number is its place here.
    pub(crate) operations: &'static [&'static str],
    run: fn(&Play<'_>, &Adversary<'_>) -> Result<()>,
}

/// All of them. Their order is part of the corpus's meaning.
pub(crate) const ACTORS: [Actor; 8] = [
    Actor {
        operations: ring::SENDING,
        run: ring::send,
    },
    Actor {
        operations: ring::RECEIVING,
        run: ring::receive,
    },
    Actor {
        operations: value::SEQLOCK_WRITING,
        run: value::write_seqlock,
    },
    Actor {
        operations: value::SEQLOCK_READING,
        run: value::read_seqlock,
    },
    Actor {
        operations: value::LATCH_WRITING,
        run: value::write_latch,
    },
    Actor {
        operations: value::LATCH_READING,
        run: value::read_latch,
    },
    Actor {
        operations: role::MARKING,
        run: role::mark,
    },
    Actor {
        operations: role::CLAIMING,
        run: role::claim,
    },
];

/// The sizes of a structure, and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry(u8);

impl Geometry {
    /// One for each number of slots, with every other property in both forms.
    const CHOSEN: [Geometry; 8] = [
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

/// What is played.
pub(crate) struct Play<'p> {
    actor: u8,
    pub(crate) geometry: Geometry,
    operations: &'p [u8],
    tape: &'p [u8],
    pub(crate) plant: Option<Plant>,
}

impl<'p> Play<'p> {
    /// Reads what [`encode`](Self::encode) wrote, or anything.
    pub(crate) fn decode(bytes: &'p [u8]) -> Option<Play<'p>> {
        let ([actor, geometry, count], rest) = bytes.split_first_chunk()?;
        let count = usize::from(*count) % (OPERATIONS + 1);
        let (operations, tape) = rest.split_at_checked(count)?;
        Some(Play {
            actor: *actor,
            geometry: Geometry(*geometry),
            operations,
            tape,
            plant: None,
        })
    }

    fn encode(actor: usize, geometry: Geometry, operations: &[u8], tape: &[u8]) -> Vec<u8> {
        let head = [actor as u8, geometry.0, operations.len() as u8];
        [&head, operations, tape].concat()
    }

    /// Whether a fault is planted in this play.
    pub(crate) fn has(&self, plant: Plant) -> bool {
        self.plant == Some(plant)
    }

    /// The numbers of the operations, of which there are `known`.
    pub(crate) fn operations(&self, known: &[&str]) -> impl Iterator<Item = usize> {
        let known = known.len();
        self.operations.iter().map(move |b| usize::from(*b) % known)
    }

    /// Plays it. An error is a promise broken; so are a panic, and a signal for an access outside
    /// the structure.
    pub(crate) fn run(&self) -> Result<Played> {
        let actor = &ACTORS[usize::from(self.actor) % ACTORS.len()];
        let (capacity, slots) = (self.geometry.capacity(), self.geometry.slots());
        let adversary = Adversary::new(Tape::new(self.tape), capacity, slots);
        (actor.run)(self, &adversary)?;
        Ok(Played {
            asked: adversary.asked(),
            tally: adversary.tally(),
        })
    }
}

/// How a play went that broke no promise.
pub(crate) struct Played {
    /// How many answers were given.
    asked: usize,
    /// How many at each site.
    pub(crate) tally: BTreeMap<Site, u64>,
}

/// Every play that repeats the operation of this name, and gives one answer of the palette at one
/// access and the truth at all others; then `random` plays that lie anywhere, with other operations
/// between.
pub(crate) fn plays(subject: &str, seed: u64, random: u64) -> Result<Vec<Vec<u8>>> {
    let mut plays = Vec::new();
    for (actor, known) in ACTORS.iter().enumerate() {
        let Some(operation) = known.operations.iter().position(|name| *name == subject) else {
            continue;
        };
        let repeated = [operation as u8; REPEATS];
        for geometry in Geometry::CHOSEN {
            let honest = Play::encode(actor, geometry, &repeated, &[]);
            let asked = match Play::decode(&honest) {
                Some(play) => play.run()?.asked,
                None => 0,
            };
            plays.push(honest);
            for access in 0..asked {
                for answer in 1..=PALETTE as u8 {
                    let mut tape = vec![0; access];
                    tape.push(answer);
                    plays.push(Play::encode(actor, geometry, &repeated, &tape));
                }
            }
        }
        for number in 0..random {
            let start = mix(seed ^ mix(number ^ mix(actor as u64)));
            plays.push(random_play(actor, operation, start));
        }
    }
    Ok(plays)
}

/// A play about each operation, with answers of every kind: what a fuzzer begins with.
pub(crate) fn starting_plays() -> Vec<(&'static str, Vec<u8>)> {
    let mut plays = Vec::new();
    for (actor, known) in ACTORS.iter().enumerate() {
        for (operation, name) in known.operations.iter().enumerate() {
            plays.push((*name, random_play(actor, operation, plays.len() as u64)));
        }
    }
    plays
}

fn random_play(actor: usize, operation: usize, seed: u64) -> Vec<u8> {
    let geometry = Geometry(mix(seed) as u8);
    let operations: Vec<_> = (0..2 * REPEATS as u64)
        .map(|number| match mix(seed ^ mix(number)) {
            random if random.is_multiple_of(2) => (random >> 8) as u8,
            _ => operation as u8,
        })
        .collect();
    Play::encode(actor, geometry, &operations, &random_tape(seed))
}

/// Truth, boundaries and anything, in changing parts.
fn random_tape(seed: u64) -> Vec<u8> {
    let mut tape = Vec::new();
    let truths = mix(seed) % 8;
    for number in 0..48 {
        let random = mix(seed ^ mix(number + 1));
        match random % 8 {
            part if part < truths => tape.push(0),
            7 => {
                tape.push(LITERAL);
                tape.extend(mix(random).to_le_bytes());
            }
            _ => tape.push(1 + (random >> 8) as u8 % PALETTE as u8),
        }
    }
    tape
}

/// An item, to be told from its neighbours.
pub(crate) fn item<T: Payload>(number: u64) -> T {
    let mut item = T::zeroed();
    bytemuck::bytes_of_mut(&mut item).fill(number as u8);
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_a_play_or_none() {
        for seed in 0..200 {
            let bytes: Vec<u8> = (0..seed % 40).map(|n| mix(seed ^ mix(n)) as u8).collect();
            if let Some(play) = Play::decode(&bytes) {
                play.run().unwrap();
            }
        }
    }

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
