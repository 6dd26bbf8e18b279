//! CALIBRATION.md.

use super::{DIFFERENCES, Difference, Judgement, Pin, pinned};
use crate::litmus::{ALL, Litmus, TRAPS};

/// The engines in the order of their columns, and what each counts.
const COLUMNS: [(&str, &str); 3] = [
    ("loom", "executions"),
    ("shuttle", "schedules"),
    ("axioms", "candidates"),
];

/// The page, from what is [pinned](super::pinned): nothing is run.
pub fn markdown() -> String {
    let pins = pinned();
    let mut page = String::new();
    page += HEAD;
    page += &summary(&pins);
    page += READING;
    page += "\n## herd7's tests\n\n";
    page += &table(ALL, &pins);
    page += "\n## Two more, for what is known of loom\n\n\
             These verdicts are not herd7's. They were found by hand.\n\n";
    page += &table(TRAPS, &pins);
    page += "\n## Why they differ\n";
    for difference in DIFFERENCES {
        let tests: Vec<_> = (difference.tests.iter())
            .map(|test| format!("`{test}`"))
            .collect();
        let (title, why) = (heading(difference), difference.why);
        let (kind, tests) = (difference.judgement, tests.join(", "));
        page += &format!("\n### {title}\n\n{why}\n\nA {kind}, in {tests}.\n");
    }
    page + FOOT
}

fn heading(difference: &Difference) -> String {
    format!("{}: {}", difference.engine, difference.title)
}

/// Where GitHub puts a heading.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || *c == ' ';
    let words: String = heading.to_lowercase().chars().filter(kept).collect();
    words.replace(' ', "-")
}

const HEAD: &str = "\
# Calibration

<!-- Written by `ringproof-models calibration`. A test fails when it is stale. -->

An engine that finds no fault says something only as far as it sees what can happen. This page
shows how far that is. Each engine runs small tests whose truth is known from a referee that is
none of them: herd7 7.57. A test asks whether one final state can be observed. The engine must find
that state where it is possible, must not where it is not, and must find as many final states in
all as there are. What differs is a **blind spot** (a possible state is missed, and a fault that
shows only there would pass) or a **false alarm** (an impossible one is shown, and correct code
may fail).

It does not show that an engine sees everything in a larger program, nor that the models in this
folder ask the right questions. It shows which kinds of behaviour an engine knows at all.

";

const READING: &str = "
loom follows happens-before through every execution that it can produce, shuttle makes every
interleaving, and axioms, this folder's own, tries every value that a load could have and keeps
what C++20's axioms allow. What one of them misses, another one sees: the last column says which.

## How to read the tables

`Never` means that the state asked about cannot be observed, `Sometimes` that it can; in brackets
is the number of different final states (of all registers, and the words that the question names).
The columns rc11 and c11 are herd7's verdicts: RC11 (Lahav et al., 2017) forbids cycles of program
order and reads-from, and with them load buffering; C11 without that rule is nearer to Rust, which
follows C++20. Rust's column is c11's, but for `RS+own-store`: C++20 dropped a rule that herd7's
models still have. There the count is made by hand, and axioms finds the same.

An engine's column has what it found, then how much it tried to find it. What differs from Rust
is in bold. Two numbers of states can be equal by chance, so the tests of this folder compare the
very states as well, with those that axioms finds.
";

const FOOT: &str = "
## Asking again

`ci/herd.sh` puts every test to herd7, where that is installed, and compares its verdicts and
counts with those here. `ringproof-models calibration --herd DIRECTORY` writes the tests as herd7
reads them.

The engines' cells come from `src/calibration/pins.txt`, which holds every final state that every
engine finds. `cargo test -p ringproof-models --all-features --test calibration` runs them again
and fails on any difference, for instance after an upgrade of an engine. If the new behaviour is
right, write it down, say why in `src/calibration/differences.rs`, and print this page anew:

```console
cargo run -p ringproof-models --all-features -- calibration --pins >pins.new
mv pins.new models/src/calibration/pins.txt
cargo run -p ringproof-models -- calibration >page.new
mv page.new models/CALIBRATION.md
```
";

fn of<'a>(pins: &'a [Pin], test: &Litmus, engine: &str) -> Option<&'a Pin> {
    pins.iter().find(|pin| pin.is_of(test, engine))
}

fn summary(pins: &[Pin]) -> String {
    let mut text = format!(
        "Of herd7's {} tests:\n\n| engine | agrees with Rust | blind spot | false alarm |\n\
         | --- | --- | --- | --- |\n",
        ALL.len()
    );
    for (engine, _) in COLUMNS {
        let count = |judgement| {
            ALL.iter()
                .filter_map(|test| Some(of(pins, test, engine)?.observed.judge(test)))
                .filter(|&found| found == judgement)
                .count()
        };
        let counts = [
            Judgement::Agrees,
            Judgement::BlindSpot,
            Judgement::FalseAlarm,
        ]
        .map(count);
        text += &format!(
            "| {engine} | {} | {} | {} |\n",
            counts[0], counts[1], counts[2]
        );
    }
    text
}

fn table(tests: &[Litmus], pins: &[Pin]) -> String {
    let mut text = "| test | what it asks | rc11 | c11 | Rust |".to_owned();
    for (engine, unit) in COLUMNS {
        text += &format!(" {engine}, {unit} |");
    }
    text += " why they differ |\n|";
    text += &" --- |".repeat(6 + COLUMNS.len());
    text += "\n";
    for test in tests {
        let (name, asks, rc11, c11, rust) =
            (test.name, test.asks, test.rc11, test.c11, test.rust());
        text += &format!("| `{name}` | {asks} | {rc11} | {c11} | {rust} |");
        let mut reasons = Vec::new();
        for (engine, _) in COLUMNS {
            let Some(pin) = of(pins, test, engine) else {
                text += " not run |";
                continue;
            };
            let found = pin.observed.verdict(test);
            let executions = pin.observed.executions;
            text += &match pin.observed.judge(test) {
                Judgement::Agrees => format!(" {found}, {executions} |"),
                judgement => {
                    reasons.push(reason(pins, test, engine, judgement));
                    format!(" **{found}**, {executions} |")
                }
            };
        }
        text += &format!(" {} |\n", reasons.join("<br>"));
    }
    text
}

/// Why an engine differs in a test, in a few words.
fn reason(pins: &[Pin], test: &Litmus, engine: &str, judgement: Judgement) -> String {
    let why = (DIFFERENCES.iter())
        .find(|difference| difference.engine == engine && difference.tests.contains(&test.name))
        .map_or("not explained".to_owned(), |difference| {
            let heading = heading(difference);
            format!("[{}](#{})", difference.title, anchor(&heading))
        });
    let sees = |other: &&str| {
        let pin = of(pins, test, other);
        pin.is_some_and(|pin| pin.observed.judge(test) == Judgement::Agrees)
    };
    let another = COLUMNS.iter().map(|&(name, _)| name).find(sees);
    match (judgement, another) {
        (Judgement::BlindSpot, Some(another)) => format!("{engine}: {why}; {another} sees it"),
        _ => format!("{engine}: {judgement}, {why}"),
    }
}
