//! Texts that describe a payload, or nearly do, and which of them do, by the rules written a second time.

use crate::item::mix;

/// The bytes and the fields that a description has at most, and the bytes of a name.
const MAX_LEN: usize = 65_536;
const MAX_FIELDS: usize = 1024;
const MAX_NAME: usize = 255;

/// This machine's byte order, as a description has it, and the other one.
pub(crate) const ORDERS: [&str; 2] = if cfg!(target_endian = "little") {
    ["little", "big"]
} else {
    ["big", "little"]
};

/// The bytes of an item of which this is the description; `None` if it is none. The rules of
/// `ringproof::shape`, said once more: what its parser makes of lines and words, and then compares
/// with what it would have written, is taken off the front here, byte by byte.
pub(crate) fn described(text: &[u8]) -> Option<u64> {
    let mut rest = Rest(text);
    rest.word(b"ringproof-shape 1 ")?;
    rest.word(b"little ").or_else(|| rest.word(b"big "))?;
    let size = rest.number()?;
    rest.word(b"\n")?;
    let mut names = Vec::new();
    let mut end = 0;
    while !rest.0.is_empty() {
        names.push(rest.name()?);
        rest.word(b" ")?;
        let offset = rest.number()?;
        rest.word(b" ")?;
        let width = rest.kind()?;
        let count = match rest.word(b"x") {
            Some(()) => rest.number().filter(|count| *count >= 2)?,
            None => 1,
        };
        rest.word(b"\n")?;
        if offset < end {
            return None;
        }
        // No product of two 64-bit numbers and no sum of two such products is too large.
        end = offset + width * count;
        if end > size {
            return None;
        }
    }
    let fields = names.len();
    names.sort_unstable();
    names.dedup();
    let bounded = (1..=MAX_FIELDS).contains(&fields) && text.len() <= MAX_LEN;
    (bounded && names.len() == fields).then_some(size as u64)
}

/// What is left of a text.
struct Rest<'t>(&'t [u8]);

impl<'t> Rest<'t> {
    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(word)?;
        Some(())
    }

    /// The first `len` bytes.
    fn take(&mut self, len: usize) -> &'t [u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    /// A 64-bit number as it is written, and in no other way.
    fn number(&mut self) -> Option<u128> {
        let len = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        let digits = self.take(len);
        if !(1..=20).contains(&len) || (len > 1 && digits[0] == b'0') {
            return None;
        }
        let more = |number: u128, digit: &u8| number * 10 + u128::from(digit - b'0');
        let number = digits.iter().fold(0, more);
        (number <= u128::from(u64::MAX)).then_some(number)
    }

    /// The bytes of one of a kind.
    fn kind(&mut self) -> Option<u128> {
        let letter = self.take(self.0.len().min(1));
        let widths: &[u128] = match letter {
            b"u" | b"i" => &[8, 16, 32, 64, 128],
            b"f" => &[32, 64],
            _ => return None,
        };
        let bits = self.number()?;
        widths.contains(&bits).then_some(bits / 8)
    }

    fn name(&mut self) -> Option<&'t [u8]> {
        /// What stands before the next byte.
        enum Before {
            Nothing,
            Identifier,
            Bracket,
            Index,
            Element,
        }
        use Before::*;

        let mut before = Nothing;
        let len = self.0.iter().position(|byte| *byte == b' ')?;
        let name = self.take(len);
        for byte in name {
            before = match (before, byte) {
                (Nothing | Identifier, b'A'..=b'Z' | b'a'..=b'z' | b'_') => Identifier,
                (Identifier, b'0'..=b'9') => Identifier,
                (Identifier | Element, b'.') => Nothing,
                (Identifier | Element, b'[') => Bracket,
                (Bracket | Index, b'0'..=b'9') => Index,
                (Index, b']') => Element,
                _ => return None,
            };
        }
        (len <= MAX_NAME && matches!(before, Identifier | Element)).then_some(name)
    }
}

/// A description of every part that one may have, of an item of 64 bytes.
fn rich() -> String {
    format!(
        "ringproof-shape 1 {} 64\nseq 0 u64\nlegs[0].qty 8 u32\nlegs[0].px 12 f32x3\n\
         legs[1].qty 24 u32\nlegs[1].px 28 f32x3\ntag 40 u8x8\nbig 48 i128\n",
        ORDERS[0]
    )
}

/// What a word of a description is replaced by: numbers at their limits and written in other ways,
/// kinds that there are or might be, and names that end a line, or say something to a terminal. A bar stands between
/// two.
const WORDS: &str = "\
    | |0|1|2|7|8|9|32|63|1048576|1048577|00|08|+8|-1|0x8|8.0|1e1|9223372036854775808\
    |18446744073709551608|18446744073709551615|18446744073709551616\
    |340282366920938463463374607431768211456|u8|i64|f64|u64x1|u64x0|u64x|u64x2|u64x02|u8x+2\
    |u64x2305843009213693952|u8x18446744073709551615|u65|U64|f16|x4|big|little|seq|a|1a|a..b\
    |a[]|a[00].b_3|a[0]b|a b|a\tb|a\rb|a\nb|a\0|a\u{7f}|\u{1b}[2J\u{1b}]0;title\u{7}\
    |\u{e4}\u{9b}31m";

/// A text as lines of words.
type Lines = Vec<Vec<Vec<u8>>>;

fn lines(text: &[u8]) -> Lines {
    let lines = text.strip_suffix(b"\n").unwrap_or(text);
    let words = |line: &[u8]| line.split(|b| *b == b' ').map(<[u8]>::to_vec).collect();
    lines.split(|b| *b == b'\n').map(words).collect()
}

fn joined(lines: &Lines) -> Vec<u8> {
    let line = |words: &Vec<Vec<u8>>| [words.join(&b' '), b"\n".to_vec()].concat();
    lines.iter().flat_map(line).collect()
}

/// A change to one of the lines, and, as far as it has one, to one of its words.
#[derive(Clone, Copy)]
enum Change {
    Drop,
    Repeat,
    /// With the next one.
    Swap,
    Replace(usize, &'static str),
}

impl Change {
    fn apply(self, lines: &mut Lines, line: usize) {
        match self {
            Change::Drop => drop(lines.remove(line)),
            Change::Repeat => lines.insert(line, lines[line].clone()),
            Change::Swap => {
                let next = (line + 1) % lines.len();
                lines.swap(line, next);
            }
            Change::Replace(word, by) => lines[line][word] = by.into(),
        }
    }
}

/// What does not begin or end, or is not written, as a description is.
fn otherwise_written(good: &str) -> Vec<Vec<u8>> {
    let (title, fields) = good.split_once('\n').unwrap_or_default();
    let mut texts = Vec::new();
    for (from, to) in [
        ("ringproof-shape 1", "ringproof-shape 0"),
        ("ringproof-shape 1", "ringproof-shape 01"),
        ("ringproof-shape 1", "ringproof-shape 2"),
        ("ringproof-shape 1", "ringproof-shape 1.0"),
        ("ringproof-shape 1", "RINGPROOF-SHAPE 1"),
        ("ringproof-shape 1", "\u{feff}ringproof-shape 1"),
        (ORDERS[0], ORDERS[1]),
        (" ", "  "),
        (" ", "\t"),
        (" ", "\u{a0}"),
        ("\n", "\r\n"),
        ("\n", "\n\n"),
        ("\n", " \n"),
        ("\n", "\n "),
        ("\n", "\0"),
    ] {
        texts.push(good.replace(from, to));
    }
    texts.push(good.trim_end().to_owned());
    texts.push(format!("{good}\0"));
    texts.push(format!("{good}{good}"));
    texts.push(format!("{good}{fields}"));
    texts.push(format!("{title}\n"));
    texts.push(fields.to_owned());
    texts.into_iter().map(String::into_bytes).collect()
}

/// As many fields of a byte each, in an item that has room for one more than a description may
/// have.
pub(crate) fn of_fields(count: usize) -> Vec<u8> {
    let fields = (0..count).map(|field| format!("f{field} {field} u8\n"));
    let fields: String = fields.collect();
    format!("ringproof-shape 1 {} 1025\n{fields}", ORDERS[0]).into_bytes()
}

/// A description of as many bytes, or more than one may have. Its names are as long as names may
/// be, and alike up to their ends: nothing takes longer to compare.
pub(crate) fn of_len(len: usize) -> Vec<u8> {
    let mut text = format!("ringproof-shape 1 {} 1024\n", ORDERS[0]);
    let mut field = 0;
    while text.len() < len {
        let rest = format!(" {field} u8\n");
        let room = len.saturating_sub(text.len() + rest.len()).max(6);
        // What is left is room for one more.
        let name = if room > MAX_NAME {
            MAX_NAME.min(room - 20)
        } else {
            room
        };
        text += &format!("a{field:0>width$}{rest}", width = name - 1);
        field += 1;
    }
    text.into_bytes()
}

/// A description of one field, of as many bytes: an item is as large, and has as many values.
pub(crate) fn of_many(count: u64) -> Vec<u8> {
    let order = ORDERS[0];
    let times = match count {
        1 => String::new(),
        _ => format!("x{count}"),
    };
    format!("ringproof-shape 1 {order} {count}\nvalue 0 u8{times}\n").into_bytes()
}

/// Descriptions that are right, and everything that one change makes of them; then what is too
/// large, or nearly.
pub(crate) fn texts(right: &str) -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    for good in [right, &rich()] {
        texts.push(good.as_bytes().to_vec());
        let unchanged = lines(good.as_bytes());
        for (line, words) in unchanged.iter().enumerate() {
            let replaced = (0..words.len())
                .flat_map(|word| WORDS.split('|').map(move |by| Change::Replace(word, by)));
            for change in [Change::Drop, Change::Repeat, Change::Swap]
                .into_iter()
                .chain(replaced)
            {
                let mut lines = unchanged.clone();
                change.apply(&mut lines, line);
                texts.push(joined(&lines));
            }
        }
        texts.extend(otherwise_written(good));
    }
    let name = |len| format!("ringproof-shape 1 {} 8\n{:a>len$} 0 u64\n", ORDERS[0], "");
    texts.extend([MAX_NAME, MAX_NAME + 1, 65_000].map(|len| name(len).into_bytes()));
    texts.extend([MAX_FIELDS, MAX_FIELDS + 1].map(of_fields));
    texts.extend([MAX_LEN - 1, MAX_LEN, MAX_LEN + 1, MAX_LEN + 64].map(of_len));
    for byte in *b"\n 9a.[\0\xff" {
        texts.push(vec![byte; MAX_LEN]);
        texts.push([right.as_bytes(), &vec![byte; MAX_LEN - right.len()]].concat());
    }
    texts.push(of_many(1 << 20));
    texts.push(Vec::new());
    texts
}

/// A description with a few changes, or some of its bytes changed as well.
pub(crate) fn changed(right: &str, seed: u64) -> Vec<u8> {
    let words: Vec<_> = WORDS.split('|').collect();
    let mut drawn = 0;
    let mut below = |limit: usize| {
        drawn += 1;
        (mix(seed ^ mix(drawn)) >> 8) as usize % limit
    };
    let good = if below(4) == 0 {
        right.to_owned()
    } else {
        rich()
    };
    let mut lines = lines(good.as_bytes());
    for _ in 0..1 + below(4) {
        if lines.is_empty() {
            break;
        }
        let line = below(lines.len());
        let change = match below(8) {
            0 => Change::Drop,
            1 => Change::Repeat,
            2 => Change::Swap,
            _ => Change::Replace(below(lines[line].len()), words[below(words.len())]),
        };
        change.apply(&mut lines, line);
    }
    let mut text = joined(&lines);
    for _ in 0..below(8).saturating_sub(5) {
        if !text.is_empty() {
            let at = below(text.len());
            text[at] = below(256) as u8;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_are_right_and_wrong() {
        let right = format!("ringproof-shape 1 {} 8\nvalue 0 u64\n", ORDERS[0]);
        assert_eq!(described(right.as_bytes()), Some(8));
        assert_eq!(described(rich().as_bytes()), Some(64));
        for (text, expected) in [
            (of_fields(1024), true),
            (of_fields(1025), false),
            (of_len(65_535), true),
            (of_len(65_536), true),
            (of_len(65_537), false),
        ] {
            assert_eq!(described(&text).is_some(), expected, "{}", text.len());
        }
        for len in [600, 4096, 65_535, 65_536, 65_537] {
            assert_eq!(of_len(len).len(), len);
        }
        let good = texts(&right)
            .iter()
            .filter(|text| described(text).is_some())
            .count();
        assert!(good > 100, "{good}");
        let good = (0..1000).filter(|seed| described(&changed(&right, *seed)).is_some());
        let good = good.count();
        assert!((10..990).contains(&good), "{good}");
    }
}
