//! `ringproof recv`: the ring to standard output.

use std::io::ErrorKind;

use ringproof::{
    Claim, Consumer, Inspection, OutOfChunk, PopError, Ring, Role, SegmentError, WaitError,
};

use crate::args::RecvArgs;
use crate::buffer::{BATCH, Buffer};
use crate::exit::{Failure, Unwritten};
use crate::files::{Output, keep_messages_out_of};
use crate::notes::Notes;
use crate::progress::Progress;
use crate::resume::{self, FileFacts, NoNotes, Received, RecvPlan, Refusal};
use crate::stream::{self, CHECK};
use crate::{report, shown};

pub(crate) fn run(args: &RecvArgs) -> Result<(), Failure> {
    // Before the ring is made or taken: without an output there is nothing to do with it.
    let output = Output::stdout()?;
    keep_messages_out_of(&output)?;
    let (ring, claim) = stream::open(&args.stream, Role::Consumer)?;
    receive(&ring, claim, output).map_err(|failure| stream::reason(ring.segment(), failure))
}

fn receive(ring: &Ring<u8>, claim: Claim, mut output: Output) -> Result<(), Failure> {
    let mut consumer = ring.consumer_with(claim)?;
    // This program never does that: whatever made `recv` fail, a successor may go on.
    if consumer.is_closed() {
        return Err(Failure::ReceiverClosed {
            segment: ring.segment().label().to_owned(),
            left: consumer.occupancy()?,
        });
    }
    let (plan, facts) = decide(ring, &consumer, &mut output)?;
    let written = match plan {
        RecvPlan::Start => 0,
        RecvPlan::Skip(count) => {
            report(&format!(
                "going on with {} at byte {}; the output has {count} more already",
                shown::name(ring.segment().label()),
                consumer.position()
            ));
            count
        }
        RecvPlan::Repeat => {
            report(&format!(
                "going on with {} at byte {}; the output is no regular file, so it cannot be known \
                 whether it was given some of the bytes from there on already: they are delivered \
                 at least once",
                shown::name(ring.segment().label()),
                consumer.position()
            ));
            0
        }
    };
    let progress = Progress::start(
        ring.segment().label(),
        Role::Consumer,
        consumer.position(),
        None,
    );
    let noted = plan != RecvPlan::Start;
    let held = copy(ring, &mut consumer, &mut output, noted, written)?;
    let end = consumer.position().wrapping_add(held as u64);
    finish(ring, output, facts.as_ref(), consumer.position(), end)?;
    release(&mut consumer, held)?;
    progress.finish(end);
    // Everything was written before it was released. If this process dies here, its successor
    // finds nothing left to write, and removes the segment.
    remove(ring)
}

fn decide(
    ring: &Ring<u8>,
    consumer: &Consumer<u8>,
    output: &mut Output,
) -> Result<(RecvPlan, Option<FileFacts>), Failure> {
    let facts = output.facts()?;
    let found = Received {
        notes: stream::notes(ring.segment(), Role::Consumer),
        input: stream::notes(ring.segment(), Role::Producer).and_then(|sender| sender.file),
        committed: consumer.position().wrapping_add(consumer.occupancy()?),
        released: consumer.position(),
    };
    let plan = resume::recv(&found, facts.as_ref()).map_err(|NoNotes| Failure::NoNotes {
        segment: ring.segment().label().to_owned(),
        position: found.released,
        command: "recv",
    })?;
    let plan = plan.map_err(Failure::refused(ring.segment().label()))?;
    Ok((plan, facts))
}

/// Written when there is a first byte to write and before it is written, so that what an output
/// holds of a stream always has its origin. The output may have grown since this process
/// started; what counts is what it is now.
fn set_notes(ring: &Ring<u8>, consumer: &Consumer<u8>, output: &mut Output) -> Result<(), Failure> {
    let (_, facts) = decide(ring, consumer, output)?;
    let notes = Notes {
        // The sender may be a program that leaves no notes.
        stream: stream::notes(ring.segment(), Role::Producer).map_or(0, |sender| sender.stream),
        file: facts.map(|output| output.id),
        base: facts.map_or(0, |output| output.len),
    };
    stream::set_notes(ring.segment(), Role::Consumer, &notes)
}

/// Releases bytes that the output has.
fn release(consumer: &mut Consumer<u8>, count: usize) -> Result<(), Failure> {
    if count == 0 {
        return Ok(());
    }
    match consumer.peek(count) {
        Ok(chunk) => chunk.release(count).map_err(out_of_chunk),
        Err(PopError::Corrupt(corruption)) => Err(corruption.into()),
        // They were there when they were written, or counted, and only we take any.
        Err(error) => Err(Failure::Unexpected(format!(
            "{count} bytes that had been committed are not there any more: {error}"
        ))),
    }
}

/// Writes what comes to the output, until the stream ends. The first `written` bytes it has already.
/// Returns how many bytes it was given that are not released yet.
fn copy(
    ring: &Ring<u8>,
    consumer: &mut Consumer<u8>,
    output: &mut Output,
    mut noted: bool,
    written: u64,
) -> Result<usize, Failure> {
    let mut buffer = Buffer::new();
    // What the output has and the ring still holds.
    let mut held = usize::try_from(written).unwrap_or(usize::MAX);
    // Where the stream ends, if that is known and worth knowing.
    let mut end = None;
    loop {
        if held > 0 && end.is_none() {
            end = end_of(ring, output)?;
            if end.is_none() {
                release(consumer, held)?;
                held = 0;
            }
        }
        if end == Some(consumer.position().wrapping_add(held as u64)) {
            return Ok(held);
        }
        let consumer = match consumer.wait_for(CHECK).items(held.saturating_add(1)) {
            Ok(consumer) => consumer,
            Err(WaitError::Refused(PopError::PeerClosed)) => return Ok(held),
            Err(WaitError::Refused(error)) => return Err(refusal(error)),
            // The time is over, the sender is gone, or there was a signal.
            Err(_) => {
                if output.is_closed() {
                    let segment = ring.segment().label().to_owned();
                    return Err(Failure::OutputClosed { segment });
                }
                check_for_sender(ring, consumer, held)?;
                continue;
            }
        };
        if !noted {
            set_notes(ring, consumer, output)?;
            noted = true;
            continue;
        }
        let chunk = consumer.peek(held.saturating_add(BATCH)).map_err(refusal)?;
        let count = (chunk.len() - held).min(BATCH);
        let bytes = &mut buffer.at(chunk.position().wrapping_add(held as u64))[..count];
        chunk.copy_to_slice(held, bytes).map_err(out_of_chunk)?;
        // If it was lost until now, these may be zeros.
        stream::check_not_lost(ring.segment())?;
        check_not_cut(ring, output, chunk.position())?;
        // First written, then released: a death between the two loses nothing. A write that
        // fails half-way releases nothing: a successor sees by a file's length what it has, and
        // what a pipe took before its reader left is better repeated than lost.
        output
            .write(bytes)
            .map_err(|error| write_failure(ring, error))?;
        held += count;
    }
}

/// An error if the output is a file that was cut below where the next write begins. That would leave
/// a hole in the place of bytes that the ring holds no more, and the file the length that it should
/// have.
fn check_not_cut(ring: &Ring<u8>, output: &mut Output, held_from: u64) -> Result<(), Failure> {
    match output.facts()? {
        Some(now) if now.len < now.offset => {
            let (len, needed) = (now.len, now.offset);
            Err(Failure::refused(ring.segment().label())(
                Refusal::OutputCut {
                    len,
                    needed,
                    held_from,
                },
            ))
        }
        _ => Ok(()),
    }
}

/// Where the stream ends, if its sender has closed the ring, and it can be seen how much the output
/// has: then the room is not needed, and a successor repeats nothing, if what was written is held.
fn end_of(ring: &Ring<u8>, output: &mut Output) -> Result<Option<u64>, Failure> {
    Ok(match Inspection::end_of(ring.segment()) {
        Ok(Some(end)) if output.facts()?.is_some() => Some(end),
        // It can be read unless somebody truncated the segment, which the next access to it reports.
        _ => None,
    })
}

/// Makes sure that the output has all of the stream, of which the ring still holds what lies between
/// the two positions: the errors that come late come here, before any of that is given up.
fn finish(
    ring: &Ring<u8>,
    mut output: Output,
    before: Option<&FileFacts>,
    held_from: u64,
    end: u64,
) -> Result<(), Failure> {
    let too_late = |late| Failure::OutputLate {
        segment: ring.segment().label().to_owned(),
        held_from,
        end,
        late,
    };
    output.sync().map_err(too_late)?;
    // An output that was given nothing has no notes, and nothing to lack.
    let notes = stream::notes(ring.segment(), Role::Consumer);
    if let (Some(before), Some(notes), Some(now)) = (before, notes, output.facts()?) {
        let needed = notes.base.saturating_add(end);
        resume::check_at_end(before, &now, needed, held_from)
            .map_err(Failure::refused(ring.segment().label()))?;
    }
    output.close().map_err(too_late)
}

/// An error if nothing can come any more.
fn check_for_sender(
    ring: &Ring<u8>,
    consumer: &mut Consumer<u8>,
    held: usize,
) -> Result<(), Failure> {
    // What a sender committed, or closed, before it left is not missed.
    stream::check_for_peer(ring.segment(), Role::Producer, || {
        Ok(match consumer.peek(held.saturating_add(1)) {
            Ok(chunk) => chunk.len() <= held,
            Err(error) => error == PopError::Empty,
        })
    })
}

/// Removes the segment of a stream that was written to its end. It may be another user's.
fn remove(ring: &Ring<u8>) -> Result<(), Failure> {
    match ring.segment().unlink() {
        Err(SegmentError::System { error, .. }) if error.kind() == ErrorKind::PermissionDenied => {
            report(&format!(
                "all of {} was received; its ring stays until the user who made it runs \
                 `ringproof gc {}` or sends again, because nobody else may remove it",
                shown::name(ring.segment().label()),
                shown::argument(ring.segment().label())
            ));
            Ok(())
        }
        outcome => Ok(outcome?),
    }
}

fn write_failure(ring: &Ring<u8>, unwritten: Unwritten) -> Failure {
    let segment = ring.segment().label().to_owned();
    match unwritten {
        Unwritten::Closed(_) => Failure::OutputClosed { segment },
        Unwritten::Full(source) => Failure::OutputFull { segment, source },
        Unwritten::Failed(source) => Failure::io("write the output")(source),
    }
}

fn refusal(error: PopError) -> Failure {
    match error {
        PopError::Corrupt(corruption) => corruption.into(),
        error => Failure::Unexpected(error.to_string()),
    }
}

fn out_of_chunk(error: OutOfChunk) -> Failure {
    Failure::Unexpected(error.to_string())
}
