//! Two processes and a struct: one sends quotes, the other one prints them. Start them in either order; kill
//! either and start it again.
//!
//! ```console
//! cargo run --example quotes -- receive quotes &
//! cargo run --example quotes -- send quotes
//! ```

use std::env;
use std::error::Error;

use ringproof::{Payload, PopError, Ring, RingOptions, WaitError};

/// What travels: plain data without padding. A receiver whose struct has other fields is refused, by name.
#[derive(Clone, Copy, Payload)]
#[repr(C)]
struct Quote {
    price: f64,
    size: u32,
    symbol: [u8; 4],
}

const QUOTES: u64 = 10_000;

fn quote(number: u64) -> Quote {
    Quote {
        price: 100.0 + (number % 100) as f64 / 4.0,
        size: 10,
        symbol: *b"RING",
    }
}

fn send(name: &str) -> Result<(), Box<dyn Error>> {
    let ring = Ring::<Quote>::open_or_create(name, &RingOptions::new(64))?;
    let mut producer = ring.producer()?;
    // After a restart the position is where the last one stopped.
    while producer.position() < QUOTES {
        let next = quote(producer.position());
        match producer.wait().push(next) {
            // A receiver that is gone may be started again.
            Ok(()) | Err(WaitError::PeerGone) => {}
            Err(error) => return Err(error.into()),
        }
    }
    producer.close();
    Ok(())
}

fn receive(name: &str) -> Result<(), Box<dyn Error>> {
    let ring = Ring::<Quote>::open_or_create(name, &RingOptions::new(64))?;
    let mut consumer = ring.consumer()?;
    loop {
        match consumer.wait().peek(16) {
            Ok(chunk) => {
                for (number, quote) in (chunk.position()..).zip(&chunk) {
                    let symbol = String::from_utf8_lossy(&quote.symbol);
                    println!("{number}: {symbol} {} @ {}", quote.size, quote.price);
                }
                // Only now: who is killed before gets them again, with their numbers.
                chunk.release_all();
            }
            Err(WaitError::Refused(PopError::PeerClosed)) => break,
            // A sender that is gone may be started again.
            Err(WaitError::PeerGone) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(ring.segment().unlink()?)
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    match (words.first().map(String::as_str), words.get(1)) {
        (Some("send"), Some(name)) => send(name),
        (Some("receive"), Some(name)) => receive(name),
        _ => Err("usage: quotes send|receive NAME".into()),
    }
}
