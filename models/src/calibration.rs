//! Calibration: what each engine finds in litmus tests of which the truth is known.
//!
//! An engine that is silent about an algorithm means something only as far as it sees what can
//! happen. So each one runs the tests of [`litmus`](crate::litmus), and the final states that it
//! finds are held against Rust's: it **agrees**, has a **blind spot** (it misses states that are
//! possible) or raises a **false alarm** (it shows some that are not). What each found is
//! [pinned], and each difference is [explained](DIFFERENCES): an engine that sees more or less
//! after an upgrade is noticed, and so is an explanation that has nothing left to explain.

mod differences;
mod page;
mod pinned;

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use ringproof_record::Record;

use crate::change::Table;
use crate::engine::{Engine, Limits, Thread, Update, Word, fence, spawn_with, word};
use crate::litmus::{ALL, Litmus, Op, State, TRAPS, Verdict};
use crate::order::Order;
use crate::run::Run;

pub use differences::{DIFFERENCES, Difference};
pub use page::markdown;
pub use pinned::{Pin, pinned, to_pins};

/// What an engine found in a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// In how many executions.
    pub executions: u64,
    /// The final states.
    pub states: BTreeSet<State>,
}

impl Observed {
    /// Whether a state is among them that the test asks about, and how many there are.
    pub fn verdict(&self, test: &Litmus) -> Verdict {
        let states = self.states.len().try_into().expect("there are few states");
        match self.states.iter().any(|state| test.asks_about(state)) {
            true => Verdict::Sometimes(states),
            false => Verdict::Never(states),
        }
    }

    /// How they compare with what Rust allows.
    pub fn judge(&self, test: &Litmus) -> Judgement {
        let (truth, found) = (test.rust(), self.verdict(test));
        match (found.allows(), truth.allows()) {
            (true, false) => return Judgement::FalseAlarm,
            (false, true) => return Judgement::BlindSpot,
            _ => {}
        }
        match found.states().cmp(&truth.states()) {
            Ordering::Less => Judgement::BlindSpot,
            Ordering::Equal => Judgement::Agrees,
            Ordering::Greater => Judgement::FalseAlarm,
        }
    }
}

/// How an engine's final states compare with those that are possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// They are as many, and what is asked is among both or neither.
    Agrees,
    /// Some are missing: a fault that shows only there passes.
    BlindSpot,
    /// Some are impossible: correct code may fail.
    FalseAlarm,
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Judgement::Agrees => "agrees",
            Judgement::BlindSpot => "blind spot",
            Judgement::FalseAlarm => "false alarm",
        })
    }
}

/// Every test: herd7's, then those for known traps.
pub fn tests() -> impl Iterator<Item = &'static Litmus> {
    ALL.iter().chain(TRAPS)
}

/// Far more than any engine needs for any test.
const LIMITS: Limits = Limits {
    preemptions: None,
    executions: 1_000_000,
    seed: 0,
};

/// Explores a test to the end.
///
/// Where several engines run in one process, shuttle must be the last: the panic hook that it
/// leaves behind prints lines for every execution of loom's.
///
/// # Errors
/// The engine gave up before.
pub fn observe<E: Engine>(test: &'static Litmus) -> Result<Observed, String> {
    let run = Run::new(Table::default(), None);
    let seen = Arc::new(Seen::default());
    let body = {
        let (run, seen) = (Arc::clone(&run), Arc::clone(&seen));
        move || {
            seen.settle(&run);
            seen.end(execute(test), &run);
        }
    };
    let extent = E::explore(LIMITS, &run, Arc::new(body));
    if !extent.is_exhausted() {
        return Err(format!("{} under {}: {extent}", test.name, E::NAME));
    }
    Ok(Observed {
        executions: run.executions(),
        states: seen.states(&run),
    })
}

/// The final states of an exploration. Whether an execution counts is known only after it has
/// ended (some engines try values that turn out impossible), so the last one waits.
#[derive(Default)]
struct Seen(Mutex<Settled>);

#[derive(Default)]
struct Settled {
    states: BTreeSet<State>,
    counted: u64,
    last: Option<State>,
}

/// What a run witnesses in each execution that counts.
const ENDED: &str = "ended";

impl Seen {
    fn end(&self, state: State, run: &Run) {
        self.lock().last = Some(state);
        run.saw(ENDED);
    }

    /// Takes in the last execution if it counts.
    fn settle(&self, run: &Run) {
        let counted = run.totals().witnessed.get(ENDED).copied().unwrap_or(0);
        let mut settled = self.lock();
        let last = settled.last.take();
        if counted > settled.counted {
            settled.counted = counted;
            settled.states.extend(last);
        }
    }

    /// All of them, when the exploration has ended.
    fn states(&self, run: &Run) -> BTreeSet<State> {
        self.settle(run);
        self.lock().states.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Settled> {
        self.0.lock().expect("no engine is called while it is held")
    }
}

/// Runs a test once. The main thread is the last row's: that saves a thread, and with it most of
/// the interleavings, without which the final states are the same.
pub(crate) fn execute(test: &'static Litmus) -> State {
    let words: Arc<[Word]> = test.words.iter().map(|_| word(0)).collect();
    let (last, others) = test.threads.split_last().expect("a test has threads");
    let start = |ops: &&'static [Op]| {
        let ops = *ops;
        spawn_with(&words, move |words| row(ops, words))
    };
    let others: Vec<_> = others.iter().map(start).collect();
    let last = row(last, &words);
    let mut registers: Vec<_> = others.into_iter().map(Thread::join).collect();
    registers.push(last);
    let words: Vec<_> = (words.iter())
        .map(|word| word.load(Order::Relaxed).value)
        .collect();
    test.state(&registers, &words)
}

/// One thread of a test; its registers.
pub(crate) fn row(ops: &[Op], words: &[Word]) -> Vec<u64> {
    let mut registers = Vec::new();
    for &op in ops {
        match op {
            Op::Load(word, order) => registers.push(words[word].load(order).value),
            Op::Store(word, value, order) => _ = words[word].store(value, order),
            Op::Add(word, amount, order) => {
                registers.push(words[word].update(Update::Add(amount), order).value);
            }
            Op::Fence(order) => fence(order),
        }
    }
    registers
}

/// An engine's observations, to be written down.
///
/// # Errors
/// The engine gave up somewhere.
pub fn pins<E: Engine>() -> Result<Vec<Pin>, String> {
    let pin = |test: &'static Litmus| {
        Ok(Pin {
            test: test.name.to_owned(),
            engine: E::NAME.to_owned(),
            observed: observe::<E>(test)?,
        })
    };
    tests().map(pin).collect()
}

/// An engine's observations, as rows of the report: that they are the pinned ones.
pub fn rows<E: Engine>() -> Vec<Record> {
    tests()
        .map(|test| record::<E>(test, observe::<E>(test)))
        .collect()
}

fn record<E: Engine>(test: &Litmus, observed: Result<Observed, String>) -> Record {
    let subject = format!("litmus/{}", test.name);
    let row = match observed {
        Err(reason) => Record::failed(E::NAME, subject, "calibration", reason),
        Ok(observed) => {
            let pin = pinned().into_iter().find(|pin| pin.is_of(test, E::NAME));
            match compare(test, &observed, pin.as_ref()) {
                Ok(()) => Record::passed(E::NAME, subject, "calibration").reason(format!(
                    "{} here, {} in Rust: {}",
                    observed.verdict(test),
                    test.rust(),
                    observed.judge(test)
                )),
                Err(reason) => Record::failed(E::NAME, subject, "calibration", reason),
            }
            .count(observed.executions, E::UNIT)
        }
    };
    row.repeat("cargo run -p ringproof-models --all-features -- calibration")
}

/// Whether an observation is the pinned one.
///
/// # Errors
/// It is not: what is different.
pub fn compare(test: &Litmus, observed: &Observed, pin: Option<&Pin>) -> Result<(), String> {
    let Some(pin) = pin else {
        return Err("nothing is pinned".to_owned());
    };
    let (old, new) = (&pin.observed, observed);
    let mut changes = Vec::new();
    for state in old.states.difference(&new.states) {
        changes.push(format!("no longer sees {}", pinned::describe(test, state)));
    }
    for state in new.states.difference(&old.states) {
        changes.push(format!("now sees {}", pinned::describe(test, state)));
    }
    if old.executions != new.executions {
        changes.push(format!(
            "makes {} executions, not {}",
            new.executions, old.executions
        ));
    }
    match changes.is_empty() {
        true => Ok(()),
        false => Err(changes.join("; ")),
    }
}

/// Writes every test into a directory as herd7 reads it, as `NAME.litmus`, and beside them
/// `verdicts`, with a line for each: its name, RC11's verdict, C11's verdict.
///
/// # Errors
/// A file cannot be written.
pub fn write_for_herd(directory: &Path) -> io::Result<()> {
    let mut verdicts = String::new();
    for test in tests() {
        fs::write(
            directory.join(format!("{}.litmus", test.name)),
            test.to_herd(),
        )?;
        verdicts += &format!("{} {} {}\n", test.name, test.rc11, test.c11);
    }
    fs::write(directory.join("verdicts"), verdicts)
}
