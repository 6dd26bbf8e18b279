//! Interleaved rounds: every case once in each, in an order that rotates; rounds during which the
//! CPUs moved are repeated.
//!
//! Each round makes what it measures anew. The same code in other memory is another sample: which
//! pages it gets decides over tens of per cent, and a case that kept its pages from round to round
//! would look faster or slower than another without being so.

use crate::probe::agree;
use crate::stats::summarize;

/// How often one sample is taken again because its threads were preempted.
const RETRIES: usize = 4;

/// One sample of one case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// What was measured, in the unit of the experiment.
    pub value: f64,
    /// How often its threads were preempted.
    pub preemptions: u64,
}

/// One round while it is measured.
#[derive(Clone, Debug)]
pub struct Round {
    /// The cases, in the order in which they are measured.
    pub order: Vec<usize>,
    /// How far apart the CPUs were when it began; `None` where there is nothing to probe.
    pub distance: Option<f64>,
    /// The distance when it ended.
    end: Option<f64>,
    /// The value of each case.
    values: Vec<f64>,
    /// How many samples were taken again because a thread was preempted.
    retaken: usize,
    /// How many of the values are of preempted threads all the same.
    preempted: usize,
}

impl Round {
    /// One that measures in this order.
    fn new(order: Vec<usize>, distance: Option<f64>) -> Self {
        Round {
            values: vec![0.0; order.len()],
            order,
            distance,
            end: None,
            retaken: 0,
            preempted: 0,
        }
    }

    /// Takes the sample of each case, in the order of the round, as [`take`](Self::take) does.
    pub fn each<Error>(
        &mut self,
        mut sample: impl FnMut(usize) -> Result<Sample, Error>,
    ) -> Result<(), Error> {
        let order = self.order.clone();
        let mut order = order.into_iter();
        order.try_for_each(|case| self.take(case, || sample(case)))
    }

    /// Takes the sample of a case, and again, a few times, while it is of preempted threads.
    pub fn take<Error>(
        &mut self,
        case: usize,
        mut sample: impl FnMut() -> Result<Sample, Error>,
    ) -> Result<(), Error> {
        self.take_together([case], || {
            let Sample { value, preemptions } = sample()?;
            Ok(([value], preemptions))
        })
    }

    /// The same with a sample that has a value for each of several cases, beside its preemptions.
    pub fn take_together<const N: usize, Error>(
        &mut self,
        cases: [usize; N],
        mut sample: impl FnMut() -> Result<([f64; N], u64), Error>,
    ) -> Result<(), Error> {
        let (mut values, mut preemptions) = sample()?;
        for _ in 0..RETRIES {
            if preemptions == 0 {
                break;
            }
            self.retaken += 1;
            (values, preemptions) = sample()?;
        }
        self.preempted += usize::from(preemptions > 0);
        for (case, value) in cases.into_iter().zip(values) {
            self.values[case] = value;
        }
        Ok(())
    }

    /// The probes before and after; `None` where they would mean nothing.
    fn probes(&self) -> Option<[f64; 2]> {
        self.distance.zip(self.end).map(<[f64; 2]>::from)
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Rounds {
    /// For each case, its value in each round that counts.
    pub series: Vec<Vec<f64>>,
    /// The one-way latency that the rounds that count agree on; `None` without probes.
    pub latency: Option<f64>,
    /// Rounds that were thrown away because the probes disagreed.
    pub moved: usize,
    /// Samples that were taken again because a thread was preempted.
    pub retaken: usize,
    /// Samples that count although a thread was preempted, because it always was.
    pub preempted: usize,
}

impl Rounds {
    /// What tests take for measured.
    #[cfg(test)]
    pub(crate) fn recorded(series: impl Into<Vec<Vec<f64>>>) -> Self {
        Rounds {
            series: series.into(),
            ..Rounds::default()
        }
    }

    /// How many rounds count.
    pub fn count(&self) -> usize {
        self.series.first().map_or(0, Vec::len)
    }

    /// What the rounds of several runs were like: as many as the run with the fewest had, and all
    /// that happened to any. Their values are in no relation and are left out.
    pub fn together<'a>(runs: impl Iterator<Item = &'a Rounds> + Clone) -> Rounds {
        let sum = |of: fn(&Rounds) -> usize| runs.clone().map(of).sum();
        let latencies: Vec<f64> = runs.clone().filter_map(|run| run.latency).collect();
        let fewest = runs.clone().map(Rounds::count).min().unwrap_or(0);
        Rounds {
            series: vec![vec![f64::NAN; fewest]],
            latency: summarize(&latencies).map(|summary| summary.median),
            moved: sum(|run| run.moved),
            retaken: sum(|run| run.retaken),
            preempted: sum(|run| run.preempted),
        }
    }
}

/// Runs as many rounds as are wanted over `cases` cases, and as many again, if need be, in place of those
/// during which the CPUs moved: the only loop that measures. `seed` turns the order of the first round.
///
/// `probe` says how far apart the CPUs are, `measure` makes what a round measures and takes its
/// samples, and `done` is called with how many rounds count after each. There may be fewer rounds
/// in the result than wanted: none counts that the probes speak against.
///
/// # Errors
/// The first error of `probe` or `measure`.
pub fn interleave<Error>(
    wanted: usize,
    cases: usize,
    seed: u64,
    mut probe: impl FnMut() -> Result<Option<f64>, Error>,
    mut measure: impl FnMut(&mut Round) -> Result<(), Error>,
    mut done: impl FnMut(usize),
) -> Result<Rounds, Error> {
    let mut all = Vec::new();
    while counting(&all).count() < wanted && all.len() < wanted + wanted.max(4) {
        let mut round = Round::new(order(cases, all.len(), seed), probe()?);
        measure(&mut round)?;
        round.end = probe()?;
        all.push(round);
        done(counting(&all).count());
    }

    let mut rounds = Rounds {
        series: vec![Vec::new(); cases],
        latency: None,
        moved: all.len(),
        retaken: all.iter().map(|round| round.retaken).sum(),
        preempted: 0,
    };
    let mut latencies = Vec::new();
    for round in counting(&all) {
        rounds.moved -= 1;
        rounds.preempted += round.preempted;
        let values = rounds.series.iter_mut().zip(&round.values);
        values.for_each(|(series, value)| series.push(*value));
        latencies.extend(round.probes().into_iter().flatten());
    }
    rounds.latency = summarize(&latencies).map(|summary| summary.median);
    Ok(rounds)
}

/// The rounds that count: those whose two probes agree with each other and with most of the others.
/// Where probes mean nothing, all count.
fn counting(all: &[Round]) -> impl Iterator<Item = &Round> {
    let probes: Vec<f64> = all.iter().flat_map(Round::probes).flatten().collect();
    let usual = summarize(&probes).map_or(f64::NAN, |summary| summary.median);
    all.iter().filter(move |round| {
        round.probes().is_none_or(|[before, after]| {
            agree(before, after) && agree(before, usual) && agree(after, usual)
        })
    })
}

/// The order of the cases in a round: every other round the other way, and each begins elsewhere.
fn order(cases: usize, round: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..cases).collect();
    if cases > 0 {
        order.rotate_left((round + (seed % cases as u64) as usize) % cases);
    }
    if !round.is_multiple_of(2) {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn sample(value: f64, preemptions: u64) -> Sample {
        Sample { value, preemptions }
    }

    /// Rounds of one case whose values are 1, 2, 3, …, with the given probes.
    fn with_probes(wanted: usize, probes: &[f64]) -> Rounds {
        let mut probes = probes.iter().copied();
        let mut value = 0.0;
        let measure = |round: &mut Round| {
            value += 1.0;
            round.each(|_| Ok::<_, Infallible>(sample(value, 0)))
        };
        interleave(wanted, 1, 0, || Ok(probes.next()), measure, |_| ()).unwrap()
    }

    #[test]
    fn every_round_has_every_case_once_and_begins_elsewhere() {
        for cases in 1..6 {
            for round in 0..12 {
                let mut sorted = order(cases, round, 7);
                sorted.sort_unstable();
                assert_eq!(sorted, (0..cases).collect::<Vec<_>>());
            }
        }
        let firsts: Vec<_> = (0..3).map(|round| order(3, round, 0)[0]).collect();
        assert_eq!(firsts, [0, 0, 2]);
        assert_ne!(order(3, 0, 1), order(3, 0, 0));
        assert!(order(0, 0, 3).is_empty());
    }

    #[test]
    fn a_round_whose_probes_disagree_is_repeated_and_counted() {
        // The second round begins on two cores and ends on two hyperthreads.
        let rounds = with_probes(3, &[50.0, 52.0, 51.0, 18.0, 50.0, 49.0, 50.0, 51.0]);
        assert_eq!((rounds.count(), rounds.moved), (3, 1));
        assert_eq!(rounds.series, [[1.0, 3.0, 4.0]]);
        assert_eq!(rounds.latency, Some(50.0));
    }

    #[test]
    fn a_round_counts_if_no_probe_speaks_against_it() {
        let never_settled = [50.0, 18.0].repeat(20);
        for (probes, expected) in [
            // The first round ran elsewhere from its start to its end.
            (
                &[18.0, 18.0, 50.0, 52.0, 51.0, 50.0, 50.0, 51.0][..],
                (3, 1),
            ),
            (&never_settled, (0, 7)),
            (&[], (3, 0)),
        ] {
            let rounds = with_probes(3, probes);
            assert_eq!((rounds.count(), rounds.moved), expected, "{probes:?}");
        }
        assert_eq!(with_probes(3, &[]).latency, None);
    }

    #[test]
    fn a_preempted_sample_is_taken_again_and_counted_if_it_always_is() {
        let mut round = Round::new(vec![0], None);
        let mut taken = 0;
        let outcome = round.take(0, || {
            taken += 1;
            Ok::<_, Infallible>(sample(f64::from(taken), u64::from(taken < 3)))
        });
        assert_eq!(outcome, Ok(()));
        assert_eq!((round.retaken, round.preempted), (2, 0));
        assert_eq!(round.values, [3.0]);

        let outcome = round.take(0, || Ok::<_, Infallible>(sample(1.0, 1)));
        assert_eq!(outcome, Ok(()));
        assert_eq!((round.retaken, round.preempted), (6, 1));
    }

    #[test]
    fn runs_together_are_no_better_than_the_worst() {
        let run = |count, latency, moved| Rounds {
            series: vec![vec![1.0; count]],
            latency,
            moved,
            ..Rounds::default()
        };
        let (one, other) = (run(5, Some(50.0), 1), run(4, Some(60.0), 2));
        let together = Rounds::together([&one, &other].into_iter());
        assert_eq!((together.count(), together.moved), (4, 3));
        assert_eq!(together.latency, Some(55.0));
    }

    #[test]
    fn a_sample_that_fails_ends_the_run() {
        let measure = |round: &mut Round| round.each(|_| Err("out of order"));
        let error = interleave(1, 1, 0, || Ok(None), measure, |_| ()).unwrap_err();
        assert_eq!(error, "out of order");
    }

    #[test]
    fn a_probe_that_finds_a_cpu_gone_ends_the_run_without_the_rounds_until_then() {
        // Before and after the first round, and before the second.
        let mut probes = [Ok(Some(50.0)), Ok(Some(50.0)), Err("gone")].into_iter();
        let measure = |round: &mut Round| round.each(|_| Ok(sample(1.0, 0)));
        let mut rounds = 0;
        let probe = || probes.next().unwrap_or(Err("no more"));
        let outcome = interleave(3, 1, 0, probe, measure, |_| rounds += 1);
        assert_eq!((outcome.unwrap_err(), rounds), ("gone", 1));
    }
}
