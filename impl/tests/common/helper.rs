//! Another process: this test program once more, running its ignored test `helper` alone.

use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use super::Deadline;
use super::example::Process;

/// What makes the test `helper` one, and says what to do.
const JOB: &str = "RINGPROOF_TEST_HELPER";

/// Begins a line meant for the parent. The test runner prints lines, too.
const MARK: &str = "@@";

/// A helper process.
pub(crate) struct Helper {
    process: Process,
    lines: Receiver<String>,
}

impl Helper {
    /// Starts one that does `job`.
    pub(crate) fn start(job: &str) -> Helper {
        let mut process = Process::start(command(job).stdin(Stdio::null()));
        let output = process.lines();
        let (sender, lines) = channel();
        // A thread of its own, because reading a pipe knows no deadline. It ends with the pipe.
        std::thread::spawn(move || {
            for line in output {
                // The runner may have begun the line with the test's name.
                if let Some((_, said)) = line.split_once(MARK) {
                    let _ = sender.send(said.to_owned());
                }
            }
        });
        Helper { process, lines }
    }

    /// The next line that it says.
    pub(crate) fn hear(&self) -> String {
        match self.lines.recv_timeout(Deadline::length()) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("waited for a line of the helper"),
            Err(RecvTimeoutError::Disconnected) => panic!("the helper ended before its line"),
        }
    }

    /// Waits until it has ended by itself.
    pub(crate) fn end(mut self) -> ExitStatus {
        let deadline = Deadline::to("see the helper's end");
        loop {
            match self.process.try_end() {
                Some(status) => return status,
                None => deadline.wait(),
            }
        }
    }
}

/// What starts a helper that does `job`, for who wants no [`Helper`].
pub(crate) fn command(job: &str) -> Command {
    let program = std::env::current_exe().expect("path of the test program");
    let mut command = Command::new(program);
    (command.args(["helper", "--exact", "--ignored", "--nocapture"]))
        .arg("--test-threads=1")
        .env(JOB, job);
    command
}

/// In the helper: what it is to do, `None` if this is no helper.
pub(crate) fn job() -> Option<String> {
    let job = std::env::var(JOB).ok()?;
    // Not even the death of the test program by SIGKILL leaves it behind.
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).expect("set a death signal");
    Some(job)
}

/// In the helper: a line to the parent.
pub(crate) fn say(line: impl std::fmt::Display) {
    println!("{MARK}{line}");
}
