use ringproof::{Ring, RingOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).ok_or("usage: producer NAME")?;
    let ring = Ring::<u64>::open_or_create(&name, &RingOptions::new(1024))?;
    let mut producer = ring.producer()?;
    // After a restart the position is where the last one stopped.
    for number in producer.position()..100_000 {
        producer.wait().push(number)?;
    }
    producer.close();
    Ok(())
}
