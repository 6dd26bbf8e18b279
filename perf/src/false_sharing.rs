//! What it costs that two threads write to one cache line, and when it costs nothing.
//!
//! First without a ring: two threads, each with a word of its own. Then the ring that ships, its two
//! indices further and further apart, in every regime in which it may be used.

mod conclusions;
mod neighbours;
mod regime;
mod regimes;

use crate::cpus::Pair;
use crate::placement::{Board, PAGE, Places};
use crate::report::{Report, Trouble, build_note, conditions, conditions_row};
use crate::rounds::Rounds;
use crate::run::{Extent, Settings, WithLinks, stream_all, stream_counted};
use crate::sets::{measure_all, together};
use crate::stream::Link;
use regime::{Poll, Regime};

/// How to repeat it.
pub const REPEAT: &str = "cargo run --release -p ringproof-perf -- false-sharing";

/// How far apart the two words are put, in bytes.
pub const DISTANCES: [usize; 7] = [8, 16, 32, 64, 128, REFERENCE, PAGE];

/// What the other distances are compared with: four lines, which no processor fetches as one. Not
/// the page: words at the same place of two pages are taken for one another by some processors.
pub const REFERENCE: usize = 256;

/// Items that may be in a ring at once.
pub const CAPACITIES: [u64; 2] = [64, 65_536];

/// Items of a sample that is counted.
const COUNTED_ITEMS: u64 = 1 << 18;

/// So many regimes in which the distance matters are counted, those first in which it does most.
const COUNTED_REGIMES: usize = 3;

/// Compares the distances in each regime; with `capacity` only in those of that capacity.
///
/// # Errors
/// [`Trouble`].
pub fn run(settings: &Settings, capacity: Option<u64>) -> Result<Report, Trouble> {
    let pair = settings.pair()?;
    let mut report = Report::new(
        "false sharing: two threads on one cache line, and the ring with its two indices so many \
         bytes apart",
    );
    report.notes.push(pair.to_string());
    let (near, two_words) = neighbours::measure(pair, settings)?;

    let distances = match settings.extent {
        Extent::Smoke => vec![DISTANCES[0], 64, REFERENCE],
        Extent::Full | Extent::Quick => DISTANCES.to_vec(),
    };
    let regimes = all_regimes(settings.extent, capacity);
    let outcomes = measure_all(regimes, |regime| {
        measure(*regime, &distances, pair, settings)
    })?;
    for (what, rounds) in [
        ("two words", &two_words),
        ("the ring", &together(&outcomes)),
    ] {
        report.notes.push(format!("{what}: {}", conditions(rounds)));
        let experiment = format!("false sharing, {what}");
        report
            .rows
            .push(conditions_row(&experiment, rounds, REPEAT));
    }
    report.notes.extend(build_note());
    report.notes.push(
        "median [min–max], every item checked; ratios are taken round by round, and only what \
         stands in one line of the table of regimes was measured in turn"
            .to_owned(),
    );
    report.notes.push(
        "indices looked up: each side asks for the occupancy, and so for the other's index, before \
         each operation; whoever polls hard makes one pause in 64 attempts"
            .to_owned(),
    );
    neighbours::tell(&mut report, &near, &two_words);
    regimes::tell(&mut report, &distances, &outcomes);
    for regime in regimes::worth_counting(&distances, &outcomes, COUNTED_REGIMES) {
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
    if extent == Extent::Smoke {
        // Seven is prime to the numbers of choices.
        all = all.into_iter().step_by(7).collect();
    }
    all
}

/// Million items a second at each distance.
fn measure(
    regime: Regime,
    distances: &[usize],
    pair: Pair,
    settings: &Settings,
) -> Result<Rounds, Trouble> {
    // Boards of earlier rounds are kept, or the next ones would get the same memory.
    let mut used: Vec<Vec<Board<u64>>> = Vec::new();
    let name = format!("false sharing: {regime}");
    stream_all(&name, distances.len(), pair, settings, |_, with_links| {
        let mut boards = boards(regime, distances, settings)?;
        let outcome = stream(regime, distances, &mut boards, settings, with_links);
        used.push(boards);
        outcome
    })
}

/// Rings whose indices are that far apart.
fn boards(
    regime: Regime,
    distances: &[usize],
    settings: &Settings,
) -> Result<Vec<Board<u64>>, Trouble> {
    let board = |distance: &usize| {
        let places = Places {
            write_index: 0,
            read_index: *distance,
            data: 4 * PAGE,
        };
        let slots = usize::try_from(regime.capacity.next_power_of_two()).ok()?;
        Board::new(places, slots, settings.first_item())
    };
    let boards = distances
        .iter()
        .map(|distance| board(distance).ok_or_else(|| no_room(*distance)));
    boards.collect()
}

fn no_room(distance: usize) -> Trouble {
    Trouble::NotRun(format!("no room for indices {distance} bytes apart"))
}

fn stream(
    regime: Regime,
    distances: &[usize],
    boards: &mut [Board<u64>],
    settings: &Settings,
    with_links: WithLinks<'_>,
) -> Result<(), Trouble> {
    let mut links = Vec::new();
    for (board, distance) in boards.iter_mut().zip(distances) {
        let ends = board.ring(regime.capacity);
        let (producer, consumer) = ends.ok_or_else(|| no_room(*distance))?;
        links.push(Link {
            name: format!("indices {distance} bytes apart, {regime}"),
            sender: regime.sender(producer),
            receiver: regime.receiver(consumer),
            warm_up: regime.capacity.max(4096),
            next: settings.first_item(),
        });
    }
    with_links(&mut links)
}

/// Counters of the nearest and the reference placement.
fn count(
    report: &mut Report,
    regime: Regime,
    pair: Pair,
    settings: &Settings,
) -> Result<(), Trouble> {
    let distances = [DISTANCES[0], REFERENCE];
    let mut cases = Vec::new();
    let mut boards = boards(regime, &distances, settings)?;
    stream(regime, &distances, &mut boards, settings, &mut |links| {
        for (link, distance) in links.iter_mut().zip(distances) {
            let run = stream_counted(link, pair, COUNTED_ITEMS)?;
            cases.push((format!("{distance} bytes apart"), run.counted));
        }
        Ok(())
    })?;
    report.add_counters(
        &cases,
        &format!("{COUNTED_ITEMS} items, in both threads: {regime}"),
        REPEAT,
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_regime_is_there_and_a_smoke_shows_each_choice() {
        let all = all_regimes(Extent::Full, None);
        assert_eq!(all.len(), 32);
        assert!((0..32).all(|index| !all[index + 1..].contains(&all[index])));
        let few = all_regimes(Extent::Smoke, None);
        let seen = |of: fn(&Regime) -> String| {
            let seen = |regimes: &[Regime]| {
                let mut seen: Vec<String> = regimes.iter().map(of).collect();
                seen.sort();
                seen.dedup();
                seen
            };
            assert_eq!(seen(&all), seen(&few));
        };
        seen(|regime| regime.items());
        seen(|regime| regime.indices().to_owned());
        seen(|regime| regime.capacity.to_string());
        seen(|regime| regime.poll.to_string());
        assert!(
            all_regimes(Extent::Full, Some(7))
                .iter()
                .all(|regime| regime.capacity == 7)
        );
    }
}
