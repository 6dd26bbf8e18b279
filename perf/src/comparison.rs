//! What is compared, and what is said about it: alternatives under conditions, round by round.
//!
//! A [`Comparison`] has a line for each condition and in it a series for each alternative, or why
//! there is none. Tables, rows, pictures and the parts of sentences come from it. Nothing here
//! measures anything.

use ringproof_record::Record;

use crate::plot::Plot;
use crate::report::{LAYER, per_mille};
use crate::rounds::Rounds;
use crate::sets::Measured;
use crate::stats::{Effect, Ratio, Summary, summarize};
use crate::table::{Cell, Table, figure, spread};

/// A value for each round, or why there is none: a clause that follows "because".
pub type Series = Result<Vec<f64>, String>;

/// Why there is no figure where no round counts.
const NO_ROUND: &str = "no round counts";

/// What values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// What it is called.
    pub name: &'static str,
    /// What a thousandth of it is called, which rows count.
    pub thousandth: &'static str,
    /// Whether the faster of two has more of it.
    pub is_rate: bool,
}

impl Unit {
    /// Items that stream.
    pub const RATE: Unit = Unit {
        name: "million items/s",
        thousandth: "thousand items/s",
        is_rate: true,
    };

    /// Time for each of something.
    pub const TIME: Unit = Unit {
        name: "ns",
        thousandth: "ps each",
        is_rate: false,
    };

    /// So many million items a second in this unit: their rate, or the time for each.
    pub fn of_rate(self, rate: f64) -> f64 {
        if self.is_rate { rate } else { 1000.0 / rate }
    }

    /// The row of a value.
    pub fn row(
        self,
        value: Summary,
        subject: impl Into<String>,
        check: impl Into<String>,
    ) -> Record {
        Record::passed(LAYER, subject, check)
            .count((value.median * 1000.0).round() as u64, self.thousandth)
            .reason(format!("{}: {}", self.name, spread(value)))
    }
}

/// Everything that is compared with each other.
#[derive(Clone, Debug)]
pub struct Comparison<C> {
    /// What the values are.
    pub unit: Unit,
    /// The alternative that the others are compared with.
    pub reference: usize,
    /// One for each condition, in the order of the table.
    pub lines: Vec<Line<C>>,
}

/// The alternatives under one condition.
#[derive(Clone, Debug)]
pub struct Line<C> {
    /// The condition.
    pub of: C,
    /// One for each alternative.
    pub series: Vec<Series>,
    unit: Unit,
    reference: usize,
}

/// A series beside its reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compared {
    /// The series itself, in its unit.
    pub value: Summary,
    /// Its speed in units of the reference's.
    pub speed: Summary,
    /// Whether the speeds differ.
    pub effect: Effect,
}

impl<C> Comparison<C> {
    /// One without conditions yet.
    pub fn new(unit: Unit, reference: usize) -> Self {
        Comparison {
            unit,
            reference,
            lines: Vec::new(),
        }
    }

    /// Adds what was measured under a condition.
    pub fn add(&mut self, of: C, series: Vec<Series>) {
        self.lines.push(Line {
            of,
            series,
            unit: self.unit,
            reference: self.reference,
        });
    }

    /// A comparison of `alternatives` alternatives that were measured as sets: in each of them under the first
    /// of its `conditions`, then under the second, and so on.
    pub fn of_sets<S>(
        unit: Unit,
        reference: usize,
        alternatives: usize,
        sets: &[Measured<S>],
        conditions: impl Fn(&S) -> Vec<C>,
    ) -> Self {
        let mut all = Comparison::new(unit, reference);
        for Measured { set, rounds } in sets {
            for (at, of) in conditions(set).into_iter().enumerate() {
                let series = match rounds {
                    Ok(rounds) => {
                        let series = rounds.series.chunks(alternatives).nth(at);
                        series.unwrap_or_default().iter().cloned().map(Ok).collect()
                    }
                    Err(why) => vec![Err(why.clone()); alternatives],
                };
                all.add(of, series);
            }
        }
        all
    }

    /// A comparison of what was measured in the same rounds: the alternatives under the first
    /// condition, those under the second, and so on.
    pub fn of_rounds(
        unit: Unit,
        reference: usize,
        alternatives: usize,
        conditions: impl IntoIterator<Item = C>,
        rounds: &Rounds,
    ) -> Self {
        let mut all = Comparison::new(unit, reference);
        for (of, series) in (conditions.into_iter()).zip(rounds.series.chunks(alternatives)) {
            all.add(of, series.iter().cloned().map(Ok).collect());
        }
        all
    }

    /// A picture with a bar for each alternative under each condition that has a figure and that
    /// `name` gives a name.
    pub fn bars(
        &self,
        title: impl Into<String>,
        axis: &str,
        name: impl Fn(&C, usize) -> Option<String>,
    ) -> Plot {
        let mut bars = Vec::new();
        for line in &self.lines {
            for at in 0..line.series.len() {
                bars.extend(name(&line.of, at).zip(line.value(at).ok()));
            }
        }
        Plot::bars(title, axis, bars)
    }

    /// A picture with a line for each alternative, through its medians under all conditions, of
    /// which `place` says where they lie.
    pub fn curves(
        &self,
        title: &str,
        [x, y]: [&str; 2],
        names: &[&str],
        place: impl Fn(&C) -> f64,
    ) -> Plot {
        let points = names.iter().enumerate().flat_map(|(at, name)| {
            let place = &place;
            let medians = self.medians(at);
            medians.map(move |(of, median)| ((*name).to_owned(), place(of), median))
        });
        Plot::lines(title, x, y, points)
    }

    /// The columns of its table, none yet.
    pub fn columns(&self) -> Columns<'_, C> {
        Columns {
            of: self,
            columns: Vec::new(),
        }
    }

    /// The rows of an alternative under every condition.
    pub fn rows<S: Into<String>>(
        &self,
        at: usize,
        subject: &str,
        check: impl Fn(&C) -> S,
    ) -> impl Iterator<Item = Record> {
        let lines = self.lines.iter();
        lines.map(move |line| line.row(at, subject, check(&line.of)))
    }

    /// The medians of an alternative under every condition where it was measured.
    pub fn medians(&self, at: usize) -> impl Iterator<Item = (&C, Summary)> {
        let lines = self.lines.iter();
        lines.filter_map(move |line| Some((&line.of, line.value(at).ok()?)))
    }

    /// The rows of all alternatives under every condition, the reference's first: what they are of, and
    /// what they call the reference.
    pub fn all_rows(
        &self,
        subject: &str,
        check: impl Fn(&C, usize) -> String,
        reference: &str,
    ) -> Vec<Record> {
        let mut rows = Vec::new();
        for line in &self.lines {
            rows.push(line.reference_row(subject, check(&line.of, self.reference)));
            for at in (0..line.series.len()).filter(|at| *at != self.reference) {
                rows.push(line.speed_row(at, subject, check(&line.of, at), reference));
            }
        }
        rows
    }

    /// An alternative under every condition, beside the reference, where both were measured.
    pub fn compared(&self, at: usize) -> impl Iterator<Item = (&C, Compared)> {
        let lines = self.lines.iter();
        lines.filter_map(move |line| Some((&line.of, line.compared(at).ok()?)))
    }
}

impl<C> Line<C> {
    /// The values of an alternative, if there are any.
    pub fn values(&self, at: usize) -> Result<&[f64], String> {
        match self.series.get(at) {
            Some(Ok(values)) if !values.is_empty() => Ok(values),
            Some(Err(why)) => Err(why.clone()),
            _ => Err(NO_ROUND.to_owned()),
        }
    }

    /// The median of an alternative between its extremes.
    pub fn value(&self, at: usize) -> Result<Summary, String> {
        let values = self.values(at)?;
        summarize(values).ok_or_else(|| NO_ROUND.to_owned())
    }

    /// An alternative beside the reference.
    pub fn compared(&self, at: usize) -> Result<Compared, String> {
        self.beside(at, self.reference)
    }

    /// An alternative beside another one.
    pub fn beside(&self, at: usize, other: usize) -> Result<Compared, String> {
        let (values, others) = (self.values(at)?, self.values(other)?);
        Compared::of(self.unit, values, others).ok_or_else(|| NO_ROUND.to_owned())
    }

    /// An alternative's values in units of another one's.
    pub fn ratio(&self, at: usize, other: usize) -> Result<Ratio, String> {
        let (values, others) = (self.values(at)?, self.values(other)?);
        Ratio::of(values, others).ok_or_else(|| NO_ROUND.to_owned())
    }

    /// An alternative's values in units of the same one's in another line. `None` if there are no rounds.
    pub fn against(&self, other: &Line<C>, at: usize) -> Option<Ratio> {
        Ratio::of(self.values(at).ok()?, other.values(at).ok()?)
    }

    /// The points of its line in a picture of speeds, of which `places` says where the alternatives lie.
    pub fn speeds(
        &self,
        name: impl Into<String>,
        places: &[usize],
    ) -> impl Iterator<Item = (String, f64, Summary)> {
        let (name, points) = (name.into(), places.iter().enumerate());
        points.filter_map(move |(at, place)| {
            Some((name.clone(), *place as f64, self.compared(at).ok()?.speed))
        })
    }

    /// The row of an alternative: its median, or why there is none.
    pub fn row(&self, at: usize, subject: impl Into<String>, check: impl Into<String>) -> Record {
        match self.value(at) {
            Ok(value) => self.unit.row(value, subject, check),
            Err(why) => Record::not_run(LAYER, subject, check, why),
        }
    }

    /// The row of the reference, which says that it is.
    pub fn reference_row(&self, subject: &str, check: String) -> Record {
        let row = self.row(self.reference, subject, check);
        match self.value(self.reference) {
            Ok(Summary { min, max, .. }) => row.reason(format!(
                "the reference, {}–{} {}",
                figure(min),
                figure(max),
                self.unit.name
            )),
            Err(_) => row,
        }
    }

    /// The row of an alternative beside `reference`: its speed in thousandths of that.
    pub fn speed_row(&self, at: usize, subject: &str, check: String, reference: &str) -> Record {
        match self.compared(at) {
            Ok(Compared { speed, effect, .. }) => Record::passed(LAYER, subject, check)
                .count(
                    per_mille(speed.median),
                    format!("‰ of the speed of {reference}"),
                )
                .reason(format!(
                    "{}–{} ‰; effect: {}",
                    per_mille(speed.min),
                    per_mille(speed.max),
                    said(effect)
                )),
            Err(why) => Record::not_run(LAYER, subject, check, why),
        }
    }
}

impl Compared {
    /// Two series of rates or times. `None` if there were no rounds.
    pub fn of(unit: Unit, values: &[f64], reference: &[f64]) -> Option<Self> {
        let speed = match unit.is_rate {
            true => Ratio::of(values, reference)?,
            false => Ratio::of(reference, values)?,
        };
        Some(Compared {
            value: summarize(values)?,
            speed: speed.of,
            effect: speed.effect,
        })
    }

    /// Whether it is slower than its reference.
    pub fn slower(&self) -> bool {
        self.effect == Effect::Below
    }

    /// Whether it is faster than its reference.
    pub fn faster(&self) -> bool {
        self.effect == Effect::Above
    }

    /// What is said about it in a word or a few.
    pub fn said(&self) -> &'static str {
        said(self.effect)
    }

    /// By what part it is slower or faster, in percent.
    pub fn percent(&self) -> String {
        format!("{:.0} %", (self.speed.median - 1.0).abs() * 100.0)
    }
}

fn said(effect: Effect) -> &'static str {
    match effect {
        Effect::Below => "slower",
        Effect::Above => "faster",
        Effect::None => "no difference",
        Effect::TooFewRounds => "too few rounds to say",
    }
}

/// The columns of the table of a comparison, from the left.
pub struct Columns<'a, C> {
    of: &'a Comparison<C>,
    columns: Vec<(String, CellOf<'a, C>)>,
}

/// What a line has in a column.
type CellOf<'a, C> = Box<dyn Fn(&Line<C>) -> Cell + 'a>;

impl<'a, C> Columns<'a, C> {
    /// The table with these columns.
    pub fn table(self, heading: impl Into<String>) -> Table {
        let names = self.columns.iter().map(|(name, _)| name);
        let mut table = Table::new(heading, names);
        for line in &self.of.lines {
            table.add(self.columns.iter().map(|(_, cell)| cell(line)));
        }
        table
    }

    /// A column of any cells.
    #[must_use]
    pub fn cells(mut self, name: impl Into<String>, cell: impl Fn(&Line<C>) -> Cell + 'a) -> Self {
        self.columns.push((name.into(), Box::new(cell)));
        self
    }

    /// Words about the condition.
    #[must_use]
    pub fn words<S: Into<String>>(
        self,
        name: impl Into<String>,
        of: impl Fn(&C) -> S + 'a,
    ) -> Self {
        self.cells(name, move |line| Cell::words(of(&line.of)))
    }

    /// A figure of the condition.
    #[must_use]
    pub fn figure<S: ToString>(self, name: impl Into<String>, of: impl Fn(&C) -> S + 'a) -> Self {
        self.cells(name, move |line| Cell::figure(of(&line.of).to_string()))
    }

    /// The median of an alternative with its spread.
    #[must_use]
    pub fn value(self, name: impl Into<String>, at: usize) -> Self {
        self.cells(name, move |line| Cell::measured(line.value(at)))
    }

    /// The speed of an alternative in units of the reference's, with its spread.
    #[must_use]
    pub fn speed(self, name: impl Into<String>, at: usize) -> Self {
        self.cells(name, move |line| {
            Cell::measured(line.compared(at).map(|compared| compared.speed))
        })
    }

    /// Whether an alternative is slower or faster than the reference.
    #[must_use]
    pub fn effect(self, name: impl Into<String>, at: usize) -> Self {
        self.cells(name, move |line| match line.compared(at) {
            Ok(compared) => Cell::words(compared.said()),
            Err(why) => Cell::missing(why),
        })
    }
}

/// Where something is slower than its reference and where it is faster, each with by how much, with these
/// words before the places and between them: `it is slower at 8 B (75 %), and faster at 24 B (20 %)`; or
/// `none`. Nothing if there are no places at all, or at any too few rounds to say.
pub fn slower_or_faster(
    what: &str,
    [at, comma]: [&str; 2],
    none: &str,
    found: impl IntoIterator<Item = (String, Compared)>,
) -> Option<String> {
    let found = found.into_iter();
    let found = found.map(|(name, one)| (format!("{name} ({})", one.percent()), one.effect));
    let [slower, _, faster] = by_effect(found)?.map(|places| places.join(&format!("{comma} ")));
    Some(match (&*slower, &*faster) {
        ("", "") => format!("{what} {none}"),
        (slower, "") => format!("{what} is slower{at} {slower}"),
        ("", faster) => format!("{what} is faster{at} {faster}"),
        (slower, faster) => {
            format!("{what} is slower{at} {slower}{comma} and faster{at} {faster}")
        }
    })
}

/// What lies below that with which it is compared, what does not differ, and what lies above. `None` if
/// there is nothing at all, or of anything too few rounds to say.
pub fn by_effect(found: impl IntoIterator<Item = (String, Effect)>) -> Option<[Vec<String>; 3]> {
    let mut all: [Vec<String>; 3] = Default::default();
    for (said, effect) in found {
        let place = match effect {
            Effect::Below => 0,
            Effect::None => 1,
            Effect::Above => 2,
            Effect::TooFewRounds => return None,
        };
        all[place].push(said);
    }
    all.iter().any(|some| !some.is_empty()).then_some(all)
}

/// What series are in units of a reference, as clauses: how often as long, and which do not differ
/// from it. `None` where there are too few rounds to say.
pub fn times_as_long<'a>(
    reference: &[f64],
    others: impl IntoIterator<Item = (&'a str, &'a [f64])>,
) -> Option<String> {
    let others = others.into_iter().map(|(name, series)| {
        let ratio = Ratio::of(series, reference)?;
        Some(match ratio.effect {
            Effect::None => (name.to_owned(), Effect::None),
            effect => (format!("{name} {}", figure(ratio.of.median)), effect),
        })
    });
    let [shorter, equal, longer] = by_effect(others.collect::<Option<Vec<_>>>()?)?;
    let clauses = [
        list(&longer).map(|names| format!("{names} times as long")),
        list(&shorter).map(|names| format!("only {names} times as long")),
        list(&equal).map(|names| format!("{names} as long within the noise")),
    ];
    Some(clauses.into_iter().flatten().collect::<Vec<_>>().join("; "))
}

/// Names, as a sentence lists them. `None` if there are none.
pub fn list(names: &[String]) -> Option<String> {
    match names {
        [] => None,
        [one] => Some(one.clone()),
        [most @ .., last] => Some(format!("{} and {last}", most.join(", "))),
    }
}

/// Samples as tests record them: five rounds about a value, in one of which the machine was twice
/// as slow.
#[cfg(test)]
pub(crate) fn recorded(unit: Unit, about: f64) -> Vec<f64> {
    let slow = if unit.is_rate { 0.5 } else { 2.0 };
    [0.98, 1.0, slow, 0.99, 1.02]
        .map(|part| part * about)
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringproof_record::Verdict;

    fn compared(unit: Unit, values: [f64; 5], reference: [f64; 5]) -> Compared {
        Compared::of(unit, &values, &reference).unwrap()
    }

    #[test]
    fn slow_is_slow_whether_rates_or_times_are_given() {
        let (small, large) = ([1.0, 1.1, 0.9, 1.0, 1.2], [2.0, 2.2, 1.8, 2.0, 2.4]);
        assert!(compared(Unit::RATE, small, large).slower());
        assert!(compared(Unit::TIME, small, large).faster());
        let slow = compared(Unit::TIME, large, small);
        assert_eq!((slow.said(), slow.percent().as_str()), ("slower", "50 %"));
        assert_eq!(slow.value.median, 2.0);
        let mut comparison = Comparison::new(Unit::TIME, 1);
        comparison.add("near", vec![Ok(large.to_vec()), Ok(small.to_vec())]);
        let row = comparison.lines[0].speed_row(0, "words", "near".to_owned(), "far");
        assert_eq!(row.count, Some(500));
        assert!(row.reason.unwrap().ends_with("effect: slower"));
    }

    #[test]
    fn equal_series_differ_in_nothing_and_none_are_not_compared() {
        let same = compared(Unit::RATE, [1.0; 5], [1.0; 5]);
        assert!(!same.slower() && !same.faster());
        assert_eq!(same.said(), "no difference");
        assert_eq!(Compared::of(Unit::RATE, &[], &[]), None);
    }

    #[test]
    fn what_was_not_measured_has_its_reason_in_every_cell_and_row() {
        let mut comparison = Comparison::new(Unit::RATE, 0);
        comparison.add("near", vec![Ok(vec![1.0; 5]), Err("it is gone".to_owned())]);
        comparison.add("far", vec![Ok(Vec::new()), Ok(vec![1.0; 5])]);
        let table = (comparison.columns())
            .words("where", |of| *of)
            .value("one", 0)
            .speed("other", 1)
            .effect("effect", 1)
            .table("");
        assert_eq!(table.reasons(), ["it is gone", NO_ROUND]);
        assert_eq!(table.rows()[0][1], Cell::figure("1.00 [1.00–1.00]"));
        let [near, far] = &comparison.lines[..] else {
            panic!("two conditions");
        };
        for row in [
            near.row(1, "words", "near"),
            near.speed_row(1, "words", "near".to_owned(), "one"),
            far.reference_row("words", "far".to_owned()),
        ] {
            assert_eq!((row.verdict, row.count), (Verdict::NotRun, None));
            assert!(row.reason.is_some_and(|why| !why.is_empty()));
        }
        assert_eq!(comparison.compared(1).count(), 0);
    }

    #[test]
    fn those_that_differ_are_named_and_too_few_rounds_name_none() {
        let find = |speeds: [f64; 3], rounds: usize| {
            let found = speeds.into_iter().zip(["a", "b", "c"]);
            let found = found.map(|(speed, name)| {
                let compared = Compared::of(Unit::RATE, &vec![speed; rounds], &vec![1.0; rounds]);
                (name.to_owned(), compared.unwrap())
            });
            slower_or_faster("it", [" at", ","], "is the same", found)
        };
        let both = "it is slower at a (40 %), and faster at c (50 %)";
        assert_eq!(find([0.6, 1.0, 1.5], 5).as_deref(), Some(both));
        assert_eq!(find([1.0; 3], 5).as_deref(), Some("it is the same"));
        assert_eq!(find([0.6, 1.0, 1.5], 4), None);
        assert_eq!(slower_or_faster("it", [""; 2], "", []), None);
    }

    #[test]
    fn injected_differences_are_named_and_others_are_not() {
        let reference = [1.0, 2.0, 1.0, 1.0, 1.1];
        let double = reference.map(|cost| cost * 2.0);
        let half = reference.map(|cost| cost / 2.0);
        let same = [1.01, 1.98, 1.0, 1.02, 1.09];
        let said = |others: &[(&str, &[f64])]| times_as_long(&reference, others.iter().copied());
        assert_eq!(
            said(&[("a", &double), ("b", &double), ("c", &half), ("d", &same)]).unwrap(),
            "a 2.00 and b 2.00 times as long; only c 0.50 times as long; d as long within the noise"
        );
        assert_eq!(said(&[("d", &same)]).unwrap(), "d as long within the noise");
        assert_eq!(said(&[("a", &double[..3])]), None);
        assert_eq!(said(&[]), None);
    }
}
