//! The seqlock and the latch: the writer or a reader dies; readers and the next writer go on. Of a seqlock a reader
//! gets the whole value or an error; a latch's last committed value stays readable.

use std::marker::PhantomData;
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, bail, ensure};
use bytemuck::Zeroable;
use ringproof::memory::{Memory, Native};
use ringproof::read::ReadError;
use ringproof::site::StoreSite;
use ringproof::{Inspection, Role, SeqLatch, SeqLock};

use crate::crash::case::By::{Crash, Stop};
use crate::crash::case::{Case, Injected, Operation, Points, second_deaths, snapshots};
use crate::crash::trial::{
    Actor, CORRUPT, Death, Judgement, Machine, Memories, Succession, Who, ensure_kept, took,
};
use crate::desk::same;
use crate::fault::Fault::{LatchFirst, NoOdd, NoRecheck, RoleLost, RoundUp};
use crate::item::{Author, Item};
use crate::latest::{Latest, Reads, Writes};

/// In what the two differ.
trait Value: Latest<Item> {
    const WRITE: &'static str;
    const READ: &'static str;
    const STATES: &'static [State];
    /// How many values a victim writes.
    const WRITES: u64;
    /// How many attempts a reader makes to whom nothing happens.
    const ATTEMPTS: u32;
}

impl Value for SeqLock<Item> {
    const WRITE: &'static str = "seqlock/write";
    const READ: &'static str = "seqlock/read";
    const STATES: &'static [State] = &[
        state("new", 1, 0),
        state("written", 1, 1),
        TORN,
        asked(state("asked", 1, 1)),
    ];
    const WRITES: u64 = 2;
    const ATTEMPTS: u32 = TRIES;
}

impl Value for SeqLatch<Item> {
    const WRITE: &'static str = "latch/write";
    const READ: &'static str = "latch/read";
    const STATES: &'static [State] = &[
        state("new", 4, 0),
        state("one", 4, 1),
        state("wrap", 4, 6),
        state("two-slots", 2, 3),
        asked(state("asked", 4, 1)),
    ];
    // One more than there are slots, at most.
    const WRITES: u64 = 5;
    const ATTEMPTS: u32 = 1;
}

/// The faults that are injected to be noticed here.
pub(super) const INJECTED: [Injected; 8] = [
    ("seqlock/write", Crash, NoOdd, "gets: Ok(a torn item"),
    (
        "seqlock/write",
        Crash,
        RoundUp,
        "expected Err(WriterStalled",
    ),
    (
        "seqlock/read",
        Stop,
        NoRecheck,
        "the victim read a torn item",
    ),
    ("seqlock/write", snapshots("new"), NoOdd, "a torn item"),
    (
        "seqlock/write",
        second_deaths("new"),
        RoundUp,
        "expected item 1 by Successor",
    ),
    ("latch/write", Crash, LatchFirst, "Ok(an item of zeros)"),
    ("latch/write", Stop, RoleLost, "from a stopped process"),
    ("latch/write", snapshots("new"), LatchFirst, "item of zeros"),
];

pub(super) fn cases() -> Vec<Case> {
    [of::<SeqLock<Item>>(), of::<SeqLatch<Item>>()]
        .into_iter()
        .flatten()
        .collect()
}

fn of<L: Value>() -> Vec<Case> {
    let everywhere = &[Points::Accesses, Points::Instructions];
    let states = L::STATES.iter().copied();
    let writes = states
        .clone()
        .map(|state| Case::of(Write::<L>(state, PhantomData), everywhere));
    let reads = states.map(|state| Case::of(Read::<L>(state, PhantomData), everywhere));
    writes.chain(reads).collect()
}

/// How many attempts a victim makes to read.
const TRIES: u32 = 3;

const NO_ROOM: &str = "it has no room for an item";

/// What it is like before the actor comes.
#[derive(Clone, Copy)]
struct State {
    name: &'static str,
    slots: u64,
    /// How many values were written after the first.
    written: u64,
    /// Whether a writer died then inside the next write, after the first word of the payload.
    torn: bool,
    /// Whether a reader has asked to be woken, and is dead.
    asked: bool,
}

const fn state(name: &'static str, slots: u64, written: u64) -> State {
    State {
        name,
        slots,
        written,
        torn: false,
        asked: false,
    }
}

const fn asked(state: State) -> State {
    State {
        asked: true,
        ..state
    }
}

const TORN: State = State {
    torn: true,
    ..state("torn", 1, 1)
};

impl State {
    /// The number of the last value, the one that a reader gets or got: some laps more, as many as the
    /// seed says.
    const fn version(self, seed: u64) -> u64 {
        match self.written {
            0 => 0,
            written => written + seed % 4 * self.slots,
        }
    }

    /// The value that a reader gets.
    fn value(self, seed: u64) -> Option<Item> {
        let value = Item::of(seed, Author::Setup, self.version(seed));
        (!self.torn).then_some(value)
    }

    fn set_up<L: Value>(self, seed: u64) -> Result<OwnedFd> {
        let value = |number| Item::of(seed, Author::Setup, number);
        let shared = L::anonymous(&value(0), self.slots)?;
        let (mut writer, version) = (shared.writer()?, self.version(seed));
        for number in 1..=version {
            writer.write(&value(number));
        }
        let parts = shared.parts()?;
        Native.store(parts.sleep.asks, self.asked.into(), StoreSite::SleepAsk);
        if self.torn {
            let [word, ..] = value(version + 1).words();
            Native.store(parts.number, 2 * version + 1, StoreSite::SeqOdd);
            Native.store_words(parts.payload, &[word.to_ne_bytes()], StoreSite::SeqCopyIn);
        }
        Ok(shared.segment().descriptor()?)
    }
}

/// A write. How far it came is how often the number was stored.
struct Write<L>(State, PhantomData<L>);

#[inline(never)]
extern "C" fn write<W: Writes<Item>>(writer: &mut W, item: &mut Item) -> u64 {
    writer.write(item);
    1
}

/// A successor learns where its predecessor stopped, and goes on.
#[inline(never)]
extern "C" fn succeed<L: Value, M: Machine>(
    succession: &mut Succession<'_, L, M>,
    item: &mut Item,
) -> u64 {
    let heritage = succession.heritage.take();
    let (Some((memory, claim)), Ok(parts)) = (heritage, succession.of.parts()) else {
        return CORRUPT;
    };
    let Some(mut writer) = L::writer_over(parts, memory, claim) else {
        return CORRUPT;
    };
    writer.write(item);
    1
}

impl<L: Value> Write<L> {
    /// The value that is there before the actor writes; none if somebody died inside a write.
    fn before(&self, seed: u64, who: Who) -> Option<Item> {
        match who {
            Who::Victim | Who::Successor(0) => self.0.value(seed),
            Who::Successor(reached) if !reached.is_multiple_of(L::STEPS) => None,
            Who::Successor(reached) => {
                let number = self.0.version(seed) + reached / L::STEPS;
                Some(Item::of(seed, Author::Victim, number))
            }
        }
    }
}

/// How far a write came, decided by which accesses were made.
fn reached<L: Value>(death: &Death) -> Option<u64> {
    let inside = match L::BEGUN {
        Some(begun) => death.last_is(begun, L::PUBLISHED)?,
        None => false,
    };
    Some(L::STEPS * death.count(L::PUBLISHED)? + u64::from(inside))
}

impl<L: Value> Operation for Write<L> {
    fn names(&self) -> (&'static str, &'static str) {
        (L::WRITE, self.0.name)
    }

    fn set_up(&self, seed: u64) -> Result<OwnedFd> {
        self.0.set_up::<L>(seed)
    }

    fn act<S: Memories>(&self, actor: Actor<'_, S>) -> Result<()> {
        let shared = L::attach_fd(actor.segment()?)?;
        let claim = actor.claim(shared.segment(), Role::Writer)?;
        let parts = shared.parts()?;
        let memory = actor.memory(Some(parts.number));
        let version = self.0.version(actor.seed);
        if let Who::Successor(_) = actor.who {
            let mut succession = Succession {
                of: &shared,
                heritage: Some((memory, claim)),
            };
            actor.call(succeed, &mut succession, &mut actor.item(version + 1))?;
            return Ok(());
        }
        let mut writer = L::writer_over(parts, memory, claim).context(NO_ROOM)?;
        for number in 1..=actor.repeats(L::WRITES) {
            actor.call(write, &mut writer, &mut actor.item(version + number))?;
        }
        Ok(())
    }

    fn judge(&self, at: &mut Judgement<'_>) -> Result<u64> {
        let (seed, who) = (at.setting.seed, at.who);
        let shared = L::attach_fd(at.segment()?)?;
        let survivor = shared.reader()?;
        let (before, version) = (self.before(seed, who), self.0.version(seed));
        let by_actor = |written| Item::of(seed, who.author(), version + written);
        // What a reader gets where the actor came this far.
        let value = |reached: u64| match reached {
            0 => before,
            _ if !reached.is_multiple_of(L::STEPS) => None,
            _ => Some(by_actor(reached / L::STEPS)),
        };
        let death = (at.die)(&mut |so_far| {
            ensure_kept(shared.segment(), Role::Writer)?;
            let value = value(reached::<L>(so_far).unwrap_or_default());
            read::<L>(&survivor, value.ok_or(stalled::<L>()))
        })?;
        // What took effect before the death is known by the accesses, or seen.
        let reached = match (reached::<L>(&death), survivor.read(L::ATTEMPTS)) {
            (Some(reached), _) => reached,
            (None, Ok(found)) if found == by_actor(1) => L::STEPS,
            (None, Ok(found)) if before == Some(found) => 0,
            (None, Err(found)) if L::STEPS > 1 && found == dead::<L>() => 1,
            (None, other) => {
                let before = before.map_or(String::new(), |before| format!("{before:?}, "));
                bail!(
                    "a reader gets {other:?}, expected {before}{:?} or none",
                    by_actor(1)
                )
            }
        };

        // While there is no writer, and while there is one that has not written yet.
        let value = value(reached);
        read::<L>(&survivor, value.ok_or(dead::<L>())).context("after the death")?;
        let claim = at.succeed(&death, shared.segment(), Role::Writer, 1)?;
        let parts = shared.parts()?;
        let memory = at.successor_memory(parts.number);
        let mut successor = L::writer_over(parts, memory, Some(claim)).context(NO_ROOM)?;
        read::<L>(&survivor, value.ok_or(stalled::<L>()))
            .context("with a successor that has not written")?;
        same(
            "whether a repair is needed",
            successor.needs_repair(),
            value.is_none(),
        )?;
        let earlier = match who {
            Who::Victim => 0,
            Who::Successor(reached) => reached,
        };
        // (A seqlock's counts what was begun, too.)
        let last = version + earlier + reached;
        if L::BEGUN.is_none() {
            same("the successor starts at version", successor.version(), last)?;
        }
        for number in 1..=self.0.slots + 2 {
            let value = Item::of(seed, Author::Survivor, number);
            successor.write(&value);
            read::<L>(&survivor, Ok(value)).context("after the successor wrote")?;
            read::<L>(&shared.reader()?, Ok(value)).context("a new reader")?;
        }
        // What the dead reader had asked for costs each writer one call.
        let seen = Inspection::of_segment(shared.segment())?.roles[0].wakes;
        let writers = match who {
            _ if !self.0.asked => 0..=0,
            Who::Victim => 1..=2,
            Who::Successor(_) => 1..=3,
        };
        ensure!(
            writers.contains(&seen),
            "calls by which writers woke somebody: {seen}, expected {writers:?}"
        );
        Ok(reached)
    }

    fn goal(&self, who: Who, once: bool) -> u64 {
        match who {
            Who::Victim if !once => L::STEPS * L::WRITES,
            _ => L::STEPS,
        }
    }

    fn answer(&self, _: Who) -> u64 {
        1
    }
}

/// A read. It has no effect.
struct Read<L>(State, PhantomData<L>);

/// It cannot ask whether the writer is alive.
#[inline(never)]
extern "C" fn try_to_read<R: Reads<Item>>(reader: &mut R, item: &mut Item) -> u64 {
    match reader.read(TRIES) {
        Ok(found) => {
            *item = found;
            1
        }
        Err(ReadError::WriterStalled { .. }) => 0,
        Err(_) => CORRUPT,
    }
}

impl<L: Value> Operation for Read<L> {
    fn names(&self) -> (&'static str, &'static str) {
        (L::READ, self.0.name)
    }

    fn set_up(&self, seed: u64) -> Result<OwnedFd> {
        self.0.set_up::<L>(seed)
    }

    fn act<S: Memories>(&self, actor: Actor<'_, S>) -> Result<()> {
        let shared = L::attach_fd(actor.segment()?)?;
        let reader = L::reader_over(shared.parts()?, actor.memory(None));
        let mut item = Item::zeroed();
        match actor.call(try_to_read, &mut reader.context(NO_ROOM)?, &mut item)? {
            0 => ensure!(self.0.torn, "what is at rest is busy"),
            _ => took(actor.ledger, self.0.version(actor.seed), item),
        }
        Ok(())
    }

    fn judge(&self, at: &mut Judgement<'_>) -> Result<u64> {
        let (seed, version) = (at.setting.seed, self.0.version(at.setting.seed));
        let shared = L::attach_fd(at.segment()?)?;
        // A writer that lives all along, unless the state is that it is dead.
        let mut survivor = (!self.0.torn).then(|| shared.writer()).transpose()?;
        let mut values = Vec::from_iter(self.0.value(seed));
        // All the way round.
        let numbers = 1..=self.0.slots + 1;
        let by_survivor = |number| Item::of(seed, Author::Survivor, version + number);
        let death = (at.die)(&mut |_| {
            // The value changes under the stopped reader.
            if let Some(writer) = &mut survivor {
                for value in numbers.clone().map(by_survivor) {
                    writer.write(&value);
                    values.push(value);
                }
            }
            Ok(())
        })?;
        if let Some(taken) = death.taken() {
            ensure!(
                death.killed || taken.len() == usize::from(!self.0.torn),
                "a reader that lived read nothing"
            );
            for (_, found) in taken {
                ensure!(
                    values.contains(&found),
                    "the victim read {found:?}, expected one of {values:?}"
                );
            }
        }
        // Readers leave no trace.
        let last = values.pop().ok_or(dead::<L>());
        read::<L>(&shared.reader()?, last).context("after a reader's death")?;
        let mut writer = match survivor {
            Some(writer) => writer,
            None => shared.writer()?,
        };
        for value in numbers.map(by_survivor) {
            writer.write(&value);
            read::<L>(&shared.reader()?, Ok(value)).context("after the writer went on")?;
        }
        Ok(0)
    }

    fn goal(&self, _: Who, _: bool) -> u64 {
        0
    }

    fn answer(&self, _: Who) -> u64 {
        u64::from(!self.0.torn)
    }
}

fn stalled<L: Value>() -> ReadError {
    ReadError::WriterStalled {
        attempts: L::ATTEMPTS,
    }
}

fn dead<L: Value>() -> ReadError {
    ReadError::WriterDead {
        attempts: L::ATTEMPTS,
    }
}

/// Reads, and holds the outcome to what is expected.
fn read<L: Value>(reader: &impl Reads<Item>, expected: Result<Item, ReadError>) -> Result<()> {
    same("a reader gets", reader.read(L::ATTEMPTS), expected)
}
