//! Refuses any system but Linux in one line, instead of in a page of missing functions. (The algorithms alone, without
//! the feature `std`, need none.)

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let needs_linux = std::env::var_os("CARGO_FEATURE_STD").is_some();
    if needs_linux && std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        println!(
            "cargo::error=ringproof needs Linux: its roles are open-file-description locks, its segments memfds and unnamed tmpfs files"
        );
    }
}
