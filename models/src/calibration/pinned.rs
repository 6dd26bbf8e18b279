//! What each engine found, as it was written down: the file `pins.txt`.

use std::fmt::Write;

use super::{Observed, tests};
use crate::litmus::{Litmus, State};

const FILE: &str = include_str!("pins.txt");

const HEAD: &str = "\
# What each engine finds in each litmus test: the number of executions, then the final states, a
# digit for each place in the test's own line. Written by a command; see ../../CALIBRATION.md.
";

/// One observation that was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The test's name.
    pub test: String,
    /// The engine's.
    pub engine: String,
    /// What it found there.
    pub observed: Observed,
}

impl Pin {
    /// Whether it is the one of this test under this engine.
    pub fn is_of(&self, test: &Litmus, engine: &str) -> bool {
        self.test == test.name && self.engine == engine
    }
}

/// All that is written down.
///
/// # Panics
/// If the file is not of the form that [`to_pins`] writes.
pub fn pinned() -> Vec<Pin> {
    parse(FILE).expect("pins.txt is as it was written")
}

/// The file, with these observations; those that are missing are taken from what it holds now.
pub fn to_pins(new: &[Pin]) -> String {
    let old = pinned();
    let mut engines: Vec<&str> = Vec::new();
    for pin in new.iter().chain(&old) {
        if !engines.contains(&pin.engine.as_str()) {
            engines.push(&pin.engine);
        }
    }
    engines.sort_unstable();
    let mut text = HEAD.to_owned();
    for test in tests() {
        let places: Vec<_> = (test.places().into_iter())
            .map(|place| test.label(place))
            .collect();
        write!(text, "\n{}: {}\n", test.name, places.join(" ")).expect("a String takes all");
        for engine in &engines {
            let pin = new.iter().chain(&old).find(|pin| pin.is_of(test, engine));
            if let Some(pin) = pin {
                let states: Vec<_> = pin.observed.states.iter().map(digits).collect();
                let executions = pin.observed.executions;
                writeln!(text, "  {engine:<8} {executions:>6}  {}", states.join(" "))
                    .expect("a String takes all");
            }
        }
    }
    text
}

fn parse(text: &str) -> Option<Vec<Pin>> {
    let mut pins = Vec::new();
    let mut test = None;
    for line in text.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some(cell) = line.strip_prefix("  ") else {
            test = Some(line.split_once(':')?.0);
            continue;
        };
        let mut fields = cell.split_whitespace();
        pins.push(Pin {
            test: test?.to_owned(),
            engine: fields.next()?.to_owned(),
            observed: Observed {
                executions: fields.next()?.parse().ok()?,
                states: fields.map(values).collect::<Option<_>>()?,
            },
        });
    }
    Some(pins)
}

/// No test has a value of two digits.
fn digits(state: &State) -> String {
    state.iter().map(|&value| digit(value)).collect()
}

fn digit(value: u64) -> char {
    u32::try_from(value)
        .ok()
        .and_then(|value| char::from_digit(value, 10))
        .expect("no test has a value of two digits")
}

fn values(digits: &str) -> Option<State> {
    digits
        .chars()
        .map(|digit| digit.to_digit(10).map(u64::from))
        .collect()
}

/// A state as a person reads it.
pub(super) fn describe(test: &Litmus, state: &State) -> String {
    let values: Vec<_> = (test.places().into_iter().zip(state))
        .map(|(place, value)| format!("{}={value}", test.label(place)))
        .collect();
    values.join(" ")
}
