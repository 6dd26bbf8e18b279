//! Slots in shared memory, with one of the kernel's ways to tell the other side: a semaphore, an
//! eventfd, a futex, a signal.
//!
//! The message is copied into a slot, and one *gate* tells that it is there. Another gate, the other
//! way, tells when half of the slots are free again; until then the sender lives on credit.

use std::io;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use nix::errno::Errno;
use nix::libc;
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::mechanism::{Endpoint, Ends, Mechanism, Nature, Refused, Side, Terms, Waiting};
use super::shared::{self, Mapping, Part};

/// A POSIX semaphore in shared memory. (A call only where somebody sleeps or must be woken.)
pub(super) const SEMAPHORE: Mechanism = gated("shm + semaphore", 0, prepare_semaphores, |terms| {
    let (side, parts, _) = mapped(terms)?;
    let gates = parts.map(|part| Semaphore::both(part.head()));
    Ok(Slots::boxed(side, parts, gates))
});

/// An eventfd that counts.
pub(super) const EVENT_FD: Mechanism = gated("shm + eventfd", 2, prepare_events, |terms| {
    let (side, parts, fds) = mapped(terms)?;
    // SAFETY: `prepare_events` made eventfds of them.
    let gates = fds
        .into_iter()
        .map(|fd| unsafe { EventFd::from_owned_fd(fd) });
    let Ok([a, b, c, d]) = <[EventFd; 4]>::try_from(gates.collect::<Vec<_>>()) else {
        return Err(Refused("four eventfds did not arrive".to_owned()));
    };
    Ok(Slots::boxed(side, parts, [[a, b], [c, d]]))
});

/// A word that is counted up and down, and slept on: a call only where it must be.
pub(super) const FUTEX: Mechanism = gated("shm + futex", 0, shared::prepare, |terms| {
    let (side, parts, _) = mapped(terms)?;
    let gates = parts.map(|part| Futex::both(part.head()));
    Ok(Slots::boxed(side, parts, gates))
});

/// Real-time signals, queued (`sigqueue`) and awaited (`sigwaitinfo`). The C library looks up who
/// sends, by two calls, before each `sigqueue`.
pub(super) const SIGNAL: Mechanism =
    gated("shm + signal (sigqueue)", 4, shared::prepare, |terms| {
        let gates = Signal::all(terms.peer)?;
        let (side, parts, _) = mapped(terms)?;
        Ok(Slots::boxed(side, parts, gates))
    });

const fn gated(
    name: &'static str,
    system_calls: u32,
    prepare: fn(usize) -> Result<Ends, Refused>,
    join: fn(Terms) -> Result<Box<dyn Endpoint>, Refused>,
) -> Mechanism {
    let nature = Nature {
        system_calls,
        waiting: Waiting::Sleeps,
        ..Nature::MAPPED
    };
    Mechanism::new(name, nature, prepare, join)
}

fn prepare_semaphores(size: usize) -> Result<Ends, Refused> {
    let ends = shared::prepare(size)?;
    let mapping = Mapping::of(&ends.first[0], size)?;
    for part in mapping.parts() {
        Semaphore::make(part.head())?;
    }
    Ok(ends)
}

fn prepare_events(size: usize) -> Result<Ends, Refused> {
    let mut ends = shared::prepare(size)?;
    for _ in 0..4 {
        let made = EventFd::from_flags(EfdFlags::EFD_SEMAPHORE | EfdFlags::EFD_CLOEXEC);
        ends.share(&made.map_err(|error| Refused::of("no eventfd can be made", error))?)?;
    }
    Ok(ends)
}

/// The memory, which is the first descriptor, and the other descriptors.
fn mapped(terms: Terms) -> Result<(Side, [Part<'static>; 2], Vec<OwnedFd>), Refused> {
    let mut fds = terms.descriptors.into_iter();
    let memory = fds.next();
    let memory = memory.ok_or_else(|| Refused("no memory arrived".to_owned()))?;
    Ok((terms.side, shared::map(&memory, terms.size)?, fds.collect()))
}

/// Counts: each `post` lets one `wait` through.
trait Gate {
    /// Lets the other side through once.
    fn post(&self) -> io::Result<()>;
    /// Waits to be let through.
    fn wait(&self) -> io::Result<()>;
}

/// The gates of one direction: a message is there; half of the slots are free.
type Gates<G> = [G; 2];

/// Slots in both directions.
struct Slots<G> {
    out: (Part<'static>, Gates<G>),
    into: (Part<'static>, Gates<G>),
    sent: usize,
    received: usize,
    credit: usize,
}

impl<G: Gate + 'static> Slots<G> {
    fn boxed(side: Side, parts: [Part<'static>; 2], gates: [Gates<G>; 2]) -> Box<dyn Endpoint> {
        let [there, back] = parts;
        let [there_gates, back_gates] = gates;
        let [out, into] = side.out_and_into([(there, there_gates), (back, back_gates)]);
        let credit = out.0.count();
        Box::new(Slots {
            out,
            into,
            sent: 0,
            received: 0,
            credit,
        })
    }
}

impl<G: Gate> Endpoint for Slots<G> {
    fn send(&mut self, messages: &[u64]) -> io::Result<()> {
        let (part, [there, free]) = &self.out;
        if self.credit == 0 {
            free.wait()?;
            self.credit += part.count() / 2;
            // What the other side read before it posted was read.
            fence(Ordering::Acquire);
        }
        self.credit -= 1;
        // SAFETY: there is credit, so the other side is done with this slot, and it reads it only
        // after the post below.
        unsafe { part.write(self.sent, messages) };
        self.sent += 1;
        // For gates that order nothing by themselves.
        fence(Ordering::Release);
        there.post()
    }

    fn receive(&mut self, messages: &mut [u64]) -> io::Result<()> {
        let (part, [there, free]) = &self.into;
        there.wait()?;
        fence(Ordering::Acquire);
        // SAFETY: the other side wrote this slot before it posted, and writes it again only when it
        // has been told that it is free.
        unsafe { part.read(self.received, messages) };
        self.received += 1;
        if self.received.is_multiple_of(part.count() / 2) {
            fence(Ordering::Release);
            free.post()?;
        }
        Ok(())
    }
}

/// A process-shared semaphore that lies in mapped memory for as long as the process lives.
struct Semaphore(*mut libc::sem_t);

impl Semaphore {
    /// Two, a cache line apart.
    fn both(head: *mut [Line<libc::sem_t>; 2]) -> Gates<Self> {
        let first = head.cast::<Line<libc::sem_t>>();
        [first, first.wrapping_add(1)].map(|line| Semaphore(line.cast()))
    }

    fn make(head: *mut [Line<libc::sem_t>; 2]) -> Result<(), Refused> {
        for semaphore in Self::both(head) {
            // SAFETY: nobody uses it yet, and the memory is there.
            let made = unsafe { libc::sem_init(semaphore.0, 1, 0) };
            Errno::result(made).map_err(|error| Refused::of("no semaphore can be made", error))?;
        }
        Ok(())
    }
}

impl Gate for Semaphore {
    fn post(&self) -> io::Result<()> {
        // SAFETY: `prepare` made it before this process was told of it.
        Ok(Errno::result(unsafe { libc::sem_post(self.0) }).map(drop)?)
    }

    fn wait(&self) -> io::Result<()> {
        // SAFETY: as for `post`.
        unless_interrupted(|| Errno::result(unsafe { libc::sem_wait(self.0) }))
    }
}

/// Does something again as long as a signal interrupts it.
fn unless_interrupted(mut act: impl FnMut() -> Result<i32, Errno>) -> io::Result<()> {
    loop {
        match act() {
            Err(Errno::EINTR) => {}
            other => return Ok(other.map(drop)?),
        }
    }
}

impl Gate for EventFd {
    fn post(&self) -> io::Result<()> {
        Ok(self.write(1).map(drop)?)
    }

    fn wait(&self) -> io::Result<()> {
        Ok(self.read().map(drop)?)
    }
}

/// A cache line to itself, and its neighbour's, which processors fetch along.
#[repr(C, align(128))]
struct Line<T>(T);

/// A count, and how many sleep until it is no longer zero.
#[repr(C)]
struct Count {
    count: AtomicU32,
    sleepers: AtomicU32,
}

/// A semaphore made of a futex: a call only to sleep, or to wake who sleeps.
struct Futex(&'static Count);

impl Futex {
    /// Two, a cache line apart. New memory is zero, and that is how they begin.
    fn both(head: *mut [Line<Count>; 2]) -> Gates<Self> {
        // SAFETY: the memory is mapped until the process ends, was zero, and holds nothing but
        // atomics, which the other process may change.
        let lines: &'static [Line<Count>; 2] = unsafe { &*head };
        [Futex(&lines[0].0), Futex(&lines[1].0)]
    }

    /// One off the count, unless it is zero.
    fn take(&self) -> ControlFlow<()> {
        let less = |count: u32| count.checked_sub(1);
        // Acquire, with the post's Release: what was written before it is seen.
        match (self.0.count).fetch_update(Ordering::Acquire, Ordering::Relaxed, less) {
            Ok(_) => ControlFlow::Break(()),
            Err(_) => ControlFlow::Continue(()),
        }
    }
}

impl Gate for Futex {
    fn post(&self) -> io::Result<()> {
        // SeqCst, here and in `wait`: either this side sees the sleeper, or the sleeper sees the
        // count.
        self.0.count.fetch_add(1, Ordering::SeqCst);
        if self.0.sleepers.load(Ordering::SeqCst) > 0 {
            futex(&self.0.count, libc::FUTEX_WAKE, 1)?;
        }
        Ok(())
    }

    fn wait(&self) -> io::Result<()> {
        while self.take().is_continue() {
            self.0.sleepers.fetch_add(1, Ordering::SeqCst);
            // It returns at once if the count is no longer zero.
            let slept = futex(&self.0.count, libc::FUTEX_WAIT, 0);
            self.0.sleepers.fetch_sub(1, Ordering::SeqCst);
            match slept {
                Ok(()) | Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn futex(word: &AtomicU32, operation: libc::c_int, value: u32) -> Result<(), Errno> {
    let no_timeout: *const libc::timespec = std::ptr::null();
    // SAFETY: the kernel reads the word, which lives until the call returns; there is no timeout.
    let outcome =
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, no_timeout) };
    Errno::result(outcome).map(drop)
}

/// A real-time signal of a number of its own, to the other process. The kernel queues it, up to a
/// limit that is far above the slots there are.
struct Signal {
    number: libc::c_int,
    peer: libc::pid_t,
}

impl Signal {
    /// For both directions; blocked in this process, so that it is awaited and never handled.
    fn all(peer: libc::pid_t) -> Result<[Gates<Self>; 2], Refused> {
        let first = libc::SIGRTMIN();
        let gate = |index| Signal {
            number: first + index,
            peer,
        };
        let gates = [[gate(0), gate(1)], [gate(2), gate(3)]];
        let set = signals(gates.iter().flatten());
        // SAFETY: the set lives until the call returns, and no former one is asked for.
        let blocked = unsafe { libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) };
        Errno::result(blocked).map_err(|error| Refused::of("signals cannot be blocked", error))?;
        Ok(gates)
    }
}

fn signals<'a>(gates: impl Iterator<Item = &'a Signal>) -> libc::sigset_t {
    // SAFETY: a set of signals is plain data, of which the calls below make a proper one; they fail
    // for no number between SIGRTMIN and SIGRTMAX.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for gate in gates {
            libc::sigaddset(&mut set, gate.number);
        }
        set
    }
}

impl Gate for Signal {
    fn post(&self) -> io::Result<()> {
        let value = libc::sigval {
            sival_ptr: std::ptr::null_mut(),
        };
        // SAFETY: the call touches no memory of this process. The other process lives: it is reaped
        // by nobody before this one is.
        Ok(Errno::result(unsafe { libc::sigqueue(self.peer, self.number, value) }).map(drop)?)
    }

    fn wait(&self) -> io::Result<()> {
        let set = signals([self].into_iter());
        unless_interrupted(|| {
            // SAFETY: the set lives until the call returns, and nothing else is asked for.
            Errno::result(unsafe { libc::sigwaitinfo(&set, std::ptr::null_mut()) })
        })
    }
}
