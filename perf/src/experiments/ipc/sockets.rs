//! What the kernel carries through descriptors: streams of bytes (pipe, FIFO, stream socket, TCP), messages
//! that keep their bounds (Unix datagrams, sequenced packets, UDP), and memory files whose descriptors
//! travel (SCM_RIGHTS).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use nix::sys::stat::Mode;
use nix::unistd::{mkfifo, pipe2};
use ringproof::bytemuck::{cast_slice, cast_slice_mut};

use super::control::{receive_packet, send_packet};
use super::mechanism::{Endpoint, Ends, Mechanism, Nature, Refused, Terms};
use super::queues::exactly;
use super::shared::{a_name, uninterrupted};

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
    Mechanism::new(name, Nature::THROUGH_THE_KERNEL, prepare, join_stream)
}

fn made(name: &str, ends: io::Result<Ends>) -> Result<Ends, Refused> {
    ends.map_err(Refused::of(&format!("no {name} can be made")))
}

fn join_stream(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
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
    // Nothing writes to it yet: to open it for reading would wait.
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

/// A Unix datagram socket.
pub(super) const DATAGRAM: Mechanism = socket("Unix datagram", |_| sockets(SockType::Datagram));

/// A Unix socket of sequenced packets.
pub(super) const SEQUENCED: Mechanism = socket("Unix seqpacket", |_| sockets(SockType::SeqPacket));

const fn socket(name: &'static str, prepare: fn(usize) -> Result<Ends, Refused>) -> Mechanism {
    Mechanism::new(name, Nature::THROUGH_THE_KERNEL, prepare, |terms| {
        let [socket] = terms.take()?;
        Ok(Box::new(Socket(socket)))
    })
}

/// Two Unix sockets of that kind, connected with each other.
fn sockets(kind: SockType) -> Result<Ends, Refused> {
    let (one, other) = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC)
        .map_err(Refused::of("no such sockets can be made"))?;
    Ok(Ends::of(one, other))
}

/// A socket that loses nothing.
struct Socket(OwnedFd);

impl Endpoint for Socket {
    fn send(&mut self, messages: &[u64]) -> io::Result<()> {
        let bytes = cast_slice(messages);
        let sent = send(self.0.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL)?;
        exactly(sent, bytes.len())
    }

    fn receive(&mut self, messages: &mut [u64]) -> io::Result<()> {
        let bytes = cast_slice_mut(messages);
        let received = recv(self.0.as_raw_fd(), bytes, MsgFlags::empty())?;
        exactly(received, bytes.len())
    }
}

/// UDP over the loopback interface. It drops what the receiver has no room for, so the receiver
/// says now and then how far it is, and the sender does not run further ahead than a window.
pub(super) const UDP: Mechanism = Mechanism::new(
    "UDP loopback",
    Nature::THROUGH_THE_KERNEL,
    prepare_udp,
    join_udp,
);

/// Messages that may be under way: of 1 KiB about half of what a receiver has room for by default.
const WINDOW: u64 = 32;

/// The receiver speaks up after so many.
const STEP: u64 = WINDOW / 2;

/// What a datagram over IPv4 can carry.
const LONGEST: usize = 65_507;

fn prepare_udp(size: usize) -> Result<Ends, Refused> {
    let sockets = || {
        let (one, other) = (udp()?, udp()?);
        one.connect(other.local_addr()?)?;
        other.connect(one.local_addr()?)?;
        Ok((OwnedFd::from(one), OwnedFd::from(other)))
    };
    let refused = |error: io::Error| Refused::of("no UDP sockets can be made")(error);
    let (messages, steps) = (sockets().map_err(refused)?, sockets().map_err(refused)?);
    // The kernel is asked, not the constant.
    let large = UdpSocket::from(messages.0.try_clone().map_err(refused)?).send(&vec![0; size]);
    large.map_err(|error| {
        Refused(format!(
            "a datagram over IPv4 carries at most {LONGEST} bytes ({error}); larger messages \
             must be cut"
        ))
    })?;
    UdpSocket::from(messages.1.try_clone().map_err(refused)?)
        .recv(&mut vec![0; size])
        .map_err(refused)?;
    Ok(Ends {
        first: vec![messages.0, steps.0],
        second: vec![messages.1, steps.1],
        ..Ends::default()
    })
}

fn join_udp(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    let [messages, steps] = terms.take()?;
    Ok(Box::new(Windowed {
        messages: Socket(messages),
        steps: Socket(steps),
        ahead: 0,
        received: 0,
    }))
}

fn udp() -> io::Result<UdpSocket> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
}

/// A socket that loses what there is no room for.
struct Windowed {
    messages: Socket,
    steps: Socket,
    /// Messages that were sent and not acknowledged.
    ahead: u64,
    /// Messages that were received and not acknowledged.
    received: u64,
}

impl Endpoint for Windowed {
    fn send(&mut self, messages: &[u64]) -> io::Result<()> {
        if self.ahead == WINDOW {
            self.steps.receive(&mut [0])?;
            self.ahead -= STEP;
        }
        self.ahead += 1;
        self.messages.send(messages)
    }

    fn receive(&mut self, messages: &mut [u64]) -> io::Result<()> {
        self.messages.receive(messages)?;
        self.received += 1;
        if self.received == STEP {
            self.steps.send(&[STEP])?;
            self.received = 0;
        }
        Ok(())
    }
}

/// Each message is a memory file of its own.
pub(super) const DESCRIPTORS: Mechanism = Mechanism::new(
    "SCM_RIGHTS (memfd each)",
    Nature {
        // Make, write, send, close; receive, read, close.
        system_calls: 7,
        ..Nature::THROUGH_THE_KERNEL
    },
    |_| sockets(SockType::SeqPacket),
    |terms| {
        let [socket] = terms.take()?;
        Ok(Box::new(Messenger(socket)))
    },
);

/// A socket that descriptors travel through.
struct Messenger(OwnedFd);

impl Endpoint for Messenger {
    fn send(&mut self, messages: &[u64]) -> io::Result<()> {
        let mut file = File::from(memfd_create("message", MFdFlags::MFD_CLOEXEC)?);
        file.write_all(cast_slice(messages))?;
        send_packet(&self.0, &[0], &[file.into()])
    }

    fn receive(&mut self, messages: &mut [u64]) -> io::Result<()> {
        let (_, fds) = receive_packet(&self.0, &mut [0])?;
        let Ok([file]) = <[OwnedFd; 1]>::try_from(fds) else {
            return Err(io::Error::other("a message came without a descriptor"));
        };
        File::from(file).read_exact_at(cast_slice_mut(messages), 0)
    }
}
