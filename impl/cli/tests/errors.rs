//! Errors of the system, each at every call that can meet it: its kind's exit code, and nothing lost.
//! Most are injected, so that they come on any machine and to any user.

mod harness;

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::faults::{self, Fault, When};
use harness::fuse::{Broken, Server};
use harness::{
    Name, Outcome, appending, content_of, reading, ringproof, run, start, truncating, until_seen,
    writing,
};
use nix::errno::Errno;
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::Resource;
use nix::unistd::{Gid, Uid, setgid, setuid};
use tempfile::TempDir;

/// More than `recv` writes at once.
fn content() -> Vec<u8> {
    content_of(300_000)
}

/// A stream that was sent and closed.
struct Sent {
    dir: TempDir,
    name: Name,
    /// As it was then.
    segment: Vec<u8>,
}

impl Sent {
    fn new(test: &str) -> Sent {
        let dir = tempfile::tempdir().unwrap();
        let name = Name::new(test);
        let input = dir.path().join("in");
        std::fs::write(&input, content()).unwrap();
        run(ringproof(["send", &name]).stdin(reading(&input))).expect_silence();
        let segment = std::fs::read(name.path()).unwrap();
        Sent { dir, name, segment }
    }

    /// Makes it anew.
    fn again(&self) {
        let _ = std::fs::remove_file(self.name.path());
        std::fs::write(self.name.path(), &self.segment).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn recv(&self, output: File) -> Command {
        let mut command = ringproof(["recv", &self.name]);
        command.stdout(output);
        command
    }

    /// Receives it, made anew, into an empty file, with a fault. `None`: there is none here.
    fn recv_with(&self, fault: Fault) -> Option<(PathBuf, Outcome)> {
        self.again();
        let output = self.path("out");
        let mut command = self.recv(truncating(&output));
        faults::inject(&mut command, &[fault]).then(|| (output, run(&mut command)))
    }

    /// Receives it into `output`, which has as much of it as it has, and compares.
    #[track_caller]
    fn recover(&self, output: &Path) {
        let outcome = run(&mut self.recv(appending(output)));
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        assert!(std::fs::read(output).unwrap() == content());
        assert!(!self.name.exists());
    }
}

const fn always(call: libc::c_long, error: Errno) -> Fault {
    let when = When::Always;
    Fault { call, when, error }
}

/// Fails where the output is written, and not where a message is.
const fn on_write(error: Errno) -> Fault {
    Fault {
        call: libc::SYS_write,
        when: When::Above(0, 2),
        error,
    }
}

#[test]
fn no_room_for_a_segment_is_6_whatever_it_is_that_lacks() {
    let name = Name::new("no-room");
    let steps = [
        // The flag alone: its name in the library stands for a directory, too.
        (
            "an inode",
            libc::SYS_openat,
            When::Has(2, libc::O_TMPFILE & !libc::O_DIRECTORY),
        ),
        ("memory", libc::SYS_fallocate, When::Always),
        ("the first bytes", libc::SYS_pwrite64, When::Always),
        ("the name", libc::SYS_linkat, When::Always),
    ];
    for (step, call, when) in steps {
        for (error, code) in [
            (Errno::ENOSPC, 6),
            (Errno::EDQUOT, 6),
            (Errno::ENOMEM, 6),
            (Errno::EIO, 1),
            (Errno::EROFS, 1),
        ] {
            for role in ["send", "recv"] {
                let mut command = ringproof([role, &name]);
                if !faults::inject(&mut command, &[Fault { call, when, error }]) {
                    return;
                }
                let outcome = run(&mut command);
                let is_full = outcome.stderr.contains("no room for segment");
                let found = (outcome.code(), is_full);
                assert_eq!(
                    found,
                    (Some(code), code == 6),
                    "{step} {error}: {}",
                    outcome.stderr
                );
                assert!(!name.exists(), "{step} {error}");
            }
        }
    }
}

#[test]
fn no_address_space_for_a_segment_is_6() {
    // Twice the least, of the powers of two, that the program alone can do with.
    let limited = |args: &[&str], limit| {
        let mut command = ringproof(args);
        faults::limit(&mut command, Resource::RLIMIT_AS, limit);
        command
    };
    let mut limits = (20..32).map(|bits| 1 << bits);
    let works = |limit| {
        let status = limited(&["--version"], limit).status();
        status.is_ok_and(|status| status.success())
    };
    let limit = 2 * limits.find(|limit| works(*limit)).expect("a limit");
    let slots = (2 * limit).to_string();
    let name = Name::new("no-address-space");
    for role in ["send", "recv"] {
        let outcome = run(&mut limited(&[role, &name, "--slots", &slots], limit));
        outcome.expect(6, "");
        // Where /dev/shm is small it is that which lacks.
        let unmapped = "cannot map it: Cannot allocate memory";
        let says = [unmapped, "no room for segment"].map(|said| outcome.stderr.contains(said));
        assert!(says.contains(&true), "{}", outcome.stderr);
        assert!(!name.exists());
    }
}

/// Makes the program see a file system of its own in /dev/shm, as this user. False, and said why, where
/// that cannot be.
fn in_own_shm(command: &mut Command, options: &'static str, user: u32) -> bool {
    let own = move |command: &mut Command| {
        let own = move || {
            let none = None::<&str>;
            unshare(CloneFlags::CLONE_NEWNS)?;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
            let (flags, tmpfs) = (MsFlags::empty(), Some("tmpfs"));
            mount(tmpfs, "/dev/shm", tmpfs, flags, Some(options))?;
            setgid(Gid::from_raw(user))?;
            setuid(Uid::from_raw(user))?;
            Ok(())
        };
        // SAFETY: the closure makes system calls alone, with short strings, for which nothing is
        // allocated.
        unsafe { command.pre_exec(own) };
    };
    let mut probe = Command::new("true");
    own(&mut probe);
    if let Err(error) = probe.status() {
        eprintln!("not run: /dev/shm with {options}: {error}");
        return false;
    }
    own(command);
    true
}

#[test]
fn a_real_file_system_without_room_for_a_segment_is_6() {
    let name = Name::new("really-no-room");
    for (options, user) in [
        // The directory itself has the one inode.
        ("mode=1777,nr_inodes=1", 0),
        ("mode=1777,size=64k", 0),
        (
            "mode=1777,usrquota,usrquota_inode_hardlimit=1,usrquota_block_hardlimit=64k",
            54_001,
        ),
    ] {
        for role in ["send", "recv"] {
            let mut command = ringproof([role, &name]);
            if in_own_shm(&mut command, options, user) {
                run(&mut command).expect(6, "no room for segment");
            }
        }
    }
    assert!(!name.exists());
}

/// What a write can fail with, and the exit code of its kind.
const KINDS: [(Errno, i32); 8] = [
    (Errno::ENOSPC, 6),
    (Errno::EDQUOT, 6),
    (Errno::EFBIG, 6),
    (Errno::EPIPE, 7),
    (Errno::ECONNRESET, 7),
    (Errno::ENOTCONN, 7),
    (Errno::EIO, 1),
    (Errno::EROFS, 1),
];

#[test]
fn an_output_that_fails_has_the_code_of_its_kind_and_loses_nothing() {
    let sent = Sent::new("output-errors");
    for (error, code) in KINDS {
        let said = match code {
            6 => "no room for the output",
            7 => "closed by its reader",
            _ => &format!("cannot write the output: {}", std::io::Error::from(error)),
        };
        let Some((output, outcome)) = sent.recv_with(on_write(error)) else {
            return;
        };
        outcome.expect(code, said);
        sent.recover(&output);
    }
}

#[test]
fn a_report_that_fails_has_the_code_of_its_kind() {
    let sent = Sent::new("report-errors");
    for (error, code) in KINDS {
        let said = match code {
            6 => "no room for the report",
            7 => "the report's reader closed it",
            _ => "cannot write the report",
        };
        for args in [
            &["--help"][..],
            &["help", "gc"],
            &["send", "-h"],
            &["--version"],
            &["inspect", &sent.name],
            &["inspect", "--json", "--peek", "3", &sent.name],
            &["gc", "--dry-run", &sent.name],
        ] {
            let mut command = ringproof(args);
            if !faults::inject(&mut command, &[on_write(error)]) {
                return;
            }
            run(command.stdout(truncating(&sent.path("out")))).expect(code, said);
            assert!(std::fs::read(sent.name.path()).unwrap() == sent.segment);
        }
    }
}

#[test]
fn an_error_that_the_disk_reports_late_is_seen_before_the_ring_is_given_up() {
    let sent = Sent::new("late");
    for (error, code) in [
        (Errno::EIO, 1),
        (Errno::EDQUOT, 6),
        (Errno::ENOSPC, 6),
        (Errno::ESTALE, 1),
    ] {
        // As such an error means it, the file has lost all; or it has not.
        for loses in [true, false] {
            let Some((output, outcome)) = sent.recv_with(always(libc::SYS_fdatasync, error)) else {
                return;
            };
            outcome.expect(code, "took everything and then said");
            outcome.expect(code, &format!("(os error {})", error as i32));
            outcome.expect(code, "still holds the whole stream");
            assert_eq!(sent.name.inspect().unwrap().read_index, 0);
            if loses {
                truncating(&output);
            }
            sent.recover(&output);
        }
    }
}

#[test]
fn what_cannot_be_asked_has_no_late_errors() {
    let sent = Sent::new("no-late");
    for error in [
        Errno::EINVAL,
        Errno::EROFS,
        Errno::ENOSYS,
        Errno::EOPNOTSUPP,
    ] {
        let Some((output, outcome)) = sent.recv_with(always(libc::SYS_fdatasync, error)) else {
            return;
        };
        outcome.expect_silence();
        assert!(std::fs::read(&output).unwrap() == content());
        assert!(!sent.name.exists());
    }
    // As it is without a fault.
    sent.again();
    run(&mut sent.recv(writing(Path::new("/dev/null")))).expect_silence();
}

#[test]
fn of_a_stream_that_still_came_the_rest_is_held_and_it_is_said_from_where() {
    let sent = Sent::new("late-rest");
    std::fs::remove_file(sent.name.path()).unwrap();
    let output = sent.path("out");
    let mut sender = start(ringproof(["send", &sent.name]).stdin(Stdio::piped()));
    let mut pipe = sender.stdin();
    pipe.write_all(&content()[..100_000]).unwrap();
    let mut command = sent.recv(appending(&output));
    if !faults::inject(&mut command, &[always(libc::SYS_fdatasync, Errno::EIO)]) {
        return;
    }
    let receiver = start(&mut command);
    until_seen(&sent.name, "the first part released", |seen| {
        seen.read_index == 100_000
    });
    // It shall find all the rest, and the end, at once.
    receiver.stop();
    pipe.write_all(&content()[100_000..]).unwrap();
    drop(pipe);
    sender.finish().expect_silence();
    receiver.go_on();
    receiver
        .finish()
        .expect(1, "still holds the stream from byte 100000 on");
    assert_eq!(sent.name.inspect().unwrap().read_index, 100_000);
    writing(&output).set_len(100_000).unwrap();
    sent.recover(&output);
}

#[test]
fn a_network_file_system_that_complains_at_the_end_loses_nothing() {
    let sent = Sent::new("network");
    for (broken, code) in [
        (Broken::Close(Errno::EDQUOT), 6),
        (Broken::Close(Errno::EIO), 1),
        (Broken::Sync(Errno::ENOSPC), 6),
        (Broken::Sync(Errno::EIO), 1),
    ] {
        sent.again();
        let Some((server, [first, second])) = Server::start(broken) else {
            return;
        };
        run(&mut sent.recv(first)).expect(code, "took everything and then said");
        assert!(
            server.content().is_empty(),
            "{broken:?}: it has thrown it away"
        );
        assert_eq!(sent.name.inspect().unwrap().read_index, 0, "{broken:?}");
        server.repair();
        let outcome = run(&mut sent.recv(second));
        assert_eq!(outcome.code(), Some(0), "{broken:?}: {}", outcome.stderr);
        assert!(server.content() == content(), "{broken:?}");
        assert!(!sent.name.exists());

        // Reports, too.
        sent.again();
        let Some((_server, outputs)) = Server::start(broken) else {
            return;
        };
        let reports = [&["inspect", &sent.name][..], &["--help"]];
        for (output, args) in outputs.into_iter().zip(reports) {
            let outcome = run(ringproof(args).stdout(output));
            // They are no data: a report that a disk has not got is not called lost.
            let code = if matches!(broken, Broken::Close(_)) {
                code
            } else {
                0
            };
            assert_eq!(outcome.code(), Some(code), "{broken:?}: {}", outcome.stderr);
        }
    }
}
