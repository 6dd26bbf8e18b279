//! S14: a seqlock whose sequence has so few bits that it comes round while one reader sleeps
//! (Amanieu/seqlock#3, about 32-bit machines).
//!
//! A write adds 2, so after exactly 2^(bits − 1) writes during one read, or a multiple of that,
//! the sequence is what it was and the reader keeps halves of two values. The bound: 2^31 writes
//! at 32 bits, seconds of a fast writer; 2^63 at 64 bits, centuries. Here the sequence has 8 bits,
//! and the reader sleeps through up to 256 writes.
//!
//! One count in 128 deceives, so of all seeds one in two thousand would not find it within 1,000
//! cases. A sequence of 64 bits repairs it.

use proptest::prop_assert;

use super::Specimen;
use super::property::{self, Checked};

/// A seqlock over two words, which hold the number of the write.
struct Seqlock {
    bits: u32,
    seq: u64,
    words: [u64; 2],
}

impl Seqlock {
    /// Two steps of the sequence in one: no reader looks in between.
    fn write(&mut self) {
        let number = self.words[0] + 1;
        self.words = [number; 2];
        self.seq = self.seq.wrapping_add(2) & (u64::MAX >> (u64::BITS - self.bits));
    }

    /// Reads the one word, sleeps, reads the other.
    fn try_read(&mut self, sleep: impl FnOnce(&mut Seqlock)) -> Option<[u64; 2]> {
        let seq = self.seq;
        let left = self.words[0];
        sleep(self);
        let right = self.words[1];
        (self.seq == seq).then_some([left, right])
    }
}

fn check(cases: u32, bits: u32) -> Checked {
    property::check(cases, (0..=256_u32, 0..=256_u32), |(before, meanwhile)| {
        let mut seqlock = Seqlock {
            bits,
            seq: 0,
            words: [0; 2],
        };
        (0..before).for_each(|_| seqlock.write());
        let read = seqlock.try_read(|seqlock| (0..meanwhile).for_each(|_| seqlock.write()));
        if let Some([left, right]) = read {
            prop_assert!(left == right, "halves of values {left} and {right}");
        }
        Ok(())
    })
}

pub(super) fn specimen() -> Specimen {
    Specimen::new("S14", "a sequence that comes round", "Amanieu/seqlock#3")
        .wrong("8 bits", 1_000, |cases| check(cases, 8))
        .right("64 bits", |cases| check(cases, 64))
}
