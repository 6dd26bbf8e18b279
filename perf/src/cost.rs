//! What an operation costs one thread that has its CPU to itself.

pub mod published;

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::counters::Usage;
use crate::cpus::Pair;
use crate::report::Trouble;
use crate::rounds::{Rounds, Sample};
use crate::run::{Settings, fit, measure as rounds_of};
use crate::together::alone;

/// How long one sample takes, roughly. Short, so that most are of a thread that was not preempted.
const SAMPLE: Duration = Duration::from_millis(1);

/// The share of a sample that is done once more before it, to warm caches and predictors.
const WARM_UP: u64 = 8;

/// An operation, done again and again.
pub trait Work: Send {
    /// What to call it when it goes wrong.
    fn name(&self) -> String;

    /// Does it, and gives what shows that it was done. Within the time.
    fn once(&mut self, index: u64) -> u64;

    /// What `once` has to give.
    fn expected(&self, index: u64) -> u64;

    /// Does it `count` times. Provided, so that the loop is compiled together with `once`.
    fn repeat(&mut self, count: u64) -> Repeated {
        let start = Instant::now();
        let mut sum = 0_u64;
        for index in 0..count {
            sum = sum.wrapping_add(self.once(index));
        }
        Repeated {
            took: start.elapsed(),
            sum,
        }
    }
}

/// Works, each of another type.
pub type Works = Vec<Box<dyn Work>>;

/// What came of many repetitions.
#[derive(Clone, Copy, Debug)]
pub struct Repeated {
    /// The time of all of them.
    pub took: Duration,
    /// The wrapping sum of what they gave.
    pub sum: u64,
}

/// No work: the loop around all the others, which is part of their figures.
#[derive(Debug, Default)]
pub struct Nothing;

impl Work for Nothing {
    fn name(&self) -> String {
        "the empty loop".to_owned()
    }

    #[inline]
    fn once(&mut self, index: u64) -> u64 {
        black_box(index)
    }

    fn expected(&self, index: u64) -> u64 {
        index
    }
}

/// Measures works in turn: nanoseconds for each repetition, round by round.
///
/// `fresh` makes those of one round, always in the same order and as many. They are kept until
/// the end, so that those of another round lie in other memory.
///
/// # Errors
/// A work that gives something else than it has to has failed; CPUs that would not stay where they
/// are make it not run.
pub fn measure(
    name: &str,
    pair: Pair,
    settings: &Settings,
    mut fresh: impl FnMut() -> Result<Works, Trouble>,
) -> Result<Rounds, Trouble> {
    let mut works = fresh()?;
    let counts: Vec<u64> = alone(pair, || {
        let works = works.iter_mut();
        works
            .map(|work| calibrate(&mut **work))
            .collect::<Result<_, Trouble>>()
    })?;
    let mut kept = vec![works];
    rounds_of(name, counts.len(), Some(pair), settings, |round| {
        let mut works = fresh()?;
        let sampled = alone(pair, || {
            round.each(|case| sample(&mut *works[case], counts[case]))
        });
        kept.push(works);
        sampled
    })
}

fn sample(work: &mut dyn Work, count: u64) -> Result<Sample, Trouble> {
    work.repeat(count / WARM_UP);
    let (Repeated { took, sum }, preemptions) =
        Usage::during(|| Ok::<_, Trouble>(work.repeat(count)))?;
    let expected = (0..count).fold(0, |sum: u64, index| sum.wrapping_add(work.expected(index)));
    if sum != expected {
        return Err(Trouble::Failed(format!(
            "{}: of {count} results at least one is not what it has to be",
            work.name()
        )));
    }
    Ok(Sample {
        value: took.as_nanos() as f64 / count as f64,
        preemptions,
    })
}

/// How many repetitions take about as long as a sample shall.
fn calibrate(work: &mut dyn Work) -> Result<u64, Trouble> {
    fit(64, SAMPLE, |count| Ok(work.repeat(count).took))
}

/// Whether works give what they have to, again and again.
#[cfg(test)]
pub(crate) fn as_they_must(mut works: Works) -> bool {
    works.iter_mut().all(|work| {
        let sum = work.repeat(1000).sum;
        sum == (0..1000).fold(0, |sum: u64, index| sum.wrapping_add(work.expected(index)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Extent;

    /// Gives wrong results from this one on.
    struct WrongFrom(u64);

    impl Work for WrongFrom {
        fn name(&self) -> String {
            "wrong".to_owned()
        }

        fn once(&mut self, index: u64) -> u64 {
            black_box(index) + u64::from(index >= self.0)
        }

        fn expected(&self, index: u64) -> u64 {
            index
        }
    }

    #[test]
    fn one_wrong_result_of_many_is_noticed() {
        assert!(sample(&mut WrongFrom(1000), 1000).is_ok());
        let Err(Trouble::Failed(why)) = sample(&mut WrongFrom(999), 1000) else {
            panic!("it was not noticed");
        };
        assert!(why.starts_with("wrong: of 1000 results"), "{why}");
    }

    #[test]
    fn a_sample_is_some_thousand_repetitions_of_something_short() {
        // Nothing is said of how long it takes: only that it ends and does not do nothing.
        assert!(calibrate(&mut Nothing).unwrap() > 1000);
    }

    #[test]
    fn every_work_has_a_figure_in_every_round_and_a_wrong_one_ends_it() {
        let settings = Settings::of(Extent::Smoke);
        let pair = Pair::anywhere();
        let measured = |from| {
            let works = || -> Works { vec![Box::new(Nothing), Box::new(WrongFrom(from))] };
            measure("test", pair, &settings, || Ok(works()))
        };
        let rounds = measured(u64::MAX).unwrap();
        assert_eq!((rounds.series.len(), rounds.count()), (2, settings.rounds));
        assert!(matches!(measured(0), Err(Trouble::Failed(_))));
    }
}
