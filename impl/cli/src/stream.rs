//! A stream's segment: opening it in a role, its notes, and its end.

use std::time::{Duration, Instant};

use ringproof::{Claim, NameStatus, Ring, Role, Segment, SegmentError};

use crate::args::{Shape, StreamArgs};
use crate::exit::Failure;
use crate::notes::{Notes, WORDS};
use crate::shown;

/// How long a role may be held by somebody who is just leaving it.
const LEAVING: Duration = Duration::from_millis(250);
/// How long `recv` may take from its last release to the removal of the segment.
const REMOVAL: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(1);
/// How long a side waits before it makes sure that what it waits for can still come.
pub(crate) const CHECK: Duration = Duration::from_millis(240);

/// Opens the stream's segment, or makes it, and takes `role`.
pub(crate) fn open(args: &StreamArgs, role: Role) -> Result<(Ring<u8>, Claim), Failure> {
    let options = args.shape.options();
    let start = Instant::now();
    loop {
        match Ring::<u8>::open_or_create_as(&args.name, role, &options) {
            Ok((ring, claim)) => {
                tell_of_other_shape(&ring, &args.shape);
                return Ok((ring, claim));
            }
            // A process that was killed may still be on its way out, and a `send` takes the
            // consumer's role for a moment to remove a stream that is over.
            Err(SegmentError::Held { .. }) if start.elapsed() < LEAVING => {
                std::thread::sleep(LOOK);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Removes the segment of a stream that is over, which its `recv` did not. In the consumer's
/// role, so that no `recv` is in the middle of it.
pub(crate) fn remove_over(ring: &Ring<u8>) -> Result<(), Failure> {
    let start = Instant::now();
    loop {
        match ring.segment().claim(Role::Consumer) {
            Ok(_claim) => return Ok(ring.segment().unlink()?),
            Err(SegmentError::Gone { .. }) => return Ok(()),
            // Its recv is about to remove it.
            Err(SegmentError::Held { .. }) if start.elapsed() < REMOVAL => {
                std::thread::sleep(LOOK);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// An error if the segment has lost its name and its `other_side` is free, where no one can come
/// any more, and something `is_missing` without him. That is asked last: what he did before he left
/// counts.
pub(crate) fn check_for_peer(
    segment: &Segment,
    other_side: Role,
    is_missing: impl FnOnce() -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let status = segment.name_status()?;
    if status == NameStatus::Current || segment.is_held(other_side)? || !is_missing()? {
        return Ok(());
    }
    Err(Failure::Removed {
        segment: segment.label().to_owned(),
        replaced: status == NameStatus::Replaced,
    })
}

/// An error if the segment's memory is gone: whatever was taken from it or put into it since is
/// worth nothing.
pub(crate) fn check_not_lost(segment: &Segment) -> Result<(), Failure> {
    if segment.is_lost() {
        return Err(Failure::Lost {
            segment: segment.label().to_owned(),
        });
    }
    Ok(())
}

/// Of a failure that lost memory may have led to, the true reason.
pub(crate) fn reason(segment: &Segment, failure: Failure) -> Failure {
    check_not_lost(segment).err().unwrap_or(failure)
}

/// The notes of `role`, if it has left valid ones.
pub(crate) fn notes(segment: &Segment, role: Role) -> Option<Notes> {
    let mut words = [0; WORDS];
    for (index, word) in words.iter_mut().enumerate() {
        *word = segment.note(role, index)?;
    }
    Notes::decode(&words)
}

/// Writes the notes of `role`, whose holder this process is.
pub(crate) fn set_notes(segment: &Segment, role: Role, notes: &Notes) -> Result<(), Failure> {
    for (index, word) in notes.encode().into_iter().enumerate() {
        segment.set_note(role, index, word)?;
    }
    Ok(())
}

fn tell_of_other_shape(ring: &Ring<u8>, asked: &Shape) {
    let found = ring.segment().fixed();
    let differs = |asked: Option<u64>, found| asked.is_some_and(|asked| asked != found);
    if differs(asked.capacity, found.capacity) || differs(asked.slots, found.slots) {
        crate::report(&format!(
            "{} exists already, with a capacity of {} bytes in {} slots; it stays so",
            shown::name(ring.segment().label()),
            found.capacity,
            found.slots
        ));
    }
}
