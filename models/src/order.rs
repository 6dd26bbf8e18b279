//! Memory orderings, as the engines take them. Litmus tests and specimens name them; the production
//! source has them from its sites.

use std::fmt;

use ringproof::site::{BarrierOrdering, FenceOrdering, LoadOrdering, StoreOrdering};

/// The ordering of any access or fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Order {
    /// Atomic, orders nothing else.
    Relaxed,
    /// For loads and fences.
    Acquire,
    /// For stores and fences.
    Release,
    /// For read-modify-writes and fences.
    AcqRel,
    /// In the one total order of all such accesses and fences, too.
    SeqCst,
    /// For fences: a SeqCst fence against [`Heavy`](Order::Heavy) ones in other threads, and nothing against any
    /// other (P1202, *Asymmetric fences*).
    Light,
    /// For fences: SeqCst, also against light ones. It stands for a barrier that all threads are made to go through:
    /// what the system does *in* the other threads, no engine shows, only what comes of it.
    Heavy,
}

impl Order {
    /// Whether a load or a fence of this ordering acquires.
    pub fn acquires(self) -> bool {
        matches!(
            self,
            Order::Acquire | Order::AcqRel | Order::SeqCst | Order::Heavy
        )
    }

    /// Whether a store or a fence of this ordering releases.
    pub fn releases(self) -> bool {
        matches!(
            self,
            Order::Release | Order::AcqRel | Order::SeqCst | Order::Heavy
        )
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Order::Relaxed => "Relaxed",
            Order::Acquire => "Acquire",
            Order::Release => "Release",
            Order::AcqRel => "AcqRel",
            Order::SeqCst => "SeqCst",
            Order::Light => "Light",
            Order::Heavy => "Heavy",
        })
    }
}

impl From<LoadOrdering> for Order {
    fn from(ordering: LoadOrdering) -> Order {
        match ordering {
            LoadOrdering::Relaxed => Order::Relaxed,
            LoadOrdering::Acquire => Order::Acquire,
        }
    }
}

impl From<StoreOrdering> for Order {
    fn from(ordering: StoreOrdering) -> Order {
        match ordering {
            StoreOrdering::Relaxed => Order::Relaxed,
            StoreOrdering::Release => Order::Release,
        }
    }
}

impl From<FenceOrdering> for Order {
    fn from(ordering: FenceOrdering) -> Order {
        match ordering {
            FenceOrdering::Acquire => Order::Acquire,
            FenceOrdering::Release => Order::Release,
            FenceOrdering::SeqCst => Order::SeqCst,
            FenceOrdering::Light => Order::Light,
        }
    }
}

impl From<BarrierOrdering> for Order {
    fn from(ordering: BarrierOrdering) -> Order {
        match ordering {
            BarrierOrdering::Heavy => Order::Heavy,
        }
    }
}
