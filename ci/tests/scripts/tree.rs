//! A tree in which one script of ci/ runs with programs that stand in for cargo and its like.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringproof_record::{deadline, program};
use tempfile::TempDir;

pub(crate) struct Tree {
    directory: TempDir,
    script: String,
}

impl Tree {
    /// With a copy of this script.
    pub(crate) fn new(script: &str) -> Tree {
        let tree = Tree {
            directory: tempfile::tempdir().unwrap(),
            script: script.to_owned(),
        };
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
        tree.write(&format!("ci/{script}"), &fs::read_to_string(ours).unwrap());
        tree
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    fn place(&self, file: &str) -> PathBuf {
        let file = self.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        file
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.place(file), text).unwrap();
    }

    /// A program of these lines of shell.
    pub(crate) fn program(&self, file: &str, lines: &str) {
        program::write(&self.place(file), &format!("#!/bin/sh\n{lines}\n")).unwrap();
    }

    /// Changes the copy of the script.
    pub(crate) fn replace(&self, from: &str, to: &str) {
        let file = self.path().join("ci").join(&self.script);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from} is not in {}", self.script);
        fs::write(file, text.replace(from, to)).unwrap();
    }

    /// The script, with the programs in bin/ before all others, in the locale of which characters are bytes:
    /// what holds there does not depend on the user's.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut bash = Command::new("bash");
        let path = std::env::var("PATH").unwrap();
        bash.arg(self.path().join("ci").join(&self.script))
            .args(args)
            .env("PATH", format!("{}/bin:{path}", self.path().display()))
            .env("LC_ALL", "C")
            .current_dir(self.path());
        bash
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// What the script says, if it ends with this code.
    #[track_caller]
    pub(crate) fn says(&self, args: &[&str], expected: i32) -> String {
        let output = self.run(args);
        let said = text(&output);
        assert_eq!(code(&output), expected, "{args:?}: {said}");
        said
    }

    /// Runs the script until these files, which its programs write, have something in them; then a signal
    /// asks it to end.
    pub(crate) fn interrupted(&self, command: &mut Command, files: &[&str]) -> Output {
        let running = command.stdout(Stdio::piped()).spawn().unwrap();
        let until = Instant::now() + deadline::seconds(60);
        for file in files.iter().map(|file| self.path().join(file)) {
            while fs::read_to_string(&file).unwrap_or_default().is_empty() {
                assert!(Instant::now() < until, "its programs have not begun");
                thread::sleep(Duration::from_millis(10));
            }
        }
        let pid = Pid::from_raw(running.id().try_into().unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        running.wait_with_output().unwrap()
    }

    /// Waits until the process whose number is in this file is gone, or has only to be reaped.
    #[track_caller]
    pub(crate) fn assert_dead(&self, file: &str) {
        let pid = fs::read_to_string(self.path().join(file)).unwrap();
        let stat = format!("/proc/{}/stat", pid.trim());
        let gone = || {
            let text = fs::read_to_string(&stat).unwrap_or_default();
            text.is_empty() || text.contains(") Z ")
        };
        let until = Instant::now() + deadline::seconds(60);
        while !gone() {
            assert!(Instant::now() < until, "process {pid} is still there");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().expect("it was not killed")
}

#[track_caller]
pub(crate) fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

/// All that it said.
pub(crate) fn text(output: &Output) -> String {
    let parts = [&output.stdout, &output.stderr];
    parts.map(|part| String::from_utf8_lossy(part)).concat()
}
