//! What one exploration of one model observes: executions, outcomes, sites, stores per word.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ringproof::site::Site;

use crate::change::Table;

/// Values that loom remembers of one word; it loses older ones.
pub const HISTORY: u64 = 7;

/// The state of one exploration, shared by all its threads. These atomics are the harness's
/// own: no engine sees them.
#[derive(Debug, Default)]
pub struct Run {
    /// The orderings in force.
    pub table: Table,
    executions: AtomicU64,
    outcomes: Mutex<BTreeMap<&'static str, u64>>,
    /// One bit per site, in the order of `Site::all`.
    sites: AtomicU64,
    long_history: AtomicBool,
}

impl Run {
    /// A run over this table.
    pub fn new(table: Table) -> Run {
        Run {
            table,
            ..Run::default()
        }
    }

    /// Counts an execution, and says how many there were with it.
    pub fn begin(&self) -> u64 {
        self.executions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many executions there were.
    pub fn executions(&self) -> u64 {
        self.executions.load(Ordering::Relaxed)
    }

    /// Notes that `outcome` was witnessed.
    pub fn saw(&self, outcome: &'static str) {
        // A panicking model may poison it; the counts are whole all the same.
        let mut outcomes = self.outcomes.lock().unwrap_or_else(|e| e.into_inner());
        *outcomes.entry(outcome).or_default() += 1;
    }

    /// How often each outcome was witnessed.
    pub fn outcomes(&self) -> BTreeMap<&'static str, u64> {
        let outcomes = self.outcomes.lock().unwrap_or_else(|e| e.into_inner());
        outcomes.clone()
    }

    /// Notes an access.
    pub fn at(&self, site: impl Into<Site>) {
        self.sites
            .fetch_or(1 << number(site.into()), Ordering::Relaxed);
    }

    /// The sites that were accessed.
    pub fn sites(&self) -> Vec<Site> {
        let sites = self.sites.load(Ordering::Relaxed);
        Site::all()
            .filter(|&site| sites & (1 << number(site)) != 0)
            .collect()
    }

    /// Notes that a word now has had `values` values in one execution, its first included.
    pub fn history(&self, values: u64) {
        if values > HISTORY {
            self.long_history.store(true, Ordering::Relaxed);
        }
    }

    /// Whether some word had more values than loom remembers.
    pub fn has_long_history(&self) -> bool {
        self.long_history.load(Ordering::Relaxed)
    }
}

/// A site's place among at most 64.
fn number(site: Site) -> u32 {
    use ringproof::site::{FenceSite, LoadSite, SlotReadSite, StoreSite};
    let stores = LoadSite::ALL.len() as u32;
    let fences = stores + StoreSite::ALL.len() as u32;
    let reads = fences + FenceSite::ALL.len() as u32;
    let writes = reads + SlotReadSite::ALL.len() as u32;
    match site {
        Site::Load(site) => site as u32,
        Site::Store(site) => stores + site as u32,
        Site::Fence(site) => fences + site as u32,
        Site::SlotRead(site) => reads + site as u32,
        Site::SlotWrite(site) => writes + site as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_site_has_its_own_bit() {
        for (place, site) in Site::all().enumerate() {
            assert_eq!(number(site) as usize, place, "{site}");
        }
        assert!(Site::all().count() <= 64);
    }
}
