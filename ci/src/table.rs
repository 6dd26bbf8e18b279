//! The report on a terminal: the matrix, why cells are empty, the other checks, and at the very
//! end, where it does not scroll away, the verdict.

use std::fmt::Write as _;

use comfy_table::{
    Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle,
};
use ringproof_record::{Record, Verdict};

use crate::inventory::{Inventory, Model, inventories};
use crate::layers;
use crate::report::{Amount, Group, Report, Tally};
use crate::text::{amount, plural, shorten, thousands};

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
        others(report),
        told(report),
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
    let tables = (inventories(report).iter())
        .flat_map(|inventory| [model_table(inventory), change_table(inventory)])
        .collect::<Vec<_>>();
    tables.join("\n")
}

fn model_table(inventory: &Inventory<'_>) -> String {
    let mut table = plain_table();
    table.set_header([
        "model",
        "verdict",
        "extent",
        "explored",
        "witnessed, and what else was checked",
    ]);
    for model in &inventory.models {
        let explored = amount(model.control).unwrap_or_default();
        table.add_row(vec![
            Cell::new(model.name),
            verdict(model.verdict()),
            Cell::new(model.extent()),
            Cell::new(explored).set_alignment(CellAlignment::Right),
            Cell::new(seen(model)),
        ]);
    }
    let whole = ColumnConstraint::ContentWidth;
    table.set_constraints(vec![whole, whole, whole, whole]);
    let models = plural(inventory.models.len(), "model");
    format!("{}: {models}\n{}", inventory.layer, finish(&table))
}

/// What a model witnessed, how often, and the verdicts of its other checks.
fn seen(model: &Model<'_>) -> String {
    let mut parts = Vec::new();
    for row in &model.witnesses {
        let sign = match row.verdict {
            Verdict::Passed => String::new(),
            other => format!("{} ", mark(other)),
        };
        let what = witness(row);
        let times = row.count.map(thousands).unwrap_or_default();
        parts.push(format!("{sign}{what} {times}"));
    }
    for row in &model.checks {
        let tried = amount(row).map_or(String::new(), |tried| format!(" ({tried})"));
        parts.push(format!("{} {}{tried}", mark(row.verdict), row.check));
    }
    parts.join(", ")
}

/// `reader retried` of `witness: reader retried`; what nobody asked for keeps an `also`.
pub fn witness(row: &Record) -> String {
    match row.check.split_once(": ") {
        Some(("witness", what)) => what.to_owned(),
        Some((_, what)) => format!("also {what}"),
        None => row.check.clone(),
    }
}

fn change_table(inventory: &Inventory<'_>) -> String {
    if inventory.changes.is_empty() {
        return String::new();
    }
    let mut table = plain_table();
    table.set_header(["subject", "check", "verdict", "explored", "found"]);
    for row in &inventory.changes {
        let explored = amount(row).unwrap_or_default();
        let found = shorten(row.reason.as_deref().unwrap_or_default(), LONGEST_FOUND);
        table.add_row(vec![
            Cell::new(&row.subject),
            Cell::new(&row.check),
            verdict(row.verdict),
            Cell::new(explored).set_alignment(CellAlignment::Right),
            Cell::new(found),
        ]);
    }
    let whole = ColumnConstraint::ContentWidth;
    table.set_constraints(vec![whole, whole, whole, whole]);
    finish(&table)
}

fn others(report: &Report) -> String {
    let groups = report.other_rows();
    if groups.is_empty() {
        return String::new();
    }
    let mut table = plain_table();
    table.set_header([
        "layer", "check", "of", "passed", "failed", "not run", "in all", "how far",
    ]);
    for group in &groups {
        let count = |count: usize| Cell::new(count).set_alignment(CellAlignment::Right);
        table.add_row(vec![
            Cell::new(group.layer),
            Cell::new(group.kind),
            Cell::new(subjects(group)),
            count(group.tally.passed),
            count(group.tally.failed),
            count(group.tally.not_run),
            Cell::new(tried(group)),
            Cell::new(how_far(group)),
        ]);
    }
    finish(&table)
}

/// What each row says of itself, where the report has room for it: the page always has.
fn told(report: &Report) -> String {
    let rows = report.told();
    if rows.is_empty() || !report.is_selection() {
        return String::new();
    }
    let mut table = plain_table();
    table.set_header(["layer", "subject", "check", "tried", "found"]);
    for row in rows {
        let found = shorten(row.reason.as_deref().unwrap_or_default(), LONGEST_FOUND);
        table.add_row(vec![
            Cell::new(&row.layer),
            Cell::new(&row.subject),
            Cell::new(&row.check),
            Cell::new(amount(row).unwrap_or_default()).set_alignment(CellAlignment::Right),
            Cell::new(found),
        ]);
    }
    let whole = ColumnConstraint::ContentWidth;
    table.set_constraints(vec![whole, whole, whole, whole]);
    finish(&table)
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

/// What a group checked: up to three names, else how many.
pub fn subjects(group: &Group<'_>) -> String {
    if group.subjects.len() <= 3 {
        group
            .subjects
            .iter()
            .copied()
            .collect::<Vec<_>>()
            .join(", ")
    } else {
        plural(group.subjects.len(), "subject")
    }
}

/// How much a group tried, by unit; of measurements, from where to where they go.
pub fn tried(group: &Group<'_>) -> String {
    let measures = layers::find(group.layer).is_some_and(|layer| layer.measures);
    let part = |(unit, amount): (&&str, &Amount)| {
        let Amount { sum, least, most } = *amount;
        match measures && least != most {
            true => format!("{} to {} {unit}", thousands(least), thousands(most)),
            // Of equal measurements, one; of counts, all together.
            false if measures => format!("{} {unit}", thousands(most)),
            false => format!("{} {unit}", thousands(sum)),
        }
    };
    let parts: Vec<String> = group.tried.iter().map(part).collect();
    parts.join(", ")
}

/// How far a group went, where that is a few short words such as `EXHAUSTED`.
pub fn how_far(group: &Group<'_>) -> String {
    const LONGEST: usize = 24;
    let long = |reason: &&str| reason.chars().count() > LONGEST;
    if group.reached.len() > 4 || group.reached.keys().any(long) {
        return String::new();
    }
    let parts: Vec<String> = group
        .reached
        .iter()
        .map(|(reason, count)| format!("{count} × {reason}"))
        .collect();
    parts.join(", ")
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

fn verdict(verdict: Verdict) -> Cell {
    Cell::new(word(verdict)).fg(colour_of(verdict))
}

/// A verdict as people say it.
pub fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::NotRun => "not run",
        Verdict::Failed => "failed",
    }
}

/// A verdict as a sign.
pub fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "✓",
        Verdict::NotRun => "–",
        Verdict::Failed => "✗",
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
