//! Slots in shared memory, with one of the kernel's ways to notify the other side: a semaphore, an
//! eventfd, a futex, a signal.
//!
//! The message is copied into a slot, and one *gate* says that it is there. Another gate, the other
//! way, says when half of the slots are free again; until then the sender lives on credit.

use std::io;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use nix::errno::Errno;
use nix::libc;
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::mechanism::{Endpoint, Ends, Mechanism, Nature, Refused, Side, Terms, Waiting};
use super::shared::{self, Part};
use crate::futex::futex;

/// A POSIX semaphore in shared memory. (A call only where somebody sleeps or must be woken.)
pub(super) const SEMAPHORE: Mechanism = gated("shm + semaphore", 0, prepare_semaphores, |terms| {
    let (side, parts, _) = mapped(terms)?;
    let gates = parts.each_ref().map(|part| two(part).map(Semaphore));
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
    let gates = parts.each_ref().map(|part| two(part).map(Futex));
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
    for semaphore in shared::parts(&ends.first[0], size)?.iter().flat_map(two) {
        // SAFETY: it is not in use yet, and the parts keep the memory mapped.
        let made = unsafe { libc::sem_init(semaphore, 1, 0) };
        Errno::result(made).map_err(Refused::of("no semaphore can be made"))?;
    }
    Ok(ends)
}

fn prepare_events(size: usize) -> Result<Ends, Refused> {
    let mut ends = shared::prepare(size)?;
    for _ in 0..4 {
        let made = EventFd::from_flags(EfdFlags::EFD_SEMAPHORE | EfdFlags::EFD_CLOEXEC);
        ends.share(&made.map_err(Refused::of("no eventfd can be made"))?)?;
    }
    Ok(ends)
}

/// The memory, which is the first descriptor, and the other descriptors.
fn mapped(terms: Terms) -> Result<(Side, [Part; 2], Vec<OwnedFd>), Refused> {
    let mut fds = terms.descriptors.into_iter();
    let memory = fds.next();
    let memory = memory.ok_or_else(|| Refused("no memory arrived".to_owned()))?;
    let parts = shared::parts(&memory, terms.size)?;
    Ok((terms.side, parts, fds.collect()))
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

/// Slots in both directions. The parts keep mapped what gates in their heads lie in.
struct Slots<G> {
    out: (Part, Gates<G>),
    into: (Part, Gates<G>),
    sent: u64,
    received: u64,
    credit: usize,
}

impl<G: Gate + 'static> Slots<G> {
    fn boxed(side: Side, parts: [Part; 2], gates: [Gates<G>; 2]) -> Box<dyn Endpoint> {
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
        // knows that it is free.
        unsafe { part.read(self.received, messages) };
        self.received += 1;
        if self.received.is_multiple_of(part.count() as u64 / 2) {
            fence(Ordering::Release);
            free.post()?;
        }
        Ok(())
    }
}

/// A cache line to itself, and the next one, which processors fetch along.
#[repr(C, align(128))]
struct Line<T>(T);

/// Where two lie in the head of a part, a cache line apart.
fn two<T>(part: &Part) -> [*mut T; 2] {
    let first = part.head::<[Line<T>; 2]>().cast::<Line<T>>();
    [first, first.wrapping_add(1)].map(|line| line.cast())
}

/// A process-shared semaphore, in memory that is mapped as long as this is used.
struct Semaphore(*mut libc::sem_t);

impl Gate for Semaphore {
    fn post(&self) -> io::Result<()> {
        // SAFETY: `prepare` made it before this process joined.
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

/// A count, and how many sleep until it is no longer zero.
#[repr(C)]
struct Count {
    count: AtomicU32,
    sleepers: AtomicU32,
}

/// A semaphore made of a futex: a call only to sleep, or to wake who sleeps. New memory is zero, and that
/// is how it begins.
struct Futex(*mut Count);

impl Futex {
    fn words(&self) -> &Count {
        // SAFETY: the memory is mapped as long as this is used, was zero, and holds nothing but atomics,
        // which the other process may change.
        unsafe { &*self.0 }
    }

    /// One off the count, unless it is zero.
    fn take(&self) -> ControlFlow<()> {
        let less = |count: u32| count.checked_sub(1);
        // Acquire, with the post's Release: what was written before it is seen.
        match (self.words().count).fetch_update(Ordering::Acquire, Ordering::Relaxed, less) {
            Ok(_) => ControlFlow::Break(()),
            Err(_) => ControlFlow::Continue(()),
        }
    }
}

impl Gate for Futex {
    fn post(&self) -> io::Result<()> {
        // SeqCst, here and in `wait`: either this side sees the sleeper, or the sleeper sees the
        // count.
        self.words().count.fetch_add(1, Ordering::SeqCst);
        if self.words().sleepers.load(Ordering::SeqCst) > 0 {
            futex(&self.words().count, libc::FUTEX_WAKE, 1)?;
        }
        Ok(())
    }

    fn wait(&self) -> io::Result<()> {
        while self.take().is_continue() {
            self.words().sleepers.fetch_add(1, Ordering::SeqCst);
            // It returns at once if the count is no longer zero.
            let slept = futex(&self.words().count, libc::FUTEX_WAIT, 0);
            self.words().sleepers.fetch_sub(1, Ordering::SeqCst);
            match slept {
                Ok(()) | Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
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
        Errno::result(blocked).map_err(Refused::of("signals cannot be blocked"))?;
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
        // SAFETY: the call touches no memory of this process. The other process lives: it is not
        // reaped before this one is.
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
