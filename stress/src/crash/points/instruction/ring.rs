//! The ring's operations.

use std::fs::File;
use std::hint::black_box;
use std::os::fd::OwnedFd;

use anyhow::{Result, bail, ensure};
use bytemuck::Zeroable;
use ringproof::memory::{Memory, Native};
use ringproof::{Claim, Ring, RingOptions, Role};

use super::entries::{self, BATCH};
use super::image;
use super::scenario::{Actor, Scenario, descriptor};
use super::tracee::Stage;
use crate::crash::operations::ring::{ensure_takes_no_more, finish, go_on, take};
use crate::crash::trial::ensure_free;
use crate::ends::{Consumer, Producer};
use crate::fault::{Fault, faulty};
use crate::item::{Author, Item};
use crate::process::Note;

/// What a ring is like before: items that went through it, and items in it.
#[derive(Clone, Copy)]
struct State {
    name: &'static str,
    slots: u64,
    capacity: u64,
    passed: u64,
    live: u64,
}

/// Slots and capacity differ, so that the two cannot be mixed up.
const fn state(name: &'static str, passed: u64, live: u64) -> State {
    State {
        name,
        slots: 8,
        capacity: 6,
        passed,
        live,
    }
}

/// A full ring whose next item goes to the very slot that is freed next.
const TIGHT: State = State {
    slots: 2,
    capacity: 2,
    ..state("tight", 1, 2)
};

/// The producer's `wrap` writes the last slot and then the first.
const PRODUCER_STATES: [State; 5] = [
    state("empty", 0, 0),
    state("one", 2, 1),
    state("full", 1, 6),
    state("wrap", 6, 1),
    TIGHT,
];

/// The consumer's `wrap` reads the last slot and then the first.
const CONSUMER_STATES: [State; 5] = [
    state("empty", 0, 0),
    state("one", 2, 1),
    state("full", 1, 6),
    state("wrap", 7, 3),
    TIGHT,
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Push,
    PushSlice,
    Chunk,
    Close,
    Pop,
    Peek,
    /// The consumer's close.
    Stop,
}

const OPERATIONS: [(&str, Operation); 7] = [
    ("ring/push", Operation::Push),
    ("ring/push_slice", Operation::PushSlice),
    ("ring/chunk", Operation::Chunk),
    ("ring/close", Operation::Close),
    ("ring/pop", Operation::Pop),
    ("ring/peek", Operation::Peek),
    ("ring/stop", Operation::Stop),
];

impl Operation {
    fn role(self) -> Role {
        match self {
            Operation::Push | Operation::PushSlice | Operation::Chunk | Operation::Close => {
                Role::Producer
            }
            Operation::Pop | Operation::Peek | Operation::Stop => Role::Consumer,
        }
    }

    /// How many items it moves if it can move up to `room`.
    fn moves(self, room: u64) -> u64 {
        match self {
            Operation::Push | Operation::Pop => room.min(1),
            Operation::PushSlice | Operation::Chunk => room.min(BATCH as u64),
            // The first half of what it looked at.
            Operation::Peek => room.min(BATCH as u64).div_ceil(2),
            Operation::Close | Operation::Stop => 0,
        }
    }

    fn closes(self) -> bool {
        matches!(self, Operation::Close | Operation::Stop)
    }
}

/// One operation in one state. How far it came is the number of items moved, or 1 for a close.
#[derive(Clone, Copy)]
pub(super) struct Case {
    subject: &'static str,
    operation: Operation,
    state: State,
    seed: u64,
}

pub(super) fn cases(seed: u64) -> Vec<Case> {
    let mut cases = Vec::new();
    for (subject, operation) in OPERATIONS {
        let states = match operation.role() {
            Role::Consumer => CONSUMER_STATES,
            _ => PRODUCER_STATES,
        };
        cases.extend(states.map(|state| Case {
            subject,
            operation,
            state,
            seed,
        }));
    }
    cases
}

impl Case {
    /// The position of the oldest live item: some laps, as many as the seed says, and what the
    /// state says.
    fn read(&self) -> u64 {
        self.state.passed + self.seed % 4 * self.state.slots
    }

    fn written(&self) -> u64 {
        self.read() + self.state.live
    }

    fn item(&self, author: Author, position: u64) -> Item {
        Item::of(self.seed, author, position)
    }

    /// The item at a position, whose author is the first of `authors` that wrote up to a later
    /// one; what comes after all of them is by who lives.
    fn expected(&self, authors: &[(u64, Author)], position: u64) -> Item {
        let author = (authors.iter())
            .find(|(end, _)| position < *end)
            .map_or(Author::Survivor, |(_, author)| *author);
        self.item(author, position)
    }

    /// How many items the victim has moved that came this far, and whether it has closed.
    fn moved(&self, reached: u64) -> (u64, bool) {
        if self.operation.closes() {
            (0, reached > 0)
        } else {
            (reached, false)
        }
    }

    /// How many items an actor can move at most.
    fn room(&self, actor: Actor) -> u64 {
        let room = match self.operation.role() {
            Role::Consumer => self.state.live,
            _ => self.state.capacity - self.state.live,
        };
        match actor {
            Actor::Victim => room,
            Actor::Successor(reached) => match self.moved(reached) {
                (_, true) => 0,
                (moved, false) => room - moved,
            },
        }
    }

    fn produce<M: Memory<Cells = Native>>(
        &self,
        mut producer: Producer<'_, Item, M>,
        stage: &Stage<'_>,
    ) -> Result<()> {
        let start = producer.position();
        let items: [Item; BATCH] =
            std::array::from_fn(|index| self.item(Author::Victim, start + index as u64));
        type Of<I, M> = extern "C" fn(&mut Producer<'_, Item, M>, &I) -> u64;
        let count = match self.operation {
            Operation::Push => {
                let entry: Of<Item, M> = black_box(entries::push);
                stage.enter(entry as *const (), || entry(&mut producer, &items[0]))
            }
            Operation::PushSlice => {
                let entry: Of<[Item; BATCH], M> = black_box(entries::push_slice);
                stage.enter(entry as *const (), || entry(&mut producer, &items))
            }
            Operation::Chunk => {
                let entry: Of<[Item; BATCH], M> = black_box(entries::chunk);
                stage.enter(entry as *const (), || entry(&mut producer, &items))
            }
            Operation::Close => {
                let entry: extern "C" fn(&mut Producer<'_, Item, M>) -> u64 =
                    black_box(entries::close);
                stage.enter(entry as *const (), || entry(&mut producer))
            }
            Operation::Pop | Operation::Peek | Operation::Stop => {
                bail!("a producer cannot consume")
            }
        };
        if count > 0 {
            stage.note(&Note::Committed(producer.position()));
        }
        Ok(())
    }

    fn consume<M: Memory<Cells = Native>>(
        &self,
        mut consumer: Consumer<'_, Item, M>,
        stage: &Stage<'_>,
    ) -> Result<()> {
        let start = consumer.position();
        let mut items = [Item::zeroed(); BATCH];
        type Of<I, M> = extern "C" fn(&mut Consumer<'_, Item, M>, &mut I) -> u64;
        let count = match self.operation {
            Operation::Pop => {
                let entry: Of<Item, M> = black_box(entries::pop);
                stage.enter(entry as *const (), || entry(&mut consumer, &mut items[0]))
            }
            Operation::Peek => {
                let entry: Of<[Item; BATCH], M> = black_box(entries::peek);
                stage.enter(entry as *const (), || entry(&mut consumer, &mut items))
            }
            Operation::Stop => {
                let entry: extern "C" fn(&mut Consumer<'_, Item, M>) -> u64 =
                    black_box(entries::stop);
                stage.enter(entry as *const (), || entry(&mut consumer))
            }
            _ => bail!("a consumer cannot produce"),
        };
        if !self.operation.closes() {
            for (position, item) in (start..).zip(&items[..count as usize]) {
                stage.note(&Note::Took(position, item.words()));
            }
        }
        Ok(())
    }

    /// A successor, which has the role.
    fn succeed<M: Memory<Cells = Native>>(
        &self,
        ring: &Ring<Item>,
        heir: (M, Claim),
        moved: u64,
        stage: &Stage<'_>,
    ) {
        let mut heir = Some(heir);
        if self.operation.role() == Role::Consumer {
            let mut item = Item::zeroed();
            let entry: extern "C" fn(&Ring<Item>, &mut Option<(M, Claim)>, &mut Item) -> u64 =
                black_box(entries::succeed_consumer);
            stage.enter(entry as *const (), || entry(ring, &mut heir, &mut item));
        } else {
            let item = self.item(Author::Successor, self.written() + moved);
            let entry: extern "C" fn(&Ring<Item>, &mut Option<(M, Claim)>, &Item) -> u64 =
                black_box(entries::succeed_producer);
            stage.enter(entry as *const (), || entry(ring, &mut heir, &item));
        }
    }

    /// Where an index of the ring stands: unmoved, or as far on as the operation takes it.
    fn progress(&self, word: &str, found: u64, start: u64, step: u64) -> Result<u64> {
        let moved = found.wrapping_sub(start);
        ensure!(
            moved == 0 || moved == step,
            "{word} is {found}, expected {start} or {}",
            start + step
        );
        Ok(moved)
    }
}

impl Scenario for Case {
    fn subject(&self) -> &'static str {
        self.subject
    }

    fn state(&self) -> &'static str {
        self.state.name
    }

    fn furnish(&self) -> Result<Vec<u8>> {
        let options = RingOptions::new(self.state.capacity).slots(self.state.slots);
        let ring = Ring::<Item>::anonymous(&options)?;
        let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
        for position in 0..self.written() {
            producer.push(self.item(Author::Setup, position))?;
            if position < self.read() {
                consumer.pop()?;
            }
        }
        image::of_segment(&ring)
    }

    fn act(
        &self,
        actor: Actor,
        segment: OwnedFd,
        fault: Option<Fault>,
        stage: &Stage<'_>,
    ) -> Result<()> {
        let ring = Ring::<Item>::attach_fd(segment)?;
        // SAFETY: the parts go to one endpoint of this process alone.
        let parts = unsafe { ring.parts() }?;
        let role = self.operation.role();
        let index = match role {
            Role::Consumer => parts.read_index,
            _ => parts.write_index,
        };
        let faulty =
            fault.map(|fault| faulty(Native, Some(fault)).map(|faults| faults.with_index(index)));
        let claim = ring.claim(role)?;
        if let Actor::Successor(reached) = actor {
            let (moved, _) = self.moved(reached);
            match faulty {
                Some(faulty) => self.succeed(&ring, (faulty, claim), moved, stage),
                None => self.succeed(&ring, (Native, claim), moved, stage),
            }
            return Ok(());
        }
        let claim = Some(claim);
        // SAFETY: the role is this process's, by the claim that the endpoint keeps.
        unsafe {
            match (role, faulty) {
                (Role::Consumer, None) => self.consume(Consumer::new(parts, Native, claim), stage),
                (Role::Consumer, Some(faulty)) => {
                    self.consume(Consumer::new(parts, faulty, claim), stage)
                }
                (_, None) => self.produce(Producer::new(parts, Native, claim), stage),
                (_, Some(faulty)) => self.produce(Producer::new(parts, faulty, claim), stage),
            }
        }
    }

    fn judge(
        &self,
        actor: Actor,
        segment: &File,
        die: &mut dyn FnMut() -> Result<()>,
    ) -> Result<u64> {
        let ring = Ring::<Item>::attach_fd(descriptor(segment)?)?;
        let role = self.operation.role();
        // What the one before the actor had done.
        let (moved, closed) = match actor {
            Actor::Victim => (0, false),
            Actor::Successor(reached) => self.moved(reached),
        };
        let step = match actor {
            Actor::Victim => self.operation.moves(self.room(actor)),
            Actor::Successor(_) => self.room(actor).min(1),
        };
        let may_close = self.operation.closes() && matches!(actor, Actor::Victim);

        let (mut producer, mut consumer, reached);
        if role == Role::Consumer {
            producer = ring.producer()?;
            die()?;
            ensure_free(&ring, role)?;
            consumer = ring.consumer()?;
            let start = self.read() + moved;
            reached = self.progress("read_index", consumer.position(), start, step)?;
        } else {
            consumer = ring.consumer()?;
            // So that it knows of what is there already.
            let _ = consumer.peek(1);
            die()?;
            ensure_free(&ring, role)?;
            producer = ring.producer()?;
            let start = self.written() + moved;
            reached = self.progress("write_index", producer.position(), start, step)?;
        }
        let (found_closed, found_stopped) = (producer.is_closed(), consumer.is_closed());
        let found = found_closed || found_stopped;
        ensure!(
            found == closed || (found && may_close),
            "the ring is closed: {found}, it was: {closed}"
        );

        let mut authors = vec![(self.written(), Author::Setup)];
        if role == Role::Producer {
            let victims = match actor {
                Actor::Victim => producer.position(),
                Actor::Successor(_) => self.written() + moved,
            };
            authors.extend([
                (victims, Author::Victim),
                (producer.position(), Author::Successor),
            ]);
        }
        let expected = |position| self.expected(&authors, position);
        settle(&mut producer, &mut consumer, &expected)?;
        Ok(if may_close { found.into() } else { reached })
    }

    fn goal(&self, actor: Actor) -> u64 {
        match actor {
            Actor::Victim if self.operation.closes() => 1,
            Actor::Victim => self.operation.moves(self.room(actor)),
            Actor::Successor(_) => self.room(actor).min(1),
        }
    }
}

/// Both ends live again: the rest is taken, and if nobody closed the ring they go on.
fn settle(
    producer: &mut ringproof::Producer<Item>,
    consumer: &mut ringproof::Consumer<Item>,
    expected: &dyn Fn(u64) -> Item,
) -> Result<()> {
    if consumer.is_closed() {
        ensure!(producer.peer_closed()?, "the consumer's close is not seen");
        return ensure_takes_no_more(consumer, producer.position());
    }
    if !producer.is_closed() {
        while consumer.position() < producer.position() {
            take(consumer, expected)?;
        }
        go_on(producer, consumer, expected)?;
        producer.close();
    }
    finish(consumer, producer.position(), expected)
}

/// A push and a pop of one ring, one of them stopped between two instructions while the other
/// one goes on and dies.
pub(super) struct Pair {
    pub(super) stopped: Case,
    pub(super) dying: Case,
}

pub(super) fn pairs(seed: u64) -> Vec<Pair> {
    let cases = cases(seed);
    let single = |operation| move |case: &&Case| case.operation == operation;
    let mut pairs = Vec::new();
    for (stops, dies) in [
        (Operation::Push, Operation::Pop),
        (Operation::Pop, Operation::Push),
    ] {
        let Some(other) = cases.iter().find(single(dies)) else {
            continue;
        };
        pairs.extend(cases.iter().filter(single(stops)).map(|case| Pair {
            stopped: *case,
            dying: Case {
                state: case.state,
                ..*other
            },
        }));
    }
    pairs
}

/// How one of a pair ended.
pub(super) enum End {
    /// It came to its end, and told this.
    Told(Vec<Note>),
    /// It was killed; if its entry had returned, it answered this.
    Killed(Option<u64>),
}

impl Pair {
    /// Both are dead now, and two others take up their roles.
    pub(super) fn judge(&self, segment: &File, stopped: &End, dying: &End) -> Result<()> {
        let case = &self.stopped;
        let ring = Ring::<Item>::attach_fd(descriptor(segment)?)?;
        for role in [Role::Producer, Role::Consumer] {
            ensure_free(&ring, role)?;
        }
        let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
        let pushed = case.progress("write_index", producer.position(), case.written(), 1)?;
        let popped = case.progress("read_index", consumer.position(), case.read(), 1)?;
        let (push, pop) = match case.operation.role() {
            Role::Consumer => (dying, stopped),
            _ => (stopped, dying),
        };

        // What was answered has taken effect, and what was refused has not.
        let (full, empty) = (case.state.live == case.state.capacity, case.state.live == 0);
        for (what, end, effect, may_refuse) in [
            ("the push", push, pushed, full),
            ("the pop", pop, popped, empty),
        ] {
            let answered = match end {
                End::Told(notes) => u64::from(!notes.is_empty()),
                End::Killed(Some(answer)) => *answer,
                End::Killed(None) => continue,
            };
            ensure!(
                answered == effect,
                "{what} answered {answered}, its effect is {effect}"
            );
            ensure!(answered == 1 || may_refuse, "{what} was refused");
        }
        let authors = [
            (case.written(), Author::Setup),
            (case.written() + pushed, Author::Victim),
        ];
        let expected = |position| case.expected(&authors, position);
        if let End::Told(notes) = pop {
            for note in notes {
                let taken = match note {
                    Note::Took(position, words) => (*position, Item::from_words(*words)),
                    other => bail!("a consumer told {other:?}"),
                };
                let right = (case.read(), expected(case.read()));
                ensure!(taken == right, "popped {taken:?}, expected {right:?}");
            }
        }
        settle(&mut producer, &mut consumer, &expected)
    }
}
