//! Memory that goes away: files cut short before they are attached to, and mapped ones that are
//! truncated or lose their pages.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;

use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use ringproof::layout::{HEADER_LEN, Kind};
use ringproof::memory::Native;
use ringproof::ring::RingParts;
use ringproof::slots::Slots;
use ringproof::{Ring, SeqLatch, SeqLock};

use super::fixture::{CAPACITY, DATA, SLOTS, image_of, segment_of};
use super::region::{Guarded, sleep_words};
use super::specimen;
use super::well_behaved::{Met, Place, Value, exercise_as, has_value, receive, send};
use crate::desk::Setting;
use crate::ends::KINDS;
use crate::fault::Fault;
use crate::latest::{Latest, Reads, Writes};
use crate::process::Child;
use crate::shm::Name;
use crate::words::{memory_file, sealed_file};

/// Files that are shorter than their header says, or longer.
pub(crate) fn before(setting: &Setting<'_>) -> Result<()> {
    for kind in KINDS {
        let image = image_of(kind)?;
        let whole = image.len();
        let named = setting.name_of("short");
        let lens = [0, 1, 7, 8, 127, 128, 1024, 4095, 4096, 4097, 8192];
        let at_the_end = [whole - 1, whole, whole + 1, 2 * whole];
        for len in lens.into_iter().chain(at_the_end) {
            for by_name in [false, true] {
                setting.case(|| {
                    let mut bytes = image.clone();
                    bytes.resize(len, 0);
                    let memory = sealed_file(&bytes)?;
                    if setting.has(Fault::ShortBelieved) {
                        return specimen::trusting_attach(&memory, whole);
                    }
                    let place = if by_name {
                        named.fill(&bytes)?;
                        Place::Named(&named)
                    } else {
                        Place::Memory(&memory)
                    };
                    exercise_as(place, len >= whole)
                        .with_context(|| format!("{len} of {whole} bytes of a {kind:?}"))
                })?;
            }
        }
    }
    Ok(())
}

/// A memory file cannot change its size, whoever holds its descriptor.
pub(crate) fn sealed(setting: &Setting<'_>) -> Result<()> {
    for kind in KINDS {
        let whole = image_of(kind)?.len() as u64;
        for len in [0, 1, HEADER_LEN, whole - 1, whole + 1, whole + HEADER_LEN] {
            setting.case(|| {
                let file = if setting.has(Fault::Unsealed) {
                    memory_file(&image_of(kind)?)?
                } else {
                    segment_of(kind)?
                };
                let cut = file.set_len(len);
                ensure!(cut.is_err(), "its length was changed to {len} of {whole}");
                // Nor can it be made unwritable under those who write it.
                let frozen = fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE));
                ensure!(frozen.is_err(), "another seal was added");
                exercise_as(Place::Memory(&file), true)
            })?;
        }
    }
    Ok(())
}

/// A named segment that is truncated while it is mapped: by whom it trusts, as the documentation
/// says. An access to what is gone raises SIGBUS, and nothing else happens. (What a program that
/// handles the signal makes of it is not this module's affair.)
pub(crate) fn named_files(setting: &Setting<'_>) -> Result<()> {
    for kind in KINDS {
        let whole = image_of(kind)?.len() as u64;
        for len in [0, HEADER_LEN] {
            setting.case(|| {
                let kept = setting.has(Fault::NotTruncated);
                let len = if kept { whole } else { len };
                let named = setting.name_of("cut").holding(&image_of(kind)?)?;
                let who = format!("who uses a {kind:?} cut to {len} bytes");
                let child = Child::fork(who, setting.alone, |_| cut_and_use(&named, kind, len))?;
                match child.end()? {
                    (_, WaitStatus::Signaled(_, Signal::SIGBUS, _)) => Ok(()),
                    (reported, other) => bail!(
                        "an access to a {kind:?} cut to {len} of {whole} bytes \
                         raised no SIGBUS: {other:?} after {reported:?}"
                    ),
                }
            })?;
        }
    }
    Ok(())
}

fn cut_and_use(named: &Name, kind: Kind, len: u64) -> Result<()> {
    fn read<L: Latest<Value>>(name: &str, cut: impl Fn() -> Result<()>) -> Result<()> {
        let shared = L::attach(name)?;
        let reader = shared.reader()?;
        cut()?;
        has_value(&reader);
        Ok(())
    }
    let cut = || named.set_len(len);
    match kind {
        Kind::Ring => {
            let ring = Ring::<u64>::attach(named)?;
            let mut consumer = ring.consumer()?;
            cut()?;
            receive(&mut consumer).map(drop)
        }
        Kind::SeqLock => read::<SeqLock<_>>(named, cut),
        Kind::Latch => read::<SeqLatch<_>>(named, cut),
    }
}

/// Pages that are taken from under a mapping come back as zeros, also in a sealed memory file:
/// the ends must find out, or go on with what they know.
pub(crate) fn punched(setting: &Setting<'_>) -> Result<()> {
    for kind in KINDS {
        let image = image_of(kind)?;
        let whole = image.len() as u64;
        for (from, len) in [
            (0, HEADER_LEN),
            (HEADER_LEN, HEADER_LEN),
            (DATA, HEADER_LEN),
            (0, DATA + HEADER_LEN),
        ] {
            for by_name in [false, true] {
                setting.case(|| {
                    let named = setting.name_of("punched").holding(&image)?;
                    let memory = sealed_file(&image)?;
                    let (file, place) = if by_name {
                        let open = OpenOptions::new().write(true).open(named.path());
                        (open.context("cannot open it")?, Place::Named(&named))
                    } else {
                        let copy = memory.try_clone().context("no descriptor")?;
                        (copy, Place::Memory(&memory))
                    };
                    let punch = || punch(&file, from, len.min(whole - from));
                    if setting.has(Fault::TrustLostMemory) {
                        return trust_lost_memory(&memory, punch);
                    }
                    used_while_punched(place, kind, punch)
                        .with_context(|| format!("{kind:?} without {len} bytes from {from}"))?;
                    // Its header is no header any more, or its description none.
                    exercise_as(place, from >= DATA).context("afterwards")
                })?;
            }
        }
    }
    Ok(())
}

fn punch(file: &File, from: u64, len: u64) -> Result<()> {
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(file, flags, from.cast_signed(), len.cast_signed()).context("cannot punch")
}

/// How often memory is taken away, with operations between.
const PUNCHES: usize = 4;

fn used_while_punched(place: Place<'_>, kind: Kind, punch: impl Fn() -> Result<()>) -> Result<()> {
    fn write<L: Latest<Value>>(place: Place<'_>, punch: impl Fn() -> Result<()>) -> Result<()> {
        let shared = (place.latest::<L>()?).context("it is refused")?;
        let (mut writer, reader) = (shared.writer()?, shared.reader()?);
        for _ in 0..PUNCHES {
            punch()?;
            has_value(&reader);
            writer.write(&[9; 4]);
            ensure!(reader.read(2) == Ok([9; 4]), "a value written is not read");
        }
        Ok(())
    }
    match kind {
        Kind::Ring => {
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
        Kind::SeqLock => write::<SeqLock<_>>(place, punch),
        Kind::Latch => write::<SeqLatch<_>>(place, punch),
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
        // It does not wake.
        for_items: sleep_words(words),
        for_room: sleep_words(words),
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
