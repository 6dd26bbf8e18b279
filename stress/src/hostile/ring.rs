//! The two ends of a ring under an adversary, held to a model of what they may accept.

use anyhow::{Result, bail, ensure};
use ringproof::memory::{Memory, Native};
use ringproof::ring::{CLOSED, Corruption, LAST, PopError, PushError, RingParts, index_of};
use ringproof::site::{LoadSite, StoreSite};
use ringproof::slots::Slots;
use ringproof::{OutOfChunk, Payload};

use super::memory::{Adversary, Event, Hostile};
use super::region::Guarded;
use super::script::{Script, item};
use super::specimen;
use crate::ends::{Consumer, Producer};
use crate::fault::Fault;

pub(crate) const SENDING: &[&str] = &[
    "ring/push",
    "ring/push_slice",
    "ring/reserve",
    "ring/peer_closed",
    "ring/producer-occupancy",
    "ring/close",
    "ring/producer-resume",
];

pub(crate) const RECEIVING: &[&str] = &[
    "ring/pop",
    "ring/pop_slice",
    "ring/peek",
    "ring/consumer-occupancy",
    "ring/stop",
    "ring/consumer-resume",
];

/// Accesses that one operation may make. The longest is a chunk, in which each item is set,
/// looked at and copied.
const LIMIT: usize = 64;

/// A ring between guards.
struct Place {
    words: Guarded,
    slots: Guarded,
}

impl Place {
    fn new<T: Payload>(script: &Script<'_>) -> Result<Place> {
        let geometry = script.geometry;
        let bytes = geometry.slots() as usize * size_of::<T>();
        Ok(Place {
            words: Guarded::new(2 * size_of::<u64>(), geometry.edge())?,
            slots: Guarded::new(bytes, geometry.edge())?,
        })
    }

    /// Its parts, after `live` items were committed and not yet released.
    fn parts<T: Payload>(
        &self,
        script: &Script<'_>,
        live: u64,
    ) -> Result<RingParts<'_, Native, T>> {
        let geometry = script.geometry;
        let [write_index, read_index] = self.words.words(2)? else {
            bail!("two words are not two words");
        };
        let Some(slots) = Slots::new(self.slots.slots(geometry.slots() as usize)?) else {
            bail!("{} slots are no power of two", geometry.slots());
        };
        // The latest is so near to the last position that a ring comes there.
        let start = index_of(geometry.start()).0.min(LAST - live);
        Native.store(read_index, start, StoreSite::RingFree);
        Native.store(write_index, start + live, StoreSite::RingPublish);
        Ok(RingParts {
            write_index,
            read_index,
            slots,
            capacity: geometry.capacity(),
        })
    }
}

/// What an operation came to.
enum Did {
    /// It handed over as many items; a consumer's are in the bytes.
    Moved(u64, Vec<u8>),
    /// It said how many are live.
    Live(u64),
    /// It reported or did something else.
    Other,
}

/// What an end must know, from what it was answered: the reference.
struct Model {
    capacity: u64,
    /// The end's own index.
    own: u64,
    /// The other end's index, as accepted last.
    seen: u64,
    /// Closed from this side.
    closed: bool,
    /// Closed from the other one.
    ended: bool,
}

/// A word that must be refused.
type Refused = Option<(&'static str, u64)>;

impl Model {
    fn new(script: &Script<'_>) -> Model {
        Model {
            capacity: script.geometry.capacity(),
            own: 0,
            seen: 0,
            closed: false,
            ended: false,
        }
    }

    /// Who found a word that must be refused says so, and nobody else does.
    fn judge_refusal(refused: Refused, found: Option<Corruption>) -> Result<()> {
        match (refused, found) {
            (Some((word, value)), Some(said)) if (said.word, said.found) == (word, value) => Ok(()),
            (None, None) => Ok(()),
            (Some((word, value)), said) => bail!(
                "{word} = {value} cannot have been stored by a correct peer, and the answer is {}",
                said.map_or("that all is well".to_owned(), |said| said.to_string())
            ),
            (None, Some(said)) => bail!("nothing was wrong, and the answer is: {said}"),
        }
    }
}

/// The last value stored at `site`.
fn stored(events: &[Event], site: StoreSite) -> Option<u64> {
    events.iter().rev().find_map(|event| match event {
        Event::Store(at, value) if *at == site => Some(*value),
        _ => None,
    })
}

/// The bytes that were read, one after the other.
fn read(events: &[Event]) -> Vec<u8> {
    let runs = events.iter().filter_map(|event| match event {
        Event::Read(bytes) => Some(&bytes[..]),
        _ => None,
    });
    runs.collect::<Vec<_>>().concat()
}

pub(crate) fn send(script: &Script<'_>, adversary: &Adversary<'_>) -> Result<()> {
    if script.geometry.odd_items() {
        send_items::<[u8; 3]>(script, adversary)
    } else {
        send_items::<u64>(script, adversary)
    }
}

fn send_items<T: Payload>(script: &Script<'_>, adversary: &Adversary<'_>) -> Result<()> {
    let place = Place::new::<T>(script)?;
    let parts = place.parts::<T>(script, 0)?;
    let mut model = Model::new(script);
    adversary.begin(LIMIT);
    // SAFETY: one thread, one producer at a time, two distinct words.
    let mut producer = unsafe { Producer::new(parts, adversary.memory(), None) };
    model.judge_sending(adversary, &Ok(Did::Other), false)?;
    for operation in script.operations(SENDING) {
        adversary.begin(LIMIT);
        let name = SENDING[operation];
        let outcome = match name {
            "ring/push" if script.has(Fault::AssertIndex) => {
                specimen::asserting_look(&adversary.memory(), &parts, model.own);
                Ok(Did::Other)
            }
            "ring/push_slice" if script.has(Fault::TrustIndex) => {
                let cells = place.slots.slots::<T>(script.geometry.slots() as usize)?;
                let count = specimen::trusting_push(&adversary.memory(), &parts, cells, model.own);
                Ok(Did::Moved(count, Vec::new()))
            }
            "ring/producer-resume" => {
                // SAFETY: as above; the one before does nothing any more.
                producer = unsafe { Producer::new(parts, adversary.memory(), None) };
                Ok(Did::Other)
            }
            _ => send_one(name, &mut producer),
        };
        let specimen = script.fault.is_some();
        let looks = name == "ring/producer-occupancy";
        model
            .judge_sending(adversary, &outcome, looks)
            .map_err(|error| error.context(name))?;
        ensure!(
            specimen || producer.position() == model.own,
            "{name}: the producer's position is {}, expected {}",
            producer.position(),
            model.own
        );
    }
    Ok(())
}

fn send_one<T: Payload>(
    name: &str,
    producer: &mut Producer<'_, T, Hostile<'_>>,
) -> Result<Did, PushError> {
    let moved = |count| Did::Moved(count, Vec::new());
    let many = producer.capacity() as usize + 2;
    let values: Vec<T> = (0..many as u64).map(item).collect();
    match name {
        "ring/push" => producer.push(item(7)).map(|()| moved(1)),
        "ring/push_slice" => (producer.push_slice(&values)).map(|count| moved(count as u64)),
        "ring/reserve" => {
            let mut chunk = producer.reserve(many)?;
            let len = chunk.len();
            for (index, value) in (0..len).zip(&values) {
                let kept = chunk.set(index, *value).is_ok() && chunk.get(index).is_some();
                assert!(kept, "slot {index} of a chunk of {len} is refused");
            }
            let beyond = chunk.set(len, item(9)).is_err() && chunk.get(len).is_none();
            assert!(beyond, "slot {len} of a chunk of {len} is there");
            let commit = len.div_ceil(2);
            commit_or_panic(chunk.copy_from_slice(0, &values[..len]));
            commit_or_panic(chunk.commit(commit));
            Ok(moved(commit as u64))
        }
        "ring/peer_closed" => {
            let closed = producer.is_peer_closed()?;
            assert!(
                !closed || producer.push(item(1)).is_err(),
                "pushed for nobody"
            );
            Ok(Did::Other)
        }
        "ring/producer-occupancy" => Ok(Did::Live(producer.occupancy()?)),
        _ => {
            producer.close();
            Ok(Did::Other)
        }
    }
}

/// A chunk must take what it says that it has room for.
fn commit_or_panic(outcome: Result<(), OutOfChunk>) {
    if let Err(error) = outcome {
        panic!("a chunk contradicts itself: {error}");
    }
}

impl Model {
    /// Holds a producer's operation to what it was answered. Where it only `looks`, it need not
    /// remember.
    fn judge_sending(
        &mut self,
        adversary: &Adversary<'_>,
        outcome: &Result<Did, PushError>,
        looks: bool,
    ) -> Result<()> {
        let events = adversary.events();
        let mut refused = None;
        for event in &events {
            match *event {
                Event::Load(LoadSite::RingResumeWrite, word) => {
                    let (own, closed) = index_of(word);
                    *self = Model {
                        own,
                        seen: own.wrapping_sub(self.capacity),
                        closed,
                        ended: false,
                        ..*self
                    };
                }
                Event::Load(site, word) if site.info().word == "read_index" => {
                    let (index, stopped) = index_of(word);
                    let room = self.own.wrapping_sub(self.seen);
                    if index.wrapping_sub(self.seen) > room {
                        refused = Some(("read_index", word));
                    } else if !looks {
                        self.ended |= stopped;
                        self.seen = if self.ended || self.closed {
                            self.own.wrapping_sub(self.capacity)
                        } else {
                            index.min(LAST - self.capacity)
                        };
                    }
                }
                Event::Store(StoreSite::RingEnd, word) => {
                    let end = self.own | CLOSED;
                    ensure!(word == end, "closed by {word}, expected {end}");
                    self.closed = true;
                    self.seen = self.own.wrapping_sub(self.capacity);
                }
                _ => {}
            }
        }
        let live = self.own.wrapping_sub(self.seen);
        let corruption = match outcome {
            Err(PushError::Corrupt(corruption)) => Some(*corruption),
            _ => None,
        };
        Model::judge_refusal(refused, corruption)?;
        match outcome {
            Ok(Did::Moved(count, _)) => {
                ensure!(
                    *count <= self.capacity - live,
                    "{count} items pushed where {live} of {} were live: some are overwritten",
                    self.capacity
                );
                self.own = self.own.wrapping_add(*count);
                ensure!(
                    *count == 0 || stored(&events, StoreSite::RingPublish) == Some(self.own),
                    "{count} items pushed, but not published"
                );
            }
            Ok(Did::Live(count)) => {
                ensure!(*count <= self.capacity, "{count} items are said to be live");
            }
            Err(PushError::Full) => {
                ensure!(live == self.capacity, "full with {live} live items");
            }
            Err(PushError::Closed) => ensure!(self.closed, "closed by nobody"),
            Err(PushError::PeerClosed) => ensure!(self.ended, "stopped by nobody"),
            Ok(Did::Other) | Err(PushError::Corrupt(_)) => {}
            Err(other) => bail!("no outcome of a push that is known: {other}"),
        }
        Ok(())
    }
}

pub(crate) fn receive(script: &Script<'_>, adversary: &Adversary<'_>) -> Result<()> {
    if script.geometry.odd_items() {
        receive_items::<[u8; 3]>(script, adversary)
    } else {
        receive_items::<u64>(script, adversary)
    }
}

fn receive_items<T: Payload>(script: &Script<'_>, adversary: &Adversary<'_>) -> Result<()> {
    let place = Place::new::<T>(script)?;
    let parts = place.parts::<T>(script, script.geometry.capacity())?;
    let mut model = Model::new(script);
    adversary.begin(LIMIT);
    // SAFETY: one thread, one consumer at a time, two distinct words.
    let mut consumer = unsafe { Consumer::new(parts, adversary.memory(), None) };
    model.judge_receiving(adversary, &Ok(Did::Other), false)?;
    for operation in script.operations(RECEIVING) {
        adversary.begin(LIMIT);
        let name = RECEIVING[operation];
        let outcome = match name {
            "ring/pop" if script.has(Fault::LengthTwice) => {
                let slots = place.slots.slots::<T>(script.geometry.slots() as usize)?;
                specimen::twice_reading_pop(&adversary.memory(), slots, model.own);
                Ok(Did::Other)
            }
            "ring/pop_slice" if script.has(Fault::IgnoreRegress) => {
                match receive_one(name, &mut consumer) {
                    Err(PopError::Corrupt(_)) => Err(PopError::Empty),
                    outcome => outcome,
                }
            }
            "ring/consumer-resume" => {
                // SAFETY: as above; the one before does nothing any more.
                consumer = unsafe { Consumer::new(parts, adversary.memory(), None) };
                Ok(Did::Other)
            }
            _ => receive_one(name, &mut consumer),
        };
        let looks = name == "ring/consumer-occupancy";
        model
            .judge_receiving(adversary, &outcome, looks)
            .map_err(|error| error.context(name))?;
        ensure!(
            consumer.position() == model.own,
            "{name}: the consumer's position is {}, expected {}",
            consumer.position(),
            model.own
        );
    }
    Ok(())
}

fn receive_one<T: Payload>(
    name: &str,
    consumer: &mut Consumer<'_, T, Hostile<'_>>,
) -> Result<Did, PopError> {
    let moved = |items: &[T]| {
        let bytes = bytemuck::cast_slice::<T, u8>(items).to_vec();
        Did::Moved(items.len() as u64, bytes)
    };
    let many = consumer.capacity() as usize + 2;
    match name {
        "ring/pop" => consumer.pop().map(|item| moved(&[item])),
        "ring/pop_slice" => {
            let mut values = vec![T::zeroed(); many];
            let count = consumer.pop_slice(&mut values)?;
            Ok(moved(&values[..count]))
        }
        "ring/peek" => {
            let chunk = consumer.peek(many)?;
            let len = chunk.len();
            assert!(chunk.get(len).is_none(), "item {len} of {len} is there");
            let release = len.div_ceil(2);
            let mut items: Vec<T> = (0..release).filter_map(|index| chunk.get(index)).collect();
            let mut rest = vec![T::zeroed(); len - release];
            commit_or_panic(chunk.copy_to_slice(release, &mut rest));
            commit_or_panic(chunk.release(release));
            items.extend(rest);
            let bytes = bytemuck::cast_slice::<T, u8>(&items).to_vec();
            Ok(Did::Moved(release as u64, bytes))
        }
        "ring/consumer-occupancy" => Ok(Did::Live(consumer.occupancy()?)),
        _ => {
            consumer.close();
            Ok(Did::Other)
        }
    }
}

impl Model {
    /// Holds a consumer's operation to what it was answered.
    fn judge_receiving(
        &mut self,
        adversary: &Adversary<'_>,
        outcome: &Result<Did, PopError>,
        looks: bool,
    ) -> Result<()> {
        let events = adversary.events();
        let mut refused = None;
        for event in &events {
            match *event {
                Event::Load(LoadSite::RingResumeRead, word) => {
                    let (own, closed) = index_of(word);
                    *self = Model {
                        own,
                        seen: own,
                        closed,
                        ended: false,
                        ..*self
                    };
                }
                Event::Load(site, word) if site.info().word == "write_index" => {
                    let (index, ended) = index_of(word);
                    let live = index.wrapping_sub(self.own);
                    if live > self.capacity || live < self.seen.wrapping_sub(self.own) {
                        refused = Some(("write_index", word));
                    } else if !looks {
                        self.seen = index;
                        self.ended = ended;
                    }
                }
                Event::Store(StoreSite::RingStop, word) => {
                    let stop = self.own | CLOSED;
                    ensure!(word == stop, "closed by {word}, expected {stop}");
                    self.closed = true;
                    self.seen = self.own;
                }
                _ => {}
            }
        }
        let live = self.seen.wrapping_sub(self.own);
        let corruption = match outcome {
            Err(PopError::Corrupt(corruption)) => Some(*corruption),
            _ => None,
        };
        Model::judge_refusal(refused, corruption)?;
        match outcome {
            Ok(Did::Moved(count, bytes)) => {
                ensure!(*count <= live, "{count} items popped of {live}");
                self.own = self.own.wrapping_add(*count);
                ensure!(
                    *count == 0 || stored(&events, StoreSite::RingFree) == Some(self.own),
                    "{count} items popped, but not released"
                );
                ensure!(
                    *bytes == read(&events),
                    "what was popped is not what was read, once and in order"
                );
            }
            Ok(Did::Live(count)) => {
                ensure!(*count <= self.capacity, "{count} items are said to be live");
            }
            Err(PopError::Empty) => {
                ensure!(live == 0 && !self.ended, "empty with {live} live items");
            }
            Err(PopError::PeerClosed) => {
                ensure!(live == 0 && self.ended, "ended by nobody, or too early");
            }
            Err(PopError::Closed) => ensure!(self.closed, "closed by nobody"),
            Ok(Did::Other) | Err(PopError::Corrupt(_)) => {}
            Err(other) => bail!("no outcome of a pop that is known: {other}"),
        }
        Ok(())
    }
}
