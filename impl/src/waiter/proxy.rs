//! The thread that sleeps in the place of an event loop.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};

use super::LoadSite;
use crate::error::SegmentError;
use crate::fork::Process;
use crate::memory::{Memory, Native, Word};
use crate::role::Role;
use crate::segment::Segment;
use crate::site::WakeSite;
use crate::sleep::{NAP, SleepWords};
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
    /// The thread waits for something to do, and who ends it for its end: never both.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What is waited for: that the word is no longer this.
    waits: Option<u64>,
    /// The wait at whose end the word was still this, and the peer gone.
    gone: Option<u64>,
    /// To be polled when the wait ends.
    task: Option<task::Waker>,
    ends: bool,
    has_ended: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as there is something to wait for.
    fn run(&self) {
        while let Some(seen) = self.next() {
            match wait(&mut Change { shared: self, seen }, Limit::FOREVER) {
                Err(WaitError::Interrupted) => {}
                ended => self.fire(seen, matches!(ended, Err(WaitError::PeerGone))),
            }
        }
        self.state().has_ended = true;
        self.changed.notify_one();
    }

    /// What is to be waited for next; `None` at the end.
    fn next(&self) -> Option<u64> {
        let mut state = self.state();
        while state.waits.is_none() && !state.ends {
            state = (self.changed.wait(state)).unwrap_or_else(PoisonError::into_inner);
        }
        state.waits.filter(|_| !state.ends)
    }

    /// Ends the wait for another word than `seen`. If there is a later one by now, what was found is nothing to it.
    fn fire(&self, seen: u64, is_gone: bool) {
        let mut state = self.state();
        if state.waits != Some(seen) || state.ends {
            return;
        }
        state.waits = None;
        state.gone = is_gone.then_some(seen);
        // It fails only where it is readable already.
        let _ = self.descriptor.write(1);
        let task = state.task.take();
        drop(state);
        // Not while the state is locked, because it is code of the program's: it may poll the task here and now, or drop
        // it, and the end with it. Nor may a panic of it end this thread.
        let _ = catch_unwind(AssertUnwindSafe(|| task.map(task::Waker::wake)));
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

/// Starts a thread in which signals are not handled, but those that its own accesses raise: the [guard](crate::guard)
/// needs them. The others are for threads of the program's own.
fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let mut blocked = SigSet::all();
    for raised in [
        Signal::SIGBUS,
        Signal::SIGFPE,
        Signal::SIGILL,
        Signal::SIGSEGV,
        Signal::SIGSYS,
        Signal::SIGTRAP,
    ] {
        blocked.remove(raised);
    }
    // Here, so that there is no moment in which it has not done it; it cannot fail.
    let before = blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let thread = thread::Builder::new().name("ringproof-wait".to_owned());
    let spawned = thread.spawn(work);
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
    spawned
}

/// The end's hold on the thread.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// The process that has the thread.
    owner: Process,
}

impl Proxy {
    /// The one that an end keeps, started at its first use.
    pub(super) fn kept(
        proxy: &mut Option<Proxy>,
        watched: impl FnOnce() -> Watched,
    ) -> Result<&Proxy, SegmentError> {
        match proxy {
            Some(proxy) => {
                proxy.shared.watched.segment.unless_inherited()?;
                Ok(proxy)
            }
            None => Ok(proxy.insert(Proxy::start(watched())?)),
        }
    }

    pub(super) fn start(watched: Watched) -> Result<Proxy, SegmentError> {
        watched.segment.unless_inherited()?;
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
            changed: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let thread = spawn(move || theirs.run())
            .map_err(SegmentError::system(&label, "start a thread to wait in"))?;
        Ok(Proxy {
            shared,
            thread: Some(thread),
            owner: Process::this(),
        })
    }

    /// Waits until the word is no longer this, and has `task` polled then; unless the peer was gone when a wait for
    /// the same ended.
    pub(super) fn arm<R, E>(
        &self,
        seen: u64,
        task: Option<&task::Waker>,
    ) -> Result<Option<R>, WaitError<E>> {
        // It is before the lock, so that the one that it takes the place of is dropped after it: see `fire`.
        let mut task = task.cloned();
        let mut state = self.shared.state();
        if state.gone.take() == Some(seen) {
            return Err(WaitError::PeerGone);
        }
        if task.is_some() {
            mem::swap(&mut state.task, &mut task);
        }
        if state.waits != Some(seen) {
            // Emptied before the thread can make it readable again; of a wait that is under way it is empty.
            let _ = self.shared.descriptor.read();
            state.waits = Some(seen);
            self.shared.changed.notify_one();
        }
        Ok(None)
    }
}

impl AsFd for Proxy {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.descriptor.as_fd()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("descriptor", &self.as_fd().as_raw_fd())
            .finish_non_exhaustive()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        if self.owner != Process::this() {
            // A forked child has no such thread, and may have its lock as it was. Another thread may be where it was: to
            // detach it, as dropping does, would be to detach that one.
            mem::forget(thread);
            return;
        }
        let mut state = self.shared.state();
        state.ends = true;
        self.shared.changed.notify_one();
        if thread.thread().id() == thread::current().id() {
            // A task is dropped that it wakes. It ends when it has done so.
            return;
        }
        while !state.has_ended && !thread.is_finished() {
            Native.wake(self.shared.watched.words().answers, WakeSite::WakeCall);
            // It may have been about to sleep: then that was too early.
            let waited = (self.shared.changed).wait_timeout(state, Duration::from_nanos(NAP));
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        // It cannot have panicked; and if it had, there would be nothing to do about it.
        let _ = thread.join();
    }
}
