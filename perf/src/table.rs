//! Tables, as a terminal and a page show them.

use std::fmt;

use comfy_table::{CellAlignment, ColumnConstraint, LineStyle, TableStyle};
use serde::{Deserialize, Serialize};

use crate::stats::Summary;

/// A rule below the header, and space between the columns.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::new('─', '─', '─', '─'));

/// What stands in one place of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cell {
    /// Words, from the left.
    Words(String),
    /// A figure, from the right.
    Figure(String),
    /// No figure, and why there is none: a clause that follows "because".
    Missing(String),
}

impl Cell {
    /// Words.
    pub fn words(text: impl Into<String>) -> Self {
        Cell::Words(text.into())
    }

    /// A figure that is text already.
    pub fn figure(text: impl Into<String>) -> Self {
        Cell::Figure(text.into())
    }

    /// A figure that could not be had.
    pub fn missing(why: impl Into<String>) -> Self {
        Cell::Missing(why.into())
    }

    /// A median with its spread, or why there is none.
    pub fn measured(summary: Result<Summary, String>) -> Self {
        summary.map_or_else(Cell::Missing, |summary| Cell::Figure(spread(summary)))
    }
}

/// Rows of cells under the names of their columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// What it shows, in one line; empty where the report's title says it.
    pub heading: String,
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub fn new<Name: Into<String>>(
        heading: impl Into<String>,
        columns: impl IntoIterator<Item = Name>,
    ) -> Self {
        Table {
            heading: heading.into(),
            columns: columns.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn add(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The rows.
    pub fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }

    /// Why figures are missing, each reason once, in the order in which they come. A missing cell
    /// is shown as the number of its reason.
    pub fn reasons(&self) -> Vec<&str> {
        let mut reasons: Vec<&str> = Vec::new();
        for cell in self.rows.iter().flatten() {
            if let Cell::Missing(why) = cell
                && !reasons.contains(&why.as_str())
            {
                reasons.push(why);
            }
        }
        reasons
    }

    /// What stands in a place, however it is shown.
    pub fn shown(&self, cell: &Cell) -> String {
        match cell {
            Cell::Words(text) | Cell::Figure(text) => text.clone(),
            Cell::Missing(why) => {
                let known = self.reasons().iter().position(|reason| reason == why);
                format!("– ({})", known.map_or(0, |index| index + 1))
            }
        }
    }

    /// What stands below, however it is shown: why figures are missing.
    pub fn below(&self) -> Vec<String> {
        let reasons = self.reasons().into_iter().enumerate();
        let line = |(index, why)| format!("({}) not measured here, because {why}", index + 1);
        reasons.map(line).collect()
    }
}

/// As a terminal shows it.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = comfy_table::Table::new();
        table.load_style(STYLE);
        table.set_header(&self.columns);
        table.set_constraints(vec![ColumnConstraint::ContentWidth; self.columns.len()]);
        for row in &self.rows {
            table.add_row(row.iter().map(|cell| {
                let shown = comfy_table::Cell::new(self.shown(cell));
                match cell {
                    Cell::Words(_) => shown,
                    Cell::Figure(_) | Cell::Missing(_) => shown.set_alignment(CellAlignment::Right),
                }
            }));
        }
        if !self.heading.is_empty() {
            writeln!(f, "{}\n", self.heading)?;
        }
        write!(f, "{}", table.trim_fmt())?;
        self.below()
            .iter()
            .try_for_each(|line| write!(f, "\n{line}"))
    }
}

/// A figure with about three digits.
pub fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A size as people write it.
pub fn size(bytes: usize) -> String {
    match bytes {
        bytes if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        bytes if bytes >= 1 << 10 => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} B"),
    }
}

/// A median and, in brackets, its spread.
pub fn spread(summary: Summary) -> String {
    let Summary { median, min, max } = summary;
    format!("{} [{}–{}]", figure(median), figure(min), figure(max))
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
    fn a_missing_figure_is_a_number_and_its_reason_stands_once_below() {
        let mut table = Table::new("costs", ["what", "one", "two"]);
        table.add([
            Cell::words("load"),
            Cell::figure("1.0"),
            Cell::missing("of one thing"),
        ]);
        table.add([
            Cell::words("store"),
            Cell::missing("of another"),
            Cell::missing("of one thing"),
        ]);
        let text = table.to_string();
        assert!(text.starts_with("costs\n"), "{text}");
        assert_eq!(text.matches("– (1)").count(), 2, "{text}");
        assert_eq!(text.matches("– (2)").count(), 1, "{text}");
        let below = "\n(1) not measured here, because of one thing\n(2) not measured here, because of another";
        assert!(text.ends_with(below), "{text}");
    }

    #[test]
    fn sizes_are_written_as_people_write_them() {
        let sizes = [64, 16 << 10, 4 << 20].map(size);
        assert_eq!(sizes, ["64 B", "16 KiB", "4 MiB"]);
    }
}
