//! Programs that a test writes and then runs.
//!
//! A file that anybody has open for writing cannot be run: `execve(2)` ends with `ETXTBSY`. A test
//! that writes one closes it before, but a child that another thread forks meanwhile has it open
//! until it becomes its own program. So it is another process that writes here.

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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    /// What is written can be run at once, whoever forks meanwhile.
    #[test]
    fn what_is_written_can_be_run() {
        let folder = tempfile::tempdir().unwrap();
        // The kernel copies what a program is started with before it closes descriptors.
        let much = vec!["x".repeat(100_000); 8];
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !ended.load(Ordering::Relaxed) {
                        let _ = Command::new("true").args(&much).status();
                    }
                });
            }
            let tried = (0..50).try_for_each(|turn| {
                let written = folder.path().join(format!("written-{turn}"));
                let copied = folder.path().join(format!("copied-{turn}"));
                write(&written, "#!/bin/sh\nexit 0\n")?;
                copy(&written, &copied)?;
                for program in [&written, &copied] {
                    assert!(Command::new(program).status()?.success());
                }
                Ok::<_, Error>(())
            });
            ended.store(true, Ordering::Relaxed);
            tried.unwrap();
        });
    }

    #[test]
    fn what_cannot_be_written_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none/program");
        for failed in [write(&path, "#!/bin/sh\n"), copy(folder.path(), &path)] {
            let error = failed.unwrap_err().to_string();
            assert!(error.contains("none/program"), "{error}");
        }
    }
}
