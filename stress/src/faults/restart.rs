//! Processes that stop and start again: what was sent arrives, once and in order.

use anyhow::{Context, Result, ensure};
use ringproof::{PopError, Ring, RingOptions};

use crate::desk::{Check, Setting};
use crate::shm::Name;
use crate::specimen::Queue;
use crate::specimen::s19_wiping_constructor::Wiping;
use crate::specimen::s20_index_from_zero::FromZero;

/// How many items each producer sends, and how many each consumer takes. (The last takes all.)
const SENT: [u64; 3] = [5, 2, 4];
const TAKEN: [u64; 3] = [2, 3, 6];

checks! { setting:
    "restarts", "whoever attaches goes on where the last one stopped", "starts" =>
        restarts(setting, |name| Ok(Box::new(Ours::open(name)?))),
    wrong "specimen: S19, a constructor that wipes an existing ring on attach",
        "expected item 0, found none" =>
        restarts(setting, |name| Ok(Box::new(Wiping::open(name)?))),
    wrong "specimen: S20, an endpoint's private index starts at zero on attach",
        "expected item 2, found" => restarts(setting, |name| Ok(Box::new(FromZero::open(name)?)));
}

struct Ours(Ring<u64>);

impl Ours {
    fn open(name: &Name) -> Result<Self> {
        Ok(Ours(Ring::open_or_create(
            name,
            &RingOptions::new(8).slots(8),
        )?))
    }
}

impl Queue for Ours {
    fn push(&mut self, item: u64) -> Result<()> {
        Ok(self.0.producer()?.push(item)?)
    }

    fn pop(&mut self) -> Result<Option<u64>> {
        match self.0.consumer()?.pop() {
            Ok(item) => Ok(Some(item)),
            Err(PopError::Empty) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Producers and consumers come and go, each a process of its own.
fn restarts(setting: &Setting<'_>, open: impl Fn(&Name) -> Result<Box<dyn Queue>>) -> Result<u64> {
    let name = setting.name();
    let (mut sent, mut taken) = (0, 0);
    for (number, (sends, takes)) in SENT.into_iter().zip(TAKEN).enumerate() {
        setting.apart(format!("producer {number}"), |_| {
            let mut queue = open(&name)?;
            (sent..sent + sends).try_for_each(|item| queue.push(item))
        })?;
        sent += sends;
        setting.apart(format!("consumer {number}"), |_| {
            let mut queue = open(&name)?;
            for item in taken..taken + takes {
                let found = queue.pop()?;
                let word = found.map_or("none".to_owned(), |found| found.to_string());
                ensure!(found == Some(item), "expected item {item}, found {word}");
            }
            Ok(())
        })?;
        taken += takes;
    }
    ensure!(sent == taken, "a trial that does not take what it sends");
    let mut queue = open(&name).context("cannot open it once more")?;
    let more = queue.pop()?;
    ensure!(more.is_none(), "after the last item there is {more:?}");
    Ok(2 * SENT.len() as u64)
}
