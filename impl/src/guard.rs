//! The guard: a segment that was truncated becomes an error value instead of a death by SIGBUS.
//!
//! Whoever may write the file of a named segment may also truncate it, and the next access of
//! every process that maps it then raises SIGBUS. A library cannot decide what a signal does in
//! its program, so a *program* installs the guard, once and best at its start:
//!
//! ```
//! use ringproof::{PopError, Ring, RingOptions, guard};
//!
//! guard::install()?;
//! let name = format!("guarded-{}", std::process::id());
//! let ring = Ring::<u64>::create(&name, &RingOptions::new(8))?;
//! let mut consumer = ring.consumer()?;
//!
//! // Somebody else:
//! std::fs::OpenOptions::new().write(true).open(format!("/dev/shm/{name}"))?.set_len(0)?;
//!
//! assert!(matches!(consumer.pop(), Err(PopError::Corrupt(_))));
//! assert!(ring.segment().is_lost());
//! ring.segment().unlink()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What happens to a segment
//!
//! The first access to memory that is gone makes the mapping *lost*, the whole of it and for
//! good: it becomes private memory, which no other process sees, made so that what looks for the
//! other side finds an error.
//!
//! | operation | on a lost mapping |
//! | --- | --- |
//! | [`Producer`], [`Consumer`] looking for the other side, or [waiting](crate::wait) for it | `Corrupt` |
//! | [`SeqReader`] | [`Busy`], hence [`WriterStalled`] or [`WriterDead`] |
//! | [`LatchReader`] | [`Busy`], hence [`WriterStalled`] |
//! | a reader that [waits](crate::wait) | one more version, of which there is no value; then [`PeerGone`] |
//! | [`SeqWriter`], [`LatchWriter`] | cannot fail; what they write reaches nobody |
//! | a claim of a role, a new end, [`Segment::set_note`] | [`SegmentError::Lost`] |
//! | [`Segment::note`] | `None` |
//! | [`Segment::is_held`], [`Segment::unlink`] | as ever: they ask the file, not the mapping |
//!
//! **A batch at that moment, and those already known.** The operations have no check of their own
//! for this, so that they cost what they cost without a guard. A producer goes on until it has
//! used up the slots that it knew to be free, a consumer until it has taken the items that it
//! knew to be committed: at most `capacity` of them, and the items are zeros, or in the batch in
//! which it happened a mixture. So there is one rule:
//!
//! > What was taken from a segment counts if [`Segment::is_lost`] is false *after* it was taken.
//! > What was put into one reached nobody if it is true.
//!
//! **Two ends over one mapping**, of one [`Ring`] value for example, are threads of one process
//! that go on sharing the private memory. Once one of them has stored its own index, sequence or
//! version there, the other may take it for a true one, with slots that are zeros. Here only the
//! rule above helps. Ends in two processes, or of two values in one, do not meet this.
//!
//! # What it does not see
//!
//! Truncation that raises no signal: zeros up to the end of the page in which the file now ends,
//! and zeros everywhere if the file was truncated and made as long as before, or a hole was
//! punched into it, before anybody looked. To the structures this is a peer that writes zeros;
//! their checks are all there is. And a system call that is handed memory of the mapping
//! (slices from [`ReadChunk::as_slices`] can be) fails with `EFAULT`, without a signal.
//!
//! # Other signals and handlers
//!
//! Whatever else SIGBUS means (an address in no segment, an alignment error, a signal that a
//! process sent) goes to the handler that was installed before, with the same arguments; where
//! there was none the default action is restored, and the process dies as it would have. A
//! handler installed later has to do as much for this one. A thread that blocks SIGBUS dies of
//! it: the kernel does not wait with a fault.
//!
//! A shared library that has the guard in it, as a plugin can, is kept in the process from then on:
//! `dlclose` unloads it no more. The handler may be needed at any moment, and whoever came later may
//! have kept its address.
//!
//! At most [`MAPPINGS`] mappings of a process are guarded at a time. One more is made all the
//! same and works, but a fault in it is as without a guard; [`Segment::is_guarded`] tells. So is a
//! fault where the address space has no room for the mapping a second time, which the
//! replacement takes for a moment.
//!
//! # Why a signal handler may do this
//!
//! The handler runs at an access, in the midst of anything. It takes no lock, allocates from no
//! heap and calls nothing but `mmap`, `madvise`, `mremap`, `munmap` and `getpid`, which are plain
//! system calls; it keeps `errno`. What it has to know lies in a static table that is never
//! freed.
//!
//! *An entry is read whole or not at all.* Mappings of other threads come and go meanwhile. Each
//! entry has a state that counts its changes, and is read like a [seqlock](crate::seqlock). An
//! entry that is in change belongs to another mapping than the one that faulted: that one was
//! registered before its first use, and is unregistered after its last one and before it is
//! unmapped. For the same reason nobody unmaps it while the handler replaces it.
//!
//! *A thread sees all of the replacement or nothing.* The private memory is made elsewhere and
//! moved over the mapping by one `mremap`. Were it filled in place, another thread could meet
//! the zeros before the words and take them for a seqlock at rest. Two threads that fault at
//! once both replace it, with the same.
//!
//! *Who has read anything of the replacement sees the mapping lost.* The flag is set before the
//! move, and [`Segment::is_lost`] looks at it after a fence.
//!
//! [`Producer`]: crate::Producer
//! [`Consumer`]: crate::Consumer
//! [`SeqReader`]: crate::SeqReader
//! [`LatchReader`]: crate::LatchReader
//! [`SeqWriter`]: crate::SeqWriter
//! [`LatchWriter`]: crate::LatchWriter
//! [`Ring`]: crate::Ring
//! [`Busy`]: crate::Busy
//! [`WriterStalled`]: crate::ReadError::WriterStalled
//! [`WriterDead`]: crate::ReadError::WriterDead
//! [`PeerGone`]: crate::WaitError::PeerGone
//! [`SegmentError::Lost`]: crate::SegmentError::Lost
//! [`Segment::is_held`]: crate::Segment::is_held
//! [`Segment::is_guarded`]: crate::Segment::is_guarded
//! [`Segment::is_lost`]: crate::Segment::is_lost
//! [`Segment::note`]: crate::Segment::note
//! [`Segment::set_note`]: crate::Segment::set_note
//! [`Segment::unlink`]: crate::Segment::unlink
//! [`ReadChunk::as_slices`]: crate::ring::ReadChunk::as_slices
#![allow(
    clippy::disallowed_types,
    reason = "these words are this process's own, not a segment's"
)]

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use core::{mem, ptr};
use std::ffi::CStr;
use std::io;
use std::process;
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::errno::Errno;
use nix::libc;

use crate::layout::offset;

/// How many mappings of one process are guarded at a time.
pub const MAPPINGS: usize = 1024;

/// The guard could not be installed. The message says why, as that of
/// [`SegmentError::System`](crate::SegmentError::System) does.
#[derive(Debug, thiserror::Error)]
#[error("cannot install the guard against SIGBUS: {0}")]
pub struct GuardError(io::Error);

impl GuardError {
    /// The system's number for what it said.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.0.raw_os_error()
    }
}

/// What SIGBUS did before the guard was installed.
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();

/// Installs the guard, for the rest of the process's life and for every segment, attached before
/// or after. To call it again changes nothing.
///
/// It replaces the process's action for SIGBUS, and nobody else may do that at the same time.
///
/// # Errors
/// [`GuardError`] if the system refuses; then all is as it was, but that a shared library with this
/// code in it may have become one that stays.
pub fn install() -> Result<(), GuardError> {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if *installed {
        return Ok(());
    }
    pin()?;
    // Asked for and kept before ours takes its place, which needs it from then on.
    let found = exchange_action(None)?;
    let previous = PREVIOUS.get_or_init(|| found);
    let ours = libc::sigaction {
        sa_sigaction: on_sigbus as *const () as libc::sighandler_t,
        // As the previous handler wants to be called. On the alternate stack where the thread
        // has one: the ordinary one may be what is broken.
        sa_flags: (previous.sa_flags & !libc::SA_RESETHAND) | libc::SA_SIGINFO | libc::SA_ONSTACK,
        ..*previous
    };
    exchange_action(Some(&ours))?;
    *installed = true;
    Ok(())
}

/// Keeps the shared library that this code is in from being unloaded, if it is in one.
fn pin() -> Result<(), GuardError> {
    let code = on_sigbus as *const c_void;
    // The program's headers lie in the program itself.
    // SAFETY: it has no precondition, and says zero of what it does not know.
    let program = unsafe { libc::getauxval(libc::AT_PHDR) } as usize;
    let Some(object) = object_of(code) else {
        // A program that knows no objects, being linked statically, unloads none.
        return Ok(());
    };
    let program = object_of(ptr::without_provenance(program));
    if program.is_some_and(|program| program.dli_fbase == object.dli_fbase) {
        return Ok(());
    }
    let flags = libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE;
    // SAFETY: the name is the loader's own, of an object that is loaded, and stays so during this
    // call, which is made from it; nothing is loaded, so nothing of another one runs.
    let handle = unsafe { libc::dlopen(object.dli_fname, flags) };
    if handle.is_null() {
        // SAFETY: null, or a string that lasts until this thread's next call of that kind.
        let said = unsafe { libc::dlerror().as_ref().map(|said| CStr::from_ptr(said)) };
        let said = said.unwrap_or(c"dlopen does not find it").to_string_lossy();
        return Err(GuardError(io::Error::other(format!(
            "the shared library that it is in cannot be kept from being unloaded: {said}"
        ))));
    }
    Ok(())
}

/// What the loader knows of the object, program or shared library, that an address lies in.
fn object_of(address: *const c_void) -> Option<libc::Dl_info> {
    // SAFETY: the type is plain data of the C library, for which zeros are a value.
    let mut info: libc::Dl_info = unsafe { mem::zeroed() };
    // SAFETY: the address is looked up and not accessed; there is room for the answer.
    let found = unsafe { libc::dladdr(address, &mut info) };
    (found != 0 && !info.dli_fname.is_null()).then_some(info)
}

/// Sets what SIGBUS does, if that is given, and says what it did.
fn exchange_action(new: Option<&libc::sigaction>) -> Result<libc::sigaction, GuardError> {
    let new = new.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the type is plain data of the C library, for which zeros are a value.
    let mut old: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: `new` is null or a valid action, whose handler, ours, may run at any moment.
    Errno::result(unsafe { libc::sigaction(libc::SIGBUS, new, &mut old) })
        .map_err(|error| GuardError(error.into()))?;
    Ok(old)
}

extern "C" fn on_sigbus(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let errno = Errno::last_raw();
    // SAFETY: the kernel hands a handler with SA_SIGINFO a valid description of the signal.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr().addr()) };
    // Memory that is not there, or that the hardware lost. Others, such as an alignment error,
    // are not the mapping's fault; those that a process sent have no address.
    let of_memory = code == libc::BUS_ADRERR || code == libc::BUS_MCEERR_AR;
    let replaced = of_memory
        && find(&REGISTRY, process::id(), address)
            .is_some_and(|(entry, mapping)| replace(entry, mapping).is_ok());
    if !replaced {
        pass_on(signal, info, context, code);
    }
    Errno::set_raw(errno);
}

/// Does with a signal what would have been done with it without the guard.
fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void, code: c_int) {
    // The guard is installed after this was kept.
    let Some(previous) = PREVIOUS.get() else {
        return;
    };
    // Whether the kernel raised it at an instruction, which will raise it again.
    let repeats = code > 0 && code != libc::BUS_MCEERR_AO;
    match previous.sa_sigaction {
        libc::SIG_IGN if !repeats => {}
        // The kernel does not let a fault be ignored.
        libc::SIG_DFL | libc::SIG_IGN => {
            restore_default(signal);
            if !repeats {
                // SAFETY: it has no precondition. It arrives when this handler ends, or before.
                unsafe { libc::raise(signal) };
            }
        }
        handler => {
            if previous.sa_flags & libc::SA_RESETHAND != 0 {
                restore_default(signal);
            }
            if previous.sa_flags & libc::SA_SIGINFO != 0 {
                type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
                // SAFETY: an action with this flag holds a function of this type.
                let handler = unsafe { mem::transmute::<libc::sighandler_t, Handler>(handler) };
                handler(signal, info, context);
            } else {
                // SAFETY: an action without the flag holds a function of this type.
                let handler =
                    unsafe { mem::transmute::<libc::sighandler_t, extern "C" fn(c_int)>(handler) };
                handler(signal);
            }
        }
    }
}

fn restore_default(signal: c_int) {
    // SAFETY: zeros are a value of the type, and what it then says is the default action, SIG_DFL.
    // The call cannot fail for a signal that we had an action for.
    unsafe {
        let default: libc::sigaction = mem::zeroed();
        libc::sigaction(signal, &default, ptr::null_mut());
    }
}

/// A mapping that the guard knows, as its entry has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mapping {
    start: usize,
    len: usize,
    /// What the index words are to hold once it is lost.
    lost_index: u64,
}

/// A place in the registry. Its fields other than `state` and `lost` are stored only while it is
/// in change, and they are relaxed: the state orders them.
struct Entry {
    /// Modulo 4: [`FREE`], [`IN_CHANGE`] or [`IN_USE`]. It only grows.
    state: AtomicU64,
    start: AtomicUsize,
    len: AtomicUsize,
    lost_index: AtomicU64,
    /// The process that registered it. A forked child inherits the table, but not the mappings, at
    /// whose addresses it has [no access](crate::fork). (A pid is no identity; this
    /// one is compared with that of whoever inherited it.)
    owner: AtomicU32,
    lost: AtomicBool,
}

const FREE: u64 = 0;
const IN_CHANGE: u64 = 1;
const IN_USE: u64 = 2;

static REGISTRY: [Entry; MAPPINGS] = [const { Entry::new() }; MAPPINGS];

impl Entry {
    const fn new() -> Entry {
        Entry {
            state: AtomicU64::new(FREE),
            start: AtomicUsize::new(0),
            len: AtomicUsize::new(0),
            lost_index: AtomicU64::new(0),
            owner: AtomicU32::new(0),
            lost: AtomicBool::new(false),
        }
    }

    /// Takes the entry for `mapping`, unless it is taken.
    fn take(&self, owner: u32, mapping: Mapping) -> bool {
        let free = self.state.load(Ordering::Relaxed);
        let in_change = free + IN_CHANGE;
        if free % 4 != FREE
            // Acquire: after what the last user did with it.
            || (self.state)
                .compare_exchange(free, in_change, Ordering::Acquire, Ordering::Relaxed)
                .is_err()
        {
            return false;
        }
        // As in a seqlock: who reads one of the fields below finds the state changed.
        fence(Ordering::Release);
        self.start.store(mapping.start, Ordering::Relaxed);
        self.len.store(mapping.len, Ordering::Relaxed);
        self.lost_index.store(mapping.lost_index, Ordering::Relaxed);
        self.owner.store(owner, Ordering::Relaxed);
        self.lost.store(false, Ordering::Relaxed);
        self.state.store(free + IN_USE, Ordering::Release);
        true
    }

    /// The mapping, if one of `owner` was here all the time of this look.
    fn look(&self, owner: u32) -> Option<Mapping> {
        self.look_while(owner, || {})
    }

    /// [`look`](Self::look) with what happens in its midst, for a test.
    fn look_while(&self, owner: u32, meanwhile: impl FnOnce()) -> Option<Mapping> {
        let before = self.state.load(Ordering::Acquire);
        let mapping = Mapping {
            start: self.start.load(Ordering::Relaxed),
            len: self.len.load(Ordering::Relaxed),
            lost_index: self.lost_index.load(Ordering::Relaxed),
        };
        let found = self.owner.load(Ordering::Relaxed);
        meanwhile();
        fence(Ordering::Acquire);
        let after = self.state.load(Ordering::Relaxed);
        (before % 4 == IN_USE && before == after && found == owner).then_some(mapping)
    }
}

/// The entry of the mapping that `address` lies in.
fn find(
    registry: &'static [Entry],
    owner: u32,
    address: usize,
) -> Option<(&'static Entry, Mapping)> {
    registry.iter().find_map(|entry| {
        let mapping = entry.look(owner)?;
        let inside = address.wrapping_sub(mapping.start) < mapping.len;
        inside.then_some((entry, mapping))
    })
}

/// Puts private memory in the place of a mapping that is in use.
fn replace(entry: &Entry, mapping: Mapping) -> Result<(), Errno> {
    let start = ptr::with_exposed_provenance_mut::<c_void>(mapping.start);
    // SAFETY: a new mapping overlaps nothing. It is at least a header long, as the one registered
    // was, so both words lie in it, aligned. The move goes over a mapping that is this library's:
    // the entry was whole, and an access to its memory is what called us, so it is in use. All
    // references into it are to atomic words, and to slots that are read as plain bytes: they
    // stay valid, and see other values, as if a peer had written them.
    unsafe {
        // Without a reservation: the size of a large segment may not be there to be promised.
        let new = libc::mmap(
            ptr::null_mut(),
            mapping.len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        );
        if new == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        for offset in [offset::WRITE_INDEX, offset::READ_INDEX] {
            let word = new.byte_add(offset as usize).cast::<u64>();
            word.write(mapping.lost_index);
        }
        // SeqCst: before the memory is seen by anybody; see `Registration::is_lost`.
        entry.lost.store(true, Ordering::SeqCst);
        // As before, a forked child gets no mapping. Where that fails, the move is what matters.
        // (One that is forked just now gets a page without access in its place all the same.)
        libc::madvise(new, mapping.len, libc::MADV_DONTFORK);
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        if libc::mremap(new, mapping.len, mapping.len, flags, start) == libc::MAP_FAILED {
            let error = Errno::last();
            libc::munmap(new, mapping.len);
            return Err(error);
        }
    }
    Ok(())
}

/// An entry of the registry, given back when this is dropped.
pub(crate) struct Registration(&'static Entry);

impl Registration {
    /// Registers a mapping of `len` bytes at `start`, at least a header, which this library made
    /// and which outlives the registration. `None` if the registry is full.
    ///
    /// `lost_index` is what its index words are to hold once it is lost.
    pub(crate) fn new(start: *mut u8, len: usize, lost_index: u64) -> Option<Registration> {
        let mapping = Mapping {
            start: start.expose_provenance(),
            len,
            lost_index,
        };
        Registration::within(&REGISTRY, mapping)
    }

    fn within(registry: &'static [Entry], mapping: Mapping) -> Option<Registration> {
        let owner = process::id();
        let entry = registry.iter().find(|entry| entry.take(owner, mapping))?;
        Some(Registration(entry))
    }

    /// Whether the mapping was lost before anything that the caller has read from it.
    pub(crate) fn is_lost(&self) -> bool {
        // Acquire: what was read from the mapping was read before the flag is. Who read from the
        // private memory read it after the system call that put it there, and so after the store.
        fence(Ordering::Acquire);
        self.0.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // Release: after all that was done with the mapping. From here on it may be unmapped.
        let free = self.0.state.load(Ordering::Relaxed) - IN_USE + 4;
        self.0.state.store(free, Ordering::Release);
    }
}

impl core::fmt::Debug for Registration {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Registration")
            .field("lost", &self.is_lost())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;

    const fn mapping(start: usize) -> Mapping {
        Mapping {
            start,
            len: 4096,
            lost_index: start as u64,
        }
    }

    #[test]
    fn an_address_is_found_in_its_mapping_and_nowhere_else() {
        static REGISTRY: [Entry; 3] = [const { Entry::new() }; 3];
        let owner = process::id();
        let place = |address| find(&REGISTRY, owner, address).map(|(_, mapping)| mapping.start);
        let first = Registration::within(&REGISTRY, mapping(0x1000)).unwrap();
        let _second = Registration::within(&REGISTRY, mapping(0x8000)).unwrap();
        for (address, found) in [
            (0, None),
            (0xfff, None),
            (0x1000, Some(0x1000)),
            (0x1fff, Some(0x1000)),
            (0x2000, None),
            (0x8fff, Some(0x8000)),
            (usize::MAX, None),
        ] {
            assert_eq!(place(address), found, "{address:#x}");
        }
        drop(first);
        assert_eq!(place(0x1000), None);
        assert!(find(&REGISTRY, owner + 1, 0x8000).is_none());
    }

    #[test]
    fn a_full_registry_refuses_and_what_was_given_back_is_taken_again() {
        static REGISTRY: [Entry; 2] = [const { Entry::new() }; 2];
        let take = |start| Registration::within(&REGISTRY, mapping(start));
        let _kept = take(0x1000).unwrap();
        for round in 0..10_000 {
            let other = take(0x8000).unwrap_or_else(|| panic!("leaked in round {round}"));
            other.0.lost.store(true, Ordering::Relaxed);
            assert!(take(0x10000).is_none());
            drop(other);
            assert!(!take(0x8000).unwrap().is_lost());
        }
    }

    #[test]
    fn an_entry_that_changes_during_a_look_is_not_seen() {
        static REGISTRY: [Entry; 1] = [const { Entry::new() }];
        let owner = process::id();
        let take = |start| Registration::within(&REGISTRY, mapping(start)).unwrap();
        let held = Cell::new(Some(take(0x1000)));
        let look = |meanwhile: &dyn Fn()| REGISTRY[0].look_while(owner, meanwhile);
        assert_eq!(look(&|| ()), Some(mapping(0x1000)));
        let replaced = look(&|| {
            held.take();
            held.set(Some(take(0x8000)));
        });
        assert_eq!(replaced, None);
        assert_eq!(look(&|| ()), Some(mapping(0x8000)));
        assert_eq!(look(&|| drop(held.take())), None);
        assert_eq!(look(&|| held.set(Some(take(0x1000)))), None);
    }
}
