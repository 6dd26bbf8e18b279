//! Every experiment once, small: that it runs and that every item arrives. It judges no speed.

use ringproof_record::Record;

use crate::counters::Counters;
use crate::experiments;
use crate::report::{LAYER, Report};
use crate::run::Settings;

/// How to repeat it.
pub const REPEAT: &str = "cargo run --release -p ringproof-perf -- smoke";

/// Runs all of them.
pub fn run(settings: &Settings) -> Vec<Report> {
    let mut reports: Vec<_> = experiments::ALL
        .iter()
        // What judges something else than speed is a layer of its own.
        .filter(|experiment| experiment.layer == LAYER)
        .map(|experiment| experiment.report(settings))
        .collect();
    // Which counters there are can be told even if no experiment that counts could run.
    let is_counter = |row: &Record| row.subject.starts_with("counter/");
    if !(reports.iter()).any(|report| report.rows.iter().any(is_counter)) {
        reports.push(idle_counters());
    }
    reports
}

fn idle_counters() -> Report {
    let mut counters = Counters::open();
    counters.start();
    counters.stop();
    let mut report = Report::new("counters, in a thread that did nothing");
    let cases = [("no work".to_owned(), counters.read())];
    report.add_counters(&cases, "no items", REPEAT);
    report
}
