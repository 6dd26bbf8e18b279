//! Real processes, names that are cleaned up, and waits that end.
#![allow(dead_code, reason = "each test binary uses its part")]

#[allow(unreachable_pub, reason = "its file is the harness's")]
mod deadline;
pub(crate) mod faults;
pub(crate) mod fuse;
#[allow(unreachable_pub, reason = "its file is the harness's")]
pub(crate) mod programs;

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use ringproof::Inspection;
use tempfile::TempDir;

/// What takes longer than this hangs.
fn patience() -> Duration {
    deadline::seconds(300)
}

/// The name of a segment, removed with this value.
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn new(test: &str) -> Name {
        let name = Name(format!("ringproof-cli-{test}-{}", std::process::id()));
        let _ = std::fs::remove_file(name.path());
        name
    }

    pub(crate) fn path(&self) -> PathBuf {
        Path::new("/dev/shm").join(&self.0)
    }

    pub(crate) fn exists(&self) -> bool {
        self.path().exists()
    }

    pub(crate) fn inspect(&self) -> Option<Inspection> {
        Inspection::of(&self.0).ok()
    }
}

impl std::ops::Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<OsStr> for Name {
    fn as_ref(&self) -> &OsStr {
        self.0.as_ref()
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.path());
    }
}

/// A running `ringproof`, killed with this value, and with the thread that started it.
pub(crate) struct Process {
    child: Child,
    what: String,
}

/// What a process left.
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Outcome {
    /// The exit code, or `None` after a signal.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    #[track_caller]
    pub(crate) fn expect(&self, code: i32, said: &str) {
        assert_eq!(
            self.code(),
            Some(code),
            "{:?}, stderr: {}",
            self.status,
            self.stderr
        );
        assert!(
            self.stderr.contains(said),
            "expected {said:?} in: {}",
            self.stderr
        );
    }

    /// What it printed.
    pub(crate) fn said(&self) -> &str {
        str::from_utf8(&self.stdout).expect("a text")
    }

    /// Checks that it printed this.
    #[track_caller]
    pub(crate) fn prints(&self, text: &str) {
        assert!(self.said().contains(text), "no {text:?} in {}", self.said());
    }

    /// Exit code 0 and not a word.
    #[track_caller]
    pub(crate) fn expect_silence(&self) {
        self.expect(0, "");
        assert_eq!(self.stderr, "");
    }
}

/// `ringproof` with these arguments, its standard streams on nothing, its errors captured.
pub(crate) fn ringproof<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    program(Path::new(env!("CARGO_BIN_EXE_ringproof")), args)
}

/// `ringproof` with a subcommand, a name and options.
pub(crate) fn on(subcommand: &str, name: &Name, options: &[&str]) -> Command {
    ringproof([&[subcommand, name], options].concat())
}

/// The program at `path` with these arguments.
pub(crate) fn program<A: AsRef<OsStr>>(path: &Path, args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(path);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    // SAFETY: the closure makes one system call, prctl, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| set_pdeathsig(Signal::SIGKILL).map_err(io::Error::from));
    }
    command
}

pub(crate) fn start(command: &mut Command) -> Process {
    let what = format!("{:?}", command.get_args().collect::<Vec<_>>());
    let child = command.spawn().expect("cannot start ringproof");
    Process { child, what }
}

pub(crate) fn run(command: &mut Command) -> Outcome {
    start(command).finish()
}

/// What `inspect` prints with these options.
#[track_caller]
pub(crate) fn inspected(name: &Name, options: &[&str]) -> String {
    let outcome = run(on("inspect", name, options).stdout(Stdio::piped()));
    outcome.expect_silence();
    String::from_utf8(outcome.stdout).unwrap()
}

impl Process {
    pub(crate) fn stdin(&mut self) -> std::process::ChildStdin {
        self.child.stdin.take().expect("no pipe to it")
    }

    pub(crate) fn stdout(&mut self) -> std::process::ChildStdout {
        self.child.stdout.take().expect("no pipe from it")
    }

    /// Waits until it says this on standard error, which is not captured any further.
    #[track_caller]
    pub(crate) fn says(&mut self, expected: &'static str) {
        let pipe = self.child.stderr.take().expect("no errors from it");
        within(&format!("{} to say {expected:?}", self.what), move || {
            let mut lines = io::BufReader::new(pipe).lines();
            let said = lines.any(|line| line.is_ok_and(|line| line.contains(expected)));
            assert!(said, "it never said {expected:?}");
        });
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("cannot wait").is_some()
    }

    /// Waits for its end. What it says must fit into a pipe.
    pub(crate) fn finish(mut self) -> Outcome {
        let what = std::mem::take(&mut self.what);
        until(&format!("the end of {what}"), || self.has_ended());
        self.outcome()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Stops it, until it is made to [go on](Self::go_on).
    #[track_caller]
    pub(crate) fn stop(&self) {
        nix::sys::signal::kill(self.pid(), Signal::SIGSTOP).expect("it is there");
        let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        until("a process to be stopped", || {
            waitid(Id::Pid(self.pid()), flags).expect("it is a child") != WaitStatus::StillAlive
        });
    }

    pub(crate) fn go_on(&self) {
        nix::sys::signal::kill(self.pid(), Signal::SIGCONT).expect("it is there");
    }

    /// Waits until it waits for something, or has ended: it goes to sleep again and again.
    #[track_caller]
    pub(crate) fn until_waiting(&mut self) {
        self.until_asleep(8);
    }

    /// The same of a wait for input, from which it wakes up only a few times a second.
    #[track_caller]
    pub(crate) fn until_waiting_long(&mut self) {
        self.until_asleep(2);
    }

    #[track_caller]
    fn until_asleep(&mut self, times: u64) {
        let status = format!("/proc/{}/status", self.child.id());
        let sleeps = || {
            let status = std::fs::read_to_string(&status).unwrap_or_default();
            let mut lines = status.lines();
            let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            count.map_or(0, |count| count.trim().parse::<u64>().expect("a number"))
        };
        let enough = sleeps() + times;
        until("a process to wait", || {
            sleeps() > enough || self.has_ended()
        });
    }

    /// Kills it, unless it has ended, and says whether it was in time.
    pub(crate) fn kill(mut self) -> (bool, Outcome) {
        let _ = self.child.kill();
        let outcome = self.outcome();
        (outcome.status.signal() == Some(9), outcome)
    }

    fn outcome(&mut self) -> Outcome {
        let mut stdout = Vec::new();
        let mut stderr = Vec::new();
        let status = self.child.wait().expect("cannot wait");
        if let Some(pipe) = &mut self.child.stdout {
            pipe.read_to_end(&mut stdout).expect("cannot read stdout");
        }
        if let Some(pipe) = &mut self.child.stderr {
            pipe.read_to_end(&mut stderr).expect("cannot read stderr");
        }
        Outcome {
            status,
            stdout,
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < patience(),
            "waited {:?} in vain for {what}",
            patience()
        );
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Waits until `recv` has the consumer's role of the segment, and has found that the segment has its
/// name: what is done to the name later meets one that uses it.
#[track_caller]
pub(crate) fn until_received(name: &Name) {
    // It has counted itself, which is the last step.
    until_seen(name, "recv to take its role", |seen| {
        seen.roles[1].held && seen.roles[1].epoch > 0
    });
}

/// Waits until what is seen of the segment is as wanted.
#[track_caller]
pub(crate) fn until_seen(name: &Name, what: &str, mut wanted: impl FnMut(&Inspection) -> bool) {
    until(what, || name.inspect().is_some_and(|seen| wanted(&seen)));
}

/// Waits until the ring is full.
#[track_caller]
pub(crate) fn until_full(name: &Name) {
    until_seen(name, "a full ring", |seen| {
        seen.occupancy() == seen.fixed.capacity
    });
}

/// What `work` returns, if it does in time. Its thread stays where it is otherwise, until the
/// process that it talks to is killed by the panic here.
#[track_caller]
pub(crate) fn within<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = done.send(work());
    });
    let result = wait.recv_timeout(patience());
    result.unwrap_or_else(|error| panic!("waited {:?} for {what}: {error}", patience()))
}

/// All that comes out of `pipe`.
#[track_caller]
pub(crate) fn read_all(mut pipe: impl Read + Send + 'static) -> Vec<u8> {
    within("the end of a pipe", move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("cannot read a pipe");
        bytes
    })
}

/// The next `count` bytes that come out of `pipe`, and the pipe.
#[track_caller]
pub(crate) fn read_some<R: Read + Send + 'static>(mut pipe: R, count: usize) -> (Vec<u8>, R) {
    within(&format!("{count} bytes from a pipe"), move || {
        let mut bytes = vec![0; count];
        pipe.read_exact(&mut bytes).expect("cannot read a pipe");
        (bytes, pipe)
    })
}

/// Whether two files are the same, byte by byte.
#[track_caller]
pub(crate) fn assert_same(one: &Path, other: &Path) {
    let [one, other] = [one, other].map(|path| std::fs::read(path).expect("cannot read a file"));
    assert!(one == other, "{} bytes and {}", one.len(), other.len());
}

/// So many bytes, no two stretches of which are alike.
pub(crate) fn content_of(len: u32) -> Vec<u8> {
    (0..len).map(|byte| (byte * 7 + byte / 251) as u8).collect()
}

/// A directory with an input, and room for an output.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) input: PathBuf,
    pub(crate) output: PathBuf,
}

impl Place {
    pub(crate) fn with(input: &[u8]) -> Place {
        let dir = tempfile::tempdir().expect("a directory");
        let place = Place {
            input: dir.path().join("in"),
            output: dir.path().join("out"),
            dir,
        };
        std::fs::write(&place.input, input).expect("cannot make the input");
        place
    }

    /// Another file, with this in it.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).expect("cannot make a file");
        path
    }

    pub(crate) fn received(&self) -> Vec<u8> {
        std::fs::read(&self.output).expect("cannot read the output")
    }
}

/// A process on a terminal, and what that shows.
pub(crate) struct OnTerminal {
    pub(crate) process: Process,
    hear: std::sync::mpsc::Receiver<Vec<u8>>,
    shown: String,
}

impl OnTerminal {
    /// Its standard error is the terminal.
    pub(crate) fn start(command: &mut Command) -> OnTerminal {
        let pty = nix::pty::openpty(None, None).expect("a terminal");
        let mut screen = File::from(pty.master);
        // A real one, whatever runs the tests.
        command.env("TERM", "xterm").env_remove("NO_COLOR");
        let process = start(command.stderr(pty.slave));
        // Whatever comes is read in a thread, so that the waits below have an end. It ends with the last
        // descriptor of the terminal.
        let (said, hear) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut block = [0; 1024];
            while let Ok(count @ 1..) = screen.read(&mut block) {
                if said.send(block[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        OnTerminal {
            process,
            hear,
            shown: String::new(),
        }
    }

    /// Waits until the terminal has shown this. All that it has shown.
    #[track_caller]
    pub(crate) fn until_shown(&mut self, what: &str) -> &str {
        until(&format!("{what:?} on the terminal"), || {
            while let Ok(more) = self.hear.try_recv() {
                self.shown.push_str(&String::from_utf8_lossy(&more));
            }
            self.shown.contains(what)
        });
        &self.shown
    }
}

/// As the shell opens it for `<`.
pub(crate) fn reading(path: &Path) -> File {
    File::open(path).expect("cannot open for reading")
}

/// To be changed where it is.
pub(crate) fn writing(path: &Path) -> File {
    let opened = OpenOptions::new().write(true).open(path);
    opened.expect("cannot open for writing")
}

/// As the shell opens it for `>`.
pub(crate) fn truncating(path: &Path) -> File {
    File::create(path).expect("cannot open for writing")
}

/// As the shell opens it for `>>`.
pub(crate) fn appending(path: &Path) -> File {
    let mut options = OpenOptions::new();
    let opened = options.append(true).create(true).open(path);
    opened.expect("cannot open for appending")
}
