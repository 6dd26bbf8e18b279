//! A memory whose owner dies, as far as anybody else can see, before its n-th store.

use std::cell::Cell;

use ringproof::harness::{Hooks, Interposed};
use ringproof::memory::Native;
use ringproof::site::Site;

/// Makes the first stores, word by word also of slots, and none after them. It shares its cells
/// with [`Native`], so the survivors and successors are what ships.
pub(crate) struct Dying {
    left: Cell<usize>,
}

impl Dying {
    pub(crate) fn after(stores: usize) -> Interposed<Native, Dying> {
        let left = Cell::new(stores);
        Interposed::new(Native, Dying { left })
    }

    fn lives(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }
}

impl Hooks<Native> for Dying {
    const PIECEWISE: bool = true;

    fn before(&self, _: &Native, site: Site, _: usize) -> bool {
        !matches!(site, Site::Store(_) | Site::SlotWrite(_)) || self.lives()
    }
}
