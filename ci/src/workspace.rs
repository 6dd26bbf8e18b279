//! Where the workspace and its target directory are, and how cargo is called.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

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

/// The cargo that runs us, or the one on the path.
pub fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
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
        let output = cargo()
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
