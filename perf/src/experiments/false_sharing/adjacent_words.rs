//! Two threads, each with a word of its own, which exchange nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{DISTANCES, REFERENCE};
use crate::comparison::{Compared, Comparison, Line, Unit};
use crate::counters::Usage;
use crate::cpus::Pair;
use crate::placement::PAGE;
use crate::plot::Plot;
use crate::report::{Report, Trouble};
use crate::rounds::{Rounds, Sample};
use crate::run::{Settings, fit, measure_each};
use crate::stats::Effect;
use crate::table::{Cell, Table};
use crate::together::{both, look_on};

/// What a thread does to its word, over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// A locked instruction.
    FetchAdd,
    /// A load, an addition and a store: a counter that no other thread writes.
    LoadAndStore,
    /// Stores alone.
    Store,
    /// Loads alone, of a word that no thread writes, beside one that is written.
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

    /// What the other thread does meanwhile.
    fn beside(self) -> Access {
        match self {
            Access::Load => Access::Store,
            same => same,
        }
    }

    /// Does it so many times to a word that was left at `from`; says whether the word was always
    /// what it had to be, as far as it was looked at.
    fn repeat(self, word: &AtomicU64, from: u64, times: u64) -> bool {
        let all = from..from + times;
        // Relaxed throughout: nothing is handed over.
        match self {
            Access::FetchAdd => all.for_each(|_| {
                word.fetch_add(1, Ordering::Relaxed);
            }),
            Access::LoadAndStore => {
                all.for_each(|_| word.store(word.load(Ordering::Relaxed) + 1, Ordering::Relaxed));
            }
            Access::Store => all.for_each(|value| word.store(value + 1, Ordering::Relaxed)),
            Access::Load => {
                let wrong = |wrong, _| wrong | (word.load(Ordering::Relaxed) ^ from);
                return all.fold(0, wrong) == 0;
            }
        }
        true
    }

    /// What a word holds in the end.
    fn left(self, times: u64) -> u64 {
        if self == Access::Load { 0 } else { times }
    }
}

/// What both threads do, and how many bytes apart.
type Case = (Access, usize);

/// Two pages of words, so that two of them can be a page apart.
#[repr(align(4096))]
struct Words([AtomicU64; 2 * PAGE / 8]);

/// How long each of `times` accesses takes while the other thread goes on, `distance` bytes further.
fn sample(pair: Pair, (access, distance): Case, times: u64) -> Result<Sample, Trouble> {
    let what = format!("{}, words {distance} bytes apart", access.name());
    let words = Words([const { AtomicU64::new(0) }; 2 * PAGE / 8]);
    let (own, other) = (&words.0[0], &words.0[distance / 8]);
    let done = AtomicBool::new(false);
    let timed = || {
        let start = Instant::now();
        let right = access.repeat(own, 0, times);
        let took = start.elapsed();
        // Relaxed: it carries no data and need not be prompt.
        done.store(true, Ordering::Relaxed);
        Ok((right, took))
    };
    let disturbs = || {
        const SOME: u64 = 1024;
        // About a million accesses.
        const BETWEEN_LOOKS: u64 = 1024 * SOME;
        let mut repeated = 0;
        while !done.load(Ordering::Relaxed) {
            access.beside().repeat(other, repeated, SOME);
            repeated += SOME;
            if repeated.is_multiple_of(BETWEEN_LOOKS) {
                look_on()?;
            }
        }
        Ok(repeated)
    };
    let (((right, took), preemptions), (repeated, disturbed)) =
        both(pair, |_| Usage::during(timed), |_| Usage::during(disturbs))
            .map_err(|fault| fault.of(&what))?;
    let holds = |word: &AtomicU64, count| word.load(Ordering::Relaxed) == count;
    let counted = holds(own, access.left(times)) && holds(other, access.beside().left(repeated));
    if !right || !counted {
        let why = format!("{what}: a word does not hold what was stored to it");
        return Err(Trouble::Failed(why));
    }
    Ok(Sample {
        value: took.as_nanos() as f64 / times as f64,
        preemptions: preemptions + disturbed,
    })
}

/// The accesses at the distances, in turn: nanoseconds each, the accesses one after the other,
/// each at all distances.
pub(super) fn measure(pair: Pair, settings: &Settings) -> Result<(Vec<usize>, Rounds), Trouble> {
    const FEWEST: u64 = 1 << 14;
    let all = DISTANCES.to_vec();
    let distances = (settings.extent).pick(vec![DISTANCES[0], REFERENCE], all);
    let cases: Vec<Case> = (Access::ALL.iter())
        .flat_map(|access| distances.iter().map(|distance| (*access, *distance)))
        .collect();
    // How many accesses take about as long as a sample shall.
    let fits = |case: &Case| {
        fit(FEWEST, settings.sample, |times| {
            let each = sample(pair, *case, times)?.value;
            Ok(Duration::from_secs_f64(each * times as f64 / 1e9))
        })
    };
    let times = cases
        .iter()
        .map(fits)
        .collect::<Result<Vec<_>, Trouble>>()?;
    let rounds = measure_each("two words", cases.len(), Some(pair), settings, |index| {
        sample(pair, cases[index], times[index])
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
    let apart = format!("{REFERENCE} bytes apart");
    // A line for each distance, and a column for each access.
    let names = all.lines.iter().map(|line| line.of.name());
    let mut table = Table::new(
        "Two threads, each with a word of its own: ns for each access",
        ["words apart"].into_iter().chain(names),
    );
    let mut add = |name: String, cell: &dyn Fn(&Line<Access>) -> Cell| {
        table.add(
            [Cell::words(name)]
                .into_iter()
                .chain(all.lines.iter().map(cell)),
        );
    };
    for (at, distance) in distances.iter().enumerate() {
        add(format!("{distance} B"), &|line| {
            Cell::measured(line.value(at))
        });
        for line in all.lines.iter().filter(|_| at != all.reference) {
            let check = format!("{}, words {distance} bytes apart", line.of.name());
            let row = line.speed_row(at, "words/two threads", check, &apart);
            report.rows.push(row);
        }
    }
    add(
        format!("{} B against {REFERENCE} B", DISTANCES[0]),
        &|line| match line.compared(0) {
            Ok(near) => Cell::figure(format!("{}: {}", longer(near), near.said())),
            Err(why) => Cell::missing(why),
        },
    );
    report.tables.push(table);
    let points = distances.iter().enumerate().flat_map(|(at, distance)| {
        let found = all.compared(at);
        found.map(|(access, one)| (access.name().to_owned(), *distance as f64, one.speed))
    });
    report.plots.push(Plot::lines(
        "An access to one's own word while another thread is busy with its own",
        "bytes between the two words",
        format!("speed, in units of that at {REFERENCE} bytes"),
        points,
    ));
    report.conclusions.extend(conclusion(&all));
}

/// Which accesses suffer from the other thread, and which do not.
fn conclusion(all: &Comparison<Access>) -> Option<String> {
    let found: Vec<_> = all.compared(0).collect();
    let few = |(_, near): &(&Access, Compared)| near.effect == Effect::TooFewRounds;
    if found.is_empty() || found.iter().any(few) {
        return None;
    }
    let those = |slower: bool| {
        let of = found.iter().filter(|(_, near)| near.slower() == slower);
        let said = of.map(|(access, near)| format!("{} {}", access.name(), longer(*near)));
        said.collect::<Vec<_>>().join(", ")
    };
    let near = DISTANCES[0];
    Some(match (&*those(true), &*those(false)) {
        ("", others) => format!(
            "Two threads that share nothing but a line do not disturb each other here: {near} \
             bytes apart instead of {REFERENCE}, an access takes as long ({others})."
        ),
        (suffer, others) => {
            let begin = format!(
                "Two threads on one line that share no word: {near} bytes apart instead of \
                 {REFERENCE}, an access takes longer: {suffer}."
            );
            match others {
                "" => begin,
                others => format!("{begin} It does not for: {others}."),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::recorded;
    use crate::report::{omits, says};

    /// What would have been measured: each access at 8, 64 and 256 bytes.
    fn with(near: [f64; 4]) -> Report {
        let series = near.map(|near| [near, 5.0, 5.0].map(|each| recorded(Unit::TIME, each)));
        let rounds = Rounds::recorded(series.concat());
        Report::recorded(|to| report(to, &[8, 64, 256], &rounds))
    }

    #[test]
    fn two_threads_on_one_line_are_named_by_what_they_do() {
        let report = with([28.0, 5.0, 5.5, 4.95]);
        let suffer = "fetch_add 5.6 times, store 1.1 times. It does not for: ";
        report.concludes([&[suffer, "load, add, store 1.0 times"]]);
        says(&report.render(), &["5.6 times: slower"]);
        let row = &report.rows[0];
        assert_eq!((row.count, report.rows.len()), (Some(179), 8), "{row:?}");
    }

    #[test]
    fn flat_samples_name_no_access() {
        let report = with([5.0, 5.1, 4.9, 5.0]);
        report.concludes([&["do not disturb each other"]]);
        omits(&report.conclusions[0], &["longer"]);
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
