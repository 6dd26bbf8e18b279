//! The ring: a producer or a consumer dies, its peer and its successor go on.

use anyhow::{Context, Result, bail, ensure};
use ringproof::memory::Memory;
use ringproof::site::StoreSite;
use ringproof::{PopError, PushError, Ring, RingOptions, Role, ring};

use crate::crash::trial::{Case, Trial, Victim, attach, ensure_kept};
use crate::ends::{Consumer, Producer};
use crate::fault::Faulty;
use crate::item::{Author, Item};

/// What a ring is like before the victim comes.
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
    }
}

const fn tiny(name: &'static str, live: u64) -> State {
    State {
        slots: 1,
        capacity: 1,
        ..state(name, 0, live)
    }
}

const fn closed(name: &'static str, live: u64) -> State {
    State {
        closed: true,
        ..state(name, 0, live)
    }
}

const fn stopped(name: &'static str, live: u64) -> State {
    State {
        stopped: true,
        ..state(name, 0, live)
    }
}

const BOTH_CLOSED: State = State {
    closed: true,
    ..stopped("both-closed", 2)
};

/// For the producer: `wrap` writes the last slot and then the first.
const PRODUCER_STATES: [State; 10] = [
    state("empty", 0, 0),
    state("one", 2, 1),
    state("full", 1, 6),
    state("wrap", 6, 1),
    closed("closed", 2),
    stopped("stopped", 2),
    stopped("stopped-full", 6),
    BOTH_CLOSED,
    tiny("tiny-empty", 0),
    tiny("tiny-full", 1),
];

/// For the consumer: `wrap` reads the last slot and then the first.
const CONSUMER_STATES: [State; 10] = [
    state("empty", 0, 0),
    state("one", 2, 1),
    state("full", 1, 6),
    state("wrap", 6, 4),
    closed("closed", 2),
    closed("ended", 0),
    stopped("stopped", 2),
    BOTH_CLOSED,
    tiny("tiny-empty", 0),
    tiny("tiny-full", 1),
];

/// What a victim does.
#[derive(Clone, Copy)]
enum Operation {
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

const OPERATIONS: [(&str, Operation); 8] = [
    ("ring/push", Operation::Push),
    ("ring/push_slice", Operation::PushSlice),
    ("ring/chunk", Operation::Chunk),
    ("ring/close", Operation::Close),
    ("ring/pop", Operation::Pop),
    ("ring/pop_slice", Operation::PopSlice),
    ("ring/peek", Operation::Peek),
    ("ring/stop", Operation::Stop),
];

/// How many single pushes or pops a victim tries.
const SINGLES: u64 = 3;
/// How many items a slice or a chunk has.
const BATCH: u64 = 5;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (subject, operation) in OPERATIONS {
        let consumes = operation.role() == Role::Consumer;
        let states: &[State] = match operation.role() {
            Role::Consumer => &CONSUMER_STATES,
            _ => &PRODUCER_STATES,
        };
        for state in states {
            cases.push(Case::new(subject, state.name, move |trial| {
                if consumes {
                    consumer_dies(trial, *state, operation)
                } else {
                    producer_dies(trial, *state, operation)
                }
            }));
        }
    }
    cases
}

impl Operation {
    const fn role(self) -> Role {
        match self {
            Operation::Push | Operation::PushSlice | Operation::Chunk | Operation::Close => {
                Role::Producer
            }
            Operation::Pop | Operation::PopSlice | Operation::Peek | Operation::Stop => {
                Role::Consumer
            }
        }
    }

    /// By how many items each store of the victim's index moves it, one after the other, if the
    /// victim lives: said from the specification, not observed.
    fn steps(self, state: State) -> Vec<u64> {
        let room = match self.role() {
            Role::Consumer if state.stopped => 0,
            Role::Consumer => state.live,
            // (A producer that takes over looks at once, and sees that the consumer closed it.)
            _ if state.closed || state.stopped => 0,
            _ => state.capacity - state.live,
        };
        let steps = match self {
            Operation::Push | Operation::Pop => vec![1; room.min(SINGLES) as usize],
            Operation::PushSlice | Operation::PopSlice => vec![room.min(BATCH)],
            // Half a chunk, rounded up.
            Operation::Chunk => vec![room.min(BATCH).div_ceil(2)],
            Operation::Close | Operation::Stop => vec![room.min(1)],
            // Half of what was peeked at, then the rest.
            Operation::Peek => {
                let half = room.min(BATCH).div_ceil(2);
                vec![half, room - half]
            }
        };
        steps.into_iter().filter(|step| *step > 0).collect()
    }
}

/// How far the first `count` of `steps` go.
fn reach(steps: &[u64], count: usize) -> Result<u64> {
    ensure!(
        count <= steps.len(),
        "the victim stored its index {count} times, the operation allows {}",
        steps.len()
    );
    Ok(steps[..count].iter().sum())
}

/// A ring in `state`, with both ends.
fn furnish(
    trial: &Trial<'_>,
    ring: &Ring<Item>,
    state: State,
) -> Result<(ringproof::Producer<Item>, ringproof::Consumer<Item>)> {
    let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    for position in 0..first(trial, state) + state.live {
        producer.push(trial.item(Author::Setup, position))?;
        if position < first(trial, state) {
            consumer.pop()?;
        }
    }
    if state.closed {
        producer.close();
    }
    if state.stopped {
        consumer.close();
    }
    Ok((producer, consumer))
}

/// The position of the oldest live item: some laps, as many as the seed says, and what the
/// state says.
fn first(trial: &Trial<'_>, state: State) -> u64 {
    state.passed + trial.seed() % 4 * state.slots
}

fn producer_dies(trial: &Trial<'_>, state: State, operation: Operation) -> Result<()> {
    let options = RingOptions::new(state.capacity).slots(state.slots);
    let ring = Ring::<Item>::anonymous(&options)?;
    let (producer, mut survivor) = furnish(trial, &ring, state)?;
    // The victim takes its place.
    drop(producer);
    let written = survivor.position() + state.live;

    let body = |victim: &Victim<'_>| {
        let ring = Ring::<Item>::attach_fd(attach(&ring)?)?;
        let claim = ring.claim_through(&victim.memory(), Role::Producer)?;
        // SAFETY: the parts go to this producer alone.
        let parts = unsafe { ring.parts() }?;
        let memory = victim
            .memory()
            .map(|faults| faults.with_index(parts.write_index));
        // SAFETY: the producer's role is this process's, by the claim that the producer keeps.
        let mut producer = unsafe { Producer::new(parts, memory, victim.keep(claim)) };
        produce(&mut producer, victim, operation)
    };
    let steps = operation.steps(state);
    let death = trial.victim(body, |so_far| {
        ensure_kept(&ring, Role::Producer)?;
        let committed = written + reach(&steps, so_far.count(StoreSite::RingPublish))?;
        ensure_sees(&mut survivor, committed, state.stopped, &|position| {
            let author = match position < written {
                true => Author::Setup,
                false => Author::Victim,
            };
            trial.item(author, position)
        })
    })?;

    // What took effect before the death is decided by which accesses were made.
    let published = death.count(StoreSite::RingPublish);
    let committed = written + reach(&steps, published)?;
    let ends = state.closed || death.count(StoreSite::RingEnd) > 0;
    if !death.killed {
        ensure!(published == steps.len(), "{published} commits of {steps:?}");
        let closes = matches!(operation, Operation::Close);
        ensure!(ends == (state.closed || closes), "closed: {ends}");
    }
    if let Some(told) = death.committed() {
        ensure!(
            told <= committed,
            "a push up to position {told} returned, but only {committed} took effect"
        );
    }
    let author = |position| {
        if position < written {
            Author::Setup
        } else if position < committed {
            Author::Victim
        } else {
            Author::Successor
        }
    };
    let expected = |position| trial.item(author(position), position);

    // The survivor goes on while there is no producer,
    if survivor.position() < committed && !state.stopped {
        take(&mut survivor, &expected)?;
    }
    // and then there is a successor, who finds exactly that.
    let claim = trial.succeed(&death, &ring, Role::Producer, 1)?;
    // SAFETY: the parts go to this producer alone.
    let parts = unsafe { ring.parts() }?;
    let memory = trial.successor_memory(parts.write_index);
    // SAFETY: the producer's role is this process's, by the claim that the producer keeps.
    let mut successor = unsafe { Producer::new(parts, memory, Some(claim)) };
    ensure!(
        successor.position() == committed,
        "the successor starts at position {}, the victim committed up to {committed}",
        successor.position()
    );
    ensure!(
        successor.is_closed() == ends,
        "the ring is closed for the successor: {}, it was closed: {ends}",
        successor.is_closed()
    );
    if ends || state.stopped {
        let wanted = match ends {
            true => (0, PushError::Closed),
            false => (0, PushError::Stopped),
        };
        ensure_pushed(&mut successor, wanted, &expected)?;
        ensure_stopped(&mut successor, state.stopped)?;
    } else {
        go_on(&mut successor, &mut survivor, &expected)?;
        successor.close();
    }
    if state.stopped {
        return ensure_takes_no_more(&mut survivor, successor.position());
    }
    finish(&mut survivor, successor.position(), &expected)
}

fn consumer_dies(trial: &Trial<'_>, state: State, operation: Operation) -> Result<()> {
    let options = RingOptions::new(state.capacity).slots(state.slots);
    let ring = Ring::<Item>::anonymous(&options)?;
    let (mut survivor, consumer) = furnish(trial, &ring, state)?;
    // The victim takes its place.
    drop(consumer);
    let written = survivor.position();
    let read = written - state.live;

    let body = |victim: &Victim<'_>| {
        let ring = Ring::<Item>::attach_fd(attach(&ring)?)?;
        let claim = ring.claim_through(&victim.memory(), Role::Consumer)?;
        // SAFETY: the parts go to this consumer alone.
        let parts = unsafe { ring.parts() }?;
        let memory = victim
            .memory()
            .map(|faults| faults.with_index(parts.read_index));
        // SAFETY: the consumer's role is this process's, by the claim that the consumer keeps.
        let mut consumer = unsafe { Consumer::new(parts, memory, victim.keep(claim)) };
        consume(&mut consumer, victim, operation)
    };
    let steps = operation.steps(state);
    let death = trial.victim(body, |so_far| {
        ensure_kept(&ring, Role::Consumer)?;
        let released = read + reach(&steps, so_far.count(StoreSite::RingFree))?;
        let found = survivor.occupancy()?;
        ensure!(
            found == written - released,
            "the producer sees {found} items in the ring, expected {}",
            written - released
        );
        Ok(())
    })?;

    // What took effect before the death is decided by which accesses were made.
    let freed = death.count(StoreSite::RingFree);
    let released = read + reach(&steps, freed)?;
    let stops = state.stopped || death.count(StoreSite::RingStop) > 0;
    if !death.killed {
        ensure!(freed == steps.len(), "{freed} releases of {steps:?}");
        let closes = matches!(operation, Operation::Stop);
        ensure!(stops == (state.stopped || closes), "stopped: {stops}");
    }
    let expected = |position| {
        let author = if position < written {
            Author::Setup
        } else {
            Author::Survivor
        };
        trial.item(author, position)
    };

    let taken = death.taken();
    for (place, (position, item)) in taken.iter().enumerate() {
        ensure!(
            *position == read + place as u64 && *item == expected(*position),
            "the victim's delivery {place} was {item:?} at position {position}, expected {:?}",
            expected(read + place as u64)
        );
    }
    let delivered = read + taken.len() as u64;
    match operation {
        // At least once: nothing is released that was not delivered.
        Operation::Peek => ensure!(
            delivered >= released,
            "released up to position {released}, but delivered only up to {delivered}: \
             item {delivered} is lost"
        ),
        // At most once: nothing is delivered that was not released, and what is lost with the
        // victim was in its hands.
        _ => {
            let last = freed.checked_sub(1).map_or(0, |last| steps[last]);
            ensure!(
                delivered <= released && released <= delivered + last,
                "delivered up to position {delivered}, released up to {released}, \
                 {last} items in the last call"
            );
        }
    }

    // The survivor goes on while there is no consumer: it has exactly the room that was freed.
    let room = state.capacity - (written - released);
    let wanted = match (state.closed, stops) {
        (true, _) => (0, PushError::Closed),
        (false, true) => (room, PushError::Stopped),
        (false, false) => (room, PushError::Full),
    };
    ensure_pushed(&mut survivor, wanted, &expected)?;
    ensure_stopped(&mut survivor, stops)?;

    // Then there is a successor, who finds exactly what was not released.
    let claim = trial.succeed(&death, &ring, Role::Consumer, 1)?;
    // SAFETY: the parts go to this consumer alone.
    let parts = unsafe { ring.parts() }?;
    let memory = trial.successor_memory(parts.read_index);
    // SAFETY: the consumer's role is this process's, by the claim that the consumer keeps.
    let mut successor = unsafe { Consumer::new(parts, memory, Some(claim)) };
    ensure!(
        successor.position() == released,
        "the successor starts at position {}, the victim released up to {released}",
        successor.position()
    );
    ensure!(
        successor.is_closed() == stops,
        "the consumer's side is closed for the successor: {}, it was closed: {stops}",
        successor.is_closed()
    );
    if stops {
        return ensure_takes_no_more(&mut successor, survivor.position());
    }
    if !state.closed {
        go_on(&mut survivor, &mut successor, &expected)?;
        survivor.close();
    }
    finish(&mut successor, survivor.position(), &expected)
}

/// What a victim that produces does.
fn produce(
    producer: &mut Producer<'_, Item, Faulty<'_>>,
    victim: &Victim<'_>,
    operation: Operation,
) -> Result<()> {
    let start = producer.position();
    match operation {
        Operation::Push => {
            for sequence in start..start + SINGLES {
                if refusal(producer.push(victim.item(sequence)))?.is_none() {
                    break;
                }
                victim.committed(sequence + 1);
            }
        }
        Operation::PushSlice => {
            let items: Vec<_> = (start..start + BATCH).map(|s| victim.item(s)).collect();
            if let Some(count) = refusal(producer.push_slice(&items))? {
                victim.committed(start + count as u64);
            }
        }
        Operation::Chunk => {
            let Some(mut chunk) = refusal(producer.reserve(BATCH as usize))? else {
                return Ok(());
            };
            let len = chunk.len();
            for index in 0..len {
                let item = victim.item(start + index as u64);
                chunk.set(index, item)?;
                ensure!(
                    chunk.get(index) == Some(item),
                    "slot {index} reads otherwise"
                );
            }
            let half = len.div_ceil(2);
            chunk.commit(half)?;
            victim.committed(start + half as u64);
            // And one that is written and not committed.
            if let Some(mut chunk) = refusal(producer.reserve(1))? {
                chunk.set(0, victim.item(u64::MAX))?;
            }
        }
        Operation::Close => {
            if refusal(producer.push(victim.item(start)))?.is_some() {
                victim.committed(start + 1);
            }
            producer.close();
        }
        Operation::Pop | Operation::PopSlice | Operation::Peek | Operation::Stop => {
            bail!("a producer cannot consume")
        }
    }
    Ok(())
}

/// `None` if the ring takes no more.
fn refusal<R>(outcome: Result<R, PushError>) -> Result<Option<R>> {
    match outcome {
        Ok(done) => Ok(Some(done)),
        Err(PushError::Full | PushError::Closed | PushError::Stopped) => Ok(None),
        Err(corrupt) => Err(corrupt).context("the victim's push"),
    }
}

/// What a victim that consumes does.
fn consume(
    consumer: &mut Consumer<'_, Item, Faulty<'_>>,
    victim: &Victim<'_>,
    operation: Operation,
) -> Result<()> {
    let start = consumer.position();
    match operation {
        Operation::Pop => {
            for position in start..start + SINGLES {
                let Some(item) = lack(consumer.pop())? else {
                    break;
                };
                victim.took(position, item);
            }
        }
        Operation::PopSlice => {
            let mut items = [bytemuck::Zeroable::zeroed(); BATCH as usize];
            if let Some(count) = lack(consumer.pop_slice(&mut items))? {
                for (position, item) in (start..).zip(&items[..count]) {
                    victim.took(position, *item);
                }
            }
        }
        Operation::Peek => {
            let mut delivered = start;
            for half in [true, false] {
                let Some(chunk) = lack(consumer.peek(BATCH as usize))? else {
                    break;
                };
                // Those that the first chunk did not release are delivered once.
                let known = delivered - chunk.position();
                for (index, position) in (0..chunk.len()).zip(chunk.position()..) {
                    let item = chunk.get(index).context("no such item in the chunk")?;
                    if index as u64 >= known {
                        victim.took(position, item);
                        delivered += 1;
                    }
                }
                if half {
                    let count = chunk.len().div_ceil(2);
                    chunk.release(count)?;
                } else {
                    chunk.release_all();
                }
            }
        }
        Operation::Stop => {
            if let Some(item) = lack(consumer.pop())? {
                victim.took(start, item);
            }
            consumer.close();
        }
        Operation::Push | Operation::PushSlice | Operation::Chunk | Operation::Close => {
            bail!("a consumer cannot produce")
        }
    }
    Ok(())
}

/// `None` if the ring has no more.
fn lack<R>(outcome: Result<R, PopError>) -> Result<Option<R>> {
    match outcome {
        Ok(done) => Ok(Some(done)),
        Err(PopError::Empty | PopError::Ended | PopError::Closed) => Ok(None),
        Err(corrupt) => Err(corrupt).context("the victim's pop"),
    }
}

/// Pushes until that is refused: for the reason that is `wanted`, and after as many items; at most
/// as many where the consumer closed the ring, which a producer sees whenever it looks.
fn ensure_pushed<M: Memory, K>(
    producer: &mut ring::Producer<'_, Item, M, K>,
    wanted: (u64, PushError),
    expected: &dyn Fn(u64) -> Item,
) -> Result<()> {
    let mut pushed = 0;
    let refused = loop {
        match producer.push(expected(producer.position())) {
            Ok(()) => pushed += 1,
            Err(refused) => break refused,
        }
        ensure!(pushed <= wanted.0, "it takes more than {} items", wanted.0);
    };
    ensure!(
        refused == wanted.1 && (pushed == wanted.0 || refused == PushError::Stopped),
        "the producer pushed {pushed} items, then {refused:?}; expected {}, then {:?}",
        wanted.0,
        wanted.1
    );
    Ok(())
}

/// The producer knows whether the consumer closed the ring.
fn ensure_stopped<M: Memory, K>(
    producer: &mut ring::Producer<'_, Item, M, K>,
    expected: bool,
) -> Result<()> {
    let found = producer.peer_closed();
    ensure!(
        found == Ok(expected),
        "whether the consumer closed the ring: {found:?}, expected {expected}"
    );
    Ok(())
}

/// A consumer that closed the ring takes no more of what was committed up to `written`.
pub(crate) fn ensure_takes_no_more<M: Memory, K>(
    consumer: &mut ring::Consumer<'_, Item, M, K>,
    written: u64,
) -> Result<()> {
    let refused = consumer.pop();
    ensure!(
        refused == Err(PopError::Closed),
        "a pop from a ring closed from this side: {refused:?}"
    );
    let (left, expected) = (consumer.occupancy()?, written - consumer.position());
    ensure!(
        left == expected,
        "{left} items were not taken, expected {expected}"
    );
    Ok(())
}

/// Without taking anything: what was committed up to `written` is there, and right, unless this
/// side closed the ring.
fn ensure_sees<M: Memory, K>(
    consumer: &mut ring::Consumer<'_, Item, M, K>,
    written: u64,
    stopped: bool,
    expected: &dyn Fn(u64) -> Item,
) -> Result<()> {
    let (position, found) = (consumer.position(), consumer.occupancy()?);
    ensure!(
        found == written - position,
        "the consumer sees {found} items in the ring, expected {}",
        written - position
    );
    if stopped || found == 0 {
        return Ok(());
    }
    let chunk = consumer.peek(found as usize)?;
    for (index, position) in (0..chunk.len()).zip(position..) {
        let (found, expected) = (chunk.get(index), expected(position));
        ensure!(
            found == Some(expected),
            "at position {position}: expected {expected:?}, found {found:?}"
        );
    }
    Ok(())
}

/// Takes the next item, which must be there and the right one.
pub(crate) fn take<M: Memory, K>(
    consumer: &mut ring::Consumer<'_, Item, M, K>,
    expected: &dyn Fn(u64) -> Item,
) -> Result<()> {
    let position = consumer.position();
    let found = consumer
        .pop()
        .with_context(|| format!("at position {position}, expected {:?}", expected(position)))?;
    ensure!(
        found == expected(position),
        "at position {position}: expected {:?}, found {found:?}",
        expected(position)
    );
    Ok(())
}

/// Both ends live again and pass on items for two laps, one by one and in batches, from full to
/// empty.
pub(crate) fn go_on<M: Memory, N: Memory, K, L>(
    producer: &mut ring::Producer<'_, Item, M, K>,
    consumer: &mut ring::Consumer<'_, Item, N, L>,
    expected: &dyn Fn(u64) -> Item,
) -> Result<()> {
    let capacity = producer.capacity();
    let end = producer.position() + 2 * capacity + 1;
    while producer.position() < end {
        let full = consumer.position() + capacity;
        let (one, rest) = (producer.position(), producer.position() + 1);
        if one < full {
            producer
                .push(expected(one))
                .context("a push into a free slot")?;
        }
        if rest < full {
            let items: Vec<_> = (rest..full).map(expected).collect();
            let count = producer
                .push_slice(&items)
                .context("a slice into free slots")?;
            ensure!(
                count == items.len(),
                "{count} of {} items found room",
                items.len()
            );
        }
        let more = producer.push(expected(full));
        ensure!(more == Err(PushError::Full), "a full ring answers {more:?}");
        take(consumer, expected)?;
        while consumer.position() < full {
            let chunk = consumer.peek(3).context("a look at committed items")?;
            for (index, position) in (0..chunk.len()).zip(chunk.position()..) {
                ensure!(
                    chunk.get(index) == Some(expected(position)),
                    "at position {position}: expected {:?}, found {:?}",
                    expected(position),
                    chunk.get(index)
                );
            }
            chunk.release_all();
        }
        let more = consumer.pop();
        ensure!(
            more == Err(PopError::Empty),
            "an empty ring answers {more:?}"
        );
    }
    Ok(())
}

/// Takes what is left of a ring that was closed at position `end`.
pub(crate) fn finish<M: Memory, K>(
    consumer: &mut ring::Consumer<'_, Item, M, K>,
    end: u64,
    expected: &dyn Fn(u64) -> Item,
) -> Result<()> {
    for _ in 0..=consumer.capacity() {
        let position = consumer.position();
        match consumer.pop() {
            Ok(found) => ensure!(
                found == expected(position),
                "at position {position}: expected {:?}, found {found:?}",
                expected(position)
            ),
            Err(PopError::Ended) if position == end => return Ok(()),
            Err(PopError::Ended) => bail!("the ring ends at position {position}, not at {end}"),
            Err(other) => bail!("at position {position} of a closed ring: {other}"),
        }
    }
    bail!("a closed ring does not end")
}
