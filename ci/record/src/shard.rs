//! A run divided among machines: how the share of one is written, and what belongs to it.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One share of a run, written `I/N`: the `number`-th `of` so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which, from 1.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

impl Shard {
    /// All of the run.
    pub const WHOLE: Shard = Shard { number: 1, of: 1 };

    /// Whether the piece of this number, from 0, belongs to it.
    pub fn has(self, piece: usize) -> bool {
        let turn = (piece as u64).checked_rem(u64::from(self.of));
        turn.is_some_and(|turn| turn + 1 == u64::from(self.number))
    }

    /// Its part of these pieces.
    pub fn part_of<T>(self, pieces: Vec<T>) -> Vec<T> {
        let all = pieces.into_iter().enumerate();
        all.filter(|(piece, _)| self.has(*piece))
            .map(|(_, piece)| piece)
            .collect()
    }
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

    #[test]
    fn the_shards_share_the_pieces_without_rest_or_overlap() {
        let shards = [1, 2, 3].map(|number| Shard { number, of: 3 });
        for piece in 0..20 {
            let takers = shards.iter().filter(|shard| shard.has(piece));
            assert_eq!(takers.count(), 1, "piece {piece}");
        }
        let all: Vec<_> = (0..20).collect();
        assert_eq!(Shard::WHOLE.part_of(all.clone()), all);
        assert_eq!(shards[1].part_of(all), [1, 4, 7, 10, 13, 16, 19]);
    }

    #[test]
    fn a_shard_of_nothing_has_nothing() {
        assert!(!Shard { number: 0, of: 0 }.has(0));
    }
}
