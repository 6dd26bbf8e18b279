//! What the headers for C and C++ say of a struct: a payload with padding is refused before there is
//! a segment of it, and a payload that lies otherwise when the two programs meet.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use ringproof::{Payload, Ring, RingOptions, SegmentError};
use ringproof_record::compiler;

use super::answer::{NarrowTick, Tick};
use super::compile::{Tools, complaint, run};
use super::source::{Form, Language, Member, NAMED, NARROW, TICK, declaration, members_of};
use crate::process::NotHere;

const INCLUDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../impl/ffi/include");

/// What a header is asked, and a part of what it must answer; nothing where it must accept.
pub(super) struct Asked {
    pub(super) what: &'static str,
    form: Form,
    members: &'static [Member],
    refused_for: Option<&'static str>,
}

const fn asked(
    what: &'static str,
    form: Form,
    members: &'static [Member],
    refused_for: Option<&'static str>,
) -> Asked {
    Asked {
        what,
        form,
        members,
        refused_for,
    }
}

const fn base(has_constructor: bool) -> Form {
    Form::Base { has_constructor }
}

const ONLY_BYTES: Option<&str> = Some("all there is to it");

pub(super) const ASKED: [Asked; 7] = [
    asked("C", Form::C, TICK, Some("padding")),
    asked("C, padding named", Form::C, NAMED, None),
    asked("C++", Form::Cpp, TICK, Some("padding")),
    asked("C++, padding named", Form::Cpp, NAMED, None),
    asked("C++, base", base(false), NAMED, ONLY_BYTES),
    asked("C++, base()", base(true), NAMED, ONLY_BYTES),
    asked("C++, virtual", Form::Virtual, NAMED, ONLY_BYTES),
];

impl Asked {
    /// Asks, and says what was answered.
    pub(super) fn ask(&self, tools: &Tools, folder: &Path) -> Result<String> {
        let said = match self.form.language() {
            Language::C => Program::make(self.form, self.members, &[], tools, folder)?.run(&[])?,
            _ => in_cpp(self.form, self.members, tools)?,
        };
        let right = match (&said, self.refused_for) {
            (Some(said), Some(part)) => said.contains(part),
            (said, part) => said.is_none() && part.is_none(),
        };
        let said = said.map_or("accepted: ".to_owned(), |said| format!("refused: {said}"));
        ensure!(right, "{said}; expected {:?}", self.refused_for);
        Ok(said)
    }
}

/// What a header for C says to a program in Rust that has the payload `T`, and that program to it.
pub(super) struct Pairing {
    pub(super) what: &'static str,
    flags: &'static [&'static str],
    form: Form,
    members: &'static [Member],
    meets: fn(&Program, &str, &Pairing) -> Result<String>,
    /// Part of what is said by the one that attaches: in Rust, and in C. Nothing where it accepts.
    refused: Option<[&'static str; 2]>,
}

const fn pairing(
    what: &'static str,
    flags: &'static [&'static str],
    form: Form,
    members: &'static [Member],
    refused: Option<[&'static str; 2]>,
) -> Pairing {
    Pairing {
        what,
        flags,
        form,
        members,
        meets: both_ways::<Tick>,
        refused,
    }
}

/// One that meets a program for 32-bit x86.
const fn narrow(pairing: Pairing) -> Pairing {
    Pairing {
        meets: both_ways::<NarrowTick>,
        ..pairing
    }
}

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

pub(super) const PAIRINGS: [Pairing; 7] = [
    pairing("C, padding named", &[], Form::C, NAMED, None),
    pairing("C, packed", &[], PACKED, TICK, NO_PADDING),
    pairing("C, reordered", &[], SWAPPED, NAMED, VENUE_MOVED),
    pairing("C -m32, padding named", M32, Form::C, NAMED, None),
    pairing("C -m32 -malign-double", ALIGNED, Form::C, NAMED, None),
    narrow(pairing("C -m32, narrow", M32, Form::C, NARROW, None)),
    narrow(pairing(
        "C -malign-double, narrow",
        ALIGNED,
        Form::C,
        NAMED,
        SEQ_MOVED,
    )),
];

impl Pairing {
    /// Lets the two meet through a segment of this name, made by either.
    pub(super) fn meet(&self, name: &str, tools: &Tools, folder: &Path) -> Result<String> {
        let program = Program::make(self.form, self.members, self.flags, tools, folder)?;
        (self.meets)(&program, name, self)
    }

    fn right(&self, who: usize, said: Option<&str>) -> Result<()> {
        let expected = self.refused.map(|refused| refused[who]);
        let right = match (said, expected) {
            (Some(said), Some(part)) => said.contains(part),
            (said, part) => said.is_none() && part.is_none(),
        };
        let who = ["Rust", "C"][who];
        ensure!(right, "{who} says {said:?}; expected {expected:?}");
        Ok(())
    }
}

fn both_ways<T: Payload>(program: &Program, name: &str, pairing: &Pairing) -> Result<String> {
    if let Some(why) = program.run(&["create", name])? {
        bail!("C makes no segment: {why}");
    }
    let differences = match Ring::<T>::attach(name) {
        Ok(_) => None,
        Err(SegmentError::Payload { differences, .. }) => Some(differences.join("; ")),
        Err(error) => return Err(error.into()),
    };
    pairing.right(0, differences.as_deref())?;
    ringproof::unlink(name)?;
    let ring = Ring::<T>::create(name, &RingOptions::new(4))?;
    let said = program.run(&["attach", name])?;
    pairing.right(1, said.as_deref())?;
    ring.segment().unlink()?;
    // Without the segment's name, which is another one each time.
    let differences = said
        .as_deref()
        .and_then(|said| said.split_once("payload: "));
    Ok(
        differences.map_or("accepted both ways".to_owned(), |(_, differences)| {
            format!("refused both ways: {differences}")
        }),
    )
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
            command.args(flags).args(["-I", INCLUDE, "-xc", "-o"]);
            command.arg(&program).arg("-");
            command
        };
        if !flags.is_empty() {
            let trivial = "#include <stdio.h>\nint main(void) { return 0; }\n";
            let compiled = run(&mut command(), trivial)?;
            let runs = compiled.status.success()
                && Command::new(&program)
                    .status()
                    .is_ok_and(|status| status.success());
            if !runs {
                let why = format!("{} {}", tools.cc, flags.join(" "));
                return Err(NotHere(format!("`{why}` makes no program that runs here")).into());
            }
        }
        let text = format!(
            "#include \"ringproof.h\"\n{}\
             RINGPROOF_SHAPE(shape, struct tick,\n  {});\n{MAIN}",
            declaration(form, members),
            fields(form, members, "struct tick")
        );
        let compiled = run(&mut command(), &text)?;
        if !compiled.status.success() {
            bail!("{}: {}", tools.cc, complaint(&compiled));
        }
        Ok(Program(program))
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
    command.args([
        "-std=c++17",
        "-w",
        "-fsyntax-only",
        "-I",
        INCLUDE,
        "-xc++",
        "-",
    ]);
    let output = run(&mut command, &text)?;
    if output.status.success() {
        return Ok(None);
    }
    let said = complaint(&output);
    ensure!(said.contains("static assert"), "{}: {said}", tools.cxx);
    Ok(Some(said))
}
