//! The machine that something ran on: enough to compare results, nothing that names it.
//!
//! Each fact is absent where the system does not give it.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::thread;

use serde::{Deserialize, Serialize};

use crate::affinity;
use crate::quota::Quota;

/// The machine, as a report describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The model name of the first CPU.
    pub cpu: String,
    /// How many CPUs this process may use, if the system says.
    pub cores: Option<usize>,
    /// The kernel's release.
    pub kernel: String,
    /// The distribution.
    pub os: String,
    /// The compiler's version.
    pub rustc: String,
}

impl Machine {
    /// Looks at this machine; `unknown` stands for what the system does not give.
    pub fn look() -> Self {
        let unknown = || "unknown".to_owned();
        Machine {
            cpu: cpu().unwrap_or_else(unknown),
            cores: cores().ok(),
            kernel: kernel().unwrap_or_else(unknown),
            os: read("/etc/os-release")
                .and_then(|text| value(&text, "PRETTY_NAME", '='))
                .unwrap_or_else(unknown),
            rustc: rustc().unwrap_or_else(unknown),
        }
    }
}

/// The model name of the first CPU.
pub fn cpu() -> Option<String> {
    value(&read("/proc/cpuinfo")?, "model name", ':')
}

/// How many CPUs this process may use, whatever it gets of their time.
///
/// # Errors
/// Why the system does not say.
pub fn cores() -> io::Result<usize> {
    affinity::allowed(0).map(|cpus| cpus.count())
}

/// How many things this process can do at once: one on each CPU that it may use, and no more than it
/// gets CPUs' time.
pub fn parallelism() -> usize {
    // Where the system does not say, what the standard library makes of that.
    let cpus = cores().unwrap_or_else(|_| thread::available_parallelism().map_or(1, usize::from));
    within(Quota::look().cpus(), cpus)
}

/// Whole CPUs of a quota, but at least one.
fn within(quota: Option<f64>, cpus: usize) -> usize {
    // `as` saturates.
    quota.map_or(cpus, |quota| cpus.min((quota as usize).max(1)))
}

/// The kernel's release.
pub fn kernel() -> Option<String> {
    read("/proc/sys/kernel/osrelease")
}

/// What is in a file, without space around it.
pub fn read(path: impl AsRef<Path>) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

/// The value of the first line `key … separator … value`, without quotes.
pub fn value(text: &str, key: &str, separator: char) -> Option<String> {
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
    fn no_more_is_done_at_once_than_a_quota_has_cpus() {
        assert_eq!(within(None, 4096), 4096);
        assert_eq!(within(Some(2.9), 4), 2);
        assert_eq!(within(Some(0.5), 4), 1);
        assert_eq!(within(Some(64.0), 4), 4);
        assert!((1..=cores().unwrap_or(usize::MAX)).contains(&parallelism()));
    }

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
