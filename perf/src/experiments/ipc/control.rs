//! How the program that measures talks to its two processes: packets over a socket of their own.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Instant;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::mechanism::{MOST_DESCRIPTORS, Side};
use super::message::Injected;
use crate::cpus::Seat;

/// What a process is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// To make its endpoint. The descriptors come along.
    Join {
        mechanism: String,
        side: Side,
        size: usize,
        numbers: Vec<i32>,
        peer: i32,
        /// Where it is to measure, if that matters.
        seat: Option<Seat>,
    },
    /// To move messages.
    Move(Task),
}

/// How messages are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exercise {
    /// To and fro, one at a time.
    PingPong,
    /// From the first side to the second, as fast as they go.
    Stream,
}

/// Messages to move.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Task {
    /// How.
    pub exercise: Exercise,
    /// The number of the first message.
    pub first: u64,
    /// Messages (round trips, of a ping-pong) before the clock starts.
    pub warm_up: u64,
    /// Messages (round trips) while it runs.
    pub count: u64,
    /// What the senders do wrong on purpose.
    pub injected: Injected,
    /// Whether system calls are counted meanwhile, which takes time of its own.
    pub system_calls: bool,
}

/// What a process answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The order was carried out.
    Done(Reported),
    /// It cannot be carried out here, or no longer.
    Refused(String),
    /// A message was not right, or the mechanism failed.
    Broken(String),
}

/// What one process reports of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reported {
    /// When its clock started, on the clock that all processes share, in nanoseconds.
    pub(crate) start: u64,
    /// When it was done.
    pub(crate) end: u64,
    /// How often it was preempted meanwhile.
    pub(crate) preemptions: u64,
    /// How often it slept meanwhile.
    pub(crate) sleeps: u64,
    /// How often it called the kernel, if that was to be counted, or why it could not be.
    pub(crate) system_calls: Option<Result<u64, String>>,
}

/// One end of the conversation.
#[derive(Debug)]
pub(crate) struct Control(OwnedFd);

/// No packet is larger.
const LARGEST: usize = 16 * 1024;

impl Control {
    /// Both ends.
    pub(crate) fn pair() -> io::Result<(Control, OwnedFd)> {
        let (kind, flags) = (SockType::SeqPacket, SockFlag::SOCK_CLOEXEC);
        let (ours, theirs) = socketpair(AddressFamily::Unix, kind, None, flags)?;
        Ok((Control(ours), theirs))
    }

    /// The end that a process was given in the place of this one of its standard streams.
    pub(crate) fn inherited(stream: impl AsFd) -> io::Result<Control> {
        stream.as_fd().try_clone_to_owned().map(Control)
    }

    pub(crate) fn send(&self, packet: &impl Serialize, fds: &[OwnedFd]) -> io::Result<()> {
        let text = serde_json::to_vec(packet)?;
        send_packet(&self.0, &text, fds)
    }

    /// The next packet and its descriptors; waits for it. `None` if the other end is closed.
    pub(crate) fn receive<P: DeserializeOwned>(&self) -> io::Result<Option<(P, Vec<OwnedFd>)>> {
        let mut text = vec![0; LARGEST];
        match receive_packet(&self.0, &mut text) {
            // The other end is closed, and perhaps did not read all that it was sent.
            Ok((0, _)) | Err(Errno::ECONNRESET) => Ok(None),
            Ok((length, fds)) => Ok(Some((serde_json::from_slice(&text[..length])?, fds))),
            Err(error) => Err(error.into()),
        }
    }
}

/// Sends bytes and descriptors in one packet.
pub(super) fn send_packet(to: &OwnedFd, bytes: &[u8], fds: &[OwnedFd]) -> io::Result<()> {
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &[][..] } else { &rights };
    let iov = [IoSlice::new(bytes)];
    sendmsg::<()>(to.as_raw_fd(), &iov, control, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// How many bytes came in the next packet, and its descriptors; waits for it.
pub(super) fn receive_packet(
    from: &OwnedFd,
    bytes: &mut [u8],
) -> Result<(usize, Vec<OwnedFd>), Errno> {
    let mut space = cmsg_space!([RawFd; MOST_DESCRIPTORS]);
    let mut iov = [IoSliceMut::new(bytes)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let received = recvmsg::<()>(from.as_raw_fd(), &mut iov, Some(&mut space), flags)?;
    let mut fds = Vec::new();
    for message in received.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = message {
            // SAFETY: the kernel made these descriptors for this process a moment ago, and
            // nothing else knows of them.
            fds.extend(raw.iter().map(|fd| unsafe { OwnedFd::from_raw_fd(*fd) }));
        }
    }
    Ok((received.bytes, fds))
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits until one of the two has something to say; says which, or `None` at the deadline.
pub(crate) fn readable(controls: [&Control; 2], deadline: Instant) -> io::Result<Option<usize>> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut fds = controls.map(|control| PollFd::new(control.as_fd(), PollFlags::POLLIN));
        match poll(&mut fds, timeout) {
            Ok(0) if left.is_zero() => return Ok(None),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(fds.iter().position(|fd| fd.any().unwrap_or(false))),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_packet_arrives_with_its_descriptors() {
        let (ours, theirs) = Control::pair().unwrap();
        let file = File::open("/dev/null").unwrap();
        let inode = file.metadata().unwrap().ino();
        let refused = Answer::Refused("no".to_owned());
        ours.send(&refused, &[file.into()]).unwrap();
        let (answer, fds) = Control(theirs).receive::<Answer>().unwrap().unwrap();
        assert!(matches!(answer, Answer::Refused(why) if why == "no"));
        let [fd] = <[OwnedFd; 1]>::try_from(fds).unwrap();
        assert_eq!(File::from(fd).metadata().unwrap().ino(), inode);
    }

    #[test]
    fn an_end_that_is_closed_is_no_packet() {
        let (ours, theirs) = Control::pair().unwrap();
        drop(theirs);
        assert!(ours.receive::<Answer>().unwrap().is_none());
    }

    #[test]
    fn who_says_nothing_is_waited_for_until_the_deadline() {
        let (one, _one) = Control::pair().unwrap();
        let (other, theirs) = Control::pair().unwrap();
        let soon = || Instant::now() + Duration::from_millis(20);
        assert_eq!(readable([&one, &other], soon()).unwrap(), None);
        let broken = Answer::Broken(String::new());
        Control(theirs).send(&broken, &[]).unwrap();
        assert_eq!(readable([&one, &other], soon()).unwrap(), Some(1));
    }
}
