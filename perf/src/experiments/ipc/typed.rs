//! Mechanisms whose messages have a type: for each size that is measured there is one.

use ringproof::payload::WholeWords;

use super::mechanism::{Endpoint, Ends, Mechanism, Nature, Refused, Terms};

/// A cache line. Messages are arrays of them.
type Line = [u64; 8];

/// Makes a mechanism of what is written once for all types.
pub(super) struct Typed<K>(pub(super) K);

/// A mechanism for messages of any type, of whole words because some are seqlocks. The methods are those
/// of [`Mechanism`].
pub(super) trait Kind: Sync {
    fn name(&self) -> &'static str;
    fn nature(&self) -> Nature;
    fn batch(&self) -> usize {
        1
    }
    fn prepare<T: WholeWords>(&self) -> Result<Ends, Refused>;
    fn join<T: WholeWords>(&self, terms: Terms) -> Result<Box<dyn Endpoint>, Refused>;
}

impl<K: Kind> Mechanism for Typed<K> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn nature(&self) -> Nature {
        self.0.nature()
    }

    fn batch(&self) -> usize {
        self.0.batch()
    }

    fn prepare(&self, size: usize) -> Result<Ends, Refused> {
        match size {
            64 => self.0.prepare::<[Line; 1]>(),
            1024 => self.0.prepare::<[Line; 16]>(),
            65_536 => self.0.prepare::<[Line; 1024]>(),
            other => Err(no_such_size(other)),
        }
    }

    fn join(&self, terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
        match terms.size {
            64 => self.0.join::<[Line; 1]>(terms),
            1024 => self.0.join::<[Line; 16]>(terms),
            65_536 => self.0.join::<[Line; 1024]>(terms),
            other => Err(no_such_size(other)),
        }
    }
}

/// Types are made when this program is compiled.
fn no_such_size(size: usize) -> Refused {
    Refused(format!(
        "there is no type for a message of {size} bytes in this program"
    ))
}
