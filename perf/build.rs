//! Compiles the C side of the experiment `c-header`: into the program itself, because a call into
//! a shared library that lies far away costs as much as half a push.
//!
//! Where there is no C compiler the program is built without it, and the experiment says so.
//!
//! Lists the experiments that `src/experiments.rs` does not declare: one that is a file of its own in
//! `src/experiments` is part of the program without a change anywhere else.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

const SOURCE: &str = "src/c_ends/ends.c";
const INCLUDE: &str = "../impl/ffi/include";

fn main() -> io::Result<()> {
    list_experiments(Path::new("src/experiments"))?;
    println!("cargo::rustc-check-cfg=cfg(with_c)");
    for input in ["build.rs", SOURCE, INCLUDE] {
        println!("cargo::rerun-if-changed={input}");
    }
    match compile() {
        Ok(compiler) => {
            println!("cargo::rustc-cfg=with_c");
            println!("cargo::rustc-env=RINGPROOF_C={compiler}");
        }
        Err(why) => println!("cargo::rustc-env=RINGPROOF_C={why}"),
    }
    Ok(())
}

/// Writes the modules of this folder that are not declared, and the list of their experiments.
fn list_experiments(folder: &Path) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let declared = fs::read_to_string(folder.with_extension("rs"))?;
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let mut files: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    let (mut modules, mut experiments) = (String::new(), String::new());
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        if !declared.contains(&format!("mod {name};")) {
            modules += &format!("#[path = {:?}]\nmod {name};\n", file.canonicalize()?);
            experiments += &format!("{name}::EXPERIMENT, ");
        }
    }
    let list = format!("{modules}const UNDECLARED: &[Experiment] = &[{experiments}];\n");
    let out = env::var_os("OUT_DIR").unwrap_or_default();
    fs::write(Path::new(&out).join("experiments.rs"), list)
}

/// Which compiler made the library and how; or, in one line, why none did.
fn compile() -> Result<String, String> {
    let mut build = cc::Build::new();
    // What the release profile asks of rustc, whatever the profile: it is measured.
    build.opt_level(3).debug(false).std("c11").warnings(true);
    build.file(SOURCE).include(INCLUDE);
    // Where a function of this size happens to lie decides over a tenth of its time.
    for alignment in ["-falign-functions=64", "-falign-loops=32"] {
        build.flag_if_supported(alignment);
    }
    let one_line = |error: &dyn Display| error.to_string().replace('\n', " ");
    let compiler = build.try_get_compiler().map_err(|error| one_line(&error))?;
    let version = (compiler.to_command().arg("--version").output())
        .map_err(|error| one_line(&error))?
        .stdout;
    let version = String::from_utf8_lossy(&version);
    (build.try_compile("ringproof-perf-ends")).map_err(|error| one_line(&error))?;
    let name = compiler.path().file_name().unwrap_or_default();
    let first = version.lines().next().unwrap_or("of no known version");
    Ok(format!("{} -O3: {first}", name.to_string_lossy()))
}
