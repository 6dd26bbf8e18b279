//! What a forked child has of its parent's segments, in C, in C++, with the library and from Python;
//! and what is left of a library that was unloaded.
#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "each test file uses its own part of this")]
mod common;
#[path = "../../tests/common/named.rs"]
mod named;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{ffi, library, run, succeeds};
use named::Named;
use ringproof_record::{compiler, deadline};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A compiler call with every warning an error.
fn compiler_for(source: &str) -> Command {
    let (variable, usual, standard) = if source.ends_with(".cpp") {
        ("CXX", "c++", "-std=c++17")
    } else {
        ("CC", "cc", "-std=c11")
    };
    let mut command = compiler::from_env(variable, usual);
    command.args([standard, "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
    command
}

/// Compiles a source below `tests` into this folder; `more` comes after it.
fn compile(folder: &TempDir, source: &str, more: &[&str]) -> PathBuf {
    let program = folder.path().join(format!("{source}.out"));
    let mut command = compiler_for(source);
    command.arg("-I").arg(ffi().join("include"));
    command.arg(ffi().join("tests").join(source)).args(more);
    // Where the C library has its threads apart.
    succeeds(command.arg("-pthread").arg("-o").arg(&program));
    program
}

/// fork.c against the header in `include`: two source files, one program.
fn compile_fork(folder: &TempDir, include: &Path, flags: &[&str]) -> PathBuf {
    let object = |name: &str, part: &[&str]| {
        let object = folder.path().join(name);
        let mut command = compiler_for("fork.c");
        command.args(flags).args(part).arg("-I").arg(include);
        command.arg("-c").arg(ffi().join("tests/fork.c"));
        succeeds(command.arg("-o").arg(&object));
        object
    };
    let (whole, part) = (object("fork.o", &[]), object("part.o", &["-DPART"]));
    let program = folder.path().join("fork");
    let mut command = compiler_for("fork.c");
    let command = command.args(flags).arg(whole).arg(part);
    succeeds(command.arg("-pthread").arg("-o").arg(&program));
    program
}

/// Runs a program on a name of its own. One that hangs is ended with status 124.
fn run_bounded(program: &Path, arguments: &[&str]) -> Output {
    let limit = deadline::seconds(120).as_secs().to_string();
    run(Command::new("timeout")
        .arg(limit)
        .arg(program)
        .args(arguments))
}

#[track_caller]
fn assert_succeeds(program: &Path, arguments: &[&str]) {
    let output = run_bounded(program, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
}

fn has_cpp() -> bool {
    let why_not = compiler::why_not("CXX", "c++");
    if let Some(why) = &why_not {
        eprintln!("not run: no compiler for C++ can be run here: {why}");
    }
    why_not.is_none()
}

/// How a program is linked to the library.
fn linked() -> [String; 3] {
    let library = library().display();
    [
        format!("-L{library}"),
        format!("-Wl,-rpath,{library}"),
        "-lringproof".to_owned(),
    ]
}

/// The names that fork.c makes besides the one that it is told.
struct Besides<'a>(&'a Named);

impl Drop for Besides<'_> {
    fn drop(&mut self) {
        for end in ["-a", "-b"] {
            // There is none as a rule.
            let path = self.0.path();
            let _ = fs::remove_file(format!("{}{end}", path.display()));
        }
    }
}

#[test]
fn a_child_has_nothing_of_what_its_parent_attached_in_c() {
    let folder = folder();
    let program = compile_fork(&folder, &ffi().join("include"), &[]);
    let name = Named::new("fork-c");
    let _besides = Besides(&name);
    assert_succeeds(&program, &[&name]);
    assert!(!name.path().exists(), "it left its segment");
}

#[test]
fn a_child_has_nothing_of_what_its_parent_attached_in_cpp() {
    if !has_cpp() {
        return;
    }
    let folder = folder();
    let program = compile(&folder, "fork.cpp", &[]);
    let name = Named::new("fork-cpp");
    assert_succeeds(&program, &[&name]);
    assert!(!name.path().exists(), "it left its segment");
}

#[test]
fn a_child_has_nothing_of_what_its_parent_attached_with_the_library() {
    let folder = folder();
    let linked = linked();
    let program = compile(&folder, "fork_lib.c", &linked.each_ref().map(|one| &**one));
    let name = Named::new("fork-lib");
    assert_succeeds(&program, &[&name]);
    assert!(!name.path().exists(), "it left its segment");
}

#[test]
fn a_worker_has_nothing_of_what_its_parent_attached_in_python() {
    let found = Command::new("python3").arg("--version").output();
    if !found.is_ok_and(|output| output.status.success()) {
        eprintln!("not run: python3 cannot be run here");
        return;
    }
    let script = ffi().join("tests/fork.py");
    let library = library().join("libringproof.so");
    let arguments = [script, library].map(|path| path.display().to_string());
    let arguments = arguments.each_ref().map(|one| &**one);
    assert_succeeds(Path::new("python3"), &arguments);
}

/// Each fault changes one place of the header; fork.c must not pass with it.
#[test]
fn the_program_finds_planted_faults() {
    let faults = [
        // A hole, for whatever comes.
        (
            "pthread_atfork(ringproof_before_fork, ringproof_in_parent, ringproof_in_child)",
            "0",
        ),
        // A hole until the handler runs.
        ("  ringproof_advise(MADV_DOFORK);", ""),
        // The mapping itself.
        (
            "    if (each->map != NULL &&\n        mmap",
            "    if (false && each->map != NULL &&\n        mmap",
        ),
        (
            "return shared->inherited || getpid() != shared->owner;",
            "return shared->inherited;",
        ),
        (
            "return shared->inherited || getpid() != shared->owner;",
            "return false;",
        ),
        (
            "!shared->inherited && shared->owner == ringproof_attached.parent;",
            "!shared->inherited;",
        ),
        (
            "    if (mapped) {\n      munmap",
            "    if (true) {\n      munmap",
        ),
        // What was unmapped stays in the list.
        ("    shared->map = NULL;\n    pthread", "    pthread"),
        ("    *held = true;\n", ""),
        (
            "  if (ringproof_is_inherited(shared)) {\n    /* What",
            "  if (false) {\n    /* What",
        ),
        ("    shared->held &= ~(1u << claim->byte);\n", ""),
        (
            "    if (!ringproof_is_inherited(shared)) {\n      /* Explicitly",
            "    if (true) {\n      /* Explicitly",
        ),
        (
            "if (!ringproof_is_forking()) {\n    return; /*",
            "if (false) {\n    return; /*",
        ),
        // Descriptors too many.
        (
            "    close(segment->fd);\n    segment->fd = own;",
            "    segment->fd = own;",
        ),
        (
            "    close(shared->fd);\n    free(shared);",
            "    free(shared);",
        ),
    ];
    let header = fs::read_to_string(ffi().join("include/ringproof.h")).expect("the header");
    for (right, wrong) in faults {
        assert_eq!(header.matches(right).count(), 1, "{right}: not one place");
        let folder = folder();
        let changed = header.replace(right, wrong);
        fs::write(folder.path().join("ringproof.h"), changed).expect("write a header");
        // A fault may leave something unused.
        let program = compile_fork(&folder, folder.path(), &["-w", "-O0"]);
        let name = Named::new("fork-fault");
        let _besides = Besides(&name);
        let status = run_bounded(&program, &[&name]).status;
        let noticed = !status.success() && status.code() != Some(124);
        assert!(noticed, "{right} -> {wrong}: not noticed: {status}");
    }
}

/// A program that loads what has ringproof in it.
fn host(folder: &TempDir) -> PathBuf {
    compile(
        folder,
        "host.c",
        &["-I", &ffi().join("include").display().to_string(), "-ldl"],
    )
}

#[test]
fn the_guard_of_a_library_that_is_unloaded_stays() {
    let folder = folder();
    let library = library().join("libringproof.so");
    let library = library.display().to_string();
    assert_succeeds(&host(&folder), &["guard", &library]);
}

#[test]
fn a_fork_after_the_library_was_unloaded_comes_to_its_end() {
    let folder = folder();
    let library = library().join("libringproof.so");
    let library = library.display().to_string();
    assert_succeeds(&host(&folder), &["library", &library]);
    let plugin = compile(&folder, "plugin.c", &["-shared", "-fPIC"]);
    let name = Named::new("fork-plugin");
    let plugin = plugin.display().to_string();
    assert_succeeds(&host(&folder), &["forks", &plugin, &name]);
}
