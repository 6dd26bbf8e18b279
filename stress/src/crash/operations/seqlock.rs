//! The seqlock: its writer or a reader dies; readers and the next writer go on.

use anyhow::{Context, Result, ensure};
use ringproof::memory::Memory;
use ringproof::read::ReadError;
use ringproof::seqlock::{SeqReader, Watch};
use ringproof::site::{Site, StoreSite};
use ringproof::{Role, SeqLock, SeqLockOptions};

use crate::crash::trial::{Case, Death, Trial, Victim, attach, ensure_kept};
use crate::dying::{Fate, Point};
use crate::ends::SeqWriter;
use crate::fault::Faulty;
use crate::item::{Author, Item};

/// What a seqlock is like before the victim comes.
#[derive(Clone, Copy)]
enum State {
    /// It holds its first value.
    New,
    /// It was written.
    Written,
    /// A writer died inside a write, after the first word of the payload.
    Torn,
}

const STATES: [(&str, State); 3] = [
    ("new", State::New),
    ("written", State::Written),
    ("torn", State::Torn),
];

/// How many values a victim writes.
const WRITES: u64 = 2;
/// How many attempts a reader makes.
const ATTEMPTS: u32 = 3;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, state) in STATES {
        cases.push(Case::new("seqlock/write", name, move |trial| {
            writer_dies(trial, state)
        }));
    }
    for (name, state) in STATES {
        cases.push(Case::new("seqlock/read", name, move |trial| {
            reader_dies(trial, state)
        }));
    }
    cases
}

/// A seqlock in some state.
struct Furnished {
    lock: SeqLock<Item>,
    /// The number of the last value, the one that a reader gets or got.
    version: u64,
    /// Whether somebody died inside a write.
    torn: bool,
    /// How often the writer's role was taken.
    takings: u64,
}

/// The value of this number by whoever furnished the seqlock.
fn initial(trial: &Trial<'_>, version: u64) -> Item {
    trial.item(Author::Setup, version)
}

fn furnish(trial: &Trial<'_>, state: State) -> Result<Furnished> {
    let lock = SeqLock::<Item>::anonymous(&initial(trial, 0), &SeqLockOptions::default())?;
    let mut version = 0;
    let mut takings = 0;
    if !matches!(state, State::New) {
        let mut writer = lock.writer()?;
        takings += 1;
        for _ in 0..=trial.seed() % 4 {
            version += 1;
            writer.write(&initial(trial, version));
        }
    }
    let torn = matches!(state, State::Torn);
    if torn {
        let point = Point {
            number: 6,
            fate: Fate::KilledAfter,
            site: StoreSite::SeqCopyIn.into(),
        };
        trial.earlier(point, |victim| write(&lock, victim, version))?;
        takings += 1;
    }
    Ok(Furnished {
        lock,
        version,
        torn,
        takings,
    })
}

/// What a victim that writes does.
fn write(lock: &SeqLock<Item>, victim: &Victim<'_>, version: u64) -> Result<()> {
    let lock = SeqLock::<Item>::attach_fd(attach(lock)?)?;
    let claim = lock.claim_through(&victim.memory(), Role::Writer)?;
    let parts = lock.parts()?;
    let memory = victim.memory().map(|faults| faults.with_index(parts.seq));
    let mut writer = SeqWriter::<Item, _>::new(parts, memory, victim.keep(claim))
        .context("the seqlock has no room for an item")?;
    for number in 1..=WRITES {
        writer.write(&victim.item(version + number));
    }
    Ok(())
}

fn writer_dies(trial: &Trial<'_>, state: State) -> Result<()> {
    let Furnished {
        lock,
        version,
        torn,
        takings,
    } = furnish(trial, state)?;
    let survivor = lock.reader()?;
    // The number of values written, the value that is there, and whether it is in pieces:
    // decided by which accesses were made.
    let left = |death: &Death| {
        let written = death.count(StoreSite::SeqEven) as u64;
        let (odd, even) = (Site::from(StoreSite::SeqOdd), StoreSite::SeqEven.into());
        let torn = match death.last_of(&[odd, even]) {
            Some(last) => last == odd,
            None => torn,
        };
        let value = match written {
            0 => initial(trial, version),
            _ => trial.item(Author::Victim, version + written),
        };
        (written, value, torn)
    };
    let stalled = ReadError::WriterStalled { attempts: ATTEMPTS };
    let body = |victim: &Victim<'_>| write(&lock, victim, version);
    let death = trial.victim(body, |so_far| {
        ensure_kept(&lock, Role::Writer)?;
        let (_, value, torn) = left(so_far);
        let expected = if torn { Err(stalled) } else { Ok(value) };
        read(&survivor, expected)
    })?;

    let (written, value, torn) = left(&death);
    if !death.killed {
        ensure!(
            written == WRITES,
            "{written} of {WRITES} writes were made whole"
        );
    }

    // While there is no writer, and while there is one that has not written yet.
    let none_yet = (!torn).then_some(value);
    let dead = ReadError::WriterDead { attempts: ATTEMPTS };
    read(&survivor, none_yet.ok_or(dead)).context("after the death")?;
    let claim = trial.succeed(&death, &lock, Role::Writer, takings)?;
    let parts = lock.parts()?;
    let memory = trial.successor_memory(parts.seq);
    let mut successor = SeqWriter::<Item, _>::new(parts, memory, Some(claim))
        .context("the seqlock has no room for an item")?;
    read(&survivor, none_yet.ok_or(stalled)).context("with a successor that has not written")?;
    ensure!(
        successor.needs_repair() == torn,
        "the successor is told that a repair is needed: {}, it is: {torn}",
        successor.needs_repair()
    );

    for number in 1..=3 {
        let value = trial.item(Author::Successor, number);
        successor.write(&value);
        read(&survivor, Ok(value)).context("after the successor wrote")?;
        read(&lock.reader()?, Ok(value)).context("a new reader")?;
    }
    Ok(())
}

fn reader_dies(trial: &Trial<'_>, state: State) -> Result<()> {
    let Furnished {
        lock,
        version,
        torn,
        ..
    } = furnish(trial, state)?;
    // A writer that lives all along, unless the state is that it is dead.
    let mut survivor = (!torn).then(|| lock.writer()).transpose()?;
    let mut values = vec![initial(trial, version)];
    let body = |victim: &Victim<'_>| {
        let lock = SeqLock::<Item>::attach_fd(attach(&lock)?)?;
        let parts = lock.parts()?;
        let reader = SeqReader::<Item, Faulty<'_>>::new(parts, victim.memory(), ())
            .context("the seqlock has no room for an item")?;
        match reader.read(ATTEMPTS) {
            Ok(value) => victim.took(version, value),
            // It has nobody to ask whether the writer is alive.
            Err(ReadError::WriterStalled { .. }) => ensure!(torn, "a seqlock at rest is busy"),
            Err(other) => return Err(other.into()),
        }
        Ok(())
    };
    let death = trial.victim(body, |_| {
        // The value changes under the stopped reader.
        if let Some(writer) = &mut survivor {
            let value = trial.item(Author::Survivor, version);
            writer.write(&value);
            values.push(value);
        }
        Ok(())
    })?;
    ensure!(
        death.killed || death.taken().len() == usize::from(!torn),
        "a reader that lived read nothing"
    );
    for (_, value) in death.taken() {
        ensure!(
            values.contains(&value) && !torn,
            "the victim read {value:?}"
        );
    }
    // Nobody notices.
    let before = match values.last() {
        Some(value) if !torn => Ok(*value),
        _ => Err(ReadError::WriterDead { attempts: ATTEMPTS }),
    };
    read(&lock.reader()?, before).context("after a reader's death")?;
    if survivor.is_none() {
        survivor = Some(lock.writer()?);
    }
    let value = trial.item(Author::Survivor, version + 1);
    survivor.context("there is a writer")?.write(&value);
    read(&lock.reader()?, Ok(value)).context("after the writer went on")
}

/// Reads, and holds the outcome to what is expected.
fn read<M: Memory, K: Watch>(
    reader: &SeqReader<'_, Item, M, K>,
    expected: Result<Item, ReadError>,
) -> Result<()> {
    let found = reader.read(ATTEMPTS);
    ensure!(
        found == expected,
        "a reader gets {found:?}, expected {expected:?}"
    );
    Ok(())
}
