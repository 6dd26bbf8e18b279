//! One thing beside another, round by round, and what is said about it.

use ringproof_record::Record;

use crate::report::{LAYER, per_mille};
use crate::stats::{Effect, Summary, effect, ratios, summarize};
use crate::table::{Cell, figure, spread};

/// A series beside its reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compared {
    /// The series itself, in its unit.
    pub value: Summary,
    /// Its speed in units of the reference's.
    pub speed: Summary,
    /// Whether the speeds differ.
    pub effect: Effect,
}

impl Compared {
    /// Of items a second, or whatever grows with speed. `None` if there were no rounds.
    pub fn rates(series: &[f64], reference: &[f64]) -> Option<Self> {
        Self::of(series, &ratios(series, reference))
    }

    /// Of nanoseconds each, or whatever shrinks with speed. `None` if there were no rounds.
    pub fn times(series: &[f64], reference: &[f64]) -> Option<Self> {
        Self::of(series, &ratios(reference, series))
    }

    fn of(series: &[f64], speeds: &[f64]) -> Option<Self> {
        Some(Compared {
            value: summarize(series)?,
            speed: summarize(speeds)?,
            effect: effect(speeds),
        })
    }

    /// Whether it is slower than its reference.
    pub fn slower(&self) -> bool {
        self.effect == Effect::Below
    }

    /// Whether it is faster than its reference.
    pub fn faster(&self) -> bool {
        self.effect == Effect::Above
    }

    /// What is said about it in a word.
    pub fn said(&self) -> &'static str {
        match self.effect {
            Effect::Below => "slower",
            Effect::Above => "faster",
            Effect::None => "no difference",
            Effect::TooFewRounds => "too few rounds to say",
        }
    }

    /// The ratio of speeds between its extremes.
    pub fn ratio(&self) -> Cell {
        Cell::figure(spread(self.speed))
    }

    /// By what part it is slower or faster, in percent.
    pub fn percent(&self) -> String {
        format!("{:.0} %", (self.speed.median - 1.0).abs() * 100.0)
    }

    /// The row that says so: its speed in thousandths of that of `reference`.
    pub fn row(&self, subject: &str, check: String, reference: &str) -> Record {
        Record::passed(LAYER, subject, check)
            .count(
                per_mille(self.speed.median),
                format!("‰ of the speed of {reference}"),
            )
            .reason(format!(
                "{}–{} ‰; effect: {}",
                per_mille(self.speed.min),
                per_mille(self.speed.max),
                self.said()
            ))
    }
}

/// The row of a reference: thousand items a second.
pub fn reference_row(subject: &str, check: String, rate: Summary) -> Record {
    Record::passed(LAYER, subject, check)
        .count((rate.median * 1000.0).round() as u64, "thousand items/s")
        .reason(format!(
            "the reference, {}–{} million items/s",
            figure(rate.min),
            figure(rate.max)
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_is_slow_whether_rates_or_times_are_given() {
        let (small, large) = ([1.0, 1.1, 0.9, 1.0, 1.2], [2.0, 2.2, 1.8, 2.0, 2.4]);
        assert!(Compared::rates(&small, &large).unwrap().slower());
        assert!(Compared::times(&small, &large).unwrap().faster());
        let slow = Compared::times(&large, &small).unwrap();
        assert_eq!((slow.said(), slow.percent().as_str()), ("slower", "50 %"));
        assert_eq!(slow.value.median, 2.0);
        let row = slow.row("words", "near".to_owned(), "far");
        assert_eq!(row.count, Some(500));
        assert!(row.reason.unwrap().ends_with("effect: slower"));
    }

    #[test]
    fn equal_series_differ_in_nothing_and_none_are_not_compared() {
        let same = Compared::rates(&[1.0; 5], &[1.0; 5]).unwrap();
        assert!(!same.slower() && !same.faster());
        assert_eq!(same.said(), "no difference");
        assert_eq!(Compared::rates(&[], &[]), None);
    }
}
