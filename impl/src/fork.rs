//! What a forked child has of its parent's segments: their addresses, and no access there.
//!
//! A child that went on with an end of its parent's would be the second holder of one role. So
//! the mappings are kept from it, and two things are said to it instead:
//!
//! - What touches the mapping and can fail is [`SegmentError::Forked`]: a claim, a new end, a
//!   note, an unlink. It attaches anew, by name or by [descriptor](crate::Segment::descriptor).
//! - What cannot, or must not cost a look, faults: the child dies of SIGSEGV. These are the
//!   operations of the ends themselves. [`Segment::is_inherited`] tells before.
//!
//! To drop what was inherited is fine, and takes nothing from the parent.
//!
//! # How
//!
//! `MADV_DONTFORK` alone leaves a *hole* where the mapping was, and what the child maps next may
//! come to lie there: a large block of its heap, a thread's stack. An end would write into that,
//! and say that all is well. So handlers of `pthread_atfork` put a page without access to every
//! address:
//!
//! 1. Before the fork: the list of mappings is locked, so that none comes or goes, and all of
//!    them are marked to be inherited after all (`MADV_DOFORK`).
//! 2. In the parent: they are marked as they were.
//! 3. In the child: each is replaced, in one step, by memory without access.
//!
//! They are inherited for that moment because the child's handler may not be its first: one that
//! was registered before runs before it, and may map something or start a thread (gRPC's does). A
//! hole could be filled by then; what is mapped cannot.
//!
//! Nothing is allocated and no other lock is taken while the list is locked, and the child's
//! handler makes system calls alone, so a fork in a process of many threads is safe, whatever
//! the others are in the midst of. There are two exceptions, in which threads may wait for each
//! other, or for themselves, for ever:
//!
//! - A signal handler that forks, where it interrupts its own thread while that attaches or drops
//!   a segment.
//! - A program's own handler of `pthread_atfork` that attaches or drops segments, or waits for a lock
//!   under which other threads do. It must be registered after the first segment was attached: then
//!   it runs while the list is not locked.
//!
//! For another reason, too, a handler in the child that uses what it inherited must be registered
//! after that: before the third step an end of the parent's would still work there.
//!
//! # What makes no fork
//!
//! `vfork`, `posix_spawn` and what is made of it (`system`, `popen`, usually
//! [`Command`](std::process::Command)) run in the parent's own memory until another program
//! starts: nothing is inherited, and nothing changes. A bare `clone`, or `_Fork`, runs no handler:
//! its child has the hole. What can fail is refused there, too, because the pid is another; but it
//! must not touch an end.
//!
//! [`SegmentError::Forked`]: crate::SegmentError::Forked
//! [`Segment::is_inherited`]: crate::Segment::is_inherited
#![allow(
    clippy::disallowed_types,
    reason = "these words are this process's own, not a segment's"
)]

use core::cell::UnsafeCell;
use core::ffi::{c_int, c_void};
use core::mem::{self, ManuallyDrop};
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::io;
use std::ops::Deref;
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use memmap2::{Advice, MmapRaw};
use nix::libc;

/// How many forks lie between this process and the first one that had this library.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// A process, distinguished from those that it forks. Neither half does alone: a child that is the first
/// of a pid namespace has its parent's pid if that is the first of another, and a bare `clone`
/// counts no generation. (Nor is this an identity for long, but a child has its own before its
/// parent can be dead.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pid: u32,
    generation: u64,
}

impl Process {
    pub(crate) fn this() -> Process {
        Process {
            pid: process::id(),
            generation: GENERATION.load(Ordering::Relaxed),
        }
    }

    /// Whether this process was forked from that one. Without a system call, and so blind for
    /// a bare `clone`.
    pub(crate) fn has_forked_this(self) -> bool {
        self.generation != GENERATION.load(Ordering::Relaxed)
    }
}

/// A mapping of a segment, which a forked child has without access.
#[derive(Debug)]
pub(crate) struct Mapping {
    map: ManuallyDrop<MmapRaw>,
    /// That made it.
    process: Process,
}

impl Mapping {
    /// Keeps a new mapping from forked children. One that is forked before this is done has it,
    /// but nobody there knows where.
    pub(crate) fn new(map: MmapRaw) -> io::Result<Mapping> {
        watch_forks()?;
        map.advise(Advice::DontFork)?;
        let process = Process::this();
        insert(Entry {
            start: map.as_mut_ptr().expose_provenance(),
            len: map.len(),
            process,
            shut: false,
        });
        Ok(Mapping {
            map: ManuallyDrop::new(map),
            process,
        })
    }

    /// The process that made it.
    pub(crate) fn process(&self) -> Process {
        self.process
    }
}

impl Deref for Mapping {
    type Target = MmapRaw;

    fn deref(&self) -> &MmapRaw {
        &self.map
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let this = Process::this();
        // Before it is unmapped: else a fork in between would put its pages over what another
        // thread has mapped there since.
        let start = self.map.as_mut_ptr().addr();
        let mut list = lock();
        let is_this = |entry: &Entry| entry.start == start && entry.process == self.process;
        let place = list.iter().position(is_this);
        let entry = place.map(|place| list.swap_remove(place));
        drop(list);
        // After a bare `clone` there may be anything.
        if entry.is_some_and(|entry| entry.shut || entry.process == this) {
            // SAFETY: once, at the end.
            unsafe { ManuallyDrop::drop(&mut self.map) };
        }
    }
}

/// A mapping in the list.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    len: usize,
    /// That made it.
    process: Process,
    /// Whether there is memory without access in its place, because this process was forked from
    /// that one.
    shut: bool,
}

/// Every mapping of this process, in no order.
static LIST: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

/// Locks it. Not before the handlers are registered: a child that was forked while another thread
/// had it locked would wait for ever.
fn lock() -> MutexGuard<'static, Vec<Entry>> {
    LIST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds to the list. Memory is had and given back while it is not locked: an allocator may hold a
/// lock of its own across a fork, as this does, and the two must not wait for each other.
fn insert(entry: Entry) {
    let mut room = Vec::new();
    loop {
        let mut list = lock();
        if list.capacity() == list.len() && room.capacity() > list.len() {
            room.append(&mut list);
            mem::swap(&mut *list, &mut room);
        }
        if list.capacity() > list.len() {
            list.push(entry);
            drop(list);
            return;
        }
        let wanted = (2 * list.len()).max(16);
        drop(list);
        room = Vec::with_capacity(wanted);
    }
}

/// The handlers are registered. Otherwise the pid of who is at it, or [`NOBODY`].
const DONE: u32 = u32::MAX;
const NOBODY: u32 = 0;

static HANDLERS: AtomicU32 = AtomicU32::new(NOBODY);

/// Registers the handlers, once for the process and all that it forks.
fn watch_forks() -> io::Result<()> {
    // No lock, because a child may be forked while another thread of its parent is at it. It finds
    // a pid that is not its own: the handlers are not registered, as a rule. If they were, one of
    // them has marked it, unless the fork had begun before: then they are registered twice, which
    // they bear.
    loop {
        let found = HANDLERS.load(Ordering::Acquire);
        let this = process::id();
        if found == DONE {
            return Ok(());
        }
        if found == this {
            thread::yield_now();
            continue;
        }
        let taken = HANDLERS.compare_exchange(found, this, Ordering::Acquire, Ordering::Relaxed);
        if taken.is_err() {
            continue;
        }
        // SAFETY: these are functions without arguments that may be called at any fork, by the
        // thread that forks. They are in this object, with which they are taken back if it is
        // unloaded.
        let error = unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
        let outcome = if error == 0 { DONE } else { NOBODY };
        HANDLERS.store(outcome, Ordering::Release);
        return if error == 0 {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(error))
        };
    }
}

/// The list, locked by the process that forks.
struct Forking {
    list: MutexGuard<'static, Vec<Entry>>,
    parent: Process,
}

impl Forking {
    /// The mappings of the process that forks. Where another one's was, as that of the process that
    /// made this one by a bare `clone`, there may be anything by now.
    fn mappings(&mut self) -> impl Iterator<Item = &mut Entry> {
        let parent = self.parent;
        let is_own = move |entry: &&mut Entry| entry.process == parent;
        self.list.iter_mut().filter(is_own)
    }

    /// Says of each of them whether a child inherits it.
    fn advise(&mut self, advice: c_int) {
        for entry in self.mappings() {
            let start = ptr::with_exposed_provenance_mut::<c_void>(entry.start);
            // Where it fails, there is a hole until the child's handler fills it: as good as can
            // be.
            // SAFETY: the mapping is this library's: it leaves the list before it is unmapped.
            // Neither advice changes what it holds.
            unsafe { libc::madvise(start, entry.len, advice) };
        }
    }
}

/// That from before a fork until after it.
struct Held(UnsafeCell<Option<Forking>>);

// SAFETY: only the handlers access it, and only while the list is locked by the thread that runs
// them: the C library runs those after a fork only if it has run the one before it.
unsafe impl Sync for Held {}

static HELD: Held = Held(UnsafeCell::new(None));

/// Keeps the list locked beyond the end of a handler.
fn hold(forking: Forking) {
    // SAFETY: this thread has the list locked, so no other is here or in `held`.
    unsafe { *HELD.0.get() = Some(forking) };
}

/// What this thread has kept locked. (The child's only thread is the copy of the one that forked.)
fn held() -> Option<Forking> {
    // SAFETY: this is called after a fork, by the thread that has called `hold` before it and
    // holds the lock since; or once more, by the only thread of a child.
    unsafe { (*HELD.0.get()).take() }
}

/// The kernel's number of the thread that has the list locked for a fork, or [`NOBODY`]. By it a
/// handler that is registered twice knows that it has run: a thread finds its own number here only if
/// it has stored it.
static FORKING: AtomicU32 = AtomicU32::new(NOBODY);

fn this_thread() -> u32 {
    // SAFETY: it has no precondition.
    unsafe { libc::gettid() }.cast_unsigned()
}

extern "C" fn before() {
    if FORKING.load(Ordering::Relaxed) == this_thread() {
        return;
    }
    let mut forking = Forking {
        list: lock(),
        parent: Process::this(),
    };
    forking.advise(libc::MADV_DOFORK);
    hold(forking);
    FORKING.store(this_thread(), Ordering::Relaxed);
}

extern "C" fn in_parent() {
    // Otherwise it has run, and another thread may be in a fork by now.
    if FORKING.load(Ordering::Relaxed) != this_thread() {
        return;
    }
    FORKING.store(NOBODY, Ordering::Relaxed);
    if let Some(mut forking) = held() {
        forking.advise(libc::MADV_DONTFORK);
    }
}

extern "C" fn in_child() {
    FORKING.store(NOBODY, Ordering::Relaxed);
    // Also where the thread that registers it has not come to say so.
    HANDLERS.store(DONE, Ordering::Relaxed);
    GENERATION.fetch_add(1, Ordering::Relaxed);
    if let Some(mut forking) = held() {
        forking.mappings().for_each(shut);
    }
}

/// Puts memory without access in the place of an inherited mapping.
fn shut(entry: &mut Entry) {
    entry.shut = true;
    let start = ptr::with_exposed_provenance_mut::<c_void>(entry.start);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
    // SAFETY: what lies there is the parent's mapping, which only this library's ends and segments
    // point to; what they have of it are references to atomic words and to slots, and an access
    // through them faults, which is what is wanted. No other thread runs here.
    unsafe {
        let new = libc::mmap(start, entry.len, libc::PROT_NONE, flags, -1, 0);
        if new == libc::MAP_FAILED {
            // There is no memory for one more mapping. This keeps the segment's memory allocated
            // as long as the child lives, but nobody gets there.
            libc::mprotect(start, entry.len, libc::PROT_NONE);
        }
    }
}

#[cfg(test)]
#[path = "../tests/common/deadline.rs"]
#[allow(dead_code, unreachable_pub, reason = "its file is the harness's")]
mod deadline;

#[cfg(test)]
mod tests {
    use std::sync::{TryLockError, mpsc};

    use super::*;

    #[test]
    fn a_list_that_grows_and_shrinks_has_what_was_not_taken_back() {
        // No fork looks at them: they are of no process.
        let process = Process {
            pid: 0,
            generation: 0,
        };
        let starts = || {
            let list = lock();
            let own = list.iter().filter(|entry| entry.process == process);
            own.map(|entry| entry.start).collect::<Vec<_>>()
        };
        for start in 1..=1000 {
            insert(Entry {
                start,
                len: 0,
                process,
                shut: false,
            });
        }
        assert_eq!(starts(), (1..=1000).collect::<Vec<_>>());
        lock().retain(|entry| entry.process != process);
        assert!(starts().is_empty());
    }

    #[test]
    fn handlers_that_are_registered_twice_lock_once() {
        let (answer, answered) = mpsc::channel();
        let forks = thread::spawn(move || {
            before();
            before();
            in_parent();
            // Another thread forks before the second one has run.
            let (end, until) = mpsc::channel::<()>();
            let (locked, is_locked) = mpsc::channel();
            let other = thread::spawn(move || {
                before();
                let _ = locked.send(());
                let _ = until.recv();
                let outcome = LIST.try_lock().map(drop);
                let kept = matches!(outcome, Err(TryLockError::WouldBlock));
                in_parent();
                kept
            });
            let _ = is_locked.recv();
            in_parent();
            drop(end);
            let _ = answer.send(other.join().expect("the other thread"));
        });
        match answered.recv_timeout(deadline::seconds(60)) {
            Ok(kept) => assert!(kept, "it has unlocked what another thread has locked"),
            Err(error) => {
                // No panic: all other tests would wait for the list.
                eprintln!("a thread that forks waits for itself: {error}");
                process::exit(101);
            }
        }
        forks.join().expect("the thread");
    }
}
