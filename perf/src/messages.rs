//! Messages from one CPU to the other, on as many cache lines as they are given.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::alone::Alone;
use crate::cpus::Pair;
use crate::probe::to_and_fro;
use crate::rounds::Sample;
use crate::together::{Fault, Patience};

/// The words of one cache line; the lines beside it hold nothing.
pub(crate) type Line = Alone<[AtomicU64; 8]>;

/// Where a message lies: the number of the line whose first word is the flag, and of that whose other
/// seven words are the payload, if there is one.
pub(crate) type Place = (usize, Option<usize>);

/// One direction: a flag, and the payload that is there once the flag is raised.
#[derive(Clone, Copy)]
pub(crate) struct Direction<'a> {
    pub(crate) flag: &'a AtomicU64,
    pub(crate) payload: &'a [AtomicU64],
}

impl<'a> Direction<'a> {
    /// The one that lies at this place.
    pub(crate) fn new(lines: &'a [Line; 4], (flag, payload): Place) -> Self {
        Direction {
            flag: &lines[flag].0[0],
            payload: payload.map_or(&[], |line| &lines[line].0[1..]),
        }
    }

    /// Sends message `number`.
    #[inline(always)]
    pub(crate) fn send(self, number: u64) {
        for word in self.payload {
            word.store(number, Ordering::Relaxed);
        }
        // Release: the payload is there before the flag that announces it.
        self.flag.store(number, Ordering::Release);
    }

    /// Waits for message `number`.
    #[inline(always)]
    pub(crate) fn receive(self, number: u64) -> Result<(), Fault> {
        let mut patience = Patience::default();
        while self.flag.load(Ordering::Acquire) != number {
            patience.wait(number)?;
        }
        let mut wrong = 0;
        for word in self.payload {
            wrong |= word.load(Ordering::Relaxed) ^ number;
        }
        match wrong {
            0 => Ok(()),
            _ => Err(Fault::OutOfOrder(number)),
        }
    }
}

/// Half the time there and back, in nanoseconds.
pub(crate) fn ping_pong(
    pair: Pair,
    (there, back): (Place, Place),
    trips: u64,
) -> Result<Sample, Fault> {
    /// Messages before the clock starts.
    const WARM_UP: u64 = 200;
    let lines = <[Line; 4]>::default();
    let functions = |place| {
        let direction = Direction::new(&lines, place);
        (
            move |number| direction.send(number),
            move |number| direction.receive(number),
        )
    };
    let (there, back) = (functions(there), functions(back));
    let (values, preemptions) = to_and_fro(pair, &[WARM_UP, trips], there, back)?;
    Ok(Sample {
        value: values[1],
        preemptions,
    })
}
