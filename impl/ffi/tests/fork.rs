//! What a forked child has of its parent's segments, in C, in C++, with the library and from Python;
//! and what is left of a library that was unloaded.
#![cfg(target_os = "linux")]

#[path = "common/c.rs"]
mod c;
#[allow(dead_code, reason = "each test file uses its own part of this")]
mod common;
#[path = "../../tests/common/named.rs"]
mod named;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use c::{
    Folder, bounded, compile_to, compiler_for, faults, ffi, has_cpp, header, noticed, run, succeeds,
};
use common::{library, linked};
use named::Named;

fn folder() -> Folder {
    Folder::with(&[])
}

/// Compiles a source below `tests` into this folder.
fn compile<A: AsRef<str>>(folder: &Folder, source: &str, more: &[A]) -> PathBuf {
    let program = folder.path().join(format!("{source}.out"));
    compile_to(&program, &format!("tests/{source}"), more);
    program
}

/// fork.c against the headers in a folder before those of the tree: two source files, one program.
fn compile_fork(folder: &Folder, flags: &[&str]) -> PathBuf {
    let objects = [("fork.o", "-UPART"), ("part.o", "-DPART")].map(|(name, part)| {
        let object = folder.path().join(name);
        let first = folder.first();
        let more = [flags, &["-c", part, &first]].concat();
        compile_to(&object, "tests/fork.c", &more);
        object
    });
    let program = folder.path().join("fork");
    let mut command = compiler_for(false);
    succeeds(command.args(flags).args(objects).arg("-o").arg(&program));
    program
}

/// Runs a program, which must succeed.
#[track_caller]
fn passes(program: &Path, arguments: &[&str]) {
    succeeds(bounded(program).args(arguments));
}

/// The names that fork.c makes besides the one that it is given.
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
    let program = compile_fork(&folder, &[]);
    let name = Named::new("fork-c");
    let _besides = Besides(&name);
    passes(&program, &[&name]);
    assert!(!name.path().exists(), "it left its segment");
}

#[test]
fn a_child_has_nothing_of_what_its_parent_attached_in_cpp() {
    if !has_cpp() {
        return;
    }
    let folder = folder();
    let program = compile(&folder, "fork.cpp", &[""; 0]);
    let name = Named::new("fork-cpp");
    passes(&program, &[&name]);
    assert!(!name.path().exists(), "it left its segment");
}

#[test]
fn a_child_has_nothing_of_what_its_parent_attached_with_the_library() {
    let folder = folder();
    let program = compile(&folder, "fork_lib.c", &linked());
    let name = Named::new("fork-lib");
    passes(&program, &[&name]);
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
    passes(Path::new("python3"), &arguments);
}

/// fork.c must not pass with any of these faults in the header.
#[test]
fn the_program_finds_injected_faults() {
    let header = header("ringproof.h");
    for fault in faults("fork.txt") {
        let folder = Folder::with(&[("ringproof.h", &fault.inject(&header))]);
        // A fault may leave something unused.
        let program = compile_fork(&folder, &["-w", "-O0"]);
        let name = Named::new("fork-fault");
        let _besides = Besides(&name);
        let status = run(bounded(&program).arg(&*name)).status;
        assert!(noticed(status), "{fault}: not noticed: {status}");
    }
}

/// A program that loads what has ringproof in it.
fn host(folder: &Folder) -> PathBuf {
    compile(folder, "host.c", &["-ldl"])
}

#[test]
fn the_guard_of_a_library_that_is_unloaded_stays() {
    let folder = folder();
    let library = library().join("libringproof.so");
    let library = library.display().to_string();
    passes(&host(&folder), &["guard", &library]);
}

#[test]
fn a_fork_after_the_library_was_unloaded_comes_to_its_end() {
    let folder = folder();
    let library = library().join("libringproof.so");
    let library = library.display().to_string();
    passes(&host(&folder), &["library", &library]);
    let plugin = compile(&folder, "plugin.c", &["-shared", "-fPIC"]);
    let name = Named::new("fork-plugin");
    let plugin = plugin.display().to_string();
    passes(&host(&folder), &["forks", &plugin, &name]);
}
