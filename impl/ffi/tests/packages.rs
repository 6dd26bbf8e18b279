//! What finds the headers for a build: the CMake package and the pkg-config file.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use ringproof_record::compiler;
use tempfile::TempDir;

const PROGRAM: &str = "#include <ringproof.h>\nint main(void) { return sizeof(off_t) != 8; }\n";

fn ffi() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder with a program in C and the same in C++.
fn project() -> TempDir {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    for file in ["main.c", "main.cpp"] {
        fs::write(folder.path().join(file), PROGRAM).expect("a program");
    }
    folder
}

/// Runs a tool, or says that it is not installed.
fn tool(command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(error) => {
            println!("not run: {:?}: {error}", command.get_program());
            None
        }
    }
}

fn succeeded(output: &Output) {
    let said = [&*output.stdout, &*output.stderr].concat();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&said)
    );
}

#[test]
fn cmake_finds_the_package() {
    if let Some(why) = compiler::why_not("CXX", "c++") {
        println!("not run: no compiler for C++ can be run here: {why}");
        return;
    }
    let project = project();
    let text = "cmake_minimum_required(VERSION 3.16)\nproject(found C CXX)\n\
                find_package(ringproof CONFIG REQUIRED)\n\
                add_executable(in_c main.c)\nadd_executable(in_cxx main.cpp)\n\
                foreach(program in_c in_cxx)\n\
                target_link_libraries(${program} PRIVATE ringproof::ringproof)\nendforeach()\n";
    fs::write(project.path().join("CMakeLists.txt"), text).expect("a project");
    let configure = |package: &Path| {
        let mut command = Command::new("cmake");
        command.arg("-S").arg(project.path()).arg("-B");
        command.arg(project.path().join("build"));
        tool(command.arg(format!("-Dringproof_DIR={}", package.display())))
    };
    // Where it is not, it is not found.
    let Some(output) = configure(&ffi().join("include")) else {
        return;
    };
    assert!(!output.status.success(), "{output:?}");
    fs::remove_dir_all(project.path().join("build")).expect("what was configured");

    succeeded(&configure(&ffi().join("cmake")).expect("it was there a moment ago"));
    let mut build = Command::new("cmake");
    build.arg("--build").arg(project.path().join("build"));
    succeeded(&tool(&mut build).expect("it was there a moment ago"));
    for program in ["in_c", "in_cxx"] {
        let program = project.path().join("build").join(program);
        succeeded(&tool(&mut Command::new(program)).expect("a program"));
    }
}

#[test]
fn pkg_config_tells_the_flags() {
    let project = project();
    let template = fs::read_to_string(ffi().join("ringproof.pc.in")).expect("the template");
    // What is told is split at blanks, so there is none in it, wherever this tree lies.
    let place = tempfile::tempdir().expect("a folder");
    let prefix = place.path().join("prefix");
    symlink(ffi(), &prefix).expect("a link");
    let text = template
        .replace("@PREFIX@", &prefix.display().to_string())
        .replace("@VERSION@", "0.1.0");
    fs::write(project.path().join("ringproof.pc"), text).expect("a package file");
    let mut ask = Command::new("pkg-config");
    ask.args(["--cflags", "ringproof"]);
    let Some(output) = tool(ask.env("PKG_CONFIG_PATH", project.path())) else {
        return;
    };
    succeeded(&output);
    let flags = String::from_utf8(output.stdout).expect("words");
    let compile = |flags: &[&str]| {
        let mut command = compiler::from_env("CC", "cc");
        command.args(["-std=c11", "-fsyntax-only"]).args(flags);
        tool(command.arg(project.path().join("main.c"))).expect("a C compiler")
    };
    succeeded(&compile(&flags.split_whitespace().collect::<Vec<_>>()));
    // Without them the header is not there.
    assert!(!compile(&[]).status.success());
}
