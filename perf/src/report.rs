//! What an experiment found: tables for people, rows for the driver.

use comfy_table::{Cell, CellAlignment, ColumnConstraint, LineStyle, Table, TableStyle};
use ringproof_record::{Record, Verdict};

use crate::counters::{NAMES, Reading};
use crate::rounds::Rounds;
use crate::stats::Summary;

/// The name of this layer in every row.
pub const LAYER: &str = "perf";

/// A rule below the header, and space between the columns.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::new('─', '─', '─', '─'));

/// Why an experiment has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It could not run here.
    NotRun(String),
    /// It ran, and what it measured is broken.
    Failed(String),
}

/// What an experiment found.
#[derive(Debug, Default)]
pub struct Report {
    /// What it is about, in one line.
    pub title: String,
    /// What must be known to read the tables: CPUs, rounds, conditions.
    pub notes: Vec<String>,
    /// The tables, each with its heading.
    pub tables: Vec<(String, Table)>,
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
            ..Report::default()
        }
    }

    /// The report of an experiment that has none: one row that says why.
    pub fn of_trouble(title: &str, subject: &str, repeat: &str, trouble: &Trouble) -> Self {
        let mut report = Report::new(title);
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
        for (heading, table) in &self.tables {
            if !heading.is_empty() {
                text += &format!("\n{heading}\n");
            }
            text += &format!("\n{}\n", table.trim_fmt());
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

    /// Adds a table and rows for what the counters said in one case.
    pub fn add_counters(&mut self, cases: &[(String, Vec<Reading>)], items: &str, repeat: &str) {
        let mut table = table(&["counter"]);
        let headers = cases.iter().map(|(case, _)| case.as_str());
        table.set_header(["counter"].into_iter().chain(headers));
        let mut shown = 0;
        // Several counters mostly share one reason.
        let mut unmeasured: Vec<(String, Vec<&str>)> = Vec::new();
        for (index, name) in NAMES.iter().enumerate() {
            let readings: Vec<&Reading> = cases
                .iter()
                .filter_map(|(_, read)| read.get(index))
                .collect();
            let subject = format!("counter/{}", name.name);
            let missing = readings.iter().find_map(|reading| match reading {
                Reading::NotMeasured(why) => Some(why),
                _ => None,
            });
            let check = format!("counted over {items}");
            self.rows.push(
                match (missing, readings.last()) {
                    (Some(why), _) => {
                        match unmeasured.iter_mut().find(|(reason, _)| reason == why) {
                            Some((_, names)) => names.push(name.name),
                            None => unmeasured.push((why.clone(), vec![name.name])),
                        }
                        Record::not_run(LAYER, subject, check, why)
                    }
                    (None, Some(Reading::Counted(value) | Reading::Scaled(value, _))) => {
                        shown += 1;
                        let cells = readings.iter().map(|reading| right(reading.to_string()));
                        table.add_row([Cell::new(name.name)].into_iter().chain(cells));
                        let case = cases.last().map_or("", |(case, _)| case.as_str());
                        Record::passed(LAYER, subject, format!("{check}, {case}"))
                            .count(*value, name.name)
                    }
                    (None, _) => continue,
                }
                .repeat(repeat),
            );
        }
        for (why, names) in unmeasured {
            let names = names.join(", ");
            self.notes
                .push(format!("{names}: not measured here, because {why}."));
        }
        if shown > 0 {
            let heading = format!("Counted over {items}, in one further sample for each case:");
            self.tables.push((heading, table));
        }
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

/// An empty table.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(header.iter().copied());
    table.set_constraints(vec![ColumnConstraint::ContentWidth; header.len()]);
    table
}

/// A cell that holds a figure.
pub fn right(text: impl Into<String>) -> Cell {
    Cell::new(text.into()).set_alignment(CellAlignment::Right)
}

/// A figure with about three digits.
pub fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A median and, in brackets, its spread.
pub fn spread(summary: Summary) -> String {
    let Summary { median, min, max } = summary;
    format!("{} [{}–{}]", figure(median), figure(min), figure(max))
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
    fn figures_have_about_three_digits() {
        assert_eq!(figure(1234.5), "1234");
        assert_eq!(figure(99.97), "100");
        assert_eq!(figure(12.34), "12.3");
        assert_eq!(figure(0.987), "0.99");
    }

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
            said.contains("page faults, migrations: not measured here, because ENOENT."),
            "{said}"
        );
    }
}
