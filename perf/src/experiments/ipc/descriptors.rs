//! Messages whose bytes stay where they are: a memory file's descriptor travels (SCM_RIGHTS).

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;

use nix::cmsg_space;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockType, recvmsg, sendmsg};
use ringproof::bytemuck::{cast_slice, cast_slice_mut};

use super::datagrams::sockets;
use super::mechanism::{Endpoint, Mechanism, Nature, Refused, Terms};

/// Each message is a memory file of its own.
pub(super) const DESCRIPTORS: Mechanism = Mechanism::new(
    "SCM_RIGHTS (memfd each)",
    Nature {
        // Make, write, send, close; receive, read, close.
        system_calls: 7,
        ..Nature::THROUGH_THE_KERNEL
    },
    |_| sockets(SockType::SeqPacket),
    join,
);

fn join(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    let [socket] = terms.take()?;
    Ok(Box::new(Messenger(socket)))
}

/// A socket that descriptors travel through.
struct Messenger(OwnedFd);

impl Endpoint for Messenger {
    fn send(&mut self, messages: &[u64]) -> io::Result<()> {
        let mut file = File::from(memfd_create("message", MFdFlags::MFD_CLOEXEC)?);
        file.write_all(cast_slice(messages))?;
        let fds = [file.as_raw_fd()];
        sendmsg::<()>(
            self.0.as_raw_fd(),
            &[IoSlice::new(&[0])],
            &[ControlMessage::ScmRights(&fds)],
            MsgFlags::MSG_NOSIGNAL,
            None,
        )?;
        Ok(())
    }

    fn receive(&mut self, messages: &mut [u64]) -> io::Result<()> {
        let mut byte = [0];
        let mut iov = [IoSliceMut::new(&mut byte)];
        let mut space = cmsg_space!(RawFd);
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let received = recvmsg::<()>(self.0.as_raw_fd(), &mut iov, Some(&mut space), flags)?;
        for message in received.cmsgs()? {
            if let ControlMessageOwned::ScmRights(fds) = message
                && let [fd] = fds[..]
            {
                // SAFETY: the kernel made this descriptor for this process a moment ago, and
                // nothing else knows of it.
                let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
                return file.read_exact_at(cast_slice_mut(messages), 0);
            }
        }
        Err(io::Error::other("a message came without a descriptor"))
    }
}
