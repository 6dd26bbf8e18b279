//! The header for C++: what it describes and answers, that nothing goes on through what was moved from,
//! what does not compile, and that strict compilers have nothing to say of it.
#![cfg(target_os = "linux")]

#[path = "../../tests/common/named.rs"]
mod named;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use named::Named;
use ringproof_record::{compiler, deadline};
use tempfile::TempDir;

fn ffi() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn include() -> PathBuf {
    ffi().join("include")
}

fn header(name: &str) -> String {
    fs::read_to_string(include().join(name)).unwrap()
}

/// A folder with these files in it.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

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

    /// Compiles a text with these headers before those of the tree; what the compiler says if it
    /// refuses.
    fn refusal(&self, headers: &Path, text: &str, arguments: &[&str]) -> Option<String> {
        let text = folder(&[("text.cpp", text)]);
        let mut command = self.command();
        command.arg("-std=c++17");
        if !arguments.contains(&"-c") {
            command.arg("-fsyntax-only");
        }
        command.args(arguments).arg("-I").arg(headers);
        command
            .arg("-I")
            .arg(include())
            .arg(text.path().join("text.cpp"));
        let output = run(&mut command);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (!output.status.success()).then_some(errors)
    }
}

fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// The one that is chosen, and both of the usual ones where they are there and another. Says what is
/// missing.
fn compilers() -> Vec<Compiler> {
    if let Some(why) = compiler::why_not("CXX", "c++") {
        eprintln!("not run: no compiler for C++ can be run here: {why}");
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

/// Compiles tests/hpp.cpp against the headers of a folder, to a program in it.
fn program(compiler: &Compiler, headers: &Path, into: &Path, arguments: &[&str]) -> PathBuf {
    let program = into.join("hpp");
    let mut command = compiler.command();
    command
        .arg("-std=c++17")
        .args(arguments)
        .arg("-I")
        .arg(headers);
    command.arg("-I").arg(include());
    command
        .arg(ffi().join("tests/hpp.cpp"))
        .args(["-pthread", "-o"])
        .arg(&program);
    let output = run(&mut command);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{errors}");
    program
}

/// Runs such a program on names of its own. One that hangs is ended with status 124.
fn run_bounded(program: &Path, planted: &str) -> Output {
    let [name, other] = ["hpp", "hpp-other"].map(Named::new);
    let limit = deadline::seconds(60).as_secs().to_string();
    let output = run(Command::new("timeout")
        .arg(limit)
        .arg(program)
        .args([&*name, &*other])
        .env("RINGPROOF_PLANTED", planted));
    let left = name.path().exists() || other.path().exists();
    assert!(!output.status.success() || !left, "it left a segment");
    output
}

fn succeeds(program: &Path) {
    let output = run_bounded(program, "");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
}

#[test]
fn it_passes_its_checks_with_and_without_exceptions() {
    let folder = folder(&[]);
    for compiler in compilers() {
        for arguments in [
            &["-O2"][..],
            &["-O2", "-fno-exceptions", "-fno-rtti"],
            &["-O0", "-std=c++20"],
        ] {
            succeeds(&program(&compiler, &include(), folder.path(), arguments));
        }
    }
}

/// What keeps what is not open from being used, beside what the header for C asks itself, each one taken
/// away: the program says which by its number.
#[test]
fn what_was_moved_from_is_not_open() {
    let Some(compiler) = compilers().into_iter().next() else {
        return;
    };
    let mut text = header("ringproof.hpp");
    let mut number = 0;
    for (guard, without, count) in [
        (
            "if (!open_) {\n      return",
            "if (!planted(N) && !open_) {\n      return",
            1,
        ),
        ("if (!raw_) {", "if (!planted(N) && !raw_) {", 1),
        ("raw_ ? ", "planted(N) || raw_ ? ", 3),
        ("from == nullptr ? ", "!planted(N) && from == nullptr ? ", 1),
        // And what makes it not open.
        (
            "raw_(std::exchange(other.raw_, Raw()))",
            "raw_(planted(N) ? other.raw_ : std::exchange(other.raw_, Raw()))",
            1,
        ),
        (
            "raw_ = std::exchange(other.raw_, Raw());",
            "raw_ = planted(N) ? other.raw_ : std::exchange(other.raw_, Raw());",
            1,
        ),
        (
            "std::exchange(other.open_, false)",
            "(planted(N) ? other.open_ : std::exchange(other.open_, false))",
            2,
        ),
        (
            "raw_(std::exchange(other.raw_, ringproof_chunk()))",
            "raw_(planted(N) ? other.raw_ : std::exchange(other.raw_, ringproof_chunk()))",
            1,
        ),
        (
            "raw = std::exchange(other.raw_, ringproof_chunk());",
            "raw = planted(N) ? other.raw_ : std::exchange(other.raw_, ringproof_chunk());",
            1,
        ),
        ("      drop();\n", "      if (!planted(N)) drop();\n", 1),
        (
            "if (this != &other) {",
            "if (planted(N) || this != &other) {",
            1,
        ),
        // And what is told, and what is asked.
        (
            "if (name.find('\\0')",
            "if (!planted(N) && name.find('\\0')",
            1,
        ),
        (
            "ringproof_fail(&details, status,",
            "if (!planted(N)) ringproof_fail(&details, status,",
            1,
        ),
        (
            "status == RINGPROOF_OK ? live : 0",
            "planted(N) || status == RINGPROOF_OK ? live : 0",
            2,
        ),
    ] {
        let places = text.matches(guard).count();
        assert_eq!(places, count, "{guard}: is this list still right?");
        let mut pieces = text.split(guard);
        let mut changed = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            number += 1;
            changed += &without.replace("(N)", &format!("({number})"));
            changed += piece;
        }
        text = changed;
    }
    let begin = "extern \"C++\" {\n\n#include <array>";
    assert_eq!(text.matches(begin).count(), 1);
    let planted = "extern \"C++\" {\n\n#include <cstdlib>\n\
                   inline bool planted(int number) {\n\
                   const char *text = std::getenv(\"RINGPROOF_PLANTED\");\n\
                   return text != nullptr && std::atoi(text) == number;\n}\n#include <array>";
    let headers = folder(&[("ringproof.hpp", &text.replace(begin, planted))]);
    let program = program(&compiler, headers.path(), headers.path(), &["-O0", "-w"]);
    succeeds(&program);
    for fault in 1..=number {
        let output = run_bounded(&program, &fault.to_string());
        let status = output.status;
        let noticed = !status.success() && status.code() != Some(124);
        assert!(noticed, "fault {fault} of {number}: {status}");
    }
}

/// As strict as programs are that include it.
fn strict(compiler: &Compiler) -> Vec<&'static str> {
    let mut flags = vec![
        "-Werror",
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Wshadow",
        "-Wold-style-cast",
        "-Wconversion",
        "-Wsign-conversion",
        "-Wzero-as-null-pointer-constant",
        "-Wextra-semi",
        "-Wcast-qual",
        "-Wcast-align",
        "-Wmissing-declarations",
        "-Wundef",
    ];
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
            let said = compiler.refusal(&include(), &program, &arguments);
            assert_eq!(said, None, "{standard}");
        }
        // And it would say it: a cast of C in either header, a name that hides another, a number that
        // is cut.
        for (name, right, wrong, warning) in [
            (
                "ringproof.hpp",
                "static_cast<T *>(items.items)",
                "(T *)items.items",
                "old-style-cast",
            ),
            (
                "ringproof.h",
                "#pragma GCC diagnostic ignored \"-Wold-style-cast\"\n",
                "",
                "old-style-cast",
            ),
            (
                "ringproof.h",
                "#pragma GCC diagnostic ignored \"-Wzero-as-null-pointer-constant\"\n",
                "",
                "zero-as-null-pointer-constant",
            ),
            (
                "ringproof.hpp",
                "std::size_t pushed = 0;",
                "std::size_t pushed = 0; const float cut = count; (void)cut;",
                "conversion",
            ),
            (
                "ringproof.hpp",
                "char text[256];",
                "char text[256]; { int text = 0; (void)text; }",
                "shadow",
            ),
        ] {
            // The other takes NULL for what its own headers say.
            if warning.starts_with("zero") && !compiler.is_clang {
                continue;
            }
            let text = header(name);
            assert_eq!(text.matches(right).count(), 1, "{right}: not one place");
            let headers = folder(&[(name, &text.replace(right, wrong))]);
            if name == "ringproof.h" {
                // Found beside it, the other would include its own neighbour.
                fs::write(
                    headers.path().join("ringproof.hpp"),
                    header("ringproof.hpp"),
                )
                .unwrap();
            }
            let said = compiler
                .refusal(headers.path(), &program, &flags)
                .unwrap_or_else(|| panic!("{right} -> {wrong}: accepted"));
            assert!(said.contains(warning), "{right} -> {wrong}: {said}");
        }
    }
}

#[test]
fn it_may_be_included_inside_extern_c() {
    let within = |name: &str, rest: &str| {
        format!("extern \"C\" {{\n#include \"{name}\"\n}}\n#include <string>\n{rest}\n")
    };
    let described = "struct quote { double price; };\n\
                     RINGPROOF_DESCRIBE(quote, RINGPROOF_FIELD(quote, price));\n\
                     extern \"C\" { struct more { int a; };\n\
                     RINGPROOF_DESCRIBE(more, RINGPROOF_FIELD(more, a)); }\n\
                     ringproof_status send(ringproof::producer<quote> &end, const quote &item);\n\
                     ringproof_status send(ringproof::producer<quote> &end, const quote &item) \
                     { return end.push(item); }\n\
                     ringproof_status send(ringproof::producer<more> &end, const more &item);\n\
                     ringproof_status send(ringproof::producer<more> &end, const more &item) \
                     { return end.push(item); }";
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
            let said = compiler.refusal(&include(), &within(name, rest), &flags);
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
            let headers = folder(&[(name, &text)]);
            let said = compiler.refusal(headers.path(), &within(name, ""), &[]);
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
        let refusal =
            |text: &str, arguments: &[&str]| compiler.refusal(&self::include(), text, arguments);
        assert_eq!(refusal(&good, &[]), None);
        let kinds =
            "a field of a payload is an integer, an enumeration, a float, a double or an array";
        for (text, reason) in [
            (field("enum class flag : bool {}", "flag a"), kinds),
            (field("", "std::array<bool, 2> a"), kinds),
            (field("", "std::array<int *, 2> a"), kinds),
            (field("", "void (*a)()"), kinds),
            (field("struct in { int b; }", "std::array<in, 2> a"), kinds),
            (
                field("", "std::array<int, 0> a; int b"),
                "an array of a payload has elements",
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
            // Described where nobody looks.
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
