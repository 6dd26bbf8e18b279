//! Which processes hold a role, for the operator's eyes. The kernel says who holds a lock only to
//! who may look at that process, so there may be others; and nothing is decided by it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::stat::{major, minor};
use ringproof::Role;

/// A process that holds a role.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    /// Its program, as it calls itself: any bytes, of which those that are no text are replaced.
    pub(crate) program: String,
}

/// A lock as the kernel prints it.
pub(crate) struct Lock {
    /// The file: its device and inode.
    file: String,
    byte: u64,
}

impl Lock {
    /// The lock of `role` of the segment in this file.
    pub(crate) fn of(path: &Path, role: Role) -> io::Result<Lock> {
        let meta = fs::symlink_metadata(path)?;
        let (device, inode) = (meta.dev(), meta.ino());
        Ok(Lock {
            file: format!("{:02x}:{:02x}:{inode}", major(device), minor(device)),
            byte: role.lock_byte().into(),
        })
    }

    /// Whether this is a line of what the kernel says of a descriptor that holds it:
    /// `lock: 1: OFDLCK ADVISORY WRITE -1 00:1b:7 0 0`.
    fn is(&self, line: &str) -> bool {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["lock:", _, "OFDLCK", _, "WRITE", _, file, first, last] => {
                // Locks of one descriptor on bytes beside each other are reported as one.
                let covers = match (first.parse(), last.parse()) {
                    (Ok(first), Ok(last)) => (first..=last).contains(&self.byte),
                    _ => false,
                };
                file == self.file && covers
            }
            _ => false,
        }
    }

    /// The processes that hold it, as far as this one may look; by pid.
    pub(crate) fn holders(&self) -> Vec<Holder> {
        // Processes and descriptors come and go meanwhile: what cannot be read is passed over.
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let mut holders: Vec<_> = processes
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid: &u32| self.is_held_by(*pid))
            .map(|pid| Holder {
                pid,
                program: program(fs::read(format!("/proc/{pid}/comm")).unwrap_or_default()),
            })
            .collect();
        holders.sort_by_key(|holder| holder.pid);
        holders
    }

    fn is_held_by(&self, pid: u32) -> bool {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fdinfo"));
        (descriptors.into_iter().flatten().flatten())
            .filter_map(|entry| fs::read_to_string(entry.path()).ok())
            .any(|said| said.lines().any(|line| self.is(line)))
    }
}

/// A program's name, of what the kernel says: the name and a line feed.
fn program(mut comm: Vec<u8>) -> String {
    if comm.last() == Some(&b'\n') {
        comm.pop();
    }
    String::from_utf8_lossy(&comm).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_call_itself_anything() {
        for (comm, expected) in [
            (&b"init\n"[..], "init"),
            (b"\n", ""),
            (b"", ""),
            (b"two\nlines \n", "two\nlines "),
            (b"\xff\x1b[8m\n", "\u{fffd}\x1b[8m"),
        ] {
            assert_eq!(program(comm.to_vec()), expected);
        }
    }

    #[test]
    fn a_lock_is_found_alone_and_beside_another_one() {
        let file = "00:1b:7".to_owned();
        for (byte, held) in [(0, [true, true, false]), (1, [false, true, true])] {
            let lock = Lock {
                file: file.clone(),
                byte,
            };
            let line = |bytes: &str| format!("lock:\t1: OFDLCK ADVISORY  WRITE -1 {file} {bytes}");
            let found = ["0 0", "0 1", "1 2"].map(|bytes| lock.is(&line(bytes)));
            assert_eq!(found, held, "{byte}");
            assert!(!lock.is(&line("2 EOF")));
            assert!(!lock.is(&line("0 1").replace("00:1b:7", "00:1b:8")));
        }
    }
}
