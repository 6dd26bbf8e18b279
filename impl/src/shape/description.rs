//! The text that describes a payload: made, read back from anywhere, and compared.
//!
//! ASCII, each line ended by a line feed. The first says the version of the text, the byte order
//! of the fields and the bytes of an item; every other one a field, in order of their offsets: its
//! name, its offset, its kind and, if they are several, `x` and how many.
//!
//! ```text
//! ringproof-shape 1 little 32
//! seq 0 u64
//! venue 8 u8x8
//! legs[0].qty 16 u32
//! ```

// Trees: a hash would ask the system for random numbers first, and attaching has calls enough.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Fields, Leaf, Primitive, Shape};

/// The bytes that a description has at most.
pub const MAX_LEN: usize = 1 << 16;

/// The fields that a description has at most.
pub const MAX_FIELDS: usize = 1024;

/// The bytes that a field's name has at most.
pub const MAX_NAME: usize = 255;

/// How the first line begins.
const TITLE: &str = "ringproof-shape 1";

/// What a payload is made of. Whatever it was made from, it keeps its bounds: fields in order,
/// within the item, none over another, each with a name of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    order: ByteOrder,
    size: u64,
    fields: Vec<Field>,
}

/// Which end of a number its first byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// The low one.
    Little,
    /// The high one.
    Big,
}

impl ByteOrder {
    /// This machine's.
    pub const NATIVE: ByteOrder = if cfg!(target_endian = "little") {
        ByteOrder::Little
    } else {
        ByteOrder::Big
    };

    /// Its name in a description.
    pub const fn name(self) -> &'static str {
        match self {
            ByteOrder::Little => "little",
            ByteOrder::Big => "big",
        }
    }
}

/// A field that is a primitive, or an array of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, after those of what it lies in: `legs[0].qty`.
    pub name: String,
    /// Where it begins in the item.
    pub offset: u64,
    /// What it is, and how many.
    pub leaf: Leaf,
}

impl Field {
    /// Where it ends, if it ends anywhere.
    pub(crate) fn end(&self) -> Option<u64> {
        let len = self.leaf.count.checked_mul(self.leaf.kind.size())?;
        self.offset.checked_add(len)
    }

    fn parse(line: &str) -> Option<Field> {
        let mut words = line.split(' ');
        let (name, offset, kind) = (words.next()?, words.next()?, words.next()?);
        let (kind, count) = kind.split_once('x').unwrap_or((kind, "1"));
        let known = Primitive::ALL.iter().find(|known| known.name() == kind);
        let field = Field {
            name: name.to_owned(),
            offset: offset.parse().ok()?,
            leaf: Leaf {
                kind: *known?,
                count: count.parse().ok()?,
            },
        };
        words.next().is_none().then_some(field)
    }

    /// What is said of it where it is not as it should be.
    fn place(&self) -> String {
        format!("offset {}, {}", self.offset, self.leaf)
    }
}

/// `u32`, or `u32x4`. An array of one is written as what it is an array of: the bytes are the same,
/// and C cannot tell them apart.
impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        match self.count {
            1 => Ok(()),
            count => write!(f, "x{count}"),
        }
    }
}

/// Why something is no description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct DescriptionError {
    problem: String,
}

fn problem<T>(problem: impl Into<String>) -> Result<T, DescriptionError> {
    Err(DescriptionError {
        problem: problem.into(),
    })
}

impl Description {
    /// Describes `T`.
    ///
    /// # Errors
    /// [`DescriptionError`] if it is too large or too deep for the bounds of a description, or
    /// says of itself what cannot be.
    pub fn of<T: Shape>() -> Result<Description, DescriptionError> {
        let mut fields = Fields::default();
        T::visit(&mut fields);
        Description::new(size_of::<T>() as u64, fields.found)
    }

    /// Describes what is known only while the program runs: these fields, in order, in an item of
    /// `size` bytes of this machine's order.
    ///
    /// # Errors
    /// [`DescriptionError`] if they are not what fields can be, or too many.
    ///
    /// ```
    /// use ringproof::shape::{Description, Field, Leaf, Primitive};
    ///
    /// let leaf = Leaf { kind: Primitive::F64, count: 2 };
    /// let field = Field { name: "px".to_owned(), offset: 0, leaf };
    /// assert_eq!(Description::new(16, vec![field])?, Description::parse(
    ///     Description::of::<[f64; 2]>()?.to_string().replace("value", "px").as_bytes(),
    /// )?);
    /// # Ok::<(), ringproof::shape::DescriptionError>(())
    /// ```
    pub fn new(size: u64, fields: Vec<Field>) -> Result<Description, DescriptionError> {
        Description {
            order: ByteOrder::NATIVE,
            size,
            fields,
        }
        .checked()
    }

    /// Reads a description, whoever wrote it. It takes time and memory in proportion to its
    /// length, which is bounded.
    ///
    /// # Errors
    /// [`DescriptionError`] unless the bytes are exactly what a description is rendered as.
    pub fn parse(text: &[u8]) -> Result<Description, DescriptionError> {
        if text.len() > MAX_LEN {
            return problem(format!("it has {} bytes, of {MAX_LEN} at most", text.len()));
        }
        let Some(text) = str::from_utf8(text).ok().filter(|text| text.is_ascii()) else {
            return problem("it is not ASCII");
        };
        let Some(lines) = text.strip_suffix('\n') else {
            return problem("its last line is not ended");
        };
        let mut lines = (1..).zip(lines.split('\n'));
        let first = lines.next().map_or("", |(_, line)| line);
        let rest = first.strip_prefix(TITLE).and_then(|r| r.strip_prefix(' '));
        let Some((order, size)) = rest.and_then(|rest| rest.split_once(' ')) else {
            return problem(format!("it does not begin with `{TITLE}`"));
        };
        let order = match order {
            "little" => ByteOrder::Little,
            "big" => ByteOrder::Big,
            _ => return problem("line 1: the byte order is neither `little` nor `big`"),
        };
        let Ok(size) = size.parse() else {
            return problem("line 1: the size is no number");
        };
        let mut fields = Vec::new();
        for (number, line) in lines {
            let Some(field) = Field::parse(line) else {
                return problem(format!("line {number} describes no field"));
            };
            if fields.len() == MAX_FIELDS {
                return problem(format!("it has more than {MAX_FIELDS} fields"));
            }
            fields.push(field);
        }
        let description = Description {
            order,
            size,
            fields,
        }
        .checked()?;
        // What says the same in another way, as `+8` or `u8x1`, would be another fingerprint.
        if description.to_string() != text {
            return problem("it is not written in the one way that there is");
        }
        Ok(description)
    }

    fn checked(self) -> Result<Description, DescriptionError> {
        if self.fields.is_empty() {
            return problem("it has no fields");
        }
        if self.fields.len() > MAX_FIELDS {
            return problem(format!("it has more than {MAX_FIELDS} fields"));
        }
        let mut names = BTreeSet::new();
        let mut end = 0;
        for field in &self.fields {
            let name = &field.name;
            if name.len() > MAX_NAME {
                return problem(format!(
                    "a field's name has {} bytes, of {MAX_NAME} at most",
                    name.len()
                ));
            }
            if !name.split('.').all(is_step) {
                return problem(format!("{name:?} is no name of a field"));
            }
            if !names.insert(name) {
                return problem(format!("there are two fields {name:?}"));
            }
            if field.leaf.count == 0 {
                return problem(format!("field {name:?} has no elements"));
            }
            if field.offset < end {
                return problem(format!("field {name:?} begins within the one before it"));
            }
            end = match field.end() {
                Some(end) if end <= self.size => end,
                _ => {
                    return problem(format!(
                        "field {name:?} does not end within {} bytes",
                        self.size
                    ));
                }
            };
        }
        let len = self.to_string().len();
        if len > MAX_LEN {
            return problem(format!("it has {len} bytes, of {MAX_LEN} at most"));
        }
        Ok(self)
    }

    /// The byte order of the fields.
    pub fn order(&self) -> ByteOrder {
        self.order
    }

    /// The bytes of an item.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The fields, in order of their offsets.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The fingerprint of its text: 64-bit FNV-1a, where 0 becomes 1.
    pub fn fingerprint(&self) -> u64 {
        fingerprint(self.to_string().as_bytes())
    }

    /// What differs between this program's description and a segment's: the field that comes first
    /// in the item first. Empty if nothing does.
    pub fn diff(&self, segment: &Description) -> Vec<String> {
        let theirs = by_name(segment);
        let ours = by_name(self);
        let mut hint = self
            .explains_i386(segment)
            .then_some(" (a 32-bit x86 layout puts 8-byte fields on 4-byte boundaries)");
        let mut found = Vec::new();
        for field in &self.fields {
            let there = match theirs.get(&*field.name) {
                Some(other) if *other == field => continue,
                Some(other) if other.offset == field.offset => other.place() + " in the segment",
                Some(other) => other.place() + " in the segment" + hint.take().unwrap_or_default(),
                None => "not in the segment".to_owned(),
            };
            let (name, here) = (&field.name, field.place());
            found.push((
                field.offset,
                format!("field {name:?}: {here} here; {there}"),
            ));
        }
        for field in segment
            .fields
            .iter()
            .filter(|it| !ours.contains_key(&*it.name))
        {
            let (name, there) = (&field.name, field.place());
            let line = format!("field {name:?}: not here; {there} in the segment");
            found.push((field.offset, line));
        }
        found.sort_by_key(|(offset, _)| *offset);
        let mut lines: Vec<_> = found.into_iter().map(|(_, line)| line).collect();
        if self.order != segment.order {
            // First: it is why every field differs that looks the same.
            let (here, there) = (self.order.name(), segment.order.name());
            lines.insert(
                0,
                format!("byte order: {here} here; {there} in the segment"),
            );
        }
        if self.size != segment.size {
            let (here, there) = (self.size, segment.size);
            lines.push(format!("size: {here} here; {there} in the segment"));
        }
        lines
    }

    /// Whether the fields that both have lie as 64-bit compilers put them on one side, and on the
    /// other as 32-bit x86 ones do. (Fields that one side alone has, and bytes of which there are not
    /// as many, are padding, or the diff says enough. Structs within the struct are taken apart, so
    /// some such layouts are not known.)
    fn explains_i386(&self, segment: &Description) -> bool {
        let theirs = by_name(segment);
        let (ours, theirs): (Vec<_>, Vec<_>) = self
            .fields
            .iter()
            .filter_map(|field| Some((field, *theirs.get(&*field.name)?)))
            .filter(|(field, other)| !are_paddings(field.leaf, other.leaf))
            .unzip();
        let same = |(one, other): (&&Field, &&Field)| one.leaf == other.leaf;
        ours.iter().zip(&theirs).all(same)
            && ((lie_aligned(&ours, 8) && lie_aligned(&theirs, 4))
                || (lie_aligned(&ours, 4) && lie_aligned(&theirs, 8)))
    }
}

/// Whether they can be what fills two different gaps before the same field.
fn are_paddings(one: Leaf, other: Leaf) -> bool {
    let is_bytes = |leaf: Leaf| leaf.kind == Primitive::U8;
    is_bytes(one) && is_bytes(other) && one.count != other.count
}

/// Whether each field lies at the first place after the one before it that is a multiple of its
/// size, or, for one of 8 bytes, of `eight`.
fn lie_aligned(fields: &[&Field], eight: u64) -> bool {
    let mut end = 0_u64;
    fields.iter().all(|field| {
        let size = field.leaf.kind.size();
        let align = if size == 8 { eight } else { size };
        let fits = end.checked_next_multiple_of(align) == Some(field.offset);
        end = field.end().unwrap_or(u64::MAX);
        fits
    })
}

fn by_name(description: &Description) -> BTreeMap<&str, &Field> {
    let fields = description.fields.iter();
    fields.map(|field| (&*field.name, field)).collect()
}

/// An identifier, and after it any number of indices.
fn is_step(step: &str) -> bool {
    let (name, indices) = step.split_at(step.find('[').unwrap_or(step.len()));
    let mut letters = name.bytes();
    let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    if !letters.next().is_some_and(first) || !letters.all(|b| first(b) || b.is_ascii_digit()) {
        return false;
    }
    let Some(inside) = indices.strip_prefix('[').and_then(|i| i.strip_suffix(']')) else {
        return indices.is_empty();
    };
    let number = |index: &str| !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit());
    inside.split("][").all(number)
}

/// The text itself.
impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{TITLE} {} {}", self.order.name(), self.size)?;
        let mut fields = self.fields.iter();
        fields.try_for_each(|field| writeln!(f, "{} {} {}", field.name, field.offset, field.leaf))
    }
}

/// FNV-1a of a description's text; never 0.
pub(crate) fn fingerprint(text: &[u8]) -> u64 {
    let hash = text.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Shape)]
    #[repr(C)]
    #[allow(dead_code, reason = "only its layout matters")]
    struct Leg {
        qty: u32,
        px: [f32; 3],
    }

    #[derive(Shape)]
    #[repr(C)]
    #[allow(dead_code, reason = "only its layout matters")]
    struct Order {
        seq: u64,
        legs: [[Leg; 2]; 1],
        r#type: [[u8; 4]; 2],
        one: [i16; 1],
        rest: [u16; 3],
        none: [u64; 0],
        inner: Newtype,
    }

    #[derive(Shape)]
    #[repr(transparent)]
    struct Newtype([u64; 2]);

    #[derive(Shape)]
    #[repr(C, packed)]
    #[allow(dead_code, reason = "only its layout matters")]
    struct Packed {
        tag: u8,
        seq: u64,
        word: usize,
    }

    /// What follows the first line.
    fn fields_of<T: Shape>() -> Vec<String> {
        let text = Description::of::<T>().expect("a description").to_string();
        text.lines().skip(1).map(str::to_owned).collect()
    }

    #[test]
    fn a_struct_is_described_by_its_leaves() {
        assert_eq!(
            fields_of::<Order>(),
            [
                "seq 0 u64",
                "legs[0][0].qty 8 u32",
                "legs[0][0].px 12 f32x3",
                "legs[0][1].qty 24 u32",
                "legs[0][1].px 28 f32x3",
                "type 40 u8x8",
                "one 48 i16",
                "rest 50 u16x3",
                "inner._0 56 u64x2",
            ]
        );
        let word = format!("word 9 u{}", usize::BITS);
        assert_eq!(fields_of::<Packed>(), ["tag 0 u8", "seq 1 u64", &word]);
        assert_eq!(
            fields_of::<[Newtype; 2]>(),
            ["value[0]._0 0 u64x2", "value[1]._0 16 u64x2"]
        );
    }

    #[test]
    fn what_is_no_struct_has_one_field() {
        assert_eq!(fields_of::<u64>(), ["value 0 u64"]);
        assert_eq!(fields_of::<[[i8; 3]; 5]>(), ["value 0 i8x15"]);
        for kind in Primitive::ALL {
            let text = format!("ringproof-shape 1 little 16\nvalue 0 {}\n", kind.name());
            let read = Description::parse(text.as_bytes()).expect(&text);
            assert_eq!(read.fields()[0].leaf.kind, *kind);
        }
    }

    #[test]
    fn the_fingerprint_is_fnv_1a() {
        // The published values of the hash.
        assert_eq!(fingerprint(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fingerprint(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn what_cannot_be_described_is_refused() {
        for (refused, reason) in [
            (Description::of::<[u64; 0]>(), "no fields"),
            (Description::of::<[Leg; 513]>(), "more than 1024 fields"),
            // Stopped early, not after a thousand million.
            (Description::of::<[Leg; 1 << 30]>(), "more than 1024 fields"),
            (Description::of::<[Nothing; usize::MAX]>(), "no fields"),
        ] {
            let said = refused.expect_err(reason).to_string();
            assert!(said.contains(reason), "{said}");
        }
        Description::of::<[Leg; 512]>().expect("as many fields as there may be");
    }

    #[derive(Shape)]
    #[repr(C)]
    #[allow(dead_code, reason = "only its layout matters")]
    struct Nothing {
        none: [u64; 0],
    }

    /// A type that says of itself what is not so.
    struct Liar;

    impl Shape for Liar {
        type Size = crate::shape::ArrayBytes;

        fn visit(fields: &mut Fields) {
            fields.field::<u64>("a", 8);
        }
    }

    #[test]
    fn a_type_that_lies_is_refused() {
        assert!(Description::of::<Liar>().is_err());
    }

    #[test]
    fn hostile_texts_are_refused_with_the_reason() {
        let long = "a".repeat(256);
        let name = |name: &str| format!("ringproof-shape 1 little 8\n{name} 0 u64\n");
        let many = (0..1025).map(|n| format!("f{n} {n} u8\n"));
        let large = |fields: String| format!("ringproof-shape 1 little 2000\n{fields}");
        let many = large(many.collect());
        let wide = (0..300).map(|n| format!("{}{n:03} {n} u8\n", &long[..250]));
        let wide = large(wide.collect());
        let two = |fields: &str| format!("ringproof-shape 1 little 16\n{fields}");
        let first = |line: &str| format!("ringproof-shape {line}\na 0 u64\n");
        for (text, reason) in [
            (String::new(), "not ended"),
            ("\n".to_owned(), "does not begin"),
            ("ringproof-shape 1 little 8".to_owned(), "not ended"),
            (first("2 little 8"), "does not begin"),
            (first("1 middle 8"), "byte order"),
            (first("1 little"), "does not begin"),
            (first("1 little 8 8"), "no number"),
            (first("1 little -8"), "no number"),
            (two(""), "no fields"),
            (two("\n"), "line 2 describes no field"),
            (two("a 0\n"), "line 2 describes no field"),
            (two("a 0 u64 \n"), "line 2 describes no field"),
            (two("a 0 u64\nb 8 u65\n"), "line 3 describes no field"),
            (two("a 0 u8x\n"), "line 2 describes no field"),
            (
                two("a 18446744073709551616 u8\n"),
                "line 2 describes no field",
            ),
            (two("a 0 u8x0\n"), "no elements"),
            (two("a 0 u8x17\n"), "does not end within 16"),
            (two("a 9 u64\n"), "does not end within 16"),
            (two("a 18446744073709551615 u8\n"), "does not end"),
            (two("a 0 u64x2305843009213693953\n"), "does not end"),
            (two("b 8 u64\na 0 u64\n"), "begins within"),
            (two("a 0 u64\nb 7 u8\n"), "begins within"),
            (two("a 0 u64\na 8 u64\n"), "two fields"),
            (two("a 00 u64\n"), "one way"),
            (two("a +0 u64\n"), "one way"),
            (two("a 0 u64x1\n"), "one way"),
            (two("a 0 u64x02\n"), "one way"),
            (two("a 0 u64\r\n"), "describes no field"),
            (name("ä"), "not ASCII"),
            (name("1a"), "no name"),
            (name(""), "no name"),
            (name("a."), "no name"),
            (name("a..b"), "no name"),
            (name("a[]"), "no name"),
            (name("a[0"), "no name"),
            (name("a[x]"), "no name"),
            (name("a[0]b"), "no name"),
            (name("[0]"), "no name"),
            (name("a\u{7f}"), "no name"),
            (name(&long), "256 bytes, of 255"),
            (many, "more than 1024"),
            (wide, "of 65536 at most"),
        ] {
            let refused = Description::parse(text.as_bytes());
            let said = refused.expect_err(&text).to_string();
            assert!(said.contains(reason), "{text:?}: {said}");
        }
        Description::parse(name(&long[..255]).as_bytes()).expect("the longest name");
        Description::parse(name("_a[0][12].b_3").as_bytes()).expect("a name of every part");
    }

    fn described(text: &str) -> Description {
        Description::parse(text.as_bytes()).expect(text)
    }

    #[test]
    fn a_diff_names_what_differs_and_where() {
        let ours = described("ringproof-shape 1 little 24\na 0 u64\nb 8 u32\nc 16 u64\n");
        assert_eq!(ours.diff(&ours), [""; 0]);
        for (segment, expected) in [
            (
                "ringproof-shape 1 little 24\nb 0 u32\na 8 u64\nc 16 u64\n",
                &[
                    r#"field "a": offset 0, u64 here; offset 8, u64 in the segment"#,
                    r#"field "b": offset 8, u32 here; offset 0, u32 in the segment"#,
                ][..],
            ),
            (
                "ringproof-shape 1 little 24\na 0 u64\nb 8 f32\nc 16 u64\n",
                &[r#"field "b": offset 8, u32 here; offset 8, f32 in the segment"#],
            ),
            (
                "ringproof-shape 1 little 24\na 0 u64\nB 8 u32\nc 16 u64\n",
                &[
                    r#"field "b": offset 8, u32 here; not in the segment"#,
                    r#"field "B": not here; offset 8, u32 in the segment"#,
                ],
            ),
            (
                "ringproof-shape 1 little 32\na 0 u64\nb 8 u32\nc 16 u64\n",
                &["size: 24 here; 32 in the segment"],
            ),
            (
                "ringproof-shape 1 big 24\na 0 u64\nb 8 u32\nc 16 u64x1\n",
                &["byte order: little here; big in the segment"],
            ),
        ] {
            let segment = described(&segment.replace("u64x1", "u64"));
            assert_eq!(ours.diff(&segment), expected);
        }
    }

    #[test]
    fn only_a_32_bit_layout_is_called_one() {
        let hint = "32-bit x86";
        let ours = "ringproof-shape 1 little 24\nkind 0 u32\nseq 8 u64\nlevel 16 u16\n";
        let padded = "ringproof-shape 1 little 24\nkind 0 u32\n_pad 4 u32\nseq 8 u64\nlevel 16 u16\n_end 18 u16x3\n";
        let i386 = "ringproof-shape 1 little 16\nkind 0 u32\nseq 4 u64\nlevel 12 u16\n";
        let both = "ringproof-shape 1 little 24\nkind 0 u32\n_pad 4 u8x4\nseq 8 u64\nlevel 16 u16\n_end 18 u8x6\n";
        let both_i386 =
            "ringproof-shape 1 little 16\nkind 0 u32\nseq 4 u64\nlevel 12 u16\n_end 14 u8x2\n";
        let moved = "ringproof-shape 1 little 24\nkind 0 u32\n_pad 4 u8x2\nseq 8 u64\nlevel 16 u16\n_end 18 u8x6\n";
        let further = "ringproof-shape 1 little 24\nkind 0 u32\nseq 4 u64\nlevel 16 u16\n";
        let other = "ringproof-shape 1 little 16\nkind 0 u32\nseq 4 f64\nlevel 12 u16\n";
        let longer = "ringproof-shape 1 little 32\nkind 0 u32\nseq 8 u64\nlevel 16 u32\n";
        for (here, segment, given) in [
            (ours, i386, true),
            (i386, ours, true),
            (padded, i386, true),
            (both, both_i386, true),
            (both_i386, both, true),
            (both, moved, false),
            (ours, further, false),
            (ours, other, false),
            (ours, longer, false),
        ] {
            let lines = described(here).diff(&described(segment));
            let first = lines.iter().find(|line| line.contains("seq"));
            let found = lines.iter().filter(|line| line.contains(hint)).count();
            assert_eq!(found, usize::from(given), "{lines:?}");
            assert_eq!(
                first.is_some_and(|line| line.contains(hint)),
                given,
                "{lines:?}"
            );
        }
    }
}
