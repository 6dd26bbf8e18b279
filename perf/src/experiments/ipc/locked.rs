//! Slots in shared memory under a lock: a process-shared mutex with condition variables, plain or
//! robust.

use std::io;
use std::mem::MaybeUninit;

use nix::libc;

use super::mechanism::{Endpoint, Ends, Mechanism, Nature, Refused, Terms, Waiting};
use super::shared::{self, Mapping, Part};
use crate::mutex::{self, done};

/// With a mutex that stays locked for ever if its holder dies.
pub(super) const PLAIN: Mechanism = locked("shm + mutex, condvar", |size| prepare(size, false));

/// With one that the next one is told of whose holder died.
pub(super) const ROBUST: Mechanism =
    locked("shm + robust mutex, condvar", |size| prepare(size, true));

const fn locked(name: &'static str, prepare: fn(usize) -> Result<Ends, Refused>) -> Mechanism {
    let nature = Nature {
        waiting: Waiting::Sleeps,
        ..Nature::MAPPED
    };
    Mechanism::new(name, nature, prepare, join)
}

fn prepare(size: usize, robust: bool) -> Result<Ends, Refused> {
    let ends = shared::prepare(size)?;
    let mapping = Mapping::of(&ends.first[0], size)?;
    for part in mapping.parts() {
        make(part.head(), robust)
            .map_err(|error| Refused::of("no process-shared mutex can be made", error))?;
    }
    Ok(ends)
}

fn join(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    let (side, size) = (terms.side, terms.size);
    let [memory] = terms.take()?;
    let [out, into] = side.out_and_into(shared::map(&memory, size)?);
    Ok(Box::new(Slots { out, into }))
}

/// What lies before the slots of one direction.
#[repr(C)]
struct Head {
    mutex: libc::pthread_mutex_t,
    /// There is a message.
    there: libc::pthread_cond_t,
    /// There is room.
    free: libc::pthread_cond_t,
    /// Under the mutex.
    counts: Counts,
}

/// How many messages went in and out.
#[repr(C)]
struct Counts {
    sent: usize,
    received: usize,
}

impl Counts {
    fn live(&self) -> usize {
        self.sent - self.received
    }
}

fn make(head: *mut Head, robust: bool) -> io::Result<()> {
    // SAFETY: nobody uses the memory yet, and it is as large and aligned as it must be; each
    // attribute is initialised before it is used.
    unsafe {
        mutex::init(&raw mut (*head).mutex, robust)?;

        let mut of_cond = MaybeUninit::uninit();
        done(libc::pthread_condattr_init(of_cond.as_mut_ptr()))?;
        let of_cond = of_cond.as_mut_ptr();
        done(libc::pthread_condattr_setpshared(
            of_cond,
            libc::PTHREAD_PROCESS_SHARED,
        ))?;
        done(libc::pthread_cond_init(&raw mut (*head).there, of_cond))?;
        done(libc::pthread_cond_init(&raw mut (*head).free, of_cond))?;
        (&raw mut (*head).counts).write(Counts {
            sent: 0,
            received: 0,
        });
    }
    Ok(())
}

/// Slots in both directions.
struct Slots {
    out: Part<'static>,
    into: Part<'static>,
}

impl Endpoint for Slots {
    fn send(&mut self, messages: &[u64]) -> io::Result<()> {
        let mut held = Held::lock(&self.out)?;
        while held.counts().live() == self.out.count() {
            held.wait(Event::Free)?;
        }
        // SAFETY: under the mutex, and the other side is done with this slot.
        unsafe { self.out.write(held.counts().sent, messages) };
        held.counts().sent += 1;
        held.tell(Event::There)
    }

    fn receive(&mut self, messages: &mut [u64]) -> io::Result<()> {
        let mut held = Held::lock(&self.into)?;
        while held.counts().live() == 0 {
            held.wait(Event::There)?;
        }
        // SAFETY: under the mutex.
        unsafe { self.into.read(held.counts().received, messages) };
        held.counts().received += 1;
        held.tell(Event::Free)
    }
}

/// What a side waits for.
#[derive(Clone, Copy)]
enum Event {
    /// There is a message.
    There,
    /// There is room.
    Free,
}

/// The head of a direction whose mutex this process holds until it drops this.
struct Held(*mut Head);

impl Held {
    fn lock(part: &Part<'static>) -> io::Result<Self> {
        let head = part.head::<Head>();
        // SAFETY: `prepare` made the mutex before this process was told of it.
        match unsafe { libc::pthread_mutex_lock(&raw mut (*head).mutex) } {
            0 => Ok(Held(head)),
            error => {
                // It is held now, by a process that cannot tell what its last holder left behind.
                // Given back like this it is locked by nobody any more.
                if error == libc::EOWNERDEAD {
                    drop(Held(head));
                }
                Err(io::Error::from_raw_os_error(error))
            }
        }
    }

    fn counts(&mut self) -> &mut Counts {
        // SAFETY: this process holds the mutex, and the other one keeps to it.
        unsafe { &mut (*self.0).counts }
    }

    fn condition(&self, event: Event) -> *mut libc::pthread_cond_t {
        let head = self.0;
        // SAFETY: the head is mapped until the process ends.
        unsafe {
            match event {
                Event::There => &raw mut (*head).there,
                Event::Free => &raw mut (*head).free,
            }
        }
    }

    /// Sleeps without the mutex until the event is told.
    fn wait(&mut self, event: Event) -> io::Result<()> {
        let condition = self.condition(event);
        // SAFETY: `prepare` made both, and this process holds the mutex.
        done(unsafe { libc::pthread_cond_wait(condition, &raw mut (*self.0).mutex) })
    }

    /// Gives the mutex back, and then tells: who wakes up finds it free.
    fn tell(self, event: Event) -> io::Result<()> {
        let condition = self.condition(event);
        drop(self);
        // SAFETY: `prepare` made it.
        done(unsafe { libc::pthread_cond_signal(condition) })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: this process holds it. It fails for no mutex that it holds.
        unsafe { libc::pthread_mutex_unlock(&raw mut (*self.0).mutex) };
    }
}
