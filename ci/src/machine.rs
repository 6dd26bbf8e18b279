//! What the report says of the machine: enough to compare results, nothing that names it.

use std::fs;
use std::process::Command;
use std::thread;

use serde::{Deserialize, Serialize};

/// The machine that the layers ran on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The model name of the first CPU.
    pub cpu: String,
    /// How many CPUs this process may use.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
    /// The distribution.
    pub os: String,
    /// The compiler's version.
    pub rustc: String,
}

impl Machine {
    /// Looks at this machine; `unknown` stands for what it does not tell.
    pub fn look() -> Self {
        Machine {
            cpu: read("/proc/cpuinfo")
                .and_then(|text| value(&text, "model name", ':'))
                .unwrap_or_else(unknown),
            cores: thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").unwrap_or_else(unknown),
            os: read("/etc/os-release")
                .and_then(|text| value(&text, "PRETTY_NAME", '='))
                .unwrap_or_else(unknown),
            rustc: rustc().unwrap_or_else(unknown),
        }
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn read(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

/// The value of the first line `key … separator … value`, without quotes.
fn value(text: &str, key: &str, separator: char) -> Option<String> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(separator)?;
        (name.trim() == key).then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn rustc() -> Option<String> {
    let output = Command::new("rustc").arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_whole_key() {
        let text = "model\t\t: 143\nmodel name\t: Some CPU @ 2:00\n";
        assert_eq!(
            value(text, "model name", ':').as_deref(),
            Some("Some CPU @ 2:00")
        );
        assert_eq!(
            value("PRETTY_NAME=\"A B\"", "PRETTY_NAME", '=').as_deref(),
            Some("A B")
        );
        assert_eq!(value(text, "nothing", ':'), None);
    }
}
