//! D-Bus without a bus: signals from peer to peer over a Unix socket.

use std::future::poll_fn;
use std::io;
use std::os::unix::net::UnixStream;
use std::pin::Pin;

use ringproof::bytemuck::{cast_slice, cast_slice_mut};
use ringproof_perf::ipc::{Endpoint, Ends, Mechanism, Nature, Refused, Side, Terms};
use serde_bytes::Bytes;
use tokio_stream::Stream;
use zbus::connection::Builder;
use zbus::message::Message;
use zbus::{Connection, Guid, MessageStream, block_on};

/// Signals whose body is an array of bytes.
pub(crate) const SIGNALS: Mechanism = Mechanism::new(
    "D-Bus, peer to peer (zbus)",
    Nature::THROUGH_THE_KERNEL,
    |_| sockets(),
    join,
);

fn join(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    let side = terms.side;
    let [socket] = terms.take()?;
    let connected = block_on(connect(side, socket.into()));
    let connection = connected.map_err(|error| Refused(format!("no D-Bus: {error}")))?;
    Ok(Box::new(Peer {
        into: MessageStream::from(&connection),
        connection,
    }))
}

/// Two sockets that are connected.
pub(crate) fn sockets() -> Result<Ends, Refused> {
    let pair = UnixStream::pair();
    let (first, second) = pair.map_err(Refused::of("no sockets are to be had"))?;
    Ok(Ends::of(first.into(), second.into()))
}

/// Either side waits for the other to authenticate.
async fn connect(side: Side, socket: UnixStream) -> zbus::Result<Connection> {
    let builder = Builder::unix_stream(socket).p2p();
    match side {
        Side::First => builder.build().await,
        Side::Second => builder.server(Guid::generate()).build().await,
    }
}

struct Peer {
    connection: Connection,
    into: MessageStream,
}

impl Endpoint for Peer {
    fn send(&mut self, messages: &[u64]) -> io::Result<()> {
        let signal = Message::signal("/ringproof", "ringproof.Peer", "Message")
            .build(&Bytes::new(cast_slice(messages)))
            .map_err(io::Error::other)?;
        block_on(self.connection.send(&signal)).map_err(io::Error::other)
    }

    fn receive(&mut self, messages: &mut [u64]) -> io::Result<()> {
        let next = poll_fn(|context| Pin::new(&mut self.into).poll_next(context));
        let signal = block_on(next)
            .ok_or(io::ErrorKind::UnexpectedEof)?
            .map_err(io::Error::other)?;
        let body = signal.body();
        let bytes: &Bytes = body.deserialize().map_err(io::Error::other)?;
        fill(messages, bytes)
    }
}

/// Makes the message the one that came, if that is as long.
pub(crate) fn fill(message: &mut [u64], came: &[u8]) -> io::Result<()> {
    let message = cast_slice_mut::<u64, u8>(message);
    if came.len() != message.len() {
        return Err(io::Error::other(format!("{} bytes came", came.len())));
    }
    message.copy_from_slice(came);
    Ok(())
}
