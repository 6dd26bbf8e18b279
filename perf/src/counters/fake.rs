//! A provider that counts what a test asks for: for tests of what is done with counts, where there is
//! no processor that counts. Its figures are labelled, so that none can be taken for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::event::{Event, Kind, Processor, groups};
use super::reading::Count;
use super::{Group, Provider};

/// It poses as a Sapphire Rapids. Each event counts its number, from 1, for each step of work.
#[derive(Debug)]
pub(crate) struct Fake {
    /// It counts in one of so many steps only, and says so by its clocks.
    pub(crate) share: u64,
    /// The event that it refuses.
    pub(crate) refused: Option<&'static str>,
    /// Its counters cannot be switched.
    pub(crate) stuck: bool,
    /// Its processor's counters stay at zero.
    pub(crate) dead: bool,
    /// So many steps happen whenever it counts, beside those of the test.
    pub(crate) meanwhile: u64,
    /// What has happened so far.
    pub(crate) steps: Arc<AtomicU64>,
}

impl Default for Fake {
    fn default() -> Self {
        Fake {
            share: 1,
            refused: None,
            stuck: false,
            dead: false,
            meanwhile: 0,
            steps: Arc::default(),
        }
    }
}

impl Fake {
    /// One that differs so from the usual one.
    pub(crate) fn with(change: impl FnOnce(&mut Fake)) -> Self {
        let mut fake = Fake::default();
        change(&mut fake);
        fake
    }

    /// Something that can be counted happens so many times.
    pub(crate) fn work(&self, steps: u64) {
        self.steps.fetch_add(steps, Ordering::Relaxed);
    }
}

impl Provider for Fake {
    fn label(&self) -> Option<&'static str> {
        Some("FAKE")
    }

    fn groups(&self) -> Vec<Vec<Event>> {
        groups(Some(&Processor {
            vendor: "GenuineIntel".to_owned(),
            family: 6,
            model: 0x8f,
        }))
    }

    fn open(&self, events: &[Event]) -> Box<dyn Group> {
        let all: Vec<_> = self.groups().into_iter().flatten().collect();
        let number = |event: &Event| {
            let place = all.iter().position(|known| known == event);
            let number = place.map_or(0, |place| place as u64 + 1);
            match &event.kind {
                Kind::Nothing(why) => Err(why.clone()),
                _ if self.refused == Some(event.name) => Err("the fake refuses it".to_owned()),
                kind if self.dead && kind.is_of_processor() => Ok(0),
                _ => Ok(number),
            }
        };
        Box::new(FakeGroup {
            numbers: events.iter().map(number).collect(),
            share: self.share,
            stuck: self.stuck,
            meanwhile: self.meanwhile,
            steps: Arc::clone(&self.steps),
            counted: 0,
            since: 0,
        })
    }
}

struct FakeGroup {
    numbers: Vec<Result<u64, String>>,
    share: u64,
    stuck: bool,
    meanwhile: u64,
    steps: Arc<AtomicU64>,
    counted: u64,
    since: u64,
}

impl FakeGroup {
    fn switched(&self) -> Result<(), String> {
        if self.stuck {
            return Err("the fake is stuck".to_owned());
        }
        Ok(())
    }
}

impl Group for FakeGroup {
    fn start(&mut self) -> Result<(), String> {
        self.since = self.steps.load(Ordering::Relaxed);
        self.switched()
    }

    fn stop(&mut self) -> Result<(), String> {
        self.counted += self.steps.load(Ordering::Relaxed) - self.since + self.meanwhile;
        self.switched()
    }

    fn read(&mut self) -> Vec<Result<Count, String>> {
        let count = |number: &Result<u64, String>| {
            number.clone().map(|number| Count {
                value: number * self.counted / self.share,
                enabled: self.counted,
                running: self.counted / self.share,
            })
        };
        self.numbers.iter().map(count).collect()
    }
}
