//! What install.sh installs, and the programs that find it there: with CMake, with pkg-config and from
//! Python.
#![cfg(target_os = "linux")]

#[path = "common/c.rs"]
mod c;
#[allow(dead_code, reason = "each test file uses its own part of this")]
mod common;
#[path = "../../tests/common/named.rs"]
mod named;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use c::{ffi, has_cpp, run, succeeds};
use common::{library, private_libraries, soname, target};
use named::Named;
use object::elf::{DT_NEEDED, DT_SONAME, DynamicTag, FileHeader64};
use object::read::elf::{Dyn, FileHeader};
use object::{Endianness, Object, ObjectSymbol};
use ringproof_record::compiler;
use tempfile::TempDir;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whether a tool is there; says what is missing.
fn has(tool: &str) -> bool {
    let answers = Command::new(tool).arg("--version").output();
    let found = answers.is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("not run: {tool} cannot be run here");
    }
    found
}

fn install(arguments: &[&str]) -> Command {
    let mut command = Command::new(ffi().join("install.sh"));
    command.args(arguments);
    // Neither of the outside.
    command
        .env_remove("DESTDIR")
        .env("CARGO_TARGET_DIR", target());
    command
}

/// The archive that is built already.
fn archive() -> PathBuf {
    library().join("libringproof.a")
}

/// A tree with all that is installed below this prefix. What pkg-config says is split at blanks, so
/// there is none in its path, wherever these tests run.
fn installed(prefix: &str, libdir: &str) -> TempDir {
    let root = tempfile::tempdir().expect("a folder");
    let mut command = install(&["--prefix", prefix, "--libdir", libdir, "--archive"]);
    succeeds(command.arg(archive()).env("DESTDIR", root.path()));
    root
}

/// Every file and link below it, by its path from there.
fn files(root: &Path) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            if entry.file_type().expect("its type").is_dir() {
                folders.push(entry.path());
            } else {
                let path = entry.path();
                let path = path.strip_prefix(root).expect("below the root");
                files.insert(path.to_str().expect("ASCII").to_owned());
            }
        }
    }
    files
}

/// By default, as cargo builds it, into another root than the one that it is for.
#[test]
fn everything_is_installed_below_the_root_and_for_the_prefix() {
    let root = tempfile::tempdir().expect("a folder");
    let mut command = install(&["--prefix", "/opt/rings", "--profile", "dev"]);
    let said = succeeds(command.env("DESTDIR", root.path()));
    let expected = [
        "include/ringproof.h",
        "include/ringproof.hpp",
        "include/ringproof_lib.h",
        "lib/cmake/ringproof/ringproof-config-version.cmake",
        "lib/cmake/ringproof/ringproof-config.cmake",
        "lib/libringproof.a",
        "lib/libringproof.so",
        &format!("lib/{}", soname()),
        &format!("lib/libringproof.so.{VERSION}"),
        "lib/pkgconfig/ringproof-lib.pc",
        "lib/pkgconfig/ringproof.pc",
    ]
    .map(|file| format!("opt/rings/{file}"));
    assert_eq!(files(root.path()), BTreeSet::from(expected.clone()));
    let said: BTreeSet<_> = said.lines().map(str::to_owned).collect();
    let printed = expected.map(|file| root.path().join(file).display().to_string());
    assert_eq!(said, BTreeSet::from(printed));
    // What is read there knows the place that it is for.
    let lib = root.path().join("opt/rings/lib");
    for file in ["ringproof.pc", "ringproof-lib.pc"] {
        let text = fs::read_to_string(lib.join("pkgconfig").join(file)).expect(file);
        assert!(text.contains("prefix=/opt/rings\n"), "{text}");
        assert!(text.contains(&format!("Version: {VERSION}\n")), "{text}");
        assert!(!text.contains('@') && !text.contains("/tmp"), "{text}");
    }
    for (link, to) in [
        ("libringproof.so", soname()),
        (&soname(), format!("libringproof.so.{VERSION}")),
    ] {
        assert_eq!(fs::read_link(lib.join(link)).expect(link), Path::new(&to));
    }
    // Once more, over what is there; and without anything that is built.
    succeeds(command.env("DESTDIR", root.path()));
    let headers = tempfile::tempdir().expect("a folder");
    succeeds(
        install(&["--headers-only", "--prefix", "/usr"])
            .env("DESTDIR", headers.path())
            .env("CARGO", "false")
            .env("CC", "false"),
    );
    let only = [
        "include/ringproof.h",
        "include/ringproof.hpp",
        "lib/cmake/ringproof/ringproof-config-version.cmake",
        "lib/cmake/ringproof/ringproof-config.cmake",
        "lib/pkgconfig/ringproof.pc",
    ];
    let only = only.map(|file| format!("usr/{file}"));
    assert_eq!(files(headers.path()), BTreeSet::from(only));
}

#[test]
fn an_installation_that_cannot_be_says_why_and_writes_nothing() {
    let root = tempfile::tempdir().expect("a folder");
    let archive = archive();
    let archive = archive.to_str().expect("UTF-8");
    // What begins a comment there, and what is cut off at the end of a line, is no part of a prefix.
    for (code, arguments, variable, words) in [
        (2, ["--prefox", "/usr"], "", "there is no option --prefox"),
        (
            2,
            ["--headers-only", "--prefix"],
            "",
            "--prefix needs a value",
        ),
        (2, ["--prefix", "usr"], "", "not an absolute path"),
        (2, ["--prefix", "/a$b"], "", "a character"),
        (2, ["--prefix", "/c#"], "", "a character"),
        (2, ["--prefix", "/a "], "", "a character"),
        (2, ["--libdir", "../lib"], "", "not below the prefix"),
        (2, ["--libdir", "/usr/lib"], "", "not below the prefix"),
        (1, ["--archive", "/nowhere.a"], "", "no archive /nowhere.a"),
        (1, ["--profile", "dev"], "CARGO", "cargo build failed"),
        (1, ["--archive", archive], "CC", "could not be linked"),
    ] {
        let mut command = install(&arguments);
        command.env("DESTDIR", root.path());
        if !variable.is_empty() {
            command.env(variable, "false");
        }
        let output = run(&mut command);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(words), "{arguments:?}: {errors}");
        assert_eq!(files(root.path()), BTreeSet::new(), "{arguments:?}");
    }
    let help = succeeds(&mut install(&["--help"]));
    assert!(help.contains("Usage: impl/ffi/install.sh"), "{help}");
    // Help that cannot be printed is no reason to go on with an installation.
    let mut command = install(&["--headers-only", "--help"]);
    let full = fs::File::create("/dev/full").expect("/dev/full");
    command.env("DESTDIR", root.path()).stdout(full);
    let status = command.status().expect("install.sh runs");
    assert_eq!(status.code(), Some(1));
    assert_eq!(files(root.path()), BTreeSet::new());
}

/// A folder with the programs of tests/consumers.
fn consumers() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for entry in fs::read_dir(ffi().join("tests/consumers")).expect("tests/consumers") {
        let path = entry.expect("a file").path();
        let name = path.file_name().expect("its name");
        fs::copy(&path, folder.path().join(name)).expect("a copy");
    }
    folder
}

/// Configures the project in a folder. `Err`: what CMake says.
fn configure(project: &Path, arguments: &[String]) -> Result<(), String> {
    let build = project.join("build");
    // What an earlier call found is remembered there.
    let _ = fs::remove_dir_all(&build);
    let mut command = Command::new("cmake");
    command.arg("-S").arg(project).arg("-B").arg(build);
    command.args(arguments);
    let output = run(&mut command);
    let said = String::from_utf8_lossy(&output.stderr);
    // Its lines are wrapped.
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    output.status.success().then_some(()).ok_or(said)
}

fn prefix_path(prefix: &Path) -> [String; 1] {
    [format!("-DCMAKE_PREFIX_PATH={}", prefix.display())]
}

#[test]
fn programs_built_with_cmake_run() {
    if !has("cmake") || !has_cpp() {
        return;
    }
    // Where Debian has libraries, one directory deeper.
    let machine = run(compiler::from_env("CC", "cc").arg("-print-multiarch"));
    let machine = String::from_utf8_lossy(&machine.stdout).trim().to_owned();
    let mut libdirs = vec!["lib".to_owned()];
    if machine.is_empty() {
        eprintln!("not run: this compiler names no directory of its machine");
    } else {
        libdirs.push(format!("lib/{machine}"));
    }
    for libdir in libdirs {
        let root = installed("/opt/rings", &libdir);
        let project = consumers();
        let configured = configure(project.path(), &prefix_path(&root.path().join("opt/rings")));
        assert_eq!(configured, Ok(()));
        let build = project.path().join("build");
        succeeds(Command::new("cmake").arg("--build").arg(&build));
        for program in ["header_c", "header_cpp", "shared", "static"] {
            let name = Named::new("cmake");
            let mut command = Command::new(build.join(program));
            if program.starts_with("header") {
                command.arg(&*name);
            }
            succeeds(&mut command);
        }
        // The linker was given a file, and what it recorded is a name.
        let needed = needed(&build.join("shared"));
        assert!(needed.contains(&soname()), "{needed:?}");
    }
}

/// Where a package is, what it is asked for, and what is not there.
#[test]
fn cmake_finds_what_is_there_and_nothing_else() {
    if !has("cmake") || !has_cpp() {
        return;
    }
    let root = installed("/usr", "lib");
    let prefix = root.path().join("usr");
    let project = tempfile::tempdir().expect("a folder");
    let ask = |asked: &str, arguments: &[String]| {
        let text = format!(
            "cmake_minimum_required(VERSION 3.16)\nproject(x CXX)\nfind_package(ringproof {asked})\n\
             add_executable(x x.cpp)\ntarget_link_libraries(x PRIVATE ringproof::ringproof)\n"
        );
        fs::write(project.path().join("CMakeLists.txt"), text).expect("a project");
        fs::write(
            project.path().join("x.cpp"),
            "#include <ringproof.hpp>\nint main() {}\n",
        )
        .expect("a program");
        configure(project.path(), arguments)
    };
    let by_prefix = prefix_path(&prefix);
    for asked in [
        "REQUIRED",
        "0 REQUIRED",
        "0.1 REQUIRED",
        "0.1.0 EXACT REQUIRED",
        "0.1...<0.2 REQUIRED",
        "0.0.5...0.1.0 REQUIRED",
        "0.1 REQUIRED COMPONENTS library OPTIONAL_COMPONENTS other",
    ] {
        assert_eq!(ask(asked, &by_prefix), Ok(()), "{asked}");
    }
    for (asked, words) in [
        ("0.2 REQUIRED", "version: 0.1.0"),
        ("0.0.9 REQUIRED", "version: 0.1.0"),
        ("1.0 REQUIRED", "version: 0.1.0"),
        ("1 REQUIRED", "version: 0.1.0"),
        ("0 EXACT REQUIRED", "version: 0.1.0"),
        ("0.1.1 REQUIRED", "version: 0.1.0"),
        ("0.1.1 EXACT REQUIRED", "version: 0.1.0"),
        ("0.0.5...<0.1.0 REQUIRED", "version: 0.1.0"),
        ("0.2...0.3 REQUIRED", "version: 0.1.0"),
        ("REQUIRED COMPONENTS other", "there is no other in"),
    ] {
        let said = ask(asked, &by_prefix).expect_err(asked);
        assert!(said.contains(words), "{asked}: {said}");
    }

    // From the source tree, where only the headers are.
    let package = |path: &Path| [format!("-Dringproof_DIR={}", path.display())];
    let source = package(&ffi().join("cmake"));
    assert_eq!(ask("0.1 REQUIRED", &source), Ok(()));
    let said = ask("0.1 REQUIRED COMPONENTS library", &source).expect_err("no library there");
    assert!(said.contains("there is no library in"), "{said}");

    // Where nothing is, and where the headers are not.
    let empty = tempfile::tempdir().expect("a folder");
    let said = ask("REQUIRED", &prefix_path(empty.path())).expect_err("nothing there");
    assert!(said.contains("ringproof-config.cmake"), "{said}");
    fs::remove_file(prefix.join("include/ringproof.hpp")).expect("a header");
    let said = ask("REQUIRED", &by_prefix).expect_err("no header there");
    assert!(
        said.contains("ringproof.hpp is not where it is expected"),
        "{said}"
    );
}

/// Compiles a program with what pkg-config says of a package, as a shell takes it.
fn compile(prefix: &Path, package: &str, source: &Path, program: &Path, flags: &str) -> Command {
    let (variable, usual) = match source.extension() {
        Some(extension) if extension == "cpp" => ("CXX", "c++"),
        _ => ("CC", "cc"),
    };
    let fixed = if flags.contains("-static") {
        "--static"
    } else {
        ""
    };
    let script = format!(
        "flags=$(pkg-config {fixed} --cflags --libs {package}) && \
         eval \"${{{variable}:-{usual}}} {flags} '{}' -o '{}' $flags\"",
        source.display(),
        program.display()
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]);
    shell.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    shell
}

#[test]
fn programs_built_with_pkg_config_run() {
    if !has("pkg-config") {
        return;
    }
    let root = installed("/opt/rings", "lib");
    let prefix = root.path().join("opt/rings");
    let sources = consumers();
    let source = |name: &str| sources.path().join(name);
    let program = sources.path().join("program");
    // What it prints is for the prefix; what is to be found is below the root.
    let compile = |package: &str, name: &str, flags: &str| {
        let mut command = compile(&prefix, package, &source(name), &program, flags);
        command.env("PKG_CONFIG_SYSROOT_DIR", root.path());
        command
    };
    let name = Named::new("pkg-config");
    succeeds(&mut compile("ringproof", "header.c", "-std=c11"));
    succeeds(Command::new(&program).arg(&*name));
    if has_cpp() {
        succeeds(&mut compile("ringproof", "header.cpp", "-std=c++17"));
        succeeds(Command::new(&program).arg(&*name));
    }
    succeeds(&mut compile("ringproof-lib", "library.c", "-std=c11"));
    assert!(needed(&program).contains(&soname()));
    let library_path = prefix.join("lib");
    succeeds(Command::new(&program).env("LD_LIBRARY_PATH", &library_path));
    // Only with the library: so it is that one which is asked.
    let without = run(Command::new(&program).env("LD_LIBRARY_PATH", sources.path()));
    assert!(!without.status.success(), "another library was found");

    let empty = sources.path().join("empty.c");
    fs::write(&empty, "int main(void) { return 0; }\n").expect("a program");
    let mut link = compiler::from_env("CC", "cc");
    let output = run(link.arg("-static").arg(&empty).arg("-o").arg(&program));
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        eprintln!("not run: no static program can be linked here: {errors}");
        return;
    }
    succeeds(&mut compile("ringproof-lib", "library.c", "-static"));
    assert_eq!(needed(&program), Vec::<String>::new());
    succeeds(&mut Command::new(&program));
    // And it can fail: with a library that there is only shared, as before.
    let file = prefix.join("lib/pkgconfig/ringproof-lib.pc");
    let text = fs::read_to_string(&file).expect("what was installed");
    let wrong = text.replace("Libs.private: ", "Libs.private: -lgcc_s ");
    assert_ne!(text, wrong);
    fs::write(&file, wrong).expect("another");
    let mut injected = compile("ringproof-lib", "library.c", "-static");
    assert!(!run(&mut injected).status.success());
}

/// It is linked anew for that: the checks of tests/lib.c hold for it, too.
#[test]
fn the_installed_library_passes_the_checks() {
    let root = installed("/opt/rings", "lib");
    let prefix = root.path().join("opt/rings");
    let (include, lib) = (prefix.join("include"), prefix.join("lib"));
    let program = root.path().join("checks");
    let mut command = compiler::from_env("CC", "cc");
    command.args(["-std=c11", "-O2", "-I"]).arg(include);
    command.arg(ffi().join("tests/lib.c")).arg("-L").arg(&lib);
    succeeds(command.arg("-lringproof").arg("-o").arg(&program));
    let name = Named::new("installed");
    let mut checks = Command::new(&program);
    succeeds(checks.args(["checks", &*name]).env("LD_LIBRARY_PATH", &lib));
    assert!(!name.path().exists(), "something was left");
    assert!(needed(&program).contains(&soname()));
}

#[test]
fn a_prefix_may_have_a_blank() {
    let place = tempfile::tempdir().expect("a folder");
    let prefix = place.path().join("ring & proof");
    let mut command = install(&["--archive"]);
    command.arg(archive()).arg("--prefix").arg(&prefix);
    succeeds(&mut command);
    if !has("pkg-config") {
        return;
    }
    let sources = consumers();
    let program = sources.path().join("program");
    let source = sources.path().join("library.c");
    succeeds(&mut compile(
        &prefix,
        "ringproof-lib",
        &source,
        &program,
        "",
    ));
    succeeds(Command::new(&program).env("LD_LIBRARY_PATH", prefix.join("lib")));
}

#[test]
fn a_program_in_python_runs() {
    if !has("python3") {
        return;
    }
    let root = installed("/opt/rings", "lib");
    let lib = root.path().join("opt/rings/lib");
    let program = ffi().join("tests/consumers/library.py");
    let python = |library: &Path| {
        let mut command = Command::new("python3");
        // It would leave what it compiled beside it.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command.arg(&program).arg(library);
        command
    };
    for library in ["libringproof.so", &soname()] {
        succeeds(&mut python(&lib.join(library)));
    }
    // And it can fail: numbers that are not those of the header.
    let text = fs::read_to_string(&program).expect("the program");
    let wrong = text.replace("FULL, EMPTY, RING", "EMPTY, FULL, RING");
    assert_ne!(text, wrong);
    let mut command = Command::new("python3");
    command
        .args(["-c", &wrong])
        .arg(lib.join("libringproof.so"));
    assert!(!run(&mut command).status.success());
}

/// The string that an entry of the dynamic section names, of each of these.
fn dynamic(path: &Path, tag: DynamicTag) -> Vec<String> {
    let data = fs::read(path).expect("a file");
    let header = FileHeader64::<Endianness>::parse(&*data).expect("an ELF file");
    let endian = header.endian().expect("its byte order");
    let sections = header.sections(endian, &*data).expect("its sections");
    let Some((entries, strings)) = sections.dynamic(endian, &*data).expect("a section") else {
        return Vec::new();
    };
    let strings = sections
        .strings(endian, &*data, strings)
        .expect("its strings");
    let entries = entries.iter().filter(|entry| entry.tag(endian) == tag);
    entries
        .map(|entry| entry.string(endian, strings).expect("a string"))
        .map(|string| String::from_utf8_lossy(string).into_owned())
        .collect()
}

/// The libraries that a program asks for.
fn needed(program: &Path) -> Vec<String> {
    dynamic(program, DT_NEEDED)
}

/// What a shared library exports: each name, and the version that it has, if any.
fn exports(library: &Path) -> BTreeSet<(String, String)> {
    let data = fs::read(library).expect("a file");
    let header = FileHeader64::<Endianness>::parse(&*data).expect("an ELF file");
    let endian = header.endian().expect("its byte order");
    let sections = header.sections(endian, &*data).expect("its sections");
    let versions = sections.versions(endian, &*data).expect("their versions");
    let file = object::File::parse(&*data).expect("an ELF file");
    let defined = file
        .dynamic_symbols()
        .filter(|symbol| symbol.is_definition() && symbol.is_global());
    let version_of = |symbol: &object::Symbol<'_, '_>| {
        let versions = versions.as_ref()?;
        let index = versions.version_index(endian, symbol.index());
        let version = versions.version(index.into()).ok()??;
        Some(String::from_utf8_lossy(version.name()).into_owned())
    };
    defined
        .map(|symbol| {
            let name = symbol.name().expect("a name").to_owned();
            (name, version_of(&symbol).unwrap_or_default())
        })
        // A linker may export the versions themselves.
        .filter(|(name, version)| name != version)
        .collect()
}

/// The functions that a header declares.
fn declared(header: &str) -> BTreeSet<String> {
    let code = header
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let words = code.flat_map(|line| line.split_once('(').map(|(before, _)| before));
    words
        .filter_map(|before| before.rsplit([' ', '*']).next())
        .filter(|name| name.starts_with("ringproof_lib_"))
        .map(str::to_owned)
        .collect()
}

/// The name of a version in a map for the linker, and what it makes global.
fn mapped(map: &str) -> (String, BTreeSet<String>) {
    let (version, rest) = map.split_once(" {\nglobal:\n").expect("a version");
    let (names, _) = rest.split_once("local:").expect("its end");
    let names = names.lines().map(|line| line.trim().trim_end_matches(';'));
    let version = version.lines().last().unwrap_or_default();
    (version.to_owned(), names.map(str::to_owned).collect())
}

/// What is wrong with a shared library that is to export these functions, in this version.
fn wrong_with(library: &Path, functions: &BTreeSet<String>, version: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let names = dynamic(library, DT_SONAME);
    if names != [soname()] {
        wrong.push(format!("it is called {names:?}"));
    }
    let exports = exports(library);
    let names: BTreeSet<_> = exports.iter().map(|(name, _)| name.clone()).collect();
    let differences = names.symmetric_difference(functions);
    wrong.extend(differences.map(|name| format!("only one of the two has {name}")));
    let versions = exports.iter().filter(|(_, other)| other != version);
    wrong.extend(versions.map(|(name, other)| format!("{name} has the version `{other}`")));
    wrong
}

#[test]
fn the_library_exports_what_its_header_declares() {
    let header = fs::read_to_string(ffi().join("include/ringproof_lib.h")).expect("the header");
    let functions = declared(&header);
    assert!(functions.len() > 40, "{functions:?}");
    let map = fs::read_to_string(ffi().join("libringproof.map")).expect("the map");
    let (version, global) = mapped(&map);
    assert_eq!(global, functions);
    assert_eq!(version.replace("RINGPROOF_", "libringproof.so."), soname());

    let none = Vec::<String>::new();
    // As cargo builds it, and as it is installed.
    assert_eq!(
        wrong_with(&library().join("libringproof.so"), &functions, ""),
        none
    );
    let root = installed("/opt/rings", "lib");
    let lib = root.path().join("opt/rings/lib");
    assert_eq!(
        wrong_with(&lib.join("libringproof.so"), &functions, &version),
        none
    );

    // And this can fail: a function too many or too few, no name, no versions.
    let inject = |flags: &[&str]| {
        let injected = lib.join("injected.so");
        let source = lib.join("injected.c");
        let extra = "void ringproof_lib_extra(void) {}\nvoid other(void) {}\n";
        fs::write(&source, extra).expect("a source");
        let mut command = compiler::from_env("CC", "cc");
        command.args(["-shared", "-fPIC"]).args(flags);
        succeeds(command.arg(&source).arg("-o").arg(&injected));
        wrong_with(&injected, &functions, &version).join("\n")
    };
    let wrong = inject(&[]);
    for words in [
        "it is called []",
        "only one of the two has ringproof_lib_extra",
        "only one of the two has other",
        "only one of the two has ringproof_lib_push\n",
        "ringproof_lib_extra has the version ``",
    ] {
        assert!(wrong.contains(words), "{words}: {wrong}");
    }
    let wrong = inject(&["-Wl,-soname,libringproof.so.7"]);
    assert!(
        wrong.contains("it is called [\"libringproof.so.7\"]"),
        "{wrong}"
    );
}

/// The version, and what is linked privately, stand in several files.
#[test]
fn the_files_agree_with_each_other() {
    let read = |name: &str| fs::read_to_string(ffi().join(name)).expect(name);
    let version = format!("set(PACKAGE_VERSION \"{VERSION}\")");
    assert!(read("cmake/ringproof-config-version.cmake").contains(&version));
    let private: Vec<_> = private_libraries()
        .iter()
        .map(|flag| flag.trim_start_matches("-l").to_owned())
        .collect();
    let linked = format!("INTERFACE_LINK_LIBRARIES \"{}\"", private.join(";"));
    assert!(
        read("cmake/ringproof-config.cmake").contains(&linked),
        "{linked}"
    );
    let asked = "find_package(ringproof 0.1 ";
    assert!(read("tests/consumers/CMakeLists.txt").contains(asked));
    assert!(VERSION.starts_with("0.1."), "the consumers ask for 0.1");
}
