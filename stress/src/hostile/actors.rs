//! Whoever may be answered by an adversary, and the scripts that are given.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use ringproof::site::Site;

use super::memory::{Adversary, Answers, LITERAL, PALETTE};
use super::ring::{Receiving, Sending, Side};
use super::script::{Geometry, Script};
use super::value::Answered;
use super::{ring, role, value};
use crate::desk::{Covered, Setting};
use crate::item::mix;

/// How often the operation that a script is about is made.
const REPEATS: usize = 6;

/// What is counted of the answers at a site.
pub(crate) const ANSWERED: &str = "chosen answers";

type SeqLock = ringproof::SeqLock<value::Value>;
type SeqLatch = ringproof::SeqLatch<value::Value>;

/// An endpoint, or whatever else makes accesses: its operations, by name, whose numbers are their places here;
/// and what gives it a script.
pub(crate) type Actor = (
    &'static [&'static str],
    fn(&Script<'_>, &Adversary<'_>) -> Result<()>,
);

/// All of them. Their order is part of the corpus's meaning.
pub(crate) const ACTORS: [Actor; 8] = [
    (Sending::OPERATIONS, ring::answer::<Sending>),
    (Receiving::OPERATIONS, ring::answer::<Receiving>),
    (SeqLock::WRITING, value::write::<SeqLock>),
    (SeqLock::READING, value::read::<SeqLock>),
    (SeqLatch::WRITING, value::write::<SeqLatch>),
    (SeqLatch::READING, value::read::<SeqLatch>),
    (role::MARKING, role::mark),
    (role::CLAIMING, role::claim),
];

/// Gives a script. An error is a promise broken; so are a panic, and a signal for an access outside
/// the structure.
pub(crate) fn act(script: &Script<'_>) -> Result<Given> {
    let (_, run) = ACTORS[usize::from(script.actor) % ACTORS.len()];
    let (capacity, slots) = (script.geometry.capacity(), script.geometry.slots());
    let adversary = Adversary::new(Answers::new(script.answers), capacity, slots);
    run(script, &adversary)?;
    Ok(Given {
        asked: adversary.asked(),
        tally: adversary.tally(),
    })
}

/// How a script went that broke no promise.
pub(crate) struct Given {
    /// How many answers were given.
    asked: usize,
    /// How many at each site.
    tally: BTreeMap<Site, u64>,
}

/// Every script about the subject.
pub(crate) fn answered(setting: &Setting<'_>) -> Result<()> {
    let scripts = scripts(setting.subject, setting.seed, setting.rounds)?;
    for bytes in &scripts {
        setting.case(|| {
            let mut script = Script::decode(bytes).context("a script that cannot be read")?;
            script.fault = setting.fault;
            for (site, answers) in act(&script)?.tally {
                setting.count(Covered::key(site.info().name, ANSWERED), answers);
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Every script that repeats the operation of this name, and gives one answer of the palette at one
/// access and the truth at all others; then `random` scripts that lie anywhere, with other operations
/// between.
fn scripts(subject: &str, seed: u64, random: u64) -> Result<Vec<Vec<u8>>> {
    let mut scripts = Vec::new();
    for (actor, (known, _)) in ACTORS.iter().enumerate() {
        let Some(operation) = known.iter().position(|name| *name == subject) else {
            continue;
        };
        let repeated = [operation as u8; REPEATS];
        for geometry in Geometry::CHOSEN {
            let truthful = Script::encode(actor, geometry, &repeated, &[]);
            let asked = match Script::decode(&truthful) {
                Some(script) => act(&script)?.asked,
                None => 0,
            };
            scripts.push(truthful);
            for access in 0..asked {
                for answer in 1..=PALETTE as u8 {
                    let mut answers = vec![0; access];
                    answers.push(answer);
                    scripts.push(Script::encode(actor, geometry, &repeated, &answers));
                }
            }
        }
        for number in 0..random {
            let start = mix(seed ^ mix(number ^ mix(actor as u64)));
            scripts.push(random_script(actor, operation, start));
        }
    }
    Ok(scripts)
}

/// A script about each operation, with answers of every kind: what a fuzzer begins with.
pub(crate) fn starting_scripts() -> Vec<(&'static str, Vec<u8>)> {
    let mut scripts = Vec::new();
    for (actor, (known, _)) in ACTORS.iter().enumerate() {
        for (operation, name) in known.iter().enumerate() {
            scripts.push((*name, random_script(actor, operation, scripts.len() as u64)));
        }
    }
    scripts
}

fn random_script(actor: usize, operation: usize, seed: u64) -> Vec<u8> {
    let geometry = Geometry(mix(seed) as u8);
    let operations: Vec<_> = (0..2 * REPEATS as u64)
        .map(|number| match mix(seed ^ mix(number)) {
            random if random.is_multiple_of(2) => (random >> 8) as u8,
            _ => operation as u8,
        })
        .collect();
    Script::encode(actor, geometry, &operations, &random_answers(seed))
}

/// Truth, boundaries and anything, in changing parts.
fn random_answers(seed: u64) -> Vec<u8> {
    let mut answers = Vec::new();
    let truths = mix(seed) % 8;
    for number in 0..48 {
        let random = mix(seed ^ mix(number + 1));
        match random % 8 {
            part if part < truths => answers.push(0),
            7 => {
                answers.push(LITERAL);
                answers.extend(mix(random).to_le_bytes());
            }
            _ => answers.push(1 + (random >> 8) as u8 % PALETTE as u8),
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_a_script_or_none() {
        for seed in 0..200 {
            let bytes: Vec<u8> = (0..seed % 40).map(|n| mix(seed ^ mix(n)) as u8).collect();
            if let Some(script) = Script::decode(&bytes) {
                act(&script).unwrap();
            }
        }
    }
}
