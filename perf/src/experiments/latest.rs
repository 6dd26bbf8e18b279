//! The latest value: seqlock and latch, alone and against each other's worst case.

use crate::experiments::Experiment;
use crate::report::{Report, Trouble};
use crate::run::Settings;
use crate::stats::Effect;
use crate::table::figure;
use crate::values::{Entry, HOW_TO_READ, OURS, Situation, Values, add_figures, measure, ours};

/// The experiment.
pub(crate) const EXPERIMENT: Experiment = Experiment {
    name: "latest",
    title: "latest value",
    subject: "seqlock, latch",
    about: "Seqlock and latch: write, read at rest, read against a writer that never pauses",
    run,
    ..Experiment::MEASURES
};

/// Ours with payloads of 32, 64, 256 and 1024 bytes.
const SIZES: [&[Entry]; 4] = [&ours::<4>(), &ours::<8>(), &ours::<32>(), &ours::<128>()];

/// Measures seqlock and latch.
pub fn run(settings: &Settings) -> Result<Report, Trouble> {
    let pair = settings.pair()?;
    let (all, rounds) = measure("latest value", pair, settings, SIZES)?;
    let mut report = Report::on(
        "latest value: seqlock and latch of 4 slots, ns for each",
        pair,
    );
    report.add_conditions("", "latest value", &rounds);
    report.note(HOW_TO_READ);
    add_figures(&mut report, "", &all, settings.sample);
    report.conclusions.extend(conclusions(&all));
    Ok(report)
}

/// For each structure, what a writer that never pauses does to its readers.
fn conclusions(all: &Values) -> Vec<String> {
    let [idle, busy] = [Situation::ReadIdle, Situation::ReadBusy].map(|one| one as usize);
    let of_structure = |name| {
        let (mut slower, mut same, mut starved) = (Vec::new(), Vec::new(), Vec::new());
        for line in all.lines.iter().filter(|line| line.of.name == name) {
            let Ok(ratio) = line.ratio(busy, idle) else {
                continue;
            };
            let size = format!("{} bytes", line.of.bytes);
            match ratio.effect {
                _ if ratio.of.max.is_infinite() => starved.push(size),
                Effect::Above => {
                    slower.push(format!("{} times at {size}", figure(ratio.of.median)))
                }
                _ => same.push(size),
            }
        }
        let clauses = [
            ("takes longer, ", slower.join(", ")),
            (
                "got no value at all in some rounds at ",
                starved.join(" and "),
            ),
            ("takes no longer within the noise at ", same.join(" and ")),
        ];
        let clauses = clauses.iter().filter(|(_, sizes)| !sizes.is_empty());
        let said: Vec<String> = clauses
            .map(|(what, sizes)| format!("{what}{sizes}"))
            .collect();
        let begin = format!("While its writer never pauses, a read of the {name}");
        (!said.is_empty()).then(|| format!("{begin} {}.", said.join("; ")))
    };
    OURS.into_iter().filter_map(of_structure).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::{Comparison, Unit};
    use crate::values::Structure;

    /// What is concluded from reads of a latch, with an idle writer and with one that never pauses.
    fn concluded(busy: [f64; 5]) -> Vec<String> {
        let latch = Structure {
            name: "latch",
            bytes: 32,
        };
        let mut all = Comparison::new(Unit::TIME, Situation::ReadIdle as usize);
        let idle = [2.0, 2.2, 1.8, 2.0, 2.1];
        let series = [[1.0; 5], idle, busy].map(|times| Ok(times.to_vec()));
        all.add(latch, series.into());
        conclusions(&all)
    }

    #[test]
    fn what_a_busy_writer_does_to_a_reader_is_concluded() {
        let slower = [200.0, 230.0, 170.0, 200.0, 210.0];
        let starved = [200.0, f64::INFINITY, 170.0, 200.0, 210.0];
        for (busy, said) in [
            (slower, "takes longer, 100 times"),
            (
                [2.1, 2.2, 1.7, 2.1, 2.0],
                "takes no longer within the noise",
            ),
            (starved, "got no value at all in some rounds"),
        ] {
            let start = "While its writer never pauses, a read of the latch";
            assert_eq!(concluded(busy), [format!("{start} {said} at 32 bytes.")]);
        }
    }
}
