//! The C interface of ringproof: what `include/ringproof_lib.h` is generated from.
//!
//! It is [`ringproof::untyped`] with pointers, and nothing of its own: no algorithm, no global
//! state, no output. A handle owns what it stands for; an end keeps its segment's memory alive.
//!
//! # What a caller promises
//!
//! A pointer is null or points to what its type says, for the whole call: a handle that came from
//! this library and was not given back, a string that ends, as many bytes as the call says or
//! the payload has. No other thread uses the same handle at the same time, unless both calls take
//! it as `const`; segments may be shared by threads, ends may not. Null is reported as `RINGPROOF_LIB_ARGUMENT`
//! wherever something is needed.
//!
//! # Panics
//!
//! None crosses into C: every function runs its body in [`call`](failure::call), which turns one
//! into `RINGPROOF_LIB_PANIC`.

#![allow(
    non_camel_case_types,
    reason = "these are the names in C; the header is generated from them"
)]
#![allow(
    clippy::missing_safety_doc,
    reason = "the promises are the same for every function, and stand above"
)]

pub mod arguments;
pub mod failure;
pub mod inspection;
pub mod payload;
pub mod ring;
pub mod segment;
pub mod value;
pub mod wait;
