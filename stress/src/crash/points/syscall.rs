//! Operations that are made of system calls as much as of accesses: a process is killed before
//! and after each call.
//!
//! The victim is traced. It stops where it enters a call and where it leaves it, and the n-th of
//! these stops is its last. What is not tried is a death inside the kernel: a call that SIGKILL
//! interrupts has been made or has not, as far as another process can see.

use std::cell::RefCell;
use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::crash::case::{By, Points};
use crate::crash::operations::{cases_at, subjects_at, with_injected};
use crate::crash::trial::{Body, Death, Kill, Meanwhile, Who, victim_with};
use crate::desk::{Check, Setting};
use crate::dying::Plan;
use crate::process::{Child, NotHere, SingleThreaded, set_alarm};

/// Every operation, killed at each of its system calls.
pub(crate) fn checks() -> Vec<Check> {
    let check = |subject: &'static str| {
        let check = Check::new(subject, "crash at every system call", "kills", kills);
        with_injected(check.with(" --points syscalls"), By::Syscall)
    };
    subjects_at(Points::Syscalls).map(check).collect()
}

/// In each state one run without a death, and one for each stop of the victim: how many were killed.
fn kills(setting: &Setting<'_>) -> Result<u64> {
    ensure_traceable(setting.alone)?;
    let mut kills = 0;
    for case in cases_at(Points::Syscalls).filter(|case| case.subject == setting.subject) {
        let attempt = |address: &str, at: Option<usize>| {
            setting.attempt(address, None, || {
                let kill = AtStop {
                    setting,
                    at,
                    stops: RefCell::default(),
                };
                let outcome = case.run(setting, &kill);
                let stops = kill.stops.into_inner();
                outcome.with_context(|| match at {
                    None => "without a kill".to_owned(),
                    Some(number) => match stops.get(number) {
                        Some(stop) => format!("killed at stop {number} ({stop})"),
                        None => format!("to be killed at stop {number}"),
                    },
                })?;
                Ok(stops.len())
            })
        };
        let address = case.address();
        for number in 0..attempt(&address, None)?.unwrap_or_default() {
            let killed = attempt(&format!("{address}:{number}"), Some(number))?;
            kills += u64::from(killed.is_some());
        }
    }
    Ok(kills)
}

/// Where a traced process stands.
#[derive(Clone, Copy)]
struct Stop {
    entry: bool,
    call: i64,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.entry { "before" } else { "after" };
        match CALLS.iter().find(|(number, _)| *number == self.call) {
            Some((_, name)) => write!(f, "{side} {name}"),
            None => write!(f, "{side} system call {}", self.call),
        }
    }
}

macro_rules! calls {
    ($($name:ident $call:ident),*) => { &[$((libc::$call, stringify!($name))),*] };
}

/// The calls that matter here, by name.
const CALLS: &[(i64, &str)] = calls![
    openat SYS_openat, close SYS_close, mmap SYS_mmap, munmap SYS_munmap, madvise SYS_madvise,
    fallocate SYS_fallocate, fchmod SYS_fchmod, pread SYS_pread64, pwrite SYS_pwrite64,
    fcntl SYS_fcntl, linkat SYS_linkat, unlink SYS_unlink, membarrier SYS_membarrier,
    futex SYS_futex
];

/// A traced victim, which dies at one of its stops, or lives.
struct AtStop<'a> {
    setting: &'a Setting<'a>,
    at: Option<usize>,
    /// Those that it came to.
    stops: RefCell<Vec<Stop>>,
}

impl Kill for AtStop<'_> {
    fn victim(&self, body: &Body<'_>, _: &mut Meanwhile<'_>) -> Result<Death> {
        let setting = self.setting;
        let mut child = Child::fork("the victim", setting.alone, |ledger| {
            let plan = Plan::immortal();
            set_alarm();
            ptrace::traceme().context("cannot be traced")?;
            pause()?;
            let mistake = Who::Victim.mistake(setting);
            body(victim_with(&plan, setting.seed, ledger, mistake))?;
            pause()
        })?;
        let pid = child.pid();
        ensure!(
            child.await_stop()? == Some(Signal::SIGSTOP),
            "the victim does not wait for its tracer"
        );
        let options = ptrace::Options::PTRACE_O_TRACESYSGOOD | ptrace::Options::PTRACE_O_EXITKILL;
        ptrace::setoptions(pid, options).context("cannot set the tracer's options")?;
        let mut call = 0;
        let lived = loop {
            ptrace::syscall(pid, None).context("cannot let the victim go on")?;
            match child.await_stop()? {
                Some(Signal::SIGTRAP) => {}
                // It came to its end.
                Some(Signal::SIGSTOP) => break true,
                other => {
                    let reported = child.hear()?.unwrap_or_default();
                    bail!("the victim came to no stop: {other:?}; it reported {reported:?}");
                }
            }
            let entered = entered(pid)?;
            let stop = Stop {
                entry: entered.is_some(),
                call: entered.unwrap_or(call),
            };
            call = stop.call;
            // The call by which it waits for us is not the operation's.
            if stop.call == libc::SYS_kill {
                continue;
            }
            self.stops.borrow_mut().push(stop);
            if self.at == Some(self.stops.borrow().len() - 1) {
                break false;
            }
        };
        // It is killed where it stands, and torn down before this returns.
        drop(child);
        match (self.at, lived) {
            (Some(number), true) => bail!(
                "there is no stop {number}: the victim came to {}",
                self.stops.borrow().len()
            ),
            (_, lived) => Ok(Death::unseen(!lived)),
        }
    }
}

/// Stops this process until its tracer lets it go on.
fn pause() -> Result<()> {
    kill(Pid::this(), Signal::SIGSTOP).context("cannot stop itself")
}

/// Which call a stopped child is about to make; `None` if it has just made one.
fn entered(pid: Pid) -> Result<Option<i64>> {
    let info = ptrace::syscall_info(pid).context("cannot look at the victim's system call")?;
    Ok((info.op == libc::PTRACE_SYSCALL_INFO_ENTRY).then(|| {
        // SAFETY: `op` says that this is the variant that the kernel filled.
        unsafe { info.u.entry.nr }.cast_signed()
    }))
}

/// Whether a child can be traced here.
fn ensure_traceable(alone: SingleThreaded) -> Result<()> {
    let mut child = Child::fork("a process to be traced", alone, |_| {
        ptrace::traceme().context("ptrace is refused")?;
        pause()
    })?;
    if child.await_stop()? == Some(Signal::SIGSTOP) {
        return Ok(());
    }
    let reported = child.hear()?.unwrap_or_default();
    let why = format!(
        "a child cannot be traced here: {reported:?}; it takes ptrace, which a seccomp filter or \
         kernel.yama.ptrace_scope=3 forbids"
    );
    Err(NotHere(why).into())
}
