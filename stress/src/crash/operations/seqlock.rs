//! The seqlock: its writer or a reader dies; readers and the next writer go on.

use std::os::fd::OwnedFd;

use anyhow::{Context, Result, bail, ensure};
use bytemuck::Zeroable;
use ringproof::harness::PartsOfValue;
use ringproof::memory::{Memory, Native};
use ringproof::read::ReadError;
use ringproof::seqlock::{SeqReader, Watch};
use ringproof::site::StoreSite;
use ringproof::{Role, SeqLock, SeqLockOptions};

use crate::crash::case::{By, Case, Injected, Mode, Operation, Points};
use crate::crash::trial::{
    Actor, CORRUPT, Death, Judgement, Memories, Succession, Who, ensure_kept, took,
};
use crate::ends::SeqWriter;
use crate::fault::Fault;
use crate::item::{Author, Item};

/// What a seqlock is like before the actor comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It holds its first value.
    New,
    /// It was written.
    Written,
    /// A writer died inside a write, after the first word of the payload.
    Torn,
}

const STATES: [State; 3] = [State::New, State::Written, State::Torn];

/// How many values a victim writes.
const WRITES: u64 = 2;
/// How many attempts a reader makes.
const ATTEMPTS: u32 = 3;

const STALLED: ReadError = ReadError::WriterStalled { attempts: ATTEMPTS };
const DEAD: ReadError = ReadError::WriterDead { attempts: ATTEMPTS };
const NO_ROOM: &str = "the seqlock has no room for an item";

/// The faults that are injected to be noticed here.
pub(super) const INJECTED: [Injected; 5] = [
    (
        "seqlock/write",
        By::Crash,
        Fault::NoOdd,
        "a reader gets Ok(a torn item",
    ),
    (
        "seqlock/write",
        By::Crash,
        Fault::RoundUp,
        "expected Err(WriterStalled",
    ),
    (
        "seqlock/read",
        By::Stop,
        Fault::NoRecheck,
        "the victim read a torn item",
    ),
    (
        "seqlock/write",
        By::Instruction(Mode::Snapshots, "new"),
        Fault::NoOdd,
        "a torn item",
    ),
    (
        "seqlock/write",
        By::Instruction(Mode::SecondDeaths, "new"),
        Fault::RoundUp,
        "expected item 1 by Successor",
    ),
];

pub(super) fn cases() -> Vec<Case> {
    let everywhere = &[Points::Accesses, Points::Instructions];
    let writes = STATES.map(|state| Case::of(Write(state), everywhere));
    let reads = STATES.map(|state| Case::of(Read(state), everywhere));
    writes.into_iter().chain(reads).collect()
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            State::New => "new",
            State::Written => "written",
            State::Torn => "torn",
        }
    }

    /// The number of the last value, the one that a reader gets or got.
    const fn version(self, seed: u64) -> u64 {
        match self {
            State::New => 0,
            State::Written | State::Torn => 1 + seed % 4,
        }
    }

    /// The value that a reader gets.
    fn value(self, seed: u64) -> Option<Item> {
        let value = Item::of(seed, Author::Setup, self.version(seed));
        (self != State::Torn).then_some(value)
    }

    fn set_up(self, seed: u64) -> Result<OwnedFd> {
        let value = |number| Item::of(seed, Author::Setup, number);
        let lock = SeqLock::anonymous(&value(0), &SeqLockOptions::default())?;
        let (mut writer, version) = (lock.writer()?, self.version(seed));
        for number in 1..=version {
            writer.write(&value(number));
        }
        if self == State::Torn {
            let parts = lock.parts()?;
            let [word, ..] = value(version + 1).words();
            Native.store(parts.seq, 2 * version + 1, StoreSite::SeqOdd);
            Native.store_words(parts.payload, &[word.to_ne_bytes()], StoreSite::SeqCopyIn);
        }
        Ok(lock.segment().descriptor()?)
    }
}

/// A write. How far it came is twice the number of whole writes, and one more inside the next.
struct Write(State);

#[inline(never)]
extern "C" fn write<M: Memory<Cells = Native>>(
    writer: &mut SeqWriter<'_, Item, M>,
    item: &mut Item,
) -> u64 {
    writer.write(item);
    1
}

/// A successor learns where its predecessor stopped, and goes on.
#[inline(never)]
extern "C" fn succeed<M: Memory<Cells = Native>>(
    succession: &mut Succession<'_, SeqLock<Item>, M>,
    item: &mut Item,
) -> u64 {
    let heritage = succession.heritage.take();
    let (Some((memory, claim)), Ok(parts)) = (heritage, succession.of.parts()) else {
        return CORRUPT;
    };
    let Some(mut writer) = SeqWriter::new(parts, memory, claim) else {
        return CORRUPT;
    };
    writer.write(item);
    1
}

impl Write {
    /// The value that is there before the actor writes; none if somebody died inside a write.
    fn before(&self, seed: u64, who: Who) -> Option<Item> {
        match who {
            Who::Victim | Who::Successor(0) => self.0.value(seed),
            Who::Successor(reached) if reached % 2 == 1 => None,
            Who::Successor(reached) => {
                let number = self.0.version(seed) + reached / 2;
                Some(Item::of(seed, Author::Victim, number))
            }
        }
    }
}

impl Operation for Write {
    fn subject(&self) -> &'static str {
        "seqlock/write"
    }

    fn state(&self) -> &'static str {
        self.0.name()
    }

    fn set_up(&self, seed: u64) -> Result<OwnedFd> {
        self.0.set_up(seed)
    }

    fn act<S: Memories>(&self, actor: Actor<'_, S>) -> Result<()> {
        let lock = SeqLock::<Item>::attach_fd(actor.segment()?)?;
        let claim = actor.claim(lock.segment(), Role::Writer)?;
        let parts = lock.parts()?;
        let memory = actor.memory(Some(parts.seq));
        let version = self.0.version(actor.seed);
        if let Who::Successor(_) = actor.who {
            let mut succession = Succession {
                of: &lock,
                heritage: Some((memory, claim)),
            };
            actor.call(succeed, &mut succession, &mut actor.item(version + 1))?;
            return Ok(());
        }
        let mut writer = SeqWriter::new(parts, memory, claim).context(NO_ROOM)?;
        for number in 1..=actor.repeats(WRITES) {
            actor.call(write, &mut writer, &mut actor.item(version + number))?;
        }
        Ok(())
    }

    fn judge(&self, at: &mut Judgement<'_>) -> Result<u64> {
        let (seed, who) = (at.setting.seed, at.who);
        let lock = SeqLock::<Item>::attach_fd(at.segment()?)?;
        let survivor = lock.reader()?;
        let (before, version) = (self.before(seed, who), self.0.version(seed));
        let by_actor = |written| Item::of(seed, who.author(), version + written);
        // What a reader gets where the actor came this far.
        let value = |reached: u64| match reached {
            0 => before,
            _ if reached % 2 == 1 => None,
            _ => Some(by_actor(reached / 2)),
        };
        // Decided by which accesses were made.
        let reached = |death: &Death| {
            let inside = death.last_is(StoreSite::SeqOdd, StoreSite::SeqEven)?;
            Some(2 * death.count(StoreSite::SeqEven)? + u64::from(inside))
        };
        let death = (at.die)(&mut |so_far| {
            ensure_kept(lock.segment(), Role::Writer)?;
            let value = value(reached(so_far).unwrap_or_default());
            read(&survivor, value.ok_or(STALLED))
        })?;
        let reached = match (reached(&death), survivor.read(ATTEMPTS)) {
            (Some(reached), _) => reached,
            (None, Ok(found)) if found == by_actor(1) => 2,
            (None, Ok(found)) if before == Some(found) => 0,
            (None, Err(found)) if found == DEAD => 1,
            (None, other) => match before {
                Some(before) => bail!(
                    "a reader gets {other:?}, expected {before:?}, {:?} or none",
                    by_actor(1)
                ),
                None => bail!(
                    "a reader gets {other:?}, expected {:?} or none",
                    by_actor(1)
                ),
            },
        };

        // While there is no writer, and while there is one that has not written yet.
        let value = value(reached);
        read(&survivor, value.ok_or(DEAD)).context("after the death")?;
        let claim = at.succeed(&death, lock.segment(), Role::Writer, 1)?;
        let parts = lock.parts()?;
        let memory = at.successor_memory(parts.seq);
        let mut successor = SeqWriter::<Item, _>::new(parts, memory, Some(claim));
        let successor = successor.as_mut().context(NO_ROOM)?;
        read(&survivor, value.ok_or(STALLED)).context("with a successor that has not written")?;
        ensure!(
            successor.needs_repair() == value.is_none(),
            "the successor is told that a repair is needed: {}, it is: {}",
            successor.needs_repair(),
            value.is_none()
        );
        for number in 1..=3 {
            let value = Item::of(seed, Author::Survivor, number);
            successor.write(&value);
            read(&survivor, Ok(value)).context("after the successor wrote")?;
            read(&lock.reader()?, Ok(value)).context("a new reader")?;
        }
        Ok(reached)
    }

    fn goal(&self, who: Who, once: bool) -> u64 {
        match who {
            Who::Victim if !once => 2 * WRITES,
            _ => 2,
        }
    }

    fn answer(&self, _: Who) -> u64 {
        1
    }
}

/// A read. It has no effect.
struct Read(State);

/// It has nobody to ask whether the writer is alive.
#[inline(never)]
extern "C" fn try_to_read<M: Memory<Cells = Native>>(
    reader: &mut SeqReader<'_, Item, M>,
    item: &mut Item,
) -> u64 {
    match reader.read(ATTEMPTS) {
        Ok(found) => {
            *item = found;
            1
        }
        Err(ReadError::WriterStalled { .. }) => 0,
        Err(_) => CORRUPT,
    }
}

impl Operation for Read {
    fn subject(&self) -> &'static str {
        "seqlock/read"
    }

    fn state(&self) -> &'static str {
        self.0.name()
    }

    fn set_up(&self, seed: u64) -> Result<OwnedFd> {
        self.0.set_up(seed)
    }

    fn act<S: Memories>(&self, actor: Actor<'_, S>) -> Result<()> {
        let lock = SeqLock::<Item>::attach_fd(actor.segment()?)?;
        let reader = SeqReader::new(lock.parts()?, actor.memory(None), ());
        let mut item = Item::zeroed();
        match actor.call(try_to_read, &mut reader.context(NO_ROOM)?, &mut item)? {
            0 => ensure!(self.0 == State::Torn, "a seqlock at rest is busy"),
            _ => took(actor.ledger, self.0.version(actor.seed), item),
        }
        Ok(())
    }

    fn judge(&self, at: &mut Judgement<'_>) -> Result<u64> {
        let (seed, version) = (at.setting.seed, self.0.version(at.setting.seed));
        let lock = SeqLock::<Item>::attach_fd(at.segment()?)?;
        let torn = self.0 == State::Torn;
        // A writer that lives all along, unless the state is that it is dead.
        let mut survivor = (!torn).then(|| lock.writer()).transpose()?;
        let mut values = Vec::from_iter(self.0.value(seed));
        let death = (at.die)(&mut |_| {
            // The value changes under the stopped reader.
            if let Some(writer) = &mut survivor {
                let value = Item::of(seed, Author::Survivor, version);
                writer.write(&value);
                values.push(value);
            }
            Ok(())
        })?;
        if let Some(taken) = death.taken() {
            ensure!(
                death.killed || taken.len() == usize::from(!torn),
                "a reader that lived read nothing"
            );
            for (_, value) in taken {
                ensure!(values.contains(&value), "the victim read {value:?}");
            }
        }
        // Nobody notices.
        read(&lock.reader()?, values.pop().ok_or(DEAD)).context("after a reader's death")?;
        let mut writer = match survivor {
            Some(writer) => writer,
            None => lock.writer()?,
        };
        let value = Item::of(seed, Author::Survivor, version + 1);
        writer.write(&value);
        read(&lock.reader()?, Ok(value)).context("after the writer went on")?;
        Ok(0)
    }

    fn goal(&self, _: Who, _: bool) -> u64 {
        0
    }

    fn answer(&self, _: Who) -> u64 {
        u64::from(self.0 != State::Torn)
    }
}

/// Reads, and holds the outcome to what is expected.
fn read<M: Memory, K: Watch>(
    reader: &SeqReader<'_, Item, M, K>,
    expected: Result<Item, ReadError>,
) -> Result<()> {
    let found = reader.read(ATTEMPTS);
    ensure!(
        found == expected,
        "a reader gets {found:?}, expected {expected:?}"
    );
    Ok(())
}
