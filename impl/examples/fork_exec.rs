//! A ring that has no name: a program forks, becomes another one (here itself once more) and that one inherits
//! the ring as its standard input. Nobody else gets at it, and it is gone with the last of them.
//!
//! A child that is only forked has no access to what its parent attached: it attaches by the descriptor as
//! well.
//!
//! ```console
//! cargo run --example fork_exec
//! ```

use std::error::Error;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, io};

use ringproof::{PopError, Ring, RingOptions, WaitError};

const NUMBERS: u64 = 10_000;

/// How long the parent waits before it asks whether the child is there at all.
const A_WHILE: Duration = Duration::from_millis(100);

fn parent() -> Result<(), Box<dyn Error>> {
    let ring = Ring::<u64>::anonymous(&RingOptions::new(64))?;
    let mut consumer = ring.consumer()?;
    let mut child = Command::new(env::current_exe()?)
        .arg("child")
        .stdin(Stdio::from(ring.segment().descriptor()?))
        .spawn()?;
    let (mut sum, mut ended) = (0, false);
    loop {
        match consumer.wait_for(A_WHILE).pop() {
            Ok(number) => sum += number,
            Err(WaitError::Refused(PopError::PeerClosed)) => break,
            Err(WaitError::Refused(error)) => return Err(error.into()),
            // It had ended before this look at the ring: nothing more will come.
            Err(_) if ended => return Err("the child has not closed the ring".into()),
            Err(_) => ended = child.try_wait()?.is_some(),
        }
    }
    println!("{sum}");
    match child.wait()? {
        status if status.success() => Ok(()),
        status => Err(format!("the child: {status}").into()),
    }
}

fn child() -> Result<(), Box<dyn Error>> {
    let ring = Ring::<u64>::attach_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    let mut producer = ring.producer()?;
    for number in producer.position()..NUMBERS {
        producer.wait().push(number)?;
    }
    producer.close();
    Ok(())
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1).as_deref() {
        Some("child") => child(),
        _ => parent(),
    }
}
