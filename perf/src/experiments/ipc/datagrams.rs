//! Messages that keep their bounds: Unix datagrams, sequenced packets, UDP.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use ringproof::bytemuck::{cast_slice, cast_slice_mut};

use super::mechanism::{Endpoint, Ends, Mechanism, Nature, Refused, Terms};

/// A Unix datagram socket.
pub(super) const DATAGRAM: Mechanism = Mechanism::new(
    "Unix datagram",
    Nature::THROUGH_THE_KERNEL,
    |_| sockets(SockType::Datagram),
    join,
);

/// A Unix socket of sequenced packets.
pub(super) const SEQUENCED: Mechanism = Mechanism::new(
    "Unix seqpacket",
    Nature::THROUGH_THE_KERNEL,
    |_| sockets(SockType::SeqPacket),
    join,
);

/// Two Unix sockets of that kind, connected with each other.
pub(super) fn sockets(kind: SockType) -> Result<Ends, Refused> {
    let (one, other) = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC)
        .map_err(|error| Refused::of("no such sockets can be made", error))?;
    Ok(Ends::of(one, other))
}

fn join(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    let [socket] = terms.take()?;
    Ok(Box::new(Socket(socket)))
}

/// A socket that loses nothing.
struct Socket(OwnedFd);

impl Endpoint for Socket {
    fn send(&mut self, messages: &[u64]) -> io::Result<()> {
        let bytes = cast_slice(messages);
        whole(
            send(self.0.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL)?,
            bytes,
        )
    }

    fn receive(&mut self, messages: &mut [u64]) -> io::Result<()> {
        let bytes = cast_slice_mut(messages);
        whole(recv(self.0.as_raw_fd(), bytes, MsgFlags::empty())?, bytes)
    }
}

fn whole(moved: usize, message: &[u8]) -> io::Result<()> {
    if moved == message.len() {
        return Ok(());
    }
    let length = message.len();
    Err(io::Error::other(format!(
        "{moved} bytes of a message of {length}"
    )))
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
    let refused = |error: io::Error| Refused::of("no UDP sockets can be made", error);
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

/// A socket that loses what nobody has room for.
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
