//! What a program does with a segment that it attached to, over the machine's own memory: each
//! operation once or a few times, and what must hold whatever is stored there.

use std::fs::File;
use std::hint::black_box;
use std::ops::AddAssign;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result, bail, ensure};
use ringproof::layout::NOTES;
use ringproof::memory::Native;
use ringproof::{
    Claim, Inspection, LatchReader, LatchWriter, PopError, PushError, Ring, Role, Segment,
    SegmentError, SeqLatch, SeqLock, SeqReader, SeqWriter, ring,
};

/// What a seqlock or latch holds here.
pub(crate) type Value = [u64; 4];

/// How operations ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Met {
    /// They did what they are there for.
    pub(crate) worked: u64,
    /// They told of a word that no correct peer stored.
    pub(crate) corrupt: u64,
}

impl AddAssign for Met {
    fn add_assign(&mut self, other: Met) {
        self.worked += other.worked;
        self.corrupt += other.corrupt;
    }
}

/// Where a segment is to be found.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    Memory(&'a File),
    Named(&'a str),
}

impl Place<'_> {
    fn attach<S>(
        self,
        by_descriptor: impl FnOnce(OwnedFd) -> Result<S, SegmentError>,
        by_name: impl FnOnce(&str) -> Result<S, SegmentError>,
    ) -> Result<Option<S>> {
        let outcome = match self {
            Place::Memory(file) => {
                let copy = file.as_fd().try_clone_to_owned();
                by_descriptor(copy.context("cannot duplicate a descriptor")?)
            }
            Place::Named(name) => by_name(name),
        };
        possible(outcome)
    }

    /// The ring that is there, if one is.
    pub(crate) fn ring(self) -> Result<Option<Ring<u64>>> {
        self.attach(Ring::attach_fd, Ring::attach)
    }

    /// The seqlock that is there, if one is.
    pub(crate) fn seqlock(self) -> Result<Option<SeqLock<Value>>> {
        self.attach(SeqLock::attach_fd, SeqLock::attach)
    }

    /// The latch that is there, if one is.
    pub(crate) fn latch(self) -> Result<Option<SeqLatch<Value>>> {
        self.attach(SeqLatch::attach_fd, SeqLatch::attach)
    }

    /// What there is to see of it, if it has a name.
    fn look(self) -> Result<Option<Inspection>> {
        match self {
            Place::Memory(_) => Ok(None),
            Place::Named(name) => possible(Inspection::of(name)),
        }
    }
}

/// What there is, if an error is one that a segment may cause.
fn possible<S>(outcome: Result<S, SegmentError>) -> Result<Option<S>> {
    match outcome {
        Ok(it) => Ok(Some(it)),
        Err(
            SegmentError::NotFound { .. }
            | SegmentError::Denied { .. }
            | SegmentError::Mismatch { .. }
            | SegmentError::Payload { .. }
            | SegmentError::Size { .. }
            | SegmentError::Held { .. }
            | SegmentError::Gone { .. }
            | SegmentError::System { .. },
        ) => Ok(None),
        Err(other) => Err(other).context("an error that has nothing to do with it"),
    }
}

/// Attaches as every kind, looks at it, takes the roles and works with them. How many kinds it
/// was attached to as.
pub(crate) fn exercise(place: Place<'_>) -> Result<usize> {
    let mut attached = 0;
    let before = place.look()?;
    if let Some(ring) = place.ring()? {
        attached += 1;
        use_segment(&ring, Role::Producer)?;
        if let Some(mut producer) = possible(ring.producer())? {
            send(&mut producer)?;
        }
        if let Some(mut consumer) = possible(ring.consumer())? {
            receive(&mut consumer)?;
            consumer.close();
        }
        if let Some(mut producer) = possible(ring.producer())? {
            send(&mut producer)?;
            producer.close();
        }
    }
    if let Some(lock) = place.seqlock()? {
        attached += 1;
        use_segment(&lock, Role::Writer)?;
        if let (Some(mut writer), Some(reader)) =
            (possible(lock.writer())?, possible(lock.reader())?)
        {
            read_seqlock(&reader);
            write_seqlock(&mut writer, &reader)?;
        }
    }
    if let Some(latch) = place.latch()? {
        attached += 1;
        use_segment(&latch, Role::Writer)?;
        if let (Some(mut writer), Some(reader)) =
            (possible(latch.writer())?, possible(latch.reader())?)
        {
            read_latch(&reader);
            write_latch(&mut writer, &reader)?;
        }
    }
    if let (Place::Named(_), true) = (place, attached > 0) {
        let before = before.context("attached to, and could not be looked at")?;
        // Whoever takes a role of a retired segment finishes the removal of its name.
        let removed = place.look()?.is_none();
        ensure!(
            removed == before.retired,
            "attached to while it was retired: {}; now its name is gone: {removed}",
            before.retired
        );
    }
    Ok(attached)
}

/// What can be asked of any segment.
fn use_segment(segment: &Segment, role: Role) -> Result<()> {
    let fixed = segment.fixed();
    let data = u128::from(fixed.slots) * u128::from(fixed.payload_size);
    let end = u128::from(fixed.data_offset) + data;
    let file = File::from((segment.descriptor()).context("no descriptor")?);
    let len = file.metadata().context("no properties")?.len();
    ensure!(
        end <= u128::from(len),
        "its data end at byte {end} of {len}, and it was attached to"
    );
    ensure!(segment.note(role, NOTES).is_none(), "a note too many");
    if let Some(claim) = possible(segment.claim(role))? {
        hold(segment, &claim)?;
    }
    Ok(())
}

fn hold(segment: &Segment, claim: &Claim) -> Result<()> {
    let role = claim.role();
    ensure!(segment.is_held(role)?, "a role that is held is not");
    segment.set_note(role, 0, 5)?;
    let second = segment.claim(role);
    ensure!(
        matches!(second, Err(SegmentError::Held { .. })),
        "a second holder: {second:?}"
    );
    Ok(())
}

/// Holds an index to what an operation says it has done.
fn moved(before: u64, after: u64, count: u64) -> Result<()> {
    ensure!(
        after == before.wrapping_add(count),
        "{count} items were handed over, and the position went from {before} to {after}"
    );
    Ok(())
}

pub(crate) fn send<K>(producer: &mut ring::Producer<'_, u64, Native, K>) -> Result<Met> {
    let capacity = producer.capacity();
    let mut met = Met::default();
    let judge = |before, after, outcome: Result<u64, PushError>, met: &mut Met| {
        let count = match outcome {
            Ok(count) => count,
            Err(PushError::Corrupt(_)) => {
                met.corrupt += 1;
                0
            }
            Err(PushError::Full | PushError::Closed | PushError::Stopped) => 0,
            Err(PushError::TooMany { .. }) => bail!("too many, where any number would do"),
        };
        met.worked += u64::from(count > 0);
        ensure!(count <= capacity, "{count} items pushed into {capacity}");
        moved(before, after, count)
    };
    let before = producer.position();
    let outcome = producer.push(7).map(|()| 1);
    judge(before, producer.position(), outcome, &mut met)?;

    let before = producer.position();
    let outcome = producer.push_slice(&[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let outcome = outcome.map(|count| count as u64);
    judge(before, producer.position(), outcome, &mut met)?;

    let before = producer.position();
    let outcome = match producer.reserve(3) {
        Ok(mut chunk) => {
            let len = chunk.len();
            for index in 0..len {
                chunk.set(index, 11)?;
                ensure!(
                    chunk.get(index).is_some(),
                    "slot {index} of {len} is not there"
                );
            }
            chunk.commit(len)?;
            Ok(len as u64)
        }
        Err(error) => Err(error),
    };
    judge(before, producer.position(), outcome, &mut met)?;

    match producer.occupancy() {
        Ok(live) => ensure!(live <= capacity, "{live} of {capacity} items live"),
        Err(_) => met.corrupt += 1,
    }
    met.corrupt += u64::from(producer.peer_closed().is_err());
    Ok(met)
}

pub(crate) fn receive<K>(consumer: &mut ring::Consumer<'_, u64, Native, K>) -> Result<Met> {
    let capacity = consumer.capacity();
    let mut met = Met::default();
    let judge = |before, after, outcome: Result<u64, PopError>, met: &mut Met| {
        let count = match outcome {
            Ok(count) => count,
            Err(PopError::Corrupt(_)) => {
                met.corrupt += 1;
                0
            }
            Err(PopError::Empty | PopError::Ended | PopError::Closed) => 0,
            Err(PopError::TooMany { .. }) => bail!("too many, where any number would do"),
        };
        met.worked += u64::from(count > 0);
        ensure!(count <= capacity, "{count} items popped of {capacity}");
        moved(before, after, count)
    };
    let before = consumer.position();
    // Used, or an optimiser might not read them.
    let outcome = consumer.pop().map(black_box).map(|_| 1);
    judge(before, consumer.position(), outcome, &mut met)?;

    let before = consumer.position();
    let mut items = [0; 3];
    let outcome = consumer.pop_slice(&mut items).map(|count| count as u64);
    black_box(items);
    judge(before, consumer.position(), outcome, &mut met)?;

    let before = consumer.position();
    let outcome = match consumer.peek(9) {
        Ok(chunk) => {
            let len = chunk.len();
            let mut items = vec![0; len];
            chunk.copy_to_slice(0, &mut items)?;
            black_box(&items);
            ensure!(chunk.get(len).is_none(), "item {len} of {len} is there");
            chunk.release(len)?;
            Ok(len as u64)
        }
        Err(error) => Err(error),
    };
    judge(before, consumer.position(), outcome, &mut met)?;

    match consumer.occupancy() {
        Ok(live) => ensure!(live <= capacity, "{live} of {capacity} items live"),
        Err(_) => met.corrupt += 1,
    }
    Ok(met)
}

const ATTEMPTS: u32 = 8;

/// Whether there was a value.
pub(crate) fn read_seqlock(reader: &SeqReader<Value>) -> bool {
    reader.read(ATTEMPTS).is_ok()
}

/// Whether there was a value.
pub(crate) fn read_latch(reader: &LatchReader<Value>) -> bool {
    reader.read(ATTEMPTS).is_ok()
}

/// Whatever was there before, a value that is written can be read, if nobody else writes.
fn write_seqlock(writer: &mut SeqWriter<Value>, reader: &SeqReader<Value>) -> Result<()> {
    writer.write(&[5, 6, 7, 8]);
    let found = reader.read(ATTEMPTS);
    ensure!(found == Ok([5, 6, 7, 8]), "{found:?} after a write");
    Ok(())
}

fn write_latch(writer: &mut LatchWriter<Value>, reader: &LatchReader<Value>) -> Result<()> {
    writer.write(&[5, 6, 7, 8]);
    let found = reader.read(ATTEMPTS);
    ensure!(found == Ok([5, 6, 7, 8]), "{found:?} after a write");
    Ok(())
}
