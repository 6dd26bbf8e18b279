//! Every experiment once, small: that it runs and that every item arrives. It judges no speed.

use std::time::Duration;

use ringproof_record::Record;

use crate::counters::Counters;
use crate::peers::{self, Size, Way};
use crate::report::{Report, Trouble};
use crate::run::Settings;
use crate::{c_header, false_sharing, latest};

/// How to repeat it.
pub const REPEAT: &str = "cargo run --release -p ringproof-perf -- smoke";

/// How many rounds there are unless asked otherwise.
pub const ROUNDS: usize = 3;

/// How long one sample runs.
pub const SAMPLE: Duration = Duration::from_millis(2);

/// Runs all of them.
pub fn run(settings: &Settings) -> Vec<Report> {
    let named = |title: &str, subject: &str, result: Result<Report, Trouble>| {
        result.unwrap_or_else(|trouble| Report::of_trouble(title, subject, REPEAT, &trouble))
    };
    let sizes = [
        Size {
            capacity: 1024,
            slots: None,
        },
        Size {
            capacity: 65_536,
            slots: None,
        },
    ];
    let mut reports = vec![
        named(
            "false sharing",
            "ring/index placement",
            false_sharing::run(settings, &[8, 64, 256], false_sharing::CAPACITY),
        ),
        named(
            "peers",
            "ring/vs rtrb",
            peers::run(settings, &Way::ALL, &sizes),
        ),
        named(
            "c-header",
            "ring/C header",
            c_header::run(settings, &sizes[..1]),
        ),
        named(
            "latest value",
            "seqlock, latch",
            latest::run(settings, &[32, 1024]),
        ),
    ];
    // Which counters there are can be told even if the experiment that counts could not run.
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
