//! This run beside an earlier one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use ringproof_record::{Record, Verdict};

use crate::report::Report;
use crate::table::{Cell, Table, figure};

/// Differences from this on are shown: less than what two runs on one machine differ by teaches
/// nothing.
pub const SHOWN: f64 = 0.1;

/// Reads the rows of an earlier run.
///
/// # Errors
/// It cannot be read, or holds something else.
pub fn read(path: &Path) -> Result<Vec<Record>> {
    let file = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read `{file}`"))?;
    let lines = (text.lines().zip(1..)).filter(|(line, _)| !line.trim().is_empty());
    lines
        .map(|(line, number)| {
            Record::from_line(line).with_context(|| {
                format!(
                    "line {number} of `{file}` is no row of an experiment; give the .json file that \
                     an earlier run wrote, or what it printed with --json"
                )
            })
        })
        .collect()
}

/// What differs from the earlier run, by [`SHOWN`] or more.
pub fn beside(before: &[Record], now: &[Record]) -> Report {
    let mut report = Report::new("beside an earlier run");
    let known = measured(before);
    let mut differences = Vec::new();
    let mut compared = 0;
    let mut new = 0;
    for ((subject, check), (value, unit)) in measured(now) {
        match known.get(&(subject, check)) {
            Some((before, same)) if *same == unit && *before > 0 => {
                compared += 1;
                let ratio = value as f64 / *before as f64;
                if (ratio - 1.0).abs() >= SHOWN {
                    differences.push((ratio, subject, check, *before, value, unit));
                }
            }
            _ => new += 1,
        }
    }
    // The farthest from one first, up or down.
    differences.sort_by(|one, other| other.0.ln().abs().total_cmp(&one.0.ln().abs()));
    let mut table = Table::new("", ["what", "how", "before", "now", "unit", "ratio"]);
    for (ratio, subject, check, before, now, unit) in &differences {
        table.add([
            Cell::words(*subject),
            Cell::words(*check),
            Cell::figure(before.to_string()),
            Cell::figure(now.to_string()),
            Cell::words(*unit),
            Cell::figure(figure(*ratio)),
        ]);
    }
    report.conclusions.push(format!(
        "{} of {compared} figures differ by {:.0} % or more; {new} have no counterpart.",
        differences.len(),
        SHOWN * 100.0
    ));
    if !differences.is_empty() {
        report.tables.push(table);
    }
    report.notes.push(
        "Two runs are not interleaved: what the machine did meanwhile is in every ratio."
            .to_owned(),
    );
    report
}

/// The figures of rows that have one, by what they are of.
fn measured(rows: &[Record]) -> BTreeMap<(&str, &str), (u64, &str)> {
    let with_figure = rows.iter().filter(|row| row.verdict == Verdict::Passed);
    with_figure
        .filter_map(|row| {
            let figure = (row.count?, row.unit.as_deref()?);
            Some(((&*row.subject, &*row.check), figure))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(subject: &str, count: u64) -> Record {
        Record::passed("perf", subject, "one by one").count(count, "thousand items/s")
    }

    #[test]
    fn what_became_slower_is_shown_and_the_rest_counted() {
        let before = [row("ring", 1000), row("latch", 500), row("pipe", 100)];
        let now = [row("ring", 500), row("latch", 520), row("socket", 7)];
        let report = beside(&before, &now);
        assert_eq!(report.tables[0].rows().len(), 1);
        assert_eq!(report.tables[0].rows()[0][5], Cell::figure("0.50"));
        let said = &report.conclusions[0];
        assert!(said.starts_with("1 of 2 figures differ by 10 %"), "{said}");
        assert!(said.contains("1 have no counterpart"), "{said}");
    }

    #[test]
    fn the_same_run_differs_in_nothing() {
        let rows = [row("ring", 1000), row("latch", 500)];
        let report = beside(&rows, &rows);
        assert!(report.tables.is_empty());
        assert!(report.conclusions[0].starts_with("0 of 2 "));
    }

    #[test]
    fn another_unit_is_another_figure() {
        let now = [row("ring", 1000).count(1, "ns")];
        let report = beside(&[row("ring", 1000)], &now);
        assert!(report.conclusions[0].starts_with("0 of 0 "));
    }

    #[test]
    fn what_is_no_run_is_refused_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.json");
        let refused = read(&path).unwrap_err().to_string();
        assert!(
            refused.contains("cannot read") && refused.contains("old.json"),
            "{refused}"
        );
        let good = row("ring", 1).to_line();
        fs::write(&path, format!("{good}\n\n{{}}\n")).unwrap();
        let refused = read(&path).unwrap_err().to_string();
        assert!(refused.contains("line 3"), "{refused}");
        fs::write(&path, format!("{good}\n")).unwrap();
        assert_eq!(read(&path).unwrap(), [row("ring", 1)]);
    }
}
