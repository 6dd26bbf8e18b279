//! Litmus tests: programs of a few lines that ask whether one final state can be observed.
//!
//! They are the truth that engines are calibrated against. Each one carries the verdicts of
//! herd7 7.57, with the number of final states that it finds. A final state is the value of
//! every register, and of every word that the question names: that is what herd7 counts.

mod table;

use std::fmt;

pub use table::{ALL, TRAPS};
#[cfg(test)]
pub(crate) use table::{DISAGREE, register, test};

use crate::order::Order;

/// One test.
#[derive(Debug)]
pub struct Litmus {
    /// Its name, in the usual scheme: a shape, then what is special about it.
    pub name: &'static str,
    /// What it asks.
    pub asks: &'static str,
    /// Its words, all 0 at the start. Operations and questions give their index.
    pub words: &'static [&'static str],
    /// What each thread does.
    pub threads: &'static [&'static [Op]],
    /// The final states asked about: one of these, each of which is all of its conditions.
    pub asked: &'static [&'static [Is]],
    /// herd7's verdict under RC11, which forbids cycles of program order and reads-from, and
    /// with them all load buffering.
    pub rc11: Verdict,
    /// herd7's verdict under C11, without that axiom.
    pub c11: Verdict,
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Loads this word into the thread's next register.
    Load(usize, Order),
    /// Stores to this word that value.
    Store(usize, u64, Order),
    /// Adds to this word so much; what was there before goes into the thread's next register.
    Add(usize, u64, Order),
    /// A fence.
    Fence(Order),
}

impl Op {
    /// Whether it fills a register.
    pub fn reads(self) -> bool {
        matches!(self, Op::Load(..) | Op::Add(..))
    }
}

/// Where a final value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a register: the thread's reads fill registers 0, 1, 2 and so on.
    Register {
        /// Whose.
        thread: usize,
        /// Which.
        number: usize,
    },
    /// In a word, after all threads have ended.
    Word(usize),
}

/// A condition: this value, there.
pub type Is = (Place, u64);

/// The final values at all of a test's [places](Litmus::places), in that order.
pub type State = Vec<u64>;

/// Whether what a test asks about can be observed, with the number of final states that can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It cannot.
    Never(u32),
    /// It can. (Whether it is then ever seen is another matter.)
    Sometimes(u32),
}

impl Verdict {
    /// Whether it can be observed.
    pub fn allows(self) -> bool {
        matches!(self, Verdict::Sometimes(_))
    }

    /// The number of final states that can be.
    pub fn states(self) -> u32 {
        match self {
            Verdict::Never(states) | Verdict::Sometimes(states) => states,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Never(states) => write!(f, "Never ({states})"),
            Verdict::Sometimes(states) => write!(f, "Sometimes ({states})"),
        }
    }
}

impl Litmus {
    /// The test of this name.
    pub fn find(name: &str) -> Option<&'static Litmus> {
        ALL.iter().chain(TRAPS).find(|test| test.name == name)
    }

    /// The truth for Rust, whose model is that of C++20: herd7's C11 without RC11's axiom.
    ///
    /// Only one verdict differs. Since C++20 a later plain store of the same thread does not
    /// continue a release sequence, and `RS+own-store` can be observed. herd7 has no such model,
    /// so the count is made by hand: of all six pairs of values only `(1, 0)`, which reads the
    /// release store itself, cannot be.
    pub fn rust(&self) -> Verdict {
        match self.name {
            "RS+own-store" => Verdict::Sometimes(5),
            _ => self.c11,
        }
    }

    /// What a final state consists of: all registers, thread by thread, then the words that the
    /// question names.
    pub fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for (thread, ops) in self.threads.iter().enumerate() {
            let registers = ops.iter().filter(|op| op.reads()).count();
            places.extend((0..registers).map(|number| Place::Register { thread, number }));
        }
        places.extend((0..self.words.len()).map(Place::Word).filter(|&word| {
            let mut conditions = self.asked.iter().copied().flatten();
            conditions.any(|&(place, _)| place == word)
        }));
        places
    }

    /// The final state of an execution that ended with these registers, one list for each
    /// thread, and these words.
    ///
    /// # Panics
    /// If there are fewer than the test has.
    pub fn state(&self, registers: &[Vec<u64>], words: &[u64]) -> State {
        let value = |place| match place {
            Place::Register { thread, number } => registers[thread][number],
            Place::Word(word) => words[word],
        };
        self.places().into_iter().map(value).collect()
    }

    /// Whether this final state is one that the test asks about.
    pub fn asks_about(&self, state: &State) -> bool {
        let places = self.places();
        let holds = |&(place, value): &Is| {
            let mut values = places.iter().zip(state);
            values.any(|(&at, &found)| at == place && found == value)
        };
        self.asked.iter().any(|all| all.iter().all(holds))
    }

    /// How the question names a place: `1:r0`, or `[x]`.
    pub fn label(&self, place: Place) -> String {
        match place {
            Place::Register { thread, number } => format!("{thread}:r{number}"),
            Place::Word(word) => format!("[{}]", self.words[word]),
        }
    }

    /// The test as herd7 reads it, in its dialect of C.
    pub fn to_herd(&self) -> String {
        let words: Vec<_> = self
            .words
            .iter()
            .map(|word| format!("atomic_int* {word}"))
            .collect();
        let mut text = format!("C {}\n{{ }}\n", self.name);
        for (thread, ops) in self.threads.iter().enumerate() {
            text += &format!("P{thread} ({}) {{\n", words.join(", "));
            let mut register = 0;
            for &op in *ops {
                text += "  ";
                if op.reads() {
                    text += &format!("int r{register} = ");
                    register += 1;
                }
                text += &self.to_c(op);
                text += "\n";
            }
            text += "}\n";
        }
        let conditions = |all: &&[Is]| {
            let all: Vec<_> = all
                .iter()
                .map(|&(place, value)| format!("{}={value}", self.label(place)))
                .collect();
            format!("({})", all.join(" /\\ "))
        };
        let asked: Vec<_> = self.asked.iter().map(conditions).collect();
        text + &match &asked[..] {
            [one] => format!("exists {one}\n"),
            some => format!("exists ({})\n", some.join(" \\/ ")),
        }
    }

    fn to_c(&self, op: Op) -> String {
        let (name, order) = (|word: usize| self.words[word], c_order);
        match op {
            Op::Load(word, how) => {
                format!("atomic_load_explicit({}, {});", name(word), order(how))
            }
            Op::Store(word, value, how) => {
                let order = order(how);
                format!("atomic_store_explicit({}, {value}, {order});", name(word))
            }
            Op::Add(word, amount, how) => {
                let order = order(how);
                format!(
                    "atomic_fetch_add_explicit({}, {amount}, {order});",
                    name(word)
                )
            }
            Op::Fence(order) => format!("atomic_thread_fence({});", c_order(order)),
        }
    }
}

fn c_order(order: Order) -> &'static str {
    match order {
        Order::Relaxed => "memory_order_relaxed",
        Order::Acquire => "memory_order_acquire",
        Order::Release => "memory_order_release",
        Order::AcqRel => "memory_order_acq_rel",
        Order::SeqCst => "memory_order_seq_cst",
        Order::Light | Order::Heavy => unreachable!("no litmus test has one: C knows none"),
    }
}
