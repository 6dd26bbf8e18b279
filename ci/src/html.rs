//! The report as one page that needs nothing beside it: no script, no font, no picture.
//!
//! maud escapes every text and attribute, so a row can say what it likes.

use std::collections::BTreeSet;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use ringproof_record::{Record, Verdict};

use crate::inventory::{Model, inventories};
use crate::layers;
use crate::part::Part;
use crate::report::{LayerResult, Outcome, Report, Tally};
use crate::table::{how_far, mark, subjects, tried, witness, word};
use crate::text::{amount, plural, thousands};

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
                (models(report))
                (others(report))
                (told(report))
                (tables(report))
                (sites(report))
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
                                th scope="row" { a href={ "#site-" (site.name) } { (site.name) } }
                                td class="soft access" { (site.kind) " " (site.ordering) }
                                @for (layer, tally) in report.layers.iter().zip(cells) {
                                    (cell(layer, &site.name, tally))
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

fn cell(layer: &LayerResult, site: &str, tally: Tally) -> Markup {
    let class = tally.worst().map_or("soft", class_of_row);
    html! {
        td class={ "cell " (class) } {
            @if tally.is_empty() { "·" } @else {
                a href={ "#" (anchor(&layer.name, site)) } { (tally.symbol()) }
            }
        }
    }
}

fn models(report: &Report) -> Markup {
    html! {
        @for inventory in inventories(report) {
            h2 { "Models: " (inventory.layer) }
            div class="scroll" {
                table {
                    thead { tr {
                        th { "model" } th { "verdict" } th { "extent" }
                        th class="number" { "explored" } th { "witnessed, and what else was checked" }
                    } }
                    tbody { @for model in &inventory.models { (model_row(model)) } }
                }
            }
        }
    }
}

fn model_row(model: &Model<'_>) -> Markup {
    html! {
        tr {
            th scope="row" { (model.name) }
            td class="nowrap" { (verdict(model.verdict())) }
            td class="extent" { (model.extent()) }
            td class="number" { (amount(model.control).unwrap_or_default()) }
            td class="wrap" {
                @for row in &model.witnesses {
                    span class="seen" {
                        @if row.verdict != Verdict::Passed {
                            span class=(class_of_row(row.verdict)) { (mark(row.verdict)) } " "
                        }
                        (witness(row))
                        span class="soft" { " " (row.count.map(thousands).unwrap_or_default()) }
                    } " "
                }
                @for row in &model.checks {
                    span class="seen" {
                        span class=(class_of_row(row.verdict)) { (mark(row.verdict)) } " " (row.check)
                        @if let Some(tried) = amount(row) { span class="soft" { " " (tried) } }
                    } " "
                }
            }
        }
    }
}

fn others(report: &Report) -> Markup {
    let groups = report.other_rows();
    html! {
        @if !groups.is_empty() {
            h2 { "Checks that are about no site" }
            div class="scroll" {
                table {
                    thead { tr {
                        th { "layer" } th { "check" } th { "of" }
                        th class="number" { "passed" } th class="number" { "failed" }
                        th class="number" { "not run" } th { "in all" } th { "how far" }
                    } }
                    tbody {
                        @for group in &groups {
                            tr {
                                th scope="row" { (group.layer) }
                                td class="wrap" { (group.kind) }
                                td class="mono" { (subjects(group)) }
                                (count("passed", group.tally.passed))
                                (count("failed", group.tally.failed))
                                (count("not_run", group.tally.not_run))
                                td class="nowrap" { (tried(group)) }
                                td class="extent" { (how_far(group)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What each of these rows says of itself.
fn told(report: &Report) -> Markup {
    let rows = report.told();
    html! {
        @if !rows.is_empty() {
            h2 { "What was found" }
            div class="scroll" {
                table {
                    thead { tr {
                        th { "layer" } th { "subject" } th { "check" } th { "tried" } th { "found" }
                    } }
                    tbody {
                        @for row in rows {
                            tr {
                                th scope="row" { (row.layer) }
                                td class="mono" { (row.subject) }
                                td class="wrap" { (row.check) }
                                td class="nowrap" { (amount(row).unwrap_or_default()) }
                                td class="wrap" { (row.reason.as_deref().unwrap_or_default()) }
                            }
                        }
                    }
                }
            }
        }
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

/// A number, coloured where it is not zero.
fn count(class: &str, number: usize) -> Markup {
    html! {
        td class="number" {
            @if number == 0 { span class="soft" { "0" } } @else { span class=(class) { (number) } }
        }
    }
}

fn sites(report: &Report) -> Markup {
    html! {
        @if !report.sites.is_empty() {
            h2 { "Sites" }
            div class="scroll" {
                table {
                    thead { tr {
                        th { "site" } th { "kind" } th { "ordering" } th { "partner" } th { "why" }
                    } }
                    tbody {
                        @for site in &report.sites {
                            tr id={ "site-" (site.name) } {
                                th scope="row" { (site.name) }
                                td class="nowrap" { (site.kind) }
                                td class="nowrap" { (site.ordering) }
                                td { (site.partner) }
                                td class="wrap" { (site.why) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn results(report: &Report) -> Markup {
    let sites: BTreeSet<&str> = report.sites.iter().map(|site| site.name.as_str()).collect();
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
                    div class="scroll" { (result_table(&rows, &sites)) }
                }
            }
        }
    }
}

fn result_table(rows: &[&Record], sites: &BTreeSet<&str>) -> Markup {
    let mut anchored = BTreeSet::new();
    // The first row of each site is where its cell in the matrix leads.
    let ids: Vec<Option<String>> = rows
        .iter()
        .map(|row| {
            let first = sites.contains(row.subject.as_str()) && anchored.insert(&row.subject);
            first.then(|| anchor(&row.layer, &row.subject))
        })
        .collect();
    html! {
        table {
            thead { tr {
                th { "subject" } th { "check" } th { "verdict" } th class="number" { "tried" }
                th { "reason, and the command that repeats it" }
            } }
            tbody {
                @for (row, id) in rows.iter().zip(ids) {
                    tr id=[id] {
                        th scope="row" { (row.subject) }
                        td class="nowrap" { (row.check) }
                        td class="nowrap" { (verdict(row.verdict)) }
                        td class="number" { (amount(row).unwrap_or_default()) }
                        td class="reason" {
                            @if let Some(why) = &row.reason { (reason(why)) }
                            @if let Some(command) = &row.repeat { code class="soft" { (command) } }
                        }
                    }
                    @if let Some(trace) = &row.trace {
                        tr { td class="trace" colspan="5" {
                            details { summary { "the execution" } pre { (trace) } }
                        } }
                    }
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

fn verdict(verdict: Verdict) -> Markup {
    html! { span class=(class_of_row(verdict)) { (word(verdict)) } }
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

/// The name of the place where the results of one site begin in one layer.
fn anchor(layer: &str, site: &str) -> String {
    format!("result-{layer}-{site}")
}
