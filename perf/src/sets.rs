//! Several comparisons, each with rounds of its own, that are reported side by side.
//!
//! Rounds of many cases last longer than virtual CPUs stay where they are. So few cases at a time
//! are measured in turn, and that the CPUs lay the same way in one set of them as in the next is
//! seen to here.

use crate::probe::agree;
use crate::report::Trouble;
use crate::rounds::Rounds;
use crate::stats::summarize;

/// How often sets are measured again that were not measured as most were.
const AGAIN: usize = 2;

/// What came of one set.
#[derive(Clone, Debug)]
pub struct Measured<Set> {
    /// The set.
    pub set: Set,
    /// Its rounds, or why there are none.
    pub rounds: Result<Rounds, String>,
}

/// Measures the sets one after the other, and again those during which the CPUs lay closer or
/// further apart than during most. One that always does has no rounds in the end.
///
/// # Errors
/// [`Trouble::Failed`] of any set, [`Trouble::NotRun`] if none runs.
pub fn measure_all<Set>(
    sets: impl IntoIterator<Item = Set>,
    mut measure: impl FnMut(&Set) -> Result<Rounds, Trouble>,
) -> Result<Vec<Measured<Set>>, Trouble> {
    let mut measure = |set: &Set| match measure(set) {
        Ok(rounds) => Ok(Ok(rounds)),
        Err(Trouble::NotRun(why)) => Ok(Err(why)),
        Err(failed) => Err(failed),
    };
    let mut all = Vec::new();
    for set in sets {
        let rounds = measure(&set)?;
        all.push(Measured { set, rounds });
    }
    for _ in 0..AGAIN {
        let Some(usual) = usual(&all) else { break };
        for Measured { set, rounds } in &mut all {
            let gone = match rounds {
                Ok(rounds) if as_usual(rounds, usual) => continue,
                Ok(rounds) => rounds.count() + rounds.moved,
                Err(_) => 0,
            };
            *rounds = measure(set)?;
            if let Ok(rounds) = rounds {
                rounds.moved += gone;
            }
        }
    }
    if let Some(usual) = usual(&all) {
        for Measured { rounds, .. } in &mut all {
            if let Ok(found) = rounds
                && !as_usual(found, usual)
            {
                *rounds = Err(format!(
                    "the two CPUs lay {:.0} ns apart, and {usual:.0} while most of the others \
                     were measured, as when a hypervisor moves virtual CPUs",
                    found.latency.unwrap_or(f64::NAN)
                ));
            }
        }
    }
    let first = all.first().and_then(|one| one.rounds.as_ref().err());
    match first {
        Some(why) if all.iter().all(|one| one.rounds.is_err()) => Err(Trouble::NotRun(why.clone())),
        _ => Ok(all),
    }
}

/// The rounds of those that have any.
pub fn together<Set>(all: &[Measured<Set>]) -> Rounds {
    Rounds::together(all.iter().flat_map(|one| &one.rounds))
}

/// How far apart the CPUs were in most sets; `None` without probes.
fn usual<Set>(all: &[Measured<Set>]) -> Option<f64> {
    let measured = all.iter().flat_map(|one| &one.rounds);
    let latencies: Vec<f64> = measured.filter_map(|rounds| rounds.latency).collect();
    summarize(&latencies).map(|summary| summary.median)
}

fn as_usual(rounds: &Rounds, usual: f64) -> bool {
    (rounds.latency).is_none_or(|latency| agree(latency, usual))
}

#[cfg(test)]
impl<Set> Measured<Set> {
    /// What tests take for measured.
    pub(crate) fn recorded(set: Set, series: impl Into<Vec<Vec<f64>>>) -> Self {
        let rounds = Ok(Rounds::recorded(series));
        Measured { set, rounds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three sets, measured with these latencies one after the other; what came of them, and how
    /// often each was measured.
    fn measured(latencies: &[Option<f64>]) -> (Vec<Measured<usize>>, [usize; 3]) {
        let mut times = [0; 3];
        let mut latencies = latencies.iter().copied();
        let measure = |set: &usize| {
            times[*set] += 1;
            let latency = latencies
                .next()
                .ok_or(Trouble::NotRun("no more".to_owned()))?;
            Ok(Rounds {
                series: vec![vec![1.0; 5]],
                latency,
                ..Rounds::default()
            })
        };
        let all = measure_all(0..3, measure).unwrap();
        (all, times)
    }

    #[test]
    fn a_set_that_ran_on_hyperthreads_is_measured_again() {
        let (all, times) = measured(&[50.0, 18.0, 55.0, 52.0].map(Some));
        assert_eq!(times, [1, 2, 1]);
        let again = all[1].rounds.as_ref().unwrap();
        assert_eq!((again.latency, again.moved), (Some(52.0), 5));
        assert_eq!(together(&all).moved, 5);
    }

    #[test]
    fn a_set_that_always_runs_elsewhere_says_so() {
        let (all, times) = measured(&[50.0, 18.0, 55.0, 19.0, 20.0].map(Some));
        assert_eq!(times, [1, 1 + AGAIN, 1]);
        let why = all[1].rounds.as_ref().unwrap_err();
        assert!(why.contains("lay 20 ns apart, and 50 while most"), "{why}");
        assert!(all[0].rounds.is_ok() && all[2].rounds.is_ok());
    }

    #[test]
    fn without_probes_nothing_is_measured_again() {
        let (all, times) = measured(&[None; 3]);
        assert_eq!(times, [1; 3]);
        assert!(all.iter().all(|one| one.rounds.is_ok()));
    }

    #[test]
    fn what_does_not_run_has_its_reason_and_what_fails_ends_it() {
        let (all, _) = measured(&[Some(50.0), Some(50.0)]);
        assert_eq!(all[2].rounds.as_ref().unwrap_err(), "no more");
        let failed = measure_all(0..3, |_| Err(Trouble::Failed("torn".to_owned())));
        assert_eq!(failed.unwrap_err(), Trouble::Failed("torn".to_owned()));
        let nowhere = Trouble::NotRun("one CPU".to_owned());
        let none = measure_all(0..3, |_| Err(nowhere.clone()));
        assert_eq!(none.unwrap_err(), nowhere);
    }
}
