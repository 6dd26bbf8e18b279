//! The compilers for C and C++, as the environment names them.
//!
//! `CC` and `CXX` hold a command, not only a program: `CC="ccache gcc"` is common. Everything in the
//! tree that runs a compiler reads them here.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

/// The compiler that `variable` names; `usual` where it is not set, or blank.
pub fn from_env(variable: &str, usual: &str) -> Command {
    named(env::var_os(variable), usual)
}

fn named(call: Option<OsString>, usual: &str) -> Command {
    let call = call.filter(|call| !call.to_string_lossy().trim().is_empty());
    command(call.unwrap_or_else(|| usual.into()))
}

/// Why that compiler cannot be run here; nothing where it can.
pub fn why_not(variable: &str, usual: &str) -> Option<String> {
    let mut command = from_env(variable, usual);
    let problem = match command.arg("--version").output() {
        Ok(output) if output.status.success() => return None,
        Ok(output) => output.status.to_string(),
        Err(error) => error.to_string(),
    };
    Some(format!(
        "{command:?}: {problem}; {variable} chooses another compiler"
    ))
}

/// The command of these words, the first of which is the program. What names a file as a whole is one
/// word, whatever blanks it has.
pub fn command(call: impl AsRef<OsStr>) -> Command {
    let call = call.as_ref();
    let words = match call.to_str() {
        Some(text) if !Path::new(text).exists() => text,
        _ => return Command::new(call),
    };
    let mut words = words.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> Vec<&str> {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_str().unwrap()).collect()
    }

    #[test]
    fn a_call_is_split_into_words() {
        assert_eq!(words(&command("gcc")), ["gcc"]);
        assert_eq!(words(&command("ccache gcc")), ["ccache", "gcc"]);
        let spaced = command(" ccache\tgcc  -pipe ");
        assert_eq!(words(&spaced), ["ccache", "gcc", "-pipe"]);
        assert_eq!(words(&command("")), [""]);
    }

    #[test]
    fn the_name_of_a_file_is_one_word() {
        let file = env::temp_dir().join(format!("a compiler {}", std::process::id()));
        let call = file.to_str().unwrap();
        assert!(words(&command(call)).len() > 1);
        std::fs::write(&file, "").unwrap();
        let found = words(&command(call)) == [call];
        std::fs::remove_file(&file).unwrap();
        assert!(found);
    }

    #[test]
    fn a_variable_that_is_not_set_or_blank_leaves_the_usual_one() {
        assert_eq!(words(&named(None, "cc")), ["cc"]);
        assert_eq!(words(&named(Some(" ".into()), "cc")), ["cc"]);
        assert_eq!(words(&named(Some("clang".into()), "cc")), ["clang"]);
        assert_eq!(words(&from_env("RINGPROOF_NO_VARIABLE", "cc")), ["cc"]);
    }

    #[test]
    fn what_cannot_be_run_has_a_reason() {
        assert_eq!(why_not("RINGPROOF_NO_VARIABLE", "echo"), None);
        let missing = why_not("RINGPROOF_NO_VARIABLE", "/nowhere/cc").unwrap();
        assert!(missing.contains("/nowhere/cc"), "{missing}");
        assert!(why_not("RINGPROOF_NO_VARIABLE", "false").is_some());
    }
}
