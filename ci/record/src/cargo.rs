//! Programs that cargo has just built, wherever it put them.
//!
//! A target directory, a triple, a profile or a wrapper of cargo may come from the environment or
//! from a configuration of the user. What lies where a program usually is may therefore be what an
//! earlier build left; only the messages of the build say which file it made.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

/// The argument that makes `cargo build` print its messages to standard output, one a line, while
/// progress and diagnostics still go to standard error.
pub const MESSAGES: &str = "--message-format=json-render-diagnostics";

/// The cargo that runs this program, or the one on the path.
pub fn command() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}

#[derive(Deserialize)]
struct Artifact {
    target: Target,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// What of a package a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One of its programs.
    Bin,
    /// One of its examples.
    Example,
}

impl Kind {
    /// What cargo's messages call it; its options are this behind two hyphens.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bin => "bin",
            Kind::Example => "example",
        }
    }
}

/// The file of the program `name`, if this message says that cargo has built it or has found it
/// up to date.
pub fn executable(message: &str, kind: Kind, name: &str) -> Option<PathBuf> {
    // Other messages have another shape.
    let artifact: Artifact = serde_json::from_str(message).ok()?;
    let is_it = artifact.target.name == name && artifact.target.kind == [kind.name()];
    artifact.executable.filter(|_| is_it)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn only_the_program_itself_is_found() {
        let artifact = |name: &str, kind: &str, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"p","fresh":true,
                    "target":{{"name":"{name}","kind":["{kind}"]}},"executable":{executable}}}"#
            )
        };
        let program = artifact("layer", "bin", r#""/a b/layer""#);
        assert_eq!(
            executable(&program, Kind::Bin, "layer").as_deref(),
            Some(Path::new("/a b/layer"))
        );
        assert_eq!(executable(&program, Kind::Bin, "other"), None);
        let example = artifact("layer", "example", r#""/a b/example""#);
        assert_eq!(
            executable(&example, Kind::Example, "layer").as_deref(),
            Some(Path::new("/a b/example"))
        );
        for other in [
            artifact("layer", "lib", "null"),
            artifact("layer", "bin", "null"),
            example,
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
            "no JSON".to_owned(),
        ] {
            assert_eq!(executable(&other, Kind::Bin, "layer"), None, "{other}");
        }
    }
}
