//! Pinned experiments and the pieces that they, and the benches, are made of.
//!
//! What is compared is a list of [`experiments`]. What is common to all of them:
//!
//! - Two threads, each pinned to one CPU of its own ([`cpus`], [`together`]), stream items through a
//!   ring and check every one ([`stream`], [`links`]).
//! - Whatever waits or spins ends: when the CPU of a thread is taken away the experiment has no result
//!   and says why.
//! - The things compared are measured in turn, round after round, in an order that rotates, and
//!   compared round by round ([`rounds`], [`stats`]): whatever disturbs the machine for a while
//!   disturbs all of them.
//! - A round counts only if the distance between the two CPUs, probed before and after it, stayed
//!   what it was ([`probe`]): virtual CPUs move between real ones.
//! - What was measured becomes a [`comparison`], from which tables, rows, pictures and sentences come.
//! - Structures, ends, memory and loops are modules beside the experiments ([`values`], [`placement`],
//!   [`outside`]), each of which says what it compares and what follows.
//! - What needs no partner is repeated by one of the two threads alone ([`cost`]).
//! - What cannot be measured is said, with the reason ([`counters`]); no figure stands in for it.

mod aligned;
mod alone;
mod c_ends;
pub mod comparison;
pub mod cost;
pub mod counters;
pub mod cpus;
pub mod doctor;
pub mod earlier;
pub mod environment;
pub mod experiments;
mod futex;
mod idle;
mod items;
pub mod links;
mod messages;
mod mutex;
mod operations;
pub mod outside;
mod paced;
pub mod page;
pub mod placement;
pub mod plot;
pub mod probe;
mod raw_ring;
mod regime;
pub mod report;
pub mod rounds;
pub mod run;
pub mod sets;
pub mod stats;
pub mod stream;
pub mod table;
pub mod together;
mod traits;
pub mod values;
mod waits;
mod woken;
mod words;

pub use experiments::ipc;
