use ringproof::{PopError, Ring, RingOptions, WaitError};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).ok_or("usage: consumer NAME")?;
    let ring = Ring::<u64>::open_or_create(&name, &RingOptions::new(1024))?;
    let mut consumer = ring.consumer()?;
    loop {
        match consumer.wait().pop() {
            Ok(order) => println!("{order}"),
            Err(WaitError::Refused(PopError::PeerClosed)) => break,
            // Its producer died: the next one goes on where it stopped.
            Err(WaitError::PeerGone) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(ring.segment().unlink()?)
}
