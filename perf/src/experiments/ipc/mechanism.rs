//! What a mechanism is to this experiment: how its two ends are made, and how messages move.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use serde::{Deserialize, Serialize};

/// The sizes of messages that are measured, in bytes. All are whole cache lines.
pub const SIZES: [usize; 3] = [64, 1024, 65_536];

/// Which of the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// The one that begins: it sends the stream, and the first message of a ping-pong.
    First,
    /// The other one.
    Second,
}

impl Side {
    /// Of what there is for the way there, from the first side to the second, and for the way back:
    /// what this side sends through, and what it receives through.
    pub fn out_and_into<T>(self, [there, back]: [T; 2]) -> [T; 2] {
        match self {
            Side::First => [there, back],
            Side::Second => [back, there],
        }
    }
}

/// A way for two processes to send each other messages, in both directions.
///
/// `prepare` runs in the program that measures and makes whatever both sides use; `join` runs in
/// each of the two processes and makes an endpoint of it. Between them only descriptors travel, so
/// that nothing has a name that could be left behind: what must have one to be made loses it
/// within `prepare`. Either is [`Refused`] where the machine, or the process, may not do what it
/// must: found by trying.
#[derive(Clone, Copy, Debug)]
pub struct Mechanism {
    /// What it is called in tables, in rows and to its processes. No two have the same name.
    pub name: &'static str,
    /// What is known of it without measuring.
    pub nature: Nature,
    /// How many messages an endpoint is handed at once where they are streamed.
    pub batch: usize,
    /// Makes what both sides use, for messages of so many bytes.
    pub prepare: fn(usize) -> Result<Ends, Refused>,
    /// Makes the endpoint of this process.
    pub join: fn(Terms) -> Result<Box<dyn Endpoint>, Refused>,
}

impl Mechanism {
    /// One whose endpoints are handed one message at a time.
    pub const fn new(
        name: &'static str,
        nature: Nature,
        prepare: fn(usize) -> Result<Ends, Refused>,
        join: fn(Terms) -> Result<Box<dyn Endpoint>, Refused>,
    ) -> Self {
        Mechanism {
            name,
            nature,
            batch: 1,
            prepare,
            join,
        }
    }
}

/// One process's end of a mechanism. A call may wait for as long as it takes: whoever started the
/// process has a deadline for it and ends it.
pub trait Endpoint {
    /// Sends whole messages, back to back in `messages`; waits where there is no room.
    fn send(&mut self, messages: &[u64]) -> io::Result<()>;

    /// Fills `messages` with the next whole messages; waits until they have come.
    fn receive(&mut self, messages: &mut [u64]) -> io::Result<()>;
}

/// What the two ends are made of.
#[derive(Debug, Default)]
pub struct Ends {
    /// The descriptors of the first side, at most [`MOST_DESCRIPTORS`].
    pub first: Vec<OwnedFd>,
    /// The descriptors of the second side, as many at most.
    pub second: Vec<OwnedFd>,
    /// What has no descriptor but a number, for both.
    pub numbers: Vec<i32>,
    /// What must live as long as the two processes, and is dropped after them.
    pub kept: Option<Box<dyn Kept>>,
}

impl Ends {
    /// One descriptor for each side.
    pub fn of(first: OwnedFd, second: OwnedFd) -> Self {
        Ends {
            first: vec![first],
            second: vec![second],
            ..Ends::default()
        }
    }

    /// What both sides share of two things, one for each direction.
    pub fn sharing<T: AsFd>(make: impl Fn() -> Result<T, Refused>) -> Result<Self, Refused> {
        let mut ends = Ends::default();
        ends.share(&make()?)?;
        ends.share(&make()?)?;
        Ok(ends)
    }

    /// Adds, for both sides, a descriptor of the same thing.
    pub fn share(&mut self, of: &impl AsFd) -> Result<(), Refused> {
        for side in [&mut self.first, &mut self.second] {
            let copy = of.as_fd().try_clone_to_owned();
            side.push(copy.map_err(Refused::of("no descriptor is to be had"))?);
        }
        Ok(())
    }
}

/// So many descriptors travel to one process.
pub const MOST_DESCRIPTORS: usize = 16;

/// Something that tidies up when it is dropped.
pub trait Kept: fmt::Debug {}

/// What a process is given to make its endpoint of.
#[derive(Debug)]
pub struct Terms {
    /// Which side it is.
    pub side: Side,
    /// The size of a message in bytes: one of [`SIZES`].
    pub size: usize,
    /// Its descriptors, in the order of [`Ends`].
    pub descriptors: Vec<OwnedFd>,
    /// The numbers of [`Ends`].
    pub numbers: Vec<i32>,
    /// The other process.
    pub peer: i32,
}

impl Terms {
    /// Of two descriptors, that which this side sends through, and that which it receives through.
    pub fn out_and_into(self) -> Result<[OwnedFd; 2], Refused> {
        let side = self.side;
        Ok(side.out_and_into(self.take()?))
    }

    /// The descriptors, if there are `N`.
    pub fn take<const N: usize>(self) -> Result<[OwnedFd; N], Refused> {
        <[OwnedFd; N]>::try_from(self.descriptors)
            .map_err(|some| Refused(format!("{} of {N} descriptors arrived", some.len())))
    }
}

/// Why a mechanism cannot be used here: a clause that follows "because", with what would allow it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl Refused {
    /// That something could not be done, and what the system says.
    pub fn of<E: Into<io::Error>>(what: &str) -> impl Fn(E) -> Self {
        move |error| Refused(format!("{what}: {}", error.into()))
    }
}

/// What is known of a mechanism without measuring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nature {
    /// System calls for one message, of both sides together, as long as no side has to sleep or to
    /// be woken by a call of its own.
    pub system_calls: u32,
    /// Which messages arrive.
    pub delivers: Delivers,
    /// What outlives its processes.
    pub lasting: Lasting,
    /// How a receiver waits.
    pub waiting: Waiting,
    /// What a hostile peer may do.
    pub trust: Trust,
}

impl Nature {
    /// Of memory that both processes map and ask again and again.
    pub const MAPPED: Nature = Nature {
        system_calls: 0,
        delivers: Delivers::Every,
        lasting: Lasting::Nothing,
        waiting: Waiting::Polls,
        trust: Trust::Needed,
    };

    /// Of our own segments, which are mapped.
    pub const SEGMENT: Nature = Nature {
        lasting: Lasting::UntilReboot,
        trust: Trust::Checked,
        ..Nature::MAPPED
    };

    /// Of what the kernel copies, by a call to send and one to receive.
    pub const THROUGH_THE_KERNEL: Nature = Nature {
        system_calls: 2,
        delivers: Delivers::Every,
        lasting: Lasting::Nothing,
        waiting: Waiting::Sleeps,
        trust: Trust::Kernel,
    };
}

/// Which messages arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivers {
    /// Every one, in order, to one receiver.
    Every,
    /// The latest one, to any number of readers.
    Latest,
}

/// What of the messages outlives the processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// Nothing that a third process could find.
    Nothing,
    /// Messages that were not received, until the machine is switched off, if it has a name.
    UntilReboot,
    /// A file.
    File,
}

/// How a receiver waits for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It asks again and again, and keeps its CPU busy.
    Polls,
    /// It does so for some microseconds, then it sleeps in the kernel.
    PollsFirst,
    /// It sleeps in the kernel.
    Sleeps,
}

/// What a peer that keeps to no protocol may do to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The kernel stands between them: it sends nonsense, or nothing.
    Kernel,
    /// It writes over shared memory, and every index that is read from there is checked.
    Checked,
    /// It writes over shared memory, and whoever waits for it may wait for ever.
    Needed,
}
