//! What an experiment found: tables for people, rows for the driver.

use std::fmt;

use ringproof_record::{Record, Verdict};
use serde::{Deserialize, Serialize};

use crate::counters::{Event, Reading, Tally};
use crate::cpus::Pair;
use crate::plot::Plot;
use crate::rounds::Rounds;
use crate::table::{Cell, Table, figure};

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

impl Trouble {
    /// That something could not be done here, and what the system says.
    pub fn of<E: fmt::Display>(what: &str) -> impl Fn(E) -> Self {
        move |error| Trouble::NotRun(format!("{what}: {error}"))
    }
}

/// What an experiment found. A program of its own may have found it and hand it over as JSON.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What it is about, in one line.
    pub title: String,
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
            ..Report::default()
        }
    }

    /// The report of an experiment that was made on these two CPUs.
    pub fn on(title: impl Into<String>, pair: Pair) -> Self {
        let mut report = Report::new(title);
        report.notes.push(pair.to_string());
        report.notes.extend(build_note());
        report
    }

    /// The same, made in one thread on the first of them.
    pub fn of_one_thread(title: impl Into<String>, pair: Pair) -> Self {
        let mut report = Report::on(title, pair);
        report.notes[0].insert_str(0, "one thread, on the first CPU; ");
        report
    }

    /// Notes what must be known to read it.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// The report of an experiment that has none: one row that says why.
    pub fn of_trouble(title: &str, subject: &str, trouble: &Trouble) -> Self {
        let mut report = Report::new(title);
        let (said, row) = match trouble {
            Trouble::NotRun(why) => (
                format!("Not measured here, because {why}."),
                Record::not_run(LAYER, subject, "ran", why),
            ),
            Trouble::Failed(why) => (
                format!("FAILED: {why}."),
                Record::failed(LAYER, subject, "ran", why),
            ),
        };
        report.conclusions.push(said);
        report.rows.push(row);
        report
    }

    /// Adds a part of an experiment, or why it could not be measured: the others go on then.
    ///
    /// # Errors
    /// [`Trouble::Failed`].
    pub fn add_part<T: Default>(
        &mut self,
        subject: &str,
        part: impl FnOnce(&mut Report) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        match part(self) {
            Err(Trouble::NotRun(why)) => {
                let said = format!("{subject}: not measured here, because {why}.");
                self.conclusions.push(said);
                self.rows.push(Record::not_run(LAYER, subject, "ran", why));
                Ok(T::default())
            }
            outcome => outcome,
        }
    }

    /// Says how to repeat the rows that do not say it themselves: by this command.
    #[must_use]
    pub fn repeated_by(mut self, command: &str) -> Self {
        for row in &mut self.rows {
            let again = || format!("cargo run --release -p ringproof-perf -- {command}");
            row.repeat.get_or_insert_with(again);
        }
        self
    }

    /// Says what the rounds of an experiment, or of a part of it, were like.
    pub fn add_conditions(&mut self, part: &str, experiment: &str, rounds: &Rounds) {
        let said = conditions(rounds);
        self.notes.push(match part {
            "" => said.clone(),
            part => format!("{part}: {said}"),
        });
        let row = |verdict| Record::new(verdict, LAYER, "probe/one-way latency", experiment);
        self.rows.push(match rounds.latency {
            Some(latency) => row(Verdict::Passed)
                .count(latency.round() as u64, "ns")
                .reason(said),
            None => row(Verdict::NotRun).reason(
                "threads cannot be pinned here, so there are no two places to measure between",
            ),
        });
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

    /// Adds a table and rows for what the counters said in each case, all together and, where it
    /// was counted over items, for each of them.
    pub fn add_counters(&mut self, cases: &[(String, Tally)], items: &str) {
        let mut headers = vec!["counter".to_owned()];
        for (case, tally) in cases {
            let by = tally
                .label
                .map_or(String::new(), |label| format!(", {label}"));
            headers.push(format!("{case}{by}"));
            headers.extend(tally.items.map(|_| "for each".to_owned()));
        }
        let mut table = Table::new(
            format!("Counted over {items}, in a sample of its own for each case:"),
            headers,
        );
        let events = cases.first().map_or(&[][..], |(_, tally)| &tally.counts);
        for (index, (event, _)) in events.iter().enumerate() {
            let mut cells = vec![Cell::words(event.label())];
            for (case, tally) in cases {
                let Some((event, reading)) = tally.counts.get(index) else {
                    continue;
                };
                cells.push(counted(reading));
                cells.extend(tally.items.map(|items| counted_per(reading, items)));
                let check = format!("counted over {items}, {case}");
                let row = counter_row(event, reading, check, tally.label);
                self.rows.push(row);
            }
            table.add(cells);
        }
        self.tables.push(table);
    }
}

fn counted(reading: &Reading) -> Cell {
    match reading {
        Reading::NotMeasured(why) => Cell::missing(why),
        reading => Cell::figure(reading.to_string()),
    }
}

fn counted_per(reading: &Reading, items: u64) -> Cell {
    match (reading, reading.per(items)) {
        (Reading::NotMeasured(why), _) => Cell::missing(why),
        (_, None) => Cell::missing("there was no item to divide by"),
        (_, Some(each)) => Cell::figure(for_each(each)),
    }
}

/// A count for each item: rare events, too, have a figure that is not zero.
fn for_each(count: f64) -> String {
    match count {
        0.0 => "0".to_owned(),
        some if some < 0.1 => format!("{some:.2e}"),
        many => figure(many),
    }
}

/// The row of one counter.
fn counter_row(event: &Event, reading: &Reading, check: String, label: Option<&str>) -> Record {
    let subject = format!("counter/{}", event.name);
    let row = match reading {
        Reading::NotMeasured(why) => return Record::not_run(LAYER, subject, check, why),
        Reading::Counted(value) | Reading::Scaled(value, _) => {
            Record::passed(LAYER, subject, check).count(*value, event.name)
        }
    };
    let scaled = match reading {
        Reading::Scaled(_, percent) => Some(format!("scaled, counted {percent} % of the time")),
        _ => None,
    };
    let said: Vec<_> = label.map(str::to_owned).into_iter().chain(scaled).collect();
    match said.is_empty() {
        true => row,
        false => row.reason(said.join("; ")),
    }
}

/// What the rounds were like, in words.
fn conditions(rounds: &Rounds) -> String {
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
        let samples = "samples taken again after a preemption";
        text += &format!("; {} {samples}", rounds.retaken);
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

/// A warning for figures of a build with debug assertions.
pub fn build_note() -> Option<String> {
    cfg!(debug_assertions).then(|| {
        "built with debug assertions: the figures are not those of a release build".to_owned()
    })
}

/// What tests ask of a report that comes of recorded samples.
#[cfg(test)]
impl Report {
    /// Such a one.
    pub(crate) fn recorded(add: impl FnOnce(&mut Report)) -> Self {
        let mut report = Report::new("recorded");
        add(&mut report);
        report
    }

    /// That it concludes so much, and with these words.
    #[track_caller]
    pub(crate) fn concludes<const N: usize>(&self, words: [&[&str]; N]) {
        assert_eq!(self.conclusions.len(), N, "{:?}", self.conclusions);
        for (said, words) in self.conclusions.iter().zip(words) {
            says(said, words);
        }
    }
}

/// That all of these words are said.
#[cfg(test)]
#[track_caller]
pub(crate) fn says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word} is missing in {said}");
    }
}

/// That none of these words is said.
#[cfg(test)]
#[track_caller]
pub(crate) fn omits(said: &str, words: &[&str]) {
    for word in words {
        assert!(!said.contains(word), "{word} is in {said}");
    }
}

/// A ratio in thousandths.
pub fn per_mille(ratio: f64) -> u64 {
    // A ratio of two positive times; `as` saturates.
    (ratio * 1000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Counters;
    use crate::counters::fake::Fake;

    #[test]
    fn trouble_becomes_a_row_with_its_reason() {
        let why = Trouble::NotRun("there is one CPU".to_owned());
        let report = Report::of_trouble("peers", "ring", &why);
        assert!(report.has(Verdict::NotRun) && !report.has(Verdict::Failed));
        assert!(report.render().contains("because there is one CPU"));
    }

    #[test]
    fn a_part_that_cannot_be_measured_says_why_and_one_that_is_wrong_ends_the_run() {
        let mut report = Report::new("limits");
        let refused = |_: &mut Report| Err(Trouble::NotRun("it is refused".to_owned()));
        assert_eq!(report.add_part("machine/x", refused), Ok(()));
        assert!(report.has(Verdict::NotRun));
        let said = "machine/x: not measured here, because it is refused.";
        assert_eq!(report.conclusions, [said]);

        let wrong = Trouble::Failed("a value is wrong".to_owned());
        let outcome: Result<(), _> = report.add_part("machine/x", |_| Err(wrong.clone()));
        assert_eq!(outcome, Err(wrong));
    }

    /// Two cases, as a provider of tests counts them over 50 items each.
    fn counted_by(fake: &Fake) -> Report {
        let case = |name: &str, steps| {
            let mut counters = Counters::open_by(fake);
            counters.start();
            fake.work(steps);
            counters.stop();
            (name.to_owned(), counters.read().over(50))
        };
        let mut report = Report::new("counted");
        report.add_counters(&[case("near", 100), case("far", 1)], "50 items");
        report
    }

    #[test]
    fn a_counter_has_a_value_or_a_reason_and_never_both() {
        let fake = Fake::with(|fake| fake.refused = Some("cycles"));
        let report = counted_by(&fake);
        assert_eq!(report.rows.len(), 2 * 10);
        for row in &report.rows {
            let refused = row.subject == "counter/cycles";
            assert_eq!(row.count.is_none(), refused, "{row:?}");
            assert_eq!(row.verdict == Verdict::NotRun, refused, "{row:?}");
        }
        let why = "(1) not measured here, because the fake refuses it";
        assert!(report.render().contains(why), "{}", report.render());
    }

    #[test]
    fn counts_stand_beside_those_for_each_item_and_say_who_counted() {
        let report = counted_by(&Fake::default());
        let table = &report.tables[0];
        let columns = ["counter", "near, FAKE", "for each", "far, FAKE", "for each"];
        assert_eq!(table.columns(), columns);
        // The fifth event: 5 for each step of work.
        let lines = &table.rows()[4];
        let name = "lines of another core (MEM_LOAD_L3_HIT_RETIRED.XSNP_FWD)";
        assert_eq!(lines[0], Cell::words(name));
        assert_eq!(lines[1..3], [Cell::figure("500"), Cell::figure("10.0")]);
        assert_eq!(lines[3..], [Cell::figure("5"), Cell::figure("0.10")]);
        assert!(table.reasons().is_empty());
        let by_the_fake = |row: &Record| row.reason.as_deref() == Some("FAKE");
        assert!(report.rows.iter().all(by_the_fake));
    }

    #[test]
    fn a_scaled_count_says_so_in_its_row() {
        let fake = Fake::with(|fake| fake.share = 2);
        let report = counted_by(&fake);
        let reason = report.rows[0].reason.as_deref();
        assert_eq!(reason, Some("FAKE; scaled, counted 50 % of the time"));
    }

    #[test]
    fn a_rare_event_is_not_rounded_to_none() {
        assert_eq!(for_each(0.0), "0");
        assert_eq!(for_each(0.000_04), "4.00e-5");
        assert_eq!(for_each(2.0), "2.00");
    }
}
