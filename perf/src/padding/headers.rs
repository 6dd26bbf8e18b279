//! The words of a ring where two published layouts put them, and where ours does.

use ringproof::Payload;
use ringproof_record::Record;

use super::items::{Way, link};
use super::{LINE, REPEAT, no_room};
use crate::compared::{Compared, reference_row};
use crate::cpus::Pair;
use crate::placement::{Board, PAGE, Places};
use crate::plot::Plot;
use crate::report::{LAYER, Report, Trouble};
use crate::rounds::Rounds;
use crate::run::{Extent, Settings, WithLinks, stream_all};
use crate::sets::{Measured, measure_all};
use crate::stats::Effect;
use crate::table::{Cell, Table, spread};

/// What its rows are about.
const SUBJECT: &str = "ring/header layout";

/// Where a segment of ours has them.
pub(super) const OURS: Places = Places {
    write_index: 256,
    read_index: 640,
    data: 2 * PAGE,
};

/// A layout by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) name: &'static str,
    write_index: usize,
    read_index: usize,
    data: usize,
}

/// The layouts; ours, the reference, is the last.
///
/// What the others have: `SharedHeader` is a magic number, a version, the two indices and an offset
/// in one line, with the data from the next one on; `SpscShmRing` an index in each of two lines, and
/// the data after them.
pub(super) const LAYOUTS: [Layout; 3] = [
    Layout {
        name: "SharedHeader",
        write_index: 8,
        read_index: 16,
        data: LINE,
    },
    Layout {
        name: "SpscShmRing",
        write_index: 0,
        read_index: LINE,
        data: 2 * LINE,
    },
    Layout {
        name: "ringproof",
        write_index: OURS.write_index,
        read_index: OURS.read_index,
        data: OURS.data,
    },
];

/// Bytes of a slot: the fewest, which meet the indices most often, and a line, as in
/// `SpscShmRing`.
const ITEMS: [usize; 2] = [8, LINE];

/// Slots, all of which may be live: few, and as many as `SpscShmRing` has.
const CAPACITIES: [usize; 2] = [64, 65_536];

impl Layout {
    /// Where everything lies.
    fn places(&self) -> Places {
        Places {
            write_index: self.write_index,
            read_index: self.read_index,
            data: self.data,
        }
    }
}

/// How a ring is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) way: Way,
    pub(super) item: usize,
    pub(super) slots: usize,
}

impl Use {
    /// All that are measured.
    fn all(extent: Extent) -> Vec<Use> {
        let capacities: &[usize] = match extent {
            Extent::Smoke => &CAPACITIES[..1],
            Extent::Full | Extent::Quick => &CAPACITIES,
        };
        let mut all = Vec::new();
        for way in Way::ALL {
            for item in ITEMS {
                all.extend(capacities.iter().map(|&slots| Use { way, item, slots }));
            }
        }
        all
    }

    fn name(self) -> String {
        let Use { item, slots, .. } = self;
        format!("{}, {slots} slots of {item} B", self.way.name())
    }
}

/// What came of one use: million items a second in each layout.
type Outcome = Measured<Use>;

/// Measures each use: the layouts in turn.
pub(super) fn measure(pair: Pair, settings: &Settings) -> Result<Vec<Outcome>, Trouble> {
    measure_all(Use::all(settings.extent), |used| match used.item {
        LINE => stream::<[u64; LINE / 8], LINE>(*used, pair, settings),
        _ => stream::<u64, 8>(*used, pair, settings),
    })
}

fn stream<T: Payload, const ITEM: usize>(
    used: Use,
    pair: Pair,
    settings: &Settings,
) -> Result<Rounds, Trouble> {
    let (slots, first_item) = (used.slots, settings.first_item());
    // Memory of earlier rounds is kept, or the next ones would get the same.
    let mut kept: Vec<Vec<Board<T>>> = Vec::new();
    let fresh = |_: &[usize], with_links: WithLinks<'_>| {
        let boards = LAYOUTS
            .iter()
            .map(|layout| Board::new(layout.places(), slots, first_item));
        let mut boards = boards.collect::<Option<Vec<_>>>().ok_or_else(no_room)?;
        let links = boards.iter_mut().zip(&LAYOUTS).map(|(board, layout)| {
            let name = format!("{}, {}", layout.name, used.name());
            link::<T, ITEM>(board, slots as u64, used.way, name, first_item)
        });
        let mut links = links.collect::<Option<Vec<_>>>().ok_or_else(no_room)?;
        with_links(&mut links)?;
        drop(links);
        kept.push(boards);
        Ok(())
    };
    let name = format!("header layouts: {}", used.name());
    stream_all(&name, LAYOUTS.len(), pair, settings, fresh)
}

/// A use that was measured: each layout beside ours.
struct Told {
    used: Use,
    compared: Vec<Compared>,
}

fn told(outcome: &Outcome) -> Option<Told> {
    let series = &outcome.rounds.as_ref().ok()?.series;
    let ours = series.last()?;
    let compared = series.iter().map(|series| Compared::rates(series, ours));
    Some(Told {
        used: outcome.set,
        compared: compared.collect::<Option<_>>()?,
    })
}

/// A table, a picture, rows and a sentence.
pub(super) fn tell(report: &mut Report, outcomes: &[Outcome]) {
    let [others @ .., ours] = &LAYOUTS;
    let beside = |layout: &Layout| {
        let at = (layout.write_index, layout.read_index, layout.data);
        let name = format!("{}: {}, {}, {}", layout.name, at.0, at.1, at.2);
        [name, "effect".to_owned()]
    };
    let mut table = Table::new(
        "The same ring, its write index, read index and slots where each layout puts them \
         (so many bytes from its beginning): the rate in ours, and what part of that the others \
         have",
        ["items", "slots", "of"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("{}, million/s", ours.name)])
            .chain(others.iter().flat_map(beside)),
    );
    let mut all = Vec::new();
    for outcome in outcomes {
        let mut cells = vec![
            Cell::words(outcome.set.way.name()),
            Cell::figure(outcome.set.slots.to_string()),
            Cell::figure(format!("{} B", outcome.set.item)),
        ];
        let check = |layout: &Layout| format!("{}, {}", layout.name, outcome.set.name());
        let Some(told) = told(outcome) else {
            let why = outcome.rounds.as_ref().err();
            let why = why.map_or("no round counted", String::as_str);
            cells.extend((0..1 + 2 * others.len()).map(|_| Cell::missing(why)));
            table.add(cells);
            let row = Record::not_run(LAYER, SUBJECT, check(ours), why);
            report.rows.push(row.repeat(REPEAT));
            continue;
        };
        if let Some(reference) = told.compared.last() {
            cells.push(Cell::figure(spread(reference.value)));
            let row = reference_row(SUBJECT, check(ours), reference.value);
            report.rows.push(row.repeat(REPEAT));
        }
        for (layout, compared) in others.iter().zip(&told.compared) {
            cells.extend([compared.ratio(), Cell::words(compared.said())]);
            let row = compared.row(SUBJECT, check(layout), ours.name);
            report.rows.push(row.repeat(REPEAT));
        }
        table.add(cells);
        all.push(told);
    }
    report.tables.push(table);
    report.plots.push(picture(&all));
    report.conclusions.extend(conclusion(&all));
}

fn picture(told: &[Told]) -> Plot {
    let bars = told.iter().flat_map(|told| {
        let layouts = LAYOUTS.iter().zip(&told.compared);
        layouts.map(|(layout, compared)| {
            let name = format!("{}: {}", told.used.name(), layout.name);
            (name, compared.value)
        })
    });
    Plot::Bars {
        title: "The same ring in three layouts".to_owned(),
        x: "million/s".to_owned(),
        bars: bars.collect(),
    }
}

/// In which uses each of the others is slower or faster than ours.
fn conclusion(told: &[Told]) -> Option<String> {
    let too_few = |compared: &Compared| compared.effect == Effect::TooFewRounds;
    if told.is_empty() || told.iter().any(|told| told.compared.iter().any(too_few)) {
        return None;
    }
    let [others @ .., ours] = &LAYOUTS;
    let parts = others.iter().enumerate().map(|(index, layout)| {
        let list = |effect: Effect| {
            let uses = (told.iter())
                .map(|told| (told.used, told.compared[index]))
                .filter(|(_, compared)| compared.effect == effect)
                .map(|(used, compared)| format!("{} ({})", used.name(), compared.percent()));
            uses.collect::<Vec<_>>().join("; ")
        };
        let name = layout.name;
        match (list(Effect::Below), list(Effect::Above)) {
            (slower, faster) if slower.is_empty() && faster.is_empty() => {
                format!("{name} differs in none of {} uses", told.len())
            }
            (slower, faster) if faster.is_empty() => format!("{name} is slower: {slower}"),
            (slower, faster) if slower.is_empty() => format!("{name} is faster: {faster}"),
            (slower, faster) => format!("{name} is slower: {slower}; and faster: {faster}"),
        }
    });
    Some(format!(
        "Beside the layout of {}: {}.",
        ours.name,
        parts.collect::<Vec<_>>().join(". ")
    ))
}

#[cfg(test)]
mod tests {
    use ringproof::{Ring, RingOptions};

    use super::*;

    #[test]
    fn our_layout_is_the_one_that_the_document_and_a_segment_have() {
        let document = include_str!("../../../impl/ABI.md");
        for (at, name) in [
            (OURS.write_index, "write_index"),
            (OURS.read_index, "read_index"),
        ] {
            let row = format!("| {at} | 8 | `{name}` |");
            assert!(document.contains(&row), "{row}");
        }
        let ring = Ring::<u64>::anonymous(&RingOptions::new(64)).unwrap();
        assert_eq!(ring.fixed().data_offset, OURS.data as u64);
    }

    #[test]
    fn every_layout_has_a_ring() {
        for layout in LAYOUTS {
            for slots in CAPACITIES {
                let board = Board::<[u64; 8]>::new(layout.places(), slots, 0);
                assert!(board.is_some(), "{layout:?}, {slots} slots");
            }
        }
    }

    /// What the experiment would have measured: `SharedHeader` has this part of our rate.
    fn recorded(shared_header: impl Fn(Use) -> f64) -> Report {
        let around = |middle: f64| {
            [0.98, 1.0, 1.01, 0.99, 1.02]
                .map(|part| part * middle)
                .to_vec()
        };
        let outcome = |used: Use| Measured {
            set: used,
            rounds: Ok(Rounds {
                series: vec![
                    around(50.0 * shared_header(used)),
                    around(50.5),
                    around(50.0),
                ],
                ..Rounds::default()
            }),
        };
        let outcomes: Vec<_> = Use::all(Extent::Full).into_iter().map(outcome).collect();
        let mut report = Report::new("recorded");
        tell(&mut report, &outcomes);
        report
    }

    #[test]
    fn a_layout_with_both_indices_in_one_line_is_named() {
        let report = recorded(|used| match (used.way, used.item) {
            (Way::OneByOne, 8) => 0.6,
            _ => 1.0,
        });
        assert_eq!(
            report.conclusions,
            [
                "Beside the layout of ringproof: SharedHeader is slower: one by one, 64 \
                 slots of 8 B (40 %); one by one, 65536 slots of 8 B (40 %). SpscShmRing differs \
                 in none of 8 uses."
            ]
        );
        assert_eq!((report.rows.len(), report.rows[1].count), (24, Some(600)));
    }

    #[test]
    fn layouts_that_are_as_fast_are_not_named() {
        let said = recorded(|_| 1.01).conclusions.join(" ");
        assert!(
            !said.contains("slower") && !said.contains("faster"),
            "{said}"
        );
        assert_eq!(
            said.matches("differs in none of 8 uses").count(),
            2,
            "{said}"
        );
    }
}
