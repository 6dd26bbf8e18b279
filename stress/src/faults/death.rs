//! Somebody dies in the middle of something; the others must be able to go on.

use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ringproof::harness::{PartsOfRing, Through};
use ringproof::read::ReadError;
use ringproof::site::Site;
use ringproof::{PopError, Ring, RingOptions, Role, SegmentError, SeqLock, SeqLockOptions};

use crate::desk::{Check, Setting};
use crate::dying::{Dying, Ending, Fate, Plan, Point, dying};
use crate::ends::Producer;
use crate::latest::{Latest, Writes};
use crate::process::{Child, Note, patience, short_patience};
use crate::specimen::Mortal;
use crate::specimen::s15_odd_for_ever::OddForEver;
use crate::specimen::s16_plain_mutex::PlainMutex;

checks! { setting:
    "writer-dies",
        "at every access of a seqlock's writer: readers answer, and the next one writes",
        "deaths" => dies(setting, &writer()?, patience()),
    wrong "specimen: S15, the writer dies at an odd number, and all spin for ever", "it hangs" =>
        dies(setting, &OddForEver::new()?, short_patience());

    "producer-dies",
        "at every access of a ring's producer: the consumer and the next one go on", "deaths" =>
        dies(setting, &producer()?, patience()),
    wrong "specimen: S16, a process-shared mutex that is not robust", "it hangs" =>
        dies(setting, &PlainMutex::new()?, short_patience());
}

/// Somebody dies after each number of accesses up to all of them. The survivors hang if they are not
/// through within that time.
fn dies(setting: &Setting<'_>, what: &dyn Mortal, patience: Duration) -> Result<u64> {
    for accesses in 0.. {
        let after = || format!("after a death that follows {accesses} accesses");
        let victim = Child::fork("the victim", setting.alone, |_| what.act(accesses))?;
        let last = victim.wait()?.pop();
        if let Some(Note::Failed(why)) = last {
            bail!("the victim failed: {why}");
        }
        let survivor = Child::fork("the survivor", setting.alone, |_| what.go_on())?;
        survivor.within(patience).finish().with_context(after)?;
        if last == Some(Note::Done) {
            ensure!(accesses > 2, "there was nothing to die in");
            return Ok(accesses as u64);
        }
    }
    bail!("the victim lives for ever")
}

/// Where somebody dies who makes the accesses of `trace`, if he makes more than so many.
fn point(trace: &[Site], accesses: usize) -> Option<Point> {
    trace.get(accesses).map(|site| Point {
        number: accesses,
        fate: Fate::KilledBefore,
        site: *site,
    })
}

/// Ours: somebody attaches to a segment, takes a role of it and makes accesses through a memory.
struct Ours<S> {
    segment: OwnedFd,
    attach: fn(OwnedFd) -> Result<S, SegmentError>,
    act: fn(&S, Dying<'_>) -> Result<()>,
    go_on: fn(&S) -> Result<()>,
    /// The accesses of one who lives.
    trace: Vec<Site>,
}

impl<S> Ours<S> {
    fn new(
        segment: OwnedFd,
        attach: fn(OwnedFd) -> Result<S, SegmentError>,
        act: fn(&S, Dying<'_>) -> Result<()>,
        go_on: fn(&S) -> Result<()>,
    ) -> Result<Ours<S>> {
        let plan = Plan::immortal();
        act(&attach(segment.try_clone()?)?, dying(&plan))?;
        let trace = plan.trace();
        Ok(Ours {
            segment,
            attach,
            act,
            go_on,
            trace,
        })
    }

    fn attach(&self) -> Result<S> {
        Ok((self.attach)(self.segment.try_clone()?)?)
    }
}

impl<S> Mortal for Ours<S> {
    fn act(&self, accesses: usize) -> Result<()> {
        let plan = Plan::new(point(&self.trace, accesses), Ending::Kill);
        (self.act)(&self.attach()?, dying(&plan))
    }

    fn go_on(&self) -> Result<()> {
        (self.go_on)(&self.attach()?)
    }
}

/// What a writer writes before its death, and the next one after it.
const WRITTEN: [u64; 2] = [7; 2];
const NEXT: [u64; 2] = [8; 2];

type Lock = SeqLock<[u64; 2]>;

/// The writer of a seqlock.
fn writer() -> Result<Ours<Lock>> {
    let lock = Lock::anonymous(&WRITTEN, &SeqLockOptions::default())?;
    let segment = lock.segment().descriptor()?;
    Ours::new(segment, Lock::attach_fd, write, write_again)
}

fn write(lock: &Lock, memory: Dying<'_>) -> Result<()> {
    let claim = lock.segment().claim_through(&memory, Role::Writer)?;
    let parts = Latest::parts(lock)?;
    let mut writer = Lock::writer_over(parts, memory, Some(claim)).context("no room")?;
    writer.write(&WRITTEN);
    Ok(())
}

fn write_again(lock: &Lock) -> Result<()> {
    let reader = lock.reader()?;
    match reader.read(10) {
        Ok(found) => ensure!([WRITTEN, NEXT].contains(&found), "torn: {found:?}"),
        Err(ReadError::WriterDead { .. }) => {}
        Err(other) => return Err(other).context("a reader of a dead writer"),
    }
    lock.writer()?.write(&NEXT);
    let found = reader.read(1)?;
    ensure!(found == NEXT, "{found:?}, and {NEXT:?} was written last");
    Ok(())
}

/// The producer of a ring.
fn producer() -> Result<Ours<Ring<u64>>> {
    let ring = Ring::<u64>::anonymous(&RingOptions::new(4).slots(4))?;
    let segment = ring.segment().descriptor()?;
    let ours = Ours::new(segment, Ring::attach_fd, push, push_again)?;
    ring.consumer()?.pop()?;
    Ok(ours)
}

fn push(ring: &Ring<u64>, memory: Dying<'_>) -> Result<()> {
    let claim = ring.segment().claim_through(&memory, Role::Producer)?;
    // SAFETY: the parts go to this producer alone.
    let parts = unsafe { ring.parts() }?;
    // SAFETY: the producer's role is this process's, by the claim that the producer keeps.
    let mut producer = unsafe { Producer::new(parts, memory, Some(claim)) };
    producer.push(7)?;
    Ok(())
}

fn push_again(ring: &Ring<u64>) -> Result<()> {
    let mut consumer = ring.consumer()?;
    // It was committed, or never will be.
    match consumer.pop() {
        Ok(7) | Err(PopError::Empty) => {}
        other => bail!("7 was sent, or nothing, and found is {other:?}"),
    }
    ring.producer()?.push(8)?;
    let found = consumer.pop()?;
    ensure!(found == 8, "8 was sent, and found is {found}");
    Ok(())
}
