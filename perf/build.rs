//! Compiles the C side of the experiment `c-header`: into the program itself, because a call into
//! a shared library that lies far away costs as much as half a push.
//!
//! Where there is no C compiler the program is built without it, and the experiment says so.

use std::fmt::Display;

const SOURCE: &str = "src/experiments/c_header/ends.c";
const INCLUDE: &str = "../impl/ffi/include";

fn main() {
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
