//! The writers of the seqlock and of the latch.

use std::fs::File;
use std::hint::black_box;
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, bail, ensure};
use ringproof::memory::{Memory, Native};
use ringproof::read::ReadError;
use ringproof::site::StoreSite;
use ringproof::{Claim, Role, SeqLatch, SeqLatchOptions, SeqLock, SeqLockOptions};

use super::scenario::{Actor, Scenario, descriptor};
use super::tracee::Stage;
use super::{entries, image};
use crate::crash::trial::ensure_free;
use crate::ends::{LatchWriter, SeqWriter};
use crate::fault::{Fault, faulty};
use crate::item::{Author, Item};

/// How many attempts a reader makes.
const ATTEMPTS: u32 = 3;

/// The number of the value that an actor writes.
const NUMBER: u64 = 1;

impl Actor {
    fn author(self) -> Author {
        match self {
            Actor::Victim => Author::Victim,
            Actor::Successor(_) => Author::Successor,
        }
    }
}

/// What the successor wrote is read.
fn ensure_reads(found: Result<Item, ReadError>, value: Item) -> Result<()> {
    ensure!(
        found == Ok(value),
        "after the successor wrote {value:?} a reader gets {found:?}"
    );
    Ok(())
}

/// How far a write of a seqlock came.
const UNTOUCHED: u64 = 0;
const TORN: u64 = 1;
const WHOLE: u64 = 2;

/// A write of a seqlock.
struct SeqWrite {
    state: SeqState,
    seed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SeqState {
    New,
    Written,
    /// A writer died inside a write, after the first word of the payload.
    Torn,
}

/// A write of a latch that was written this often.
struct LatchWrite {
    name: &'static str,
    written: u64,
    seed: u64,
}

pub(super) fn cases(seed: u64) -> Vec<Box<dyn Scenario>> {
    let mut cases: Vec<Box<dyn Scenario>> = Vec::new();
    for state in [SeqState::New, SeqState::Written, SeqState::Torn] {
        cases.push(Box::new(SeqWrite { state, seed }));
    }
    for (name, written) in [("new", 0), ("one", 1), ("wrap", 7)] {
        cases.push(Box::new(LatchWrite {
            name,
            written,
            seed,
        }));
    }
    cases
}

impl SeqWrite {
    fn item(&self, author: Author, number: u64) -> Item {
        Item::of(self.seed, author, number)
    }

    /// The value that is there before `actor` writes, `None` if somebody died inside a write.
    fn before(&self, actor: Actor) -> Option<Item> {
        let last = match self.state {
            SeqState::New => 0,
            SeqState::Written | SeqState::Torn => 1,
        };
        match actor {
            Actor::Successor(WHOLE) => Some(self.item(Author::Victim, NUMBER)),
            Actor::Successor(TORN) => None,
            _ => (self.state != SeqState::Torn).then(|| self.item(Author::Setup, last)),
        }
    }

    fn write<M: Memory<Cells = Native>>(
        &self,
        mut writer: SeqWriter<'_, Item, M>,
        stage: &Stage<'_>,
    ) {
        let item = self.item(Author::Victim, NUMBER);
        let entry: extern "C" fn(&mut SeqWriter<'_, Item, M>, &Item) -> u64 =
            black_box(entries::write_seqlock);
        stage.enter(entry as *const (), || entry(&mut writer, &item));
    }

    fn succeed<M: Memory<Cells = Native>>(
        &self,
        lock: &SeqLock<Item>,
        heir: (M, Claim),
        stage: &Stage<'_>,
    ) {
        let mut heir = Some(heir);
        let item = self.item(Author::Successor, NUMBER);
        let entry: extern "C" fn(&SeqLock<Item>, &mut Option<(M, Claim)>, &Item) -> u64 =
            black_box(entries::succeed_seqlock);
        stage.enter(entry as *const (), || entry(lock, &mut heir, &item));
    }
}

impl Scenario for SeqWrite {
    fn subject(&self) -> &'static str {
        "seqlock/write"
    }

    fn state(&self) -> &'static str {
        match self.state {
            SeqState::New => "new",
            SeqState::Written => "written",
            SeqState::Torn => "torn",
        }
    }

    fn furnish(&self) -> Result<Vec<u8>> {
        let first = self.item(Author::Setup, 0);
        let lock = SeqLock::anonymous(&first, &SeqLockOptions::default())?;
        let mut writer = lock.writer()?;
        if self.state != SeqState::New {
            writer.write(&self.item(Author::Setup, 1));
        }
        if self.state == SeqState::Torn {
            let parts = lock.parts()?;
            let [word, ..] = self.item(Author::Setup, 2).words();
            Native.store(parts.seq, 3, StoreSite::SeqOdd);
            Native.store_words(parts.payload, &[word.to_ne_bytes()], StoreSite::SeqCopyIn);
        }
        image::of_segment(&lock)
    }

    fn act(
        &self,
        actor: Actor,
        segment: OwnedFd,
        fault: Option<Fault>,
        stage: &Stage<'_>,
    ) -> Result<()> {
        let lock = SeqLock::<Item>::attach_fd(segment)?;
        let parts = lock.parts()?;
        let faulty = fault
            .map(|fault| faulty(Native, Some(fault)).map(|faults| faults.with_index(parts.seq)));
        let claim = lock.claim(Role::Writer)?;
        if let Actor::Successor(_) = actor {
            match faulty {
                Some(faulty) => self.succeed(&lock, (faulty, claim), stage),
                None => self.succeed(&lock, (Native, claim), stage),
            }
            return Ok(());
        }
        let claim = Some(claim);
        let no_room = "the seqlock has no room for an item";
        match faulty {
            Some(faulty) => {
                self.write(
                    SeqWriter::new(parts, faulty, claim).context(no_room)?,
                    stage,
                );
            }
            None => self.write(
                SeqWriter::new(parts, Native, claim).context(no_room)?,
                stage,
            ),
        }
        Ok(())
    }

    fn judge(
        &self,
        actor: Actor,
        segment: &File,
        die: &mut dyn FnMut() -> Result<()>,
    ) -> Result<u64> {
        let lock = SeqLock::<Item>::attach_fd(descriptor(segment)?)?;
        let reader = lock.reader()?;
        die()?;
        ensure_free(&lock, Role::Writer)?;
        let (before, after) = (self.before(actor), self.item(actor.author(), NUMBER));
        let reached = match reader.read(ATTEMPTS) {
            Ok(found) if found == after => WHOLE,
            Ok(found) if before == Some(found) => UNTOUCHED,
            Err(ReadError::WriterDead { attempts: ATTEMPTS }) => TORN,
            other => match before {
                Some(before) => {
                    bail!("a reader gets {other:?}, expected {before:?}, {after:?} or none")
                }
                None => bail!("a reader gets {other:?}, expected {after:?} or none"),
            },
        };
        let mut successor = lock.writer()?;
        ensure!(
            successor.needs_repair() == (reached == TORN),
            "the successor is told that a repair is needed: {}",
            successor.needs_repair()
        );
        for number in 1..=3 {
            let value = self.item(Author::Survivor, number);
            successor.write(&value);
            for reader in [&reader, &lock.reader()?] {
                ensure_reads(reader.read(ATTEMPTS), value)?;
            }
        }
        Ok(reached)
    }

    fn goal(&self, _: Actor) -> u64 {
        WHOLE
    }

    fn answer(&self, _: Actor) -> u64 {
        1
    }
}

impl LatchWrite {
    fn item(&self, author: Author, number: u64) -> Item {
        Item::of(self.seed, author, number)
    }

    fn write<M: Memory<Cells = Native>>(
        &self,
        mut writer: LatchWriter<'_, Item, M>,
        stage: &Stage<'_>,
    ) {
        let item = self.item(Author::Victim, NUMBER);
        let entry: extern "C" fn(&mut LatchWriter<'_, Item, M>, &Item) -> u64 =
            black_box(entries::write_latch);
        stage.enter(entry as *const (), || entry(&mut writer, &item));
    }

    fn succeed<M: Memory<Cells = Native>>(
        &self,
        latch: &SeqLatch<Item>,
        heir: (M, Claim),
        stage: &Stage<'_>,
    ) {
        let mut heir = Some(heir);
        let item = self.item(Author::Successor, NUMBER);
        let entry: extern "C" fn(&SeqLatch<Item>, &mut Option<(M, Claim)>, &Item) -> u64 =
            black_box(entries::succeed_latch);
        stage.enter(entry as *const (), || entry(latch, &mut heir, &item));
    }
}

/// It has no middle: the last committed value can be read at every moment.
impl Scenario for LatchWrite {
    fn subject(&self) -> &'static str {
        "latch/write"
    }

    fn state(&self) -> &'static str {
        self.name
    }

    fn furnish(&self) -> Result<Vec<u8>> {
        let first = self.item(Author::Setup, 0);
        let latch = SeqLatch::anonymous(&first, &SeqLatchOptions::default())?;
        let mut writer = latch.writer()?;
        for number in 1..=self.written {
            writer.write(&self.item(Author::Setup, number));
        }
        image::of_segment(&latch)
    }

    fn act(
        &self,
        actor: Actor,
        segment: OwnedFd,
        fault: Option<Fault>,
        stage: &Stage<'_>,
    ) -> Result<()> {
        let latch = SeqLatch::<Item>::attach_fd(segment)?;
        let parts = latch.parts()?;
        let faulty = fault.map(|fault| {
            faulty(Native, Some(fault)).map(|faults| faults.with_index(parts.version))
        });
        let claim = latch.claim(Role::Writer)?;
        if let Actor::Successor(_) = actor {
            match faulty {
                Some(faulty) => self.succeed(&latch, (faulty, claim), stage),
                None => self.succeed(&latch, (Native, claim), stage),
            }
            return Ok(());
        }
        let claim = Some(claim);
        let no_room = "the latch has no room for its slots";
        match faulty {
            Some(faulty) => {
                self.write(
                    LatchWriter::new(parts, faulty, claim).context(no_room)?,
                    stage,
                );
            }
            None => self.write(
                LatchWriter::new(parts, Native, claim).context(no_room)?,
                stage,
            ),
        }
        Ok(())
    }

    fn judge(
        &self,
        actor: Actor,
        segment: &File,
        die: &mut dyn FnMut() -> Result<()>,
    ) -> Result<u64> {
        let latch = SeqLatch::<Item>::attach_fd(descriptor(segment)?)?;
        let reader = latch.reader()?;
        die()?;
        ensure_free(&latch, Role::Writer)?;
        let before = match actor {
            Actor::Successor(1) => self.item(Author::Victim, NUMBER),
            _ => self.item(Author::Setup, self.written),
        };
        let after = self.item(actor.author(), NUMBER);
        let reached = match reader.read(1) {
            Ok(found) if found == after => 1,
            Ok(found) if found == before => 0,
            other => bail!("a reader gets {other:?}, expected {before:?} or {after:?}"),
        };
        let mut successor = latch.writer()?;
        // A lap and one more.
        for number in 1..=5 {
            let value = self.item(Author::Survivor, number);
            successor.write(&value);
            for reader in [&reader, &latch.reader()?] {
                ensure_reads(reader.read(1), value)?;
            }
        }
        Ok(reached)
    }

    fn goal(&self, _: Actor) -> u64 {
        1
    }
}
