//! A role that one process has at a time: held, contended for, freed by death and by nothing
//! else.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::pause;
use ringproof::{Claim, Ring, RingOptions, Role, SegmentError};

use super::namespace;
use super::race::{Act, now, race};
use crate::desk::{Check, Setting, same};
use crate::process::{Child, Ledger, NotHere, Note, patience};
use crate::shm::Name;
use crate::specimen::{Held, Take, Taken, s17_unlocked_recovery, s18_liveness_by_pid, window};
use crate::words::Words;

/// How long at least a stopped holder is left alone with those who want what it has.
const STOPPED: Duration = Duration::from_millis(200);

checks! { setting:
    "takers", "two at once: one has it, and the other is told so", "rounds" =>
        takers(setting, &of_ring(setting)?),
    wrong "injected fault: a lock file that is looked for, and then made", "2 have it" =>
        takers(setting, &lock_file(setting.name()));

    "recoverers", "its holder was killed, and two want to follow at once: one does", "rounds" =>
        recoverers(setting, &of_ring(setting)?),
    wrong "specimen: S17, recovery goes on without the lock", "2 have it" =>
        recoverers(setting, &s17_unlocked_recovery::take()?),
    wrong "injected fault: a death frees nothing", "0 have it" =>
        recoverers(setting, &taken_for_ever()?);

    "pid-namespaces",
        "held in one it is held in the other, and freed there by death here", "directions" =>
        namespaces(setting, &of_ring(setting)?),
    wrong "specimen: S18, kill(pid, 0) as liveness: a peer elsewhere looks dead", "two have it" =>
        namespaces(setting, &s18_liveness_by_pid::take()?);

    "pid-reuse",
        "it is free when its holder is dead, whoever has the holder's number now", "deaths" =>
        reused(setting, &of_ring(setting)?),
    wrong "specimen: S18, kill(pid, 0) as liveness: a reused number looks alive", "is not free" =>
        reused(setting, &s18_liveness_by_pid::take()?);

    "stopped-holder", "SIGSTOP frees nothing, however long it lasts; SIGKILL does", "stops" =>
        stopped(setting, &of_ring(setting)?),
    wrong "injected fault: a lease that runs out", "two have it" =>
        stopped(setting, &lease()?);
}

/// What a claim came to, `None` where it is refused: somebody has the role, or it is one of what is
/// gone.
pub(super) fn held(claim: Result<Claim, SegmentError>) -> Result<Option<Held>> {
    match claim {
        Ok(claim) => Ok(Some(Box::new(claim))),
        Err(SegmentError::Held { .. } | SegmentError::Gone { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What a call comes to that gives another process two seconds for its removal of the segment. Where
/// others want the processors that one may be kept from it for longer: then the call is made again.
pub(super) fn patiently<T>(call: impl Fn() -> Result<T, SegmentError>) -> Result<T, SegmentError> {
    let start = Instant::now();
    loop {
        match call() {
            Err(SegmentError::System { error, .. })
                if error.kind() == ErrorKind::TimedOut && start.elapsed() < patience() => {}
            outcome => return outcome,
        }
    }
}

/// A ring of which the role is that of the producer.
pub(super) fn ring(setting: &Setting<'_>) -> Result<Name> {
    let name = setting.name();
    Ring::<u64>::create(&name, &RingOptions::new(4).slots(4))?;
    Ok(name)
}

/// Ours: of a ring, attached anew each time.
pub(super) fn of_ring(setting: &Setting<'_>) -> Result<impl Fn() -> Result<Option<Held>>> {
    let name = ring(setting)?;
    Ok(move || {
        let ring = Ring::<u64>::attach(&name)?;
        // The claim outlives the mapping: it is of the file.
        held(patiently(|| ring.segment().claim(Role::Producer)))
    })
}

/// A lock file.
struct Made(PathBuf);

impl Drop for Made {
    fn drop(&mut self) {
        // The other one may have removed it, as it made it, too.
        let _ = fs::remove_file(&self.0);
    }
}

/// One that is looked for, and then made.
fn lock_file(name: Name) -> impl Fn() -> Result<Option<Held>> {
    move || {
        let path = name.path();
        if fs::exists(&path)? {
            return Ok(None);
        }
        window();
        fs::write(&path, std::process::id().to_string())?;
        Ok(Some(Box::new(Made(path))))
    }
}

fn taken_for_ever() -> Result<impl Fn() -> Result<Option<Held>>> {
    let words = Rc::new(Words::new(1)?);
    Ok(move || {
        let taken = words[0].compare_exchange(0, 1, AcqRel, Relaxed);
        Ok(Taken::if_ok(taken, &words))
    })
}

/// The word says when it is free again, in nanoseconds.
fn lease() -> Result<impl Fn() -> Result<Option<Held>>> {
    let words = Rc::new(Words::new(1)?);
    Ok(move || {
        let (now, until) = (now()?, words[0].load(Acquire));
        if now <= until {
            return Ok(None);
        }
        let next = now + STOPPED.as_nanos() as u64 / 4;
        let taken = words[0].compare_exchange(until, next, AcqRel, Relaxed);
        Ok(Taken::if_ok(taken, &words))
    })
}

/// Locks the byte of the producer's role for an open file description, unless another one has it
/// locked.
pub(super) fn lock_byte(file: &File) -> Result<bool> {
    match set_lock(file, libc::F_WRLCK) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error).context("cannot lock"),
    }
}

/// Locks or unlocks it.
pub(super) fn set_lock(file: &File, kind: libc::c_int) -> nix::Result<libc::c_int> {
    fcntl(file, FcntlArg::F_OFD_SETLK(&byte(kind)))
}

/// The byte of the producer's role.
pub(super) fn byte(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 1,
        l_pid: 0,
    }
}

/// Takes what must be free.
pub(super) fn take_free(role: &Take<'_>) -> Result<Held> {
    role()?.context("it is not free")
}

/// Takes nothing of what somebody has.
pub(super) fn take_none(role: &Take<'_>) -> Result<()> {
    ensure!(role()?.is_none(), "two have it");
    Ok(())
}

/// Says that it is ready, and waits to be killed.
pub(super) fn stay(ledger: &Ledger) -> ! {
    ledger.note(&Note::Ready);
    loop {
        pause();
    }
}

/// A process that has it.
fn holder(setting: &Setting<'_>, role: &Take<'_>) -> Result<Child> {
    let mut holder = Child::fork("the holder", setting.alone, |ledger| {
        let _held = take_free(role)?;
        stay(ledger)
    })?;
    holder.ready()?;
    Ok(holder)
}

/// Two take something at once, in each round when it was prepared, and one of them gets it; or else so many
/// `got` it.
pub(super) fn only_one(
    setting: &Setting<'_>,
    rounds: u64,
    prepare: &dyn Fn() -> Result<()>,
    take: &Take<'_>,
    got: &str,
) -> Result<u64> {
    let act = |_| {
        Ok(match take()? {
            Some(held) => Act::new([1, 0], held),
            None => Act::new([0, 0], ()),
        })
    };
    race(
        setting,
        rounds,
        |_| prepare(),
        act,
        act,
        |_, reported| {
            let have: u64 = reported.iter().map(|[have, _]| have).sum();
            ensure!(have == 1, "{have} {got}");
            Ok(())
        },
    )
}

fn takers(setting: &Setting<'_>, role: &Take<'_>) -> Result<u64> {
    only_one(setting, setting.rounds, &|| Ok(()), role, "have it")
}

fn recoverers(setting: &Setting<'_>, role: &Take<'_>) -> Result<u64> {
    // Each round takes a process that dies.
    let rounds = setting.rounds / 10;
    let dead = || holder(setting, role)?.kill();
    only_one(setting, rounds, &dead, role, "have it")
}

fn namespaces(setting: &Setting<'_>, role: &Take<'_>) -> Result<u64> {
    let held = take_free(role)?;
    let mut stranger = namespace::first_process(setting, |ledger| {
        take_none(role).context("held outside, taken inside")?;
        ledger.note(&Note::Ready);
        let start = Instant::now();
        let _held = loop {
            match role()? {
                Some(held) => break held,
                None if start.elapsed() > patience() => bail!("it is not free"),
                None => std::thread::yield_now(),
            }
        };
        stay(ledger)
    })?;
    stranger.ready()?;
    drop(held);
    stranger.ready()?;
    take_none(role).context("held inside, taken outside")?;
    stranger.kill()?;
    take_free(role).context("its holder inside is dead")?;
    Ok(2)
}

fn reused(setting: &Setting<'_>, role: &Take<'_>) -> Result<u64> {
    let mut first = namespace::first_process(setting, |ledger| {
        let dead = holder(setting, role)?;
        let number = dead.pid();
        dead.kill()?;
        // The kernel counts on from here.
        fs::write(
            "/proc/sys/kernel/ns_last_pid",
            (number.as_raw() - 1).to_string(),
        )
        .map_err(|error| NotHere(format!("cannot choose the next number: {error}")))?;
        let innocent = Child::fork("an innocent", setting.alone, |ledger| stay(ledger))?;
        same("the number of another process", innocent.pid(), number)?;
        take_free(role).context("its holder is dead, another process has its number")?;
        stay(ledger)
    })?;
    first.ready()?;
    Ok(1)
}

fn stopped(setting: &Setting<'_>, role: &Take<'_>) -> Result<u64> {
    const STOPS: u64 = 3;
    for _ in 0..STOPS {
        let mut holder = holder(setting, role)?;
        holder.signal(Signal::SIGSTOP)?;
        holder.wait_stopped()?;
        let start = Instant::now();
        let mut last = false;
        while !last {
            // The last look comes after that time, however long this process was kept from looking.
            last = start.elapsed() >= STOPPED;
            take_none(role).context("its holder is stopped")?;
        }
        holder.kill()?;
        take_free(role).context("its holder was killed")?;
    }
    Ok(STOPS)
}
