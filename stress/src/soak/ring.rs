//! The ring under kills: every item that was committed is processed, once and in order.
//!
//! A consumer that peeks notes how many items were processed before it releases them. The note is
//! the effect of the processing and the memory of it at once, so no death comes between the two,
//! and an item that a successor gets again is known to be an old one. A consumer that pops loses
//! what it had popped and not processed, never more.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use ringproof::harness::{Interposed, PartsOfRing};
use ringproof::memory::{Memory, Native};
use ringproof::ring::{Consumer, Producer};
use ringproof::site::StoreSite;
use ringproof::{
    Inspection, PopError, PushError, Ring, RingOptions, Role, Segment, Wait, WaitError,
};

use super::choice::{Choices, Round};
use super::countdown::Countdown;
use super::tally::Tally;
use super::vigil::Vigil;
use super::workers::{CONSUMER, Life, PRODUCER, Structure, author, failure, judge_stopped};
use crate::desk::same;
use crate::dying::dying;
use crate::fault::{Fault, faulty};
use crate::item::{Author, Item};
use crate::process::{Child, Note, SingleThreaded};
use crate::shm::Name;
use crate::sleeping::{Kept, other};

const CAPACITIES: [u64; 6] = [1, 2, 3, 8, 1000, 65_536];

/// The most items that an endpoint handles in one operation.
const LARGEST_BATCH: u64 = 64;

/// The longest time that somebody has to make a segment anew, in microseconds.
const LONGEST_RENEWAL: u64 = 300;

const ROLES: [Role; 2] = [Role::Producer, Role::Consumer];

/// The producer's note of how many items its pushes had returned for.
const ACKNOWLEDGED: usize = 0;
/// The producer's note that says that this segment is known to the supervisor.
const KNOWN: usize = 1;
/// Either side's note of which life of it this is.
const LIFE: usize = 2;
/// The consumer's note of how many items were processed.
const PROCESSED: usize = 0;
/// The consumer's note of how many it got again.
const REPEATED: usize = 1;

/// How a producer appends.
#[derive(Clone, Copy)]
enum Push {
    One,
    Slice,
    Chunk,
    HalfChunk,
}

/// How a consumer takes.
#[derive(Clone, Copy)]
enum Take {
    Pop,
    PopSlice,
    Peek,
    PeekHalf,
}

/// A ring under kills.
pub(crate) struct RingSoak {
    ring: Ring<Item>,
    /// Whether processes reach it by its name; else they do by its descriptor.
    named: Option<Name>,
    options: RingOptions,
    capacity: u64,
    /// What the items follow from.
    seed: u64,
    /// The position that counts as zero.
    base: u64,
    batch: u64,
    /// Whether the consumers release what they have processed, or process what they have released.
    peeks: bool,
    /// Whether an end that can do nothing sleeps.
    sleeps: bool,
    fault: Option<Fault>,
    /// Items committed when this was last looked at, and takings of each role.
    written: u64,
    epochs: [u64; 2],
    /// What was done, without what stands in the notes of this segment.
    tally: Tally,
}

impl RingSoak {
    /// The ring of this round; `name` is one that it may use.
    pub(crate) fn new(round: &Round, name: String, fault: Option<Fault>) -> Result<Self> {
        let mut choices = Choices::of(&[round.seed]);
        let capacity = choices.pick(&CAPACITIES);
        let slots = capacity.next_power_of_two() << choices.below(2);
        let options = RingOptions::new(capacity).slots(slots);
        let batch = 1 + choices.below(LARGEST_BATCH.min(capacity));
        // Near the corners of half the range: no round is to reach the last position.
        let base = choices.start() % (1 << 62);
        let peeks = !choices.one_in(4);
        let sleeps = choices.one_in(2);
        let (ring, named) = if choices.one_in(4) {
            (Ring::create(&name, &options)?, Some(Name::new(name)))
        } else {
            (Ring::anonymous(&options)?, None)
        };
        // SAFETY: there is no endpoint yet, nor a process that could make one.
        let parts = unsafe { ring.parts()? };
        Native.store(parts.write_index, base, StoreSite::RingPublish);
        Native.store(parts.read_index, base, StoreSite::RingFree);
        ring.segment().set_note(Role::Producer, KNOWN, 1)?;
        Ok(RingSoak {
            ring,
            named,
            options,
            capacity,
            seed: round.seed,
            base,
            batch,
            peeks,
            sleeps,
            fault,
            written: 0,
            epochs: [0; 2],
            tally: Tally::default(),
        })
    }

    fn attach(&self) -> Result<Ring<Item>> {
        Ok(match &self.named {
            Some(name) => Ring::attach(name)?,
            None => Ring::attach_fd(self.ring.segment().descriptor()?)?,
        })
    }

    fn produce<M: Memory<Cells = Native>>(
        &self,
        ring: &Ring<Item>,
        memory: M,
        mut life: Life<'_>,
    ) -> Result<()> {
        let claim = ring.segment().claim(Role::Producer)?;
        let author = author(&claim);
        let epoch = claim.epoch();
        ring.segment().set_note(Role::Producer, LIFE, epoch)?;
        let kept = Some(claim).filter(|_| life.fault != Some(Fault::RoleLost));
        let kept = Kept::new(ring.segment(), Role::Producer, kept);
        let vigil = Vigil::new(&mut life, 1);
        let memory = Interposed::new(memory, &vigil);
        // SAFETY: the claim makes it the only producer (and if it is lost, on purpose, the supervisor has
        // one process for each role all the same); the words are the ring's.
        let producer = unsafe { Producer::<Item, _, _>::new(ring.parts()?, memory, kept) };
        let mut producer = producer.with_wait(Wait::SleepAtOnce);
        // SAFETY: these words are no indices.
        let words = unsafe { ring.parts()? }.for_room;
        let peer = || note(ring, other(Role::Producer), LIFE);
        let acknowledge = |position: u64| {
            let done = position.wrapping_sub(self.base);
            ring.segment().set_note(Role::Producer, ACKNOWLEDGED, done)
        };
        acknowledge(producer.position())?;
        let how = (life.choices).pick(&[Push::One, Push::Slice, Push::Chunk, Push::HalfChunk]);
        let mut items = Vec::new();
        loop {
            let position = producer.position();
            let mut count = 1 + life.choices.below(self.batch);
            if let Some(goal) = life.goal {
                let done = position.wrapping_sub(self.base);
                count = count.min(goal.saturating_sub(done));
                if count == 0 {
                    producer.close();
                    return Ok(());
                }
            }
            if matches!(how, Push::One) {
                count = 1;
            }
            items.clear();
            items.extend((0..count).map(|n| Item::of(self.seed, author, position.wrapping_add(n))));
            let outcome = match how {
                Push::One => producer.push(items[0]),
                Push::Slice => producer.push_slice(&items).map(drop),
                Push::Chunk | Push::HalfChunk => match producer.reserve(items.len()) {
                    Ok(mut chunk) => {
                        let count = match how {
                            Push::HalfChunk => chunk.len().div_ceil(2),
                            _ => chunk.len(),
                        };
                        for (index, item) in items[..count].iter().enumerate() {
                            chunk.set(index, *item)?;
                        }
                        chunk.commit(count)?;
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
            };
            life.countdown.returned();
            match outcome {
                Ok(()) => acknowledge(producer.position())?,
                Err(PushError::Full) if self.sleeps => {
                    let by = peer();
                    match producer.wait().free_slots(1) {
                        Ok(_) => {
                            vigil.awake(by, producer.position().wrapping_sub(producer.occupancy()?))
                        }
                        // It is killed, and there is none yet; or a pause.
                        Err(WaitError::PeerGone) => life.turn.end(),
                        Err(error) => return Err(error).context("a wait for room"),
                    }
                }
                Err(PushError::Full) => life.turn.end(),
                Err(error) => return Err(error).context("a push"),
            }
            let published = || Ok(producer.position().wrapping_sub(producer.occupancy()?));
            vigil.check(words, published, peer)?;
            life.turn.over();
        }
    }

    fn consume<M: Memory<Cells = Native>>(
        &self,
        ring: &Ring<Item>,
        memory: M,
        mut life: Life<'_>,
    ) -> Result<()> {
        let claim = ring.segment().claim(Role::Consumer)?;
        if life.fault == Some(Fault::Hang) && life.number > 0 {
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        ring.segment()
            .set_note(Role::Consumer, LIFE, claim.epoch())?;
        let kept = Kept::new(ring.segment(), Role::Consumer, Some(claim));
        let vigil = Vigil::new(&mut life, 1);
        let memory = Interposed::new(memory, &vigil);
        // SAFETY: the claim makes it the only consumer; the words are the ring's.
        let consumer = unsafe { Consumer::<Item, _, _>::new(ring.parts()?, memory, kept) };
        let mut consumer = consumer.with_wait(Wait::SleepAtOnce);
        // SAFETY: these words are no indices.
        let words = unsafe { ring.parts()? }.for_items;
        let peer = || note(ring, other(Role::Consumer), LIFE);
        // Between a look at an item and its release its processing is part of the operation.
        let countdown = Some(life.countdown).filter(|_| self.peeks);
        let mut desk = Desk::new(self, ring, consumer.position(), life.fault, countdown)?;
        let how = life.choices.pick(if self.peeks {
            &[Take::Peek, Take::PeekHalf]
        } else {
            &[Take::Pop, Take::PopSlice]
        });
        let mut items = vec![bytemuck::Zeroable::zeroed(); self.batch as usize];
        loop {
            let count = 1 + life.choices.below(self.batch) as usize;
            let position = consumer.position();
            let outcome = match how {
                Take::Pop => consumer.pop().map(|item| {
                    items[0] = item;
                    1
                }),
                Take::PopSlice => consumer.pop_slice(&mut items[..count]),
                Take::Peek | Take::PeekHalf => match consumer.peek(count) {
                    Ok(chunk) => {
                        let count = match how {
                            Take::PeekHalf => chunk.len().div_ceil(2),
                            _ => chunk.len(),
                        };
                        chunk.copy_to_slice(0, &mut items[..count])?;
                        desk.process(position, &items[..count])?;
                        chunk.release(count)?;
                        Ok(0)
                    }
                    Err(error) => Err(error),
                },
            };
            life.countdown.returned();
            match outcome {
                Ok(count) => desk.process(position, &items[..count])?,
                Err(PopError::Empty) if self.sleeps => {
                    let by = peer();
                    match consumer.wait().items(1) {
                        Ok(_) => {
                            vigil.awake(by, consumer.position().wrapping_add(consumer.occupancy()?))
                        }
                        Err(WaitError::PeerGone) => life.turn.end(),
                        Err(WaitError::Refused(PopError::PeerClosed)) => return Ok(()),
                        Err(error) => return Err(error).context("a wait for items"),
                    }
                }
                Err(PopError::Empty) => life.turn.end(),
                Err(PopError::PeerClosed) => return Ok(()),
                Err(error) => return Err(error).context("a pop"),
            }
            let published = || Ok(consumer.position().wrapping_add(consumer.occupancy()?));
            vigil.check(words, published, peer)?;
            life.turn.over();
        }
    }

    /// Looks at the ring, holds to its invariants what is to be found in any case, and says how
    /// many items were committed and how many released.
    fn look(&self) -> Result<(Inspection, u64, u64)> {
        let seen = Inspection::of_segment(self.ring.segment())?;
        let written = seen.write_index.wrapping_sub(self.base);
        let read = seen.read_index.wrapping_sub(self.base);
        ensure!(
            read <= written && written - read <= self.capacity,
            "{written} items were committed and {read} released, of at most {} live",
            self.capacity
        );
        Ok((seen, written, read))
    }

    /// Turns to another segment, whose tally begins anew.
    fn turn_to(&mut self, ring: Ring<Item>) -> Result<()> {
        self.tally = self.tally();
        self.tally.renewals += 1;
        ring.segment().set_note(Role::Producer, KNOWN, 1)?;
        self.ring = ring;
        (self.base, self.written, self.epochs) = (0, 0, [0; 2]);
        Ok(())
    }
}

impl Structure for RingSoak {
    fn describe(&self) -> String {
        format!(
            "a ring{} of capacity {} in {} slots, batches up to {}, from position {}, the \
             consumers {}, who can do nothing {}",
            self.named.as_ref().map_or("", |_| " with a name"),
            self.capacity,
            self.ring.segment().fixed().slots,
            self.batch,
            self.base,
            if self.peeks { "peek" } else { "pop" },
            if self.sleeps { "sleeps" } else { "tries again" }
        )
    }

    fn segment(&self) -> &Segment {
        self.ring.segment()
    }

    fn actors(&self) -> &'static [&'static str] {
        &["producer", "consumer"]
    }

    fn work(&self, actor: usize, life: Life<'_>) -> Result<()> {
        let ring = self.attach()?;
        let fault = life.mistake(actor);
        if fault.is_none() && !life.countdown.is_finite() {
            // What ships.
            return match actor {
                PRODUCER => self.produce(&ring, Native, life),
                _ => self.consume(&ring, Native, life),
            };
        }
        let memory = faulty(dying(life.countdown), fault);
        // SAFETY: nothing is stored through these parts but by a fault, injected to break this.
        let parts = unsafe { ring.parts()? };
        let of = |index| memory.map(|faults| faults.with_index(index));
        match actor {
            PRODUCER => self.produce(&ring, of(parts.write_index), life),
            _ => self.consume(&ring, of(parts.read_index), life),
        }
    }

    fn died(&mut self, actor: usize) -> Result<bool> {
        let role = ROLES[actor];
        let _kept = (self.fault == Some(Fault::RoleKept))
            .then(|| self.ring.segment().claim(role))
            .transpose()?;
        let (seen, written, read) = self.look()?;
        let state = seen.roles[actor];
        ensure!(!state.held, "the {role}'s role is still held");
        let before = std::mem::replace(&mut self.epochs[actor], state.epoch);
        self.tally.recoveries += u64::from(before > 0 && state.epoch > before);
        if actor == PRODUCER {
            let acknowledged = note(&self.ring, Role::Producer, ACKNOWLEDGED);
            ensure!(
                acknowledged <= written && written - acknowledged <= self.batch,
                "{written} items are committed; pushes had returned for {acknowledged}, and one \
                 of at most {} may have been under way",
                self.batch
            );
            ensure!(
                self.written <= written,
                "{written} items are committed, and were {} before",
                self.written
            );
            self.written = written;
            Ok(acknowledged != written)
        } else {
            let processed = note(&self.ring, Role::Consumer, PROCESSED);
            // Between the two stands what the dead one had under way.
            let (least, most) = if self.peeks {
                (read, processed)
            } else {
                (processed, read)
            };
            ensure!(
                least <= most && most - least <= self.batch && most <= written,
                "{written} items are committed, {read} released and {processed} processed, at \
                 most {} at a time",
                self.batch
            );
            Ok(processed != read)
        }
    }

    fn stopped(&mut self, actor: usize) -> Result<()> {
        let (seen, ..) = self.look()?;
        judge_stopped(self.ring.segment(), &seen.roles[actor], self.epochs[actor])
    }

    /// Somebody unlinks the segment and makes another one, and is killed on the way; who comes
    /// next finishes it.
    fn all_dead(&mut self, alone: SingleThreaded, mut choices: Choices) -> Result<()> {
        let Some(name) = &self.named else {
            return Ok(());
        };
        let what = "who makes the segment anew".to_owned();
        let mut who = Child::fork(what, alone, |ledger| {
            ledger.note(&Note::Ready);
            ringproof::unlink(name)?;
            Ring::<Item>::open_or_create(name, &self.options)?;
            Ok(())
        })?;
        // From where it begins, whenever the processor came to it.
        who.ready()?;
        std::thread::sleep(Duration::from_micros(choices.below(LONGEST_RENEWAL)));
        who.signal(Signal::SIGKILL)?;
        failure(&who.wait()?)?;
        let (ring, claim) = Ring::open_or_create_as(name, Role::Producer, &self.options)?;
        let epoch = claim.epoch();
        drop(claim);
        self.tally.kills += 1;
        if ring.segment().note(Role::Producer, KNOWN) != Some(1) {
            self.turn_to(ring)?;
        }
        self.epochs[PRODUCER] = epoch;
        Ok(())
    }

    fn goal(&self) -> Result<u64> {
        let (_, written, _) = self.look()?;
        Ok(written + self.capacity + self.batch)
    }

    fn progress(&self) -> Result<u64> {
        // Both go on meanwhile, so the two numbers need not fit together.
        let seen = Inspection::of_segment(self.ring.segment())?;
        Ok(seen.write_index.wrapping_add(seen.read_index))
    }

    fn ended(&mut self, goal: u64) -> Result<()> {
        for actor in [PRODUCER, CONSUMER] {
            self.died(actor)?;
        }
        let (seen, written, read) = self.look()?;
        let processed = note(&self.ring, Role::Consumer, PROCESSED);
        let all = [written, read, processed];
        same("items committed, released and processed", all, [goal; 3])?;
        same("closed at", seen.end_index, Some(seen.write_index))
    }

    fn tally(&self) -> Tally {
        let mut tally = self.tally;
        tally.items += note(&self.ring, Role::Consumer, PROCESSED);
        tally.repeated += note(&self.ring, Role::Consumer, REPEATED);
        tally
    }
}

/// Where a consumer's items are processed.
struct Desk<'a> {
    soak: &'a RingSoak,
    ring: &'a Ring<Item>,
    /// The first item that was not processed yet; those before it are old ones.
    next: u64,
    /// How many were processed. A consumer that knows what it does has the same number twice.
    processed: u64,
    /// What may end the process after an item.
    countdown: Option<&'a Countdown<'a>>,
}

impl<'a> Desk<'a> {
    /// For a consumer that takes its role over at this position.
    fn new(
        soak: &'a RingSoak,
        ring: &'a Ring<Item>,
        position: u64,
        fault: Option<Fault>,
        countdown: Option<&'a Countdown<'a>>,
    ) -> Result<Self> {
        let begin = position.wrapping_sub(soak.base);
        // Who pops cannot know of more than what was released.
        if !soak.peeks {
            ring.segment().set_note(Role::Consumer, PROCESSED, begin)?;
        }
        let processed = note(ring, Role::Consumer, PROCESSED);
        let next = match fault {
            Some(Fault::Forget) => begin,
            _ => processed,
        };
        Ok(Desk {
            soak,
            ring,
            next,
            processed,
            countdown,
        })
    }

    /// Processes the items from this position on, except the old ones.
    fn process(&mut self, position: u64, items: &[Item]) -> Result<()> {
        let segment = self.ring.segment();
        for (offset, item) in items.iter().enumerate() {
            let position = position.wrapping_add(offset as u64);
            let seed = self.soak.seed;
            let by = |author| Item::of(seed, author, position) == *item;
            ensure!(
                by(Author::Victim) || by(Author::Successor),
                "position {position} holds {item:?}"
            );
            let number = position.wrapping_sub(self.soak.base);
            ensure!(
                number <= self.next,
                "item {number} comes after {} were processed: one was lost",
                self.next
            );
            if number < self.next {
                let again = note(self.ring, Role::Consumer, REPEATED);
                segment.set_note(Role::Consumer, REPEATED, again + 1)?;
                continue;
            }
            self.next += 1;
            self.processed += 1;
            segment.set_note(Role::Consumer, PROCESSED, self.processed)?;
            if let Some(countdown) = self.countdown {
                countdown.step();
            }
        }
        Ok(())
    }
}

/// A note, which is zero until it is written.
fn note(ring: &Ring<Item>, role: Role, index: usize) -> u64 {
    ring.segment().note(role, index).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use ringproof::ring::CLOSED;

    use super::*;

    /// A ring of 8 that starts at position 100, with batches of up to 3, in which so many items were
    /// committed, acknowledged, released and processed.
    fn left(peeks: bool, [written, acknowledged, read, processed]: [u64; 4]) -> RingSoak {
        let options = RingOptions::new(8);
        let soak = RingSoak {
            ring: Ring::anonymous(&options).unwrap(),
            named: None,
            options,
            capacity: 8,
            seed: 1,
            base: 100,
            batch: 3,
            peeks,
            sleeps: false,
            fault: None,
            written: 0,
            epochs: [0; 2],
            tally: Tally::default(),
        };
        // SAFETY: there is no endpoint, nor will there be one.
        let parts = unsafe { soak.ring.parts().unwrap() };
        Native.store(
            parts.write_index,
            (100 + written) | CLOSED,
            StoreSite::RingEnd,
        );
        Native.store(parts.read_index, 100 + read, StoreSite::RingFree);
        let note = |role, index, value| soak.ring.segment().set_note(role, index, value).unwrap();
        note(Role::Producer, ACKNOWLEDGED, acknowledged);
        note(Role::Consumer, PROCESSED, processed);
        soak
    }

    #[test]
    fn a_dead_producer_has_lost_nothing_and_has_at_most_a_batch_under_way() {
        for (acknowledged, good) in [(4, false), (5, true), (8, true), (9, false)] {
            let died = left(true, [8, acknowledged, 2, 2]).died(PRODUCER);
            assert_eq!(died.is_ok(), good, "{acknowledged}: {died:?}");
        }
        let mut shrunk = left(true, [8, 8, 2, 2]);
        shrunk.written = 9;
        assert!(shrunk.died(PRODUCER).is_err());
    }

    #[test]
    fn a_dead_consumer_has_at_most_a_batch_under_way() {
        let numbers = [(1, false), (2, true), (5, true), (6, false)];
        for (processed, good) in numbers {
            let died = left(true, [8, 8, 2, processed]).died(CONSUMER);
            assert_eq!(died.is_ok(), good, "{processed} processed: {died:?}");
        }
        for (read, good) in numbers {
            let died = left(false, [8, 8, read, 2]).died(CONSUMER);
            assert_eq!(died.is_ok(), good, "{read} released: {died:?}");
        }
        // What was not committed is not processed.
        assert!(left(true, [8, 8, 7, 9]).died(CONSUMER).is_err());
    }

    #[test]
    fn the_indices_stay_within_the_capacity() {
        for (read, good) in [(1, false), (2, true), (10, true), (11, false)] {
            let seen = left(true, [10, 10, read, read]).look();
            assert_eq!(seen.is_ok(), good, "{read}: {seen:?}");
        }
    }

    #[test]
    fn at_the_end_everything_is_at_the_goal() {
        assert!(left(true, [8, 8, 8, 8]).ended(8).is_ok());
        for wrong in [[8, 8, 8, 7], [8, 8, 7, 8], [7, 7, 7, 7], [9, 9, 9, 9]] {
            assert!(left(true, wrong).ended(8).is_err(), "{wrong:?}");
        }
        let open = left(true, [8, 8, 8, 8]);
        // SAFETY: as above.
        let parts = unsafe { open.ring.parts().unwrap() };
        Native.store(parts.write_index, 108, StoreSite::RingPublish);
        assert!({ open }.ended(8).is_err());
    }

    #[test]
    fn a_desk_takes_each_item_once_and_notices_a_gap() {
        let soak = left(true, [8, 8, 2, 4]);
        let item = |position| Item::of(1, Author::Victim, position);
        let mut desk = Desk::new(&soak, &soak.ring, 102, None, None).unwrap();
        desk.process(102, &[item(102), item(103), item(104)])
            .unwrap();
        assert_eq!((desk.next, desk.processed), (5, 5));
        assert_eq!(soak.tally().repeated, 2);
        let gap = desk.process(106, &[item(106)]).unwrap_err();
        assert!(gap.to_string().contains("lost"), "{gap}");
        let wrong = desk.process(105, &[item(104)]).unwrap_err();
        assert!(wrong.to_string().contains("holds item 104"), "{wrong}");
    }
}
