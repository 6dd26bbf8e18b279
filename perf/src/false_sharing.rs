//! The two indices of a ring on one cache line, and further and further apart.
//!
//! It is the ring that ships, over words that lie where the experiment wants them: an algorithm
//! takes parts, not a layout. Items go one by one through a small ring, where each side looks at
//! the other's index most often.

use ringproof::memory::{Cells, Native, Slot, Word};
use ringproof::ring::{Consumer, OPEN, Producer, RingParts};
use ringproof::slots::Slots;
use ringproof_record::Record;

use crate::cpus::Pair;
use crate::links::ours;
use crate::report::{LAYER, Report, Trouble, build_note, conditions, conditions_row, per_mille};
use crate::rounds::Rounds;
use crate::run::{Extent, Settings, WithLinks, stream_all, stream_counted};
use crate::stats::{Effect, effect, ratios, summarize};
use crate::stream::Link;
use crate::table::{Cell, Table, figure, spread};

/// How to repeat it.
pub const REPEAT: &str = "cargo run --release -p ringproof-perf -- false-sharing";

/// How far apart the two indices are put, in bytes; the last is what the others are compared with.
pub const DISTANCES: [usize; 6] = [8, 16, 32, 64, 128, 256];

/// Items in the ring unless asked otherwise.
pub const CAPACITY: u64 = 64;

/// Items of the sample that is counted.
const COUNTED_ITEMS: u64 = 1 << 18;

/// Where the words lie is known from here on: the beginning of a page.
const PAGE: usize = 4096;

/// Bytes of one word.
const WORD: usize = size_of::<Word>();

/// Words and slots whose places in their cache lines are known.
struct Board {
    words: Vec<Word>,
    slots: Vec<Slot<u64>>,
    capacity: u64,
}

impl Board {
    /// Room for two indices at the largest distance and for the slots, wherever in them a page
    /// begins.
    fn new(capacity: u64, first_item: u64) -> Self {
        let slots = capacity.next_power_of_two();
        let index = |_| Native::word(first_item);
        Board {
            words: (0..PAGE / WORD * 2).map(index).collect(),
            slots: (0..slots + (PAGE / WORD) as u64)
                .map(|_| Native::slot(0))
                .collect(),
            capacity,
        }
    }

    /// A ring whose indices are `distance` bytes apart. `None` if that is more than there is room
    /// for, or the capacity is.
    fn parts<'a>(
        &'a self,
        [end, stop]: &'a [Alone; 2],
        distance: usize,
    ) -> Option<RingParts<'a, Native, u64>> {
        let words = self.words.get(self.words.as_ptr().align_offset(PAGE)..)?;
        let slots = self.slots.get(self.slots.as_ptr().align_offset(PAGE)..)?;
        let count = usize::try_from(self.capacity.next_power_of_two()).ok()?;
        Some(RingParts {
            write_index: words.first()?,
            read_index: words.get(distance / WORD)?,
            end_index: &end.0,
            stop_index: &stop.0,
            slots: Slots::new(slots.get(..count)?)?,
            capacity: self.capacity,
        })
    }
}

/// A word that has its page to itself.
#[repr(align(4096))]
struct Alone(Word);

/// Compares the distances, the last of which is the reference.
///
/// # Errors
/// [`Trouble`].
pub fn run(settings: &Settings, capacity: u64) -> Result<Report, Trouble> {
    let distances: &[usize] = match settings.extent {
        Extent::Smoke => &[8, 64, 256],
        Extent::Full | Extent::Quick => &DISTANCES,
    };
    let pair = settings.pair()?;
    let open = [(); 2].map(|()| Alone(Native::word(OPEN)));
    let first_item = settings.first_item();
    let fresh = |boards: &[Board], with_links: WithLinks<'_>| {
        let mut links = Vec::new();
        for (board, distance) in boards.iter().zip(distances) {
            let parts = (board.parts(&open, *distance)).ok_or_else(|| {
                Trouble::NotRun(format!("no room for indices {distance} bytes apart"))
            })?;
            links.push(link(parts, *distance, first_item));
        }
        with_links(&mut links)
    };
    // Boards of earlier rounds are kept, or the next ones would get the same memory.
    let mut used: Vec<Vec<Board>> = Vec::new();
    let cases = distances.len();
    let rounds = stream_all("false sharing", cases, pair, settings, |_, with_links| {
        let boards = new_boards(cases, capacity, first_item);
        let outcome = fresh(&boards, with_links);
        used.push(boards);
        outcome
    })?;

    let mut report = Report::new(format!(
        "false sharing: the ring's two indices so many bytes apart, u64 items one by one, capacity \
         {capacity}, every item checked"
    ));
    report.notes.push(pair.to_string());
    report.notes.push(conditions(&rounds));
    report
        .rows
        .push(conditions_row("false sharing", &rounds, REPEAT));
    report.notes.extend(build_note());
    report
        .notes
        .push("median [min–max]; ratios are taken round by round".to_owned());
    tell(&mut report, &rounds, distances, capacity);
    fresh(&new_boards(cases, capacity, first_item), &mut |links| {
        count(&mut report, links, pair, distances)
    })?;
    Ok(report)
}

fn new_boards(count: usize, capacity: u64, first_item: u64) -> Vec<Board> {
    (0..count)
        .map(|_| Board::new(capacity, first_item))
        .collect()
}

fn link<'a>(parts: RingParts<'a, Native, u64>, distance: usize, first_item: u64) -> Link<'a> {
    // SAFETY: the parts are of a board that nothing else was made over, and their indices were
    // set when it was: this is the only producer and there was none before.
    let producer = unsafe { Producer::new(parts, Native, None) };
    // SAFETY: likewise the only consumer.
    let consumer = unsafe { Consumer::new(parts, Native, None) };
    Link {
        name: format!("indices {distance} bytes apart"),
        sender: Box::new(ours::push(producer)),
        receiver: Box::new(ours::pop(consumer)),
        warm_up: 4096,
        next: first_item,
    }
}

/// Tables, conclusions and rows from the rounds.
fn tell(report: &mut Report, rounds: &Rounds, distances: &[usize], capacity: u64) {
    let (Some(reference), Some(farthest)) = (rounds.series.last(), distances.last()) else {
        return;
    };
    let ratio_to = format!("ratio to {farthest} bytes");
    let mut table = Table::new(
        "",
        [
            "apart",
            "one 64-byte line",
            "million/s",
            &ratio_to,
            "effect",
        ],
    );
    for (distance, series) in distances.iter().zip(&rounds.series) {
        let by_round = ratios(series, reference);
        let (Some(rate), Some(ratio)) = (summarize(series), summarize(&by_round)) else {
            continue;
        };
        let effect = effect(&by_round);
        let is_reference = distance == farthest;
        let said = match effect {
            _ if is_reference => "reference",
            Effect::Below => "slower",
            Effect::Above => "faster",
            Effect::None => "none",
            Effect::TooFewRounds => "too few rounds to say",
        };
        table.add([
            Cell::figure(format!("{distance} B")),
            Cell::words(if *distance < 64 { "yes" } else { "no" }),
            Cell::figure(spread(rate)),
            Cell::figure(if is_reference {
                "1".to_owned()
            } else {
                spread(ratio)
            }),
            Cell::words(said),
        ]);
        let check = format!("indices {distance} bytes apart, one by one, capacity {capacity}");
        let row = if is_reference {
            Record::passed(LAYER, "ring/index placement", check)
                .count((rate.median * 1000.0).round() as u64, "thousand items/s")
                .reason(format!(
                    "the reference; median of {} rounds, {}–{} million items/s",
                    series.len(),
                    figure(rate.min),
                    figure(rate.max)
                ))
        } else {
            Record::passed(LAYER, "ring/index placement", check)
                .count(
                    per_mille(ratio.median),
                    format!("‰ of the rate at {farthest} bytes"),
                )
                .reason(format!(
                    "median of {} rounds, {}–{} ‰; effect: {said}",
                    series.len(),
                    per_mille(ratio.min),
                    per_mille(ratio.max)
                ))
        };
        report.rows.push(row.repeat(REPEAT));
        if !is_reference {
            let cost = match effect {
                Effect::Below => format!("costs {:.0} % here", (1.0 - ratio.median) * 100.0),
                Effect::Above => format!("gains {:.0} % here", (ratio.median - 1.0) * 100.0),
                Effect::None => "makes no difference that stands out of the noise".to_owned(),
                Effect::TooFewRounds => continue,
            };
            report.conclusions.push(format!(
                "Indices {distance} bytes apart instead of {farthest}: {cost}."
            ));
        }
    }
    report.tables.push(table);
}

/// Counters of the nearest and the farthest placement.
fn count(
    report: &mut Report,
    links: &mut [Link<'_>],
    pair: Pair,
    distances: &[usize],
) -> Result<(), Trouble> {
    let mut cases = Vec::new();
    if let [nearest, .., farthest] = links {
        for (link, distance) in [nearest, farthest]
            .into_iter()
            .zip([distances.first(), distances.last()].into_iter().flatten())
        {
            let run = stream_counted(link, pair, COUNTED_ITEMS)?;
            cases.push((format!("{distance} bytes apart"), run.counted));
        }
    }
    report.add_counters(
        &cases,
        &format!("{COUNTED_ITEMS} items, in both threads"),
        REPEAT,
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lie_where_they_are_asked_to() {
        let board = Board::new(10, 0);
        let open = [(); 2].map(|()| Alone(Native::word(OPEN)));
        for distance in DISTANCES {
            let parts = board.parts(&open, distance).unwrap();
            let address = |word: &Word| core::ptr::from_ref(word).addr();
            assert_eq!(address(parts.write_index) % PAGE, 0);
            assert_eq!(
                address(parts.read_index) - address(parts.write_index),
                distance
            );
            assert_eq!(parts.slots.count(), 16);
        }
        assert!(board.parts(&open, PAGE * 4).is_none());
    }

    /// What the experiment would have measured.
    fn recorded(near: [f64; 6], far: [f64; 6]) -> Report {
        let rounds = Rounds {
            series: vec![near.to_vec(), far.to_vec()],
            ..Rounds::default()
        };
        let mut report = Report::new("recorded");
        tell(&mut report, &rounds, &[8, 256], 64);
        report
    }

    #[test]
    fn a_planted_effect_is_named() {
        let report = recorded(
            [50.0, 52.0, 40.0, 51.0, 49.0, 50.0],
            [100.0, 104.0, 81.0, 99.0, 100.0, 98.0],
        );
        assert!(
            report.conclusions[0].contains("costs 50 %"),
            "{:?}",
            report.conclusions
        );
        assert_eq!(report.rows[0].count, Some(500));
        assert!(
            report.rows[0]
                .reason
                .as_ref()
                .unwrap()
                .ends_with("effect: slower")
        );
    }

    #[test]
    fn flat_samples_are_not_called_an_effect() {
        let report = recorded(
            [100.0, 90.0, 105.0, 70.0, 99.0, 101.0],
            [99.0, 92.0, 103.0, 71.0, 100.0, 100.0],
        );
        assert!(
            report.conclusions[0].contains("no difference"),
            "{:?}",
            report.conclusions
        );
    }
}
