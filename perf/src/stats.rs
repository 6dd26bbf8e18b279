//! Medians, spreads, and what counts as an effect. Nothing here measures anything.

use serde::{Deserialize, Serialize};

/// A median between its extremes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The value in the middle; between the two in the middle where there are two.
    #[serde(with = "endless")]
    pub median: f64,
    /// The smallest value.
    #[serde(with = "endless")]
    pub min: f64,
    /// The largest value.
    #[serde(with = "endless")]
    pub max: f64,
}

impl Summary {
    /// In another unit.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Summary {
            median: self.median * factor,
            min: self.min * factor,
            max: self.max * factor,
        }
    }
}

/// A figure as JSON, which has no infinity: `null` stands for that of what never came.
mod endless {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        value.is_finite().then_some(value).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(from)?.unwrap_or(f64::INFINITY))
    }
}

/// Summarizes `values`; `None` if there are none.
pub fn summarize(values: &[f64]) -> Option<Summary> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let upper = sorted.len() / 2;
    let median = if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[upper - 1], sorted[upper])
    } else {
        sorted[upper]
    };
    Some(Summary { median, min, max })
}

/// The ratio of two series, round by round.
pub fn ratios(of: &[f64], to: &[f64]) -> Vec<f64> {
    of.iter().zip(to).map(|(of, to)| of / to).collect()
}

/// What a series of ratios says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that stands out of the noise.
    None,
    /// The ratio lies below one.
    Below,
    /// The ratio lies above one.
    Above,
    /// There were fewer than [`FEWEST_ROUNDS`], which show nothing either way.
    TooFewRounds,
}

/// Below this a difference is not called an effect, however steady it is.
pub const SMALLEST_EFFECT: f64 = 0.05;

/// Fewer rounds than this show nothing: by chance alone five of five fall on the same side once in
/// sixteen times, four of four once in eight.
pub const FEWEST_ROUNDS: usize = 5;

/// Says whether `ratios`, one for each round, differ from one: by [`SMALLEST_EFFECT`] in the
/// median, and to the same side in at least seven rounds of eight.
pub fn effect(ratios: &[f64]) -> Effect {
    let Some(summary) = summarize(ratios).filter(|_| ratios.len() >= FEWEST_ROUNDS) else {
        return Effect::TooFewRounds;
    };
    let against = |away: fn(f64) -> bool| ratios.iter().filter(|ratio| away(**ratio)).count();
    let most = ratios.len() / 8;
    if summary.median <= 1.0 - SMALLEST_EFFECT && against(|ratio| ratio >= 1.0) <= most {
        Effect::Below
    } else if summary.median >= 1.0 + SMALLEST_EFFECT && against(|ratio| ratio <= 1.0) <= most {
        Effect::Above
    } else {
        Effect::None
    }
}

/// How one series lies to another, round by round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// The ratios.
    pub of: Summary,
    /// Whether they differ from one.
    pub effect: Effect,
}

impl Ratio {
    /// Of one series to another. `None` if there were no rounds.
    pub fn of(of: &[f64], to: &[f64]) -> Option<Self> {
        let by_round = ratios(of, to);
        Some(Ratio {
            of: summarize(&by_round)?,
            effect: effect(&by_round),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_order_and_outliers() {
        let odd = summarize(&[9.0, 1.0, 2.0]).unwrap();
        assert_eq!((odd.median, odd.min, odd.max), (2.0, 1.0, 9.0));
        assert_eq!(summarize(&[4.0, 1.0, 100.0, 2.0]).unwrap().median, 3.0);
        assert_eq!(summarize(&[]), None);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // The machine is twice as slow in the second round: the ratio does not see it.
        assert_eq!(ratios(&[10.0, 20.0], &[5.0, 10.0]), [2.0, 2.0]);
    }

    #[test]
    fn an_injected_effect_is_seen_and_a_flat_series_or_a_few_rounds_show_none() {
        let mut one_of_eight = vec![0.6; 7];
        one_of_eight.push(1.4);
        for (ratios, expected) in [
            (&[0.5, 0.6, 0.4, 0.55, 0.7][..], Effect::Below),
            (&[1.5, 1.6, 1.4, 1.55, 1.7], Effect::Above),
            // One round of eight may say otherwise.
            (&one_of_eight, Effect::Below),
            (&[1.02, 0.99, 1.01, 0.98, 1.0], Effect::None),
            // Steady, but too small to matter.
            (&[0.97; 9], Effect::None),
            // Large, but as often to one side as to the other.
            (&[0.5, 1.5, 0.6, 1.4, 0.5, 1.6], Effect::None),
            (&[0.5; 4], Effect::TooFewRounds),
            (&[], Effect::TooFewRounds),
        ] {
            assert_eq!(effect(ratios), expected, "{ratios:?}");
        }
    }
}
