//! Our ring beside other rings and queues, in the same rounds.

use ringproof_perf::cpus::Pair;
use ringproof_perf::links::{BATCH, Way};
use ringproof_perf::plot::Plot;
use ringproof_perf::report::{LAYER, Report, Trouble, conditions, conditions_row};
use ringproof_perf::rounds::Rounds;
use ringproof_perf::run::{Extent, Settings, stream_all};
use ringproof_perf::stats::{Summary, ratios, summarize};
use ringproof_perf::stream::Link;
use ringproof_perf::table::{Cell, Table, spread};
use ringproof_record::Record;

use crate::REPEAT;
use crate::items::Item;
use crate::queues::{self, OURS, Peer, Queue};
use crate::standing::{Compared, conclude, row_count};

/// Items that may be live at once.
pub(crate) const CAPACITIES: [usize; 2] = [1024, 65_536];

/// The ways that more than one crate has.
pub(crate) const WAYS: [Way; 3] = [Way::OneByOne, Way::Slices, Way::InPlace];

/// Compares items of two sizes in rings of two.
pub(crate) fn report(settings: &Settings, pair: Pair) -> Result<Report, Trouble> {
    let mut measured = Vec::new();
    let capacities = match settings.extent {
        Extent::Smoke => &CAPACITIES[..1],
        Extent::Full | Extent::Quick => &CAPACITIES,
    };
    for capacity in capacities {
        measured.push(measure::<u64>(settings, pair, *capacity)?);
        if settings.extent != Extent::Smoke {
            measured.push(measure::<[u64; 8]>(settings, pair, *capacity)?);
        }
    }
    let mut report = Report::new("rings");
    report.notes.push(format!(
        "rings: median [min–max]; × is the rate as a multiple of ringproof's, taken round by \
         round; a batch is {BATCH} items, copied as a slice or written and checked in place; \
         every item is checked, of 64 bytes every word"
    ));
    tell(&mut report, &measured);
    Ok(report)
}

/// What was measured with one kind of item at one capacity.
struct Measured {
    item: &'static str,
    capacity: usize,
    /// Who did it and how, in the order of the series.
    cases: Vec<(&'static str, Way)>,
    /// Million items a second.
    rounds: Rounds,
}

fn measure<T: Item>(settings: &Settings, pair: Pair, capacity: usize) -> Result<Measured, Trouble> {
    let peers = queues::all::<T>();
    // What a crate can do is found by trying.
    let mut cases: Vec<(&Peer, Way)> = Vec::new();
    for peer in &peers {
        for way in WAYS {
            if (peer.make)(capacity)?.ends(way).is_some() {
                cases.push((peer, way));
            }
        }
    }
    let first_item = settings.first_item();
    // Once around the longest memory, that of ours as it comes: at least 256 KiB.
    let warm_up = capacity.max((256 << 10) / size_of::<T>()) as u64;
    let name = format!("peers, {}, capacity {capacity}", T::NAME);
    let rounds = stream_all(&name, cases.len(), pair, settings, |order, with_links| {
        let mut made: Vec<Option<Box<dyn Queue>>> = cases.iter().map(|_| None).collect();
        for &case in order {
            made[case] = Some((cases[case].0.make)(capacity)?);
        }
        let mut links = Vec::new();
        for ((peer, way), queue) in cases.iter().zip(&mut made) {
            let ends = queue.as_mut().and_then(|queue| queue.ends(*way));
            let name = format!("{}, {}", peer.name, way.name());
            let ends = ends.ok_or_else(|| Trouble::NotRun(format!("{name}: no ends")))?;
            links.push(Link {
                name,
                sender: ends.sender,
                receiver: ends.receiver,
                warm_up,
                next: first_item,
            });
        }
        with_links(&mut links)
    })?;
    Ok(Measured {
        item: T::NAME,
        capacity,
        cases: cases.iter().map(|(peer, way)| (peer.name, *way)).collect(),
        rounds,
    })
}

fn tell(report: &mut Report, measured: &[Measured]) {
    let mut compared = Vec::new();
    for group in measured {
        let (item, capacity) = (group.item, group.capacity);
        let experiment = format!("{item} items, capacity {capacity}");
        let said = conditions(&group.rounds);
        report.notes.push(format!("{experiment}: {said}"));
        let name = format!("peers, {experiment}");
        (report.rows).push(conditions_row(&name, &group.rounds, REPEAT));
        report.tables.push(table(group));
        report.plots.push(Plot::Bars {
            title: format!("Rings: {experiment}, one by one"),
            x: "million items/s".to_owned(),
            bars: group.one_by_one(),
        });
        for (peer, way) in &group.cases {
            let ratios = group.ratios(peer, *way);
            report.rows.extend(group.row(peer, *way, &ratios));
            if *peer != OURS {
                compared.push(Compared {
                    peer: (*peer).to_owned(),
                    what: format!("{}, {experiment}", way.name()),
                    ratios,
                });
            }
        }
    }
    report.conclusions.extend(conclude(OURS, &compared));
}

impl Measured {
    fn rates(&self, peer: &str, way: Way) -> Option<&[f64]> {
        let case = self.cases.iter().position(|case| *case == (peer, way))?;
        self.rounds.series.get(case).map(Vec::as_slice)
    }

    /// The rate as a multiple of ours, round by round.
    fn ratios(&self, peer: &str, way: Way) -> Vec<f64> {
        let both = self.rates(peer, way).zip(self.rates(OURS, way));
        both.map_or_else(Vec::new, |(theirs, ours)| ratios(theirs, ours))
    }

    fn one_by_one(&self) -> Vec<(String, Summary)> {
        let bar = |(peer, way): &(&'static str, Way)| {
            let rates = (*way == Way::OneByOne).then(|| self.rates(peer, *way))??;
            Some(((*peer).to_owned(), summarize(rates)?))
        };
        self.cases.iter().filter_map(bar).collect()
    }

    fn row(&self, peer: &str, way: Way, ratios: &[f64]) -> Option<Record> {
        let (rate, ratio) = (summarize(self.rates(peer, way)?)?, summarize(ratios)?);
        let subject = format!("ring/{}", way.name());
        let check = format!("{peer}, {} items, capacity {}", self.item, self.capacity);
        let row = Record::passed(LAYER, subject, check).repeat(REPEAT);
        let row = match row_count(ratio.median, OURS) {
            Some((count, unit)) => row.count(count, unit),
            None => row,
        };
        Some(row.reason(format!(
            "median of {} rounds, {}; {} million items/s",
            ratios.len(),
            spread(ratio),
            spread(rate),
        )))
    }
}

fn table(group: &Measured) -> Table {
    let headers = WAYS.iter().flat_map(|way| [way.name(), "×"]);
    let mut table = Table::new(
        format!(
            "Rings: million items/s, {} items, capacity {}",
            group.item, group.capacity
        ),
        ["crate"].into_iter().chain(headers),
    );
    let mut last = "";
    for (peer, _) in &group.cases {
        if *peer == last {
            continue;
        }
        last = peer;
        let mut cells = vec![Cell::words(*peer)];
        for way in WAYS {
            let rate = group.rates(peer, way).and_then(summarize);
            let ratio = summarize(&group.ratios(peer, way));
            let none = format!("this crate has no way to move {}", way.name());
            for summary in [rate, ratio] {
                cells.push(Cell::measured(summary.ok_or_else(|| none.clone())));
            }
        }
        table.add(cells);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five rounds in which "other" has so many times our rate one by one; ours alone has slices.
    fn recorded(ratio: f64) -> Measured {
        let ours = [100.0, 80.0, 120.0, 99.0, 101.0];
        Measured {
            item: "u64",
            capacity: 1024,
            cases: vec![
                (OURS, Way::OneByOne),
                (OURS, Way::Slices),
                ("other", Way::OneByOne),
            ],
            rounds: Rounds {
                series: vec![
                    ours.to_vec(),
                    ours.map(|rate| rate * 4.0).to_vec(),
                    ours.map(|rate| rate * ratio).to_vec(),
                ],
                latency: Some(50.0),
                ..Rounds::default()
            },
        }
    }

    fn told(ratio: f64) -> Report {
        let mut report = Report::new("rings");
        tell(&mut report, &[recorded(ratio)]);
        report
    }

    #[test]
    fn a_faster_and_a_slower_peer_are_named() {
        for (ratio, words) in [(1.4, "faster in 1"), (0.6, "slower in 1")] {
            let report = told(ratio);
            let [said] = &report.conclusions[..] else {
                panic!("{:?}", report.conclusions);
            };
            assert!(said.starts_with("other beside ringproof"), "{said}");
            assert!(said.contains(words), "{said}");
            let count = (ratio * 1000.0) as u64;
            let row = (report.rows.iter()).find(|row| row.check.starts_with("other"));
            assert_eq!(row.unwrap().count, Some(count));
        }
    }

    #[test]
    fn an_equal_peer_stands_in_the_table_only() {
        let report = told(1.01);
        assert!(report.conclusions.is_empty(), "{:?}", report.conclusions);
        let said = report.render();
        assert!(said.contains("other"), "{said}");
        // What it cannot do is said, and no figure stands there.
        assert!(said.contains("no way to move slices of 64"), "{said}");
    }
}
