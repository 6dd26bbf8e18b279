//! What a market's programs exchange: abi/market.h once more, and one end of it in Rust.

use std::io::Write;

use anyhow::{Context, Result, bail, ensure};
use bytemuck::Zeroable;
use clap::{Args, ValueEnum};
use ringproof::{PopError, PushError, Ring, RingOptions, SeqLatch, SeqLock};

use crate::fault::Fault;
use crate::latest::{Latest, Reads, Writes};

#[derive(Clone, Copy, Debug, PartialEq, ringproof::Payload)]
#[repr(C)]
struct Order {
    seq: u64,
    price: f64,
    qty: i32,
    venue: u32,
    tag: [u8; 8],
}

impl Order {
    fn of(seed: u64, seq: u64) -> Order {
        Order {
            seq,
            price: (seq % 100_000) as f64 * 0.25,
            qty: (seq % 2000) as i32 - 1000,
            venue: seed.wrapping_add(seq.wrapping_mul(7)) as u32,
            tag: std::array::from_fn(|i| (seq >> i) as u8),
        }
    }

    /// The checksum of all orders so far, of which this is the last.
    fn sum_with(&self, sum: u64) -> u64 {
        let words: [u64; 4] = bytemuck::cast(*self);
        words.into_iter().fold(sum, |sum, word| {
            (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, ringproof::Payload)]
#[repr(C)]
struct Picture {
    number: u64,
    best: f64,
    levels: [u64; 30],
}

impl Picture {
    fn of(seed: u64, number: u64) -> Picture {
        Picture {
            number,
            best: (number % 100_000) as f64 * 0.5,
            levels: std::array::from_fn(|i| (seed ^ number).wrapping_add(i as u64)),
        }
    }
}

/// One end of a market, in Rust: what abi/peer.c is in C
#[derive(Args)]
pub(crate) struct Peer {
    end: End,
    seed: u64,
    name: String,
    count: u64,
    kind: Option<Kind>,
    /// Make this mistake once
    #[arg(long, hide_possible_values = true)]
    fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum End {
    Send,
    Recv,
    Write,
    Read,
}

/// What holds the pictures.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Kind {
    Seqlock,
    Latch,
}

/// Is the peer; prints what peer.c prints.
pub(crate) fn run(peer: &Peer) -> Result<()> {
    let said = match (peer.end, peer.kind) {
        (End::Send | End::Recv, None) => {
            let ring = Ring::open_or_create(&peer.name, &RingOptions::new(1024))?;
            let (count, sum) = match peer.end {
                End::Send => send(peer, &ring)?,
                _ => receive(&ring)?,
            };
            format!("{count} {sum}\n")
        }
        (End::Write | End::Read, Some(Kind::Seqlock)) => look::<SeqLock<_>>(peer)?,
        (End::Write | End::Read, Some(Kind::Latch)) => look::<SeqLatch<_>>(peer)?,
        _ => bail!("orders go through a ring, pictures lie in a seqlock or a latch"),
    };
    let mut out = std::io::stdout().lock();
    (out.write_all(said.as_bytes())).context("cannot say what was moved")
}

fn send(peer: &Peer, ring: &Ring<Order>) -> Result<(u64, u64)> {
    let mut producer = ring.producer()?;
    let mut sum = 0;
    let mut push = |order: Order| loop {
        match producer.push(order) {
            Err(PushError::Full) => std::thread::yield_now(),
            pushed => return pushed,
        }
    };
    for seq in 0..peer.count {
        let mut order = Order::of(peer.seed, seq);
        sum = order.sum_with(sum);
        match peer.fault.filter(|_| seq == peer.count / 2) {
            Some(Fault::Loss) => continue,
            Some(Fault::Repetition) => push(order)?,
            Some(Fault::Corruption) => order.qty ^= 1,
            _ => {}
        }
        push(order)?;
    }
    producer.close();
    Ok((peer.count, sum))
}

fn receive(ring: &Ring<Order>) -> Result<(u64, u64)> {
    let mut consumer = ring.consumer()?;
    let (mut next, mut sum) = (0, 0);
    let mut orders = [Order::zeroed(); 64];
    loop {
        let taken = match consumer.pop_slice(&mut orders) {
            Ok(taken) => taken,
            Err(PopError::Empty) => {
                std::thread::yield_now();
                continue;
            }
            Err(PopError::PeerClosed) => return Ok((next, sum)),
            Err(error) => return Err(error.into()),
        };
        for order in &orders[..taken] {
            let seq = order.seq;
            ensure!(seq == next, "order {seq} came where {next} was due");
            sum = order.sum_with(sum);
            next += 1;
        }
    }
}

/// Writes pictures, or reads them: what there is to say of that.
fn look<L: Latest<Picture>>(peer: &Peer) -> Result<String> {
    let shared = L::open_or_create(&peer.name, &Picture::of(peer.seed, 0))?;
    if peer.end == End::Read {
        return read(peer, &shared.reader()?);
    }
    write(peer, &mut shared.writer()?);
    Ok(String::new())
}

fn write(peer: &Peer, writer: &mut impl Writes<Picture>) {
    for number in 1..=peer.count {
        let mut picture = Picture::of(peer.seed, number);
        if peer.fault.is_some() && number == peer.count {
            picture.levels[17] ^= 1;
        }
        writer.write(&picture);
    }
}

fn read(peer: &Peer, reader: &impl Reads<Picture>) -> Result<String> {
    let (mut last, mut reads) = (0, 0_u64);
    while last < peer.count {
        let Ok(picture) = reader.read(1000) else {
            std::thread::yield_now();
            continue;
        };
        let whole = Picture::of(peer.seed, picture.number);
        ensure!(picture == whole, "a picture is a mixture");
        ensure!(picture.number >= last, "a picture is older than one before");
        last = picture.number;
        reads += 1;
    }
    Ok(format!("{reads}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_knows_order_and_every_bit() {
        let sum = |orders: &[Order]| orders.iter().fold(0, |sum, order| order.sum_with(sum));
        let (one, two) = (Order::of(1, 5), Order::of(1, 6));
        assert_ne!(sum(&[one, two]), sum(&[two, one]));
        let bytes: [u8; 32] = bytemuck::cast(one);
        for bit in 0..256 {
            let mut other = bytes;
            other[bit / 8] ^= 1 << (bit % 8);
            let other: Order = bytemuck::cast(other);
            assert_ne!(sum(&[other, two]), sum(&[one, two]), "bit {bit}");
        }
    }
}
