//! What a run changes about the site table: nothing (a control), or one thing at one site.

use std::fmt;

use ringproof::site::{
    FenceOrdering, FenceSite, LoadOrdering, LoadSite, Site, StoreOrdering, StoreSite,
};

use crate::order::Order;

/// One change at one site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// The load has another ordering.
    Load(LoadSite, LoadOrdering),
    /// The store has another ordering.
    Store(StoreSite, StoreOrdering),
    /// The fence has another ordering; `None` leaves it out (a relaxed fence does not exist).
    Fence(FenceSite, Option<FenceOrdering>),
    /// The load answers with one more than the word holds: a planted fault of the protocol, not
    /// of the ordering, which an engine without weak memory can see, too.
    OneTooMany(LoadSite),
    /// The store is left out: likewise.
    LeftOut(StoreSite),
}

impl Change {
    /// The site that it changes.
    pub fn site(self) -> Site {
        match self {
            Change::Load(site, _) | Change::OneTooMany(site) => site.into(),
            Change::Store(site, _) | Change::LeftOut(site) => site.into(),
            Change::Fence(site, _) => site.into(),
        }
    }

    /// What the site becomes: the name of an ordering, or of what else happens to it.
    pub fn to(self) -> String {
        match self {
            Change::Load(_, ordering) => format!("{ordering:?}"),
            Change::Store(_, ordering) => format!("{ordering:?}"),
            Change::Fence(_, Some(ordering)) => format!("{ordering:?}"),
            Change::Fence(_, None) => "no fence".to_owned(),
            Change::OneTooMany(_) => "one too many".to_owned(),
            Change::LeftOut(_) => "left out".to_owned(),
        }
    }

    /// Every ordering stronger than `Relaxed` made `Relaxed`, every fence left out: the mutants
    /// that a model must kill.
    pub fn weaker() -> Vec<Change> {
        let loads = (LoadSite::ALL.iter())
            .filter(|site| site.ordering() != LoadOrdering::Relaxed)
            .map(|&site| Change::Load(site, LoadOrdering::Relaxed));
        let stores = (StoreSite::ALL.iter())
            .filter(|site| site.ordering() != StoreOrdering::Relaxed)
            .map(|&site| Change::Store(site, StoreOrdering::Relaxed));
        let fences = FenceSite::ALL.iter().map(|&site| Change::Fence(site, None));
        loads.chain(stores).chain(fences).collect()
    }

    /// Every `Relaxed` made as strong as its operation can be, every fence made the other kind.
    /// Where a control fails, the change among these that mends it names the culprit.
    pub fn repairs() -> Vec<Change> {
        let loads = (LoadSite::ALL.iter())
            .filter(|site| site.ordering() == LoadOrdering::Relaxed)
            .map(|&site| Change::Load(site, LoadOrdering::Acquire));
        let stores = (StoreSite::ALL.iter())
            .filter(|site| site.ordering() == StoreOrdering::Relaxed)
            .map(|&site| Change::Store(site, StoreOrdering::Release));
        let fences = (FenceSite::ALL.iter()).map(|&site| {
            let other = match site.ordering() {
                FenceOrdering::Acquire => FenceOrdering::Release,
                FenceOrdering::Release => FenceOrdering::Acquire,
            };
            Change::Fence(site, Some(other))
        });
        loads.chain(stores).chain(fences).collect()
    }

    /// Faults of the protocol that any engine must catch, weak memory or not.
    pub fn planted() -> [Change; 4] {
        [
            // The producer believes in one more free slot and overwrites a live one.
            Change::OneTooMany(LoadSite::RingReclaim),
            // The consumer believes in one more item and reads what nobody published.
            Change::OneTooMany(LoadSite::RingObserve),
            // The write is not announced, so a reader keeps half of it.
            Change::LeftOut(StoreSite::SeqOdd),
            // The reader copies the slot that is being filled.
            Change::OneTooMany(LoadSite::LatchObserve),
        ]
    }

    /// Reads what [`Display`](fmt::Display) wrote: `Site=Ordering`.
    ///
    /// # Errors
    /// A sentence that says what would do.
    pub fn parse(text: &str) -> Result<Change, String> {
        let every = || {
            let all = [
                Change::weaker(),
                Change::repairs(),
                Change::planted().to_vec(),
            ];
            all.into_iter().flatten()
        };
        every()
            .find(|change| change.to_string() == text)
            .ok_or_else(|| {
                let known: Vec<_> = every().map(|change| change.to_string()).collect();
                format!("no change `{text}`; there are: {}", known.join(", "))
            })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.site(), self.to())
    }
}

/// The site table as one run sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Table {
    change: Option<Change>,
}

impl Table {
    /// The table with one change, or with none.
    pub fn with(change: Option<Change>) -> Table {
        Table { change }
    }

    /// The ordering of a load.
    pub fn load(&self, site: LoadSite) -> Order {
        match self.change {
            Some(Change::Load(changed, ordering)) if changed == site => ordering.into(),
            _ => site.ordering().into(),
        }
    }

    /// The ordering of a store, `None` if it is left out.
    pub fn store(&self, site: StoreSite) -> Option<Order> {
        match self.change {
            Some(Change::Store(changed, ordering)) if changed == site => Some(ordering.into()),
            Some(Change::LeftOut(changed)) if changed == site => None,
            _ => Some(site.ordering().into()),
        }
    }

    /// The ordering of a fence, `None` if it is left out.
    pub fn fence(&self, site: FenceSite) -> Option<Order> {
        match self.change {
            Some(Change::Fence(changed, ordering)) if changed == site => ordering.map(Order::from),
            _ => Some(site.ordering().into()),
        }
    }

    /// What a load answers when the word holds `value`.
    pub fn answer(&self, site: LoadSite, value: u64) -> u64 {
        match self.change {
            Some(Change::OneTooMany(changed)) if changed == site => value.wrapping_add(1),
            _ => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_read_back_from_what_it_prints() {
        let all = [
            Change::weaker(),
            Change::repairs(),
            Change::planted().to_vec(),
        ];
        for change in all.into_iter().flatten() {
            assert_eq!(Change::parse(&change.to_string()), Ok(change));
        }
        assert!(Change::parse("RingPublish=Strong").is_err());
    }

    #[test]
    fn every_site_can_be_weakened_or_repaired() {
        for site in Site::all() {
            let plain = matches!(site, Site::SlotRead(_) | Site::SlotWrite(_));
            let changes = [Change::weaker(), Change::repairs()].concat();
            assert!(
                plain || changes.iter().any(|change| change.site() == site),
                "{site}"
            );
        }
    }

    #[test]
    fn a_change_touches_its_site_alone() {
        let table = Table::with(Some(Change::Store(
            StoreSite::RingPublish,
            StoreOrdering::Relaxed,
        )));
        for &site in StoreSite::ALL {
            let expected = match site {
                StoreSite::RingPublish => Order::Relaxed,
                _ => site.ordering().into(),
            };
            assert_eq!(table.store(site), Some(expected));
        }
    }
}
