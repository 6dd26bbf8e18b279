//! System V message queues. They have no descriptor and no name that could be taken from them:
//! somebody must live long enough to remove them.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe2};
use ringproof::bytemuck::{cast_slice, cast_slice_mut};

use super::mechanism::{Endpoint, Ends, Kept, Mechanism, Refused, Terms};
use super::queues::{QUEUE, exactly, limit};
use super::unnamed::uninterrupted;

/// System V message queues.
pub(super) const SYSTEM_V: Mechanism =
    Mechanism::new("System V message queue", QUEUE, prepare, join);

fn prepare(size: usize) -> Result<Ends, Refused> {
    let (keeper, queues) = uninterrupted(Keeper::start)
        .map_err(|error| Refused::of("no System V message queue can be made", error))?;
    // The limit is found by trying.
    let mut message = Message::new(size);
    let tried = message.send(queues[0], libc::IPC_NOWAIT);
    tried
        .and_then(|()| message.receive(queues[0]))
        .map_err(|error| {
            Refused(format!(
                "a message of {size} bytes does not fit ({error}; {}, {}); root may raise these",
                limit("kernel/msgmax"),
                limit("kernel/msgmnb"),
            ))
        })?;
    Ok(Ends {
        numbers: queues.to_vec(),
        kept: Some(Box::new(keeper)),
        ..Ends::default()
    })
}

fn join(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    let [there, back] = terms.numbers[..] else {
        return Err(Refused(
            "the numbers of the queues did not arrive".to_owned(),
        ));
    };
    let [out, into] = terms.side.out_and_into([there, back]);
    Ok(Box::new(Queues {
        out,
        into,
        message: Message::new(terms.size),
    }))
}

/// A queue for each direction.
struct Queues {
    out: i32,
    into: i32,
    message: Message,
}

impl Endpoint for Queues {
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
        // SAFETY: the kernel reads the type and as many bytes of content as it is told, which is as
        // many as there are.
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
    /// Nobody writes to it. That it is closed tells the keeper.
    alive: Option<OwnedFd>,
}

impl Kept for Keeper {}

impl Keeper {
    /// Makes the queues and starts it. To be called where no signal can come between the two; it
    /// goes on to ignore them.
    fn start() -> io::Result<(Self, [i32; 2])> {
        let (end, alive) = pipe2(OFlag::O_CLOEXEC)?;
        let there = queue()?;
        let queues = [there, queue().inspect_err(|_| remove(there))?];
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

fn queue() -> Result<i32, Errno> {
    // SAFETY: the call touches no memory of this process.
    Errno::result(unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) })
}

fn remove(queue: i32) {
    // SAFETY: for this command the kernel does not look at the pointer.
    unsafe { libc::msgctl(queue, libc::IPC_RMID, std::ptr::null_mut()) };
}
