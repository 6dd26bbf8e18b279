//! Mechanisms whose messages have a type: for each size that is measured there is one.

use super::mechanism::Refused;

/// A cache line. Messages are arrays of them.
pub(super) type Line = [u64; 8];

/// A mechanism of two functions that are written once for all types, which are whole words because
/// some are seqlocks.
macro_rules! typed {
    ($name:literal, $nature:expr, $prepare:ident, $join:ident) => {
        Mechanism::new(
            $name,
            $nature,
            |size| match size {
                64 => $prepare::<[Line; 1]>(),
                1024 => $prepare::<[Line; 16]>(),
                65_536 => $prepare::<[Line; 1024]>(),
                other => Err(no_such_size(other)),
            },
            |terms| match terms.size {
                64 => $join::<[Line; 1]>(terms),
                1024 => $join::<[Line; 16]>(terms),
                65_536 => $join::<[Line; 1024]>(terms),
                other => Err(no_such_size(other)),
            },
        )
    };
}

pub(super) use typed;

/// Types are made when this program is compiled.
pub(super) fn no_such_size(size: usize) -> Refused {
    Refused(format!(
        "there is no type for a message of {size} bytes in this program"
    ))
}
