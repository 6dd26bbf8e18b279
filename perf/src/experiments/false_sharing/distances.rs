//! In which regimes the distance between a ring's indices matters, what those have in common, and
//! how far is far enough.

use super::{DISTANCES, REFERENCE, reference};
use crate::comparison::{Compared, Comparison, Line, Unit};
use crate::plot::Plot;
use crate::regime::Regime;
use crate::report::Report;
use crate::sets::Measured;
use crate::stats::Effect;
use crate::table::{Cell, Table, figure};
use crate::traits::deciding;

/// What its rows are about.
const SUBJECT: &str = "ring/index placement";

/// So many regimes of either kind in the picture.
const PICTURED: usize = 2;

/// The regimes, in each of which the ring's indices lay at all distances.
pub(super) struct ByRegime<'d> {
    distances: &'d [usize],
    all: Comparison<Regime>,
}

/// A regime with its speed with the indices next to each other.
type Near<'r> = (&'r Regime, Compared);

impl<'d> ByRegime<'d> {
    pub(super) fn of(distances: &'d [usize], measured: &[Measured<Regime>]) -> Self {
        let (reference, count) = (reference(distances), distances.len());
        let all = Comparison::of_sets(Unit::RATE, reference, count, measured, |of| vec![*of]);
        ByRegime { distances, all }
    }

    /// The regimes in which nearness costs, those in which it does neither, and those in which it gains; in
    /// each, first those in which it makes the most difference.
    fn sorted(&self) -> [Vec<Near<'_>>; 3] {
        let mut kinds = [const { Vec::new() }; 3];
        for (regime, near) in self.all.compared(0) {
            kinds[usize::from(!near.slower()) + usize::from(near.faster())].push((regime, near));
        }
        let makes = |(_, near): &Near<'_>| (near.speed.median - 1.0).abs();
        for kind in &mut kinds {
            kind.sort_by(|one, other| makes(other).total_cmp(&makes(one)));
        }
        kinds
    }

    /// The regimes to count in: those in which nearness costs most, and for contrast the one in
    /// which it makes the least difference.
    pub(super) fn worth_counting(&self, most: usize) -> Vec<Regime> {
        let [slower, same, _] = self.sorted();
        let worth = slower.iter().take(most).chain(same.last());
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
        let enough = |(_, near): Near<'_>| near.effect != Effect::TooFewRounds;
        if self.all.compared(0).count() > 0 && self.all.compared(0).all(enough) {
            report.conclusions.push(self.where_it_matters());
            report.conclusions.extend(self.what_decides());
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
        let [slower, same, faster] = self.sorted();
        let [slower, faster] = [slower, faster].map(|kind| kind.into_iter().take(PICTURED));
        let chosen = slower.chain(same.last().copied()).chain(faster);
        let points = chosen.flat_map(|(regime, _)| {
            let line = self.all.lines.iter().find(|line| line.of == *regime);
            let line = line.into_iter();
            line.flat_map(|line| line.speeds(regime.to_string(), self.distances))
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
            match slower(at)
                .min_by(|(_, one), (_, other)| one.speed.median.total_cmp(&other.speed.median))
            {
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

    /// How many regimes suffer, and which most.
    fn where_it_matters(&self) -> String {
        let [slower, same, faster] = self.sorted();
        let (near, all) = (DISTANCES[0], slower.len() + same.len() + faster.len());
        let begin =
            format!("The ring's indices on one line, {near} bytes apart instead of {REFERENCE}");
        let mut text = match slower.first() {
            Some((regime, worst)) => format!(
                "{begin}, make it slower in {} of {all} regimes, most ({}) where: {regime}.",
                slower.len(),
                worst.percent(),
            ),
            None => format!(
                "The ring's indices {near} bytes apart instead of {REFERENCE}: in none of {all} \
                 regimes does that cost anything that stands out of the noise."
            ),
        };
        if let Some((regime, best)) = faster.first() {
            let (count, most) = (faster.len(), best.percent());
            text += &format!(" One line is faster in {count}, most ({most}) where: {regime}.");
        }
        text
    }

    /// What most of the regimes that suffer have in common and others have not: one trait or two.
    fn what_decides(&self) -> Option<String> {
        let regimes = self.all.compared(0);
        let traits: Vec<_> = (regimes.map(|(of, near)| (of.traits(), near.slower()))).collect();
        let (wanted, [(slower, all), (slower_elsewhere, elsewhere)]) = deciding(&traits)?;
        Some(format!(
            "It is a matter of {}: of the regimes with that {slower} of {all} are slower, of the \
             others {slower_elsewhere} of {elsewhere}.",
            wanted.join(" and ")
        ))
    }
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
