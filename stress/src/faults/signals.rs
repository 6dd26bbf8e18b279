//! A signal in every system call.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use ringproof::{
    Inspection, Ring, RingOptions, Role, SegmentError, SeqLatch, SeqLatchOptions, unlink,
};
use ringproof_record::deadline;

use super::exclusive_role::patiently;
use super::race::enough;
use crate::desk::{Check, Setting, longest};
use crate::process::{Child, Note, wait_readable};
use crate::shm::Name;

/// How often it comes: often enough for every long call, and seldom enough for a process to get on
/// between two.
fn every() -> Duration {
    deadline::scaled(Duration::from_micros(50))
}

/// Lives for each of which a signal must have come. (Many a life takes less time than there is
/// between two.)
const LIVES_TO_A_SIGNAL: u64 = 10;

/// Items of a ring of a size with which it takes longer to give it memory than until the next
/// signal.
const LARGE: u64 = 1 << 16;

checks! { setting:
    "signals",
        "two processes create, attach, claim and unlink, with a signal every 50 µs", "lives" =>
        bombarded(setting, life),
    wrong "injected fault: waits for a lock, and takes EINTR for an answer",
        "Interrupted system call" =>
        bombarded(setting, |name, round| {
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(name.path())?;
            match Flock::lock(file, FlockArg::LockExclusive) {
                // Long enough that the other one has to wait.
                Ok(_held) => {
                    let other = Name::new(format!("{}-{round}", &**name));
                    life(&other, 1)
                }
                Err((_, error)) => Err(error).context("cannot lock"),
            }
        });
}

static COME: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_: libc::c_int) {
    COME.fetch_add(1, Relaxed);
}

/// Sets the timer. The calls it interrupts are not restarted.
pub(super) fn bombard() -> Result<()> {
    let action = SigAction::new(
        SigHandler::Handler(count),
        SaFlags::empty(),
        SigSet::empty(),
    );
    // SAFETY: the handler adds to an atomic word and does nothing else.
    unsafe { sigaction(Signal::SIGALRM, &action) }.context("cannot handle a signal")?;
    let every = every();
    let every = libc::timeval {
        tv_sec: every.as_secs() as libc::time_t,
        tv_usec: every.subsec_micros().into(),
    };
    let timer = libc::itimerval {
        it_interval: every,
        it_value: every,
    };
    // SAFETY: reads the one, and is given no place for the other.
    let outcome = unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
    ensure!(outcome == 0, "cannot set a timer");
    Ok(())
}

/// A life with segments of which another process has the same name and wants the same roles.
fn life(name: &Name, round: u64) -> Result<()> {
    // Now and then one that takes its time to make.
    let slots = if round.is_multiple_of(100) { LARGE } else { 4 };
    let options = RingOptions::new(4).slots(slots);
    match Ring::<u64>::create(name, &options) {
        Ok(_) | Err(SegmentError::Exists { .. }) => {}
        Err(error) => return Err(error).context("create"),
    }
    for role in [Role::Producer, Role::Consumer] {
        match patiently(|| Ring::<u64>::open_or_create_as(name, role, &options)) {
            Ok((ring, claim)) => {
                ensure!(claim.epoch() > 0, "a claim that is not counted");
                ensure!(ring.segment().is_held(role)?, "a claim that is not held");
            }
            Err(SegmentError::Held { .. }) => {}
            Err(error) => return Err(error).context("open and claim"),
        }
    }
    match Inspection::of(name) {
        Ok(_) | Err(SegmentError::NotFound { .. }) => {}
        Err(error) => return Err(error).context("inspect"),
    }
    let latch = SeqLatch::anonymous(&round, &SeqLatchOptions::default())?;
    latch.writer()?.write(&(round + 1));
    let value = latch.reader()?.read(1)?;
    ensure!(value == round + 1, "a value is not what it was");
    match patiently(|| unlink(name)) {
        Ok(()) | Err(SegmentError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error).context("unlink"),
    }
}

/// Two processes lead their lives over one name, each under its own signals.
fn bombarded(setting: &Setting<'_>, life: fn(&Name, u64) -> Result<()>) -> Result<u64> {
    let name = setting.name();
    // One takes as long as several rounds of a race, most of it spent on signals.
    let lives = setting.rounds / 4;
    let start = || {
        Child::fork("a bombarded process", setting.alone, |ledger| {
            bombard()?;
            // As many as are asked for, or as there is time for, and on until enough signals have come.
            let begin = Instant::now();
            let mut led = 0;
            while (led < lives && begin.elapsed() < enough())
                || COME.load(Relaxed) < led / LIVES_TO_A_SIGNAL
            {
                life(&name, led)?;
                led += 1;
            }
            ledger.note(&Note::Tried(led));
            Ok(())
        })
    };
    let mut running = vec![start()?, start()?];
    let mut led = 0;
    let deadline = Instant::now() + longest();
    while !running.is_empty() {
        // They speak at their ends alone; and after a failure the other one is not awaited.
        let files: Vec<_> = running.iter().map(AsFd::as_fd).collect();
        ensure!(wait_readable(&files, deadline)?, "they hang");
        let Some(at) =
            (files.iter()).position(|file| wait_readable(&[*file], Instant::now()).unwrap_or(true))
        else {
            continue;
        };
        let reported = running.remove(at).finish()?;
        let Some(Note::Tried(lives)) = reported.first() else {
            bail!("a process that reports {reported:?}");
        };
        led += lives;
    }
    Ok(led)
}
