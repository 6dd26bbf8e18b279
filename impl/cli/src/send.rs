//! `ringproof send`: standard input into the ring.

use std::hash::{BuildHasher, RandomState};

use ringproof::{Claim, Producer, PushError, Ring, Role, WaitError};

use crate::args::SendArgs;
use crate::buffer::Buffer;
use crate::exit::Failure;
use crate::files::{Input, keep_messages_out_of};
use crate::notes::{FileId, Notes};
use crate::progress::Progress;
use crate::resume::{self, FileFacts, NoNotes, Refusal, SendPlan, Sent};
use crate::stream::{self, CHECK};
use crate::{report, shown};

/// How many streams that are over are removed before that is called an error. Each is another
/// one: somebody else makes and finishes them under this name all the time.
const ROUNDS: usize = 64;

pub(crate) fn run(args: &SendArgs) -> Result<(), Failure> {
    let name = &args.stream.name;
    // Before the ring is made or taken: without an input there is nothing to put into it.
    let mut input = Input::stdin()?;
    keep_messages_out_of(&input)?;
    for _ in 0..ROUNDS {
        let (ring, claim) = stream::open(&args.stream, Role::Producer)?;
        let outcome = send(args, &ring, claim, &mut input);
        match outcome.map_err(|failure| stream::reason(ring.segment(), failure))? {
            Outcome::WasOver => {}
            // The last of it may have gone to lost memory, which gives no error.
            Outcome::Sent => return stream::check_not_lost(ring.segment()),
        }
    }
    let name = shown::name(name);
    Err(Failure::Unexpected(format!(
        "{name}: {ROUNDS} finished streams one after the other; is another send using the name?"
    )))
}

/// What became of the input in one segment.
enum Outcome {
    /// All of it is there, or was before.
    Sent,
    /// Nothing: its stream was over, and it is removed.
    WasOver,
}

fn send(
    args: &SendArgs,
    ring: &Ring<u8>,
    claim: Claim,
    input: &mut Input,
) -> Result<Outcome, Failure> {
    let name = shown::name(&args.stream.name);
    let mut producer = ring.producer_with(claim)?;
    let refused = Failure::refused(ring.segment().label());
    if input.is_segment(ring.segment().label()) {
        return Err(refused(Refusal::InputIsRing));
    }
    let facts = input.facts()?;
    let found = Sent {
        notes: stream::notes(ring.segment(), Role::Producer),
        output: output_of(ring),
        committed: producer.position(),
        released: producer.position().wrapping_sub(producer.occupancy()?),
        closed: producer.is_closed(),
    };
    let plan =
        resume::send(&found, facts.as_ref(), args.go_on).map_err(|NoNotes| Failure::NoNotes {
            segment: ring.segment().label().to_owned(),
            position: found.committed,
            command: "send",
        })?;
    match plan.map_err(refused)? {
        SendPlan::Replace => {
            drop(producer);
            stream::remove_over(ring)?;
            return Ok(Outcome::WasOver);
        }
        SendPlan::Complete => {
            report(&format!(
                "all {} bytes of this input were sent to {name} before; nothing left to do",
                found.committed
            ));
        }
        SendPlan::Start => {
            set_notes(ring, facts.as_ref())?;
            copy(&mut producer, ring, input)?;
        }
        SendPlan::Seek(offset) => {
            report(&format!("going on with {name} at byte {}", found.committed));
            input.seek(offset)?;
            copy(&mut producer, ring, input)?;
        }
        SendPlan::Append => {
            report(&format!(
                "going on with {name} at byte {}; bytes that an earlier send read before it \
                 died may be missing there: it cannot be known",
                found.committed
            ));
            copy(&mut producer, ring, input)?;
        }
    }
    if args.wait {
        until_drained(&mut producer, ring)?;
    }
    Ok(Outcome::Sent)
}

/// Written before the first commit, so that every committed byte has its origin.
fn set_notes(ring: &Ring<u8>, input: Option<&FileFacts>) -> Result<(), Failure> {
    let notes = Notes {
        // Hashing nothing with the process's random key.
        stream: RandomState::new().hash_one(()),
        file: input.map(|input| input.id),
        base: input.map_or(0, |input| input.offset),
    };
    stream::set_notes(ring.segment(), Role::Producer, &notes)
}

/// The file that the stream is received into, if that is known yet.
fn output_of(ring: &Ring<u8>) -> Option<FileId> {
    stream::notes(ring.segment(), Role::Consumer).and_then(|receiver| receiver.file)
}

/// Sends the rest of the input and closes the ring.
fn copy(producer: &mut Producer<u8>, ring: &Ring<u8>, input: &mut Input) -> Result<(), Failure> {
    let refused = Failure::refused(ring.segment().label());
    let facts = input.facts()?;
    let total = match (&facts, stream::notes(ring.segment(), Role::Producer)) {
        (Some(input), Some(notes)) if notes.file == Some(input.id) => {
            input.len.checked_sub(notes.base)
        }
        _ => None,
    };
    let progress = Progress::start(
        ring.segment().label(),
        Role::Producer,
        producer.position(),
        total,
    );
    let mut buffer = Buffer::new();
    loop {
        let bytes = buffer.at(producer.position());
        let count = input.read(bytes, || check_while_idle(producer, ring))?;
        if count == 0 {
            break;
        }
        // The receiver notes it before it writes, and refuses what it knows to be this file. It does
        // not know the input that goes on where a pipe ended.
        if resume::is_output(output_of(ring), facts.as_ref()) {
            return Err(refused(Refusal::InputIsOutput));
        }
        push(producer, ring, &bytes[..count])?;
    }
    if let Some(cut) = input.cut()? {
        return Err(refused(cut));
    }
    producer.close();
    progress.finish(producer.position());
    Ok(())
}

/// Commits all of `bytes`, waiting for room.
fn push(producer: &mut Producer<u8>, ring: &Ring<u8>, mut bytes: &[u8]) -> Result<(), Failure> {
    // In a ring that is never full nothing else would ask; after this the push says so.
    producer.is_peer_closed()?;
    while !bytes.is_empty() {
        match producer.wait_for(CHECK).push_slice(bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) => go_on(producer, ring, error)?,
        }
    }
    Ok(())
}

/// Why a wait ended, if it is not to be gone on with.
fn go_on(
    producer: &mut Producer<u8>,
    ring: &Ring<u8>,
    error: WaitError<PushError>,
) -> Result<(), Failure> {
    match error {
        WaitError::Refused(PushError::PeerClosed) => Err(receiver_closed(producer, ring)),
        WaitError::Refused(PushError::Corrupt(corruption)) => Err(corruption.into()),
        WaitError::Refused(error) => Err(Failure::Unexpected(error.to_string())),
        // The time is over, the receiver is gone, or there was a signal.
        _ => check_for_receiver(producer, ring),
    }
}

/// An error if there is no receiver for what may still come from the input.
fn check_while_idle(producer: &mut Producer<u8>, ring: &Ring<u8>) -> Result<(), Failure> {
    if producer.is_peer_closed()? {
        return Err(receiver_closed(producer, ring));
    }
    stream::check_for_peer(ring.segment(), Role::Consumer, || Ok(true))
}

/// Waits until `recv` has written everything.
fn until_drained(producer: &mut Producer<u8>, ring: &Ring<u8>) -> Result<(), Failure> {
    while let Err(error) = producer.wait_for(CHECK).drained() {
        go_on(producer, ring, error)?;
    }
    Ok(())
}

/// An error if there can be no receiver any more.
fn check_for_receiver(producer: &mut Producer<u8>, ring: &Ring<u8>) -> Result<(), Failure> {
    if producer.is_peer_closed()? && producer.occupancy()? > 0 {
        return Err(receiver_closed(producer, ring));
    }
    // It may have drained the ring, removed it and left.
    stream::check_for_peer(ring.segment(), Role::Consumer, || {
        Ok(producer.occupancy()? > 0)
    })
}

/// The failure to report when the receiver has closed the ring.
fn receiver_closed(producer: &Producer<u8>, ring: &Ring<u8>) -> Failure {
    match producer.occupancy() {
        Ok(left) => Failure::ReceiverClosed {
            segment: ring.segment().label().to_owned(),
            left,
        },
        Err(corruption) => corruption.into(),
    }
}
