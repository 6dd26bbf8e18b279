//! gRPC over a Unix socket: one call, in which both sides stream messages.
//!
//! The service is written by hand with the message and the codec that generated code would use, so
//! that no compiler of protocols is needed.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use hyper_util::rt::TokioIo;
use ringproof::bytemuck::cast_slice;
use ringproof_perf::cpus::follow_main_thread;
use ringproof_perf::ipc::{Endpoint, Mechanism, Nature, Refused, Side, Terms};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::codegen::StdError;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{self, Server, Uri};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::service_fn;

use crate::dbus::{fill, sockets};

/// Messages that wait to be sent, at most.
const QUEUED: usize = 16;

/// What goes over the wire: `message Chunk { bytes content = 1; }`.
#[derive(Clone, PartialEq, prost::Message)]
struct Chunk {
    #[prost(bytes = "vec", tag = "1")]
    content: Vec<u8>,
}

/// A call whose request and response are streams.
pub(crate) const CALL: Mechanism = Mechanism::new(
    "gRPC, streams (tonic)",
    Nature::THROUGH_THE_KERNEL,
    |_| sockets(),
    join,
);

fn join(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    let side = terms.side;
    let [socket] = terms.take()?;
    let socket = UnixStream::from(socket);
    // What is sent must go on its way when no thread waits for anything: a thread for it.
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .on_thread_park(follow_once)
        .enable_io()
        .enable_time()
        .build()
        .map_err(Refused::of("tokio cannot run"))?;
    let met = runtime.block_on(async {
        match side {
            Side::First => call(socket).await,
            Side::Second => answer(socket).await,
        }
    });
    let (out, into) = met.map_err(|error| Refused(format!("no gRPC: {error}")))?;
    Ok(Box::new(Streams { runtime, out, into }))
}

/// Half of the work is done by tokio's thread: it runs at the priority of the thread that measures,
/// once that has one.
fn follow_once() {
    thread_local!(static FOLLOWS: Cell<bool> = const { Cell::new(false) });
    FOLLOWS.with(|follows| follows.set(follows.get() || follow_main_thread()));
}

/// What a side sends through, and what it receives from.
type Met = (mpsc::Sender<Chunk>, Streaming<Chunk>);

fn to_tokio(socket: UnixStream) -> io::Result<tokio::net::UnixStream> {
    socket.set_nonblocking(true)?;
    tokio::net::UnixStream::from_std(socket)
}

/// The client's side.
async fn call(socket: UnixStream) -> Result<Met, StdError> {
    let mut socket = Some(TokioIo::new(to_tokio(socket)?));
    // There is one connection, and it is made already.
    let connect = service_fn(move |_: Uri| {
        let socket = socket.take().ok_or(io::ErrorKind::NotConnected);
        async move { socket.map_err(io::Error::from) }
    });
    let endpoint = transport::Endpoint::from_static("http://ringproof");
    let mut client = tonic::client::Grpc::new(endpoint.connect_with_connector(connect).await?);
    client.ready().await?;
    let (out, requests) = mpsc::channel(QUEUED);
    let responses = client
        .streaming(
            Request::new(ReceiverStream::new(requests)),
            PathAndQuery::from_static("/ringproof.Peer/Exchange"),
            ProstCodec::<Chunk, Chunk>::default(),
        )
        .await?;
    Ok((out, responses.into_inner()))
}

/// The server's side: it answers one call, and hands over its streams.
async fn answer(socket: UnixStream) -> Result<Met, StdError> {
    let (out, responses) = mpsc::channel::<Chunk>(QUEUED);
    let (arrived, arriving) = oneshot::channel();
    let streams = Arc::new(Mutex::new(Some((arrived, responses))));
    let service = move |request: tonic::codegen::http::Request<Body>| {
        let streams = streams.clone();
        async move {
            let exchange = service_fn(move |request: Request<Streaming<Chunk>>| {
                let streams = streams
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                async move {
                    let (arrived, responses) =
                        streams.ok_or_else(|| Status::unavailable("there is one call"))?;
                    let handed = arrived.send(request.into_inner());
                    handed.map_err(|_| Status::cancelled("the call was given up"))?;
                    Ok(Response::new(ReceiverStream::new(responses).map(Ok)))
                }
            });
            let codec = ProstCodec::<Chunk, Chunk>::default();
            let mut grpc = tonic::server::Grpc::new(codec);
            Ok::<_, Infallible>(grpc.streaming(exchange, request).await)
        }
    };
    let socket = to_tokio(socket)?;
    // No second connection ever comes, and the server waits for it as long as it runs.
    let incoming = tokio_stream::once(Ok::<_, io::Error>(socket)).chain(tokio_stream::pending());
    let serving = async {
        let service = service_fn(service);
        let served = Server::builder()
            .serve_with_incoming(service, incoming)
            .await;
        served.map_err(StdError::from)
    };
    let _running = tokio::spawn(serving);
    Ok((out, arriving.await?))
}

struct Streams {
    runtime: Runtime,
    out: mpsc::Sender<Chunk>,
    into: Streaming<Chunk>,
}

impl Endpoint for Streams {
    fn send(&mut self, messages: &[u64]) -> io::Result<()> {
        let content = cast_slice(messages).to_vec();
        let sent = self.runtime.block_on(self.out.send(Chunk { content }));
        Ok(sent.map_err(|_| io::ErrorKind::BrokenPipe)?)
    }

    fn receive(&mut self, messages: &mut [u64]) -> io::Result<()> {
        let chunk = self.runtime.block_on(self.into.message());
        let chunk = chunk.map_err(io::Error::other)?;
        fill(
            messages,
            &chunk.ok_or(io::ErrorKind::UnexpectedEof)?.content,
        )
    }
}
