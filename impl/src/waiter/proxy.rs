//! The thread that sleeps in the place of an event loop.

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
#[cfg(feature = "async")]
use std::task;
use std::thread::{self, JoinHandle};

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::SigSet;

use super::LoadSite;
use crate::error::SegmentError;
use crate::fork::Process;
use crate::memory::{Memory, Native, Word};
use crate::role::Role;
use crate::segment::Segment;
use crate::site::WakeSite;
use crate::sleep::SleepWords;
use crate::wait::{Limit, Look, Pace, Wait, WaitError, Waits, wait};

/// A word that the other side stores, and what goes with it.
pub struct Watched {
    segment: Arc<Segment>,
    /// Who stores it.
    peer: Role,
    site: LoadSite,
    /// What a version is shifted by in the word.
    shift: u32,
}

impl Watched {
    /// That of a ring's producer.
    pub(super) fn items(segment: &Arc<Segment>) -> Watched {
        Watched::of(segment, Role::Producer, LoadSite::RingObserve, 0)
    }

    /// That of a ring's consumer.
    pub(super) fn room(segment: &Arc<Segment>) -> Watched {
        Watched::of(segment, Role::Consumer, LoadSite::RingReclaim, 0)
    }

    /// That of a seqlock's writer.
    pub(super) fn sequence(segment: &Arc<Segment>) -> Watched {
        Watched::of(segment, Role::Writer, LoadSite::SeqObserve, 1)
    }

    /// That of a latch's writer.
    pub(super) fn version(segment: &Arc<Segment>) -> Watched {
        Watched::of(segment, Role::Writer, LoadSite::LatchObserve, 0)
    }

    fn of(segment: &Arc<Segment>, peer: Role, site: LoadSite, shift: u32) -> Watched {
        let segment = Arc::clone(segment);
        Watched {
            segment,
            peer,
            site,
            shift,
        }
    }

    fn word(&self) -> &Word {
        &self.segment.words(self.peer).index
    }

    fn words(&self) -> SleepWords<'_, Native> {
        match self.peer {
            Role::Consumer => self.segment.header().for_room(),
            Role::Producer | Role::Writer => self.segment.header().for_items(),
        }
    }
}

/// What the end and the thread share.
struct Shared {
    watched: Watched,
    /// Readable while there is no wait.
    descriptor: EventFd,
    state: Mutex<State>,
    armed: Condvar,
}

#[derive(Default)]
struct State {
    /// What is waited for: that the word is no longer this.
    waits: Option<u64>,
    is_peer_gone: bool,
    ends: bool,
    #[cfg(feature = "async")]
    task: Option<task::Waker>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a wait.
    fn fire(&self, state: &mut State) {
        state.waits = None;
        // It fails only where it is readable already.
        let _ = self.descriptor.write(1);
        #[cfg(feature = "async")]
        if let Some(task) = state.task.take() {
            task.wake();
        }
    }

    /// Waits as long as there is something to wait for.
    fn run(&self) {
        // They are for the program's own threads. It cannot fail on a set of the system's own.
        let _ = SigSet::all().thread_block();
        loop {
            let mut state = self.state();
            while state.waits.is_none() && !state.ends {
                state = (self.armed.wait(state)).unwrap_or_else(PoisonError::into_inner);
            }
            let Some(seen) = state.waits.filter(|_| !state.ends) else {
                return;
            };
            drop(state);
            let ended = wait(&mut Change { shared: self, seen }, Limit::FOREVER);
            let mut state = self.state();
            state.is_peer_gone = matches!(ended, Err(WaitError::PeerGone));
            if !matches!(ended, Err(WaitError::Interrupted)) {
                self.fire(&mut state);
            }
        }
    }
}

/// A wait of the thread.
struct Change<'a> {
    shared: &'a Shared,
    seen: u64,
}

impl<'a> Waits<'a> for Change<'a> {
    type Memory = Native;
    type Refusal = Infallible;

    fn memory(&self) -> &Native {
        &Native
    }

    fn strategy(&self) -> Wait {
        Wait::SleepAtOnce
    }

    fn words(&self) -> SleepWords<'a, Native> {
        self.shared.watched.words()
    }

    fn look(&mut self) -> Result<Look, Infallible> {
        let watched = &self.shared.watched;
        // Acquire: as the end itself loads it, which will look for itself.
        let found = Native.load(watched.word(), watched.site) >> watched.shift;
        Ok(if found != self.seen || self.shared.state().ends {
            Look::Enough
        } else {
            Look::NotYet(Pace::new())
        })
    }

    fn is_peer_gone(&self) -> bool {
        let watched = &self.shared.watched;
        watched.segment.was_left(watched.peer)
    }
}

/// The end's hold on the thread.
pub(super) struct Proxy {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// The process that has the thread.
    owner: Process,
}

impl Proxy {
    pub(super) fn start(watched: Watched) -> Result<Proxy, SegmentError> {
        let label = watched.segment.label().to_owned();
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let descriptor = EventFd::from_value_and_flags(1, flags).map_err(SegmentError::system(
            &label,
            "make a descriptor to wait with",
        ))?;
        let shared = Arc::new(Shared {
            watched,
            descriptor,
            state: Mutex::default(),
            armed: Condvar::new(),
        });
        let thread = thread::Builder::new().name("ringproof-waiter".to_owned());
        let theirs = Arc::clone(&shared);
        let thread = thread
            .spawn(move || theirs.run())
            .map_err(SegmentError::system(&label, "start a thread to wait in"))?;
        Ok(Proxy {
            shared,
            thread: Some(thread),
            owner: Process::this(),
        })
    }

    /// Waits until the word is no longer this, unless the peer was found to be gone by the last wait.
    pub(super) fn arm<R, E>(&self, seen: u64) -> Result<Option<R>, WaitError<E>> {
        let mut state = self.shared.state();
        if std::mem::take(&mut state.is_peer_gone) {
            return Err(WaitError::PeerGone);
        }
        if state.waits != Some(seen) {
            // Emptied before the thread can make it readable again; of a wait that is under way it is empty.
            let _ = self.shared.descriptor.read();
            state.waits = Some(seen);
            self.shared.armed.notify_one();
        }
        Ok(None)
    }

    /// Has a task polled when the next wait ends.
    #[cfg(feature = "async")]
    pub(super) fn wakes(&self, task: &task::Waker) {
        self.shared.state().task = Some(task.clone());
    }
}

impl AsFd for Proxy {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.descriptor.as_fd()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // A forked child has no such thread, and may have its lock as it was.
        let Some(thread) = self.thread.take().filter(|_| self.owner == Process::this()) else {
            return;
        };
        self.shared.state().ends = true;
        self.shared.armed.notify_one();
        // It may be about to sleep: then the first of these comes too early.
        while !thread.is_finished() {
            Native.wake(self.shared.watched.words().answers, WakeSite::WakeCall);
            thread::yield_now();
        }
        // It cannot have panicked; and if it had, there would be nothing to do about it.
        let _ = thread.join();
    }
}
