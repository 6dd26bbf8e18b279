//! Where processes die.

pub(crate) mod access;
pub(crate) mod instruction;
pub(crate) mod syscall;
