//! The header for C++: what it describes and answers, that nothing goes on through what was moved from,
//! what does not compile, and that strict compilers have nothing to say of it.
#![cfg(target_os = "linux")]

#[path = "common/c.rs"]
mod c;
#[path = "../../tests/common/named.rs"]
mod named;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use c::{
    Folder, bounded, faults, ffi, has_cpp, header, include, inject_by_number, noticed, run,
    succeeds,
};
use named::Named;
use ringproof_record::compiler;

/// A compiler for C++, as it is called.
struct Compiler {
    call: String,
    is_clang: bool,
}

impl Compiler {
    fn command(&self) -> Command {
        if self.call.is_empty() {
            compiler::from_env("CXX", "c++")
        } else {
            compiler::command(&self.call)
        }
    }

    /// What it says of a text that it refuses.
    fn refusal(&self, text: &str, arguments: &[&str]) -> Option<String> {
        let mut command = self.command();
        command.arg("-std=c++17");
        if !arguments.contains(&"-c") {
            command.arg("-fsyntax-only");
        }
        c::refusal(command, "text.cpp", text, arguments)
    }
}

/// The one that is chosen, and both of the usual ones where they are there and another. Says what is
/// missing.
fn compilers() -> Vec<Compiler> {
    if !has_cpp() {
        return Vec::new();
    }
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for call in ["", "g++", "clang++"] {
        let mut compiler = Compiler {
            call: call.to_owned(),
            is_clang: false,
        };
        let version = match compiler.command().arg("--version").output() {
            Ok(output) if output.status.success() => output.stdout,
            _ => {
                eprintln!("not run: the same with {call}: it cannot be run here");
                continue;
            }
        };
        let version = String::from_utf8_lossy(&version).into_owned();
        compiler.is_clang = version.contains("clang");
        // After the name by which it was called.
        let (_, rest) = version.split_once(' ').unwrap_or_default();
        if !seen.contains(&rest.to_owned()) {
            seen.push(rest.to_owned());
            found.push(compiler);
        }
    }
    found
}

/// Compiles tests/hpp.cpp to a program in a folder, against the headers there before those of the tree.
fn program(compiler: &Compiler, folder: &Folder, arguments: &[&str]) -> PathBuf {
    let program = folder.path().join("hpp");
    let mut command = compiler.command();
    command
        .arg("-std=c++17")
        .args(arguments)
        .arg(folder.first());
    command.arg("-I").arg(include());
    command.arg(ffi().join("tests/hpp.cpp"));
    succeeds(command.args(["-pthread", "-o"]).arg(&program));
    program
}

/// Runs such a program on names of its own.
fn run_named(program: &Path, injected: &str) -> Output {
    let [name, other] = ["hpp", "hpp-other"].map(Named::new);
    let mut command = bounded(program);
    let command = command.args([&*name, &*other]);
    let output = run(command.env("RINGPROOF_INJECTED", injected));
    let left = name.path().exists() || other.path().exists();
    assert!(!output.status.success() || !left, "it left a segment");
    output
}

fn passes(program: &Path) {
    let output = run_named(program, "");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
}

#[test]
fn it_passes_its_checks_with_and_without_exceptions() {
    let folder = Folder::with(&[]);
    for compiler in compilers() {
        for arguments in [
            &["-O2"][..],
            &["-O2", "-fno-exceptions", "-fno-rtti"],
            &["-O0", "-std=c++20"],
        ] {
            passes(&program(&compiler, &folder, arguments));
        }
    }
}

#[test]
fn what_was_moved_from_is_not_open() {
    let Some(compiler) = compilers().into_iter().next() else {
        return;
    };
    let begin = "extern \"C++\" {\n\n#include <array>";
    let (text, number) = inject_by_number(&header("ringproof.hpp"), "moved.txt", begin);
    let headers = Folder::with(&[("ringproof.hpp", &text)]);
    let program = program(&compiler, &headers, &["-O0", "-w"]);
    passes(&program);
    for fault in 1..=number {
        let status = run_named(&program, &fault.to_string()).status;
        assert!(noticed(status), "fault {fault} of {number}: {status}");
    }
}

/// As strict as programs are that include it.
fn strict(compiler: &Compiler) -> Vec<&'static str> {
    let flags = "-Werror -Wall -Wextra -Wpedantic -Wshadow -Wold-style-cast -Wconversion -Wsign-conversion \
                 -Wzero-as-null-pointer-constant -Wextra-semi -Wcast-qual -Wcast-align \
                 -Wmissing-declarations -Wundef";
    let mut flags: Vec<_> = flags.split(' ').collect();
    if !compiler.is_clang {
        flags.push("-Wuseless-cast");
    }
    flags
}

#[test]
fn a_strict_compiler_has_nothing_to_say() {
    let program = fs::read_to_string(ffi().join("tests/hpp.cpp")).unwrap();
    for compiler in compilers() {
        let flags = strict(&compiler);
        for standard in ["-std=c++17", "-std=c++20"] {
            // As an object: some warnings come from behind the parser.
            let object = ["-O2", "-c", "-o", "/dev/null"];
            let arguments = [&flags[..], &[standard], &object].concat();
            let said = compiler.refusal(&program, &arguments);
            assert_eq!(said, None, "{standard}");
        }
        // And it would say it of these faults.
        let warnings = [
            ("ringproof.hpp", "old-style-cast"),
            ("ringproof.h", "old-style-cast"),
            ("ringproof.h", "zero-as-null-pointer-constant"),
            ("ringproof.hpp", "conversion"),
            ("ringproof.hpp", "shadow"),
        ];
        let faults = faults("strict.txt");
        assert_eq!(faults.len(), warnings.len());
        for ((name, warning), fault) in warnings.into_iter().zip(&faults) {
            // The other takes NULL for what its own headers say.
            if warning.starts_with("zero") && !compiler.is_clang {
                continue;
            }
            // Found beside it, the other would include its own neighbour.
            let beside = header("ringproof.hpp");
            let headers = Folder::with(&[
                ("ringproof.hpp", &beside),
                (name, &fault.inject(&header(name))),
            ]);
            let first = headers.first();
            let arguments = [&flags[..], &[&*first]].concat();
            let said = compiler.refusal(&program, &arguments);
            let said = said.unwrap_or_else(|| panic!("{fault}: accepted"));
            assert!(said.contains(warning), "{fault}: {said}");
        }
    }
}

#[test]
fn it_may_be_included_inside_extern_c() {
    let within = |name: &str, rest: &str| {
        format!("extern \"C\" {{\n#include \"{name}\"\n}}\n#include <string>\n{rest}\n")
    };
    let described = fs::read_to_string(ffi().join("tests/within.hpp")).unwrap();
    let described = described.as_str();
    for compiler in compilers() {
        let flags = strict(&compiler);
        for (name, rest) in [
            ("ringproof.h", "ringproof_producer end;"),
            ("ringproof_lib.h", "ringproof_lib_error error;"),
            ("ringproof.hpp", described),
            // In either order with one outside.
            (
                "ringproof.h",
                &format!("#include \"ringproof.hpp\"\n{described}"),
            ),
        ] {
            let flags = [&flags[..], &["-Wno-missing-declarations"]].concat();
            let said = compiler.refusal(&within(name, rest), &flags);
            assert_eq!(said, None, "{name}");
        }
        // Without what makes it C++ there, it is a riddle.
        for (name, end) in [
            ("ringproof.h", "} /* extern \"C++\" */\n"),
            ("ringproof.hpp", "} // extern \"C++\"\n"),
        ] {
            let text = header(name)
                .replace("\nextern \"C++\" {\n", "\n")
                .replace(end, "");
            assert_eq!(
                header(name).len() - text.len(),
                14 + 1 + end.len(),
                "{name}"
            );
            let headers = Folder::with(&[(name, &text)]);
            let said = compiler.refusal(&within(name, ""), &[&headers.first()]);
            let said = said.expect("templates within extern \"C\"");
            assert!(said.contains("linkage"), "{said}");
        }
    }
}

/// What cannot work is refused with a sentence.
#[test]
fn what_cannot_work_says_why() {
    let include = "#include \"ringproof.hpp\"\n";
    let good = format!(
        "{include}namespace here {{ struct good {{ int a; }};\n\
         RINGPROOF_DESCRIBE(good, RINGPROOF_FIELD(good, a)); }}\n\
         const ringproof_shape &shape() {{ return ringproof::shape_of<here::good>(); }}\n"
    );
    let field = |declared: &str, member: &str| {
        format!(
            "{include}{declared}; struct s {{ {member}; }};\n\
             RINGPROOF_DESCRIBE(s, RINGPROOF_FIELD(s, a));\n"
        )
    };
    let of = |payload: &str| {
        format!(
            "{good}const ringproof_shape &of() {{ return ringproof::shape_of<{payload}>(); }}\n"
        )
    };
    for compiler in compilers() {
        let refusal = |text: &str, arguments: &[&str]| compiler.refusal(text, arguments);
        assert_eq!(refusal(&good, &[]), None);
        let kinds =
            "a field of a payload is an integer, an enumeration, a float, a double or an array";
        for (text, reason) in [
            (field("enum class flag : bool {}", "flag a"), kinds),
            (field("", "std::array<bool, 2> a"), kinds),
            (field("", "int *a"), kinds),
            (field("", "bool a"), kinds),
            (field("", "std::array<int *, 2> a"), kinds),
            (field("", "void (*a)()"), kinds),
            (field("struct in { int b; }", "std::array<in, 2> a"), kinds),
            (
                field("", "std::array<int, 0> a; int b"),
                "an array of a payload has elements",
            ),
            (field("", "int a; int b"), "fields left out"),
            (
                field("", "int a; double b").replace("a));", "a), RINGPROOF_FIELD(s, b));"),
                "padding",
            ),
            (field("", "s(const s &); int a"), "the bytes of a payload"),
            (
                format!(
                    "{include}ringproof::seqlock<int> *lock;\n\
                     std::size_t size() {{ return sizeof *lock; }}\n"
                ),
                "64-bit words",
            ),
            // One that is not described, and one whose base is, and nothing of itself.
            (
                of("std::pair<int, int>"),
                "describe this payload with RINGPROOF_DESCRIBE",
            ),
            (
                of("std::conditional_t<true, struct derived, int>").replace(
                    "const ringproof_shape &of",
                    "struct derived : here::good { int more; };\nconst ringproof_shape &of",
                ),
                "describe this payload with RINGPROOF_DESCRIBE",
            ),
            // Described where it is not looked for.
            (
                format!(
                    "{include}namespace a {{ struct s {{ int x; }}; }}\nnamespace b {{\n\
                     RINGPROOF_DESCRIBE(a::s, RINGPROOF_FIELD(a::s, x)); }}\n\
                     const ringproof_shape &of() {{ return ringproof::shape_of<a::s>(); }}\n"
                ),
                "in its own namespace or outside of all",
            ),
        ] {
            let said = refusal(&text, &[]).unwrap_or_else(|| panic!("accepted: {text}"));
            assert!(said.contains(reason), "{text}: {said}");
        }
        let said = refusal(include, &["-std=c++14"]).expect("before C++17");
        assert!(said.contains("ringproof.hpp needs C++17"), "{said}");
        let said = refusal(include, &["-xc", "-std=c11"]).expect("in C");
        assert!(said.contains("for C there is ringproof.h"), "{said}");
        // What throws cannot be compiled without exceptions, and says what can.
        for call in [
            "ringproof::ring<int>::attach(\"n\");",
            "ringproof::ring<int>::open_or_create(\"n\", ringproof_ring_options(1));",
            "ringproof::ring<int>::create(\"n\", ringproof_ring_options(1), 1);",
            "ring.unlink();",
            "(void)ring.is_current();",
            "(void)ring.name_status();",
            "ringproof::producer<int> end(ring);",
            "ringproof::consumer<int> end(ring);",
            "ringproof_error error; ringproof::producer<int> end(ring, error); ringproof::notifier bell(end);",
        ] {
            let text = format!(
                "{include}void call(ringproof::ring<int> &ring);\n\
                 void call(ringproof::ring<int> &ring) {{ (void)ring; {call} }}\n"
            );
            assert_eq!(refusal(&text, &[]), None, "{call}");
            let said = refusal(&text, &["-fno-exceptions"]).expect(call);
            let sentence = "without exceptions, give a ringproof_error as the last argument";
            assert!(said.contains(sentence), "{call}: {said}");
        }
    }
}
