//! Names in /dev/shm: all of a run's start alike, and none outlives it.

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ringproof_record::Record;

pub(crate) const DIRECTORY: &str = "/dev/shm";

/// What the names of one run start with. Dropping it removes whatever bears such a name.
pub(crate) struct Prefix(String);

impl Prefix {
    /// For a layer's run by this process. Should another process of this number have left
    /// something behind, it is removed.
    pub(crate) fn new(layer: &str) -> Self {
        let prefix = Prefix(format!("ringproof-stress-{layer}-{}-", std::process::id()));
        // What cannot be removed will be in the way, and reported, where it is.
        let _ = prefix.sweep();
        prefix
    }

    /// Whether anything was left behind under such a name.
    pub(crate) fn judge(&self, layer: &str) -> Result<Record> {
        let check = "nothing left behind";
        let found = self.sweep()?;
        Ok(if found.is_empty() {
            Record::passed(layer, DIRECTORY, check)
        } else {
            let why = format!("left behind, and removed now: {}", found.join(", "));
            Record::failed(layer, DIRECTORY, check, why)
        })
    }

    /// Removes what bears such a name, and says what it was.
    fn sweep(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let entries = std::fs::read_dir(DIRECTORY).context("cannot list /dev/shm")?;
        for entry in entries {
            let name = entry.context("cannot list /dev/shm")?.file_name();
            if let Some(name) = name.to_str().filter(|name| name.starts_with(&self.0)) {
                // Another process of this run may have been faster.
                let _ = std::fs::remove_file(Path::new(DIRECTORY).join(name));
                found.push(name.to_owned());
            }
        }
        Ok(found)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Drop for Prefix {
    fn drop(&mut self) {
        let _ = self.sweep();
    }
}

/// The name of one file there, gone when this is dropped.
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn new(name: String) -> Self {
        Name(name)
    }

    pub(crate) fn path(&self) -> PathBuf {
        Path::new(DIRECTORY).join(&self.0)
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // Mostly it is gone already.
        let _ = std::fs::remove_file(self.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringproof_record::Verdict;

    #[test]
    fn what_is_left_behind_is_told_and_removed() {
        let prefix = Prefix::new("test");
        assert_eq!(prefix.judge("test").unwrap().verdict, Verdict::Passed);
        let path = format!("{DIRECTORY}/{prefix}left");
        std::fs::write(&path, b"").unwrap();
        let row = prefix.judge("test").unwrap();
        assert_eq!(row.verdict, Verdict::Failed);
        assert!(row.reason.unwrap().ends_with("-left"));
        assert!(!Path::new(&path).exists());
    }
}
