//! Ends of a ring that wait beside ends that poll: how fast items stream and come back, and what a wait costs.

use std::time::Duration;

use ringproof::{Ring, Wait};

use crate::comparison::{Comparison, Line, Unit, slower_or_faster};
use crate::cpus::Pair;
use crate::experiments::Experiment;
use crate::links::{Ends, Item, SIZES, Size};
use crate::paced::{self, Pace};
use crate::report::{Report, Trouble};
use crate::rounds::{Rounds, Sample};
use crate::run::{self, Settings, stream_all, through};
use crate::sets::{Measured, measure_all, together};
use crate::table::figure;
use crate::waits::{Manner, Stay};

/// The experiment.
pub(crate) const EXPERIMENT: Experiment = Experiment {
    name: "waiting",
    title: "waiting",
    subject: SUBJECT,
    about: "Ends of a ring that wait beside ends that poll, and what a wait costs",
    details: "Items one by one and to and fro through the operations that wait, which stay away from the \
         ring between two looks for as long as they have learned to; beside push and pop in a loop, \
         with a pause in it, and with always the same stay. Then messages at a pace, from none to a \
         million a second: how long each takes, and for how much of the time who waits has its CPU.",
    run,
    ..Experiment::MEASURES
};

/// What its rows are about.
const SUBJECT: &str = "ring/waiting";

/// How ringproof's ends may wait, each beside the first. Another strategy of [`Wait`] is one more line.
const STRATEGIES: &[Manner] = &[
    Manner::Polls,
    Manner::Waits(Wait::Spin),
    Manner::Waits(Wait::Yield),
];

/// The one that learns how long to stay away, among them.
const ADAPTIVE: usize = 1;

/// What it is compared with: always the same stay.
const STAYS: &[Manner] = &[
    Manner::Stays(Stay::Pauses(2)),
    Manner::Stays(Stay::Pauses(16)),
    Manner::Stays(Stay::Pauses(64)),
    Manner::Stays(Stay::For(Duration::from_micros(3))),
];

/// All of them.
fn manners() -> Vec<Manner> {
    [STRATEGIES, STAYS].concat()
}

/// Messages a second.
const PACES: [u32; 4] = [0, 1_000, 100_000, 1_000_000];

/// How much of the time a thread has its CPU.
const BUSY: Unit = Unit {
    name: "% of a CPU",
    thousandth: "thousandths of a percent of a CPU",
    is_rate: false,
};

/// What the items do.
#[derive(Clone, Copy, Debug)]
struct Use {
    comes_back: bool,
    size: Size,
    item: &'static str,
    measure: fn(&Use, Pair, &Settings) -> Result<Rounds, Trouble>,
}

impl Use {
    /// Every size, both items, one way or both.
    fn all(settings: &Settings) -> Vec<Use> {
        let sizes = settings.extent.pick(&SIZES[1..2], &SIZES[..2]);
        let of = |comes_back| {
            sizes.iter().flat_map(move |size| {
                [
                    Use::of::<u64>(comes_back, *size),
                    Use::of::<[u64; 8]>(comes_back, *size),
                ]
            })
        };
        of(false).chain(of(true)).collect()
    }

    fn of<T: Item>(comes_back: bool, size: Size) -> Self {
        let (item, measure) = (T::NAME, measure::<T>);
        Use {
            comes_back,
            size,
            item,
            measure,
        }
    }

    fn name(&self) -> String {
        let how = if self.comes_back {
            "there and back"
        } else {
            "one by one"
        };
        format!("{}, {how}, memory {}", self.item, self.size.memory())
    }
}

/// Measures all of it.
fn run(settings: &Settings) -> Result<Report, Trouble> {
    let pair = settings.pair()?;
    let uses = measure_all(Use::all(settings), |used| {
        (used.measure)(used, pair, settings)
    })?;
    let (rounds, paced) = at_paces(pair, settings)?;
    let capacity = SIZES[0].capacity;
    let title =
        format!("waiting: ends of a ring of capacity {capacity} that wait, beside ends that poll");
    let mut report = Report::on(title, pair);
    report.add_conditions("items", "waiting, items", &together(&uses));
    report.add_conditions("messages at a pace", "waiting, messages at a pace", &rounds);
    report.note(
        "median [min–max]; ratios are taken round by round, and only what stands in one line was \
         measured in turn; every item is checked. At a pace each message is due at its time, and late \
         by what passes from then until it was taken, also where it left too late; none a second is \
         one at the end",
    );
    add(&mut report, &uses);
    add_paced(&mut report, &paced);
    Ok(report)
}

/// Items through rings, every manner in turn: million a second, or nanoseconds there and back.
fn measure<T: Item>(used: &Use, pair: Pair, settings: &Settings) -> Result<Rounds, Trouble> {
    let Use {
        comes_back, size, ..
    } = *used;
    let name = format!("waiting: {}", used.name());
    let manners = manners();
    let mut rounds = stream_all(&name, manners.len(), pair, settings, |case| {
        let manner = manners[case];
        let name = format!("{manner}: {}", used.name());
        let rings = [make::<T>(size)?, make::<T>(size)?];
        Ok(through(rings, false, move |[there, back]| {
            let ends = manner.ends(there)?;
            let (ends, warm_up) = match comes_back {
                true => (
                    Ends::there_and_back(ends, manner.ends(back)?),
                    size.capacity,
                ),
                false => (ends, there.segment().fixed().slots),
            };
            Ok(ends.link(name.clone(), warm_up, settings.first_item()))
        }))
    })?;
    if comes_back {
        let rates = rounds.series.iter_mut().flatten();
        rates.for_each(|rate| *rate = 1000.0 / *rate);
    }
    Ok(rounds)
}

fn make<T: Item>(size: Size) -> Result<Ring<T>, Trouble> {
    Ring::anonymous(&size.options()).map_err(Trouble::of("no ring could be made"))
}

/// How late messages are, and how busy who waits for them, at every pace.
type AtPaces = [Comparison<u32>; 2];

/// Messages at every pace, to who waits by each strategy.
fn at_paces(pair: Pair, settings: &Settings) -> Result<(Rounds, AtPaces), Trouble> {
    let cases = PACES.len() * STRATEGIES.len();
    let mut unknown = None;
    let rounds = run::measure(
        "waiting: messages at a pace",
        2 * cases,
        Some(pair),
        settings,
        |round| {
            for case in round.order.clone().into_iter().filter(|case| *case < cases) {
                let (pace, manner) = (
                    PACES[case / STRATEGIES.len()],
                    STRATEGIES[case % STRATEGIES.len()],
                );
                let name = format!("{manner}: {pace} messages a second");
                let mut busy = f64::NAN;
                round.take(case, || {
                    let ends = manner.ends(&make::<u64>(SIZES[0])?)?;
                    let mut link = ends.link(name.clone(), 0, settings.first_item());
                    let pace = Pace::of(pace, 10 * settings.sample);
                    let received =
                        paced::run(&mut link, pair, pace).map_err(|fault| fault.of(&name))?;
                    match received.busy {
                        Ok(share) => busy = share,
                        Err(why) => unknown = Some(why),
                    }
                    Ok::<_, Trouble>(Sample {
                        value: received.late,
                        preemptions: received.preemptions,
                    })
                })?;
                round.take(cases + case, || {
                    Ok::<_, Trouble>(Sample {
                        value: busy,
                        preemptions: 0,
                    })
                })?;
            }
            Ok(())
        },
    )?;
    let mut all = [Unit::TIME, BUSY].map(|unit| Comparison::new(unit, 0));
    let [late, busy] = &mut all;
    let mut series = rounds.series.chunks(STRATEGIES.len());
    for (figures, unknown) in [(late, None), (busy, unknown)] {
        for (pace, series) in PACES.into_iter().zip(&mut series) {
            let of = |series: &Vec<f64>| unknown.clone().map_or_else(|| Ok(series.clone()), Err);
            figures.add(pace, series.iter().map(of).collect());
        }
    }
    Ok((rounds, all))
}

/// Tables, pictures, rows and sentences of items.
fn add(report: &mut Report, uses: &[Measured<Use>]) {
    let manners = manners();
    let (back, one_way): (Vec<_>, Vec<_>) =
        (uses.iter().cloned()).partition(|one| one.set.comes_back);
    let mut strategies = vec![Vec::new(); STRATEGIES.len()];
    let mut stays = vec![Vec::new(); STAYS.len()];
    for (uses, unit, what) in [
        (one_way, Unit::RATE, "million items/s, one by one"),
        (back, Unit::TIME, "ns there and back"),
    ] {
        let all = Comparison::of_sets(unit, 0, manners.len(), &uses, |used| vec![*used]);
        let mut columns = (all.columns())
            .words("item", |used| used.item)
            .words("memory", |used| used.size.memory())
            .value(manners[0].to_string(), 0);
        for (at, manner) in manners.iter().enumerate().skip(1) {
            columns = columns.speed(manner.to_string(), at);
        }
        let heading = format!("{what}; and the speed of the others, in units of who polls");
        report.tables.push(columns.table(heading));
        let check = |used: &Use, at: usize| format!("{}, {}", manners[at], used.name());
        report
            .rows
            .extend(all.all_rows(SUBJECT, check, "who polls"));
        let name = |used: &Use, at: usize| {
            Some(format!(
                "{}, {}: {}",
                used.item,
                used.size.memory(),
                manners[at]
            ))
        };
        report
            .plots
            .push(all.bars(format!("Waiting: {what}"), unit.name, name));
        for (at, found) in strategies.iter_mut().enumerate() {
            found.extend(all.compared(at).map(|(used, one)| (used.name(), one)));
        }
        for (at, found) in stays.iter_mut().enumerate() {
            let beside = |line: &Line<Use>| {
                let one = line.beside(STRATEGIES.len() + at, ADAPTIVE).ok()?;
                Some((line.of.name(), one))
            };
            found.extend(all.lines.iter().filter_map(beside));
        }
    }
    let sentence = |what: String, found| {
        let said = slower_or_faster(&what, [":", ";"], "is as fast everywhere", found);
        said.map(|said| said + ".")
    };
    let of =
        |(manner, found): (&Manner, _)| sentence(format!("Who {manner}, beside who polls,"), found);
    report
        .conclusions
        .extend(STRATEGIES.iter().zip(strategies).skip(1).filter_map(of));
    let adaptive = STRATEGIES[ADAPTIVE];
    let of = |(manner, found): (&Manner, _)| {
        sentence(format!("Who {manner}, beside who {adaptive}s,"), found)
    };
    report
        .conclusions
        .extend(STAYS.iter().zip(stays).filter_map(of));
}

/// The same of messages at a pace.
fn add_paced(report: &mut Report, [late, busy]: &AtPaces) {
    for (all, what) in [
        (late, "ns from when a message is due until it is there"),
        (busy, "% of the time for which who waits has its CPU"),
    ] {
        let mut columns = all.columns().figure("messages/s", u32::to_string);
        for (at, manner) in STRATEGIES.iter().enumerate() {
            columns = columns.value(manner.to_string(), at);
        }
        report.tables.push(columns.table(what));
        for (at, manner) in STRATEGIES.iter().enumerate() {
            let check = |pace: &u32| format!("{what}: {manner}, {pace} messages a second");
            report.rows.extend(all.rows(at, SUBJECT, check));
        }
        let name = |pace: &u32, at: usize| Some(format!("{pace}/s: {}", STRATEGIES[at]));
        report
            .plots
            .push(all.bars(format!("Messages at a pace: {what}"), all.unit.name, name));
    }
    report.conclusions.extend(STRATEGIES.iter().enumerate().filter_map(|(at, manner)| {
        let at_rest = |all: &Comparison<u32>| Some(figure(all.medians(at).next()?.1.median));
        let (late, busy) = (at_rest(late)?, at_rest(busy)?);
        Some(format!("Who {manner} has a message {late} ns after a rest, in which it had its CPU for {busy} % of the time."))
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::recorded;
    use crate::run::Extent;

    /// What would be measured if who polls has this speed, and each other one so many times that.
    fn with(times: impl Fn(&Use, Manner) -> f64) -> Report {
        let measured = |used: Use| {
            let series = manners().into_iter().map(|manner| match used.comes_back {
                true => recorded(Unit::TIME, 500.0 / times(&used, manner)),
                false => recorded(Unit::RATE, 50.0 * times(&used, manner)),
            });
            Measured::recorded(used, series.collect::<Vec<_>>())
        };
        let uses = Use::all(&Settings::of(Extent::Full))
            .into_iter()
            .map(measured);
        Report::recorded(|report| add(report, &uses.collect::<Vec<_>>()))
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
            &["Who waits: spin, beside who polls, is faster: u64, one by one, memory as it comes (200 %);"],
            &["Who waits: yield, beside who polls,", same],
            &["Who stays 2 pauses, beside who waits: spins, is slower: u64, one by one"],
            &["stays 16"],
            &["stays 64"],
            &["Who stays 3µs", "is slower: u64, there and back, memory as it comes (90 %);"],
        ]);
        assert_eq!(report.rows.len(), 8 * manners().len());
    }

    #[test]
    fn where_all_are_as_fast_none_is_named() {
        let report = with(|_, _| 1.0);
        report.concludes([&["is as fast everywhere."]; 6]);
    }

    #[test]
    fn what_a_rest_costs_is_said_and_what_is_not_known_is_not() {
        let known = |unit, values: [f64; 3]| {
            let mut all = Comparison::new(unit, 0);
            for pace in PACES {
                all.add(pace, values.map(|value| Ok(recorded(unit, value))).into());
            }
            all
        };
        let late = known(Unit::TIME, [200.0, 210.0, 5000.0]);
        let busy = known(BUSY, [100.0, 100.0, 0.1]);
        let report = Report::recorded(|report| add_paced(report, &[late.clone(), busy]));
        report.concludes([
            &[
                "Who polls has a message 200 ns after a rest",
                "100 % of the time",
            ],
            &["Who waits: spin", "210 ns"],
            &["Who waits: yield", "5000 ns", "0.10 % of the time"],
        ]);
        let mut unknown = Comparison::new(BUSY, 0);
        let why = "the kernel does not say";
        for pace in PACES {
            unknown.add(pace, vec![Err(why.to_owned()); STRATEGIES.len()]);
        }
        let report = Report::recorded(|report| add_paced(report, &[late, unknown]));
        assert_eq!(report.tables[1].reasons(), [why]);
        assert!(report.conclusions.is_empty(), "{:?}", report.conclusions);
    }
}
