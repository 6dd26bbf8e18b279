//! A second opinion: executions enumerated from the axioms of C++20, load buffering included.

mod engine;
mod execution;
mod relation;
mod session;
mod trace;

#[cfg(test)]
mod tests;

pub use engine::{Axioms, Cell};
pub use execution::{Execution, Next, Race, Rules};
pub use relation::EVENTS;
pub use session::{Ended, Enumeration, Violation, enumerate};
pub use trace::{Event, Kind, Trace};
