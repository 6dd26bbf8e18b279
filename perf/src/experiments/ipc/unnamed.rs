//! What has no name, or one only for a moment in which no signal comes but SIGKILL.

use std::env;
use std::fs::File;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};

use super::mechanism::Refused;

/// A name that nothing else has.
pub(super) fn a_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Relaxed: it is a counter.
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("ringproof-ipc-{}-{next}", process::id())
}

/// Does something in the middle of which this thread must not be interrupted: it would leave
/// something behind. A signal that comes meanwhile waits.
pub(super) fn uninterrupted<T>(act: impl FnOnce() -> T) -> T {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let outcome = act();
    if let Ok(before) = before {
        // It fails for no set that it gave itself.
        let _ = before.thread_set_mask();
    }
    outcome
}

/// A new file without a name, in the first folder for temporary files that is no tmpfs.
pub(super) fn file_on_disk() -> Result<File, Refused> {
    let mut folders = vec![env::temp_dir(), PathBuf::from("/var/tmp")];
    folders.extend(env::current_dir());
    let on_disk = |folder: &&PathBuf| {
        statfs(folder.as_path()).is_ok_and(|system| system.filesystem_type() != TMPFS_MAGIC)
    };
    let folder = folders.iter().find(on_disk).ok_or_else(|| {
        let tried = folders.iter().map(|folder| folder.display().to_string());
        Refused(format!(
            "each of {} is a tmpfs or cannot be used; TMPDIR may name a folder on a disk",
            tried.collect::<Vec<_>>().join(", ")
        ))
    })?;
    let no_file = |error| {
        Refused::of(
            &format!("no file can be made in {}", folder.display()),
            error,
        )
    };
    tempfile::tempfile_in(folder).map_err(no_file)
}
