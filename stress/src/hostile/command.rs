//! The program `ringproof` looks at the same segments, for somebody at a terminal.

use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use ringproof::layout::Kind;

use super::description::{Image, each_text, limit_memory, printable};
use super::text::of_many;
use crate::cli::{CommandLine, NO_PROGRAM};
use crate::desk::{Setting, same};
use crate::fault::Fault;
use crate::shm::Name;

/// The exit code of a panic.
const PANICKED: i32 = 101;

/// `inspect --peek`, for people and as JSON.
pub(crate) fn inspected(setting: &Setting<'_>, cli: &CommandLine) -> Result<()> {
    let Some(program) = cli.program()? else {
        setting.skip("the program `ringproof`", NO_PROGRAM);
        return Ok(());
    };
    limit_memory()?;
    let look = |kind, image: &Image, named: &Name| {
        for json in [false, true] {
            let mut command = Command::new(&program);
            command.args(["inspect", "--peek", "5", named]);
            command.args(json.then_some("--json"));
            let mut output = command.output().context("cannot run `ringproof`")?;
            if let (true, Some(parsed)) = (setting.has(Fault::RawText), image.parsed())
                && !output.status.success()
            {
                output.stderr.extend_from_slice(parsed.text);
            }
            judge(kind, image, &output, json)?;
        }
        Ok(())
    };
    // A process for each is too much for all of them: some, and more of what a terminal would
    // react to.
    let mut number = 0;
    let many = of_many(1 << 20);
    let some = |text: &[u8]| {
        number += 1;
        let odd = printable(text, b"\n").is_err();
        number % if odd { 5 } else { 40 } == 0 || text == many
    };
    each_text(setting, some, &look)
}

/// What is said, is said in words, and the exit code is the right one.
fn judge(kind: Kind, image: &Image, output: &Output, json: bool) -> Result<()> {
    let verdict = image.verdict(kind);
    let errors = String::from_utf8_lossy(&output.stderr);
    let code = output.status.code().filter(|code| *code != PANICKED);
    let code = code.with_context(|| format!("{verdict:?}: {}: {errors}", output.status))?;
    printable(&output.stderr, b"\n")?;
    // A line of text shows the first values alone, and then a sign that there are more.
    printable(&output.stdout, "\n\u{2026}".as_bytes())?;
    ensure!(
        (code == 0) == output.stderr.is_empty() && (code == 0) != output.stdout.is_empty(),
        "{verdict:?}, code {code}: {errors}"
    );
    // What is right may still be too large to be shown.
    ensure!(
        code != 0 || verdict.is_seen(),
        "{verdict:?}, and it is shown"
    );
    ensure!(
        code == 0 || !verdict.is_seen() || errors.contains("ask for fewer"),
        "{verdict:?}, and it is not shown: {errors}"
    );
    if code == 0 && json {
        let report: serde_json::Value =
            serde_json::from_slice(&output.stdout).context("no JSON")?;
        let fields = report["fields"].as_array().map(Vec::len);
        let parsed = image.parsed().context("no header")?;
        let lines = parsed.text.iter().filter(|byte| **byte == b'\n').count();
        same("fields", fields, Some(lines - 1))?;
    }
    Ok(())
}
