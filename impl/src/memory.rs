//! The accesses to shared memory: the [`Memory`] trait and its production form, [`Native`].
//!
//! Every algorithm in this crate is generic over [`Memory`] and makes each access through it,
//! naming a [site](crate::site). The harness implements the same trait with a model checker's
//! atomics, with a counter that kills the process, with an adversary; what it runs is the
//! source that ships.
//!
//! This is the only module that knows `core::sync::atomic` and `UnsafeCell`, but for the
//! [guard](crate::guard), which shares atomics with nobody but its own process.
#![allow(
    clippy::disallowed_types,
    reason = "the one module that accesses what is shared; the ban exists to send everyone here"
)]

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering, compiler_fence, fence};

use crate::payload::Payload;
use crate::site::{
    BarrierSite, FenceOrdering, FenceSite, LoadOrdering, LoadSite, SlotReadSite, SlotWriteSite,
    StoreOrdering, StoreSite, WaitSite, WakeSite,
};

/// The types that shared words and slots have under one kind of memory.
///
/// Parts of a structure are generic over `Cells`, endpoints over [`Memory`]: memories that
/// share their cells (an ordinary one and one that dies at its n-th access) can meet over the
/// same structure.
pub trait Cells: 'static {
    /// A shared 64-bit word, accessed atomically.
    type Word: Send + Sync;
    /// A shared slot that holds one item, accessed as plain memory.
    type Slot<T: Payload>: Send + Sync;

    /// A word of its own, outside any segment, that holds `value`.
    fn word(value: u64) -> Self::Word;
    /// A slot of its own, outside any segment, that holds `value`.
    fn slot<T: Payload>(value: T) -> Self::Slot<T>;
}

/// The cells of a memory.
pub type CellsOf<M> = <M as Memory>::Cells;
/// A shared word of a memory.
pub type WordOf<M> = <CellsOf<M> as Cells>::Word;
/// A shared slot of a memory.
pub type SlotOf<M, T> = <CellsOf<M> as Cells>::Slot<T>;

/// The accesses that an algorithm makes to shared memory, each at a named site.
///
/// An endpoint owns its memory by value, so that two endpoints of one structure may differ in
/// how they access it; [`Native`] has no size. The implementation takes the ordering of an
/// access from its site.
pub trait Memory {
    /// The types of the words and slots that this memory accesses.
    type Cells: Cells;

    /// Loads a word.
    fn load(&self, word: &WordOf<Self>, site: LoadSite) -> u64;
    /// Stores a word.
    fn store(&self, word: &WordOf<Self>, value: u64, site: StoreSite);
    /// Stores a word unless it holds more, in one step: of several who store to one word none takes back what another one
    /// has stored.
    fn raise(&self, word: &WordOf<Self>, value: u64, site: StoreSite);
    /// A fence.
    fn fence(&self, site: FenceSite);

    /// Loads `from` into `to`, each word atomically, in any order among them. Copies as many
    /// words as the shorter one has.
    fn load_words(&self, from: &[WordOf<Self>], to: &mut [[u8; 8]], site: LoadSite);
    /// Stores `from` to `to`, each word atomically, in any order among them. Copies as many
    /// words as the shorter one has.
    fn store_words(&self, to: &[WordOf<Self>], from: &[[u8; 8]], site: StoreSite);

    /// Reads the items of `from` into `to`. Copies as many items as the shorter one has.
    ///
    /// # Safety
    /// No other thread writes any of these slots concurrently.
    unsafe fn read_slots<T: Payload>(
        &self,
        from: &[SlotOf<Self, T>],
        to: &mut [T],
        site: SlotReadSite,
    );
    /// Writes the items of `from` to `to`. Copies as many items as the shorter one has.
    ///
    /// # Safety
    /// No other thread reads or writes any of these slots concurrently.
    unsafe fn write_slots<T: Payload>(
        &self,
        to: &[SlotOf<Self, T>],
        from: &[T],
        site: SlotWriteSite,
    );

    /// Says that this thread is going to write these slots soon. It changes nothing that anybody
    /// can see; most memories have no use for it.
    #[inline(always)]
    fn prepare_slots<T: Payload>(&self, slots: &[SlotOf<Self, T>]) {
        let _ = slots;
    }

    /// Says that this thread is going to read these slots, the first one at once. Like
    /// [`prepare_slots`](Self::prepare_slots) it changes nothing.
    #[inline(always)]
    fn expect_slots<T: Payload>(&self, slots: &[SlotOf<Self, T>]) {
        let _ = slots;
    }

    /// Says that this thread is going to read this slot as soon as it holds an item.
    #[inline(always)]
    fn await_slot<T: Payload>(&self, slot: &[SlotOf<Self, T>]) {
        let _ = slot;
    }

    /// How many bytes of slots are worth preparing, or expecting, at a time.
    const AHEAD: usize = usize::MAX;

    /// Makes every other thread go through a fence, wherever it is, if a barrier [reaches](Self::is_reached) it; and
    /// this thread as well. `false`, and nothing was done, if the system does not let it.
    fn barrier(&self, site: BarrierSite) -> bool;
    /// Whether the barriers of others reach this thread. The answer stays what it is.
    fn is_reached(&self) -> bool;
    /// Sleeps until it is [woken](Self::wake) by `word`, if the low 32 bits of the word are still those of `value`, and
    /// for at most `nanos`. It may wake up without a reason.
    fn wait(&self, word: &WordOf<Self>, value: u64, nanos: u64, site: WaitSite) -> Slept;
    /// Wakes all threads that sleep on `word`.
    fn wake(&self, word: &WordOf<Self>, site: WakeSite);

    /// Tells the processor, or the model checker, that this thread waits for another one.
    fn spin(&self);

    /// How often at most a wait calls [`spin`](Self::spin) between two looks: once where one is as good as many, as
    /// in a model checker.
    const SPINS: u32 = 1;
}

/// How a [sleep](Memory::wait) ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slept {
    /// It was woken, did not fall asleep because the word had changed, or woke up without a reason.
    Woken,
    /// The time is over.
    TimedOut,
    /// A signal was handled.
    Interrupted,
    /// The system does not let it sleep.
    Refused,
}

/// The machine's own memory: each access is one instruction, its ordering known at compile time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Native;

/// Bytes of a cache line, on the processors for which it matters here.
const LINE: usize = 64;

/// Asks for a cache line as one that will be written.
#[inline(always)]
fn prefetch_for_write(line: *const u8) {
    // Miri runs no assembly. Processors too old for the instruction take it for a no-op.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch is a hint: it reads and writes nothing that the program can see, and
    // faults for no address.
    unsafe {
        core::arch::asm!(
            "prefetchw [{line}]",
            line = in(reg) line,
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = line;
}

/// Asks for a cache line as one that will be read.
#[inline(always)]
fn prefetch_for_read(line: *const u8) {
    // Miri runs no assembly.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: as in `prefetch_for_write`.
    unsafe {
        core::arch::asm!(
            "prefetcht0 [{line}]",
            line = in(reg) line,
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = line;
}

/// A 64-bit word in shared memory.
///
/// It is 8-byte aligned also where `u64` is not, so it never straddles a cache line and a
/// store never tears. It can be accessed only through [`Memory`].
#[derive(Debug)]
#[repr(transparent)]
pub struct Word(AtomicU64);

#[cfg(feature = "std")]
impl Word {
    /// Where its low 32 bits lie, for the kernel, which compares no more.
    fn low_half(&self) -> *mut u32 {
        let first = self.0.as_ptr().cast::<u32>();
        first.wrapping_add(usize::from(cfg!(target_endian = "big")))
    }
}

/// A slot in shared memory: the bytes of one item. It can be accessed only through [`Memory`].
#[derive(Debug)]
#[repr(transparent)]
pub struct Slot<T>(UnsafeCell<T>);

// SAFETY: a slot is accessed only through `Memory::read_slots` and `write_slots`, whose callers
// promise that no access to it races; a payload is plain bytes that any thread may hold.
unsafe impl<T: Payload> Sync for Slot<T> {}

impl Cells for Native {
    type Word = Word;
    type Slot<T: Payload> = Slot<T>;

    fn word(value: u64) -> Word {
        Word(AtomicU64::new(value))
    }

    fn slot<T: Payload>(value: T) -> Slot<T> {
        Slot(UnsafeCell::new(value))
    }
}

// Sites are constants wherever an algorithm names one, so each `match` below is decided by the
// compiler: ci/asm.sh checks the result.
impl Memory for Native {
    type Cells = Native;

    #[inline(always)]
    fn load(&self, word: &Word, site: LoadSite) -> u64 {
        match site.ordering() {
            LoadOrdering::Relaxed => word.0.load(Ordering::Relaxed),
            LoadOrdering::Acquire => word.0.load(Ordering::Acquire),
        }
    }

    #[inline(always)]
    fn store(&self, word: &Word, value: u64, site: StoreSite) {
        match site.ordering() {
            StoreOrdering::Relaxed => word.0.store(value, Ordering::Relaxed),
            StoreOrdering::Release => word.0.store(value, Ordering::Release),
        }
    }

    fn raise(&self, word: &Word, value: u64, site: StoreSite) {
        let ordering = match site.ordering() {
            StoreOrdering::Relaxed => Ordering::Relaxed,
            StoreOrdering::Release => Ordering::Release,
        };
        word.0.fetch_max(value, ordering);
    }

    #[inline(always)]
    fn fence(&self, site: FenceSite) {
        match site.ordering() {
            FenceOrdering::Acquire => fence(Ordering::Acquire),
            FenceOrdering::Release => fence(Ordering::Release),
            FenceOrdering::SeqCst => fence(Ordering::SeqCst),
            // What the processor may still move, the other thread's barrier keeps in its place.
            FenceOrdering::Light => compiler_fence(Ordering::SeqCst),
        }
    }

    #[inline(always)]
    fn load_words(&self, from: &[Word], to: &mut [[u8; 8]], site: LoadSite) {
        for (word, bytes) in from.iter().zip(to) {
            *bytes = self.load(word, site).to_ne_bytes();
        }
    }

    #[inline(always)]
    fn store_words(&self, to: &[Word], from: &[[u8; 8]], site: StoreSite) {
        for (word, bytes) in to.iter().zip(from) {
            self.store(word, u64::from_ne_bytes(*bytes), site);
        }
    }

    #[inline(always)]
    unsafe fn read_slots<T: Payload>(&self, from: &[Slot<T>], to: &mut [T], _: SlotReadSite) {
        let count = from.len().min(to.len());
        // SAFETY: both slices hold at least `count` items; `Slot<T>` has the layout of `T`; the
        // caller promises that nobody writes these slots now, and `to` is borrowed exclusively,
        // so it cannot overlap them.
        unsafe {
            core::ptr::copy_nonoverlapping(from.as_ptr().cast::<T>(), to.as_mut_ptr(), count);
        }
        // A peer that breaks the protocol may write the slot again. The copy in `to` must stay
        // the one that was read: the compiler may not go back to the slot for it later.
        compiler_fence(Ordering::SeqCst);
    }

    #[inline(always)]
    unsafe fn write_slots<T: Payload>(&self, to: &[Slot<T>], from: &[T], _: SlotWriteSite) {
        let count = to.len().min(from.len());
        let first = UnsafeCell::raw_get(to.as_ptr().cast::<UnsafeCell<T>>());
        // SAFETY: both slices hold at least `count` items; `Slot<T>` is an `UnsafeCell<T>`, so a
        // pointer derived from the whole slice may write all of it; the caller promises that
        // nobody else accesses these slots now.
        unsafe {
            core::ptr::copy_nonoverlapping(from.as_ptr(), first, count);
        }
    }

    /// Asks for the cache lines of the first kibibyte as the writer's own. Their last
    /// reader holds them: fetched one by one when they are stored to, each costs its whole way
    /// between two cores; asked for beforehand they travel together, and while the items are made.
    #[inline(always)]
    fn prepare_slots<T: Payload>(&self, slots: &[Slot<T>]) {
        let first = slots.as_ptr().cast::<u8>();
        for offset in (0..size_of_val(slots).min(Self::AHEAD)).step_by(LINE) {
            prefetch_for_write(first.wrapping_add(offset));
        }
    }

    /// Asks for the cache lines of the first kibibyte but the first one, which is read at once.
    #[inline(always)]
    fn expect_slots<T: Payload>(&self, slots: &[Slot<T>]) {
        let first = slots.as_ptr().cast::<u8>();
        for offset in (0..size_of_val(slots).min(Self::AHEAD))
            .step_by(LINE)
            .skip(1)
        {
            prefetch_for_read(first.wrapping_add(offset));
        }
    }

    /// Asks for it if it is one line: lines of a longer one would be drawn away from who writes it.
    #[inline(always)]
    fn await_slot<T: Payload>(&self, slot: &[Slot<T>]) {
        if size_of::<T>() <= LINE {
            prefetch_for_read(slot.as_ptr().cast());
        }
    }

    // A core has between 10 and 24 requests for lines under way.
    const AHEAD: usize = 16 * LINE;

    #[cfg(feature = "std")]
    fn barrier(&self, _: BarrierSite) -> bool {
        crate::kernel::barrier()
    }

    #[cfg(feature = "std")]
    fn is_reached(&self) -> bool {
        crate::kernel::is_registered()
    }

    #[cfg(feature = "std")]
    fn wait(&self, word: &Word, value: u64, nanos: u64, _: WaitSite) -> Slept {
        use nix::errno::Errno::{EAGAIN, EINTR, ETIMEDOUT};
        match crate::kernel::wait(word.low_half(), value as u32, nanos) {
            Ok(()) | Err(EAGAIN) => Slept::Woken,
            Err(ETIMEDOUT) => Slept::TimedOut,
            Err(EINTR) => Slept::Interrupted,
            Err(_) => Slept::Refused,
        }
    }

    #[cfg(feature = "std")]
    fn wake(&self, word: &Word, _: WakeSite) {
        crate::kernel::wake(word.low_half());
    }

    // Without an operating system nothing sleeps, and nothing has to be woken.
    #[cfg(not(feature = "std"))]
    fn barrier(&self, _: BarrierSite) -> bool {
        false
    }

    #[cfg(not(feature = "std"))]
    fn is_reached(&self) -> bool {
        true
    }

    #[cfg(not(feature = "std"))]
    fn wait(&self, _: &Word, _: u64, _: u64, _: WaitSite) -> Slept {
        Slept::Refused
    }

    #[cfg(not(feature = "std"))]
    fn wake(&self, _: &Word, _: WakeSite) {}

    #[inline(always)]
    fn spin(&self) {
        core::hint::spin_loop();
    }

    const SPINS: u32 = u32::MAX;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_native_memory_and_its_cells_add_nothing() {
        assert_eq!(size_of::<Native>(), 0);
        assert_eq!((size_of::<Word>(), align_of::<Word>()), (8, 8));
        assert_eq!(
            (size_of::<Slot<[u8; 3]>>(), align_of::<Slot<[u8; 3]>>()),
            (3, 1)
        );
    }

    #[test]
    fn bulk_copies_stop_at_the_shorter_side() {
        let words = [Native::word(1), Native::word(2)];
        let mut three = [[9; 8]; 3];
        Native.load_words(&words, &mut three, LoadSite::SeqCopyOut);
        assert_eq!(three, [1u64.to_ne_bytes(), 2u64.to_ne_bytes(), [9; 8]]);

        let slots = [Native::slot(1u32), Native::slot(2)];
        let mut one = [0u32];
        // SAFETY: one thread, no concurrent access.
        unsafe {
            Native.write_slots(&slots, &[7, 8, 9], SlotWriteSite::RingFill);
            Native.read_slots(&slots, &mut one, SlotReadSite::RingTake);
        }
        assert_eq!(one, [7]);
    }
}
