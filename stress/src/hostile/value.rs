//! Seqlock and latch under an adversary, each operation held to exactly what it was answered.

use anyhow::{Context, Result, ensure};
use ringproof::latch::{LatchParts, LatchReader, NO_VERSION};
use ringproof::memory::{Memory, Native};
use ringproof::seqlock::{SeqParts, SeqReader};
use ringproof::site::{LoadSite, StoreSite};

use super::memory::{Adversary, Event};
use super::region::Guarded;
use super::script::{Script, item};
use super::specimen;
use crate::ends::{LatchWriter, SeqWriter};
use crate::fault::Fault;

pub(crate) const SEQLOCK_WRITING: &[&str] = &["seqlock/write", "seqlock/writer-resume"];
pub(crate) const SEQLOCK_READING: &[&str] = &["seqlock/try_read", "seqlock/read"];
pub(crate) const LATCH_WRITING: &[&str] = &["latch/write", "latch/writer-resume"];
pub(crate) const LATCH_READING: &[&str] = &["latch/try_read", "latch/read"];

const WORDS: usize = 3;
type Value = [u64; WORDS];

const ATTEMPTS: usize = 4;

/// Accesses of one attempt, and of one write: two of the number, the words, a fence and a wait.
const ATTEMPT: usize = WORDS + 4;

/// The number and the payload of a seqlock or latch between guards.
struct Place {
    number: Guarded,
    payload: Guarded,
    slots: usize,
}

impl Place {
    fn new(script: &Script<'_>, slots: usize) -> Result<Place> {
        let edge = script.geometry.edge();
        let place = Place {
            number: Guarded::new(size_of::<u64>(), edge)?,
            payload: Guarded::new(slots * size_of::<Value>(), edge)?,
            slots,
        };
        let number = &place.number.words(1)?[0];
        Native.store(number, script.geometry.start(), StoreSite::SeqEven);
        Ok(place)
    }

    fn of_latch(script: &Script<'_>) -> Result<Place> {
        Place::new(script, script.geometry.slots().max(2) as usize)
    }

    fn seqlock(&self) -> Result<SeqParts<'_, Native>> {
        Ok(SeqParts {
            seq: &self.number.words(1)?[0],
            payload: self.payload.words(WORDS)?,
        })
    }

    fn latch(&self) -> Result<LatchParts<'_, Native>> {
        Ok(LatchParts {
            version: &self.number.words(1)?[0],
            slots: self.payload.words(self.slots * WORDS)?,
        })
    }
}

/// Holds a write to the stores that it must consist of.
fn judge_writing(adversary: &Adversary<'_>, expected: &[(StoreSite, u64)]) -> Result<()> {
    let stores: Vec<_> = (adversary.events().iter())
        .filter_map(|event| match event {
            Event::Store(site, value) => Some((*site, *value)),
            _ => None,
        })
        .collect();
    ensure!(
        stores == expected,
        "stored {stores:x?}, expected {expected:x?}"
    );
    Ok(())
}

/// What the endpoint was told at `site` that it resumes with.
fn resumed(adversary: &Adversary<'_>, site: LoadSite) -> Result<u64> {
    let events = adversary.events();
    let found = events.iter().find_map(|event| match event {
        Event::Load(at, value) if *at == site => Some(*value),
        _ => None,
    });
    found.context("it resumes without a look at where its predecessor stopped")
}

pub(crate) fn write_seqlock(script: &Script<'_>, adversary: &Adversary<'_>) -> Result<()> {
    let place = Place::new(script, 1)?;
    let parts = place.seqlock()?;
    let resume = || {
        adversary.begin(1);
        let writer = SeqWriter::<Value, _>::new(parts, adversary.memory(), None);
        let seq = resumed(adversary, LoadSite::SeqResume)?;
        Ok::<_, anyhow::Error>((writer.context("no room for the payload")?, seq))
    };
    let (mut writer, mut seq) = resume()?;
    for (number, operation) in (1..).zip(script.operations(SEQLOCK_WRITING)) {
        if SEQLOCK_WRITING[operation] == "seqlock/writer-resume" {
            (writer, seq) = resume()?;
            continue;
        }
        adversary.begin(ATTEMPT);
        let value: Value = item(number);
        if script.has(Fault::EvenWrite) {
            let words = value.map(u64::to_ne_bytes);
            specimen::even_write(&adversary.memory(), parts.seq, parts.payload, seq, &words);
        } else {
            writer.write(&value);
        }
        let odd = seq.wrapping_add(1) | 1;
        seq = odd.wrapping_add(1);
        let mut expected = vec![(StoreSite::SeqOdd, odd)];
        expected.extend(value.map(|word| (StoreSite::SeqCopyIn, word)));
        expected.push((StoreSite::SeqEven, seq));
        judge_writing(adversary, &expected).context("seqlock/write")?;
        // Told by every value of the number without an overflow.
        let reported = (writer.version(), writer.needs_repair());
        ensure!(
            script.fault.is_some() || reported == (seq / 2, false),
            "the writer says {reported:?} at {seq}"
        );
    }
    Ok(())
}

pub(crate) fn write_latch(script: &Script<'_>, adversary: &Adversary<'_>) -> Result<()> {
    let place = Place::of_latch(script)?;
    let parts = place.latch()?;
    let resume = || {
        adversary.begin(1);
        let writer = LatchWriter::<Value, _>::new(parts, adversary.memory(), None);
        let version = resumed(adversary, LoadSite::LatchResume)?;
        Ok::<_, anyhow::Error>((writer.context("no room for the slots")?, version))
    };
    let (mut writer, mut version) = resume()?;
    for (number, operation) in (1..).zip(script.operations(LATCH_WRITING)) {
        if LATCH_WRITING[operation] == "latch/writer-resume" {
            (writer, version) = resume()?;
            continue;
        }
        adversary.begin(ATTEMPT);
        let value: Value = item(number);
        writer.write(&value);
        version = version.wrapping_add(1);
        let mut expected = value.map(|word| (StoreSite::LatchCopyIn, word)).to_vec();
        expected.push((StoreSite::LatchPublish, version));
        judge_writing(adversary, &expected).context("latch/write")?;
        let slot = (version % place.slots as u64) as usize;
        for (word, expected) in parts.slots[slot * WORDS..].iter().zip(value) {
            let found = Native.load(word, LoadSite::LatchCopyOut);
            ensure!(
                found == expected,
                "version {version} is not in slot {slot} of {}",
                place.slots
            );
        }
    }
    Ok(())
}

/// The attempts that a reader made: what the last one read, if it may be accepted.
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
        let mut attempts = Attempts {
            made: 0,
            last: None,
        };
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
        ensure!(
            (1..=most).contains(&self.made),
            "{} attempts of {most}",
            self.made
        );
        let expected = self.last.as_deref();
        ensure!(
            found.as_ref().map(Value::as_slice) == expected,
            "it gives {found:x?}, expected {expected:x?}"
        );
        Ok(())
    }
}

pub(crate) fn read_seqlock(script: &Script<'_>, adversary: &Adversary<'_>) -> Result<()> {
    let place = Place::new(script, 1)?;
    let parts = place.seqlock()?;
    let reader = SeqReader::<Value, _>::new(parts, adversary.memory(), ())
        .context("no room for the payload")?;
    let sites = [
        LoadSite::SeqObserve,
        LoadSite::SeqCopyOut,
        LoadSite::SeqRecheck,
    ];
    for operation in script.operations(SEQLOCK_READING) {
        adversary.begin(ATTEMPTS * ATTEMPT);
        let name = SEQLOCK_READING[operation];
        if script.has(Fault::EndlessRead) {
            specimen::endless_read(&adversary.memory(), parts.seq);
            continue;
        }
        let (most, found) = match name {
            "seqlock/try_read" => (1, reader.try_read().ok()),
            _ => (ATTEMPTS, reader.read(ATTEMPTS as u32).ok()),
        };
        let whole = |before: u64, after| before.is_multiple_of(2) && before == after;
        Attempts::of(adversary, sites, whole)
            .judge(most, found)
            .context(name)?;
    }
    Ok(())
}

pub(crate) fn read_latch(script: &Script<'_>, adversary: &Adversary<'_>) -> Result<()> {
    let place = Place::of_latch(script)?;
    let parts = place.latch()?;
    let reader = LatchReader::<Value, _>::new(parts, adversary.memory(), ())
        .context("no room for the slots")?;
    let sites = [
        LoadSite::LatchObserve,
        LoadSite::LatchCopyOut,
        LoadSite::LatchRecheck,
    ];
    for operation in script.operations(LATCH_READING) {
        adversary.begin(ATTEMPTS * ATTEMPT);
        let name = LATCH_READING[operation];
        if script.has(Fault::UnmaskedRead) {
            specimen::unmasked_read(&adversary.memory(), parts.version, parts.slots, WORDS);
            continue;
        }
        let (most, found) = match name {
            "latch/try_read" => (1, reader.try_read().ok()),
            _ => (ATTEMPTS, reader.read(ATTEMPTS as u32).ok()),
        };
        let whole = |before, after: u64| {
            after.wrapping_sub(before) <= place.slots as u64 - 2 && after != NO_VERSION
        };
        Attempts::of(adversary, sites, whole)
            .judge(most, found)
            .context(name)?;
    }
    Ok(())
}
