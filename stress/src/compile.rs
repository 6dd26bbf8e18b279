//! Compilers, and what they say.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::Result;

use crate::process::NotHere;

/// A program that asks nothing of a header: where this does not compile or run, there is no such compiler.
const TRIVIAL: &str = "#include <stdint.h>\nint main(void) { return 0; }\n";

/// Runs a compiler on a text.
///
/// # Errors
/// [`NotHere`] if there is no such program; another one if it could not be run.
pub(crate) fn run(command: &mut Command, text: &str) -> Result<Output> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => NotHere(format!("there is no {program} here")).into(),
        _ => anyhow::Error::from(error).context(format!("cannot run {program}")),
    };
    let mut child = command
        // So that what is looked for in its complaints is not translated.
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // It may have complained of its arguments and ended; its status says so.
        let _ = stdin.write_all(text.as_bytes());
    }
    child.wait_with_output().map_err(failed)
}

/// Compiles a text to a program, by a command that ends with where that goes: what the compiler complains of.
pub(crate) fn program(mut command: Command, text: &str, to: &Path) -> Result<Result<(), String>> {
    let output = run(command.arg("-o").arg(to).arg("-"), text)?;
    Ok(match output.status.success() {
        true => Ok(()),
        false => Err(complaint(&output)),
    })
}

/// Why such a command makes no program that runs here.
pub(crate) fn why_not(command: Command, to: &Path) -> Result<(), String> {
    program(command, TRIVIAL, to).unwrap_or_else(|error| Err(format!("{error:#}")))?;
    match Command::new(to).output() {
        Err(error) => Err(error.to_string()),
        Ok(output) if !output.status.success() => Err(output.status.to_string()),
        Ok(_) => Ok(()),
    }
}

/// The first line in which a compiler says what is wrong.
pub(crate) fn complaint(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.contains("error"));
    let line = line
        .or_else(|| said.lines().next())
        .unwrap_or("it does not say why");
    // Not where in a file that is gone.
    let what = line.split_once("error: ").map_or(line, |(_, what)| what);
    what.trim().to_owned()
}
