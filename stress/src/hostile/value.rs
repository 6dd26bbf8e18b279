//! Seqlock and latch under an adversary, each operation held to exactly what it was answered.

use anyhow::{Context, Result, ensure};
use ringproof::latch::NO_VERSION;
use ringproof::memory::{Memory, Native};
use ringproof::site::LoadSite::{self, *};
use ringproof::site::StoreSite;
use ringproof::{SeqLatch, SeqLock};

use super::memory::{Adversary, Event};
use super::region::{Guarded, sleep_words};
use super::ring::ensure_woken_at_most_once;
use super::script::{Script, item};
use super::specimen;
use crate::desk::same;
use crate::fault::Fault;
use crate::latest::{Latest, Parts, Reads, Writes};

const WORDS: usize = 3;
pub(crate) type Value = [u64; WORDS];

const ATTEMPTS: usize = 4;

/// Accesses of one attempt, and of one write: two of the number, the words, a fence and a wait; and those of a waking.
const ATTEMPT: usize = WORDS + 4;
const WAKING: usize = 6;

/// A seqlock or a latch, as it is answered.
pub(crate) trait Answered: Latest<Value> {
    const WRITING: &'static [&'static str];
    const READING: &'static [&'static str];
    /// Where a writer learns the number.
    const RESUME: LoadSite;
    /// Where a reader looks at the number, copies, and looks again.
    const LOOKS: [LoadSite; 3];

    fn slots(script: &Script<'_>) -> usize;

    /// Whether the two looks bound a whole value.
    fn is_whole(before: u64, after: u64, slots: usize) -> bool;
}

impl Answered for SeqLock<Value> {
    const WRITING: &'static [&'static str] = &["seqlock/write", "seqlock/writer-resume"];
    const READING: &'static [&'static str] = &["seqlock/try_read", "seqlock/read"];
    const RESUME: LoadSite = SeqResume;
    const LOOKS: [LoadSite; 3] = [SeqObserve, SeqCopyOut, SeqRecheck];

    fn slots(_: &Script<'_>) -> usize {
        1
    }

    fn is_whole(before: u64, after: u64, _: usize) -> bool {
        before.is_multiple_of(2) && before == after
    }
}

impl Answered for SeqLatch<Value> {
    const WRITING: &'static [&'static str] = &["latch/write", "latch/writer-resume"];
    const READING: &'static [&'static str] = &["latch/try_read", "latch/read"];
    const RESUME: LoadSite = LatchResume;
    const LOOKS: [LoadSite; 3] = [LatchObserve, LatchCopyOut, LatchRecheck];

    fn slots(script: &Script<'_>) -> usize {
        script.geometry.slots().max(2) as usize
    }

    fn is_whole(before: u64, after: u64, slots: usize) -> bool {
        after.wrapping_sub(before) <= slots as u64 - 2 && after != NO_VERSION
    }
}

/// The number and the payload between guards.
struct Place {
    number: Guarded,
    sleep: Guarded,
    payload: Guarded,
    slots: usize,
}

impl Place {
    fn new<L: Answered>(script: &Script<'_>) -> Result<Place> {
        let (edge, slots) = (script.geometry.edge(), L::slots(script));
        let place = Place {
            number: Guarded::new(size_of::<u64>(), edge)?,
            sleep: Guarded::new(2 * size_of::<u64>(), edge)?,
            payload: Guarded::new(slots * size_of::<Value>(), edge)?,
            slots,
        };
        let number = place.parts()?.number;
        Native.store(number, script.geometry.start(), StoreSite::SeqEven);
        Ok(place)
    }

    fn parts(&self) -> Result<Parts<'_>> {
        Ok(Parts {
            number: &self.number.words(1)?[0],
            payload: self.payload.words(self.slots * WORDS)?,
            sleep: sleep_words(self.sleep.words(2)?),
        })
    }
}

/// The stores of a write after this number, and the number then.
fn stores<L: Latest<Value>>(number: u64, value: Value) -> (Vec<(StoreSite, u64)>, u64) {
    let begun = L::BEGUN.map(|site| (site, number.wrapping_add(1) | 1));
    let next = begun.map_or(number, |(_, odd)| odd).wrapping_add(1);
    let copied = value.map(|word| (L::COPIED, word));
    let stores = begun.into_iter().chain(copied);
    (stores.chain([(L::PUBLISHED, next)]).collect(), next)
}

/// Holds a write to the stores that it must consist of.
fn judge_writing(adversary: &Adversary<'_>, expected: &[(StoreSite, u64)]) -> Result<()> {
    let stores: Vec<_> = (adversary.events().iter())
        .filter_map(|event| match event {
            Event::Store(StoreSite::WakeAnswer, _) => None,
            Event::Store(site, value) => Some((*site, *value)),
            _ => None,
        })
        .collect();
    ensure!(
        stores == expected,
        "stored {stores:x?}, expected {expected:x?}"
    );
    ensure_woken_at_most_once(adversary)
}

/// What the endpoint was answered at `site`, where it resumes.
fn resumed(adversary: &Adversary<'_>, site: LoadSite) -> Result<u64> {
    let events = adversary.events();
    let found = events.iter().find_map(|event| match event {
        Event::Load(at, value) if *at == site => Some(*value),
        _ => None,
    });
    found.context("it resumes without a look at where its predecessor stopped")
}

pub(crate) fn write<L: Answered>(script: &Script<'_>, adversary: &Adversary<'_>) -> Result<()> {
    let place = Place::new::<L>(script)?;
    let parts = place.parts()?;
    let resume = || {
        adversary.begin(2);
        let writer = L::writer_over(parts, adversary.memory(), None);
        let number = resumed(adversary, L::RESUME)?;
        anyhow::Ok((writer.context("no room for a value")?, number))
    };
    let (mut writer, mut number) = resume()?;
    for (written, operation) in (1..).zip(script.operations(L::WRITING)) {
        if operation == 1 {
            (writer, number) = resume()?;
            continue;
        }
        adversary.begin(ATTEMPT + WAKING);
        let value: Value = item(written);
        if script.has(Fault::EvenWrite) {
            let words = value.map(u64::to_ne_bytes);
            let memory = adversary.memory();
            specimen::even_write(&memory, parts.number, parts.payload, number, &words);
        } else {
            writer.write(&value);
        }
        let (stores, next) = stores::<L>(number, value);
        number = next;
        judge_writing(adversary, &stores).context(L::WRITING[0])?;
        if script.fault.is_some() {
            continue;
        }
        // Without an overflow, whatever the number.
        let reported = (writer.version(), writer.needs_repair());
        same("the writer says", reported, (number / L::STEPS, false))?;
        let slot = (number % place.slots as u64) as usize;
        for (word, expected) in parts.payload[slot * WORDS..].iter().zip(value) {
            let what = format!("of version {number} in slot {slot} of {}", place.slots);
            same(&what, Native.load(word, L::LOOKS[1]), expected)?;
        }
    }
    Ok(())
}

/// The attempts that a reader made: what the last one read, if it may be accepted.
#[derive(Default)]
struct Attempts {
    made: usize,
    last: Option<Vec<u64>>,
}

impl Attempts {
    /// From a structure whose number is looked at in `sites` and copied between; `accepts` says
    /// which two answers bound a whole value.
    fn of(
        adversary: &Adversary<'_>,
        [observe, copy, recheck]: [LoadSite; 3],
        accepts: impl Fn(u64, u64) -> bool,
    ) -> Attempts {
        let mut attempts = Attempts::default();
        let (mut before, mut words) = (0, Vec::new());
        for event in adversary.events() {
            match event {
                Event::Load(site, value) if site == observe => {
                    attempts.made += 1;
                    attempts.last = None;
                    (before, words) = (value, Vec::new());
                }
                Event::Load(site, value) if site == copy => words.push(value),
                Event::Load(site, after) if site == recheck && accepts(before, after) => {
                    attempts.last = Some(std::mem::take(&mut words));
                }
                _ => {}
            }
        }
        attempts
    }

    fn judge(self, most: usize, found: Option<Value>) -> Result<()> {
        let made = self.made;
        ensure!((1..=most).contains(&made), "{made} attempts of {most}");
        let expected = self.last.as_deref();
        same("it gives", found.as_ref().map(Value::as_slice), expected)
    }
}

pub(crate) fn read<L: Answered>(script: &Script<'_>, adversary: &Adversary<'_>) -> Result<()> {
    let place = Place::new::<L>(script)?;
    let parts = place.parts()?;
    let reader = L::reader_over(parts, adversary.memory()).context("no room for a value")?;
    for operation in script.operations(L::READING) {
        adversary.begin(ATTEMPTS * ATTEMPT);
        if script.has(Fault::EndlessRead) {
            specimen::endless_read(&adversary.memory(), parts.number);
            continue;
        }
        if script.has(Fault::UnmaskedRead) {
            specimen::unmasked_read(&adversary.memory(), parts.number, parts.payload, WORDS);
            continue;
        }
        let (most, found) = match operation {
            0 => (1, reader.try_read().ok()),
            _ => (ATTEMPTS, reader.read(ATTEMPTS as u32).ok()),
        };
        let whole = |before, after| L::is_whole(before, after, place.slots);
        Attempts::of(adversary, L::LOOKS, whole)
            .judge(most, found)
            .context(L::READING[operation])?;
    }
    Ok(())
}
