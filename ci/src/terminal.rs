//! The report on a terminal: the matrix, why cells are empty, the other checks, and at the very
//! end, where it does not scroll away, the verdict.

use std::fmt::Write as _;

use comfy_table::{
    Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle,
};
use ringproof_record::{Record, Verdict};

use crate::inventory::inventories;
use crate::layers;
use crate::report::{Report, Tally};
use crate::text::{amount, mark, plural, shorten, thousands, word};
use crate::view::{self, Form, Seen, Value};

/// A rule below the header, and space between the columns.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::new('─', '─', '─', '─'));

/// How many subjects a line names before it only counts them.
const NAMED: usize = 6;

/// How much of a reason a table has room for: the page has all of it.
const LONGEST_FOUND: usize = 100;

/// The whole report as text.
pub fn render(report: &Report) -> String {
    let sections = [
        matrix(report),
        legend(report),
        models(report),
        drawn(&view::others(report)),
        findings(report),
        programs(report),
        not_run(report),
        failures(report),
        totals(report),
    ];
    let shown: Vec<String> = sections
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    shown.join("\n")
}

fn matrix(report: &Report) -> String {
    if report.sites.is_empty() {
        return "There is no table of sites, so there is no matrix.\n".to_owned();
    }
    let mut table = plain_table();
    let columns = report.layers.iter().map(|layer| layer.name.as_str());
    table.set_header(["site", "access"].into_iter().chain(columns));
    for (site, cells) in report.matrix() {
        let access = format!("{} {}", site.kind, site.ordering);
        let names = [Cell::new(&site.name), Cell::new(access)];
        let cells = cells
            .iter()
            .map(|tally| Cell::new(tally.symbol()).fg(colour(*tally)));
        table.add_row(names.into_iter().chain(cells).collect::<Vec<_>>());
    }
    // A name or a cell that wraps is worse than a line that is too long.
    table.set_constraints(vec![
        ColumnConstraint::ContentWidth;
        report.layers.len() + 2
    ]);
    finish(&table)
}

fn legend(report: &Report) -> String {
    let mut text =
        String::from("✓ passed   ✗ failed   – did not run (listed below)   · no cell:\n");
    for (layer, count, why) in report.empty_cells() {
        let sites = plural(count, "site");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {layer:<8} {sites}: {why}");
    }
    text
}

/// Each model and each change by itself, where the report has room for it: the page always has.
fn models(report: &Report) -> String {
    if !report.is_selection() {
        return String::new();
    }
    let mut tables = Vec::new();
    for inventory in inventories(report) {
        let models = plural(inventory.models.len(), "model");
        let table = drawn(&view::models(&inventory));
        tables.push(format!("{}: {models}\n{table}", inventory.layer));
        tables.push(drawn(&view::changes(&inventory)));
    }
    tables.join("\n")
}

/// What each row says of itself, where the report has room for it: the page always has.
fn findings(report: &Report) -> String {
    if !report.is_selection() {
        return String::new();
    }
    drawn(&view::findings(report))
}

/// A table; nothing where it has no rows.
fn drawn(view: &view::Table<'_>) -> String {
    if view.rows.is_empty() {
        return String::new();
    }
    let mut table = plain_table();
    table.set_header(view.columns.iter().map(|(name, _)| *name));
    for row in &view.rows {
        let cells = view.columns.iter().zip(&row.cells);
        table.add_row(cells.map(|((_, form), value)| cell(*form, value)));
    }
    // Where the last column has whole sentences, it is the one that is wrapped.
    if let Some((_, Form::Found)) = view.columns.last() {
        let others = view.columns.len() - 1;
        table.set_constraints(vec![ColumnConstraint::ContentWidth; others]);
    }
    finish(&table)
}

fn cell(form: Form, value: &Value<'_>) -> Cell {
    let cell = match value {
        Value::Text(text) if form == Form::Found => Cell::new(shorten(text, LONGEST_FOUND)),
        Value::Text(text) => Cell::new(text),
        Value::Verdict(verdict) => Cell::new(word(*verdict)).fg(colour_of(*verdict)),
        Value::Count(_, count) => Cell::new(count),
        Value::Seen(seen) => Cell::new(seen.iter().map(sentence).collect::<Vec<_>>().join(", ")),
        Value::Of(row) => Cell::new(row.reason.as_deref().unwrap_or_default()),
    };
    match form {
        Form::Number | Form::Tried => cell.set_alignment(CellAlignment::Right),
        _ => cell,
    }
}

fn sentence(seen: &Seen<'_>) -> String {
    let mut text = String::new();
    if let Some(verdict) = seen.verdict {
        text = format!("{} ", mark(verdict));
    }
    text.push_str(&seen.what);
    if let Some(times) = &seen.times {
        text = format!("{text} {times}");
    }
    if let Some(tried) = &seen.tried {
        text = format!("{text} ({tried})");
    }
    text
}

/// What was run, so that a reader can compare it with what it should have been.
fn programs(report: &Report) -> String {
    let mut text = String::new();
    for (program, layers) in report.programs() {
        let _ = writeln!(
            text,
            "{} ({})\n  SHA-256 {}",
            program.path,
            layers.join(", "),
            program.sha256
        );
    }
    text
}

fn not_run(report: &Report) -> String {
    let mut text = String::new();
    for (first, subjects) in report.not_run() {
        let why = first.reason.as_deref().unwrap_or("no reason given");
        let _ = writeln!(
            text,
            "NOT RUN  {}  {}  {}",
            first.layer,
            first.check,
            name_some(&subjects)
        );
        let _ = writeln!(text, "{}", indent(why));
    }
    text
}

fn failures(report: &Report) -> String {
    let mut text = String::new();
    for row in report.failed() {
        text.push_str(&failure(row));
    }
    text
}

/// How much the layers with models explored in all.
fn totals(report: &Report) -> String {
    let mut text = String::new();
    for (layer, total, unit) in report.totals() {
        let _ = writeln!(text, "{layer}: {} {unit}", thousands(total));
    }
    text
}

/// One failed row in full.
pub fn failure(row: &Record) -> String {
    let mut text = format!("FAILED   {}  {}  {}\n", row.layer, row.subject, row.check);
    if let Some(tried) = amount(row) {
        let _ = writeln!(text, "{}", indent(&format!("after {tried}")));
    }
    if let Some(why) = &row.reason {
        let _ = writeln!(text, "{}", indent(why));
    }
    if let Some(trace) = &row.trace {
        let _ = writeln!(text, "{}", indent(trace));
    }
    if let Some(command) = &row.repeat {
        let _ = writeln!(text, "{}", indent(&format!("repeat: {command}")));
    }
    text
}

/// The layers, for `--list`.
pub fn list() -> String {
    let mut text = String::new();
    for layer in layers::LAYERS {
        let _ = writeln!(text, "{:<8} {}", layer.name, layer.judges);
    }
    text
}

fn name_some(subjects: &[&str]) -> String {
    let named = subjects
        .iter()
        .take(NAMED)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    match subjects.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn indent(text: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|line| format!("         {line}"))
        .collect();
    lines.join("\n")
}

fn colour(tally: Tally) -> Color {
    tally.worst().map_or(Color::DarkGrey, colour_of)
}

fn colour_of(verdict: Verdict) -> Color {
    match verdict {
        Verdict::Passed => Color::Green,
        Verdict::NotRun => Color::Yellow,
        Verdict::Failed => Color::Red,
    }
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table
}

fn finish(table: &Table) -> String {
    format!("{}\n", table.trim_fmt())
}
