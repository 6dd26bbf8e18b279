//! What the machine allows, whatever the code: the figures that all others are divided by.
//!
//! Each part measures by itself and is reported by itself. A part that cannot be measured says why, and
//! the others go on.

mod copying;
mod costs;
mod lines;
mod map;
mod streaming;

use crate::comparison::Unit;
use crate::counters::Usage;
use crate::cpus::Pair;
use crate::experiments::Experiment;
use crate::probe::agree;
use crate::report::{Report, Trouble};
use crate::rounds::{Rounds, Sample};
use crate::run::Settings;
use crate::stats::summarize;
use crate::table::figure;
use crate::together::alone;

/// The experiment.
pub(crate) const EXPERIMENT: Experiment = Experiment {
    name: "limits",
    title: "limits",
    subject: "machine",
    about: "What the machine allows, whatever the code",
    details: "What operations cost uncontended, what a message between the two CPUs takes by the \
         cache lines it touches, what a line costs that streams through a ring, by the ring's \
         size and its pages, how fast memory is copied, and how far each CPU is from each \
         other one.",
    run,
    ..Experiment::MEASURES
};

/// The column of figures that were not measured here.
const ELSEWHERE: &str = "another machine";

/// Time that one operation or message takes.
const NS: Unit = Unit {
    thousandth: "ps",
    ..Unit::TIME
};

/// A part: measures, adds to the report what it found, and says how far apart the two CPUs were
/// meanwhile, in nanoseconds, if it probed that.
type Part = fn(&Settings, Pair, &mut Report) -> Outcome;

/// What comes of a part.
type Outcome = Result<Option<f64>, Trouble>;

/// The parts, by the subject of their rows.
const PARTS: [(&str, Part); 5] = [
    (costs::SUBJECT, costs::run),
    (lines::SUBJECT, lines::run),
    (streaming::SUBJECT, streaming::run),
    (copying::SUBJECT, copying::run),
    (map::SUBJECT, map::run),
];

/// Sizes from `first` on, each so many times doubled from the one before.
const fn doubled<const N: usize>(first: usize, times: usize) -> [usize; N] {
    let mut sizes = [first; N];
    let mut at = 1;
    while at < N {
        sizes[at] = sizes[at - 1] << times;
        at += 1;
    }
    sizes
}

/// Measures all parts.
///
/// # Errors
/// [`Trouble`] if there are no two CPUs, or an operation did not do what it should.
pub fn run(settings: &Settings) -> Result<Report, Trouble> {
    let pair = settings.pair()?;
    let mut report = Report::on("limits: what this machine allows, whatever the code", pair);
    report.note(format!(
        "median [min–max]; ratios are taken round by round; “{ELSEWHERE}” is a virtual machine of \
         the Sapphire Rapids class with two separate cores, measured earlier with other programs: \
         to set beside, nothing is computed from it"
    ));
    let mut latencies = Vec::new();
    for (subject, part) in PARTS {
        latencies.extend(report.add_part(subject, |report| part(settings, pair, report))?);
    }
    report.conclusions.extend(moved(&latencies));
    Ok(report)
}

/// Notes what the rounds of a part were like, and says how far apart the two CPUs were.
fn note(report: &mut Report, part: &str, rounds: &Rounds) -> Option<f64> {
    report.add_conditions(part, part, rounds);
    rounds.latency
}

/// A warning if the two CPUs were not as far apart in one part as in another. Within each part
/// the probes see to that.
fn moved(latencies: &[f64]) -> Option<String> {
    let all = summarize(latencies)?;
    (!agree(all.min, all.max)).then(|| {
        format!(
            "The two CPUs moved between the parts: {} ns apart in one and {} ns in another. Set \
             figures of different parts beside each other with care.",
            figure(all.min),
            figure(all.max)
        )
    })
}

/// A sample of what one thread measures on the first of the two CPUs.
fn alone_sampled(
    pair: Pair,
    measure: impl FnOnce() -> Result<f64, Trouble> + Send,
) -> Result<Sample, Trouble> {
    alone(pair, || {
        let (value, preemptions) = Usage::during(measure)?;
        Ok(Sample { value, preemptions })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::says;

    #[test]
    fn parts_between_which_the_cpus_moved_are_reported() {
        let said = moved(&[33.0, 112.0, 174.0]).unwrap();
        says(&said, &["33.0 ns apart in one and 174 ns"]);
        assert_eq!(moved(&[33.0, 35.0, 31.0]), None);
        assert_eq!(moved(&[]), None);
    }
}
