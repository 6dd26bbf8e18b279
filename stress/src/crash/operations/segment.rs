//! The life of a segment: whoever makes it, attaches to it, takes a role, unlinks it or keeps notes
//! in it dies.

use std::fs::File;
use std::hint::black_box;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use ringproof::harness::Through;
use ringproof::layout::NOTES;
use ringproof::site::StoreSite;
use ringproof::{Ring, RingOptions, Role, Segment, SegmentError, SeqLock, SeqLockOptions, unlink};

use crate::crash::case::By::{self, Crash, Life, Syscall};
use crate::crash::case::{Case, Injected, Operation, Points, snapshots};
use crate::crash::trial::{
    Actor, CORRUPT, Death, Judgement, Machine, Memories, Trial, Who, ensure_free, ensure_kept,
};
use crate::desk::same;
use crate::dying::{Fate, Point};
use crate::ends::{ensure_gone, ensure_held};
use crate::fault::Fault::{EpochLost, MadeInPlace, NoteLost, RetireLost, RoleKept};
use crate::item::{Author, Item};
use crate::shm::DIRECTORY;

const AT_FIRST: By = snapshots("producer-first");

/// The faults that are injected to be noticed here.
pub(super) const INJECTED: [Injected; 6] = [
    ("role/take-over", Life, EpochLost, "times, it was 2"),
    ("role/take-over", Life, RoleKept, "is still held after"),
    ("segment/unlink", Crash, RetireLost, "segment is retired"),
    ("segment/notes", Life, NoteLost, "note 5 is: "),
    ("segment/create", Syscall, MadeInPlace, "that is not whole"),
    ("role/take-over", AT_FIRST, EpochLost, "its effect is 0"),
];

pub(super) fn cases() -> Vec<Case> {
    let everywhere = &[Points::Accesses, Points::Syscalls, Points::Instructions];
    let named = &[Points::Accesses, Points::Syscalls];
    let unlink_case = |state, in_use| {
        Case::named("segment/unlink", state, named, move |trial| {
            unlinker_dies(trial, in_use)
        })
    };
    // (These make few accesses, or none: what they do they do in the kernel.)
    let kernel = &[Points::Syscalls];
    let mut cases = vec![
        Case::named("segment/create", "new", kernel, creator_dies),
        Case::named("segment/open", "new", kernel, opener_dies),
        Case::named("segment/attach", "in-use", kernel, attacher_dies),
    ];
    let take_overs = TAKE_OVERS.map(|take_over| Case::of(take_over, everywhere));
    cases.extend(take_overs);
    cases.extend([
        Case::named("role/take-over", "retired", named, late_taker_dies),
        unlink_case("unused", false),
        unlink_case("in-use", true),
    ]);
    let keepers = [Role::Producer, Role::Consumer];
    cases.extend(keepers.map(|role| {
        let points = &[Points::Accesses, Points::Instructions];
        Case::of(NoteKeeper { role }, points)
    }));
    cases
}

/// A segment that has some role.
enum Structure {
    Ring(Ring<Item>),
    SeqLock(SeqLock<Item>),
}

impl Structure {
    /// One that has `role`; `first` is the value of one that holds a value.
    fn with(role: Role, first: &Item) -> Result<Structure> {
        Ok(match role {
            Role::Writer => {
                Structure::SeqLock(SeqLock::anonymous(first, &SeqLockOptions::default())?)
            }
            Role::Producer | Role::Consumer => Structure::Ring(Ring::anonymous(&options())?),
        })
    }

    /// The same, attached to as another process does.
    fn attach(role: Role, segment: OwnedFd) -> Result<Structure> {
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
            Structure::Ring(ring) => ring.segment(),
            Structure::SeqLock(lock) => lock.segment(),
        }
    }
}

/// A small ring, whatever it is for.
fn options() -> RingOptions {
    RingOptions::new(4).slots(4)
}

/// Somebody dies taking a role that was taken this often before. How far it came is whether that was
/// counted.
struct TakeOver {
    state: &'static str,
    role: Role,
    before: u64,
}

const fn take_over(state: &'static str, role: Role, before: u64) -> TakeOver {
    TakeOver {
        state,
        role,
        before,
    }
}

const TAKE_OVERS: [TakeOver; 6] = [
    take_over("producer-first", Role::Producer, 0),
    take_over("producer-again", Role::Producer, 3),
    take_over("consumer-first", Role::Consumer, 0),
    take_over("consumer-again", Role::Consumer, 3),
    take_over("writer-first", Role::Writer, 0),
    take_over("writer-again", Role::Writer, 3),
];

/// Takes a role and gives it back.
#[inline(never)]
extern "C" fn take_and_give_back<M: Machine>(
    (segment, role): &mut (&Segment, Role),
    memory: &mut M,
) -> u64 {
    u64::from(segment.claim_through(memory, *role).is_ok())
}

/// Leaves the allocator with as many free blocks of each small size as it keeps at hand, whatever
/// was allocated before this process was forked: a claim then takes the same instructions each
/// time.
fn settle_allocator() {
    for size in (16..=1024).step_by(16) {
        let blocks: [Vec<u8>; 16] = std::array::from_fn(|_| black_box(Vec::with_capacity(size)));
        drop(blocks);
    }
}

impl Operation for TakeOver {
    fn names(&self) -> (&'static str, &'static str) {
        ("role/take-over", self.state)
    }

    fn set_up(&self, seed: u64) -> Result<OwnedFd> {
        let shared = Structure::with(self.role, &Item::of(seed, Author::Setup, 0))?;
        for _ in 0..self.before {
            shared.claim(self.role)?;
        }
        Ok(shared.descriptor()?)
    }

    fn act<S: Memories>(&self, actor: Actor<'_, S>) -> Result<()> {
        let shared = Structure::attach(self.role, actor.segment()?)?;
        settle_allocator();
        let mut taken = (&*shared, self.role);
        let answer = actor.call(take_and_give_back, &mut taken, &mut actor.memory(None))?;
        ensure!(answer == 1, "the role is refused");
        Ok(())
    }

    fn judge(&self, at: &mut Judgement<'_>) -> Result<u64> {
        let (seed, role) = (at.setting.seed, self.role);
        let shared = Structure::attach(role, at.segment()?)?;
        // The other side lives all along.
        let survivor = match role {
            Role::Producer => Some(shared.claim(Role::Consumer)?),
            Role::Consumer => Some(shared.claim(Role::Producer)?),
            Role::Writer => None,
        };
        let death = (at.die)(&mut |_| ensure_kept(&shared, role))?;
        let before = match at.who {
            Who::Victim => self.before,
            Who::Successor(reached) => self.before + reached,
        };
        let claim = at.succeed(&death, &shared, role, before)?;
        let reached = claim.epoch().wrapping_sub(before).wrapping_sub(1);
        ensure!(
            reached <= 1,
            "by its successor's claim the role was taken {} times, it was {} or {}",
            claim.epoch(),
            before + 1,
            before + 2
        );
        // One holder at a time, also now.
        ensure_held(shared.claim(role))?;
        drop(claim);
        (shared.claim(role)).context("a role that was given back cannot be taken")?;
        if let Some(survivor) = survivor {
            ensure!(
                shared.is_held(survivor.role())?,
                "the survivor lost its role"
            );
        }

        // The structure itself is as it was.
        match &shared {
            Structure::Ring(ring) => {
                pass_on(seed, &mut ring.producer()?, &mut ring.consumer()?)?;
            }
            Structure::SeqLock(lock) => {
                let first = Item::of(seed, Author::Setup, 0);
                let next = Item::of(seed, Author::Survivor, 1);
                same("a reader gets", lock.reader()?.read(1)?, first)?;
                lock.writer()?.write(&next);
                same("a reader gets", lock.reader()?.read(1)?, next)?;
            }
        }
        Ok(reached)
    }
}

/// The note that is written.
const NOTE: usize = 5;

/// Somebody dies reading and writing a note. How far it came is whether that is written.
struct NoteKeeper {
    role: Role,
}

/// What the notes say, and what the one that is written says then.
const fn notes(seed: u64) -> (u64, u64) {
    (seed | 1, seed.wrapping_add(2) & !1)
}

/// Reads a note, and writes it.
#[inline(never)]
extern "C" fn keep_note<M: Machine>(
    (ring, role, seed): &mut (&Ring<Item>, Role, u64),
    memory: &mut M,
) -> u64 {
    let (old, new) = notes(*seed);
    let found = ring.segment().note_through(memory, *role, NOTE);
    let written = ring.segment().set_note_through(memory, *role, NOTE, new);
    match ([Some(old), Some(new)].contains(&found), written) {
        (true, Ok(())) => 1,
        _ => CORRUPT,
    }
}

impl Operation for NoteKeeper {
    fn names(&self) -> (&'static str, &'static str) {
        ("segment/notes", self.role.name())
    }

    fn set_up(&self, seed: u64) -> Result<OwnedFd> {
        let ring = Ring::<Item>::anonymous(&options())?;
        let _claim = ring.segment().claim(self.role)?;
        for note in 0..NOTES {
            ring.segment().set_note(self.role, note, notes(seed).0)?;
        }
        Ok(ring.segment().descriptor()?)
    }

    fn act<S: Memories>(&self, actor: Actor<'_, S>) -> Result<()> {
        let ring = Ring::<Item>::attach_fd(actor.segment()?)?;
        let _claim = actor.claim(ring.segment(), self.role)?;
        let mut kept = (&ring, self.role, actor.seed);
        actor.call(keep_note, &mut kept, &mut actor.memory(None))?;
        Ok(())
    }

    fn judge(&self, at: &mut Judgement<'_>) -> Result<u64> {
        let (role, (old, new)) = (self.role, notes(at.setting.seed));
        let ring = Ring::<Item>::attach_fd(at.segment()?)?;
        let earlier = at.who == Who::Successor(1);
        let written = |death: &Death| match death.count(StoreSite::NoteWrite) {
            Some(stores) => earlier || stores > 0,
            None => earlier || ring.segment().note(role, NOTE) == Some(new),
        };
        let ensure_notes = |death: &Death| {
            let written = written(death);
            (0..NOTES).try_for_each(|note| {
                let expected = if written && note == NOTE { new } else { old };
                let found = ring.segment().note(role, note);
                same(&format!("note {note} is"), found, Some(expected))
            })
        };
        let death = (at.die)(&mut |so_far| {
            ensure_kept(ring.segment(), role)?;
            ensure_notes(so_far)
        })?;
        let _claim = at.succeed(&death, ring.segment(), role, 1)?;
        ensure_notes(&death)?;
        Ok(u64::from(written(&death)))
    }
}

/// Both ends are whole: what goes in comes out.
fn pass_on(
    seed: u64,
    producer: &mut ringproof::Producer<Item>,
    consumer: &mut ringproof::Consumer<Item>,
) -> Result<()> {
    for sequence in 0..6 {
        let item = Item::of(seed, Author::Survivor, sequence);
        producer.push(item)?;
        same("what comes out", consumer.pop()?, item)?;
    }
    Ok(())
}

/// The name leads to no segment, or to a whole one, and then no role of it is held. Either way a
/// segment of that name can be had, used and removed.
fn ensure_usable(seed: u64, name: &str) -> Result<()> {
    match Ring::<Item>::attach(name) {
        Ok(ring) => {
            for role in [Role::Producer, Role::Consumer] {
                ensure_free(ring.segment(), role)?;
            }
        }
        Err(SegmentError::NotFound { .. }) => {}
        Err(other) => return Err(other).context("a segment is there that is not whole"),
    }
    let (ring, claim) = Ring::<Item>::open_or_create_as(name, Role::Producer, &options())
        .context("a segment of that name cannot be had")?;
    pass_on(seed, &mut ring.producer_with(claim)?, &mut ring.consumer()?)?;
    unlink(name).context("it cannot be removed")?;
    let path = Path::new(DIRECTORY).join(name);
    ensure!(!path.exists(), "it is there after it was removed");
    Ok(())
}

/// Somebody dies creating a segment.
fn creator_dies(trial: &Trial<'_>) -> Result<()> {
    let name = trial.setting.name();
    let death = trial.victim_alone(&|actor| match actor.fault {
        Some(MadeInPlace) => create_in_place(&name.path()),
        _ => Ok(Ring::<Item>::create(&name, &options()).map(drop)?),
    })?;
    ensure!(
        death.killed || name.path().exists(),
        "a segment was created, and there is no such name"
    );
    ensure_usable(trial.setting.seed, &name)
}

/// The injected fault: what another process finds under the name is at first an empty file, then
/// one of zeros.
fn create_in_place(path: &Path) -> Result<()> {
    let ring = Ring::<Item>::anonymous(&options())?;
    let mut whole = vec![0; usize::try_from(ring.segment().fixed().segment_len)?];
    File::from(ring.segment().descriptor()?).read_exact_at(&mut whole, 0)?;
    let file = File::create_new(path)?;
    file.set_len(ring.segment().fixed().segment_len)?;
    file.write_all_at(&whole, 0)?;
    Ok(())
}

/// Somebody dies opening a segment that is not there, for a role.
fn opener_dies(trial: &Trial<'_>) -> Result<()> {
    let name = trial.setting.name();
    trial.victim_alone(&|_| {
        Ring::<Item>::open_or_create_as(&name, Role::Consumer, &options())?;
        Ok(())
    })?;
    ensure_usable(trial.setting.seed, &name)
}

/// Somebody dies attaching to a segment that is in use.
fn attacher_dies(trial: &Trial<'_>) -> Result<()> {
    let name = trial.setting.name();
    let ring = Ring::<Item>::create(&name, &options())?;
    let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    let items = [1, 2].map(|number| Item::of(trial.setting.seed, Author::Survivor, number));
    producer.push(items[0])?;
    trial.victim_alone(&|_| Ok(Ring::<Item>::attach(&name).map(drop)?))?;
    producer.push(items[1])?;
    for expected in items {
        same("what comes out", consumer.pop()?, expected)?;
    }
    drop((producer, consumer));
    ensure_usable(trial.setting.seed, &name)
}

/// Somebody dies taking a role of a segment whose remover died after it was retired and before
/// its name was taken away, and so removes it instead.
fn late_taker_dies(trial: &Trial<'_>) -> Result<()> {
    let name = trial.setting.name();
    let ring = Ring::<Item>::create(&name, &options())?;
    // Its first access asks whether somebody else began; the second is the mark.
    let point = Point {
        number: 1,
        fate: Fate::KilledAfter,
        site: StoreSite::Retire.into(),
    };
    trial.earlier(point, &|actor| {
        Ok(Ring::<Item>::attach(&name)?
            .segment()
            .unlink_through(&actor.memory(None))?)
    })?;

    let death = trial.victim(
        &|actor| {
            let ring = Ring::<Item>::attach(&name)?;
            ensure_gone(
                ring.segment()
                    .claim_through(&actor.memory(None), Role::Consumer),
            )
        },
        &mut |_| {
            // (A claim is answered that the role is held or that the segment is gone.)
            ensure!(
                ring.segment().is_held(Role::Consumer)?,
                "a stopped process does not keep its role"
            );
            Ok(())
        },
    )?;

    if !death.killed {
        not_there(&name)?;
    }
    // Whether or not the name is still there, whoever wants a segment of that name gets a new
    // one,
    let (next, claim) = Ring::<Item>::open_or_create_as(&name, Role::Producer, &options())
        .context("a segment of that name cannot be had")?;
    ensure!(claim.epoch() == 1, "the retired segment was taken");
    let (mut producer, mut consumer) = (next.producer_with(claim)?, next.consumer()?);
    pass_on(trial.setting.seed, &mut producer, &mut consumer).context("in the new segment")?;
    // and a claim of the old one is refused.
    ensure_gone(ring.segment().claim(Role::Producer))
}

/// Somebody dies unlinking a segment, and somebody else does it again.
fn unlinker_dies(trial: &Trial<'_>, in_use: bool) -> Result<()> {
    let (name, seed) = (trial.setting.name(), trial.setting.seed);
    let ring = Ring::<Item>::create(&name, &options())?;
    // The producer's role was taken once, so that this segment differs from a new one.
    let producer = ring.producer()?;
    let mut survivors = if in_use {
        Some((producer, ring.consumer()?))
    } else {
        drop(producer);
        None
    };

    let death = trial.victim(
        &|actor| {
            Ok(Ring::<Item>::attach(&name)?
                .segment()
                .unlink_through(&actor.memory(None))?)
        },
        &mut |_| match &mut survivors {
            // (Whoever wants a role now waits for the remover, for two seconds.)
            Some((producer, consumer)) => pass_on(seed, producer, consumer),
            None => Ok(()),
        },
    )?;

    let retired = death.count(StoreSite::Retire).map(|stores| stores > 0);
    if !death.killed {
        ensure!(
            retired != Some(false),
            "an unlinked segment was not retired"
        );
        not_there(&name)?;
    } else if !in_use {
        let (_, claim) = Ring::<Item>::open_or_create_as(&name, Role::Producer, &options())
            .context("a role cannot be had")?;
        let retired = retired.unwrap_or(claim.epoch() == 1);
        let expected = if retired { 1 } else { 2 };
        ensure!(
            claim.epoch() == expected,
            "the role was taken {} times, expected {expected}: the old segment is {}",
            claim.epoch(),
            if retired { "retired" } else { "in force" }
        );
    }
    if death.killed && name.path().exists() {
        unlink(&name).context("it cannot be unlinked again")?;
    }

    // The name is free, and what gets it is another segment.
    let next = Ring::<Item>::create(&name, &options()).context("no new segment of that name")?;
    let (mut producer, mut consumer) = (next.producer()?, next.consumer()?);
    pass_on(seed, &mut producer, &mut consumer).context("in the new segment")?;
    // Whoever has the old one goes on with it, and no role of it is taken any more.
    if let Some((producer, consumer)) = &mut survivors {
        pass_on(seed, producer, consumer).context("in the old segment")?;
    }
    drop(survivors);
    ensure_gone(ring.segment().claim(Role::Producer))
}

fn not_there(name: &str) -> Result<()> {
    let found = Ring::<Item>::attach(name);
    ensure!(
        matches!(found, Err(SegmentError::NotFound { .. })),
        "an unlinked segment is found: {found:?}"
    );
    Ok(())
}
