//! What a run changes about the site table: nothing (a control), or one thing at one site.

use std::fmt;

use ringproof::site::{
    BarrierSite, FenceOrdering, FenceSite, LoadOrdering, LoadSite, Site, SlotReadSite,
    SlotWriteSite, StoreOrdering, StoreSite, WakeSite,
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
    /// The barrier is left out, and said to have been made.
    NoBarrier(BarrierSite),
    /// The access is held back until just after the actor's next one at `past`, or, where that
    /// never comes, until the actor gives up its memory (one that dies first never makes it). It
    /// is not held back past the next access at `site` to the same word or slot, so it is the
    /// *last* publish before a close that goes past the close. A slot read is made at its place,
    /// because its value is needed there, and once more where it is late. A load is never late.
    Late {
        /// What is moved.
        site: Site,
        /// Behind what.
        past: Site,
    },
    /// The fence or load is made just before the actor's first access at `past` since the last
    /// one at `site`, and not at its place, where such a load is answered with what it found.
    /// (The word is known once the actor has loaded it, at whichever site.) Nothing else is ever
    /// early.
    Early {
        /// What is moved.
        site: Site,
        /// Ahead of what.
        past: Site,
    },
    /// The load answers with one more than the word holds: an injected fault of the protocol, not
    /// of the ordering, which an engine without weak memory can see, too.
    OneTooMany(LoadSite),
    /// The word is stored where it would be raised, whatever it holds: likewise.
    Lowered(StoreSite),
    /// The store, slot read, slot write, wait or wake is left out: likewise. A wait that is left out wakes up at once.
    LeftOut(Site),
}

/// What kind of mistake a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Another ordering, another fence or none.
    Mutant,
    /// The right access in the wrong place.
    Moved,
    /// The wrong value, or no access at all.
    PlantedFault,
}

impl Kind {
    /// Its name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Mutant => "mutant",
            Kind::Moved => "moved",
            Kind::PlantedFault => "planted fault",
        }
    }
}

impl Change {
    /// The site that it changes.
    pub fn site(self) -> Site {
        match self {
            Change::Load(site, _) | Change::OneTooMany(site) => site.into(),
            Change::Store(site, _) | Change::Lowered(site) => site.into(),
            Change::Fence(site, _) => site.into(),
            Change::NoBarrier(site) => site.into(),
            Change::Late { site, .. } | Change::Early { site, .. } | Change::LeftOut(site) => site,
        }
    }

    /// The other site that it takes: behind or ahead of which the access is moved.
    pub fn past(self) -> Option<Site> {
        match self {
            Change::Late { past, .. } | Change::Early { past, .. } => Some(past),
            _ => None,
        }
    }

    /// What kind of mistake it is.
    pub fn kind(self) -> Kind {
        match self {
            Change::Load(..) | Change::Store(..) | Change::Fence(..) | Change::NoBarrier(_) => {
                Kind::Mutant
            }
            Change::Late { .. } | Change::Early { .. } => Kind::Moved,
            Change::OneTooMany(_) | Change::Lowered(_) | Change::LeftOut(_) => Kind::PlantedFault,
        }
    }

    /// Whether it is about order alone. An engine without weak memory keeps every order, so it
    /// cannot judge it: neither a mutant, nor where a fence stands.
    pub fn is_of_order(self) -> bool {
        let is_fence = |site| matches!(site, Site::Fence(_) | Site::Barrier(_));
        match self.kind() {
            Kind::Mutant => true,
            Kind::Moved => is_fence(self.site()) || self.past().is_some_and(is_fence),
            Kind::PlantedFault => false,
        }
    }

    /// What the site becomes: the name of an ordering, or of what else happens to it.
    pub fn to(self) -> String {
        match self {
            Change::Load(_, ordering) => format!("{ordering:?}"),
            Change::Store(_, ordering) => format!("{ordering:?}"),
            Change::Fence(_, Some(ordering)) => format!("{ordering:?}"),
            Change::Fence(_, None) => "no fence".to_owned(),
            Change::NoBarrier(_) => "no barrier".to_owned(),
            Change::Late { past, .. } => format!("late past {past}"),
            Change::Early { past, .. } => format!("early past {past}"),
            Change::OneTooMany(_) => "one too many".to_owned(),
            Change::Lowered(_) => "stored, not raised".to_owned(),
            Change::LeftOut(_) => "left out".to_owned(),
        }
    }

    /// Every change that some model must notice: [`weaker`](Self::weaker), [`moved`](Self::moved)
    /// and [`faults`](Self::faults).
    pub fn mistakes() -> Vec<Change> {
        [Change::weaker(), Change::moved(), Change::faults()].concat()
    }

    /// Every ordering stronger than `Relaxed` made `Relaxed`, every fence and barrier left out, and every fence made
    /// a kind that is not stronger.
    pub fn weaker() -> Vec<Change> {
        let loads = (LoadSite::ALL.iter())
            .filter(|site| site.ordering() != LoadOrdering::Relaxed)
            .map(|&site| Change::Load(site, LoadOrdering::Relaxed));
        let stores = (StoreSite::ALL.iter())
            .filter(|site| site.ordering() != StoreOrdering::Relaxed)
            .map(|&site| Change::Store(site, StoreOrdering::Relaxed));
        let fences = (FenceSite::ALL.iter()).flat_map(|&site| {
            [None]
                .into_iter()
                .chain(Change::other_kinds(site))
                .map(move |kind| Change::Fence(site, kind))
        });
        let barriers = BarrierSite::ALL.iter().copied().map(Change::NoBarrier);
        loads.chain(stores).chain(fences).chain(barriers).collect()
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
        let fences = (FenceSite::ALL.iter())
            .flat_map(|&site| Change::other_kinds(site).map(move |kind| Change::Fence(site, kind)));
        loads.chain(stores).chain(fences).collect()
    }

    /// A light fence is nothing but against a barrier, so there is no other kind that is not stronger.
    fn other_kinds(site: FenceSite) -> impl Iterator<Item = Option<FenceOrdering>> {
        use FenceOrdering::{Acquire, Light, Release, SeqCst};
        let others: &[FenceOrdering] = match site.ordering() {
            Acquire => &[Release],
            Release => &[Acquire],
            SeqCst => &[Acquire, Release],
            Light => &[],
        };
        others.iter().copied().map(Some)
    }

    /// The moves that are known mistakes: each was made in some published ring or seqlock, or is
    /// what a compiler or processor does where the ordering does not forbid it.
    pub fn moved() -> Vec<Change> {
        use BarrierSite::SleepBarrier;
        use FenceSite::{
            LatchReadFence, LatchWriteFence, SeqReadFence, SeqWriteFence, SleepFence, WakeFence,
            WakeLight,
        };
        use LoadSite::{
            LatchCopyOut, LatchRecheck, RingObserve, SeqCopyOut, SeqRecheck, WakeLook,
            WakeLookAgain,
        };
        use SlotReadSite::RingTake;
        use SlotWriteSite::RingFill;
        use StoreSite::{
            LatchCopyIn, LatchPublish, RingEnd, RingFree, RingPublish, RingStop, SeqCopyIn,
            SeqEven, SeqOdd, SleepAsk, WakeAnswer,
        };
        use WakeSite::WakeCall;
        vec![
            // Announced before it is there, freed before it is read.
            late(RingFill, RingPublish),
            late(RingTake, RingFree),
            // Closed before the last commit or release, which then opens the ring again.
            late(RingPublish, RingEnd),
            late(RingFree, RingStop),
            // The write announced too late, or over before it is.
            late(SeqOdd, SeqWriteFence),
            late(SeqOdd, SeqCopyIn),
            late(SeqWriteFence, SeqCopyIn),
            late(SeqCopyIn, SeqEven),
            // The second look does not come after the copy.
            early(SeqReadFence, SeqCopyOut),
            late(SeqReadFence, SeqRecheck),
            early(SeqRecheck, SeqCopyOut),
            // The same for the latch, whose write is announced by the publication before it.
            early(LatchWriteFence, LatchPublish),
            late(LatchWriteFence, LatchCopyIn),
            late(LatchCopyIn, LatchPublish),
            early(LatchReadFence, LatchCopyOut),
            late(LatchReadFence, LatchRecheck),
            early(LatchRecheck, LatchCopyOut),
            // Asked after the last look, or not before it to others.
            late(SleepAsk, RingObserve),
            late(SleepBarrier, RingObserve),
            late(SleepFence, RingObserve),
            // Looked, or fenced, before it is published.
            early(WakeLook, RingPublish),
            early(WakeLight, RingPublish),
            late(WakeLight, WakeLook),
            early(WakeFence, RingPublish),
            late(WakeFence, WakeLookAgain),
            // Woken before there is an answer.
            late(WakeAnswer, WakeCall),
        ]
    }

    /// Faults of the protocol that any engine must catch, weak memory or not: each load one too
    /// many, each store, slot read, slot write, wait and wake left out, and what is raised stored.
    pub fn faults() -> Vec<Change> {
        let loads = LoadSite::ALL.iter().map(|&site| Change::OneTooMany(site));
        let rest = Site::all()
            .filter(|site| !matches!(site, Site::Load(_) | Site::Fence(_) | Site::Barrier(_)))
            .map(Change::LeftOut);
        let lowered = [Change::Lowered(StoreSite::SleepAsk)];
        loads.chain(rest).chain(lowered).collect()
    }

    /// Four of the [`faults`](Self::faults) that break what each structure is about, so that every
    /// scenario in which the structure is busy must notice them, however its schedules are chosen.
    pub fn planted() -> [Change; 4] {
        [
            // The producer believes in one more free slot and overwrites a live one.
            Change::OneTooMany(LoadSite::RingReclaim),
            // The consumer believes in one more item and reads what was not published.
            Change::OneTooMany(LoadSite::RingObserve),
            // The write is not announced, so a reader keeps half of it.
            Change::LeftOut(Site::Store(StoreSite::SeqOdd)),
            // The reader copies the slot that is being filled.
            Change::OneTooMany(LoadSite::LatchObserve),
        ]
    }

    /// Reads what [`Display`](fmt::Display) wrote: `Site=Ordering`, or what else becomes of it.
    ///
    /// # Errors
    /// A sentence that says what would do.
    pub fn parse(text: &str) -> Result<Change, String> {
        let mut known = Change::mistakes();
        known.extend(Change::repairs());
        known.sort();
        known.dedup();
        let found = known.iter().find(|change| change.to_string() == text);
        found.copied().ok_or_else(|| {
            let known: Vec<_> = known.iter().map(Change::to_string).collect();
            format!("no change `{text}`; there are: {}", known.join(", "))
        })
    }
}

/// The access is made late.
pub fn late(site: impl Into<Site>, past: impl Into<Site>) -> Change {
    Change::Late {
        site: site.into(),
        past: past.into(),
    }
}

/// The access is made early.
pub fn early(site: impl Into<Site>, past: impl Into<Site>) -> Change {
    Change::Early {
        site: site.into(),
        past: past.into(),
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

    /// The ordering of a store.
    pub fn store(&self, site: StoreSite) -> Order {
        match self.change {
            Some(Change::Store(changed, ordering)) if changed == site => ordering.into(),
            _ => site.ordering().into(),
        }
    }

    /// The ordering of a fence, `None` if it is left out.
    pub fn fence(&self, site: FenceSite) -> Option<Order> {
        match self.change {
            Some(Change::Fence(changed, ordering)) if changed == site => ordering.map(Order::from),
            _ => Some(site.ordering().into()),
        }
    }

    /// The ordering of a barrier, `None` if it is left out.
    pub fn barrier(&self, site: BarrierSite) -> Option<Order> {
        let left_out = self.change == Some(Change::NoBarrier(site));
        (!left_out).then(|| site.ordering().into())
    }

    /// What a load answers when the word holds `value`.
    pub fn answer(&self, site: LoadSite, value: u64) -> u64 {
        match self.change {
            Some(Change::OneTooMany(changed)) if changed == site => value.wrapping_add(1),
            _ => value,
        }
    }

    /// Whether a word is stored where it would be raised.
    pub fn lowers(&self, site: StoreSite) -> bool {
        self.change == Some(Change::Lowered(site))
    }

    /// Whether a store, slot read, slot write, wait or wake is left out.
    pub fn leaves_out(&self, site: impl Into<Site>) -> bool {
        self.change == Some(Change::LeftOut(site.into()))
    }

    /// Whether an access is held back.
    pub fn is_late(&self, site: impl Into<Site>) -> bool {
        matches!(self.change, Some(Change::Late { site: late, .. }) if late == site.into())
    }

    /// Whether what was held back is made after an access at `site`.
    pub fn ends_delay(&self, site: impl Into<Site>) -> bool {
        matches!(self.change, Some(Change::Late { past, .. }) if past == site.into())
    }

    /// Which fence or load is made before others.
    pub fn early(&self) -> Option<Site> {
        match self.change {
            Some(Change::Early { site, .. }) => Some(site),
            _ => None,
        }
    }

    /// Which fence or load is made before an access at `site`.
    pub fn early_before(&self, site: impl Into<Site>) -> Option<Site> {
        let past = site.into();
        self.early()
            .filter(|_| self.change.and_then(Change::past) == Some(past))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_read_back_from_what_it_prints() {
        for change in [Change::mistakes(), Change::repairs()].concat() {
            assert_eq!(Change::parse(&change.to_string()), Ok(change));
        }
        assert_eq!(
            Change::parse("RingFill=late past RingPublish"),
            Ok(late(SlotWriteSite::RingFill, StoreSite::RingPublish))
        );
        assert!(Change::parse("RingPublish=Strong").is_err());
        assert!(Change::parse("RingFill=late past RingFill").is_err());
    }

    #[test]
    fn no_mistake_is_listed_twice() {
        let mut mistakes = Change::mistakes();
        let count = mistakes.len();
        mistakes.sort();
        mistakes.dedup();
        assert_eq!(mistakes.len(), count);
    }

    #[test]
    fn every_site_has_a_mistake_of_its_own() {
        for site in Site::all() {
            let of_site: Vec<_> = (Change::mistakes().into_iter())
                .filter(|change| change.site() == site)
                .collect();
            assert!(!of_site.is_empty(), "{site}");
            let strong = !["Relaxed", "Plain", "Atomic"].contains(&site.info().ordering);
            let mutants = of_site.iter().any(|change| change.kind() == Kind::Mutant);
            assert_eq!(mutants, strong, "{site}");
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
            assert_eq!(table.store(site), expected);
        }
        let table = Table::with(Some(late(StoreSite::SeqOdd, StoreSite::SeqCopyIn)));
        for site in Site::all() {
            assert_eq!(table.is_late(site), site == StoreSite::SeqOdd.into());
            assert_eq!(table.ends_delay(site), site == StoreSite::SeqCopyIn.into());
            assert_eq!(table.early_before(site), None);
        }
    }
}
