//! What happened in one execution: who accessed what, in which order, and what came of it.

use std::fmt;

use ringproof::site::Site;

use crate::order::Order;

/// What a load found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The value.
    pub value: u64,
    /// The store that it read from: its number among the stores to this word, 0 for the initial
    /// value.
    pub from: usize,
    /// The last store to this word that was executed by then.
    pub newest: usize,
}

/// What a word is changed to in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// So much more, wrapping.
    Add(u64),
    /// So much, unless it is more.
    Raise(u64),
}

impl Update {
    /// What becomes of `value`.
    pub fn of(self, value: u64) -> u64 {
        match self {
            Update::Add(amount) => value.wrapping_add(amount),
            Update::Raise(least) => value.max(least),
        }
    }
}

/// The name of an access: a site, or what a specimen calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// The name.
    pub name: &'static str,
    /// The site, if it is one.
    pub site: Option<Site>,
    /// Which word of a payload, where there are several.
    pub part: Option<usize>,
}

impl From<&'static str> for Label {
    fn from(name: &'static str) -> Label {
        Label {
            name,
            site: None,
            part: None,
        }
    }
}

impl From<Site> for Label {
    fn from(site: Site) -> Label {
        Label {
            name: site.info().name,
            site: Some(site),
            part: None,
        }
    }
}

impl Label {
    /// The same, of one word of several.
    pub fn part(self, part: usize) -> Label {
        Label {
            part: Some(part),
            ..self
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Some(part) => write!(f, "{}[{part}]", self.name),
            None => f.write_str(self.name),
        }
    }
}

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waking {
    /// It was woken.
    Woken,
    /// The word held something else: it did not fall asleep.
    Awake,
    /// Its time was over.
    TimedOut,
}

/// What one event did. A `word` or `slot` is distinguished from the others of its execution by a
/// number of no further meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A load.
    Load {
        /// The word.
        word: usize,
        /// What it found.
        read: Read,
        /// How.
        order: Order,
    },
    /// A store.
    Store {
        /// The word.
        word: usize,
        /// What was stored.
        value: u64,
        /// Its number among the stores to this word.
        number: usize,
        /// How.
        order: Order,
    },
    /// A change in one step.
    Update {
        /// The word.
        word: usize,
        /// What it found.
        read: Read,
        /// Which.
        update: Update,
        /// How.
        order: Order,
    },
    /// A fence.
    Fence {
        /// Of which kind.
        order: Order,
    },
    /// A barrier that the system refused, or a light fence that no barrier reaches.
    Nothing,
    /// A sleep on a word while it holds a value.
    Wait {
        /// The word.
        word: usize,
        /// The value.
        value: u64,
        /// How it ended; `None` if it did not.
        ended: Option<Waking>,
    },
    /// A waking of those who sleep on a word.
    Wake {
        /// The word.
        word: usize,
    },
    /// A plain read; `None` if a race with it ended the execution.
    Read {
        /// The slot, or the word when no store to it is under way.
        place: usize,
        /// What it found.
        value: Option<u64>,
    },
    /// A plain write.
    Write {
        /// The slot.
        slot: usize,
        /// What was written.
        value: u64,
    },
    /// Left out, because the run says so.
    LeftOut,
    /// Here the actor died.
    Died,
}

impl What {
    /// The ordering of an atomic access or a fence.
    pub fn order(self) -> Option<Order> {
        match self {
            What::Load { order, .. }
            | What::Store { order, .. }
            | What::Update { order, .. }
            | What::Fence { order } => Some(order),
            What::Nothing
            | What::Wait { .. }
            | What::Wake { .. }
            | What::Read { .. }
            | What::Write { .. }
            | What::LeftOut
            | What::Died => None,
        }
    }
}

/// One event of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whose: a place in [`Trace::actors`].
    pub actor: usize,
    /// Where in the source.
    pub label: Label,
    /// What it did.
    pub what: What,
}

/// One execution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Who took part, in the order of appearance.
    pub actors: Vec<String>,
    /// What they did, in the order in which the engine executed it.
    pub events: Vec<Event>,
}

impl Trace {
    /// What each actor read, in its order: two executions in which every actor read the same are
    /// the same to all of them.
    pub fn readings(&self) -> Vec<Vec<u64>> {
        let mut readings = vec![Vec::new(); self.actors.len()];
        for event in &self.events {
            let value = match event.what {
                What::Load { read, .. } | What::Update { read, .. } => Some(read.value),
                What::Read { value, .. } => value,
                _ => None,
            };
            readings[event.actor].extend(value);
        }
        readings
    }
}
