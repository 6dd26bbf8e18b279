//! What packed slots and padded ones say.

use ringproof_record::Record;

use super::{Outcome, Placement, SHIFT, SLOTS};
use crate::compared::{Compared, reference_row};
use crate::padding::REPEAT;
use crate::padding::items::Way;
use crate::plot::{Plot, Series};
use crate::report::{LAYER, Report};
use crate::stats::{Effect, Summary};
use crate::table::{Cell, Table, spread};

/// What its rows are about.
const SUBJECT: &str = "ring/slot placement";

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
        let mut placements = outcome.set.size.placements().iter();
        let index = placements.position(|placement| *placement == wanted)?;
        Compared::rates(rounds.series.get(index)?, packed)
    };
    Some(Told {
        bytes: outcome.set.size.bytes,
        way: outcome.set.way,
        packed: placed(Placement::Packed)?.value,
        shifted: placed(Placement::Shifted),
        own_lines: placed(Placement::OwnLines),
    })
}

/// A table, a picture, rows and a sentence.
pub(in crate::padding) fn tell(report: &mut Report, outcomes: &[Outcome]) {
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
            Cell::figure(format!("{} B", outcome.set.size.bytes)),
            Cell::words(outcome.set.way.name()),
        ];
        let check = |placement: Placement| {
            let (bytes, way) = (outcome.set.size.bytes, outcome.set.way.name());
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

/// Gigabytes a second of so many million items.
fn in_bytes(rate: Summary, bytes: usize) -> Summary {
    let scaled = |rate: f64| rate * bytes as f64 / 1000.0;
    Summary {
        median: scaled(rate.median),
        min: scaled(rate.min),
        max: scaled(rate.max),
    }
}

fn picture(told: &[Told]) -> Plot {
    let series = Way::ALL.into_iter().flat_map(|way| {
        let of = move || told.iter().filter(move |told| told.way == way);
        let points = |value: fn(&Told) -> Option<Summary>| {
            of().filter_map(|told| Some((told.bytes as f64, in_bytes(value(told)?, told.bytes))))
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
        y: "GB/s of items".to_owned(),
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
    use crate::padding::slots::Case;
    use crate::rounds::Rounds;
    use crate::run::Extent;
    use crate::sets::Measured;

    /// What the experiment would have measured: on lines of its own an item has this part of the
    /// rate that it has in packed slots.
    fn recorded(own_lines: impl Fn(usize, Way) -> f64) -> Report {
        let around = |middle: f64| {
            [0.98, 1.0, 1.01, 0.99, 1.02]
                .map(|part| part * middle)
                .to_vec()
        };
        let outcome = |case: Case| {
            let rate = |placement: &Placement| match placement {
                Placement::Packed => 100.0,
                Placement::Shifted => 99.0,
                Placement::OwnLines => 100.0 * own_lines(case.size.bytes, case.way),
            };
            let placements = case.size.placements().iter();
            Measured {
                rounds: Ok(Rounds {
                    series: placements
                        .map(|placement| around(rate(placement)))
                        .collect(),
                    ..Rounds::default()
                }),
                set: case,
            }
        };
        let outcomes: Vec<_> = Case::all(Extent::Full).into_iter().map(outcome).collect();
        let mut report = Report::new("recorded");
        tell(&mut report, &outcomes);
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
}
