//! The access-site table: every access to shared memory, named, ordered and explained.
//!
//! This is the single list. The algorithms name a site at each access and get their memory
//! ordering from here, so changing an ordering in this file changes what ships, what is
//! modelled, where a process is killed and what the report prints, all at once.
//!
//! A site is typed by its operation: a load site cannot carry `Release`, and a store site
//! cannot be passed to a load, because neither compiles.

use core::fmt;

/// The orderings that a load may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LoadOrdering {
    /// Atomic, orders nothing else.
    Relaxed,
    /// What the storing thread did before its `Release` store is visible after this load.
    Acquire,
}

/// The orderings that a store may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StoreOrdering {
    /// Atomic, orders nothing else.
    Relaxed,
    /// Everything before this store is visible to a thread that loads it with `Acquire`.
    Release,
}

/// The orderings that a fence may have (a relaxed fence does not exist).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FenceOrdering {
    /// Loads before it are ordered before every access after it.
    Acquire,
    /// Every access before it is ordered before stores after it.
    Release,
    /// Between two of these, in two threads, one comes first, and what stands before that one is seen by all that
    /// stands after the other.
    SeqCst,
    /// As [`SeqCst`](FenceOrdering::SeqCst), but only against a [barrier](BarrierSite) in the other thread, which makes
    /// it one: here it keeps the compiler from moving accesses, and costs nothing.
    Light,
}

/// The ordering of a barrier, which all other threads that a [light](FenceOrdering::Light) fence may stand in go
/// through, wherever they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BarrierOrdering {
    /// The other half of [`FenceOrdering::Light`], and in its own thread [`FenceOrdering::SeqCst`].
    Heavy,
}

/// The ordering of a call to the kernel about a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FutexOrdering {
    /// To compare and to sleep is one step for whoever wakes. It is relied upon for nothing else.
    Atomic,
}

/// The "ordering" of a slot access: plain memory, made race-free by the indices around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SlotOrdering {
    /// Not atomic: an unordered concurrent access to the same slot would be a data race.
    Plain,
}

/// What the table says about one site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteInfo {
    /// The site's name.
    pub name: &'static str,
    /// The operation: `load`, `store`, `fence`, `slot read`, `slot write`, `barrier`, `futex wait` or `futex wake`.
    pub kind: &'static str,
    /// The ordering in force.
    pub ordering: &'static str,
    /// The word, words or slot that it accesses; for a fence, what it stands between.
    pub word: &'static str,
    /// The sites that it pairs with. Empty where another mechanism orders it: `why` says which.
    pub partners: &'static [&'static str],
    /// What would go wrong without it.
    pub why: &'static str,
}

/// Declares one kind of site from its rows, so that a row is written once.
macro_rules! site_kind {
    (
        $(#[$doc:meta])*
        $kind:ident ($label:literal), $variant:ident, $order:ident;
        $( $name:ident, $ordering:ident, $word:literal, [$($partner:ident),*], $why:literal; )*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $kind {
            $( #[doc = concat!("`", $word, "`, ", stringify!($ordering), ": ", $why)] $name, )*
        }

        impl $kind {
            /// Every site of this kind, in table order.
            pub const ALL: &'static [$kind] = &[ $( $kind::$name, )* ];

            /// The ordering of this site's access.
            #[inline(always)]
            pub const fn ordering(self) -> $order {
                match self { $( $kind::$name => $order::$ordering, )* }
            }

            /// The site's row.
            pub const fn info(self) -> SiteInfo {
                match self {
                    $( $kind::$name => SiteInfo {
                        name: stringify!($name),
                        kind: $label,
                        ordering: stringify!($ordering),
                        word: $word,
                        partners: &[ $( stringify!($partner), )* ],
                        why: $why,
                    }, )*
                }
            }
        }

        impl From<$kind> for Site {
            fn from(site: $kind) -> Self {
                Site::$variant(site)
            }
        }
    };
}

site_kind! {
    /// Where a shared word is loaded.
    LoadSite ("load"), Load, LoadOrdering;
    // name, ordering, word, [partners], why

    // ring, consumer
    RingObserve, Acquire, "write_index", [RingPublish, RingEnd],
        "the slots below the index are read after it: their bytes must be visible";
    RingResumeRead, Relaxed, "read_index", [],
        "a successor continues where its predecessor stopped; the role lock orders the two";
    // ring, producer
    RingReclaim, Acquire, "read_index", [RingFree, RingStop],
        "freed slots are overwritten after it: the consumer's reads of them must be over";
    RingResumeWrite, Relaxed, "write_index", [],
        "a successor continues where its predecessor stopped; the role lock orders the two";
    // seqlock
    SeqObserve, Acquire, "seq", [SeqEven],
        "the payload words are read after it: the write that it announces must be visible";
    SeqCopyOut, Relaxed, "payload", [SeqCopyIn],
        "may meet a concurrent write; the recheck throws away what does";
    SeqRecheck, Relaxed, "seq", [SeqOdd],
        "a write that the copy met has announced itself here; SeqReadFence keeps it after the copy";
    SeqResume, Relaxed, "seq", [],
        "a successor learns whether its predecessor died inside a write; the role lock orders the two";
    // latch
    LatchObserve, Acquire, "version", [LatchPublish],
        "the slot of this version is read after it: its words must be visible";
    LatchCopyOut, Relaxed, "payload", [LatchCopyIn],
        "may meet the writer one lap later; the recheck throws away what does";
    LatchRecheck, Relaxed, "version", [LatchPublish],
        "shows how far the writer came during the copy; LatchReadFence keeps it after the copy";
    LatchResume, Relaxed, "version", [],
        "a successor continues after its predecessor's last version; the role lock orders the two";
    // sleeping
    WakeLook, Relaxed, "asks", [SleepAsk],
        "whether the other side asked to be woken; WakeLight keeps it after what it sleeps for";
    WakeLookAgain, Relaxed, "asks", [SleepAsk],
        "the same behind WakeFence, where no barrier of the other side reaches this one";
    WakeResume, Relaxed, "answers", [],
        "a successor goes on counting; the role lock orders the two";
    SleepMark, Relaxed, "answers", [WakeAnswer],
        "an answer that comes after it ends the sleep, also one that comes before the sleep begins";
    // roles and the life of a segment
    RoleEpoch, Relaxed, "epoch", [],
        "how often the role was taken; written only by who holds the role lock";
    RetiredCheck, Relaxed, "retired", [],
        "asked after the role lock is held, which orders it after a retirement";
    NoteRead, Relaxed, "note", [],
        "an application's own word; ordered by the indices or by the role lock";
}

site_kind! {
    /// Where a shared word is stored.
    StoreSite ("store"), Store, StoreOrdering;

    // ring, producer
    RingPublish, Release, "write_index", [RingObserve],
        "makes the slot's bytes visible before the index that announces them";
    RingEnd, Release, "write_index", [RingObserve],
        "the last commit must be visible to whoever sees the end: it may see no other store of it";
    // ring, consumer
    RingFree, Release, "read_index", [RingReclaim],
        "the slot must have been read before the producer may overwrite it";
    RingStop, Release, "read_index", [RingReclaim],
        "what the consumer did before it closed must be visible to whoever sees the close";
    // seqlock
    SeqOdd, Relaxed, "seq", [SeqRecheck],
        "announces the write; SeqWriteFence keeps it before the payload";
    SeqCopyIn, Relaxed, "payload", [SeqCopyOut],
        "the payload, word by word: atomic, so a reader that meets it is no data race";
    SeqEven, Release, "seq", [SeqObserve],
        "the payload must be visible to whoever sees the write ended";
    // latch
    LatchCopyIn, Relaxed, "payload", [LatchCopyOut],
        "fills the slot that no accepted reader uses; LatchWriteFence keeps it after the last publish";
    LatchPublish, Release, "version", [LatchObserve, LatchRecheck],
        "the slot's words must be visible before the version that names it";
    // sleeping
    SleepAsk, Relaxed, "asks", [WakeLook, WakeLookAgain],
        "asks to be woken; SleepBarrier or SleepFence keeps it before the last look";
    WakeAnswer, Relaxed, "answers", [SleepMark, SleepWait],
        "who has asked and does not sleep yet will not";
    // roles and the life of a segment
    RoleEpochNext, Relaxed, "epoch", [],
        "counts a taking of the role; the role lock orders it";
    Retire, Relaxed, "retired", [],
        "whoever takes a role later sees it; the role locks, all held here, order it";
    NoteWrite, Relaxed, "note", [],
        "an application's own word; ordered by the indices or by the role lock";
}

site_kind! {
    /// Where a fence stands.
    FenceSite ("fence"), Fence, FenceOrdering;

    SeqWriteFence, Release, "SeqOdd | SeqCopyIn", [SeqReadFence],
        "a reader that met a word of the payload must also see the odd sequence";
    SeqReadFence, Acquire, "SeqCopyOut | SeqRecheck", [SeqWriteFence],
        "the recheck must not be answered before the copy is over";
    LatchWriteFence, Release, "LatchPublish | LatchCopyIn", [LatchReadFence],
        "a reader that met a word of the next lap must also see the versions before it";
    LatchReadFence, Acquire, "LatchCopyOut | LatchRecheck", [LatchWriteFence],
        "the recheck must not be answered before the copy is over";
    WakeLight, Light, "what is slept for | WakeLook", [SleepBarrier],
        "who asks too late to be seen here sees in its last look what was stored before";
    WakeFence, SeqCst, "what is slept for | WakeLookAgain", [SleepBarrier, SleepFence],
        "the same where no barrier reaches this side, or the other one cannot make it";
    SleepFence, SeqCst, "SleepAsk | the last look", [WakeFence],
        "in place of SleepBarrier where the kernel refuses it";
}

site_kind! {
    /// Where all other threads are made to go through a fence.
    BarrierSite ("barrier"), Barrier, BarrierOrdering;

    SleepBarrier, Heavy, "SleepAsk | the last look", [WakeLight, WakeFence],
        "what the last look does not see is followed by a look at what was asked";
}

site_kind! {
    /// Where a thread sleeps until it is woken, unless a word is not what it was.
    WaitSite ("futex wait"), Wait, FutexOrdering;

    SleepWait, Atomic, "answers", [WakeAnswer, WakeCall],
        "sleeps only if there was no answer since SleepMark";
}

site_kind! {
    /// Where the threads that sleep on a word are woken.
    WakeSite ("futex wake"), Wake, FutexOrdering;

    WakeCall, Atomic, "answers", [SleepWait],
        "who slept before WakeAnswer was seen is woken";
}

site_kind! {
    /// Where slots are read.
    SlotReadSite ("slot read"), SlotRead, SlotOrdering;

    RingTake, Plain, "slot", [RingFill],
        "the consumer reads what was published; RingObserve and RingFree enclose it";
    RingReview, Plain, "slot", [],
        "the producer reads back a slot that it has reserved and not yet published";
}

site_kind! {
    /// Where slots are written.
    SlotWriteSite ("slot write"), SlotWrite, SlotOrdering;

    RingFill, Plain, "slot", [RingTake],
        "the producer writes a free slot; RingReclaim and RingPublish enclose it";
}

/// A site of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Site {
    /// A load of a word.
    Load(LoadSite),
    /// A store to a word.
    Store(StoreSite),
    /// A fence.
    Fence(FenceSite),
    /// A read of slots.
    SlotRead(SlotReadSite),
    /// A write to slots.
    SlotWrite(SlotWriteSite),
    /// A barrier.
    Barrier(BarrierSite),
    /// A sleep on a word.
    Wait(WaitSite),
    /// A waking of those who sleep on a word.
    Wake(WakeSite),
}

impl Site {
    /// The whole table, in order.
    ///
    /// ```
    /// let names: Vec<_> = ringproof::site::Site::all().map(|site| site.info().name).collect();
    /// assert!(names.contains(&"RingPublish"));
    /// ```
    pub fn all() -> impl Iterator<Item = Site> {
        let loads = LoadSite::ALL.iter().copied().map(Site::Load);
        let stores = StoreSite::ALL.iter().copied().map(Site::Store);
        let fences = FenceSite::ALL.iter().copied().map(Site::Fence);
        let reads = SlotReadSite::ALL.iter().copied().map(Site::SlotRead);
        let writes = SlotWriteSite::ALL.iter().copied().map(Site::SlotWrite);
        let barriers = BarrierSite::ALL.iter().copied().map(Site::Barrier);
        let waits = WaitSite::ALL.iter().copied().map(Site::Wait);
        let wakes = WakeSite::ALL.iter().copied().map(Site::Wake);
        let accesses = loads.chain(stores).chain(fences).chain(reads).chain(writes);
        accesses.chain(barriers).chain(waits).chain(wakes)
    }

    /// The site with this name, if there is one.
    pub fn named(name: &str) -> Option<Site> {
        Site::all().find(|site| site.info().name == name)
    }

    /// The site's row.
    pub const fn info(self) -> SiteInfo {
        match self {
            Site::Load(site) => site.info(),
            Site::Store(site) => site.info(),
            Site::Fence(site) => site.info(),
            Site::SlotRead(site) => site.info(),
            Site::SlotWrite(site) => site.info(),
            Site::Barrier(site) => site.info(),
            Site::Wait(site) => site.info(),
            Site::Wake(site) => site.info(),
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.info().name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = Site::all().map(|site| site.info().name).collect();
        assert_eq!(names.len(), Site::all().count());
    }

    #[test]
    fn every_partner_exists_and_names_the_site_back() {
        for site in Site::all() {
            let info = site.info();
            for partner in info.partners {
                let back = Site::named(partner)
                    .unwrap_or_else(|| panic!("{}: no site {partner}", info.name));
                assert!(
                    back.info().partners.contains(&info.name),
                    "{} names {partner} as partner, {partner} does not name it back",
                    info.name
                );
            }
        }
    }

    #[test]
    fn an_ordering_pairs_with_its_counterpart() {
        for site in Site::all() {
            let info = site.info();
            let counterpart = match info.ordering {
                "Acquire" => "Release",
                "Release" => "Acquire",
                "SeqCst" => "SeqCst",
                "Light" => "Heavy",
                "Heavy" => "Light",
                _ => continue,
            };
            assert!(
                info.partners
                    .iter()
                    .filter_map(|name| Site::named(name))
                    .any(|partner| partner.info().ordering == counterpart),
                "{} is {} and no partner of it is {counterpart}",
                info.name,
                info.ordering
            );
        }
    }
}
