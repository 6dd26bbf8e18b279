//! The life of a segment: whoever takes a role, unlinks the segment or keeps notes in it dies.

use std::os::fd::OwnedFd;

use anyhow::{Context, Result, bail, ensure};
use ringproof::layout::NOTES;
use ringproof::site::StoreSite;
use ringproof::{
    Claim, Ring, RingOptions, Role, Segment, SegmentError, SeqLock, SeqLockOptions, unlink,
};

use crate::crash::trial::{Case, Death, Trial, Victim, attach, ensure_kept};
use crate::dying::{Fate, Point};
use crate::item::{Author, Item};

const TAKE_OVERS: [(&str, Role, u64); 6] = [
    ("producer-first", Role::Producer, 0),
    ("producer-again", Role::Producer, 3),
    ("consumer-first", Role::Consumer, 0),
    ("consumer-again", Role::Consumer, 3),
    ("writer-first", Role::Writer, 0),
    ("writer-again", Role::Writer, 3),
];

/// The note that is written.
const NOTE: usize = 5;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, role, before) in TAKE_OVERS {
        cases.push(Case::new("role/take-over", name, move |trial| {
            taker_dies(trial, role, before)
        }));
    }
    cases.push(Case::new("role/take-over", "retired", late_taker_dies));
    for (name, in_use) in [("unused", false), ("in-use", true)] {
        cases.push(Case::new("segment/unlink", name, move |trial| {
            unlinker_dies(trial, in_use)
        }));
    }
    for (name, role) in [("producer", Role::Producer), ("consumer", Role::Consumer)] {
        cases.push(Case::new("segment/notes", name, move |trial| {
            note_keeper_dies(trial, role)
        }));
    }
    cases
}

/// A segment that has some role.
pub(crate) enum Structure {
    Ring(Ring<Item>),
    SeqLock(SeqLock<Item>),
}

impl Structure {
    /// One that has `role`; `first` is the value of one that holds a value.
    pub(crate) fn with(role: Role, first: &Item) -> Result<Structure> {
        Ok(match role {
            Role::Writer => {
                Structure::SeqLock(SeqLock::anonymous(first, &SeqLockOptions::default())?)
            }
            Role::Producer | Role::Consumer => Structure::Ring(Ring::anonymous(&options())?),
        })
    }

    /// The same, attached to as another process does.
    pub(crate) fn attach(role: Role, segment: OwnedFd) -> Result<Structure> {
        Ok(match role {
            Role::Writer => Structure::SeqLock(SeqLock::attach_fd(segment)?),
            Role::Producer | Role::Consumer => Structure::Ring(Ring::attach_fd(segment)?),
        })
    }
}

impl std::ops::Deref for Structure {
    type Target = Segment;

    fn deref(&self) -> &Segment {
        match self {
            Structure::Ring(ring) => ring,
            Structure::SeqLock(lock) => lock,
        }
    }
}

/// A small ring, whatever it is for.
fn options() -> RingOptions {
    RingOptions::new(4).slots(4)
}

/// Somebody dies taking a role.
fn taker_dies(trial: &Trial<'_>, role: Role, before: u64) -> Result<()> {
    let shared = Structure::with(role, &trial.item(Author::Setup, 0))?;
    for _ in 0..before {
        shared.claim(role)?;
    }
    // The other side lives all along.
    let survivor = match role {
        Role::Producer => Some(shared.claim(Role::Consumer)?),
        Role::Consumer => Some(shared.claim(Role::Producer)?),
        Role::Writer => None,
    };

    let body = |victim: &Victim<'_>| {
        Structure::attach(role, attach(&shared)?)?.claim_through(&victim.memory(), role)?;
        Ok(())
    };
    let death = trial.victim(body, |_| ensure_kept(&shared, role))?;

    let successor = trial.succeed(&death, &shared, role, before)?;
    // One holder at a time, also now.
    let second = shared.claim(role);
    ensure!(
        matches!(second, Err(SegmentError::Held { .. })),
        "a second holder of the role: {second:?}"
    );
    drop(successor);
    shared
        .claim(role)
        .context("a role that was given back cannot be taken")?;
    if let Some(survivor) = survivor {
        ensure!(
            shared.is_held(survivor.role())?,
            "the survivor lost its role"
        );
    }
    Ok(())
}

/// Somebody dies taking a role of a segment whose remover died after it was retired and before
/// its name was taken away, and so removes it instead.
fn late_taker_dies(trial: &Trial<'_>) -> Result<()> {
    let name = trial.name();
    let ring = Ring::<Item>::create(&name, &options())?;
    // Its first access asks whether somebody else began; the second is the mark.
    let point = Point {
        number: 1,
        fate: Fate::KilledAfter,
        site: StoreSite::Retire.into(),
    };
    trial.earlier(point, |victim| {
        Ok(Ring::<Item>::attach(&name)?.unlink_through(&victim.memory())?)
    })?;

    let body = |victim: &Victim<'_>| {
        let ring = Ring::<Item>::attach(&name)?;
        refused(ring.claim_through(&victim.memory(), Role::Consumer))
    };
    let death = trial.victim(body, |_| {
        // (A claim is told either that the role is held or that the segment is gone.)
        ensure!(
            ring.is_held(Role::Consumer)?,
            "a stopped process does not keep its role"
        );
        Ok(())
    })?;

    if !death.killed {
        not_there(&name)?;
    }
    // Whether or not the name is still there, whoever wants a segment of that name gets a new
    // one,
    let (next, claim) = Ring::<Item>::open_as(&name, Role::Producer, &options())
        .context("a segment of that name cannot be had")?;
    ensure!(claim.epoch() == 1, "the retired segment was taken");
    let (mut producer, mut consumer) = (next.producer_with(claim)?, next.consumer()?);
    pass_on(trial, &mut producer, &mut consumer).context("in the new segment")?;
    // and whoever has the old one is told.
    refused(ring.claim(Role::Producer))
}

/// Somebody dies unlinking a segment, and somebody else does it again.
fn unlinker_dies(trial: &Trial<'_>, in_use: bool) -> Result<()> {
    let name = trial.name();
    let ring = Ring::<Item>::create(&name, &options())?;
    // The producer's role was taken once, so that this segment is told from a new one.
    let producer = ring.producer()?;
    let mut survivors = if in_use {
        Some((producer, ring.consumer()?))
    } else {
        drop(producer);
        None
    };

    let body =
        |victim: &Victim<'_>| Ok(Ring::<Item>::attach(&name)?.unlink_through(&victim.memory())?);
    let death = trial.victim(body, |_| match &mut survivors {
        // (Whoever wants a role now waits for the remover, and is told after two seconds.)
        Some((producer, consumer)) => pass_on(trial, producer, consumer),
        None => Ok(()),
    })?;

    let retired = death.count(StoreSite::Retire) > 0;
    if !death.killed {
        ensure!(retired, "an unlinked segment was not retired");
        not_there(&name)?;
    } else if !in_use {
        let (_, claim) = Ring::<Item>::open_as(&name, Role::Producer, &options())
            .context("a role cannot be had")?;
        let expected = if retired { 1 } else { 2 };
        ensure!(
            claim.epoch() == expected,
            "the role was taken {} times, expected {expected}: the old segment is {}",
            claim.epoch(),
            if retired { "retired" } else { "in force" }
        );
    }
    if death.killed {
        unlink(&name).context("it cannot be unlinked again")?;
    }

    // The name is free, and what gets it is another segment.
    let next = Ring::<Item>::create(&name, &options()).context("no new segment of that name")?;
    let (mut producer, mut consumer) = (next.producer()?, next.consumer()?);
    pass_on(trial, &mut producer, &mut consumer).context("in the new segment")?;
    // Whoever has the old one goes on with it, and nobody takes a role of it any more.
    if let Some((producer, consumer)) = &mut survivors {
        pass_on(trial, producer, consumer).context("in the old segment")?;
    }
    drop(survivors);
    refused(ring.claim(Role::Producer))
}

/// Both ends are whole: what goes in comes out.
fn pass_on(
    trial: &Trial<'_>,
    producer: &mut ringproof::Producer<Item>,
    consumer: &mut ringproof::Consumer<Item>,
) -> Result<()> {
    for sequence in 0..6 {
        let item = trial.item(Author::Survivor, sequence);
        producer.push(item)?;
        let found = consumer.pop()?;
        ensure!(found == item, "expected {item:?}, found {found:?}");
    }
    Ok(())
}

/// A claim of a segment that has no name any more, or soon will not have one.
fn refused(outcome: Result<Claim, SegmentError>) -> Result<()> {
    match outcome {
        Err(SegmentError::Gone { .. }) => Ok(()),
        Err(other) => Err(other).context("a claim of a segment that is gone"),
        Ok(_) => bail!("a role of a segment that is gone was taken"),
    }
}

fn not_there(name: &str) -> Result<()> {
    let found = Ring::<Item>::attach(name);
    ensure!(
        matches!(found, Err(SegmentError::NotFound { .. })),
        "an unlinked segment is found: {found:?}"
    );
    Ok(())
}

/// Somebody dies reading or writing a note.
fn note_keeper_dies(trial: &Trial<'_>, role: Role) -> Result<()> {
    let ring = Ring::<Item>::anonymous(&options())?;
    let claim = ring.claim(role)?;
    let (old, new) = (trial.seed() | 1, trial.seed().wrapping_add(2) & !1);
    for note in 0..NOTES {
        ring.set_note(role, note, old)?;
    }
    drop(claim);

    let body = |victim: &Victim<'_>| {
        let ring = Ring::<Item>::attach_fd(attach(&ring)?)?;
        let memory = victim.memory();
        let _claim = ring.claim_through(&memory, role)?;
        let found = ring.note_through(&memory, role, NOTE);
        ensure!(found == Some(old), "the victim reads {found:?}");
        ring.set_note_through(&memory, role, NOTE, new)?;
        Ok(())
    };
    let ensure_notes = |death: &Death| {
        let written = death.count(StoreSite::NoteWrite) > 0;
        for note in 0..NOTES {
            let expected = if written && note == NOTE { new } else { old };
            let found = ring.note(role, note);
            ensure!(
                found == Some(expected),
                "note {note} is {found:?}, expected {expected}"
            );
        }
        Ok(())
    };
    let death = trial.victim(body, |so_far| {
        ensure_kept(&ring, role)?;
        ensure_notes(so_far)
    })?;

    let _claim = trial.succeed(&death, &ring, role, 1)?;
    ensure_notes(&death)
}
