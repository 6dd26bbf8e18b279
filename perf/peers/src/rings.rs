//! Our ring beside other rings and queues, in the same rounds.

use ringproof_perf::comparison::{Comparison, Line, Unit};
use ringproof_perf::cpus::Pair;
use ringproof_perf::links::{BATCH, Item, Way};
use ringproof_perf::report::{LAYER, Report, Trouble};
use ringproof_perf::rounds::Rounds;
use ringproof_perf::run::{Extent, Settings, stream_all, through};
use ringproof_perf::stats::Ratio;
use ringproof_perf::table::{Cell, Table, spread};
use ringproof_record::Record;

use crate::queues::{self, OURS, Peer};
use crate::standing::{Standing, conclude, row_count};

/// Items that may be live at once.
pub(crate) const CAPACITIES: [usize; 2] = [1024, 65_536];

/// The ways that more than one crate has.
pub(crate) const WAYS: [Way; 3] = [Way::OneByOne, Way::Slices, Way::InPlace];

/// Compares items of two sizes in rings of two.
pub(crate) fn report(settings: &Settings, pair: Pair) -> Result<Report, Trouble> {
    let mut measured = Vec::new();
    let capacities = settings.extent.pick(&CAPACITIES[..1], &CAPACITIES);
    for capacity in capacities {
        measured.push(measure::<u64>(settings, pair, *capacity)?);
        if settings.extent != Extent::Smoke {
            measured.push(measure::<[u64; 8]>(settings, pair, *capacity)?);
        }
    }
    let mut report = Report::new("rings");
    report.note(format!(
        "rings: median [min–max]; × is the rate as a multiple of ringproof's, taken round by \
         round; a batch is {BATCH} items, copied as a slice or written and checked in place; \
         every item is checked, of 64 bytes every word"
    ));
    add(&mut report, &measured);
    Ok(report)
}

/// What was measured with one kind of item at one capacity.
struct Group {
    item: &'static str,
    capacity: usize,
    /// Each crate in each of the [`WAYS`].
    all: Comparison<&'static str>,
    rounds: Rounds,
}

fn measure<T: Item>(settings: &Settings, pair: Pair, capacity: usize) -> Result<Group, Trouble> {
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
    let rounds = stream_all(&name, cases.len(), pair, settings, |case| {
        let (peer, way) = cases[case];
        let name = format!("{}, {}", peer.name, way.name());
        Ok(through((peer.make)(capacity)?, false, move |queue| {
            let ends = queue.ends(way);
            let ends = ends.ok_or_else(|| Trouble::NotRun(format!("{name}: no ends")))?;
            Ok(ends.link(name.clone(), warm_up, first_item))
        }))
    })?;
    let mut all = Comparison::new(Unit::RATE, 0);
    for peer in &peers {
        let of_way = |way: Way| {
            let case = |(known, of): &(&Peer, Way)| known.name == peer.name && *of == way;
            match cases.iter().position(case) {
                Some(case) => Ok(rounds.series[case].clone()),
                None => Err(format!("this crate has no way to move {}", way.name())),
            }
        };
        all.add(peer.name, WAYS.map(of_way).into());
    }
    let item = T::NAME;
    Ok(Group {
        item,
        capacity,
        all,
        rounds,
    })
}

fn add(report: &mut Report, groups: &[Group]) {
    let mut standing = Vec::new();
    for group in groups {
        let experiment = format!("{} items, capacity {}", group.item, group.capacity);
        report.add_conditions(&experiment, &format!("peers, {experiment}"), &group.rounds);
        report.tables.push(group.table(&experiment));
        let title = format!("Rings: {experiment}, one by one");
        let name = |peer: &&str, at: usize| (at == 0).then(|| (*peer).to_owned());
        report
            .plots
            .push(group.all.bars(title, "million items/s", name));
        for line in &group.all.lines {
            for (at, way) in WAYS.into_iter().enumerate() {
                let Some(ratio) = group.ratio(line, at) else {
                    continue;
                };
                report.rows.extend(group.row(line, at, way, ratio));
                if line.of != OURS {
                    standing.push(Standing {
                        peer: line.of.to_owned(),
                        what: format!("{}, {experiment}", way.name()),
                        ratio,
                    });
                }
            }
        }
    }
    report.conclusions.extend(conclude(OURS, &standing));
}

impl Group {
    /// The rate in a way as a multiple of ours, round by round.
    fn ratio(&self, line: &Line<&'static str>, at: usize) -> Option<Ratio> {
        let ours = self.all.lines.iter().find(|line| line.of == OURS)?;
        line.against(ours, at)
    }

    fn row(&self, line: &Line<&'static str>, at: usize, way: Way, ratio: Ratio) -> Option<Record> {
        let (rate, rounds) = (line.value(at).ok()?, line.values(at).ok()?.len());
        let subject = format!("ring/{}", way.name());
        let check = format!(
            "{}, {} items, capacity {}",
            line.of, self.item, self.capacity
        );
        let row = Record::passed(LAYER, subject, check);
        let row = match row_count(ratio.of.median, OURS) {
            Some((count, unit)) => row.count(count, unit),
            None => row,
        };
        let (ratio, rate) = (spread(ratio.of), spread(rate));
        Some(row.reason(format!(
            "median of {rounds} rounds, {ratio}; {rate} million items/s"
        )))
    }

    fn table(&self, experiment: &str) -> Table {
        let mut columns = self.all.columns().words("crate", |peer| *peer);
        for (at, way) in WAYS.into_iter().enumerate() {
            columns = columns.value(way.name(), at).cells("×", move |line| {
                let ratio = self.ratio(line, at).map(|ratio| ratio.of);
                let none = || line.values(at).err().unwrap_or_default();
                Cell::measured(ratio.ok_or_else(none))
            });
        }
        columns.table(format!("Rings: million items/s, {experiment}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five rounds in which "other" has so many times our rate one by one; ours alone has slices.
    fn recorded(ratio: f64) -> Group {
        let ours = [100.0, 80.0, 120.0, 99.0, 101.0];
        let times = |factor: f64| Ok(ours.map(|rate| rate * factor).to_vec());
        let none = |way: Way| Err(format!("no way to move {}", way.name()));
        let mut all = Comparison::new(Unit::RATE, 0);
        all.add(OURS, vec![times(1.0), times(4.0), none(WAYS[2])]);
        all.add("other", vec![times(ratio), none(WAYS[1]), none(WAYS[2])]);
        Group {
            item: "u64",
            capacity: 1024,
            all,
            rounds: Rounds {
                latency: Some(50.0),
                ..Rounds::default()
            },
        }
    }

    fn reported(ratio: f64) -> Report {
        let mut report = Report::new("rings");
        add(&mut report, &[recorded(ratio)]);
        report
    }

    #[test]
    fn a_faster_and_a_slower_peer_are_named() {
        for (ratio, words) in [(1.4, "faster in 1"), (0.6, "slower in 1")] {
            let report = reported(ratio);
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
        let report = reported(1.01);
        assert!(report.conclusions.is_empty(), "{:?}", report.conclusions);
        let said = report.render();
        assert!(said.contains("other"), "{said}");
        // What it cannot do is said, and no figure stands there.
        assert!(said.contains("no way to move slices of 64"), "{said}");
    }
}
