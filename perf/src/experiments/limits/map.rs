//! How far each CPU is from each other one.

use super::{NS, Outcome};
use crate::comparison::Comparison;
use crate::cpus::groups::{Group, groups};
use crate::cpus::{Pair, Topology, allowed};
use crate::plot::Plot;
use crate::probe;
use crate::report::{Report, Trouble};
use crate::rounds::Sample;
use crate::run::{Extent, Settings, measure_each};
use crate::stats::Summary;
use crate::table::{Cell, Table, figure};

/// The subject of its rows.
pub(super) const SUBJECT: &str = "machine/core to core";

/// Measures every pair of the CPUs that this process may use.
pub(super) fn run(settings: &Settings, pair: Pair, report: &mut Report) -> Outcome {
    if !pair.pinned {
        let why = "threads cannot be pinned here (sched_setaffinity is refused)";
        return Err(Trouble::NotRun(why.to_owned()));
    }
    // Half a millisecond for each pair and round: at most minutes, on machines of any size.
    let most = match settings.extent {
        Extent::Full => 256,
        Extent::Quick => 48,
        Extent::Smoke => 4,
    };
    let unknown = "the system does not say which CPUs there are";
    let allowed = allowed().map_err(Trouble::of(unknown))?;
    let allowed: Vec<usize> = allowed.iter().collect();
    let cpus = spread_over(&allowed, most);
    if cpus.len() < allowed.len() {
        report.note(format!(
            "core to core: {} of {} CPUs, because each pair of them takes its time",
            cpus.len(),
            allowed.len()
        ));
    }
    let topology = Topology::of_this_machine();
    let mut pairs = Vec::new();
    for (index, first) in cpus.iter().enumerate() {
        for second in &cpus[index + 1..] {
            pairs.push(pair.between(*first, *second, &topology));
        }
    }
    // The probe is what is measured here: it cannot speak against itself.
    let rounds = measure_each("core to core", pairs.len(), None, settings, |case| {
        let value = probe::one_way(pairs[case]).map_err(|fault| fault.of(SUBJECT))?;
        Ok(Sample {
            value,
            preemptions: 0,
        })
    })?;
    let of = pairs.iter().map(|pair| (pair.first, pair.second));
    let distances = Comparison::of_rounds(NS, 0, 1, of, &rounds);
    let used = (pair.first, pair.second);
    add(report, &cpus, &distances, used);
    Ok(between(&distances, used))
}

/// At most `most` of the CPUs, from all over the list.
fn spread_over(cpus: &[usize], most: usize) -> Vec<usize> {
    let count = cpus.len().min(most);
    (0..count)
        .map(|index| cpus[index * cpus.len() / count])
        .collect()
}

/// How far any two CPUs are apart.
type Distances = Comparison<(usize, usize)>;

/// The latency between two CPUs, whichever comes first.
fn between(distances: &Distances, (one, other): (usize, usize)) -> Option<f64> {
    let is = |cpus: (usize, usize)| cpus == (one, other) || cpus == (other, one);
    let (_, latency) = distances.medians(0).find(|(cpus, _)| is(**cpus))?;
    Some(latency.median)
}

/// Table, heat map, conclusions and rows. `used` are the CPUs of all other experiments.
fn add(report: &mut Report, cpus: &[usize], distances: &Distances, used: (usize, usize)) {
    let disagree = |(_, latency): &(_, Summary)| !probe::agree(latency.min, latency.max);
    let unsteady = distances.medians(0).filter(disagree).count();
    if unsteady > 0 {
        report.note(format!(
            "core to core: the rounds disagree about {unsteady} of {} pairs, as when a hypervisor \
             moves virtual CPUs; the median counts",
            distances.medians(0).count()
        ));
    }
    let pairs = distances.medians(0);
    let groups = groups(pairs.map(|(cpus, apart)| (*cpus, apart.median)).collect());
    let mut table = Table::new(
        "Core to core, one-way in ns over one line: pairs of CPUs by distance",
        ["ns", "pairs", "which"],
    );
    for group in &groups {
        table.add([
            Cell::figure(group.range()),
            Cell::figure(group.0.len().to_string()),
            Cell::words(group.names()),
        ]);
    }
    report.tables.push(table);
    let measured = distances.lines.iter().filter(|line| line.value(0).is_ok());
    report.rows.extend(measured.map(|line| {
        let (first, second) = line.of;
        line.row(0, SUBJECT, format!("CPUs {first} and {second}"))
    }));
    let line = |row: &usize| -> Vec<Option<f64>> {
        let columns = cpus.iter();
        columns
            .map(|column| between(distances, (*row, *column)))
            .collect()
    };
    report.plots.push(Plot::HeatMap {
        title: "Core to core: one-way latency in ns; each pair is measured once, there and back"
            .to_owned(),
        labels: cpus.iter().map(|cpu| format!("CPU {cpu}")).collect(),
        cells: cpus.iter().map(line).collect(),
    });
    let at_use = between(distances, used);
    report.conclusions.extend(conclusion(&groups, used, at_use));
}

/// How the pairs lie, and where the pair lies that all other experiments use.
fn conclusion(groups: &[Group], used: (usize, usize), at_use: Option<f64>) -> Option<String> {
    let nearest = groups.first()?;
    let pairs: usize = groups.iter().map(|group| group.0.len()).sum();
    if let [all] = groups {
        let (range, names) = (all.range(), all.names());
        return Some(match pairs {
            1 => format!("The only two CPUs, {names}, are {range} ns apart, one-way."),
            _ => format!(
                "All {pairs} pairs of CPUs are about equally far apart: {range} ns one-way."
            ),
        });
    }
    let distances = groups.iter().map(|group| {
        let mut said = format!("{} at {} ns", group.0.len(), group.range());
        if group.0.len() <= 2 {
            said += &format!(" (CPUs {})", group.names());
        }
        let ratio = group.middle() / nearest.middle();
        if ratio > 1.0 {
            said += &format!(", {} times as far as the nearest", figure(ratio));
        }
        said
    });
    let (count, distances) = (groups.len(), distances.collect::<Vec<_>>().join("; "));
    let mut text = format!("The {pairs} pairs of CPUs lie at {count} distances: {distances}.");
    if let Some(at_use) = at_use {
        let ((first, second), apart) = (used, figure(at_use));
        text += &format!(" All other figures are of CPUs {first} and {second}, {apart} ns apart.");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::omits;

    /// What four CPUs would have measured, with 2 and 3 so far apart.
    fn recorded(outlier: f64) -> Report {
        let pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)];
        let mut distances = Distances::new(NS, 0);
        for (cpus, latency) in pairs
            .into_iter()
            .zip([55.0, 57.0, 52.0, 60.0, 54.0, outlier])
        {
            distances.add(
                cpus,
                vec![Ok([0.9, 1.0, 1.1].map(|part| part * latency).into())],
            );
        }
        Report::recorded(|report| add(report, &[0, 1, 2, 3], &distances, (0, 1)))
    }

    #[test]
    fn a_pair_that_lies_apart_is_named() {
        let few = "5 at 52.0–60.0 ns; 1 at 130 ns (CPUs 2–3), 2.36 times as far";
        let many = "1 at 25.0 ns (CPUs 2–3); 5 at 52.0–60.0 ns, 2.20 times as far";
        for (outlier, named) in [(130.0, few), (25.0, many)] {
            let report = recorded(outlier);
            report.concludes([&[named, "CPUs 0 and 1, 55.0 ns apart"]]);
            assert_eq!(report.tables[0].rows().len(), 2);
        }
    }

    #[test]
    fn pairs_equally_far_apart_are_one_group() {
        let report = recorded(56.0);
        report.concludes([&["All 6 pairs"]]);
        omits(&report.conclusions[0], &["times"]);
        assert!(report.notes.is_empty(), "{:?}", report.notes);
    }

    #[test]
    fn the_map_holds_every_pair_both_ways_and_nothing_else() {
        let report = recorded(130.0);
        let [Plot::HeatMap { labels, cells, .. }] = &report.plots[..] else {
            panic!("{:?}", report.plots);
        };
        assert_eq!(labels.len(), 4);
        for (row, line) in cells.iter().enumerate() {
            for (column, cell) in line.iter().enumerate() {
                assert_eq!(*cell, cells[column][row]);
                assert_eq!(cell.is_none(), row == column);
            }
        }
        assert_eq!(cells[2][3], Some(130.0));
    }

    #[test]
    fn rounds_that_disagree_about_a_pair_are_said_to() {
        let mut moved = Distances::new(NS, 0);
        moved.add((0, 1), vec![Ok(vec![29.0, 140.0, 150.0])]);
        let report = Report::recorded(|report| add(report, &[0, 1], &moved, (0, 1)));
        assert!(report.notes[0].contains("disagree about 1 of 1 pairs"));
    }

    #[test]
    fn fewer_cpus_are_from_all_over() {
        let all: Vec<usize> = (0..8).collect();
        assert_eq!(spread_over(&all, 4), [0, 2, 4, 6]);
        assert_eq!(spread_over(&all, usize::MAX), all);
        assert_eq!(spread_over(&[3], 4), [3]);
    }
}
