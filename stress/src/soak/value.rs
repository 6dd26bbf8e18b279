//! The seqlock and the latch under kills: no reader gets a torn value or an older one than it had,
//! and the last value of a dead writer is readable, or known not to be there.
//!
//! Values are numbered by how many were written before, so that a reader needs no memory but the
//! number that it saw last.

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail, ensure};
use ringproof::harness::Interposed;
use ringproof::latch::NO_VERSION;
use ringproof::layout::Kind;
use ringproof::memory::{Memory, Native};
use ringproof::{Inspection, ReadError, Role, Segment, WaitError};

use super::choice::{Choices, Round};
use super::tally::Tally;
use super::vigil::Vigil;
use super::workers::{Life, PRODUCER, Structure, author, judge_stopped};
use crate::desk::same;
use crate::dying::dying;
use crate::fault::faulty;
use crate::item::{Author, Item};
use crate::latest::{Latest, Reads, Writes};

/// So many items that much of a writer's time is spent inside a write.
const ITEMS: usize = 64;
/// A value: the same item again and again.
type Value = [Item; ITEMS];

/// How often a reader tries before it says that it has no value.
const ATTEMPTS: u32 = 100;
/// How many values are written when there are no more kills.
const LAST_VALUES: u64 = 100;

/// The writer's note of the number of the last value whose write returned.
const ACKNOWLEDGED: usize = 0;

/// The writer's note of which life of it this is.
const LIFE: usize = 1;

/// After a death the odd number moves a seqlock's version, too, before anything is published.
const MARGIN: u64 = 2;

/// The readers' notes, each of its own: the number that it saw last.
const fn seen_by(actor: usize) -> usize {
    2 * actor
}

/// And how many times it got a value or the answer that there is none.
const fn reads_by(actor: usize) -> usize {
    2 * actor + 1
}

const NO_ROOM: &str = "the segment has no room for the value";

/// A seqlock or a latch under kills.
pub(crate) struct ValueSoak<L> {
    shared: L,
    /// What the values follow from.
    seed: u64,
    /// What `seq` or `version` was when the value number 0 was written.
    base: u64,
    /// How many values the last dead writer had begun, and how often the role was taken.
    begun: u64,
    epoch: u64,
    /// The number of the last value that was read, or written by a writer that is dead: no reader that
    /// starts later gets an older one.
    floor: u64,
    /// Whether a reader sleeps until there is a value that it has not seen.
    sleeps: bool,
    tally: Tally,
}

impl<L: Latest<Value>> ValueSoak<L> {
    /// The seqlock or latch of this round.
    pub(crate) fn new(round: &Round) -> Result<Self> {
        let mut choices = Choices::of(&[round.seed]);
        let value = value(round.seed, Author::Setup, 0);
        let shared = L::anonymous(&value, choices.pick(&[2, 4, 8]))?;
        let start = choices.start();
        // The word is brought to one write before the start, and the value written as any other.
        let base = match L::KIND {
            Kind::SeqLock => start & !1,
            // One corner is no version: the start stands before another one.
            _ if start.abs_diff(NO_VERSION) < 1 << 32 => start / 2,
            _ => start,
        };
        let parts = shared.parts()?;
        Native.store(parts.number, base.wrapping_sub(L::STEPS), L::PUBLISHED);
        (L::writer_over(parts, Native, None).context(NO_ROOM)?).write(&value);
        Ok(ValueSoak {
            shared,
            seed: round.seed,
            base,
            begun: 0,
            epoch: 0,
            floor: 0,
            sleeps: choices.one_in(2),
            tally: Tally::default(),
        })
    }

    fn note(&self, role: Role, index: usize) -> u64 {
        self.shared.segment().note(role, index).unwrap_or_default()
    }

    /// The number of a value by its version.
    fn number(&self, version: u64) -> u64 {
        match L::KIND {
            // A seqlock's version is half its sequence, and wraps at half the range.
            Kind::SeqLock => version.wrapping_sub(self.base / 2) & (u64::MAX >> 1),
            _ => version.wrapping_sub(self.base),
        }
    }

    /// How many values were begun after the first, and how many of these are whole. (A value that
    /// is not whole is followed by one of the next number.)
    fn look(&self) -> Result<(Inspection, u64, u64)> {
        let seen = Inspection::of_segment(self.shared.segment())?;
        let distance = seen.write_index.wrapping_sub(self.base);
        Ok((seen, distance.div_ceil(L::STEPS), distance / L::STEPS))
    }

    /// The number of a value that is whole.
    fn judge(&self, value: &Value) -> Result<u64> {
        let item = value[0];
        let number = item.words()[0];
        let by = |author| Item::of(self.seed, author, number) == item;
        ensure!(
            by(Author::Victim) || by(Author::Successor) || by(Author::Setup),
            "a reader got {item:?}"
        );
        if let Some(other) = value.iter().position(|other| *other != item) {
            bail!(
                "a reader got a torn value: {item:?} first, {:?} in place {other}",
                value[other]
            );
        }
        Ok(number)
    }

    fn write<M: Memory<Cells = Native>>(
        &self,
        shared: &L,
        memory: M,
        mut life: Life<'_>,
    ) -> Result<()> {
        let segment = shared.segment();
        let claim = segment.claim(Role::Writer)?;
        let author = author(&claim);
        segment.set_note(Role::Writer, LIFE, claim.epoch())?;
        let rest = life.choices.pick(&[0, 0, 0, 100]);
        let mut value = value(self.seed, author, 0);
        let mut writer = L::writer_over(shared.parts()?, memory, Some(claim)).context(NO_ROOM)?;
        // Who does not write at once shows what it has changed by taking over alone.
        pause(life.choices.pick(&[0, 0, 1000, 20_000]));
        loop {
            let number = self.number(writer.version()) + 1;
            if life.goal.is_some_and(|goal| number > goal) {
                return Ok(());
            }
            value.fill(Item::of(self.seed, author, number));
            writer.write(&value);
            life.countdown.returned();
            segment.set_note(Role::Writer, ACKNOWLEDGED, number)?;
            pause(rest);
            life.turn.over();
        }
    }

    fn read(
        &self,
        shared: &L,
        reader: &impl Reads<Value>,
        vigil: &Vigil,
        actor: usize,
        mut life: Life<'_>,
    ) -> Result<()> {
        let segment = shared.segment();
        let (mut last, mut reads) = (self.floor, self.reads(actor));
        let words = shared.parts()?.sleep;
        let writer = || segment.note(Role::Writer, LIFE).unwrap_or_default();
        while life.goal.is_none_or(|goal| last < goal) {
            let seen = reader.version();
            let outcome = reader.read(ATTEMPTS);
            life.countdown.returned();
            match outcome {
                Ok(value) => {
                    let number = self.judge(&value)?;
                    ensure!(number >= last, "a reader got value {number} after {last}");
                    last = number;
                    segment.set_note(Role::Consumer, seen_by(actor), number)?;
                }
                // The writer is too fast, or was stopped or killed inside a write.
                Err(ReadError::WriterStalled { .. } | ReadError::WriterDead { .. }) => {
                    life.turn.end();
                }
                Err(other) => return Err(other).context("a read"),
            }
            reads += 1;
            segment.set_note(Role::Consumer, reads_by(actor), reads)?;
            life.turn.over();
            vigil.check(words, || Ok(reader.version()), writer)?;
            if self.sleeps && life.goal.is_none_or(|goal| last < goal) {
                let by = writer();
                match reader.newer(seen) {
                    Ok(version) => vigil.awake(by, version),
                    Err(WaitError::PeerGone) => life.turn.end(),
                    Err(error) => return Err(error).context("a wait for a value"),
                }
            }
        }
        Ok(())
    }

    fn reads(&self, actor: usize) -> u64 {
        self.note(Role::Consumer, reads_by(actor))
    }

    /// Whether a latch's writer has begun to fill the slot of the value of this number.
    fn has_begun(&self, number: u64) -> Result<bool> {
        if L::KIND != Kind::Latch {
            return Ok(false);
        }
        let fixed = self.shared.segment().fixed();
        let slot = self.base.wrapping_add(number) & (fixed.slots - 1);
        let mut word = [0; 8];
        File::from(self.shared.segment().descriptor()?)
            .read_exact_at(&mut word, fixed.data_offset + slot * fixed.payload_size)
            .context("cannot read a slot")?;
        Ok(u64::from_ne_bytes(word) == number)
    }

    /// What a reader gets in one attempt from a writer that is dead, or stopped.
    fn judge_at_rest(&self, seen: &Inspection, whole: u64) -> Result<()> {
        let attempts = 1;
        let stable = L::KIND == Kind::Latch || seen.write_index.is_multiple_of(2);
        let found = self.shared.reader()?.read(attempts);
        match found {
            Ok(value) if stable => {
                let number = self.judge(&value)?;
                same("the last value to be written", number, whole)?;
            }
            Err(ReadError::WriterDead { .. }) if !stable && !seen.roles[0].held => {}
            Err(ReadError::WriterStalled { .. }) if !stable && seen.roles[0].held => {}
            other => bail!(
                "at {} a reader gets {other:?}, the writer's role being {}",
                seen.write_index,
                if seen.roles[0].held { "held" } else { "free" }
            ),
        }
        Ok(())
    }
}

impl<L: Latest<Value>> Structure for ValueSoak<L> {
    fn describe(&self) -> String {
        let slots = self.shared.segment().fixed().slots;
        format!("a {} of {slots} slots from {}", L::KIND.name(), self.base)
    }

    fn segment(&self) -> &Segment {
        self.shared.segment()
    }

    fn actors(&self) -> &'static [&'static str] {
        &["writer", "reader", "other reader"]
    }

    fn work(&self, actor: usize, mut life: Life<'_>) -> Result<()> {
        let shared = L::attach_fd(self.shared.segment().descriptor()?)?;
        let fault = life.mistake(actor);
        let memory = faulty(dying(life.countdown), fault);
        // Without an end to the accesses, and without a fault: what ships.
        let ships = fault.is_none() && !life.countdown.is_finite();
        let parts = shared.parts()?;
        let vigil = Vigil::new(&mut life, MARGIN);
        match (actor, ships) {
            (PRODUCER, true) => self.write(&shared, Native, life),
            (PRODUCER, false) => {
                let memory = memory.map(|faults| faults.with_index(parts.number));
                self.write(&shared, memory, life)
            }
            (_, true) if !self.sleeps => self.read(&shared, &shared.reader()?, &vigil, actor, life),
            (_, true) => {
                let reader = L::reader_over(parts, Interposed::new(Native, &vigil));
                self.read(&shared, &reader.context(NO_ROOM)?, &vigil, actor, life)
            }
            (_, false) => {
                let reader = L::reader_over(parts, Interposed::new(memory, &vigil));
                self.read(&shared, &reader.context(NO_ROOM)?, &vigil, actor, life)
            }
        }
    }

    fn died(&mut self, actor: usize) -> Result<bool> {
        if actor != PRODUCER {
            self.floor = self.floor.max(self.note(Role::Consumer, seen_by(actor)));
            // A reader leaves nothing else behind.
            return Ok(false);
        }
        let (seen, begun, whole) = self.look()?;
        let state = seen.roles[0];
        ensure!(!state.held, "the writer's role is still held");
        let before = std::mem::replace(&mut self.epoch, state.epoch);
        self.tally.recoveries += u64::from(before > 0 && state.epoch > before);
        let acknowledged = self.note(Role::Writer, ACKNOWLEDGED).max(self.begun);
        ensure!(
            acknowledged <= begun && begun - acknowledged <= 1,
            "{begun} values were begun, and writes had returned for {acknowledged}"
        );
        let inside = begun != whole || self.has_begun(whole + 1)?;
        self.begun = begun;
        self.floor = self.floor.max(whole);
        self.judge_at_rest(&seen, whole)?;
        Ok(inside)
    }

    fn stopped(&mut self, actor: usize) -> Result<()> {
        if actor != PRODUCER {
            return Ok(());
        }
        let (seen, _, whole) = self.look()?;
        judge_stopped(self.shared.segment(), &seen.roles[0], self.epoch)?;
        self.judge_at_rest(&seen, whole)
    }

    fn goal(&self) -> Result<u64> {
        Ok(self.begun + LAST_VALUES)
    }

    fn progress(&self) -> Result<u64> {
        let (_, begun, _) = self.look()?;
        let seen = [1, 2].map(|actor| self.note(Role::Consumer, seen_by(actor)));
        Ok(begun.wrapping_add(seen[0]).wrapping_add(seen[1]))
    }

    fn ended(&mut self, goal: u64) -> Result<()> {
        for actor in 0..self.actors().len() {
            self.died(actor)?;
        }
        let (_, begun, whole) = self.look()?;
        same("values begun, and the last", [begun, whole], [goal; 2])
    }

    fn tally(&self) -> Tally {
        let mut tally = self.tally;
        tally.items += self.begun;
        tally.reads += self.reads(1) + self.reads(2);
        tally
    }
}

/// Lets some time pass, and keeps the processor.
fn pause(spins: u32) {
    for _ in 0..spins {
        Native.spin();
    }
}

/// The value of this number by one author.
fn value(seed: u64, author: Author, number: u64) -> Value {
    [Item::of(seed, author, number); ITEMS]
}

#[cfg(test)]
mod tests {
    use ringproof::site::StoreSite;
    use ringproof::{SeqLatch, SeqLock};

    use super::*;

    /// A structure in whose life so many values were written, acknowledged up to this number.
    fn left<L: Latest<Value>>(written: u64, acknowledged: u64) -> ValueSoak<L> {
        let round = Round::of(1, 0);
        let soak = ValueSoak::<L>::new(&round).unwrap();
        let parts = soak.shared.parts().unwrap();
        let mut writer = L::writer_over(parts, Native, None).unwrap();
        for number in 1..=written {
            writer.write(&value(round.seed, Author::Victim, number));
        }
        drop(writer);
        (soak.shared)
            .segment()
            .set_note(Role::Writer, ACKNOWLEDGED, acknowledged)
            .unwrap();
        soak
    }

    fn a_life_is_judged<L: Latest<Value>>() {
        // A dead writer has at most one value under way.
        for (acknowledged, good) in [(3, false), (4, true), (5, true), (6, false)] {
            let died = left::<L>(5, acknowledged).died(PRODUCER);
            assert_eq!(died.is_ok(), good, "{:?} {acknowledged}: {died:?}", L::KIND);
        }
        // At rest the last value is there.
        let soak = left::<L>(5, 5);
        let (seen, _, whole) = soak.look().unwrap();
        soak.judge_at_rest(&seen, whole).unwrap();
        assert!(soak.judge_at_rest(&seen, whole + 1).is_err());
        // So it is at the end.
        assert!(left::<L>(5, 5).ended(5).is_ok());
        assert!(left::<L>(5, 5).ended(6).is_err());
    }

    #[test]
    fn a_dead_writer_and_the_end_are_judged() {
        a_life_is_judged::<SeqLock<Value>>();
        a_life_is_judged::<SeqLatch<Value>>();
    }

    #[test]
    fn a_torn_or_foreign_value_is_noticed() {
        let soak = left::<SeqLatch<Value>>(1, 1);
        let mut torn = value(soak.seed, Author::Victim, 7);
        assert_eq!(soak.judge(&torn).unwrap(), 7);
        torn[ITEMS - 1] = Item::of(soak.seed, Author::Successor, 7);
        assert!(soak.judge(&torn).is_err());
        let foreign = value(soak.seed + 1, Author::Victim, 7);
        assert!(soak.judge(&foreign).is_err());
    }

    #[test]
    fn a_value_that_is_not_there_is_known_not_to_be() {
        let soak = left::<SeqLock<Value>>(5, 5);
        let (before, ..) = soak.look().unwrap();
        let odd = before.write_index.wrapping_add(1);
        Native.store(soak.shared.parts().unwrap().number, odd, StoreSite::SeqOdd);
        let (odd, _, whole) = soak.look().unwrap();
        soak.judge_at_rest(&odd, whole).unwrap();
        // The answer is not what the sequence says.
        assert!(soak.judge_at_rest(&before, whole).is_err());
    }
}
