//! What the headers for C and C++ say of a struct: a payload with padding is refused before there is
//! a segment of it, and a payload that lies otherwise when the two programs meet.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use ringproof::{Payload, Ring, RingOptions, SegmentError};
use ringproof_record::compiler;

use super::source::{Form, Language, Member, NAMED, NARROW, TICK, Tools, declaration, members_of};
use crate::compile;
use crate::process::NotHere;

const INCLUDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../impl/ffi/include");

/// What a header is asked, and a part of what it must answer; nothing where it must accept.
pub(super) type Asked = (&'static str, Form, &'static [Member], Option<&'static str>);

const ONLY_BYTES: Option<&str> = Some("all there is to it");

pub(super) const ASKED: [Asked; 7] = [
    ("C", Form::C, TICK, Some("padding")),
    ("C, padding named", Form::C, NAMED, None),
    ("C++", Form::Cpp, TICK, Some("padding")),
    ("C++, padding named", Form::Cpp, NAMED, None),
    ("C++, base", Form::Base, NAMED, ONLY_BYTES),
    ("C++, base()", Form::BaseConstructor, NAMED, ONLY_BYTES),
    ("C++, virtual", Form::Virtual, NAMED, ONLY_BYTES),
];

/// Asks, and says what was answered.
pub(super) fn ask(asked: Asked, tools: &Tools, folder: &Path) -> Result<String> {
    let (_, form, members, refused) = asked;
    let said = match form.language() {
        Language::C => Program::make(form, members, &[], tools, folder)?.run(&[])?,
        _ => in_cpp(form, members, tools)?,
    };
    right("the header", said.as_deref(), refused)?;
    Ok(said.map_or("accepted: ".to_owned(), |said| format!("refused: {said}")))
}

/// A refusal must contain a part; nothing is said where it must accept.
fn right(who: &str, said: Option<&str>, part: Option<&str>) -> Result<()> {
    let right = match (said, part) {
        (Some(said), Some(part)) => said.contains(part),
        (said, part) => said.is_none() && part.is_none(),
    };
    ensure!(right, "{who} says {said:?}; expected {part:?}");
    Ok(())
}

/// The flags and members of a program in C, and part of what is said by the one that attaches: in Rust, and in
/// C. Nothing where it accepts.
pub(super) type Pairing = (
    &'static str,
    &'static [&'static str],
    Form,
    &'static [Member],
    Option<[&'static str; 2]>,
);

const M32: &[&str] = &["-m32"];
const ALIGNED: &[&str] = &["-m32", "-malign-double"];
const PACKED: Form = Form::Attribute("__attribute__((packed))");
const SWAPPED: Form = Form::Swapped("venue", "qty");
const VENUE_MOVED: Option<[&str; 2]> = Some([
    "field \"venue\": offset 16, i16 here; offset 22, i16 in the segment",
    "field \"qty\": offset 16, i32 here; offset 20, i32 in the segment",
]);
const SEQ_MOVED: Option<[&str; 2]> = Some([
    "field \"seq\": offset 4, u64 here; offset 8, u64 in the segment (a 32-bit x86 layout",
    "field \"seq\": offset 8, u64 here; offset 4, u64 in the segment",
]);
const NO_PADDING: Option<[&str; 2]> =
    Some(["field \"_pad1\": offset 1", "field \"_pad1\": not here"]);

pub(super) const PAIRINGS: [Pairing; 5] = [
    ("C, padding named", &[], Form::C, NAMED, None),
    ("C, packed", &[], PACKED, TICK, NO_PADDING),
    ("C, reordered", &[], SWAPPED, NAMED, VENUE_MOVED),
    ("C -m32, padding named", M32, Form::C, NAMED, None),
    ("C -m32 -malign-double", ALIGNED, Form::C, NAMED, None),
];

/// Those that meet a program for 32-bit x86.
pub(super) const NARROW_PAIRINGS: [Pairing; 2] = [
    ("C -m32, narrow", M32, Form::C, NARROW, None),
    (
        "C -malign-double, narrow",
        ALIGNED,
        Form::C,
        NAMED,
        SEQ_MOVED,
    ),
];

pub(super) type Meets = fn(Pairing, &str, &Tools, &Path) -> Result<String>;

/// Lets a program in C meet one in Rust that has the payload `T`, through a segment of this name, made by either.
pub(super) fn both_ways<T: Payload>(
    (_, flags, form, members, refused): Pairing,
    name: &str,
    tools: &Tools,
    folder: &Path,
) -> Result<String> {
    let program = Program::make(form, members, flags, tools, folder)?;
    let part = |who: usize| refused.map(|refused| refused[who]);
    if let Some(why) = program.run(&["create", name])? {
        bail!("C makes no segment: {why}");
    }
    let differences = match Ring::<T>::attach(name) {
        Ok(_) => None,
        Err(SegmentError::Payload { differences, .. }) => Some(differences.join("; ")),
        Err(error) => return Err(error.into()),
    };
    right("Rust", differences.as_deref(), part(0))?;
    ringproof::unlink(name)?;
    let ring = Ring::<T>::create(name, &RingOptions::new(4))?;
    let said = program.run(&["attach", name])?;
    right("C", said.as_deref(), part(1))?;
    ring.segment().unlink()?;
    // Without the segment's name, which is another one each time.
    let differences = said
        .as_deref()
        .and_then(|said| said.split_once("payload: "));
    Ok(match differences {
        Some((_, differences)) => format!("refused both ways: {differences}"),
        None => "accepted both ways".to_owned(),
    })
}

fn fields(form: Form, members: &[Member], ty: &str) -> String {
    let macro_of = |member: &Member| match (member.is_array(), form.language()) {
        (true, Language::C) => "RINGPROOF_ARRAY",
        _ => "RINGPROOF_FIELD",
    };
    let members = members_of(form, members);
    let fields = members
        .iter()
        .map(|member| format!("{}({ty}, {})", macro_of(member), member.name));
    fields.collect::<Vec<_>>().join(",\n  ")
}

/// A program in C that describes the struct with the header, which refuses when it runs.
struct Program(PathBuf);

impl Program {
    fn make(
        form: Form,
        members: &[Member],
        flags: &[&str],
        tools: &Tools,
        folder: &Path,
    ) -> Result<Program> {
        let program = folder.join("describe");
        let command = || {
            let mut command = compiler::command(&tools.cc);
            command.args(["-std=c11", "-w", "-pthread", "-D_FILE_OFFSET_BITS=64"]);
            command.args(flags).args(["-I", INCLUDE, "-xc"]);
            command
        };
        if !flags.is_empty() && compile::why_not(command(), &program).is_err() {
            let call = format!("{} {}", tools.cc, flags.join(" "));
            return Err(NotHere(format!("`{call}` makes no program that runs here")).into());
        }
        let text = format!(
            "#include \"ringproof.h\"\n{}\
             RINGPROOF_SHAPE(shape, struct tick,\n  {});\n{MAIN}",
            declaration(form, members),
            fields(form, members, "struct tick")
        );
        match compile::program(command(), &text, &program)? {
            Ok(()) => Ok(Program(program)),
            Err(why) => bail!("{}: {why}", tools.cc),
        }
    }

    /// What it says where something is refused.
    fn run(&self, arguments: &[&str]) -> Result<Option<String>> {
        let output = Command::new(&self.0).args(arguments).output();
        let output = output.context("cannot run a program in C")?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match output.status.code() {
            Some(0) => Ok(None),
            Some(1) => Ok(Some(said)),
            _ => bail!("a program in C ended with {}: {said}", output.status),
        }
    }
}

/// Describes the struct; makes a ring of such items, or attaches to one.
const MAIN: &str = "\
int main(int count, char **arguments) {
  const struct ringproof_options options = ringproof_ring_options(4);
  static char text[RINGPROOF_DESCRIPTION_MAX + 1];
  struct ringproof_segment segment;
  struct ringproof_error error;
  enum ringproof_status status;
  size_t len;
  if (count != 3) {
    status = ringproof_describe(&shape, text, &len, &error);
  } else if (strcmp(arguments[1], \"create\") == 0) {
    status = ringproof_create(&segment, arguments[2], &options, &shape, NULL, &error);
  } else {
    status = ringproof_attach(&segment, arguments[2], RINGPROOF_RING, &shape, &error);
  }
  if (status == RINGPROOF_OK) { return 0; }
  puts(error.message);
  return status == RINGPROOF_SHAPE_BAD || status == RINGPROOF_MISMATCH ? 1 : 2;
}
";

/// The header for C++ refuses when it is compiled.
fn in_cpp(form: Form, members: &[Member], tools: &Tools) -> Result<Option<String>> {
    let text = format!(
        "#include \"ringproof.hpp\"\n{}RINGPROOF_DESCRIBE(tick,\n  {});\n",
        declaration(form, members),
        fields(form, members, "tick")
    );
    let mut command = compiler::command(&tools.cxx);
    command.args(["-std=c++17", "-w", "-fsyntax-only"]);
    command.args(["-I", INCLUDE, "-xc++", "-"]);
    let output = compile::run(&mut command, &text)?;
    if output.status.success() {
        return Ok(None);
    }
    let said = compile::complaint(&output);
    ensure!(said.contains("static assert"), "{}: {said}", tools.cxx);
    Ok(Some(said))
}
