//! A ring between users: who may use it, and what is said to who may not.

mod harness;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::programs::copy;
use harness::{Name, program, read_all, run, start, until_seen};
use tempfile::TempDir;

/// A user and his group. None of them needs to exist.
type User = (u32, u32);

const GROUP: u32 = 54_321;
const ALICE: User = (54_001, GROUP);
const BOB: User = (54_002, GROUP);
const EVE: User = (54_003, 54_003);

/// The program where everybody may run it.
struct Shared {
    dir: TempDir,
}

impl Shared {
    /// `None`, and said why, where this process cannot act as another user.
    fn new() -> Option<Shared> {
        if fs::metadata("/proc/self").unwrap().uid() != 0 {
            println!("not run: only root can act as other users");
            return None;
        }
        let shared = Shared {
            dir: tempfile::tempdir().unwrap(),
        };
        copy(env!("CARGO_BIN_EXE_ringproof").as_ref(), &shared.path()).unwrap();
        for path in [shared.dir.path(), &shared.path()] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        // Root without its capabilities, and a temporary directory in one that others may not enter.
        match shared.ringproof(ALICE, &["--version"]).status() {
            Ok(status) if status.success() => Some(shared),
            other => {
                println!("not run: another user cannot run the program here: {other:?}");
                None
            }
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("ringproof")
    }

    fn ringproof(&self, (user, group): User, args: &[&str]) -> Command {
        let mut command = program(&self.path(), args);
        command.uid(user).gid(group);
        command
    }
}

fn owner(path: &Path) -> (User, u32) {
    let meta = fs::metadata(path).unwrap();
    ((meta.uid(), meta.gid()), meta.mode() & 0o777)
}

#[test]
fn a_group_shares_a_ring_of_mode_660() {
    let Some(shared) = Shared::new() else { return };
    let name = Name::new("group");
    let mut sender = start(
        shared
            .ringproof(ALICE, &["send", &name, "--mode", "660"])
            .stdin(Stdio::piped()),
    );
    until_seen(&name, "send to make the ring", |seen| seen.roles[0].held);
    assert_eq!(owner(&name.path()), (ALICE, 0o660));

    let refused = run(&mut shared.ringproof(EVE, &["recv", &name]));
    refused.expect(1, "mode 660 and belongs to user 54001 and group 54321");
    let refused = run(&mut shared.ringproof(EVE, &["inspect", &name]));
    refused.expect(1, "may not open it to read;");
    let outcome = run(shared
        .ringproof(EVE, &["gc", &format!("{}*", &*name)])
        .stdout(Stdio::piped()));
    outcome.expect_silence();
    outcome.prints("1 that this user may not read\n");

    let mut receiver = start(
        shared
            .ringproof(BOB, &["recv", &name])
            .stdout(Stdio::piped()),
    );
    let output = receiver.stdout();
    std::io::Write::write_all(&mut sender.stdin(), b"from user to user").unwrap();
    sender.finish().expect_silence();
    assert_eq!(read_all(output), b"from user to user");
    // The directory is sticky: a file there is its owner's to remove. All the same it is over.
    receiver.finish().expect(0, "its ring stays");
    assert!(name.exists());
    let refused = run(&mut shared.ringproof(BOB, &["gc", &name]));
    refused.expect(1, "cannot unlink it");
    run(&mut shared.ringproof(ALICE, &["gc", &name])).expect_silence();
    assert!(!name.exists());
}

#[test]
fn a_ring_is_its_users_own_by_default() {
    let Some(shared) = Shared::new() else { return };
    let name = Name::new("own");
    run(&mut shared.ringproof(ALICE, &["send", &name])).expect_silence();
    assert_eq!(owner(&name.path()), (ALICE, 0o600));
    let refused = run(&mut shared.ringproof(BOB, &["recv", &name]));
    refused.expect(1, "mode 600 and belongs to user 54001 and group 54321");
    run(&mut shared.ringproof(ALICE, &["recv", &name])).expect_silence();
    assert!(!name.exists());
}
