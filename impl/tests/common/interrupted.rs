//! A memory whose owner is interrupted: something happens just before an access of its.

use std::cell::{Cell, RefCell};

use ringproof::harness::{Hooks, Interposed};
use ringproof::memory::Native;
use ringproof::site::{LoadSite, Site};

/// The hooks of it.
pub(crate) struct Interrupted<F> {
    site: LoadSite,
    first: usize,
    every: usize,
    made: Cell<usize>,
    event: RefCell<F>,
}

impl<F: FnMut()> Interrupted<F> {
    /// `event` happens before the load at `site` of this number, from 0 on.
    pub(crate) fn once(site: LoadSite, number: usize, event: F) -> Interposed<Native, Self> {
        Self::each(site, number, usize::MAX, event)
    }

    /// `event` happens before the load at `site` of number `first`, and then before every so many.
    pub(crate) fn each(
        site: LoadSite,
        first: usize,
        every: usize,
        event: F,
    ) -> Interposed<Native, Self> {
        let hooks = Interrupted {
            site,
            first,
            every,
            made: Cell::new(0),
            event: RefCell::new(event),
        };
        Interposed::new(Native, hooks)
    }
}

impl<F: FnMut()> Hooks<Native> for Interrupted<F> {
    const PIECEWISE: bool = true;

    fn before(&self, _: &Native, site: Site, _: usize) -> bool {
        if site == Site::Load(self.site) {
            let number = self.made.replace(self.made.get() + 1);
            if number >= self.first && (number - self.first).is_multiple_of(self.every) {
                (self.event.borrow_mut())();
            }
        }
        let reads = matches!(self.site, LoadSite::SeqCopyOut | LoadSite::LatchCopyOut);
        let loads = matches!(site, Site::Load(_) | Site::Fence(_));
        assert!(!reads || loads, "a reader made an access at {site}");
        true
    }
}
