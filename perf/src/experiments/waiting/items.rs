//! Items one by one and to and fro, by every way to wait.

use std::time::Duration;

use ringproof::{Ring, Wait};

use crate::comparison::{Comparison, Unit, slower_or_faster};
use crate::cpus::Pair;
use crate::links::{Ends, Item, SIZES, Size};
use crate::report::{Report, Trouble};
use crate::rounds::Rounds;
use crate::run::{Settings, stream_all, through};
use crate::sets::{Measured, measure_all, together};
use crate::waits::{Manner, Stay};

/// The subject of its rows.
pub(super) const SUBJECT: &str = "waiting/items";

/// What is compared: polling, our ways to wait, and always the same stay.
const MANNERS: [Manner; 8] = [
    Manner::Polls,
    Manner::Waits(Wait::Spin),
    Manner::Waits(Wait::Yield),
    Manner::Waits(Wait::Sleep),
    Manner::Stays(Stay::Pauses(2)),
    Manner::Stays(Stay::Pauses(16)),
    Manner::Stays(Stay::Pauses(64)),
    Manner::Stays(Stay::For(Duration::from_micros(3))),
];

/// The first one, with which the others are compared in tables.
const POLLS: usize = 0;
/// The one that learns how long to stay, with which those are compared that do not.
const LEARNS: usize = 1;

/// What the items do.
#[derive(Clone, Copy, Debug)]
struct Use {
    comes_back: bool,
    size: Size,
    item: &'static str,
    measure: fn(&Use, Pair, &Settings) -> Result<Rounds, Trouble>,
}

/// What is measured of them: one by one, and there and back.
const UNITS: [(bool, Unit, &str); 2] = [
    (false, Unit::RATE, "one by one"),
    (true, Unit::TIME, "there and back"),
];

impl Use {
    /// Each kind of item in every size of memory, one by one and there and back.
    fn all(settings: &Settings) -> impl Iterator<Item = Use> {
        let sizes = settings.extent.pick(&SIZES[1..2], &SIZES[..2]);
        let both = UNITS
            .iter()
            .flat_map(move |(comes_back, ..)| sizes.iter().map(move |size| (*comes_back, *size)));
        both.flat_map(|(comes_back, size)| {
            [
                Use::of::<u64>(comes_back, size),
                Use::of::<[u64; 8]>(comes_back, size),
            ]
        })
    }

    fn of<T: Item>(comes_back: bool, size: Size) -> Self {
        Use {
            comes_back,
            size,
            item: T::NAME,
            measure: measure::<T>,
        }
    }

    fn name(&self) -> String {
        let (.., how) = UNITS[usize::from(self.comes_back)];
        format!("{}, {how}, memory {}", self.item, self.size.memory())
    }
}

/// Measures all of it.
pub(super) fn run(settings: &Settings, pair: Pair, report: &mut Report) -> Result<(), Trouble> {
    let uses = measure_all(Use::all(settings), |used| {
        (used.measure)(used, pair, settings)
    })?;
    report.add_conditions("items", "waiting, items", &together(&uses));
    add(report, &uses);
    Ok(())
}

/// One use: every manner in turn, in million items a second or nanoseconds there and back.
fn measure<T: Item>(used: &Use, pair: Pair, settings: &Settings) -> Result<Rounds, Trouble> {
    let Use {
        comes_back, size, ..
    } = *used;
    let what = format!("waiting: {}", used.name());
    let mut rounds = stream_all(&what, MANNERS.len(), pair, settings, |case| {
        let (manner, what) = (MANNERS[case], what.clone());
        let make = || Ring::<T>::anonymous(&size.options());
        let rings = make().and_then(|there| Ok([there, make()?]));
        let rings = rings.map_err(Trouble::of("no ring could be made"))?;
        Ok(through(rings, false, move |[there, back]| {
            let (ends, warm_up) = match comes_back {
                true => (
                    Ends::there_and_back(manner.ends(there)?, manner.ends(back)?),
                    size.capacity,
                ),
                false => (manner.ends(there)?, there.segment().fixed().slots),
            };
            Ok(ends.link(format!("{what}, {manner}"), warm_up, settings.first_item()))
        }))
    })?;
    let (_, unit, _) = UNITS[usize::from(comes_back)];
    let rates = rounds.series.iter_mut().flatten();
    rates.for_each(|rate| *rate = unit.of_rate(*rate));
    Ok(rounds)
}

/// Tables, pictures, rows and sentences.
fn add(report: &mut Report, uses: &[Measured<Use>]) {
    let both = UNITS.map(|(comes_back, unit, how)| {
        let uses = uses.iter().filter(|one| one.set.comes_back == comes_back);
        let uses: Vec<_> = uses.cloned().collect();
        let all = Comparison::of_sets(unit, POLLS, MANNERS.len(), &uses, |used| vec![*used]);
        (all, format!("{how}, {}", unit.name))
    });
    for (all, what) in &both {
        let mut columns = (all.columns())
            .words("item", |used| used.item)
            .words("memory", |used| used.size.memory())
            .value(MANNERS[POLLS].to_string(), POLLS);
        for (at, manner) in MANNERS.iter().enumerate().skip(1) {
            columns = columns.speed(manner.to_string(), at);
        }
        let capacity = SIZES[0].capacity;
        report.tables.push(columns.table(format!(
            "Rings of capacity {capacity}, {what}; and the speed of the others in units of polling"
        )));
        let name = |used: &Use, at: usize| format!("{}, {}", used.name(), MANNERS[at]);
        report.rows.extend(all.all_rows(SUBJECT, name, "polling"));
        let bars = all.bars(format!("Waiting: {what}"), all.unit.name, |used, at| {
            Some(name(used, at))
        });
        report.plots.push(bars);
    }
    let sentence = |(at, manner): (usize, &Manner)| {
        let other = match manner {
            Manner::Stays(_) => LEARNS,
            _ => POLLS,
        };
        let lines = both.iter().flat_map(|(all, _)| &all.lines);
        let found = lines.filter_map(|line| Some((line.of.name(), line.beside(at, other).ok()?)));
        let what = format!("Beside {}, {manner}", MANNERS[other]);
        slower_or_faster(&what, [":", ";"], "is as fast everywhere", found)
    };
    let said = MANNERS.iter().enumerate().skip(1).filter_map(sentence);
    report.conclusions.extend(said.map(|said| said + "."));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::recorded;
    use crate::run::Extent;

    /// What would be measured if polling has this speed, and each other manner so many times that.
    fn with(times: impl Fn(&Use, Manner) -> f64) -> Report {
        let measured = |used: Use| {
            let (_, unit, _) = UNITS[usize::from(used.comes_back)];
            let speed = |manner| 50.0 * times(&used, manner);
            let series = MANNERS.map(|manner| recorded(unit, unit.of_rate(speed(manner))));
            Measured::recorded(used, series)
        };
        let uses: Vec<_> = Use::all(&Settings::of(Extent::Full))
            .map(measured)
            .collect();
        Report::recorded(|report| add(report, &uses))
    }

    #[test]
    fn a_manner_that_is_faster_or_slower_is_named_with_where() {
        let report = with(|used, manner| match (manner, used.comes_back) {
            (Manner::Waits(Wait::Spin), false) => 3.0,
            (Manner::Stays(Stay::For(_)), false) => 3.0,
            (Manner::Stays(Stay::For(_)), true) => 0.1,
            _ => 1.0,
        });
        let same = "is as fast everywhere.";
        report.concludes([
            &["Beside polling, Wait::Spin is faster: u64, one by one, memory as it comes (200 %);"],
            &["Beside polling, Wait::Yield", same],
            &["Beside polling, Wait::Sleep", same],
            &["Beside Wait::Spin, 2 pauses is slower: u64, one by one"],
            &["16 pauses"],
            &["64 pauses"],
            &["stays of 3µs is slower: u64, there and back, memory as it comes (90 %);"],
        ]);
        assert_eq!(report.rows.len(), 8 * MANNERS.len());
        assert_eq!(report.tables.len(), UNITS.len());
    }

    #[test]
    fn where_all_are_as_fast_none_is_named() {
        with(|_, _| 1.0).concludes([&["is as fast everywhere."]; MANNERS.len() - 1]);
    }
}
