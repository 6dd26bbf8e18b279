//! Slots in shared memory under a lock: a process-shared mutex with condition variables, plain or
//! robust.

use std::io;
use std::mem::MaybeUninit;

use nix::libc;

use super::mechanism::{Endpoint, Ends, Mechanism, Nature, Refused, Terms, Waiting};
use super::shared::{self, Counts, Part};
use crate::mutex::{self, done};

/// With a mutex that stays locked for ever if its holder dies.
pub(super) const PLAIN: Mechanism = locked("shm + mutex, condvar", |size| prepare(size, false));

/// With one that reports to the next holder that the last one died.
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
    for part in shared::parts(&ends.first[0], size)? {
        make(part.head(), robust).map_err(Refused::of("no process-shared mutex can be made"))?;
    }
    Ok(ends)
}

fn join(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    let (side, size) = (terms.side, terms.size);
    let [memory] = terms.take()?;
    let [out, into] = side.out_and_into(shared::parts(&memory, size)?);
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

fn make(head: *mut Head, robust: bool) -> io::Result<()> {
    // SAFETY: the memory is not in use yet, and it is as large and aligned as it must be; each
    // attribute is initialised before it is used.
    unsafe {
        mutex::init(&raw mut (*head).mutex, robust)?;

        let mut of_cond = MaybeUninit::uninit();
        done(libc::pthread_condattr_init(of_cond.as_mut_ptr()))?;
        let of_cond = of_cond.as_mut_ptr();
        let shared = libc::PTHREAD_PROCESS_SHARED;
        done(libc::pthread_condattr_setpshared(of_cond, shared))?;
        done(libc::pthread_cond_init(&raw mut (*head).there, of_cond))?;
        done(libc::pthread_cond_init(&raw mut (*head).free, of_cond))?;
        (&raw mut (*head).counts).write(Counts::default());
    }
    Ok(())
}

/// Slots in both directions.
struct Slots {
    out: Part,
    into: Part,
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
        held.signal(Event::There)
    }

    fn receive(&mut self, messages: &mut [u64]) -> io::Result<()> {
        let mut held = Held::lock(&self.into)?;
        while held.counts().live() == 0 {
            held.wait(Event::There)?;
        }
        // SAFETY: under the mutex.
        unsafe { self.into.read(held.counts().received, messages) };
        held.counts().received += 1;
        held.signal(Event::Free)
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

/// A direction whose mutex this process holds until it drops this.
struct Held<'p>(&'p Part);

impl<'p> Held<'p> {
    fn lock(part: &'p Part) -> io::Result<Self> {
        let head = part.head::<Head>();
        // SAFETY: `prepare` made the mutex before this process joined.
        match unsafe { libc::pthread_mutex_lock(&raw mut (*head).mutex) } {
            0 => Ok(Held(part)),
            error => {
                // It is held now, by a process that does not know what its last holder left behind.
                // Given back like this, no process can lock it any more.
                if error == libc::EOWNERDEAD {
                    drop(Held(part));
                }
                Err(io::Error::from_raw_os_error(error))
            }
        }
    }

    fn head(&self) -> *mut Head {
        self.0.head()
    }

    fn counts(&mut self) -> &mut Counts {
        // SAFETY: this process holds the mutex, and the other one keeps to it.
        unsafe { &mut (*self.head()).counts }
    }

    fn condition(&self, event: Event) -> *mut libc::pthread_cond_t {
        let head = self.head();
        // SAFETY: the part keeps the head mapped.
        unsafe {
            match event {
                Event::There => &raw mut (*head).there,
                Event::Free => &raw mut (*head).free,
            }
        }
    }

    /// Sleeps without the mutex until the event is signalled.
    fn wait(&mut self, event: Event) -> io::Result<()> {
        let condition = self.condition(event);
        // SAFETY: `prepare` made both, and this process holds the mutex.
        done(unsafe { libc::pthread_cond_wait(condition, &raw mut (*self.head()).mutex) })
    }

    /// Gives the mutex back, and then signals: who wakes up finds it free.
    fn signal(self, event: Event) -> io::Result<()> {
        let condition = self.condition(event);
        drop(self);
        // SAFETY: `prepare` made it, and the endpoint keeps it mapped.
        done(unsafe { libc::pthread_cond_signal(condition) })
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // SAFETY: this process holds it. It fails for no mutex that it holds.
        unsafe { libc::pthread_mutex_unlock(&raw mut (*self.head()).mutex) };
    }
}
