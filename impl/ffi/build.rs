//! Gives the shared library the name that programs are linked to, as far as Cargo's rule calls two
//! versions compatible: libringproof.so.0.1 for all 0.1.x, libringproof.so.1 for all 1.x.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // What it is for other systems is theirs to say: it is not built there.
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    let number = |name: &str| env::var(format!("CARGO_PKG_VERSION_{name}")).unwrap_or_default();
    let compatible = match number("MAJOR").as_str() {
        "0" => format!("0.{}", number("MINOR")),
        major => major.to_owned(),
    };
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libringproof.so.{compatible}");
}
