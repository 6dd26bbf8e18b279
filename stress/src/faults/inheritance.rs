//! What a process has of a role after a fork, after it has started another program, and when it
//! was only sent a descriptor.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, PipeReader, Read, Write, pipe};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::Signal;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};
use nix::sys::wait::{WaitStatus, waitpid};
use ringproof::{Ring, RingOptions, Role};

use super::exclusive_role::{
    byte, held, lock_byte, of_ring, patiently, ring, set_lock, stay, take_free, take_none,
};
use super::namespace;
use crate::desk::{Check, Setting};
use crate::process::Child;
use crate::specimen::{Held, Take};
use crate::words::Words;

checks! { setting:
    "fork",
        "a forked child keeps the role when its parent dies, and frees it by its death", "forks" =>
        forked(setting, &of_ring(setting)?),
    wrong "injected fault: a lock of the process, which no child inherits", "two have it" =>
        forked(setting, &of_file(setting, lock_process)?);

    "forked-namesake",
        "a forked child of the same pid, in another namespace, frees nothing by its drop",
        "forks" => namesake(setting, &of_ring(setting)?),
    wrong "injected fault: unlocks where the pid is that of who locked", "two have it" =>
        namesake(setting, &of_file(setting, lock_numbered)?);

    "forked-mapping",
        "a forked child that uses its parent's end dies of it, whatever it maps before, and \
         the stream is whole", "forks" =>
        mapping(setting, |ring| {
            let mut producer = ring.producer()?;
            Ok(Box::new(move || Ok(producer.push(8)?)))
        }),
    wrong "injected fault: a mapping that children inherit", "wrote" =>
        mapping(setting, |ring| {
            let words = Words::of(&File::from(ring.segment().descriptor()?), 1024)?;
            Ok(Box::new(move || {
                words[512].store(8, Relaxed);
                Ok(())
            }))
        });

    "exec", "a program that is started has nothing of the role", "programs" =>
        executed(setting, &of_ring(setting)?),
    wrong "injected fault: a descriptor that programs inherit", "it is not free" =>
        executed(setting, &of_file(setting, lock_inheritable)?);

    "passed-descriptor",
        "who is sent one over a socket shares the segment and not the role", "descriptors" =>
        sent(setting, of_attached),
    wrong "injected fault: locks the descriptor that it was sent", "two have it" =>
        sent(setting, of_description);
}

/// Our role, of a ring that is attached already.
pub(super) fn of_attached(fd: OwnedFd) -> Result<Box<Take<'static>>> {
    let ring = Ring::<u64>::attach_fd(fd)?;
    Ok(Box::new(move || {
        held(patiently(|| ring.segment().claim(Role::Producer)))
    }))
}

/// A lock of the very description that it has.
pub(super) fn of_description(fd: OwnedFd) -> Result<Box<Take<'static>>> {
    let file = File::from(fd);
    Ok(Box::new(move || {
        let locked = lock_byte(&file)?;
        let file = file.try_clone()?;
        Ok(locked.then(|| Box::new(file) as Held))
    }))
}

/// What `lock` makes of the file of a ring.
fn of_file(
    setting: &Setting<'_>,
    lock: impl Fn(File) -> Result<Option<Held>>,
) -> Result<impl Fn() -> Result<Option<Held>>> {
    let name = ring(setting)?;
    Ok(move || lock(File::options().read(true).write(true).open(name.path())?))
}

/// The older kind of lock, which belongs to a process.
fn lock_process(file: File) -> Result<Option<Held>> {
    match fcntl(&file, FcntlArg::F_SETLK(&byte(libc::F_WRLCK))) {
        Ok(_) => Ok(Some(Box::new(file))),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
        Err(error) => Err(error).context("cannot lock"),
    }
}

/// A lock of a description of its own, as it should be, that is not closed on exec.
fn lock_inheritable(file: File) -> Result<Option<Held>> {
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).context("cannot change a descriptor")?;
    Ok(lock_byte(&file)?.then(|| Box::new(file) as Held))
}

/// A lock that its holder gives back when he drops it, and who that is his number says.
struct NumberedLock {
    file: File,
    owner: u32,
}

impl Drop for NumberedLock {
    fn drop(&mut self) {
        if std::process::id() == self.owner {
            let _ = set_lock(&self.file, libc::F_UNLCK);
        }
    }
}

fn lock_numbered(file: File) -> Result<Option<Held>> {
    let owner = std::process::id();
    Ok(lock_byte(&file)?.then(|| Box::new(NumberedLock { file, owner }) as Held))
}

/// The holder, the first process of its namespace, forks one that is the first of another.
fn namesake(setting: &Setting<'_>, role: &Take<'_>) -> Result<u64> {
    let mut holder = namespace::first_process(setting, |ledger| {
        let mut held = Some(take_free(role)?);
        let mut child = namespace::first_process(setting, |ledger| {
            drop(held.take());
            stay(ledger)
        })?;
        child.ready()?;
        stay(ledger)
    })?;
    holder.ready()?;
    take_none(role).context("its holder lives, and has dropped nothing")?;
    holder.kill()?;
    take_free(role).context("its holder is dead")?;
    Ok(1)
}

/// The holder forks, and is killed; then its child is.
fn forked(setting: &Setting<'_>, role: &Take<'_>) -> Result<u64> {
    // Whose parent is dead becomes ours.
    set_child_subreaper(true).context("cannot adopt orphans")?;
    // It ends when this process lets go of its end of the pipe, or dies.
    let (mut until, end) = pipe().context("cannot make a pipe")?;
    let mut end = Some(end);
    let mut parent = Child::fork("the holder", setting.alone, |ledger| {
        drop(end.take());
        let _held = take_free(role)?;
        let mut child = Child::fork("its child", setting.alone, |ledger| {
            nix::sys::prctl::set_pdeathsig(None).context("cannot outlive the parent")?;
            ledger.note(&crate::process::Note::Ready);
            wait_for_end(&mut until)
        })?;
        child.ready()?;
        stay(ledger)
    })?;
    parent.ready()?;
    take_none(role).context("its holder lives")?;
    parent.kill()?;
    take_none(role).context("its holder's child lives")?;
    drop(end);
    let status = waitpid(None, None).context("cannot wait for an orphan")?;
    ensure!(
        matches!(status, WaitStatus::Signaled(_, Signal::SIGKILL, _)),
        "the orphan ended otherwise than it was to: {status:?}"
    );
    take_free(role).context("both are dead")?;
    Ok(1)
}

fn wait_for_end(pipe: &mut PipeReader) -> Result<()> {
    pipe.read_to_end(&mut Vec::new()).context("cannot read")?;
    Ok(())
}

fn mapping(
    setting: &Setting<'_>,
    producer: impl for<'r> Fn(&'r Ring<u64>) -> Result<Box<dyn FnMut() -> Result<()> + 'r>>,
) -> Result<u64> {
    let ring = Ring::<u64>::anonymous(&RingOptions::new(4).slots(4))?;
    {
        let mut touch = producer(&ring)?;
        let child = Child::fork("a forked child", setting.alone, |_| {
            // One of these would lie where the parent's mapping is, if nothing else did.
            let _mapped: Vec<_> = (0..64).map(|_| Words::new(1)).collect::<Result<_>>()?;
            touch()
        })?;
        let (reported, status) = child.end()?;
        ensure!(
            reported.is_empty() && matches!(status, WaitStatus::Signaled(_, Signal::SIGSEGV, _)),
            "a forked child wrote where only its parent may: {reported:?}, {status:?}"
        );
    }
    let mut producer = ring.producer()?;
    producer.push(9)?;
    ensure!(
        ring.consumer()?.pop()? == 9,
        "the stream is not what it was"
    );
    Ok(1)
}

/// The holder becomes another program.
fn executed(setting: &Setting<'_>, role: &Take<'_>) -> Result<u64> {
    let (mut said, says) = pipe().context("cannot make a pipe")?;
    let (hears, mut hear) = pipe().context("cannot make a pipe")?;
    let mut says = Some(says);
    let mut hears = Some(hears);
    let program = Child::fork("the program", setting.alone, |_| {
        let _held = take_free(role)?;
        // It says what it hears.
        let mut command = Command::new("cat");
        command.stdin(hears.take().map_or_else(Stdio::null, Stdio::from));
        command.stdout(says.take().map_or_else(Stdio::null, Stdio::from));
        let error = command.exec();
        Err(crate::process::NotHere(format!("cannot start `cat`: {error}")).into())
    })?;
    drop((says, hears));
    hear.write_all(b"x")
        .context("cannot write to the program")?;
    let mut heard = [0];
    if said.read_exact(&mut heard).is_err() {
        program.finish()?;
        bail!("the program ended");
    }
    take_free(role).context("its holder is another program now")?;
    program.kill()?;
    Ok(1)
}

/// The holder sends a descriptor to this process, which tries to be what it is.
fn sent(setting: &Setting<'_>, attach: fn(OwnedFd) -> Result<Box<Take<'static>>>) -> Result<u64> {
    let (ours, theirs) = socketpair(
        AddressFamily::Unix,
        SockType::Stream,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
    .context("cannot make a socket")?;
    let mut sender = Child::fork("the sender", setting.alone, |ledger| {
        let ring = Ring::<u64>::anonymous(&RingOptions::new(4).slots(4))?;
        let fd = ring.segment().descriptor()?;
        let sent = fd.try_clone()?;
        let role = attach(fd)?;
        let _held = take_free(&*role)?;
        send(&theirs, sent.as_raw_fd())?;
        stay(ledger)
    })?;
    sender.ready()?;
    let role = attach(receive(&ours)?)?;
    take_none(&*role).context("its sender has it")?;
    sender.kill()?;
    take_free(&*role).context("its sender is dead")?;
    Ok(1)
}

fn send(socket: &OwnedFd, fd: RawFd) -> Result<()> {
    let fds = [fd];
    let message = [ControlMessage::ScmRights(&fds)];
    let text = [IoSlice::new(b"x")];
    sendmsg::<()>(socket.as_raw_fd(), &text, &message, MsgFlags::empty(), None)
        .context("cannot send a descriptor")?;
    Ok(())
}

fn receive(socket: &OwnedFd) -> Result<OwnedFd> {
    let mut text = [0];
    let mut slices = [IoSliceMut::new(&mut text)];
    let mut space = nix::cmsg_space!(RawFd);
    let message = recvmsg::<()>(
        socket.as_raw_fd(),
        &mut slices,
        Some(&mut space),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )
    .context("cannot receive a descriptor")?;
    let fds = message.cmsgs()?.find_map(|part| match part {
        ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
        _ => None,
    });
    let fd = fds.context("no descriptor was received")?;
    // SAFETY: the kernel has just made it for this process, and it has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
