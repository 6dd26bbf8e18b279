use ringproof::{PushError, Ring, RingOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).ok_or("usage: producer NAME")?;
    let ring = Ring::<u64>::open_or_create(&name, &RingOptions::new(1024))?;
    let mut producer = ring.producer()?;
    // After a restart the position is where the last one stopped.
    while producer.position() < 100_000 {
        match producer.push(producer.position()) {
            Ok(()) => {}
            Err(PushError::Full) => std::thread::yield_now(),
            Err(error) => return Err(error.into()),
        }
    }
    producer.close();
    Ok(())
}
