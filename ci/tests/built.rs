//! The driver runs what cargo has just built, and nothing that an earlier build left: the real
//! driver in a small workspace that is made up, whose `ringproof-models` is all one file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ringproof_record::{Record, cargo, program};
use ringproof_verify::collect::RAN_TO_ITS_END;
use ringproof_verify::report::{LayerResult, Report};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const PROGRAM: &str = "ringproof-models";

/// What a layer prints, by the program that printed it.
fn lines(printed_by: &str) -> [String; 2] {
    let site = r#"{"name":"A","kind":"load","ordering":"Relaxed","partner":"B","why":"c"}"#;
    let row = Record::passed("axioms", printed_by, "control");
    [site.to_owned(), row.to_line()]
}

const SOURCES: &str = "the sources";
const LEFT: &str = "what an earlier build left";

/// A workspace with a layer, and what an earlier build left in `target/release`.
struct MadeUp {
    directory: TempDir,
}

impl MadeUp {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let made_up = MadeUp { directory };
        let package = |name: &str, more: &str| {
            format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n{more}")
        };
        let [site, row] = lines(SOURCES);
        let source = format!(
            "fn main() {{\n    let sites = std::env::args().nth(1).as_deref() == Some(\"sites\");\n    \
             println!(\"{{}}\", if sites {{ {site:?} }} else {{ {row:?} }});\n}}\n"
        );
        for (file, text) in [
            (
                "Cargo.toml",
                "[workspace]\nmembers = [\"verify\", \"models\"]\nresolver = \"3\"\n".to_owned(),
            ),
            // By this name the driver knows that the workspace is its own.
            ("verify/Cargo.toml", package("ringproof-verify", "")),
            ("verify/src/lib.rs", String::new()),
            (
                "models/Cargo.toml",
                package(PROGRAM, "[features]\nloom = []\nshuttle = []\n"),
            ),
            ("models/src/main.rs", source),
        ] {
            made_up.write(file, &text);
        }
        let [site, row] = lines(LEFT);
        let script = format!(
            "#!/bin/sh\necho ran >> '{}'\n[ \"$1\" = sites ] && echo '{site}' || echo '{row}'\n",
            made_up.ran_what_was_left().display()
        );
        made_up.write_program(&format!("target/release/{PROGRAM}"), &script);
        made_up
    }

    fn root(&self) -> PathBuf {
        // As cargo names it.
        self.directory
            .path()
            .canonicalize()
            .unwrap()
            .join("workspace")
    }

    fn ran_what_was_left(&self) -> PathBuf {
        self.directory.path().join("ran")
    }

    fn place(&self, file: &str) -> PathBuf {
        let path = self.root().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.place(file), text).unwrap();
    }

    fn write_program(&self, file: &str, text: &str) -> PathBuf {
        let path = self.place(file);
        program::write(&path, text).unwrap();
        path
    }

    /// `cargo verify --layer axioms`, with these variables in the environment.
    fn verify(&self, variables: &[(&str, &Path)]) -> Verified {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringproof-verify"));
        command
            .args(["--layer", "axioms", "--json"])
            .current_dir(self.root())
            .env("CARGO_HOME", self.root().join("../home"));
        // What the cargo that runs this test, or its user, has set is about another workspace.
        for variable in [
            "CARGO_MANIFEST_DIR",
            "CARGO_BUILD_TARGET",
            "CARGO_BUILD_TARGET_DIR",
            "CARGO_TARGET_DIR",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTFLAGS",
        ] {
            command.env_remove(variable);
        }
        for (name, value) in variables {
            command.env(name, value);
        }
        Verified(command.output().unwrap())
    }

    /// That the program of the sources was run, that the report says so, and where it was.
    #[track_caller]
    fn assert_ran_sources(&self, verified: &Verified) -> PathBuf {
        let report = verified.report();
        let subjects = report.results.iter().map(|row| row.subject.as_str());
        assert_eq!(subjects.collect::<Vec<_>>(), [SOURCES]);
        assert_eq!(verified.0.status.code(), Some(0), "{verified:?}");
        assert!(!self.ran_what_was_left().exists(), "{verified:?}");
        let [program] = &verified.layer().programs[..] else {
            panic!("{verified:?}");
        };
        let path = self.root().join(&program.path);
        let bytes = fs::read(&path).unwrap();
        let hash: String = (Sha256::digest(bytes).iter())
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(program.sha256, hash);
        PathBuf::from(&program.path)
    }
}

#[derive(Debug)]
struct Verified(Output);

impl Verified {
    #[track_caller]
    fn report(&self) -> Report {
        serde_json::from_slice(&self.0.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn layer(&self) -> LayerResult {
        let layers = self.report().layers;
        let found = layers.into_iter().find(|layer| layer.name == "axioms");
        found.expect("there is such a layer")
    }
}

/// The triple of this machine, by which cargo calls a directory of its own.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.unwrap().to_owned()
}

#[test]
fn wherever_a_configuration_puts_it() {
    let host = host();
    let triple = format!("[build]\ntarget = \"{host}\"\n");
    let other = format!("[build]\ntarget-dir = \"other\"\ntarget = \"{host}\"\n");
    let of_host = format!("target/{host}/release");
    // A variable, the user's configuration, the workspace's; and where the program then is.
    for (variable, users, ours, place) in [
        (None, "", "", "target/release".to_owned()),
        (Some("CARGO_BUILD_TARGET"), "", "", of_host.clone()),
        (None, &*triple, "", of_host),
        (None, "", &*other, format!("other/{host}/release")),
    ] {
        let made_up = MadeUp::new();
        made_up.write("../home/config.toml", users);
        made_up.write(".cargo/config.toml", ours);
        let variables = variable.map(|name| (name, Path::new(&host)));
        let verified = made_up.verify(variables.as_slice());
        let path = made_up.assert_ran_sources(&verified);
        assert_eq!(path, Path::new(&place).join(PROGRAM));
    }
}

#[test]
fn with_another_target_directory_in_the_environment() {
    let made_up = MadeUp::new();
    let elsewhere = made_up.directory.path().join("else where ö");
    let verified = made_up.verify(&[("CARGO_TARGET_DIR", &elsewhere)]);
    let path = made_up.assert_ran_sources(&verified);
    // It is not below the workspace, so the report says all of it.
    assert_eq!(path, elsewhere.join("release").join(PROGRAM));
}

#[test]
fn through_a_wrapper_of_cargo_that_puts_it_elsewhere() {
    let made_up = MadeUp::new();
    let wrapper = made_up.write_program(
        "wrapper",
        &format!(
            "#!/bin/sh\nCARGO_TARGET_DIR=wrapped exec '{}' \"$@\"\n",
            cargo::command().get_program().display()
        ),
    );
    let verified = made_up.verify(&[("CARGO", &wrapper)]);
    let path = made_up.assert_ran_sources(&verified);
    assert_eq!(path, Path::new("wrapped/release").join(PROGRAM));
}

#[test]
fn a_cargo_that_names_no_program_is_refused() {
    let made_up = MadeUp::new();
    // Its builds succeed, and what they have built lies where it usually does.
    let wrapper = made_up.write_program(
        "wrapper",
        &format!(
            "#!/bin/sh\n'{}' \"$@\" | grep -v compiler-artifact\n",
            cargo::command().get_program().display()
        ),
    );
    let verified = made_up.verify(&[("CARGO", &wrapper)]);
    assert_eq!(verified.0.status.code(), Some(1), "{verified:?}");
    let report = verified.report();
    let rows = report.results.iter().filter(|row| row.layer == "axioms");
    let [row] = rows.collect::<Vec<_>>()[..] else {
        panic!("{verified:?}");
    };
    assert_eq!(row.check, RAN_TO_ITS_END);
    let why = row.reason.as_deref().unwrap();
    let expected = format!("did not say where it has put the program `{PROGRAM}`");
    assert!(why.contains(&expected), "{why}");
    assert_eq!(verified.layer().programs, []);
    assert!(!made_up.ran_what_was_left().exists());
}
