//! Slots that are packed, begin within a line, or have lines of their own.

use crate::comparison::{Compared, Comparison, Line, Unit, slower_or_faster};
use crate::cpus::Pair;
use crate::items::{PLACEMENTS, Placement, SHIFT, SIZES, Size, Way};
use crate::plot::Plot;
use crate::report::{Report, Trouble};
use crate::run::{Extent, Settings, stream_all};
use crate::sets::{Measured, measure_all};
use crate::table::Cell;

/// What its rows are about.
const SUBJECT: &str = "ring/slot placement";

/// Slots of a ring, all of which may be live.
const SLOTS: usize = 1024;

/// One size in one way.
#[derive(Clone, Copy)]
pub(super) struct Case {
    size: &'static Size,
    way: Way,
}

impl Case {
    /// All that are measured.
    fn all(extent: Extent) -> Vec<Case> {
        // 8, 32, 72 and 256 bytes.
        let sizes = SIZES.iter().step_by(extent.pick(4, 1));
        let cases = sizes.flat_map(|size| Way::ALL.map(|way| Case { size, way }));
        cases.collect()
    }

    fn check(self, placement: Placement) -> String {
        let (bytes, way) = (self.size.bytes, self.way.name());
        format!("items of {bytes} bytes {}, {way}", placement.name())
    }
}

/// Measures each size in each way: the placements in turn.
pub(super) fn measure(pair: Pair, settings: &Settings) -> Result<Vec<Measured<Case>>, Trouble> {
    measure_all(Case::all(settings.extent), |Case { size, way }| {
        let name = format!("padding: {} bytes, {}", size.bytes, way.name());
        let placements = size.placements();
        stream_all(&name, placements.len(), pair, settings, |case| {
            (size.make)(placements[case], SLOTS, *way, settings.first_item())
        })
    })
}

/// A table, a picture, rows and a sentence for each way.
pub(super) fn report(report: &mut Report, measured: &[Measured<Case>]) {
    let all = Comparison::of_sets(Unit::RATE, 0, PLACEMENTS.len(), measured, |of| vec![*of]);
    // Packed slots of whole lines have them to themselves.
    let same = |line: &Line<Case>| line.series.len() == 2;
    let own_lines =
        move |line: &Line<Case>, cell: fn(Compared) -> Cell, instead: &str| match same(line) {
            true => Cell::words(instead),
            false => line.compared(2).map_or_else(Cell::missing, cell),
        };
    let table = (all.columns())
        .figure("item", |case| format!("{} B", case.size.bytes))
        .words("items", |case| case.way.name())
        .value("packed, million/s", 0)
        .speed("shifted: ratio", 1)
        .effect("effect", 1)
        .cells("own lines: ratio", move |line| {
            let ratio = |found: Compared| Cell::measured(Ok(found.speed));
            own_lines(line, ratio, "the same as packed")
        })
        .cells("effect", move |line| {
            own_lines(line, |found| Cell::words(found.said()), "")
        });
    report.tables.push(table.table(format!(
        "{SLOTS} slots, packed from the beginning of a line, {SHIFT} bytes into one, or each on \
         lines of its own"
    )));
    let check = |case: &Case, at: usize| case.check(PLACEMENTS[at]);
    report
        .rows
        .extend(all.all_rows(SUBJECT, check, "packed slots"));
    let curves = [(0, "packed"), (2, "on lines of their own")];
    let curves = Way::ALL
        .into_iter()
        .flat_map(|way| curves.map(|(at, how)| (way, at, how)));
    let points = curves.flat_map(|(way, at, how)| {
        let found = all.compared(at).filter(move |(case, _)| case.way == way);
        found.map(move |(case, one)| {
            // Gigabytes a second of so many million items.
            let bytes = case.size.bytes as f64;
            let name = format!("{}, {how}", way.name());
            (name, bytes, one.value.times(bytes / 1000.0))
        })
    });
    report.plots.push(Plot::lines(
        "Items packed, and each on lines of its own",
        "bytes of an item",
        "GB/s of items",
        points,
    ));
    report
        .conclusions
        .extend(Way::ALL.iter().filter_map(|way| conclusion(&all, *way)));
}

/// What lines of their own and a shift do in one way.
fn conclusion(all: &Comparison<Case>, way: Way) -> Option<String> {
    let part = |what: &str, at: usize| {
        let found = all.compared(at).filter(|(case, _)| case.way == way);
        let found = found.map(|(case, one)| (format!("{} B", case.size.bytes), one));
        slower_or_faster(what, [" at", ","], "makes no difference at any size", found)
    };
    let own_lines = part("a slot on lines of its own", 2)?;
    let shifted = part("a first slot within a line", 1)?;
    let items = match way {
        Way::OneByOne => way.name(),
        Way::Batches => format!("in {}", way.name()),
    };
    Some(format!(
        "Items {items}, against packed slots: {own_lines}; {shifted}."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::recorded;

    /// What the experiment would have measured: on lines of its own an item has this part of the
    /// rate that it has in packed slots.
    fn with(own_lines: impl Fn(usize, Way) -> f64) -> Report {
        let measured = |case: Case| {
            let rates = [100.0, 99.0, 100.0 * own_lines(case.size.bytes, case.way)];
            let rates = &rates[..case.size.placements().len()];
            let series = rates.iter().map(|rate| recorded(Unit::RATE, *rate));
            Measured::recorded(case, series.collect::<Vec<_>>())
        };
        let measured: Vec<_> = Case::all(Extent::Full).into_iter().map(measured).collect();
        Report::recorded(|to| report(to, &measured))
    }

    #[test]
    fn sizes_that_suffer_from_padding_and_those_that_gain_are_named() {
        let report = with(|bytes, way| match (bytes, way) {
            (8, Way::Batches) => 0.25,
            (24, Way::Batches) => 1.2,
            _ => 1.0,
        });
        let differs = "own is slower at 8 B (75 %), and faster at 24 B (20 %)";
        report.concludes([
            &["own makes no difference at any size"],
            &[differs, "within a line makes no difference"],
        ]);
    }

    #[test]
    fn flat_samples_name_no_size() {
        let said = with(|_, _| 1.02).conclusions.join(" ");
        let differs = said.contains("slower") || said.contains("faster");
        let none = said.matches("makes no difference at any size").count();
        assert_eq!((differs, none), (false, 4), "{said}");
    }
}
