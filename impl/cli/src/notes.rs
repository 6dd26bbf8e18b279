//! What each side of a stream leaves in its segment, so that a successor can go on: the notes.
//!
//! A side's notes are its 16 words in the segment's header ([`ringproof::Segment::note`]):
//!
//! | word | producer | consumer |
//! | ---: | --- | --- |
//! | 0 | the format, 1 | the same |
//! | 1 | the stream's id | the same |
//! | 2 | the input: 1 regular file, 2 anything else | the same, of the output |
//! | 3, 4, 5 | its device, inode and time of birth; 0 for anything else | the same |
//! | 6 | the input's offset where the stream began | the output's length then |
//! | 7 | a check over the others; never 0 | the same |
//! | 8–15 | 0 | 0 |
//!
//! The check makes them valid all at once: whoever dies between two of these words leaves notes
//! that do not decode, which is the same as none. (It also makes the order of the stores
//! irrelevant, and the compiler may choose it: they are relaxed.) They are complete before the
//! first byte that depends on them: the producer's before the first commit, whose release store
//! orders them; the consumer's before the first `write` of the output, a system call. Until
//! then they may be written again, afterwards they are not touched.

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// Nanoseconds; 0 where the file system does not say. A later file that was given the same
    /// inode has another.
    pub(crate) born: u64,
}

/// The notes of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notes {
    /// The stream's id: a random number.
    pub(crate) stream: u64,
    /// The input or output, if it is a regular file.
    pub(crate) file: Option<FileId>,
    /// The offset of the stream's first byte in that file; 0 without one.
    pub(crate) base: u64,
}

/// How many words they fill.
pub(crate) const WORDS: usize = 8;

const FORMAT: u64 = 1;
const REGULAR: u64 = 1;
const OTHER: u64 = 2;

impl Notes {
    /// The words to store.
    pub(crate) fn encode(&self) -> [u64; WORDS] {
        let (kind, file) = match self.file {
            Some(file) => (REGULAR, file),
            None => (
                OTHER,
                FileId {
                    device: 0,
                    inode: 0,
                    born: 0,
                },
            ),
        };
        let body = [
            FORMAT,
            self.stream,
            kind,
            file.device,
            file.inode,
            file.born,
            self.base,
        ];
        let mut words = [0; WORDS];
        words[..7].copy_from_slice(&body);
        words[7] = check(&body);
        words
    }

    /// The notes in these words, if there are valid ones.
    pub(crate) fn decode(words: &[u64; WORDS]) -> Option<Notes> {
        let [format, stream, kind, device, inode, born, base, sum] = *words;
        let known = format == FORMAT && (kind == REGULAR || kind == OTHER);
        let valid = known && sum == check(&words[..7]);
        valid.then_some(Notes {
            stream,
            file: (kind == REGULAR).then_some(FileId {
                device,
                inode,
                born,
            }),
            base,
        })
    }
}

/// A number that almost any change of `words` changes, never 0. It has to distinguish whole notes from
/// torn ones, not to withstand an attacker.
fn check(words: &[u64]) -> u64 {
    let mut sum = u64::from_be_bytes(*b"ringnote");
    for word in words {
        // A round of splitmix64, which lets every bit reach every other.
        sum = (sum ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        sum = (sum ^ (sum >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        sum = (sum ^ (sum >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        sum ^= sum >> 31;
    }
    sum.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn notes() -> impl Strategy<Value = Notes> {
        let file =
            (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(device, inode, born)| FileId {
                device,
                inode,
                born,
            });
        (any::<u64>(), proptest::option::of(file), any::<u64>())
            .prop_map(|(stream, file, base)| Notes { stream, file, base })
    }

    proptest! {
        #[test]
        fn notes_come_back(notes in notes()) {
            prop_assert_eq!(Notes::decode(&notes.encode()), Some(notes));
        }

        /// A death between any two of the stores, in any order of them, over nothing or over
        /// older notes, leaves the old ones, the new ones or none.
        #[test]
        fn torn_notes_are_none(old in proptest::option::of(notes()), new in notes(), stored: u8) {
            let before = old.map_or([0; WORDS], |old| old.encode());
            let after = new.encode();
            let torn: [u64; WORDS] = std::array::from_fn(|word| {
                if stored >> word & 1 == 1 { after[word] } else { before[word] }
            });
            let expected = if torn == after {
                Some(new)
            } else if torn == before {
                old
            } else {
                None
            };
            prop_assert_eq!(Notes::decode(&torn), expected);
        }
    }
}
