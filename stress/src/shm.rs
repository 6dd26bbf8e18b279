//! Names in /dev/shm: all of a run's start alike, and none outlives it.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::fcntl::OFlag;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe2, setsid};
use ringproof_record::Record;

use crate::dying::kill_self;
use crate::process::SingleThreaded;

pub(crate) const DIRECTORY: &str = "/dev/shm";

/// What the names of one run start with. Dropping it removes whatever bears such a name.
pub(crate) struct Prefix(String);

impl Prefix {
    /// For a layer's run by this process. Should another process of this number have left
    /// something behind, it is removed.
    pub(crate) fn new(layer: &str) -> Self {
        let prefix = Prefix(format!("ringproof-stress-{layer}-{}-", std::process::id()));
        // What cannot be removed will be in the way, and reported, where it is.
        let _ = sweep(&prefix.0);
        prefix
    }

    /// Removes what one part of the run may have left behind: names that go on like this.
    pub(crate) fn forgive(&self, part: &str) -> Result<()> {
        sweep(&format!("{self}{part}")).map(drop)
    }

    /// Whether anything was left behind under such a name.
    pub(crate) fn judge(&self, layer: &str) -> Result<Record> {
        let check = "nothing left behind";
        let found = sweep(&self.0)?;
        Ok(if found.is_empty() {
            Record::passed(layer, DIRECTORY, check)
        } else {
            let why = format!("left behind, and removed now: {}", found.join(", "));
            Record::failed(layer, DIRECTORY, check, why)
        })
    }
}

/// Removes what bears a name that starts like this, and says what it was.
fn sweep(start: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(DIRECTORY).context("cannot list /dev/shm")?;
    for entry in entries {
        let name = entry.context("cannot list /dev/shm")?.file_name();
        if let Some(name) = name.to_str().filter(|name| name.starts_with(start)) {
            // Another process of this run may have been faster.
            let _ = std::fs::remove_file(Path::new(DIRECTORY).join(name));
            found.push(name.to_owned());
        }
    }
    Ok(found)
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Drop for Prefix {
    fn drop(&mut self) {
        let _ = sweep(&self.0);
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

    /// Makes it a file with these bytes.
    pub(crate) fn holding(self, bytes: &[u8]) -> Result<Name> {
        self.fill(bytes)?;
        Ok(self)
    }

    pub(crate) fn fill(&self, bytes: &[u8]) -> Result<()> {
        let path = self.path();
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Makes the file that bears it as long as that.
    pub(crate) fn set_len(&self, len: u64) -> Result<()> {
        (File::options().write(true).open(self.path()))
            .and_then(|file| file.set_len(len))
            .with_context(|| format!("cannot make a file of {len} bytes"))
    }

    /// Takes the name away from whatever bears it.
    pub(crate) fn clear(&self) {
        // Mostly it is gone already, and mostly it was no directory.
        let _ = std::fs::remove_file(self.path());
        let _ = std::fs::remove_dir(self.path());
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
        self.clear();
    }
}

/// A process that removes what is left under a prefix when everybody else is dead: also after a
/// SIGKILL, after which no process tidies up itself.
pub(crate) struct Sweeper {
    pid: Pid,
    /// This process and all that it forks hold it open. It is not written to.
    alive: Option<OwnedFd>,
}

impl Sweeper {
    /// Starts it, before any process that uses such names.
    pub(crate) fn start(prefix: &Prefix, _: SingleThreaded) -> Result<Self> {
        let (end, alive) = pipe2(OFlag::O_CLOEXEC).context("cannot make a pipe")?;
        // SAFETY: `SingleThreaded` says that no other thread holds a lock that the child would
        // never see released.
        match unsafe { fork() }.context("cannot fork the sweeper")? {
            ForkResult::Child => {
                drop(alive);
                // Not in the group that a terminal or a test kills as a whole.
                let _ = setsid();
                // It ends when the last holder of the other end is dead.
                let _ = File::from(end).read(&mut [0]);
                let _ = sweep(&prefix.0);
                kill_self()
            }
            ForkResult::Parent { child } => Ok(Sweeper {
                pid: child,
                alive: Some(alive),
            }),
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        drop(self.alive.take());
        let _ = waitpid(self.pid, None);
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
