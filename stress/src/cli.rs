//! What is on the command line, and where the program `ringproof` is, which some layers run.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

/// What the command line calls it.
pub(crate) fn name_of(value: &impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or(String::new(), |value| value.get_name().to_owned())
}

/// Why that program cannot be run.
pub(crate) const NO_PROGRAM: &str = "there is no program `ringproof` beside this one; build it \
    with `cargo build -p ringproof-cli`, with --release if this one was, or give its place with --cli";

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct CommandLine {
    /// The program `ringproof` to run [default: the one beside this program]
    #[arg(long, value_name = "PATH", value_parser = file)]
    pub(crate) cli: Option<PathBuf>,
}

fn file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_file() {
        Ok(path)
    } else {
        Err("there is no such file".to_owned())
    }
}

impl CommandLine {
    /// The program, if there is one.
    pub(crate) fn program(&self) -> Result<Option<PathBuf>> {
        if let Some(given) = &self.cli {
            return Ok(Some(given.clone()));
        }
        let this = std::env::current_exe().context("cannot find out where this program is")?;
        Ok(Some(this.with_file_name("ringproof")).filter(|path| path.is_file()))
    }
}
