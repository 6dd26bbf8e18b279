//! Our ring beside other rings and queues, in the same rounds.

use ringproof_perf::comparison::{Comparison, Line, Unit};
use ringproof_perf::cpus::Pair;
use ringproof_perf::links::{BATCH, Ends, Item, Way};
use ringproof_perf::report::{LAYER, Report, Trouble};
use ringproof_perf::rounds::Rounds;
use ringproof_perf::run::{Extent, Settings, stream_all, through};
use ringproof_perf::stats::Ratio;
use ringproof_perf::table::{Cell, Table, spread};
use ringproof_record::Record;

use crate::queues::{self, OURS, Peer, Queue};
use crate::standing::{Standing, conclude, row_count};

/// Items that may be live at once.
pub(crate) const CAPACITIES: [usize; 2] = [1024, 65_536];

/// The ways that more than one crate has.
pub(crate) const WAYS: [Way; 3] = [Way::OneByOne, Way::Slices, Way::InPlace];

/// What is done with rings.
#[derive(Clone, Copy)]
enum Use {
    /// Items stream through one.
    Streams(Way),
    /// Each item goes through one and comes back through another, before the next one leaves.
    ThereAndBack,
}

/// The uses that are measured in turn and stand in one table.
#[derive(Clone, Copy)]
struct Uses {
    all: &'static [Use],
    /// What the name of the group begins with, beside its items.
    name: &'static str,
    unit: Unit,
}

const STREAMS: Uses = Uses {
    all: &[
        Use::Streams(WAYS[0]),
        Use::Streams(WAYS[1]),
        Use::Streams(WAYS[2]),
    ],
    name: "",
    unit: Unit::RATE,
};
const THERE_AND_BACK: Uses = Uses {
    all: &[Use::ThereAndBack],
    name: "there and back, ",
    unit: Unit::TIME,
};

impl Use {
    fn name(self) -> &'static str {
        match self {
            Use::Streams(way) => way.name(),
            Use::ThereAndBack => "there and back",
        }
    }

    /// How many rings it takes.
    fn rings(self) -> usize {
        match self {
            Use::Streams(_) => 1,
            Use::ThereAndBack => 2,
        }
    }

    /// The ends of so many. `None` if they cannot be used so.
    fn ends(self, rings: &mut [Box<dyn Queue>]) -> Option<Ends<'_>> {
        match (self, rings) {
            (Use::Streams(way), [ring, ..]) => ring.ends(way),
            (Use::ThereAndBack, [there, back, ..]) => {
                let (there, back) = (there.ends(Way::OneByOne)?, back.ends(Way::OneByOne)?);
                Some(Ends::there_and_back(there, back))
            }
            _ => None,
        }
    }
}

/// Compares items of two sizes in rings of two.
pub(crate) fn report(settings: &Settings, pair: Pair) -> Result<Report, Trouble> {
    let mut measured = Vec::new();
    let capacities = settings.extent.pick(&CAPACITIES[..1], &CAPACITIES);
    let streams = capacities.iter().map(|capacity| (STREAMS, *capacity));
    for (uses, capacity) in streams.chain([(THERE_AND_BACK, CAPACITIES[0])]) {
        measured.push(measure::<u64>(settings, pair, capacity, uses)?);
        if settings.extent != Extent::Smoke {
            measured.push(measure::<[u64; 8]>(settings, pair, capacity, uses)?);
        }
    }
    let mut report = Report::new("rings");
    report.note(format!(
        "rings: median [min–max]; × is the speed as a multiple of ringproof's, taken round by \
         round; what has Wait in its name waits so, everything else is asked again after one pause; \
         a batch is {BATCH} items, copied as a slice or written and checked in place; every item is \
         checked, of 64 bytes every word"
    ));
    add(&mut report, &measured);
    Ok(report)
}

/// What was measured with one kind of item at one capacity.
struct Group {
    item: &'static str,
    capacity: usize,
    uses: Uses,
    /// Each crate in each of the uses.
    all: Comparison<&'static str>,
    rounds: Rounds,
}

fn measure<T: Item>(
    settings: &Settings,
    pair: Pair,
    capacity: usize,
    uses: Uses,
) -> Result<Group, Trouble> {
    let peers = queues::all::<T>();
    let make = |peer: &Peer, how: Use| {
        let rings = (0..how.rings()).map(|_| (peer.make)(capacity));
        rings.collect::<Result<Vec<_>, _>>()
    };
    // What a crate can do is found by trying.
    let mut cases: Vec<(&Peer, usize)> = Vec::new();
    for peer in &peers {
        for (at, how) in uses.all.iter().enumerate() {
            if how.ends(&mut make(peer, *how)?).is_some() {
                cases.push((peer, at));
            }
        }
    }
    let first_item = settings.first_item();
    // Once around the longest memory, that of ours as it comes: at least 256 KiB.
    let warm_up = capacity.max((256 << 10) / size_of::<T>()) as u64;
    let name = format!("peers, {}{}, capacity {capacity}", uses.name, T::NAME);
    let rounds = stream_all(&name, cases.len(), pair, settings, |case| {
        let (peer, at) = cases[case];
        let how = uses.all[at];
        let name = format!("{}, {}", peer.name, how.name());
        Ok(through(make(peer, how)?, false, move |rings| {
            let ends = how.ends(rings);
            let ends = ends.ok_or_else(|| Trouble::NotRun(format!("{name}: no ends")))?;
            Ok(ends.link(name.clone(), warm_up, first_item))
        }))
    })?;
    let mut all = Comparison::new(uses.unit, 0);
    for peer in &peers {
        let of_use = |at: usize| {
            let case = |(known, of): &(&Peer, usize)| known.name == peer.name && *of == at;
            match cases.iter().position(case) {
                Some(case) => {
                    let rates = rounds.series[case].iter();
                    Ok(rates.map(|rate| uses.unit.of_rate(*rate)).collect())
                }
                None => Err(format!("it is not used for {}", uses.all[at].name())),
            }
        };
        all.add(peer.name, (0..uses.all.len()).map(of_use).collect());
    }
    let item = T::NAME;
    Ok(Group {
        item,
        capacity,
        uses,
        all,
        rounds,
    })
}

fn add(report: &mut Report, groups: &[Group]) {
    let mut standing = Vec::new();
    for group in groups {
        let items = group.items();
        let experiment = format!("{}{items}", group.uses.name);
        report.add_conditions(&experiment, &format!("peers, {experiment}"), &group.rounds);
        report.tables.push(group.table(&experiment));
        let title = format!("Rings: {items}, {}", group.uses.all[0].name());
        let name = |peer: &&str, at: usize| (at == 0).then(|| (*peer).to_owned());
        let plot = group.all.bars(title, group.all.unit.name, name);
        report.plots.push(plot);
        for line in &group.all.lines {
            for (at, how) in group.uses.all.iter().enumerate() {
                let Some(ratio) = group.ratio(line, at) else {
                    continue;
                };
                report.rows.extend(group.row(line, at, ratio));
                if line.of != OURS {
                    standing.push(Standing {
                        peer: line.of.to_owned(),
                        what: format!("{}, {items}", how.name()),
                        ratio,
                    });
                }
            }
        }
    }
    report.conclusions.extend(conclude(OURS, &standing));
}

impl Group {
    fn items(&self) -> String {
        format!("{} items, capacity {}", self.item, self.capacity)
    }

    /// The speed in a use as a multiple of ours, round by round.
    fn ratio(&self, line: &Line<&'static str>, at: usize) -> Option<Ratio> {
        let ours = self.all.lines.iter().find(|line| line.of == OURS)?;
        match self.all.unit.is_rate {
            true => line.against(ours, at),
            false => ours.against(line, at),
        }
    }

    fn row(&self, line: &Line<&'static str>, at: usize, ratio: Ratio) -> Option<Record> {
        let (value, rounds) = (line.value(at).ok()?, line.values(at).ok()?.len());
        let subject = format!("ring/{}", self.uses.all[at].name());
        let check = format!("{}, {}", line.of, self.items());
        let row = Record::passed(LAYER, subject, check);
        let row = match row_count(ratio.of.median, OURS) {
            Some((count, unit)) => row.count(count, unit),
            None => row,
        };
        let (ratio, value, unit) = (spread(ratio.of), spread(value), self.all.unit.name);
        Some(row.reason(format!(
            "median of {rounds} rounds, {ratio}; {value} {unit}"
        )))
    }

    fn table(&self, experiment: &str) -> Table {
        let mut columns = self.all.columns().words("crate", |peer| *peer);
        for (at, how) in self.uses.all.iter().enumerate() {
            columns = columns.value(how.name(), at).cells("×", move |line| {
                let ratio = self.ratio(line, at).map(|ratio| ratio.of);
                let none = || line.values(at).err().unwrap_or_default();
                Cell::measured(ratio.ok_or_else(none))
            });
        }
        columns.table(format!("Rings: {}, {experiment}", self.all.unit.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five rounds in which "other" has so many times our rate one by one; ours alone has slices.
    fn recorded(ratio: f64) -> Group {
        let ours = [100.0, 80.0, 120.0, 99.0, 101.0];
        let times = |factor: f64| Ok(ours.map(|rate| rate * factor).to_vec());
        let none = |way: Way| Err(format!("not used for {}", way.name()));
        let mut all = Comparison::new(Unit::RATE, 0);
        all.add(OURS, vec![times(1.0), times(4.0), none(WAYS[2])]);
        all.add("other", vec![times(ratio), none(WAYS[1]), none(WAYS[2])]);
        Group {
            item: "u64",
            capacity: 1024,
            uses: STREAMS,
            all,
            rounds: Rounds {
                latency: Some(50.0),
                ..Rounds::default()
            },
        }
    }

    /// Five rounds in which "other" is so many times as fast there and back.
    fn there_and_back(speed: f64) -> Group {
        let ours = [500.0, 510.0, 490.0, 700.0, 505.0];
        let mut all = Comparison::new(THERE_AND_BACK.unit, 0);
        all.add(OURS, vec![Ok(ours.to_vec())]);
        all.add("other", vec![Ok(ours.map(|time| time / speed).to_vec())]);
        Group {
            uses: THERE_AND_BACK,
            all,
            ..recorded(1.0)
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
            let mut report = Report::new("rings");
            add(&mut report, &[there_and_back(ratio)]);
            assert!(report.conclusions[0].contains(words), "{report:?}");
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
        assert!(said.contains("not used for slices of 64"), "{said}");
    }
}
