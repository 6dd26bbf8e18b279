//! A program that this one starts: it dies with its parent, and is killed and reaped when it is dropped.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::process::patience;

pub(crate) struct Program {
    /// Which, for messages.
    pub(crate) what: String,
    child: Child,
    ended: Option<ExitStatus>,
}

impl Program {
    pub(crate) fn start(mut command: Command, what: String) -> Result<Program> {
        // SAFETY: between fork and exec only async-signal-safe calls are allowed; this is one
        // system call.
        unsafe { command.pre_exec(|| set_pdeathsig(Signal::SIGKILL).map_err(Into::into)) };
        let child = command.spawn();
        Ok(Program {
            child: child.with_context(|| format!("cannot start {what}"))?,
            what,
            ended: None,
        })
    }

    /// How it ended, if it has.
    pub(crate) fn look(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            let look = self.child.try_wait();
            self.ended = look.with_context(|| format!("cannot wait for {}", self.what))?;
        }
        Ok(self.ended)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Stops it; false if it ended first.
    pub(crate) fn stop(&mut self) -> Result<bool> {
        if self.look()?.is_some() {
            return Ok(false);
        }
        self.signal(Signal::SIGSTOP)?;
        let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WEXITED;
        // Whoever looks afterwards finds how it ended.
        let flags = flags | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let deadline = Instant::now() + patience();
        loop {
            match waitid(Id::Pid(self.pid()), flags)
                .with_context(|| format!("cannot wait for {}", self.what))?
            {
                WaitStatus::Stopped(..) => return Ok(true),
                WaitStatus::StillAlive if Instant::now() < deadline => std::thread::yield_now(),
                WaitStatus::StillAlive => bail!("waited for {} to stop", self.what),
                _ => return Ok(false),
            }
        }
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        // It was not reaped, so the pid is still its own, also if it has ended.
        kill(self.pid(), signal).with_context(|| format!("cannot signal {}", self.what))
    }

    /// Where orders for it go to, and what it answers.
    pub(crate) fn pipes(&mut self) -> Result<(ChildStdin, ChildStdout)> {
        let input = self.child.stdin.take().context("no standard input")?;
        Ok((
            input,
            self.child.stdout.take().context("no standard output")?,
        ))
    }

    /// What it printed, once it has ended.
    pub(crate) fn said(&mut self) -> String {
        read_all(self.child.stdout.take())
    }

    /// What it complained of, once it has ended or is killed.
    pub(crate) fn complaint(&mut self) -> String {
        read_all(self.child.stderr.take())
    }

    /// Kills it, and waits until it is dead.
    pub(crate) fn kill(&mut self) {
        // Both fail only where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

fn read_all(pipe: Option<impl Read>) -> String {
    let mut text = String::new();
    if let Some(mut pipe) = pipe
        && let Err(error) = pipe.read_to_string(&mut text)
    {
        text = format!("(cannot be read: {error})");
    }
    text.trim_end().to_owned()
}
