//! Two threads, each with a word of its own, and nothing to say to each other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{DISTANCES, REFERENCE, REPEAT};
use crate::compared::Compared;
use crate::cpus::Pair;
use crate::placement::PAGE;
use crate::plot::{Plot, Series};
use crate::report::{Report, Trouble};
use crate::rounds::{Rounds, Sample};
use crate::run::{Extent, Settings, interleaved};
use crate::stats::Effect;
use crate::stream::preemptions;
use crate::table::{Cell, Table, spread};
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
        let before = preemptions();
        let start = Instant::now();
        let right = access.repeat(own, 0, times);
        let took = start.elapsed();
        // Relaxed: it carries no data and need not be prompt.
        done.store(true, Ordering::Relaxed);
        (right, took, preemptions().saturating_sub(before))
    };
    let neighbour = || {
        const SOME: u64 = 1024;
        // About a million accesses.
        const BETWEEN_LOOKS: u64 = 1024 * SOME;
        let before = preemptions();
        let mut repeated = 0;
        while !done.load(Ordering::Relaxed) {
            access.neighbour().repeat(other, repeated, SOME);
            repeated += SOME;
            if repeated.is_multiple_of(BETWEEN_LOOKS) {
                look_on()?;
            }
        }
        Ok((repeated, preemptions().saturating_sub(before)))
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
    let sample = |index: usize| {
        let (access, distance) = cases[index];
        sample(pair, access, distance, times[index]).map_err(broken((access, distance)))
    };
    let rounds = interleaved("two words", cases.len(), Some(pair), settings, sample)?;
    Ok((distances, rounds))
}

/// An access that was measured.
struct Told {
    access: Access,
    /// One for each distance, the reference among them.
    compared: Vec<Compared>,
}

impl Told {
    /// With the words next to each other.
    fn nearest(&self) -> Compared {
        self.compared[0]
    }

    /// How many times as long it takes then.
    fn longer(&self) -> String {
        format!("{:.1} times", 1.0 / self.nearest().speed.median)
    }
}

fn told(distances: &[usize], rounds: &Rounds) -> Vec<Told> {
    let reference = (distances.iter()).position(|distance| *distance == REFERENCE);
    let by_access = rounds.series.chunks_exact(distances.len());
    let told = Access::ALL
        .into_iter()
        .zip(by_access)
        .filter_map(|(access, series)| {
            let apart = &series[reference?];
            let compared = series.iter().map(|series| Compared::times(series, apart));
            let compared = compared.collect::<Option<_>>()?;
            Some(Told { access, compared })
        });
    told.collect()
}

/// What the rounds say: a table, a picture, rows and a sentence.
pub(super) fn tell(report: &mut Report, distances: &[usize], rounds: &Rounds) {
    let told = told(distances, rounds);
    let mut table = Table::new(
        "Two threads, each with a word of its own: ns for each access",
        (["words apart"].into_iter()).chain(told.iter().map(|told| told.access.name())),
    );
    for (index, distance) in distances.iter().enumerate() {
        let times = told
            .iter()
            .map(|told| Cell::figure(spread(told.compared[index].value)));
        table.add(
            [Cell::words(format!("{distance} B"))]
                .into_iter()
                .chain(times),
        );
        if *distance == REFERENCE {
            continue;
        }
        for told in &told {
            let check = format!("{}, words {distance} bytes apart", told.access.name());
            let reference = format!("{REFERENCE} bytes apart");
            let row = told.compared[index].row("words/two threads", check, &reference);
            report.rows.push(row.repeat(REPEAT));
        }
    }
    let near = format!("{} B against {REFERENCE} B", DISTANCES[0]);
    let effects = told
        .iter()
        .map(|told| Cell::figure(format!("{}: {}", told.longer(), told.nearest().said())));
    table.add([Cell::words(near)].into_iter().chain(effects));
    report.tables.push(table);
    let series = told.iter().map(|told| Series {
        name: told.access.name().to_owned(),
        points: (distances.iter().zip(&told.compared))
            .map(|(distance, compared)| (*distance as f64, compared.speed))
            .collect(),
    });
    report.plots.push(Plot::Lines {
        title: "An access to one's own word while a neighbour is busy with his".to_owned(),
        x: "bytes between the two words".to_owned(),
        y: format!("speed, in units of that at {REFERENCE} bytes"),
        series: series.collect(),
    });
    report.conclusions.extend(conclusion(&told));
}

/// Which accesses suffer from a neighbour, and which do not.
fn conclusion(told: &[Told]) -> Option<String> {
    if (told.iter()).any(|told| told.nearest().effect == Effect::TooFewRounds) {
        return None;
    }
    let part = |slower: bool| {
        let of = told.iter().filter(|told| told.nearest().slower() == slower);
        let said = of.map(|told| format!("{} {}", told.access.name(), told.longer()));
        said.collect::<Vec<_>>().join(", ")
    };
    let (suffer, others) = (part(true), part(false));
    let near = DISTANCES[0];
    match (suffer.is_empty(), others.is_empty()) {
        (true, true) => None,
        (true, false) => Some(format!(
            "Two threads that share nothing but a line do not disturb each other here: {near} \
             bytes apart instead of {REFERENCE}, an access takes as long ({others})."
        )),
        (false, _) => {
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

    /// What would have been measured: each access at 8, 64 and 256 bytes.
    fn recorded(near: [f64; 4]) -> Report {
        let around = |middle: f64| {
            [0.98, 1.0, 1.01, 0.99, 1.02]
                .map(|part| part * middle)
                .to_vec()
        };
        let series = near.map(|near| [around(near), around(5.0), around(5.0)]);
        let rounds = Rounds {
            series: series.into_iter().flatten().collect(),
            ..Rounds::default()
        };
        let mut report = Report::new("recorded");
        tell(&mut report, &[8, 64, 256], &rounds);
        report
    }

    #[test]
    fn two_threads_on_one_line_are_named_by_what_they_do() {
        let report = recorded([28.0, 5.0, 5.5, 4.95]);
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
        let report = recorded([5.0, 5.1, 4.9, 5.0]);
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
