//! The two ends of a ring under an adversary, held to a model of what they may accept.

use anyhow::{Context, Result, bail, ensure};
use ringproof::memory::{Memory, Native};
use ringproof::ring::{CLOSED, Consumer, Corruption, LAST, Producer, RingParts, index_of};
use ringproof::site::{LoadSite, StoreSite, WakeSite};
use ringproof::{OutOfChunk, Payload, Wait};

use super::memory::{Adversary, Event, Hostile};
use super::region::RingMemory;
use super::script::{Script, item};
use super::specimen;
use crate::ends::Why;
use crate::fault::Fault;

/// Accesses that one operation may make. The longest are a chunk, in which each item is set, looked at and copied, and
/// a wait.
const LIMIT: usize = 96;

/// What an operation came to.
pub(super) enum Did {
    /// It handed over as many items; a consumer's are in the bytes.
    Moved(u64, Vec<u8>),
    /// It said how many are live.
    Live(u64),
    /// It reported or did something else.
    Other,
}

/// One side of a ring.
pub(crate) trait Side {
    const OPERATIONS: &'static [&'static str];
    /// The one that only looks, and the one that takes over.
    const LOOK: &'static str;
    const RESUME: &'static str;
    const SENDS: bool;
    /// Where it resumes from its own index, and where it looks at the other one, which is this word.
    const RESUMES: LoadSite;
    const WORD: &'static str;
    /// Where it stores its own index, and where it closes.
    const MOVES: StoreSite;
    const CLOSES: StoreSite;
    type End<'a, T: Payload>;

    /// # Safety
    /// It is the only such end of a thread, and the parts are a ring's.
    unsafe fn over<'a, T: Payload>(
        parts: RingParts<'a, Native, T>,
        memory: Hostile<'a>,
    ) -> Self::End<'a, T>;

    fn position<T: Payload>(end: &Self::End<'_, T>) -> u64;

    fn operate<T: Payload>(name: &str, end: &mut Self::End<'_, T>) -> Result<Did, Why>;
}

macro_rules! made_of {
    ($end:ident) => {
        type End<'a, T: Payload> = $end<'a, T, Hostile<'a>, ()>;

        unsafe fn over<'a, T: Payload>(
            parts: RingParts<'a, Native, T>,
            memory: Hostile<'a>,
        ) -> Self::End<'a, T> {
            // SAFETY: the caller's promise, passed on.
            unsafe { $end::new(parts, memory, ()) }.with_wait(Wait::SleepAtOnce)
        }

        fn position<T: Payload>(end: &Self::End<'_, T>) -> u64 {
            end.position()
        }
    };
}

/// The producer's.
pub(crate) struct Sending;

/// The consumer's.
pub(crate) struct Receiving;

impl Side for Sending {
    const OPERATIONS: &'static [&'static str] = &[
        "ring/push",
        "ring/push_slice",
        "ring/reserve",
        "ring/peer_closed",
        "ring/producer-occupancy",
        "ring/close",
        "ring/producer-resume",
        "ring/wait-for-room",
    ];
    const LOOK: &'static str = "ring/producer-occupancy";
    const RESUME: &'static str = "ring/producer-resume";
    const SENDS: bool = true;
    const RESUMES: LoadSite = LoadSite::RingResumeWrite;
    const WORD: &'static str = "read_index";
    const MOVES: StoreSite = StoreSite::RingPublish;
    const CLOSES: StoreSite = StoreSite::RingEnd;

    made_of!(Producer);

    fn operate<T: Payload>(name: &str, producer: &mut Self::End<'_, T>) -> Result<Did, Why> {
        let moved = |count| Did::Moved(count, Vec::new());
        let many = producer.capacity() as usize + 2;
        let values: Vec<T> = (0..many as u64).map(item).collect();
        match name {
            "ring/push" => Ok(producer.push(item(7)).map(|()| moved(1))?),
            "ring/push_slice" => Ok(moved(producer.push_slice(&values)? as u64)),
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
                let closed = producer.is_peer_closed().map_err(Why::Corrupt)?;
                assert!(
                    !closed || producer.push(item(1)).is_err(),
                    "pushed, and there is no consumer"
                );
                Ok(Did::Other)
            }
            "ring/wait-for-room" => Ok(producer.wait().push(item(7)).map(|()| moved(1))?),
            "ring/producer-occupancy" => Ok(Did::Live(producer.occupancy().map_err(Why::Corrupt)?)),
            _ => {
                producer.close();
                Ok(Did::Other)
            }
        }
    }
}

impl Side for Receiving {
    const OPERATIONS: &'static [&'static str] = &[
        "ring/pop",
        "ring/pop_slice",
        "ring/peek",
        "ring/consumer-occupancy",
        "ring/stop",
        "ring/consumer-resume",
        "ring/wait-for-items",
    ];
    const LOOK: &'static str = "ring/consumer-occupancy";
    const RESUME: &'static str = "ring/consumer-resume";
    const SENDS: bool = false;
    const RESUMES: LoadSite = LoadSite::RingResumeRead;
    const WORD: &'static str = "write_index";
    const MOVES: StoreSite = StoreSite::RingFree;
    const CLOSES: StoreSite = StoreSite::RingStop;

    made_of!(Consumer);

    fn operate<T: Payload>(name: &str, consumer: &mut Self::End<'_, T>) -> Result<Did, Why> {
        let moved = |items: &[T]| {
            let bytes = bytemuck::cast_slice::<T, u8>(items).to_vec();
            Did::Moved(items.len() as u64, bytes)
        };
        let many = consumer.capacity() as usize + 2;
        match name {
            "ring/pop" => Ok(moved(&[consumer.pop()?])),
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
            "ring/wait-for-items" => Ok(consumer.wait().pop().map(|item| moved(&[item]))?),
            "ring/consumer-occupancy" => Ok(Did::Live(consumer.occupancy().map_err(Why::Corrupt)?)),
            _ => {
                consumer.close();
                Ok(Did::Other)
            }
        }
    }
}

/// A chunk must take what it says that it has room for.
fn commit_or_panic(outcome: Result<(), OutOfChunk>) {
    if let Err(error) = outcome {
        panic!("a chunk contradicts itself: {error}");
    }
}

/// What an end must know, from what it was answered: the reference.
#[derive(Default)]
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
    /// Where the other end's index leaves this one nothing to do.
    fn rest<S: Side>(&self) -> u64 {
        match S::SENDS {
            true => self.own.wrapping_sub(self.capacity),
            false => self.own,
        }
    }

    /// How many items may be moved.
    fn room<S: Side>(&self) -> u64 {
        self.seen.wrapping_sub(self.rest::<S>())
    }

    /// Whether a correct peer may be there.
    fn may_be<S: Side>(&self, index: u64) -> bool {
        let (moved, most) = match S::SENDS {
            true => (
                index.wrapping_sub(self.seen),
                self.own.wrapping_sub(self.seen),
            ),
            false => (index.wrapping_sub(self.own), self.capacity),
        };
        moved <= most && (S::SENDS || moved >= self.seen.wrapping_sub(self.own))
    }

    /// The peer is there.
    fn see<S: Side>(&mut self, index: u64, ended: bool) {
        if S::SENDS {
            self.ended |= ended;
            self.seen = index.min(LAST - self.capacity);
            if self.ended || self.closed {
                self.seen = self.rest::<S>();
            }
        } else {
            (self.seen, self.ended) = (index, ended);
        }
    }

    /// Who found a word that must be refused says so, and no other does.
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

    /// Holds an operation to what it was answered. Where it only `looks`, it need not remember.
    fn judge<S: Side>(
        &mut self,
        adversary: &Adversary<'_>,
        outcome: &Result<Did, Why>,
        looks: bool,
    ) -> Result<()> {
        let events = adversary.events();
        let mut refused = None;
        for event in &events {
            match *event {
                Event::Load(site, word) if site == S::RESUMES => {
                    (self.own, self.closed) = index_of(word);
                    (self.seen, self.ended) = (self.rest::<S>(), false);
                }
                Event::Load(site, word) if site.info().word == S::WORD => {
                    let (index, ended) = index_of(word);
                    if !self.may_be::<S>(index) {
                        refused = Some((S::WORD, word));
                    } else if !looks {
                        self.see::<S>(index, ended);
                    }
                }
                Event::Store(site, word) if site == S::CLOSES => {
                    let end = self.own | CLOSED;
                    ensure!(word == end, "closed by {word}, expected {end}");
                    (self.closed, self.seen) = (true, self.rest::<S>());
                }
                _ => {}
            }
        }
        ensure_woken_at_most_once(adversary)?;
        let room = self.room::<S>();
        let corruption = match outcome {
            Err(Why::Corrupt(corruption)) => Some(*corruption),
            _ => None,
        };
        Model::judge_refusal(refused, corruption)?;
        match outcome {
            Ok(Did::Moved(count, bytes)) => {
                let problem = match S::SENDS {
                    true => "some are overwritten",
                    false => "some are not there",
                };
                ensure!(*count <= room, "{count} items moved of {room}: {problem}");
                self.own = self.own.wrapping_add(*count);
                ensure!(
                    *count == 0 || stored(&events, S::MOVES) == Some(self.own),
                    "{count} items moved, and the index is not stored"
                );
                ensure!(
                    S::SENDS || *bytes == read(&events),
                    "what was popped is not what was read, once and in order"
                );
            }
            Ok(Did::Live(count)) => {
                ensure!(*count <= self.capacity, "{count} items are said to be live");
            }
            Err(Why::Nothing) => ensure!(
                room == 0 && (S::SENDS || !self.ended),
                "full or empty, and {room} items can be moved"
            ),
            Err(Why::Ended) => ensure!(
                self.ended && (S::SENDS || room == 0),
                "not ended, or too early"
            ),
            Err(Why::Closed) => ensure!(self.closed, "not closed"),
            // Of one that is waited for.
            Err(Why::Never) => ensure!(self.own == LAST, "there can be one more"),
            Err(Why::Unexpected) => bail!("an answer that such an operation does not have"),
            Ok(Did::Other) | Err(Why::Corrupt(_)) => {}
        }
        Ok(())
    }
}

/// Whatever the other side asked for: it costs one call for each publication, at most.
pub(super) fn ensure_woken_at_most_once(adversary: &Adversary<'_>) -> Result<()> {
    let wakes = adversary.count(&Event::Wake);
    let published = adversary.events().into_iter().filter(|event| {
        use StoreSite::{LatchPublish, RingEnd, RingFree, RingPublish, RingStop, SeqEven};
        let by = [
            RingPublish,
            RingEnd,
            RingFree,
            RingStop,
            SeqEven,
            LatchPublish,
        ];
        matches!(event, Event::Store(site, _) if by.contains(site))
    });
    let published = published.count();
    ensure!(
        wakes <= published,
        "{wakes} calls to wake others, after {published} publications"
    );
    Ok(())
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

/// Every operation of a script.
pub(crate) fn answer<S: Side>(script: &Script<'_>, adversary: &Adversary<'_>) -> Result<()> {
    if script.geometry.odd_items() {
        answer_items::<S, [u8; 3]>(script, adversary)
    } else {
        answer_items::<S, u64>(script, adversary)
    }
}

fn answer_items<S: Side, T: Payload>(script: &Script<'_>, adversary: &Adversary<'_>) -> Result<()> {
    let (geometry, capacity) = (script.geometry, script.geometry.capacity());
    let place = RingMemory::new::<T>(geometry.slots(), geometry.edge(), false)?;
    let (parts, cells) = (place.parts::<T>(capacity)?, place.cells::<T>()?);
    // Some items were committed and not yet released; the latest is so near to the last position that a ring
    // comes there.
    let live = if S::SENDS { 0 } else { capacity };
    let start = index_of(geometry.start()).0.min(LAST - live);
    Native.store(parts.read_index, start, StoreSite::RingFree);
    Native.store(parts.write_index, start + live, StoreSite::RingPublish);
    let memory = adversary.memory();
    let mut model = Model {
        capacity,
        ..Model::default()
    };
    adversary.begin(LIMIT);
    // SAFETY: one thread, one such end at a time, two distinct words.
    let mut end = unsafe { S::over(parts, memory) };
    model.judge::<S>(adversary, &Ok(Did::Other), false)?;
    for operation in script.operations(S::OPERATIONS) {
        adversary.begin(LIMIT);
        let name = S::OPERATIONS[operation];
        let outcome = match (script.fault, name) {
            (Some(Fault::AssertIndex), "ring/push") => {
                specimen::asserting_look(&memory, &parts, model.own);
                Ok(Did::Other)
            }
            (Some(Fault::TrustIndex), "ring/push_slice") => {
                let count = specimen::trusting_push(&memory, &parts, cells, model.own);
                Ok(Did::Moved(count, Vec::new()))
            }
            (Some(Fault::LengthTwice), "ring/pop") => {
                specimen::twice_reading_pop(&memory, cells, model.own);
                Ok(Did::Other)
            }
            (Some(Fault::IgnoreRegress), "ring/pop_slice") => match S::operate(name, &mut end) {
                Err(Why::Corrupt(_)) => Err(Why::Nothing),
                outcome => outcome,
            },
            (Some(Fault::WakesAgain), "ring/close") => {
                memory.wake(parts.for_items.answers, WakeSite::WakeCall);
                Ok(Did::Other)
            }
            (Some(Fault::EndlessWake), "ring/stop") => {
                specimen::endless_wake(&memory, parts.for_room);
                continue;
            }
            (_, name) if name == S::RESUME => {
                // SAFETY: as above; the one before does nothing any more.
                end = unsafe { S::over(parts, memory) };
                Ok(Did::Other)
            }
            _ => S::operate(name, &mut end),
        };
        (model.judge::<S>(adversary, &outcome, name == S::LOOK)).context(name)?;
        ensure!(
            script.fault.is_some() || S::position(&end) == model.own,
            "{name}: the position is {}, expected {}",
            S::position(&end),
            model.own
        );
    }
    Ok(())
}
