//! The latch: its writer or a reader dies; the last committed value stays readable.

use anyhow::{Context, Result, ensure};
use ringproof::latch::LatchReader;
use ringproof::site::StoreSite;
use ringproof::{Role, SeqLatch, SeqLatchOptions};

use crate::crash::trial::{Case, Death, Trial, Victim, attach, ensure_kept};
use crate::ends::LatchWriter;
use crate::fault::Faulty;
use crate::item::{Author, Item};

/// What a latch is like before the victim comes: slots, values written.
#[derive(Clone, Copy)]
struct State {
    name: &'static str,
    slots: u64,
    written: u64,
}

const fn state(name: &'static str, slots: u64, written: u64) -> State {
    State {
        name,
        slots,
        written,
    }
}

const STATES: [State; 4] = [
    state("new", 4, 0),
    state("one", 4, 1),
    state("wrap", 4, 6),
    state("two-slots", 2, 3),
];

/// How many values a victim writes: one more than there are slots, at most.
const WRITES: u64 = 5;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for state in STATES {
        cases.push(Case::new("latch/write", state.name, move |trial| {
            writer_dies(trial, state)
        }));
    }
    for state in STATES {
        cases.push(Case::new("latch/read", state.name, move |trial| {
            reader_dies(trial, state)
        }));
    }
    cases
}

/// A latch in `state`, the number of the last value, and the value.
fn furnish(trial: &Trial<'_>, state: State) -> Result<(SeqLatch<Item>, u64, Item)> {
    let value = |version| trial.item(Author::Setup, version);
    let options = SeqLatchOptions::default().slots(state.slots);
    let latch = SeqLatch::<Item>::anonymous(&value(0), &options)?;
    let mut writer = latch.writer()?;
    let version = match state.written {
        0 => 0,
        // Some laps more, as many as the seed says.
        written => written + trial.seed() % 4 * state.slots,
    };
    for number in 1..=version {
        writer.write(&value(number));
    }
    drop(writer);
    Ok((latch, version, value(version)))
}

fn writer_dies(trial: &Trial<'_>, state: State) -> Result<()> {
    let (latch, version, value) = furnish(trial, state)?;
    let survivor = latch.reader()?;
    let body = |victim: &Victim<'_>| {
        let latch = SeqLatch::<Item>::attach_fd(attach(&latch)?)?;
        let claim = latch.claim_through(&victim.memory(), Role::Writer)?;
        let parts = latch.parts()?;
        let memory = victim
            .memory()
            .map(|faults| faults.with_index(parts.version));
        let mut writer = LatchWriter::<Item, _>::new(parts, memory, victim.keep(claim))
            .context("the latch has no room for its slots")?;
        for number in 1..=WRITES {
            writer.write(&victim.item(version + number));
        }
        Ok(())
    };
    // What took effect before the death is decided by which accesses were made.
    let left = |death: &Death| match death.count(StoreSite::LatchPublish) as u64 {
        0 => (0, value),
        written => (written, trial.item(Author::Victim, version + written)),
    };
    let death = trial.victim(body, |so_far| {
        ensure_kept(&latch, Role::Writer)?;
        read(&survivor, left(so_far).1)
    })?;

    let (written, committed) = left(&death);
    if !death.killed {
        ensure!(
            written == WRITES,
            "{written} of {WRITES} values were published"
        );
    }
    read(&survivor, committed).context("after the death")?;

    let claim = trial.succeed(&death, &latch, Role::Writer, 1)?;
    let parts = latch.parts()?;
    let memory = trial.successor_memory(parts.version);
    let mut successor = LatchWriter::<Item, _>::new(parts, memory, Some(claim))
        .context("the latch has no room for its slots")?;
    ensure!(
        successor.version() == version + written,
        "the successor starts at version {}, the victim published {}",
        successor.version(),
        version + written
    );
    read(&survivor, committed).context("with a successor that has not written")?;
    for number in 1..=state.slots + 1 {
        let value = trial.item(Author::Successor, number);
        successor.write(&value);
        read(&survivor, value).context("after the successor wrote")?;
        read(&latch.reader()?, value).context("a new reader")?;
    }
    Ok(())
}

fn reader_dies(trial: &Trial<'_>, state: State) -> Result<()> {
    let (latch, version, value) = furnish(trial, state)?;
    let mut survivor = latch.writer()?;
    let mut values = vec![value];
    let body = |victim: &Victim<'_>| {
        let latch = SeqLatch::<Item>::attach_fd(attach(&latch)?)?;
        let parts = latch.parts()?;
        let memory = victim.memory();
        let reader = LatchReader::<Item, Faulty<'_>>::new(parts, memory, ())
            .context("the latch has no room for its slots")?;
        victim.took(version, reader.read(2)?);
        Ok(())
    };
    let death = trial.victim(body, |_| {
        // The writer goes all the way round under the stopped reader.
        for number in 1..=state.slots + 1 {
            let value = trial.item(Author::Survivor, version + number);
            survivor.write(&value);
            values.push(value);
        }
        Ok(())
    })?;
    ensure!(
        death.killed || death.taken().len() == 1,
        "a reader that lived read nothing"
    );
    for (_, found) in death.taken() {
        ensure!(
            values.contains(&found),
            "the victim read {found:?}, expected one of {values:?}"
        );
    }
    // Nobody notices.
    let last = *values.last().context("there is a first value")?;
    read(&latch.reader()?, last).context("after a reader's death")?;
    for number in 1..=state.slots + 1 {
        let value = trial.item(Author::Survivor, version + number);
        survivor.write(&value);
        read(&latch.reader()?, value).context("after the writer went on")?;
    }
    Ok(())
}

/// Reads in one attempt, and holds the outcome to what is expected.
fn read(reader: &ringproof::LatchReader<Item>, expected: Item) -> Result<()> {
    let found = reader.read(1);
    ensure!(
        found == Ok(expected),
        "a reader gets {found:?}, expected {expected:?}"
    );
    Ok(())
}
