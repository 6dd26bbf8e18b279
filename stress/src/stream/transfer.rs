//! One transfer of a file through `ringproof send` and `ringproof recv`, both killed on the way.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::data::{difference, generate};
use crate::process::patience;

/// How long to sleep between two looks at how far the output is.
const PAUSE: Duration = Duration::from_micros(100);

/// A side of the transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Send,
    Recv,
}

impl Side {
    pub(crate) const BOTH: [Side; 2] = [Side::Send, Side::Recv];

    const fn name(self) -> &'static str {
        match self {
            Side::Send => "send",
            Side::Recv => "recv",
        }
    }
}

/// When to kill whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kill {
    pub(crate) side: Side,
    /// Once how many bytes have arrived.
    pub(crate) at: u64,
    /// And how long after that has been seen.
    pub(crate) delay: Duration,
}

/// Bytes that are live at once, at most. (Of a small file a sixteenth.)
const CAPACITY: u64 = 1 << 20;

/// Those of a file of this length: much less than it has, so that `send` cannot be done early.
fn capacity(len: u64) -> u64 {
    (len / 16).clamp(1, CAPACITY)
}

/// Whether a file of this length is more than may be under way at once: else no process is known
/// not to be about to end.
pub(crate) fn can_be_killed(len: u64) -> bool {
    len > capacity(len)
}

/// What to transfer, and how.
pub(crate) struct Transfer<'a> {
    /// The program.
    pub(crate) program: &'a Path,
    /// The ring.
    pub(crate) name: &'a str,
    /// How many bytes.
    pub(crate) len: u64,
    /// What they follow from.
    pub(crate) seed: u64,
    /// In the order in which they are due.
    pub(crate) kills: &'a [Kill],
    /// Inject a fault: change a byte that has arrived, between two processes.
    pub(crate) tamper: bool,
}

/// What came of a transfer.
pub(crate) struct Outcome {
    /// Who was found at work and killed.
    pub(crate) killed: Vec<Side>,
    /// How the output differs from the input, if it does.
    pub(crate) difference: Option<String>,
}

impl Transfer<'_> {
    /// Transfers a new file to a new file, in this directory. An error if a process does not do what it should.
    pub(crate) fn run(&self, directory: &Path) -> Result<Outcome> {
        let directory =
            tempfile::tempdir_in(directory).context("cannot make a temporary directory")?;
        let work = Work {
            transfer: self,
            directory: directory.path(),
            capacity: capacity(self.len),
        };
        generate(&work.input(), self.len, self.seed)?;
        let start = Instant::now();
        let killed = work.run()?;
        eprintln!(
            "stream: {} bytes in {:.2} s, {} kills",
            self.len,
            start.elapsed().as_secs_f64(),
            killed.len()
        );
        let difference = difference(&work.input(), &work.output())?;
        Ok(Outcome { killed, difference })
    }
}

/// A transfer under way.
struct Work<'a> {
    transfer: &'a Transfer<'a>,
    /// Where input, output and messages lie.
    directory: &'a Path,
    capacity: u64,
}

impl Work<'_> {
    fn input(&self) -> PathBuf {
        self.directory.join("input")
    }

    fn output(&self) -> PathBuf {
        self.directory.join("output")
    }

    fn messages(&self, side: Side) -> PathBuf {
        self.directory.join(format!("{}.messages", side.name()))
    }

    /// Says whom it found at work and killed.
    fn run(&self) -> Result<Vec<Side>> {
        File::create(self.output()).context("cannot create the output")?;
        let mut send = Some(self.start(Side::Send)?);
        let mut recv = Some(self.start(Side::Recv)?);
        let mut kills = self.transfer.kills.iter();
        let mut next = kills.next();
        let mut killed = Vec::new();
        let mut last = (0, Instant::now());
        while send.is_some() || recv.is_some() {
            let arrived = self.arrived()?;
            if arrived != last.0 {
                last = (arrived, Instant::now());
            }
            for process in [&mut send, &mut recv] {
                if let Some(running) = process
                    && running.has_ended()?
                {
                    *process = None;
                    last.1 = Instant::now();
                }
            }
            if let Some(Kill { side, at, delay }) = next
                && arrived >= *at
            {
                next = kills.next();
                std::thread::sleep(*delay);
                let process = match side {
                    Side::Send => &mut send,
                    Side::Recv => &mut recv,
                };
                if let Some(running) = process
                    && self.kill(running)?
                {
                    killed.push(*side);
                    if self.transfer.tamper {
                        self.flip_first_byte()?;
                    }
                    *process = Some(self.start(*side)?);
                    last.1 = Instant::now();
                }
                continue;
            }
            if last.1.elapsed() > patience() {
                let states = [&send, &recv].map(|side| match side {
                    Some(_) => "still runs",
                    None => "is done",
                });
                bail!(
                    "waited {} s at byte {arrived} of {}: send {}, recv {}{}",
                    patience().as_secs(),
                    self.transfer.len,
                    states[0],
                    states[1],
                    self.last_words()
                );
            }
            std::thread::sleep(PAUSE);
        }
        Ok(killed)
    }

    /// Starts a side as a shell would: `send < input`, `recv >> output`.
    fn start(&self, side: Side) -> Result<Running> {
        let mut command = Command::new(self.transfer.program);
        command
            .arg(side.name())
            .arg("--capacity")
            .arg(self.capacity.to_string())
            .arg(self.transfer.name);
        let append = |path| OpenOptions::new().append(true).create(true).open(path);
        match side {
            Side::Send => {
                let input = File::open(self.input()).context("cannot open the input")?;
                command.stdin(input).stdout(Stdio::null());
            }
            Side::Recv => {
                let output = append(self.output()).context("cannot open the output")?;
                command.stdin(Stdio::null()).stdout(output);
            }
        }
        let messages = append(self.messages(side)).context("cannot keep messages")?;
        command.stderr(messages);
        // SAFETY: between fork and exec only async-signal-safe calls are allowed; this is one
        // system call.
        unsafe {
            command.pre_exec(|| set_pdeathsig(Signal::SIGKILL).map_err(Into::into));
        }
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", self.transfer.program.display()))?;
        Ok(Running {
            side,
            pid: Pid::from_raw(child.id().cast_signed()),
            reaped: false,
            messages: self.messages(side),
        })
    }

    /// Kills a side, unless it may be about to end by itself: false.
    ///
    /// A `send` that has closed the ring must not be started again once `recv` is done, nor a
    /// `recv` that has removed the ring. Only of one that stands still can be said that it has
    /// not come that far; so it is stopped first, wherever it is.
    fn kill(&self, running: &mut Running) -> Result<bool> {
        running.signal(Signal::SIGSTOP)?;
        if !running.await_stop()? {
            return Ok(false);
        }
        // `send` is at most a ring ahead of what has arrived.
        if self.arrived()? + self.capacity >= self.transfer.len {
            running.signal(Signal::SIGCONT)?;
            return Ok(false);
        }
        running.signal(Signal::SIGKILL)?;
        running.await_death()?;
        Ok(true)
    }

    fn arrived(&self) -> Result<u64> {
        let meta = std::fs::metadata(self.output()).context("cannot look up the output")?;
        Ok(meta.len())
    }

    fn flip_first_byte(&self) -> Result<()> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.output())
            .context("cannot open the output")?;
        let mut byte = [0];
        (file.read_exact_at(&mut byte, 0)).context("cannot read the output")?;
        (file.write_all_at(&[byte[0] ^ 1], 0)).context("cannot write the output")
    }

    /// What both sides said.
    fn last_words(&self) -> String {
        Side::BOTH
            .map(|side| last_words(&self.messages(side)))
            .concat()
    }
}

fn last_words(messages: &Path) -> String {
    let text = std::fs::read_to_string(messages).unwrap_or_default();
    match text.trim() {
        "" => String::new(),
        said => format!("; it said: {}", said.replace('\n', " | ")),
    }
}

/// A process of one side. Dropping it kills and reaps it.
struct Running {
    side: Side,
    pid: Pid,
    reaped: bool,
    messages: PathBuf,
}

impl Running {
    fn signal(&self, signal: Signal) -> Result<()> {
        // It was not reaped, so the pid is still its own, also if it has ended.
        kill(self.pid, signal).with_context(|| format!("cannot signal {}", self.side.name()))
    }

    fn look(&mut self, flags: WaitPidFlag) -> Result<WaitStatus> {
        let status = waitpid(self.pid, Some(flags | WaitPidFlag::WNOHANG))
            .with_context(|| format!("cannot wait for {}", self.side.name()))?;
        if matches!(status, WaitStatus::Exited(..) | WaitStatus::Signaled(..)) {
            self.reaped = true;
        }
        Ok(status)
    }

    /// Whether it has ended, and if so, well.
    fn has_ended(&mut self) -> Result<bool> {
        if self.reaped {
            return Ok(true);
        }
        match self.look(WaitPidFlag::empty())? {
            WaitStatus::StillAlive => Ok(false),
            status => self.ended_well(status).map(|()| true),
        }
    }

    fn ended_well(&self, status: WaitStatus) -> Result<()> {
        ensure!(
            matches!(status, WaitStatus::Exited(_, 0)),
            "{} ended with {status:?} instead of exit code 0{}",
            self.side.name(),
            last_words(&self.messages)
        );
        Ok(())
    }

    /// Waits until it has stopped; false if it ended first, and well.
    fn await_stop(&mut self) -> Result<bool> {
        let deadline = Instant::now() + patience();
        loop {
            match self.look(WaitPidFlag::WUNTRACED)? {
                WaitStatus::Stopped(..) => return Ok(true),
                WaitStatus::StillAlive if Instant::now() < deadline => std::thread::yield_now(),
                WaitStatus::StillAlive => bail!("waited for {} to stop", self.side.name()),
                status => return self.ended_well(status).map(|()| false),
            }
        }
    }

    /// Waits for the end of a process that was killed.
    fn await_death(&mut self) -> Result<()> {
        let deadline = Instant::now() + patience();
        loop {
            match self.look(WaitPidFlag::empty())? {
                WaitStatus::Signaled(_, Signal::SIGKILL, _) => return Ok(()),
                WaitStatus::StillAlive if Instant::now() < deadline => std::thread::yield_now(),
                WaitStatus::StillAlive => bail!("waited for {} to die", self.side.name()),
                status => bail!("{} was killed, but: {status:?}", self.side.name()),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = self.signal(Signal::SIGKILL);
            let _ = waitpid(self.pid, None);
        }
    }
}
