//! A memory with hooks around its accesses: a harness says what happens at which of them, and
//! leaves the rest to the memory beneath.

use core::slice;

use crate::memory::{Memory, Slept, SlotOf, WordOf};
use crate::payload::Payload;
use crate::site::{
    BarrierSite, FenceSite, LoadSite, Site, SlotReadSite, SlotWriteSite, StoreSite, WaitSite,
    WakeSite,
};

/// What happens around the accesses of an [`Interposed`] memory: nothing, but for the hooks that
/// are written.
pub trait Hooks<M: Memory> {
    /// Whether what is accessed in one call is accessed piece by piece, each an access of its own:
    /// copies of words word by word, slots that are read one by one, slots that are written a
    /// word at a time (with the words whose turn has not come as they were). Else such a call
    /// is one access.
    const PIECEWISE: bool = false;

    /// Before an access to `count` words or slots. A store or a write of slots is not made where
    /// this says `false`; all other accesses are made whatever it says.
    fn before(&self, memory: &M, site: Site, count: usize) -> bool {
        let _ = (memory, site, count);
        true
    }

    /// After an access.
    fn after(&self, site: Site) {
        let _ = site;
    }

    /// What a load of a word answers that `found` this.
    fn answer(&self, memory: &M, word: &WordOf<M>, site: LoadSite, found: u64) -> u64 {
        let _ = (memory, word, site);
        found
    }

    /// Makes a store of a word.
    fn store(&self, memory: &M, word: &WordOf<M>, value: u64, site: StoreSite) {
        memory.store(word, value, site);
    }

    /// Makes a barrier.
    fn barrier(&self, memory: &M, site: BarrierSite) -> bool {
        memory.barrier(site)
    }

    /// Whether barriers reach this memory.
    fn is_reached(&self, memory: &M) -> bool {
        memory.is_reached()
    }

    /// Sleeps.
    fn wait(&self, memory: &M, word: &WordOf<M>, value: u64, nanos: u64, site: WaitSite) -> Slept {
        memory.wait(word, value, nanos, site)
    }
}

impl<M: Memory, H: Hooks<M>> Hooks<M> for &H {
    const PIECEWISE: bool = H::PIECEWISE;

    fn before(&self, memory: &M, site: Site, count: usize) -> bool {
        (**self).before(memory, site, count)
    }

    fn after(&self, site: Site) {
        (**self).after(site);
    }

    fn answer(&self, memory: &M, word: &WordOf<M>, site: LoadSite, found: u64) -> u64 {
        (**self).answer(memory, word, site, found)
    }

    fn store(&self, memory: &M, word: &WordOf<M>, value: u64, site: StoreSite) {
        (**self).store(memory, word, value, site);
    }

    fn barrier(&self, memory: &M, site: BarrierSite) -> bool {
        (**self).barrier(memory, site)
    }

    fn is_reached(&self, memory: &M) -> bool {
        (**self).is_reached(memory)
    }

    fn wait(&self, memory: &M, word: &WordOf<M>, value: u64, nanos: u64, site: WaitSite) -> Slept {
        (**self).wait(memory, word, value, nanos, site)
    }
}

/// A memory over another one, with hooks around its accesses. It has the cells of the one beneath,
/// so that endpoints over either meet over one structure.
#[derive(Clone, Copy, Debug)]
pub struct Interposed<M, H> {
    memory: M,
    hooks: H,
}

impl<M, H> Interposed<M, H> {
    /// Puts `hooks` around the accesses to `memory`.
    pub const fn new(memory: M, hooks: H) -> Self {
        Interposed { memory, hooks }
    }

    /// The same memory with other hooks, made of these.
    pub fn map<G>(self, hooks: impl FnOnce(H) -> G) -> Interposed<M, G> {
        Interposed::new(self.memory, hooks(self.hooks))
    }
}

impl<M: Memory, H: Hooks<M>> Interposed<M, H> {
    /// An access to `count` words or slots, unless it is left out.
    fn unless_left_out(&self, site: Site, count: usize, access: impl FnOnce()) {
        if self.hooks.before(&self.memory, site, count) {
            access();
            self.hooks.after(site);
        }
    }

    /// An access to `count` words or slots that is made in any case.
    fn always<R>(&self, site: Site, count: usize, access: impl FnOnce() -> R) -> R {
        let _ = self.hooks.before(&self.memory, site, count);
        let result = access();
        self.hooks.after(site);
        result
    }
}

impl<M: Memory, H: Hooks<M>> Memory for Interposed<M, H> {
    type Cells = M::Cells;

    fn load(&self, word: &WordOf<M>, site: LoadSite) -> u64 {
        self.always(site.into(), 1, || {
            let found = self.memory.load(word, site);
            self.hooks.answer(&self.memory, word, site, found)
        })
    }

    fn store(&self, word: &WordOf<M>, value: u64, site: StoreSite) {
        self.unless_left_out(site.into(), 1, || {
            self.hooks.store(&self.memory, word, value, site);
        });
    }

    fn raise(&self, word: &WordOf<M>, value: u64, site: StoreSite) {
        self.unless_left_out(site.into(), 1, || self.memory.raise(word, value, site));
    }

    fn fence(&self, site: FenceSite) {
        self.always(site.into(), 0, || self.memory.fence(site));
    }

    fn load_words(&self, from: &[WordOf<M>], to: &mut [[u8; 8]], site: LoadSite) {
        if !H::PIECEWISE {
            let count = from.len().min(to.len());
            let copy = || self.memory.load_words(from, to, site);
            return self.always(site.into(), count, copy);
        }
        for (word, bytes) in from.iter().zip(to) {
            *bytes = self.load(word, site).to_ne_bytes();
        }
    }

    fn store_words(&self, to: &[WordOf<M>], from: &[[u8; 8]], site: StoreSite) {
        if !H::PIECEWISE {
            let count = to.len().min(from.len());
            let copy = || self.memory.store_words(to, from, site);
            return self.unless_left_out(site.into(), count, copy);
        }
        for (word, bytes) in to.iter().zip(from) {
            self.store(word, u64::from_ne_bytes(*bytes), site);
        }
    }

    unsafe fn read_slots<T: Payload>(
        &self,
        from: &[SlotOf<M, T>],
        to: &mut [T],
        site: SlotReadSite,
    ) {
        let count = from.len().min(to.len());
        let piece = if H::PIECEWISE { 1 } else { count.max(1) };
        let (from, to) = (from[..count].chunks(piece), to[..count].chunks_mut(piece));
        for (slots, items) in from.zip(to) {
            self.always(site.into(), slots.len(), || {
                // SAFETY: these slots are some of the caller's, who promises that nobody writes them.
                unsafe { self.memory.read_slots(slots, items, site) }
            });
        }
    }

    unsafe fn write_slots<T: Payload>(&self, to: &[SlotOf<M, T>], from: &[T], site: SlotWriteSite) {
        if !H::PIECEWISE {
            let count = to.len().min(from.len());
            return self.unless_left_out(site.into(), count, || {
                // SAFETY: the caller's promise, passed on.
                unsafe { self.memory.write_slots(to, from, site) }
            });
        }
        for (slot, item) in to.iter().zip(from) {
            let (slot, mut partial) = (slice::from_ref(slot), [T::zeroed()]);
            // SAFETY: the slot is one of the caller's, who promises that nobody else accesses it. (It
            // is a look of this memory's own, and no access of the algorithm.)
            unsafe { (self.memory).read_slots(slot, &mut partial, SlotReadSite::RingReview) };
            for (turn, word) in bytemuck::bytes_of(item).chunks(8).enumerate() {
                bytemuck::bytes_of_mut(&mut partial[0])[turn * 8..][..word.len()]
                    .copy_from_slice(word);
                self.unless_left_out(site.into(), 1, || {
                    // SAFETY: as above.
                    unsafe { self.memory.write_slots(slot, &partial, site) }
                });
            }
        }
    }

    fn barrier(&self, site: BarrierSite) -> bool {
        self.always(site.into(), 0, || self.hooks.barrier(&self.memory, site))
    }

    fn is_reached(&self) -> bool {
        self.hooks.is_reached(&self.memory)
    }

    fn wait(&self, word: &WordOf<M>, value: u64, nanos: u64, site: WaitSite) -> Slept {
        self.always(site.into(), 1, || {
            self.hooks.wait(&self.memory, word, value, nanos, site)
        })
    }

    fn wake(&self, word: &WordOf<M>, site: WakeSite) {
        self.unless_left_out(site.into(), 1, || self.memory.wake(word, site));
    }

    fn spin(&self) {
        self.memory.spin();
    }

    const SPINS: u32 = M::SPINS;
}

#[cfg(test)]
mod tests {
    use core::cell::RefCell;

    use super::*;
    use crate::memory::{Cells, Native};

    /// Notes what it is told of, and has no other hook.
    struct Noting<const PIECEWISE: bool>(RefCell<Vec<(Site, usize)>>);

    impl<const PIECEWISE: bool> Hooks<Native> for Noting<PIECEWISE> {
        const PIECEWISE: bool = PIECEWISE;

        fn before(&self, _: &Native, site: Site, count: usize) -> bool {
            self.0.borrow_mut().push((site, count));
            true
        }
    }

    /// What an access of each kind is noted as; and all of them do what `Native` does.
    fn noted<const PIECEWISE: bool>() -> Vec<(Site, usize)> {
        let memory = Interposed::new(Native, Noting::<PIECEWISE>(RefCell::default()));
        let words = [Native::word(1), Native::word(2), Native::word(3)];
        let mut copy = [[0; 8]; 3];
        memory.load_words(&words, &mut copy, LoadSite::SeqCopyOut);
        assert_eq!(copy.map(u64::from_ne_bytes), [1, 2, 3]);
        memory.fence(FenceSite::SeqReadFence);
        memory.store_words(&words[1..], &copy, StoreSite::SeqCopyIn);
        assert_eq!(memory.load(&words[2], LoadSite::SeqRecheck), 2);
        // 12 bytes are a word and a half.
        let slots = [Native::slot([0_u32; 3]), Native::slot([0; 3])];
        let mut taken = [[0; 3]; 3];
        // SAFETY: one thread.
        unsafe {
            memory.write_slots(&slots, &[[1, 2, 3], [4; 3]], SlotWriteSite::RingFill);
            memory.read_slots(&slots, &mut taken, SlotReadSite::RingTake);
        }
        assert_eq!(taken, [[1, 2, 3], [4; 3], [0; 3]]);
        memory.hooks.0.take()
    }

    #[test]
    fn a_call_is_one_access() {
        let expected = [
            (LoadSite::SeqCopyOut.into(), 3),
            (FenceSite::SeqReadFence.into(), 0),
            (StoreSite::SeqCopyIn.into(), 2),
            (LoadSite::SeqRecheck.into(), 1),
            (SlotWriteSite::RingFill.into(), 2),
            (SlotReadSite::RingTake.into(), 2),
        ];
        assert_eq!(noted::<false>(), expected);
    }

    #[test]
    fn or_as_many_as_it_has_pieces() {
        let mut expected = vec![(Site::from(LoadSite::SeqCopyOut), 1); 3];
        expected.push((FenceSite::SeqReadFence.into(), 0));
        expected.extend([(StoreSite::SeqCopyIn.into(), 1); 2]);
        expected.push((LoadSite::SeqRecheck.into(), 1));
        expected.extend([(SlotWriteSite::RingFill.into(), 1); 4]);
        expected.extend([(SlotReadSite::RingTake.into(), 1); 2]);
        assert_eq!(noted::<true>(), expected);
    }

    /// Makes the first stores and writes, and answers one more than it finds.
    struct Dying(RefCell<usize>);

    impl Hooks<Native> for Dying {
        const PIECEWISE: bool = true;

        fn before(&self, _: &Native, site: Site, _: usize) -> bool {
            let mut left = self.0.borrow_mut();
            let lives = *left > 0;
            if matches!(site, Site::Store(_) | Site::SlotWrite(_)) {
                *left = left.saturating_sub(1);
            }
            lives
        }

        fn answer(&self, _: &Native, _: &WordOf<Native>, _: LoadSite, found: u64) -> u64 {
            found + 1
        }
    }

    #[test]
    fn a_store_can_be_left_out_and_a_load_answered_otherwise() {
        let memory = Interposed::new(Native, Dying(RefCell::new(3)));
        let words = [Native::word(0), Native::word(0)];
        let slots = [Native::slot([0_u64; 2])];
        let bytes = [7_u64.to_ne_bytes(); 2];
        memory.store_words(&words, &bytes, StoreSite::SeqCopyIn);
        // SAFETY: one thread.
        unsafe { memory.write_slots(&slots, &[[8; 2]], SlotWriteSite::RingFill) };
        memory.store(&words[0], 9, StoreSite::SeqEven);
        let mut taken = [[1; 2]];
        // SAFETY: as above.
        unsafe { memory.read_slots(&slots, &mut taken, SlotReadSite::RingTake) };
        assert_eq!(taken, [[8, 0]]);
        let loads = words
            .each_ref()
            .map(|word| memory.load(word, LoadSite::SeqResume));
        assert_eq!(loads, [8, 8]);
    }
}
