//! The library as cargo builds it, which programs are linked to.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::c::{ffi, succeeds};

/// The name that a program which is linked to the shared library asks for: one for all versions that
/// are compatible by Cargo's rule.
pub(crate) fn soname() -> String {
    let (major, minor) = (
        env!("CARGO_PKG_VERSION_MAJOR"),
        env!("CARGO_PKG_VERSION_MINOR"),
    );
    match major {
        "0" => format!("libringproof.so.0.{minor}"),
        _ => format!("libringproof.so.{major}"),
    }
}

/// Where cargo builds to. Cargo builds a test's own package as far as a test can link it, and no test
/// of Rust links a library for C.
pub(crate) fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("..")
}

/// The directory that the library is built to, as cargo says: that depends on its settings.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--package", "ringproof-ffi", "--target-dir"]);
        build.arg(target()).arg("--message-format=json");
        let said = succeeds(build.current_dir(ffi()));
        let files = said.lines().flat_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            let files = message["filenames"].as_array().cloned();
            files.unwrap_or_default()
        });
        let archive = files
            .filter_map(|file| file.as_str().map(PathBuf::from))
            .find(|file| file.ends_with("libringproof.a"));
        let archive = archive.expect("an archive among what cargo built");
        let directory = archive.parent().expect("a directory").to_owned();
        // What programs ask for when they run; an installation makes it, too.
        match symlink("libringproof.so", directory.join(soname())) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => panic!("{error}"),
            _ => directory,
        }
    })
}

/// What a program needs besides that is linked with the archive.
pub(crate) fn private_libraries() -> Vec<String> {
    let template = fs::read_to_string(ffi().join("ringproof-lib.pc.in"));
    let template = template.expect("ringproof-lib.pc.in");
    let private = template
        .lines()
        .find_map(|line| line.strip_prefix("Libs.private:"))
        .expect("Libs.private");
    private.split_whitespace().map(str::to_owned).collect()
}

/// What the linker is given for the shared library.
pub(crate) fn linked() -> [String; 3] {
    let library = library().display();
    [
        format!("-L{library}"),
        format!("-Wl,-rpath,{library}"),
        "-lringproof".to_owned(),
    ]
}
