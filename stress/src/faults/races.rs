//! Several processes at one name.

use std::fs::File;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use ringproof::{Ring, RingOptions, Role, SegmentError, SeqLatch, SeqLatchOptions, unlink};

use super::exclusive_role::{held, lock_byte, only_one, patiently};
use super::race::{Act, both_came, now, race};
use crate::desk::{Check, Setting};
use crate::process::{NotHere, patience};
use crate::shm::Name;
use crate::specimen::s21_mapped_too_early::MappedTooEarly;
use crate::specimen::{Appearing, Held, WHOLE, window};

checks! { setting:
    "creators",
        "two at once: one makes it, the other is told that it exists, and finds it whole",
        "rounds" => creators(setting, create),
    wrong "injected fault: looks whether there is one, then makes it", "made it" =>
        creators(setting, look_then_create);

    "create-and-attach",
        "whoever attaches while it is made finds nothing, or all of it", "rounds" =>
        appearing(setting, &Ours),
    wrong "specimen: S21, a peer maps between shm_open and ftruncate", "was killed by SIGBUS" =>
        appearing(setting, &MappedTooEarly);

    "unlink-and-claim",
        "no claim that began after the unlink, and no two of what the name means now", "rounds" =>
        unlinked(setting, |ring| {
            held(patiently(|| ring.segment().claim(Role::Producer)))
        }),
    wrong "injected fault: locks, and does not look again", "after the unlink" =>
        unlinked(setting, lock_only);
}

struct Ours;

impl Appearing for Ours {
    fn make(&self, name: &Name) -> Result<Held> {
        let latch = SeqLatch::create(name, &WHOLE, &SeqLatchOptions::default())?;
        Ok(Box::new(latch))
    }

    fn find(&self, name: &Name) -> Result<Option<[u64; 64]>> {
        match SeqLatch::attach(name) {
            Ok(latch) => Ok(Some(latch.reader()?.read(1)?)),
            Err(SegmentError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// One makes it; the other, let go at the same time, looks until it is there.
fn appearing(setting: &Setting<'_>, what: &dyn Appearing) -> Result<u64> {
    let name = setting.name();
    let mut met = 0;
    let rounds = race(
        setting,
        setting.rounds,
        |_| Ok(()),
        |_| Ok(Act::new([0, 0], what.make(&name)?)),
        |_| {
            let start = Instant::now();
            let mut misses = 0;
            loop {
                match what.find(&name)? {
                    Some(found) => {
                        ensure!(found == WHOLE, "half of it: {found:x?}");
                        return Ok(Act::new([misses, 0], ()));
                    }
                    None if start.elapsed() > patience() => bail!("it never appears"),
                    None => misses += 1,
                }
            }
        },
        |_, [_, [misses, _]]| {
            met += u64::from(misses > 0);
            std::fs::remove_file(name.path()).context("cannot remove it")
        },
    )?;
    if met == 0 {
        let why = format!("in {rounds} rounds there was no look while it was made");
        return Err(NotHere(why).into());
    }
    Ok(rounds)
}

/// Makes a latch under the name, or says that there is one.
type Create = fn(&Name) -> Result<Option<Held>>;

fn create(name: &Name) -> Result<Option<Held>> {
    match SeqLatch::create(name, &WHOLE, &SeqLatchOptions::default()) {
        Ok(latch) => Ok(Some(Box::new(latch))),
        Err(SegmentError::Exists { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Never half of one, as it is made under another name; but the second takes the first one's
/// place.
fn look_then_create(name: &Name) -> Result<Option<Held>> {
    if std::fs::exists(name.path())? {
        return Ok(None);
    }
    window();
    let other = Name::new(format!("{}-{}", &**name, std::process::id()));
    let made = create(&other)?;
    std::fs::rename(other.path(), name.path())?;
    Ok(made)
}

fn creators(setting: &Setting<'_>, create: Create) -> Result<u64> {
    let name = setting.name();
    let take = || {
        let made = create(&name)?;
        if made.is_none() {
            let found = Ours.find(&name)?;
            ensure!(found == Some(WHOLE), "what exists is not whole: {found:x?}");
        }
        Ok(made)
    };
    // What the round before has made.
    let prepare = || {
        name.clear();
        Ok(())
    };
    only_one(setting, setting.rounds, &prepare, &take, "made it")
}

/// Takes the role as an implementation might that trusts its lock.
fn lock_only(ring: &Ring<u64>) -> Result<Option<Held>> {
    let file = File::from(ring.segment().descriptor()?);
    Ok(lock_byte(&file)?.then(|| Box::new(file) as Held))
}

/// Takes a role by its own way.
type ClaimProducer = fn(&Ring<u64>) -> Result<Option<Held>>;

/// One unlinks a ring and makes the next one; the other claims what it finds under the name.
fn unlinked(setting: &Setting<'_>, claim: ClaimProducer) -> Result<u64> {
    let name = setting.name();
    let options = RingOptions::new(4).slots(4);
    // How often the other one was let in, and how often not.
    let mut outcomes = [0_u64; 2];
    let seed = setting.seed;
    let rounds = race(
        setting,
        setting.rounds,
        |_| {
            Ring::<u64>::create(&name, &options)?;
            Ok(())
        },
        |_| {
            let ring = Ring::<u64>::attach(&name)?;
            patiently(|| ring.segment().unlink())?;
            let unlinked = now()?;
            match patiently(|| Ring::<u64>::open_or_create_as(&name, Role::Producer, &options)) {
                Ok((ring, claim)) => {
                    let reported = [unlinked, inode(&ring)?];
                    Ok(Act::new(reported, (ring, claim)))
                }
                Err(SegmentError::Held { .. }) => Ok(Act::new([unlinked, 0], ())),
                Err(error) => Err(error.into()),
            }
        },
        |round| {
            let ring = match Ring::<u64>::attach(&name) {
                Ok(ring) => ring,
                Err(SegmentError::NotFound { .. }) => return Ok(Act::new([0, 0], ())),
                Err(error) => return Err(error.into()),
            };
            // Somebody else may go on now, and now and then certainly does.
            match crate::item::mix(seed ^ !round) % 4096 {
                0..512 => window(),
                spins => (0..spins).for_each(|_| std::hint::spin_loop()),
            }
            let began = now()?;
            match claim(&ring)? {
                Some(held) => Ok(Act::new([began, inode(&ring)?], (ring, held))),
                None => Ok(Act::new([began, 0], ())),
            }
        },
        |_, [[unlinked, next], [began, claimed]]| {
            outcomes[usize::from(claimed != 0)] += u64::from(began != 0);
            ensure!(claimed == 0 || claimed != next, "two hold the same role");
            let current = inode(&Ring::<u64>::attach(&name)?)?;
            ensure!(
                claimed == 0 || claimed == current || began <= unlinked,
                "a claim of the old one succeeded that began {} ns after the unlink was done",
                began - unlinked
            );
            Ok(patiently(|| unlink(&name))?)
        },
    )?;
    both_came(rounds, outcomes, ["refusals", "claims"])
}

fn inode(ring: &Ring<u64>) -> Result<u64> {
    Ok(nix::sys::stat::fstat(ring.segment().descriptor()?)
        .context("cannot look up an inode")?
        .st_ino)
}
