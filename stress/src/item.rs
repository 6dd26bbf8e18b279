//! What travels: an item that says which one it is, who made it, and whether it is whole.

use std::fmt;

/// Who made an item. Two authors never make equal items, so what a victim left uncommitted is
/// distinguished from what its successor wrote in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Author {
    /// Whoever made the structure what it was before.
    Setup = 1,
    /// The process that is killed.
    Victim,
    /// Who takes up its role.
    Successor,
    /// The peer that lives all along.
    Survivor,
}

/// Four words, each of which follows from the seed, the author and the sequence number: a mix
/// of two items, or of an item and old memory, is no item.
#[derive(Clone, Copy, PartialEq, Eq, ringproof::Payload)]
#[repr(transparent)]
pub(crate) struct Item([u64; 4]);

impl Item {
    pub(crate) fn of(seed: u64, author: Author, sequence: u64) -> Item {
        let stamp = mix(seed ^ mix(sequence));
        Item([
            sequence,
            author as u64,
            stamp,
            seal(sequence, author, stamp),
        ])
    }

    pub(crate) fn words(self) -> [u64; 4] {
        self.0
    }

    pub(crate) fn from_words(words: [u64; 4]) -> Item {
        Item(words)
    }

    /// The author, if the item is whole. (The stamp cannot be checked without the seed.)
    fn author(self) -> Option<Author> {
        use Author::*;
        let [sequence, author, stamp, found] = self.0;
        [Setup, Victim, Successor, Survivor]
            .into_iter()
            .find(|known| *known as u64 == author)
            .filter(|author| seal(sequence, *author, stamp) == found)
    }
}

/// The word that ties the others together.
fn seal(sequence: u64, author: Author, stamp: u64) -> u64 {
    mix(sequence ^ mix(author as u64 ^ mix(stamp)))
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.author(), self.0) {
            (Some(author), [sequence, ..]) => write!(f, "item {sequence} by {author:?}"),
            (None, [0, 0, 0, 0]) => f.write_str("an item of zeros"),
            (None, words) => write!(f, "a torn item {words:x?}"),
        }
    }
}

/// The finaliser of SplitMix64: every bit of the input changes half the bits of the output.
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;

    use super::*;

    #[test]
    fn no_mix_of_two_items_is_an_item() {
        let items = [
            Item::of(1, Author::Victim, 7),
            Item::of(1, Author::Victim, 8),
            Item::of(1, Author::Successor, 7),
            Item::of(2, Author::Victim, 7),
            Item::zeroed(),
        ];
        for (number, one) in items.iter().enumerate() {
            for other in &items[number + 1..] {
                for cut in 0..4 {
                    let mut words = one.words();
                    words[cut..].copy_from_slice(&other.words()[cut..]);
                    let torn = Item::from_words(words);
                    if torn != *one && torn != *other {
                        assert!(!items.contains(&torn), "{one:?} and {other:?} cut at {cut}");
                        assert!(format!("{torn:?}").contains("torn"), "{torn:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_whole_item_says_what_it_is() {
        let item = Item::of(5, Author::Survivor, 12);
        assert_eq!(format!("{item:?}"), "item 12 by Survivor");
        assert_eq!(format!("{:?}", Item::zeroed()), "an item of zeros");
    }
}
