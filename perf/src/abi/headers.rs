//! What the headers for C and C++ say of a payload with padding: nothing that is made here needs a
//! segment, because it is refused before there is one.

use std::fs;
use std::path::Path;
use std::process::Command;

use ringproof_record::compiler;

use super::compile::{Tools, complaint, run};
use super::source::{Form, Language, Member, declaration, members_of};
use crate::report::Trouble;

const C_HEADER: &str = include_str!("../../../impl/ffi/include/ringproof.h");
const CPP_HEADER: &str = include_str!("../../../impl/ffi/include/ringproof.hpp");

/// Describes the struct with the header of its language. `Ok(None)` if it may travel; else why not,
/// in the words of the header.
///
/// # Errors
/// [`Trouble`], if there is no such compiler, or what it does has nothing to do with the struct.
pub fn describe(
    form: Form,
    members: &[Member],
    tools: &Tools,
    folder: &Path,
) -> Result<Option<String>, Trouble> {
    for (name, text) in [("ringproof.h", C_HEADER), ("ringproof.hpp", CPP_HEADER)] {
        fs::write(folder.join(name), text)
            .map_err(|error| Trouble::Failed(format!("cannot write {name}: {error}")))?;
    }
    let declared = declaration(form, members);
    if form.language() == Language::C {
        in_c(
            &declared,
            &fields(form, members, "struct tick"),
            tools,
            folder,
        )
    } else {
        in_cpp(&declared, &fields(form, members, "tick"), tools, folder)
    }
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

/// The header for C refuses when the description is made, so the program has to run.
fn in_c(
    declared: &str,
    fields: &str,
    tools: &Tools,
    folder: &Path,
) -> Result<Option<String>, Trouble> {
    let text = format!(
        "#include \"ringproof.h\"\n{declared}\
         RINGPROOF_SHAPE(shape, struct tick,\n  {fields});\n\
         int main(void) {{\n\
         \x20 static char text[RINGPROOF_DESCRIPTION_MAX + 1];\n\
         \x20 size_t len;\n\
         \x20 struct ringproof_error error;\n\
         \x20 if (ringproof_describe(&shape, text, &len, &error) == RINGPROOF_OK) {{ return 0; }}\n\
         \x20 puts(error.message);\n\
         \x20 return error.status == RINGPROOF_SHAPE_BAD ? 1 : 2;\n\
         }}\n"
    );
    let program = folder.join("describe");
    let mut command = compiler::command(&tools.cc);
    command
        .args(["-std=c11", "-w", "-xc"])
        .arg("-I")
        .arg(folder);
    let compiled = run(command.arg("-o").arg(&program).arg("-"), &text)?;
    if !compiled.status.success() {
        return Err(Trouble::Failed(format!(
            "{}: {}",
            tools.cc,
            complaint(&compiled)
        )));
    }
    let output = run(&mut Command::new(&program), "")?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match output.status.code() {
        Some(0) => Ok(None),
        Some(1) => Ok(Some(said)),
        _ => Err(Trouble::Failed(format!(
            "ended with {}: {said}",
            output.status
        ))),
    }
}

/// The header for C++ refuses when it is compiled.
fn in_cpp(
    declared: &str,
    fields: &str,
    tools: &Tools,
    folder: &Path,
) -> Result<Option<String>, Trouble> {
    let text =
        format!("#include \"ringproof.hpp\"\n{declared}RINGPROOF_DESCRIBE(tick,\n  {fields});\n");
    let mut command = compiler::command(&tools.cxx);
    command.args(["-std=c++17", "-w", "-fsyntax-only", "-xc++"]);
    let output = run(command.arg("-I").arg(folder).arg("-"), &text)?;
    if output.status.success() {
        return Ok(None);
    }
    let said = complaint(&output);
    if said.contains("static assert") {
        Ok(Some(said))
    } else {
        Err(Trouble::Failed(format!("{}: {said}", tools.cxx)))
    }
}
