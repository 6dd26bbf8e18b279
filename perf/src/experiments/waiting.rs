//! Ends of a ring that wait beside ends that poll, and what it costs to sleep and to be woken.
//!
//! Each part measures by itself and is reported by itself. A part that cannot be measured says why, and
//! the others go on.

mod idle;
mod items;
mod pace;
mod waking;

use crate::comparison::Unit;
use crate::cpus::Pair;
use crate::experiments::Experiment;
use crate::report::{Report, Trouble};
use crate::run::Settings;

/// The experiment.
pub(crate) const EXPERIMENT: Experiment = Experiment {
    name: "waiting",
    title: "waiting",
    subject: "waiting",
    about: "Ends of a ring that wait beside ends that poll, and what it costs to sleep and to be woken",
    details: "Items one by one, and to and fro, by every way to wait, beside push and pop in a loop and \
         beside always the same stay between two looks. Messages at a pace, from none to a million a second: \
         how late each is, and for how much of the time the thread runs that waits for it. How long a \
         thread that sleeps takes to run when it is woken, by several mechanisms. What send and recv use \
         while nothing comes.",
    run,
    ..Experiment::MEASURES
};

/// Measures and adds to the report what it found.
type Part = fn(&Settings, Pair, &mut Report) -> Result<(), Trouble>;

/// The parts, by the subject of their rows.
const PARTS: [(&str, Part); 4] = [
    (items::SUBJECT, items::run),
    (pace::SUBJECT, pace::run),
    (waking::SUBJECT, waking::run),
    (idle::SUBJECT, idle::run),
];

/// For how much of the time something has a CPU.
const BUSY: Unit = Unit {
    name: "% of a CPU",
    thousandth: "thousandths of a percent of a CPU",
    is_rate: false,
};

/// Measures all parts.
fn run(settings: &Settings) -> Result<Report, Trouble> {
    let pair = settings.pair()?;
    let title = "waiting: ends of a ring that wait, and what it costs to sleep and to be woken";
    let mut report = Report::on(title, pair);
    report.note(
        "median [min–max]; ratios are taken round by round, and only what stands in one line was \
         measured in turn; every item is checked",
    );
    for (subject, part) in PARTS {
        report.add_part(subject, |report| part(settings, pair, report))?;
    }
    Ok(report)
}
