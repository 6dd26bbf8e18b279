//! A process that scribbles over everything shared, all the time, while a well-behaved endpoint works.

use std::os::unix::fs::FileExt;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use nix::unistd::pause;
use ringproof::memory::{Memory, Native};
use ringproof::ring::CLOSED;
use ringproof::site::{LoadSite, SlotWriteSite, StoreSite};
use ringproof::{Ring, SeqLatch, SeqLock};

use super::fixture::{CAPACITY, DATA, SLOTS, USED, file_of, ring_options};
use super::region::{Edge, RingMemory};
use super::specimen;
use super::well_behaved::{Met, Value, has_value, receive, send};
use crate::desk::Setting;
use crate::ends::{Consumer, Producer};
use crate::fault::Fault;
use crate::item::mix;
use crate::process::{Child, patience, short_patience};

/// Cases of each subject, and how many rounds of operations one has.
const CASES: u64 = 4;
const ROUNDS: u64 = 4_000;

/// Starts to scribble in a process of its own: each time with another random number.
fn scribbler(
    setting: &Setting<'_>,
    number: u64,
    scribble: impl Fn(u64) -> Result<()>,
) -> Result<Child> {
    let seed = mix(setting.seed ^ number);
    Child::fork("who scribbles", setting.alone, |_| {
        (0..).try_for_each(|round| scribble(mix(seed ^ mix(round))))
    })
}

/// Over a ring that is shared.
fn over_ring(ring: &RingMemory, random: u64) -> Result<()> {
    let (parts, cells) = (ring.parts::<u64>(CAPACITY)?, ring.cells()?);
    let word = |random: u64| match random % 2 {
        0 => parts.write_index,
        _ => parts.read_index,
    };
    // From the peer's own words, so that now and then it is nearly right.
    let near = Native.load(word(random >> 8), LoadSite::NoteRead);
    let value = scribble(random >> 16, near);
    Native.store(word(random), value, StoreSite::NoteWrite);
    let slot = (random >> 40) as usize % cells.len();
    // SAFETY: none is possible: to race with a well-behaved endpoint is what this process
    // is for. Both sides copy plain bytes, for which any value is one.
    unsafe { Native.write_slots(&cells[slot..=slot], &[value], SlotWriteSite::RingFill) };
    Ok(())
}

/// A value that is right, nearly right or anything.
fn scribble(random: u64, near: u64) -> u64 {
    match random % 8 {
        0 => near ^ CLOSED,
        1 => 0,
        2 => mix(random),
        3 => near.wrapping_sub(random >> 8 & 7),
        4 => near.wrapping_add(CAPACITY),
        5 => near.wrapping_add(1 << 32),
        _ => near.wrapping_add(random >> 8 & 3),
    }
}

/// How many rounds go by before the processor is given away, so that the scribbler comes to its
/// turn where there is only one.
const TURN: u64 = 64;

/// Rounds of operations until there were enough of them, and some of each outcome, however long it
/// takes the two to meet. Where that never comes the scribbler has done nothing.
fn rounds(setting: &Setting<'_>, mut round: impl FnMut() -> Result<Met>) -> Result<()> {
    let start = Instant::now();
    let patience = match setting.fault {
        Some(Fault::IdleScribbler) => short_patience(),
        _ => patience(),
    };
    let mut met = Met::default();
    for number in 1_u64.. {
        met += round()?;
        let both = met.worked > 0 && met.corrupt > 0;
        if number >= ROUNDS && both {
            return Ok(());
        }
        if number.is_multiple_of(TURN) {
            if start.elapsed() > patience {
                break;
            }
            std::thread::yield_now();
        }
    }
    bail!(
        "in {} s the peer scribbled, and the operations met {met:?}",
        patience.as_secs_f64()
    )
}

/// Rounds of what `act` does to a shared ring, in each case. It is given a count that it may keep.
fn against(
    setting: &Setting<'_>,
    act: impl Fn(&RingMemory, &mut u64) -> Result<Met>,
) -> Result<()> {
    for number in 0..CASES {
        setting.case(|| {
            let shared = RingMemory::new::<u64>(SLOTS, Edge::Right, true)?;
            let _scribbler = scribbler(setting, number, |random| over_ring(&shared, random))?;
            let mut own = 0;
            rounds(setting, || act(&shared, &mut own))
        })?;
    }
    Ok(())
}

pub(crate) fn over_producer(setting: &Setting<'_>) -> Result<()> {
    against(setting, |shared, own| {
        let parts = shared.parts(CAPACITY)?;
        if setting.has(Fault::TrustScribbler) {
            *own += specimen::trusting_push(&Native, &parts, shared.cells()?, *own);
            return Ok(Met::default());
        }
        // SAFETY: the only producer of this process. That another process writes the same words
        // and slots is what must be borne.
        let mut producer = unsafe { Producer::new(parts, Native, None) };
        let mut met = send(&mut producer)?;
        met += send(&mut producer)?;
        Ok(met)
    })
}

pub(crate) fn over_consumer(setting: &Setting<'_>) -> Result<()> {
    against(setting, |shared, own| {
        if setting.has(Fault::ScribblerTwice) {
            *own += 1;
            specimen::twice_reading_pop::<u64>(&Native, shared.cells()?, *own);
            return Ok(Met::default());
        }
        // SAFETY: as above, the only consumer.
        let mut consumer = unsafe { Consumer::new(shared.parts(CAPACITY)?, Native, None) };
        let mut met = receive(&mut consumer)?;
        met += receive(&mut consumer)?;
        Ok(met)
    })
}

/// The same over a segment: the scribbler writes to its file, roles and marks included.
pub(crate) fn over_segment(setting: &Setting<'_>) -> Result<()> {
    for number in 0..CASES {
        setting.case(|| {
            let ring = Ring::<u64>::anonymous(&ring_options())?;
            let file = file_of(ring.segment())?;
            // The words that mean something, and the slots.
            let data = DATA..DATA + SLOTS * 8;
            let words: Vec<_> = (0..USED as u64).chain(data).step_by(8).collect();
            let _scribbler = scribbler(setting, number, |random| {
                while setting.has(Fault::IdleScribbler) {
                    pause();
                }
                let at = words[random as usize % words.len()];
                let mut near = [0; 8];
                let index = if random.is_multiple_of(2) { 256 } else { 640 };
                (file.read_exact_at(&mut near, index)).context("cannot read a word")?;
                let value = scribble(random >> 16, u64::from_ne_bytes(near));
                (file.write_all_at(&value.to_ne_bytes(), at)).context("cannot write a word")
            })?;
            rounds(setting, || {
                let mut met = Met::default();
                if let Ok(mut producer) = ring.producer() {
                    met += send(&mut producer)?;
                }
                if let Ok(mut consumer) = ring.consumer() {
                    met += receive(&mut consumer)?;
                }
                Ok(met)
            })
        })?;
    }
    Ok(())
}

/// Readers and writers of values, which meet any bytes: none hangs.
pub(crate) fn over_values(setting: &Setting<'_>) -> Result<()> {
    for number in 0..CASES {
        setting.case(|| {
            let value: Value = [0; 4];
            let lock = SeqLock::anonymous(&value, &Default::default())?;
            let latch = SeqLatch::anonymous(&value, &Default::default())?;
            let files = [file_of(lock.segment())?, file_of(latch.segment())?];
            let _scribbler = scribbler(setting, number, |random| {
                let at = if random.is_multiple_of(2) { 256 } else { DATA };
                let value = scribble(random >> 16, random >> 32).to_ne_bytes();
                (files.iter())
                    .try_for_each(|file| file.write_all_at(&value, at))
                    .context("cannot write a word")
            })?;
            let (seq_reader, latch_reader) = (lock.reader()?, latch.reader()?);
            let (mut seq_writer, mut latch_writer) = (lock.writer()?, latch.writer()?);
            // A seqlock whose number is odd for ever has no value; that is not corruption, but
            // it shows the scribbler at work.
            // What was written is read a round later: with the scribbler's turn in between.
            rounds(setting, || {
                let found = [has_value(&seq_reader), has_value(&latch_reader)];
                seq_writer.write(&value);
                latch_writer.write(&value);
                let without = found.iter().filter(|found| !**found).count() as u64;
                Ok(Met {
                    worked: 2 - without,
                    corrupt: without,
                })
            })
        })?;
    }
    Ok(())
}
