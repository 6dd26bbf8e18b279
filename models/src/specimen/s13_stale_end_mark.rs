//! S13: a bip buffer, which gives out contiguous room only. A write that does not fit behind the
//! last one goes to the start of the buffer, and an end mark says where the old data
//! ends; here a write that wraps does not set the mark (ETLCPP/etl#1276; garbage in production).
//!
//! Mostly the mark is right by luck, as the last write that did not wrap has set it. After a
//! lap of short writes it is not: the reader goes past the data, up to the old mark.
//!
//! A property test against a queue of bytes finds it within 20 cases. Setting the mark
//! at every wrap repairs it.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::strategy::Strategy;
use proptest::test_runner::TestCaseError;
use proptest::{prop_assert, prop_oneof};

use super::Specimen;
use super::property::{self, Checked};

const SIZE: usize = 8;

/// Data is from `read` to `write`; or, after a wrap (`write < read`), from `read` to `end` and from
/// the start to `write`.
#[derive(Default)]
struct BipBuffer {
    bytes: [u8; SIZE],
    read: usize,
    write: usize,
    end: usize,
    /// Whether a write that wraps sets the mark.
    marks_a_wrap: bool,
}

impl BipBuffer {
    /// Writes as many of these bytes as fit in one piece, at the end if there is room for all or
    /// no more at the start, and says how many.
    fn write(&mut self, bytes: &[u8]) -> usize {
        let wrapped = self.write < self.read;
        let behind = match wrapped {
            true => self.read - self.write - 1,
            false => SIZE - self.write,
        };
        let at_start = match wrapped {
            true => 0,
            false => self.read.saturating_sub(1),
        };
        let wraps = bytes.len() > behind && at_start > behind;
        let (start, room) = if wraps {
            (0, at_start)
        } else {
            (self.write, behind)
        };
        let count = bytes.len().min(room);
        if wraps && self.marks_a_wrap {
            self.end = self.write;
        }
        self.bytes[start..start + count].copy_from_slice(&bytes[..count]);
        self.write = start + count;
        if !wrapped && !wraps {
            self.end = self.write;
        }
        count
    }

    /// Takes at most so many bytes that lie in one piece.
    fn read(&mut self, most: usize) -> &[u8] {
        let wrapped = self.write < self.read;
        if wrapped && self.read == self.end {
            self.read = 0;
        }
        let end = if self.write < self.read {
            self.end
        } else {
            self.write
        };
        let from = self.read;
        self.read = end.min(from + most).max(from);
        &self.bytes[from..self.read]
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Write(usize),
    Read(usize),
}

fn check(cases: u32, marks_a_wrap: bool) -> Checked {
    let op = prop_oneof![
        (1..=SIZE / 2).prop_map(Op::Write),
        (1..=SIZE).prop_map(Op::Read),
    ];
    property::check(cases, vec(op, 0..64), |ops| {
        like_a_queue(marks_a_wrap, &ops)
    })
}

fn like_a_queue(marks_a_wrap: bool, ops: &[Op]) -> Result<(), TestCaseError> {
    let mut buffer = BipBuffer {
        marks_a_wrap,
        ..BipBuffer::default()
    };
    let mut oracle = VecDeque::new();
    let mut next = 0..=u8::MAX;
    for op in ops {
        match *op {
            Op::Write(count) => {
                let bytes: Vec<u8> = next.by_ref().take(count).collect();
                let written = buffer.write(&bytes);
                oracle.extend(&bytes[..written]);
            }
            Op::Read(most) => {
                for &byte in buffer.read(most) {
                    let expected = oracle.pop_front();
                    prop_assert!(
                        expected == Some(byte),
                        "read {byte} instead of {expected:?}"
                    );
                }
            }
        }
    }
    Ok(())
}

pub(super) fn specimen() -> Specimen {
    Specimen::new("S13", "a stale end mark", "ETLCPP/etl#1276")
        .wrong("no mark at a wrap", 20, |cases| check(cases, false))
        .right("a mark at every wrap", |cases| check(cases, true))
}
