//! What is left to chance, drawn from the seed.

use ringproof::layout::Kind;

use crate::item::mix;

/// How many steps before a corner of the range a start is, at most: so few that the smallest rings
/// get there in a round.
const NEAR: u64 = 400;

/// A stream of choices. Equal beginnings make equal choices.
pub(crate) struct Choices(u64);

impl Choices {
    /// The stream that follows from these numbers.
    pub(crate) fn of(parts: &[u64]) -> Self {
        Choices(parts.iter().fold(0, |state, part| mix(state ^ mix(*part))))
    }

    /// A number below `bound`, which is not zero.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(self.0) % bound
    }

    /// Whether something happens that happens once in `times` times.
    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Where to start counting: at the beginning, or shortly before a number that is a corner of
    /// the range, the end of it included.
    pub(crate) fn start(&mut self) -> u64 {
        // The last corner is 2 to the 64th.
        match self.pick(&[None, Some(1 << 32), Some(1 << 63), Some(0_u64)]) {
            None => 0,
            Some(corner) => corner.wrapping_sub(1 + self.below(NEAR)),
        }
    }
}

/// What the round of this number is about. (What else it is, its structure draws itself.)
#[derive(Clone, Copy)]
pub(crate) struct Round {
    pub(crate) number: u64,
    pub(crate) seed: u64,
    pub(crate) kind: Kind,
    /// How many deaths it has.
    pub(crate) kills: u64,
    /// The longest time from a start to what happens next, in microseconds.
    pub(crate) longest: u64,
}

impl Round {
    pub(crate) fn of(seed: u64, number: u64) -> Self {
        let mut choices = Choices::of(&[seed, number]);
        Round {
            number,
            seed: choices.below(u64::MAX),
            kind: choices.pick(&[Kind::Ring, Kind::Ring, Kind::SeqLock, Kind::Latch]),
            kills: 20 + choices.below(80),
            longest: choices.pick(&[200, 600, 1500]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_beginnings_make_equal_choices() {
        let ten = |parts: &[u64]| {
            let mut choices = Choices::of(parts);
            [0; 10].map(|_: u64| choices.below(1000))
        };
        assert_eq!(ten(&[1, 2]), ten(&[1, 2]));
        assert_ne!(ten(&[1, 2]), ten(&[2, 1]));
        assert_ne!(ten(&[1, 2]), ten(&[1, 3]));
    }

    #[test]
    fn every_kind_of_start_comes() {
        let mut choices = Choices::of(&[7]);
        let starts = [0; 100].map(|_: u64| choices.start());
        assert!(starts.contains(&0));
        for end in [1_u64 << 32, 1 << 63, 0] {
            let near = |start: &u64| *start != 0 && end.wrapping_sub(*start) <= NEAR;
            assert!(starts.iter().any(near), "{end}");
        }
    }

    #[test]
    fn every_kind_of_round_comes() {
        for kind in [Kind::Ring, Kind::SeqLock, Kind::Latch] {
            assert!((0..100).any(|number| Round::of(1, number).kind == kind));
        }
    }
}
