//! The peers as programs: those of abi/ compiled by the system's compilers, and this program itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::cli::name_of;
use crate::compile;

/// The hidden command that makes this program the Rust peer.
const PEER: &str = "abi-peer";

/// What a peer is written in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Language {
    C,
    Cpp,
    /// C, compiled for 32 bits.
    C32,
    Rust,
}

impl Language {
    const ALL: [Language; 4] = [Language::C, Language::Cpp, Language::C32, Language::Rust];

    /// How rows and `--only` call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Language::C => "c",
            Language::Cpp => "c++",
            Language::C32 => "c-32-bit",
            Language::Rust => "rust",
        }
    }

    /// Its source below abi/, if it is compiled here.
    const fn source(self) -> Option<&'static str> {
        match self {
            Language::C | Language::C32 => Some("peer.c"),
            Language::Cpp => Some("peer.cpp"),
            Language::Rust => None,
        }
    }
}

/// What the compilers put into the programs to watch them.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Sanitizer {
    /// Accesses outside of what was allocated, and leaks
    Address,
    /// What C leaves undefined
    Undefined,
}

/// A program for each language, in their order, or why there is none.
pub(super) struct Programs(Vec<Result<PathBuf, String>>);

impl Programs {
    /// Compiles them into `folder`.
    ///
    /// # Errors
    /// A source that does not compile where others do.
    pub(super) fn make(folder: &Path, sanitizers: &[Sanitizer]) -> Result<Programs> {
        let made = Language::ALL.map(|language| make(language, folder, sanitizers));
        Ok(Programs(made.into_iter().collect::<Result<_>>()?))
    }

    /// What starts a peer, or why nothing does.
    pub(super) fn command(&self, language: Language) -> Result<Command, &str> {
        let made = &self.0[language as usize];
        let mut command = Command::new(made.as_ref().map_err(String::as_str)?);
        if language == Language::Rust {
            command.arg(PEER);
        }
        Ok(command)
    }
}

fn make(
    language: Language,
    folder: &Path,
    sanitizers: &[Sanitizer],
) -> Result<Result<PathBuf, String>> {
    let Some(source) = language.source() else {
        let this = std::env::current_exe().context("cannot find out where this program is")?;
        return Ok(Ok(this));
    };
    let program = folder.join(language.name());
    let call = || {
        let mut command = compiler(language, sanitizers);
        command.arg(if language == Language::Cpp {
            "-xc++"
        } else {
            "-xc"
        });
        command
    };
    let shown = shown(&compiler(language, sanitizers));
    if let Err(why) = compile::why_not(call(), &program) {
        let install = match language {
            Language::C32 => "; on Debian and Ubuntu install gcc-multilib",
            _ => "; CC and CXX choose another compiler",
        };
        return Ok(Err(format!(
            "`{shown}` makes no program here: {why}{install}"
        )));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("abi").join(source);
    let text = std::fs::read_to_string(path).context("cannot read the source of a peer")?;
    let mut command = call();
    command.arg("-I").arg(root.join("../impl/ffi/include"));
    command.arg("-I").arg(root.join("abi"));
    if let Err(why) = compile::program(command, &text, &program)? {
        bail!("abi/{source} does not compile with `{shown}`: {why}");
    }
    Ok(Ok(program))
}

/// The call of a compiler, as the README has it.
fn compiler(language: Language, sanitizers: &[Sanitizer]) -> Command {
    let (variable, usual, standard) = match language {
        Language::Cpp => ("CXX", "c++", "-std=c++17"),
        _ => ("CC", "cc", "-std=c11"),
    };
    let mut command = ringproof_record::compiler::from_env(variable, usual);
    command.args([standard, "-O2", "-Wall", "-Wextra", "-Werror", "-pthread"]);
    if language == Language::C32 {
        command.args(["-m32", "-D_FILE_OFFSET_BITS=64"]);
    }
    for sanitizer in sanitizers {
        command.arg(format!("-fsanitize={}", name_of(sanitizer)));
        command.args(["-fno-sanitize-recover=all", "-g"]);
    }
    command
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
