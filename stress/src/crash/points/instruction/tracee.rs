//! A forked process that is stepped through one function, instruction by instruction.

use std::ptr;

use anyhow::{Context, Result, bail, ensure};
use nix::sched::sched_getcpu;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringproof_record::affinity::{self, Cpus};

use crate::process::{Child, Ledger, Note, SingleThreaded, set_alarm, traced_patience};

/// How many steps a function may take, and how many there may be on the way to it.
const STEPS: u64 = 1_000_000;
const APPROACH: u64 = 10_000;

/// What a tracee does on its side.
pub(super) struct Stage<'a> {
    pub(super) ledger: &'a Ledger,
}

impl Stage<'_> {
    /// Says that next it calls what begins at `entry`, to be stepped.
    pub(super) fn announce(&self, entry: *const ()) {
        self.ledger.note(&Note::Entry(entry.addr() as u64));
        // It is delivered before the call returns: one thread, and the signal is not blocked.
        let _ = kill(Pid::this(), Signal::SIGSTOP);
    }
}

/// Where a process stands.
struct Registers {
    instruction: u64,
    stack: u64,
    /// What a function that has returned answered.
    answer: u64,
}

#[cfg(target_arch = "x86_64")]
fn registers(pid: Pid) -> Result<Registers> {
    let found = ptrace::getregs(pid).context("cannot read a tracee's registers")?;
    Ok(Registers {
        instruction: found.rip,
        stack: found.rsp,
        answer: found.rax,
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn registers(_: Pid) -> Result<Registers> {
    bail!("the registers of this processor are not known here, only those of x86-64")
}

/// A process that stands between two instructions of a function, or has returned from it.
/// Dropping it kills it.
pub(super) struct Tracee {
    child: Child,
    /// The instruction after the call, and the stack pointer there.
    home: (u64, u64),
    next: u64,
    steps: u64,
    instructions: u64,
    answer: Option<u64>,
}

impl Tracee {
    /// Forks a process that runs `body`, and stops it before the first instruction of what
    /// that enters.
    pub(super) fn start(
        alone: SingleThreaded,
        body: impl FnOnce(&Stage<'_>) -> Result<()>,
    ) -> Result<Tracee> {
        let mut child = Child::fork("a tracee", alone, |ledger| {
            set_alarm();
            ptrace::traceme().context("a process may not be traced here")?;
            body(&Stage { ledger })
        })?;
        let stop = child.await_stop()?;
        let notes = child.hear()?.unwrap_or_default();
        let entry = match (stop, notes.last()) {
            (Some(Signal::SIGSTOP), Some(Note::Entry(entry))) => *entry,
            (None, Some(Note::Failed(error))) => bail!("a tracee failed: {error}"),
            (stop, note) => bail!("a tracee did not get to its entry: {stop:?}, {note:?}"),
        };
        let pid = child.pid();
        ptrace::setoptions(pid, ptrace::Options::PTRACE_O_EXITKILL)
            .context("cannot tie a tracee's life to ours")?;
        let mut tracee = Tracee {
            child,
            home: (0, 0),
            next: 0,
            steps: 0,
            instructions: 0,
            answer: None,
        };
        for _ in 0..APPROACH {
            let now = tracee.single_step()?;
            if now.instruction == entry {
                // The call has pushed it.
                let home = ptrace::read(pid, ptr::without_provenance_mut(now.stack as usize))
                    .context("cannot read a tracee's stack")?;
                tracee.home = (home as u64, now.stack + 8);
                tracee.next = entry;
                return Ok(tracee);
            }
        }
        bail!("a tracee did not call its entry within {APPROACH} steps")
    }

    fn single_step(&mut self) -> Result<Registers> {
        let pid = self.child.pid();
        ptrace::step(pid, None).context("cannot step a tracee")?;
        match self.child.await_stop()? {
            Some(Signal::SIGTRAP) => registers(pid),
            Some(Signal::SIGALRM) => {
                let seconds = traced_patience().as_secs();
                bail!("it is not through after {seconds} s: it hangs")
            }
            Some(other) => bail!("it was stopped by {other}"),
            None => bail!("it has died"),
        }
    }

    /// Takes one step; the address of what was executed, `None` if it had returned already.
    pub(super) fn step(&mut self) -> Result<Option<u64>> {
        if self.answer.is_some() {
            return Ok(None);
        }
        ensure!(self.steps < STEPS, "{STEPS} steps and no end: it hangs");
        let executed = self.next;
        let now = self.single_step()?;
        self.steps += 1;
        self.next = now.instruction;
        // A repeated instruction stops after each repetition, with itself as the next one.
        if now.instruction != executed {
            self.instructions += 1;
        }
        if (now.instruction, now.stack) == self.home {
            self.answer = Some(now.answer);
        }
        Ok(Some(executed))
    }

    /// Instructions executed; a repeated one counts once.
    pub(super) fn instructions(&self) -> u64 {
        self.instructions
    }

    /// What the function answered, once it has returned.
    pub(super) fn answer(&self) -> Option<u64> {
        self.answer
    }

    /// Kills it where it stands, by SIGKILL, and waits until the kernel has torn it down.
    pub(super) fn kill(self) {
        drop(self.child);
    }

    /// Lets it run to its end, and says what it reported.
    pub(super) fn finish(self) -> Result<Vec<Note>> {
        ptrace::detach(self.child.pid(), None).context("cannot let a tracee go")?;
        let mut notes = self.child.wait()?;
        match notes.pop() {
            Some(Note::Done) => Ok(notes),
            Some(Note::Failed(error)) => bail!("it failed: {error}"),
            _ => bail!("it died on its way to the end"),
        }
    }
}

/// This process and its children on one CPU, until this is dropped: a step is a switch between
/// two processes, and between two CPUs that takes four to five times as long.
pub(super) struct Pinned {
    before: Cpus,
}

impl Pinned {
    pub(super) fn here() -> Result<Pinned> {
        let before = affinity::allowed(0).context("cannot ask for the CPUs")?;
        let here = sched_getcpu().context("cannot ask for the CPU")?;
        affinity::restrict(0, &Cpus::one(here)).context("cannot stay on one CPU")?;
        Ok(Pinned { before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // These were allowed before.
        let _ = affinity::restrict(0, &self.before);
    }
}
