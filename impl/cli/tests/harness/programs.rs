//! Programs that a test writes and then runs.
//!
//! A file that anybody has open for writing cannot be run: `execve(2)` ends with `ETXTBSY`. A test
//! that writes one closes it before, but a child that another thread forks meanwhile has it open
//! until it becomes its own program. So it is another process that writes here.
//!
//! This file is linked into the tests of `ringproof-cli`, so that what is published has it, too: its own
//! tests stand elsewhere.

use std::io::{Error, Result};
use std::path::Path;
use std::process::Command;

/// Copies a program.
///
/// # Errors
///
/// `cp` cannot be started or could not copy it; it has said why on standard error.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    done(Command::new("cp").arg(from).arg(to), to)
}

/// Writes a program that anybody may run: these lines, the first of which names who reads them.
///
/// # Errors
///
/// `sh` cannot be started or could not write it; it has said why on standard error.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        r#"printf %s "$1" > "$2" && chmod 755 "$2""#,
        "sh",
        text,
    ]);
    done(shell.arg(path), path)
}

fn done(command: &mut Command, path: &Path) -> Result<()> {
    let status = command.status()?;
    if status.success() {
        return Ok(());
    }
    Err(Error::other(format!(
        "cannot write `{}`: {status}",
        path.display()
    )))
}
