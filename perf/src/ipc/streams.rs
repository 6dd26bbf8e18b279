//! Streams of bytes through the kernel: pipes, FIFOs, stream sockets.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use ringproof::bytemuck::{cast_slice, cast_slice_mut};

use super::mechanism::{
    Delivers, Endpoint, Ends, Lasting, Mechanism, Nature, Refused, Terms, Trust, Waiting,
};

/// Which stream.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    /// An anonymous pipe.
    Pipe,
}

impl Mechanism for Stream {
    fn name(&self) -> &'static str {
        match self {
            Stream::Pipe => "pipe",
        }
    }

    fn nature(&self) -> Nature {
        Nature {
            crossings: 2,
            delivers: Delivers::Every,
            lasting: Lasting::Nothing,
            waiting: Waiting::Sleeps,
            trust: Trust::Kernel,
        }
    }

    fn prepare(&self, _: usize) -> Result<Ends, Refused> {
        match self {
            Stream::Pipe => {
                let pipe = || {
                    pipe2(OFlag::O_CLOEXEC)
                        .map_err(|error| Refused::of("no pipe can be made", error))
                };
                Ok(two_ways(pipe()?, pipe()?))
            }
        }
    }

    fn join(&self, terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
        let [into, out] = terms.take()?;
        Ok(Box::new(Bytes {
            into: into.into(),
            out: out.into(),
        }))
    }
}

/// Two ends to read from and to write to, one such pair for each direction.
fn two_ways(there: (OwnedFd, OwnedFd), back: (OwnedFd, OwnedFd)) -> Ends {
    Ends {
        first: vec![back.0, there.1],
        second: vec![there.0, back.1],
        ..Ends::default()
    }
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
