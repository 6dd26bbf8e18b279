//! Message queues in the kernel: POSIX and System V.

use std::fs;
use std::io;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};

use nix::errno::Errno;
use nix::mqueue::{MQ_OFlag, MqAttr, MqdT, mq_open, mq_receive, mq_send, mq_unlink};
use nix::sys::stat::Mode;
use ringproof::bytemuck::{cast_slice, cast_slice_mut};

use super::mechanism::{Endpoint, Ends, Lasting, Mechanism, Nature, Refused, Terms};
use super::unnamed::{a_name, uninterrupted};

/// What both kinds have in common.
pub(super) const QUEUE: Nature = Nature {
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
    let queue = || queue(size).map_err(|error| explain(size, error));
    let mut ends = Ends::default();
    ends.share(&queue()?)?;
    ends.share(&queue()?)?;
    Ok(ends)
}

fn join(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    let side = terms.side;
    let [out, into] = side.out_and_into(terms.take()?);
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
    let queue = uninterrupted(|| {
        let queue = mq_open(
            name.as_str(),
            flags,
            Mode::S_IRUSR | Mode::S_IWUSR,
            Some(&attributes),
        )?;
        mq_unlink(name.as_str()).map(|()| queue)
    })?;
    // SAFETY: it is open, and nothing else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(queue.into_raw_fd()) })
}

/// A limit as the kernel shows it.
pub(super) fn limit(path: &str) -> String {
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
