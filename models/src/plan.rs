//! How much of the suite a run does.

pub use ringproof_record::Shard;

use crate::exploration::Effort;

/// What a run of the suite does.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How far each exploration goes.
    pub effort: Effort,
    /// Whether the large scenarios belong to it.
    pub nightly: bool,
    /// Which part of the work is this run's.
    pub shard: Shard,
}
