//! What a program of ours answers to a segment that another compiler's program made, and whether
//! that is right.

use std::os::fd::OwnedFd;

use anyhow::{Context, Result, bail, ensure};
use ringproof::layout::{Fixed, HEADER_LEN, Kind, MAGIC, VERSION};
use ringproof::shape::{Description, DescriptionError, Field, Leaf, Primitive, Value};
use ringproof::{Payload, Ring, SegmentError};

use super::compile::Compiled;
use crate::words::sealed_file;

/// The struct as our program has it, with its padding named.
#[derive(Clone, Copy, Debug, PartialEq, Payload)]
#[repr(C)]
pub(super) struct Tick {
    side: i8,
    _pad1: [u8; 7],
    seq: u64,
    venue: i16,
    _pad2: [u8; 2],
    qty: i32,
    price: f64,
}

/// The same as a program for 32-bit x86 has it.
#[derive(Clone, Copy, Debug, PartialEq, Payload)]
#[repr(C, packed(4))]
pub(super) struct NarrowTick {
    side: i8,
    _pad1: [u8; 3],
    seq: u64,
    venue: i16,
    _pad2: [u8; 2],
    qty: i32,
    price: f64,
}

/// What the two items hold that every variant is compiled with.
pub(super) const TRUTH: [[Value; 5]; 2] = [
    [
        Value::Signed(-1),
        Value::Unsigned(20_260_001),
        Value::Signed(12),
        Value::Signed(300),
        Value::Double(101.25),
    ],
    [
        Value::Signed(1),
        Value::Unsigned(20_260_002),
        Value::Signed(13),
        Value::Signed(400),
        Value::Double(99.75),
    ],
];

/// What attaching came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// These items were read.
    Accepted(Vec<Vec<Value>>),
    /// These are the differences.
    Refused(Vec<String>),
}

/// The fields of the first of these items by their description, padding left out.
pub(super) fn values(described: &Description, items: &[u8]) -> Vec<Value> {
    let fields = described.fields().iter();
    let data = fields.filter(|field| !is_padding(&field.name));
    data.flat_map(|field| described.values(field, items))
        .collect()
}

/// Whether a field of this name is padding.
pub(super) fn is_padding(name: &str) -> bool {
    name.starts_with("_pad")
}

/// The description with the gaps between its fields named, as whoever wants such a struct to travel
/// has to name them.
pub(super) fn with_padding_named(described: &Description) -> Result<Description, DescriptionError> {
    let taken = |name: &String| described.fields().iter().any(|field| field.name == *name);
    let mut names = (1..)
        .map(|number| format!("_pad{number}"))
        .filter(|name| !taken(name));
    let mut gap = |from, to| {
        let name = if from == to { None } else { names.next() };
        let leaf = Leaf {
            kind: Primitive::U8,
            count: to - from,
        };
        name.map_or(String::new(), |name| format!("{name} {from} {leaf}\n"))
    };
    let mut text = first_line(described);
    let mut end = 0;
    for field in described.fields() {
        text += &gap(end, field.offset);
        text += &line(field);
        end = field.offset + field.leaf.kind.size() * field.leaf.count;
    }
    text += &gap(end, described.size());
    Description::parse(text.as_bytes())
}

fn first_line(described: &Description) -> String {
    let (order, size) = (described.order().name(), described.size());
    format!("ringproof-shape 1 {order} {size}\n")
}

fn line(field: &Field) -> String {
    format!("{} {} {}\n", field.name, field.offset, field.leaf)
}

/// Lets a program whose payload is a `T`, which is `ours`, attach to a ring of the compiled items,
/// which are `theirs`: written here byte by byte to the wire layout, like that of any language and
/// machine.
pub(super) fn attach<T: Payload>(
    ours: &Description,
    theirs: &Description,
    compiled: &Compiled,
) -> Result<Answer> {
    let fd = segment(theirs, compiled).context("cannot make a segment")?;
    let ring = match Ring::<T>::attach_fd(fd) {
        Ok(ring) => ring,
        Err(SegmentError::Payload { differences, .. }) => return Ok(Answer::Refused(differences)),
        Err(error) => return Err(error.into()),
    };
    let mut consumer = ring.consumer()?;
    let mut items = Vec::new();
    while let Ok(item) = consumer.pop() {
        items.push(values(ours, bytemuck::bytes_of(&item)));
    }
    Ok(Answer::Accepted(items))
}

fn segment(described: &Description, compiled: &Compiled) -> Result<OwnedFd> {
    let text = described.to_string();
    let (size, slots) = (described.size(), 2);
    let data_offset = HEADER_LEN + (text.len() as u64).next_multiple_of(HEADER_LEN);
    let fixed = Fixed {
        magic: MAGIC,
        version: VERSION,
        header_len: HEADER_LEN as u32,
        kind: Kind::Ring as u32,
        flags: 0,
        payload_size: size,
        payload_align: compiled.align,
        slots,
        capacity: slots,
        data_offset,
        segment_len: data_offset + slots * size,
        description_offset: HEADER_LEN,
        description_len: text.len() as u64,
        fingerprint: described.fingerprint(),
        reserved: [0; 4],
    };
    let mut bytes = vec![0; fixed.segment_len as usize];
    let mut put = |at: u64, part: &[u8]| bytes[at as usize..][..part.len()].copy_from_slice(part);
    put(0, bytemuck::bytes_of(&fixed));
    // `write_index`; the other words are 0.
    put(256, &slots.to_ne_bytes());
    put(HEADER_LEN, text.as_bytes());
    put(data_offset, &compiled.items);
    Ok(sealed_file(&bytes)?.into())
}

/// The name of the first field in which the two differ, found without the library's comparison.
/// `None` if the bytes mean the same. Neither may have gaps.
pub(super) fn first_difference<'a>(
    ours: &'a Description,
    theirs: &'a Description,
) -> Option<&'a str> {
    let (ours, theirs) = (ours.fields(), theirs.fields());
    let same = ours
        .iter()
        .zip(theirs)
        .take_while(|(one, other)| one == other);
    let at = same.count();
    let field = ours.get(at).or_else(|| theirs.get(at));
    field.map(|field| &*field.name)
}

/// Whether an answer is right.
pub(super) fn judge(ours: &Description, theirs: &Description, answer: &Answer) -> Result<()> {
    match (first_difference(ours, theirs), answer) {
        (Some(name), Answer::Accepted(_)) => bail!("accepted, but {name:?} differs"),
        (Some(name), Answer::Refused(lines)) => {
            let first = lines.first();
            ensure!(
                first.is_some_and(|line| line.starts_with(&format!("field {name:?}: "))),
                "{name:?} is what differs first, not {first:?}"
            );
        }
        (None, Answer::Refused(lines)) => {
            bail!("refused, but nothing differs: {}", lines.join("; "));
        }
        (None, Answer::Accepted(items)) => {
            ensure!(*items == TRUTH, "read {items:?}, but {TRUTH:?} was written");
        }
    }
    Ok(())
}

/// Something that a comparison may fail to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blind {
    Offsets,
    Names,
    Kinds,
    /// Anything but the size of all of it.
    AllButSizes,
}

impl Blind {
    /// What is wrong with such a comparison.
    pub(super) fn what(self) -> &'static str {
        match self {
            Blind::Offsets => "wrong: offsets are not compared",
            Blind::Names => "wrong: names are not compared",
            Blind::Kinds => "wrong: kinds are not compared",
            Blind::AllButSizes => "wrong: a size check alone",
        }
    }

    /// What such a comparison answers: the library's own, to a description in which ours stands for
    /// what is not looked at.
    pub(super) fn answer(self, ours: &Description, theirs: &Description) -> Answer {
        let mut fields = theirs.fields().to_vec();
        for field in &mut fields {
            let like = |other: &&Field| match self {
                Blind::Names => other.offset == field.offset,
                _ => other.name == field.name,
            };
            let Some(other) = ours.fields().iter().find(like) else {
                continue;
            };
            match self {
                Blind::Offsets => field.offset = other.offset,
                Blind::Names => field.name.clone_from(&other.name),
                Blind::Kinds => field.leaf = other.leaf,
                Blind::AllButSizes => {}
            }
        }
        if self == Blind::AllButSizes && ours.size() == theirs.size() {
            fields = ours.fields().to_vec();
        }
        fields.sort_by_key(|field| field.offset);
        let text: String = fields.iter().map(line).collect();
        let seen = Description::parse((first_line(theirs) + &text).as_bytes());
        // What could not be, such as fields over each other, is refused by any comparison.
        let differences = ours.diff(seen.as_ref().unwrap_or(theirs));
        match differences.is_empty() {
            true => Answer::Accepted(Vec::new()),
            false => Answer::Refused(differences),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(text: &str) -> Description {
        Description::parse(text.as_bytes()).expect(text)
    }

    #[test]
    fn a_wrong_answer_is_noticed() {
        let ours = Description::of::<Tick>().unwrap();
        let narrow = "ringproof-shape 1 little 28\nside 0 i8\n_pad1 1 u8x3\nseq 4 u64\n\
                      venue 12 i16\n_pad2 14 u8x2\nqty 16 i32\nprice 20 f64\n";
        let narrow = described(narrow);
        assert_eq!(first_difference(&ours, &narrow), Some("_pad1"));
        assert_eq!(first_difference(&ours, &ours), None);

        let accepted = Answer::Accepted(TRUTH.map(|item| item.to_vec()).to_vec());
        let refused = Answer::Refused(ours.diff(&narrow));
        let late = Answer::Refused(ours.diff(&narrow).split_off(1));
        let garbage = Answer::Accepted(vec![TRUTH[0].to_vec(); 2]);
        let silent = Answer::Refused(Vec::new());
        judge(&ours, &narrow, &refused).unwrap();
        judge(&ours, &ours, &accepted).unwrap();
        for (theirs, answer, part) in [
            (&narrow, &accepted, "\"_pad1\" differs"),
            (&narrow, &late, "\"_pad1\" is what differs first"),
            (&narrow, &silent, "is what differs first"),
            (&ours, &refused, "nothing differs"),
            (&ours, &garbage, "was written"),
        ] {
            let wrong = judge(&ours, theirs, answer).expect_err(part).to_string();
            assert!(wrong.contains(part), "{wrong}");
        }
    }

    #[test]
    fn gaps_get_names_that_no_field_has() {
        for (gaps, expected) in [
            (
                "16\na 0 u8\nb 8 u32\n",
                "16\na 0 u8\n_pad1 1 u8x7\nb 8 u32\n_pad2 12 u8x4\n",
            ),
            (
                "8\n_pad1 1 u8x3\nb 4 u32\n",
                "8\n_pad2 0 u8\n_pad1 1 u8x3\nb 4 u32\n",
            ),
            ("4\na 0 u32\n", "4\na 0 u32\n"),
        ] {
            let text = |fields| format!("ringproof-shape 1 little {fields}");
            let named = with_padding_named(&described(&text(gaps))).unwrap();
            assert_eq!(named.to_string(), text(expected));
        }
    }
}
