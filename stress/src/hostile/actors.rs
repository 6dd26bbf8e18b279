//! Whoever may be answered by an adversary, and the plays that are given.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use ringproof::site::Site;

use super::memory::{Adversary, LITERAL, PALETTE, Tape};
use super::play::{Geometry, Play};
use super::{ring, role, value};
use crate::desk::{Covered, Setting};
use crate::item::mix;

/// How often the operation that a play is about is made.
const REPEATS: usize = 6;

/// What is counted of the answers at a site.
pub(crate) const ANSWERED: &str = "chosen answers";

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

/// Gives a play. An error is a promise broken; so are a panic, and a signal for an access outside
/// the structure.
pub(crate) fn act(play: &Play<'_>) -> Result<Played> {
    let actor = &ACTORS[usize::from(play.actor) % ACTORS.len()];
    let (capacity, slots) = (play.geometry.capacity(), play.geometry.slots());
    let adversary = Adversary::new(Tape::new(play.tape), capacity, slots);
    (actor.run)(play, &adversary)?;
    Ok(Played {
        asked: adversary.asked(),
        tally: adversary.tally(),
    })
}

/// How a play went that broke no promise.
pub(crate) struct Played {
    /// How many answers were given.
    asked: usize,
    /// How many at each site.
    tally: BTreeMap<Site, u64>,
}

/// Every play about the subject.
pub(crate) fn answered(setting: &Setting<'_>) -> Result<()> {
    let plays = plays(setting.subject, setting.seed, setting.rounds)?;
    for (number, bytes) in (0..).zip(&plays) {
        setting.case(number, || {
            let mut play = Play::decode(bytes).context("a play that cannot be read")?;
            play.fault = setting.fault;
            for (site, answers) in act(&play)?.tally {
                setting.count(Covered::key(site.info().name, ANSWERED), answers);
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Every play that repeats the operation of this name, and gives one answer of the palette at one
/// access and the truth at all others; then `random` plays that lie anywhere, with other operations
/// between.
fn plays(subject: &str, seed: u64, random: u64) -> Result<Vec<Vec<u8>>> {
    let mut plays = Vec::new();
    for (actor, known) in ACTORS.iter().enumerate() {
        let Some(operation) = known.operations.iter().position(|name| *name == subject) else {
            continue;
        };
        let repeated = [operation as u8; REPEATS];
        for geometry in Geometry::CHOSEN {
            let honest = Play::encode(actor, geometry, &repeated, &[]);
            let asked = match Play::decode(&honest) {
                Some(play) => act(&play)?.asked,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_a_play_or_none() {
        for seed in 0..200 {
            let bytes: Vec<u8> = (0..seed % 40).map(|n| mix(seed ^ mix(n)) as u8).collect();
            if let Some(play) = Play::decode(&bytes) {
                act(&play).unwrap();
            }
        }
    }
}
