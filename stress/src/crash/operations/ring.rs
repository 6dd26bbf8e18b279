//! The ring: a producer or a consumer dies, its peer and its successor go on.

mod ends;
pub(super) mod pair;
mod wait;

use std::os::fd::OwnedFd;

use anyhow::{Result, bail, ensure};
use bytemuck::Zeroable;
use ringproof::harness::PartsOfRing;
use ringproof::memory::{Memory, Native};
use ringproof::site::StoreSite;
use ringproof::sleep::FENCE;
use ringproof::{Inspection, PopError, PushError, Ring, RingOptions, Role};

use crate::crash::case::By::{Crash, Life};
use crate::crash::case::{Case, Injected, Operation, Points, kills, pairs, snapshots};
use crate::crash::trial::{
    Actor, CORRUPT, Death, Judgement, Machine, Memories, Succession, Who, ensure_kept, took,
};
use crate::desk::same;
use crate::ends::{Consumer, Producer};
use crate::fault::Fault::{
    AskLost, FreeFirst, PublishFirst, PublishLate, ResumeEarly, ResumeLate, RoleKept, StopLost,
    SurvivorHangs, VictimHangs, VictimSurvives, WakeLost, WakesAgain,
};
use crate::item::{Author, Item};
use crate::process::Ledger;
use ends::{
    ensure_pushed, ensure_sees, ensure_stopped, ensure_takes_no_more, expected, finish, go_on,
    progress, reach, take,
};

/// What a ring is like before the actor comes.
#[derive(Clone, Copy)]
struct State {
    name: &'static str,
    slots: u64,
    capacity: u64,
    /// Items that went through it.
    passed: u64,
    /// Items that are in it.
    live: u64,
    /// Whether the producer closed it.
    closed: bool,
    /// Whether the consumer closed it.
    stopped: bool,
    /// What either end asked for before it died asleep; 0 if it did not.
    asks: u64,
}

/// A ring whose capacity is not its number of slots, so that the two cannot be mixed up.
const fn state(name: &'static str, passed: u64, live: u64) -> State {
    State {
        name,
        slots: 8,
        capacity: 6,
        passed,
        live,
        closed: false,
        stopped: false,
        asks: 0,
    }
}

impl State {
    /// The same with so many slots, all of which may be live.
    const fn of_slots(mut self, slots: u64) -> State {
        (self.slots, self.capacity) = (slots, slots);
        self
    }

    const fn closed(mut self) -> State {
        self.closed = true;
        self
    }

    const fn stopped(mut self) -> State {
        self.stopped = true;
        self
    }

    const fn asks(mut self, asks: u64) -> State {
        self.asks = asks;
        self
    }

    /// The position of the oldest live item: some laps, as many as the seed says, and what the
    /// state says.
    fn read(&self, seed: u64) -> u64 {
        self.passed + seed % 4 * self.slots
    }

    fn written(&self, seed: u64) -> u64 {
        self.read(seed) + self.live
    }

    fn set_up(&self, seed: u64) -> Result<OwnedFd> {
        let options = RingOptions::new(self.capacity).slots(self.slots);
        let ring = Ring::<Item>::anonymous(&options)?;
        let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
        for position in 0..self.written(seed) {
            producer.push(Item::of(seed, Author::Setup, position))?;
            if position < self.read(seed) {
                consumer.pop()?;
            }
        }
        if self.closed {
            producer.close();
        }
        if self.stopped {
            consumer.close();
        }
        // SAFETY: these words are no indices.
        let parts = unsafe { ring.parts() }?;
        for words in [parts.for_items, parts.for_room] {
            Native.store(words.asks, self.asks, StoreSite::SleepAsk);
        }
        Ok(ring.segment().descriptor()?)
    }
}

/// A full ring whose next item goes to the very slot that is freed next.
const TIGHT: State = state("tight", 1, 2).of_slots(2);

/// For the producer: `wrap` writes the last slot and then the first.
const PRODUCER_STATES: [State; 13] = [
    state("empty", 0, 0),
    state("one", 2, 1),
    state("full", 1, 6),
    state("wrap", 6, 1),
    TIGHT,
    state("closed", 0, 2).closed(),
    state("stopped", 0, 2).stopped(),
    state("stopped-full", 0, 6).stopped(),
    state("both-closed", 0, 2).stopped().closed(),
    state("tiny-empty", 0, 0).of_slots(1),
    state("tiny-full", 0, 1).of_slots(1),
    state("asked", 0, 1).asks(1),
    state("asked-fence", 0, 1).asks(1 | FENCE),
];

/// For the consumer: `wrap` reads the last slot and then the first.
const CONSUMER_STATES: [State; 13] = [
    state("empty", 0, 0),
    state("one", 2, 1),
    state("full", 1, 6),
    state("wrap", 7, 3),
    TIGHT,
    state("closed", 0, 2).closed(),
    state("ended", 0, 0).closed(),
    state("stopped", 0, 2).stopped(),
    state("both-closed", 0, 2).stopped().closed(),
    state("tiny-empty", 0, 0).of_slots(1),
    state("tiny-full", 0, 1).of_slots(1),
    state("asked", 1, 5).asks(1),
    state("asked-fence", 1, 5).asks(1 | FENCE),
];

/// What an actor does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Push,
    PushSlice,
    Chunk,
    Close,
    Pop,
    PopSlice,
    Peek,
    /// The consumer's close.
    Stop,
}

const KINDS: [(&str, Kind); 8] = [
    ("ring/push", Kind::Push),
    ("ring/push_slice", Kind::PushSlice),
    ("ring/chunk", Kind::Chunk),
    ("ring/close", Kind::Close),
    ("ring/pop", Kind::Pop),
    ("ring/pop_slice", Kind::PopSlice),
    ("ring/peek", Kind::Peek),
    ("ring/stop", Kind::Stop),
];

/// How many single pushes or pops an actor tries.
const SINGLES: u64 = 3;
/// How many items a slice or a chunk has.
const BATCH: usize = 5;

/// One operation in one state. How far it came is how often it stored its index, and once more for
/// a close.
#[derive(Clone, Copy)]
struct OnRing {
    subject: &'static str,
    kind: Kind,
    state: State,
}

fn operations() -> impl Iterator<Item = OnRing> {
    KINDS.into_iter().flat_map(|(subject, kind)| {
        let states = match kind.role() {
            Role::Consumer => CONSUMER_STATES,
            _ => PRODUCER_STATES,
        };
        states.map(|state| OnRing {
            subject,
            kind,
            state,
        })
    })
}

/// The faults that are injected to be noticed here.
pub(super) const INJECTED: [Injected; 17] = [
    ("ring/push", Crash, PublishFirst, "by Victim, found"),
    ("ring/close", Crash, PublishLate, "took effect"),
    ("ring/peek", Crash, FreeFirst, "is lost"),
    ("ring/stop", Life, StopLost, "then PeerClosed"),
    ("ring/pop", Life, ResumeEarly, "starts at position"),
    ("ring/push", Life, ResumeLate, "starts at position"),
    ("ring/push", Crash, VictimHangs, "for the end of the victim"),
    ("ring/push", Crash, VictimSurvives, "went on to its end"),
    ("ring/push", Crash, SurvivorHangs, "no sign of life for"),
    ("ring/push", snapshots("empty"), PublishFirst, "by Victim"),
    ("ring/push", kills("empty"), PublishFirst, "by Victim"),
    ("ring/push", kills("empty"), RoleKept, "is still held after"),
    ("ring/push", pairs("empty"), PublishFirst, "by Victim"),
    ("ring/pop", pairs("tight"), FreeFirst, "popped: ("),
    ("ring/push", Life, WakesAgain, "woke somebody"),
    (wait::SLEEP, Life, AskLost, "a word of the successor"),
    (wait::WAKE, Life, WakeLost, "a word of the sleeper"),
];

pub(super) fn cases() -> Vec<Case> {
    let case = |operation| Case::of(operation, &[Points::Accesses, Points::Instructions]);
    operations().map(case).chain(wait::cases()).collect()
}

impl Kind {
    const fn role(self) -> Role {
        match self {
            Kind::Push | Kind::PushSlice | Kind::Chunk | Kind::Close => Role::Producer,
            Kind::Pop | Kind::PopSlice | Kind::Peek | Kind::Stop => Role::Consumer,
        }
    }

    const fn closes(self) -> bool {
        matches!(self, Kind::Close | Kind::Stop)
    }
}

type Sender<'a, M> = Producer<'a, Item, M>;
type Receiver<'a, M> = Consumer<'a, Item, M>;

/// What an actor has in its hands: items that it pushes or that it took.
struct Hands<'l> {
    items: [Item; BATCH],
    /// Of what is peeked at, half is released, or all.
    half: bool,
    /// Where to report what is delivered, if that is reported.
    ledger: Option<&'l Ledger>,
}

impl Hands<'_> {
    fn deliver(&self, position: u64, count: usize) {
        if let Some(ledger) = self.ledger {
            for (position, item) in (position..).zip(&self.items[..count]) {
                took(ledger, position, *item);
            }
        }
    }
}

fn pushed(outcome: Result<usize, PushError>) -> u64 {
    match outcome {
        Ok(count) => count as u64,
        Err(PushError::Full | PushError::Closed | PushError::PeerClosed) => 0,
        Err(_) => CORRUPT,
    }
}

fn popped(outcome: Result<usize, PopError>) -> u64 {
    match outcome {
        Ok(count) => count as u64,
        Err(PopError::Empty | PopError::PeerClosed | PopError::Closed) => 0,
        Err(_) => CORRUPT,
    }
}

#[inline(never)]
extern "C" fn push<M: Machine>(producer: &mut Sender<'_, M>, hands: &mut Hands<'_>) -> u64 {
    pushed(producer.push(hands.items[0]).map(|()| 1))
}

#[inline(never)]
extern "C" fn push_slice<M: Machine>(producer: &mut Sender<'_, M>, hands: &mut Hands<'_>) -> u64 {
    pushed(producer.push_slice(&hands.items))
}

/// Reserves, fills slot by slot, looks at each, and commits the first half.
#[inline(never)]
extern "C" fn chunk<M: Machine>(producer: &mut Sender<'_, M>, hands: &mut Hands<'_>) -> u64 {
    let mut chunk = match producer.reserve(BATCH) {
        Ok(chunk) => chunk,
        Err(refused) => return pushed(Err(refused)),
    };
    let half = chunk.len().div_ceil(2);
    for (index, item) in hands.items[..chunk.len()].iter().enumerate() {
        if chunk.set(index, *item).is_err() || chunk.get(index) != Some(*item) {
            return CORRUPT;
        }
    }
    match chunk.commit(half) {
        Ok(()) => half as u64,
        Err(_) => CORRUPT,
    }
}

#[inline(never)]
extern "C" fn close<M: Machine>(producer: &mut Sender<'_, M>, _: &mut Hands<'_>) -> u64 {
    producer.close();
    1
}

#[inline(never)]
extern "C" fn pop<M: Machine>(consumer: &mut Receiver<'_, M>, hands: &mut Hands<'_>) -> u64 {
    popped(consumer.pop().map(|item| {
        hands.items[0] = item;
        1
    }))
}

#[inline(never)]
extern "C" fn pop_slice<M: Machine>(consumer: &mut Receiver<'_, M>, hands: &mut Hands<'_>) -> u64 {
    popped(consumer.pop_slice(&mut hands.items))
}

/// Looks at a batch, handles the first half of what is there, or all, and releases that.
#[inline(never)]
extern "C" fn peek<M: Machine>(consumer: &mut Receiver<'_, M>, hands: &mut Hands<'_>) -> u64 {
    let chunk = match consumer.peek(BATCH) {
        Ok(chunk) => chunk,
        Err(refused) => return popped(Err(refused)),
    };
    let count = match hands.half {
        true => chunk.len().div_ceil(2),
        false => chunk.len(),
    };
    for (index, item) in hands.items[..count].iter_mut().enumerate() {
        match chunk.get(index) {
            Some(found) => *item = found,
            None => return CORRUPT,
        }
    }
    hands.deliver(chunk.position(), count);
    match chunk.release(count) {
        Ok(()) => count as u64,
        Err(_) => CORRUPT,
    }
}

/// The consumer's close.
#[inline(never)]
extern "C" fn stop<M: Machine>(consumer: &mut Receiver<'_, M>, _: &mut Hands<'_>) -> u64 {
    consumer.close();
    1
}

/// A successor learns where its predecessor stopped, and goes on.
macro_rules! succeed {
    ($name:ident: $end:ident, |$ours:ident, $hands:ident| $one:expr) => {
        #[inline(never)]
        extern "C" fn $name<M: Machine>(
            succession: &mut Succession<'_, Ring<Item>, M>,
            $hands: &mut Hands<'_>,
        ) -> u64 {
            let heritage = succession.heritage.take();
            // SAFETY: the parts go to this end alone.
            let parts = unsafe { succession.of.parts() };
            let (Some((memory, claim)), Ok(parts)) = (heritage, parts) else {
                return CORRUPT;
            };
            // SAFETY: the role is this process's, by the claim that the end keeps.
            let mut $ours = unsafe { $end::new(parts, memory, claim) };
            $one
        }
    };
}

succeed!(succeed_producer: Producer, |producer, hands| {
    pushed(producer.push(hands.items[0]).map(|()| 1))
});

succeed!(succeed_consumer: Consumer, |consumer, hands| {
    popped(consumer.pop().map(|item| {
        hands.items[0] = item;
        1
    }))
});

impl OnRing {
    fn read(&self, seed: u64) -> u64 {
        self.state.read(seed)
    }

    fn written(&self, seed: u64) -> u64 {
        self.state.written(seed)
    }

    /// By how many items each store of the actor's index moves it, one after the other, if the
    /// actor lives: said from the specification, not observed.
    fn steps(&self, who: Who, once: bool) -> Vec<u64> {
        let state = self.state;
        let room = match self.kind.role() {
            Role::Consumer if state.stopped => 0,
            Role::Consumer => state.live,
            // (A producer that takes over looks at once, and sees that the consumer closed it.)
            _ if state.closed || state.stopped => 0,
            _ => state.capacity - state.live,
        };
        if matches!(who, Who::Successor(_)) {
            return match self.before(who) {
                (_, true) => Vec::new(),
                (moved, false) => vec![1; (room - moved).min(1) as usize],
            };
        }
        let batch = room.min(BATCH as u64);
        let steps = match self.kind {
            Kind::Push | Kind::Pop if once => vec![room.min(1)],
            Kind::Push | Kind::Pop => vec![1; room.min(SINGLES) as usize],
            Kind::PushSlice | Kind::PopSlice => vec![batch],
            // Half a chunk, rounded up.
            Kind::Chunk => vec![batch.div_ceil(2)],
            Kind::Peek if once => vec![batch.div_ceil(2)],
            // Half of what was peeked at, then the rest.
            Kind::Peek => vec![batch.div_ceil(2), room - batch.div_ceil(2)],
            // After one item.
            Kind::Close | Kind::Stop => vec![room.min(1)],
        };
        steps.into_iter().filter(|step| *step > 0).collect()
    }

    /// What was done before the actor came by one whom it succeeds: the items that it moved, and
    /// whether it closed the ring.
    fn before(&self, who: Who) -> (u64, bool) {
        let Who::Successor(reached) = who else {
            return (0, false);
        };
        let steps = self.steps(Who::Victim, true);
        let stores = steps.len().min(reached as usize);
        (steps[..stores].iter().sum(), reached as usize > stores)
    }

    /// Whether the one who dies may be one that closes the ring.
    fn may_close(&self, who: Who) -> bool {
        who == Who::Victim && self.kind.closes()
    }

    fn produce<S: Memories>(
        &self,
        mut producer: Sender<'_, S::Memory<'_>>,
        actor: &Actor<'_, S>,
    ) -> Result<()> {
        let mut hands = hands();
        if self.kind == Kind::Close && producer.push(actor.item(producer.position())).is_ok() {
            actor.committed(producer.position());
        }
        let times = match self.kind {
            Kind::Push => SINGLES,
            _ => 1,
        };
        for _ in 0..actor.repeats(times) {
            let start = producer.position();
            hands.items = std::array::from_fn(|index| actor.item(start + index as u64));
            let (on, with) = (&mut producer, &mut hands);
            let count = match self.kind {
                Kind::Push => actor.call(push, on, with)?,
                Kind::PushSlice => actor.call(push_slice, on, with)?,
                Kind::Chunk => actor.call(chunk, on, with)?,
                Kind::Close => actor.call(close, on, with)?,
                _ => bail!("a producer cannot consume"),
            };
            if count == 0 {
                break;
            }
            actor.committed(producer.position());
        }
        // And one that is written and not committed.
        if self.kind == Kind::Chunk
            && !actor.once
            && let Ok(mut chunk) = producer.reserve(1)
        {
            chunk.set(0, actor.item(u64::MAX))?;
        }
        Ok(())
    }

    fn consume<S: Memories>(
        &self,
        mut consumer: Receiver<'_, S::Memory<'_>>,
        actor: &Actor<'_, S>,
    ) -> Result<()> {
        let mut hands = Hands {
            ledger: (!actor.once).then_some(actor.ledger),
            ..hands()
        };
        let start = consumer.position();
        if self.kind == Kind::Stop
            && let Ok(item) = consumer.pop()
        {
            took(actor.ledger, start, item);
        }
        let times = match self.kind {
            Kind::Pop => SINGLES,
            Kind::Peek => 2,
            _ => 1,
        };
        for round in 0..actor.repeats(times) {
            let start = consumer.position();
            hands.half = round == 0;
            let (on, with) = (&mut consumer, &mut hands);
            let count = match self.kind {
                Kind::Pop => actor.call(pop, on, with)?,
                Kind::PopSlice => actor.call(pop_slice, on, with)?,
                Kind::Peek => actor.call(peek, on, with)?,
                Kind::Stop => actor.call(stop, on, with)?,
                _ => bail!("a consumer cannot produce"),
            };
            if count == 0 {
                break;
            }
            if matches!(self.kind, Kind::Pop | Kind::PopSlice) {
                hands.ledger = Some(actor.ledger);
                hands.deliver(start, count as usize);
            }
        }
        Ok(())
    }

    fn producer_dies(&self, at: &mut Judgement<'_>) -> Result<u64> {
        let (seed, who, state) = (at.setting.seed, at.who, self.state);
        let ring = Ring::<Item>::attach_fd(at.segment()?)?;
        let mut survivor = ring.consumer()?;
        // So that it knows of what is there already.
        let _ = survivor.peek(1);
        let (moved, closed) = self.before(who);
        let (closed, steps) = (closed || state.closed, self.steps(who, at.once));
        let start = self.written(seed) + moved;
        let authors = |committed| {
            let victim = match who {
                Who::Victim => committed,
                Who::Successor(_) => start,
            };
            [
                (self.written(seed), Author::Setup),
                (victim, Author::Victim),
                (committed, Author::Successor),
            ]
        };
        let death = (at.die)(&mut |so_far| {
            ensure_kept(ring.segment(), Role::Producer)?;
            let stores = so_far.count(StoreSite::RingPublish).unwrap_or_default();
            let committed = start + reach(&steps, stores)?;
            let authors = authors(committed);
            let expected = |position| expected(seed, &authors, position);
            ensure_sees(&mut survivor, committed, state.stopped, &expected)
        })?;

        // What took effect before the death is decided by which accesses were made, or is seen.
        let stores = match death.count(StoreSite::RingPublish) {
            Some(stores) => stores,
            None => {
                let found = survivor.position() + survivor.occupancy()?;
                progress("write_index", start, &steps, found)?
            }
        };
        let committed = start + reach(&steps, stores)?;
        if let Some(reported) = death.committed() {
            ensure!(
                reported <= committed,
                "a push up to position {reported} returned, but only {committed} took effect"
            );
        }
        let authors = authors(committed);
        let expected = |position| expected(seed, &authors, position);

        // The survivor goes on while there is no producer,
        if survivor.position() < committed && !state.stopped {
            take(&mut survivor, &expected)?;
        }
        // and then there is a successor, who finds exactly that.
        let claim = at.succeed(&death, ring.segment(), Role::Producer, 1)?;
        // SAFETY: the parts go to this producer alone.
        let parts = unsafe { ring.parts() }?;
        let memory = at.successor_memory(parts.write_index);
        // SAFETY: the producer's role is this process's, by the claim that the producer keeps.
        let mut successor = unsafe { Producer::new(parts, memory, Some(claim)) };
        same(
            "the successor starts at position",
            successor.position(),
            committed,
        )?;
        let reported = successor.is_closed();
        let ends = self.ends(&death, who, StoreSite::RingEnd, (closed, reported))?;
        if ends || state.stopped {
            let refused = if ends {
                PushError::Closed
            } else {
                PushError::PeerClosed
            };
            ensure_pushed(&mut successor, (0, refused), &expected)?;
            ensure_stopped(&mut successor, state.stopped)?;
        } else {
            go_on(&mut successor, &mut survivor, &expected)?;
            successor.close();
        }
        if state.stopped {
            ensure_takes_no_more(&mut survivor, successor.position())?;
        } else {
            finish(&mut survivor, successor.position(), &expected)?;
        }
        Ok(stores + u64::from(ends && self.may_close(who)))
    }

    /// Whether the side of the one who died closed the ring. `before` it had, perhaps; its successor
    /// reports that it has, perhaps.
    fn ends(
        &self,
        death: &Death,
        who: Who,
        site: StoreSite,
        (before, reported): (bool, bool),
    ) -> Result<bool> {
        let ends = match death.count(site) {
            Some(stores) => before || stores > 0,
            None => reported,
        };
        let can_be = ends == before || (ends && self.may_close(who));
        ensure!(
            reported == ends && can_be,
            "this side of the ring is closed for the successor: {reported}, it was closed: {ends}; \
             before: {before}"
        );
        Ok(ends)
    }

    fn consumer_dies(&self, at: &mut Judgement<'_>) -> Result<u64> {
        let (seed, who, state) = (at.setting.seed, at.who, self.state);
        let ring = Ring::<Item>::attach_fd(at.segment()?)?;
        let mut survivor = ring.producer()?;
        let (moved, closed) = self.before(who);
        let (closed, steps) = (closed || state.stopped, self.steps(who, at.once));
        let (start, written) = (self.read(seed) + moved, self.written(seed));
        let authors = [(written, Author::Setup)];
        let expected = |position| expected(seed, &authors, position);
        let death = (at.die)(&mut |so_far| {
            ensure_kept(ring.segment(), Role::Consumer)?;
            let stores = so_far.count(StoreSite::RingFree).unwrap_or_default();
            let left = written - start - reach(&steps, stores)?;
            same("items that the producer sees", survivor.occupancy()?, left)
        })?;

        // What took effect before the death is decided by which accesses were made, or is seen.
        let stores = match death.count(StoreSite::RingFree) {
            Some(stores) => stores,
            None => progress("read_index", start, &steps, written - survivor.occupancy()?)?,
        };
        let released = start + reach(&steps, stores)?;
        let stops = match death.count(StoreSite::RingStop) {
            Some(stores) => closed || stores > 0,
            None => survivor.is_peer_closed()?,
        };

        if let Some(taken) = death.taken() {
            for (place, (position, item)) in taken.iter().enumerate() {
                ensure!(
                    *position == start + place as u64 && *item == expected(*position),
                    "the victim's delivery {place} was {item:?} at position {position}, \
                     expected {:?}",
                    expected(start + place as u64)
                );
            }
            let delivered = start + taken.len() as u64;
            match self.kind {
                // At least once: nothing is released that was not delivered.
                Kind::Peek => ensure!(
                    delivered >= released,
                    "released up to position {released}, but delivered only up to {delivered}: \
                     item {delivered} is lost"
                ),
                // At most once: nothing is delivered that was not released, and what is lost with
                // the victim was in its hands.
                _ => {
                    let last = stores.checked_sub(1).map_or(0, |last| steps[last as usize]);
                    ensure!(
                        delivered <= released && released <= delivered + last,
                        "delivered up to position {delivered}, released up to {released}, \
                         {last} items in the last call"
                    );
                }
            }
        }

        // The survivor goes on while there is no consumer: it has exactly the room that was freed.
        let room = state.capacity - (written - released);
        let wanted = match (state.closed, stops) {
            (true, _) => (0, PushError::Closed),
            (false, true) => (room, PushError::PeerClosed),
            (false, false) => (room, PushError::Full),
        };
        ensure_pushed(&mut survivor, wanted, &expected)?;
        ensure_stopped(&mut survivor, stops)?;

        // Then there is a successor, who finds exactly what was not released.
        let claim = at.succeed(&death, ring.segment(), Role::Consumer, 1)?;
        // SAFETY: the parts go to this consumer alone.
        let parts = unsafe { ring.parts() }?;
        let memory = at.successor_memory(parts.read_index);
        // SAFETY: the consumer's role is this process's, by the claim that the consumer keeps.
        let mut successor = unsafe { Consumer::new(parts, memory, Some(claim)) };
        same(
            "the successor starts at position",
            successor.position(),
            released,
        )?;
        let reported = successor.is_closed();
        self.ends(&death, who, StoreSite::RingStop, (closed, reported))?;
        if stops {
            ensure_takes_no_more(&mut successor, survivor.position())?;
        } else {
            if !state.closed {
                go_on(&mut survivor, &mut successor, &expected)?;
                survivor.close();
            }
            finish(&mut successor, survivor.position(), &expected)?;
        }
        Ok(stores + u64::from(stops && self.may_close(who)))
    }
}

fn hands() -> Hands<'static> {
    Hands {
        items: [Item::zeroed(); BATCH],
        half: true,
        ledger: None,
    }
}

impl Operation for OnRing {
    fn names(&self) -> (&'static str, &'static str) {
        (self.subject, self.state.name)
    }

    fn set_up(&self, seed: u64) -> Result<OwnedFd> {
        self.state.set_up(seed)
    }

    fn act<S: Memories>(&self, actor: Actor<'_, S>) -> Result<()> {
        let ring = Ring::<Item>::attach_fd(actor.segment()?)?;
        let role = self.kind.role();
        let claim = actor.claim(ring.segment(), role)?;
        // SAFETY: the parts go to one endpoint of this process alone.
        let parts = unsafe { ring.parts() }?;
        let memory = actor.memory(Some(match role {
            Role::Consumer => parts.read_index,
            _ => parts.write_index,
        }));
        if let Who::Successor(_) = actor.who {
            let mut hands = hands();
            hands.items[0] = actor.item(self.written(actor.seed) + self.before(actor.who).0);
            let mut succession = Succession {
                of: &ring,
                heritage: Some((memory, claim)),
            };
            let (of, with) = (&mut succession, &mut hands);
            let answer = match role {
                Role::Consumer => actor.call(succeed_consumer, of, with),
                _ => actor.call(succeed_producer, of, with),
            };
            return answer.map(drop);
        }
        // SAFETY: the role is this process's, by the claim that the endpoint keeps.
        unsafe {
            match role {
                Role::Consumer => self.consume(Consumer::new(parts, memory, claim), &actor),
                _ => self.produce(Producer::new(parts, memory, claim), &actor),
            }
        }
    }

    fn judge(&self, at: &mut Judgement<'_>) -> Result<u64> {
        let reached = match self.kind.role() {
            Role::Consumer => self.consumer_dies(at),
            _ => self.producer_dies(at),
        }?;
        // What those who are dead asked for costs each who stores an index one call, and nothing if nobody asked.
        let ring = Ring::<Item>::attach_fd(at.segment()?)?;
        for seen in Inspection::of_segment(ring.segment())?.roles {
            let storing = match at.who {
                _ if self.state.asks == 0 => 0..=0,
                // (Who finds the ring closed stores no more.)
                _ if seen.role != self.kind.role() && self.kind == Kind::Stop => 0..=1,
                _ if seen.role != self.kind.role() => 1..=1,
                Who::Victim => 1..=2,
                Who::Successor(_) => 1..=3,
            };
            ensure!(
                storing.contains(&seen.wakes),
                "calls by which the {}s woke somebody: {}, expected {storing:?}",
                seen.role,
                seen.wakes
            );
        }
        Ok(reached)
    }

    fn goal(&self, who: Who, once: bool) -> u64 {
        self.steps(who, once).len() as u64 + u64::from(self.may_close(who))
    }

    fn answer(&self, who: Who) -> u64 {
        match self.may_close(who) {
            true => 1,
            false => self.steps(who, true).first().copied().unwrap_or_default(),
        }
    }
}
