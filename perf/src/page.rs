//! The reports of a run as one document that needs nothing beside it: no script, no font, no picture.
//!
//! maud escapes every text; the pictures are drawn by plotters, which escapes theirs.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::environment::Environment;
use crate::plot::Plot;
use crate::report::Report;
use crate::table::{Cell, Table};

/// What the page says of the run beside the reports.
#[derive(Clone, Debug)]
pub struct About {
    /// The machine.
    pub environment: Environment,
    /// What its host took meanwhile.
    pub steal: String,
    /// The command that repeats the run.
    pub command: String,
    /// When it was, as people write it.
    pub date: String,
}

/// The whole page.
pub fn render(about: &About, reports: &[Report]) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "ringproof: measured on this machine" }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                h1 { "ringproof, measured" }
                p class="soft" { (about.date) ", " code { (about.command) } }
                (environment(about))
                (contents(reports))
                @for (number, report) in reports.iter().enumerate() {
                    (section(number, report))
                }
            }
        }
    };
    page.into_string()
}

fn environment(about: &About) -> Markup {
    html! {
        @for warning in &about.environment.warnings {
            p class="warning" { (warning) }
        }
        dl {
            @for (name, fact) in &about.environment.facts {
                dt { (name) }
                dd { (fact) }
            }
            dt { "stolen by the host meanwhile" }
            dd { (about.steal) }
        }
    }
}

/// Each experiment with what follows from it: who reads no further knows the results.
fn contents(reports: &[Report]) -> Markup {
    html! {
        section {
            h2 { "What follows" }
            @for (number, report) in reports.iter().enumerate() {
                h3 { a href={ "#report-" (number) } { (report.title) } }
                ul {
                    @for conclusion in report.conclusions.iter().take(FIRST) { li { (conclusion) } }
                }
            }
        }
    }
}

/// As many of an experiment's conclusions stand at the top of the page, the others with its tables.
const FIRST: usize = 2;

fn section(number: usize, report: &Report) -> Markup {
    html! {
        section id={ "report-" (number) } {
            h2 { (report.title) }
            @for note in &report.notes {
                p class="soft" { (note) }
            }
            @if report.conclusions.len() > FIRST {
                ul { @for conclusion in &report.conclusions[FIRST..] { li { (conclusion) } } }
            }
            @for plot in &report.plots { (picture(plot)) }
            @for table in &report.tables { (figures(table)) }
        }
    }
}

fn picture(plot: &Plot) -> Markup {
    html! {
        figure {
            figcaption { (plot.title()) }
            @match plot.draw() {
                Ok(Some(svg)) => (PreEscaped(svg)),
                Ok(None) => p class="soft" { "Nothing was measured that could be drawn." },
                Err(error) => p class="warning" { "This picture could not be drawn: " (error) },
            }
        }
    }
}

fn figures(table: &Table) -> Markup {
    html! {
        @if !table.heading.is_empty() { h3 { (table.heading) } }
        div class="wide" {
            table {
                thead {
                    tr { @for name in table.columns() { th { (name) } } }
                }
                tbody {
                    @for row in table.rows() {
                        tr {
                            @for cell in row {
                                @let shown = table.shown(cell);
                                @match cell {
                                    Cell::Words(_) => td { (shown) },
                                    Cell::Figure(_) => td class="figure" { (shown) },
                                    Cell::Missing(why) => td class="figure soft" title=(why) {
                                        (shown)
                                    },
                                }
                            }
                        }
                    }
                }
            }
        }
        @for line in table.below() { p class="soft" { (line) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{omits, says};
    use crate::stats::Summary;

    fn about() -> About {
        About {
            environment: Environment {
                facts: vec![("processor", "a <b> & c".to_owned())],
                warnings: vec!["beware".to_owned()],
            },
            steal: "1.0 %".to_owned(),
            command: "again".to_owned(),
            date: "2026-01-02".to_owned(),
        }
    }

    #[test]
    fn a_page_holds_everything_of_its_reports_and_escapes_it() {
        let mut table = Table::new("costs", ["what", "ns"]);
        table.add([Cell::words("<load>"), Cell::figure("0.3")]);
        table.add([Cell::words("miss"), Cell::missing("there is no PMU")]);
        let mut report = Report::new("limits");
        report.note("pinned");
        for conclusion in ["A load costs 0.3 ns.", "So does a store.", "And so on."] {
            report.conclusions.push(conclusion.to_owned());
        }
        report.tables.push(table);
        let bar = Summary {
            median: 0.3,
            min: 0.2,
            max: 0.4,
        };
        let bars = [("load".to_owned(), bar)];
        report.plots.push(Plot::bars("costs as bars", "ns", bars));
        let page = render(&about(), &[report]);
        let words = [
            "a &lt;b&gt; &amp; c",
            "beware",
            "1.0 %",
            "A load costs 0.3 ns.",
            "&lt;load&gt;",
            "(1) not measured here, because there is no PMU",
            "pinned",
            "costs as bars",
            "<svg",
        ];
        says(&page, &words);
        // The first ones at the top; each of them once.
        let (top, below) = page.split_once("report-0\"><h2>").expect("two parts");
        assert!(top.contains("So does a store.") && below.contains("And so on."));
        for once in ["A load costs", "And so on"] {
            assert_eq!(page.matches(once).count(), 1, "{once}");
        }
        omits(&page, &["<script", "http-equiv", "src=", "<link"]);
    }
}
