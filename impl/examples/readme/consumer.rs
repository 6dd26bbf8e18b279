use ringproof::{PopError, Ring, RingOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).ok_or("usage: consumer NAME")?;
    let ring = Ring::<u64>::open_or_create(&name, &RingOptions::new(1024))?;
    let mut consumer = ring.consumer()?;
    loop {
        match consumer.pop() {
            Ok(order) => println!("{order}"),
            Err(PopError::Empty) => std::thread::yield_now(),
            Err(PopError::PeerClosed) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(ring.segment().unlink()?)
}
