//! In which regimes the distance between a ring's indices matters, and in which it does not.

use ringproof_record::Record;

use super::regime::Regime;
use super::{DISTANCES, REFERENCE, REPEAT, conclusions};
use crate::compared::{Compared, reference_row};
use crate::plot::{Plot, Series};
use crate::report::{LAYER, Report};
use crate::sets::Measured;
use crate::stats::Effect;
use crate::table::{Cell, Table, figure, spread};
/// What its rows are about.
const SUBJECT: &str = "ring/index placement";

/// So many regimes of either kind in the picture.
const PICTURED: usize = 2;

/// What came of one regime: million items a second at each distance.
type Outcome = Measured<Regime>;

/// A regime that was measured: how fast it is at each distance.
pub(super) struct Told {
    pub(super) regime: Regime,
    /// One for each distance, the reference among them.
    pub(super) compared: Vec<Compared>,
}

impl Told {
    /// With the indices next to each other.
    pub(super) fn nearest(&self) -> Compared {
        self.compared[0]
    }
}

/// The regimes that were measured.
fn told(distances: &[usize], outcomes: &[Outcome]) -> Vec<Told> {
    let reference = (distances.iter()).position(|distance| *distance == REFERENCE);
    let told = outcomes.iter().filter_map(|outcome| {
        let series = &outcome.rounds.as_ref().ok()?.series;
        let apart = series.get(reference?)?;
        let compared = series.iter().map(|series| Compared::rates(series, apart));
        Some(Told {
            regime: outcome.set,
            compared: compared.collect::<Option<Vec<_>>>()?,
        })
    });
    told.filter(|told| told.compared.len() == distances.len())
        .collect()
}

/// The regimes from the one that suffers most from nearness to the one that gains most.
fn sorted(told: &[Told]) -> Vec<&Told> {
    let mut sorted: Vec<&Told> = told.iter().collect();
    let speed = |told: &Told| told.nearest().speed.median;
    sorted.sort_by(|one, other| speed(one).total_cmp(&speed(other)));
    sorted
}

/// The regime, if any, in which nearness makes the least of no difference.
fn indifferent<'t>(told: &[&'t Told]) -> Option<&'t Told> {
    let unlike = |told: &Told| (told.nearest().speed.median - 1.0).abs();
    let same = told.iter().copied();
    same.filter(|told| !told.nearest().slower() && !told.nearest().faster())
        .min_by(|one, other| unlike(one).total_cmp(&unlike(other)))
}

/// The regimes to count in: those in which nearness costs most, and for contrast the one in which
/// it makes the least difference.
pub(super) fn worth_counting(
    distances: &[usize],
    outcomes: &[Outcome],
    most: usize,
) -> Vec<Regime> {
    let told = told(distances, outcomes);
    let sorted = sorted(&told);
    let slower = sorted
        .iter()
        .copied()
        .filter(|told| told.nearest().slower());
    let worth = slower.take(most).chain(indifferent(&sorted));
    worth.map(|told| told.regime).collect()
}

/// A table, a picture, rows and conclusions.
pub(super) fn tell(report: &mut Report, distances: &[usize], outcomes: &[Outcome]) {
    let told = told(distances, outcomes);
    report.tables.push(table(distances, outcomes, &told));
    report.plots.push(picture(distances, &told));
    for outcome in outcomes {
        if let Err(why) = &outcome.rounds {
            let row = Record::not_run(LAYER, SUBJECT, outcome.set.to_string(), why);
            report.rows.push(row.repeat(REPEAT));
        }
    }
    for told in &told {
        for (distance, compared) in distances.iter().zip(&told.compared) {
            let check = format!("indices {distance} bytes apart, {}", told.regime);
            let row = if *distance == REFERENCE {
                reference_row(SUBJECT, check, compared.value)
            } else {
                compared.row(SUBJECT, check, &format!("{REFERENCE} bytes apart"))
            };
            report.rows.push(row.repeat(REPEAT));
        }
    }
    let enough = |told: &Told| told.nearest().effect != Effect::TooFewRounds;
    if !told.is_empty() && told.iter().all(enough) {
        report
            .conclusions
            .push(conclusions::where_it_matters(&told));
        report.conclusions.extend(conclusions::what_decides(&told));
        report
            .conclusions
            .extend(conclusions::how_far(distances, &told));
    }
}

fn table(distances: &[usize], outcomes: &[Outcome], told: &[Told]) -> Table {
    let others = || {
        distances[1..]
            .iter()
            .filter(|distance| **distance != REFERENCE)
    };
    let columns = ["items", "capacity", "indices", "when empty, consumer"]
        .map(str::to_owned)
        .into_iter()
        .chain([
            format!("million/s, {REFERENCE} B"),
            format!("ratio, {} B", DISTANCES[0]),
        ])
        .chain(others().map(|distance| format!("{distance} B")))
        .chain(["one line".to_owned()]);
    let mut table = Table::new(
        format!(
            "The ring, its two indices so far apart: its rate at {REFERENCE} bytes, and what part \
             of that it has at others"
        ),
        columns,
    );
    for outcome in outcomes {
        let regime = outcome.set;
        let mut cells = vec![
            Cell::words(regime.items()),
            Cell::figure(regime.capacity.to_string()),
            Cell::words(regime.indices()),
            Cell::words(regime.poll.to_string()),
        ];
        let why = match &outcome.rounds {
            Err(why) => why.as_str(),
            Ok(_) => "no round counted",
        };
        match told.iter().find(|told| told.regime == regime) {
            Some(told) => {
                let by_distance = || distances.iter().zip(&told.compared);
                let apart = by_distance().find(|(distance, _)| **distance == REFERENCE);
                cells.extend(apart.map(|(_, apart)| Cell::figure(spread(apart.value))));
                cells.push(told.nearest().ratio());
                cells.extend(
                    by_distance()
                        .skip(1)
                        .filter(|(distance, _)| **distance != REFERENCE)
                        .map(|(_, compared)| Cell::figure(figure(compared.speed.median))),
                );
                cells.push(Cell::words(told.nearest().said()));
            }
            None => cells.extend((0..others().count() + 3).map(|_| Cell::missing(why))),
        }
        table.add(cells);
    }
    table
}

/// The regimes that suffer most, the one that is indifferent, and those that gain most.
fn picture(distances: &[usize], told: &[Told]) -> Plot {
    let sorted = sorted(told);
    let slower = sorted
        .iter()
        .copied()
        .filter(|told| told.nearest().slower());
    let faster = sorted
        .iter()
        .copied()
        .rev()
        .filter(|told| told.nearest().faster());
    let chosen = (slower.take(PICTURED))
        .chain(indifferent(&sorted))
        .chain(faster.take(PICTURED));
    let series = chosen.map(|told| Series {
        name: told.regime.to_string(),
        points: (distances.iter().zip(&told.compared))
            .map(|(distance, compared)| (*distance as f64, compared.speed))
            .collect(),
    });
    Plot::Lines {
        title: "Regimes that suffer most from near indices, that gain most, and one between"
            .to_owned(),
        x: "bytes between the two indices".to_owned(),
        y: format!("rate, in units of that at {REFERENCE} bytes"),
        series: series.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::false_sharing::all_regimes;
    use crate::rounds::Rounds;
    use crate::run::Extent;

    /// What the experiment would have measured, the indices 8, 64 and 256 bytes apart: on one line
    /// a regime has this part of its rate.
    fn recorded(near: impl Fn(&Regime) -> f64) -> (Vec<Outcome>, Report) {
        let around = |middle: f64| {
            [0.98, 1.0, 1.01, 0.99, 1.02]
                .map(|part| part * middle)
                .to_vec()
        };
        let outcome = |regime: Regime| Measured {
            rounds: Ok(Rounds {
                series: vec![around(100.0 * near(&regime)), around(99.0), around(100.0)],
                ..Rounds::default()
            }),
            set: regime,
        };
        let regimes = all_regimes(Extent::Full, None);
        let outcomes: Vec<_> = regimes.into_iter().map(outcome).collect();
        let mut report = Report::new("recorded");
        tell(&mut report, &[8, 64, 256], &outcomes);
        (outcomes, report)
    }

    #[test]
    fn a_planted_effect_is_named_with_its_regime() {
        let (outcomes, report) = recorded(|regime| match (regime.batches, regime.cached) {
            (true, _) => 1.01,
            (false, true) => 0.7,
            (false, false) => 0.4,
        });
        let [matters, decides, far] = &report.conclusions[..] else {
            panic!("{:?}", report.conclusions);
        };
        assert!(
            matters.contains("slower in 16 of 32 regimes, most (60 %)"),
            "{matters}"
        );
        assert!(
            matters.contains("one by one, indices looked up"),
            "{matters}"
        );
        assert!(
            decides.contains("of one by one: of the regimes with that 16 of 16"),
            "{decides}"
        );
        assert!(
            far.contains("up to 16 of 32") && far.contains("0 at 64 bytes"),
            "{far}"
        );
        assert_eq!(report.rows.len(), 3 * 32);
        let counted = worth_counting(&[8, 64, 256], &outcomes, 3);
        assert_eq!(counted.len(), 4);
        assert!(
            counted[..3]
                .iter()
                .all(|regime| !regime.batches && !regime.cached)
        );
        assert!(counted[3].batches);
    }

    #[test]
    fn two_traits_are_named_where_it_takes_two() {
        let (_, report) = recorded(|regime| match (regime.batches, regime.capacity) {
            (true, 64) => 0.8,
            _ => 1.0,
        });
        let decides = &report.conclusions[1];
        let said = "batches of 64 and capacity 64: of the regimes with that 8 of 8";
        assert!(decides.contains(said), "{decides}");
        assert!(decides.ends_with("of the others 0 of 24."), "{decides}");
    }

    #[test]
    fn what_all_have_in_common_tells_none_apart() {
        let (mut outcomes, _) = recorded(|regime| if regime.cached { 0.5 } else { 1.0 });
        outcomes.retain(|outcome| outcome.set.capacity == 64 && outcome.set.cached);
        let mut report = Report::new("recorded");
        tell(&mut report, &[8, 64, 256], &outcomes);
        let said = report.conclusions.join(" ");
        assert!(said.contains("slower in 8 of 8 regimes"), "{said}");
        assert!(!said.contains("It is a matter of"), "{said}");
    }

    #[test]
    fn flat_samples_name_no_regime() {
        let (outcomes, report) = recorded(|_| 0.99);
        assert_eq!(report.conclusions.len(), 1, "{:?}", report.conclusions);
        assert!(
            report.conclusions[0].contains("in none of 32"),
            "{:?}",
            report.conclusions
        );
        for word in ["slower", "faster"] {
            assert!(!report.render().contains(word), "{}", report.render());
        }
        assert_eq!(worth_counting(&[8, 64, 256], &outcomes, 3).len(), 1);
    }

    #[test]
    fn one_line_may_be_the_better_place_and_is_said_so() {
        let (_, report) = recorded(|regime| if regime.capacity == 64 { 1.3 } else { 1.0 });
        let said = &report.conclusions[0];
        assert!(said.contains("in none of 32"), "{said}");
        assert!(
            said.contains("One line is faster in 16, most (30 %)"),
            "{said}"
        );
    }

    #[test]
    fn a_regime_without_figures_says_why_and_does_not_count() {
        let (mut outcomes, _) = recorded(|_| 0.5);
        outcomes[0].rounds = Err("the two CPUs moved".to_owned());
        let mut report = Report::new("recorded");
        tell(&mut report, &[8, 64, 256], &outcomes);
        let said = report.render();
        assert!(said.contains("slower in 31 of 31 regimes"), "{said}");
        assert!(
            said.contains("not measured here, because the two CPUs moved"),
            "{said}"
        );
        assert_eq!(report.rows.len(), 1 + 3 * 31);
    }

    #[test]
    fn too_few_rounds_conclude_nothing() {
        let (mut outcomes, _) = recorded(|_| 0.5);
        for rounds in outcomes.iter_mut().flat_map(|outcome| &mut outcome.rounds) {
            rounds
                .series
                .iter_mut()
                .for_each(|series| series.truncate(3));
        }
        let mut report = Report::new("recorded");
        tell(&mut report, &[8, 64, 256], &outcomes);
        assert!(report.conclusions.is_empty(), "{:?}", report.conclusions);
    }
}
