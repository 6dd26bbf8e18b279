//! The report as one page that needs nothing beside it: no script, no font, no picture.
//!
//! maud escapes every text and attribute, so a row can say what it likes.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use ringproof_record::{Record, Verdict};

use crate::inventory::inventories;
use crate::layers;
use crate::report::{LayerResult, Outcome, Part, Report, Tally, site_names};
use crate::text::{amount, mark, plural, thousands, word};
use crate::view::{self, Form, Row, Seen, Table, Value, result_place, site_place};

/// The whole page.
pub fn render(report: &Report) -> String {
    let title = format!("ringproof: {}", report.verdict.word());
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(include_str!("report.css"))) }
            }
            body {
                (head(report))
                (failures(report))
                (not_run(report))
                (matrix(report))
                @for inventory in inventories(report) {
                    (section(&format!("Models: {}", inventory.layer), &view::models(&inventory)))
                }
                (section("Checks that are about no site", &view::others(report)))
                (section("What was found", &view::findings(report)))
                (tables(report))
                (section("Sites", &view::sites(report)))
                (results(report))
            }
        }
    };
    page.into_string()
}

fn head(report: &Report) -> Markup {
    let about = &report.about;
    let machine = &about.machine;
    let tally = report.tally();
    html! {
        header {
            h1 { "ringproof" }
            span class={ "badge " (class_of(report.verdict)) } { (report.verdict.word()) }
            span {
                (plural(tally.total(), "check")) ", " (tally.failed) " failed, "
                (tally.not_run) " not run, " (format!("{:.0} s", report.seconds()))
            }
        }
        dl {
            dt { "commit" }
            dd class="mono" { (about.commit.as_deref().unwrap_or("unknown to git")) }
            dt { "repeat" }
            dd class="mono" { (report.command()) }
            @if about.part != Part::Whole {
                dt { "part" }
                dd { (about.part) }
            }
            dt { "machine" }
            dd {
                (machine.cpu) ", " (machine.cores.map_or("an unknown number of cores".to_owned(), |cores| plural(cores, "core")))
                @if let Part::Merged(_) = about.part { span class="soft" { ", the first shard’s" } }
            }
            dt { "system" }
            dd { (machine.os) ", kernel " (machine.kernel) }
            dt { "compiler" }
            dd { (machine.rustc) }
            @for (layer, total, unit) in report.totals() {
                dt { (layer) }
                dd { (thousands(total)) " " (unit) }
            }
        }
    }
}

fn failures(report: &Report) -> Markup {
    let count = report.failed().count();
    html! {
        @if count > 0 {
            h2 class="failed" { (plural(count, "check")) " failed" }
            @for row in report.failed() {
                div class="card" {
                    strong { (row.layer) } " · " code { (row.subject) } " · " (row.check)
                    @if let Some(tried) = amount(row) { span class="soft" { " · after " (tried) } }
                    @if let Some(why) = &row.reason { (reason(why)) }
                    @if let Some(trace) = &row.trace { pre { (trace) } }
                    @if let Some(command) = &row.repeat {
                        p class="line" { span class="soft" { "repeat: " } code { (command) } }
                    }
                }
            }
        }
    }
}

fn not_run(report: &Report) -> Markup {
    let lists = report.not_run();
    html! {
        @if !lists.is_empty() {
            h2 class="not_run" { "Did not run" }
            @for (first, subjects) in lists {
                div class="card waiting" {
                    strong { (first.layer) } " · " (first.check)
                    (reason(first.reason.as_deref().unwrap_or("no reason given")))
                    p class="line soft mono" { (subjects.join(", ")) }
                }
            }
        }
    }
}

fn matrix(report: &Report) -> Markup {
    html! {
        h2 { "Sites and layers" }
        @if report.sites.is_empty() {
            p { "There is no table of sites, so there is no matrix." }
        } @else {
            p class="soft" {
                "A site is a named access to shared memory. A cell counts the layer’s checks of it "
                "and leads to them."
            }
            div class="scroll matrix" {
                table {
                    thead { tr {
                        th { "site" } th class="access" { "access" }
                        @for layer in &report.layers { th class="cell" title=(judges(layer)) { (layer.name) } }
                    } }
                    tbody {
                        @for (site, cells) in report.matrix() {
                            tr {
                                th scope="row" { a href={ "#" (site_place(&site.name)) } { (site.name) } }
                                td class="soft access" { (site.kind) " " (site.ordering) }
                                @for (layer, tally) in report.layers.iter().zip(cells) {
                                    (matrix_cell(layer, &site.name, tally))
                                }
                            }
                        }
                    }
                }
            }
            p class="soft" { "✓ passed, ✗ failed, – did not run (listed above), · no cell:" }
            ul class="soft" {
                @for (layer, count, why) in report.empty_cells() {
                    li { strong { (layer) } ", " (plural(count, "site")) ": " (why) "." }
                }
            }
        }
    }
}

fn matrix_cell(layer: &LayerResult, site: &str, tally: Tally) -> Markup {
    let class = tally.worst().map_or("soft", class_of_row);
    html! {
        td class={ "cell " (class) } {
            @if tally.is_empty() { (tally.symbol()) } @else {
                a href={ "#" (result_place(&layer.name, site)) } { (tally.symbol()) }
            }
        }
    }
}

/// A table below its title; nothing where it has no rows.
fn section(title: &str, table: &Table<'_>) -> Markup {
    html! {
        @if !table.rows.is_empty() {
            h2 { (title) }
            div class="scroll" { (drawn(table)) }
        }
    }
}

fn drawn(table: &Table<'_>) -> Markup {
    let columns = &table.columns;
    html! {
        table {
            thead { tr {
                @for (name, form) in columns {
                    th class=[(*form == Form::Number).then_some("number")] { (name) }
                }
            } }
            tbody { @for row in &table.rows { (drawn_row(columns, row)) } }
        }
    }
}

fn drawn_row(columns: &[(&str, Form)], row: &Row<'_>) -> Markup {
    html! {
        tr id=[&row.id] {
            @for ((_, form), value) in columns.iter().zip(&row.cells) {
                @if *form == Form::Name {
                    th scope="row" { (drawn_value(value)) }
                } @else {
                    td class=[class_of_column(*form)] { (drawn_value(value)) }
                }
            }
        }
        @if let Some(trace) = row.trace {
            tr { td class="trace" colspan=(columns.len()) {
                details { summary { "the execution" } pre { (trace) } }
            } }
        }
    }
}

fn drawn_value(value: &Value<'_>) -> Markup {
    html! {
        @match value {
            Value::Text(text) => { (text) }
            Value::Verdict(verdict) => { span class=(class_of_row(*verdict)) { (word(*verdict)) } }
            // Coloured where it is not zero.
            Value::Count(_, 0) => { span class="soft" { "0" } }
            Value::Count(verdict, count) => { span class=(class_of_row(*verdict)) { (count) } }
            Value::Seen(all) => { @for seen in all { (drawn_seen(seen)) " " } }
            Value::Of(row) => {
                @if let Some(why) = &row.reason { (reason(why)) }
                @if let Some(command) = &row.repeat { code class="soft" { (command) } }
            }
        }
    }
}

fn drawn_seen(seen: &Seen<'_>) -> Markup {
    html! {
        span class="seen" {
            @if let Some(verdict) = seen.verdict {
                span class=(class_of_row(verdict)) { (mark(verdict)) } " "
            }
            (seen.what)
            @for number in seen.times.iter().chain(&seen.tried) { span class="soft" { " " (number) } }
        }
    }
}

fn class_of_column(form: Form) -> Option<&'static str> {
    match form {
        Form::Name | Form::Others => None,
        Form::Code => Some("mono"),
        Form::Short | Form::Tried => Some("nowrap"),
        Form::Words | Form::Found => Some("wrap"),
        Form::Extent => Some("extent"),
        Form::Number => Some("number"),
        Form::Reason => Some("reason"),
    }
}

/// The tables that layers made, as they print them.
fn tables(report: &Report) -> Markup {
    let tables = report.results.iter().filter_map(|row| {
        let (title, table) = row.table.as_ref()?.split_once('\n')?;
        Some((&row.layer, title, table))
    });
    let mut tables = tables.peekable();
    html! {
        @if tables.peek().is_some() {
            h2 { "Tables" }
            @for (layer, title, table) in tables {
                details {
                    summary { strong { (layer) } " " (title) }
                    div class="scroll" { pre { (table) } }
                }
            }
        }
    }
}

fn results(report: &Report) -> Markup {
    let sites = site_names(&report.sites);
    html! {
        h2 { "Every result" }
        @for layer in &report.layers {
            @let rows: Vec<&Record> =
                report.results.iter().filter(|row| row.layer == layer.name).collect();
            details open[rows.iter().any(|row| row.verdict == Verdict::Failed)] {
                summary {
                    strong { (layer.name) } " "
                    span class=(class_of(layer.verdict)) { (layer.verdict.word()) }
                    span class="soft" {
                        ", " (plural(rows.len(), "check")) ", " (format!("{:.1} s", layer.seconds))
                        ". It " (judges(layer)) "."
                    }
                }
                @for program in &layer.programs {
                    p class="line soft mono" { (program.path) ", SHA-256 " (program.sha256) }
                }
                @if !rows.is_empty() {
                    div class="scroll" { (drawn(&view::results(&rows, &sites))) }
                }
            }
        }
    }
}

/// One line as a paragraph; more, such as a diagram in columns, in the form in which it was printed.
fn reason(why: &str) -> Markup {
    html! {
        @if why.contains('\n') { pre { (why) } } @else { p class="line" { (why) } }
    }
}

fn class_of_row(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Failed => "failed",
        Verdict::NotRun => "not_run",
    }
}

fn class_of(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed => "failed",
        Outcome::Incomplete | Outcome::NotRun => "incomplete",
    }
}

fn judges(layer: &LayerResult) -> &'static str {
    layers::find(&layer.name).map_or("prints the table of sites", |layer| layer.judges)
}
