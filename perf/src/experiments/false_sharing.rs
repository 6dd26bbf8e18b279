//! What it costs that two threads write to one cache line, and when it costs nothing.
//!
//! First without a ring: two threads, each with a word of its own. Then the ring that ships, its two
//! indices further and further apart, in every regime in which it may be used.

mod adjacent_words;
mod distances;

use crate::cpus::Pair;
use crate::experiments::Experiment;
use crate::placement::{Board, PAGE, Places};
use crate::regime::{Poll, Regime};
use crate::report::{Report, Trouble};
use crate::run::{Extent, Medium, Settings, stream_all, stream_through};
use crate::sets::{measure_all, together};
use distances::ByRegime;

/// The experiment.
pub(crate) const EXPERIMENT: Experiment = Experiment {
    name: "false-sharing",
    title: "false sharing",
    subject: "ring/index placement",
    about: "Two threads on one cache line, and the ring's two indices further and further apart",
    details: "Two threads with a word each, by locked instruction, store and load; then the real \
         ring, its indices 8 bytes to a page apart: one by one and in batches of 64, with the \
         other side's index cached and looked up each time, a small and a large ring, a \
         consumer that polls hard and one that waits. Then counts, where the distance matters \
         most and least, what the processor and the kernel let it count.",
    run,
    ..Experiment::MEASURES
};

/// How far apart the two words are put, in bytes.
pub const DISTANCES: [usize; 7] = [8, 16, 32, 64, 128, REFERENCE, PAGE];

/// What the other distances are compared with: four lines, which no processor fetches as one. Not
/// the page: words at the same place of two pages are taken for one another by some processors.
pub const REFERENCE: usize = 256;

/// Where among distances the [`REFERENCE`] is.
fn reference(distances: &[usize]) -> usize {
    let mut all = distances.iter();
    (all.position(|distance| *distance == REFERENCE)).unwrap_or_default()
}

/// Items that may be in a ring at once.
pub const CAPACITIES: [u64; 2] = [64, 65_536];

/// Items of a sample that is counted.
const COUNTED_ITEMS: u64 = 1 << 18;

/// So many regimes in which the distance matters are counted, those first in which it does most.
const COUNTED_REGIMES: usize = 3;

/// Compares the distances in each regime.
pub fn run(settings: &Settings) -> Result<Report, Trouble> {
    let pair = settings.pair()?;
    let mut report = Report::on(
        "false sharing: two threads on one cache line, and the ring with its two indices so many \
         bytes apart",
        pair,
    );
    let (near, two_words) = adjacent_words::measure(pair, settings)?;

    let few = vec![DISTANCES[0], 64, REFERENCE];
    let distances = settings.extent.pick(few, DISTANCES.to_vec());
    let regimes = all_regimes(settings.extent, settings.capacity);
    let measured = measure_all(regimes, |regime| {
        let name = format!("false sharing: {regime}");
        stream_all(&name, distances.len(), pair, settings, |case| {
            ring(*regime, distances[case], settings)
        })
    })?;
    for (what, rounds) in [
        ("two words", &two_words),
        ("the ring", &together(&measured)),
    ] {
        report.add_conditions(what, &format!("false sharing, {what}"), rounds);
    }
    report.note(
        "median [min–max], every item checked; ratios are taken round by round, and only what \
         stands in one line of the table of regimes was measured in turn",
    );
    report.note(
        "indices looked up: each side asks for the occupancy, and so for the other's index, before \
         each operation; whoever polls hard makes one pause in 64 attempts",
    );
    adjacent_words::report(&mut report, &near, &two_words);
    let regimes = ByRegime::of(&distances, &measured);
    regimes.report(&mut report);
    for regime in regimes.worth_counting(COUNTED_REGIMES) {
        count(&mut report, regime, pair, settings)?;
    }
    Ok(report)
}

/// Every combination, or a few that differ in all there is to differ in.
fn all_regimes(extent: Extent, capacity: Option<u64>) -> Vec<Regime> {
    let mut all = Vec::new();
    for capacity in capacity.map_or(CAPACITIES.to_vec(), |capacity| vec![capacity]) {
        for (batches, cached) in [(false, true), (false, false), (true, true), (true, false)] {
            all.extend(Poll::ALL.map(|poll| Regime {
                batches,
                cached,
                capacity,
                poll,
            }));
        }
    }
    // Seven is prime to the numbers of choices.
    all.into_iter().step_by(extent.pick(7, 1)).collect()
}

/// A ring whose indices are that far apart.
fn ring(regime: Regime, distance: usize, settings: &Settings) -> Result<Box<dyn Medium>, Trouble> {
    let places = Places {
        write_index: 0,
        read_index: distance,
        data: 4 * PAGE,
    };
    let first_item = settings.first_item();
    let slots = usize::try_from(regime.capacity.next_power_of_two()).ok();
    let board = slots.and_then(|slots| Board::new(places, slots, first_item));
    stream_through(board, move |board| {
        let (producer, consumer) = board.ring(regime.capacity)?;
        let name = format!("indices {distance} bytes apart, {regime}");
        let ends = regime.ends(producer, consumer);
        Some(ends.link(name, regime.capacity.max(4096), first_item))
    })
}

/// Counters of the nearest and the reference placement.
fn count(
    report: &mut Report,
    regime: Regime,
    pair: Pair,
    settings: &Settings,
) -> Result<(), Trouble> {
    let mut cases = Vec::new();
    for distance in [DISTANCES[0], REFERENCE] {
        let mut ring = ring(regime, distance, settings)?;
        let mut link = ring.link()?;
        let run = link.run(pair, COUNTED_ITEMS, true);
        let run = run.map_err(|fault| fault.of(&link.name))?;
        cases.push((format!("{distance} bytes apart"), run.counted));
    }
    let items = format!("{COUNTED_ITEMS} items, in both threads: {regime}");
    report.add_counters(&cases, &items);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_regime_is_there_and_a_smoke_shows_each_choice() {
        let all = all_regimes(Extent::Full, None);
        assert_eq!(all.len(), 32);
        assert!((0..32).all(|index| !all[index + 1..].contains(&all[index])));
        let few = all_regimes(Extent::Smoke, None);
        let traits = |regimes: &[Regime]| -> BTreeSet<String> {
            regimes.iter().flat_map(Regime::traits).collect()
        };
        assert_eq!(traits(&all), traits(&few));
        let seven = all_regimes(Extent::Full, Some(7));
        assert!(seven.iter().all(|regime| regime.capacity == 7));
    }
}
