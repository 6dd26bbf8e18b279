//! Operations that are made of system calls rather than of accesses: a process is killed before
//! and after each call.
//!
//! The victim is traced. It stops where it enters a call and where it leaves it, and the n-th of
//! these stops is its last. What is not tried is a death inside the kernel: a call that SIGKILL
//! interrupts has been made or has not, as far as another process can tell.

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringproof::{Ring, RingOptions, Role, SegmentError, unlink};

use crate::crash::trial::ensure_free;
use crate::desk::{Check, Setting};
use crate::fault::Fault;
use crate::process::{Child, NotHere, SingleThreaded, set_alarm};
use crate::shm::{DIRECTORY, Name};

/// What one run does: it has a victim, and judges what that left behind.
type Scenario = fn(&Trial<'_>) -> Result<()>;

/// The operations. (They may have accesses, too: at those, the layer `crash` kills.)
const OPERATIONS: [(&str, Scenario); 5] = [
    ("segment/create", creator_dies),
    ("segment/open", opener_dies),
    ("segment/attach", attacher_dies),
    ("role/take-over", taker_dies),
    ("segment/unlink", unlinker_dies),
];

/// Every operation, killed at each of its system calls.
pub(crate) fn checks() -> Vec<Check> {
    let check = |(subject, scenario): (&'static str, Scenario)| {
        let check = Check::new(
            subject,
            "crash at every system call",
            "kills",
            move |setting| kills(setting, scenario),
        );
        let check = check.with(" --points syscalls");
        match subject {
            "segment/create" => {
                check.planted(Fault::MadeInPlace, "a segment is there that is not whole")
            }
            _ => check,
        }
    };
    OPERATIONS.map(check).into()
}

/// One run without a death, and one for each stop of the victim: how many were killed.
fn kills(setting: &Setting<'_>, scenario: Scenario) -> Result<u64> {
    ensure_traceable(setting.alone)?;
    let attempt = |address: &str, at: Option<usize>| {
        setting.attempt(address, None, || {
            let trial = Trial {
                setting,
                at,
                stops: RefCell::default(),
            };
            let outcome = scenario(&trial);
            let stops = trial.stops.into_inner();
            outcome.with_context(|| match at {
                None => "nobody killed".to_owned(),
                Some(number) => match stops.get(number) {
                    Some(stop) => format!("killed at stop {number} ({stop})"),
                    None => format!("to be killed at stop {number}"),
                },
            })?;
            Ok(stops.len())
        })
    };
    let mut kills = 0;
    for number in 0..attempt(setting.subject, None)?.unwrap_or_default() {
        let killed = attempt(&format!("{}:{number}", setting.subject), Some(number))?;
        kills += u64::from(killed.is_some());
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

/// The calls that matter here, by name.
const CALLS: [(i64, &str); 12] = [
    (libc::SYS_openat, "openat"),
    (libc::SYS_close, "close"),
    (libc::SYS_mmap, "mmap"),
    (libc::SYS_munmap, "munmap"),
    (libc::SYS_madvise, "madvise"),
    (libc::SYS_fallocate, "fallocate"),
    (libc::SYS_fchmod, "fchmod"),
    (libc::SYS_pread64, "pread"),
    (libc::SYS_pwrite64, "pwrite"),
    (libc::SYS_fcntl, "fcntl"),
    (libc::SYS_linkat, "linkat"),
    (libc::SYS_unlink, "unlink"),
];

/// One run.
struct Trial<'a> {
    setting: &'a Setting<'a>,
    /// The stop at which the victim dies; it lives if there is none.
    at: Option<usize>,
    /// Those that it came to.
    stops: RefCell<Vec<Stop>>,
}

impl Trial<'_> {
    fn name(&self) -> Name {
        self.setting.name()
    }

    /// Runs `body` in a traced process up to this run's stop, or to its end; whether it died.
    fn victim(&self, body: impl FnOnce() -> Result<()>) -> Result<bool> {
        let mut child = Child::fork("the victim".to_owned(), self.setting.alone, |_| {
            set_alarm();
            ptrace::traceme().context("cannot be traced")?;
            pause()?;
            body()?;
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
                    let told = child.hear()?.unwrap_or_default();
                    bail!("the victim came to no stop: {other:?}; it told {told:?}");
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
            (_, lived) => Ok(!lived),
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
    let mut child = Child::fork("a process to be traced".to_owned(), alone, |_| {
        ptrace::traceme().context("ptrace is refused")?;
        pause()
    })?;
    if child.await_stop()? == Some(Signal::SIGSTOP) {
        return Ok(());
    }
    let told = child.hear()?.unwrap_or_default();
    let why = format!(
        "a child cannot be traced here: {told:?}; it takes ptrace, which a seccomp filter or \
         kernel.yama.ptrace_scope=3 forbids"
    );
    Err(NotHere(why).into())
}

fn options() -> RingOptions {
    RingOptions::new(4).slots(4)
}

/// The name leads to no segment, or to a whole one, and then no role of it is held. Either way a
/// segment of that name can be had, used and removed.
fn ensure_usable(name: &str) -> Result<()> {
    match Ring::<u64>::attach(name) {
        Ok(ring) => {
            for role in [Role::Producer, Role::Consumer] {
                ensure_free(&ring, role)?;
            }
        }
        Err(SegmentError::NotFound { .. }) => {}
        Err(other) => return Err(other).context("a segment is there that is not whole"),
    }
    let (ring, claim) = Ring::<u64>::open_as(name, Role::Producer, &options())
        .context("a segment of that name cannot be had")?;
    let (mut producer, mut consumer) = (ring.producer_with(claim)?, ring.consumer()?);
    for value in 0..6 {
        producer.push(value)?;
        let found = consumer.pop()?;
        ensure!(found == value, "expected {value}, found {found}");
    }
    unlink(name).context("it cannot be removed")?;
    let path = Path::new(DIRECTORY).join(name);
    ensure!(!path.exists(), "it is there after it was removed");
    Ok(())
}

/// Somebody dies creating a segment.
fn creator_dies(trial: &Trial<'_>) -> Result<()> {
    let name = &*trial.name();
    let died = trial.victim(|| {
        if trial.setting.has(Fault::MadeInPlace) {
            return create_in_place(name);
        }
        Ring::<u64>::create(name, &options())?;
        Ok(())
    })?;
    let there = Path::new(DIRECTORY).join(name).exists();
    ensure!(
        died || there,
        "a segment was created, and there is no such name"
    );
    ensure_usable(name)
}

/// The planted fault: what another process finds under the name is at first an empty file, then
/// one of zeros.
fn create_in_place(name: &str) -> Result<()> {
    let ring = Ring::<u64>::anonymous(&options())?;
    let mut whole = vec![0; usize::try_from(ring.fixed().segment_len)?];
    File::from(ring.descriptor()?).read_exact_at(&mut whole, 0)?;
    let file = File::create_new(Path::new(DIRECTORY).join(name))?;
    file.set_len(ring.fixed().segment_len)?;
    file.write_all_at(&whole, 0)?;
    Ok(())
}

/// Somebody dies opening a segment that is not there, for a role.
fn opener_dies(trial: &Trial<'_>) -> Result<()> {
    let name = &*trial.name();
    trial.victim(|| {
        Ring::<u64>::open_as(name, Role::Consumer, &options())?;
        Ok(())
    })?;
    ensure_usable(name)
}

/// Somebody dies attaching to a segment that is in use.
fn attacher_dies(trial: &Trial<'_>) -> Result<()> {
    let name = &*trial.name();
    let ring = Ring::<u64>::create(name, &options())?;
    let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    producer.push(1)?;
    trial.victim(|| {
        Ring::<u64>::attach(name)?;
        Ok(())
    })?;
    producer.push(2)?;
    for expected in 1..=2 {
        let found = consumer.pop()?;
        ensure!(found == expected, "expected {expected}, found {found}");
    }
    drop((producer, consumer));
    ensure_usable(name)
}

/// Somebody dies taking a role over, and taking one item.
fn taker_dies(trial: &Trial<'_>) -> Result<()> {
    let name = &*trial.name();
    let ring = Ring::<u64>::create(name, &options())?;
    let mut producer = ring.producer()?;
    for value in 1..=2 {
        producer.push(value)?;
    }
    trial.victim(|| {
        Ring::<u64>::attach(name)?.consumer()?.pop()?;
        Ok(())
    })?;
    let mut successor = ring
        .consumer()
        .context("a successor cannot take the role")?;
    let left = successor.position()..2;
    for expected in left {
        let found = successor.pop()?;
        ensure!(
            found == expected + 1,
            "expected {}, found {found}",
            expected + 1
        );
    }
    drop((producer, successor));
    ensure_usable(name)
}

/// Somebody dies removing a segment.
fn unlinker_dies(trial: &Trial<'_>) -> Result<()> {
    let name = &*trial.name();
    Ring::<u64>::create(name, &options())?;
    let died = trial.victim(|| Ok(unlink(name)?))?;
    let there = Path::new(DIRECTORY).join(name).exists();
    ensure!(died || !there, "a segment that was removed is there");
    // A name that is still there may be a retired segment's: the next taker removes it.
    let _ = Ring::<u64>::open_as(name, Role::Consumer, &options())?;
    ensure_usable(name)
}
