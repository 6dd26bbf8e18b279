//! A run divided among machines: which share this one has.
//!
//! A layer that explores models takes `--shard I/N` and prints the rows of its share: a model, or
//! one change of the code, belongs to one shard as a whole. A layer of random choices takes it, too,
//! and makes its own in each. Every other layer runs in the first shard. What a layer owes is judged when the reports are merged.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One share of a run: the `number`-th `of` so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which, from 1.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

impl Display for Shard {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "it must be I/N, the I-th of N shards, for example 1/3".to_owned();
        let (number, of) = text.split_once('/').ok_or_else(form)?;
        let number = number.parse().map_err(|_| form())?;
        let of = of.parse().map_err(|_| form())?;
        if (1..=of).contains(&number) {
            Ok(Shard { number, of })
        } else {
            Err(format!(
                "the shards of {of} are numbered from 1 to {of}, so there is no {number}"
            ))
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_one_of_so_many() {
        let shard = Shard { number: 2, of: 3 };
        assert_eq!("2/3".parse(), Ok(shard));
        assert_eq!(shard.to_string(), "2/3");
        for wrong in ["", "2", "0/3", "4/3", "1/0", "-1/3", "1/3/3", "a/b"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
        assert!("4/3".parse::<Shard>().unwrap_err().contains("from 1 to 3"));
        assert!("1".parse::<Shard>().unwrap_err().contains("1/3"));
    }
}
