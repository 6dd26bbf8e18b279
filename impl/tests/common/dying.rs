//! A memory whose owner dies, as far as anybody else can see, before its n-th store.

use std::cell::Cell;

use ringproof::Payload;
use ringproof::memory::{Memory, Native, Slot, Word};
use ringproof::site::{FenceSite, LoadSite, SlotReadSite, SlotWriteSite, StoreSite};

/// Makes the first stores, word by word and slot by slot, and none after them. It shares its
/// cells with [`Native`], so the survivors and successors are what ships.
pub(crate) struct Dying {
    left: Cell<usize>,
}

impl Dying {
    pub(crate) fn after(stores: usize) -> Dying {
        Dying {
            left: Cell::new(stores),
        }
    }

    fn lives(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }
}

impl Memory for Dying {
    type Cells = Native;

    fn load(&self, word: &Word, site: LoadSite) -> u64 {
        Native.load(word, site)
    }

    fn store(&self, word: &Word, value: u64, site: StoreSite) {
        if self.lives() {
            Native.store(word, value, site);
        }
    }

    fn fence(&self, site: FenceSite) {
        Native.fence(site);
    }

    fn load_words(&self, from: &[Word], to: &mut [[u8; 8]], site: LoadSite) {
        Native.load_words(from, to, site);
    }

    fn store_words(&self, to: &[Word], from: &[[u8; 8]], site: StoreSite) {
        for (word, bytes) in to.iter().zip(from) {
            self.store(word, u64::from_ne_bytes(*bytes), site);
        }
    }

    unsafe fn read_slots<T: Payload>(&self, from: &[Slot<T>], to: &mut [T], site: SlotReadSite) {
        // SAFETY: the caller's promise, passed on.
        unsafe { Native.read_slots(from, to, site) };
    }

    unsafe fn write_slots<T: Payload>(&self, to: &[Slot<T>], from: &[T], site: SlotWriteSite) {
        for (slot, item) in to.iter().zip(from) {
            if self.lives() {
                let (slot, item) = (core::slice::from_ref(slot), core::slice::from_ref(item));
                // SAFETY: the caller's promise, passed on.
                unsafe { Native.write_slots(slot, item, site) };
            }
        }
    }

    fn spin(&self) {
        Native.spin();
    }
}
