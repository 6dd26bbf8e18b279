//! What a program of ours answers to a segment that another compiler's program made, and whether
//! that is right.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use ringproof::bytemuck::{self, Pod, Zeroable};
use ringproof::layout::{Fixed, HEADER_LEN, Kind, MAGIC, VERSION};
use ringproof::shape::{Description, DescriptionError, Field, Leaf, Primitive, Value};
use ringproof::{Payload, Ring, SegmentError, Shape};

use super::compile::Compiled;

/// The struct as our program has it, with its padding named.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Shape, Zeroable)]
#[bytemuck(crate = "ringproof::bytemuck")]
#[repr(C)]
pub struct Tick {
    side: i8,
    _pad1: [u8; 7],
    seq: u64,
    venue: i16,
    _pad2: [u8; 2],
    qty: i32,
    price: f64,
}

/// The same as a program for 32-bit x86 has it.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Shape, Zeroable)]
#[bytemuck(crate = "ringproof::bytemuck")]
#[repr(C, packed(4))]
pub struct NarrowTick {
    side: i8,
    _pad1: [u8; 3],
    seq: u64,
    venue: i16,
    _pad2: [u8; 2],
    qty: i32,
    price: f64,
}

/// What the two items hold that every variant is compiled with.
pub const TRUTH: [[Value; 5]; 2] = [
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
pub enum Answer {
    /// These items were read.
    Accepted(Vec<Vec<Value>>),
    /// These are the differences.
    Refused(Vec<String>),
}

/// The fields of the first of these items by their description, padding left out.
pub fn values(described: &Description, items: &[u8]) -> Vec<Value> {
    let fields = described.fields().iter();
    let data = fields.filter(|field| !is_padding(&field.name));
    data.flat_map(|field| described.values(field, items))
        .collect()
}

/// Whether a field of this name is padding.
pub fn is_padding(name: &str) -> bool {
    name.starts_with("_pad")
}

/// The description with the gaps between its fields named, as whoever wants such a struct to travel
/// has to name them.
///
/// # Errors
/// [`DescriptionError`], if it is too large for more fields.
pub fn with_padding_named(described: &Description) -> Result<Description, DescriptionError> {
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
///
/// # Errors
/// What else goes wrong.
pub fn attach<T: Payload>(
    ours: &Description,
    theirs: &Description,
    compiled: &Compiled,
) -> Result<Answer, String> {
    let fd =
        segment(theirs, compiled).map_err(|error| format!("cannot make a segment: {error}"))?;
    let ring = match Ring::<T>::attach_fd(fd) {
        Ok(ring) => ring,
        Err(SegmentError::Payload { differences, .. }) => return Ok(Answer::Refused(differences)),
        Err(error) => return Err(error.to_string()),
    };
    let mut consumer = ring.consumer().map_err(|error| error.to_string())?;
    let mut items = Vec::new();
    while let Ok(item) = consumer.pop() {
        items.push(values(ours, bytemuck::bytes_of(&item)));
    }
    Ok(Answer::Accepted(items))
}

fn segment(described: &Description, compiled: &Compiled) -> io::Result<OwnedFd> {
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
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = File::from(memfd_create("ringproof-abi", flags)?);
    file.set_len(fixed.segment_len)?;
    file.write_all_at(bytemuck::bytes_of(&fixed), 0)?;
    // `write_index`; the other words are 0.
    file.write_all_at(&slots.to_ne_bytes(), 256)?;
    file.write_all_at(text.as_bytes(), HEADER_LEN)?;
    file.write_all_at(&compiled.items, data_offset)?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK))?;
    Ok(file.into())
}

/// The name of the first field in which the two differ, found without the library's comparison.
/// `None` if the bytes mean the same. Neither may have gaps.
pub fn first_difference<'a>(ours: &'a Description, theirs: &'a Description) -> Option<&'a str> {
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
///
/// # Errors
/// What is wrong with it.
pub fn judge(ours: &Description, theirs: &Description, answer: &Answer) -> Result<(), String> {
    match (first_difference(ours, theirs), answer) {
        (Some(name), Answer::Accepted(_)) => Err(format!("accepted, but {name:?} differs")),
        (Some(name), Answer::Refused(lines)) => match lines.first() {
            Some(line) if line.starts_with(&format!("field {name:?}: ")) => Ok(()),
            first => Err(format!("{name:?} is what differs first, not {first:?}")),
        },
        (None, Answer::Refused(lines)) => Err(format!(
            "refused, but nothing differs: {}",
            lines.join("; ")
        )),
        (None, Answer::Accepted(items)) if *items == TRUTH => Ok(()),
        (None, Answer::Accepted(items)) => {
            Err(format!("read {items:?}, but {TRUTH:?} was written"))
        }
    }
}

/// Something that a comparison may fail to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blind {
    /// Where a field lies.
    Offsets,
    /// What it is called.
    Names,
    /// What it is.
    Kinds,
}

impl Blind {
    /// All of them.
    pub const ALL: [Blind; 3] = [Blind::Offsets, Blind::Names, Blind::Kinds];

    /// Their name.
    pub fn name(self) -> &'static str {
        match self {
            Blind::Offsets => "offsets",
            Blind::Names => "names",
            Blind::Kinds => "kinds",
        }
    }

    /// What such a comparison answers: the library's own, to a description in which ours stands for
    /// what is not looked at.
    pub fn answer(self, ours: &Description, theirs: &Description) -> Answer {
        let mut fields = theirs.fields().to_vec();
        for field in &mut fields {
            let like = |other: &&Field| match self {
                Blind::Names => other.offset == field.offset,
                Blind::Offsets | Blind::Kinds => other.name == field.name,
            };
            let Some(other) = ours.fields().iter().find(like) else {
                continue;
            };
            match self {
                Blind::Offsets => field.offset = other.offset,
                Blind::Names => field.name.clone_from(&other.name),
                Blind::Kinds => field.leaf = other.leaf,
            }
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
