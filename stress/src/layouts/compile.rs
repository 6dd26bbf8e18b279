//! What a compiler makes of the struct, read from the object file: it need not run here, nor link.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use object::{Object, ObjectSection};
use ringproof::shape::Description;
use ringproof_record::compiler;

use super::source::{ITEMS, LAYOUT, Language, Member, Variant, members_of, program};
use crate::compile::{complaint, run};
use crate::desk::same;
use crate::process::NotHere;

/// The struct as a compiler made it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Compiled {
    pub(super) align: u64,
    /// Its size and its fields. Gaps between them are padding.
    pub(super) description: Description,
    /// Two items, one after the other.
    pub(super) items: Vec<u8>,
}

/// Compiles a variant in `folder` and reads what came of it.
///
/// # Errors
/// [`NotHere`] without that compiler, or where it does not know the target that a flag names;
/// another error where it refuses the struct itself or makes nothing that can be read.
pub(super) fn compile(variant: &Variant, members: &[Member], folder: &Path) -> Result<Compiled> {
    let object = folder.join("tick.o");
    let mut command = compiler::command(&variant.compiler);
    match variant.form.language() {
        Language::C => command.args(["-std=gnu11", "-ffreestanding", "-w", "-c", "-xc"]),
        Language::Cpp => command.args(["-std=gnu++20", "-ffreestanding", "-w", "-c", "-xc++"]),
        Language::Rust => {
            command.args(["--edition=2024", "--crate-type=lib", "--crate-name=tick"]);
            command.args(["--cap-lints=allow", "--emit=obj"])
        }
    };
    command.args(variant.flags).arg("-o").arg(&object).arg("-");
    let output = run(&mut command, &program(variant.form, members))?;
    let of_compiler = || format!("{}'s object file", variant.compiler);
    if !output.status.success() {
        let why = format!("{}: {}", variant.compiler, complaint(&output));
        if variant.flags.iter().any(|flag| flag.starts_with("-m")) {
            return Err(NotHere(why).into());
        }
        bail!("{why}");
    }
    let bytes = fs::read(&object).with_context(|| format!("cannot read {}", of_compiler()))?;
    read(&bytes, &members_of(variant.form, members)).with_context(of_compiler)
}

fn read(object: &[u8], members: &[Member]) -> Result<Compiled> {
    let file = object::File::parse(object)?;
    let section = |name| {
        let section = file.section_by_name(name);
        let section = section.with_context(|| format!("no section {name}"))?;
        anyhow::Ok(section.data()?)
    };
    let little = file.is_little_endian();
    let number = |bytes: &[u8; 8]| match little {
        true => u64::from_le_bytes(*bytes),
        false => u64::from_be_bytes(*bytes),
    };
    let (numbers, rest) = section(LAYOUT)?.as_chunks();
    let numbers: Vec<u64> = numbers.iter().map(number).collect();
    let [size, align, fields @ ..] = &*numbers else {
        bail!("it says no size");
    };
    let (fields, more) = fields.as_chunks::<4>();
    ensure!(
        fields.len() == members.len() && more.is_empty() && rest.is_empty(),
        "it describes other fields than {}",
        members.len()
    );
    let mut fields: Vec<_> = fields.iter().zip(members).collect();
    fields.sort_by_key(|([offset, ..], _)| *offset);
    let order = if little { "little" } else { "big" };
    let mut text = format!("ringproof-shape 1 {order} {size}\n");
    for ([offset, element, count, letter], member) in fields {
        let letter = u8::try_from(*letter).map_or('?', char::from);
        let times = if *count == 1 {
            String::new()
        } else {
            format!("x{count}")
        };
        text += &format!("{} {offset} {letter}{}{times}\n", member.name, element * 8);
    }
    let description = Description::parse(text.as_bytes()).context("it describes what cannot be")?;
    let items = section(ITEMS)?.to_vec();
    same("bytes of two items", items.len() as u64, 2 * size)?;
    Ok(Compiled {
        align: *align,
        description,
        items,
    })
}
