//! An example as a process: this test program once more, with one of its ignored tests alone, which runs the
//! example's `main`. Its own arguments come first: to the test runner they are filters that fit no test.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};

/// The variable that says to a test that it is a process of another one.
pub(crate) const PROCESS: &str = "RINGPROOF_EXAMPLE_PROCESS";

/// A process, killed and collected at the end, also of a test that failed.
pub(crate) struct Process(Child);

impl Process {
    /// Runs the example of that module with these arguments.
    pub(crate) fn example(module: &str, args: &[&str]) -> Process {
        let program = std::env::current_exe().expect("path of the test program");
        let mut command = Command::new(program);
        (command.args(args).arg(format!("run_{module}")))
            .args(["--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(PROCESS, module);
        Process::start(&mut command)
    }

    pub(crate) fn start(command: &mut Command) -> Process {
        Process(command.stdout(Stdio::piped()).spawn().expect("start it"))
    }

    /// The lines that it prints, among the runner's.
    pub(crate) fn lines(&mut self) -> impl Iterator<Item = String> + use<> {
        let output = BufReader::new(self.0.stdout.take().expect("its output"));
        output.lines().map_while(Result::ok)
    }

    /// How it ended, if it has.
    pub(crate) fn try_end(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("wait for it")
    }

    pub(crate) fn kill(mut self) {
        self.0.kill().expect("kill it");
        self.0.wait().expect("collect it");
    }

    pub(crate) fn end(mut self) {
        assert!(self.0.wait().expect("wait for it").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// In the process: runs the example's `main`, and ends with it. In the test program itself: nothing.
pub(crate) fn run(main: impl FnOnce() -> Result<(), Box<dyn std::error::Error>>) {
    if std::env::var_os(PROCESS).is_none() {
        return;
    }
    let end_with = nix::sys::signal::Signal::SIGKILL;
    nix::sys::prctl::set_pdeathsig(end_with).expect("set a death signal");
    // Whoever hangs dies of this, and whoever waits for its lines goes on.
    let hangs = super::deadline::seconds(120).as_secs();
    nix::unistd::alarm::set(u32::try_from(hangs).unwrap_or(u32::MAX));
    if let Err(error) = main() {
        panic!("{error}");
    }
}
