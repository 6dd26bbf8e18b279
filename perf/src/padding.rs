//! What padding and layout cost: slots packed and on lines of their own, and the words of a ring
//! where published layouts put them.
//!
//! All of it is the ring that ships, over words and slots placed otherwise.

mod headers;
mod items;
mod slots;

use crate::report::{Report, Trouble, build_note, conditions, conditions_row};
use crate::run::Settings;
use crate::sets::together;

/// How to repeat it.
pub const REPEAT: &str = "cargo run --release -p ringproof-perf -- padding";

/// Bytes of a cache line.
const LINE: usize = 64;

/// Compares the placements of slots, and the layouts.
///
/// # Errors
/// [`Trouble`].
pub fn run(settings: &Settings) -> Result<Report, Trouble> {
    let pair = settings.pair()?;
    let slots = slots::measure(pair, settings)?;
    let headers = headers::measure(pair, settings)?;

    let mut report = Report::new(
        "padding: the ring with its slots and words in other places, every byte of every item \
         checked",
    );
    report.notes.push(pair.to_string());
    for (what, rounds) in [
        ("slots", &together(&slots)),
        ("layouts", &together(&headers)),
    ] {
        report.notes.push(format!("{what}: {}", conditions(rounds)));
        let experiment = format!("padding, {what}");
        report
            .rows
            .push(conditions_row(&experiment, rounds, REPEAT));
    }
    report.notes.extend(build_note());
    report.notes.push(
        "median [min–max]; ratios are taken round by round, and only what stands in one line was \
         measured in turn; one by one a slot is copied with its padding, in batches only the item \
         is written and checked, where it lies"
            .to_owned(),
    );
    slots::tell(&mut report, &slots);
    headers::tell(&mut report, &headers);
    Ok(report)
}

fn no_room() -> Trouble {
    Trouble::NotRun("a ring's parts cannot lie where they shall".to_owned())
}
