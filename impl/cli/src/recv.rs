//! `ringproof recv`: the ring to standard output.

use std::io::{self, ErrorKind};

use ringproof::{Claim, Consumer, OutOfChunk, PopError, Ring, Role, SegmentError};

use crate::args::RecvArgs;
use crate::buffer::{BATCH, Buffer};
use crate::exit::Failure;
use crate::files::Output;
use crate::notes::Notes;
use crate::progress::Progress;
use crate::resume::{self, FileFacts, NoNotes, Received, RecvPlan};
use crate::stream;
use crate::tell;
use crate::wait::Wait;

pub(crate) fn run(args: &RecvArgs) -> Result<(), Failure> {
    let (ring, claim) = stream::open(&args.stream, Role::Consumer)?;
    receive(&ring, claim).map_err(|failure| stream::reason(&ring, failure))
}

fn receive(ring: &Ring<u8>, claim: Claim) -> Result<(), Failure> {
    let mut consumer = ring.consumer_with(claim)?;
    // This program never does that: whatever made `recv` fail, a successor may go on.
    if consumer.is_closed() {
        return Err(Failure::Stopped {
            segment: ring.label().to_owned(),
            left: consumer.occupancy()?,
        });
    }
    let mut output = Output::stdout()?;
    let (plan, _) = decide(ring, &consumer, &mut output)?;
    match plan {
        RecvPlan::Start => {}
        RecvPlan::Skip(count) => {
            tell(&format!(
                "going on with {} at byte {}; the output has {count} more already",
                ring.label(),
                consumer.position()
            ));
            skip(&mut consumer, count)?;
        }
        RecvPlan::Repeat => tell(&format!(
            "going on with {} at byte {}; the output is no regular file, so nobody can tell \
             whether it was given some of the bytes from there on already: they are delivered \
             at least once",
            ring.label(),
            consumer.position()
        )),
    }
    let progress = Progress::start(ring.label(), Role::Consumer, consumer.position(), None);
    copy(ring, &mut consumer, &mut output, plan != RecvPlan::Start)?;
    progress.finish(consumer.position());
    // Everything was written before it was released. If this process dies here, its successor
    // finds nothing left to write, and removes the segment.
    remove(ring)
}

fn decide(
    ring: &Ring<u8>,
    consumer: &Consumer<'_, u8>,
    output: &mut Output,
) -> Result<(RecvPlan, Option<FileFacts>), Failure> {
    let facts = output.facts()?;
    let found = Received {
        notes: stream::notes(ring, Role::Consumer),
        committed: consumer.position().wrapping_add(consumer.occupancy()?),
        released: consumer.position(),
    };
    let plan = resume::recv(&found, facts.as_ref()).map_err(|NoNotes| Failure::NoNotes {
        segment: ring.label().to_owned(),
        position: found.released,
        command: "recv",
    })?;
    let plan = plan.map_err(|source| Failure::Refused {
        segment: ring.label().to_owned(),
        source,
    })?;
    Ok((plan, facts))
}

/// Written when there is a first byte to write and before it is written, so that what an output
/// holds of a stream always has its origin. The output may have grown since this process
/// started; what counts is what it is now.
fn set_notes(
    ring: &Ring<u8>,
    consumer: &Consumer<'_, u8>,
    output: &mut Output,
) -> Result<(), Failure> {
    let (_, facts) = decide(ring, consumer, output)?;
    let notes = Notes {
        // The sender may be a program that leaves no notes.
        stream: stream::notes(ring, Role::Producer).map_or(0, |sender| sender.stream),
        file: facts.map(|output| output.id),
        base: facts.map_or(0, |output| output.len),
    };
    stream::set_notes(ring, Role::Consumer, &notes)
}

/// Releases bytes that the output has.
fn skip(consumer: &mut Consumer<'_, u8>, count: u64) -> Result<(), Failure> {
    let mut left = usize::try_from(count).unwrap_or(usize::MAX);
    while left > 0 {
        match consumer.peek(left) {
            Ok(chunk) => {
                left -= chunk.len();
                chunk.release_all();
            }
            Err(PopError::Corrupt(corruption)) => return Err(corruption.into()),
            // They were there when the decision was made, and only we take any.
            Err(error @ (PopError::Empty | PopError::Ended | PopError::Closed)) => {
                return Err(Failure::Unexpected(format!(
                    "{left} bytes that had been committed are not there any more: {error}"
                )));
            }
        }
    }
    Ok(())
}

/// Writes what comes to the output, until the stream ends.
fn copy(
    ring: &Ring<u8>,
    consumer: &mut Consumer<'_, u8>,
    output: &mut Output,
    mut noted: bool,
) -> Result<(), Failure> {
    let mut buffer = Buffer::new();
    let mut wait = Wait::new();
    loop {
        let chunk = match consumer.peek(BATCH) {
            Ok(chunk) => chunk,
            Err(PopError::Empty) => {
                if wait.pause() {
                    check_for_sender(ring, consumer)?;
                }
                continue;
            }
            Err(PopError::Ended) => return Ok(()),
            Err(PopError::Corrupt(corruption)) => return Err(corruption.into()),
            Err(PopError::Closed) => {
                return Err(Failure::Unexpected("the ring was closed".to_owned()));
            }
        };
        wait = Wait::new();
        if !noted {
            set_notes(ring, consumer, output)?;
            noted = true;
            continue;
        }
        let count = chunk.len();
        let bytes = &mut buffer.at(chunk.position())[..count];
        chunk.copy_to_slice(0, bytes).map_err(out_of_chunk)?;
        // If it was lost until now, these may be zeros.
        stream::check_not_lost(ring)?;
        // First written, then released: a death between the two loses nothing. A write that
        // fails half-way releases nothing: a file's length tells a successor what it has, and
        // what a pipe took before its reader left is better repeated than lost.
        output
            .write(bytes)
            .map_err(|error| write_failure(ring, error))?;
        chunk.release(count).map_err(out_of_chunk)?;
    }
}

/// An error if nothing can come any more.
fn check_for_sender(ring: &Ring<u8>, consumer: &mut Consumer<'_, u8>) -> Result<(), Failure> {
    // What a sender committed, or closed, before it left is not missed.
    stream::check_for_peer(ring, Role::Producer, || {
        Ok(matches!(consumer.peek(1), Err(PopError::Empty)))
    })
}

/// Removes the segment of a stream that was written to its end. It may be another user's.
fn remove(ring: &Ring<u8>) -> Result<(), Failure> {
    match ring.unlink() {
        Err(SegmentError::System { source, .. })
            if source.kind() == ErrorKind::PermissionDenied =>
        {
            tell(&format!(
                "all of {0} was received; its ring stays until the user who made it runs \
                 `ringproof gc {0}` or sends again, because nobody else may remove it",
                ring.label()
            ));
            Ok(())
        }
        outcome => Ok(outcome?),
    }
}

fn write_failure(ring: &Ring<u8>, source: io::Error) -> Failure {
    let segment = ring.label().to_owned();
    match source.kind() {
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => Failure::OutputClosed { segment },
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            Failure::OutputFull { segment, source }
        }
        _ => Failure::io("write the output")(source),
    }
}

fn out_of_chunk(error: OutOfChunk) -> Failure {
    Failure::Unexpected(error.to_string())
}
