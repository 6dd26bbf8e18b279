//! The latch: its writer or a reader dies; the last committed value stays readable.

use std::os::fd::OwnedFd;

use anyhow::{Context, Result, bail, ensure};
use bytemuck::Zeroable;
use ringproof::harness::PartsOfValue;
use ringproof::latch::LatchReader;
use ringproof::memory::{Memory, Native};
use ringproof::site::StoreSite;
use ringproof::{Role, SeqLatch, SeqLatchOptions};

use crate::crash::case::{By, Case, Injected, Mode, Operation, Points};
use crate::crash::trial::{
    Actor, CORRUPT, Death, Judgement, Memories, Succession, Who, ensure_kept, took,
};
use crate::ends::LatchWriter;
use crate::fault::Fault;
use crate::item::{Author, Item};

/// What a latch is like before the actor comes: slots, values written.
#[derive(Clone, Copy)]
struct State {
    name: &'static str,
    slots: u64,
    written: u64,
}

const fn state(name: &'static str, slots: u64, written: u64) -> State {
    State {
        name,
        slots,
        written,
    }
}

const STATES: [State; 4] = [
    state("new", 4, 0),
    state("one", 4, 1),
    state("wrap", 4, 6),
    state("two-slots", 2, 3),
];

/// How many values a victim writes: one more than there are slots, at most.
const WRITES: u64 = 5;

const NO_ROOM: &str = "the latch has no room for its slots";

/// The faults that are injected to be noticed here.
pub(super) const INJECTED: [Injected; 3] = [
    (
        "latch/write",
        By::Crash,
        Fault::LatchFirst,
        "a reader gets Ok(an item of zeros)",
    ),
    (
        "latch/write",
        By::Stop,
        Fault::RoleLost,
        "was taken from a stopped process",
    ),
    (
        "latch/write",
        By::Instruction(Mode::Snapshots, "new"),
        Fault::LatchFirst,
        "an item of zeros",
    ),
];

pub(super) fn cases() -> Vec<Case> {
    let everywhere = &[Points::Accesses, Points::Instructions];
    let writes = STATES.map(|state| Case::of(Write(state), everywhere));
    let reads = STATES.map(|state| Case::of(Read(state), everywhere));
    writes.into_iter().chain(reads).collect()
}

impl State {
    /// The number of the last value: some laps more, as many as the seed says.
    const fn version(self, seed: u64) -> u64 {
        match self.written {
            0 => 0,
            written => written + seed % 4 * self.slots,
        }
    }

    fn set_up(self, seed: u64) -> Result<OwnedFd> {
        let value = |version| Item::of(seed, Author::Setup, version);
        let options = SeqLatchOptions::default().slots(self.slots);
        let latch = SeqLatch::anonymous(&value(0), &options)?;
        let mut writer = latch.writer()?;
        for number in 1..=self.version(seed) {
            writer.write(&value(number));
        }
        Ok(latch.segment().descriptor()?)
    }
}

/// A write. It has no middle: how far it came is the number of values published.
struct Write(State);

#[inline(never)]
extern "C" fn write<M: Memory<Cells = Native>>(
    writer: &mut LatchWriter<'_, Item, M>,
    item: &mut Item,
) -> u64 {
    writer.write(item);
    1
}

/// A successor learns where its predecessor stopped, and goes on.
#[inline(never)]
extern "C" fn succeed<M: Memory<Cells = Native>>(
    succession: &mut Succession<'_, SeqLatch<Item>, M>,
    item: &mut Item,
) -> u64 {
    let heritage = succession.heritage.take();
    let (Some((memory, claim)), Ok(parts)) = (heritage, succession.of.parts()) else {
        return CORRUPT;
    };
    let Some(mut writer) = LatchWriter::new(parts, memory, claim) else {
        return CORRUPT;
    };
    writer.write(item);
    1
}

impl Operation for Write {
    fn subject(&self) -> &'static str {
        "latch/write"
    }

    fn state(&self) -> &'static str {
        self.0.name
    }

    fn set_up(&self, seed: u64) -> Result<OwnedFd> {
        self.0.set_up(seed)
    }

    fn act<S: Memories>(&self, actor: Actor<'_, S>) -> Result<()> {
        let latch = SeqLatch::<Item>::attach_fd(actor.segment()?)?;
        let claim = actor.claim(latch.segment(), Role::Writer)?;
        let parts = latch.parts()?;
        let memory = actor.memory(Some(parts.version));
        let version = self.0.version(actor.seed);
        if let Who::Successor(_) = actor.who {
            let mut succession = Succession {
                of: &latch,
                heritage: Some((memory, claim)),
            };
            actor.call(succeed, &mut succession, &mut actor.item(version + 1))?;
            return Ok(());
        }
        let mut writer = LatchWriter::new(parts, memory, claim).context(NO_ROOM)?;
        for number in 1..=actor.repeats(WRITES) {
            actor.call(write, &mut writer, &mut actor.item(version + number))?;
        }
        Ok(())
    }

    fn judge(&self, at: &mut Judgement<'_>) -> Result<u64> {
        let (seed, who, version) = (at.setting.seed, at.who, self.0.version(at.setting.seed));
        let latch = SeqLatch::<Item>::attach_fd(at.segment()?)?;
        let survivor = latch.reader()?;
        let (earlier, before) = match who {
            Who::Successor(earlier) if earlier > 0 => {
                (earlier, Item::of(seed, Author::Victim, version + earlier))
            }
            _ => (0, Item::of(seed, Author::Setup, version)),
        };
        let value = |written| match written {
            0 => before,
            written => Item::of(seed, who.author(), version + written),
        };
        // What took effect before the death is decided by which accesses were made, or is seen.
        let written = |death: &Death| death.count(StoreSite::LatchPublish);
        let death = (at.die)(&mut |so_far| {
            ensure_kept(latch.segment(), Role::Writer)?;
            read(&survivor, value(written(so_far).unwrap_or_default()))
        })?;
        let written = match (written(&death), survivor.read(1)) {
            (Some(written), _) => written,
            (None, Ok(found)) if found == value(1) => 1,
            (None, Ok(found)) if found == before => 0,
            (None, other) => bail!(
                "a reader gets {other:?}, expected {before:?} or {:?}",
                value(1)
            ),
        };
        let committed = value(written);
        read(&survivor, committed).context("after the death")?;

        let claim = at.succeed(&death, latch.segment(), Role::Writer, 1)?;
        let parts = latch.parts()?;
        let memory = at.successor_memory(parts.version);
        let mut successor = LatchWriter::<Item, _>::new(parts, memory, Some(claim));
        let successor = successor.as_mut().context(NO_ROOM)?;
        let last = version + earlier + written;
        ensure!(
            successor.version() == last,
            "the successor starts at version {}, the victim published {last}",
            successor.version()
        );
        read(&survivor, committed).context("with a successor that has not written")?;
        for number in 1..=self.0.slots + 1 {
            let value = Item::of(seed, Author::Survivor, number);
            successor.write(&value);
            read(&survivor, value).context("after the successor wrote")?;
            read(&latch.reader()?, value).context("a new reader")?;
        }
        Ok(written)
    }

    fn goal(&self, who: Who, once: bool) -> u64 {
        match who {
            Who::Victim if !once => WRITES,
            _ => 1,
        }
    }
}

/// A read. It has no effect.
struct Read(State);

#[inline(never)]
extern "C" fn try_to_read<M: Memory<Cells = Native>>(
    reader: &mut LatchReader<'_, Item, M>,
    item: &mut Item,
) -> u64 {
    match reader.read(2) {
        Ok(found) => {
            *item = found;
            1
        }
        Err(_) => CORRUPT,
    }
}

impl Operation for Read {
    fn subject(&self) -> &'static str {
        "latch/read"
    }

    fn state(&self) -> &'static str {
        self.0.name
    }

    fn set_up(&self, seed: u64) -> Result<OwnedFd> {
        self.0.set_up(seed)
    }

    fn act<S: Memories>(&self, actor: Actor<'_, S>) -> Result<()> {
        let latch = SeqLatch::<Item>::attach_fd(actor.segment()?)?;
        let reader = LatchReader::new(latch.parts()?, actor.memory(None), ());
        let mut item = Item::zeroed();
        actor.call(try_to_read, &mut reader.context(NO_ROOM)?, &mut item)?;
        took(actor.ledger, self.0.version(actor.seed), item);
        Ok(())
    }

    fn judge(&self, at: &mut Judgement<'_>) -> Result<u64> {
        let (seed, version) = (at.setting.seed, self.0.version(at.setting.seed));
        let latch = SeqLatch::<Item>::attach_fd(at.segment()?)?;
        let mut survivor = latch.writer()?;
        let mut last = Item::of(seed, Author::Setup, version);
        let mut values = vec![last];
        let numbers = 1..=self.0.slots + 1;
        let death = (at.die)(&mut |_| {
            // The writer goes all the way round under the stopped reader.
            for number in numbers.clone() {
                last = Item::of(seed, Author::Survivor, version + number);
                survivor.write(&last);
                values.push(last);
            }
            Ok(())
        })?;
        if let Some(taken) = death.taken() {
            ensure!(
                death.killed || taken.len() == 1,
                "a reader that lived read nothing"
            );
            for (_, found) in taken {
                ensure!(
                    values.contains(&found),
                    "the victim read {found:?}, expected one of {values:?}"
                );
            }
        }
        // Nobody notices.
        read(&latch.reader()?, last).context("after a reader's death")?;
        for number in numbers {
            let value = Item::of(seed, Author::Survivor, version + number);
            survivor.write(&value);
            read(&latch.reader()?, value).context("after the writer went on")?;
        }
        Ok(0)
    }

    fn goal(&self, _: Who, _: bool) -> u64 {
        0
    }

    fn answer(&self, _: Who) -> u64 {
        1
    }
}

/// Reads in one attempt, and holds the outcome to what is expected.
fn read(reader: &ringproof::LatchReader<Item>, expected: Item) -> Result<()> {
    let found = reader.read(1);
    ensure!(
        found == Ok(expected),
        "a reader gets {found:?}, expected {expected:?}"
    );
    Ok(())
}
