//! Streams of bytes through the kernel: pipe, FIFO, stream socket, TCP.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;
use nix::unistd::{mkfifo, pipe2};
use ringproof::bytemuck::{cast_slice, cast_slice_mut};

use super::mechanism::{Endpoint, Ends, Mechanism, Nature, Refused, Terms};
use super::unnamed::{a_name, uninterrupted};

/// An anonymous pipe.
pub(super) const PIPE: Mechanism = stream("pipe", |_| {
    made(
        "pipe",
        pipe().and_then(|there| Ok(two_ways(there, pipe()?))),
    )
});

/// A pipe that was opened by name.
pub(super) const FIFO: Mechanism = stream("FIFO", |_| {
    made(
        "FIFO",
        fifo().and_then(|there| Ok(two_ways(there, fifo()?))),
    )
});

/// A Unix stream socket.
pub(super) const UNIX: Mechanism = stream("Unix stream", |_| {
    let pair = UnixStream::pair();
    let ends = pair.and_then(|(one, other)| both_ways(one.into(), other.into()));
    made("Unix stream", ends)
});

/// TCP over the loopback interface, without Nagle's delay.
pub(super) const TCP: Mechanism = stream("TCP loopback", |_| {
    let ends = tcp().and_then(|(one, other)| both_ways(one.into(), other.into()));
    made("TCP loopback", ends)
});

const fn stream(name: &'static str, prepare: fn(usize) -> Result<Ends, Refused>) -> Mechanism {
    Mechanism::new(name, Nature::THROUGH_THE_KERNEL, prepare, join)
}

fn made(name: &str, ends: io::Result<Ends>) -> Result<Ends, Refused> {
    ends.map_err(|error| Refused::of(&format!("no {name} can be made"), error))
}

fn join(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    let [into, out] = terms.take()?;
    Ok(Box::new(Bytes {
        into: into.into(),
        out: out.into(),
    }))
}

/// What to read from, and what to write to.
type Pipe = (OwnedFd, OwnedFd);

fn pipe() -> io::Result<Pipe> {
    Ok(pipe2(OFlag::O_CLOEXEC)?)
}

fn fifo() -> io::Result<Pipe> {
    let path = std::env::temp_dir().join(a_name());
    uninterrupted(|| {
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let opened = open_fifo(&path);
        fs::remove_file(&path)?;
        opened
    })
}

fn open_fifo(path: &std::path::Path) -> io::Result<Pipe> {
    // Nobody writes to it yet: to open it for reading would wait.
    let into = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)?;
    let out = OpenOptions::new().write(true).open(path)?;
    fcntl(&into, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok((into.into(), out.into()))
}

fn tcp() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    // The kernel completes a connection that is not accepted yet.
    let one = TcpStream::connect(listener.local_addr()?)?;
    let (other, _) = listener.accept()?;
    one.set_nodelay(true)?;
    other.set_nodelay(true)?;
    Ok((one, other))
}

fn two_ways(there: Pipe, back: Pipe) -> Ends {
    Ends {
        first: vec![back.0, there.1],
        second: vec![there.0, back.1],
        ..Ends::default()
    }
}

/// Two sockets, each of which is read from and written to.
fn both_ways(one: OwnedFd, other: OwnedFd) -> io::Result<Ends> {
    Ok(Ends {
        first: vec![one.try_clone()?, one],
        second: vec![other.try_clone()?, other],
        ..Ends::default()
    })
}

/// Where bytes come from and go to.
struct Bytes {
    into: File,
    out: File,
}

impl Endpoint for Bytes {
    fn send(&mut self, messages: &[u64]) -> io::Result<()> {
        self.out.write_all(cast_slice(messages))
    }

    fn receive(&mut self, messages: &mut [u64]) -> io::Result<()> {
        self.into.read_exact(cast_slice_mut(messages))
    }
}
