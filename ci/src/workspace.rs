//! Where the workspace and its target directory are.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use ringproof_record::cargo;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::report::ProgramFile;

/// The places that the driver needs.
#[derive(Debug)]
pub struct Workspace {
    /// The directory of the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// The target directory, wherever the environment or a configuration put it.
    pub target: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

impl Workspace {
    /// Asks cargo, from the package that `cargo run` started, else from the current directory
    /// upwards.
    ///
    /// # Errors
    /// There is no workspace of ours here, or cargo does not answer.
    pub fn find() -> Result<Self> {
        let from = match env::var_os("CARGO_MANIFEST_DIR") {
            Some(manifest) => PathBuf::from(manifest),
            None => env::current_dir().context("the current directory cannot be read")?,
        };
        let output = cargo::command()
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(&from)
            .output()
            .context("`cargo metadata` could not be run")?;
        if !output.status.success() {
            bail!(
                "`cargo metadata` failed in {}: {}",
                from.display(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout)
            .context("`cargo metadata` answered something unknown")?;
        ensure!(
            metadata
                .packages
                .iter()
                .any(|package| package.name == env!("CARGO_PKG_NAME")),
            "the workspace at {} is another project's: run `cargo verify` inside a checkout of ringproof",
            metadata.workspace_root.display()
        );
        Ok(Workspace {
            root: metadata.workspace_root,
            target: metadata.target_directory,
        })
    }

    /// What a report says of a program.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn identify(&self, program: &Path) -> Result<ProgramFile, String> {
        let bytes = fs::read(program).map_err(|error| {
            format!("the program {} cannot be read: {error}", program.display())
        })?;
        let below = program.strip_prefix(&self.root).unwrap_or(program);
        let mut sha256 = String::new();
        for byte in Sha256::digest(&bytes) {
            // Writing to a String cannot fail.
            let _ = write!(sha256, "{byte:02x}");
        }
        Ok(ProgramFile {
            path: below.display().to_string(),
            sha256,
        })
    }

    /// The commit that is checked out, marked `-dirty` where the files differ from it; nothing
    /// where git does not know.
    pub fn commit(&self) -> Option<String> {
        let head = self.git(&["rev-parse", "HEAD"])?;
        let changes = self.git(&["status", "--porcelain"])?;
        let mark = if changes.is_empty() { "" } else { "-dirty" };
        Some(format!("{head}{mark}"))
    }

    fn git(&self, args: &[&str]) -> Option<String> {
        let output = Command::new("git")
            .args(args)
            .current_dir(&self.root)
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    }
}
