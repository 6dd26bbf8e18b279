//! An end that waits in its sleep dies, or the one that is to wake it.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ringproof::harness::{Hooks, Interposed, PartsOfRing};
use ringproof::memory::{Memory, Native, Slept, WordOf};
use ringproof::ring::{Consumer, Producer};
use ringproof::site::{BarrierSite, StoreSite, WaitSite};
use ringproof::sleep::{FENCE, NAP, SleepWords};
use ringproof::{Claim, Inspection, PopError, PushError, Ring, Role, Wait, WaitError};

use super::ends::{expected, go_on, progress};
use super::{Kind, OnRing, State, state};
use crate::crash::case::{Case, Operation, Points};
use crate::crash::trial::{
    Actor, CORRUPT, Death, Judgement, Machine, Memories, Who, ensure_kept, took,
};
use crate::desk::same;
use crate::fault::{Fault, Faulty};
use crate::item::{Author, Item};
use crate::process::{Child, Note, patience, short_patience};
use crate::sleeping::{Deep, Kept, is_asked, other};

/// Who goes to sleep dies.
pub(super) const SLEEP: &str = "ring/sleep";
/// Who is to wake it dies.
pub(super) const WAKE: &str = "ring/wake";

/// (Who waits reads the clock, so that no two runs of it are the same instructions; and who sleeps wakes up between two
/// of who wakes it. Those of a waking are those of any publication that somebody asked for.)
pub(super) fn cases() -> impl Iterator<Item = Case> {
    let points = |first| match first {
        true => &[Points::Accesses, Points::Syscalls][..],
        false => &[Points::Accesses],
    };
    let sleeps = SLEEPS.map(|sleep| Case::of(sleep, points(sleep.sleeps())));
    let wakes = WAKES.map(|wake| {
        let points = points(!wake.refused);
        Case::of(wake, points)
    });
    sleeps.into_iter().chain(wakes)
}

/// What comes between the last look of who waits and its sleep.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Late {
    Nothing,
    /// The item or the slot that it waits for.
    Cell,
    /// The end of the ring.
    Close,
}

/// An end goes to sleep unless it finds what it waits for. How far it came is whether it stored its index.
#[derive(Clone, Copy)]
struct Sleep {
    role: Role,
    state: State,
    late: Late,
    /// Nobody holds the other role.
    alone: bool,
    /// The kernel refuses the barrier.
    refused: bool,
}

const fn sleep(role: Role, state: State) -> Sleep {
    Sleep {
        role,
        state,
        late: Late::Nothing,
        alone: false,
        refused: false,
    }
}

impl Sleep {
    const fn late(self, late: Late) -> Sleep {
        Sleep { late, ..self }
    }

    const fn alone(self) -> Sleep {
        Sleep {
            alone: true,
            ..self
        }
    }

    const fn refused(self) -> Sleep {
        Sleep {
            refused: true,
            ..self
        }
    }
}

const SLEEPS: [Sleep; 15] = {
    use Role::{Consumer, Producer};
    [
        sleep(Consumer, state("items-nothing", 2, 0)),
        sleep(Consumer, state("items-one", 2, 1)),
        sleep(Consumer, state("items-closed", 2, 2).closed()),
        sleep(Consumer, state("items-ended", 2, 0).closed()),
        sleep(Consumer, state("items-late", 2, 0)).late(Late::Cell),
        sleep(Consumer, state("items-late-end", 2, 0)).late(Late::Close),
        sleep(Consumer, state("items-alone", 2, 0)).alone(),
        sleep(Consumer, state("items-no-barrier", 2, 0)).refused(),
        sleep(Producer, state("room-none", 1, 6)),
        sleep(Producer, state("room-one", 1, 5)),
        sleep(Producer, state("room-stopped", 1, 6).stopped()),
        sleep(Producer, state("room-late", 1, 6)).late(Late::Cell),
        sleep(Producer, state("room-late-stop", 1, 6)).late(Late::Close),
        sleep(Producer, state("room-alone", 1, 6)).alone(),
        sleep(Producer, state("room-no-barrier", 1, 6)).refused(),
    ]
};

/// What happens to who is about to sleep.
struct Night<'n> {
    refused: bool,
    late: &'n dyn Fn(),
    /// How long it sleeps at most, if not as long as it wants to; then a signal ends it.
    most: Option<u64>,
}

impl<M: Memory> Hooks<M> for Night<'_> {
    fn barrier(&self, memory: &M, site: BarrierSite) -> bool {
        memory.barrier(site) && !self.refused
    }

    fn wait(&self, memory: &M, word: &WordOf<M>, value: u64, nanos: u64, site: WaitSite) -> Slept {
        (self.late)();
        let Some(most) = self.most else {
            return memory.wait(word, value, nanos, site);
        };
        match memory.wait(word, value, most, site) {
            Slept::TimedOut => Slept::Interrupted,
            slept => slept,
        }
    }
}

/// Why a wait gave up.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Awake {
    Interrupted,
    Alone,
    Ended,
}

/// What an end that waits has in its hands.
struct Waiting {
    item: Item,
    gave_up: Option<Awake>,
}

impl Waiting {
    /// What the wait answered, for who called it.
    fn moved<E: Copy>(
        &mut self,
        outcome: Result<Item, WaitError<E>>,
        ended: impl Fn(E) -> bool,
    ) -> u64 {
        match outcome {
            Ok(item) => {
                self.item = item;
                return 1;
            }
            Err(WaitError::Interrupted) => self.gave_up = Some(Awake::Interrupted),
            Err(WaitError::PeerGone) => self.gave_up = Some(Awake::Alone),
            Err(WaitError::Refused(refused)) if ended(refused) => {
                self.gave_up = Some(Awake::Ended);
            }
            Err(_) => return CORRUPT,
        }
        0
    }
}

#[inline(never)]
extern "C" fn pop<M: Machine>(
    consumer: &mut Consumer<'_, Item, M, Kept<'_>>,
    waiting: &mut Waiting,
) -> u64 {
    let outcome = consumer.wait().pop();
    waiting.moved(outcome, |refused| refused == PopError::PeerClosed)
}

#[inline(never)]
extern "C" fn push<M: Machine>(
    producer: &mut Producer<'_, Item, M, Kept<'_>>,
    waiting: &mut Waiting,
) -> u64 {
    let item = waiting.item;
    let outcome = producer.wait().push(item).map(|()| item);
    waiting.moved(outcome, |refused| refused == PushError::PeerClosed)
}

/// The words by which one of this role sleeps.
fn words(ring: &Ring<Item>, role: Role) -> Result<SleepWords<'_, Native>> {
    // SAFETY: these words are no indices.
    let parts = unsafe { ring.parts() }?;
    Ok(match role {
        Role::Consumer => parts.for_items,
        _ => parts.for_room,
    })
}

/// How often somebody of this role woke the other one.
fn wakes(ring: &Ring<Item>, role: Role) -> Result<u64> {
    let seen = Inspection::of_segment(ring.segment())?;
    let state = seen.roles.iter().find(|state| state.role == role);
    Ok(state.context("no such role")?.wakes)
}

impl Sleep {
    /// What the peer does when it is too late for the last look, and too early for the sleep.
    fn peer_is_late(&self, ring: &Ring<Item>, seed: u64) -> Result<()> {
        // SAFETY: nobody else has the peer's role, by the state.
        let parts = unsafe { ring.parts() }?;
        // SAFETY: as above.
        unsafe {
            match (self.late, self.role) {
                (Late::Nothing, _) => {}
                (Late::Cell, Role::Consumer) => {
                    let mut producer = Producer::new(parts, Native, ());
                    producer.push(Item::of(seed, Author::Setup, producer.position()))?;
                }
                (Late::Cell, _) => drop(Consumer::new(parts, Native, ()).pop()?),
                (Late::Close, Role::Consumer) => Producer::new(parts, Native, ()).close(),
                (Late::Close, _) => Consumer::<Item, _, _>::new(parts, Native, ()).close(),
            }
        }
        Ok(())
    }

    /// Whether it sleeps until something ends that.
    fn sleeps(&self) -> bool {
        self.gives_up() == Some(Awake::Interrupted)
    }

    /// Whether there is nothing to sleep for.
    fn is_closed(&self) -> bool {
        self.state.closed || self.state.stopped
    }

    /// Why a wait that is not killed gives up, if it does.
    fn gives_up(&self) -> Option<Awake> {
        if self.goal(Who::Victim, true) == 1 {
            None
        } else if self.is_closed() || self.late == Late::Close {
            Some(Awake::Ended)
        } else if self.alone {
            Some(Awake::Alone)
        } else {
            Some(Awake::Interrupted)
        }
    }

    /// Holds what both ends find after the death to what may be there: how far the victim came.
    fn settle<M: Memory, N: Memory, K, L>(
        &self,
        at: &Judgement<'_>,
        ring: &Ring<Item>,
        death: &Death,
        producer: &mut Producer<'_, Item, M, K>,
        consumer: &mut Consumer<'_, Item, N, L>,
    ) -> Result<u64> {
        let seed = at.setting.seed;
        let (read, written) = (self.state.read(seed), self.state.written(seed));
        let moved = [producer.position() - written, consumer.position() - read];
        let (mover, [reached, late]) = match self.role {
            Role::Consumer => (StoreSite::RingFree, [moved[1], moved[0]]),
            _ => (StoreSite::RingPublish, moved),
        };
        ensure!(
            reached <= 1 && late <= u64::from(self.late == Late::Cell),
            "a wait for one moved {reached}, its peer {late}"
        );
        if let Some(stores) = death.count(mover) {
            same("how often its index was stored", reached, stores)?;
        }
        // What comes late is of the same author as what was there; what was pushed after a wait is the victim's.
        let pushed = if self.role == Role::Producer {
            reached
        } else {
            0
        };
        let setup = producer.position() - pushed;
        let authors = [(setup, Author::Setup), (setup + pushed, Author::Victim)];
        let item = |position| expected(seed, &authors, position);
        for (position, taken) in death.taken().into_iter().flatten() {
            same("the victim took", (position, taken), (read, item(read)))?;
        }
        let closed = producer.is_closed() || consumer.is_closed();
        if !closed {
            while producer.occupancy()? > 0 {
                let position = consumer.position();
                same("popped", consumer.pop(), Ok(item(position)))?;
            }
            go_on(producer, consumer, &item)?;
        }
        // Who slept and is dead asked once.
        let peer = other(self.role);
        same(
            "calls by which its own side woke somebody",
            wakes(ring, self.role)?,
            0,
        )?;
        let asked = death.count(StoreSite::SleepAsk).map(|stores| stores > 0);
        let made = wakes(ring, peer)?;
        // (Who comes after one that woke somebody wakes once, for that one may have died before its call.)
        let expected = |asked| if late == 1 { 2 } else { u64::from(asked) };
        ensure!(
            made <= expected(true) && (closed || asked.is_none_or(|asked| made == expected(asked))),
            "what a dead end had asked for cost {made} calls; whether it asked: {asked:?}"
        );
        Ok(reached)
    }

    /// A successor waits, and its sleep has no end unless it is woken.
    fn ensure_woken(
        &self,
        at: &Judgement<'_>,
        ring: &Ring<Item>,
        wake: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let peer = other(self.role);
        let before = wakes(ring, peer)?;
        let segment = at.segment()?;
        let child = Child::fork("the successor", at.setting.alone, |ledger| {
            let ring = Ring::<Item>::attach_fd(segment)?;
            let kept = Kept::new(
                ring.segment(),
                self.role,
                Some(ring.segment().claim(self.role)?),
            );
            // SAFETY: the parts go to this end alone.
            let parts = unsafe { ring.parts() }?;
            let memory = at.successor_memory(match self.role {
                Role::Consumer => parts.read_index,
                _ => parts.write_index,
            });
            let memory = Interposed::new(memory, Deep);
            ledger.note(&Note::Ready);
            // SAFETY: the role is this process's, by the claim.
            unsafe {
                match self.role {
                    Role::Consumer => {
                        let consumer = Consumer::<Item, _, _>::new(parts, memory, kept);
                        consumer.with_wait(Wait::SleepAtOnce).wait().pop()?;
                    }
                    _ => {
                        let producer = Producer::new(parts, memory, kept);
                        let mut producer = producer.with_wait(Wait::SleepAtOnce);
                        let item = survivors(at, producer.position());
                        producer.wait().push(item)?;
                    }
                }
            }
            ledger.note(&Note::Ready);
            Ok(())
        })?;
        let mut child = child.within(patience_of(at));
        child.ready()?;
        let words = words(ring, self.role)?;
        match at.setting.fault {
            // It does not ask.
            Some(Fault::AskLost) => child.await_asleep(|| true)?,
            _ => child.await_asleep(|| is_asked(words))?,
        }
        wake()?;
        child.ready().context("a successor that sleeps")?;
        child.finish()?;
        let after = wakes(ring, peer)?;
        same("calls to wake the successor", after - before, 1)
    }
}

/// What those push who live.
fn survivors(at: &Judgement<'_>, position: u64) -> Item {
    Item::of(at.setting.seed, Author::Survivor, position)
}

/// How long what hangs on purpose may take.
fn patience_of(at: &Judgement<'_>) -> Duration {
    match at.setting.fault {
        Some(_) => short_patience(),
        None => patience(),
    }
}

impl Operation for Sleep {
    fn names(&self) -> (&'static str, &'static str) {
        (SLEEP, self.state.name)
    }

    fn set_up(&self, seed: u64) -> Result<OwnedFd> {
        self.state.set_up(seed)
    }

    fn act<S: Memories>(&self, actor: Actor<'_, S>) -> Result<()> {
        let ring = Ring::<Item>::attach_fd(actor.segment()?)?;
        let kept = Kept::new(
            ring.segment(),
            self.role,
            actor.claim(ring.segment(), self.role)?,
        );
        let failed = Cell::new(false);
        let late = || failed.set(self.peer_is_late(&ring, actor.seed).is_err());
        let night = Night {
            refused: self.refused,
            late: &late,
            most: (!self.alone).then_some(NAP),
        };
        // SAFETY: the parts go to this end alone, but for what the peer does too late.
        let parts = unsafe { ring.parts() }?;
        let mut waiting = Waiting {
            item: actor.item(self.state.written(actor.seed)),
            gave_up: None,
        };
        // SAFETY: the role is this process's, by the claim that the end keeps.
        unsafe {
            match self.role {
                Role::Consumer => {
                    let memory = Interposed::new(actor.memory(Some(parts.read_index)), night);
                    let consumer = Consumer::new(parts, memory, kept);
                    let mut consumer = consumer.with_wait(Wait::SleepAtOnce);
                    let position = consumer.position();
                    if actor.call(pop, &mut consumer, &mut waiting)? == 1 {
                        took(actor.ledger, position, waiting.item);
                    }
                }
                _ => {
                    let memory = Interposed::new(actor.memory(Some(parts.write_index)), night);
                    let producer = Producer::new(parts, memory, kept);
                    let mut producer = producer.with_wait(Wait::SleepAtOnce);
                    actor.call(push, &mut producer, &mut waiting)?;
                }
            }
        }
        ensure!(!failed.get(), "the peer could not do anything");
        same("the wait gave up", waiting.gave_up, self.gives_up())
    }

    fn judge(&self, at: &mut Judgement<'_>) -> Result<u64> {
        let ring = Ring::<Item>::attach_fd(at.segment()?)?;
        // A peer lives through it, unless the state is another one.
        let lives = !self.alone && self.late == Late::Nothing;
        let mut meanwhile = |_: &_| ensure_kept(ring.segment(), self.role);
        let reached;
        match self.role {
            Role::Consumer => {
                let survivor = lives.then(|| ring.producer()).transpose()?;
                let death = (at.die)(&mut meanwhile)?;
                let claim = at.succeed(&death, ring.segment(), self.role, 1)?;
                let mut producer = survivor.map_or_else(|| ring.producer(), Ok)?;
                let mut consumer = ring.consumer_with(claim)?;
                reached = self.settle(at, &ring, &death, &mut producer, &mut consumer)?;
                let ended = producer.is_closed();
                drop(consumer);
                if !ended {
                    let item = survivors(at, producer.position());
                    self.ensure_woken(at, &ring, || Ok(producer.push(item)?))?;
                }
            }
            _ => {
                let survivor = lives.then(|| ring.consumer()).transpose()?;
                let death = (at.die)(&mut meanwhile)?;
                let claim = at.succeed(&death, ring.segment(), self.role, 1)?;
                let mut consumer = survivor.map_or_else(|| ring.consumer(), Ok)?;
                let mut producer = ring.producer_with(claim)?;
                reached = self.settle(at, &ring, &death, &mut producer, &mut consumer)?;
                let stopped = consumer.is_closed();
                while !stopped && producer.push(survivors(at, producer.position())).is_ok() {}
                drop(producer);
                if !stopped {
                    self.ensure_woken(at, &ring, || Ok(consumer.pop().map(drop)?))?;
                }
            }
        }
        Ok(reached)
    }

    fn goal(&self, _: Who, _: bool) -> u64 {
        let there = match self.role {
            Role::Consumer => self.state.live > 0,
            _ => self.state.live < self.state.capacity && !self.state.stopped,
        };
        u64::from(there || self.late == Late::Cell)
    }
}

/// An end moves one item, and the other end, which sleeps until then, is in another process.
struct Wake {
    case: OnRing,
    /// The kernel refuses the barrier of who sleeps.
    refused: bool,
}

const WAKES: [Wake; 4] = {
    const fn wake(kind: Kind, state: State) -> Wake {
        Wake {
            refused: state.asks & FENCE != 0,
            case: OnRing {
                subject: WAKE,
                kind,
                state,
            },
        }
    }
    [
        wake(Kind::Push, state("push", 2, 0).asks(1)),
        wake(Kind::Push, state("push-fence", 2, 0).asks(1 | FENCE)),
        wake(Kind::Pop, state("pop", 1, 6).asks(1)),
        wake(Kind::Pop, state("pop-fence", 1, 6).asks(1 | FENCE)),
    ]
};

impl Wake {
    fn sleeper_role(&self) -> Role {
        other(self.case.kind.role())
    }

    /// One that takes or pushes items, one by one, until the ring is closed, and says so.
    fn sleeper(&self, at: &Judgement<'_>) -> Result<Child> {
        let (role, segment) = (self.sleeper_role(), at.segment()?);
        let child = Child::fork("the sleeper", at.setting.alone, |ledger| {
            let ring = Ring::<Item>::attach_fd(segment)?;
            let kept = Kept::new(ring.segment(), role, Some(ring.segment().claim(role)?));
            // Who dies may do so before it wakes; from the first item on there are others.
            let deep = Cell::new(false);
            let night = Night {
                refused: self.refused,
                late: &|| {},
                most: None,
            };
            let memory = Interposed::new(Interposed::new(Native, night), Deepening(&deep));
            let goes_on = |outcome: Result<Note, WaitError<bool>>| match outcome {
                Ok(note) => {
                    deep.set(true);
                    ledger.note(&note);
                    Ok(true)
                }
                Err(WaitError::PeerGone) => Ok(true),
                Err(WaitError::Refused(true)) => Ok(false),
                Err(other) => bail!("a wait ends: {other:?}"),
            };
            // SAFETY: the parts go to this end alone, and the role is this process's, by the claim.
            unsafe {
                let parts = ring.parts()?;
                match role {
                    Role::Consumer => {
                        let consumer = Consumer::<Item, _, _>::new(parts, memory, kept);
                        let mut consumer = consumer.with_wait(Wait::SleepAtOnce);
                        let mut next = || {
                            let position = consumer.position();
                            let item = consumer.wait().pop();
                            let note = item.map(|item| Note::Took(position, item.words()));
                            note.map_err(|error| ended(error, PopError::PeerClosed))
                        };
                        while goes_on(next())? {}
                    }
                    _ => {
                        let producer = Producer::new(parts, memory, kept);
                        let mut producer = producer.with_wait(Wait::SleepAtOnce);
                        let mut next = || {
                            let position = producer.position();
                            let outcome = producer.wait().push(survivors(at, position));
                            let note = outcome.map(|()| Note::Committed(position));
                            note.map_err(|error| ended(error, PushError::PeerClosed))
                        };
                        while goes_on(next())? {}
                    }
                }
            }
            Ok(())
        })?;
        Ok(child.within(patience_of(at)))
    }

    /// The sleeper says that it went on, with the item at this position by this author.
    fn went_on(&self, sleeper: &mut Child, item: (u64, Item)) -> Result<()> {
        let (position, item) = item;
        let expected = match self.sleeper_role() {
            Role::Consumer => Note::Took(position, item.words()),
            _ => Note::Committed(position),
        };
        same("the sleeper", sleeper.next()?, Some(expected))
    }
}

impl Operation for Wake {
    fn names(&self) -> (&'static str, &'static str) {
        self.case.names()
    }

    fn set_up(&self, seed: u64) -> Result<OwnedFd> {
        self.case.set_up(seed)
    }

    /// One publication: behind it the sleeper may ask again at any moment.
    fn act<S: Memories>(&self, actor: Actor<'_, S>) -> Result<()> {
        self.case.act(Actor {
            once: true,
            ..actor
        })
    }

    fn judge(&self, at: &mut Judgement<'_>) -> Result<u64> {
        let (seed, role) = (at.setting.seed, self.case.kind.role());
        let ring = Ring::<Item>::attach_fd(at.segment()?)?;
        let words = words(&ring, self.sleeper_role())?;
        let mut sleeper = self.sleeper(at)?;
        sleeper.await_asleep(|| is_asked(words))?;
        let death = (at.die)(&mut |_| ensure_kept(ring.segment(), role))?;

        let (read, written) = (self.case.read(seed), self.case.written(seed));
        let seen = Inspection::of_segment(ring.segment())?;
        let (site, found, start) = match role {
            Role::Consumer => (StoreSite::RingFree, seen.read_index, read),
            _ => (StoreSite::RingPublish, seen.write_index, written),
        };
        let moved = progress("the index", start, &[1], found)?;
        if let Some(stores) = death.count(site) {
            same("how often the index was stored", moved, stores)?;
        }
        for (position, item) in death.taken().into_iter().flatten() {
            let expected = Item::of(seed, Author::Setup, read);
            same("the victim took", (position, item), (read, expected))?;
        }
        // What was published the sleeper finds, whether or not somebody lived to wake it.
        let authors = [(written, Author::Setup), (written + moved, Author::Victim)];
        let expected = |position| expected(seed, &authors, position);
        if moved == 1 {
            self.went_on(&mut sleeper, (written, expected(written)))
                .context("after a publication")?;
        }
        // Then there is a successor, who wakes it each time.
        let claim = at.succeed(&death, ring.segment(), role, 1)?;
        // SAFETY: the parts go to this end alone.
        let parts = unsafe { ring.parts() }?;
        let mut successor = match role {
            Role::Consumer => {
                let memory = at.successor_memory(parts.read_index);
                // SAFETY: the role is this process's, by the claim that the end keeps.
                Successor::Consumer(unsafe { Consumer::new(parts, memory, claim) })
            }
            _ => {
                let memory = at.successor_memory(parts.write_index);
                // SAFETY: as above.
                Successor::Producer(unsafe { Producer::new(parts, memory, claim) })
            }
        };
        for next in moved..2 {
            sleeper.await_asleep(|| is_asked(words))?;
            match &mut successor {
                Successor::Consumer(consumer) => {
                    let position = consumer.position();
                    same("popped", consumer.pop(), Ok(expected(position)))?;
                }
                Successor::Producer(producer) => {
                    producer.push(survivors(at, producer.position()))?;
                }
            }
            self.went_on(&mut sleeper, (written + next, expected(written + next)))?;
        }
        if let Some(answers) = death.count(StoreSite::WakeAnswer) {
            let needed = answers + (2 - moved);
            same("calls to wake the sleeper", wakes(&ring, role)?, needed)?;
        }
        match &mut successor {
            Successor::Consumer(consumer) => consumer.close(),
            Successor::Producer(producer) => producer.close(),
        }
        sleeper.finish()?;
        Ok(moved)
    }

    fn goal(&self, who: Who, _: bool) -> u64 {
        self.case.goal(who, true)
    }
}

/// Who wakes after the death.
enum Successor<'s> {
    Producer(Producer<'s, Item, Faulty<'s, Native>, Claim>),
    Consumer(Consumer<'s, Item, Faulty<'s, Native>, Claim>),
}

/// The same error, of which nothing matters but whether it is this one.
fn ended<E: PartialEq>(error: WaitError<E>, end: E) -> WaitError<bool> {
    match error {
        WaitError::Refused(refused) => WaitError::Refused(refused == end),
        WaitError::TimedOut => WaitError::TimedOut,
        WaitError::PeerGone => WaitError::PeerGone,
        _ => WaitError::Interrupted,
    }
}

/// [`Deep`] from some moment on.
struct Deepening<'d>(&'d Cell<bool>);

impl<M: Memory> Hooks<M> for Deepening<'_> {
    fn wait(&self, memory: &M, word: &WordOf<M>, value: u64, nanos: u64, site: WaitSite) -> Slept {
        match self.0.get() {
            true => Hooks::<M>::wait(&Deep, memory, word, value, nanos, site),
            false => memory.wait(word, value, nanos, site),
        }
    }
}
