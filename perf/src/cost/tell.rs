//! Costs in words. Nothing here measures anything.

use ringproof_record::Record;

use crate::report::LAYER;
use crate::stats::{Effect, FEWEST_ROUNDS, effect, ratios, summarize};
use crate::table::{Cell, figure, spread};

/// The row of a cost in nanoseconds.
pub fn row(subject: impl Into<String>, check: impl Into<String>, series: &[f64]) -> Record {
    match summarize(series) {
        Some(summary) => Record::passed(LAYER, subject, check)
            .count((summary.median * 1000.0).round() as u64, "ps each")
            .reason(format!("ns: {}", spread(summary))),
        None => Record::not_run(LAYER, subject, check, NO_ROUND),
    }
}

/// The cell of a cost in nanoseconds.
pub fn cell(series: &[f64]) -> Cell {
    Cell::measured(summarize(series).ok_or_else(|| NO_ROUND.to_owned()))
}

const NO_ROUND: &str = "no round counts";

/// What others cost in units of a reference, as clauses: how often as long, and who cannot be told
/// from it. `None` where there are too few rounds to say.
pub fn beside<'a>(
    reference: &[f64],
    others: impl IntoIterator<Item = (&'a str, &'a [f64])>,
) -> Option<String> {
    let (mut longer, mut shorter, mut equal) = (Vec::new(), Vec::new(), Vec::new());
    for (name, series) in others {
        let by_round = ratios(series, reference);
        let times = format!("{name} {}", figure(summarize(&by_round)?.median));
        match effect(&by_round) {
            Effect::Above => longer.push(times),
            Effect::Below => shorter.push(times),
            Effect::None => equal.push(name.to_owned()),
            Effect::TooFewRounds => return None,
        }
    }
    let clauses = [
        list(&longer).map(|names| format!("{names} times as long")),
        list(&shorter).map(|names| format!("only {names} times as long")),
        list(&equal).map(|names| format!("{names} as long within the noise")),
    ];
    let clauses: Vec<String> = clauses.into_iter().flatten().collect();
    (!clauses.is_empty()).then(|| clauses.join("; "))
}

/// A range as it was published.
pub fn printed([low, high]: [f64; 2]) -> String {
    if low < high {
        format!("{low}–{high}")
    } else {
        format!("about {low}")
    }
}

/// How many of the published ranges the medians lie in, and which do not: what was measured, its
/// rounds, and the range in nanoseconds. `None` where there are too few rounds to say.
pub fn beside_tutorial<'a>(
    lines: impl IntoIterator<Item = (String, &'a [f64], [f64; 2])>,
) -> Option<String> {
    let (mut within, mut faster, mut slower) = (0, Vec::new(), Vec::new());
    for (what, series, range @ [low, high]) in lines {
        let median = summarize(series)
            .filter(|_| series.len() >= FEWEST_ROUNDS)?
            .median;
        let compared = || format!("{what} {} ns instead of {}", figure(median), printed(range));
        // It prints whole nanoseconds.
        match median.round() {
            rounded if rounded < low => faster.push(compared()),
            rounded if rounded > high => slower.push(compared()),
            _ => within += 1,
        }
    }
    let ranges = within + faster.len() + slower.len();
    let clauses = [
        Some(format!("Of {ranges} published ranges {within} hold here")),
        list(&faster).map(|lines| format!("faster: {lines}")),
        list(&slower).map(|lines| format!("slower: {lines}")),
    ];
    let clauses: Vec<String> = clauses.into_iter().flatten().collect();
    (ranges > 0).then(|| clauses.join("; ") + ".")
}

/// Names, as a sentence lists them. `None` if there are none.
pub fn list(names: &[String]) -> Option<String> {
    match names {
        [] => None,
        [one] => Some(one.clone()),
        [most @ .., last] => Some(format!("{} and {last}", most.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_differences_are_named_and_others_are_not() {
        let reference = [1.0, 2.0, 1.0, 1.0, 1.1];
        let double = reference.map(|cost| cost * 2.0);
        let half = reference.map(|cost| cost / 2.0);
        let same = [1.01, 1.98, 1.0, 1.02, 1.09];
        let said = |others: &[(&str, &[f64])]| beside(&reference, others.iter().copied());
        assert_eq!(
            said(&[("a", &double), ("b", &double), ("c", &half), ("d", &same)]).unwrap(),
            "a 2.00 and b 2.00 times as long; only c 0.50 times as long; d as long within the noise"
        );
        assert_eq!(said(&[("d", &same)]).unwrap(), "d as long within the noise");
        assert_eq!(said(&[("a", &double[..3])]), None);
        assert_eq!(said(&[]), None);
    }

    #[test]
    fn what_lies_outside_a_range_is_named_and_what_lies_within_is_not() {
        let costs = [1.4, 1.0, 9.0, 1.3, 1.4];
        let said = |lines: &[(&str, [f64; 2])]| {
            let lines = lines.iter();
            beside_tutorial(lines.map(|(what, range)| (what.to_string(), &costs[..], *range)))
        };
        assert_eq!(
            said(&[
                ("a", [1.0, 2.0]),
                ("b", [2.0, 5.0]),
                ("c", [0.0, 0.5]),
                ("d", [1.0; 2])
            ])
            .unwrap(),
            "Of 4 published ranges 2 hold here; faster: b 1.40 ns instead of 2–5; slower: c \
             1.40 ns instead of 0–0.5."
        );
        let said_of_one = said(&[("a", [1.0, 2.0])]).unwrap();
        assert_eq!(said_of_one, "Of 1 published ranges 1 hold here.");
        assert_eq!(said(&[]), None);
        assert_eq!(
            beside_tutorial([("a".to_owned(), &costs[..3], [1.0; 2])]),
            None
        );
    }

    #[test]
    fn a_cost_without_a_round_is_no_figure() {
        let row = row("what", "how", &[]);
        assert_eq!((row.count, row.reason.as_deref()), (None, Some(NO_ROUND)));
        assert_eq!(cell(&[]), Cell::missing(NO_ROUND));
    }
}
