//! Message queues in the kernel: POSIX and System V.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::mqueue::{MQ_OFlag, MqAttr, MqdT, mq_open, mq_receive, mq_send, mq_unlink};
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe2};
use ringproof::bytemuck::{cast_slice, cast_slice_mut};

use super::mechanism::{Endpoint, Ends, Kept, Lasting, Mechanism, Nature, Refused, Terms};
use super::shared::{a_name, uninterrupted};

/// What both kinds have in common.
const QUEUE: Nature = Nature {
    lasting: Lasting::UntilReboot,
    ..Nature::THROUGH_THE_KERNEL
};

/// POSIX message queues.
pub(super) const POSIX: Mechanism = Mechanism::new("POSIX message queue", QUEUE, prepare, join);

/// A queue holds as many messages as anybody may ask for by default, and less of large ones: all
/// of a user's queues together have a limit in bytes.
fn length(size: usize) -> i64 {
    (256 * 1024 / size).clamp(4, 10) as i64
}

fn prepare(size: usize) -> Result<Ends, Refused> {
    Ends::sharing(|| queue(size).map_err(|error| explain(size, error)))
}

fn join(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    let [out, into] = terms.out_and_into()?;
    // SAFETY: both are open, and of message queues: `prepare` made them.
    let queue = |fd: OwnedFd| unsafe { MqdT::from_raw_fd(fd.into_raw_fd()) };
    Ok(Box::new(Queues {
        into: queue(into),
        out: queue(out),
    }))
}

fn queue(size: usize) -> Result<OwnedFd, Errno> {
    let name = format!("/{}", a_name());
    let flags = MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL | MQ_OFlag::O_RDWR | MQ_OFlag::O_CLOEXEC;
    let attributes = MqAttr::new(0, length(size), size as i64, 0);
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    let queue = uninterrupted(|| {
        let queue = mq_open(name.as_str(), flags, mode, Some(&attributes))?;
        mq_unlink(name.as_str()).map(|()| queue)
    })?;
    // SAFETY: it is open, and nothing else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(queue.into_raw_fd()) })
}

/// A limit as the kernel shows it.
fn limit(path: &str) -> String {
    let name = path.replace('/', ".");
    match fs::read_to_string(format!("/proc/sys/{path}")) {
        Ok(text) => format!("{name} = {}", text.trim()),
        Err(_) => format!("{name}, which cannot be read"),
    }
}

fn explain(size: usize, error: Errno) -> Refused {
    let why = match error {
        Errno::EINVAL => format!(
            "messages of {size} bytes, {} at a time, are beyond this system's limits ({}, {}); root \
             may raise them, or CAP_SYS_RESOURCE passes them",
            length(size),
            limit("fs/mqueue/msgsize_max"),
            limit("fs/mqueue/msg_max"),
        ),
        Errno::EMFILE => format!(
            "queues for messages of {size} bytes need more than this user may have in queues; a \
             larger RLIMIT_MSGQUEUE (ulimit -q) would allow it"
        ),
        Errno::ENOSYS => "the kernel was built without POSIX message queues".to_owned(),
        _ => "no POSIX message queue can be made".to_owned(),
    };
    Refused(format!("{why} ({error:?})"))
}

/// A queue for each direction.
struct Queues {
    into: MqdT,
    out: MqdT,
}

impl Endpoint for Queues {
    fn send(&mut self, messages: &[u64]) -> io::Result<()> {
        Ok(mq_send(&self.out, cast_slice(messages), 0)?)
    }

    fn receive(&mut self, messages: &mut [u64]) -> io::Result<()> {
        let bytes = cast_slice_mut(messages);
        let length = mq_receive(&self.into, bytes, &mut 0)?;
        exactly(length, bytes.len())
    }
}

/// A queue keeps the bounds of messages: another length is another message.
pub(super) fn exactly(length: usize, expected: usize) -> io::Result<()> {
    if length == expected {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{length} bytes of a message of {expected}"
    )))
}

/// System V message queues. They have no descriptor and no name that could be taken from them: somebody
/// must live long enough to remove them.
pub(super) const SYSTEM_V: Mechanism = Mechanism::new(
    "System V message queue",
    QUEUE,
    prepare_system_v,
    join_system_v,
);

fn prepare_system_v(size: usize) -> Result<Ends, Refused> {
    let (keeper, queues) = uninterrupted(Keeper::start)
        .map_err(Refused::of("no System V message queue can be made"))?;
    // The limit is found by trying.
    let mut message = Message::new(size);
    let tried = message.send(queues[0], libc::IPC_NOWAIT);
    let tried = tried.and_then(|()| message.receive(queues[0]));
    tried.map_err(|error| {
        let (one, all) = (limit("kernel/msgmax"), limit("kernel/msgmnb"));
        Refused(format!(
            "a message of {size} bytes does not fit ({error}; {one}, {all}); root may raise these"
        ))
    })?;
    Ok(Ends {
        numbers: queues.to_vec(),
        kept: Some(Box::new(keeper)),
        ..Ends::default()
    })
}

fn join_system_v(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    let [there, back] = terms.numbers[..] else {
        let why = "the numbers of the queues did not arrive";
        return Err(Refused(why.to_owned()));
    };
    let [out, into] = terms.side.out_and_into([there, back]);
    Ok(Box::new(Numbers {
        out,
        into,
        message: Message::new(terms.size),
    }))
}

/// A queue for each direction.
struct Numbers {
    out: i32,
    into: i32,
    message: Message,
}

impl Endpoint for Numbers {
    fn send(&mut self, messages: &[u64]) -> io::Result<()> {
        self.message.0[1..].copy_from_slice(messages);
        self.message.send(self.out, 0)
    }

    fn receive(&mut self, messages: &mut [u64]) -> io::Result<()> {
        self.message.receive(self.into)?;
        messages.copy_from_slice(&self.message.0[1..]);
        Ok(())
    }
}

/// A message as the calls want it: its type, which is not zero, and then its content.
struct Message(Vec<u64>);

// The type is a `long`.
const _: () = assert!(size_of::<libc::c_long>() == size_of::<u64>());

impl Message {
    fn new(size: usize) -> Self {
        let mut words = vec![0; 1 + size / 8];
        words[0] = 1;
        Message(words)
    }

    fn send(&self, queue: i32, flags: i32) -> io::Result<()> {
        let content: &[u8] = cast_slice(&self.0[1..]);
        // SAFETY: the kernel reads the type and as many bytes of content as
        // are asked for, which is as many as there are.
        let sent = unsafe { libc::msgsnd(queue, self.0.as_ptr().cast(), content.len(), flags) };
        Ok(Errno::result(sent).map(drop)?)
    }

    fn receive(&mut self, queue: i32) -> io::Result<()> {
        let content: &mut [u8] = cast_slice_mut(&mut self.0[1..]);
        let room = content.len();
        // SAFETY: the kernel writes the type and at most as many bytes of content as there is room
        // for.
        let length = unsafe { libc::msgrcv(queue, self.0.as_mut_ptr().cast(), room, 0, 0) };
        exactly(Errno::result(length)?.cast_unsigned(), room)
    }
}

/// A process that removes two queues when this one drops it, or dies, by whatever it may be.
#[derive(Debug)]
struct Keeper {
    process: Pid,
    /// Nothing writes to it. That it is closed notifies the keeper.
    alive: Option<OwnedFd>,
}

impl Kept for Keeper {}

impl Keeper {
    /// Makes the queues and starts it. To be called where no signal can come between the two; it
    /// goes on to ignore them.
    fn start() -> io::Result<(Self, [i32; 2])> {
        let (end, alive) = pipe2(OFlag::O_CLOEXEC)?;
        let there = new_queue()?;
        let queues = [there, new_queue().inspect_err(|_| remove(there))?];
        // SAFETY: the child calls nothing but system calls until it ends, whatever locks other
        // threads held at the fork.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => keep(&end, queues),
            Ok(ForkResult::Parent { child }) => Ok((
                Keeper {
                    process: child,
                    alive: Some(alive),
                },
                queues,
            )),
            Err(error) => {
                queues.into_iter().for_each(remove);
                Err(error.into())
            }
        }
    }
}

/// What the keeper does.
fn keep(end: &OwnedFd, queues: [i32; 2]) -> ! {
    // SAFETY: these are system calls on descriptors of this process alone, which has one thread
    // and runs no destructors. Standard input becomes the pipe and everything else is closed, also
    // the other end of the pipe and what belongs to other threads of the parent. `read` writes at
    // most the one byte.
    unsafe {
        libc::setsid();
        libc::dup2(end.as_raw_fd(), 0);
        libc::close_range(1, libc::c_uint::MAX, 0);
        let mut byte = 0_u8;
        while libc::read(0, (&raw mut byte).cast(), 1) < 0 {}
        queues.into_iter().for_each(remove);
        libc::_exit(0)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.alive.take());
        // It ends as soon as it has removed the queues.
        let _ = waitpid(self.process, None);
    }
}

fn new_queue() -> Result<i32, Errno> {
    // SAFETY: the call touches no memory of this process.
    Errno::result(unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) })
}

fn remove(queue: i32) {
    // SAFETY: for this command the kernel does not look at the pointer.
    unsafe { libc::msgctl(queue, libc::IPC_RMID, std::ptr::null_mut()) };
}
