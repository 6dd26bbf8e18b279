//! Slots that are packed, begin within a line, or have lines of their own.

use ringproof::Payload;
use ringproof_record::Record;

use super::items::{Way, link};
use super::{LINE, REPEAT, no_room};
use crate::compared::{Compared, reference_row};
use crate::cpus::Pair;
use crate::placement::{Board, Places};
use crate::plot::{Plot, Series};
use crate::report::{LAYER, Report, Trouble};
use crate::rounds::Rounds;
use crate::run::{Extent, Settings, WithLinks, stream_all};
use crate::stats::{Effect, Summary};
use crate::stream::Link;
use crate::table::{Cell, Table, spread};

/// Slots of a ring, all of which may be live.
const SLOTS: usize = 1024;

/// What its rows are about.
const SUBJECT: &str = "ring/slot placement";

/// How far a block from an ordinary allocator lies within a line.
const SHIFT: usize = 16;

/// How the slots of a ring lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// One directly after the other, the first at the beginning of a line.
    Packed,
    /// The same, but the first begins [`SHIFT`] bytes into a line.
    Shifted,
    /// Each at the beginning of a line that it shares with no other.
    OwnLines,
}

impl Placement {
    fn name(self) -> String {
        match self {
            Placement::Packed => "packed".to_owned(),
            Placement::Shifted => format!("packed, {SHIFT} bytes into a line"),
            Placement::OwnLines => "on lines of their own".to_owned(),
        }
    }
}

/// One ring of a round.
trait Ring {
    /// Its link, for one sample after the other.
    fn link(&mut self, way: Way, name: String, first_item: u64) -> Option<Link<'_>>;
}

/// A board for items of `ITEM` bytes.
struct Of<T, const ITEM: usize>(Board<T>);

impl<T: Payload, const ITEM: usize> Ring for Of<T, ITEM> {
    fn link(&mut self, way: Way, name: String, first_item: u64) -> Option<Link<'_>> {
        link::<T, ITEM>(&mut self.0, SLOTS as u64, way, name, first_item)
    }
}

/// A size of items: how to make a ring of them.
#[derive(Clone, Copy)]
pub(super) struct Size {
    /// Bytes of an item.
    pub(super) bytes: usize,
    make: fn(Placement, u64) -> Option<Box<dyn Ring>>,
}

/// Items that fill `T` in slots without padding, and alone in a `Padded`, which is whole lines.
const fn size<T: Payload, Padded: Payload, const ITEM: usize>() -> Size {
    const { assert!(size_of::<T>() == ITEM && size_of::<Padded>() == ITEM.next_multiple_of(LINE)) };
    Size {
        bytes: ITEM,
        make: |placement, first_item| {
            let places = places(placement);
            Some(match placement {
                Placement::Packed | Placement::Shifted => {
                    Box::new(Of::<T, ITEM>(Board::new(places, SLOTS, first_item)?))
                }
                Placement::OwnLines => {
                    Box::new(Of::<Padded, ITEM>(Board::new(places, SLOTS, first_item)?))
                }
            })
        },
    }
}

/// The words as in our own header; only the slots differ.
fn places(placement: Placement) -> Places {
    let shift = if placement == Placement::Shifted {
        SHIFT
    } else {
        0
    };
    Places {
        data: super::headers::OURS.data + shift,
        ..super::headers::OURS
    }
}

/// So many bytes, aligned to four: in an item of twelve, words lie across lines.
type Bytes<const QUARTERS: usize> = [[u8; 4]; QUARTERS];

/// The sizes of items.
pub(super) const SIZES: [Size; 13] = [
    size::<Bytes<2>, Bytes<16>, 8>(),
    size::<Bytes<3>, Bytes<16>, 12>(),
    size::<Bytes<4>, Bytes<16>, 16>(),
    size::<Bytes<6>, Bytes<16>, 24>(),
    size::<Bytes<8>, Bytes<16>, 32>(),
    size::<Bytes<10>, Bytes<16>, 40>(),
    size::<Bytes<12>, Bytes<16>, 48>(),
    size::<Bytes<16>, Bytes<16>, 64>(),
    size::<Bytes<18>, Bytes<32>, 72>(),
    size::<Bytes<24>, Bytes<32>, 96>(),
    size::<Bytes<32>, Bytes<32>, 128>(),
    size::<Bytes<48>, Bytes<48>, 192>(),
    size::<Bytes<64>, Bytes<64>, 256>(),
];

impl Size {
    /// The placements that differ for this size, the reference first.
    pub(super) fn placements(&self) -> &'static [Placement] {
        if self.bytes.is_multiple_of(LINE) {
            &[Placement::Packed, Placement::Shifted]
        } else {
            &[Placement::Packed, Placement::Shifted, Placement::OwnLines]
        }
    }

    fn rings(&self, settings: &Settings) -> Result<Vec<Box<dyn Ring>>, Trouble> {
        let make = |placement: &Placement| (self.make)(*placement, settings.first_item());
        let rings = self.placements().iter().map(make);
        rings.collect::<Option<_>>().ok_or_else(no_room)
    }
}

/// What came of one size in one way.
pub(super) struct Outcome {
    pub(super) bytes: usize,
    pub(super) placements: &'static [Placement],
    pub(super) way: Way,
    /// Million items a second in each placement, or why there is no figure.
    pub(super) rounds: Result<Rounds, String>,
}

/// Measures each size in each way: the placements in turn.
pub(super) fn measure(pair: Pair, settings: &Settings) -> Result<Vec<Outcome>, Trouble> {
    let step = match settings.extent {
        // 8, 32 and 96 bytes and one of whole lines.
        Extent::Smoke => 4,
        Extent::Full | Extent::Quick => 1,
    };
    let mut outcomes = Vec::new();
    for size in SIZES.iter().step_by(step) {
        for way in Way::ALL {
            let rounds = match stream(size, way, pair, settings) {
                Ok(rounds) => Ok(rounds),
                Err(Trouble::NotRun(why)) => Err(why),
                Err(failed) => return Err(failed),
            };
            outcomes.push(Outcome {
                bytes: size.bytes,
                placements: size.placements(),
                way,
                rounds,
            });
        }
    }
    Ok(outcomes)
}

fn stream(size: &Size, way: Way, pair: Pair, settings: &Settings) -> Result<Rounds, Trouble> {
    let cases = size.placements().len();
    let name = format!("padding: {} bytes, {}", size.bytes, way.name());
    // Memory of earlier rounds is kept, or the next ones would get the same.
    let mut used = Vec::new();
    let fresh = |_: &[usize], with_links: WithLinks<'_>| {
        let mut rings = size.rings(settings)?;
        let links = rings
            .iter_mut()
            .zip(size.placements())
            .map(|(ring, placement)| {
                let name = format!("items of {} bytes, {}", size.bytes, placement.name());
                ring.link(way, name, settings.first_item())
            });
        let mut links = links.collect::<Option<Vec<_>>>().ok_or_else(no_room)?;
        with_links(&mut links)?;
        drop(links);
        used.push(rings);
        Ok(())
    };
    stream_all(&name, cases, pair, settings, fresh)
}

/// A size that was measured in one way: each placement that there is beside packed slots.
struct Told {
    bytes: usize,
    way: Way,
    packed: Summary,
    shifted: Option<Compared>,
    own_lines: Option<Compared>,
}

fn told(outcome: &Outcome) -> Option<Told> {
    let rounds = outcome.rounds.as_ref().ok()?;
    let packed = rounds.series.first()?;
    let placed = |wanted| {
        let mut placements = outcome.placements.iter();
        let index = placements.position(|placement| *placement == wanted)?;
        Compared::rates(rounds.series.get(index)?, packed)
    };
    Some(Told {
        bytes: outcome.bytes,
        way: outcome.way,
        packed: placed(Placement::Packed)?.value,
        shifted: placed(Placement::Shifted),
        own_lines: placed(Placement::OwnLines),
    })
}

/// A table, a picture, rows and a sentence.
pub(super) fn tell(report: &mut Report, outcomes: &[Outcome]) {
    let mut table = Table::new(
        format!(
            "{SLOTS} slots, packed from the beginning of a line, {SHIFT} bytes into one, or each \
             on lines of its own"
        ),
        [
            "item",
            "items",
            "packed, million/s",
            "shifted: ratio",
            "effect",
            "own lines: ratio",
            "effect",
        ],
    );
    let mut all = Vec::new();
    for outcome in outcomes {
        let mut cells = vec![
            Cell::figure(format!("{} B", outcome.bytes)),
            Cell::words(outcome.way.name()),
        ];
        let check = |placement: Placement| {
            let (bytes, way) = (outcome.bytes, outcome.way.name());
            format!("items of {bytes} bytes {}, {way}", placement.name())
        };
        let Some(told) = told(outcome) else {
            let why = outcome.rounds.as_ref().err();
            let why = why.map_or("no round counted", String::as_str);
            cells.extend((0..5).map(|_| Cell::missing(why)));
            table.add(cells);
            let row = Record::not_run(LAYER, SUBJECT, check(Placement::Packed), why);
            report.rows.push(row.repeat(REPEAT));
            continue;
        };
        cells.push(Cell::figure(spread(told.packed)));
        report
            .rows
            .push(reference_row(SUBJECT, check(Placement::Packed), told.packed).repeat(REPEAT));
        for (placement, compared) in [
            (Placement::Shifted, told.shifted),
            (Placement::OwnLines, told.own_lines),
        ] {
            match compared {
                Some(compared) => {
                    cells.extend([compared.ratio(), Cell::words(compared.said())]);
                    let row = compared.row(SUBJECT, check(placement), "packed slots");
                    report.rows.push(row.repeat(REPEAT));
                }
                // Packed slots of whole lines have them to themselves.
                None => cells.extend([Cell::words("the same as packed"), Cell::words("")]),
            }
        }
        table.add(cells);
        all.push(told);
    }
    report.tables.push(table);
    report.plots.push(picture(&all));
    report.conclusions.extend(conclusion(&all));
}

fn picture(told: &[Told]) -> Plot {
    let series = Way::ALL.into_iter().flat_map(|way| {
        let of = move || told.iter().filter(move |told| told.way == way);
        let points = |value: fn(&Told) -> Option<Summary>| {
            of().filter_map(|told| Some((told.bytes as f64, value(told)?)))
                .collect()
        };
        [
            Series {
                name: format!("{}, packed", way.name()),
                points: points(|told| Some(told.packed)),
            },
            Series {
                name: format!("{}, on lines of their own", way.name()),
                points: points(|told| told.own_lines.map(|compared| compared.value)),
            },
        ]
    });
    Plot::Lines {
        title: "Items packed, and each on lines of its own".to_owned(),
        x: "bytes of an item".to_owned(),
        y: "million/s".to_owned(),
        series: series.collect(),
    }
}

/// What lines of their own and a shift do, in each way.
fn conclusion(told: &[Told]) -> Vec<String> {
    let of_way = |way: Way| {
        let part = |what: &str, of: fn(&Told) -> Option<Compared>| {
            let there = (told.iter())
                .filter(|told| told.way == way)
                .filter_map(|told| Some((told.bytes, of(told)?)));
            let there: Vec<_> = there.collect();
            let too_few =
                |(_, compared): &(usize, Compared)| compared.effect == Effect::TooFewRounds;
            if there.is_empty() || there.iter().any(too_few) {
                return None;
            }
            let list = |effect: Effect| {
                let sizes = there
                    .iter()
                    .filter(|(_, compared)| compared.effect == effect);
                let sizes =
                    sizes.map(|(bytes, compared)| format!("{bytes} B ({})", compared.percent()));
                sizes.collect::<Vec<_>>().join(", ")
            };
            let (slower, faster) = (list(Effect::Below), list(Effect::Above));
            Some(match (slower.is_empty(), faster.is_empty()) {
                (true, true) => format!("{what} makes no difference at any size"),
                (false, true) => format!("{what} is slower at {slower}"),
                (true, false) => format!("{what} is faster at {faster}"),
                (false, false) => {
                    format!("{what} is slower at {slower}, and faster at {faster}")
                }
            })
        };
        let own_lines = part("a slot on lines of its own", |told| told.own_lines)?;
        let shifted = part("a first slot within a line", |told| told.shifted)?;
        Some(format!(
            "Items {}, against packed slots: {own_lines}; {shifted}.",
            match way {
                Way::OneByOne => way.name(),
                Way::Batches => format!("in {}", way.name()),
            }
        ))
    };
    Way::ALL.into_iter().filter_map(of_way).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the experiment would have measured: on lines of its own an item has this part of the
    /// rate that it has in packed slots.
    fn recorded(own_lines: impl Fn(usize, Way) -> f64) -> Report {
        let around = |middle: f64| {
            [0.98, 1.0, 1.01, 0.99, 1.02]
                .map(|part| part * middle)
                .to_vec()
        };
        let outcomes = SIZES.iter().flat_map(|size| {
            let own_lines = &own_lines;
            Way::ALL.into_iter().map(move |way| {
                let rate = |placement: &Placement| match placement {
                    Placement::Packed => 100.0,
                    Placement::Shifted => 99.0,
                    Placement::OwnLines => 100.0 * own_lines(size.bytes, way),
                };
                Outcome {
                    bytes: size.bytes,
                    placements: size.placements(),
                    way,
                    rounds: Ok(Rounds {
                        series: (size.placements().iter())
                            .map(|placement| around(rate(placement)))
                            .collect(),
                        ..Rounds::default()
                    }),
                }
            })
        });
        let mut report = Report::new("recorded");
        tell(&mut report, &outcomes.collect::<Vec<_>>());
        report
    }

    #[test]
    fn sizes_that_suffer_from_padding_and_those_that_gain_are_named() {
        let report = recorded(|bytes, way| match (bytes, way) {
            (8, Way::Batches) => 0.25,
            (24, Way::Batches) => 1.2,
            _ => 1.0,
        });
        let [one_by_one, batches] = &report.conclusions[..] else {
            panic!("{:?}", report.conclusions);
        };
        assert!(
            one_by_one.contains("own makes no difference at any size"),
            "{one_by_one}"
        );
        let said = "own is slower at 8 B (75 %), and faster at 24 B (20 %)";
        assert!(batches.contains(said), "{batches}");
        assert!(
            batches.contains("within a line makes no difference"),
            "{batches}"
        );
    }

    #[test]
    fn flat_samples_name_no_size() {
        let report = recorded(|_, _| 1.02);
        let said = report.conclusions.join(" ");
        assert_eq!(
            said.matches("makes no difference at any size").count(),
            4,
            "{said}"
        );
        assert!(
            !said.contains("slower") && !said.contains("faster"),
            "{said}"
        );
    }

    #[test]
    fn every_placement_of_every_size_has_a_ring() {
        for size in &SIZES {
            for placement in size.placements() {
                let mut ring = (size.make)(*placement, 5).unwrap();
                for way in Way::ALL {
                    let name = placement.name();
                    assert!(ring.link(way, name, 5).is_some(), "{} bytes", size.bytes);
                }
            }
        }
    }
}
