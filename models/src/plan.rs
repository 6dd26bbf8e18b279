//! How much of the suite a run does.

use std::fmt;

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

/// One of several equal parts of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    number: usize,
    of: usize,
}

impl Shard {
    /// All of it.
    pub const WHOLE: Shard = Shard { number: 1, of: 1 };

    /// Reads `I/N`, for example `2/3`.
    ///
    /// # Errors
    /// A sentence that says what would do.
    pub fn parse(text: &str) -> Result<Shard, String> {
        let parts = text.split_once('/');
        let numbers = parts.and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Shard { number, of }),
            _ => Err(format!(
                "`{text}` is no part of the work: write I/N with I from 1 to N, such as 2/3"
            )),
        }
    }

    /// Its part of these pieces.
    pub fn part_of<T>(self, pieces: Vec<T>) -> Vec<T> {
        let all = pieces.into_iter().enumerate();
        all.filter(|(piece, _)| self.has(*piece))
            .map(|(_, piece)| piece)
            .collect()
    }

    /// Whether the piece of this number, from 0, belongs to it.
    pub fn has(self, piece: usize) -> bool {
        piece % self.of == self.number - 1
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shards_share_the_pieces_without_rest_or_overlap() {
        for piece in 0..20 {
            let takers = (1..=3).filter(|number| {
                Shard {
                    number: *number,
                    of: 3,
                }
                .has(piece)
            });
            assert_eq!(takers.count(), 1, "piece {piece}");
        }
        assert!((0..20).all(|piece| Shard::WHOLE.has(piece)));
    }

    #[test]
    fn only_parts_are_read() {
        assert_eq!(
            Shard::parse("2/3").map(|shard| shard.to_string()),
            Ok("2/3".to_owned())
        );
        for wrong in ["0/3", "4/3", "1", "1/0", "a/b", "", "1/2/3", "-1/2"] {
            assert!(Shard::parse(wrong).is_err(), "{wrong}");
        }
    }
}
