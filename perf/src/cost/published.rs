//! Published costs beside those of this machine. Nothing here measures anything.

use crate::comparison::list;
use crate::stats::{FEWEST_ROUNDS, summarize};
use crate::table::{Cell, figure};

/// The cell of a published range, if there is one.
pub fn cell(range: Option<[f64; 2]>) -> Cell {
    range.map_or(Cell::words("no figure"), |range| {
        Cell::figure(printed(range))
    })
}

/// A range as it was published.
fn printed([low, high]: [f64; 2]) -> String {
    match low < high {
        true => format!("{low}–{high}"),
        false => format!("about {low}"),
    }
}

/// How many of the published ranges the medians lie in, and which do not: what was measured, its
/// rounds, and the range in nanoseconds. `None` where there are too few rounds to say.
pub fn that_hold<'a>(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_a_range_is_named_and_what_lies_within_is_not() {
        let costs = [1.4, 1.0, 9.0, 1.3, 1.4];
        let said = |lines: &[(&str, [f64; 2])]| {
            let lines = lines.iter();
            that_hold(lines.map(|(what, range)| (what.to_string(), &costs[..], *range)))
        };
        let ranges = [
            ("a", [1.0, 2.0]),
            ("b", [2.0, 5.0]),
            ("c", [0.0, 0.5]),
            ("d", [1.0; 2]),
        ];
        assert_eq!(
            said(&ranges).unwrap(),
            "Of 4 published ranges 2 hold here; faster: b 1.40 ns instead of 2–5; slower: c \
             1.40 ns instead of 0–0.5."
        );
        let said_of_one = said(&[("a", [1.0, 2.0])]).unwrap();
        assert_eq!(said_of_one, "Of 1 published ranges 1 hold here.");
        assert_eq!(said(&[]), None);
        assert_eq!(that_hold([("a".to_owned(), &costs[..3], [1.0; 2])]), None);
    }
}
