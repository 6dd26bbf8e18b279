//! Where a run's reports go: the terminal, and two files for whoever was not there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ringproof_perf::page::{self, About};
use ringproof_perf::report::Report;
use ringproof_record::print::text;

/// Writes the page and the rows of the run called `name` to `folder`; gives their paths.
pub(crate) fn save(
    folder: &Path,
    name: &str,
    about: &About,
    reports: &[Report],
) -> Result<[PathBuf; 2]> {
    let shown = folder.display();
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder `{shown}`; give another with --out"))?;
    let files = [
        (format!("{name}.html"), page::render(about, reports)),
        (format!("{name}.json"), rows(reports)),
    ];
    let mut paths = [PathBuf::new(), PathBuf::new()];
    for (path, (file, text)) in paths.iter_mut().zip(files) {
        *path = folder.join(file);
        fs::write(&*path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(paths)
}

/// Prints tables for people, or rows for programs.
pub(crate) fn print(reports: &[Report], json: bool) -> Result<()> {
    let shown = match json {
        true => rows(reports),
        false => reports
            .iter()
            .map(|report| report.render() + "\n")
            .collect(),
    };
    text(&shown).context("cannot write the report to standard output")
}

/// The rows of all reports; the first of each carries its tables.
fn rows(reports: &[Report]) -> String {
    let mut text = String::new();
    for report in reports {
        let mut table = Some(report.render());
        for row in &report.rows {
            let row = match table.take() {
                Some(table) => row.clone().table(table),
                None => row.clone(),
            };
            text += &(row.to_line() + "\n");
        }
    }
    text
}
