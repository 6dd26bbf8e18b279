//! What the programs of the harness have in common: the row that every layer prints and the driver
//! collects, how it is printed, how a program ends, deadlines, shards, programs that
//! tests write, and the machine: which CPUs a
//! process may use, how much of their time, and which compilers there are.
//!
//! A layer is a program of its own; it writes one [`Record`] per line, as JSON, to its standard
//! output and nothing else there (progress and prose go to standard error), and ends with the status
//! that follows from them ([`Exit::of`]). The driver depends on no layer: it reads these lines, and
//! its matrix is a pivot of them.
//!
//! ```
//! use ringproof_record::{Record, Verdict};
//!
//! let row = Record::passed("loom", "RingPublish", "mutant: Relaxed")
//!     .count(12, "executions")
//!     .repeat("cargo run -p ringproof-models --features loom -- loom --only ring/wrap");
//! let line = row.to_line();
//! assert_eq!(Record::from_line(&line).unwrap(), row);
//! assert_eq!(row.verdict, Verdict::Passed);
//! ```

pub mod affinity;
pub mod cargo;
pub mod compiler;
pub mod deadline;
mod exit;
pub mod machine;
pub mod print;
pub mod program;
pub mod quota;
mod shard;

pub use exit::{EXIT_CODES, Exit, run};
pub use shard::Shard;

use serde::{Deserialize, Serialize};

/// The version of the contract between layers, driver and readers of the report.
pub const SCHEMA: u32 = 1;

/// How one check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It ran and what it looked for holds. A killed mutant has passed.
    Passed,
    /// It did not run; the record's `reason` says why.
    NotRun,
    /// It ran and found a violation; the record's `reason` says which.
    Failed,
}

/// One check of one subject by one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The layer that ran it: `loom`, `shuttle`, `crash`, …
    pub layer: String,
    /// What was checked: a site, a model, a specimen or an operation.
    pub subject: String,
    /// What was done to it: `control`, `witness: reader retried`, `mutant: Relaxed`, `crash before`, …
    pub check: String,
    /// How it ended.
    pub verdict: Verdict,
    /// How much was tried, in `unit`s; nothing where counting makes no sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What `count` counts: `executions`, `schedules`, `kills`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Why it failed or did not run; for a control how far it went: `EXHAUSTED`, `BOUNDED(2)`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The command that repeats exactly this check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<String>,
    /// The execution that shows it, over several lines: one column per thread, one row per access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Tables that it stands for, over several lines, as a terminal shows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
}

impl Record {
    /// A record with the given verdict and nothing else said.
    pub fn new(
        verdict: Verdict,
        layer: impl Into<String>,
        subject: impl Into<String>,
        check: impl Into<String>,
    ) -> Self {
        Record {
            layer: layer.into(),
            subject: subject.into(),
            check: check.into(),
            verdict,
            count: None,
            unit: None,
            reason: None,
            repeat: None,
            trace: None,
            table: None,
        }
    }

    /// A check that ran and holds.
    pub fn passed(
        layer: impl Into<String>,
        subject: impl Into<String>,
        check: impl Into<String>,
    ) -> Self {
        Self::new(Verdict::Passed, layer, subject, check)
    }

    /// A check that found a violation.
    pub fn failed(
        layer: impl Into<String>,
        subject: impl Into<String>,
        check: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self::new(Verdict::Failed, layer, subject, check).reason(reason)
    }

    /// A check that could not be run here.
    pub fn not_run(
        layer: impl Into<String>,
        subject: impl Into<String>,
        check: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self::new(Verdict::NotRun, layer, subject, check).reason(reason)
    }

    /// Says how much was tried.
    pub fn count(mut self, count: u64, unit: impl Into<String>) -> Self {
        self.count = Some(count);
        self.unit = Some(unit.into());
        self
    }

    /// Says why, or how far.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Says how to repeat it.
    pub fn repeat(mut self, command: impl Into<String>) -> Self {
        self.repeat = Some(command.into());
        self
    }

    /// Shows the execution in which it happened.
    pub fn trace(mut self, text: impl Into<String>) -> Self {
        self.trace = Some(text.into());
        self
    }

    /// Gives the tables that it stands for.
    pub fn table(mut self, text: impl Into<String>) -> Self {
        self.table = Some(text.into());
        self
    }

    /// The record as one line of JSON, without the line break.
    pub fn to_line(&self) -> String {
        // A struct of strings and integers always serializes; the fallback keeps this total.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads one line that [`to_line`](Self::to_line) wrote.
    ///
    /// # Errors
    /// The line is not JSON, or is JSON of another shape.
    pub fn from_line(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }
}

/// One row of the access-site table, as the report carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteRow {
    /// The site's name, for example `RingPublish`.
    pub name: String,
    /// `load`, `store`, `fence`, `slot read` or `slot write`.
    pub kind: String,
    /// The memory ordering in force, `plain` for a slot.
    pub ordering: String,
    /// The site or sites that it pairs with, or why there is none.
    pub partner: String,
    /// What it is there for.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_is_a_number_from_one_to_a_thousand() {
        let parse = deadline::parse;
        assert_eq!(parse("1"), Ok(1.0));
        assert_eq!(parse(" 2.5\n"), Ok(2.5));
        assert_eq!(parse("1000"), Ok(1000.0));
        for wrong in ["", "0", "0.5", "-1", "1001", "inf", "NaN", "many", "1e400"] {
            let why = parse(wrong).unwrap_err();
            assert!(
                why.contains(deadline::VARIABLE) && why.contains("from 1 to 1000"),
                "{why}"
            );
        }
    }

    #[test]
    fn no_deadline_is_shortened() {
        let three = std::time::Duration::from_secs(3);
        assert!(deadline::seconds(3) >= three);
    }

    #[test]
    fn absent_fields_are_left_out_and_read_back() {
        let row = Record::passed("asm", "push", "no call");
        assert!(!row.to_line().contains("null"));
        assert_eq!(Record::from_line(&row.to_line()).unwrap(), row);
    }

    #[test]
    fn a_trace_of_several_lines_stays_one_line() {
        let row = Record::passed("loom", "RingPublish", "mutant: Relaxed").trace("a │ b\n1 │");
        assert_eq!(row.to_line().lines().count(), 1);
        assert_eq!(Record::from_line(&row.to_line()).unwrap(), row);
    }

    #[test]
    fn a_line_of_another_shape_is_refused() {
        assert!(Record::from_line("{\"layer\":\"loom\"}").is_err());
        assert!(Record::from_line("running 3 tests").is_err());
    }
}
