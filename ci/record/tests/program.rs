//! Programs that tests write, and then run.

use std::io::Error;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ringproof_record::program::{copy, write};

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
