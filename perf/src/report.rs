//! What an experiment found: tables for people, rows for the driver.

use ringproof_record::{Record, Verdict};
use serde::{Deserialize, Serialize};

use crate::counters::{NAMES, Reading};
use crate::plot::Plot;
use crate::rounds::Rounds;
use crate::table::{Cell, Table};

/// The name of this layer in every row.
pub const LAYER: &str = "perf";

/// Why an experiment has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It could not run here.
    NotRun(String),
    /// It ran, and what it measured is broken.
    Failed(String),
}

/// What an experiment found. A program of its own may have found it and hand it over as JSON.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What it is about, in one line.
    pub title: String,
    /// Whether there is anything to report but why there is not.
    pub measured: bool,
    /// What must be known to read the tables: CPUs, rounds, conditions.
    pub notes: Vec<String>,
    /// The tables.
    pub tables: Vec<Table>,
    /// What the page shows beside them.
    pub plots: Vec<Plot>,
    /// What follows from the figures, computed from them.
    pub conclusions: Vec<String>,
    /// The same for the driver.
    pub rows: Vec<Record>,
}

impl Report {
    /// A report without content yet.
    pub fn new(title: impl Into<String>) -> Self {
        Report {
            title: title.into(),
            measured: true,
            ..Report::default()
        }
    }

    /// The report of an experiment that has none: one row that says why.
    pub fn of_trouble(title: &str, subject: &str, repeat: &str, trouble: &Trouble) -> Self {
        let mut report = Report::new(title);
        report.measured = false;
        let row = match trouble {
            Trouble::NotRun(why) => {
                report
                    .conclusions
                    .push(format!("Not measured here, because {why}."));
                Record::not_run(LAYER, subject, "ran", why)
            }
            Trouble::Failed(why) => {
                report.conclusions.push(format!("FAILED: {why}."));
                Record::failed(LAYER, subject, "ran", why)
            }
        };
        report.rows.push(row.repeat(repeat));
        report
    }

    /// The report as text.
    pub fn render(&self) -> String {
        let mut text = format!("{}\n", self.title);
        for note in &self.notes {
            text += &format!("  {note}\n");
        }
        for table in &self.tables {
            text += &format!("\n{table}\n");
        }
        if !self.conclusions.is_empty() {
            text.push('\n');
        }
        for conclusion in &self.conclusions {
            text += &format!("→ {conclusion}\n");
        }
        text
    }

    /// Whether any row has this verdict.
    pub fn has(&self, verdict: Verdict) -> bool {
        self.rows.iter().any(|row| row.verdict == verdict)
    }

    /// Adds a table and rows for what the counters said in each case.
    pub fn add_counters(&mut self, cases: &[(String, Vec<Reading>)], items: &str, repeat: &str) {
        let headers = cases.iter().map(|(case, _)| case.as_str());
        let mut table = Table::new(
            format!("Counted over {items}, in one further sample for each case:"),
            ["counter"].into_iter().chain(headers),
        );
        for (index, name) in NAMES.iter().enumerate() {
            let mut cells = vec![Cell::words(name.name)];
            for (case, readings) in cases {
                let Some(reading) = readings.get(index) else {
                    continue;
                };
                let subject = format!("counter/{}", name.name);
                let check = format!("counted over {items}, {case}");
                let row = match reading {
                    Reading::NotMeasured(why) => {
                        cells.push(Cell::missing(why));
                        Record::not_run(LAYER, subject, check, why)
                    }
                    Reading::Counted(value) | Reading::Scaled(value, _) => {
                        cells.push(Cell::figure(reading.to_string()));
                        Record::passed(LAYER, subject, check).count(*value, name.name)
                    }
                };
                self.rows.push(row.repeat(repeat));
            }
            table.add(cells);
        }
        self.tables.push(table);
    }
}

/// Says what the rounds were like.
pub fn conditions(rounds: &Rounds) -> String {
    let mut text = format!("{} rounds", rounds.count());
    match rounds.latency {
        Some(latency) => {
            text += &format!(
                ", one-way latency {latency:.0} ns before and after each ({} more thrown away \
                 because the probes disagreed)",
                rounds.moved
            );
        }
        None => text += ", without probes",
    }
    if rounds.retaken > 0 {
        text += &format!(
            "; {} samples taken again after a preemption",
            rounds.retaken
        );
    }
    if rounds.preempted > 0 {
        text += &format!(
            "; {} samples count although preempted each time: this machine has other work, \
             trust the ratios only",
            rounds.preempted
        );
    }
    text
}

/// The row that says under which conditions an experiment ran.
pub fn conditions_row(experiment: &str, rounds: &Rounds, repeat: &str) -> Record {
    let row = |verdict| Record::new(verdict, LAYER, "probe/one-way latency", experiment);
    match rounds.latency {
        Some(latency) => row(Verdict::Passed)
            .count(latency.round() as u64, "ns")
            .reason(conditions(rounds)),
        None => row(Verdict::NotRun)
            .reason("threads cannot be pinned here, so there are no two places to measure between"),
    }
    .repeat(repeat)
}

/// A warning for figures of a build with debug assertions.
pub fn build_note() -> Option<String> {
    cfg!(debug_assertions).then(|| {
        "built with debug assertions: the figures are not those of a release build".to_owned()
    })
}

/// A ratio in thousandths.
pub fn per_mille(ratio: f64) -> u64 {
    // A ratio of two positive times; `as` saturates.
    (ratio * 1000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_becomes_a_row_with_its_reason() {
        let why = Trouble::NotRun("there is one CPU".to_owned());
        let report = Report::of_trouble("peers", "ring", "again", &why);
        assert!(report.has(Verdict::NotRun) && !report.has(Verdict::Failed));
        assert!(report.render().contains("because there is one CPU"));
    }

    #[test]
    fn a_counter_has_a_value_or_a_reason_and_never_both() {
        let mut report = Report::new("counted");
        let missing = Reading::NotMeasured("ENOENT".to_owned());
        let mut readings = vec![missing; NAMES.len()];
        readings[3] = Reading::Counted(7);
        report.add_counters(&[("near".to_owned(), readings)], "100 items", "again");
        assert_eq!(report.rows.len(), NAMES.len());
        for (row, name) in report.rows.iter().zip(NAMES) {
            let counted = name.name == "context switches";
            assert_eq!(row.count, counted.then_some(7), "{row:?}");
            assert_eq!(row.reason.is_none(), counted, "{row:?}");
        }
        let said = report.render();
        assert!(
            said.contains("(1) not measured here, because ENOENT"),
            "{said}"
        );
    }
}
