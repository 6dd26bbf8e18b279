//! Text from others on a terminal.
//!
//! Anybody may make a segment, and any process may call itself anything: a name can hold line feeds
//! that forge lines, escape sequences that change the terminal, characters that reverse the reading
//! order. So no character that is not printable is printed, and a name that could be taken for
//! something else is quoted, as `ls` does it: what is shown can be given to a shell.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character stands for itself on a terminal.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return c == ' ' || c.is_ascii_graphic();
    }
    // Letters to Unicode, and blank: the fillers of Hangul.
    if matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}') {
        return false;
    }
    // Behind another character: an accent on that is nothing to escape.
    let text = ['x', c].iter().collect::<String>();
    text.escape_debug().eq(text.chars())
}

/// Whether a character means nothing to a shell, wherever it stands in a word, and nothing in a
/// sentence.
fn is_plain(c: char) -> bool {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => true,
        _ => "-_.:@%+/".contains(c) || (!c.is_ascii() && c.is_alphanumeric() && is_printable(c)),
    }
}

/// The character as a shell's `$'…'` has it: what is not printable byte by byte.
fn escape(text: &mut String, c: char) {
    match c {
        '\n' => text.push_str("\\n"),
        '\t' => text.push_str("\\t"),
        '\r' => text.push_str("\\r"),
        _ => {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(text, "\\{byte:03o}");
            }
        }
    }
}

/// A text of which only these characters are kept, and each other one is escaped so.
fn escaped(
    text: &str,
    is_kept: impl Fn(char) -> bool,
    escape: impl Fn(&mut String, char),
) -> Cow<'_, str> {
    if text.chars().all(&is_kept) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_kept(c) {
            shown.push(c);
        } else {
            escape(&mut shown, c);
        }
    }
    Cow::Owned(shown)
}

/// A line of text without anything that a terminal would not just show.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escaped(text, is_printable, escape)
}

/// A name, in quotes unless it is a plain word.
pub(crate) fn name(name: &str) -> Cow<'_, str> {
    if !name.is_empty() && name.chars().all(is_plain) {
        return Cow::Borrowed(name);
    }
    if !name.contains('\'') && name.chars().all(is_printable) {
        return Cow::Owned(format!("'{name}'"));
    }
    let mut shown = String::from("$'");
    for c in name.chars() {
        match c {
            '\'' | '\\' => shown.extend(['\\', c]),
            _ if is_printable(c) => shown.push(c),
            _ => escape(&mut shown, c),
        }
    }
    shown.push('\'');
    Cow::Owned(shown)
}

/// A name as an argument of a command to be given to a shell.
pub(crate) fn argument(name: &str) -> String {
    let options_end = if name.starts_with('-') { "-- " } else { "" };
    format!("{options_end}{}", self::name(name))
}

/// JSON with nothing in it that a terminal would not just show: its strings may have what JSON
/// allows and a terminal obeys. Nothing outside of them is changed.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    let is_kept = |c| c == '\n' || is_printable(c);
    escaped(text, is_kept, |shown, c| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(shown, "\\u{unit:04x}");
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a terminal obeys, or what changes how the rest is read.
    const TRICKS: [&str; 9] = [
        "\x1b[8m",  // an escape sequence: invisible from here
        "\u{9b}8m", // the same in one character
        "\x07",     // the bell
        "\x08\x08", // backspaces
        "\r",       // writes over the line
        "\n",       // another line
        "\x7f",     // delete
        "\u{202e}", // right to left
        "\u{2028}", // another line, to some
    ];

    #[test]
    fn a_plain_name_is_shown_as_it_is() {
        for plain in ["news", "a-1_b.c:d@e%f+g/h", "né", "новости", "日本"] {
            assert_eq!(name(plain), plain);
        }
    }

    #[test]
    fn other_names_are_quoted_as_for_a_shell() {
        for (given, expected) in [
            ("", "''"),
            ("two words", "'two words'"),
            ("e\u{301}", "'e\u{301}'"),
            ("real  ring, its producer", "'real  ring, its producer'"),
            ("a), process 1 (init", "'a), process 1 (init'"),
            ("$(reboot)", "'$(reboot)'"),
            ("back\\slash", "'back\\slash'"),
            ("it's", "$'it\\'s'"),
            ("a\nb\\", "$'a\\nb\\\\'"),
            ("x\x1b[8m1", "$'x\\033[8m1'"),
            ("\u{9b}1", "$'\\302\\2331'"),
            ("\u{202e}", "$'\\342\\200\\256'"),
            ("a\u{3164}b", "$'a\\343\\205\\244b'"),
            ("a\u{ffa0}", "$'a\\357\\276\\240'"),
        ] {
            assert_eq!(name(given), expected, "{given:?}");
        }
        assert_eq!(argument("-n x"), "-- '-n x'");
        assert_eq!(argument("news"), "news");
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        for trick in TRICKS {
            let text = format!("before{trick}after");
            for shown in [line(&text), name(&text), json(&text)] {
                let left = shown.chars().find(|c| !is_printable(*c));
                assert!(
                    left.is_none() || (trick == "\n" && left == Some('\n')),
                    "{trick:?}: {shown:?}"
                );
                assert!(shown.contains("before") && shown.contains("after"));
            }
            assert!(!line(&text).contains('\n') && !name(&text).contains('\n'));
        }
    }

    proptest! {
        #[test]
        fn json_means_the_same(text in any::<String>(), trick in 0..TRICKS.len()) {
            let value = serde_json::json!({ "name": format!("{text}{}", TRICKS[trick]) });
            let plain = serde_json::to_string_pretty(&value).unwrap();
            let shown = json(&plain);
            prop_assert!(shown.chars().all(|c| c == '\n' || is_printable(c)));
            let back: serde_json::Value = serde_json::from_str(&shown).unwrap();
            prop_assert_eq!(back, value);
        }

        /// Whatever the name, a shell makes the same of what is shown.
        #[test]
        fn quotes_keep_a_name_together(text in "[^\0]{1,20}", trick in 0..TRICKS.len()) {
            for given in [text.clone(), format!("{text}{}", TRICKS[trick])] {
                let shown = name(&given);
                prop_assert!(shown.chars().all(is_printable));
                prop_assert_eq!(unquoted(&shown), given);
            }
        }
    }

    /// What a shell makes of a word.
    fn unquoted(word: &str) -> String {
        let Some(inside) = word.strip_prefix("$'").and_then(|w| w.strip_suffix('\'')) else {
            let inside = word.strip_prefix('\'').and_then(|w| w.strip_suffix('\''));
            return inside.unwrap_or(word).to_owned();
        };
        let mut bytes = Vec::new();
        let mut rest = inside.as_bytes();
        while let [first, after @ ..] = rest {
            rest = after;
            if *first != b'\\' {
                bytes.push(*first);
                continue;
            }
            let digits: Vec<_> = after.iter().take(3).copied().collect();
            if let Ok(Ok(byte)) = str::from_utf8(&digits).map(|d| u8::from_str_radix(d, 8)) {
                bytes.push(byte);
                rest = &after[3..];
                continue;
            }
            bytes.push(match after[0] {
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                other => other,
            });
            rest = &after[1..];
        }
        String::from_utf8(bytes).unwrap()
    }
}
