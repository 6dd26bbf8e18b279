//! What a program does with a segment that it attached to, over the machine's own memory: each
//! operation once or a few times, and what must hold whatever is stored there.

use std::fs::File;
use std::hint::black_box;
use std::ops::AddAssign;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result, bail, ensure};
use ringproof::layout::NOTES;
use ringproof::memory::Native;
use ringproof::{Claim, Inspection, Ring, Role, Segment, SegmentError, SeqLatch, SeqLock, ring};

use crate::desk::same;
use crate::ends::{Why, ensure_held};
use crate::latest::{Latest, Reads, Writes};

/// What a seqlock or latch holds here.
pub(crate) type Value = [u64; 4];

/// How operations ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Met {
    /// They did what they are there for.
    pub(crate) worked: u64,
    /// They reported a word that no correct peer stored.
    pub(crate) corrupt: u64,
}

impl AddAssign for Met {
    fn add_assign(&mut self, other: Met) {
        self.worked += other.worked;
        self.corrupt += other.corrupt;
    }
}

impl Met {
    /// Holds an operation of an end of such a capacity to what its position was before and after it.
    fn moved(
        &mut self,
        capacity: u64,
        [before, after]: [u64; 2],
        outcome: Result<usize, impl Into<Why>>,
    ) -> Result<()> {
        let count = match outcome.map_err(Into::into) {
            Ok(count) => count as u64,
            Err(Why::Unexpected | Why::Never) => {
                bail!("an answer that such an operation does not have")
            }
            Err(why) => {
                self.corrupt += u64::from(matches!(why, Why::Corrupt(_)));
                0
            }
        };
        self.worked += u64::from(count > 0);
        ensure!(count <= capacity, "{count} items moved, of {capacity}");
        ensure!(
            after == before.wrapping_add(count),
            "{count} items were handed over, and the position went from {before} to {after}"
        );
        Ok(())
    }

    fn looked(&mut self, capacity: u64, live: Result<u64, impl Sized>) -> Result<()> {
        match live {
            Ok(live) => ensure!(live <= capacity, "{live} of {capacity} items live"),
            Err(_) => self.corrupt += 1,
        }
        Ok(())
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

    /// The seqlock or latch that is there, if one is.
    pub(crate) fn latest<L: Latest<Value>>(self) -> Result<Option<L>> {
        self.attach(L::attach_fd, L::attach)
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
        use_segment(ring.segment(), Role::Producer)?;
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
    attached += usize::from(use_latest::<SeqLock<Value>>(place)?);
    attached += usize::from(use_latest::<SeqLatch<Value>>(place)?);
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

/// The same, of what must be attached to as one kind, or as none.
pub(crate) fn exercise_as(place: Place<'_>, expected: bool) -> Result<()> {
    let kinds = exercise(place)?;
    same("kinds that it is attached to as", kinds, expected.into())
}

/// Whether it is there.
fn use_latest<L: Latest<Value>>(place: Place<'_>) -> Result<bool> {
    let Some(latest) = place.latest::<L>()? else {
        return Ok(false);
    };
    use_segment(latest.segment(), Role::Writer)?;
    let ends = (possible(latest.writer())?, possible(latest.reader())?);
    if let (Some(mut writer), Some(reader)) = ends {
        has_value(&reader);
        // Whatever was there before, a value that is written can be read, if no other process writes.
        writer.write(&[5, 6, 7, 8]);
        let found = reader.read(ATTEMPTS);
        ensure!(found == Ok([5, 6, 7, 8]), "{found:?} after a write");
    }
    Ok(true)
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
    ensure_held(segment.claim(role))
}

pub(crate) fn send<K>(producer: &mut ring::Producer<'_, u64, Native, K>) -> Result<Met> {
    let capacity = producer.capacity();
    let mut met = Met::default();
    let before = producer.position();
    let outcome = producer.push(7).map(|()| 1);
    met.moved(capacity, [before, producer.position()], outcome)?;

    let before = producer.position();
    let outcome = producer.push_slice(&[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    met.moved(capacity, [before, producer.position()], outcome)?;

    let before = producer.position();
    let outcome = match producer.reserve(3) {
        Ok(mut chunk) => {
            let len = chunk.len();
            for index in 0..len {
                chunk.set(index, 11)?;
                let there = chunk.get(index).is_some();
                ensure!(there, "slot {index} of {len} is not there");
            }
            chunk.commit(len)?;
            Ok(len)
        }
        Err(error) => Err(error),
    };
    met.moved(capacity, [before, producer.position()], outcome)?;
    met.looked(capacity, producer.occupancy())?;
    met.corrupt += u64::from(producer.is_peer_closed().is_err());
    Ok(met)
}

pub(crate) fn receive<K>(consumer: &mut ring::Consumer<'_, u64, Native, K>) -> Result<Met> {
    let capacity = consumer.capacity();
    let mut met = Met::default();
    let before = consumer.position();
    // Used, or an optimiser might not read them.
    let outcome = consumer.pop().map(black_box).map(|_| 1);
    met.moved(capacity, [before, consumer.position()], outcome)?;

    let before = consumer.position();
    let mut items = [0; 3];
    let outcome = consumer.pop_slice(&mut items);
    black_box(items);
    met.moved(capacity, [before, consumer.position()], outcome)?;

    let before = consumer.position();
    let outcome = match consumer.peek(9) {
        Ok(chunk) => {
            let len = chunk.len();
            let mut items = vec![0; len];
            chunk.copy_to_slice(0, &mut items)?;
            black_box(&items);
            ensure!(chunk.get(len).is_none(), "item {len} of {len} is there");
            chunk.release(len)?;
            Ok(len)
        }
        Err(error) => Err(error),
    };
    met.moved(capacity, [before, consumer.position()], outcome)?;
    met.looked(capacity, consumer.occupancy())?;
    Ok(met)
}

const ATTEMPTS: u32 = 8;

/// Whether there is a value.
pub(crate) fn has_value(reader: &impl Reads<Value>) -> bool {
    reader.read(ATTEMPTS).is_ok()
}
