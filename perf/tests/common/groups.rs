//! Control groups, where this process may make some.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use ringproof_record::deadline;

/// A control group that is removed when it is dropped, and what runs in it was waited for.
pub(crate) struct Group {
    folder: PathBuf,
    /// Whether it belongs to version 1.
    pub(crate) first_version: bool,
}

impl Group {
    /// A group of this name in the hierarchy of a controller.
    ///
    /// # Errors
    /// Why there can be none.
    pub(crate) fn make(controller: &str, name: &str) -> Result<Self, String> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mounts: Vec<Vec<&str>> = mounts
            .lines()
            .map(|line| line.split(' ').collect())
            .collect();
        let mounted = |kind: &str, has: &dyn Fn(&str, &str) -> bool| {
            mounts.iter().find_map(|mount| match mount[..] {
                [_, point, of, options, ..] if of == kind && has(point, options) => {
                    Some(Path::new(point).to_owned())
                }
                _ => None,
            })
        };
        let named = |list: &str, separator: char| list.split(separator).any(|it| it == controller);
        let first = mounted("cgroup", &|_, options| named(options, ','));
        let enabled = |point: &str| {
            let enabled = fs::read_to_string(Path::new(point).join("cgroup.subtree_control"));
            enabled.is_ok_and(|enabled| named(enabled.trim(), ' '))
        };
        let second = mounted("cgroup2", &|point, _| enabled(point));
        let first_version = first.is_some();
        let root = first.or(second);
        let root =
            root.ok_or_else(|| format!("no control group has the controller {controller}"))?;
        let name = format!("ringproof-perf-{}-{name}", std::process::id());
        Group::at(root.join(name), first_version)
    }

    /// A group within this one, in which the same controller counts.
    pub(crate) fn within(&self, controller: &str) -> Result<Self, String> {
        if !self.first_version {
            self.set("cgroup.subtree_control", &format!("+{controller}"))?;
        }
        Group::at(self.folder.join("within"), self.first_version)
    }

    fn at(folder: PathBuf, first_version: bool) -> Result<Self, String> {
        let made = fs::create_dir(&folder);
        made.map_err(|error| format!("no control group can be made here: {error}"))?;
        Ok(Group {
            folder,
            first_version,
        })
    }

    /// Writes to one of its files.
    pub(crate) fn set(&self, file: &str, value: &str) -> Result<(), String> {
        let set = fs::write(self.folder.join(file), value);
        set.map_err(|error| format!("`{file}` cannot be set to `{value}`: {error}"))
    }

    /// What stands in the same file of the group above.
    pub(crate) fn inherited(&self, file: &str) -> Result<String, String> {
        let above = self.folder.parent().unwrap_or(&self.folder);
        let text = fs::read_to_string(above.join(file));
        text.map_err(|error| format!("`{file}` cannot be read: {error}"))
    }

    /// Lets the command run in it.
    pub(crate) fn holds(&self, command: &mut Command) {
        let procs = self.folder.join("cgroup.procs");
        let file = fs::File::options().write(true).open(procs);
        let enter = move || match &file {
            // Zero is whoever writes it. No memory is needed for that.
            Ok(file) => io::Write::write_all(&mut &*file, b"0"),
            Err(error) => Err(error.kind().into()),
        };
        // SAFETY: between fork and exec nothing is called but one system call.
        unsafe { command.pre_exec(enter) };
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The kernel may take a moment until it has forgotten the last process in it.
        let deadline = Instant::now() + deadline::seconds(60);
        while let Err(error) = fs::remove_dir(&self.folder) {
            if error.kind() == io::ErrorKind::NotFound || Instant::now() > deadline {
                break;
            }
            std::thread::yield_now();
        }
    }
}
