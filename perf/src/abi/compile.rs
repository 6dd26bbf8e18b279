//! What a compiler makes of the struct, read from the object file: it need not run here, nor link.

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::{env, fs};

use object::{Object, ObjectSection};
use ringproof::shape::Description;
use ringproof_record::compiler;

use super::source::{Language, Member, Variant, members_of, program};
use crate::report::Trouble;

/// The section with what the compiler says of the struct.
pub const LAYOUT: &str = ".ringproof.layout";

/// The section with two items.
pub const ITEMS: &str = ".ringproof.items";

/// The compilers that the environment names, as [`compiler::command`] takes them.
#[derive(Clone, Debug)]
pub struct Tools {
    /// For C.
    pub cc: String,
    /// For C++.
    pub cxx: String,
    /// For Rust.
    pub rustc: String,
}

impl Tools {
    /// `CC`, `CXX` and `RUSTC`, else `gcc`, `g++` and `rustc`.
    pub fn from_env() -> Tools {
        let named = |variable, usual: &str| {
            let text = env::var_os(variable).map(OsString::into_string);
            // A name that is no text is none that a report could tell.
            text.and_then(Result::ok)
                .filter(|text| !text.trim().is_empty())
                .unwrap_or_else(|| usual.to_owned())
        };
        Tools {
            cc: named("CC", "gcc"),
            cxx: named("CXX", "g++"),
            rustc: named("RUSTC", "rustc"),
        }
    }
}

/// The struct as a compiler made it.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// Its alignment.
    pub align: u64,
    /// Its size and its fields. Gaps between them are padding.
    pub description: Description,
    /// Two items, one after the other.
    pub items: Vec<u8>,
}

/// Compiles a variant in `folder` and reads what came of it.
///
/// # Errors
/// [`Trouble::NotRun`] without that compiler, or where it does not know the target that a flag
/// names; [`Trouble::Failed`] where it refuses the struct itself or makes nothing that can be read.
pub fn compile(variant: &Variant, members: &[Member], folder: &Path) -> Result<Compiled, Trouble> {
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
    if !output.status.success() {
        let why = format!("{}: {}", variant.compiler, complaint(&output));
        let for_another_target = variant.flags.iter().any(|flag| flag.starts_with("-m"));
        return Err(if for_another_target {
            Trouble::NotRun(why)
        } else {
            Trouble::Failed(why)
        });
    }
    let bytes = fs::read(&object).map_err(|error| {
        Trouble::Failed(format!(
            "cannot read {}'s object file: {error}",
            variant.compiler
        ))
    })?;
    let members = members_of(variant.form, members);
    read(&bytes, &members)
        .map_err(|why| Trouble::Failed(format!("{}'s object file: {why}", variant.compiler)))
}

/// Runs a compiler on a text.
///
/// # Errors
/// [`Trouble::NotRun`] if there is no such program; [`Trouble::Failed`] if it could not be run.
pub fn run(command: &mut Command, text: &str) -> Result<Output, Trouble> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Trouble::NotRun(format!("there is no {program} here")),
        _ => Trouble::Failed(format!("cannot run {program}: {error}")),
    };
    let mut child = command
        // So that what is looked for in its complaints is not translated.
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // It may have complained of its arguments and ended; its status says so.
        let _ = stdin.write_all(text.as_bytes());
    }
    child.wait_with_output().map_err(failed)
}

/// The first line in which a compiler says what is wrong.
pub fn complaint(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.contains("error"));
    let line = line
        .or_else(|| said.lines().next())
        .unwrap_or("it does not say why");
    // Not where in a file that is gone.
    let what = line.split_once("error: ").map_or(line, |(_, what)| what);
    what.trim().to_owned()
}

fn read(object: &[u8], members: &[Member]) -> Result<Compiled, String> {
    let file = object::File::parse(object).map_err(|error| error.to_string())?;
    let section = |name| {
        let section = file
            .section_by_name(name)
            .ok_or(format!("no section {name}"))?;
        section.data().map_err(|error| error.to_string())
    };
    let little = file.is_little_endian();
    let number = |bytes: &[u8; 8]| match little {
        true => u64::from_le_bytes(*bytes),
        false => u64::from_be_bytes(*bytes),
    };
    let (numbers, rest) = section(LAYOUT)?.as_chunks();
    let numbers: Vec<u64> = numbers.iter().map(number).collect();
    let [size, align, fields @ ..] = &*numbers else {
        return Err("it says no size".to_owned());
    };
    let (fields, more) = fields.as_chunks::<4>();
    if fields.len() != members.len() || !more.is_empty() || !rest.is_empty() {
        return Err(format!("it describes other fields than {}", members.len()));
    }
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
    let description = Description::parse(text.as_bytes())
        .map_err(|error| format!("it describes what cannot be: {error}"))?;
    let items = section(ITEMS)?.to_vec();
    if items.len() as u64 != 2 * size {
        return Err(format!("two items of {size} bytes fill {}", items.len()));
    }
    Ok(Compiled {
        align: *align,
        description,
        items,
    })
}
