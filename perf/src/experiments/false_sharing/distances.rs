//! In which regimes the distance between a ring's indices matters, what those have in common, and
//! how far is far enough.

use super::regime::Regime;
use super::{DISTANCES, REFERENCE};
use crate::comparison::{Compared, Comparison, Line, Unit};
use crate::plot::Plot;
use crate::report::Report;
use crate::sets::Measured;
use crate::stats::Effect;
use crate::table::{Cell, Table, figure};

/// What its rows are about.
const SUBJECT: &str = "ring/index placement";

/// So many regimes of either kind in the picture.
const PICTURED: usize = 2;

/// A trait explains where nearness costs if the share of regimes that suffer is larger by this with it
/// than without.
const EXPLAINS: f64 = 0.5;

/// The regimes, in each of which the ring's indices lay at all distances.
pub(super) struct ByRegime<'d> {
    distances: &'d [usize],
    all: Comparison<Regime>,
}

/// A regime with its speed with the indices next to each other.
type Near<'r> = (&'r Regime, Compared);

impl<'d> ByRegime<'d> {
    pub(super) fn of(distances: &'d [usize], measured: &[Measured<Regime>]) -> Self {
        let reference = distances.iter().position(|distance| *distance == REFERENCE);
        let reference = reference.unwrap_or_default();
        let all = Comparison::of_sets(Unit::RATE, reference, distances.len(), measured);
        ByRegime { distances, all }
    }

    /// The regimes from the one that suffers most from nearness to the one that gains most.
    fn sorted(&self) -> Vec<Near<'_>> {
        let mut sorted: Vec<_> = self.all.compared(0).collect();
        sorted.sort_by(by_speed);
        sorted
    }

    /// The regimes to count in: those in which nearness costs most, and for contrast the one in
    /// which it makes the least difference.
    pub(super) fn worth_counting(&self, most: usize) -> Vec<Regime> {
        let sorted = self.sorted();
        let slower = sorted.iter().filter(|(_, near)| near.slower());
        let worth = slower.take(most).chain(indifferent(&sorted));
        worth.map(|(regime, _)| **regime).collect()
    }

    /// A table, a picture, rows and conclusions.
    pub(super) fn report(&self, report: &mut Report) {
        report.tables.push(self.table());
        report.plots.push(self.picture());
        let check = |regime: &Regime, at: usize| {
            format!("indices {} bytes apart, {regime}", self.distances[at])
        };
        let reference = format!("{REFERENCE} bytes apart");
        report
            .rows
            .extend(self.all.all_rows(SUBJECT, check, &reference));
        let sorted = self.sorted();
        let enough = |(_, near): &Near<'_>| near.effect != Effect::TooFewRounds;
        if !sorted.is_empty() && sorted.iter().all(enough) {
            report.conclusions.push(where_it_matters(&sorted));
            report.conclusions.extend(what_decides(&sorted));
            report.conclusions.extend(self.how_far());
        }
    }

    fn table(&self) -> Table {
        let others = |at: &usize| *at != 0 && *at != self.all.reference;
        let mut columns = (self.all.columns())
            .words("items", Regime::items)
            .figure("capacity", |regime| regime.capacity)
            .words("indices", Regime::indices)
            .words("when empty, consumer", |regime| regime.poll.to_string())
            .value(format!("million/s, {REFERENCE} B"), self.all.reference)
            .speed(format!("ratio, {} B", DISTANCES[0]), 0);
        for at in (0..self.distances.len()).filter(others) {
            let speed = move |line: &Line<Regime>| match line.compared(at) {
                Ok(one) => Cell::figure(figure(one.speed.median)),
                Err(why) => Cell::missing(why),
            };
            columns = columns.cells(format!("{} B", self.distances[at]), speed);
        }
        columns.effect("one line", 0).table(format!(
            "The ring, its two indices so far apart: its rate at {REFERENCE} bytes, and what part \
             of that it has at others"
        ))
    }

    /// The regimes that suffer most, the one that is indifferent, and those that gain most.
    fn picture(&self) -> Plot {
        let sorted = self.sorted();
        let slower = sorted.iter().filter(|(_, near)| near.slower());
        let faster = sorted.iter().rev().filter(|(_, near)| near.faster());
        let chosen = (slower.take(PICTURED))
            .chain(indifferent(&sorted))
            .chain(faster.take(PICTURED));
        let points = chosen.flat_map(|(regime, _)| {
            let line = self.all.lines.iter().find(|line| line.of == **regime);
            let distances = self.distances.iter().enumerate();
            distances.filter_map(move |(at, distance)| {
                let speed = line?.compared(at).ok()?.speed;
                Some((regime.to_string(), *distance as f64, speed))
            })
        });
        Plot::lines(
            "Regimes that suffer most from near indices, that gain most, and one between",
            "bytes between the two indices",
            format!("rate, in units of that at {REFERENCE} bytes"),
            points,
        )
    }

    /// From which distance on more of it gains nothing.
    fn how_far(&self) -> Option<String> {
        let slower = |at: usize| self.all.compared(at).filter(|(_, one)| one.slower());
        let line = self.distances.iter().position(|distance| *distance == 64)?;
        let before = (0..line).map(|at| slower(at).count()).max()?;
        if before == 0 {
            return None;
        }
        let counts = (line..self.distances.len()).filter(|at| *at != self.all.reference);
        let counts = counts.map(|at| {
            let said = format!("{} at {} bytes", slower(at).count(), self.distances[at]);
            match slower(at).min_by(by_speed) {
                Some((regime, worst)) => format!("{said} (most, {}: {regime})", worst.percent()),
                None => said,
            }
        });
        Some(format!(
            "Slower than at {REFERENCE} bytes are up to {before} of {} regimes with both indices \
             in one line; {}.",
            self.all.compared(0).count(),
            counts.collect::<Vec<_>>().join("; ")
        ))
    }
}

fn by_speed((_, one): &Near<'_>, (_, other): &Near<'_>) -> std::cmp::Ordering {
    one.speed.median.total_cmp(&other.speed.median)
}

/// The regime, if any, in which nearness makes the least of no difference.
fn indifferent<'s, 'r>(sorted: &'s [Near<'r>]) -> Option<&'s Near<'r>> {
    let unlike = |(_, near): &&Near<'_>| (near.speed.median - 1.0).abs();
    let same = sorted
        .iter()
        .filter(|(_, near)| !near.slower() && !near.faster());
    same.min_by(|one, other| unlike(one).total_cmp(&unlike(other)))
}

/// How many regimes suffer, and which most.
fn where_it_matters(sorted: &[Near<'_>]) -> String {
    let (near, all) = (DISTANCES[0], sorted.len());
    let slower = || sorted.iter().filter(|(_, near)| near.slower());
    let faster = || sorted.iter().filter(|(_, near)| near.faster());
    let begin =
        format!("The ring's indices on one line, {near} bytes apart instead of {REFERENCE}");
    let mut text = match slower().next() {
        Some((regime, worst)) => format!(
            "{begin}, make it slower in {} of {all} regimes, most ({}) where: {regime}.",
            slower().count(),
            worst.percent(),
        ),
        None => format!(
            "The ring's indices {near} bytes apart instead of {REFERENCE}: in none of {all} \
             regimes does that cost anything that stands out of the noise."
        ),
    };
    if let Some((regime, best)) = faster().next_back() {
        let (count, most) = (faster().count(), best.percent());
        text += &format!(" One line is faster in {count}, most ({most}) where: {regime}.");
    }
    text
}

/// What most of the regimes that suffer have in common and others have not: one trait or two.
fn what_decides(regimes: &[Near<'_>]) -> Option<String> {
    let mut traits: Vec<(usize, String)> = (regimes.iter())
        .flat_map(|(regime, _)| regime.traits().into_iter().enumerate())
        .collect();
    traits.sort();
    traits.dedup();
    let sets = traits.iter().enumerate().flat_map(|(at, one)| {
        // The others of another choice.
        let more = traits[at..].iter().filter(move |other| one.0 < other.0);
        let two = more.map(move |other| vec![one, other]);
        [vec![one]].into_iter().chain(two)
    });
    let mut sets: Vec<_> = sets.collect();
    sets.sort_by_key(Vec::len);
    // How many suffer with and without, and of how many.
    let suffer = |wanted: &[&(usize, String)]| {
        let mut counts = [(0, 0); 2];
        for (regime, near) in regimes {
            let traits = regime.traits();
            let has = |(choice, value): &&(usize, String)| traits[*choice] == *value;
            let (slower, all) = &mut counts[usize::from(!wanted.iter().all(has))];
            *slower += usize::from(near.slower());
            *all += 1;
        }
        counts
    };
    // How many regimes it is right about to say "slower with, and not slower without".
    let right = |[(slower, _), (slower_elsewhere, elsewhere)]: [(usize, usize); 2]| {
        slower + elsewhere - slower_elsewhere
    };
    let counted = sets.into_iter().map(|wanted| (suffer(&wanted), wanted));
    // Two traits have to be right more often than one: of equals the first counts.
    let best = counted.reduce(|best, one| match right(one.0) > right(best.0) {
        true => one,
        false => best,
    });
    let ([(slower, all), (slower_elsewhere, elsewhere)], wanted) = best?;
    // What all have in common distinguishes none.
    if all == 0 || elsewhere == 0 {
        return None;
    }
    let share = |part: usize, of: usize| part as f64 / of as f64;
    if share(slower, all) - share(slower_elsewhere, elsewhere) < EXPLAINS {
        return None;
    }
    let wanted: Vec<&str> = wanted.iter().map(|(_, value)| value.as_str()).collect();
    Some(format!(
        "It is a matter of {}: of the regimes with that {slower} of {all} are slower, of the others \
         {slower_elsewhere} of {elsewhere}.",
        wanted.join(" and ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::recorded;
    use crate::experiments::false_sharing::all_regimes;
    use crate::report::{omits, says};
    use crate::run::Extent;

    /// What the experiment would have measured, the indices 8, 64 and 256 bytes apart: on one line
    /// a regime has this part of its rate.
    fn with(near: impl Fn(&Regime) -> f64) -> Vec<Measured<Regime>> {
        let measured = |regime: Regime| {
            let rates = [100.0 * near(&regime), 99.0, 100.0];
            Measured::recorded(regime, rates.map(|rate| recorded(Unit::RATE, rate)))
        };
        let regimes = all_regimes(Extent::Full, None);
        regimes.into_iter().map(measured).collect()
    }

    fn report(measured: &[Measured<Regime>]) -> Report {
        Report::recorded(|report| ByRegime::of(&[8, 64, 256], measured).report(report))
    }

    fn worth_counting(measured: &[Measured<Regime>]) -> Vec<Regime> {
        ByRegime::of(&[8, 64, 256], measured).worth_counting(3)
    }

    #[test]
    fn an_injected_effect_is_named_with_its_regime() {
        let measured = with(|regime| match (regime.batches, regime.cached) {
            (true, _) => 1.01,
            (false, true) => 0.7,
            (false, false) => 0.4,
        });
        let report = report(&measured);
        let most = "slower in 16 of 32 regimes, most (60 %)";
        report.concludes([
            &[most, "one by one, indices looked up"],
            &["of one by one: of the regimes with that 16 of 16"],
            &["up to 16 of 32", "0 at 64 bytes"],
        ]);
        assert_eq!(report.rows.len(), 3 * 32);
        let counted = worth_counting(&measured);
        let matter = |regime: &Regime| !regime.batches && !regime.cached;
        assert!(counted.len() == 4 && counted[..3].iter().all(matter) && counted[3].batches);
    }

    #[test]
    fn two_traits_are_named_where_it_takes_two() {
        let report = report(&with(|regime| match (regime.batches, regime.capacity) {
            (true, 64) => 0.8,
            _ => 1.0,
        }));
        let with = "batches of 64 and capacity 64: of the regimes with that 8 of 8";
        says(&report.conclusions[1], &[with, "of the others 0 of 24."]);
    }

    #[test]
    fn what_all_have_in_common_distinguishes_none() {
        let mut measured = with(|regime| if regime.cached { 0.5 } else { 1.0 });
        measured.retain(|one| one.set.capacity == 64 && one.set.cached);
        let said = report(&measured).conclusions.join(" ");
        says(&said, &["slower in 8 of 8 regimes"]);
        omits(&said, &["It is a matter of"]);
    }

    #[test]
    fn flat_samples_name_no_regime() {
        let measured = with(|_| 0.99);
        let report = report(&measured);
        report.concludes([&["in none of 32"]]);
        omits(&report.render(), &["slower", "faster"]);
        assert_eq!(worth_counting(&measured).len(), 1);
    }

    #[test]
    fn one_line_may_be_the_better_place_and_is_said_so() {
        let gains = |regime: &Regime| if regime.capacity == 64 { 1.3 } else { 1.0 };
        let report = report(&with(gains));
        let said = ["in none of 32", "One line is faster in 16, most (30 %)"];
        says(&report.conclusions[0], &said);
    }

    #[test]
    fn a_regime_without_figures_says_why_and_does_not_count() {
        let mut measured = with(|_| 0.5);
        measured[0].rounds = Err("the two CPUs moved".to_owned());
        let report = report(&measured);
        let why = "not measured here, because the two CPUs moved";
        says(&report.render(), &["slower in 31 of 31 regimes", why]);
        assert_eq!(report.rows.len(), 3 * 32);
    }

    #[test]
    fn too_few_rounds_conclude_nothing() {
        let mut measured = with(|_| 0.5);
        for rounds in measured.iter_mut().flat_map(|one| &mut one.rounds) {
            rounds
                .series
                .iter_mut()
                .for_each(|series| series.truncate(3));
        }
        report(&measured).concludes([]);
    }
}
