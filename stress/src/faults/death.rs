//! Somebody dies in the middle of something; the others must be able to go on.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ringproof::harness::{PartsOfRing, PartsOfValue, Through};
use ringproof::read::ReadError;
use ringproof::site::Site;
use ringproof::{PopError, Ring, RingOptions, Role, SeqLock, SeqLockOptions};

use crate::desk::{Check, Setting};
use crate::dying::{Ending, Fate, Plan, Point, dying};
use crate::ends::{Producer, SeqWriter};
use crate::process::{Child, Note, patience, short_patience};
use crate::specimen::Mortal;
use crate::specimen::s15_odd_for_ever::OddForEver;
use crate::specimen::s16_plain_mutex::PlainMutex;

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(
            "writer-dies",
            "at every access of a seqlock's writer: readers answer, and the next one writes",
            "deaths",
            |setting| dies(setting, &Sequence::new()?, patience()),
        )
        .wrong(
            "specimen: S15, the writer dies at an odd number, and all spin for ever",
            "it hangs",
            |setting| dies(setting, &OddForEver::new()?, short_patience()),
        ),
        Check::new(
            "producer-dies",
            "at every access of a ring's producer: the consumer and the next one go on",
            "deaths",
            |setting| dies(setting, &Queue::new()?, patience()),
        )
        .wrong(
            "specimen: S16, a process-shared mutex that is not robust",
            "it hangs",
            |setting| dies(setting, &PlainMutex::new()?, short_patience()),
        ),
    ]
}

/// Somebody dies after each number of accesses up to all of them. The survivors hang if they are not
/// through within that time.
fn dies(setting: &Setting<'_>, what: &dyn Mortal, patience: Duration) -> Result<u64> {
    for accesses in 0.. {
        let after = || format!("after a death that follows {accesses} accesses");
        let victim = Child::fork("the victim".to_owned(), setting.alone, |_| {
            what.act(accesses)
        })?;
        let last = victim.wait()?.pop();
        if let Some(Note::Failed(why)) = last {
            bail!("the victim failed: {why}");
        }
        let survivor = Child::fork("the survivor".to_owned(), setting.alone, |_| what.go_on())?;
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

/// What a writer writes before its death, and the next one after it.
const WRITTEN: [u64; 2] = [7; 2];
const NEXT: [u64; 2] = [8; 2];

/// Ours: the writer of a seqlock.
struct Sequence {
    lock: SeqLock<[u64; 2]>,
    trace: Vec<Site>,
}

impl Sequence {
    fn new() -> Result<Sequence> {
        let lock = SeqLock::anonymous(&WRITTEN, &SeqLockOptions::default())?;
        let plan = Plan::immortal();
        write(&lock, &plan)?;
        Ok(Sequence {
            trace: plan.trace(),
            lock,
        })
    }

    fn attach(&self) -> Result<SeqLock<[u64; 2]>> {
        Ok(SeqLock::attach_fd(self.lock.segment().descriptor()?)?)
    }
}

fn write(lock: &SeqLock<[u64; 2]>, plan: &Plan) -> Result<()> {
    let memory = dying(plan);
    let claim = lock.segment().claim_through(&memory, Role::Writer)?;
    let mut writer = SeqWriter::new(lock.parts()?, memory, Some(claim)).context("no room")?;
    writer.write(&WRITTEN);
    Ok(())
}

impl Mortal for Sequence {
    fn act(&self, accesses: usize) -> Result<()> {
        let plan = Plan::new(point(&self.trace, accesses), Ending::Kill);
        write(&self.attach()?, &plan)
    }

    fn go_on(&self) -> Result<()> {
        let lock = self.attach()?;
        let reader = lock.reader()?;
        match reader.read(10) {
            Ok(found) => ensure!(found == WRITTEN || found == NEXT, "torn: {found:?}"),
            Err(ReadError::WriterDead { .. }) => {}
            Err(other) => return Err(other).context("a reader of a dead writer"),
        }
        lock.writer()?.write(&NEXT);
        let found = reader.read(1)?;
        ensure!(found == NEXT, "{found:?}, and {NEXT:?} was written last");
        Ok(())
    }
}

/// Ours: the producer of a ring.
struct Queue {
    ring: Ring<u64>,
    trace: Vec<Site>,
}

impl Queue {
    fn new() -> Result<Queue> {
        let ring = Ring::anonymous(&RingOptions::new(4).slots(4))?;
        let plan = Plan::immortal();
        push(&ring, &plan)?;
        ring.consumer()?.pop()?;
        Ok(Queue {
            trace: plan.trace(),
            ring,
        })
    }

    fn attach(&self) -> Result<Ring<u64>> {
        Ok(Ring::attach_fd(self.ring.segment().descriptor()?)?)
    }
}

fn push(ring: &Ring<u64>, plan: &Plan) -> Result<()> {
    let memory = dying(plan);
    let claim = ring.segment().claim_through(&memory, Role::Producer)?;
    // SAFETY: the parts go to this producer alone.
    let parts = unsafe { ring.parts() }?;
    // SAFETY: the producer's role is this process's, by the claim that the producer keeps.
    let mut producer = unsafe { Producer::new(parts, memory, Some(claim)) };
    producer.push(7)?;
    Ok(())
}

impl Mortal for Queue {
    fn act(&self, accesses: usize) -> Result<()> {
        let plan = Plan::new(point(&self.trace, accesses), Ending::Kill);
        push(&self.attach()?, &plan)
    }

    fn go_on(&self) -> Result<()> {
        let ring = self.attach()?;
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
}
