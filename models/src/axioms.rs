//! What the axioms of C++20, and therefore of Rust, allow, load buffering included.
//!
//! loom executes a program step by step, so a load never finds what is stored later, and its
//! acquire fences synchronise too much where three threads meet. Here nothing is executed in an
//! order. A *candidate* is what each thread did, with a value for each of its reads. Whether the
//! candidate can be is then a matter of definition: there must be a *reads-from* (which write each
//! read found) and an order of the writes of each location that break no axiom.
//!
//! # The axioms
//!
//! Those of RC11 (Lahav, Vafeiadis, Kang, Hur and Dreyer, *Repairing Sequential Consistency in
//! C/C++11*, PLDI 2017), which C++20 took up, with two differences that [`Rules`] names:
//!
//! - RC11 forbids cycles of program order and reads-from, and with them load buffering. C++20
//!   does not.
//! - Since C++20 a release sequence is its first store and read-modify-writes alone; a later
//!   store of the same thread does not continue it.
//!
//! Plain memory is read and written like relaxed words, and two conflicting accesses of it that
//! happens-before does not order are a data race, which is a finding whatever was read.
//!
//! # The candidates
//!
//! The program is ordinary code. It is run once per candidate, depth first over the values that
//! its reads may find. A thread runs to its end when it is started: which of them runs first
//! decides nothing, since a read may also find what is stored only later in the run. It may find
//!
//! - what is stored to its location in this run so far, and
//! - what some consistent run stored there by a thread that, in this run, has not ended yet;
//!
//! and a thread may end for good at a read-modify-write: what the others store when it never
//! comes is not to be learned otherwise. Such a run is the beginning of an execution, and teaches
//! what it stores, but is not counted as one.
//!
//! As soon as no execution can come of the reads so far, their values are given up. All runs are
//! repeated until no consistent one stores anything new. So
//!
//! - **whatever is found is allowed**: each finding comes with an execution that keeps all axioms;
//! - **nothing is missed that RC11 allows.** Take such an execution, and its events in an order
//!   that follows program order and reads-from. By induction, what the first *n* of them store is
//!   known: there is a consistent run that begins with them, in which every other thread goes on
//!   with loads that find the newest write so far, or ends at a read-modify-write. Those that run
//!   before the thread of event *n* go on without that event, and so need nothing that is not
//!   known yet. In the end all values of the execution are known, and it is tried;
//! - **of load buffering, only values out of thin air are missed**: those that are stored only
//!   in executions where they, or others like them, were already read. The axioms alone would
//!   allow them; the standard says that implementations should not have them, and none has.
//!
//! A failed assertion ends its thread, and whoever joins that one; all others go on. It is a
//! finding if the run has a consistent execution.
//!
//! # Limits
//!
//! Programs must be deterministic but for what they read, end by themselves, and need no more than
//! 64 events in a run, the first values of locations included; longer runs are cut, and the
//! exploration is said to be truncated. A payload of a slot has at most eight bytes. Waiting for
//! another thread in a loop that has no bound is not for this engine.

mod engine;
mod execution;
mod relation;
mod rows;
mod session;
#[cfg(test)]
mod tests;
mod trace;

pub use engine::Axioms;
pub use execution::Rules;
pub use rows::{LAYER, rows};
pub use session::{Enumeration, Violation, enumerate};
