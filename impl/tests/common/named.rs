//! Names of segments that are gone after the test, also after one that failed.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Deref;
use std::path::PathBuf;

/// A name that no other test uses. Whatever has it is removed at the end.
#[derive(Debug)]
pub(crate) struct Named(String);

impl Named {
    pub(crate) fn new(what: &str) -> Named {
        // Random besides the pid: processes in other pid namespaces may share the directory.
        let unique = RandomState::new().build_hasher().finish();
        Named(format!(
            "ringproof-test-{what}-{}-{unique:016x}",
            std::process::id()
        ))
    }

    pub(crate) fn path(&self) -> PathBuf {
        Named::path_of(&self.0)
    }

    pub(crate) fn path_of(name: &str) -> PathBuf {
        PathBuf::from("/dev/shm").join(name)
    }
}

impl Deref for Named {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let path = self.path();
        // Mostly there is nothing left to remove; a test may have left a directory.
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
    }
}
