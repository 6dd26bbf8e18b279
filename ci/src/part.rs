//! What of a run a report is: everything, or the share of one machine.
//!
//! A layer that explores models takes `--shard I/N` and prints the rows of its share: a model, or
//! one change of the code, belongs to one shard as a whole. A layer of random choices takes it, too,
//! and makes its own in each. Every other layer runs in the first shard. What a layer owes is judged when
//! the reports are merged.

use std::fmt::{self, Display, Formatter};

use ringproof_record::Shard;
use serde::{Deserialize, Serialize};

/// What a report is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Everything that was selected.
    Whole,
    /// One share of it.
    Shard(Shard),
    /// Everything, from the reports of so many shards.
    Merged(u32),
}

impl Part {
    /// The share, where it is one.
    pub fn shard(self) -> Option<Shard> {
        match self {
            Part::Shard(shard) => Some(shard),
            Part::Whole | Part::Merged(_) => None,
        }
    }
}

impl Display for Part {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Part::Whole => write!(out, "whole"),
            Part::Shard(shard) => {
                write!(
                    out,
                    "shard {shard}: what is required is judged after the merge"
                )
            }
            Part::Merged(of) => write!(out, "merged from shards 1 to {of}"),
        }
    }
}
