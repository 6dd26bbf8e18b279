//! Files that lie in a file system, and not in memory alone.

use std::env;
use std::fs::File;
use std::path::PathBuf;

use nix::sys::statfs::{TMPFS_MAGIC, statfs};

use super::mechanism::Refused;

/// A new file without a name, in the first folder for temporary files that is no tmpfs.
///
/// # Errors
/// [`Refused`] if there is none.
pub(super) fn file() -> Result<File, Refused> {
    let mut folders = vec![env::temp_dir(), PathBuf::from("/var/tmp")];
    folders.extend(env::current_dir());
    let on_disk = |folder: &&PathBuf| {
        statfs(folder.as_path()).is_ok_and(|system| system.filesystem_type() != TMPFS_MAGIC)
    };
    let folder = folders.iter().find(on_disk).ok_or_else(|| {
        let tried: Vec<_> = folders
            .iter()
            .map(|folder| folder.display().to_string())
            .collect();
        Refused(format!(
            "each of {} is a tmpfs or cannot be used; TMPDIR may name a folder on a disk",
            tried.join(", ")
        ))
    })?;
    tempfile::tempfile_in(folder).map_err(|error| {
        Refused::of(
            &format!("no file can be made in {}", folder.display()),
            error,
        )
    })
}
