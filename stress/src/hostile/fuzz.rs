//! What a fuzzer calls. Each function takes any bytes, and panics, or dies of a signal, where a
//! promise is broken.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::bench::Bench;
use super::honest::{Place, exercise};
use super::plant::Plant;
use super::play::{Play, starting_plays};
use super::sample::{FIXED, Shape, memory_file, sound, spoilt};
use super::specimen;
use crate::item::mix;

/// Bytes as the file of a segment, which is attached to as every kind and used.
///
/// # Panics
/// If a promise is broken, or a memory file cannot be made.
pub fn attach(bytes: &[u8]) {
    if let Err(error) = try_attach(bytes) {
        panic!("{error:#}");
    }
}

fn try_attach(bytes: &[u8]) -> Result<()> {
    let kinds = exercise(Place::Memory(&memory_file(bytes)?))?;
    let expected = usize::from(sound(bytes));
    ensure!(
        kinds == expected,
        "it is attached to as {kinds} kinds, expected {expected}"
    );
    Ok(())
}

/// Bytes as a sequence of operations of one endpoint, and of the answers that they get.
///
/// # Panics
/// If a promise is broken. An access outside the structure meets a guard page.
pub fn peer(bytes: &[u8]) {
    if let Err(error) = try_peer(bytes, None) {
        panic!("{error:#}");
    }
}

fn try_peer(bytes: &[u8], plant: Option<Plant>) -> Result<()> {
    let Some(mut play) = Play::decode(bytes) else {
        return Ok(());
    };
    play.plant = plant;
    play.run().map(drop)
}

/// What a fuzzer begins with: a name and bytes.
type Inputs = Vec<(String, Vec<u8>)>;

/// Segments of each shape that are right, and some that are nearly.
fn segments() -> Result<Inputs> {
    let mut inputs = Vec::new();
    for shape in Shape::ALL {
        let image = shape.image()?;
        let name = format!("{shape:?}").to_lowercase();
        inputs.push((format!("{name}-short"), image[..FIXED].to_vec()));
        for seed in 0..5 {
            inputs.push((format!("{name}-changed-{seed}"), spoilt(&image, seed)));
        }
        inputs.push((name, image));
    }
    Ok(inputs)
}

/// A play about each operation.
fn peers() -> Inputs {
    let named = |(name, bytes): (&str, _)| (name.replace('/', "-"), bytes);
    starting_plays().into_iter().map(named).collect()
}

/// Writes what a fuzzer begins with to the directories `attach` and `peer` in this one.
pub(crate) fn write_corpus(directory: &Path) -> Result<()> {
    for (target, inputs) in [("attach", segments()?), ("peer", peers())] {
        let directory = directory.join(target);
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        for (name, bytes) in inputs {
            let path = directory.join(name);
            std::fs::write(&path, bytes)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

/// The corpus, and then what a few changed bytes make of it.
fn replayed(
    bench: &Bench<'_>,
    inputs: &Inputs,
    cases: u64,
    target: impl Fn(&[u8]) -> Result<()>,
) -> Result<()> {
    for (number, (name, bytes)) in (0..).zip(inputs) {
        bench.case(number, || target(bytes).with_context(|| name.clone()))?;
    }
    for (number, random) in (inputs.len() as u64..).zip(0..cases) {
        let seed = mix(bench.seed ^ mix(random));
        let (name, bytes) = &inputs[seed as usize % inputs.len()];
        bench.case(number, || {
            let mut bytes = bytes.clone();
            for change in 0..1 + (seed >> 32) % 8 {
                let random = mix(seed ^ mix(change));
                let at = (random >> 8) as usize % bytes.len();
                bytes[at] = random as u8;
            }
            target(&bytes).with_context(|| format!("{name}, changed by seed {seed:#x}"))
        })?;
    }
    Ok(())
}

pub(crate) fn replay_attach(bench: &Bench<'_>) -> Result<()> {
    let inputs = segments()?;
    replayed(bench, &inputs, bench.cases, |bytes| {
        if bench.has(Plant::FuzzedHeader) {
            return specimen::trusting_attach(&memory_file(bytes)?, bytes.len());
        }
        try_attach(bytes)
    })
}

pub(crate) fn replay_peer(bench: &Bench<'_>) -> Result<()> {
    let plant = bench.has(Plant::FuzzedIndex).then_some(Plant::TrustIndex);
    replayed(bench, &peers(), 4 * bench.cases, |bytes| {
        try_peer(bytes, plant)
    })
}
