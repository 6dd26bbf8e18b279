//! Two threads, each with a word of its own, and nothing to say to each other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{DISTANCES, REFERENCE};
use crate::comparison::{Compared, Comparison, Unit};
use crate::counters::Usage;
use crate::cpus::Pair;
use crate::placement::PAGE;
use crate::plot::Plot;
use crate::report::{Report, Trouble};
use crate::rounds::{Rounds, Sample};
use crate::run::{Extent, Settings, measure_each};
use crate::stats::Effect;
use crate::table::{Cell, Table};
use crate::together::{Fault, both, look_on};

/// What a thread does to its word, over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// A locked instruction.
    FetchAdd,
    /// A load, an addition and a store: a counter that nobody else writes.
    LoadAndStore,
    /// Stores alone.
    Store,
    /// Loads alone, of a word that nobody writes, beside one that somebody does.
    Load,
}

impl Access {
    pub(super) const ALL: [Access; 4] = [
        Access::FetchAdd,
        Access::LoadAndStore,
        Access::Store,
        Access::Load,
    ];

    fn name(self) -> &'static str {
        match self {
            Access::FetchAdd => "fetch_add",
            Access::LoadAndStore => "load, add, store",
            Access::Store => "store",
            Access::Load => "load, beside a store",
        }
    }

    /// What the neighbour does meanwhile.
    fn neighbour(self) -> Access {
        match self {
            Access::Load => Access::Store,
            same => same,
        }
    }

    /// Does it so many times to a word that was left at `from`; says whether the word was always
    /// what it had to be, as far as it was looked at.
    fn repeat(self, word: &AtomicU64, from: u64, times: u64) -> bool {
        // Relaxed throughout: nothing is handed over.
        match self {
            Access::FetchAdd => {
                for _ in 0..times {
                    word.fetch_add(1, Ordering::Relaxed);
                }
                true
            }
            Access::LoadAndStore => {
                for _ in 0..times {
                    word.store(word.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                }
                true
            }
            Access::Store => {
                for value in from..from + times {
                    word.store(value + 1, Ordering::Relaxed);
                }
                true
            }
            Access::Load => {
                let mut wrong = 0;
                for _ in 0..times {
                    wrong |= word.load(Ordering::Relaxed) ^ from;
                }
                wrong == 0
            }
        }
    }

    /// What a word holds in the end.
    fn left(self, times: u64) -> u64 {
        if self == Access::Load { 0 } else { times }
    }
}

/// Two pages of words, so that two of them can be a page apart.
#[repr(align(4096))]
struct Words([AtomicU64; 2 * PAGE / 8]);

/// How long each of `times` accesses takes while the neighbour goes on, `distance` bytes further.
fn sample(pair: Pair, access: Access, distance: usize, times: u64) -> Result<Sample, Fault> {
    let words = Words([const { AtomicU64::new(0) }; 2 * PAGE / 8]);
    let (own, other) = (&words.0[0], &words.0[distance / 8]);
    let done = AtomicBool::new(false);
    let timed = || {
        let before = Usage::so_far();
        let start = Instant::now();
        let right = access.repeat(own, 0, times);
        let took = start.elapsed();
        // Relaxed: it carries no data and need not be prompt.
        done.store(true, Ordering::Relaxed);
        (right, took, before.since().preemptions)
    };
    let neighbour = || {
        const SOME: u64 = 1024;
        // About a million accesses.
        const BETWEEN_LOOKS: u64 = 1024 * SOME;
        let before = Usage::so_far();
        let mut repeated = 0;
        while !done.load(Ordering::Relaxed) {
            access.neighbour().repeat(other, repeated, SOME);
            repeated += SOME;
            if repeated.is_multiple_of(BETWEEN_LOOKS) {
                look_on()?;
            }
        }
        Ok((repeated, before.since().preemptions))
    };
    let (timed, neighbour) = both(pair, |_| Ok(timed()), |_| neighbour())?;
    let ((right, took, preemptions), (repeated, disturbed)) = (timed, neighbour);
    let counted = |word: &AtomicU64, count| word.load(Ordering::Relaxed) == count;
    if !right
        || !counted(own, access.left(times))
        || !counted(other, access.neighbour().left(repeated))
    {
        return Err(Fault::OutOfOrder(0));
    }
    Ok(Sample {
        value: took.as_nanos() as f64 / times as f64,
        preemptions: preemptions + disturbed,
    })
}

/// How many accesses take about as long as a sample shall.
fn calibrate(pair: Pair, access: Access, distance: usize, time: Duration) -> Result<u64, Fault> {
    const FEWEST: u64 = 1 << 14;
    let each = sample(pair, access, distance, FEWEST)?.value.max(0.1);
    Ok(((time.as_nanos() as f64 / each) as u64).max(FEWEST))
}

/// The accesses at the distances, in turn: nanoseconds each, the accesses one after the other,
/// each at all distances.
pub(super) fn measure(pair: Pair, settings: &Settings) -> Result<(Vec<usize>, Rounds), Trouble> {
    let distances = match settings.extent {
        Extent::Smoke => vec![DISTANCES[0], REFERENCE],
        Extent::Full | Extent::Quick => DISTANCES.to_vec(),
    };
    let cases: Vec<(Access, usize)> = (Access::ALL.iter())
        .flat_map(|access| distances.iter().map(|distance| (*access, *distance)))
        .collect();
    let broken = |(access, distance): (Access, usize)| {
        move |fault: Fault| {
            let name = access.name();
            let what = format!("{name}, words {distance} bytes apart");
            match fault {
                Fault::OutOfOrder(_) => Trouble::Failed(format!(
                    "{what}: a word does not hold what was stored to it"
                )),
                fault => fault.of(&what),
            }
        }
    };
    let times = (cases.iter())
        .map(|&(access, distance)| {
            calibrate(pair, access, distance, settings.sample).map_err(broken((access, distance)))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let rounds = measure_each("two words", cases.len(), Some(pair), settings, |index| {
        let (access, distance) = cases[index];
        sample(pair, access, distance, times[index]).map_err(broken((access, distance)))
    })?;
    Ok((distances, rounds))
}

/// How many times as long an access takes with the words next to each other.
fn longer(near: Compared) -> String {
    format!("{:.1} times", 1.0 / near.speed.median)
}

/// What the rounds say: a table, a picture, rows and a sentence.
pub(super) fn report(report: &mut Report, distances: &[usize], rounds: &Rounds) {
    let reference = distances.iter().position(|distance| *distance == REFERENCE);
    let (reference, alternatives) = (reference.unwrap_or_default(), distances.len());
    let all = Comparison::of_rounds(Unit::TIME, reference, alternatives, Access::ALL, rounds);
    let names = all.lines.iter().map(|line| line.of.name());
    let mut table = Table::new(
        "Two threads, each with a word of its own: ns for each access",
        ["words apart"].into_iter().chain(names),
    );
    for (at, distance) in distances.iter().enumerate() {
        let times = all.lines.iter().map(|line| Cell::measured(line.value(at)));
        table.add(
            [Cell::words(format!("{distance} B"))]
                .into_iter()
                .chain(times),
        );
        for line in all.lines.iter().filter(|_| at != all.reference) {
            let check = format!("{}, words {distance} bytes apart", line.of.name());
            let reference = format!("{REFERENCE} bytes apart");
            let row = line.speed_row(at, "words/two threads", check, &reference);
            report.rows.push(row);
        }
    }
    let near = format!("{} B against {REFERENCE} B", DISTANCES[0]);
    let effects = all.lines.iter().map(|line| match line.compared(0) {
        Ok(near) => Cell::figure(format!("{}: {}", longer(near), near.said())),
        Err(why) => Cell::missing(why),
    });
    table.add([Cell::words(near)].into_iter().chain(effects));
    report.tables.push(table);
    let points = distances.iter().enumerate().flat_map(|(at, distance)| {
        let found = all.compared(at);
        found.map(|(access, one)| (access.name().to_owned(), *distance as f64, one.speed))
    });
    report.plots.push(Plot::lines(
        "An access to one's own word while a neighbour is busy with his",
        "bytes between the two words",
        format!("speed, in units of that at {REFERENCE} bytes"),
        points,
    ));
    report.conclusions.extend(conclusion(&all));
}

/// Which accesses suffer from a neighbour, and which do not.
fn conclusion(all: &Comparison<Access>) -> Option<String> {
    if all
        .compared(0)
        .any(|(_, near)| near.effect == Effect::TooFewRounds)
    {
        return None;
    }
    let part = |slower: bool| {
        let of = all.compared(0).filter(|(_, near)| near.slower() == slower);
        let said = of.map(|(access, near)| format!("{} {}", access.name(), longer(near)));
        said.collect::<Vec<_>>().join(", ")
    };
    let near = DISTANCES[0];
    match (&*part(true), &*part(false)) {
        ("", "") => None,
        ("", others) => Some(format!(
            "Two threads that share nothing but a line do not disturb each other here: {near} \
             bytes apart instead of {REFERENCE}, an access takes as long ({others})."
        )),
        (suffer, others) => {
            let mut text = format!(
                "Two threads on one line that share no word: {near} bytes apart instead of \
                 {REFERENCE}, an access takes longer: {suffer}."
            );
            if !others.is_empty() {
                text += &format!(" It does not for: {others}.");
            }
            Some(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::recorded;

    /// What would have been measured: each access at 8, 64 and 256 bytes.
    fn with(near: [f64; 4]) -> Report {
        let series = near.map(|near| [near, 5.0, 5.0].map(|each| recorded(Unit::TIME, each)));
        let rounds = Rounds {
            series: series.into_iter().flatten().collect(),
            ..Rounds::default()
        };
        let mut of = Report::new("recorded");
        report(&mut of, &[8, 64, 256], &rounds);
        of
    }

    #[test]
    fn two_threads_on_one_line_are_named_by_what_they_do() {
        let report = with([28.0, 5.0, 5.5, 4.95]);
        let said = &report.conclusions[0];
        let (suffer, others) = said.split_once("It does not for").unwrap();
        assert!(
            suffer.contains("fetch_add 5.6 times, store 1.1 times."),
            "{said}"
        );
        assert!(others.contains("load, add, store 1.0 times"), "{said}");
        assert!(report.render().contains("5.6 times: slower"), "{said}");
        let row = &report.rows[0];
        assert_eq!((row.count, report.rows.len()), (Some(179), 8), "{row:?}");
    }

    #[test]
    fn flat_samples_name_nobody() {
        let report = with([5.0, 5.1, 4.9, 5.0]);
        let said = &report.conclusions[0];
        assert!(said.contains("do not disturb each other"), "{said}");
        assert!(!said.contains("longer"), "{said}");
        for row in &report.rows {
            let reason = row.reason.as_deref().unwrap();
            assert!(reason.ends_with("effect: no difference"), "{row:?}");
        }
    }

    #[test]
    fn a_word_that_is_not_what_was_stored_is_noticed() {
        let word = AtomicU64::new(3);
        assert!(Access::Load.repeat(&word, 3, 10));
        assert!(!Access::Load.repeat(&word, 4, 10));
        assert!(Access::FetchAdd.repeat(&word, 3, 10));
        assert!(Access::LoadAndStore.repeat(&word, 13, 10));
        assert_eq!(word.load(Ordering::Relaxed), 23);
        assert!(Access::Store.repeat(&word, 0, 10));
        assert_eq!(word.load(Ordering::Relaxed), Access::Store.left(10));
    }
}
