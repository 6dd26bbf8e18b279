//! The words of a role in shared memory: how often it was taken, and whether the segment is retired.

use crate::memory::{Memory, WordOf};
use crate::site::{LoadSite, StoreSite};

/// Counts a taking of a role, and says how many there were with this one.
pub fn enter<M: Memory>(memory: &M, epoch: &WordOf<M>) -> u64 {
    // Relaxed, both: only the holder of the role lock does this, and the lock orders holders.
    let next = memory.load(epoch, LoadSite::RoleEpoch).wrapping_add(1);
    memory.store(epoch, next, StoreSite::RoleEpochNext);
    next
}

/// Marks a segment as retired: nobody takes a role of it any more.
pub fn retire<M: Memory>(memory: &M, retired: &WordOf<M>) {
    // Relaxed: see RetiredCheck.
    memory.store(retired, 1, StoreSite::Retire);
}

/// Takes the mark back: the segment could not be removed.
pub fn reinstate<M: Memory>(memory: &M, retired: &WordOf<M>) {
    // Relaxed: see RetiredCheck; and who saw the mark asks again under the lock of the removal.
    memory.store(retired, 0, StoreSite::Retire);
}

/// Whether a segment is retired.
pub fn is_retired<M: Memory>(memory: &M, retired: &WordOf<M>) -> bool {
    // Relaxed: asked under the role lock, which orders it.
    memory.load(retired, LoadSite::RetiredCheck) != 0
}
