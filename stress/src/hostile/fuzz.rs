//! What a fuzzer calls. Each function takes any bytes, and panics, or dies of a signal, where a
//! promise is broken.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use ringproof::layout::Kind;
use ringproof::shape::Description;

use super::actors::{act, starting_scripts};
use super::description::printable;
use super::fixture::{FIXED, description_of, fnv_1a, image_of, sound, spoilt};
use super::script::Script;
use super::specimen;
use super::text::{described, of_fields, of_len, texts};
use super::well_behaved::{Place, exercise_as};
use crate::desk::{Setting, same};
use crate::ends::KINDS;
use crate::fault::Fault;
use crate::item::mix;
use crate::words::sealed_file;

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
    exercise_as(Place::Memory(&sealed_file(bytes)?), sound(bytes))
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

fn try_peer(bytes: &[u8], fault: Option<Fault>) -> Result<()> {
    let Some(mut script) = Script::decode(bytes) else {
        return Ok(());
    };
    script.fault = fault;
    act(&script).map(drop)
}

/// Bytes as the description of a payload.
///
/// # Panics
/// If it is taken for one and is none, or the other way around; if what was read says something
/// else than the bytes, or a comparison of two sees no difference where there is one.
pub fn description(bytes: &[u8]) {
    if let Err(error) = try_description(bytes) {
        panic!("{error:#}");
    }
}

fn try_description(bytes: &[u8]) -> Result<()> {
    let expected = described(bytes);
    let read = match Description::parse(bytes) {
        Ok(read) => read,
        Err(error) => {
            ensure!(
                expected.is_none(),
                "it is a description, and refused: {error}"
            );
            return printable(error.to_string().as_bytes(), b"");
        }
    };
    same("its size", Some(read.size()), expected)?;
    same("its text", read.to_string().as_bytes(), bytes)?;
    same("its fingerprint", read.fingerprint(), fnv_1a(bytes))?;
    for kind in KINDS {
        let own = description_of(kind);
        let differences = Description::parse(own.as_bytes())?.diff(&read);
        ensure!(
            differences.is_empty() == (own.as_bytes() == bytes),
            "the differences from {own:?}: {differences:?}"
        );
        (differences.iter()).try_for_each(|line| printable(line.as_bytes(), b""))?;
    }
    for field in read.fields() {
        for len in [0, 7, 4096] {
            let count = read.values(field, &vec![0xa5; len]).count() as u64;
            let room = (len as u64).saturating_sub(field.offset) / field.leaf.kind.size();
            same(
                &format!("{field:?} in {len} bytes"),
                count,
                room.min(field.leaf.count),
            )?;
        }
    }
    Ok(())
}

/// What a fuzzer begins with: a name and bytes.
type Inputs = Vec<(String, Vec<u8>)>;

/// Segments of each kind that are right, and some that are nearly.
fn segments() -> Result<Inputs> {
    let mut inputs = Vec::new();
    for kind in KINDS {
        let (image, name) = (image_of(kind)?, kind.name());
        inputs.push((format!("{name}-short"), image[..FIXED].to_vec()));
        for seed in 0..5 {
            inputs.push((format!("{name}-changed-{seed}"), spoilt(&image, seed)));
        }
        inputs.push((name.to_owned(), image));
    }
    Ok(inputs)
}

/// A script about each operation.
fn peers() -> Inputs {
    let named = |(name, bytes): (&str, _)| (name.replace('/', "-"), bytes);
    starting_scripts().into_iter().map(named).collect()
}

/// Descriptions that are right, one as long as it may be, and some that are nearly right.
fn descriptions() -> Inputs {
    let mut inputs = vec![
        ("fields-1024".to_owned(), of_fields(1024)),
        ("long-names".to_owned(), of_len(2048)),
    ];
    let right = description_of(Kind::Latch);
    let spaced = right.replace(' ', "  ").into_bytes();
    inputs.push(("spaced".to_owned(), spaced));
    for (number, text) in texts(&right).into_iter().enumerate() {
        // Some of them, and nothing that is long.
        if number % 97 == 0 && (1..1024).contains(&text.len()) {
            inputs.push((format!("text-{number}"), text));
        }
    }
    inputs
}

/// Writes what a fuzzer begins with to a directory for each target in this one.
pub(crate) fn write_corpus(directory: &Path) -> Result<()> {
    for (target, inputs) in [
        ("attach", segments()?),
        ("peer", peers()),
        ("description", descriptions()),
    ] {
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
    setting: &Setting<'_>,
    inputs: &Inputs,
    cases: u64,
    target: impl Fn(&[u8]) -> Result<()>,
) -> Result<()> {
    for (name, bytes) in inputs {
        setting.case(|| target(bytes).with_context(|| name.clone()))?;
    }
    for random in 0..cases {
        let seed = mix(setting.seed ^ mix(random));
        let (name, bytes) = &inputs[seed as usize % inputs.len()];
        setting.case(|| {
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

pub(crate) fn replay_attach(setting: &Setting<'_>) -> Result<()> {
    let inputs = segments()?;
    replayed(setting, &inputs, setting.rounds, |bytes| {
        if setting.has(Fault::FuzzedHeader) {
            return specimen::trusting_attach(&sealed_file(bytes)?, bytes.len());
        }
        try_attach(bytes)
    })
}

pub(crate) fn replay_peer(setting: &Setting<'_>) -> Result<()> {
    let fault = setting.has(Fault::FuzzedIndex).then_some(Fault::TrustIndex);
    replayed(setting, &peers(), 4 * setting.rounds, |bytes| {
        try_peer(bytes, fault)
    })
}

pub(crate) fn replay_description(setting: &Setting<'_>) -> Result<()> {
    replayed(setting, &descriptions(), 4 * setting.rounds, |bytes| {
        if setting.has(Fault::FuzzedText) {
            let accepted = specimen::lenient_parse(bytes);
            ensure!(
                !accepted || described(bytes).is_some(),
                "it is none, and read"
            );
            return Ok(());
        }
        try_description(bytes)
    })
}
