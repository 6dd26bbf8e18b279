//! Ends that sleep, and everything that may happen meanwhile.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;
use ringproof::guard::{self, GuardError};
use ringproof::harness::{Hooks, Interposed, PartsOfRing};
use ringproof::memory::{Memory, Native, Slept, Word};
use ringproof::ring::{Consumer, Producer};
use ringproof::seqlock::Watch;
use ringproof::site::{Site, StoreSite, WaitSite};
use ringproof::sleep::{NAP, SleepWords};
use ringproof::{PopError, Ring, RingOptions, Role, Wait, WaitError};

use super::namespace;
use super::signals::bombard;
use crate::desk::{Check, Setting, same};
use crate::process::{Child, NotHere, Note, patience, short_patience};
use crate::shm::Name;
use crate::sleeping::{Deep, Kept, is_asked, look};

checks! { setting:
    "sleep-refused",
        "either side is refused membarrier, or futex: all comes, and every wait sleeps", "waits" =>
        refused(setting, Mistake::None),
    wrong "injected fault: takes a refusal for a wake-up", "for nothing" =>
        refused(setting, Mistake::RefusalIsWake);

    "sleep-signals",
        "a signal every 50 µs while either side sleeps or wakes: it is an error of its own", "items" =>
        bombarded(setting, false),
    wrong "injected fault: takes EINTR for the end", "interrupted by a signal" =>
        bombarded(setting, true);

    "sleep-stopped",
        "who sleeps is stopped, woken and continued: it finds what came", "stops" =>
        stopped(setting, Mistake::None),
    wrong "injected fault: who wakes makes the call, and does not answer", "it hangs" =>
        stopped(setting, Mistake::NoAnswer);

    "sleep-peer",
        "a peer that is stopped is waited for, the death of one is noticed by who sleeps", "peers" =>
        deserted(setting, true),
    wrong "injected fault: asks nobody whether there is a peer", "and does not notice" =>
        deserted(setting, false);

    "sleep-namespaces",
        "who sleeps is woken from another pid namespace", "wake-ups" =>
        elsewhere(setting, Mistake::None),
    wrong "injected fault: sleeps on a word of this process alone", "it hangs" =>
        elsewhere(setting, Mistake::Private);

    "sleep-truncated",
        "the word that somebody sleeps on is cut off: an error under the guard", "lengths" =>
        truncated(setting, guard::install),
    wrong "injected fault: without the guard", "was killed by SIGBUS" =>
        truncated(setting, || Ok(()));

    "sleep-timeouts",
        "no time at all, some, and for ever", "waits" => timeouts(setting, Duration::ZERO),
    wrong "injected fault: no time is some", "no time is over after 1 sleeps" =>
        timeouts(setting, Duration::from_millis(1));
}

/// What is wrong on purpose.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    RefusalIsWake,
    NoAnswer,
    Private,
}

/// Counts how sleeps end.
struct Watchful<'l> {
    mistake: Mistake,
    sleeps: Cell<u64>,
    /// Those that ended although nobody woke it and no time was over.
    idle: Cell<u64>,
    /// When the kernel refused to let it sleep.
    refused: Cell<Option<Instant>>,
    /// What else is done at the end of each.
    after: &'l dyn Fn(Slept),
}

impl<'l> Watchful<'l> {
    fn new(mistake: Mistake, after: &'l dyn Fn(Slept)) -> Watchful<'l> {
        Watchful {
            mistake,
            sleeps: Cell::new(0),
            idle: Cell::new(0),
            refused: Cell::new(None),
            after,
        }
    }
}

impl Hooks<Native> for Watchful<'_> {
    fn before(&self, _: &Native, site: Site, _: usize) -> bool {
        site != StoreSite::WakeAnswer.into() || self.mistake != Mistake::NoAnswer
    }

    fn wait(&self, memory: &Native, word: &Word, value: u64, nanos: u64, site: WaitSite) -> Slept {
        self.sleeps.set(self.sleeps.get() + 1);
        let early = |since: Instant| since.elapsed() < Duration::from_nanos(NAP);
        let mut idle = self.refused.take().is_some_and(early);
        let slept = match self.mistake {
            Mistake::Private => private_wait(word, value),
            _ => memory.wait(word, value, nanos, site),
        };
        let slept = match slept {
            Slept::Refused if self.mistake == Mistake::RefusalIsWake => Slept::Woken,
            slept => slept,
        };
        match slept {
            Slept::Refused => self.refused.set(Some(Instant::now())),
            // (The answer comes before the call.)
            Slept::Woken => {
                idle |= look(word) == value;
            }
            _ => {}
        }
        self.idle.set(self.idle.get() + u64::from(idle));
        (self.after)(slept);
        slept
    }
}

/// A sleep that no other process can end.
fn private_wait(word: &Word, value: u64) -> Slept {
    // SAFETY: the kernel compares the word, whose address is a valid one.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            std::ptr::from_ref(word),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            value as u32,
            std::ptr::null::<libc::timespec>(),
        );
    }
    Slept::Woken
}

fn ring() -> Result<Ring<u64>> {
    let ring = Ring::<u64>::anonymous(&RingOptions::new(4))?;
    // Both were there.
    drop((ring.producer()?, ring.consumer()?));
    Ok(ring)
}

/// The consumer of this process: over this memory, with the role, and one that sleeps at once.
fn consumer<M: Memory<Cells = Native>>(
    ring: &Ring<u64>,
    memory: M,
) -> Result<Consumer<'_, u64, M, Kept<'_>>> {
    let claim = ring.segment().claim(Role::Consumer)?;
    let kept = Kept::new(ring.segment(), Role::Consumer, Some(claim));
    // SAFETY: the role is this process's, by the claim that the end keeps.
    let consumer = unsafe { Consumer::new(ring.parts()?, memory, kept) };
    Ok(consumer.with_wait(Wait::SleepAtOnce))
}

fn producer<M: Memory<Cells = Native>>(
    ring: &Ring<u64>,
    memory: M,
) -> Result<Producer<'_, u64, M, Kept<'_>>> {
    let claim = ring.segment().claim(Role::Producer)?;
    let kept = Kept::new(ring.segment(), Role::Producer, Some(claim));
    // SAFETY: as above.
    Ok(unsafe { Producer::new(ring.parts()?, memory, kept) })
}

/// The words by which its consumer sleeps.
fn words(ring: &Ring<u64>) -> Result<SleepWords<'_, Native>> {
    // SAFETY: these words are no indices.
    Ok(unsafe { ring.parts() }?.for_items)
}

/// Which call the kernel refuses a process.
type Refused = Option<libc::c_long>;

/// Refuses this process a call from here on.
fn refuse(call: Refused) -> Result<()> {
    let Some(call) = call else {
        return Ok(());
    };
    let step = |code: u32, k: u32, jt, jf| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let error = libc::SECCOMP_RET_ERRNO | Errno::EPERM as u32;
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            call as u32,
            0,
            1,
        ),
        step(libc::BPF_RET | libc::BPF_K, error, 0, 0),
        step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog {
        len: steps.len() as u16,
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: these calls read their arguments, and the program, which lives until they return.
    let refused = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            ) != 0
    };
    if refused {
        let why = format!("seccomp is refused: {}", Errno::last());
        return Err(NotHere(why).into());
    }
    Ok(())
}

/// How many items are waited for one by one.
const ITEMS: u64 = 5;

/// Each pair of what may be refused to either side.
fn refused(setting: &Setting<'_>, mistake: Mistake) -> Result<u64> {
    let calls = [None, Some(libc::SYS_membarrier), Some(libc::SYS_futex)];
    let mut waits = 0;
    for [to_sleeper, to_waker] in calls
        .into_iter()
        .flat_map(|one| calls.map(|other| [one, other]))
    {
        let ring = ring()?;
        let segment = ring.segment().descriptor()?;
        let mut sleeper = Child::fork("who sleeps", setting.alone, |ledger| {
            refuse(to_sleeper)?;
            let ring = Ring::<u64>::attach_fd(segment)?;
            let watchful = Watchful::new(mistake, &|_| {});
            let mut consumer = consumer(&ring, Interposed::new(Native, &watchful))?;
            for item in 0..ITEMS {
                let found = loop {
                    match consumer.wait().pop() {
                        Err(WaitError::PeerGone) => {}
                        found => break found,
                    }
                };
                same("found", found, Ok(item))?;
                ledger.note(&Note::Ready);
            }
            // (No more: where futex is refused the C library ends a process that makes an error of it.)
            ledger.note(&Note::Tried(watchful.idle.get()));
            Ok(())
        })?;
        let segment = ring.segment().descriptor()?;
        let waker = Child::fork("who wakes", setting.alone, |_| {
            refuse(to_waker)?;
            let ring = Ring::<u64>::attach_fd(segment)?;
            let words = words(&ring)?;
            let mut producer = producer(&ring, Native)?;
            let deadline = Instant::now() + patience();
            for item in 0..ITEMS {
                // It may be that it only asks, and does not sleep yet: that is as good.
                while !is_asked(words) && producer.occupancy()? > 0 {
                    ensure!(Instant::now() < deadline, "nobody asks");
                    std::thread::yield_now();
                }
                // So that it does sleep, mostly.
                std::thread::sleep(Duration::from_millis(5));
                producer.push(item)?;
            }
            while producer.occupancy()? > 0 {
                ensure!(Instant::now() < deadline, "nobody takes the last items");
                std::thread::yield_now();
            }
            Ok(())
        })?;
        for _ in 0..ITEMS {
            sleeper.ready()?;
            waits += 1;
        }
        let reported = sleeper.finish()?;
        waker.finish()?;
        let [Note::Tried(idle)] = reported[..] else {
            bail!("who sleeps reports {reported:?}");
        };
        ensure!(idle == 0, "{idle} sleeps ended for nothing");
    }
    Ok(waits)
}

/// Both sides are under fire; it must have hit a sleep.
fn bombarded(setting: &Setting<'_>, gives_up: bool) -> Result<u64> {
    let ring = ring()?;
    let items = setting.rounds.min(2000);
    let segment = ring.segment().descriptor()?;
    let mut sleeper = Child::fork("who sleeps", setting.alone, |ledger| {
        bombard()?;
        let ring = Ring::<u64>::attach_fd(segment)?;
        let mut consumer = consumer(&ring, Native)?;
        ledger.note(&Note::Ready);
        let (mut item, mut interrupted) = (0, 0);
        while item < items || interrupted == 0 {
            match consumer.wait().pop() {
                Ok(found) => {
                    same("found", found, item)?;
                    item += 1;
                }
                Err(WaitError::Interrupted) if !gives_up => interrupted += 1,
                Err(WaitError::PeerGone) => {}
                Err(other) => return Err(other.into()),
            }
        }
        ledger.note(&Note::Tried(item));
        Ok(())
    })?;
    sleeper.ready()?;
    let segment = ring.segment().descriptor()?;
    let _waker = Child::fork("who wakes", setting.alone, |_| {
        bombard()?;
        let ring = Ring::<u64>::attach_fd(segment)?;
        let mut producer = producer(&ring, Native)?;
        let words = words(&ring)?;
        for item in 0.. {
            // One by one, mostly to somebody who asked.
            for _ in 0..1000 {
                if is_asked(words) {
                    break;
                }
                std::thread::yield_now();
            }
            while producer.push(item).is_err() {
                std::thread::yield_now();
            }
        }
        Ok(())
    })?;
    match sleeper.finish()?.as_slice() {
        [Note::Tried(items)] => Ok(*items),
        other => bail!("who sleeps reports {other:?}"),
    }
}

/// One that takes items and says so, in sleeps that have no end but a wake-up.
fn deep_sleeper(setting: &Setting<'_>, ring: &Ring<u64>, mistake: Mistake) -> Result<Child> {
    let segment = ring.segment().descriptor()?;
    Child::fork("who sleeps", setting.alone, |ledger| {
        deep_sleep(segment, mistake, ledger)
    })
}

fn deep_sleep(
    segment: std::os::fd::OwnedFd,
    mistake: Mistake,
    ledger: &crate::process::Ledger,
) -> Result<()> {
    let ring = Ring::<u64>::attach_fd(segment)?;
    let watchful = Watchful::new(mistake, &|_| {});
    let memory = Interposed::new(Interposed::new(Native, &watchful), Deep);
    let mut consumer = consumer(&ring, memory)?;
    ledger.note(&Note::Ready);
    loop {
        match consumer.wait().pop() {
            Ok(_) => ledger.note(&Note::Ready),
            Err(WaitError::Refused(PopError::PeerClosed)) => return Ok(()),
            Err(WaitError::PeerGone) => {}
            Err(other) => return Err(other.into()),
        }
    }
}

/// How long who is woken may take.
fn patience_of(mistake: Mistake) -> Duration {
    match mistake {
        Mistake::None => patience(),
        _ => short_patience(),
    }
}

const STOPS: u64 = 20;

fn stopped(setting: &Setting<'_>, mistake: Mistake) -> Result<u64> {
    let ring = ring()?;
    let words = words(&ring)?;
    let mut sleeper = deep_sleeper(setting, &ring, Mistake::None)?.within(patience_of(mistake));
    sleeper.ready()?;
    let watchful = Watchful::new(mistake, &|_| {});
    let mut producer = producer(&ring, Interposed::new(Native, &watchful))?;
    for item in 0..STOPS {
        sleeper.await_asleep(|| is_asked(words))?;
        sleeper.signal(Signal::SIGSTOP)?;
        sleeper.wait_stopped()?;
        producer.push(item)?;
        sleeper.resume()?;
        sleeper.ready()?;
    }
    sleeper.await_asleep(|| is_asked(words))?;
    producer.close();
    sleeper.finish()?;
    Ok(STOPS)
}

/// How often somebody may sleep before it notices that it is alone.
const INTERVALS: u64 = 3;

fn deserted(setting: &Setting<'_>, asks: bool) -> Result<u64> {
    let ring = ring()?;
    let segment = ring.segment().descriptor()?;
    let mut peer = Child::fork("the peer", setting.alone, |ledger| {
        let ring = Ring::<u64>::attach_fd(segment)?;
        let _producer = ring.producer()?;
        ledger.note(&Note::Ready);
        loop {
            nix::unistd::pause();
        }
    })?;
    peer.ready()?;
    let segment = ring.segment().descriptor()?;
    let mut sleeper = Child::fork("who sleeps", setting.alone, |ledger| {
        let ring = Ring::<u64>::attach_fd(segment)?;
        let after = |slept| {
            if slept == Slept::TimedOut {
                ledger.note(&Note::Ready);
            }
        };
        let watchful = Watchful::new(Mistake::None, &after);
        let memory = Interposed::new(Native, &watchful);
        let outcome = if asks {
            consumer(&ring, memory)?.wait().pop()
        } else {
            // SAFETY: there is no other consumer.
            let consumer = unsafe { Consumer::new(ring.parts()?, memory, Alone) };
            consumer.with_wait(Wait::SleepAtOnce).wait().pop()
        };
        same("the wait", outcome, Err(WaitError::PeerGone))
    })?;
    // One that is stopped is there.
    peer.signal(Signal::SIGSTOP)?;
    peer.wait_stopped()?;
    for _ in 0..INTERVALS {
        sleeper.ready().context("beside a peer that is stopped")?;
    }
    peer.kill()?;
    for _ in 0..INTERVALS {
        match sleeper.next()? {
            Some(Note::Ready) => {}
            Some(Note::Done) => return Ok(1),
            other => bail!("who sleeps reports {other:?}"),
        }
    }
    bail!("it sleeps on after {INTERVALS} intervals, and does not notice")
}

/// It knows nobody who could be gone.
struct Alone;

impl Watch for Alone {
    fn watch(&self) -> Option<impl FnOnce() -> bool> {
        None::<fn() -> bool>
    }
}

const WAKES: u64 = 20;

fn elsewhere(setting: &Setting<'_>, mistake: Mistake) -> Result<u64> {
    let ring = ring()?;
    let words = words(&ring)?;
    let segment = ring.segment().descriptor()?;
    let first = namespace::first_process(setting, |ledger| deep_sleep(segment, mistake, ledger))?;
    let mut first = first.within(patience_of(mistake));
    first.ready()?;
    let mut producer = ring.producer()?;
    for item in 0..WAKES {
        first.await_asleep(|| is_asked(words))?;
        producer.push(item)?;
        first.ready()?;
    }
    Ok(WAKES)
}

const PAGE: u64 = 4096;

fn truncated(setting: &Setting<'_>, prepare: fn() -> Result<(), GuardError>) -> Result<u64> {
    let lengths = [0, 1, PAGE / 2];
    for left in lengths {
        let name: Name = setting.name();
        let ring = Ring::<u64>::create(&name, &RingOptions::new(4))?;
        let _producer = ring.producer()?;
        let mut sleeper = Child::fork("who sleeps", setting.alone, |_| {
            prepare()?;
            let ring = Ring::<u64>::attach(&name)?;
            let mut consumer = ring.consumer()?.with_wait(Wait::SleepAtOnce);
            // Where zeros are those of an empty ring it is the time that ends it.
            match consumer.wait_for(Duration::from_secs(1)).pop() {
                Ok(item) => bail!("{item} was never sent"),
                Err(WaitError::TimedOut | WaitError::PeerGone | WaitError::Refused(_)) => {}
                Err(other) => return Err(other.into()),
            }
            // (What is left of a page is zeros, without a signal.)
            ensure!(
                ring.segment().is_lost() || left > 0,
                "the segment is not known to be lost"
            );
            Ok(())
        })?;
        let words = words(&ring)?;
        sleeper.await_asleep(|| is_asked(words))?;
        name.set_len(left)?;
        sleeper
            .finish()
            .with_context(|| format!("made {left} bytes long"))?;
    }
    Ok(lengths.len() as u64)
}

fn timeouts(setting: &Setting<'_>, none: Duration) -> Result<u64> {
    let ring = ring()?;
    let segment = ring.segment().descriptor()?;
    let some = [1, 1000, 1_000_000, 100_000_000].map(Duration::from_nanos);
    setting.apart("who waits", |_| {
        let ring = Ring::<u64>::attach_fd(segment)?;
        let watchful = Watchful::new(Mistake::None, &|_| {});
        let mut consumer = consumer(&ring, Interposed::new(Native, &watchful))?;
        let mut producer = ring.producer()?;
        let late = Err(WaitError::TimedOut);
        same("no time", consumer.wait_for(none).pop(), late)?;
        let sleeps = watchful.sleeps.get();
        ensure!(sleeps == 0, "no time is over after {sleeps} sleeps");
        let past = Instant::now();
        same("a moment ago", consumer.wait_until(past).pop(), late)?;
        same("sleeps", watchful.sleeps.get(), 0)?;
        for time in some {
            let start = Instant::now();
            same("some time", consumer.wait_for(time).pop(), late)?;
            let took = start.elapsed();
            ensure!(took >= time, "{time:?} were over after {took:?}");
        }
        // What is there takes no time, however little there is.
        for time in [Duration::ZERO, Duration::MAX] {
            producer.push(7)?;
            same("found", consumer.wait_for(time).pop(), Ok(7))?;
        }
        same("sleeps that ended for nothing", watchful.idle.get(), 0)
    })?;
    // And what is not there is waited for as long as it takes.
    let mut sleeper = deep_sleeper(setting, &ring, Mistake::None)?;
    sleeper.ready()?;
    let words = words(&ring)?;
    sleeper.await_asleep(|| is_asked(words))?;
    ring.producer()?.close();
    sleeper.finish()?;
    Ok(some.len() as u64 + 5)
}
