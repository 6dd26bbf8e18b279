//! Rings of bytes as what reads and writes: what a pipe that never blocks would say.
#![cfg(target_os = "linux")]

mod common;

use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::thread;

use common::Deadline;
use ringproof::harness::PartsOfRing;
use ringproof::memory::{Memory, Native};
use ringproof::site::StoreSite;
use ringproof::{Consumer, Corruption, PopError, Producer, PushError, Ring, RingOptions};

fn ends(capacity: u64) -> (Ring<u8>, Producer<u8>, Consumer<u8>) {
    let ring = Ring::<u8>::anonymous(&RingOptions::new(capacity)).expect("an anonymous ring");
    let (producer, consumer) = (ring.producer(), ring.consumer());
    (
        ring,
        producer.expect("the role"),
        consumer.expect("the role"),
    )
}

/// Tries again where it would have to wait.
struct Waiting<E>(E, Deadline);

impl<E> Waiting<E> {
    fn until<T>(&mut self, mut attempt: impl FnMut(&mut E) -> io::Result<T>) -> io::Result<T> {
        loop {
            match attempt(&mut self.0) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.1.wait(),
                outcome => return outcome,
            }
        }
    }
}

impl<E: Write> Write for Waiting<E> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.until(|end| end.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<E: Read> Read for Waiting<E> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.until(|end| end.read(bytes))
    }
}

/// The kind of an error, and the ring's own error in it, if there is one.
fn parts_of<E: std::error::Error + Clone + 'static>(error: io::Error) -> (ErrorKind, Option<E>) {
    let inner = error.get_ref().map(|inner| inner.downcast_ref::<E>());
    (
        error.kind(),
        inner.map(|inner| inner.expect("the ring's").clone()),
    )
}

#[test]
fn as_many_bytes_as_fit_are_written_and_as_many_as_there_are_are_read() {
    let (_ring, mut producer, mut consumer) = ends(5);
    assert_eq!(producer.write(b"abc").expect("room"), 3);
    assert_eq!(producer.write(b"defg").expect("room for two"), 2);
    producer.flush().expect("nothing to do");
    let mut bytes = [0; 8];
    assert_eq!(consumer.read(&mut bytes[..2]).expect("bytes"), 2);
    assert_eq!(consumer.read(&mut bytes[2..]).expect("bytes"), 3);
    assert_eq!(&bytes, b"abcde\0\0\0");
    // Nothing at all is no end and no error, also of a ring that is full or empty.
    assert_eq!(consumer.read(&mut []).expect("nothing"), 0);
    producer.write_all(b"vwxyz").expect("room");
    assert_eq!(producer.write(b"").expect("nothing"), 0);
}

#[test]
fn what_cannot_be_is_an_error_of_the_kind_that_a_pipe_has() {
    let (ring, mut producer, mut consumer) = ends(2);
    let mut byte = [7];
    let read = |consumer: &mut Consumer<u8>, byte: &mut [u8]| consumer.read(byte).map_err(parts_of);
    let write = |producer: &mut Producer<u8>| producer.write(b"ab").map_err(parts_of);
    assert_eq!(
        read(&mut consumer, &mut byte),
        Err((ErrorKind::WouldBlock, None::<PopError>))
    );
    assert_eq!(write(&mut producer), Ok(2));
    assert_eq!(write(&mut producer), Err((ErrorKind::WouldBlock, None)));

    // SAFETY: one thread; what is stored to the words is what this is about.
    let parts = unsafe { ring.parts() }.expect("the parts");
    let corruption = |word, found| Corruption {
        word,
        found,
        lowest: 0,
        highest: 2,
    };
    Native.store(parts.write_index, 9, StoreSite::RingPublish);
    let corrupt = Some(PopError::Corrupt(corruption("write_index", 9)));
    assert_eq!(
        read(&mut consumer, &mut byte),
        Err((ErrorKind::InvalidData, corrupt))
    );
    Native.store(parts.write_index, 2, StoreSite::RingPublish);
    Native.store(parts.read_index, 9, StoreSite::RingFree);
    let corrupt = Some(PushError::Corrupt(corruption("read_index", 9)));
    assert_eq!(write(&mut producer), Err((ErrorKind::InvalidData, corrupt)));
    Native.store(parts.read_index, 0, StoreSite::RingFree);
    assert_eq!(byte, [7], "bytes with an error");

    // The end comes after the last byte, each time that it is asked for.
    producer.close();
    let closed = Err((ErrorKind::BrokenPipe, Some(PushError::Closed)));
    assert_eq!(write(&mut producer), closed);
    let mut bytes = Vec::new();
    assert_eq!(consumer.read_to_end(&mut bytes).expect("the end"), 2);
    assert_eq!(bytes, b"ab");
    assert_eq!(read(&mut consumer, &mut byte), Ok(0));

    let (_ring, mut producer, mut consumer) = ends(2);
    assert_eq!(write(&mut producer), Ok(2));
    consumer.close();
    // What nobody took is no end.
    let closed = Err((ErrorKind::BrokenPipe, Some(PopError::Closed)));
    assert_eq!(read(&mut consumer, &mut byte), closed);
    let stopped = Err((ErrorKind::BrokenPipe, Some(PushError::PeerClosed)));
    assert_eq!(write(&mut producer), stopped);
}

#[test]
fn errors_of_the_ring_are_errors_of_streams() {
    let (asked, most) = (9, 8);
    for (error, kind) in [
        (
            io::Error::from(PopError::PeerClosed),
            ErrorKind::UnexpectedEof,
        ),
        (
            PopError::TooMany { asked, most }.into(),
            ErrorKind::InvalidInput,
        ),
        (
            PushError::TooMany { asked, most }.into(),
            ErrorKind::InvalidInput,
        ),
    ] {
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.get_ref().is_some(), "{error}");
    }
}

#[test]
fn a_stream_is_copied_through_a_small_ring() {
    const BYTES: usize = 20_000;
    let bytes: Vec<u8> = (0..BYTES as u32)
        .map(|n| (n.wrapping_mul(0x9e37_79b9) >> 24) as u8)
        .collect();
    let (_ring, producer, consumer) = ends(61);
    let sent = bytes.clone();
    let sender = thread::spawn(move || {
        let mut producer = Waiting(producer, Deadline::to("write"));
        let copied = io::copy(&mut &*sent, &mut producer).expect("a copy");
        producer.0.close();
        copied
    });
    let mut received = Vec::new();
    let mut consumer = Waiting(consumer, Deadline::to("read"));
    let copied = io::copy(&mut consumer, &mut received).expect("a copy");
    assert_eq!(
        (copied, sender.join().expect("no panic")),
        (BYTES as u64, BYTES as u64)
    );
    assert!(received == bytes, "other bytes came than were sent");
}

#[test]
fn lines_go_through_buffers_of_the_standard_library_whole() {
    const LINES: u32 = 500;
    let (_ring, producer, consumer) = ends(64);
    let sender = thread::spawn(move || {
        let waiting = Waiting(producer, Deadline::to("write"));
        let mut lines = BufWriter::with_capacity(100, waiting);
        for number in 0..LINES {
            writeln!(lines, "line {number}").expect("a line");
        }
        lines.flush().expect("the rest");
        lines.get_mut().0.close();
    });
    // It would have to wait in the middle of lines, too, and keeps what it has.
    let mut consumer = BufReader::new(consumer);
    let deadline = Deadline::to("read a line");
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        match consumer.read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {
                assert_eq!(line, format!("line {number}\n").as_bytes());
                line.clear();
                number += 1;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => deadline.wait(),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((number, line.len()), (LINES, 0));
    sender.join().expect("no panic");
}
