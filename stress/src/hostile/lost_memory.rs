//! Memory that goes away: files cut short before they are attached to, and mapped ones that are
//! truncated or lose their pages.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;

use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use ringproof::layout::HEADER_LEN;
use ringproof::memory::Native;
use ringproof::ring::RingParts;
use ringproof::slots::Slots;
use ringproof::{Ring, SeqLatch, SeqLock};

use super::fixture::{CAPACITY, DATA, Named, SLOTS, Shape, memory_file, unsealed};
use super::region::Guarded;
use super::specimen;
use super::well_behaved::{Met, Place, Value, exercise, read_latch, read_seqlock, receive, send};
use crate::desk::Setting;
use crate::fault::Fault;
use crate::process::Child;

/// Files that are shorter than their header says, or longer.
pub(crate) fn before(setting: &Setting<'_>) -> Result<()> {
    let mut number = 0;
    for shape in Shape::ALL {
        let image = shape.image()?;
        let whole = image.len();
        let named = Named::new(setting.prefix, "short");
        let lens = [
            0,
            1,
            7,
            8,
            127,
            128,
            1024,
            4095,
            4096,
            4097,
            8192,
            whole - 1,
            whole,
        ];
        for len in lens.into_iter().chain([whole + 1, 2 * whole]) {
            for by_name in [false, true] {
                setting.case(number, || {
                    let mut bytes = image.clone();
                    bytes.resize(len, 0);
                    let memory = memory_file(&bytes)?;
                    if setting.has(Fault::ShortBelieved) {
                        return specimen::trusting_attach(&memory, whole);
                    }
                    let kinds = if by_name {
                        named.fill(&bytes)?;
                        exercise(Place::Named(&named.name))?
                    } else {
                        exercise(Place::Memory(&memory))?
                    };
                    let expected = usize::from(len >= whole);
                    ensure!(
                        kinds == expected,
                        "{len} of {whole} bytes of a {shape:?} are attached to as {kinds} kinds"
                    );
                    Ok(())
                })?;
                number += 1;
            }
        }
    }
    Ok(())
}

/// A memory file cannot change its size, whoever holds its descriptor.
pub(crate) fn memory_files(setting: &Setting<'_>) -> Result<()> {
    let mut number = 0;
    for shape in Shape::ALL {
        let whole = shape.image()?.len() as u64;
        for len in [0, 1, HEADER_LEN, whole - 1, whole + 1, whole + HEADER_LEN] {
            setting.case(number, || {
                let file = if setting.has(Fault::Unsealed) {
                    unsealed(&shape.image()?)?
                } else {
                    shape.make()?
                };
                let cut = file.set_len(len);
                ensure!(cut.is_err(), "its length was changed to {len} of {whole}");
                // Nor can it be made unwritable under those who write it.
                let frozen = fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE));
                ensure!(frozen.is_err(), "another seal was added");
                let kinds = exercise(Place::Memory(&file))?;
                ensure!(kinds == 1, "it is attached to as {kinds} kinds");
                Ok(())
            })?;
            number += 1;
        }
    }
    Ok(())
}

/// A named segment that is truncated while it is mapped: by whom it trusts, as the documentation
/// says. An access to what is gone raises SIGBUS, and nothing else happens. (What a program that
/// handles the signal makes of it is not this module's affair.)
pub(crate) fn named_files(setting: &Setting<'_>) -> Result<()> {
    let mut number = 0;
    for shape in Shape::ALL {
        let whole = shape.image()?.len() as u64;
        for len in [0, HEADER_LEN] {
            setting.case(number, || {
                let kept = setting.has(Fault::NotTruncated);
                let len = if kept { whole } else { len };
                let named = Named::new(setting.prefix, "cut").holding(&shape.image()?)?;
                let who = format!("who uses a {shape:?} cut to {len} bytes");
                let child = Child::fork(who, setting.alone, |_| cut_and_use(&named, shape, len))?;
                match child.end()? {
                    (_, WaitStatus::Signaled(_, Signal::SIGBUS, _)) => Ok(()),
                    (reported, other) => bail!(
                        "an access to a {shape:?} cut to {len} of {whole} bytes \
                         raised no SIGBUS: {other:?} after {reported:?}"
                    ),
                }
            })?;
            number += 1;
        }
    }
    Ok(())
}

fn cut_and_use(named: &Named, shape: Shape, len: u64) -> Result<()> {
    let file = (OpenOptions::new().write(true).open(&named.path)).context("cannot open it")?;
    let cut = || file.set_len(len).context("cannot truncate it");
    match shape {
        Shape::Ring => {
            let ring = Ring::<u64>::attach(&named.name)?;
            let mut consumer = ring.consumer()?;
            cut()?;
            receive(&mut consumer)?;
        }
        Shape::SeqLock => {
            let lock = SeqLock::<Value>::attach(&named.name)?;
            let reader = lock.reader()?;
            cut()?;
            read_seqlock(&reader);
        }
        Shape::Latch => {
            let latch = SeqLatch::<Value>::attach(&named.name)?;
            let reader = latch.reader()?;
            cut()?;
            read_latch(&reader);
        }
    }
    Ok(())
}

/// Pages that are taken from under a mapping come back as zeros, also in a sealed memory file:
/// the ends must find out, or go on with what they know.
pub(crate) fn punched(setting: &Setting<'_>) -> Result<()> {
    let mut number = 0;
    for shape in Shape::ALL {
        let image = shape.image()?;
        let whole = image.len() as u64;
        for (from, len) in [
            (0, HEADER_LEN),
            (HEADER_LEN, HEADER_LEN),
            (DATA, HEADER_LEN),
            (0, DATA + HEADER_LEN),
        ] {
            for by_name in [false, true] {
                setting.case(number, || {
                    let named = Named::new(setting.prefix, "hole").holding(&image)?;
                    let memory = memory_file(&image)?;
                    let (file, place) = if by_name {
                        let open = OpenOptions::new().write(true).open(&named.path);
                        (open.context("cannot open it")?, Place::Named(&named.name))
                    } else {
                        let copy = memory.try_clone().context("no descriptor")?;
                        (copy, Place::Memory(&memory))
                    };
                    let punch = || punch(&file, from, len.min(whole - from));
                    if setting.has(Fault::TrustLostMemory) {
                        return trust_lost_memory(&memory, punch);
                    }
                    used_while_punched(place, shape, punch)
                        .with_context(|| format!("{shape:?} without {len} bytes from {from}"))?;
                    // Its header is no header any more, or its description none.
                    let kinds = exercise(place)?;
                    let expected = usize::from(from >= DATA);
                    ensure!(kinds == expected, "attached to as {kinds} kinds afterwards");
                    Ok(())
                })?;
                number += 1;
            }
        }
    }
    Ok(())
}

fn punch(file: &File, from: u64, len: u64) -> Result<()> {
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(file, flags, from.cast_signed(), len.cast_signed()).context("cannot punch a hole")
}

/// How often memory is taken away, with operations between.
const PUNCHES: usize = 4;

fn used_while_punched(
    place: Place<'_>,
    shape: Shape,
    punch: impl Fn() -> Result<()>,
) -> Result<()> {
    match shape {
        Shape::Ring => {
            let ring = (place.ring()?).context("it is refused")?;
            let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
            let mut met = Met::default();
            for _ in 0..PUNCHES {
                met += send(&mut producer)?;
                punch()?;
                met += receive(&mut consumer)?;
                met += send(&mut producer)?;
            }
            ensure!(met.worked > 0, "no operation did anything: {met:?}");
            Ok(())
        }
        Shape::SeqLock => {
            let lock = (place.seqlock()?).context("it is refused")?;
            let (mut writer, reader) = (lock.writer()?, lock.reader()?);
            for _ in 0..PUNCHES {
                punch()?;
                read_seqlock(&reader);
                writer.write(&[9; 4]);
                ensure!(reader.read(2) == Ok([9; 4]), "a value written is not read");
            }
            Ok(())
        }
        Shape::Latch => {
            let latch = (place.latch()?).context("it is refused")?;
            let (mut writer, reader) = (latch.writer()?, latch.reader()?);
            for _ in 0..PUNCHES {
                punch()?;
                read_latch(&reader);
                writer.write(&[9; 4]);
                ensure!(reader.read(2) == Ok([9; 4]), "a value written is not read");
            }
            Ok(())
        }
    }
}

/// The injected fault: a producer that takes the zeros of a punched header for the consumer's
/// index.
fn trust_lost_memory(memory: &File, punch: impl Fn() -> Result<()>) -> Result<()> {
    let map = Guarded::of_file(memory.as_fd(), (DATA + HEADER_LEN) as usize)?;
    let words = map.words(HEADER_LEN as usize / 8)?;
    let cells = &map.slots::<u64>((DATA / 8 + SLOTS) as usize)?[DATA as usize / 8..];
    let parts = RingParts {
        write_index: &words[256 / 8],
        read_index: &words[640 / 8],
        slots: Slots::new(cells).context("no power of two")?,
        capacity: CAPACITY,
    };
    punch()?;
    let count = specimen::trusting_push(&Native, &parts, cells, SLOTS + 4);
    ensure!(
        count <= CAPACITY,
        "{count} items pushed into a ring of {CAPACITY} that lost its memory"
    );
    Ok(())
}
