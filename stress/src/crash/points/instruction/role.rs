//! The taking of a role, and giving it back.

use std::fs::File;
use std::hint::black_box;
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, ensure};
use ringproof::memory::{Memory, Native};
use ringproof::{Role, Segment, SegmentError};

use super::scenario::{Actor, Scenario, descriptor};
use super::tracee::Stage;
use super::{entries, image};
use crate::crash::operations::segment::Structure;
use crate::crash::trial::ensure_free;
use crate::fault::{Fault, faulty};
use crate::item::{Author, Item};

/// How often each role was taken before.
const TAKINGS: u64 = 2;

/// A taking of this role. How far it came is whether it was counted.
struct TakeOver {
    role: Role,
    seed: u64,
}

pub(super) fn cases(seed: u64) -> Vec<Box<dyn Scenario>> {
    let case = |role| Box::new(TakeOver { role, seed }) as Box<dyn Scenario>;
    [Role::Producer, Role::Consumer, Role::Writer]
        .map(case)
        .into()
}

impl TakeOver {
    fn take<M: Memory<Cells = Native>>(&self, shared: &Structure, memory: M, stage: &Stage<'_>) {
        let entry: extern "C" fn(&Segment, &Role, &M) -> u64 = black_box(entries::take_over);
        stage.enter(entry as *const (), || entry(shared, &self.role, &memory));
    }
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

impl Scenario for TakeOver {
    fn subject(&self) -> &'static str {
        "role/take-over"
    }

    fn state(&self) -> &'static str {
        self.role.name()
    }

    fn furnish(&self) -> Result<Vec<u8>> {
        let shared = Structure::with(self.role, &Item::of(self.seed, Author::Setup, 0))?;
        for _ in 0..TAKINGS {
            shared.claim(self.role)?;
        }
        image::of_segment(&shared)
    }

    fn act(
        &self,
        _: Actor,
        segment: OwnedFd,
        fault: Option<Fault>,
        stage: &Stage<'_>,
    ) -> Result<()> {
        let shared = Structure::attach(self.role, segment)?;
        settle_allocator();
        match fault {
            Some(_) => self.take(&shared, faulty(Native, fault), stage),
            None => self.take(&shared, Native, stage),
        }
        Ok(())
    }

    fn judge(
        &self,
        actor: Actor,
        segment: &File,
        die: &mut dyn FnMut() -> Result<()>,
    ) -> Result<u64> {
        let shared = Structure::attach(self.role, descriptor(segment)?)?;
        die()?;
        ensure_free(&shared, self.role)?;
        let before = match actor {
            Actor::Victim => TAKINGS,
            Actor::Successor(reached) => TAKINGS + reached,
        };
        let claim = shared
            .claim(self.role)
            .context("a successor cannot take the role")?;
        let reached = (claim.epoch().wrapping_sub(before)).wrapping_sub(1);
        ensure!(
            reached <= 1,
            "the successor is told that the role was taken {} times, it was {} or {}",
            claim.epoch(),
            before + 1,
            before + 2
        );
        // One holder at a time, also now.
        let second = shared.claim(self.role);
        ensure!(
            matches!(second, Err(SegmentError::Held { .. })),
            "a second holder of the role: {second:?}"
        );
        drop(claim);

        // The structure itself is as it was.
        let value = |number| Item::of(self.seed, Author::Survivor, number);
        match &shared {
            Structure::Ring(ring) => {
                let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
                for number in 0..6 {
                    producer.push(value(number))?;
                    let found = consumer.pop()?;
                    ensure!(found == value(number), "popped {found:?}");
                }
            }
            Structure::SeqLock(lock) => {
                let initial = lock.reader()?.read(1)?;
                ensure!(
                    initial == Item::of(self.seed, Author::Setup, 0),
                    "a reader gets {initial:?}"
                );
                lock.writer()?.write(&value(1));
                let found = lock.reader()?.read(1)?;
                ensure!(found == value(1), "a reader gets {found:?}");
            }
        }
        Ok(reached)
    }

    fn goal(&self, _: Actor) -> u64 {
        1
    }
}
