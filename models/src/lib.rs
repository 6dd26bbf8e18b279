//! Models of ringproof over loom and shuttle: the source that ships, run by a model checker.
//!
//! A [scenario] is a small program over the production algorithms, which every [engine] can
//! run. The [suite] explores each one unchanged (the *control*, which must
//! pass, reach its minimum of executions and witness every declared outcome) and with one
//! [change] to the site table (a *mutant*, which some scenario must kill).
//!
//! What loom does not prove: load buffering is not explored; it remembers seven values of a
//! word; a run said to be `BOUNDED(k)` tried at most k preemptions per execution, and of those with
//! exactly k not quite all ([oracle]). What shuttle
//! does not prove: anything about memory ordering, since it is sequentially consistent.

pub mod actor;
pub mod apart;
pub mod axioms;
pub mod calibration;
pub mod change;
pub mod diagram;
pub mod engine;
pub mod exploration;
pub mod instrumented;
pub mod litmus;
#[cfg(feature = "shuttle")]
pub mod long;
pub mod mutants;
pub mod oracle;
pub mod order;
pub mod orderings;
pub mod owned;
mod quiet;
pub mod run;
pub mod scenario;
#[cfg(feature = "loom")]
pub mod specimen;
pub mod suite;
pub mod trace;
