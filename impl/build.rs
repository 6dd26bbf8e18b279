//! Refuses any system but Linux in one line, instead of in a page of missing functions.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        println!(
            "cargo::error=ringproof needs Linux: its roles are open-file-description locks, its segments memfds and unnamed tmpfs files"
        );
    }
}
