//! The words of a ring where two published layouts put them, and where ours does.

use crate::comparison::{Comparison, Unit, slower_or_faster};
use crate::cpus::Pair;
use crate::items::{Way, medium};
use crate::placement::{LINE, OURS, Places};
use crate::report::{Report, Trouble};
use crate::run::{Extent, Settings, stream_all};
use crate::sets::{Measured, measure_all};

/// What its rows are about.
const SUBJECT: &str = "ring/header layout";

/// A layout: its name, and where everything lies.
pub(super) type Layout = (&'static str, Places);

const fn layout(name: &'static str, write_index: usize, read_index: usize, data: usize) -> Layout {
    let places = Places {
        write_index,
        read_index,
        data,
    };
    (name, places)
}

/// The layouts; ours, the reference, is the last.
///
/// What the others have: `SharedHeader` is a magic number, a version, the two indices and an offset
/// in one line, with the data from the next one on; `SpscShmRing` an index in each of two lines, and
/// the data after them.
pub(super) const LAYOUTS: [Layout; 3] = [
    layout("SharedHeader", 8, 16, LINE),
    layout("SpscShmRing", 0, LINE, 2 * LINE),
    ("ringproof", OURS),
];

/// Bytes of a slot: the fewest, which meet the indices most often, and a line, as in
/// `SpscShmRing`.
const ITEMS: [usize; 2] = [8, LINE];

/// Slots, all of which may be live: few, and as many as `SpscShmRing` has.
const CAPACITIES: [usize; 2] = [64, 65_536];

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
        let capacities = extent.pick(&CAPACITIES[..1], &CAPACITIES);
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

/// Measures each use: the layouts in turn.
pub(super) fn measure(pair: Pair, settings: &Settings) -> Result<Vec<Measured<Use>>, Trouble> {
    let first_item = settings.first_item();
    measure_all(Use::all(settings.extent), |used| {
        let name = format!("header layouts: {}", used.name());
        stream_all(&name, LAYOUTS.len(), pair, settings, |case| {
            let (layout, places) = LAYOUTS[case];
            let medium = match used.item {
                LINE => medium::<[u64; LINE / 8], LINE>,
                _ => medium::<u64, 8>,
            };
            let name = format!("{layout}, {}", used.name());
            medium(places, used.slots, used.way, name, first_item)
        })
    })
}

/// A table, a picture, rows and a sentence.
pub(super) fn report(report: &mut Report, measured: &[Measured<Use>]) {
    let [others @ .., (ours, _)] = &LAYOUTS;
    let all = Comparison::of_sets(Unit::RATE, others.len(), LAYOUTS.len(), measured, |of| {
        vec![*of]
    });
    let mut columns = (all.columns())
        .words("items", |used| used.way.name())
        .figure("slots", |used| used.slots)
        .figure("of", |used| format!("{} B", used.item))
        .value(format!("{ours}, million/s"), others.len());
    for (at, (name, places)) in others.iter().enumerate() {
        let (write, read, data) = (places.write_index, places.read_index, places.data);
        let name = format!("{name}: {write}, {read}, {data}");
        columns = columns.speed(name, at).effect("effect", at);
    }
    report.tables.push(columns.table(
        "The same ring, its write index, read index and slots where each layout puts them \
         (so many bytes from its beginning): the rate in ours, and what part of that the others \
         have",
    ));
    let check = |used: &Use, at: usize| format!("{}, {}", LAYOUTS[at].0, used.name());
    report.rows.extend(all.all_rows(SUBJECT, check, ours));
    let name = |used: &Use, at: usize| Some(format!("{}: {}", used.name(), LAYOUTS[at].0));
    let title = "The same ring in three layouts";
    report.plots.push(all.bars(title, "million/s", name));
    let parts = others.iter().enumerate().map(|(at, (name, _))| {
        let found = all.compared(at).map(|(used, one)| (used.name(), one));
        let none = format!("differs in none of {} uses", all.compared(at).count());
        slower_or_faster(name, [":", ";"], &none, found)
    });
    let parts = parts.collect::<Option<Vec<_>>>();
    let said = parts.map(|parts| format!("Beside the layout of {ours}: {}.", parts.join(". ")));
    report.conclusions.extend(said);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::recorded;
    use crate::placement::Board;

    #[test]
    fn every_layout_has_a_ring() {
        for (layout, places) in LAYOUTS {
            for slots in CAPACITIES {
                let board = Board::<[u64; 8]>::new(places, slots, 0);
                assert!(board.is_some(), "{layout}, {slots} slots");
            }
        }
    }

    /// What the experiment would have measured: `SharedHeader` has this part of our rate.
    fn with(shared_header: impl Fn(Use) -> f64) -> Report {
        let measured = |used: Use| {
            let rates = [50.0 * shared_header(used), 50.5, 50.0];
            Measured::recorded(used, rates.map(|rate| recorded(Unit::RATE, rate)))
        };
        let measured: Vec<_> = Use::all(Extent::Full).into_iter().map(measured).collect();
        Report::recorded(|to| report(to, &measured))
    }

    #[test]
    fn a_layout_with_both_indices_in_one_line_is_named() {
        let report = with(|used| match (used.way, used.item) {
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
        let said = with(|_| 1.01).conclusions.join(" ");
        let differs = said.contains("slower") || said.contains("faster");
        let none = said.matches("differs in none of 8 uses").count();
        assert_eq!((differs, none), (false, 2), "{said}");
    }
}
