//! Numbers and words as people read them, and foreign text made fit to be shown.

use ringproof_record::{Record, Verdict};

/// The number with a comma before every third digit from the right.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 site`, `2 sites`.
pub fn plural(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

/// A verdict as people say it.
pub fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::NotRun => "not run",
        Verdict::Failed => "failed",
    }
}

/// A verdict as a sign.
pub fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "✓",
        Verdict::NotRun => "–",
        Verdict::Failed => "✗",
    }
}

/// How much a row tried, with its unit; nothing where it counts nothing.
pub fn amount(row: &Record) -> Option<String> {
    let count = thousands(row.count?);
    Some(match &row.unit {
        Some(unit) => format!("{count} {unit}"),
        None => count,
    })
}

/// The first line of a text, cut after so many characters.
pub fn shorten(text: &str, longest: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// The text without what could steer a terminal: a tab becomes a space, any other control
/// character but the line break the replacement character, so that columns stay columns.
pub fn plain(text: &str) -> String {
    let plain = |letter: char| match letter {
        '\n' => '\n',
        '\t' => ' ',
        letter if letter.is_control() => char::REPLACEMENT_CHARACTER,
        letter => letter,
    };
    text.chars().map(plain).collect()
}

/// A row in which every text is [`plain`].
pub fn plain_row(row: Record) -> Record {
    let plain_option = |text: Option<String>| text.as_deref().map(plain);
    Record {
        layer: plain(&row.layer),
        subject: plain(&row.subject),
        check: plain(&row.check),
        verdict: row.verdict,
        count: row.count,
        unit: plain_option(row.unit),
        reason: plain_option(row.reason),
        repeat: plain_option(row.repeat),
        trace: plain_option(row.trace),
        table: plain_option(row.table),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_from_the_right() {
        assert_eq!(thousands(7), "7");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1000), "1,000");
        assert_eq!(thousands(12_345_678), "12,345,678");
    }

    #[test]
    fn only_a_long_text_is_cut() {
        assert_eq!(shorten("überlang", 4), "über…");
        assert_eq!(shorten("über", 4), "über");
        assert_eq!(shorten("one\ntwo", 9), "one");
    }

    #[test]
    fn nothing_that_steers_a_terminal_is_left_in_any_text() {
        let bad = "a\u{1b}[2J\tb\u{9b}\r\nc";
        let good = "a\u{fffd}[2J b\u{fffd}\u{fffd}\nc";
        let row = Record::failed(bad, bad, bad, bad)
            .count(1, bad)
            .repeat(bad)
            .trace(bad);
        let expected = Record::failed(good, good, good, good)
            .count(1, good)
            .repeat(good)
            .trace(good);
        assert_eq!(plain_row(row), expected);
    }
}
