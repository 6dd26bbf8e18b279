//! What padding and layout cost: slots packed and on lines of their own, and the words of a ring
//! where published layouts put them.
//!
//! All of it is the ring that ships, over words and slots placed otherwise.

mod headers;
mod slots;

use crate::experiments::Experiment;
use crate::report::{Report, Trouble};
use crate::run::Settings;
use crate::sets::together;

/// The experiment.
pub(crate) const EXPERIMENT: Experiment = Experiment {
    name: "padding",
    title: "padding",
    subject: "ring/slot placement",
    about: "Slots packed, shifted and on lines of their own; the header layouts of textbooks \
         beside ours",
    details: "Items of 8 to 256 bytes through the real ring, one by one and in batches of 64. Then \
         the same ring over words and slots placed as two published layouts place them.",
    run,
    ..Experiment::MEASURES
};

/// Compares the placements of slots, and the layouts.
pub fn run(settings: &Settings) -> Result<Report, Trouble> {
    let pair = settings.pair()?;
    let slots = slots::measure(pair, settings)?;
    let headers = headers::measure(pair, settings)?;

    let title = "padding: the ring with its slots and words in other places, every byte of every item \
                 checked";
    let mut report = Report::on(title, pair);
    for (what, rounds) in [
        ("slots", &together(&slots)),
        ("layouts", &together(&headers)),
    ] {
        report.add_conditions(what, &format!("padding, {what}"), rounds);
    }
    report.note(
        "median [min–max]; ratios are taken round by round, and only what stands in one line was \
         measured in turn; one by one a slot is copied with its padding, in batches only the item \
         is written and checked, where it lies",
    );
    slots::report(&mut report, &slots);
    headers::report(&mut report, &headers);
    Ok(report)
}
