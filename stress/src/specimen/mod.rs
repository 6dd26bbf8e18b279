//! Specimens: wrong ways to share memory that were published or shipped, written anew.
//!
//! Each file tells the story of one. The specimens S1 to S14 are wrong in what a model checker or
//! a property test sees, and are kept with the models; these are wrong in what they ask of the
//! system, and it takes processes to show it.

pub(crate) mod s15_odd_for_ever;
pub(crate) mod s16_plain_mutex;
pub(crate) mod s17_unlocked_recovery;
pub(crate) mod s18_liveness_by_pid;
pub(crate) mod s19_wiping_constructor;
pub(crate) mod s20_index_from_zero;
pub(crate) mod s21_mapped_too_early;
pub(crate) mod s22_no_memory;
pub(crate) mod s23_two_widths;
pub(crate) mod s24_one_line;
pub(crate) mod s27_truncated;
