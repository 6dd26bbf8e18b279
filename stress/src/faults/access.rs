//! Another user: the mode of the file decides what may be done, and nothing else does.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid};
use ringproof::segment::{self, DEFAULT_MODE};
use ringproof::{Inspection, Ring, RingOptions, Role, SegmentError};

use crate::desk::{Check, Setting};
use crate::ends::ensure_held;
use crate::process::{NotHere, become_nobody};
use crate::shm::Name;

/// A group that the stranger is in, and we make the file's.
const GROUP: u32 = 65533;

checks! { setting:
    "another-user",
        "by the mode of the file: nothing, looks, or uses; what is refused says so", "modes" =>
        another_user(setting, RingOptions::mode),
    wrong "injected fault: makes a file that everybody may use, and trusts the umask",
        "may use it" => another_user(setting, |options, _| options.mode(0o666));
}

/// An error unless this process may become somebody else.
pub(super) fn need_root() -> Result<()> {
    if Uid::effective().is_root() {
        return Ok(());
    }
    Err(NotHere("only root can act as another user".to_owned()).into())
}

/// What a stranger may do.
const NOTHING: &str = "do nothing with it";
const LOOK: &str = "look at it";
const USE: &str = "use it";

const MODES: [(u32, &str); 8] = [
    (0o600, NOTHING),
    (0o000, NOTHING),
    (0o200, NOTHING),
    (0o640, LOOK),
    (0o644, LOOK),
    (0o444, LOOK),
    (0o660, USE),
    (0o666, USE),
];

fn another_user(
    setting: &Setting<'_>,
    with_mode: fn(RingOptions, u32) -> RingOptions,
) -> Result<u64> {
    need_root()?;
    // The worst one: what the mode does not say, it lets through.
    umask(Mode::empty());
    for (mode, may) in MODES {
        let name = setting.name();
        // One that shuts its owner out cannot be asked for, but its owner can set it.
        let asked = if segment::MODES.contains(&mode) {
            mode
        } else {
            DEFAULT_MODE
        };
        let ring = Ring::<u64>::create(&name, &with_mode(RingOptions::new(4).slots(4), asked))?;
        let file = std::fs::File::open(name.path()).context("root may open anything")?;
        if asked != mode {
            (file.set_permissions(Permissions::from_mode(mode))).context("cannot set its mode")?;
        }
        std::os::unix::fs::fchown(&file, None, Some(GROUP)).context("cannot give it a group")?;
        let _producer = ring.producer()?;
        let stranger = format!("a stranger to a segment of mode {mode:o}");
        setting.apart(stranger, |_| {
            become_nobody(&[Gid::from_raw(GROUP)])?;
            let found = what_may(&name)?;
            ensure!(found == may, "it may {found}, and by the mode it may {may}");
            Ok(())
        })?;
    }
    Ok(MODES.len() as u64)
}

/// What this process may do with a segment whose producer somebody else is.
fn what_may(name: &Name) -> Result<&'static str> {
    let may_look = match Inspection::of(name) {
        Ok(seen) => {
            let held: Vec<_> = seen.roles.iter().map(|role| role.held).collect();
            ensure!(held == [true, false], "it sees the roles as {held:?}");
            true
        }
        Err(error) => denied(error)?,
    };
    match Ring::<u64>::attach(name) {
        Ok(ring) => {
            ensure!(may_look, "who may use a segment may look at it");
            ring.segment().claim(Role::Consumer)?;
            ensure_held(ring.segment().claim(Role::Producer))?;
            Ok(USE)
        }
        Err(error) => {
            denied(error)?;
            Ok(if may_look { LOOK } else { NOTHING })
        }
    }
}

/// Checks that an error says what is denied, and by whose file. False, for convenience.
fn denied(error: SegmentError) -> Result<bool> {
    let is_denied = matches!(error, SegmentError::Denied { .. });
    let said = format!("{:#}", anyhow::Error::from(error));
    ensure!(
        is_denied && said.contains("belongs to user") && said.contains("may not open it"),
        "expected a refusal by the mode of the file, found `{said}`"
    );
    Ok(false)
}
