//! Messages that show what became of them: each has its number, and a sum over all of its words. One of a single
//! word is its number.

use serde::{Deserialize, Serialize};

/// Words in a cache line. The first of each carries the message's number, so that no part of a
/// message can stand for the same part of another.
const LINE: usize = 8;

/// The word that makes the sum right; the others of the first line are filler.
const SUM: usize = 1;

/// Something wrong that the sender does on purpose, for whoever must see that it is noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Injected {
    /// Nothing.
    #[default]
    Nothing,
    /// This message, counted from the first one, is never sent.
    Lost(u64),
    /// This message and the next one change places.
    Swapped(u64),
    /// One bit in the last word of this message is another.
    Corrupted(u64),
}

impl Injected {
    /// The number of the message that goes out in this place.
    fn number(self, place: u64) -> u64 {
        match self {
            Injected::Lost(at) if place >= at => place + 1,
            Injected::Swapped(at) if place == at => place + 1,
            Injected::Swapped(at) if place == at + 1 => at,
            _ => place,
        }
    }

    fn corrupts(self, place: u64) -> bool {
        self == Injected::Corrupted(place)
    }
}

/// A buffer for `count` messages of `size` bytes, with the filler of all messages in it.
pub(crate) fn buffer(size: usize, count: usize) -> Vec<u64> {
    (0..(size / 8 * count) as u64)
        .map(|word| word.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .collect()
}

/// The sender's numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    /// The number of the first message.
    pub(crate) first: u64,
    /// What is done wrong.
    pub(crate) injected: Injected,
}

impl Numbers {
    /// Makes the messages of `words` words in `messages` those that begin at `place`.
    pub(crate) fn write(self, messages: &mut [u64], words: usize, place: u64) {
        for (message, place) in messages.chunks_exact_mut(words).zip(place..) {
            let number = self.first.wrapping_add(self.injected.number(place));
            for line in message.chunks_mut(LINE) {
                line[0] = number;
            }
            if words > SUM {
                message[SUM] = 0;
                message[SUM] = sum(message).wrapping_neg();
            }
            if self.injected.corrupts(place) {
                message[words - 1] ^= 1 << 17;
            }
        }
    }

    /// Checks that the messages are whole and those that begin at `place`; says which is not.
    pub(crate) fn check(self, messages: &[u64], words: usize, place: u64) -> Result<(), Wrong> {
        for (message, place) in messages.chunks_exact(words).zip(place..) {
            let expected = self.first.wrapping_add(place);
            if words > SUM && sum(message) != 0 {
                return Err(Wrong::Corrupted { place });
            }
            if message[0] != expected {
                let came = message[0].wrapping_sub(self.first);
                return Err(Wrong::Another { place, came });
            }
        }
        Ok(())
    }
}

/// What is wrong with a message that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wrong {
    /// Its sum is.
    #[error("message {place} is corrupted: its sum is wrong")]
    Corrupted {
        /// Which should have come.
        place: u64,
    },
    /// It is another one.
    #[error("message {came} came in the place of message {place}: lost or out of order")]
    Another {
        /// Which should have come.
        place: u64,
        /// Which came.
        came: u64,
    },
}

fn sum(message: &[u64]) -> u64 {
    message.iter().fold(0, |sum, word| sum.wrapping_add(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(injected: Injected) -> Numbers {
        Numbers {
            first: 7 << 40,
            injected,
        }
    }

    /// What becomes of message `place` of a sender with this fault, for messages of `size` bytes.
    fn arrives(injected: Injected, place: u64, size: usize) -> Result<(), Wrong> {
        let (words, mut message) = (size / 8, buffer(size, 1));
        numbers(injected).write(&mut message, words, place);
        numbers(Injected::Nothing).check(&message, words, place)
    }

    #[test]
    fn what_is_injected_is_noticed_in_its_place_and_nowhere_before() {
        for size in [8, 64, 1024, 65_536] {
            for place in 0..5 {
                assert_eq!(arrives(Injected::Nothing, place, size), Ok(()));
            }
            for injected in [Injected::Lost, Injected::Swapped, Injected::Corrupted] {
                let injected = injected(3);
                assert_eq!(arrives(injected, 2, size), Ok(()), "{injected:?}");
                assert!(arrives(injected, 3, size).is_err(), "{injected:?}");
            }
            let came = Wrong::Another { place: 4, came: 3 };
            assert_eq!(arrives(Injected::Swapped(3), 4, size), Err(came));
            assert_eq!(arrives(Injected::Corrupted(3), 4, size), Ok(()));
        }
    }

    #[test]
    fn memory_that_was_never_written_is_no_message() {
        assert!(numbers(Injected::Nothing).check(&[0; 8], 8, 0).is_err());
    }

    #[test]
    fn a_part_of_another_message_is_noticed() {
        let numbers = numbers(Injected::Nothing);
        let (mut one, mut other) = (buffer(1024, 1), buffer(1024, 1));
        numbers.write(&mut one, 128, 0);
        numbers.write(&mut other, 128, 1);
        one[64..].copy_from_slice(&other[64..]);
        let corrupted = Err(Wrong::Corrupted { place: 0 });
        assert_eq!(numbers.check(&one, 128, 0), corrupted);
    }
}
