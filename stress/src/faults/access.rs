//! Another user: the mode of the file decides what may be done, and nothing else does.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
use ringproof::segment::{self, DEFAULT_MODE};
use ringproof::{Inspection, Ring, RingOptions, Role, SegmentError};

use crate::desk::{Check, Setting};
use crate::process::{Child, NotHere};
use crate::shm::Name;

const NOBODY: u32 = 65534;
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

/// Makes this process one of a user who has no rights but those of these groups.
pub(super) fn become_nobody(groups: &[Gid]) -> Result<()> {
    setgroups(groups).context("cannot change groups")?;
    setgid(Gid::from_raw(NOBODY)).context("cannot become another group")?;
    setuid(Uid::from_raw(NOBODY)).context("cannot become another user")?;
    // The kernel forgets it where a process becomes somebody else's.
    set_pdeathsig(Signal::SIGKILL).context("cannot ask to die with the parent")
}

/// What a stranger may do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum May {
    Nothing,
    Look,
    Use,
}

const MODES: [(u32, May); 8] = [
    (0o600, May::Nothing),
    (0o000, May::Nothing),
    (0o200, May::Nothing),
    (0o640, May::Look),
    (0o644, May::Look),
    (0o444, May::Look),
    (0o660, May::Use),
    (0o666, May::Use),
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
        let stranger = Child::fork(
            format!("a stranger to a segment of mode {mode:o}"),
            setting.alone,
            |_| {
                become_nobody(&[Gid::from_raw(GROUP)])?;
                let found = what_may(&name)?;
                ensure!(
                    found == may,
                    "it may {}, and by the mode it may {}",
                    found.word(),
                    may.word()
                );
                Ok(())
            },
        )?;
        stranger.finish()?;
    }
    Ok(MODES.len() as u64)
}

impl May {
    fn word(self) -> &'static str {
        match self {
            May::Nothing => "do nothing with it",
            May::Look => "look at it",
            May::Use => "use it",
        }
    }
}

/// What this process may do with a segment whose producer somebody else is.
fn what_may(name: &Name) -> Result<May> {
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
            match ring.segment().claim(Role::Producer) {
                Err(SegmentError::Held { .. }) => Ok(May::Use),
                other => bail!("a role that is held: {other:?}"),
            }
        }
        Err(error) => {
            denied(error)?;
            Ok(if may_look { May::Look } else { May::Nothing })
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
