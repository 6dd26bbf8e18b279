//! Headers that say anything: attaching is an error or gives a segment that works.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use ringproof::layout::Kind;

use super::fixture::{DESCRIPTION, FIXED, USED, image_of, sound, spoilt};
use super::specimen;
use super::well_behaved::{Place, exercise, exercise_as};
use crate::desk::Setting;
use crate::ends::KINDS;
use crate::fault::Fault;
use crate::item::mix;
use crate::process::{Child, patience};
use crate::shm::Name;
use crate::words::{sealed_file, set_word};

/// A header's byte, changed in every bit and to both extremes.
fn changes(byte: u8) -> impl Iterator<Item = u8> {
    (0..8).map(move |bit| byte ^ (1 << bit)).chain([0, 255])
}

/// Sizes that are right and wrong, of which the segment's length is the sum: so that each is
/// refused for itself.
fn sizes(image: &[u8]) -> Vec<Vec<u8>> {
    let mut headers = Vec::new();
    for data_offset in [0, 8, 128, 4096, 8184, 8192, 8200, 12288] {
        for slots in [0, 1, 2, 3, 4, 7, 8, 16_u64] {
            for payload_size in [0, 4, 8, 24, 32_u64] {
                for capacity in [0, 1, 5, slots, slots + 1] {
                    let len = data_offset + slots * payload_size;
                    let mut bytes = image.to_vec();
                    bytes.resize(image.len().max(len as usize), 0);
                    for (at, field) in [
                        (24, payload_size),
                        (40, slots),
                        (48, capacity),
                        (56, data_offset),
                        (64, len),
                    ] {
                        set_word(&mut bytes, at, field);
                    }
                    headers.push(bytes);
                }
            }
        }
    }
    headers
}

/// Each byte of the header of this kind changed in turn, in a memory file, and in a named one those that
/// decide whether it is attached to; every combination of some sizes; then random changes.
pub(crate) fn changed(setting: &Setting<'_>, kind: Kind) -> Result<()> {
    let image = image_of(kind)?;
    let memory = sealed_file(&image)?;
    let named = setting.name_of("header");
    // Of what is reserved, and not read, a byte of each cache line.
    let reserved = (USED..image.len()).step_by(64);
    let offsets = (0..USED).chain(DESCRIPTION).chain(reserved);
    let named_ones = (0..FIXED).chain(DESCRIPTION).map(|at| (at, true));
    for (at, by_name) in offsets.map(|at| (at, false)).chain(named_ones) {
        for byte in changes(image[at]) {
            setting.case(|| {
                let mut bytes = image.clone();
                bytes[at] = byte;
                attach(setting, &bytes, by_name.then_some(&named), &memory)
                    .with_context(|| format!("{kind:?}: byte {at} is {byte:#x}"))
            })?;
        }
    }
    for bytes in sizes(&image) {
        setting.case(|| {
            attach(setting, &bytes, None, &sealed_file(&bytes)?).with_context(|| {
                let fields = bytes[24..72].as_chunks().0.iter();
                let fields: Vec<_> = fields.map(|field| u64::from_ne_bytes(*field)).collect();
                format!("{kind:?}: its header's words from byte 24 are {fields:?}")
            })
        })?;
    }
    for random in 0..setting.rounds {
        let seed = mix(setting.seed ^ mix(random));
        setting.case(|| {
            let bytes = spoilt(&image, seed);
            let by_name = random % 4 == 0;
            attach(setting, &bytes, by_name.then_some(&named), &memory)
                .with_context(|| format!("{kind:?}: header changed by seed {seed:#x}"))
        })?;
    }
    Ok(())
}

/// Attaches to a file of these bytes.
fn attach(setting: &Setting<'_>, bytes: &[u8], named: Option<&Name>, memory: &File) -> Result<()> {
    let place = match named {
        // Made anew: what is marked as retired, the one before has removed.
        Some(named) => {
            named.fill(bytes)?;
            Place::Named(named)
        }
        None => {
            (memory.write_all_at(bytes, 0)).context("cannot write a memory file")?;
            Place::Memory(memory)
        }
    };
    if setting.has(Fault::TrustHeader) {
        return specimen::trusting_attach(memory, bytes.len());
    }
    exercise_as(place, sound(bytes))
}

/// Somebody changes the header all the time.
pub(crate) fn racing(setting: &Setting<'_>) -> Result<()> {
    for kind in KINDS {
        setting.case(|| race(setting, kind))?;
    }
    Ok(())
}

/// Attaches until as many attempts as there are cases were made, and some of each outcome.
fn race(setting: &Setting<'_>, kind: Kind) -> Result<()> {
    let image = image_of(kind)?;
    let memory = sealed_file(&image)?;
    let _changer = Child::fork("who changes the header", setting.alone, |_| {
        for round in 0.. {
            let bytes = spoilt(&image, mix(round));
            (memory.write_all_at(&bytes[..FIXED], 0)).context("cannot write the header")?;
            (memory.write_all_at(&image[..FIXED], 0)).context("cannot write the header")?;
        }
        Ok(())
    })?;
    let start = Instant::now();
    let (mut attached, mut refused) = (0_u64, 0);
    while attached + refused < setting.rounds || attached == 0 || refused == 0 {
        ensure!(
            start.elapsed() < patience(),
            "attached to {attached} times and refused {refused} times, \
             although its header changes all the time"
        );
        if setting.has(Fault::HeaderTwice) {
            specimen::twice_reading_attach(&memory, image.len())?;
        } else if exercise(Place::Memory(&memory))? > 0 {
            attached += 1;
        } else {
            refused += 1;
        }
    }
    Ok(())
}
