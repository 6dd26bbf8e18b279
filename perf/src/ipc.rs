//! Ways for two processes to send each other messages, measured side by side.
//!
//! Two processes of this program, each on its CPU, with one mechanism between them: messages go to
//! and fro for the latency, and in one direction as fast as they go for the rate. Each message
//! carries its number and a sum over all of its words, and is checked on arrival, within the time.
//! For every round there are new processes and everything between them is made anew.
//!
//! What is measured is a list of [`Mechanism`]s. This program has its own ([`all`]); another program
//! measures others in the same way: it calls [`worker::divert`] before it looks at its arguments,
//! and [`report`] with its mechanisms.

mod control;
mod crossings;
mod mechanism;
mod message;
mod ring;
mod runner;
mod streams;
mod two;
pub mod worker;

pub use control::{Exercise, Task};
pub use mechanism::{
    Delivers, Endpoint, Ends, Kept, Lasting, MOST_DESCRIPTORS, Mechanism, Nature, Refused, SIZES,
    Side, Terms, Trust, Waiting,
};
pub use message::Plant;
pub use runner::{Absent, Figure, Line, Measured, measure};
pub use two::{Moved, Program, Two};

use crate::report::{Report, Trouble, build_note, conditions};
use crate::run::Settings;
use crate::stats::summarize;
use crate::table::{Cell, Table};

/// How to repeat it.
pub const REPEAT: &str = "cargo run --release -p ringproof-perf -- ipc";

/// The mechanisms that this program measures, in the order of its tables.
pub fn all() -> &'static [&'static dyn Mechanism] {
    &[
        &ring::InSegment {
            name: "ring, one by one",
            batch: 1,
        },
        &ring::InSegment {
            name: "ring, batches of 16",
            batch: 16,
        },
        &streams::Stream::Pipe,
    ]
}

/// Measures this program's mechanisms.
///
/// # Errors
/// [`Trouble`].
pub fn run(settings: &Settings) -> Result<Report, Trouble> {
    report(settings, all(), REPEAT)
}

/// Measures `mechanisms`, which the processes of this program know, too.
///
/// # Errors
/// [`Trouble`].
pub fn report(
    settings: &Settings,
    mechanisms: &[&dyn Mechanism],
    repeat: &str,
) -> Result<Report, Trouble> {
    let pair = settings.pair()?;
    let program = Program::this().map_err(|error| {
        Trouble::NotRun(format!(
            "the system does not say which program this is: {error}"
        ))
    })?;
    let measured = measure(settings, pair, &program, mechanisms)?;
    let mut report = Report::new("ipc: messages between two processes, every one checked");
    report.notes.push(format!("{pair}"));
    report.notes.extend(build_note());
    let _ = repeat;
    for measured in measured {
        report.notes.push(format!(
            "{} B: {}",
            measured.size,
            conditions(&measured.rounds)
        ));
        let mut table = Table::new(
            format!("{} B", measured.size),
            ["mechanism", "ns", "msg/s", "calls"],
        );
        for line in measured.lines {
            let cell = |figure: Figure| {
                Cell::measured(match figure {
                    Ok(series) => summarize(&series).ok_or_else(|| "none".to_owned()),
                    Err(Absent::NotRun(why) | Absent::Failed(why)) => Err(why),
                })
            };
            table.add([
                Cell::words(line.name),
                cell(line.latency),
                cell(line.rate),
                line.crossings
                    .map_or_else(Cell::missing, |c| Cell::figure(c.to_string())),
            ]);
        }
        report.tables.push(table);
    }
    Ok(report)
}
